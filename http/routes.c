/* The table of all paths. */
#include "request.h"

#define API(flags) ((flags) | ROUTE_API | ROUTE_GATED | ROUTE_ZIP)
#define API_WORK(flags) (API(flags) | ROUTE_WORKER)
#define API_DATA(flags) (API_WORK(flags) | ROUTE_DATA)

const struct http_route http_routes[] = {
    {"/", ROUTE_GET, http__root},
    {"/graph", ROUTE_GET, http__graph},
    {"/query", ROUTE_GET, http__start_page},
    {"/alerts", ROUTE_GET, http__start_page},
    {"/rules", ROUTE_GET, http__start_page},
    {"/targets", ROUTE_GET, http__start_page},
    {"/service-discovery", ROUTE_GET, http__start_page},
    {"/alertmanager-discovery", ROUTE_GET, http__start_page},
    {"/config", ROUTE_GET, http__start_page},
    {"/flags", ROUTE_GET, http__start_page},
    {"/status", ROUTE_GET, http__start_page},
    {"/tsdb-status", ROUTE_GET, http__start_page},
    {"/-/healthy", ROUTE_GET | ROUTE_HEAD, http__healthy},
    {"/-/ready", ROUTE_GET | ROUTE_HEAD | ROUTE_GATED, http__ready},
    {"/-/reload", ROUTE_GET | ROUTE_POST | ROUTE_PUT | ROUTE_WORKER, http__reload},
    {"/-/quit", ROUTE_GET | ROUTE_POST | ROUTE_PUT, http__quit},
    {"/metrics", ROUTE_GET | ROUTE_ZIP, http__metrics},
    {"/metrics/host", ROUTE_GET | ROUTE_ZIP | ROUTE_WORKER, http__host_metrics},
    {"/version", ROUTE_GET, http__version},
    {"/federate", ROUTE_GET | ROUTE_GATED | ROUTE_ZIP | ROUTE_WORKER | ROUTE_DATA, http__federate},

    {"/api/v1/query", API_DATA(ROUTE_GET | ROUTE_POST) | ROUTE_QUICK, http__query},
    {"/api/v1/query_range", API_DATA(ROUTE_GET | ROUTE_POST) | ROUTE_QUICK, http__query_range},
    {"/api/v1/query_exemplars", API_DATA(ROUTE_GET | ROUTE_POST), http__query_exemplars},
    {"/api/v1/format_query", API(ROUTE_GET | ROUTE_POST), http__format_query},
    {"/api/v1/parse_query", API(ROUTE_GET | ROUTE_POST), http__parse_query},
    {"/api/v1/labels", API_DATA(ROUTE_GET | ROUTE_POST), http__labels},
    {"/api/v1/label/:name/values", API_DATA(ROUTE_GET), http__label_values},
    {"/api/v1/series", API_DATA(ROUTE_GET | ROUTE_POST), http__series},
    {"/api/v1/targets", API_WORK(ROUTE_GET), http__targets},
    {"/api/v1/targets/metadata", API_WORK(ROUTE_GET), http__targets_metadata},
    {"/api/v1/targets/relabel_steps", API_WORK(ROUTE_GET), http__relabel_steps},
    {"/api/v1/why", API_WORK(ROUTE_GET), http__why},
    {"/api/v1/scrape_pools", API_WORK(ROUTE_GET), http__scrape_pools},
    {"/api/v1/scrape_pools/config", API(ROUTE_GET), http__scrape_pool_config},
    {"/api/v1/metadata", API_WORK(ROUTE_GET) | ROUTE_ETAG, http__metadata},
    {"/api/v1/rules", API(ROUTE_GET), http__rules},
    {"/api/v1/alerts", API(ROUTE_GET), http__alerts},
    {"/api/v1/alertmanagers", API(ROUTE_GET), http__alertmanagers},
    {"/api/v1/status/config", API(ROUTE_GET) | ROUTE_ETAG, http__status_config},
    {"/api/v1/status/flags", API(ROUTE_GET) | ROUTE_ETAG, http__status_flags},
    {"/api/v1/status/runtimeinfo", API(ROUTE_GET), http__status_runtimeinfo},
    {"/api/v1/status/buildinfo", API(ROUTE_GET), http__status_buildinfo},
    {"/api/v1/status/tsdb", API_WORK(ROUTE_GET), http__status_tsdb},
    {"/api/v1/status/self_metrics", API_WORK(ROUTE_GET), http__self_metrics},
    {"/api/v1/status/walreplay", ROUTE_GET | ROUTE_API | ROUTE_ZIP, http__status_walreplay},
    {"/api/v1/status/active_queries", API(ROUTE_GET), http__active_queries},
    {"/api/v1/status/tsdb/blocks", API_WORK(ROUTE_GET), http__status_blocks},
    {"/api/v1/features", API(ROUTE_GET) | ROUTE_ETAG, http__features},
    {"/api/v1/notifications", ROUTE_GET | ROUTE_API | ROUTE_ZIP, http__notifications},
    {"/api/v1/notifications/live", ROUTE_GET | ROUTE_API, http__notifications_live},
    {"/api/v1/openapi.json", ROUTE_GET | ROUTE_API | ROUTE_ZIP | ROUTE_ETAG, http__openapi_json},
    {"/api/v1/openapi.yaml", ROUTE_GET | ROUTE_API | ROUTE_ZIP | ROUTE_ETAG, http__openapi_yaml},
    {"/api/v1/search/metric_names", API_DATA(ROUTE_GET | ROUTE_POST), http__search_metric_names},
    {"/api/v1/search/label_names", API_DATA(ROUTE_GET | ROUTE_POST), http__search_label_names},
    {"/api/v1/search/label_values", API_DATA(ROUTE_GET | ROUTE_POST), http__search_label_values},
    {"/api/v1/admin/tsdb/delete_series", API_WORK(ROUTE_POST | ROUTE_PUT), http__delete_series},
    {"/api/v1/admin/tsdb/clean_tombstones", API_WORK(ROUTE_POST | ROUTE_PUT),
     http__clean_tombstones},
    {"/api/v1/admin/kill_query", API(ROUTE_POST | ROUTE_PUT), http__kill_query},
    {"/api/v1/admin/tsdb/import", API_WORK(ROUTE_POST | ROUTE_PUT), http__import},
    {"/api/v1/admin/tsdb/snapshot", API_WORK(ROUTE_POST | ROUTE_PUT), http__snapshot},
};
const size_t http_route_count = sizeof http_routes / sizeof *http_routes;

