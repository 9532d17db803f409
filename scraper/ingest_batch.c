#include <string.h>

#include "scrape_ingest.h"

static struct cache_line *line_of(struct scrape_ingest *ingest, uint32_t row)
{
    uint32_t index = ingest->batch.lines[row];
    if (ingest->rewrite.active)
        return &ingest->rewrite.lines[index];
    return &ingest->task->cache->lines[index];
}

/* A sample that was not appended: its series is as alive as it was before. */
static void book_refusal(struct scrape_ingest *ingest, uint32_t row, err_t outcome)
{
    struct ingest_result *result = ingest->result;
    if (outcome == ERR_STALE_REF)
        result->stale_refs = true;
    if (ingest->batch.lines[row] == INGEST_NO_LINE)
        return; /* a marker or a start: too late is no fault */
    switch (outcome) {
    case ERR_STALE_REF:
        break;
    case ERR_OUT_OF_ORDER:
    case ERR_TOO_OLD:
        result->out_of_order++;
        break;
    case ERR_OUT_OF_BOUNDS:
        result->out_of_bounds++;
        break;
    default:
        result->duplicates++;
    }
    ingest->seen_all = false;
    struct cache_line *line = line_of(ingest, row);
    if (line->seen == ingest->task->scrape)
        line->seen = ingest->task->scrape_prev;
}

void ingest__batch_drop(struct ingest_batch *batch)
{
    if (batch->has_histograms)
        arena_deinit(&batch->arena);
    batch->count = 0;
    batch->has_times = false;
    batch->has_histograms = false;
    batch->has_starts = false;
    batch->has_in_order_only = false;
}

/* Why the storage did not take the histogram, which ends the scrape. */
static err_t fail_histogram(const struct histogram *histogram, struct strbuf *why)
{
    TRY(histogram_validate(histogram, why));
    return err_fail(why, ERR_INVALID, "native histogram is larger than the storage takes");
}

err_t ingest__batch_flush(struct scrape_ingest *ingest, struct strbuf *why)
{
    struct ingest_batch *batch = &ingest->batch;
    if (batch->count == 0)
        return OK;
    struct append_batch rows = {
        .count = batch->count,
        .refs = batch->refs,
        .t_ms = batch->has_times ? batch->t_ms : NULL,
        .t_all_ms = ingest->task->t_ms,
        .values = batch->values,
        .histograms = batch->has_histograms ? batch->histograms : NULL,
        .start_t_ms = batch->has_starts ? batch->start_ms : NULL,
        .in_order_only = batch->has_in_order_only ? batch->in_order_only : NULL,
        .outcomes = batch->outcomes,
    };
    err_t err = appender_add(ingest->task->appender, &rows, why);
    for (uint32_t i = 0; err == OK && i < batch->count; i++) {
        if (batch->outcomes[i] == ERR_INVALID)
            err = fail_histogram(batch->histograms[i], why);
        else if (batch->outcomes[i] != OK)
            book_refusal(ingest, i, (err_t)batch->outcomes[i]);
    }
    ingest__batch_drop(batch);
    return err;
}

/* The columns that most scrapes do without start with the first row that needs them. */
static void set_time(struct scrape_ingest *ingest, uint32_t row, int64_t t_ms)
{
    struct ingest_batch *batch = &ingest->batch;
    if (!batch->has_times && t_ms != ingest->task->t_ms) {
        batch->has_times = true;
        for (uint32_t i = 0; i < row; i++)
            batch->t_ms[i] = ingest->task->t_ms;
    }
    batch->t_ms[row] = t_ms;
}

static void set_histogram(struct ingest_batch *batch, uint32_t row,
                          const struct histogram *histogram)
{
    if (!batch->has_histograms && histogram != NULL) {
        batch->has_histograms = true;
        for (uint32_t i = 0; i < row; i++)
            batch->histograms[i] = NULL;
    }
    /* The parser's histogram lives until its next entry only. */
    batch->histograms[row] = histogram == NULL ? NULL : histogram_copy(&batch->arena, histogram);
}

static void set_start(struct ingest_batch *batch, uint32_t row, int64_t start_ms)
{
    if (!batch->has_starts && start_ms != 0) {
        batch->has_starts = true;
        memset(batch->start_ms, 0, row * sizeof *batch->start_ms);
    }
    batch->start_ms[row] = start_ms;
}

static void set_in_order_only(struct ingest_batch *batch, uint32_t row, bool in_order_only)
{
    if (!batch->has_in_order_only && in_order_only) {
        batch->has_in_order_only = true;
        memset(batch->in_order_only, 0, row * sizeof *batch->in_order_only);
    }
    batch->in_order_only[row] = in_order_only;
}

err_t ingest__batch_push(struct scrape_ingest *ingest, const struct ingest_row *row,
                         struct strbuf *why)
{
    struct ingest_batch *batch = &ingest->batch;
    if (batch->count == INGEST_BATCH_ROWS)
        TRY(ingest__batch_flush(ingest, why));
    uint32_t at = batch->count++;
    batch->refs[at] = row->ref;
    batch->values[at] = row->value;
    batch->lines[at] = row->line;
    set_time(ingest, at, row->t_ms);
    set_histogram(batch, at, row->histogram);
    set_start(batch, at, row->start_ms);
    set_in_order_only(batch, at, row->in_order_only);
    return OK;
}
