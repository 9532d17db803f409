/* Sorts samples into metric families: x_bucket, x_sum and x_count go to x where x is one of the
 * types that have them. */
#include "metrics_families.h"

#include "narthex/base/hash.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"

static bool name_equal(const void *owner, uint32_t item, const void *key)
{
    const struct ctl_families *families = owner;
    return str_equal(families->items[item].name, *(const struct str *)key);
}

static uint32_t find_family(const struct ctl_families *families, struct str name)
{
    return htable_find(&families->by_name, hash_str(name), name_equal, families, &name);
}

static uint32_t make_family(struct ctl_families *families, struct str name)
{
    uint32_t found = find_family(families, name);
    if (found != HTABLE_NONE)
        return found;
    VEC_PUSH(MEM_MODEL, families->items, families->count, families->capacity,
             (struct ctl_family){.name = name, .type = METADATA_UNKNOWN});
    htable_insert(&families->by_name, hash_str(name), families->count - 1);
    return families->count - 1;
}

/* The family of which `name` is a part by its ending, or HTABLE_NONE. */
static uint32_t family_of_part(const struct ctl_families *families, struct str name)
{
    static const struct str endings[] = {STR_INIT("_bucket"), STR_INIT("_sum"), STR_INIT("_count")};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (!str_ends_with(name, endings[i]))
            continue;
        uint32_t base = find_family(families, str_from(name.data, name.size - endings[i].size));
        if (base == HTABLE_NONE)
            return HTABLE_NONE;
        enum metadata_type type = families->items[base].type;
        bool is_part = type == METADATA_HISTOGRAM || (type == METADATA_SUMMARY && i > 0);
        return is_part ? base : HTABLE_NONE;
    }
    return HTABLE_NONE;
}

/* The labels that make a bucket or a quantile are numbers. */
static err_t check_bound(const struct ctl_family *family, struct label label, struct strbuf *why)
{
    double bound;
    bool range;
    bool is_bound = (family->type == METADATA_HISTOGRAM && str_equal(label.name, STR("le"))) ||
                    (family->type == METADATA_SUMMARY && str_equal(label.name, STR("quantile")));
    if (!is_bound || number_parse(label.value, &bound, &range))
        return OK;
    return err_fail(why, ERR_INVALID, "expected float as value for '%.*s' label, got \"%.*s\"",
                    STR_ARG(label.name), STR_ARG(label.value));
}

static err_t check_labels(const struct ctl_family *family, struct str name,
                          const struct label *labels, uint32_t count, struct strbuf *why)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (str_equal(labels[i].name, labels[k].name))
                return err_fail(why, ERR_INVALID, "duplicate label names for metric \"%.*s\"",
                                STR_ARG(name));
        }
        TRY(check_bound(family, labels[i], why));
    }
    return OK;
}

static err_t add_sample(struct ctl_families *families, const struct exposition_entry *entry,
                        struct strbuf *why)
{
    struct label *labels;
    uint32_t count;
    exposition_key_labels(EXPOSITION_TEXT, entry->key, METADATA_UNKNOWN, &families->arena, &labels,
                          &count);
    if (count == 0 || !str_equal(labels[0].name, LABEL_NAME))
        return err_fail(why, ERR_INVALID, "invalid metric name");
    uint32_t family = family_of_part(families, labels[0].value);
    if (family == HTABLE_NONE)
        family = make_family(families, labels[0].value);
    TRY(check_labels(&families->items[family], labels[0].value, labels + 1, count - 1, why));
    families->items[family].sample_count++;
    VEC_PUSH(MEM_MODEL, families->samples, families->sample_count, families->sample_capacity,
             (struct ctl_family_sample){family, labels + 1, count - 1});
    return OK;
}

static err_t add_comment(struct ctl_families *families, const struct exposition_entry *entry,
                         struct strbuf *why)
{
    uint32_t index = make_family(families, entry->name); /* may move the items */
    struct ctl_family *family = &families->items[index];
    if (entry->kind == EXPOSITION_HELP) {
        if (family->has_help)
            return err_fail(why, ERR_INVALID, "second HELP line for metric name \"%.*s\"",
                            STR_ARG(entry->name));
        family->has_help = true;
        family->help = entry->text;
        return OK;
    }
    if (family->has_type || family->sample_count > 0)
        return err_fail(why, ERR_INVALID,
                        "second TYPE line for metric name \"%.*s\", or TYPE reported after samples",
                        STR_ARG(entry->name));
    family->has_type = true;
    family->type = entry->type;
    return OK;
}

static err_t read_entries(struct ctl_families *families, struct exposition *exposition,
                          struct strbuf *why)
{
    struct exposition_entry entry;
    for (;;) {
        TRY(exposition_next(exposition, &entry, why));
        if (entry.kind == EXPOSITION_END)
            return OK;
        if (entry.kind == EXPOSITION_TYPE || entry.kind == EXPOSITION_HELP)
            TRY(add_comment(families, &entry, why));
        else if (entry.kind == EXPOSITION_SAMPLE)
            TRY(add_sample(families, &entry, why));
    }
}

/* Puts the line in front, and promtool's words in place of the scraper's where those differ. */
static err_t explain(struct str text, size_t at, struct strbuf *why)
{
    static const char number_fault[] = "strconv.ParseFloat: parsing ";
    struct strbuf cause = *why;
    uint32_t line = 1;
    *why = (struct strbuf)STRBUF_INIT;
    for (size_t i = 0; i < at && i < text.size; i++)
        line += text.data[i] == '\n';
    strbuf_printf(why, "text format parsing error in line %u: ", line);
    const char *quoted = strbuf_cstr(&cause) + sizeof number_fault - 1;
    const char *end = strncmp(strbuf_cstr(&cause), number_fault, sizeof number_fault - 1) == 0
                          ? strstr(quoted, "\": ")
                          : NULL;
    if (end != NULL)
        strbuf_printf(why, "expected float as value, got %.*s", (int)(end + 1 - quoted), quoted);
    else
        strbuf_add_str(why, strbuf_str(&cause));
    strbuf_deinit(&cause);
    return ERR_INVALID;
}

err_t ctl_families_read(struct str text, struct ctl_families *families, struct strbuf *why)
{
    struct exposition *exposition = exposition_create();
    struct exposition_options options = {0};
    arena_init(&families->arena, MEM_MODEL, SIZE_MAX);
    htable_init(&families->by_name, MEM_MODEL);
    exposition_start(exposition, EXPOSITION_TEXT, &options, text);
    err_t err = read_entries(families, exposition, why);
    size_t at = exposition_entry_start(exposition);
    exposition_destroy(exposition);
    if (err == OK && text.size > 0 && text.data[text.size - 1] != '\n') {
        err = err_fail(why, ERR_INVALID, "unexpected end of input stream");
        at = text.size;
    }
    return err == OK ? OK : explain(text, at, why);
}

void ctl_families_deinit(struct ctl_families *families)
{
    mem_free(MEM_MODEL, families->items);
    mem_free(MEM_MODEL, families->samples);
    htable_deinit(&families->by_name);
    arena_deinit(&families->arena);
}
