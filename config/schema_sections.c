/* The top-level sections besides scrape_configs (spec config-and-scrape.md 1.2 and 1.5). */
#include "schema_tables.h"

#include "narthex/model/labels.h"

static bool is_in(struct str text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (str_equal_cstr(text, *words))
            return true;
    }
    return false;
}

static err_t check_global(struct check_context *context, struct object *object)
{
    static const char *const schemes[] = {"utf8", "legacy", "", NULL};
    struct str scheme = object_get(object, "metric_name_validation_scheme")->text;
    if (!is_in(scheme, schemes))
        return CHECK_FAIL(context, "unrecognized ValidationScheme: \"%.*s\"", STR_ARG(scheme));
    enum name_scheme names =
        str_equal(scheme, STR("legacy")) ? NAME_SCHEME_LEGACY : NAME_SCHEME_UTF8;
    const struct value *labels = object_get(object, "external_labels");
    for (uint32_t i = 0; i < labels->count; i++) {
        if (!label_name_is_valid(labels->named[i].name, names))
            return CHECK_FAIL(context, "\"%.*s\" is not a valid label name",
                              STR_ARG(labels->named[i].name));
        if (!str_is_utf8(labels->named[i].items[0]))
            return CHECK_FAIL(context, "\"%.*s\" is not a valid label value",
                              STR_ARG(labels->named[i].items[0]));
    }
    struct value *interval = object_get(object, "scrape_interval");
    struct value *timeout = object_get(object, "scrape_timeout");
    struct value *evaluation = object_get(object, "evaluation_interval");
    if (interval->i == 0)
        interval->i = 60000;
    if (evaluation->i == 0)
        evaluation->i = 60000;
    if (timeout->i > interval->i)
        return CHECK_FAIL(context, "global scrape timeout greater than scrape interval");
    if (timeout->i == 0)
        timeout->i = interval->i < 10000 ? interval->i : 10000;
    return OK;
}

