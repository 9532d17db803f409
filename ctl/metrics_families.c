/* Sorts samples into metric families: x_bucket, x_sum and x_count go to x where x is one of the
 * types that have them. */
#include "metrics_families.h"

#include "narthex/base/hash.h"
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

static void add_sample(struct ctl_families *families, const struct exposition_entry *entry)
{
    struct label *labels;
    uint32_t count;
    exposition_key_labels(EXPOSITION_TEXT, entry->key, METADATA_UNKNOWN, &families->arena, &labels,
                          &count);
    bool named = count > 0 && str_equal(labels[0].name, LABEL_NAME);
    struct str name = named ? labels[0].value : STR("");
    uint32_t family = family_of_part(families, name);
    if (family == HTABLE_NONE)
        family = make_family(families, name);
    families->items[family].sample_count++;
    VEC_PUSH(MEM_MODEL, families->samples, families->sample_count, families->sample_capacity,
             (struct ctl_family_sample){family, labels + named, count - named});
}

err_t ctl_families_read(struct str text, struct ctl_families *families, struct strbuf *why)
{
    struct exposition *exposition = exposition_create();
    struct exposition_options options = {0};
    struct exposition_entry entry;
    err_t err;
    arena_init(&families->arena, MEM_MODEL, SIZE_MAX);
    htable_init(&families->by_name, MEM_MODEL);
    exposition_start(exposition, EXPOSITION_TEXT, &options, text);
    while ((err = exposition_next(exposition, &entry, why)) == OK && entry.kind != EXPOSITION_END) {
        if (entry.kind == EXPOSITION_TYPE || entry.kind == EXPOSITION_HELP) {
            uint32_t family = make_family(families, entry.name);
            if (entry.kind == EXPOSITION_TYPE)
                families->items[family].type = entry.type;
            else
                families->items[family].help = entry.text;
        } else if (entry.kind == EXPOSITION_SAMPLE) {
            add_sample(families, &entry);
        }
    }
    exposition_destroy(exposition);
    return err;
}

void ctl_families_deinit(struct ctl_families *families)
{
    mem_free(MEM_MODEL, families->items);
    mem_free(MEM_MODEL, families->samples);
    htable_deinit(&families->by_name);
    arena_deinit(&families->arena);
}
