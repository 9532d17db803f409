/* /api/v1/query, query_range, format_query, parse_query, query_exemplars. */
#include "quick_queries.h"
#include "request.h"
#include "result_answer.h"

#include "narthex/base/api_time.h"

enum { QUERY_POINTS_MAX = 11000 };

/* ---- parameters ---- */

/* Fails the request and returns false. */
static bool read_limit(struct http_request *request, size_t *limit)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = http__parse_limit(http__param(request, "limit"), limit, &why);
    if (err != OK)
        http__api_invalid_parameter(request, "limit", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return err == OK;
}

static bool read_time(struct http_request *request, const char *name, int64_t *t_ms)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = api_time_parse(http__param(request, name), t_ms, &why);
    if (err != OK)
        http__api_invalid_parameter(request, name, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return err == OK;
}

/* timeout and lookback_delta */
static bool read_durations(struct http_request *request, struct query_request *query)
{
    struct strbuf why = STRBUF_INIT;
    struct str timeout = http__param(request, "timeout");
    struct str lookback = http__param(request, "lookback_delta");
    bool ok = true;
    if (timeout.size > 0 && api_duration_parse(timeout, &query->timeout_ms, &why) != OK) {
        http__api_invalid_parameter(request, "timeout", strbuf_cstr(&why));
        ok = false;
    } else if (lookback.size > 0 && api_duration_parse(lookback, &query->lookback_ms, &why) != OK) {
        struct strbuf text = STRBUF_INIT;
        strbuf_printf(&text, "error parsing lookback delta duration: %s", strbuf_cstr(&why));
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&text));
        strbuf_deinit(&text);
        ok = false;
    }
    strbuf_deinit(&why);
    return ok;
}

/* A timeout of nothing has passed before anything runs, but bad queries are bad all the same. */
static bool has_no_time(struct http_request *request)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    int64_t timeout_ms = 1;
    struct str timeout = http__param(request, "timeout");
    bool none =
        timeout.size > 0 && api_duration_parse(timeout, &timeout_ms, &why) == OK && timeout_ms <= 0;
    if (none && promql_format(http__param(request, "query"), &request->services->features, &text,
                              &why) == OK)
        http__api_error(request, API_TIMEOUT, "query timed out in query execution");
    else
        none = false;
    strbuf_deinit(&why);
    strbuf_deinit(&text);
    return none;
}

static void run(struct http_request *request, struct query_request *query, size_t limit)
{
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    if (has_no_time(request))
        return;
    query->text = http__param(request, "query");
    query->cancel = &request->cancel;
    query->client = request->client;
    query->per_step_stats = str_equal(http__param(request, "stats"), STR("all")) &&
                            request->services->features.per_step_stats;
    struct query_trial trial = quick_queries__trial();
    if (request->may_defer) {
        request->deferred = !quick_queries__has(request->quick, query);
        if (request->deferred)
            return;
        query->trial = &trial;
    }
    err_t err = query_run(request->services->engine, query, &result, &why);
    query->trial = NULL;
    if (err == OK || trial.gave_up)
        quick_queries__note(request->quick, query, result);
    if (trial.gave_up)
        request->deferred = true;
    else if (err == OK)
        result__answer(request, result, limit);
    else if (err == ERR_INVALID)
        http__api_invalid_parameter(request, "query", strbuf_cstr(&why));
    else
        http__api_error(request, http__api_error_of(err), strbuf_cstr(&why));
    strbuf_deinit(&why);
}

void http__query(struct http_request *request)
{
    struct query_request query = {0};
    size_t limit;
    if (!read_limit(request, &limit))
        return;
    query.start_ms = clock_wall_ms(request->services->clock);
    if (!http__optional_time(request, "time", &query.start_ms))
        return;
    query.end_ms = query.start_ms;
    if (read_durations(request, &query))
        run(request, &query, limit);
}

static bool read_step(struct http_request *request, struct query_request *query)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = api_duration_parse(http__param(request, "step"), &query->step_ms, &why);
    if (err != OK)
        http__api_invalid_parameter(request, "step", strbuf_cstr(&why));
    strbuf_deinit(&why);
    if (err != OK)
        return false;
    if (query->step_ms <= 0) {
        http__api_invalid_parameter(request, "step",
                                    "zero or negative query resolution step widths are not "
                                    "accepted. Try a positive integer");
        return false;
    }
    uint64_t span = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    if (span / (uint64_t)query->step_ms > QUERY_POINTS_MAX) {
        http__api_error(request, API_BAD_DATA,
                        "exceeded maximum resolution of 11,000 points per timeseries. Try "
                        "decreasing the query resolution (?step=XX)");
        return false;
    }
    return true;
}

