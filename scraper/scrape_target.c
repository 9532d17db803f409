#include "scrape_target.h"

#include <assert.h>

#include "narthex/base/duration.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"

/* Everything a target is made from, while it is made. */
struct target_draft {
    const struct scrape_config *config;
    struct label_builder *builder;
    struct arena *arena;
    struct strbuf scratch;
};

static void set_absent(struct target_draft *draft, struct str name, struct str value)
{
    if (label_builder_get(draft->builder, name).size == 0)
        label_builder_set(draft->builder, name, value);
}

static void set_absent_duration(struct target_draft *draft, struct str name, int64_t ms)
{
    strbuf_clear(&draft->scratch);
    duration_print(ms, &draft->scratch);
    set_absent(draft, name, arena_str(draft->arena, strbuf_str(&draft->scratch)));
}

static void set_absent_bool(struct target_draft *draft, struct str name, bool value)
{
    set_absent(draft, name, value ? STR("true") : STR("false"));
}

static void add_job_labels(struct target_draft *draft)
{
    const struct scrape_config *config = draft->config;
    set_absent(draft, STR("job"), config->job_name);
    set_absent_duration(draft, STR("__scrape_interval__"), config->interval_ms);
    set_absent_duration(draft, STR("__scrape_timeout__"), config->timeout_ms);
    set_absent(draft, STR("__metrics_path__"), config->metrics_path);
    set_absent(draft, STR("__scheme__"), config->scheme);
    set_absent_bool(draft, STR("__convert_classic_histograms_to_nhcb__"),
                    config->convert_classic_histograms);
    set_absent_bool(draft, STR("__always_scrape_classic_histograms__"),
                    config->always_scrape_classic_histograms);
    set_absent_bool(draft, STR("__scrape_native_histograms__"), config->scrape_native_histograms);
    for (uint32_t i = 0; i < config->param_count; i++) {
        if (config->params[i].value_count > 0)
            set_absent(draft,
                       arena_printf(draft->arena, "__param_%.*s", STR_ARG(config->params[i].name)),
                       config->params[i].values[0]);
    }
}

static err_t parse_bool_label(const struct label_builder *builder, struct str name,
                              const char *what, bool *value, struct strbuf *why)
{
    static const char *const words[2][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                            {"1", "t", "T", "true", "TRUE", "True"}};
    struct str text = label_builder_get(builder, name);
    for (size_t i = 0; i < 12; i++) {
        if (str_equal_cstr(text, words[i % 2][i / 2])) {
            *value = i % 2 == 1;
            return OK;
        }
    }
    return err_fail(why, ERR_INVALID,
                    "error parsing %s: strconv.ParseBool: parsing \"%.*s\": invalid syntax", what,
                    STR_ARG(text));
}

static err_t parse_duration_label(const struct label_builder *builder, struct str name,
                                  const char *what, int64_t *ms, struct strbuf *why)
{
    struct strbuf cause = STRBUF_INIT;
    err_t err = duration_parse(label_builder_get(builder, name), ms, &cause);
    if (err != OK)
        (void)err_fail(why, err, "error parsing scrape %s: %s", what, strbuf_cstr(&cause));
    else if (*ms == 0)
        err = err_fail(why, ERR_INVALID, "scrape %s cannot be 0", what);
    strbuf_deinit(&cause);
    return err;
}

static err_t check_times(const struct label_builder *builder, struct scrape_target *target,
                         struct strbuf *why)
{
    struct str interval_name = STR("__scrape_interval__");
    struct str timeout_name = STR("__scrape_timeout__");
    TRY(parse_duration_label(builder, interval_name, "interval", &target->interval_ms, why));
    TRY(parse_duration_label(builder, timeout_name, "timeout", &target->timeout_ms, why));
    if (target->timeout_ms <= target->interval_ms)
        return OK;
    struct str timeout = label_builder_get(builder, timeout_name);
    struct str interval = label_builder_get(builder, interval_name);
    return err_fail(why, ERR_INVALID,
                    "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
                    STR_ARG(timeout), STR_ARG(interval));
}

