#include "narthex/scraper/scrape_manager.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "narthex/base/hash.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "scrape_manager_private.h"

enum { SHARDS_MAX = 8 };

/* Replicas of a server scrape at different moments: host name and external labels differ. */
static uint64_t phase_seed(const struct scrape_manager_options *options)
{
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, host);
    strbuf_add_str(&text, options->external_labels_text);
    uint64_t seed = hash_xxh64(text.data, text.size);
    strbuf_deinit(&text);
    return seed;
}

static uint32_t default_shards(void)
{
    uint32_t cores = thread_core_count();
    return cores > SHARDS_MAX ? SHARDS_MAX : cores;
}

static void fill_defaults(struct scrape_manager_options *options)
{
    if (options->clock == NULL)
        options->clock = clock_system();
    if (options->shards == 0)
        options->shards = default_shards();
    if (options->body_bytes_max == 0)
        options->body_bytes_max = SCRAPE_BODY_BYTES_MAX;
}

static void stop_shards(struct scrape_manager *manager)
{
    for (uint32_t i = 0; i < manager->shards.count; i++)
        scrape_shard_stop(manager->shards.items[i]);
    mem_free(MEM_SCRAPE, manager->shards.items);
}

static err_t start_shards(struct scrape_manager *manager, struct strbuf *why)
{
    struct scrape_shard_options options = {
        .manager = &manager->options,
        .metrics = &manager->metrics,
        .wall_watch = &manager->wall_watch,
        .seed = phase_seed(&manager->options),
    };
    ssize_t size = getrandom(&options.cache_seed, sizeof options.cache_seed, 0);
    assert(size == (ssize_t)sizeof options.cache_seed);
    (void)size;
    manager->shards.metrics = &manager->metrics;
    manager->shards.items =
        MEM_NEW_ARRAY(MEM_SCRAPE, struct scrape_shard *, manager->options.shards);
    for (options.index = 0; options.index < manager->options.shards; options.index++) {
        struct appender *appender;
        TRY(storage_appender_open(manager->options.storage, &appender, why));
        manager->shards.items[manager->shards.count++] = scrape_shard_start(&options, appender);
    }
    return OK;
}

err_t scrape_manager_create(const struct scrape_manager_options *options,
                            struct scrape_manager **manager, struct strbuf *why)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct scrape_manager *m = MEM_NEW(MEM_SCRAPE, struct scrape_manager);
    m->options = *options;
    fill_defaults(&m->options);
    mutex_init(&m->lock);
    scrape_metrics_init(&m->metrics, options->metrics);
    discovery_metrics_init(&m->discovery_metrics, options->metrics);
    err_t err = start_shards(m, why);
    if (err != OK) {
        scrape_manager_destroy(m);
        return err;
    }
    if (options->metrics != NULL)
        metrics_on_collect(options->metrics, scrape_manager__collect, m);
    *manager = m;
    return OK;
}

void scrape_manager_destroy(struct scrape_manager *manager)
{
    if (manager == NULL)
        return;
    mutex_lock(&manager->lock);
    for (uint32_t i = 0; i < manager->pool_count; i++)
        scrape_providers_detach(manager->pools[i]);
    struct discovery_run *runs = scrape_providers_take_unused(manager);
    mutex_unlock(&manager->lock);
    discovery_runs_stop(runs);
    stop_shards(manager);
    struct pool_shards none = {.metrics = &manager->metrics};
    for (uint32_t i = 0; i < manager->pool_count; i++)
        scrape_pool_destroy(manager->pools[i], &none);
    mem_free(MEM_SCRAPE, manager->pools);
    mutex_deinit(&manager->lock);
    mem_free(MEM_SCRAPE, manager);
}

/* ---- applying a configuration ---- */

static struct scrape_pool *find_pool(struct scrape_manager *manager, struct str name)
{
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        if (str_equal(manager->pools[i]->job->config->job_name, name))
            return manager->pools[i];
    }
    return NULL;
}

/* What becomes of the pools while a configuration is applied. */
struct plan {
    struct scrape_pool **pools;
    uint32_t count;
    uint32_t capacity;
    bool failed;
};

static void log_pool_failure(const char *message, const struct scrape_config *config,
                             const struct strbuf *why)
{
    struct strbuf name = STRBUF_INIT;
    strbuf_add_str(&name, config->job_name);
    LOG_ERROR(message, "scrape_pool", strbuf_cstr(&name), "err", strbuf_cstr(why));
    strbuf_deinit(&name);
}

static uint64_t count_targets(const struct target_group_config *groups, uint32_t count)
{
    uint64_t targets = 0;
    for (uint32_t i = 0; i < count; i++)
        targets += groups[i].target_count;
    return targets;
}

