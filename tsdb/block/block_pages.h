/* Column bytes on their way to the file: the open page, its compression, the page table. */
#pragma once

#include "block_output.h"

struct block__pages {
    struct block__bytes open;    /* raw bytes of the page being filled */
    struct block__bytes entries; /* the page table so far */
    uint8_t *compressed;
    size_t compressed_capacity;
    void *hard_state; /* LZ4HC's memory, or NULL: fast LZ4 */
    uint64_t raw_bytes;
};

void block__pages_init(struct block__pages *pages, bool compress_hard);
void block__pages_deinit(struct block__pages *pages);
/* Where the next column would go if it did not open a new page: the page's number and offset. */
uint32_t block__pages_next(const struct block__pages *pages);
/* Adds a column and its start timestamps, side by side in one page. */
err_t block__pages_add(struct block__pages *pages, struct block__output *output,
                       const uint8_t *bytes, size_t size, const uint8_t *start_times,
                       size_t start_times_size, struct strbuf *why);
/* Writes the open page, if it holds anything. */
err_t block__pages_close(struct block__pages *pages, struct block__output *output,
                         struct strbuf *why);
