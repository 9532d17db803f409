/* tsdb/storage.h: what the rest of the program sees of any store.
 *
 * The real database (tsdb/db.h) and the plain reference store of the tests implement this
 * interface, so that a fault of the engine can be told from a fault of the storage. Everything
 * moves in columns: no single sample crosses this boundary.
 *
 * Units: int64 milliseconds since 1970, float64 values, any bit pattern. A stale marker is an
 * ordinary value with the bits STALE_NAN_BITS (model/histogram.h), or a histogram whose sum has
 * them.
 *
 * Threads: a struct storage may be used by all threads. An appender, a querier's arena and a cursor
 * have one user at a time; a querier may be shared by threads that use cursors of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/histogram.h"
#include "narthex/model/labels.h"
#include "narthex/model/matcher.h"
#include "narthex/model/metadata.h"

/* A series for as long as the process lives: monotonic, never reused, 0 is none. A series that was
 * collected gives ERR_STALE_REF; its writer adds it again by labels. */
typedef uint64_t series_ref;

/* A writer whose samples share timestamps: a scrape target, a rule, a remote-write (job, instance).
 */
typedef uint64_t source_ref;

struct storage {
    const struct storage_ops *ops;
};

/* ---- appending ---- */

struct appender {
    const struct appender_ops *ops;
};

/* Samples lie at most so far from 1970, 146 million years, so that the distance between any two of
 * them is a number. Others are ERR_OUT_OF_BOUNDS. */
#define SAMPLE_T_MS_MAX ((INT64_C(1) << 62) - 1)

struct append_options {
    /* Samples that are out of order are dropped without being counted as errors; stale markers
     * always behave so. */
    bool discard_out_of_order;
    /* Samples later than this are ERR_OUT_OF_BOUNDS; 0 is no limit. */
    int64_t t_max_ms;
};

/* `count` samples, in the order of the source's exposition where it has one: that is the order of
 * slots in memory. Arrays are read during the call only. */
struct append_batch {
    size_t count;
    const series_ref *refs;
    const int64_t *t_ms; /* NULL: all are at t_all_ms */
    int64_t t_all_ms;
    const double *values;                      /* for samples without a histogram */
    const struct histogram *const *histograms; /* NULL: all are floats; else NULL per float */
    const int64_t *start_t_ms;                 /* NULL: none; 0 per sample: none */
    /* Samples that an out-of-order window does not help: they are left out silently when they would
     * be late. NULL: none of them. */
    const bool *in_order_only;
    /* Written: OK, or why the sample was left out (ERR_STALE_REF, ERR_OUT_OF_ORDER, ERR_DUPLICATE,
     * ERR_OUT_OF_BOUNDS, ERR_TOO_OLD, ERR_INVALID: a histogram that is none, or that is larger
     * than HISTOGRAM_STORED_BYTES_MAX of histogram_codec.h). A sample equal to the newest one of
     * its series in time and bits is OK and stored once. */
    uint8_t *outcomes;
};

struct exemplar {
    struct labels labels;
    double value;
    int64_t t_ms;
};

struct metadata {
    enum metadata_type type;
    struct str help;
    struct str unit;
};

struct appender_ops {
    /* Starts a commit of one source. */
    void (*begin)(struct appender *, source_ref source, const struct append_options *options);
    /* The series with these labels, created if new. The labels are copied. ERR_NO_SPACE: it is new
     * and there is no memory for it (mem_pressure). ERR_INVALID: more than 1024 labels or 16 MiB of
     * them. ERR_LIMIT: the store can take no more series, names or values. */
    err_t (*series)(struct appender *, struct labels labels, series_ref *ref, bool *created,
                    struct strbuf *why);
    /* Adds samples to the commit and judges each. Fails as a whole only when the store cannot take
     * anything (ERR_IO, ERR_NO_SPACE, ERR_UNSUPPORTED kinds of sample). */
    err_t (*add)(struct appender *, const struct append_batch *batch, struct strbuf *why);
    /* ERR_OUT_OF_ORDER, ERR_DUPLICATE, ERR_INVALID (labels above 128 characters). */
    err_t (*add_exemplar)(struct appender *, series_ref ref, const struct exemplar *exemplar,
                          struct strbuf *why);
    err_t (*set_metadata)(struct appender *, series_ref ref, const struct metadata *metadata,
                          struct strbuf *why);
    /* Everything since begin becomes durable and visible at once; on an error nothing does. */
    err_t (*commit)(struct appender *, struct strbuf *why);
    void (*rollback)(struct appender *);
    void (*close)(struct appender *);
};