static err_t check_labels(struct label_builder *builder, struct scrape_target *target,
                          struct strbuf *why)
{
    struct str address = label_builder_get(builder, STR("__address__"));
    if (address.size == 0)
        return err_fail(why, ERR_INVALID, "no address");
    if (str_find(address, '/', 0) != SIZE_MAX)
        return err_fail(why, ERR_INVALID, "\"%.*s\" is not a valid hostname", STR_ARG(address));
    TRY(check_times(builder, target, why));
    TRY(parse_bool_label(builder, STR("__scrape_native_histograms__"), "scrape native histograms",
                         &target->scrape_native_histograms, why));
    TRY(parse_bool_label(builder, STR("__convert_classic_histograms_to_nhcb__"),
                         "convert classic histograms to NHCB", &target->convert_classic_histograms,
                         why));
    return parse_bool_label(builder, STR("__always_scrape_classic_histograms__"),
                            "always scrape classic histograms",
                            &target->always_scrape_classic_histograms, why);
}

static err_t check_values(struct labels labels, struct strbuf *why)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (str_is_utf8(labels.items[i].value))
            continue;
        strbuf_clear(why);
        strbuf_add_cstr(why, "invalid label value for ");
        strbuf_add_quoted(why, labels.items[i].name);
        strbuf_add_cstr(why, ": ");
        strbuf_add_quoted(why, labels.items[i].value);
        return ERR_INVALID;
    }
    return OK;
}

static void remove_meta(struct label_builder *builder)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < builder->count; i++) {
        if (!str_starts_with(builder->items[i].name, STR("__meta_")))
            builder->items[kept++] = builder->items[i];
    }
    builder->count = kept;
}

static size_t block_bytes(struct labels labels)
{
    size_t bytes = labels.count * sizeof(struct label);
    for (uint32_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.size + labels.items[i].value.size;
    return bytes;
}

/* A copy in one block: there may be many targets, and relabeling drops most of them. */
static struct labels copy_in_block(struct labels labels)
{
    struct label *items = mem_alloc(MEM_SCRAPE, block_bytes(labels) + 1);
    char *at = (char *)(items + labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        struct label label = labels.items[i];
        items[i] = (struct label){{at, label.name.size}, {at + label.name.size, label.value.size}};
        memcpy(at, label.name.data, label.name.size);
        memcpy(at + label.name.size, label.value.data, label.value.size);
        at += label.name.size + label.value.size;
    }
    return (struct labels){items, labels.count};
}

static void free_block(struct labels labels)
{
    mem_free(MEM_SCRAPE, (void *)(uintptr_t)labels.items);
}

/* Views of the labels in `all`. */
static struct labels public_labels(struct labels all)
{
    struct label *items = MEM_NEW_ARRAY(MEM_SCRAPE, struct label, all.count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < all.count; i++) {
        if (!str_starts_with(all.items[i].name, STR("__")))
            items[count++] = all.items[i];
    }
    return (struct labels){items, count};
}

/* Stable over restarts: it spreads the scrapes and names the source to the storage. */
static uint64_t stable_hash(struct labels labels, struct str url, bool with_times)
{
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < labels.count; i++) {
        struct str name = labels.items[i].name;
        if (!with_times && (str_equal(name, STR("__scrape_interval__")) ||
                            str_equal(name, STR("__scrape_timeout__"))))
            continue;
        strbuf_add_str(&text, name);
        strbuf_add_char(&text, '\xfe');
        strbuf_add_str(&text, labels.items[i].value);
        strbuf_add_char(&text, '\xff');
    }
    strbuf_add_str(&text, url);
    uint64_t hash = hash_xxh64(text.data, text.size);
    strbuf_deinit(&text);
    return hash;
}

static void finish(struct scrape_target *target, const struct scrape_config *config,
                   struct label_builder *builder)
{
    remove_meta(builder);
    if (label_builder_get(builder, STR("instance")).size == 0)
        label_builder_set(builder, STR("instance"), label_builder_get(builder, STR("__address__")));
    target->all_labels = copy_in_block(label_builder_labels(builder));
    target->labels = public_labels(target->all_labels);
    target->unix_socket = labels_get(target->all_labels, STR("__unix_socket__"));
    struct strbuf url = STRBUF_INIT;
    scrape_target_write_url(config, target->all_labels, &url);
    target->url = str_from(mem_dup(MEM_SCRAPE, url.data, url.size), url.size);
    strbuf_deinit(&url);
    target->identity = stable_hash(target->all_labels, target->url, true);
    target->sameness = stable_hash(target->all_labels, target->url, false);
}

