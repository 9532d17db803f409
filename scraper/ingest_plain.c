/* The hottest loop of a scrape: known lines straight into the batch.
 *
 * What it does to a line is what the general path does (take_known_sample and append in
 * scrape_ingest.c) where no timestamp, exemplar, histogram, repetition or limit comes in; it stops
 * in front of any line where one might. */
#include <string.h>

#include "scrape_ingest.h"

/* Lines that may be taken: the batch has room for them, and no limit is reached. */
static uint32_t room(const struct scrape_ingest *ingest)
{
    const struct ingest_task *task = ingest->task;
    const struct ingest_batch *batch = &ingest->batch;
    if (ingest->rewrite.active || task->refresh || batch->has_times || batch->has_histograms ||
        ingest->result->sample_limit_hit)
        return 0;
    uint32_t rows = INGEST_BATCH_ROWS - batch->count;
    uint64_t limit = task->target->job->config->sample_limit;
    if (limit == 0)
        return rows;
    uint64_t left = limit > ingest->result->pushed ? limit - ingest->result->pushed : 0;
    return left < rows ? (uint32_t)left : rows;
}

static void remember_text(struct cache_line *line, const char *text, size_t size, const char *end)
{
    line->text_size = size <= CACHE_TEXT_BYTES ? (uint8_t)size : 0;
    /* Bytes behind the text do no harm, and a copy of constant size is two moves. */
    if (end - text >= CACHE_TEXT_BYTES)
        memcpy(line->text, text, CACHE_TEXT_BYTES);
    else
        memcpy(line->text, text, line->text_size);
}

/* The value's text, with the bytes behind it that the line has in any case. */
static struct str text_of(const struct cache_line *line)
{
    static_assert(offsetof(struct cache_line, text) + EXPOSITION_SAME_BYTES <= sizeof *line,
                  "read in one piece");
    static_assert((int)CACHE_TEXT_BYTES < (int)EXPOSITION_SAME_BYTES, "the newline is behind it");
    return str_from((const char *)line + offsetof(struct cache_line, text), line->text_size);
}

/* Known samples from the front of *rest; false when none is taken. */
static bool take_samples(struct scrape_ingest *ingest, struct str *rest)
{
    const struct scrape_cache *cache = ingest->task->cache;
    struct ingest_batch *batch = &ingest->batch;
    uint32_t left = room(ingest);
    const uint8_t flags =
        ingest__is_normalised(exposition_type(ingest->exposition)) ? CACHE_LINE_NORMALISED : 0;
    const uint32_t scrape = ingest->task->scrape;
    const char *at = rest->data;
    const char *end = at + rest->size;
    const uint32_t first = ingest->cursor;
    uint32_t cursor = first;
    uint32_t row = batch->count;
    for (; left > 0 && cursor < cache->count; left--, cursor++, row++) {
        struct cache_line *line = &cache->lines[cursor];
        if (line->kind != CACHE_LINE_SERIES || line->flags != flags ||
            line->key_size >= (size_t)(end - at) ||
            scrape_key_hash(at, line->key_size, ingest->seed) != line->key_hash)
            break;
        const char *value = at + line->key_size;
        size_t text_size;
        bool same;
        const char *next =
            exposition_plain_value(value, end, text_of(line), &line->value, &text_size, &same);
        if (next == NULL)
            break;
        if (!same)
            remember_text(line, value + 1, text_size, end);
        line->seen = scrape;
        batch->refs[row] = line->ref;
        batch->values[row] = line->value;
        batch->lines[row] = cursor;
        at = next;
    }
    uint32_t taken = cursor - first;
    batch->count = row;
    ingest->cursor = cursor;
    ingest->result->scraped += taken;
    ingest->result->kept += taken;
    ingest->result->pushed += taken;
    exposition_skip_plain(ingest->exposition, (size_t)(at - rest->data));
    *rest = str_from(at, (size_t)(end - at));
    return taken > 0;
}

void ingest__take_plain_lines(struct scrape_ingest *ingest)
{
    struct str rest = exposition_peek_line(ingest->exposition);
    if (rest.size == 0 || room(ingest) == 0)
        return;
    while (take_samples(ingest, &rest) || ingest__take_known_comment(ingest, &rest)) {
    }
}