/* ---- reading ---- */

struct querier {
    const struct querier_ops *ops;
};

/* What the reader intends; a store may use it and must not depend on it. */
struct select_hints {
    int64_t start_ms; /* the part of the querier's range that this selector needs, inclusive */
    int64_t end_ms;
    int64_t step_ms;
    int64_t range_ms;    /* of a range selector, else 0 */
    struct str function; /* directly above the selector, or empty */
    /* All series are folded into one: of their labels only the metric's name is looked at, so the
     * store may leave out others, and the list need not be sorted. */
    bool folded;
    /* Of each series only the newest sample not after end_ms is looked at: the store may leave out
     * columns that end before it. */
    bool newest_only;
    uint32_t series_max; /* 0: all; else any this many suffice */
    bool keep_integers;  /* give integer histograms as they are; else all are float */
};

/* One series of a selection. Views live until the querier is closed or the arena dies. */
struct series {
    struct labels labels;
    uint64_t position; /* the store's own; unique within the querier */
};

struct series_list {
    struct series *items; /* sorted by labels, no two equal, unless the hints allow otherwise */
    size_t count;
};

enum sample_kind { SAMPLES_FLOAT, SAMPLES_HISTOGRAM };

/* Statistics over a whole column, present only when neither stale markers nor NaNs are in it. Of -0
 * and +0 the earlier is min and max. */
struct sample_stats {
    double first, last, min, max;
    bool drops;     /* some sample is smaller than the one before */
    bool sum_exact; /* all are integers, none of them -0, with a sum of magnitudes below 2^51 */
    double sum;     /* if sum_exact */
};

/* The next run of samples of one kind, before decoding. */
struct sample_column_info {
    enum sample_kind kind;
    uint32_t count;
    int64_t first_t_ms;
    int64_t last_t_ms;
    bool has_stats;
    struct sample_stats stats; /* floats only */
};

/* A decoded run: ascending, distinct timestamps. Valid until the cursor moves. It may reach beyond
 * the range that was asked for; the reader trims. */
struct sample_column {
    enum sample_kind kind;
    uint32_t count;
    const int64_t *t_ms;
    int64_t step_ms;                    /* constant distance of t_ms, or 0 when unknown */
    const double *values;               /* SAMPLES_FLOAT */
    const struct histogram *histograms; /* SAMPLES_HISTOGRAM */
    const int64_t *start_t_ms;          /* NULL when no sample has a start timestamp */
};

/* Walks the columns of one series in time order; columns do not overlap (late samples are merged by
 * the store). Reused from series to series: seeking allocates nothing in the steady state. */
struct series_cursor {
    const struct series_cursor_ops *ops;
};

struct series_cursor_ops {
    /* Goes before the first column that touches [min_t_ms, max_t_ms] of a series of the querier. */
    err_t (*seek)(struct series_cursor *, const struct series *series, int64_t min_t_ms,
                  int64_t max_t_ms, struct strbuf *why);
    /* Steps to the next column; *found false at the end. */
    err_t (*next)(struct series_cursor *, struct sample_column_info *info, bool *found,
                  struct strbuf *why);
    /* Decodes the column that next stopped at; may be left out to skip it. */
    err_t (*decode)(struct series_cursor *, struct sample_column *column, struct strbuf *why);
    void (*close)(struct series_cursor *);
};

struct str_list {
    struct str *items; /* sorted, distinct */
    size_t count;
};

struct exemplar_series {
    struct labels labels;
    struct exemplar *items; /* by time */
    size_t count;
};

