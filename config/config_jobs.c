/* Scrape jobs: defaults from the global section, checks across sections, the typed form. */
#include "config_impl.h"

#include <stdio.h>

#include "narthex/base/hash.h"
#include "narthex/scraper/discovery.h"

static const struct {
    const char *name;
    enum scrape_protocol protocol;
} protocol_names[] = {
    {"PrometheusProto", SCRAPE_PROTOCOL_PROTO},
    {"OpenMetricsText0.0.1", SCRAPE_PROTOCOL_OPENMETRICS_0_0_1},
    {"OpenMetricsText1.0.0", SCRAPE_PROTOCOL_OPENMETRICS_1_0_0},
    {"PrometheusText0.0.4", SCRAPE_PROTOCOL_TEXT_0_0_4},
    {"PrometheusText1.0.0", SCRAPE_PROTOCOL_TEXT_1_0_0},
};

static err_t parse_protocol(struct str name, enum scrape_protocol *protocol, struct strbuf *why)
{
    for (size_t i = 0; i < sizeof protocol_names / sizeof *protocol_names; i++) {
        if (str_equal_cstr(name, protocol_names[i].name)) {
            *protocol = protocol_names[i].protocol;
            return OK;
        }
    }
    return err_fail(why, ERR_INVALID,
                    "unknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 "
                    "OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 "
                    "PrometheusText1.0.0]",
                    STR_ARG(name));
}

static err_t duplicated_protocol(const struct value *list, const char *where, struct strbuf *why)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "duplicated protocol in scrape_protocols, got [");
    for (uint32_t i = 0; i < list->count; i++)
        strbuf_printf(why, "%s%.*s", i == 0 ? "" : " ", STR_ARG(list->strings[i]));
    strbuf_printf(why, "] for %s", where);
    return ERR_INVALID;
}

err_t config__check_protocols(const struct value *list, const char *where,
                              enum scrape_protocol *protocols, uint32_t *count, struct strbuf *why)
{
    *count = 0;
    if (!list->set)
        return OK;
    if (list->count == 0)
        return err_fail(why, ERR_INVALID, "scrape_protocols cannot be empty for %s", where);
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (str_equal_nocase(list->strings[i], list->strings[j]))
                return duplicated_protocol(list, where, why);
        }
        struct strbuf inner = STRBUF_INIT;
        err_t err = parse_protocol(list->strings[i], &protocols[i], &inner);
        if (err != OK)
            err = err_fail(why, err, "scrape_protocols: %s for %s", strbuf_cstr(&inner), where);
        strbuf_deinit(&inner);
        TRY(err);
        *count = i + 1;
    }
    return OK;
}

/* A zero or empty value of the job takes the global one. */
static void inherit(struct object *job, const struct object *global, const char *name)
{
    struct value *own = object_get(job, name);
    const struct value *from = object_get(global, name);
    if (own->i == 0 && own->u == 0) {
        own->i = from->i;
        own->u = from->u;
    }
}

static void inherit_bool(struct object *job, const struct object *global, const char *name,
                         bool otherwise)
{
    struct value *own = object_get(job, name);
    const struct value *from = object_get(global, name);
    if (!own->set)
        own->b = from->set ? from->b : otherwise;
}

