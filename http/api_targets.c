/* /api/v1/targets, scrape_pools, targets/metadata, metadata. */
#include <stdlib.h>

#include "global_url.h"
#include "narthex/base/duration.h"

static void add_duration(struct strbuf *out, int64_t ms)
{
    strbuf_add_char(out, '"');
    duration_print(ms, out);
    strbuf_add_char(out, '"');
}

static void add_active(struct strbuf *out, const struct target_view *target,
                       const struct http_external *external)
{
    static const char *const health[] = {
        [TARGET_UNKNOWN] = "unknown", [TARGET_UP] = "up", [TARGET_DOWN] = "down"};
    strbuf_add_cstr(out, "{\"discoveredLabels\":");
    json_add_labels(out, target->discovered_labels);
    strbuf_add_cstr(out, ",\"labels\":");
    json_add_labels(out, target->labels);
    strbuf_add_cstr(out, ",\"scrapePool\":");
    json_add_string(out, target->scrape_pool, true);
    strbuf_add_cstr(out, ",\"scrapeUrl\":");
    json_add_string(out, target->scrape_url, true);
    strbuf_add_cstr(out, ",\"globalUrl\":");
    struct strbuf url = STRBUF_INIT;
    http__global_url(target->scrape_url, external, &url);
    json_add_string(out, strbuf_str(&url), true);
    strbuf_deinit(&url);
    strbuf_add_cstr(out, ",\"lastError\":");
    json_add_string(out, target->last_error, true);
    strbuf_add_cstr(out, ",\"lastScrape\":");
    json_add_time(out, target->last_scrape_ms);
    strbuf_add_cstr(out, ",\"lastScrapeDuration\":");
    json_add_number(out, target->last_scrape_duration_s);
    strbuf_printf(out, ",\"health\":\"%s\",\"scrapeInterval\":", health[target->health]);
    add_duration(out, target->interval_ms);
    strbuf_add_cstr(out, ",\"scrapeTimeout\":");
    add_duration(out, target->timeout_ms);
    strbuf_add_char(out, '}');
}

/* URL parameters only: this endpoint does not look at a body. */
static struct str url_param(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->param_count; i++) {
        if (!request->params[i].from_body && str_equal_cstr(request->params[i].name, name))
            return request->params[i].value;
    }
    return STR("");
}

static bool pool_is_wanted(struct str wanted, struct str pool)
{
    return wanted.size == 0 || str_equal(wanted, pool);
}

static void add_dropped(struct strbuf *out, const struct targets_view *view, struct str pool)
{
    bool first = true;
    for (size_t i = 0; i < view->dropped_count; i++) {
        const struct dropped_target_view *target = &view->dropped[i];
        if (!pool_is_wanted(pool, target->scrape_pool))
            continue;
        strbuf_add_cstr(out, first ? "{\"discoveredLabels\":" : ",{\"discoveredLabels\":");
        first = false;
        json_add_labels(out, target->discovered_labels);
        strbuf_add_cstr(out, ",\"scrapePool\":");
        json_add_string(out, target->scrape_pool, true);
        strbuf_add_char(out, '}');
    }
}

void http__targets(struct http_request *request)
{
    struct targets_view view;
    struct http_external external;
    http__external(request, &external);
    struct str state = url_param(request, "state");
    struct str pool = url_param(request, "scrapePool");
    bool any = state.size == 0 || str_equal_nocase(state, STR("any"));
    bool active = any || str_equal_nocase(state, STR("active"));
    bool dropped = any || str_equal_nocase(state, STR("dropped"));
    scrape_manager_targets(request->services->scraper, &request->arena, &view);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"activeTargets\":[");
    bool first = true;
    for (size_t i = 0; i < view.active_count && active; i++) {
        if (!pool_is_wanted(pool, view.active[i].scrape_pool))
            continue;
        if (!first)
            strbuf_add_char(out, ',');
        first = false;
        add_active(out, &view.active[i], &external);
    }
    strbuf_add_cstr(out, "],\"droppedTargets\":[");
    if (dropped)
        add_dropped(out, &view, pool);
    strbuf_add_cstr(out, "],\"droppedTargetCounts\":");
    if (!dropped) {
        strbuf_add_cstr(out, "null}");
    } else {
        strbuf_add_char(out, '{');
        for (size_t i = 0; i < view.pool_count; i++) {
            if (i > 0)
                strbuf_add_char(out, ',');
            json_add_string(out, view.pools[i].name, true);
            strbuf_add_char(out, ':');
            strbuf_add_uint(out, view.pools[i].dropped_count);
        }
        strbuf_add_cstr(out, "}}");
    }
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__scrape_pools(struct http_request *request)
{
    struct targets_view view;
    scrape_manager_targets(request->services->scraper, &request->arena, &view);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"scrapePools\":[");
    for (size_t i = 0; i < view.pool_count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        json_add_string(out, view.pools[i].name, true);
    }
    strbuf_add_cstr(out, "]}");
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__scrape_pool_config(struct http_request *request)
{
    struct str pool = url_param(request, "scrapePool");
    struct strbuf yaml = STRBUF_INIT;
    if (pool.size == 0) {
        http__api_error(request, API_BAD_DATA, "no scrapePool parameter provided");
    } else if (!request->services->config_job_yaml(request->services->owner, pool, &yaml)) {
        struct strbuf text = STRBUF_INIT;
        strbuf_add_cstr(&text, "error retrieving scrape config: scrape pool ");
        strbuf_add_quoted(&text, pool);
        strbuf_add_cstr(&text, " not found");
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&text));
        strbuf_deinit(&text);
    } else {
        struct strbuf *out = http__api_begin(request);
        strbuf_add_cstr(out, "{\"yaml\":");
        json_add_string(out, strbuf_str(&yaml), true);
        strbuf_add_char(out, '}');
        http__api_end(request, NULL, 0, NULL, 0);
    }
    strbuf_deinit(&yaml);
}

