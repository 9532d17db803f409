/* query/engine.h: runs PromQL over a store.
 *
 * A query holds a place in the engine while it runs (max_concurrency; others wait in line), works
 * in one arena with a byte budget, and ends at its deadline or when its cancel flag is set. The
 * result is detached from the store: no querier stays open behind it.
 *
 * Errors of query_run carry Prometheus' text: ERR_INVALID (bad_data 400), ERR_EXECUTION and
 * ERR_LIMIT (execution 422), ERR_TIMEOUT (503), ERR_CANCELED (499), everything else internal (500).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/clock.h"
#include "narthex/base/err.h"
#include "narthex/base/metrics.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/storage.h"

struct query_engine;

struct query_engine_options {
    struct storage *storage;
    const struct clock *clock; /* NULL: the real one */
    struct metrics *metrics;   /* NULL: none */
    uint32_t max_concurrency;  /* 0: 20 */
    uint64_t max_samples;      /* 0: 50,000,000 */
    int64_t timeout_ms;        /* 0: two minutes */
    int64_t lookback_ms;       /* 0: five minutes */
    int64_t subquery_step_ms;  /* default step of subqueries; 0: one minute */
    uint64_t memory_bytes_max; /* per query; 0: no limit */
    uint32_t threads;          /* workers besides the caller; 0: none */
    struct promql_features features;
};

struct query_engine *query_engine_create(const struct query_engine_options *options);
void query_engine_destroy(struct query_engine *engine);
/* global.evaluation_interval, reloadable. */
void query_engine_set_subquery_step(struct query_engine *engine, int64_t step_ms);
/* query_log_file: JSON lines, reopened; NULL or "" turns it off. */
err_t query_engine_set_log_file(struct query_engine *engine, const char *path, struct strbuf *why);

/* A try of a query that is thought to be short, in a thread that must not be held up: instead of
 * waiting for a place, taking longer or finding more it gives up and leaves no trace. */
struct query_trial {
    int64_t time_ns; /* looked at between rows */
    uint64_t points; /* of the result; histograms are too many always */
    bool gave_up;    /* set by query_run, which fails then */
};

struct query_request {
    struct str text;
    bool range;
    int64_t start_ms; /* instant queries: the evaluation time */
    int64_t end_ms;
    int64_t step_ms;     /* range: > 0 */
    int64_t timeout_ms;  /* 0: the engine's; never lengthens it */
    int64_t lookback_ms; /* 0: the engine's */
    bool per_step_stats;
    const atomic_bool *cancel; /* NULL: cannot be cancelled */
    struct str client;         /* who asks, for the list of running queries; may be empty */
    struct query_trial *trial; /* NULL: run to the end, with the engine's workers */
};

enum query_value_type { QUERY_SCALAR, QUERY_STRING, QUERY_VECTOR, QUERY_MATRIX };

/* Floats and histograms of one series; a vector has one sample per series. */
struct query_series {
    struct labels labels;
    uint32_t float_count;
    uint32_t histogram_count;
    const int64_t *float_t_ms;
    const double *floats;
    const int64_t *histogram_t_ms;
    const struct histogram *const *histograms;
};

struct query_step_count {
    int64_t t_ms;
    int64_t count;
};

struct query_stats {
    double eval_total_s;
    double result_sort_s;
    double preparation_s;
    double inner_eval_s;
    double queue_s;
    double exec_total_s;
    int64_t total_queryable_samples;
    int64_t samples_read;
    int64_t peak_samples;
    const struct query_step_count *queryable_per_step; /* with per_step_stats, else NULL */
    const struct query_step_count *read_per_step;
    size_t step_count;
};

/* {"timings":{…},"samples":{…}} as Prometheus writes it. */
void query_stats_add_json(struct strbuf *out, const struct query_stats *stats);

struct query_result {
    enum query_value_type type;
    int64_t t_ms; /* scalar, string */
    double scalar;
    struct str string;
    const struct query_series *series; /* vector in evaluation order, matrix sorted by labels */
    size_t series_count;
    /* Rendered with prefix and position, at most ten of each and the "omitted" line. */
    const struct str *warnings;
    size_t warning_count;
    const struct str *infos;
    size_t info_count;
    struct query_stats stats;
    struct arena arena; /* owns all of the above */
};

/* Runs to the end in the calling thread (helped by the engine's workers). On OK the caller owns
 * *result. */
err_t query_run(struct query_engine *engine, const struct query_request *request,
                struct query_result **result, struct strbuf *why);
void query_result_destroy(struct query_result *result);
/* Calls task(context, index) for every index in [0, count) in the calling thread and the engine's
 * workers, several at once, and returns when all are done: for what is made of a result. */
void query_engine_help(struct query_engine *engine, uint32_t count,
                       void (*task)(void *context, uint32_t index), void *context);

enum { QUERY_ACTIVE_TEXT_BYTES_MAX = 1000, QUERY_ACTIVE_CLIENT_BYTES_MAX = 63 };

/* A query that waits or runs now; longer texts are cut, at a whole character. */
struct query_active {
    uint64_t id;
    int64_t started_ms; /* wall clock */
    int64_t running_ms; /* since then */
    bool waiting;       /* for a place among the max_concurrency */
    bool range;
    int64_t start_ms;
    int64_t end_ms;
    int64_t step_ms; /* 0 for instant queries */
    int64_t samples; /* read from the store so far */
    char client[QUERY_ACTIVE_CLIENT_BYTES_MAX + 1];
    char text[QUERY_ACTIVE_TEXT_BYTES_MAX + 1];
};
/* At most `max` of them, newest first; returns how many. */
size_t query_engine_active(struct query_engine *engine, struct query_active *list, size_t max);
/* Ends a running query with ERR_CANCELED; false if it is not there. */
bool query_engine_kill(struct query_engine *engine, uint64_t id);
