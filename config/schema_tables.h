/* config/schema_tables.h: the sections' tables, shared between the schema_*.c files. */
#pragma once

#include "schema.h"

extern const struct schema schema_tls;
extern const struct schema schema_basic_auth;
extern const struct schema schema_authorization;
extern const struct schema schema_oauth2;
extern const struct schema schema_http_header;
extern const struct schema schema_proxy;
extern const struct schema schema_sigv4;
extern const struct schema schema_relabel;
extern const struct schema schema_target_group;
extern const struct schema schema_scrape;
extern const struct schema schema_global;
extern const struct schema schema_alerting;
extern const struct schema schema_storage;
extern const struct schema schema_tsdb;
extern const struct schema schema_tracing;
extern const struct schema schema_remote_write;
extern const struct schema schema_remote_read;
extern const struct schema schema_otlp;
extern const struct schema schema_runtime;

/* The HTTP client block, inline in many sections (spec config-and-scrape.md 1.4). */
#define PROXY_FIELDS                                                                               \
    {"proxy_url", FIELD_URL, NULL, NULL, NULL, 0},                                                 \
        {"no_proxy", FIELD_STRING, NULL, NULL, NULL, 0},                                           \
        {"proxy_from_environment", FIELD_BOOL, NULL, NULL, NULL, 0},                               \
    {                                                                                              \
        "proxy_connect_header", FIELD_SECRET_LISTS, NULL, NULL, NULL, 0                            \
    }
#define HTTP_CLIENT_FIELDS_HTTP2(http2)                                                            \
    {"basic_auth", FIELD_OBJECT, &schema_basic_auth, NULL, NULL, 0},                               \
        {"authorization", FIELD_OBJECT, &schema_authorization, NULL, NULL, 0},                     \
        {"oauth2", FIELD_OBJECT, &schema_oauth2, NULL, NULL, 0},                                   \
        {"bearer_token", FIELD_SECRET, NULL, NULL, NULL, FIELD_HIDDEN},                            \
        {"bearer_token_file", FIELD_STRING, NULL, NULL, NULL, FIELD_HIDDEN | FIELD_PATH},          \
        {"tls_config", FIELD_OBJECT, &schema_tls, NULL, NULL, 0},                                  \
        {"follow_redirects", FIELD_BOOL, NULL, "true", NULL, FIELD_ALWAYS},                        \
        {"enable_http2", FIELD_BOOL, NULL, http2, NULL, FIELD_ALWAYS},                             \
        {"http_headers", FIELD_OBJECT_MAP, &schema_http_header, NULL, NULL, 0}, PROXY_FIELDS
#define HTTP_CLIENT_FIELDS HTTP_CLIENT_FIELDS_HTTP2("true")

/* All discovery mechanisms of the 3.14 schema, alphabetically. */
/* clang-format off */
#define DISCOVERY_MECHANISMS(X) \
    X(aws) X(azure) X(consul) X(digitalocean) X(dns) X(docker) \
    X(dockerswarm) X(ec2) X(ecs) X(elasticache) X(eureka) X(file) \
    X(gce) X(hetzner) X(http) X(ionos) X(kubernetes) X(kuma) \
    X(lightsail) X(linode) X(marathon) X(msk) X(nerve) X(nomad) \
    X(oci) X(openstack) X(outscale) X(ovhcloud) X(puppetdb) X(rds) \
    X(scaleway) X(serverset) X(stackit) X(triton) X(uyuni) X(vultr)
/* clang-format on */
#define DISCOVERY_DECLARE(name) extern const struct schema schema_##name##_sd;
DISCOVERY_MECHANISMS(DISCOVERY_DECLARE)
#undef DISCOVERY_DECLARE
#define DISCOVERY_FIELD(name)                                                                      \
    {#name "_sd_configs",                                                                          \
     FIELD_OBJECTS,                                                                                \
     &schema_##name##_sd,                                                                          \
     NULL,                                                                                         \
     "empty or null section in " #name "_sd_configs",                                              \
     0},
#define DISCOVERY_FIELDS                                                                           \
    DISCOVERY_MECHANISMS(DISCOVERY_FIELD)                                                          \
    {                                                                                              \
        "static_configs", FIELD_OBJECTS, &schema_target_group, NULL,                               \
            "empty or null section in static_configs", 0                                           \
    }

/* Checks the HTTP client block inside `object` and rewrites bearer_token* into authorization. */
err_t check_http_client(struct check_context *context, struct object *object);
/* Refuses reserved names among custom request headers. */
err_t check_custom_headers(struct check_context *context, const struct value *headers,
                           const char *authorization_error);
/* Whether any key of the HTTP client block was set in the file. */
bool http_client_is_custom(const struct object *object);

#define CHECK_FAIL(context, ...) err_fail((context)->why, ERR_INVALID, __VA_ARGS__)