static void inherit_all(struct object *job, const struct object *global,
                        const struct config_options *options)
{
    static const char *const numbers[] = {"body_size_limit",
                                          "sample_limit",
                                          "target_limit",
                                          "label_limit",
                                          "label_name_length_limit",
                                          "label_value_length_limit",
                                          "keep_dropped_targets"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        inherit(job, global, numbers[i]);
    struct value *log_file = object_get(job, "scrape_failure_log_file");
    if (log_file->text.size == 0)
        log_file->text = object_get(global, "scrape_failure_log_file")->text;
    inherit_bool(job, global, "scrape_native_histograms", false);
    inherit_bool(job, global, "convert_classic_histograms_to_nhcb", false);
    inherit_bool(job, global, "always_scrape_classic_histograms", false);
    inherit_bool(job, global, "extra_scrape_metrics", options->extra_scrape_metrics);
}

static err_t inherit_times(struct object *job, const struct object *global, const char *where,
                           struct strbuf *why)
{
    struct value *interval = object_get(job, "scrape_interval");
    struct value *timeout = object_get(job, "scrape_timeout");
    int64_t global_timeout = object_get(global, "scrape_timeout")->i;
    if (interval->i == 0)
        interval->i = object_get(global, "scrape_interval")->i;
    if (timeout->i > interval->i)
        return err_fail(why, ERR_INVALID, "scrape timeout greater than scrape interval for %s",
                        where);
    if (timeout->i == 0)
        timeout->i = global_timeout < interval->i ? global_timeout : interval->i;
    return OK;
}

/* The list as it will be printed and used: the job's, the global one, or the default. */
static err_t choose_protocols(struct config_impl *config, struct object *job,
                              const struct object *global, const struct config_options *options,
                              const char *where, struct scrape_config *out, struct strbuf *why)
{
    struct value *own = object_get(job, "scrape_protocols");
    TRY(config__check_protocols(own, where, out->protocols, &out->protocol_count, why));
    if (out->protocol_count > 0)
        return OK;
    const struct value *shared = object_get(global, "scrape_protocols");
    TRY(config__check_protocols(shared, "global config", out->protocols, &out->protocol_count,
                                why));
    if (out->protocol_count > 0) {
        own->strings = shared->strings;
        own->count = shared->count;
        return OK;
    }
    static const enum scrape_protocol order[] = {
        SCRAPE_PROTOCOL_PROTO, SCRAPE_PROTOCOL_OPENMETRICS_1_0_0, SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,
        SCRAPE_PROTOCOL_TEXT_1_0_0, SCRAPE_PROTOCOL_TEXT_0_0_4};
    bool proto = object_get(job, "scrape_native_histograms")->b || options->prefer_protobuf;
    own->strings = ARENA_NEW_ARRAY(&config->arena, struct str, SCRAPE_PROTOCOL_COUNT_MAX);
    for (size_t i = proto ? 0 : 1; i < sizeof order / sizeof *order; i++) {
        out->protocols[out->protocol_count++] = order[i];
        for (size_t n = 0; n < sizeof protocol_names / sizeof *protocol_names; n++) {
            if (protocol_names[n].protocol == order[i])
                own->strings[own->count++] = str_from_cstr(protocol_names[n].name);
        }
    }
    return OK;
}

static err_t choose_fallback(const struct object *job, struct scrape_config *out,
                             struct strbuf *why)
{
    struct str name = object_get(job, "fallback_scrape_protocol")->text;
    if (name.size == 0)
        return OK;
    struct strbuf inner = STRBUF_INIT;
    err_t err = parse_protocol(name, &out->fallback_protocol, &inner);
    if (err != OK)
        err = err_fail(
            why, err,
            "invalid fallback_scrape_protocol for scrape config with job name \"%.*s\": %s",
            STR_ARG(out->job_name), strbuf_cstr(&inner));
    strbuf_deinit(&inner);
    return err;
}

static err_t parse_scheme(struct str text, enum name_scheme *scheme, struct strbuf *why)
{
    *scheme = str_equal(text, STR("legacy")) ? NAME_SCHEME_LEGACY : NAME_SCHEME_UTF8;
    if (text.size > 0 && !str_equal(text, STR("legacy")) && !str_equal(text, STR("utf8")))
        return err_fail(why, ERR_INVALID, "unrecognized ValidationScheme: \"%.*s\"", STR_ARG(text));
    return OK;
}

static bool parse_escaping(struct str text, enum name_escaping *escaping)
{
    static const char *const names[] = {
        [NAME_ESCAPING_NONE] = "allow-utf-8",
        [NAME_ESCAPING_UNDERSCORES] = "underscores",
        [NAME_ESCAPING_DOTS] = "dots",
        [NAME_ESCAPING_VALUES] = "values",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal_cstr(text, names[i])) {
            *escaping = (enum name_escaping)i;
            return true;
        }
    }
    return false;
}

static struct str default_escaping(enum name_scheme scheme)
{
    return scheme == NAME_SCHEME_LEGACY ? STR("underscores") : STR("allow-utf-8");
}

