/* bench/bench_corpus.h: what the benchmarks store: recorded scrapes or synthetic shapes.
 *
 * A corpus is a list of jobs, each one target's series with their values as a matrix, row by row in
 * the order of the exposition. A series that is missing in a row after having been there has one
 * stale marker, then ABSENT. A recorded corpus is a folder with JOB/UNIX_MILLISECONDS.txt,
 * exposition text; labels job and instance are not in it (fleet.h adds them).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/labels.h"

/* Marks a row that has no sample; a signalling NaN that no exporter writes. */
#define CORPUS_ABSENT_BITS UINT64_C(0x7ff00000000a0a0a)

struct corpus_series {
    struct labels labels;
    /* Of recordings: the text that stood before the value, from the end of the sample before it:
     * comment lines and the key. Else empty. */
    struct str text;
    bool counter;  /* never falls and does change */
    double scale;  /* 1, 100: all values are multiples of 1/scale; 0: they are not */
    double growth; /* of a counter over all rows */
};

struct corpus_job {
    const char *name;
    uint32_t series_count;
    uint32_t row_count;
    struct corpus_series *series;
    int64_t *times_ms;
    double *values;        /* [row_count][series_count] */
    struct strbuf *bodies; /* the first body_count scrapes as text */
    uint32_t body_count;
};

struct corpus {
    struct arena arena; /* labels and names */
    struct corpus_job *jobs;
    uint32_t job_count;
    uint32_t job_capacity;
    uint64_t series_count;
    uint64_t sample_count;
    char title[64];
};

static inline bool corpus_is_absent(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits == CORPUS_ABSENT_BITS;
}

/* Loads the first `rows_max` of every `row_step`-th scrape of every job below `folder`, keeping
 * `bodies_max` bodies a job. The caller calls corpus_deinit in any case. */
err_t corpus_load(struct corpus *corpus, const char *folder, uint32_t row_step, uint32_t rows_max,
                  uint32_t bodies_max, struct strbuf *why);
void corpus_init(struct corpus *corpus, const char *title);
void corpus_deinit(struct corpus *corpus);
/* A job with room for its matrix; series and values are the caller's to fill, then
 * corpus_job_finish. */
struct corpus_job *corpus_job_add(struct corpus *corpus, const char *name, uint32_t series_count,
                                  uint32_t row_count);
/* Finds out which series are counters, and counts samples. */
void corpus_job_finish(struct corpus *corpus, struct corpus_job *job);
/* Leaves of every job its first `series_count` series; jobs that have fewer go. */
void corpus_cut(struct corpus *corpus, uint32_t series_count);
/* Appends one scrape of the job as exposition text; values[slot] may be absent. t_ms 0: without
 * timestamps. Returns the number of samples. */
uint32_t corpus_job_render(const struct corpus_job *job, const double *values, int64_t t_ms,
                           struct strbuf *body);

/* bench_shapes.c: synthetic corpora, the same for the same seed. ERR_NOT_FOUND for an unknown
 * shape; the names are node, k8s, wide, churn, hostile, ranges (one job of 1444 series in any case)
 * and sets (one job per kind of value). */
err_t corpus_make_shape(struct corpus *corpus, const char *shape, uint32_t series_count,
                        uint32_t row_count, uint64_t seed, struct strbuf *why);
