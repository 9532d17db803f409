/* The targets of one job, as the manager keeps them: groups in, messages to the shards out.
 * Guarded by the manager's lock. */
#pragma once

#include "discovery_run.h"
#include "scrape_shard.h"

/* Groups of one discovery mechanism of the job, as it published them last. */
struct pool_provider {
    struct arena arena;
    const struct target_group_config *groups;
    uint32_t group_count;
    struct discovery_run *run; /* NULL: not running */
};

struct scrape_pool {
    struct scrape_job *job;
    struct scrape_target **targets; /* a reference each; in order of discovery */
    uint32_t target_count;
    struct scrape_target **dropped; /* only discovered_labels count */
    uint32_t dropped_count;
    uint64_t dropped_total;
    struct pool_provider *providers;
    uint32_t provider_count;
};

/* Who the pool's targets are handed to. */
struct pool_shards {
    struct scrape_shard **items;
    uint32_t count;
    const struct scrape_metrics *metrics;
};

struct scrape_pool *scrape_pool_create(struct scrape_job *job);
/* Ends the pool; its targets get stale markers. Its providers must have been stopped. */
void scrape_pool_destroy(struct scrape_pool *pool, const struct pool_shards *shards);
/* Takes the reference: the targets continue under another configuration at the next sync. */
void scrape_pool_set_job(struct scrape_pool *pool, struct scrape_job *job);
/* One provider for each discovery mechanism of the job. Those whose section did not change run on;
 * a mechanism that is asked at intervals has the groups of its predecessor until it is first asked.
 * All others are new, and the runs that nobody wants come onto the list, as below. */
void scrape_pool_match_providers(struct scrape_pool *pool, struct discovery_run **runs);
/* Replaces what a provider found; the arena moves into the pool. */
void scrape_pool_set_groups(struct scrape_pool *pool, uint32_t provider,
                            const struct discovered_groups *groups, const struct arena *arena);
/* Takes the running mechanisms off the pool and puts them on the list: they publish no more. */
void scrape_pool_detach_runs(struct scrape_pool *pool, struct discovery_run **runs);
/* Computes the targets anew and tells the shards what changed. */
void scrape_pool_sync(struct scrape_pool *pool, const struct pool_shards *shards);
