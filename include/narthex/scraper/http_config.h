/* scraper/http_config.h: the HTTP client block of the configuration (spec
 * config-and-scrape.md 1.4), shared by scraping, discovery, remote and notifications. Filled by the
 * loader; strings are owned by the configuration's arena, absent ones have size 0. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"

/* A secret given in place, in a file read on every request, or by reference (which always fails).
 */
struct secret_source {
    struct str value;
    struct str file;
    struct str ref;
};

struct tls_config {
    struct str ca, ca_file, ca_ref;
    struct str cert, cert_file, cert_ref;
    struct secret_source key;
    struct str server_name;
    bool insecure_skip_verify;
    struct str min_version, max_version; /* "TLS10" … "TLS13" or empty */
};

struct proxy_header {
    struct str name;
    const struct str *values;
    uint32_t value_count;
};

struct proxy_config {
    struct str url;
    struct str no_proxy;
    bool from_environment;
    const struct proxy_header *connect_headers;
    uint32_t connect_header_count;
};

struct name_value {
    struct str name;
    struct str value;
};

struct oauth2_config {
    struct str client_id;
    struct secret_source client_secret;
    struct str client_certificate_key_id;
    struct secret_source client_certificate_key;
    struct str grant_type; /* "" is client_credentials */
    struct str signature_algorithm;
    struct str issuer;
    struct str audience;
    struct str claims; /* further claims of the assertion as a JSON object; "" is none */
    const struct str *scopes;
    uint32_t scope_count;
    struct str token_url;
    const struct name_value *endpoint_params;
    uint32_t endpoint_param_count;
    struct tls_config tls;
    struct proxy_config proxy;
};

struct http_header_config {
    struct str name;
    const struct str *values;
    uint32_t value_count;
    const struct str *secrets;
    uint32_t secret_count;
    const struct str *files;
    uint32_t file_count;
};

struct http_client_config {
    bool has_basic_auth;
    struct str username, username_file, username_ref;
    struct secret_source password;
    bool has_authorization;
    struct str authorization_type; /* "Bearer" by default */
    struct secret_source credentials;
    const struct oauth2_config *oauth2; /* NULL: none */
    struct tls_config tls;
    struct proxy_config proxy;
    bool follow_redirects; /* default true */
    bool enable_http2;     /* default true */
    const struct http_header_config *headers;
    uint32_t header_count;
};