static const struct field global_fields[] = {
    {"scrape_interval", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"scrape_timeout", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"scrape_protocols", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"evaluation_interval", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"rule_query_offset", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"query_log_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"scrape_failure_log_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"external_labels", FIELD_MAP, NULL, NULL, NULL, 0},
    {"body_size_limit", FIELD_SIZE, NULL, NULL, NULL, 0},
    {"sample_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"target_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_name_length_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"label_value_length_limit", FIELD_UINT, NULL, NULL, NULL, 0},
    {"keep_dropped_targets", FIELD_UINT, NULL, NULL, NULL, 0},
    {"metric_name_validation_scheme", FIELD_STRING, NULL, NULL, NULL, 0},
    {"metric_name_escaping_scheme", FIELD_STRING, NULL, NULL, NULL, 0},
    {"scrape_native_histograms", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"convert_classic_histograms_to_nhcb", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"always_scrape_classic_histograms", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"extra_scrape_metrics", FIELD_BOOL, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_global = {"config.plain", global_fields, check_global};

static const struct field runtime_fields[] = {
    {"gogc", FIELD_INT, NULL, "75", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_runtime = {"config.plain", runtime_fields, NULL};

/* ---- alerting ---- */

static const struct field sigv4_fields[] = {
    {"region", FIELD_STRING, NULL, NULL, NULL, 0},
    {"access_key", FIELD_STRING, NULL, NULL, NULL, 0},
    {"secret_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"profile", FIELD_STRING, NULL, NULL, NULL, 0},
    {"role_arn", FIELD_STRING, NULL, NULL, NULL, 0},
    {"external_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"use_fips_sts_endpoint", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"service_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};

static err_t check_sigv4(struct check_context *context, struct object *object)
{
    bool access = object_has_text(object, "access_key");
    bool secret = object_has_text(object, "secret_key");
    if (access != secret)
        return CHECK_FAIL(context, "must provide a AWS SigV4 Access key and Secret Key if "
                                   "credentials are specified in the SigV4 config");
    return OK;
}
const struct schema schema_sigv4 = {"sigv4.plain", sigv4_fields, check_sigv4};

static err_t check_alertmanager(struct check_context *context, struct object *object)
{
    struct str version = object_get(object, "api_version")->text;
    if (!str_equal(version, STR("v2")))
        return CHECK_FAIL(context,
                          "expected Alertmanager api version to be one of [v2] but got %.*s",
                          STR_ARG(version));
    bool other = object_get(object, "basic_auth")->object != NULL ||
                 object_get(object, "authorization")->object != NULL ||
                 object_get(object, "oauth2")->object != NULL;
    if (object_get(object, "sigv4")->object != NULL && other)
        return CHECK_FAIL(context, "at most one of basic_auth, authorization, oauth2, & sigv4 must "
                                   "be configured");
    return check_http_client(context, object);
}

static const struct field alertmanager_fields[] = {
    {"scheme", FIELD_STRING, NULL, "http", NULL, 0},
    {"path_prefix", FIELD_STRING, NULL, NULL, NULL, 0},
    {"timeout", FIELD_DURATION, NULL, "10s", NULL, 0},
    {"api_version", FIELD_STRING, NULL, "v2", NULL, 0},
    {"sigv4", FIELD_OBJECT, &schema_sigv4, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {"relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null Alertmanager target relabeling rule", 0},
    {"alert_relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null Alertmanager alert relabeling rule", 0},
    DISCOVERY_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_alertmanager = {"config.plain", alertmanager_fields,
                                                  check_alertmanager};

static const struct field alerting_fields[] = {
    {"alert_relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null alert relabeling rule", 0},
    {"alertmanagers", FIELD_OBJECTS, &schema_alertmanager, NULL,
     "empty or null alertmanager config section", 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_alerting = {"config.plain", alerting_fields, NULL};

/* ---- storage ---- */

static const struct field chunk_encoding_fields[] = {
    {"floats", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};

static err_t check_chunk_encoding(struct check_context *context, struct object *object)
{
    static const char *const known[] = {"xor", "xor2", NULL};
    const struct value *floats = object_get(object, "floats");
    if (floats->set && !is_in(floats->text, known))
        return CHECK_FAIL(context,
                          "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the "
                          "field must be omitted entirely, got \"%.*s\"",
                          STR_ARG(floats->text));
    return OK;
}
static const struct schema schema_chunk_encoding = {"config.plain", chunk_encoding_fields,
                                                    check_chunk_encoding};

static err_t check_retention(struct check_context *context, struct object *object)
{
    int64_t size = object_get(object, "size")->i;
    double percentage = object_get(object, "percentage")->f;
    if (size < 0)
        return CHECK_FAIL(context,
                          "'storage.tsdb.retention.size' must be greater than or equal to 0, got "
                          "%.*s",
                          STR_ARG(object_get(object, "size")->text));
    if (!(percentage >= 0 && percentage <= 100))
        return CHECK_FAIL(context,
                          "'storage.tsdb.retention.percentage' must be in the range [0, 100], got "
                          "%.*s",
                          STR_ARG(object_get(object, "percentage")->text));
    return OK;
}

static const struct field retention_fields[] = {
    {"time", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"size", FIELD_SIZE, NULL, NULL, NULL, 0},
    {"percentage", FIELD_FLOAT, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_retention = {"config.plain", retention_fields, check_retention};

static err_t check_tsdb(struct check_context *context, struct object *object)
{
    double threshold = object_get(object, "stale_series_compaction_threshold")->f;
    if (!(threshold >= 0 && threshold <= 1))
        return CHECK_FAIL(context, "'storage.tsdb.stale_series_compaction_threshold' must be in "
                                   "the range [0, 1]");
    struct value *derived = object_get(object, "outofordertimewindow");
    struct value *window = object_get(object, "out_of_order_time_window");
    if (window->set || !derived->set)
        derived->i = window->i;
    return OK;
}

static const struct field tsdb_fields[] = {
    {"out_of_order_time_window", FIELD_DURATION, NULL, NULL, NULL, 0},
    {"outofordertimewindow", FIELD_INT, NULL, NULL, NULL, FIELD_ALWAYS},
    {"stale_series_compaction_threshold", FIELD_FLOAT, NULL, NULL, NULL, 0},
    {"chunk_encoding", FIELD_OBJECT, &schema_chunk_encoding, NULL, NULL, 0},
    {"retention", FIELD_OBJECT, &schema_retention, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_tsdb = {"config.plain", tsdb_fields, check_tsdb};

static const struct field exemplar_fields[] = {
    {"max_exemplars", FIELD_INT, NULL, "100000", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_exemplars = {"config.plain", exemplar_fields, NULL};

static const struct field storage_fields[] = {
    {"tsdb", FIELD_OBJECT, &schema_tsdb, NULL, NULL, 0},
    {"exemplars", FIELD_OBJECT, &schema_exemplars, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_storage = {"config.plain", storage_fields, NULL};

/* ---- tracing ---- */

static err_t check_tracing(struct check_context *context, struct object *object)
{
    static const char *const types[] = {"grpc", "http", NULL};
    static const char *const compressions[] = {"", "gzip", NULL};
    struct str type = object_get(object, "client_type")->text;
    struct str compression = object_get(object, "compression")->text;
    if (!is_in(type, types))
        return CHECK_FAIL(context,
                          "expected tracing client type to be to be one of http or grpc, but got "
                          "%.*s",
                          STR_ARG(type));
    TRY(check_custom_headers(context, object_get(object, "headers"),
                             "custom authorization header configuration is not yet supported"));
    if (!object_has_text(object, "endpoint"))
        return CHECK_FAIL(context, "tracing endpoint must be set");
    if (!is_in(compression, compressions))
        return CHECK_FAIL(context, "invalid compression type %.*s, valid options: gzip",
                          STR_ARG(compression));
    if (object_get(object, "timeout")->i == 0)
        object_get(object, "timeout")->i = 10000;
    return OK;
}

static const struct field tracing_fields[] = {
    {"client_type", FIELD_STRING, NULL, "grpc", NULL, 0},
    {"endpoint", FIELD_STRING, NULL, NULL, NULL, 0},
    {"sampling_fraction", FIELD_FLOAT, NULL, NULL, NULL, 0},
    {"insecure", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"tls_config", FIELD_OBJECT, &schema_tls, NULL, NULL, 0},
    {"headers", FIELD_MAP, NULL, NULL, NULL, 0},
    {"compression", FIELD_STRING, NULL, NULL, NULL, 0},
    {"timeout", FIELD_DURATION, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_tracing = {"config.plain", tracing_fields, check_tracing};

/* ---- otlp ---- */

static err_t check_otlp_ignored(struct check_context *context, struct value *ignored)
{
    for (uint32_t i = 0; i < ignored->count; i++) {
        ignored->strings[i] = str_trim(ignored->strings[i]);
        if (ignored->strings[i].size == 0)
            return CHECK_FAIL(context, "empty ignored OTel resource attribute");
        for (uint32_t j = 0; j < i; j++) {
            if (str_equal(ignored->strings[i], ignored->strings[j]))
                return CHECK_FAIL(context, "duplicated ignored OTel resource attribute \"%.*s\"",
                                  STR_ARG(ignored->strings[i]));
        }
    }
    return OK;
}

static err_t check_otlp_promoted(struct check_context *context, struct value *promoted)
{
    for (uint32_t i = 0; i < promoted->count; i++) {
        promoted->strings[i] = str_trim(promoted->strings[i]);
        if (promoted->strings[i].size == 0)
            return CHECK_FAIL(context, "empty promoted OTel resource attribute");
        for (uint32_t j = 0; j < i; j++) {
            if (str_equal(promoted->strings[i], promoted->strings[j]))
                return CHECK_FAIL(context, "duplicated promoted OTel resource attribute \"%.*s\"",
                                  STR_ARG(promoted->strings[i]));
        }
    }
    return OK;
}

static err_t check_otlp(struct check_context *context, struct object *object)
{
    static const char *const strategies[] = {"UnderscoreEscapingWithSuffixes",
                                             "UnderscoreEscapingWithoutSuffixes",
                                             "NoUTF8EscapingWithSuffixes", "NoTranslation", NULL};
    struct str strategy = object_get(object, "translation_strategy")->text;
    if (!is_in(strategy, strategies))
        return CHECK_FAIL(context, "unsupported OTLP translation strategy \"%.*s\"",
                          STR_ARG(strategy));
    bool all = object_get(object, "promote_all_resource_attributes")->b;
    struct value *promoted = object_get(object, "promote_resource_attributes");
    struct value *ignored = object_get(object, "ignore_resource_attributes");
    if (all && promoted->count > 0)
        return CHECK_FAIL(context, "'promote_all_resource_attributes' and "
                                   "'promote_resource_attributes' cannot be configured "
                                   "simultaneously");
    if (!all && ignored->count > 0)
        return CHECK_FAIL(context, "'ignore_resource_attributes' cannot be configured unless "
                                   "'promote_all_resource_attributes' is true");
    TRY(check_otlp_ignored(context, ignored));
    return check_otlp_promoted(context, promoted);
}

static const struct field otlp_fields[] = {
    {"promote_all_resource_attributes", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"promote_resource_attributes", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"ignore_resource_attributes", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"translation_strategy", FIELD_STRING, NULL, "UnderscoreEscapingWithSuffixes", NULL, 0},
    {"keep_identifying_resource_attributes", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"convert_histograms_to_nhcb", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"promote_scope_metadata", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"label_name_underscore_sanitization", FIELD_BOOL, NULL, "true", NULL, 0},
    {"label_name_preserve_multiple_underscores", FIELD_BOOL, NULL, "true", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_otlp = {"config.plain", otlp_fields, check_otlp};
