/* The conventions for names of metrics and labels, checked family by family. Families without a
 * type are spared what depends on the type. */
#include "metrics_lint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/hash.h"
#include "narthex/base/vec.h"

struct lint {
    struct ctl_families *families;
    struct ctl_problem *problems;
    uint32_t count;
    uint32_t capacity;
    struct htable seen; /* label sets, hashed with their family */
};

struct unit {
    struct str name;
    const char *base;
};

static const struct unit units[] = {
    {STR_INIT("amperes"), "amperes"}, {STR_INIT("bytes"), "bytes"},
    {STR_INIT("celsius"), "celsius"}, {STR_INIT("grams"), "grams"},
    {STR_INIT("joules"), "joules"},   {STR_INIT("kelvin"), "kelvin"},
    {STR_INIT("meters"), "meters"},   {STR_INIT("metres"), "metres"},
    {STR_INIT("seconds"), "seconds"}, {STR_INIT("volts"), "volts"},
    {STR_INIT("minutes"), "seconds"}, {STR_INIT("hours"), "seconds"},
    {STR_INIT("days"), "seconds"},    {STR_INIT("weeks"), "seconds"},
    {STR_INIT("kelvins"), "kelvin"},  {STR_INIT("fahrenheit"), "celsius"},
    {STR_INIT("rankine"), "celsius"}, {STR_INIT("inches"), "meters"},
    {STR_INIT("yards"), "meters"},    {STR_INIT("miles"), "meters"},
    {STR_INIT("bits"), "bytes"},      {STR_INIT("calories"), "joules"},
    {STR_INIT("pounds"), "grams"},    {STR_INIT("ounces"), "grams"},
};

static const struct str prefixes[] = {
    STR_INIT("pico"), STR_INIT("nano"), STR_INIT("micro"), STR_INIT("milli"), STR_INIT("centi"),
    STR_INIT("deci"), STR_INIT("deca"), STR_INIT("hecto"), STR_INIT("kilo"),  STR_INIT("kibi"),
    STR_INIT("mega"), STR_INIT("mibi"), STR_INIT("giga"),  STR_INIT("gibi"),  STR_INIT("tera"),
    STR_INIT("tebi"), STR_INIT("peta"), STR_INIT("pebi"),
};

static const struct str abbreviations[] = {
    STR_INIT("s"),  STR_INIT("ms"), STR_INIT("us"), STR_INIT("ns"), STR_INIT("sec"),
    STR_INIT("b"),  STR_INIT("kb"), STR_INIT("mb"), STR_INIT("gb"), STR_INIT("tb"),
    STR_INIT("pb"), STR_INIT("m"),  STR_INIT("h"),  STR_INIT("d"),
};

static const char *const type_words[] = {"counter", "gauge", "histogram", "gauge_histogram",
                                         "summary"};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void __attribute__((format(printf, 3, 4)))
add(struct lint *lint, struct str metric, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    VEC_PUSH(MEM_MODEL, lint->problems, lint->count, lint->capacity,
             (struct ctl_problem){metric, arena_str(&lint->families->arena, strbuf_str(&text))});
    strbuf_deinit(&text);
}

static bool is_camel_case(struct str name)
{
    for (size_t i = 1; i < name.size; i++) {
        if (islower((unsigned char)name.data[i - 1]) && isupper((unsigned char)name.data[i]))
            return true;
    }
    return false;
}

/* The next part between underscores; false after the last. */
static bool next_part(struct str name, size_t *at, struct str *part)
{
    if (*at > name.size)
        return false;
    size_t end = str_find(name, '_', *at);
    if (end == SIZE_MAX)
        end = name.size;
    *part = str_from(name.data + *at, end - *at);
    *at = end + 1;
    return true;
}

/* The unit that should be used where `word` is written; NULL: no unit is written there. */
static const char *unit_base(struct str word)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (str_equal(units[i].name, word))
            return units[i].base;
    }
    for (size_t p = 0; p < COUNT_OF(prefixes); p++) {
        if (!str_starts_with(word, prefixes[p]))
            continue;
        struct str rest = str_from(word.data + prefixes[p].size, word.size - prefixes[p].size);
        for (size_t i = 0; i < COUNT_OF(units); i++) {
            if (str_equal(units[i].name, rest))
                return units[i].base;
        }
    }
    return NULL;
}

static void lint_units(struct lint *lint, struct str name)
{
    struct str part;
    for (size_t at = 0; next_part(name, &at, &part);) {
        const char *base = unit_base(part);
        if (base != NULL && !str_equal_cstr(part, base)) {
            add(lint, name, "use base unit \"%s\" instead of \"%.*s\"", base, STR_ARG(part));
            break;
        }
    }
    /* An abbreviation is one where an underscore is in front. */
    size_t first = str_find(name, '_', 0);
    if (first == SIZE_MAX)
        return;
    for (size_t at = first + 1; next_part(name, &at, &part);) {
        for (size_t i = 0; i < COUNT_OF(abbreviations); i++) {
            if (str_equal_nocase(part, abbreviations[i]))
                add(lint, name, "metric names should not contain abbreviated units");
        }
    }
}

