/* The HTTP client block and its parts. */
#include "schema_tables.h"

#include <stdio.h>

static bool secret_sources_exceed_one(const struct object *object, const char *name)
{
    uint32_t count = 0;
    static const char *const suffixes[] = {"", "_file", "_ref"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s%s", name, suffixes[i]);
        const struct value *value = object_find(object, key);
        count += value != NULL && value->text.size > 0;
    }
    return count > 1;
}

static err_t check_secret_sources(struct check_context *context, const struct object *object,
                                  const char *section, const char *name)
{
    if (!secret_sources_exceed_one(object, name))
        return OK;
    return CHECK_FAIL(context, "at most one of %s%s, %s_file & %s_ref must be configured", section,
                      name, name, name);
}

static err_t check_basic_auth(struct check_context *context, struct object *object)
{
    TRY(check_secret_sources(context, object, "basic_auth ", "username"));
    return check_secret_sources(context, object, "basic_auth ", "password");
}

static const struct field basic_auth_fields[] = {
    {"username", FIELD_STRING, NULL, NULL, NULL, 0},
    {"username_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"username_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"password", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"password_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"password_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_basic_auth = {"config.plain", basic_auth_fields, check_basic_auth};

static err_t check_authorization(struct check_context *context, struct object *object)
{
    struct value *type = object_get(object, "type");
    type->text = str_trim(type->text);
    if (type->text.size == 0)
        type->text = STR("Bearer");
    if (str_equal_nocase(type->text, STR("basic")))
        return CHECK_FAIL(context, "authorization type cannot be set to \"basic\", use "
                                   "\"basic_auth\" instead");
    if (secret_sources_exceed_one(object, "credentials"))
        return CHECK_FAIL(context, "at most one of authorization credentials & credentials_file "
                                   "must be configured");
    return OK;
}

static const struct field authorization_fields[] = {
    {"type", FIELD_STRING, NULL, "Bearer", NULL, 0},
    {"credentials", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"credentials_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"credentials_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_authorization = {"config.plain", authorization_fields,
                                            check_authorization};

static err_t check_tls_version(struct check_context *context, struct str version)
{
    static const char *const known[] = {"", "TLS10", "TLS11", "TLS12", "TLS13"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_equal_cstr(version, known[i]))
            return OK;
    }
    return CHECK_FAIL(context, "unknown TLS version: %.*s", STR_ARG(version));
}

static bool has_any_source(const struct object *object, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s_file", name);
    bool found = object_has_text(object, name) || object_has_text(object, key);
    snprintf(key, sizeof key, "%s_ref", name);
    return found || object_has_text(object, key);
}

static err_t check_tls(struct check_context *context, struct object *object)
{
    TRY(check_secret_sources(context, object, "", "ca"));
    TRY(check_secret_sources(context, object, "", "cert"));
    TRY(check_secret_sources(context, object, "", "key"));
    bool cert = has_any_source(object, "cert");
    bool key = has_any_source(object, "key");
    if (cert && !key)
        return CHECK_FAIL(context, "exactly one of key or key_file must be configured when a "
                                   "client certificate is configured");
    if (key && !cert)
        return CHECK_FAIL(context, "exactly one of cert or cert_file must be configured when a "
                                   "client key is configured");
    TRY(check_tls_version(context, object_get(object, "min_version")->text));
    return check_tls_version(context, object_get(object, "max_version")->text);
}

static const struct field tls_fields[] = {
    {"ca", FIELD_STRING, NULL, NULL, NULL, 0},
    {"cert", FIELD_STRING, NULL, NULL, NULL, 0},
    {"key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"ca_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"cert_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"ca_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"cert_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"key_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"server_name", FIELD_STRING, NULL, NULL, NULL, 0},
    {"insecure_skip_verify", FIELD_BOOL, NULL, NULL, NULL, FIELD_ALWAYS},
    {"min_version", FIELD_STRING, NULL, NULL, NULL, 0},
    {"max_version", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_tls = {"config.plain", tls_fields, check_tls};

static err_t check_proxy(struct check_context *context, const struct object *object)
{
    bool url = object_has_text(object, "proxy_url");
    bool environment = object_get(object, "proxy_from_environment")->b;
    bool no_proxy = object_has_text(object, "no_proxy");
    if (environment && url)
        return CHECK_FAIL(context, "if proxy_from_environment is configured, proxy_url must not be "
                                   "configured");
    if (environment && no_proxy)
        return CHECK_FAIL(context, "if proxy_from_environment is configured, no_proxy must not be "
                                   "configured");
    if (no_proxy && !url)
        return CHECK_FAIL(context, "if no_proxy is configured, proxy_url must also be configured");
    if (object_get(object, "proxy_connect_header")->count > 0 && !url && !environment)
        return CHECK_FAIL(context, "if proxy_connect_header is configured, proxy_url or "
                                   "proxy_from_environment must also be configured");
    return OK;
}

static err_t check_oauth2(struct check_context *context, struct object *object)
{
    if (!object_has_text(object, "client_id"))
        return CHECK_FAIL(context, "oauth2 client_id must be configured");
    if (!object_has_text(object, "token_url"))
        return CHECK_FAIL(context, "oauth2 token_url must be configured");
    if (secret_sources_exceed_one(object, "client_secret"))
        return CHECK_FAIL(context, "at most one of oauth2 client_secret, client_secret_file & "
                                   "client_secret_ref must be configured using grant-type="
                                   "client_credentials");
    if (secret_sources_exceed_one(object, "client_certificate_key"))
        return CHECK_FAIL(context, "at most one of oauth2 client_certificate_key, "
                                   "client_certificate_key_file & client_certificate_key_ref must "
                                   "be configured using grant-type="
                                   "urn:ietf:params:oauth:grant-type:jwt-bearer");
    struct str algorithm = object_get(object, "signature_algorithm")->text;
    if (algorithm.size > 0 && !str_equal(algorithm, STR("RS256")) &&
        !str_equal(algorithm, STR("RS384")) && !str_equal(algorithm, STR("RS512")))
        return CHECK_FAIL(context, "valid signature algorithms are RS256, RS384 and RS512");
    return check_proxy(context, object);
}

static const struct field oauth2_fields[] = {
    {"client_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_secret", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"client_secret_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"client_secret_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_certificate_key_id", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_certificate_key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"client_certificate_key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"client_certificate_key_ref", FIELD_STRING, NULL, NULL, NULL, 0},
    {"grant_type", FIELD_STRING, NULL, NULL, NULL, 0},
    {"signature_algorithm", FIELD_STRING, NULL, NULL, NULL, 0},
    {"iss", FIELD_STRING, NULL, NULL, NULL, 0},
    {"audience", FIELD_STRING, NULL, NULL, NULL, 0},
    {"claims", FIELD_ANY, NULL, NULL, NULL, 0},
    {"scopes", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"token_url", FIELD_STRING, NULL, NULL, NULL, 0},
    {"endpoint_params", FIELD_MAP, NULL, NULL, NULL, 0},
    {"tls_config", FIELD_OBJECT, &schema_tls, NULL, NULL, 0},
    PROXY_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_oauth2 = {"config.plain", oauth2_fields, check_oauth2};

static const struct field http_header_fields[] = {
    {"values", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"secrets", FIELD_SECRETS, NULL, NULL, NULL, 0},
    {"files", FIELD_STRINGS, NULL, NULL, NULL, FIELD_PATH},
    {NULL, 0, NULL, NULL, NULL, 0},
};
const struct schema schema_http_header = {"config.plain", http_header_fields, NULL};

static const char *const reserved_headers[] = {"Authorization",
                                               "Host",
                                               "Content-Encoding",
                                               "Content-Length",
                                               "Content-Type",
                                               "User-Agent",
                                               "Connection",
                                               "Keep-Alive",
                                               "Proxy-Authenticate",
                                               "Proxy-Authorization",
                                               "Www-Authenticate",
                                               "Accept-Encoding",
                                               "X-Prometheus-Remote-Write-Version",
                                               "X-Prometheus-Remote-Read-Version",
                                               "X-Prometheus-Scrape-Timeout-Seconds",
                                               "X-Amz-Date",
                                               "X-Amz-Security-Token",
                                               "X-Amz-Content-Sha256"};

static err_t check_http_headers(struct check_context *context, const struct object *object)
{
    const struct value *headers = object_get(object, "http_headers");
    for (uint32_t i = 0; i < headers->count; i++) {
        for (size_t r = 0; r < sizeof reserved_headers / sizeof *reserved_headers; r++) {
            if (str_equal_nocase(headers->named_objects[i].name,
                                 str_from_cstr(reserved_headers[r])))
                return CHECK_FAIL(context, "setting header \"%s\" is not allowed",
                                  reserved_headers[r]);
        }
    }
    return OK;
}

err_t check_custom_headers(struct check_context *context, const struct value *headers,
                           const char *authorization_error)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        struct str name = headers->named[i].name;
        if (str_equal_nocase(name, STR("authorization")))
            return CHECK_FAIL(context, "%s", authorization_error);
        for (size_t r = 0; r < sizeof reserved_headers / sizeof *reserved_headers; r++) {
            if (strcmp(reserved_headers[r], "X-Prometheus-Scrape-Timeout-Seconds") != 0 &&
                str_equal_nocase(name, str_from_cstr(reserved_headers[r])))
                return CHECK_FAIL(context, "%.*s is a reserved header. It must not be changed",
                                  STR_ARG(name));
        }
    }
    return OK;
}

/* bearer_token and bearer_token_file live on as authorization. */
static void rewrite_bearer(struct check_context *context, struct object *object)
{
    struct value *token = object_get(object, "bearer_token");
    struct value *file = object_get(object, "bearer_token_file");
    if (token->text.size == 0 && file->text.size == 0)
        return;
    struct value *authorization = object_get(object, "authorization");
    authorization->set = true;
    authorization->object = schema_default(&schema_authorization, context->arena);
    object_get(authorization->object, "credentials")->text = token->text;
    object_get(authorization->object, "credentials_file")->text = file->text;
}

err_t check_http_client(struct check_context *context, struct object *object)
{
    bool token = object_has_text(object, "bearer_token");
    bool token_file = object_has_text(object, "bearer_token_file");
    bool bearer = token || token_file;
    bool basic = object_get(object, "basic_auth")->object != NULL;
    bool authorization = object_get(object, "authorization")->object != NULL;
    bool oauth2 = object_get(object, "oauth2")->object != NULL;
    if (token && token_file)
        return CHECK_FAIL(context,
                          "at most one of bearer_token & bearer_token_file must be configured");
    if (bearer && (basic || oauth2))
        return CHECK_FAIL(context, "at most one of basic_auth, oauth2, bearer_token & "
                                   "bearer_token_file must be configured");
    if (bearer && authorization)
        return CHECK_FAIL(context, "authorization is not compatible with bearer_token & "
                                   "bearer_token_file");
    if (basic + authorization + oauth2 > 1)
        return CHECK_FAIL(context, "at most one of basic_auth, oauth2 & authorization must be "
                                   "configured");
    TRY(check_http_headers(context, object));
    TRY(check_proxy(context, object));
    rewrite_bearer(context, object);
    return OK;
}

bool http_client_is_custom(const struct object *object)
{
    static const char *const keys[] = {
        "basic_auth",       "authorization",          "oauth2",
        "bearer_token",     "bearer_token_file",      "tls_config",
        "proxy_url",        "http_headers",           "no_proxy",
        "follow_redirects", "proxy_from_environment", "enable_http2"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct value *value = object_find(object, keys[i]);
        if (value != NULL && value->set)
            return true;
    }
    return false;
}
