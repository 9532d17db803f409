#include "block_pages.h"

#include <lz4.h>
#include <lz4hc.h>

enum {
    PAGES_HARD_LEVEL = 9,
    PAGES_GAIN_MIN_PERCENT = 6, /* less is not worth the decompression */
};

void block__pages_init(struct block__pages *pages, bool compress_hard)
{
    *pages = (struct block__pages){0};
    if (compress_hard)
        pages->hard_state = mem_alloc(MEM_BLOCK, (size_t)LZ4_sizeofStateHC());
}

void block__pages_deinit(struct block__pages *pages)
{
    block__bytes_deinit(&pages->open);
    block__bytes_deinit(&pages->entries);
    mem_free(MEM_BLOCK, pages->compressed);
    mem_free(MEM_BLOCK, pages->hard_state);
    *pages = (struct block__pages){0};
}

uint32_t block__pages_next(const struct block__pages *pages)
{
    return (uint32_t)(pages->entries.count / BLOCK__PAGE_ENTRY_BYTES);
}

err_t block__pages_add(struct block__pages *pages, struct block__output *output,
                       const uint8_t *bytes, size_t size, const uint8_t *start_times,
                       size_t start_times_size, struct strbuf *why)
{
    if (pages->open.count > 0 &&
        pages->open.count + size + start_times_size > BLOCK__PAGE_TARGET_BYTES)
        TRY(block__pages_close(pages, output, why));
    block__bytes_add(&pages->open, bytes, size);
    block__bytes_add(&pages->open, start_times, start_times_size);
    return OK;
}

/* Compressed size, or 0 if the page is better stored as it is. */
static size_t pages_compress(struct block__pages *pages)
{
    int raw_size = (int)pages->open.count;
    int bound = LZ4_compressBound(raw_size);
    VEC_RESERVE(MEM_BLOCK, pages->compressed, pages->compressed_capacity, bound);
    const char *from = (const char *)pages->open.items;
    char *to = (char *)pages->compressed;
    int size = pages->hard_state == NULL
                   ? LZ4_compress_default(from, to, raw_size, bound)
                   : LZ4_compress_HC_extStateHC(pages->hard_state, from, to, raw_size, bound,
                                                PAGES_HARD_LEVEL);
    assert(size > 0);
    size_t limit = pages->open.count * (100 - PAGES_GAIN_MIN_PERCENT) / 100;
    return (size_t)size <= limit ? (size_t)size : 0;
}

err_t block__pages_close(struct block__pages *pages, struct block__output *output,
                         struct strbuf *why)
{
    size_t raw_size = pages->open.count;
    if (raw_size == 0)
        return OK;
    if (block__pages_next(pages) == UINT32_MAX)
        return err_fail(why, ERR_LIMIT, "block has too many pages");
    size_t size = pages_compress(pages);
    const uint8_t *stored = size == 0 ? pages->open.items : pages->compressed;
    if (size == 0)
        size = raw_size;
    block__bytes_add_u64(&pages->entries, output->position);
    block__bytes_add_u32(&pages->entries, (uint32_t)size);
    block__bytes_add_u32(&pages->entries, (uint32_t)raw_size);
    pages->raw_bytes += raw_size;
    pages->open.count = 0;
    return block__output_add(output, stored, size, why);
}