/* Whether the name has _word_ inside or _word at its end. */
static bool has_word(struct str name, const char *word)
{
    size_t size = strlen(word);
    for (size_t at = str_find(name, '_', 0); at != SIZE_MAX; at = str_find(name, '_', at + 1)) {
        size_t end = at + 1 + size;
        if (end <= name.size && strncasecmp(name.data + at + 1, word, size) == 0 &&
            (end == name.size || name.data[end] == '_'))
            return true;
    }
    return false;
}

static void lint_name(struct lint *lint, const struct ctl_family *family)
{
    struct str name = family->name;
    if (family->help.size == 0)
        add(lint, name, "no help text");
    lint_units(lint, name);
    for (size_t i = 0; i < COUNT_OF(type_words); i++) {
        if (has_word(name, type_words[i]))
            add(lint, name, "metric name should not include type '%s'", type_words[i]);
    }
    if (str_find(name, ':', 0) != SIZE_MAX)
        add(lint, name, "metric names should not contain ':'");
    if (is_camel_case(name))
        add(lint, name, "metric names should be written in 'snake_case' not 'camelCase'");
}

static void lint_endings(struct lint *lint, const struct ctl_family *family)
{
    struct str name = family->name;
    bool is_histogram = family->type == METADATA_HISTOGRAM;
    bool has_total = str_ends_with(name, STR("_total"));
    if (family->type == METADATA_UNKNOWN)
        return;
    if (family->type == METADATA_COUNTER && !has_total)
        add(lint, name, "counter metrics should have \"_total\" suffix");
    if (family->type != METADATA_COUNTER && has_total)
        add(lint, name, "non-counter metrics should not have \"_total\" suffix");
    if (!is_histogram && str_ends_with(name, STR("_bucket")))
        add(lint, name, "non-histogram metrics should not have \"_bucket\" suffix");
    if (is_histogram || family->type == METADATA_SUMMARY)
        return;
    if (str_ends_with(name, STR("_count")))
        add(lint, name, "non-histogram and non-summary metrics should not have \"_count\" suffix");
    if (str_ends_with(name, STR("_sum")))
        add(lint, name, "non-histogram and non-summary metrics should not have \"_sum\" suffix");
}

static bool no_equal(const void *owner, uint32_t item, const void *key)
{
    (void)owner, (void)item, (void)key;
    return true; /* 64 bits of hash stand for the label set */
}

/* Buckets and quantiles of one histogram or summary are one metric: le or quantile is no label of
 * its own there. False when the metric was seen before. */
static bool is_new_metric(struct lint *lint, const struct ctl_family_sample *sample,
                          struct str part_label)
{
    uint64_t sum = 0; /* of hashes: the order of labels does not matter */
    for (uint32_t i = 0; i < sample->label_count; i++) {
        struct label label = sample->labels[i];
        if (!str_equal(label.name, part_label))
            sum += hash_mix(hash_str(label.name), hash_str(label.value));
    }
    uint64_t hash = hash_mix(sum, sample->family);
    if (htable_find(&lint->seen, hash, no_equal, NULL, NULL) != HTABLE_NONE)
        return false;
    htable_insert(&lint->seen, hash, lint->seen.count);
    return true;
}

static void lint_labels(struct lint *lint, const struct ctl_family_sample *sample)
{
    const struct ctl_family *family = &lint->families->items[sample->family];
    struct str part_label = family->type == METADATA_HISTOGRAM ? STR("le")
                            : family->type == METADATA_SUMMARY ? STR("quantile")
                                                               : STR("");
    if (!is_new_metric(lint, sample, part_label)) {
        if (part_label.size == 0)
            add(lint, family->name, "metric not unique");
        return;
    }
    for (uint32_t i = 0; i < sample->label_count; i++) {
        struct str name = sample->labels[i].name;
        if (str_equal(name, part_label))
            continue;
        if (is_camel_case(name))
            add(lint, family->name,
                "label names should be written in 'snake_case' not 'camelCase'");
        if (family->type == METADATA_UNKNOWN)
            continue;
        if (str_equal(name, STR("le")))
            add(lint, family->name, "non-histogram metrics should not have \"le\" label");
        if (str_equal(name, STR("quantile")))
            add(lint, family->name, "non-summary metrics should not have \"quantile\" label");
    }
}

static int problem_order(const void *a, const void *b)
{
    const struct ctl_problem *left = a, *right = b;
    int order = str_compare(left->metric, right->metric);
    return order != 0 ? order : str_compare(left->text, right->text);
}

struct ctl_problems ctl_metrics_lint(struct ctl_families *families)
{
    struct lint lint = {.families = families};
    htable_init(&lint.seen, MEM_MODEL);
    for (uint32_t i = 0; i < families->count; i++) {
        if (families->items[i].sample_count == 0)
            continue;
        lint_name(&lint, &families->items[i]);
        lint_endings(&lint, &families->items[i]);
    }
    for (uint32_t i = 0; i < families->sample_count; i++)
        lint_labels(&lint, &families->samples[i]);
    struct ctl_problems result = {.count = lint.count};
    if (lint.count > 0) {
        qsort(lint.problems, lint.count, sizeof *lint.problems, problem_order);
        result.items = arena_alloc(&families->arena, lint.count * sizeof *lint.problems);
        memcpy(result.items, lint.problems, lint.count * sizeof *lint.problems);
    }
    mem_free(MEM_MODEL, lint.problems);
    htable_deinit(&lint.seen);
    return result;
}
