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

static bool is_known_comment(const struct scrape_ingest *ingest, const struct cache_line *line,
                             const char *at, size_t left)
{
    return line->kind == CACHE_LINE_COMMENT && line->key_size <= left &&
           scrape_key_hash(at, line->key_size, ingest->seed) == line->key_hash;
}

static uint8_t flags_under(enum metadata_type type)
{
    return ingest__is_normalised(type) ? CACHE_LINE_NORMALISED : 0;
}

/* Where the loop ended, told to everybody. */
static void end_walk(struct scrape_ingest *ingest, uint32_t cursor, uint32_t row, size_t size,
                     enum metadata_type type)
{
    uint32_t taken = row - ingest->batch.count;
    ingest->batch.count = row;
    ingest->cursor = cursor;
    ingest->result->scraped += taken;
    ingest->result->kept += taken;
    ingest->result->pushed += taken;
    exposition_skip_known(ingest->exposition, size, type);
}

void ingest__take_plain_lines(struct scrape_ingest *ingest)
{
    const struct scrape_cache *cache = ingest->task->cache;
    struct ingest_batch *batch = &ingest->batch;
    struct str rest = exposition_peek_line(ingest->exposition);
    uint32_t left = room(ingest);
    if (rest.size == 0 || left == 0)
        return;
    enum metadata_type type = exposition_type(ingest->exposition);
    uint8_t flags = flags_under(type);
    const uint32_t scrape = ingest->task->scrape;
    const char *at = rest.data;
    const char *end = at + rest.size;
    uint32_t cursor = ingest->cursor;
    uint32_t row = batch->count;
    for (; left > 0 && cursor < cache->count; cursor++) {
        struct cache_line *line = &cache->lines[cursor];
        if (line->kind != CACHE_LINE_SERIES) {
            if (!is_known_comment(ingest, line, at, (size_t)(end - at)))
                break;
            ingest__see_comment(ingest, line);
            if ((line->flags & CACHE_LINE_TYPE) != 0)
                flags = flags_under(type = (enum metadata_type)line->text_size);
            at += line->key_size;
            ingest->comment_end = at;
            continue;
        }
        if (line->flags != flags || line->key_size >= (size_t)(end - at) ||
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
        row++;
        left--;
    }
    end_walk(ingest, cursor, row, (size_t)(at - rest.data), type);
}
