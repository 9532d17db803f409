/* /api/v1/why?match[]=…: what the store has of the series, and what becomes of its samples on the
 * pages of the targets that might expose it. */
#include "narthex/model/histogram.h"
#include "narthex/scraper/scrape_why.h"
#include "why_out.h"

enum { STORED_MAX = 20, STORED_AGE_MS = 3600 * 1000, FUTURE_MS = 600 * 1000 };

/* ---- the store ---- */

struct last_sample {
    bool found;
    int64_t t_ms;
    bool stale;
};

static err_t find_last(struct series_cursor *cursor, const struct series *series, int64_t min_t_ms,
                       int64_t max_t_ms, struct last_sample *last, struct strbuf *why)
{
    struct sample_column_info info;
    bool found;
    *last = (struct last_sample){0};
    TRY(series_cursor_seek(cursor, series, min_t_ms, max_t_ms, why));
    for (;;) {
        struct sample_column column;
        TRY(series_cursor_next(cursor, &info, &found, why));
        if (!found)
            return OK;
        TRY(series_cursor_decode(cursor, &column, why));
        for (uint32_t i = 0; i < column.count; i++) {
            if (column.t_ms[i] > max_t_ms)
                return OK;
            last->found = column.t_ms[i] >= min_t_ms;
            last->t_ms = column.t_ms[i];
            last->stale = column.kind == SAMPLES_HISTOGRAM
                              ? histogram_is_stale(&column.histograms[i])
                              : value_is_stale(column.values[i]);
        }
    }
}

/* "staleness": the newest sample is a marker, or older than a query looks back. */
static void add_stored(struct strbuf *out, const struct http_request *request,
                       const struct series *series, const struct last_sample *last, int64_t now_ms)
{
    bool old = now_ms - last->t_ms > request->services->lookback_ms;
    strbuf_printf(out, "{\"stage\":\"%s\",\"labels\":", last->stale || old ? "staleness" : "none");
    json_add_labels(out, series->labels);
    strbuf_printf(out, ",\"staleMarker\":%s,\"lastSample\":", last->stale ? "true" : "false");
    json_add_time(out, last->t_ms);
    strbuf_add_char(out, '}');
}

static err_t add_store(struct http_request *request, struct selector selector, struct strbuf *out,
                       struct strbuf *why)
{
    int64_t now_ms = clock_wall_ms(request->services->clock);
    struct select_hints hints = {.start_ms = now_ms - STORED_AGE_MS, .end_ms = now_ms + FUTURE_MS};
    struct querier *querier;
    struct series_cursor *cursor = NULL;
    struct series_list list = {0};
    err_t err;
    TRY(storage_querier_open(request->services->storage, hints.start_ms, hints.end_ms, &querier,
                             why));
    TRY_OUT(querier_select(querier, selector, &hints, &request->arena, &list, why));
    TRY_OUT(querier_cursor_open(querier, &hints, &cursor, why));
    strbuf_printf(out, "{\"storedSeries\":%zu,\"stored\":[", list.count);
    uint32_t shown = 0;
    for (size_t i = 0; i < list.count && shown < STORED_MAX; i++) {
        struct last_sample last;
        TRY_OUT(find_last(cursor, &list.items[i], hints.start_ms, hints.end_ms, &last, why));
        if (!last.found)
            continue;
        if (shown++ > 0)
            strbuf_add_char(out, ',');
        add_stored(out, request, &list.items[i], &last, now_ms);
    }
    strbuf_add_char(out, ']');
out:
    if (cursor != NULL)
        cursor->ops->close(cursor);
    querier_close(querier);
    return err;
}

/* ---- the pages ---- */

static void add_sample(struct strbuf *out, const struct sample_why_view *item)
{
    strbuf_printf(out, "{\"stage\":\"%s\"", sample_stage_name(item->stage));
    if (item->line > 0)
        strbuf_printf(out, ",\"line\":%llu", (unsigned long long)item->line);
    strbuf_add_cstr(out, ",\"exposedLabels\":");
    json_add_labels(out, item->exposed);
    strbuf_add_cstr(out, ",\"labels\":");
    json_add_labels(out, item->labels);
    strbuf_add_cstr(out, ",\"value\":");
    json_add_value(out, item->value);
    if (item->has_timestamp) {
        strbuf_add_cstr(out, ",\"timestamp\":");
        json_add_time(out, item->timestamp_ms);
    }
    if (item->reason.size > 0)
        http__add_member(out, "reason", item->reason);
    if (item->stage == SAMPLE_RELABELED)
        http__add_rule(out, item->rule, &item->cut, item->before);
    strbuf_add_char(out, '}');
}

static void add_probe(struct strbuf *out, const struct probe_why_view *probe)
{
    bool absent = probe->stage == WHY_NOTHING && probe->matched == 0;
    strbuf_printf(out, "{\"stage\":\"%s\"", absent ? "not_exposed" : why_stage_name(probe->stage));
    http__add_member(out, "scrapePool", probe->target.scrape_pool);
    http__add_member(out, "scrapeUrl", probe->target.scrape_url);
    strbuf_add_cstr(out, ",\"targetLabels\":");
    json_add_labels(out, probe->target.labels);
    http__add_member(out, "lastError", probe->target.last_error);
    if (probe->reason.size > 0)
        http__add_member(out, "reason", probe->reason);
    http__add_line(out, probe->line, probe->line_text);
    strbuf_printf(out, ",\"samples\":%llu,\"sameName\":%llu,\"matched\":%llu",
                  (unsigned long long)probe->samples, (unsigned long long)probe->same_name,
                  (unsigned long long)probe->matched);
    if (probe->matched == 0 && probe->other.count > 0) {
        strbuf_add_cstr(out, ",\"otherLabels\":");
        json_add_labels(out, probe->other);
    }
    strbuf_add_cstr(out, ",\"series\":[");
    for (size_t i = 0; i < probe->count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_sample(out, &probe->items[i]);
    }
    strbuf_add_cstr(out, "]}");
}

void http__why_series(struct http_request *request, struct str match)
{
    struct strbuf why = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    struct selector selector = {0};
    struct probes_why_view view;
    if (promql_parse_selector(match, false, &request->arena, &selector, &why) != OK) {
        http__api_invalid_parameter(request, "match[]", strbuf_cstr(&why));
    } else if (!scrape_manager_why_series(request->services->scraper, selector,
                                          http__param(request, "scrapePool"), &request->cancel,
                                          &request->arena, &view)) {
        http__api_error(request, API_UNAVAILABLE, "another such question is being answered");
    } else if (add_store(request, selector, &text, &why) != OK) {
        http__api_error(request, API_EXECUTION, strbuf_cstr(&why));
    } else {
        struct strbuf *out = http__api_begin(request);
        strbuf_add_str(out, strbuf_str(&text));
        strbuf_printf(out, ",\"notAsked\":%llu,\"targets\":[", (unsigned long long)view.not_asked);
        for (size_t i = 0; i < view.count; i++) {
            if (i > 0)
                strbuf_add_char(out, ',');
            add_probe(out, &view.items[i]);
        }
        strbuf_add_cstr(out, "]}");
        http__api_end(request, NULL, 0, NULL, 0);
    }
    promql_selector_deinit(&selector);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}
