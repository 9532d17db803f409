/* bench/column_corpus.h: recorded scrapes as columns.
 *
 * A corpus folder holds JOB/UNIX_MILLISECONDS.txt, exposition text of one target per job. Each job
 * is one group; its rows are cut into windows, and every series' values in a window are one column.
 * A series that is missing in a row after having been there gets one stale marker.
 */
#pragma once

#include <stdint.h>

#include "narthex/base/err.h"

struct corpus_column {
    uint32_t slot; /* number of the series, over all jobs */
    uint32_t row_count;
    uint64_t offset; /* of its values */
};

struct corpus_columns {
    double *values;
    uint64_t value_count;
    uint64_t value_capacity;
    struct corpus_column *items; /* window after window, in order of slots */
    uint32_t count;
    uint32_t capacity;
    uint32_t slot_count;
    uint32_t time_count; /* rows of all jobs */
    uint32_t time_capacity;
    int64_t *times_ms;
    uint32_t *window_rows; /* rows of each window in times_ms order */
    uint32_t window_count;
    uint32_t window_capacity;
};

/* Loads every `row_step`-th scrape of every job below `folder`, in windows of window_rows. The
 * caller calls corpus_columns_deinit in any case. */
err_t corpus_columns_load(struct corpus_columns *columns, const char *folder, uint32_t row_step,
                          uint32_t window_rows, struct strbuf *why);
void corpus_columns_deinit(struct corpus_columns *columns);

/* Adds one column. */
void corpus_columns_add(struct corpus_columns *columns, uint32_t slot, const double *values,
                        uint32_t row_count);
