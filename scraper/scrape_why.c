/* What became of the targets that a text names. */
#include "narthex/scraper/scrape_why.h"

#include "narthex/base/mem.h"
#include "scrape_manager_private.h"
#include "scrape_trace.h"

const char *why_stage_name(enum why_stage stage)
{
    static const char *const names[] = {
        [WHY_NOTHING] = "none",
        [WHY_RELABEL] = "relabel",
        [WHY_INVALID] = "invalid_target",
        [WHY_DUPLICATE] = "duplicate",
        [WHY_WAITING] = "waiting",
        [WHY_TARGET_LIMIT] = "target_limit",
        [WHY_LIMIT] = "limit",
        [WHY_SCRAPE] = "scrape",
    };
    return names[stage];
}

static struct scrape_pool *find_pool(const struct scrape_manager *manager, struct str name)
{
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        if (str_equal(manager->pools[i]->job->config->job_name, name))
            return manager->pools[i];
    }
    return NULL;
}

bool scrape_manager_relabel_steps(struct scrape_manager *manager, struct str pool_name,
                                  struct labels labels, struct arena *arena,
                                  const struct relabel_step_view **steps, size_t *count)
{
    mutex_lock(&manager->lock);
    struct scrape_pool *pool = find_pool(manager, pool_name);
    struct scrape_job *job = pool == NULL ? NULL : scrape_job_ref(pool->job);
    mutex_unlock(&manager->lock);
    if (job == NULL)
        return false;
    const struct scrape_config *config = job->config;
    struct relabel_step_view *items =
        ARENA_NEW_ARRAY(arena, struct relabel_step_view, config->relabel_rule_count + 1);
    scrape_trace_steps(config->relabel_rules, config->relabel_rule_count, config->name_scheme,
                       labels, arena, items);
    *steps = items;
    *count = config->relabel_rule_count;
    scrape_job_unref(job);
    return true;
}

/* ---- targets ---- */

struct search {
    struct str text;
    struct arena *arena;
    struct target_why_view *items;
    struct targets_why_view *view;
    struct label_builder builder;
    struct strbuf why;
    bool *listed; /* active targets of the pool at hand that are in the list */
};

static bool has_value(struct labels labels, struct str value)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (str_equal(labels.items[i].value, value))
            return true;
    }
    return false;
}

/* Room for one more in the list, or NULL when it is full. */
static struct target_why_view *add(struct search *search, struct str pool)
{
    search->view->matched++;
    if (search->view->count == WHY_TARGETS_MAX)
        return NULL;
    struct target_why_view *item = &search->items[search->view->count++];
    item->scrape_pool = arena_str(search->arena, pool);
    return item;
}

static void explain_active(struct search *search, const struct scrape_pool *pool,
                           struct scrape_target *target, struct target_why_view *item)
{
    const struct scrape_config *config = pool->job->config;
    item->active = true;
    item->discovered_labels = labels_copy(search->arena, target->discovered_labels);
    scrape_target_view(target, item->scrape_pool, search->arena, &item->target);
    mutex_lock(&target->lock);
    item->samples_scraped = target->samples_scraped;
    item->samples_kept = target->samples_kept;
    item->line = target->failed_line;
    item->line_text = arena_str(search->arena, strbuf_str(&target->failed_text));
    bool limit = target->failed_by_limit;
    mutex_unlock(&target->lock);
    item->reason = item->target.last_error;
    if (config->target_limit > 0 && pool->target_count > config->target_limit) {
        item->stage = WHY_TARGET_LIMIT;
        item->reason = arena_printf(search->arena,
                                    "target_limit exceeded (number of targets: %u, limit: %llu)",
                                    pool->target_count, (unsigned long long)config->target_limit);
    } else if (item->target.health == TARGET_UNKNOWN) {
        item->stage = WHY_WAITING;
    } else if (item->target.health == TARGET_DOWN) {
        item->stage = limit ? WHY_LIMIT : WHY_SCRAPE;
    }
}

