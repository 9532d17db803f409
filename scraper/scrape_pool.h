/* The targets of one job, as the manager keeps them: groups in, messages to the shards out.
 * Guarded by the manager's lock. */
#pragma once

#include "discovery_run.h"
#include "scrape_shard.h"

/* One discovery section of the job. */
struct pool_provider {
    struct discovery_run *run;      /* NULL: not running */
    struct provided_groups *groups; /* a reference; NULL: nothing found yet */
};

struct scrape_pool {
    struct scrape_job *job;
    struct scrape_target **targets; /* a reference each; in order of discovery */
    uint32_t target_count;
    struct scrape_target **dropped; /* only discovered_labels count */
    uint32_t dropped_count;
    uint64_t dropped_total;
    struct pool_provider *providers; /* scrape_providers.c */
    uint32_t provider_count;
};

/* Who the pool's targets are handed to. */
struct pool_shards {
    struct scrape_shard **items;
    uint32_t count;
    const struct scrape_metrics *metrics;
};

struct scrape_pool *scrape_pool_create(struct scrape_job *job);
/* Ends the pool; its targets get stale markers. It has no providers any more. */
void scrape_pool_destroy(struct scrape_pool *pool, const struct pool_shards *shards);
/* Takes the reference: the targets continue under another configuration at the next sync. */
void scrape_pool_set_job(struct scrape_pool *pool, struct scrape_job *job);
/* Computes the targets anew and tells the shards what changed. */
void scrape_pool_sync(struct scrape_pool *pool, const struct pool_shards *shards);
