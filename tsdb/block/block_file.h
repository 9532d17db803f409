/* An open block as the reader's parts see it. */
#pragma once

#include <stdatomic.h>

#include "block_format.h"
#include "narthex/tsdb/block.h"

struct block__section_place {
    uint64_t offset;
    uint64_t size;
};

struct block {
    char *path;
    char *file_path;
    struct fs_mapping mapping;
    uint64_t checked_size;      /* bytes before the checksum table */
    const uint8_t *checksums;   /* u32 per piece, verified */
    _Atomic uint64_t *verified; /* bit per piece. Relaxed: a bit says only that immutable bytes were
                                   found whole, nothing is published through it. */
    struct block__section_place sections[BLOCK__SECTION_COUNT];
    struct block_meta meta;
    struct block_ulid *sources;
    bool simple_has_stats;
    uint32_t chunk_count;
    uint32_t name_count;
    uint32_t pair_count;
    uint64_t times_bytes; /* totals of what is not in sections of its own */
    uint64_t label_bytes;
    uint64_t directory_bytes;
    uint64_t stats_bytes;
    uint64_t page_raw_bytes;
};

/* ERR_CORRUPT, naming the file, the offset and what is there. */
err_t block__corrupt(const struct block *block, uint64_t offset, const char *what,
                     struct strbuf *why);

/* Bytes [offset, offset + size) of the checked part, after verifying their pieces. At least
 * COLUMN_SLACK_BYTES are readable behind them. */
err_t block__view(const struct block *block, uint64_t offset, uint64_t size, const uint8_t **bytes,
                  struct strbuf *why);

/* Entry number `index` of a table section; the caller knows that there are that many. */
err_t block__entry(const struct block *block, enum block__section section, uint32_t index,
                   uint32_t entry_size, const uint8_t **entry, struct strbuf *why);

struct block__page_place {
    uint64_t offset;
    uint32_t stored_size;
    uint32_t raw_size;
};
err_t block__page_place(const struct block *block, uint32_t page, struct block__page_place *place,
                        struct strbuf *why);

/* Where a group's windows are; checked against the file. */
struct block__group_place {
    uint64_t key;
    uint64_t offset; /* of the window table */
    const uint8_t *table;
    uint32_t window_count;
    uint32_t size; /* table and time columns */
};
err_t block__group_place(const struct block *block, uint32_t group,
                         struct block__group_place *place, struct strbuf *why);
/* Time column of a window. */
err_t block__window(const struct block *block, const struct block__group_place *group,
                    uint32_t window, struct block_window *result, struct strbuf *why);
static inline int64_t block__window_first_ms(const struct block__group_place *group,
                                             uint32_t window)
{
    return (int64_t)block__get64(group->table + (size_t)window * BLOCK__WINDOW_ENTRY_BYTES);
}
