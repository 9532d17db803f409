/* query/samples.h: the samples of one series, decoded (private to query/). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "eval.h"
#include "time_plan.h"

/* Floats and histograms of one series in a range of time, each ascending; their times are distinct.
 * Reused from series to series. */
struct sample_buffer {
    struct eval *eval;
    uint32_t count;
    uint32_t capacity;
    int64_t *t;
    double *v;
    int64_t *st; /* start timestamps, 0: none; valid if has_start */
    bool has_start;
    bool has_stale; /* with keep_stale: there may be stale markers */
    uint32_t histogram_count;
    uint32_t histogram_capacity;
    int64_t *histogram_t;
    int64_t *histogram_st;
    const struct histogram **histograms;
    /* Some samples stand for whole columns (summaries.h): before[i] counts the real samples before
     * floats[i], before[count] all of them. Valid if summarised. */
    bool summarised;
    uint32_t *before;
    double magnitude; /* of SUMMARY_SUM: at least that of all values summarised */
};

/* Real samples among floats [low, high). */
static inline uint32_t samples__real(const struct sample_buffer *buffer, uint32_t low,
                                     uint32_t high)
{
    return buffer->summarised ? buffer->before[high] - buffer->before[low] : high - low;
}

/* The windows of a range function: start_ms + i * step_ms < t <= end_ms + i * step_ms. */
struct summary_windows {
    int64_t start_ms;
    int64_t end_ms;
    int64_t step_ms;
    uint32_t count;
};

/* What a function needs of a column. */
enum summary_kind {
    SUMMARY_NONE, /* every sample */
    SUMMARY_COUNT,
    SUMMARY_FIRST,
    SUMMARY_LAST,
    SUMMARY_MIN,
    SUMMARY_MAX,
    SUMMARY_ENDS,  /* first and last */
    SUMMARY_CLIMB, /* first and last of a column without decreases */
    SUMMARY_SUM,   /* if all samples of the series are small integers */
};

struct sample_want {
    int64_t min_t_ms; /* inclusive */
    int64_t max_t_ms;
    bool keep_stale;
    bool start_timestamps;
    enum summary_kind summary;
    const struct summary_windows *windows; /* with a summary */
};

/* At a fixed address; freed with the query. */
void samples__init(struct sample_buffer *buffer, struct eval *eval);
void samples__clear(struct sample_buffer *buffer);
/* Reads the series through the cursor; histograms are copied into the arena. */
err_t samples__load(struct sample_buffer *buffer, struct series_cursor *cursor,
                    const struct series *series, const struct sample_want *want,
                    struct arena *arena, struct strbuf *why);
/* Room for so many floats. */
void samples__reserve(struct sample_buffer *buffer, uint32_t count);
void samples__add_float(struct sample_buffer *buffer, int64_t t_ms, double v);
/* A float that stands for several. */
void samples__add_summary(struct sample_buffer *buffer, int64_t t_ms, double v, uint32_t real);
void samples__add_histogram(struct sample_buffer *buffer, int64_t t_ms, const struct histogram *h);

/* A histogram without buckets: count, sum, schema, and a hint that says what comparing the buckets
 * with those of the sample before (NULL: none) would have. */
struct histogram samples__stats(const struct histogram *h, const struct histogram *before);
/* Does so to all histograms. */
void samples__strip_buckets(struct sample_buffer *buffer, struct arena *arena);

/* What one thread works with while it fills rows of a selector. */
struct lane {
    struct series_cursor *cursor;
    struct sample_buffer samples;
    struct arena *scratch; /* dies with the row */
    struct arena *out;     /* dies with the batch */
    int64_t *queryable;    /* per step of the scope */
    int64_t *read;
    int64_t loaded;     /* samples, not yet published */
    uint64_t unchecked; /* work since the lane looked whether its query should end */
    struct time_plans plans;
    err_t err;
    uint32_t err_row;
    struct strbuf why;
};

/* A selector's series, filled in batches by several lanes. */
struct lane_set {
    struct op *op;
    struct lane *lanes;
    uint32_t lane_count;
    struct series_list series;
    size_t at;                   /* next series */
    struct row *rows;            /* of the batch */
    struct row_windows *windows; /* of its rows; PEAK_WINDOWS */
    uint32_t row_capacity;
    uint32_t row_count;
    double *values;
    uint64_t *present;
    atomic_uint next_row;
    bool selected;
    struct selector selector;
    struct select_hints hints;
    /* Fills a row whose labels and memory are set; any thread, one lane each. */
    err_t (*fill)(struct op *op, struct lane *lane, const struct series *series, struct row *row,
                  struct strbuf *why);
};

void lanes__init(struct lane_set *set, struct op *op, const struct vector_selector *selector,
                 const struct select_times *times, struct str function);
/* Selects the series and makes the lanes, once. */
err_t lanes__select(struct lane_set *set, struct strbuf *why);
/* A batch of filled rows. */
err_t lanes__next(struct lane_set *set, struct batch *batch, struct strbuf *why);
