/* Snapshots for the HTTP API. */
#include <stdlib.h>

#include "scrape_manager_private.h"

static int by_labels(const void *a, const void *b)
{
    const struct target_view *x = a;
    const struct target_view *y = b;
    int order = str_compare(x->scrape_pool, y->scrape_pool);
    return order != 0 ? order : labels_compare(x->labels, y->labels);
}

void scrape_target_view(struct scrape_target *target, struct str pool, struct arena *arena,
                        struct target_view *view)
{
    *view = (struct target_view){
        .discovered_labels = labels_copy(arena, target->discovered_labels),
        .labels = labels_copy(arena, target->labels),
        .scrape_pool = pool,
        .scrape_url = arena_str(arena, target->url),
        .interval_ms = target->interval_ms,
        .timeout_ms = target->timeout_ms,
    };
    mutex_lock(&target->lock);
    view->health = target->health;
    view->last_error = arena_str(arena, strbuf_str(&target->last_error));
    view->last_scrape_ms = target->last_scrape_ms;
    view->last_scrape_duration_s = target->last_scrape_duration_s;
    mutex_unlock(&target->lock);
}

static void count_targets(const struct scrape_manager *manager, struct targets_view *view)
{
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        view->active_count += manager->pools[i]->target_count;
        view->dropped_count += manager->pools[i]->dropped_count;
    }
    view->pool_count = manager->pool_count;
}

void scrape_manager_targets(struct scrape_manager *manager, struct arena *arena,
                            struct targets_view *view)
{
    *view = (struct targets_view){0};
    mutex_lock(&manager->lock);
    count_targets(manager, view);
    struct target_view *active = ARENA_NEW_ARRAY(arena, struct target_view, view->active_count + 1);
    struct dropped_target_view *dropped =
        ARENA_NEW_ARRAY(arena, struct dropped_target_view, view->dropped_count + 1);
    struct pool_view *pools = ARENA_NEW_ARRAY(arena, struct pool_view, view->pool_count + 1);
    size_t active_at = 0;
    size_t dropped_at = 0;
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        const struct scrape_pool *pool = manager->pools[p];
        struct str name = arena_str(arena, pool->job->config->job_name);
        pools[p] = (struct pool_view){name, pool->dropped_total};
        for (uint32_t i = 0; i < pool->target_count; i++)
            scrape_target_view(pool->targets[i], name, arena, &active[active_at++]);
        for (uint32_t i = 0; i < pool->dropped_count; i++)
            dropped[dropped_at++] = (struct dropped_target_view){
                labels_copy(arena, pool->dropped[i]->discovered_labels), name};
    }
    mutex_unlock(&manager->lock);
    if (active_at > 1)
        qsort(active, active_at, sizeof *active, by_labels);
    view->active = active;
    view->dropped = dropped;
    view->pools = pools;
}

/* ---- metadata ---- */

struct metadata_items {
    struct target_metadata_view *items;
    size_t count;
    size_t capacity;
    struct arena *arena;
};

static void add_item(struct metadata_items *list, struct labels labels, struct str pool,
                     const struct metadata_family *family)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct target_metadata_view *items =
            ARENA_NEW_ARRAY(list->arena, struct target_metadata_view, capacity);
        for (size_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct target_metadata_view){
        .target_labels = labels,
        .scrape_pool = pool,
        .metric = arena_str(list->arena, family->name),
        .metadata = {.type = family->type,
                     .help = arena_str(list->arena, family->help),
                     .unit = arena_str(list->arena, family->unit)},
    };
}

static int by_metric(const void *a, const void *b)
{
    const struct target_metadata_view *x = a;
    const struct target_metadata_view *y = b;
    return str_compare(x->metric, y->metric);
}

static void add_target_metadata(struct metadata_items *list, struct scrape_target *target,
                                struct str pool, struct str metric)
{
    struct labels labels = labels_copy(list->arena, target->labels);
    size_t first = list->count;
    mutex_lock(&target->lock);
    const struct scrape_metadata *metadata = &target->metadata;
    if (metric.size > 0) {
        uint32_t item = scrape_metadata_find(metadata, metric);
        if (item != HTABLE_NONE)
            add_item(list, labels, pool, &metadata->items[item]);
    }
    for (uint32_t i = 0; metric.size == 0 && i < metadata->count; i++) {
        if (metadata->items[i].name.size > 0)
            add_item(list, labels, pool, &metadata->items[i]);
    }
    mutex_unlock(&target->lock);
    if (list->count > first + 1)
        qsort(list->items + first, list->count - first, sizeof *list->items, by_metric);
}

void scrape_manager_metadata(struct scrape_manager *manager, struct str metric, struct arena *arena,
                             struct metadata_view *view)
{
    struct metadata_items list = {.arena = arena};
    mutex_lock(&manager->lock);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        const struct scrape_pool *pool = manager->pools[p];
        struct str name = arena_str(arena, pool->job->config->job_name);
        for (uint32_t i = 0; i < pool->target_count; i++)
            add_target_metadata(&list, pool->targets[i], name, metric);
    }
    mutex_unlock(&manager->lock);
    *view = (struct metadata_view){list.items, list.count};
}

void scrape_manager__collect(void *context)
{
    struct scrape_manager *manager = context;
    /* In its shard: a loop, and a connection to an endpoint of its own as most have it. */
    const uint64_t shard_bytes =
        sizeof(struct scrape_loop) + sizeof(struct http_endpoint) + sizeof(struct http_wire);
    mutex_lock(&manager->lock);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        const struct scrape_pool *pool = manager->pools[p];
        uint64_t entries = 0;
        uint64_t bytes = 0;
        uint64_t target_bytes = 0;
        uint64_t lines = 0;
        for (uint32_t i = 0; i < pool->target_count; i++) {
            struct scrape_target *target = pool->targets[i];
            mutex_lock(&target->lock);
            entries += target->metadata.count - target->metadata.free_count;
            bytes += target->metadata.bytes;
            lines += target->cache_lines;
            target_bytes += scrape_target_bytes(target) + shard_bytes;
            mutex_unlock(&target->lock);
        }
        scrape_metrics_memory(&manager->metrics, pool->job->config->job_name, target_bytes, lines,
                              lines * sizeof(struct cache_line));
        scrape_metrics_metadata(&manager->metrics, pool->job->config->job_name, entries, bytes);
    }
    mutex_unlock(&manager->lock);
}