void scrape_manager__sync_pool(struct scrape_manager *manager, struct scrape_pool *pool)
{
    const struct scrape_config *config = pool->job->config;
    uint64_t targets = count_targets(config->static_groups, config->static_group_count);
    for (uint32_t i = 0; i < pool->provider_count; i++) {
        const struct provided_groups *groups = pool->providers[i].groups;
        targets += groups == NULL ? 0 : count_targets(groups->items, groups->count);
    }
    discovery_metrics_set_targets(&manager->discovery_metrics, config->job_name, targets);
    scrape_pool_sync(pool, &manager->shards);
}

static void reload_pool(struct scrape_manager *manager, struct scrape_pool *pool,
                        struct scrape_job *job)
{
    const struct scrape_metrics *m = &manager->metrics;
    int64_t started_ns = clock_monotonic_ns(clock_system());
    scrape_metrics_count(m, m->pool_reloads, 1);
    scrape_pool_set_job(pool, job);
    scrape_providers_attach(manager, pool);
    scrape_manager__sync_pool(manager, pool);
    scrape_metrics_reload(m, job->config->interval_ms,
                          (double)(clock_monotonic_ns(clock_system()) - started_ns) / 1e9);
}

/* A job whose client cannot be made gets no pool at first, and keeps the old one on a reload. */
static void plan_job(struct scrape_manager *manager, struct scrape_job_set *set,
                     const struct scrape_config *config, struct plan *plan)
{
    struct scrape_pool *pool = find_pool(manager, config->job_name);
    if (pool != NULL && pool->job->config->fingerprint == config->fingerprint) {
        scrape_job_reopen_log(pool->job);
        VEC_PUSH(MEM_SCRAPE, plan->pools, plan->count, plan->capacity, pool);
        return;
    }
    const struct scrape_metrics *m = &manager->metrics;
    struct strbuf why = STRBUF_INIT;
    struct scrape_job *job;
    if (scrape_job_create(set, config, &job, &why) != OK) {
        log_pool_failure(pool == NULL ? "error creating new scrape pool"
                                      : "error reloading scrape pool",
                         config, &why);
        scrape_metrics_count(m, pool == NULL ? m->pools_failed : m->pool_reloads_failed, 1);
        plan->failed |= pool != NULL;
    } else if (pool == NULL) {
        scrape_metrics_count(m, m->pools, 1);
        pool = scrape_pool_create(job);
        scrape_providers_attach(manager, pool);
        scrape_manager__sync_pool(manager, pool);
    } else {
        reload_pool(manager, pool, job);
    }
    strbuf_deinit(&why);
    if (pool != NULL)
        VEC_PUSH(MEM_SCRAPE, plan->pools, plan->count, plan->capacity, pool);
}

static bool is_planned(const struct plan *plan, const struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->pools[i] == pool)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct scrape_pool *const *x = a;
    const struct scrape_pool *const *y = b;
    return str_compare((*x)->job->config->job_name, (*y)->job->config->job_name);
}

static void adopt_plan(struct scrape_manager *manager, struct plan *plan)
{
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        if (is_planned(plan, manager->pools[i]))
            continue;
        scrape_providers_detach(manager->pools[i]);
        discovery_metrics_forget(&manager->discovery_metrics,
                                 manager->pools[i]->job->config->job_name);
        scrape_pool_destroy(manager->pools[i], &manager->shards);
    }
    mem_free(MEM_SCRAPE, manager->pools);
    manager->pools = plan->pools;
    manager->pool_count = plan->count;
    if (plan->count > 0)
        qsort(manager->pools, manager->pool_count, sizeof *manager->pools, by_name);
}

err_t scrape_manager_apply(struct scrape_manager *manager, const struct scrape_config *jobs,
                           uint32_t job_count, void (*release)(void *context), void *context,
                           struct strbuf *why)
{
    struct scrape_job_set *set = scrape_job_set_create(release, context);
    struct plan plan = {0};
    mutex_lock(&manager->lock);
    for (uint32_t i = 0; i < job_count; i++)
        plan_job(manager, set, &jobs[i], &plan);
    adopt_plan(manager, &plan);
    discovery_metrics_set_failed(&manager->discovery_metrics,
                                 scrape_providers_count_failed(manager));
    struct discovery_run *unused = scrape_providers_take_unused(manager);
    mutex_unlock(&manager->lock);
    discovery_runs_stop(unused);
    scrape_job_set_unref(set);
    if (plan.failed)
        return err_fail(why, ERR_INVALID, "failed to apply the new configuration");
    return OK;
}
