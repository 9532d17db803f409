/* Stale markers (spec 3.5) and what TYPE, HELP and UNIT lines say. */
#include "narthex/base/hash.h"
#include "scrape_ingest.h"

static const struct histogram stale_histogram = {.kind = HISTOGRAM_INTEGER};

static err_t push_marker(struct scrape_ingest *ingest, series_ref ref, bool histogram,
                         struct strbuf *why)
{
    double stale = double_from_bits(STALE_NAN_BITS);
    struct histogram marker = stale_histogram;
    marker.sum = stale;
    return ingest__batch_push(ingest, ref, ingest->task->t_ms, stale, histogram ? &marker : NULL,
                              UINT32_MAX, why);
}

/* Alive after the last scrape and not seen in this one. */
static err_t mark_lines(struct scrape_ingest *ingest, const struct cache_line *lines,
                        uint32_t count, uint8_t skip_flags, struct strbuf *why)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cache_line *line = &lines[i];
        if (line->seen != ingest->task->scrape_prev || line->kind != CACHE_LINE_SERIES ||
            (line->flags & skip_flags) != 0)
            continue;
        TRY(push_marker(ingest, line->ref, (line->flags & CACHE_LINE_HISTOGRAM) != 0, why));
    }
    return OK;
}

static err_t mark_all(struct scrape_ingest *ingest, struct strbuf *why)
{
    const struct scrape_cache *cache = ingest->task->cache;
    for (uint32_t i = 0; i < ingest->lost_count; i++)
        TRY(push_marker(ingest, ingest->lost[i], false, why));
    if (ingest->rewrite.active)
        TRY(mark_lines(ingest, ingest->rewrite.lines, ingest->rewrite.count, 0, why));
    TRY(mark_lines(ingest, cache->lines, cache->count,
                   ingest->rewrite.active ? CACHE_LINE_TAKEN : 0, why));
    return ingest__batch_flush(ingest, why);
}

err_t scrape_ingest_stale(struct scrape_ingest *ingest, const struct ingest_task *task, bool failed,
                          struct strbuf *why)
{
    struct ingest_result ignored = {0}; /* markers that come too late are nobody's fault */
    ingest->task = task;
    ingest->result = &ignored;
    ingest__batch_drop(&ingest->batch); /* what an aborted scrape left */
    if (!failed && !ingest->rewrite.active && ingest->cursor < task->cache->count)
        scrape_rewrite_begin(&ingest->rewrite, task->cache, ingest->cursor);
    err_t err = OK;
    if (failed || ingest->rewrite.active || !ingest->seen_all)
        err = mark_all(ingest, why);
    if (ingest->rewrite.active)
        scrape_rewrite_end(&ingest->rewrite, task->cache, failed);
    ingest->lost_count = 0;
    return err;
}

/* ---- metadata ---- */

static uint64_t comment_hash(const struct scrape_ingest *ingest,
                             const struct exposition_entry *entry)
{
    uint64_t hash = hash_bytes_seeded(entry->name.data, entry->name.size, ingest->seed);
    hash = hash_mix(hash, hash_bytes_seeded(entry->text.data, entry->text.size, ingest->seed));
    return hash_mix(hash, ((uint64_t)entry->kind << 8) | (uint64_t)entry->type);
}

static uint32_t store_metadata(struct scrape_ingest *ingest, const struct exposition_entry *entry)
{
    struct scrape_target *target = ingest->task->target;
    struct strbuf help = STRBUF_INIT;
    if (entry->kind == EXPOSITION_HELP)
        exposition_help(ingest->task->format, entry->text, &help);
    mutex_lock(&target->lock);
    uint32_t item = scrape_metadata_add(&target->metadata, entry->name);
    if (entry->kind == EXPOSITION_TYPE)
        target->metadata.items[item].type = entry->type;
    else if (entry->kind == EXPOSITION_HELP)
        scrape_metadata_set_help(&target->metadata, item, strbuf_str(&help));
    else
        scrape_metadata_set_unit(&target->metadata, item, entry->text);
    mutex_unlock(&target->lock);
    strbuf_deinit(&help);
    return item;
}

/* The line where it was last time, or anywhere in the cache; NULL when it is new. */
static struct cache_line *find_comment(struct scrape_ingest *ingest, uint64_t hash,
                                       uint32_t key_size)
{
    struct scrape_cache *cache = ingest->task->cache;
    if (ingest->cursor < cache->count) {
        struct cache_line *line = &cache->lines[ingest->cursor];
        if (line->kind == CACHE_LINE_COMMENT && line->key_hash == hash &&
            (line->flags & CACHE_LINE_TAKEN) == 0)
            return line;
    }
    if (!ingest->rewrite.active)
        scrape_rewrite_begin(&ingest->rewrite, cache, ingest->cursor);
    bool is_new = false;
    struct cache_line *line = scrape_rewrite_find(&ingest->rewrite, cache, hash, key_size, &is_new);
    if (line == NULL || is_new || (line->flags & CACHE_LINE_TAKEN) != 0)
        return NULL;
    ingest->cursor = (uint32_t)(line - cache->lines);
    return line;
}

void ingest__comment(struct scrape_ingest *ingest, const struct exposition_entry *entry)
{
    if (entry->kind == EXPOSITION_TYPE)
        ingest->type_name = entry->name;
    if (entry->name.size == 0)
        return;
    uint64_t hash = comment_hash(ingest, entry);
    uint32_t key_size = (uint32_t)(entry->name.size + entry->text.size);
    struct cache_line *line = find_comment(ingest, hash, key_size);
    uint32_t item;
    if (line != NULL) {
        item = (uint32_t)line->ref;
        ingest__keep_line(ingest, line);
    } else {
        item = store_metadata(ingest, entry);
        struct cache_line made = {
            .key_hash = hash, .key_size = key_size, .ref = item, .kind = CACHE_LINE_COMMENT};
        scrape_rewrite_push(&ingest->rewrite, ingest->task->cache, &made, true);
    }
    ingest->task->target->metadata.items[item].seen = ingest->task->scrape;
}