static err_t choose_names(struct object *job, const struct object *global,
                          struct scrape_config *out, struct strbuf *why)
{
    struct value *scheme = object_get(job, "metric_name_validation_scheme");
    struct value *escaping = object_get(job, "metric_name_escaping_scheme");
    struct str global_scheme = object_get(global, "metric_name_validation_scheme")->text;
    struct str global_escaping = object_get(global, "metric_name_escaping_scheme")->text;
    enum name_scheme shared;
    enum name_escaping ignored;
    TRY(parse_scheme(global_scheme, &shared, why));
    if (global_escaping.size == 0)
        global_escaping = default_escaping(shared);
    if (!parse_escaping(global_escaping, &ignored))
        return err_fail(why, ERR_INVALID,
                        "unknown global name escaping method specified, must be one of "
                        "'allow-utf-8', 'underscores', 'dots', or 'values', got \"%.*s\"",
                        STR_ARG(global_escaping));
    bool own_scheme = scheme->text.size > 0;
    if (!own_scheme)
        scheme->text = global_scheme;
    TRY(parse_scheme(scheme->text, &out->name_scheme, why));
    if (escaping->text.size == 0)
        escaping->text = own_scheme ? default_escaping(out->name_scheme) : global_escaping;
    if (!parse_escaping(escaping->text, &out->name_escaping))
        return err_fail(why, ERR_INVALID,
                        "unknown scrape config name escaping method specified, must be one of "
                        "'allow-utf-8', 'underscores', 'dots', or 'values', got \"%.*s\"",
                        STR_ARG(escaping->text));
    if (out->name_escaping == NAME_ESCAPING_NONE && out->name_scheme == NAME_SCHEME_LEGACY)
        return err_fail(why, ERR_INVALID,
                        "utf8 metric names requested but validation scheme is not set to UTF8");
    return OK;
}

static void build_static(struct config_impl *config, const struct value *list,
                         struct scrape_config *out)
{
    struct target_group_config *groups =
        ARENA_NEW_ARRAY(&config->arena, struct target_group_config, list->count);
    for (uint32_t g = 0; g < list->count; g++) {
        const struct value *targets = object_get(list->objects[g], "targets");
        const struct value *labels = object_get(list->objects[g], "labels");
        struct labels *sets = ARENA_NEW_ARRAY(&config->arena, struct labels, targets->count);
        for (uint32_t t = 0; t < targets->count; t++) {
            struct label *address = ARENA_NEW(&config->arena, struct label);
            *address = (struct label){STR("__address__"), targets->strings[t]};
            sets[t] = (struct labels){address, 1};
        }
        struct label_builder builder = {0};
        for (uint32_t i = 0; i < labels->count; i++)
            label_builder_set(&builder, labels->named[i].name, labels->named[i].items[0]);
        groups[g] = (struct target_group_config){
            sets, targets->count, labels_copy(&config->arena, label_builder_labels(&builder))};
        label_builder_deinit(&builder);
    }
    out->static_groups = groups;
    out->static_group_count = list->count;
}

/* "file" of "file_sd_configs", or empty for other keys. */
static struct str mechanism_of(const char *key)
{
    struct str name = str_from_cstr(key);
    struct str suffix = STR("_sd_configs");
    return str_ends_with(name, suffix) ? str_from(name.data, name.size - suffix.size) : STR("");
}

static void build_discovery(struct config_impl *config, const struct object *job,
                            struct scrape_config *out)
{
    const struct field *fields = job->schema->fields;
    uint32_t count = 0;
    for (uint32_t i = 0; fields[i].name != NULL; i++)
        count += mechanism_of(fields[i].name).size > 0 ? job->values[i].count : 0;
    struct discovery_config *items =
        ARENA_NEW_ARRAY(&config->arena, struct discovery_config, count);
    for (uint32_t i = 0; fields[i].name != NULL; i++) {
        struct str mechanism = mechanism_of(fields[i].name);
        for (uint32_t n = 0; mechanism.size > 0 && n < job->values[i].count; n++) {
            struct discovery_config *item = &items[out->discovery_count++];
            item->mechanism = mechanism;
            item->settings =
                config__build_discovery_settings(config, mechanism, job->values[i].objects[n]);
            item->fingerprint = config__fingerprint(job->values[i].objects[n]);
            item->supported = item->settings != NULL && discovery_supported(mechanism);
        }
    }
    out->discovery = items;
}

/* Lists the discovery mechanisms of `object` that this build cannot run; `owner` is for people. */
static void note_unsupported_discovery(struct config_impl *config, const struct object *object,
                                       const char *owner)
{
    const struct field *fields = object->schema->fields;
    for (uint32_t i = 0; fields[i].name != NULL; i++) {
        struct str mechanism = mechanism_of(fields[i].name);
        if (mechanism.size > 0 && object->values[i].count > 0 && !discovery_supported(mechanism))
            config__note_unsupported(config, "%s of %s (line %u)", fields[i].name, owner,
                                     object->values[i].line);
    }
}

