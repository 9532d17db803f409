/* scraper/http_client.h: HTTP requests as the client block of the configuration asks for them
 * (spec config-and-scrape.md 1.4): authentication, TLS, proxy, headers, redirects.
 *
 * A client may be used by all threads at once. Secrets kept in files are read again on every
 * request. Error texts have the shape of Go's net/http: `Get "URL": dial tcp 127.0.0.1:1: connect:
 * connection refused`. Scraping uses the same client through its own event loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/scraper/http_config.h"

struct http_client;

/* `config` is borrowed and must outlive the client. Fails with the text of a block that cannot work
 * (missing CA file, secret reference, unsupported grant). */
err_t http_client_create(const struct http_client_config *config, struct http_client **client,
                         struct strbuf *why);
void http_client_destroy(struct http_client *client);

struct http_request {
    const char *method;     /* NULL: GET */
    struct str url;         /* borrowed for the request, like everything here */
    struct str unix_socket; /* connect there instead; empty: no */
    const struct name_value *headers;
    size_t header_count;
    struct str body;          /* sent when size > 0 */
    struct str wanted_header; /* whose value the answer is to keep: "Api-Version"; empty: none */
    int64_t timeout_ms;
    const _Atomic bool *cancel; /* http_client_fetch gives up (ERR_CANCELED) within about a second
                                   once it is set; NULL: never */
};

enum {
    HTTP_REASON_MAX = 128,
    HTTP_CONTENT_TYPE_MAX = 256,
    HTTP_CONTENT_ENCODING_MAX = 32,
    HTTP_WANTED_HEADER_MAX = 64,
};

/* The head of an answer; all texts end with a NUL and are cut to fit. Of a field that comes twice
 * the first counts, as in Go. */
struct http_answer {
    uint32_t status;
    uint8_t taken;                /* the fields that came */
    char reason[HTTP_REASON_MAX]; /* "Not Found" */
    char content_type[HTTP_CONTENT_TYPE_MAX];
    char content_encoding[HTTP_CONTENT_ENCODING_MAX];
    char wanted_header[HTTP_WANTED_HEADER_MAX];
};

/* Performs one request and waits for its end; any status is a success. The body, decompressed, is
 * appended to `body`; more than body_bytes_max is ERR_LIMIT. Uses a connection of its own. */
err_t http_client_fetch(struct http_client *client, const struct http_request *request,
                        size_t body_bytes_max, struct http_answer *answer, struct strbuf *body,
                        struct strbuf *why);
