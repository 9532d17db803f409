/* The file a block is written to: buffered appends, a checksum per piece on the way. */
#pragma once

#include "block_bytes.h"
#include "narthex/base/err.h"
#include "narthex/base/fs.h"

struct block__output {
    const struct fs *fs;
    struct fs_file *file;
    uint8_t *buffer;
    size_t used;       /* bytes of the buffer not yet written */
    uint64_t position; /* bytes given so far, those in the buffer included */
    struct block__bytes checksums;
};

err_t block__output_open(struct block__output *output, const struct fs *fs, const char *path,
                         struct strbuf *why);
err_t block__output_add(struct block__output *output, const void *data, size_t size,
                        struct strbuf *why);
/* Adds zero bytes up to a multiple of 8. */
err_t block__output_align(struct block__output *output, struct strbuf *why);
/* Ends the checked part: writes the last piece, then the checksum table. *offset is where the
 * table begins, *crc its checksum. Nothing but the footer follows. */
err_t block__output_add_checksums(struct block__output *output, uint64_t *offset, uint32_t *crc,
                                  struct strbuf *why);
/* Writes what is buffered, syncs and closes; frees. */
err_t block__output_finish(struct block__output *output, struct strbuf *why);
/* Closes and frees without writing. */
void block__output_abort(struct block__output *output);
