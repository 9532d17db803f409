/* What becomes of the samples that a selector names: pages are fetched now and read as a scrape
 * reads them, with what happens to each sample written down instead of stored. */
#include <stdlib.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "scrape_ingest.h"
#include "scrape_manager_private.h"
#include "scrape_trace.h"

static const int64_t ns_per_ms = 1000000;

const char *sample_stage_name(enum sample_stage stage)
{
    static const char *const names[] = {
        [SAMPLE_STORED] = "none",          [SAMPLE_RELABELED] = "metric_relabel",
        [SAMPLE_COVERED] = "target_label", [SAMPLE_REFUSED] = "refused",
        [SAMPLE_REPEATED] = "duplicate",   [SAMPLE_CONVERTED] = "histogram_conversion",
    };
    return names[stage];
}

struct probe {
    struct selector selector;
    struct str name; /* that the selector asks for; empty: any */
    struct arena *arena;
    struct scrape_ingest *ingest;
    const struct scrape_manager_options *options;
    struct probe_why_view *view;
    struct sample_why_view *items;
    struct label_builder sorted;
    uint64_t kept;
    size_t line_at; /* so far lines were counted */
    uint64_t line;
};

static bool matches(const struct probe *probe, struct labels labels)
{
    return matchers_match(probe->selector.matchers, probe->selector.count, labels);
}

static uint64_t line_of_entry(struct probe *probe)
{
    struct str body = probe->ingest->task->body;
    size_t at = exposition_entry_start(probe->ingest->exposition);
    if (at > body.size)
        return 0;
    for (; probe->line_at < at; probe->line_at++)
        probe->line += body.data[probe->line_at] == '\n';
    return probe->line;
}

/* ---- one sample ---- */

/* Whether the sample matches by what it exposes, the target's labels only filling in. */
static bool matches_as_exposed(struct probe *probe, const struct exposition_entry *entry)
{
    const struct scrape_ingest *ingest = probe->ingest;
    struct labels target = ingest->task->target->labels;
    struct label *items;
    uint32_t count;
    exposition_key_labels(ingest->task->format, entry->key, entry->type, &probe->ingest->arena,
                          &items, &count);
    label_builder_reset(&probe->sorted, target);
    for (uint32_t i = 0; i < count; i++)
        label_builder_set(&probe->sorted, items[i].name, items[i].value);
    return matches(probe, label_builder_labels(&probe->sorted));
}

static bool is_repeated(const struct probe *probe, struct labels labels)
{
    for (size_t i = 0; i < probe->view->count; i++) {
        if (probe->items[i].stage == SAMPLE_STORED && labels_equal(probe->items[i].labels, labels))
            return true;
    }
    return false;
}

static void explain_rule(struct probe *probe, const struct scrape_config *config,
                         struct sample_why_view *item)
{
    uint32_t count = config->metric_relabel_rule_count;
    struct relabel_step_view *steps =
        ARENA_NEW_ARRAY(probe->arena, struct relabel_step_view, count + 1);
    scrape_trace_steps(config->metric_relabel_rules, count, config->name_scheme, item->exposed,
                       probe->arena, steps);
    item->stage = SAMPLE_RELABELED;
    item->rule =
        scrape_trace_first_lost(steps, count, item->exposed, probe->selector, &item->before);
    if (item->rule < count)
        item->cut = steps[item->rule].rule;
}

static bool is_converted(const struct probe *probe, const struct exposition_entry *entry)
{
    const struct scrape_target *target = probe->ingest->task->target;
    return target->convert_classic_histograms && !target->always_scrape_classic_histograms &&
           entry->kind == EXPOSITION_SAMPLE && entry->type == METADATA_HISTOGRAM;
}

