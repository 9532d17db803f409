/* Inside of struct scrape_manager, shared by scrape_manager.c and scrape_views.c. */
#pragma once

#include "discovery_run.h"
#include "scrape_pool.h"

struct scrape_manager {
    struct scrape_manager_options options;
    struct scrape_metrics metrics;
    struct discovery_metrics discovery_metrics;
    struct pool_shards shards;
    _Atomic bool probing; /* scrape_manager_why_series runs */
    struct mutex lock;
    /* guarded by lock */
    struct scrape_pool **pools; /* by job name */
    uint32_t pool_count;
};

/* Sets the gauges that are counted on demand; a metrics_on_collect callback. */
void scrape_manager__collect(void *manager);
