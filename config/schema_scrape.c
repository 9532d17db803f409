/* Jobs, relabeling rules and target groups. */
#include "schema_tables.h"

#include "narthex/model/labels.h"

static err_t check_relabel(struct check_context *context, struct object *object)
{
    const struct value *sources = object_get(object, "source_labels");
    for (uint32_t i = 0; i < sources->count; i++) {
        if (!label_name_is_valid(sources->strings[i], NAME_SCHEME_UTF8))
            return CHECK_FAIL(context, "\"%.*s\" is not a valid label name",
                              STR_ARG(sources->strings[i]));
    }
    return OK;
}

static const struct field relabel_fields[] = {
    {"source_labels", FIELD_STRINGS, NULL, NULL, NULL, FIELD_FLOW},
    {"separator", FIELD_STRING, NULL, ";", NULL, FIELD_ALWAYS},
    {"regex", FIELD_STRING, NULL, NULL, NULL, FIELD_IF_SET},
    {"modulus", FIELD_UINT, NULL, NULL, NULL, 0},
    {"target_label", FIELD_STRING, NULL, NULL, NULL, 0},
    {"replacement", FIELD_STRING, NULL, "$1", NULL, FIELD_ALWAYS},
    {"action", FIELD_STRING, NULL, "replace", NULL, FIELD_ALWAYS},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_relabel = {"relabel.plain", relabel_fields, check_relabel};

static err_t check_target_group(struct check_context *context, struct object *object)
{
    const struct value *labels = object_get(object, "labels");
    for (uint32_t i = 0; i < labels->count; i++) {
        struct str name = labels->named[i].name;
        if (!label_name_is_valid(name, NAME_SCHEME_UTF8))
            return CHECK_FAIL(context, "\"%.*s\" is not a valid label name", STR_ARG(name));
    }
    return OK;
}

static const struct field target_group_fields[] = {
    {"targets", FIELD_STRINGS, NULL, NULL, NULL, FIELD_ALWAYS},
    {"labels", FIELD_MAP, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_target_group = {"struct { Targets []string \"yaml:\\\"targets\\\"\"; "
                                           "Labels model.LabelSet \"yaml:\\\"labels\\\"\" }",
                                           target_group_fields, check_target_group};

static err_t check_scrape(struct check_context *context, struct object *object)
{
    if (!object_has_text(object, "job_name"))
        return CHECK_FAIL(context, "job_name is empty");
    TRY(check_http_client(context, object));
    /* Only a job without relabeling is sure to use the address as it stands. */
    if (object_get(object, "relabel_configs")->count > 0)
        return OK;
    const struct value *groups = object_get(object, "static_configs");
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct value *targets = object_get(groups->objects[i], "targets");
        for (uint32_t t = 0; t < targets->count; t++) {
            if (str_find(targets->strings[t], '/', 0) != SIZE_MAX)
                return CHECK_FAIL(context, "\"%.*s\" is not a valid hostname",
                                  STR_ARG(targets->strings[t]));
        }
    }
    return OK;
}

static const struct field scrape_fields[] = {
    {"job_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"honor_labels", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"honor_timestamps", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {"track_timestamps_staleness", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"params", FIELD_LISTS, NULL, NULL, NULL, 0},
    {"scrape_interval", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"scrape_timeout", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"scrape_protocols", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"fallback_scrape_protocol", FIELD_STRING, NULL, NULL, NULL, 0},
    {"scrape_native_histograms", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"always_scrape_classic_histograms", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"convert_classic_histograms_to_nhcb", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"extra_scrape_metrics", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"metrics_path", FIELD_STRING, NULL, "/metrics", NULL, 0},
    {"scheme", FIELD_STRING, NULL, "http", NULL, 0},
    {"enable_compression", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {"body_size_limit", FIELD_SIZE, NULL, NULL, NULL, 0},
    {"scrape_failure_log_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"sample_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"target_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_name_length_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_value_length_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"native_histogram_bucket_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"native_histogram_min_bucket_factor", FIELD_FLOAT, NULL, NULL, NULL, 0},
    {"keep_dropped_targets", FIELD_UINT, NULL, NULL, NULL, 0},
    {"metric_name_validation_scheme", FIELD_STRING, NULL, NULL, NULL, 0},
    {"metric_name_escaping_scheme", FIELD_STRING, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {"relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null target relabeling rule in scrape config", 0},
    {"metric_relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null metric relabeling rule in scrape config", 0},
    DISCOVERY_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_scrape = {"config.ScrapeConfig", scrape_fields, check_scrape};
