/* The parts of a merge: plan of the groups, columns of one series. */
#pragma once

#include "block_bytes.h"
#include "narthex/tsdb/block_merge.h"

/* Where a window of an input went. */
struct merge__window {
    uint32_t window;    /* of the new group */
    uint8_t row_offset; /* its row 0 is this row of the new window */
    bool joined;        /* the new window is made of several */
};

struct merge__input {
    const struct block *block;
    struct block_cursor *cursor;
    uint32_t *symbol_map;    /* to symbols of the new block */
    uint32_t *group_map;     /* to groups of the new block */
    uint64_t *group_windows; /* per group: its first entry in merge.windows */

    uint32_t series;                             /* the next one to be merged */
    struct block_label labels[BLOCK_LABELS_MAX]; /* of it, in new symbols */
    uint32_t label_count;

    /* While the series is being merged. */
    bool has_column;
    bool decoded;
    struct block_column_info info;
    struct block_column_data data; /* if decoded */
    uint32_t position;             /* next sample of data */
};

/* Samples on their way into one column. */
struct merge__samples {
    uint32_t count;
    bool has_start_times;
    int64_t times[COLUMN_ROWS_MAX];
    int64_t start_times[COLUMN_ROWS_MAX];
    double values[COLUMN_ROWS_MAX];
};

/* A window made for merged samples, remembered because the series of one source want the same. */
struct merge__made_window {
    uint8_t *times; /* NULL: free */
    size_t times_size;
    uint32_t row_count;
    uint32_t group;
};
enum { MERGE_MADE_WINDOWS = 1024 };

struct merge {
    struct merge__input *inputs;
    uint32_t input_count;
    const struct block_merge_options *options;
    struct block_writer *writer;
    struct merge__window *windows;
    struct block_merge_result *result;

    /* Floats of the column of a joined window that is being collected. */
    bool join_open;
    bool join_cut;
    uint32_t join_group;
    uint32_t join_window;
    uint64_t join_present[BLOCK_PRESENT_WORDS];
    struct merge__samples join;

    /* Samples of inputs that overlap. */
    struct merge__samples overlap;
    bool overlap_histograms; /* what it holds */
    /* The last of them come from one column: numbers of its samples that are not selected yet. */
    const struct merge__input *segment_input;
    uint8_t segment_index[COLUMN_ROWS_MAX];
    uint32_t segment_count;
    uint32_t segments; /* selected before, in `joined` */
    struct strbuf joined;
    struct merge__made_window made[MERGE_MADE_WINDOWS];

    struct strbuf histogram;
    uint8_t *column_bytes;     /* column_size_max */
    uint8_t *start_time_bytes; /* time_column_size_max */
    uint8_t *time_bytes;
};

/* Writes the groups of all inputs, those of one key joined, and fills the inputs' maps. */
err_t merge__groups(struct merge *merge, struct strbuf *why);

/* Writes the columns that the inputs selected by `members` (numbers, ascending) hold of their
 * current series. */
err_t merge__columns(struct merge *merge, const uint32_t *members, uint32_t member_count,
                     struct strbuf *why);
