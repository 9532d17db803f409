#include "scrape_pool.h"

#include <assert.h>
#include <stdio.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

struct scrape_pool *scrape_pool_create(struct scrape_job *job)
{
    struct scrape_pool *pool = MEM_NEW(MEM_SCRAPE, struct scrape_pool);
    pool->job = job;
    return pool;
}

static void free_targets(struct scrape_target **targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (targets[i] != NULL)
            scrape_target_unref(targets[i]);
    }
    mem_free(MEM_SCRAPE, targets);
}

static void post(const struct pool_shards *shards, enum inbox_kind kind,
                 struct scrape_target *target, struct scrape_target *old, bool keep_cache)
{
    if (shards->count == 0)
        return; /* the server shuts down */
    struct inbox_item *item = MEM_NEW(MEM_SCRAPE, struct inbox_item);
    item->kind = kind;
    item->target = scrape_target_ref(target);
    item->old = old == NULL ? NULL : scrape_target_ref(old);
    item->keep_cache = keep_cache;
    scrape_shard_post(shards->items[target->sameness % shards->count], item);
}

void scrape_pool_destroy(struct scrape_pool *pool, const struct pool_shards *shards)
{
    for (uint32_t i = 0; i < pool->target_count; i++)
        post(shards, INBOX_REMOVE, pool->targets[i], NULL, false);
    scrape_metrics_forget(shards->metrics, pool->job->config->job_name);
    free_targets(pool->targets, pool->target_count);
    free_targets(pool->dropped, pool->dropped_count);
    assert(pool->provider_count == 0);
    scrape_job_unref(pool->job);
    mem_free(MEM_SCRAPE, pool);
}

void scrape_pool_set_job(struct scrape_pool *pool, struct scrape_job *job)
{
    scrape_job_unref(pool->job);
    pool->job = job;
}

/* ---- one sync ---- */

struct sync {
    struct scrape_pool *pool;
    const struct pool_shards *shards;
    struct label_builder builder;
    struct scrape_target **targets;
    uint32_t target_count;
    uint32_t target_capacity;
    struct scrape_target **dropped;
    uint32_t dropped_count;
    uint32_t dropped_capacity;
    uint64_t dropped_total;
    uint64_t refused;
    struct htable table; /* of targets, by identity */
    struct strbuf why;
};

static bool is_same_target(const void *owner, uint32_t item, const void *key)
{
    const struct sync *sync = owner;
    return scrape_target_equal(sync->targets[item], key);
}

static void keep_target(struct sync *sync, struct scrape_target *target)
{
    if (htable_find(&sync->table, target->identity, is_same_target, sync, target) != HTABLE_NONE) {
        scrape_target_unref(target);
        return;
    }
    VEC_PUSH(MEM_SCRAPE, sync->targets, sync->target_count, sync->target_capacity, target);
    htable_insert(&sync->table, target->identity, sync->target_count - 1);
}

static void drop_target(struct sync *sync, struct scrape_target *target)
{
    uint64_t limit = sync->pool->job->config->keep_dropped_targets;
    sync->dropped_total++;
    if (limit > 0 && sync->dropped_count >= limit)
        scrape_target_unref(target);
    else
        VEC_PUSH(MEM_SCRAPE, sync->dropped, sync->dropped_count, sync->dropped_capacity, target);
}

static void refuse_target(struct sync *sync, uint32_t index, const char *source)
{
    sync->refused++;
    struct strbuf text = STRBUF_INIT;
    struct strbuf pool = STRBUF_INIT;
    strbuf_printf(&text, "instance %u in group %s: %s", index, source, strbuf_cstr(&sync->why));
    strbuf_add_str(&pool, sync->pool->job->config->job_name);
    LOG_ERROR("Creating target failed", "scrape_pool", strbuf_cstr(&pool), "err",
              strbuf_cstr(&text));
    strbuf_deinit(&pool);
    strbuf_deinit(&text);
}

static void add_group(struct sync *sync, const struct target_group_config *group, uint32_t number)
{
    char source[16];
    snprintf(source, sizeof source, "%u", number);
    for (uint32_t i = 0; i < group->target_count; i++) {
        struct scrape_target *target;
        switch (scrape_target_create(sync->pool->job, group->targets[i], group->labels,
                                     &sync->builder, &target, &sync->why)) {
        case TARGET_KEPT:
            keep_target(sync, target);
            break;
        case TARGET_DROPPED:
            drop_target(sync, target);
            break;
        case TARGET_REFUSED:
            refuse_target(sync, i, source);
            break;
        }
    }
}

