/* The HTTP side of a scrape: request, body, format. */
#include <assert.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/url.h"
#include "scrape_shard.h"

enum {
    ERROR_BODY_BYTES_MAX = 64 << 10, /* read from an error answer to keep its connection usable */
    SHARD_BODIES = 2,                /* a shard holds at most this many times the largest body */
};

static size_t shard_budget(const struct scrape_shard *shard)
{
    return shard->options.manager->body_bytes_max * SHARD_BODIES;
}

static bool is_gzip(const struct scrape_request *request)
{
    return strcmp(request->transfer.answer.content_encoding, "gzip") == 0;
}

/* A packed body may be a little larger than what it holds: gzip's head and stored blocks. */
static size_t wire_limit(const struct scrape_request *request)
{
    return is_gzip(request) ? request->limit_bytes + request->limit_bytes / 64 + 1024
                            : request->limit_bytes;
}

bool scrape_fetch_take_body(void *context, const char *data, size_t size)
{
    struct scrape_request *request = context;
    struct scrape_shard *shard = request->loop->shard;
    if (request->transfer.answer.status != 200) {
        request->discarded_bytes += size;
        return request->discarded_bytes <= ERROR_BODY_BYTES_MAX;
    }
    size_t before = request->body.capacity;
    if (shard->body_bytes + size > shard_budget(shard)) {
        request->over_budget = true;
        return false;
    }
    if (!scrape_body_add(&request->body, data, size, wire_limit(request))) {
        request->over_limit = true;
        return false;
    }
    shard->body_bytes += request->body.capacity - before;
    return true;
}

static struct scrape_request *take_request(struct scrape_shard *shard)
{
    struct scrape_request *request = shard->spare;
    if (request != NULL) {
        shard->spare = request->next_spare;
        shard->spare_count--;
    } else {
        request = MEM_NEW(MEM_SCRAPE, struct scrape_request);
        http_transfer_init(&request->transfer);
    }
    request->discarded_bytes = 0;
    request->over_limit = false;
    request->over_budget = false;
    request->phase = FETCH_CURL;
    shard->body_bytes += request->body.capacity;
    return request;
}

void scrape_fetch_free(struct scrape_request *request)
{
    http_transfer_deinit(&request->transfer);
    http_wire_reader_deinit(&request->reader);
    scrape_body_deinit(&request->body);
    mem_free(MEM_SCRAPE, request);
}

void scrape_fetch_release(struct scrape_loop *loop)
{
    struct scrape_request *request = loop->request;
    struct scrape_shard *shard = loop->shard;
    if (request == NULL)
        return;
    scrape_fetch_leave_multi(loop);
    if (request->wire != NULL) {
        scrape_wire_forget(loop);
        http_wire_close(&shard->wires, request->wire);
    }
    request->wire = NULL;
    loop->request = NULL;
    assert(shard->body_bytes >= request->body.capacity);
    shard->body_bytes -= request->body.capacity;
    scrape_body_clear(&request->body);
    request->loop = NULL;
    if (shard->spare_count >= SCRAPE_SPARE_REQUESTS) {
        scrape_fetch_free(request);
        return;
    }
    request->next_spare = shard->spare;
    shard->spare = request;
    shard->spare_count++;
}

static size_t body_limit(const struct scrape_loop *loop)
{
    size_t hard = loop->shard->options.manager->body_bytes_max;
    uint64_t wanted = loop->target->job->config->body_size_limit;
    return wanted > 0 && wanted < hard ? (size_t)wanted : hard;
}

void scrape_fetch_headers(const struct scrape_loop *loop, char seconds[NUMBER_TEXT_MAX],
                          struct name_value headers[SCRAPE_HEADERS])
{
    const struct scrape_target *target = loop->target;
    size_t seconds_size = number_format_plain((double)target->timeout_ms / 1000, seconds);
    bool packed = target->job->config->enable_compression;
    headers[0] = (struct name_value){STR("User-Agent"), STR("Prometheus/3.14.0")};
    headers[1] = (struct name_value){STR("Accept"), target->job->accept};
    headers[2] =
        (struct name_value){STR("Accept-Encoding"), packed ? STR("gzip") : STR("identity")};
    headers[3] = (struct name_value){STR("X-Prometheus-Scrape-Timeout-Seconds"),
                                     str_from(seconds, seconds_size)};
}

int64_t scrape_fetch_left_ms(const struct scrape_loop *loop)
{
    int64_t now_ns = clock_monotonic_ns(loop->shard->options.manager->clock);
    int64_t left_ms = loop->target->timeout_ms - (now_ns - loop->started_ns) / 1000000;
    return left_ms < 1 ? 1 : left_ms;
}

/* The request itself, or the next hop of it. */
static err_t prepare(struct scrape_loop *loop, bool follow, struct strbuf *why)
{
    const struct scrape_target *target = loop->target;
    char seconds[NUMBER_TEXT_MAX];
    struct name_value headers[SCRAPE_HEADERS];
    scrape_fetch_headers(loop, seconds, headers);
    struct http_request request = {
        .url = target->url,
        .unix_socket = target->unix_socket,
        .headers = headers,
        .header_count = SCRAPE_HEADERS,
        .timeout_ms = scrape_fetch_left_ms(loop),
    };
    if (follow)
        return http_transfer_follow(&loop->request->transfer, target->job->client, &request, why);
    return http_transfer_prepare(&loop->request->transfer, target->job->client, &request,
                                 scrape_fetch_take_body, loop->request, why);
}

err_t scrape_fetch_enter_multi(struct scrape_loop *loop, struct strbuf *why)
{
    struct scrape_request *request = loop->request;
    CURL *easy = request->transfer.easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, loop);
    CURLMcode code = curl_multi_add_handle(loop->shard->multi, easy);
    if (code != CURLM_OK)
        return err_fail(why, ERR_IO, "%s", curl_multi_strerror(code));
    request->in_multi = true;
    loop->shard->transfer_count++;
    return OK;
}

