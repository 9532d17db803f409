/* /api/v1/features: category, name, whether it is on. Clients ask before they use something;
 * unknown names count as off. */
#include "request.h"

#include "narthex/query/functions.h"
#include "narthex/scraper/discovery.h"

struct feature {
    const char *name;
    bool on;
};

/* The features are sorted by name. */
static void add_category(struct strbuf *out, const char *name, const struct feature *features,
                         size_t count)
{
    strbuf_printf(out, "%s\"%s\":{", out->data[out->size - 1] == '{' ? "" : ",", name);
    for (size_t i = 0; i < count; i++)
        strbuf_printf(out, "%s\"%s\":%s", i == 0 ? "" : ",", features[i].name,
                      features[i].on ? "true" : "false");
    strbuf_add_char(out, '}');
}

#define ADD(name, features) add_category(out, name, features, sizeof(features) / sizeof *(features))

static void add_api(struct http_request *request, struct strbuf *out)
{
    const struct feature features[] = {
        {"admin", request->options->enable_admin_api},
        {"exclude_alerts", true},
        {"label_values_match", true},
        {"lifecycle", request->options->enable_lifecycle},
        {"openapi_3.1", true},
        {"openapi_3.2", true},
        {"otlp_write_receiver", false},
        {"query_stats", true},
        {"query_warnings", true},
        {"remote_write_receiver", false},
        {"search", request->services->search_api},
        {"search_fuzz_alg_jarowinkler", true},
        {"search_fuzz_alg_subsequence", true},
        {"time_range_labels", true},
        {"time_range_series", true},
    };
    ADD("api", features);
}

static void add_promql(struct http_request *request, struct strbuf *out)
{
    const struct promql_features *on = &request->services->features;
    const struct feature features[] = {
        {"anchored", on->extended_range_selectors},
        {"at_modifier", true},
        {"bool", true},
        {"by", true},
        {"delayed_name_removal", on->delayed_name_removal},
        {"duration_expr", true},
        {"experimental_functions", on->experimental_functions},
        {"fill", on->binop_fill_modifiers},
        {"group_left", true},
        {"group_right", true},
        {"ignoring", true},
        {"negative_offset", true},
        {"offset", true},
        {"on", true},
        {"per_query_lookback_delta", true},
        {"per_step_stats", on->per_step_stats},
        {"smoothed", on->extended_range_selectors},
        {"subqueries", true},
        {"use_start_timestamps", on->start_timestamps},
        {"without", true},
    };
    ADD("promql", features);
}

static void add_functions(struct http_request *request, struct strbuf *out)
{
    struct feature features[FUNCTION_COUNT];
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        const struct function *function = function_get((enum function_id)i);
        features[i] = (struct feature){arena_str(&request->arena, function->name).data,
                                       !function->experimental ||
                                           request->services->features.experimental_functions};
    }
    ADD("promql_functions", features);
}

static void add_operators(struct http_request *request, struct strbuf *out)
{
    bool experimental = request->services->features.experimental_functions;
    const struct feature features[] = {
        {"!=", true},
        {"!~", true},
        {"%", true},
        {"*", true},
        {"+", true},
        {"-", true},
        {"/", true},
        {"<", true},
        {"<=", true},
        {"=", true},
        {"==", true},
        {"=~", true},
        {">", true},
        {">=", true},
        {"@", true},
        {"^", true},
        {"and", true},
        {"atan2", true},
        {"avg", true},
        {"bottomk", true},
        {"count", true},
        {"count_values", true},
        {"group", true},
        {"limit_ratio", experimental},
        {"limitk", experimental},
        {"max", true},
        {"min", true},
        {"or", true},
        {"quantile", true},
        {"stddev", true},
        {"stdvar", true},
        {"sum", true},
        {"topk", true},
        {"unless", true},
    };
    ADD("promql_operators", features);
}

static void add_providers(struct strbuf *out)
{
    static const char *const names[] = {
        "aws",         "azure",     "consul",     "digitalocean", "dns",       "docker",
        "dockerswarm", "ec2",       "eureka",     "file",         "gce",       "hetzner",
        "http",        "ionos",     "kubernetes", "kuma",         "lightsail", "linode",
        "marathon",    "nerve",     "nomad",      "openstack",    "ovhcloud",  "puppetdb",
        "scaleway",    "serverset", "stackit",    "static",       "triton",    "uyuni",
        "vultr"};
    struct feature features[sizeof names / sizeof *names];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        features[i] = (struct feature){names[i], strcmp(names[i], "static") == 0 ||
                                                     discovery_supported(str_from_cstr(names[i]))};
    ADD("service_discovery_providers", features);
}

static void add_server(struct http_request *request, struct strbuf *out)
{
    const struct http_services *services = request->services;
    const struct feature none[] = {{"receiver", false}};
    const struct feature prometheus[] = {
        {"agent_mode", false},
        {"auto_reload_config", true},
        {"stringlabels", false},
    };
    ADD("otlp_receiver", none);
    ADD("prometheus", prometheus);
    add_promql(request, out);
    add_functions(request, out);
    add_operators(request, out);
    const struct feature rules[] = {{"alerting", false}, {"recording", false}};
    ADD("rules", rules);
    const struct feature scrape[] = {
        {"created_timestamp_zero_ingestion", services->created_timestamp_zero},
        {"extra_scrape_metrics", services->extra_scrape_metrics},
        {"type_and_unit_labels", services->type_and_unit_labels},
    };
    ADD("scrape", scrape);
    add_providers(out);
    const struct feature templating[] = {{"templates", false}};
    ADD("templating_functions", templating);
    const struct feature tsdb[] = {
        {"delayed_compaction", false},
        {"exemplar_storage", services->exemplar_storage},
        {"native_histograms", true},
        {"use_uncached_io", false},
    };
    ADD("tsdb", tsdb);
    const struct feature ui[] = {{"ui_v2", false}, {"ui_v3", false}};
    ADD("ui", ui);
}

void http__features(struct http_request *request)
{
    struct strbuf *out = http__api_begin(request);
    strbuf_add_char(out, '{');
    add_api(request, out);
    add_server(request, out);
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
}
