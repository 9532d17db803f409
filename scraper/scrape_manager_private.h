/* Inside of struct scrape_manager, shared by scrape_manager.c, scrape_providers.c and
 * scrape_views.c.
 */
#pragma once

#include "discovery_run.h"
#include "scrape_pool.h"

struct scrape_manager {
    struct scrape_manager_options options;
    struct scrape_metrics metrics;
    struct discovery_metrics discovery_metrics;
    struct pool_shards shards;
    struct wall_watch wall_watch;
    _Atomic bool probing; /* scrape_manager_why_series runs */
    struct mutex lock;
    /* guarded by lock */
    struct scrape_pool **pools; /* by job name */
    uint32_t pool_count;
    struct discovery_run *runs; /* by `next` */
};

/* Computes a pool's targets anew. */
void scrape_manager__sync_pool(struct scrape_manager *manager, struct scrape_pool *pool);

/* Gives the pool a provider for each discovery section of its job. Mechanisms that run already, for
 * whatever job, are shared. A mechanism that is asked at intervals has the groups of the section it
 * replaces until it is first asked; all others begin with none. */
void scrape_providers_attach(struct scrape_manager *manager, struct scrape_pool *pool);
/* Takes the pool's providers away. */
void scrape_providers_detach(struct scrape_pool *pool);
/* Takes the mechanisms that no pool has any more off the manager's list: they publish no more, and
 * are to be ended (discovery_runs_stop) once the lock is free. */
struct discovery_run *scrape_providers_take_unused(struct scrape_manager *manager);
/* How many sections of all jobs have no running mechanism. */
uint32_t scrape_providers_count_failed(const struct scrape_manager *manager);

/* Sets the gauges that are counted on demand; a metrics_on_collect callback. */
void scrape_manager__collect(void *manager);
