/* query/engine_state.h: the engine's own state and a query's place in it (private to query/). */
#pragma once

#include <stdio.h>

#include "narthex/base/fs.h"
#include "narthex/base/metrics.h"
#include "narthex/base/thread.h"
#include "narthex/query/engine.h"

enum engine_slice {
    SLICE_INNER_EVAL,
    SLICE_PREPARE_TIME,
    SLICE_QUEUE_TIME,
    SLICE_RESULT_SORT,
    SLICE_COUNT,
};

struct engine_metrics {
    bool on;
    struct metric *queries;
    struct metric *log_enabled;
    struct metric *samples;
    struct metric *samples_read;
    struct metric *log_failures;
    struct metric_distribution *summaries[SLICE_COUNT];
    struct metric_distribution *histograms[SLICE_COUNT];
};

/* A query from its arrival to its end; on its caller's stack, in the engine's list. */
struct engine_ticket {
    struct query_active active; /* constant but for waiting, guarded by the engine's lock */
    atomic_bool kill;
    _Atomic int64_t samples; /* for active; written by the query's threads, stands alone */
    struct engine_ticket *next;
    struct engine_ticket *previous;
    bool listed;
    int64_t arrived_ns;
    int64_t admitted_ns;
    int64_t held_bytes; /* by all queries when this one ended, its own memory included */
};

struct query_engine {
    /* constant */
    struct query_engine_options options;
    struct worker_pool *pool;
    struct engine_metrics metrics;

    _Atomic int64_t subquery_step_ms;

    struct mutex lock;
    /* guarded by lock */
    struct cond released;
    uint32_t running;
    uint64_t last_id;
    struct engine_ticket *tickets;

    struct mutex log_lock;
    /* guarded by log_lock */
    struct fs_file *log_file;
    atomic_bool log_on;
};

/* engine_gate.c: waits for a place. ERR_TIMEOUT, ERR_CANCELED. */
err_t engine__enter(struct query_engine *engine, const struct query_request *request,
                    struct engine_ticket *ticket, int64_t deadline_ns, struct strbuf *why);
void engine__leave(struct query_engine *engine, struct engine_ticket *ticket);

/* engine_metrics.c */
void engine__metrics_init(struct engine_metrics *metrics,
                          const struct query_engine_options *options);
void engine__metrics_query(struct engine_metrics *metrics, const struct query_stats *stats);

/* query_log.c: one JSON line. */
void engine__log_query(struct query_engine *engine, const struct query_request *request,
                       const struct query_stats *stats, err_t err, struct str error_text);
