/* Running discovery mechanisms: one thread each, so that a slow one holds up no other. */
#pragma once

#include "discovery_mechanism.h"
#include "narthex/base/metrics.h"
#include "narthex/base/thread.h"
#include "scrape_job.h"

/* Own metrics of discovery (spec http-api.md 6); with a NULL registry nothing is counted. */
struct discovery_metrics {
    struct metrics *registry;
    struct metric_family *discovered_targets;
    struct metric_family *last_update;
    struct metric_family *refresh_failures;
    struct metric_family *refresh_duration;
    struct metric *failed_configs;
    struct metric *received_updates;
    struct metric *updates;
};
void discovery_metrics_init(struct discovery_metrics *metrics, struct metrics *registry);

/* A job's targets before relabeling, static ones too; UINT64_MAX: the job is gone. */
void discovery_metrics_set_targets(const struct discovery_metrics *metrics, struct str job_name,
                                   uint64_t count);
/* How many configured mechanisms could not be started. */
void discovery_metrics_set_failed(const struct discovery_metrics *metrics, uint32_t count);

struct discovery_run;

/* Takes a complete list of groups: the arena moves to the callee. `run` tells who found them. */
typedef void (*discovery_publish_fn)(void *context, struct discovery_run *run,
                                     struct discovered_groups *groups, struct arena *arena);

struct discovery_run {
    /* constant */
    const struct discovery_mechanism *mechanism;
    const struct discovery_metrics *metrics;
    struct scrape_job *job; /* a reference: it keeps the settings alive */
    uint64_t fingerprint;   /* of the settings */
    void *state;
    discovery_publish_fn publish;
    void *context;
    struct discovery_env env;
    int stop_fd;
    _Atomic bool stopping;
    struct thread thread;
    /* The owner's: where the groups go; guarded by its lock. */
    void *pool;
    uint32_t provider;
    struct discovery_run *next;
};

/* NULL when the mechanism cannot be constructed, which is logged. */
struct discovery_run *discovery_run_start(struct scrape_job *job,
                                          const struct discovery_config *config, void *pool,
                                          uint32_t provider, discovery_publish_fn publish,
                                          void *context, const struct discovery_metrics *metrics);
/* Ends all runs of a list (by `next`); none of the locks that publish takes may be held. */
void discovery_runs_stop(struct discovery_run *runs);
