#include "narthex/scraper/discovery_probe.h"

#include "discovery_run.h"
#include "narthex/base/clock.h"
#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "scrape_target.h"

enum { FILE_BYTES_MAX = 64 << 20 };

/* What a mechanism published last. */
struct probe_provider {
    struct mutex *lock;
    struct arena arena; /* guarded by lock until the mechanism has ended, like the next */
    struct discovered_groups groups;
};

struct probe {
    struct scrape_job *job;
    struct arena *arena; /* of the answer */
    struct discovery_probe_target *items;
    size_t count;
    size_t capacity;
    struct mutex lock;
    struct probe_provider *providers;
};

static void publish(void *context, struct discovery_run *run, struct discovered_groups *groups,
                    struct arena *arena)
{
    struct probe_provider *provider = context;
    (void)run;
    if (groups == NULL)
        return;
    mutex_lock(provider->lock);
    arena_deinit(&provider->arena);
    provider->arena = *arena;
    provider->groups = *groups;
    mutex_unlock(provider->lock);
}

static void wait_ms(int64_t timeout_ms)
{
    struct mutex lock;
    struct cond never;
    int64_t deadline_ns = clock_monotonic_ns(clock_system()) + timeout_ms * 1000000;
    mutex_init(&lock);
    cond_init(&never);
    mutex_lock(&lock);
    while (cond_wait_until(&never, &lock, deadline_ns)) {
        /* woken without a reason */
    }
    mutex_unlock(&lock);
    cond_deinit(&never);
    mutex_deinit(&lock);
}

/* Leaves the providers' groups to be read. */
static void run_discovery(struct probe *probe, int64_t timeout_ms)
{
    const struct scrape_config *config = probe->job->config;
    struct discovery_metrics metrics = {0};
    struct discovery_run *runs = NULL;
    for (uint32_t i = 0; i < config->discovery_count; i++) {
        struct discovery_owner owner = {publish, &probe->providers[i], &metrics};
        struct discovery_run *run = discovery_run_start(probe->job, &config->discovery[i], &owner);
        if (run == NULL)
            continue;
        run->next = runs;
        runs = run;
    }
    if (runs != NULL)
        wait_ms(timeout_ms);
    discovery_runs_stop(runs);
}

static bool is_known(const struct probe *probe, const struct discovery_probe_target *target)
{
    for (size_t i = 0; i < probe->count; i++) {
        if (labels_equal(probe->items[i].labels, target->labels) &&
            labels_equal(probe->items[i].discovered_labels, target->discovered_labels) &&
            str_equal(probe->items[i].error, target->error))
            return true;
    }
    return false;
}

static void add_target(struct probe *probe, struct labels own, struct labels group,
                       struct label_builder *builder)
{
    struct scrape_target *target;
    struct strbuf why = STRBUF_INIT;
    struct discovery_probe_target item = {0};
    enum target_outcome outcome =
        scrape_target_create(probe->job, own, group, builder, &target, &why);
    if (outcome == TARGET_REFUSED) {
        item.error = arena_str(probe->arena, strbuf_str(&why));
    } else {
        item.discovered_labels = labels_copy(probe->arena, target->discovered_labels);
        if (outcome == TARGET_KEPT)
            item.labels = labels_copy(probe->arena, target->all_labels);
        scrape_target_unref(target);
    }
    if (!is_known(probe, &item))
        VEC_PUSH(MEM_DISCOVERY, probe->items, probe->count, probe->capacity, item);
    strbuf_deinit(&why);
}

static void add_groups(struct probe *probe, const struct target_group_config *groups,
                       uint32_t count)
{
    struct label_builder builder = {0};
    for (uint32_t g = 0; g < count; g++) {
        for (uint32_t t = 0; t < groups[g].target_count; t++)
            add_target(probe, groups[g].targets[t], groups[g].labels, &builder);
    }
    label_builder_deinit(&builder);
}

err_t discovery_probe_job(const struct scrape_config *job, int64_t timeout_ms, struct arena *arena,
                          struct discovery_probe *result, struct strbuf *why)
{
    struct scrape_config config = *job;
    config.scrape_failure_log_file = STR(""); /* is not to be made */
    struct probe probe = {.arena = arena};
    struct scrape_job_set *set = scrape_job_set_create(NULL, NULL);
    err_t err = scrape_job_create(set, &config, &probe.job, why);
    scrape_job_set_unref(set);
    if (err != OK)
        return err;
    mutex_init(&probe.lock);
    probe.providers =
        MEM_NEW_ARRAY(MEM_DISCOVERY, struct probe_provider, config.discovery_count + 1);
    for (uint32_t i = 0; i < config.discovery_count; i++) {
        probe.providers[i].lock = &probe.lock;
        arena_init(&probe.providers[i].arena, MEM_DISCOVERY, SIZE_MAX);
    }
    run_discovery(&probe, timeout_ms);
    add_groups(&probe, config.static_groups, config.static_group_count);
    for (uint32_t i = 0; i < config.discovery_count; i++) {
        add_groups(&probe, probe.providers[i].groups.items, probe.providers[i].groups.count);
        arena_deinit(&probe.providers[i].arena);
    }
    struct discovery_probe_target *items =
        ARENA_NEW_ARRAY(arena, struct discovery_probe_target, probe.count);
    if (probe.count > 0)
        memcpy(items, probe.items, probe.count * sizeof *items);
    *result = (struct discovery_probe){items, probe.count};
    mem_free(MEM_DISCOVERY, probe.items);
    mem_free(MEM_DISCOVERY, probe.providers);
    mutex_deinit(&probe.lock);
    scrape_job_unref(probe.job);
    return OK;
}

/* ---- one file ---- */

/* Addresses are held to what a static target may be. */
static err_t check_addresses(const struct discovered_groups *groups, struct strbuf *why)
{
    for (uint32_t g = 0; g < groups->count; g++) {
        for (uint32_t t = 0; t < groups->items[g].target_count; t++) {
            struct str address = labels_get(groups->items[g].targets[t], STR("__address__"));
            if (str_find(address, '/', 0) != SIZE_MAX)
                return err_fail(why, ERR_INVALID,
                                "instance %u in group : \"%.*s\" is not a valid hostname", t,
                                STR_ARG(address));
        }
    }
    return OK;
}

err_t discovery_probe_file(const char *path, struct strbuf *why)
{
    struct str name = str_from_cstr(path);
    struct label source = {STR("__meta_filepath"), name};
    struct arena arena;
    struct strbuf text = STRBUF_INIT;
    arena_init(&arena, MEM_DISCOVERY, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    bool is_json =
        name.size >= 5 && str_equal_nocase(str_from(path + name.size - 5, 5), STR(".json"));
    err_t err = fs_read_file(path, FILE_BYTES_MAX, &text, why);
    if (err == OK && is_json)
        err = discovered_groups_read_json(&groups, strbuf_str(&text), &source, why);
    else if (err == OK)
        err = discovered_groups_read_yaml(&groups, strbuf_str(&text), &source, why);
    if (err == OK)
        err = check_addresses(&groups, why);
    strbuf_deinit(&text);
    arena_deinit(&arena);
    return err;
}