static void explain_dropped(struct search *search, const struct scrape_config *config,
                            struct target_why_view *item)
{
    uint32_t count = config->relabel_rule_count;
    struct relabel_step_view *steps =
        ARENA_NEW_ARRAY(search->arena, struct relabel_step_view, count + 1);
    item->stage = WHY_RELABEL;
    scrape_trace_steps(config->relabel_rules, count, config->name_scheme, item->discovered_labels,
                       search->arena, steps);
    item->rule = scrape_trace_first_lost(steps, count, item->discovered_labels,
                                         (struct selector){NULL, 0}, &item->before);
    if (item->rule < count)
        item->cut = steps[item->rule].rule;
}

/* One address of a group, made anew: the pool keeps neither all that relabeling drops nor what it
 * refuses. */
static void look_at(struct search *search, const struct scrape_pool *pool, struct labels own,
                    struct labels group)
{
    struct scrape_target *made;
    search->view->discovered++;
    if (!has_value(own, search->text) && !has_value(group, search->text))
        return;
    enum target_outcome outcome =
        scrape_target_create(pool->job, own, group, &search->builder, &made, &search->why);
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < pool->target_count && outcome == TARGET_KEPT; i++) {
        if (scrape_target_equal(pool->targets[i], made))
            found = i;
    }
    bool first = found == UINT32_MAX || !search->listed[found];
    struct target_why_view *item = add(search, pool->job->config->job_name);
    if (item != NULL && made != NULL)
        item->discovered_labels = labels_copy(search->arena, made->discovered_labels);
    if (item == NULL) {
        /* counted only */
    } else if (outcome == TARGET_REFUSED) {
        item->stage = WHY_INVALID;
        item->reason = arena_str(search->arena, strbuf_str(&search->why));
        item->discovered_labels = labels_copy(search->arena, own);
    } else if (outcome == TARGET_DROPPED) {
        explain_dropped(search, pool->job->config, item);
    } else if (!first) {
        item->stage = WHY_DUPLICATE;
    } else if (found != UINT32_MAX) {
        search->listed[found] = true;
        explain_active(search, pool, pool->targets[found], item);
    } else {
        item->stage = WHY_WAITING;
    }
    if (made != NULL)
        scrape_target_unref(made);
}

static void look_at_group(struct search *search, const struct scrape_pool *pool,
                          const struct target_group_config *group)
{
    for (uint32_t i = 0; i < group->target_count; i++)
        look_at(search, pool, group->targets[i], group->labels);
}

static void search_pool(struct search *search, const struct scrape_pool *pool)
{
    const struct scrape_config *config = pool->job->config;
    search->listed = MEM_NEW_ARRAY(MEM_SCRAPE, bool, pool->target_count + 1);
    for (uint32_t i = 0; i < config->static_group_count; i++)
        look_at_group(search, pool, &config->static_groups[i]);
    for (uint32_t p = 0; p < pool->provider_count; p++) {
        const struct provided_groups *groups = pool->providers[p].groups;
        for (uint32_t i = 0; groups != NULL && i < groups->count; i++)
            look_at_group(search, pool, &groups->items[i]);
    }
    for (uint32_t i = 0; i < pool->target_count; i++) {
        struct scrape_target *target = pool->targets[i];
        if (search->listed[i] ||
            (!str_equal(target->url, search->text) && !has_value(target->all_labels, search->text)))
            continue;
        struct target_why_view *item = add(search, config->job_name);
        if (item != NULL)
            explain_active(search, pool, target, item);
    }
    mem_free(MEM_SCRAPE, search->listed);
}

void scrape_manager_why_target(struct scrape_manager *manager, struct str text, struct str pool,
                               struct arena *arena, struct targets_why_view *view)
{
    *view = (struct targets_why_view){0};
    struct search search = {
        .text = text,
        .arena = arena,
        .items = ARENA_NEW_ARRAY(arena, struct target_why_view, WHY_TARGETS_MAX),
        .view = view,
    };
    mutex_lock(&manager->lock);
    for (uint32_t i = 0; i < manager->pool_count; i++) {
        if (pool.size == 0 || str_equal(manager->pools[i]->job->config->job_name, pool))
            search_pool(&search, manager->pools[i]);
    }
    mutex_unlock(&manager->lock);
    view->items = search.items;
    label_builder_deinit(&search.builder);
    strbuf_deinit(&search.why);
}