static void collect(struct sync *sync)
{
    const struct scrape_pool *pool = sync->pool;
    const struct scrape_config *config = pool->job->config;
    for (uint32_t i = 0; i < config->static_group_count; i++)
        add_group(sync, &config->static_groups[i], i);
    for (uint32_t p = 0; p < pool->provider_count; p++) {
        const struct provided_groups *groups = pool->providers[p].groups;
        for (uint32_t i = 0; groups != NULL && i < groups->count; i++)
            add_group(sync, &groups->items[i], i);
    }
}

struct claim_key {
    const struct scrape_target *target;
    bool exact; /* same job and all labels, interval and timeout too */
};

static bool can_claim(const void *owner, uint32_t item, const void *key)
{
    const struct scrape_pool *pool = owner;
    const struct claim_key *wanted = key;
    const struct scrape_target *old = pool->targets[item];
    if (old == NULL || old->sameness != wanted->target->sameness)
        return false;
    return !wanted->exact ||
           (old->job == wanted->target->job && scrape_target_equal(old, wanted->target));
}

/* Takes an old target that `target` continues out of the pool, or gives NULL. */
static struct scrape_target *claim(struct scrape_pool *pool, const struct htable *by_sameness,
                                   struct scrape_target *target, bool exact)
{
    struct claim_key key = {target, exact};
    uint32_t item = htable_find(by_sameness, target->sameness, can_claim, pool, &key);
    if (item == HTABLE_NONE)
        return NULL;
    struct scrape_target *old = pool->targets[item];
    pool->targets[item] = NULL;
    return old;
}

static bool may_keep_cache(const struct scrape_target *old, const struct scrape_target *target)
{
    return old->job == target->job ||
           old->job->config->cache_fingerprint == target->job->config->cache_fingerprint;
}

/* Exact matches go first, so that a target that changed cannot take one that did not. */
static void continue_targets(struct sync *sync)
{
    struct scrape_pool *pool = sync->pool;
    struct htable by_sameness;
    htable_init(&by_sameness, MEM_SCRAPE);
    for (uint32_t i = 0; i < pool->target_count; i++)
        htable_insert(&by_sameness, pool->targets[i]->sameness, i);
    bool *settled = MEM_NEW_ARRAY(MEM_SCRAPE, bool, sync->target_count + 1);
    for (uint32_t i = 0; i < sync->target_count; i++) {
        struct scrape_target *old = claim(pool, &by_sameness, sync->targets[i], true);
        if (old == NULL)
            continue;
        scrape_target_rediscover(old, sync->targets[i]);
        scrape_target_unref(sync->targets[i]);
        sync->targets[i] = old;
        settled[i] = true;
    }
    for (uint32_t i = 0; i < sync->target_count; i++) {
        if (settled[i])
            continue;
        struct scrape_target *target = sync->targets[i];
        struct scrape_target *old = claim(pool, &by_sameness, target, false);
        if (old == NULL) {
            post(sync->shards, INBOX_ADD, target, NULL, false);
            continue;
        }
        scrape_target_inherit(target, old);
        post(sync->shards, INBOX_REPLACE, target, old, may_keep_cache(old, target));
        scrape_target_unref(old);
    }
    for (uint32_t i = 0; i < pool->target_count; i++) {
        if (pool->targets[i] != NULL)
            post(sync->shards, INBOX_REMOVE, pool->targets[i], NULL, false);
    }
    mem_free(MEM_SCRAPE, settled);
    htable_deinit(&by_sameness);
}

void scrape_pool_sync(struct scrape_pool *pool, const struct pool_shards *shards)
{
    int64_t started_ns = clock_monotonic_ns(clock_system());
    struct sync sync = {.pool = pool, .shards = shards};
    htable_init(&sync.table, MEM_SCRAPE);
    collect(&sync);
    uint64_t limit = pool->job->config->target_limit;
    if (limit > 0 && sync.target_count > limit)
        scrape_metrics_count(shards->metrics, shards->metrics->exceeded_target_limit, 1);
    atomic_store_explicit(&pool->job->target_count, sync.target_count, memory_order_relaxed);
    continue_targets(&sync);
    free_targets(pool->targets, pool->target_count);
    free_targets(pool->dropped, pool->dropped_count);
    pool->targets = sync.targets;
    pool->target_count = sync.target_count;
    pool->dropped = sync.dropped;
    pool->dropped_count = sync.dropped_count;
    pool->dropped_total = sync.dropped_total;
    double seconds = (double)(clock_monotonic_ns(clock_system()) - started_ns) / 1e9;
    scrape_metrics_sync(shards->metrics, pool->job->config->job_name, seconds, sync.target_count,
                        limit, sync.refused);
    htable_deinit(&sync.table);
    label_builder_deinit(&sync.builder);
    strbuf_deinit(&sync.why);
}
