/* Reading series chunks: finding them, their label pairs, the records of their directories. */
#pragma once

#include "block_file.h"

struct block__chunk_view {
    uint32_t index; /* BLOCK_NONE: none loaded */
    uint32_t first_series;
    uint32_t series_count;
    uint32_t page;
    uint32_t page_offset;
    const uint8_t *labels;
    const uint8_t *directory; /* and end of labels */
    const uint8_t *end;
};

/* Walks the label pairs of one chunk. */
struct block__label_walk {
    struct block__chunk_view chunk;
    const uint8_t *at;
    uint32_t next_series;
    struct block_label labels[BLOCK_LABELS_MAX]; /* of next_series - 1 */
    uint32_t count;
};

/* Makes walk->labels those of `series`. */
err_t block__label_walk_to(const struct block *block, struct block__label_walk *walk,
                           uint32_t series, struct strbuf *why);

/* One record, decoded. */
struct block__record {
    uint8_t flags;       /* enum BLOCK__… of a general record; simple records translated */
    uint8_t row0;        /* BLOCK__ROWS_RANGE */
    uint8_t row_count;   /* BLOCK__ROWS_RANGE */
    uint8_t bitmap_size; /* BLOCK__ROWS_BITMAP */
    const uint8_t *bitmap;
    const uint8_t *constant; /* BLOCK__CONSTANT: the sealed column */
    uint32_t constant_size;
    const uint8_t *stats; /* BLOCK__STATS */
    uint32_t stats_size;
    uint32_t window;
    uint32_t window_count; /* > 1: the same constant in that many windows */
    uint32_t page;
    uint32_t page_offset;
    uint32_t size; /* of the column in the page */
    uint32_t start_times_size;
};

/* Walks the records of one chunk. */
struct block__directory_walk {
    struct block__chunk_view chunk;
    const uint8_t *at;
    uint32_t page; /* where the next column lies */
    uint32_t page_offset;
    uint32_t page_raw_size; /* 0: not looked up yet */
    uint32_t series;        /* the one being walked */
    bool series_done;
    bool run_more;
    uint32_t run_group;
    uint32_t run_next_window;
    uint32_t run_end_window;
    const uint8_t *constant; /* seen last in this series */
    uint32_t constant_size;
};

/* Goes to the first run of `series`. */
err_t block__directory_walk_to(const struct block *block, struct block__directory_walk *walk,
                               uint32_t series, struct strbuf *why);
/* The next record of the series; *found false after the last one. walk->run_group is its group,
 * whose windows are not looked at unless the run covers them all. */
err_t block__directory_walk_next(const struct block *block, struct block__directory_walk *walk,
                                 struct block__record *record, bool *found, struct strbuf *why);
