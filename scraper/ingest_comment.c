/* TYPE, HELP and UNIT lines: the target's metadata. In the cache they are whole lines, so that one
 * that stands where it stood is passed over by its hash. */
#include "scrape_ingest.h"

bool ingest__take_known_comment(struct scrape_ingest *ingest, struct str rest)
{
    struct cache_line *line = ingest__candidate(ingest);
    if (line == NULL || line->kind != CACHE_LINE_COMMENT || rest.size < line->key_size ||
        scrape_key_hash(rest.data, line->key_size, ingest->seed) != line->key_hash)
        return false;
    enum metadata_type type = (enum metadata_type)line->text_size;
    exposition_skip_comment(ingest->exposition, line->key_size,
                            (line->flags & CACHE_LINE_TYPE) != 0 ? &type : NULL);
    ingest->comment_end = rest.data + line->key_size;
    ingest__see_comment(ingest, ingest__keep_line(ingest, line));
    return true;
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

/* A line that stood elsewhere; NULL when it is new. */
static struct cache_line *find_moved(struct scrape_ingest *ingest, uint64_t hash, uint32_t key_size)
{
    struct scrape_cache *cache = ingest->task->cache;
    if (!ingest->rewrite.active)
        scrape_rewrite_begin(&ingest->rewrite, cache, ingest->cursor);
    bool is_new = false;
    struct cache_line *line =
        scrape_rewrite_find(&ingest->rewrite, cache, ingest->cursor, hash, key_size, &is_new);
    if (line == NULL || is_new || (line->flags & CACHE_LINE_TAKEN) != 0)
        return NULL;
    ingest->cursor = (uint32_t)(line - cache->lines);
    return line;
}

/* Size of the line that the entry was read from, newline included; 0 when it is not one line of the
 * text formats (protobuf, a name with a newline in it, the end of the body). */
static size_t whole_line(struct str rest, const struct exposition_entry *entry)
{
    size_t end = str_find(rest, '\n', 0);
    if (rest.size == 0 || end == SIZE_MAX || end >= UINT32_MAX)
        return 0;
    const char *limit = rest.data + end;
    bool inside = entry->name.data + entry->name.size <= limit &&
                  (entry->text.size == 0 || entry->text.data + entry->text.size <= limit);
    return inside ? end + 1 : 0;
}

/* Consecutive lines of one family share a cache line: half of what they would take. */
static bool join(struct scrape_ingest *ingest, const struct cache_line *made, const char *start)
{
    struct scrape_rewrite *rewrite = &ingest->rewrite;
    if (rewrite->count == 0 || ingest->comment_end != start)
        return false;
    struct cache_line *last = &rewrite->lines[rewrite->count - 1];
    if (last->kind != CACHE_LINE_COMMENT || last->ref != made->ref ||
        made->key_size > UINT32_MAX - last->key_size)
        return false;
    const char *first = start - last->key_size;
    last->key_size += made->key_size;
    last->key_hash = scrape_key_hash(first, last->key_size, ingest->seed);
    if ((made->flags & CACHE_LINE_TYPE) != 0) {
        last->flags |= CACHE_LINE_TYPE;
        last->text_size = made->text_size;
    }
    return true;
}

void ingest__comment(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                     struct str rest)
{
    if (entry->name.size == 0)
        return;
    size_t size = whole_line(rest, entry);
    struct cache_line made = {.key_size = (uint32_t)size, .kind = CACHE_LINE_COMMENT};
    if (entry->kind == EXPOSITION_TYPE) {
        made.flags = CACHE_LINE_TYPE;
        made.text_size = (uint8_t)entry->type;
    }
    struct cache_line *line = NULL;
    if (size > 0) {
        made.key_hash = scrape_key_hash(rest.data, size, ingest->seed);
        line = find_moved(ingest, made.key_hash, made.key_size);
    }
    if (line != NULL) {
        ingest__see_comment(ingest, ingest__keep_line(ingest, line));
        ingest->comment_end = rest.data + size;
        return;
    }
    made.ref = store_metadata(ingest, entry);
    ingest__see_comment(ingest, &made);
    if (size == 0)
        return;
    if (!join(ingest, &made, rest.data))
        scrape_rewrite_push(&ingest->rewrite, ingest->task->cache, &made, true);
    ingest->comment_end = rest.data + size;
}
