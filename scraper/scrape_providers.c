/* Which discovery mechanisms run for which jobs: one for all sections that are equal, secrets
 * included. All under the manager's lock. */
#include <assert.h>

#include "narthex/base/mem.h"
#include "scrape_manager_private.h"

/* ---- what was found, shared by the jobs that asked for it ---- */

static struct provided_groups *make_groups(const struct discovered_groups *found,
                                           const struct arena *arena)
{
    struct provided_groups *groups = MEM_NEW(MEM_DISCOVERY, struct provided_groups);
    groups->references = 1;
    groups->arena = *arena;
    groups->items = found->items;
    groups->count = found->count;
    return groups;
}

static void release_groups(struct provided_groups **groups)
{
    if (*groups != NULL && --(*groups)->references == 0) {
        arena_deinit(&(*groups)->arena);
        mem_free(MEM_DISCOVERY, *groups);
    }
    *groups = NULL;
}

static void replace_groups(struct provided_groups **groups, struct provided_groups *by)
{
    if (by != NULL)
        by->references++;
    release_groups(groups);
    *groups = by;
}

/* Gives the pool what the run found; false when it has no such provider. */
static bool feed_pool(struct scrape_pool *pool, const struct discovery_run *run)
{
    bool fed = false;
    for (uint32_t i = 0; i < pool->provider_count; i++) {
        if (pool->providers[i].run != run)
            continue;
        replace_groups(&pool->providers[i].groups, run->found);
        fed = true;
    }
    return fed;
}

/* A discovery thread found a complete list of groups, or nothing at its first try. */
static void publish(void *context, struct discovery_run *run, struct discovered_groups *groups,
                    struct arena *arena)
{
    struct scrape_manager *manager = context;
    const struct discovery_metrics *metrics = &manager->discovery_metrics;
    mutex_lock(&manager->lock);
    struct provided_groups *found = groups == NULL ? NULL : make_groups(groups, arena);
    if (run->users > 0) /* else its jobs went meanwhile */
        replace_groups(&run->found, found);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        struct scrape_pool *pool = manager->pools[p];
        if (!feed_pool(pool, run))
            continue;
        if (found != NULL)
            discovery_metrics_set_updated(metrics, pool->job->config->job_name);
        scrape_manager__sync_pool(manager, pool);
    }
    if (found != NULL)
        discovery_metrics_count_update(metrics);
    release_groups(&found);
    mutex_unlock(&manager->lock);
}

/* ---- providers of a pool ---- */

static struct discovery_run *find_run(const struct scrape_manager *manager,
                                      const struct discovery_config *config)
{
    struct discovery_run *run = manager->runs;
    while (run != NULL && (run->fingerprint != config->fingerprint ||
                           !str_equal(run->mechanism->name, config->mechanism)))
        run = run->next;
    return run;
}

static struct discovery_run *start_run(struct scrape_manager *manager, struct scrape_job *job,
                                       const struct discovery_config *config)
{
    const struct discovery_owner owner = {publish, manager, &manager->discovery_metrics};
    struct discovery_run *run = discovery_run_start(job, config, &owner);
    if (run == NULL)
        return NULL;
    run->next = manager->runs;
    manager->runs = run;
    return run;
}

/* Whether a section of the job still means this mechanism. */
static bool is_wanted(const struct scrape_config *config, const struct discovery_run *run)
{
    for (uint32_t i = 0; i < config->discovery_count; i++) {
        if (config->discovery[i].fingerprint == run->fingerprint &&
            str_equal(config->discovery[i].mechanism, run->mechanism->name))
            return true;
    }
    return false;
}

/* What a section that the job no longer has found last; each is given once. */
static struct provided_groups *take_replaced(struct scrape_pool *pool,
                                             const struct discovery_run *by)
{
    for (uint32_t i = 0; i < pool->provider_count; i++) {
        struct pool_provider *old = &pool->providers[i];
        if (old->groups == NULL || old->run->mechanism != by->mechanism ||
            is_wanted(pool->job->config, old->run))
            continue;
        struct provided_groups *groups = old->groups;
        old->groups = NULL;
        return groups;
    }
    return NULL;
}

static struct pool_provider make_provider(struct scrape_manager *manager, struct scrape_pool *pool,
                                          const struct discovery_config *config)
{
    struct pool_provider provider = {.run = find_run(manager, config)};
    if (provider.run == NULL)
        provider.run = start_run(manager, pool->job, config);
    if (provider.run == NULL)
        return provider;
    provider.run->users++;
    if (provider.run->found != NULL)
        replace_groups(&provider.groups, provider.run->found);
    else if (provider.run->mechanism->refresh != NULL)
        provider.groups = take_replaced(pool, provider.run);
    return provider;
}

void scrape_providers_attach(struct scrape_manager *manager, struct scrape_pool *pool)
{
    const struct scrape_config *config = pool->job->config;
    uint32_t count = config->discovery_count;
    struct pool_provider *providers = MEM_NEW_ARRAY(MEM_SCRAPE, struct pool_provider, count + 1);
    for (uint32_t i = 0; i < count; i++)
        providers[i] = make_provider(manager, pool, &config->discovery[i]);
    scrape_providers_detach(pool);
    pool->providers = providers;
    pool->provider_count = count;
}

void scrape_providers_detach(struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < pool->provider_count; i++) {
        struct pool_provider *provider = &pool->providers[i];
        release_groups(&provider->groups);
        if (provider->run == NULL)
            continue;
        assert(provider->run->users > 0);
        provider->run->users--;
    }
    mem_free(MEM_SCRAPE, pool->providers);
    pool->providers = NULL;
    pool->provider_count = 0;
}

struct discovery_run *scrape_providers_take_unused(struct scrape_manager *manager)
{
    struct discovery_run *unused = NULL;
    struct discovery_run **at = &manager->runs;
    while (*at != NULL) {
        struct discovery_run *run = *at;
        if (run->users > 0) {
            at = &run->next;
            continue;
        }
        *at = run->next;
        run->next = unused;
        unused = run;
        release_groups(&run->found);
    }
    return unused;
}

uint32_t scrape_providers_count_failed(const struct scrape_manager *manager)
{
    uint32_t failed = 0;
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        for (uint32_t i = 0; i < manager->pools[p]->provider_count; i++)
            failed += manager->pools[p]->providers[i].run == NULL;
    }
    return failed;
}