static void add_sample(struct probe *probe, const struct exposition_entry *entry,
                       struct labels exposed, struct labels final, enum label_outcome outcome,
                       bool covered, struct strbuf *why)
{
    const struct scrape_config *config = probe->ingest->task->target->job->config;
    probe->view->matched++;
    if (probe->view->count == WHY_SAMPLES_MAX)
        return;
    struct sample_why_view *item = &probe->items[probe->view->count];
    *item = (struct sample_why_view){
        .line = line_of_entry(probe),
        .exposed = exposed,
        .labels = final,
        .value = entry->value,
        .has_timestamp = entry->has_timestamp && config->honor_timestamps,
        .timestamp_ms = entry->timestamp_ms,
    };
    if (outcome == LABELS_REFUSED) {
        item->stage = SAMPLE_REFUSED;
        item->reason = arena_str(probe->arena, strbuf_str(why));
    } else if (covered) {
        item->stage = SAMPLE_COVERED;
    } else if (outcome == LABELS_DROPPED || !matches(probe, final)) {
        explain_rule(probe, config, item);
    } else if (is_converted(probe, entry)) {
        item->stage = SAMPLE_CONVERTED;
    } else if (is_repeated(probe, final)) {
        item->stage = SAMPLE_REPEATED;
    }
    probe->view->count++;
}

static void merge(struct probe *probe, const struct exposition_entry *entry)
{
    struct scrape_target *target = probe->ingest->task->target;
    /* Types and units are read from the metadata, which its shard writes. */
    mutex_lock(&target->lock);
    ingest__merge_labels(probe->ingest, entry);
    mutex_unlock(&target->lock);
}

/* ERR_INVALID: the sample fails the scrape. */
static err_t look_at(struct probe *probe, const struct exposition_entry *entry, struct strbuf *why)
{
    struct scrape_ingest *ingest = probe->ingest;
    probe->view->samples++;
    merge(probe, entry);
    /* A sorted copy is judged; the rules are to see the order that a scrape has. */
    label_builder_reset(&probe->sorted,
                        (struct labels){ingest->builder.items, ingest->builder.count});
    struct labels exposed = label_builder_labels(&probe->sorted);
    bool named = probe->name.size > 0 && str_equal(labels_get(exposed, LABEL_NAME), probe->name);
    bool matched = matches(probe, exposed);
    struct labels shown = {NULL, 0};
    struct arena_mark mark = arena_mark(probe->arena);
    if (named || matched || probe->name.size == 0)
        shown = labels_copy(probe->arena, exposed);
    bool covered = !matched && named && matches_as_exposed(probe, entry);
    struct labels final = {NULL, 0};
    enum label_outcome outcome = ingest__finish_labels(ingest, &final, why);
    probe->view->same_name += named;
    probe->kept += outcome == LABELS_KEPT;
    bool found = matched || covered || (outcome == LABELS_KEPT && matches(probe, final));
    if (!found && named && probe->view->same_name == 1) {
        probe->view->other = shown;
    } else if (found && probe->view->count < WHY_SAMPLES_MAX) {
        if (shown.count == 0)
            shown = labels_copy(probe->arena, exposed);
        if (covered && outcome == LABELS_KEPT && matches(probe, final))
            covered = false;
        add_sample(probe, entry, shown, labels_copy(probe->arena, final), outcome, covered, why);
    } else {
        probe->view->matched += found;
        arena_reset_to(probe->arena, mark);
    }
    return outcome == LABELS_REFUSED ? ERR_INVALID : OK;
}

/* ---- one page ---- */

static void fail(struct probe *probe, enum why_stage stage, struct strbuf *why)
{
    probe->view->stage = stage;
    probe->view->reason = arena_str(probe->arena, strbuf_str(why));
}

static void fail_at_line(struct probe *probe, struct strbuf *why)
{
    struct str body = probe->ingest->task->body;
    size_t at = exposition_entry_start(probe->ingest->exposition);
    fail(probe, WHY_SCRAPE, why);
    if (at >= body.size)
        return;
    size_t end = str_find(body, '\n', at);
    size_t size = (end == SIZE_MAX ? body.size : end) - at;
    probe->view->line = line_of_entry(probe);
    probe->view->line_text = arena_str(
        probe->arena,
        str_from(body.data + at, size > INGEST_FAILED_TEXT_MAX ? INGEST_FAILED_TEXT_MAX : size));
}

