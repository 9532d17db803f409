#include "narthex/scraper/http_client.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "http_client_private.h"
#include "narthex/base/clock.h"
#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "oauth2_assertion.h"

enum { SECRET_BYTES_MAX = 1 << 20 };
static const int64_t ns_per_ms = 1000000;

void http__strbuf_wipe(struct strbuf *buf)
{
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->capacity);
    strbuf_clear(buf);
}

err_t http__read_secret_file(struct str path, struct strbuf *out, struct strbuf *why)
{
    struct strbuf name = STRBUF_INIT;
    struct strbuf content = STRBUF_INIT;
    strbuf_add_str(&name, path);
    err_t err = fs_read_file(strbuf_cstr(&name), SECRET_BYTES_MAX, &content, why);
    if (err == OK) {
        strbuf_add_str(out, str_trim(strbuf_str(&content)));
    } else {
        struct strbuf cause = STRBUF_INIT;
        strbuf_add_str(&cause, strbuf_str(why));
        (void)err_fail(why, err, "unable to read file %s: %s", strbuf_cstr(&name),
                       strbuf_cstr(&cause));
        strbuf_deinit(&cause);
    }
    http__strbuf_wipe(&content);
    strbuf_deinit(&content);
    strbuf_deinit(&name);
    return err;
}

err_t http__read_secret(const struct secret_source *secret, const char *what, struct strbuf *out,
                        struct strbuf *why)
{
    if (secret->ref.size > 0)
        return err_fail(why, ERR_INVALID,
                        "unable to read %s: cannot use secret ref without manager", what);
    if (secret->file.size == 0) {
        strbuf_add_str(out, secret->value);
        return OK;
    }
    err_t err = http__read_secret_file(secret->file, out, why);
    if (err != OK) {
        struct strbuf cause = STRBUF_INIT;
        strbuf_add_str(&cause, strbuf_str(why));
        (void)err_fail(why, err, "unable to read %s: %s", what, strbuf_cstr(&cause));
        strbuf_deinit(&cause);
    }
    return err;
}

static err_t check_readable(struct str path, const char *what, struct strbuf *why)
{
    if (path.size == 0)
        return OK;
    struct strbuf name = STRBUF_INIT;
    strbuf_add_str(&name, path);
    err_t err = OK;
    if (access(strbuf_cstr(&name), R_OK) != 0) {
        int cause = errno;
        err = err_fail(why, cause == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                       "unable to read %s: unable to read file %s: open %s: %s", what,
                       strbuf_cstr(&name), strbuf_cstr(&name),
                       cause == ENOENT ? "no such file or directory" : strerror(cause));
    }
    strbuf_deinit(&name);
    return err;
}

static err_t check_tls(const struct tls_config *tls, struct strbuf *why)
{
    if (tls->ca_ref.size > 0 || tls->cert_ref.size > 0 || tls->key.ref.size > 0)
        return err_fail(why, ERR_INVALID, "cannot use secret ref without manager");
    TRY(check_readable(tls->ca_file, "CA cert", why));
    TRY(check_readable(tls->cert_file, "client cert", why));
    return check_readable(tls->key.file, "client key", why);
}

static err_t check_config(const struct http_client_config *config, struct strbuf *why)
{
    TRY(check_tls(&config->tls, why));
    if (config->oauth2 == NULL)
        return OK;
    struct str grant = config->oauth2->grant_type;
    if (oauth2_uses_assertion(config->oauth2))
        TRY(oauth2_assertion_check(config->oauth2, why));
    else if (grant.size > 0 && !str_equal(grant, STR("client_credentials")))
        return err_fail(why, ERR_UNSUPPORTED, "oauth2 grant_type \"%.*s\" is not supported",
                        STR_ARG(grant));
    return check_tls(&config->oauth2->tls, why);
}

err_t http_client_create(const struct http_client_config *config, struct http_client **client,
                         struct strbuf *why)
{
    TRY(check_config(config, why));
    struct http_client *c = MEM_NEW(MEM_SCRAPE, struct http_client);
    c->config = config;
    c->is_plain = http__write_plain_fields(config, &c->plain_fields);
    mutex_init(&c->token_lock);
    *client = c;
    return OK;
}

void http_client_destroy(struct http_client *client)
{
    if (client == NULL)
        return;
    http__strbuf_wipe(&client->token);
    strbuf_deinit(&client->token);
    http__strbuf_wipe(&client->plain_fields);
    strbuf_deinit(&client->plain_fields);
    mutex_deinit(&client->token_lock);
    mem_free(MEM_SCRAPE, client);
}

struct fetch_body {
    struct strbuf *body;
    size_t start;
    size_t bytes_max;
    bool over;
};

static bool take_body(void *context, const char *data, size_t size)
{
    struct fetch_body *fetch = context;
    if (fetch->body->size - fetch->start + size > fetch->bytes_max) {
        fetch->over = true;
        return false;
    }
    strbuf_add(fetch->body, data, size);
    return true;
}

static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    const _Atomic bool *cancel = context;
    return atomic_load_explicit(cancel, memory_order_relaxed) ? 1 : 0;
}

static err_t perform(struct http_transfer *transfer, const struct http_request *request,
                     struct strbuf *why)
{
    if (request->cancel != NULL) {
        curl_easy_setopt(transfer->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(transfer->easy, CURLOPT_XFERINFODATA, request->cancel);
        curl_easy_setopt(transfer->easy, CURLOPT_NOPROGRESS, 0L);
    }
    CURLcode code = curl_easy_perform(transfer->easy);
    if (code == CURLE_OK)
        return OK;
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        http_transfer_explain(transfer, "context canceled", why);
        return ERR_CANCELED;
    }
    http_transfer_failure(transfer, code, why);
    return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO;
}

err_t http_client_fetch(struct http_client *client, const struct http_request *request,
                        size_t body_bytes_max, struct http_answer *answer, struct strbuf *body,
                        struct strbuf *why)
{
    struct http_transfer transfer;
    http_transfer_init(&transfer);
    struct http_request hop = *request;
    int64_t end_ns = clock_monotonic_ns(clock_system()) + request->timeout_ms * ns_per_ms;
    struct fetch_body fetch = {body, body->size, body_bytes_max, false};
    err_t err = OK;
    if (http_client_needs_token(client)) {
        TRY_OUT(http_transfer_prepare_token(&transfer, client, request, why));
        TRY_OUT(perform(&transfer, request, why));
        TRY_OUT(http_client_take_token(client, &transfer, why));
    }
    TRY_OUT(http_transfer_prepare(&transfer, client, request, take_body, &fetch, why));
    for (;;) {
        curl_easy_setopt(transfer.easy, CURLOPT_ACCEPT_ENCODING, "gzip");
        err = perform(&transfer, request, why);
        bool redirected = (err == OK || err == ERR_IO) && http_transfer_is_redirect(&transfer);
        if (!redirected)
            break;
        int64_t left_ms = (end_ns - clock_monotonic_ns(clock_system())) / ns_per_ms;
        hop.timeout_ms = left_ms < 1 ? 1 : left_ms;
        TRY_OUT(http_transfer_follow(&transfer, client, &hop, why));
    }
    if (fetch.over)
        err = err_fail(why, ERR_LIMIT, "answer larger than %zu bytes", body_bytes_max);
    *answer = transfer.answer;
out:
    http_transfer_deinit(&transfer);
    return err;
}
