/* The series chunk being filled: label pairs as differences, and the directory of columns.
 *
 * A column stays pending until the next one is known, because its record tells whether that one
 * shares its window; equal constants are counted and written as one record.
 */
#pragma once

#include "block_output.h"
#include "narthex/tsdb/block.h"

struct block__pending_record {
    bool used;
    uint8_t flags; /* of a general record, SHARED excluded */
    uint8_t row0;
    uint8_t row_count;
    uint8_t bitmap_size;
    uint8_t bitmap[30];
    uint8_t constant_size; /* with flag CONSTANT */
    uint8_t constant[BLOCK__CONSTANT_BYTES_MAX];
    uint8_t stats_size;
    uint8_t stats[COLUMN_STATS_SIZE_MAX];
    uint32_t size;
    uint32_t start_times_size;
    uint32_t window;
};

struct block__chunk {
    struct block__bytes labels;
    struct block__bytes directory;
    uint32_t series_count;
    uint32_t first_series;
    uint32_t page; /* where the first column's bytes go */
    uint32_t page_offset;
    struct block_label previous[BLOCK_LABELS_MAX]; /* the chunk's series before */
    uint32_t previous_count;

    /* The series being written. */
    uint32_t previous_group; /* of the chunk's run before */
    bool run_open;
    uint32_t run_group;
    uint32_t run_first_window;
    uint32_t run_next_window;
    uint32_t repeat_count; /* windows of the last constant not yet written */
    uint8_t last_constant_size;
    uint8_t last_constant[BLOCK__CONSTANT_BYTES_MAX];
    struct block__bytes records; /* of the open run */
    struct block__pending_record pending;

    bool simple_has_stats; /* whether records without flags carry statistics */
    uint64_t stats_bytes;  /* written in all, size bytes included */
};

void block__chunk_init(struct block__chunk *chunk, bool simple_has_stats);
void block__chunk_deinit(struct block__chunk *chunk);
/* Empties it for the series from `first_series` on, whose columns begin at page and offset. */
void block__chunk_begin(struct block__chunk *chunk, uint32_t first_series, uint32_t page,
                        uint32_t page_offset);
/* Takes the record of the series' next column. `group_window_count` is that of its group's
 * predecessor in the series, when a run ends here. */
void block__chunk_add(struct block__chunk *chunk, uint32_t group,
                      const struct block__pending_record *record, uint32_t run_group_windows);
/* Ends the series with these labels. */
void block__chunk_end_series(struct block__chunk *chunk, const struct block_label *labels,
                             uint32_t label_count, uint32_t run_group_windows);
/* Whether it should be written before the next series. */
bool block__chunk_is_full(const struct block__chunk *chunk);
/* Writes the chunk; *label_bytes grows by the bytes of labels. */
err_t block__chunk_write(const struct block__chunk *chunk, struct block__output *output,
                         uint64_t *label_bytes, struct strbuf *why);
