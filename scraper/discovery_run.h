/* Running discovery mechanisms: one thread each, so that a slow one holds up no other. Jobs whose
 * sections are equal share one (scrape_providers.c). */
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
    struct metric_family *refresh_histogram;
    struct metric *failed_configs;
    struct metric *received_updates;
    struct metric *updates;
};
void discovery_metrics_init(struct discovery_metrics *metrics, struct metrics *registry);

/* A job's targets before relabeling, static ones too. */
void discovery_metrics_set_targets(const struct discovery_metrics *metrics, struct str job_name,
                                   uint64_t count);
/* The job is gone. */
void discovery_metrics_forget(const struct discovery_metrics *metrics, struct str job_name);
/* A mechanism gave its groups; a job got some just now. */
void discovery_metrics_count_update(const struct discovery_metrics *metrics);
void discovery_metrics_set_updated(const struct discovery_metrics *metrics, struct str job_name);
/* How many configured mechanisms could not be started. */
void discovery_metrics_set_failed(const struct discovery_metrics *metrics, uint32_t count);

/* The groups that a run published, shared by the jobs it works for. */
struct provided_groups {
    uint32_t references; /* guarded by the owner's lock */
    struct arena arena;
    const struct target_group_config *items;
    uint32_t count;
};

struct discovery_run;

/* Takes a complete list of groups: the arena moves to the callee. `run` tells who found them. Both
 * NULL: nothing could be found yet. */
typedef void (*discovery_publish_fn)(void *context, struct discovery_run *run,
                                     struct discovered_groups *groups, struct arena *arena);

/* Where a run publishes, and what it counts. */
struct discovery_owner {
    discovery_publish_fn publish;
    void *context;
    const struct discovery_metrics *metrics;
};

/* Of a mechanism that is asked at intervals; NULL: nothing is counted. */
struct refresh_metrics {
    struct metric *failures;
    struct metric_distribution *duration;
    struct metric_distribution *duration_histogram; /* of all runs of the mechanism */
};

struct discovery_run {
    /* constant */
    const struct discovery_mechanism *mechanism;
    struct discovery_owner owner;
    struct scrape_job *job; /* the first that asked: a reference keeps the settings alive */
    uint64_t fingerprint;   /* of the settings */
    void *state;
    struct discovery_env env;
    struct refresh_metrics counts;
    int stop_fd;
    _Atomic bool stopping;
    struct thread thread;
    /* The owner's, guarded by its lock. */
    uint32_t users;
    struct provided_groups *found; /* last; NULL: not yet */
    struct discovery_run *next;
};

/* Until the next refresh: an interval of nothing would ask without end. */
int64_t discovery_pause_ms(int64_t interval_ms);
/* NULL when the mechanism cannot be constructed, which is logged. */
struct discovery_run *discovery_run_start(struct scrape_job *job,
                                          const struct discovery_config *config,
                                          const struct discovery_owner *owner);
/* Ends all runs of a list (by `next`); none of the locks that publish takes may be held. */
void discovery_runs_stop(struct discovery_run *runs);
