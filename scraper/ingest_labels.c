/* Labels of a sample whose key is not in the cache: exposed labels, target labels, relabeling,
 * checks (spec 3.3). */
#include <stdlib.h>

#include "scrape_ingest.h"

enum { LIMIT_RUNES_MAX = 50 }; /* names and values are cut to this in limit errors */

static bool has_exposed(const struct label *items, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(items[i].name, name))
            return true;
    }
    return false;
}

/* honor_labels: what the sample says wins, an exposed empty value included. */
static void add_missing_target_labels(struct label_builder *builder, struct labels target,
                                      const struct label *exposed, uint32_t exposed_count)
{
    for (uint32_t i = 0; i < target.count; i++) {
        if (!has_exposed(exposed, exposed_count, target.items[i].name))
            label_builder_set(builder, target.items[i].name, target.items[i].value);
    }
}

static int by_name_size(const void *a, const void *b)
{
    const struct label *x = a;
    const struct label *y = b;
    return (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

/* A label of the sample that the target also has moves to exported_<name>. */
static void override_with_target_labels(struct label_builder *builder, struct labels target,
                                        struct arena *arena)
{
    struct label *conflicts = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < target.count; i++) {
        struct str exposed = label_builder_get(builder, target.items[i].name);
        if (exposed.size > 0) {
            if (conflicts == NULL)
                conflicts = ARENA_NEW_ARRAY(arena, struct label, target.count);
            conflicts[count++] = (struct label){target.items[i].name, exposed};
        }
        label_builder_set(builder, target.items[i].name, target.items[i].value);
    }
    if (count > 1)
        qsort(conflicts, count, sizeof *conflicts, by_name_size);
    for (uint32_t i = 0; i < count; i++) {
        struct str name = conflicts[i].name;
        do
            name = arena_printf(arena, "exported_%.*s", STR_ARG(name));
        while (label_builder_get(builder, name).size > 0);
        label_builder_set(builder, name, conflicts[i].value);
    }
}

static void add_type_and_unit(struct scrape_ingest *ingest, const struct exposition_entry *entry)
{
    if (entry->type != METADATA_UNKNOWN)
        label_builder_set(&ingest->builder, STR("__type__"),
                          str_from_cstr(metadata_type_name(entry->type)));
    uint32_t item =
        scrape_metadata_find(&ingest->task->target->metadata, ingest__type_name(ingest));
    if (item == HTABLE_NONE)
        return;
    struct str unit = ingest->task->target->metadata.items[item].unit;
    if (unit.size > 0)
        label_builder_set(&ingest->builder, STR("__unit__"), unit);
}

static err_t check_names(const struct scrape_config *config, struct labels labels,
                         struct strbuf *why)
{
    if (!labels_has(labels, LABEL_NAME))
        return err_fail(why, ERR_INVALID, "missing metric name (__name__ label)");
    bool valid = true;
    for (uint32_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];
        if (str_equal(label->name, LABEL_NAME))
            valid &= metric_name_is_valid(label->value, config->name_scheme);
        else
            valid &=
                label_name_is_valid(label->name, config->name_scheme) && str_is_utf8(label->value);
    }
    if (valid)
        return OK;
    strbuf_clear(why);
    strbuf_add_cstr(why, "invalid metric name or label names: ");
    labels_print(labels, why);
    return ERR_INVALID;
}

static struct str cut(struct str s)
{
    size_t size = 0;
    for (uint32_t runes = 0; size < s.size && runes < LIMIT_RUNES_MAX; runes++) {
        uint32_t rune;
        size_t length = str_decode_rune(str_from(s.data + size, s.size - size), &rune);
        size += length == 0 ? 1 : length;
    }
    return str_from(s.data, size);
}

static err_t fail_value_length(const struct scrape_config *config, struct str metric,
                               const struct label *label, struct strbuf *why)
{
    struct str name = cut(label->name);
    (void)err_fail(why, ERR_LIMIT,
                   "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: ",
                   STR_ARG(metric), STR_ARG(name));
    strbuf_add_quoted(why, cut(label->value));
    strbuf_printf(why, ", length: %zu, limit: %llu)", label->value.size,
                  (unsigned long long)config->label_value_length_limit);
    return ERR_LIMIT;
}

