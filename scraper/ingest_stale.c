/* Stale markers (spec 3.5). */
#include "scrape_ingest.h"

static const struct histogram stale_histogram = {.kind = HISTOGRAM_INTEGER};

static err_t push_marker(struct scrape_ingest *ingest, series_ref ref, bool histogram,
                         struct strbuf *why)
{
    double stale = double_from_bits(STALE_NAN_BITS);
    struct histogram marker = stale_histogram;
    marker.sum = stale;
    struct ingest_row row = {
        .ref = ref,
        .t_ms = ingest->task->t_ms,
        .value = stale,
        .histogram = histogram ? &marker : NULL,
        .line = INGEST_NO_LINE,
    };
    return ingest__batch_push(ingest, &row, why);
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
    if (!failed && task->cache->starts != NULL)
        synthetic_starts_end(task->cache->starts, task->scrape);
    ingest->lost_count = 0;
    task->cache->t_ms = task->t_ms;
    return err;
}