/* As the job prints without what a running loop takes over. */
static void fingerprint_cache(struct config_impl *config, const struct object *job,
                              struct scrape_config *out)
{
    static const char *const taken_over[] = {"scrape_interval",
                                             "scrape_timeout",
                                             "sample_limit",
                                             "basic_auth",
                                             "authorization",
                                             "oauth2",
                                             "tls_config",
                                             "follow_redirects",
                                             "enable_http2",
                                             "http_headers",
                                             "proxy_url",
                                             "no_proxy",
                                             "proxy_from_environment",
                                             "proxy_connect_header"};
    struct object copy = *job;
    uint32_t count = 0;
    while (job->schema->fields[count].name != NULL)
        count++;
    copy.values = ARENA_NEW_ARRAY(&config->arena, struct value, count);
    for (uint32_t i = 0; i < count; i++)
        copy.values[i] = job->values[i];
    for (size_t i = 0; i < sizeof taken_over / sizeof *taken_over; i++)
        *object_get(&copy, taken_over[i]) = (struct value){0};
    struct strbuf text = STRBUF_INIT;
    schema_print(&copy, 0, &text);
    out->cache_fingerprint = hash_xxh64(text.data, text.size);
    strbuf_deinit(&text);
}

static void copy_scalars(const struct object *job, struct scrape_config *out)
{
    out->interval_ms = object_get(job, "scrape_interval")->i;
    out->timeout_ms = object_get(job, "scrape_timeout")->i;
    out->metrics_path = object_get(job, "metrics_path")->text;
    out->scheme = object_get(job, "scheme")->text;
    out->honor_labels = object_get(job, "honor_labels")->b;
    out->honor_timestamps = object_get(job, "honor_timestamps")->b;
    out->track_timestamps_staleness = object_get(job, "track_timestamps_staleness")->b;
    out->enable_compression = object_get(job, "enable_compression")->b;
    out->scrape_native_histograms = object_get(job, "scrape_native_histograms")->b;
    out->convert_classic_histograms = object_get(job, "convert_classic_histograms_to_nhcb")->b;
    out->always_scrape_classic_histograms = object_get(job, "always_scrape_classic_histograms")->b;
    out->extra_scrape_metrics = object_get(job, "extra_scrape_metrics")->b;
    out->body_size_limit = (uint64_t)object_get(job, "body_size_limit")->i;
    out->sample_limit = object_get(job, "sample_limit")->u;
    out->target_limit = object_get(job, "target_limit")->u;
    out->label_limit = object_get(job, "label_limit")->u;
    out->label_name_length_limit = object_get(job, "label_name_length_limit")->u;
    out->label_value_length_limit = object_get(job, "label_value_length_limit")->u;
    out->keep_dropped_targets = object_get(job, "keep_dropped_targets")->u;
    out->native_histogram_bucket_limit =
        (int64_t)object_get(job, "native_histogram_bucket_limit")->u;
    out->native_histogram_min_bucket_factor =
        object_get(job, "native_histogram_min_bucket_factor")->f;
    out->scrape_failure_log_file = object_get(job, "scrape_failure_log_file")->text;
}

static void build_params(struct config_impl *config, const struct value *params,
                         struct scrape_config *out)
{
    struct query_param *items = ARENA_NEW_ARRAY(&config->arena, struct query_param, params->count);
    for (uint32_t i = 0; i < params->count; i++)
        items[i] = (struct query_param){params->named[i].name, params->named[i].items,
                                        params->named[i].count};
    out->params = items;
    out->param_count = params->count;
}

err_t config__build_job(struct config_impl *config, const struct config_options *options,
                        struct object *job, struct scrape_config *out, struct strbuf *why)
{
    const struct object *global = object_get(config->root, "global")->object;
    out->job_name = object_get(job, "job_name")->text;
    struct str where_text = arena_printf(&config->arena, "scrape config with job name \"%.*s\"",
                                         STR_ARG(out->job_name));
    const char *where = where_text.data;
    TRY(inherit_times(job, global, where, why));
    inherit_all(job, global, options);
    TRY(choose_names(job, global, out, why));
    TRY(choose_protocols(config, job, global, options, where, out, why));
    TRY(choose_fallback(job, out, why));
    copy_scalars(job, out);
    build_params(config, object_get(job, "params"), out);
    TRY(config__build_relabel(config, object_get(job, "relabel_configs"), out->name_scheme,
                              &out->relabel_rules, &out->relabel_rule_count, why));
    TRY(config__build_relabel(config, object_get(job, "metric_relabel_configs"), out->name_scheme,
                              &out->metric_relabel_rules, &out->metric_relabel_rule_count, why));
    config__build_http_client(config, job, &out->http);
    build_static(config, object_get(job, "static_configs"), out);
    build_discovery(config, job, out);
    struct str owner = arena_printf(&config->arena, "job \"%.*s\"", STR_ARG(out->job_name));
    note_unsupported_discovery(config, job, owner.data);
    out->fingerprint = config__fingerprint(job);
    fingerprint_cache(config, job, out);
    return OK;
}
