/* bench/block_corpus.h: recorded scrapes as series with labels, for measuring blocks.
 *
 * A corpus folder holds JOB/UNIX_MILLISECONDS.txt, exposition text of one target per job. Every
 * series gets the labels job and instance besides its own. A series that is missing in a row after
 * having been there gets one stale marker. Only `name{label="value",…} value` lines are read, which
 * is all the corpus has; escapes in label values stay as they are.
 */
#pragma once

#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/labels.h"

struct corpus_series {
    struct labels labels;
    uint32_t job;
    uint32_t count;
    uint32_t row_capacity;
    uint32_t value_capacity;
    uint32_t *rows; /* ascending */
    double *values;
};

struct corpus_job {
    uint32_t row_count;
    uint32_t row_capacity;
    int64_t *times_ms;
};

struct corpus {
    struct arena arena;           /* labels */
    struct corpus_series *series; /* sorted by labels */
    uint32_t series_count;
    uint32_t series_capacity;
    struct corpus_job *jobs;
    uint32_t job_count;
    uint64_t sample_count;
};

/* Loads every `row_step`-th scrape of every job; grid_ms > 0 moves timestamps to the nearest
 * multiple of it. The caller calls corpus_deinit in any case. */
err_t corpus_load(struct corpus *corpus, const char *folder, uint32_t row_step, int64_t grid_ms,
                  struct strbuf *why);
void corpus_deinit(struct corpus *corpus);
