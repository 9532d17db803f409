/* config/web_config.h: the file of --web.config.file: TLS, users, answer headers, rate limit.
 *
 * Read strictly, as Prometheus' exporter toolkit reads it (spec http-api.md, section 3). The values
 * are immutable once loaded; web_tls.h makes them usable for GnuTLS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum web_client_auth {
    WEB_CLIENT_NONE,
    WEB_CLIENT_REQUEST,         /* asked for, not verified */
    WEB_CLIENT_REQUIRE_ANY,     /* must be there, not verified */
    WEB_CLIENT_VERIFY_IF_GIVEN, /* verified when there */
    WEB_CLIENT_REQUIRE_AND_VERIFY,
};

enum web_tls_version { WEB_TLS10, WEB_TLS11, WEB_TLS12, WEB_TLS13 };

/* tls_server_config. Either of file and text is set for certificate and key. */
struct web_tls_config {
    bool enabled;
    struct str cert_file, key_file, cert, key;
    struct str client_ca_file, client_ca; /* both may be empty */
    enum web_client_auth client_auth;
    const struct str *allowed_sans; /* exact names; used when has_allowed_sans */
    uint32_t allowed_san_count;
    bool has_allowed_sans;
    const struct str *cipher_suites; /* Go's names; none: all */
    uint32_t cipher_suite_count;
    const struct str *curves; /* Go's names, in order of preference; none: all */
    uint32_t curve_count;
    enum web_tls_version min_version, max_version;
};

struct web_pair {
    struct str name;
    struct str value;
};

struct web_config {
    struct web_tls_config tls;
    const struct web_pair *headers;
    uint32_t header_count;
    const struct web_pair *users; /* name and bcrypt hash */
    uint32_t user_count;
    int64_t rate_interval_ns; /* 0: no limit; else one request more per interval */
    int64_t rate_burst;
    bool http2; /* accepted and without effect: HTTP/1.1 is spoken */
    struct arena arena;
};

/* Loads and checks a file; what it names (certificates) is not opened. Relative paths are joined
 * with the file's folder. ERR_INVALID with Prometheus' text, ERR_NOT_FOUND and ERR_IO with "open
 * PATH: …". */
err_t web_config_load(const char *path, struct web_config **config, struct strbuf *why);
/* The same from memory. */
err_t web_config_load_text(struct str text, struct str folder, struct web_config **config,
                           struct strbuf *why);
void web_config_free(struct web_config *config);