/* Matches "/a/:x/b" against "/a/anything/b"; *param is what stands for :x, still encoded. */
static bool matches(const char *pattern, struct str path, struct str *param)
{
    size_t at = 0;
    while (*pattern != '\0') {
        if (*pattern == ':') {
            size_t end = str_find(path, '/', at);
            if (end == SIZE_MAX)
                end = path.size;
            *param = str_from(path.data + at, end - at);
            at = end;
            while (*pattern != '/' && *pattern != '\0')
                pattern++;
            continue;
        }
        if (at >= path.size || path.data[at] != *pattern)
            return false;
        pattern++;
        at++;
    }
    return at == path.size;
}

const struct http_route *http__route_find(struct http_request *request)
{
    for (size_t i = 0; i < http_route_count; i++) {
        struct str param = STR("");
        if (!matches(http_routes[i].path, request->raw_path, &param))
            continue;
        if (!http__unescape(&request->arena, param, false, &request->path_param))
            request->path_param = param;
        return &http_routes[i];
    }
    return NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* As matches(), for ASCII letters of any case; *out is the path in the route's letters. */
static bool matches_nocase(const char *pattern, struct str path, char *out)
{
    size_t at = 0;
    while (*pattern != '\0') {
        if (*pattern == ':') {
            for (; at < path.size && path.data[at] != '/'; at++)
                out[at] = path.data[at];
            while (*pattern != '/' && *pattern != '\0')
                pattern++;
            continue;
        }
        if (at >= path.size || lower(path.data[at]) != lower(*pattern))
            return false;
        out[at++] = *pattern++;
    }
    return at == path.size;
}

bool http__route_similar(struct str path, struct arena *arena, struct str *similar)
{
    char *out = arena_alloc(arena, path.size + 1);
    for (size_t i = 0; i < http_route_count; i++) {
        bool api = (http_routes[i].flags & ROUTE_API) != 0;
        if (api && !str_starts_with(path, STR("/api/v1/")))
            continue;
        if (matches_nocase(http_routes[i].path, path, out)) {
            *similar = str_from(out, path.size);
            return true;
        }
    }
    return false;
}