void scrape_fetch_leave_multi(struct scrape_loop *loop)
{
    struct scrape_request *request = loop->request;
    if (!request->in_multi)
        return;
    curl_multi_remove_handle(loop->shard->multi, request->transfer.easy);
    request->in_multi = false;
    loop->shard->transfer_count--;
}

/* The whole exchange by curl. */
static err_t start_transfer(struct scrape_loop *loop, struct strbuf *why)
{
    struct scrape_request *request = loop->request;
    request->phase = FETCH_CURL;
    request->body.size = 0;
    request->discarded_bytes = 0;
    TRY(prepare(loop, false, why));
    return scrape_fetch_enter_multi(loop, why);
}

static err_t follow_redirect(struct scrape_loop *loop, struct strbuf *why)
{
    scrape_fetch_leave_multi(loop);
    TRY(prepare(loop, true, why));
    return scrape_fetch_enter_multi(loop, why);
}

static err_t start_token(struct scrape_loop *loop, struct strbuf *why)
{
    struct http_request first = {.timeout_ms = scrape_fetch_left_ms(loop)};
    loop->request->phase = FETCH_TOKEN;
    TRY(http_transfer_prepare_token(&loop->request->transfer, loop->target->job->client, &first,
                                    why));
    return scrape_fetch_enter_multi(loop, why);
}

err_t scrape_fetch_start(struct scrape_loop *loop, struct strbuf *why)
{
    assert(loop->request == NULL);
    struct scrape_request *request = take_request(loop->shard);
    loop->request = request;
    request->loop = loop;
    request->limit_bytes = body_limit(loop);
    if (scrape_wire_fits(loop))
        return scrape_wire_start(loop, why);
    TRY(url_check(loop->target->url, why));
    if (http_client_needs_token(loop->target->job->client))
        return start_token(loop, why);
    return start_transfer(loop, why);
}

/* The token was asked for on behalf of the scrape: errors name the scrape's URL, as Go's do. */
static err_t explain_token(struct scrape_loop *loop, err_t err, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "Get ");
    url_add_quoted(&text, loop->target->url);
    strbuf_printf(&text, ": %s", strbuf_cstr(why));
    strbuf_clear(why);
    strbuf_add_str(why, strbuf_str(&text));
    strbuf_deinit(&text);
    return err;
}

static err_t take_token(struct scrape_loop *loop, CURLcode code, struct strbuf *why)
{
    struct http_transfer *transfer = &loop->request->transfer;
    scrape_fetch_leave_multi(loop);
    if (code != CURLE_OK) {
        http_transfer_failure(transfer, code, why);
        return explain_token(loop, ERR_IO, why);
    }
    err_t err = http_client_take_token(loop->target->job->client, transfer, why);
    return err == OK ? OK : explain_token(loop, err, why);
}

err_t scrape_fetch_continue(struct scrape_loop *loop, CURLcode code, bool *again,
                            struct strbuf *why)
{
    *again = true;
    switch (loop->request->phase) {
    case FETCH_TOKEN:
        TRY(take_token(loop, code, why));
        return start_transfer(loop, why);
    case FETCH_STALE:
        return scrape_wire_connect(loop, why);
    case FETCH_ODD:
        return start_transfer(loop, why);
    case FETCH_CONNECT:
        if (code == CURLE_OK)
            return scrape_wire_connected(loop) ? OK : start_transfer(loop, why);
        break; /* curl says why */
    case FETCH_CURL:
        if ((code == CURLE_OK || code == CURLE_WRITE_ERROR) &&
            http_transfer_is_redirect(&loop->request->transfer))
            return follow_redirect(loop, why);
        break;
    case FETCH_WIRE:
        break;
    }
    *again = false;
    return OK;
}

static err_t judge_answer(struct scrape_loop *loop, CURLcode code, struct strbuf *why)
{
    struct scrape_request *request = loop->request;
    const struct http_answer *answer = &request->transfer.answer;
    if (request->over_limit)
        return err_fail(why, ERR_LIMIT, "body size limit exceeded");
    if (request->over_budget)
        return err_fail(why, ERR_LIMIT, "memory for bodies of concurrent scrapes is used up");
    /* A redirect that was followed is not the answer: what came after it is. */
    bool followed = code != CURLE_OK && http_status_redirects(answer->status);
    if (request->transfer.answered && answer->status != 200 && !followed)
        return err_fail(why, ERR_IO, "server returned HTTP status %u %s", answer->status,
                        answer->reason);
    if (code != CURLE_OK) {
        http_transfer_failure(&request->transfer, code, why);
        return ERR_IO;
    }
    return OK;
}

err_t scrape_fetch_result(struct scrape_loop *loop, CURLcode code, struct str *body,
                          enum exposition_format *format, struct strbuf *why)
{
    struct scrape_shard *shard = loop->shard;
    struct scrape_request *request = loop->request;
    TRY(judge_answer(loop, code, why));
    *body = str_from(request->body.data, request->body.size);
    if (is_gzip(request)) {
        TRY(scrape_body_gunzip(shard->decompressor, &request->body, loop->body_bytes_last,
                               request->limit_bytes, &shard->unpacked, why));
        *body = str_from(shard->unpacked.data, shard->unpacked.size);
    }
    loop->body_bytes_last = body->size;
    if (body->size == 0)
        return OK;
    enum scrape_protocol fallback = loop->target->job->config->fallback_protocol;
    return exposition_format_choose(str_from_cstr(request->transfer.answer.content_type),
                                    (enum exposition_protocol)fallback, format, why);
}