static void read_page(struct probe *probe, struct ingest_task *task, struct strbuf *why)
{
    struct scrape_ingest *ingest = probe->ingest;
    const struct scrape_config *config = task->target->job->config;
    struct exposition_options options = scrape_ingest_options(task);
    struct ingest_result result = {0};
    ingest->task = task;
    ingest->result = &result;
    ingest->type_item = INGEST_NO_ITEM;
    ingest->type_name_given = STR("");
    probe->kept = 0;
    probe->line_at = 0;
    probe->line = 1;
    exposition_start(ingest->exposition, task->format, &options, task->body);
    for (;;) {
        struct exposition_entry entry;
        err_t err = exposition_next(ingest->exposition, &entry, why);
        if (err == OK && entry.kind == EXPOSITION_END)
            break;
        if (err == OK && entry.kind == EXPOSITION_TYPE)
            ingest->type_name_given = entry.name;
        if (err == OK && (entry.kind == EXPOSITION_SAMPLE || entry.kind == EXPOSITION_HISTOGRAM))
            err = look_at(probe, &entry, why);
        if (err != OK) {
            fail_at_line(probe, why);
            if (result.label_limit_hit)
                probe->view->stage = WHY_LIMIT;
            return;
        }
    }
    if (config->sample_limit > 0 && probe->kept > config->sample_limit) {
        (void)err_fail(why, ERR_LIMIT, "sample limit exceeded");
        fail(probe, WHY_LIMIT, why);
    }
}

static err_t fetch(const struct probe *probe, struct scrape_target *target, int64_t left_ms,
                   const _Atomic bool *cancel, struct strbuf *body, enum exposition_format *format,
                   struct strbuf *why)
{
    const struct scrape_job *job = target->job;
    char seconds[NUMBER_TEXT_MAX];
    size_t size = number_format_plain((double)target->timeout_ms / 1000, seconds);
    const struct name_value headers[] = {
        {STR("User-Agent"), STR("Prometheus/3.14.0")},
        {STR("Accept"), job->accept},
        {STR("X-Prometheus-Scrape-Timeout-Seconds"), str_from(seconds, size)},
    };
    struct http_request request = {
        .url = target->url,
        .unix_socket = target->unix_socket,
        .headers = headers,
        .header_count = sizeof headers / sizeof *headers,
        .timeout_ms = target->timeout_ms < left_ms ? target->timeout_ms : left_ms,
        .cancel = cancel,
    };
    size_t limit = probe->options->body_bytes_max;
    if (job->config->body_size_limit > 0 && job->config->body_size_limit < limit)
        limit = (size_t)job->config->body_size_limit;
    struct http_answer answer;
    err_t err = http_client_fetch(job->client, &request, limit, &answer, body, why);
    if (err == ERR_LIMIT)
        return err_fail(why, ERR_LIMIT, "body size limit exceeded");
    TRY(err);
    if (answer.status != 200)
        return err_fail(why, ERR_IO, "server returned HTTP status %u %s", answer.status,
                        answer.reason);
    if (body->size == 0)
        return OK;
    return exposition_format_choose(str_from_cstr(answer.content_type),
                                    (enum exposition_protocol)job->config->fallback_protocol,
                                    format, why);
}

static void probe_target(struct probe *probe, struct scrape_target *target, int64_t left_ms,
                         const _Atomic bool *cancel)
{
    struct strbuf body = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct ingest_task task = {
        .options = probe->options, .target = target, .format = EXPOSITION_TEXT};
    probe->items = ARENA_NEW_ARRAY(probe->arena, struct sample_why_view, WHY_SAMPLES_MAX);
    probe->view->items = probe->items;
    err_t err = fetch(probe, target, left_ms, cancel, &body, &task.format, &why);
    task.body = strbuf_str(&body);
    if (err == OK)
        read_page(probe, &task, &why);
    else
        fail(probe, err == ERR_LIMIT ? WHY_LIMIT : WHY_SCRAPE, &why);
    strbuf_deinit(&body);
    strbuf_deinit(&why);
}

/* ---- which targets ---- */

struct candidate {
    struct scrape_target *target; /* a reference */
    struct str pool;
    bool known; /* has shown the metric */
};

struct candidates {
    struct candidate *items;
    uint32_t count;
    uint32_t capacity;
};

/* Whether the target's labels leave room for a series that matches. */
static bool agrees(struct labels target, struct selector selector)
{
    for (size_t i = 0; i < selector.count; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        if (labels_has(target, matcher->name) &&
            !matcher_matches(matcher, labels_get(target, matcher->name)))
            return false;
    }
    return true;
}

/* With these settings a series may have other labels than its target. */
static bool may_differ(const struct scrape_config *config)
{
    return config->honor_labels || config->metric_relabel_rule_count > 0;
}