void http__query_range(struct http_request *request)
{
    struct query_request query = {.range = true};
    size_t limit;
    if (!read_limit(request, &limit) || !read_time(request, "start", &query.start_ms) ||
        !read_time(request, "end", &query.end_ms))
        return;
    if (query.end_ms < query.start_ms) {
        http__api_invalid_parameter(request, "end", "end timestamp must not be before start time");
        return;
    }
    if (read_step(request, &query) && read_durations(request, &query))
        run(request, &query, limit);
}

/* ---- text forms ---- */

static void text_form(struct http_request *request,
                      err_t (*form)(struct str, const struct promql_features *, struct strbuf *,
                                    struct strbuf *),
                      bool is_json)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    err_t err = form(http__param(request, "query"), &request->services->features, &text, &why);
    if (err != OK) {
        http__api_invalid_parameter(request, "query", strbuf_cstr(&why));
    } else {
        struct strbuf *out = http__api_begin(request);
        if (is_json)
            strbuf_add_str(out, strbuf_str(&text));
        else
            json_add_string(out, strbuf_str(&text), true);
        http__api_end(request, NULL, 0, NULL, 0);
    }
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}

void http__format_query(struct http_request *request)
{
    text_form(request, promql_format, false);
}

void http__parse_query(struct http_request *request)
{
    text_form(request, promql_parse_json, true);
}

/* ---- exemplars ---- */

static void add_exemplars(struct strbuf *out, const struct exemplar_list *list)
{
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        strbuf_add_cstr(out, i == 0 ? "{\"seriesLabels\":" : ",{\"seriesLabels\":");
        json_add_labels(out, list->items[i].labels);
        strbuf_add_cstr(out, ",\"exemplars\":[");
        for (size_t e = 0; e < list->items[i].count; e++) {
            const struct exemplar *exemplar = &list->items[i].items[e];
            strbuf_add_cstr(out, e == 0 ? "{\"labels\":" : ",{\"labels\":");
            json_add_labels(out, exemplar->labels);
            strbuf_add_cstr(out, ",\"value\":");
            json_add_value(out, exemplar->value);
            strbuf_add_cstr(out, ",\"timestamp\":");
            json_add_timestamp(out, exemplar->t_ms);
            strbuf_add_char(out, '}');
        }
        strbuf_add_cstr(out, "]}");
    }
    strbuf_add_char(out, ']');
}

static err_t find_exemplars(struct http_request *request, int64_t start_ms, int64_t end_ms,
                            const struct selector *selectors, size_t count,
                            struct exemplar_list *list, struct strbuf *why)
{
    struct querier *querier;
    TRY(storage_querier_open(request->services->storage, start_ms, end_ms, &querier, why));
    err_t err = querier_exemplars(querier, selectors, count, &request->arena, list, why);
    if (err == OK) {
        struct strbuf *out = http__api_begin(request);
        add_exemplars(out, list);
        http__api_end(request, NULL, 0, NULL, 0);
    }
    querier_close(querier);
    return err;
}

void http__query_exemplars(struct http_request *request)
{
    int64_t start_ms = INT64_MIN, end_ms = INT64_MAX;
    if (!http__optional_time(request, "start", &start_ms) ||
        !http__optional_time(request, "end", &end_ms))
        return;
    if (end_ms < start_ms) {
        http__api_error(request, API_BAD_DATA, "end timestamp must not be before start timestamp");
        return;
    }
    struct strbuf why = STRBUF_INIT;
    struct selector *selectors = NULL;
    size_t count = 0;
    struct exemplar_list list = {0};
    err_t err =
        promql_expression_selectors(http__param(request, "query"), &request->services->features,
                                    &request->arena, &selectors, &count, &why);
    if (err != OK)
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&why));
    else if (count == 0)
        request->response.status = 204;
    else if (find_exemplars(request, start_ms, end_ms, selectors, count, &list, &why) != OK)
        http__api_error(request, API_EXECUTION, strbuf_cstr(&why));
    for (size_t i = 0; i < count; i++)
        promql_selector_deinit(&selectors[i]);
    strbuf_deinit(&why);
}
