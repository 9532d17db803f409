/* /api/v1/status/active_queries and /api/v1/admin/kill_query: additions to Prometheus' API. Neither
 * needs a worker, so they answer while all workers are busy with queries. */
#include "request.h"

enum { ACTIVE_LISTED_MAX = 256 };

static void add_active(struct strbuf *out, const struct query_active *active)
{
    strbuf_printf(out, "{\"id\":%llu,\"query\":", (unsigned long long)active->id);
    json_add_string(out, str_from_cstr(active->text), true);
    strbuf_printf(out, ",\"state\":\"%s\",\"start\":", active->waiting ? "waiting" : "running");
    json_add_timestamp(out, active->start_ms);
    strbuf_add_cstr(out, ",\"end\":");
    json_add_timestamp(out, active->end_ms);
    strbuf_add_cstr(out, ",\"step\":");
    json_add_number(out, (double)active->step_ms / 1000);
    strbuf_add_cstr(out, ",\"client\":");
    json_add_string(out, str_from_cstr(active->client), true);
    strbuf_add_cstr(out, ",\"startedAt\":");
    json_add_time(out, active->started_ms);
    strbuf_add_cstr(out, ",\"duration\":");
    json_add_number(out, (double)active->running_ms / 1000);
    strbuf_printf(out, ",\"samples\":%lld}", (long long)active->samples);
}

void http__active_queries(struct http_request *request)
{
    struct query_active *list =
        arena_alloc(&request->arena, ACTIVE_LISTED_MAX * sizeof(struct query_active));
    size_t count = query_engine_active(request->services->engine, list, ACTIVE_LISTED_MAX);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_char(out, '[');
    for (size_t i = count; i-- > 0;) {
        add_active(out, &list[i]);
        if (i > 0)
            strbuf_add_char(out, ',');
    }
    strbuf_add_char(out, ']');
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__kill_query(struct http_request *request)
{
    if (!http__admin_is_on(request))
        return;
    struct str text = http__param(request, "id");
    int64_t id;
    if (!str_to_int64(text, &id) || id <= 0) {
        http__api_invalid_parameter(request, "id", "must be the number of a running query");
        return;
    }
    if (!query_engine_kill(request->services->engine, (uint64_t)id)) {
        struct str why = arena_printf(&request->arena, "no query %lld is running", (long long)id);
        http__api_error(request, API_NOT_FOUND, why.data);
        return;
    }
    request->response.status = 204;
}