struct exemplar_list {
    struct exemplar_series *items;
    size_t count;
};

/* A list of matchers that all must hold. */
struct selector {
    const struct matcher *matchers;
    size_t count;
};

struct querier_ops {
    /* Series with at least one sample possibly in the querier's range (block granularity) that
     * match all matchers. Results go into `arena`. ERR_LIMIT when the arena's budget is exceeded.
     */
    err_t (*select)(struct querier *, struct selector selector, const struct select_hints *hints,
                    struct arena *arena, struct series_list *list, struct strbuf *why);
    err_t (*cursor_open)(struct querier *, const struct select_hints *hints,
                         struct series_cursor **cursor, struct strbuf *why);
    /* Names and values among series that match (all series when selector.count is 0);
     * limit 0 is none. */
    err_t (*label_names)(struct querier *, struct selector selector, size_t limit,
                         struct arena *arena, struct str_list *list, struct strbuf *why);
    err_t (*label_values)(struct querier *, struct str name, struct selector selector, size_t limit,
                          struct arena *arena, struct str_list *list, struct strbuf *why);
    /* Exemplars of series matching any of the selectors within the querier's range. */
    err_t (*exemplars)(struct querier *, const struct selector *selectors, size_t selector_count,
                       struct arena *arena, struct exemplar_list *list, struct strbuf *why);
    void (*close)(struct querier *);
};

/* ---- the whole store ---- */

struct name_count {
    struct str name;
    uint64_t value;
};

struct name_count_list {
    struct name_count *items; /* descending by value */
    size_t count;
};

/* For /api/v1/status/tsdb. */
struct cardinality {
    uint64_t series_count;
    uint64_t label_pair_count;
    uint64_t column_count; /* "chunks" */
    int64_t min_t_ms;      /* INT64_MAX when empty */
    int64_t max_t_ms;      /* INT64_MIN when empty */
    struct name_count_list series_by_metric;
    struct name_count_list values_by_label;
    struct name_count_list bytes_by_label;
    struct name_count_list series_by_pair; /* "name=value" */
};

struct storage_ops {
    /* A number for a source; the same `key` (a stable hash of what the source is) continues the
     * same group after a restart. */
    source_ref (*source_open)(struct storage *, uint64_t key);
    /* The source writes no more; its group ends with its window. */
    void (*source_close)(struct storage *, source_ref source);
    err_t (*appender_open)(struct storage *, struct appender **appender, struct strbuf *why);
    /* Everything committed before the call and nothing committed later is visible; the range is
     * inclusive. */
    err_t (*querier_open)(struct storage *, int64_t min_t_ms, int64_t max_t_ms,
                          struct querier **querier, struct strbuf *why);
    /* Samples in [min_t_ms, max_t_ms] of matching series are gone for readers at once and from disk
     * later. */
    err_t (*delete_samples)(struct storage *, int64_t min_t_ms, int64_t max_t_ms,
                            struct selector selector, struct strbuf *why);
    err_t (*cardinality)(struct storage *, size_t limit, struct arena *arena,
                         struct cardinality *result, struct strbuf *why);
    /* False when the store is empty. */
    bool (*time_range)(struct storage *, int64_t *min_t_ms, int64_t *max_t_ms);
};

/* ---- calls, so that users do not spell the tables ---- */

static inline source_ref storage_source_open(struct storage *storage, uint64_t key)
{
    return storage->ops->source_open(storage, key);
}

static inline void storage_source_close(struct storage *storage, source_ref source)
{
    storage->ops->source_close(storage, source);
}

static inline err_t storage_appender_open(struct storage *storage, struct appender **appender,
                                          struct strbuf *why)
{
    return storage->ops->appender_open(storage, appender, why);
}

static inline err_t storage_querier_open(struct storage *storage, int64_t min_t_ms,
                                         int64_t max_t_ms, struct querier **querier,
                                         struct strbuf *why)
{
    return storage->ops->querier_open(storage, min_t_ms, max_t_ms, querier, why);
}