static struct scrape_target *target_new(struct scrape_job *job)
{
    struct scrape_target *target = MEM_NEW(MEM_SCRAPE, struct scrape_target);
    atomic_init(&target->references, 1);
    target->job = scrape_job_ref(job);
    mutex_init(&target->lock);
    return target;
}

enum target_outcome scrape_target_create(struct scrape_job *job, struct labels own,
                                         struct labels group, struct label_builder *builder,
                                         struct scrape_target **target, struct strbuf *why)
{
    struct scrape_target *made = target_new(job);
    struct arena scratch;
    arena_init(&scratch, MEM_SCRAPE, SIZE_MAX);
    const struct scrape_config *config = job->config;
    struct target_draft draft = {config, builder, &scratch, STRBUF_INIT};

    label_builder_reset(builder, own);
    for (uint32_t i = 0; i < group.count; i++)
        set_absent(&draft, group.items[i].name, group.items[i].value);
    add_job_labels(&draft);
    made->discovered_labels = copy_in_block(label_builder_labels(builder));

    enum target_outcome outcome = TARGET_KEPT;
    if (!relabel_apply(config->relabel_rules, config->relabel_rule_count, config->name_scheme,
                       builder, &scratch, NULL))
        outcome = TARGET_DROPPED;
    else if (check_labels(builder, made, why) != OK)
        outcome = TARGET_REFUSED;
    if (outcome == TARGET_KEPT) {
        finish(made, config, builder);
        if (check_values(made->all_labels, why) != OK)
            outcome = TARGET_REFUSED;
    }
    *target = made;
    strbuf_deinit(&draft.scratch);
    arena_deinit(&scratch);
    label_builder_clear(builder);
    if (outcome == TARGET_REFUSED) {
        scrape_target_unref(made);
        *target = NULL;
    }
    return outcome;
}

struct scrape_target *scrape_target_ref(struct scrape_target *target)
{
    atomic_fetch_add_explicit(&target->references, 1, memory_order_relaxed);
    return target;
}

void scrape_target_unref(struct scrape_target *target)
{
    /* acq_rel: the last owner sees what the others wrote. */
    uint32_t before = atomic_fetch_sub_explicit(&target->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    assert(target->loop == NULL);
    scrape_job_unref(target->job);
    scrape_metadata_deinit(&target->metadata);
    strbuf_deinit(&target->last_error);
    strbuf_deinit(&target->failed_text);
    mutex_deinit(&target->lock);
    free_block(target->discovered_labels);
    free_block(target->labels);
    free_block(target->all_labels);
    mem_free(MEM_SCRAPE, (char *)(uintptr_t)target->url.data);
    mem_free(MEM_SCRAPE, target);
}

bool scrape_target_equal(const struct scrape_target *a, const struct scrape_target *b)
{
    return a->identity == b->identity && str_equal(a->url, b->url) &&
           labels_equal(a->all_labels, b->all_labels);
}

void scrape_target_rediscover(struct scrape_target *target, struct scrape_target *found)
{
    struct labels before = target->discovered_labels;
    target->discovered_labels = found->discovered_labels;
    found->discovered_labels = before;
}

size_t scrape_target_bytes(const struct scrape_target *target)
{
    return sizeof *target + block_bytes(target->discovered_labels) +
           block_bytes(target->all_labels) + target->all_labels.count * sizeof(struct label) +
           scrape_metadata_table_bytes(&target->metadata) + target->url.size +
           target->last_error.capacity + target->failed_text.capacity;
}

void scrape_target_inherit(struct scrape_target *target, struct scrape_target *from)
{
    mutex_lock(&from->lock);
    target->health = from->health;
    target->last_scrape_ms = from->last_scrape_ms;
    target->last_scrape_duration_s = from->last_scrape_duration_s;
    strbuf_clear(&target->last_error);
    strbuf_add_str(&target->last_error, strbuf_str(&from->last_error));
    target->samples_scraped = from->samples_scraped;
    target->samples_kept = from->samples_kept;
    target->cache_lines = from->cache_lines;
    target->failed_line = from->failed_line;
    target->failed_by_limit = from->failed_by_limit;
    strbuf_clear(&target->failed_text);
    strbuf_add_str(&target->failed_text, strbuf_str(&from->failed_text));
    mutex_unlock(&from->lock);
}