static err_t check_label_limits(const struct scrape_config *config, struct labels labels,
                                struct strbuf *why)
{
    struct str metric = cut(labels_get(labels, LABEL_NAME));
    if (config->label_limit > 0 && labels.count > config->label_limit)
        return err_fail(why, ERR_LIMIT,
                        "label_limit exceeded (metric: %.*s, number of labels: %u, limit: %llu)",
                        STR_ARG(metric), labels.count, (unsigned long long)config->label_limit);
    for (uint32_t i = 0; i < labels.count; i++) {
        struct str name = labels.items[i].name;
        struct str value = labels.items[i].value;
        if (config->label_name_length_limit > 0 && name.size > config->label_name_length_limit) {
            struct str shown = cut(name);
            return err_fail(why, ERR_LIMIT,
                            "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                            "length: %zu, limit: %llu)",
                            STR_ARG(metric), STR_ARG(shown), name.size,
                            (unsigned long long)config->label_name_length_limit);
        }
        if (config->label_value_length_limit > 0 && value.size > config->label_value_length_limit) {
            return fail_value_length(config, metric, &labels.items[i], why);
        }
    }
    return OK;
}

/* Prometheus' storage refuses such a sample, after relabeling: a name that was dropped, or that the
 * target's label took, is none of it. */
static err_t check_repeated(struct scrape_ingest *ingest, struct labels final, struct strbuf *why)
{
    const struct scrape_target *target = ingest->task->target;
    struct label *left = ARENA_NEW_ARRAY(&ingest->arena, struct label, ingest->repeated_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < ingest->repeated_count; i++) {
        struct str name = ingest->repeated[i].name;
        bool overridden = !target->job->config->honor_labels && labels_has(target->labels, name);
        if (!overridden && labels_has(final, name))
            left[count++] = ingest->repeated[i];
    }
    const struct label *twice = exposition_find_duplicate(left, count);
    if (twice == NULL)
        return OK;
    return err_fail(why, ERR_INVALID, "label name \"%.*s\" is not unique: invalid sample",
                    STR_ARG(twice->name));
}

void ingest__merge_labels(struct scrape_ingest *ingest, const struct exposition_entry *entry)
{
    const struct scrape_target *target = ingest->task->target;
    const struct scrape_config *config = target->job->config;
    struct label_builder *builder = &ingest->builder;
    arena_reset_to(&ingest->arena, ingest->arena_start);

    const struct label *exposed = ingest->given_labels;
    uint32_t count = ingest->given_label_count;
    if (exposed == NULL) {
        struct label *items;
        exposition_key_labels(ingest->task->format, entry->key, entry->type, &ingest->arena, &items,
                              &count);
        exposed = items;
    }
    ingest->repeated = exposed;
    ingest->repeated_count = exposition_find_duplicate(exposed, count) == NULL ? 0 : count;
    label_builder_assign(builder, exposed, count);
    if (ingest->task->options->type_and_unit_labels)
        add_type_and_unit(ingest, entry);
    if (config->honor_labels)
        add_missing_target_labels(builder, target->labels, exposed, count);
    else
        override_with_target_labels(builder, target->labels, &ingest->arena);
}

enum label_outcome ingest__finish_labels(struct scrape_ingest *ingest, struct labels *labels,
                                         struct strbuf *why)
{
    const struct scrape_config *config = ingest->task->target->job->config;
    struct label_builder *builder = &ingest->builder;
    if (!relabel_apply(config->metric_relabel_rules, config->metric_relabel_rule_count,
                       config->name_scheme, builder, &ingest->arena, NULL))
        return LABELS_DROPPED;
    *labels = label_builder_labels(builder);
    if (labels->count == 0)
        return LABELS_DROPPED;
    if (ingest->repeated_count > 0 && check_repeated(ingest, *labels, why) != OK)
        return LABELS_REFUSED;
    if (check_names(config, *labels, why) != OK)
        return LABELS_REFUSED;
    if (check_label_limits(config, *labels, why) != OK) {
        ingest->result->label_limit_hit = true;
        return LABELS_REFUSED;
    }
    return LABELS_KEPT;
}

enum label_outcome ingest__build_labels(struct scrape_ingest *ingest,
                                        const struct exposition_entry *entry, struct labels *labels,
                                        struct strbuf *why)
{
    ingest__merge_labels(ingest, entry);
    return ingest__finish_labels(ingest, labels, why);
}
