/* remote_write and remote_read. */
#include "schema_tables.h"

static err_t check_queue(struct check_context *context, struct object *object)
{
    if (object_get(object, "max_shards")->i <= 0)
        return CHECK_FAIL(context, "remote write queue max_shards must be positive");
    if (object_get(object, "min_shards")->i <= 0)
        return CHECK_FAIL(context, "remote write queue min_shards must be positive");
    if (object_get(object, "min_shards")->i > object_get(object, "max_shards")->i)
        return CHECK_FAIL(context,
                          "remote write queue min_shards must not be greater than max_shards");
    if (object_get(object, "max_samples_per_send")->i <= 0)
        return CHECK_FAIL(context, "remote write queue max_samples_per_send must be positive");
    if (object_get(object, "capacity")->i <= 0)
        return CHECK_FAIL(context, "remote write queue capacity must be positive");
    if (object_get(object, "max_backoff")->i < object_get(object, "min_backoff")->i)
        return CHECK_FAIL(context,
                          "remote write queue max_backoff must not be less than min_backoff");
    return OK;
}

static const struct field queue_fields[] = {
    {"capacity", FIELD_INT, NULL, "10000", NULL, 0},
    {"max_shards", FIELD_INT, NULL, "50", NULL, 0},
    {"min_shards", FIELD_INT, NULL, "1", NULL, 0},
    {"max_samples_per_send", FIELD_INT, NULL, "2000", NULL, 0},
    {"batch_send_deadline", FIELD_DURATION, NULL, "5s", NULL, 0},
    {"min_backoff", FIELD_DURATION, NULL, "30ms", NULL, 0},
    {"max_backoff", FIELD_DURATION, NULL, "5s", NULL, 0},
    {"retry_on_http_429", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"sample_age_limit", FIELD_DURATION, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_queue = {"config.plain", queue_fields, check_queue};

static const struct field metadata_fields[] = {
    {"send", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {"send_interval", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"max_samples_per_send", FIELD_INT, NULL, "2000", NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_metadata = {"config.plain", metadata_fields, NULL};

static const struct field azure_identity_fields[] = {
    {"client_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_secret", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"tenant_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"token_file_path", FIELD_STRING, NULL, NULL, NULL, 0},
    {"certificate_path", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"certificate_password", FIELD_SECRET, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_azure_identity = {"azuread.plain", azure_identity_fields, NULL};

static err_t check_azuread(struct check_context *context, struct object *object)
{
    static const char *const identities[] = {"managed_identity", "workload_identity", "oauth",
                                             "sdk", "certificate"};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++)
        count += object_get(object, identities[i])->object != NULL;
    if (count == 0)
        return CHECK_FAIL(context, "must provide an Azure Managed Identity, Azure Workload "
                                   "Identity, Azure OAuth, Azure SDK or Azure Certificate in the "
                                   "Azure AD config");
    if (count > 1)
        return CHECK_FAIL(context, "cannot provide multiple Azure AD authentication methods in the "
                                   "Azure AD config");
    return OK;
}

static const struct field azuread_fields[] = {
    {"cloud", FIELD_STRING, NULL, "AzurePublic", NULL, 0},
    {"scope", FIELD_STRING, NULL, NULL, NULL, 0},
    {"managed_identity", FIELD_OBJECT, &schema_azure_identity, NULL, NULL, 0},
    {"workload_identity", FIELD_OBJECT, &schema_azure_identity, NULL, NULL, 0},
    {"oauth", FIELD_OBJECT, &schema_azure_identity, NULL, NULL, 0},
    {"sdk", FIELD_OBJECT, &schema_azure_identity, NULL, NULL, 0},
    {"certificate", FIELD_OBJECT, &schema_azure_identity, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_azuread = {"azuread.plain", azuread_fields, check_azuread};

static const struct field google_iam_fields[] = {
    {"credentials_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_google_iam = {"googleiam.plain", google_iam_fields, NULL};

static err_t check_remote_auth(struct check_context *context, const struct object *object)
{
    static const char *const methods[] = {"basic_auth", "authorization", "oauth2",
                                          "sigv4",      "azuread",       "google_iam"};
    struct strbuf configured = STRBUF_INIT;
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (object_get(object, methods[i])->object == NULL)
            continue;
        strbuf_printf(&configured, "%s%s", count++ == 0 ? "" : " ", methods[i]);
    }
    err_t err = OK;
    if (count > 1)
        err = CHECK_FAIL(context,
                         "at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                         "google_iam must be configured. Currently configured: [%s]",
                         strbuf_cstr(&configured));
    strbuf_deinit(&configured);
    return err;
}

static err_t check_remote_write(struct check_context *context, struct object *object)
{
    struct str message = object_get(object, "protobuf_message")->text;
    if (!object_has_text(object, "url"))
        return CHECK_FAIL(context, "url for remote_write is empty");
    TRY(check_custom_headers(context, object_get(object, "headers"),
                             "authorization header must be changed via the basic_auth, "
                             "authorization, oauth2, sigv4, azuread or google_iam parameter"));
    if (!str_equal(message, STR("prometheus.WriteRequest")) &&
        !str_equal(message, STR("io.prometheus.write.v2.Request")))
        return CHECK_FAIL(context,
                          "invalid protobuf_message value: unknown type for remote write protobuf "
                          "message %.*s, supported: prometheus.WriteRequest, "
                          "io.prometheus.write.v2.Request",
                          STR_ARG(message));
    /* The sections print with all their defaults even when they are absent. */
    struct value *queue = object_get(object, "queue_config");
    if (queue->object == NULL)
        queue->object = schema_default(&schema_queue, context->arena);
    struct value *metadata = object_get(object, "metadata_config");
    if (metadata->object == NULL)
        metadata->object = schema_default(&schema_metadata, context->arena);
    TRY(check_http_client(context, object));
    return check_remote_auth(context, object);
}

static const struct field remote_write_fields[] = {
    {"url", FIELD_URL, NULL, NULL, NULL, 0},
    {"remote_timeout", FIELD_DURATION, NULL, "30s", NULL, 0},
    {"headers", FIELD_MAP, NULL, NULL, NULL, 0},
    {"write_relabel_configs", FIELD_OBJECTS, &schema_relabel, NULL,
     "empty or null relabeling rule in remote write config", 0},
    {"name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"send_exemplars", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"send_native_histograms", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"round_robin_dns", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"failed_request_logging", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"protobuf_message", FIELD_STRING, NULL, "prometheus.WriteRequest", NULL, 0},
    HTTP_CLIENT_FIELDS_HTTP2(NULL),
    {"queue_config", FIELD_OBJECT, &schema_queue, NULL, NULL, 0},
    {"metadata_config", FIELD_OBJECT, &schema_metadata, NULL, NULL, 0},
    {"sigv4", FIELD_OBJECT, &schema_sigv4, NULL, NULL, 0},
    {"azuread", FIELD_OBJECT, &schema_azuread, NULL, NULL, 0},
    {"google_iam", FIELD_OBJECT, &schema_google_iam, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_remote_write = {"config.plain", remote_write_fields, check_remote_write};

static err_t check_remote_read(struct check_context *context, struct object *object)
{
    if (!object_has_text(object, "url"))
        return CHECK_FAIL(context, "url for remote_read is empty");
    TRY(check_custom_headers(context, object_get(object, "headers"),
                             "authorization header must be changed via the basic_auth, "
                             "authorization, or oauth2 parameter"));
    return check_http_client(context, object);
}

static const struct field remote_read_fields[] = {
    {"url", FIELD_URL, NULL, NULL, NULL, 0},
    {"remote_timeout", FIELD_DURATION, NULL, "1m", NULL, 0},
    {"chunked_read_limit", FIELD_UINT, NULL, "50000000", NULL, 0},
    {"headers", FIELD_MAP, NULL, NULL, NULL, 0},
    {"read_recent", FIELD_BOOL, NULL, NULL, NULL, 0},
    {"name", FIELD_STRING, NULL, NULL, NULL, 0},
    HTTP_CLIENT_FIELDS,
    {"required_matchers", FIELD_MAP, NULL, NULL, NULL, 0},
    {"filter_external_labels", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_remote_read = {"config.plain", remote_read_fields, check_remote_read};