static void add_metadata(struct strbuf *out, const struct metadata *metadata)
{
    strbuf_printf(out, "\"type\":\"%s\",\"help\":", metadata_type_name(metadata->type));
    json_add_string(out, metadata->help, true);
    strbuf_add_cstr(out, ",\"unit\":");
    json_add_string(out, metadata->unit, true);
}

/* A count parameter; -1 when absent. Fails the request with "NAME must be a number". */
static bool read_count(struct http_request *request, const char *name, int64_t *count)
{
    struct str text = http__param(request, name);
    *count = -1;
    if (text.size == 0 || str_to_int64(text, count))
        return true;
    struct strbuf why = STRBUF_INIT;
    strbuf_printf(&why, "%s must be a number", name);
    http__api_error(request, API_BAD_DATA, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return false;
}

void http__targets_metadata(struct http_request *request)
{
    int64_t limit;
    struct str match = http__param(request, "match_target");
    struct str metric = http__param(request, "metric");
    struct strbuf why = STRBUF_INIT;
    struct selector selector = {0};
    if (!read_count(request, "limit", &limit))
        return;
    if (match.size > 0 &&
        promql_parse_selector(match, true, &request->arena, &selector, &why) != OK) {
        http__api_invalid_parameter(request, "match_target", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return;
    }
    struct metadata_view view;
    scrape_manager_metadata(request->services->scraper, metric, &request->arena, &view);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_char(out, '[');
    int64_t count = 0;
    for (size_t i = 0; i < view.count; i++) {
        const struct target_metadata_view *item = &view.items[i];
        bool new_target =
            i == 0 || !labels_equal(view.items[i - 1].target_labels, item->target_labels);
        /* The limit is looked at between targets only. */
        if (new_target && limit >= 0 && count >= limit)
            break;
        if (!matchers_match(selector.matchers, selector.count, item->target_labels))
            continue;
        strbuf_add_cstr(out, count++ == 0 ? "{\"target\":" : ",{\"target\":");
        json_add_labels(out, item->target_labels);
        if (metric.size == 0) {
            strbuf_add_cstr(out, ",\"metric\":");
            json_add_string(out, item->metric, true);
        }
        strbuf_add_char(out, ',');
        add_metadata(out, &item->metadata);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ']');
    http__api_end(request, NULL, 0, NULL, 0);
    promql_selector_deinit(&selector);
    strbuf_deinit(&why);
}

static bool metadata_equal(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && str_equal(a->help, b->help) && str_equal(a->unit, b->unit);
}

static int compare_metric(const void *a, const void *b)
{
    const struct target_metadata_view *x = a;
    const struct target_metadata_view *y = b;
    return str_compare(x->metric, y->metric);
}

/* Whether an entry before `index` of the same metric says the same. */
static bool seen_before(const struct target_metadata_view *items, size_t first, size_t index)
{
    for (size_t i = first; i < index; i++) {
        if (metadata_equal(&items[i].metadata, &items[index].metadata))
            return true;
    }
    return false;
}

void http__metadata(struct http_request *request)
{
    int64_t limit, per_metric;
    if (!read_count(request, "limit", &limit) ||
        !read_count(request, "limit_per_metric", &per_metric))
        return;
    struct metadata_view view;
    scrape_manager_metadata(request->services->scraper, http__param(request, "metric"),
                            &request->arena, &view);
    struct target_metadata_view *items =
        ARENA_NEW_ARRAY(&request->arena, struct target_metadata_view, view.count);
    for (size_t i = 0; i < view.count; i++)
        items[i] = view.items[i];
    qsort(items, view.count, sizeof *items, compare_metric);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_char(out, '{');
    int64_t metrics = 0;
    for (size_t first = 0; first < view.count;) {
        if (limit >= 0 && metrics >= limit)
            break;
        if (metrics++ > 0)
            strbuf_add_char(out, ',');
        json_add_string(out, items[first].metric, true);
        strbuf_add_cstr(out, ":[");
        size_t i = first;
        int64_t entries = 0;
        for (; i < view.count && str_equal(items[i].metric, items[first].metric); i++) {
            if (seen_before(items, first, i) || (per_metric > 0 && entries >= per_metric))
                continue;
            strbuf_add_cstr(out, entries++ == 0 ? "{" : ",{");
            add_metadata(out, &items[i].metadata);
            strbuf_add_char(out, '}');
        }
        strbuf_add_char(out, ']');
        first = i;
    }
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
}
