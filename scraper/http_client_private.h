/* Inside of struct http_client, shared by http_client.c, http_transfer.c and oauth2.c. */
#pragma once

#include "http_transfer.h"
#include "narthex/base/thread.h"

struct http_client {
    const struct http_client_config *config;
    bool is_plain;              /* requests may go without curl (http_wire_request.h) */
    struct strbuf plain_fields; /* the fields that the configuration adds to those; secret */
    struct mutex token_lock;
    /* guarded by token_lock */
    struct strbuf token; /* "Bearer abc", empty when none was fetched */
    int64_t token_expires_ns;
};

/* Appends the secret, read and trimmed; `what` names it in errors. */
err_t http__read_secret(const struct secret_source *secret, const char *what, struct strbuf *out,
                        struct strbuf *why);
/* Trimmed content of a secret file. */
err_t http__read_secret_file(struct str path, struct strbuf *out, struct strbuf *why);

/* http_transfer_prepare for one request of a way that redirects lead. */
err_t http__transfer_prepare_hop(struct http_transfer *transfer, struct http_client *client,
                                 const struct http_request *request, struct strbuf *why);
/* Parts of http_transfer_prepare that the token request shares. */
void http__transfer_reset(struct http_transfer *transfer, const char *method, struct str url);
err_t http__transfer_add_header(struct http_transfer *transfer, struct str name, struct str value,
                                struct strbuf *why);
err_t http__transfer_set_tls(struct http_transfer *transfer, const struct tls_config *tls,
                             struct strbuf *why);
void http__transfer_set_proxy(struct http_transfer *transfer, const struct proxy_config *proxy);
void http__transfer_set_basic_auth(struct http_transfer *transfer, const char *user,
                                   const char *password);
/* The configuration's fields as text, for requests that go without curl; false, *out then holds
 * anything, when they cannot. */
bool http__write_plain_fields(const struct http_client_config *config, struct strbuf *out);
/* Status line or field of an answer's head. */
void http__answer_take_line(struct http_answer *answer, struct str line);
/* Text of a token that must not reach a log is wiped. */
void http__strbuf_wipe(struct strbuf *buf);

/* Standard phrase for a status, "" when there is none (HTTP/2 sends no phrase). */
const char *http__status_phrase(uint32_t status);
