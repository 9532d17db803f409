/* Which samples get a made-up start (spec 3.6): counters, and what counts in histograms and
 * summaries, of families that TYPE lines name. */
#include "scrape_ingest.h"

static bool has_suffix(struct str name, struct str family, const char *suffix)
{
    return str_starts_with(name, family) &&
           str_equal_cstr(str_from(name.data + family.size, name.size - family.size), suffix);
}

static bool is_cumulative(enum metadata_type type, struct str family, struct str name)
{
    switch (type) {
    case METADATA_COUNTER:
        return has_suffix(name, family, "") || has_suffix(name, family, "_total");
    case METADATA_HISTOGRAM:
        return has_suffix(name, family, "") || has_suffix(name, family, "_bucket") ||
               has_suffix(name, family, "_count") || has_suffix(name, family, "_sum");
    case METADATA_SUMMARY: /* quantiles go up and down */
        return has_suffix(name, family, "_count") || has_suffix(name, family, "_sum");
    default:
        return false;
    }
}

static struct str exposed_name(const struct scrape_ingest *ingest,
                               const struct exposition_entry *entry, struct arena *arena)
{
    const struct label *labels = ingest->given_labels;
    uint32_t count = ingest->given_label_count;
    if (labels == NULL) {
        struct label *items;
        exposition_key_labels(ingest->task->format, entry->key, entry->type, arena, &items, &count);
        labels = items;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(labels[i].name, LABEL_NAME))
            return labels[i].value;
    }
    return STR("");
}

bool ingest__synthesize_start(struct scrape_ingest *ingest, const struct cache_line *line,
                              struct exposition_entry *entry, int64_t t_ms)
{
    struct scrape_cache *cache = ingest->task->cache;
    if (cache->starts == NULL)
        cache->starts = synthetic_starts_create();
    struct synthetic_starts *starts = cache->starts;
    bool is_new;
    struct synthetic_start *start =
        synthetic_starts_get(starts, line->key_hash, line->key_size, ingest->task->scrape, &is_new);
    if (is_new) {
        struct str name = exposed_name(ingest, entry, &starts->arena);
        start->cumulative = is_cumulative(entry->type, ingest__type_name(ingest), name);
        arena_deinit(&starts->arena);
    }
    if (!start->cumulative)
        return true;
    bool stored = entry->histogram == NULL
                      ? synthetic_start_value(start, t_ms, &entry->value)
                      : synthetic_start_histogram(starts, start, t_ms, &entry->histogram);
    entry->start_ms = start->start_ms;
    return stored;
}