static bool knows(struct scrape_target *target, struct str name)
{
    static const struct str suffixes[] = {STR_INIT(""), STR_INIT("_total"), STR_INIT("_bucket"),
                                          STR_INIT("_count"), STR_INIT("_sum")};
    bool found = false;
    mutex_lock(&target->lock);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !found; i++)
        found =
            name.size > 0 && str_ends_with(name, suffixes[i]) &&
            scrape_metadata_find(&target->metadata,
                                 str_from(name.data, name.size - suffixes[i].size)) != HTABLE_NONE;
    mutex_unlock(&target->lock);
    return found;
}

static void collect(struct scrape_manager *manager, const struct probe *probe, struct str pool_name,
                    struct candidates *list)
{
    mutex_lock(&manager->lock);
    for (uint32_t p = 0; p < manager->pool_count; p++) {
        const struct scrape_pool *pool = manager->pools[p];
        struct str name = arena_str(probe->arena, pool->job->config->job_name);
        if (pool_name.size > 0 && !str_equal(pool_name, name))
            continue;
        for (uint32_t i = 0; i < pool->target_count; i++) {
            struct scrape_target *target = pool->targets[i];
            if (!may_differ(pool->job->config) && !agrees(target->labels, probe->selector))
                continue;
            struct candidate candidate = {scrape_target_ref(target), name,
                                          knows(target, probe->name)};
            VEC_PUSH(MEM_SCRAPE, list->items, list->count, list->capacity, candidate);
        }
    }
    mutex_unlock(&manager->lock);
}

/* The likely ones first: four ranks. */
static void ask_in_turn(struct scrape_manager *manager, struct probe *probe,
                        const struct candidates *list, const _Atomic bool *cancel,
                        struct probes_why_view *view)
{
    int64_t end_ns = clock_monotonic_ns(clock_system()) + WHY_PROBES_MS * ns_per_ms;
    struct probe_why_view *items =
        ARENA_NEW_ARRAY(probe->arena, struct probe_why_view, WHY_PROBES_MAX);
    view->items = items;
    for (int rank = 3; rank >= 0; rank--) {
        for (uint32_t i = 0; i < list->count; i++) {
            const struct candidate *candidate = &list->items[i];
            if (2 * candidate->known + agrees(candidate->target->labels, probe->selector) != rank)
                continue;
            int64_t left_ms = (end_ns - clock_monotonic_ns(clock_system())) / ns_per_ms;
            if (view->count == WHY_PROBES_MAX || left_ms <= 0 || atomic_load(cancel)) {
                view->not_asked++;
                continue;
            }
            probe->view = &items[view->count++];
            mutex_lock(&manager->lock);
            scrape_target_view(candidate->target, candidate->pool, probe->arena,
                               &probe->view->target);
            mutex_unlock(&manager->lock);
            probe_target(probe, candidate->target, left_ms, cancel);
        }
    }
}

bool scrape_manager_why_series(struct scrape_manager *manager, struct selector selector,
                               struct str pool, const _Atomic bool *cancel, struct arena *arena,
                               struct probes_why_view *view)
{
    *view = (struct probes_why_view){0};
    /* Acquire and release: only one at a time holds a page. */
    if (atomic_exchange_explicit(&manager->probing, true, memory_order_acquire))
        return false;
    struct probe probe = {.selector = selector, .arena = arena, .options = &manager->options};
    for (size_t i = 0; i < selector.count; i++) {
        if (selector.matchers[i].kind == MATCH_EQUAL &&
            str_equal(selector.matchers[i].name, LABEL_NAME))
            probe.name = selector.matchers[i].value;
    }
    probe.ingest = MEM_NEW(MEM_SCRAPE, struct scrape_ingest);
    scrape_ingest_init(probe.ingest);
    struct candidates list = {0};
    collect(manager, &probe, pool, &list);
    ask_in_turn(manager, &probe, &list, cancel, view);
    for (uint32_t i = 0; i < list.count; i++)
        scrape_target_unref(list.items[i].target);
    mem_free(MEM_SCRAPE, list.items);
    label_builder_deinit(&probe.sorted);
    scrape_ingest_deinit(probe.ingest);
    mem_free(MEM_SCRAPE, probe.ingest);
    atomic_store_explicit(&manager->probing, false, memory_order_release);
    return true;
}