static inline err_t storage_delete_samples(struct storage *storage, int64_t min_t_ms,
                                           int64_t max_t_ms, struct selector selector,
                                           struct strbuf *why)
{
    return storage->ops->delete_samples(storage, min_t_ms, max_t_ms, selector, why);
}

static inline err_t storage_cardinality(struct storage *storage, size_t limit, struct arena *arena,
                                        struct cardinality *result, struct strbuf *why)
{
    return storage->ops->cardinality(storage, limit, arena, result, why);
}

static inline bool storage_time_range(struct storage *storage, int64_t *min_t_ms, int64_t *max_t_ms)
{
    return storage->ops->time_range(storage, min_t_ms, max_t_ms);
}

static inline void appender_begin(struct appender *appender, source_ref source,
                                  const struct append_options *options)
{
    appender->ops->begin(appender, source, options);
}

static inline err_t appender_series(struct appender *appender, struct labels labels,
                                    series_ref *ref, bool *created, struct strbuf *why)
{
    return appender->ops->series(appender, labels, ref, created, why);
}

static inline err_t appender_add(struct appender *appender, const struct append_batch *batch,
                                 struct strbuf *why)
{
    return appender->ops->add(appender, batch, why);
}

static inline err_t appender_add_exemplar(struct appender *appender, series_ref ref,
                                          const struct exemplar *exemplar, struct strbuf *why)
{
    return appender->ops->add_exemplar(appender, ref, exemplar, why);
}

static inline err_t appender_set_metadata(struct appender *appender, series_ref ref,
                                          const struct metadata *metadata, struct strbuf *why)
{
    return appender->ops->set_metadata(appender, ref, metadata, why);
}

static inline err_t appender_commit(struct appender *appender, struct strbuf *why)
{
    return appender->ops->commit(appender, why);
}

static inline void appender_rollback(struct appender *appender)
{
    appender->ops->rollback(appender);
}

static inline void appender_close(struct appender *appender)
{
    appender->ops->close(appender);
}

static inline err_t querier_select(struct querier *querier, struct selector selector,
                                   const struct select_hints *hints, struct arena *arena,
                                   struct series_list *list, struct strbuf *why)
{
    return querier->ops->select(querier, selector, hints, arena, list, why);
}

static inline err_t querier_cursor_open(struct querier *querier, const struct select_hints *hints,
                                        struct series_cursor **cursor, struct strbuf *why)
{
    return querier->ops->cursor_open(querier, hints, cursor, why);
}

static inline err_t querier_label_names(struct querier *querier, struct selector selector,
                                        size_t limit, struct arena *arena, struct str_list *list,
                                        struct strbuf *why)
{
    return querier->ops->label_names(querier, selector, limit, arena, list, why);
}

static inline err_t querier_label_values(struct querier *querier, struct str name,
                                         struct selector selector, size_t limit,
                                         struct arena *arena, struct str_list *list,
                                         struct strbuf *why)
{
    return querier->ops->label_values(querier, name, selector, limit, arena, list, why);
}

static inline err_t querier_exemplars(struct querier *querier, const struct selector *selectors,
                                      size_t selector_count, struct arena *arena,
                                      struct exemplar_list *list, struct strbuf *why)
{
    return querier->ops->exemplars(querier, selectors, selector_count, arena, list, why);
}

static inline void querier_close(struct querier *querier)
{
    querier->ops->close(querier);
}

static inline err_t series_cursor_seek(struct series_cursor *cursor, const struct series *series,
                                       int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    return cursor->ops->seek(cursor, series, min_t_ms, max_t_ms, why);
}

static inline err_t series_cursor_next(struct series_cursor *cursor,
                                       struct sample_column_info *info, bool *found,
                                       struct strbuf *why)
{
    return cursor->ops->next(cursor, info, found, why);
}

static inline err_t series_cursor_decode(struct series_cursor *cursor, struct sample_column *column,
                                         struct strbuf *why)
{
    return cursor->ops->decode(cursor, column, why);
}

static inline void series_cursor_close(struct series_cursor *cursor)
{
    cursor->ops->close(cursor);
}
