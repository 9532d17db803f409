#include "block_output.h"

#include "narthex/base/hash.h"

enum { OUTPUT_BUFFER_BYTES = 64 * 1024 };
static_assert(OUTPUT_BUFFER_BYTES % BLOCK__PIECE_BYTES == 0, "pieces never span two flushes");

err_t block__output_open(struct block__output *output, const struct fs *fs, const char *path,
                         struct strbuf *why)
{
    *output = (struct block__output){.fs = fs};
    TRY(fs->open(fs->context, path, FS_OPEN_CREATE_NEW, &output->file, why));
    output->buffer = mem_alloc(MEM_BLOCK, OUTPUT_BUFFER_BYTES);
    return OK;
}

static err_t output_flush(struct block__output *output, struct strbuf *why)
{
    size_t size = output->used;
    output->used = 0;
    return size == 0 ? OK : output->fs->write(output->file, output->buffer, size, why);
}

/* The buffer always begins at a piece's start while pieces are being checked. */
static err_t output_flush_pieces(struct block__output *output, struct strbuf *why)
{
    for (size_t at = 0; at < output->used; at += BLOCK__PIECE_BYTES) {
        size_t size = output->used - at;
        if (size > BLOCK__PIECE_BYTES)
            size = BLOCK__PIECE_BYTES;
        block__bytes_add_u32(&output->checksums, hash_crc32c(0, output->buffer + at, size));
    }
    return output_flush(output, why);
}

err_t block__output_add(struct block__output *output, const void *data, size_t size,
                        struct strbuf *why)
{
    const uint8_t *from = data;
    while (size > 0) {
        size_t part = OUTPUT_BUFFER_BYTES - output->used;
        if (part > size)
            part = size;
        memcpy(output->buffer + output->used, from, part);
        output->used += part;
        output->position += part;
        from += part;
        size -= part;
        if (output->used == OUTPUT_BUFFER_BYTES)
            TRY(output_flush_pieces(output, why));
    }
    return OK;
}

err_t block__output_align(struct block__output *output, struct strbuf *why)
{
    static const uint8_t zeros[8];
    return block__output_add(output, zeros, -output->position & 7, why);
}

err_t block__output_add_checksums(struct block__output *output, uint64_t *offset, uint32_t *crc,
                                  struct strbuf *why)
{
    TRY(output_flush_pieces(output, why));
    *offset = output->position;
    *crc = hash_crc32c(0, output->checksums.items, output->checksums.count);
    output->position += output->checksums.count;
    return output->fs->write(output->file, output->checksums.items, output->checksums.count, why);
}

static void output_free(struct block__output *output)
{
    mem_free(MEM_BLOCK, output->buffer);
    output->buffer = NULL;
    block__bytes_deinit(&output->checksums);
}

err_t block__output_finish(struct block__output *output, struct strbuf *why)
{
    err_t err = output_flush(output, why);
    if (err == OK)
        err = output->fs->sync(output->file, why);
    if (err != OK) {
        block__output_abort(output);
        return err;
    }
    struct fs_file *file = output->file;
    output->file = NULL;
    output_free(output);
    return output->fs->close(file, why);
}

void block__output_abort(struct block__output *output)
{
    struct strbuf ignored = STRBUF_INIT;
    if (output->file != NULL && output->fs->close(output->file, &ignored) != OK) {
        /* The file is thrown away: a failed close loses nothing. */
    }
    output->file = NULL;
    strbuf_deinit(&ignored);
    output_free(output);
}
