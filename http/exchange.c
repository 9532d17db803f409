/* One request from its first byte to the queued answer. */
#include "exchange.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>

#include "head_check.h"
#include "narthex/base/hash.h"
#include "narthex/model/regex.h"
#include "redirect.h"

enum {
    STREAM_BLOCK_BYTES = 16 * 1024,
    LONG_BLOCK_BYTES =
        128 * 1024, /* of bodies that need no chunks, which libmicrohttpd keeps small */
};

/* http__stream_suspend and _resume get from the request to the exchange. */
static_assert(offsetof(struct http_exchange, request) == 0, "the request comes first");

void *exchange__begin(void *server, const char *uri, struct MHD_Connection *connection)
{
    struct http_exchange *exchange = MEM_NEW(MEM_HTTP, struct http_exchange);
    exchange->server = server;
    exchange->connection = connection;
    exchange->started_ns = clock_monotonic_ns(clock_system());
    strbuf_add_cstr(&exchange->uri, uri);
    arena_init(&exchange->request.arena, MEM_HTTP, SIZE_MAX);
    exchange->request.services = exchange->server->services;
    exchange->request.options = &exchange->server->options;
    exchange->request.quick = &exchange->server->quick;
    connections__reading(&exchange->server->connections, connection);
    return exchange;
}

static enum http_method parse_method(const char *method)
{
    static const char *const names[] = {[HTTP_GET] = "GET",
                                        [HTTP_HEAD] = "HEAD",
                                        [HTTP_POST] = "POST",
                                        [HTTP_PUT] = "PUT",
                                        [HTTP_OPTIONS] = "OPTIONS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(method, names[i]) == 0)
            return (enum http_method)i;
    }
    return HTTP_OTHER;
}

static struct str header(struct http_exchange *exchange, const char *name)
{
    return str_from_cstr(MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name));
}

/* "address:port" of the other side, empty if it has none. */
static struct str client_of(struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    char text[INET6_ADDRSTRLEN] = "";
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        return arena_printf(&exchange->request.arena, "%s:%u", text, ntohs(v4->sin_port));
    }
    if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        return arena_printf(&exchange->request.arena, "[%s]:%u", text, ntohs(v6->sin6_port));
    }
    return STR("");
}

static void read_head(struct http_exchange *exchange, const char *method)
{
    struct http_request *request = &exchange->request;
    struct str uri = strbuf_str(&exchange->uri);
    request->method = parse_method(method);
    request->accept_encoding = header(exchange, "Accept-Encoding");
    request->accept = header(exchange, "Accept");
    request->if_none_match = header(exchange, "If-None-Match");
    request->origin = header(exchange, "Origin");
    request->host = header(exchange, "Host");
    request->content_type = header(exchange, "Content-Type");
    request->authorization = header(exchange, "Authorization");
    request->client = client_of(exchange);
    size_t fragment = str_find(uri, '#', 0);
    if (fragment != SIZE_MAX)
        uri.size = fragment;
    size_t question = str_find(uri, '?', 0);
    request->raw_path = str_from(uri.data, question == SIZE_MAX ? uri.size : question);
    if (question != SIZE_MAX)
        request->raw_query = str_from(uri.data + question + 1, uri.size - question - 1);
    /* The absolute form of proxies: http://host/path. */
    if (str_starts_with(request->raw_path, STR("http://"))) {
        size_t slash = str_find(request->raw_path, '/', 7);
        request->raw_path = slash == SIZE_MAX ? STR("/")
                                              : str_from(request->raw_path.data + slash,
                                                         request->raw_path.size - slash);
    }
}

/* ---- answers that need no route ---- */

static unsigned method_flag(enum http_method method)
{
    static const unsigned flags[] = {
        [HTTP_GET] = ROUTE_GET, [HTTP_HEAD] = ROUTE_HEAD, [HTTP_POST] = ROUTE_POST,
        [HTTP_PUT] = ROUTE_PUT, [HTTP_OPTIONS] = 0,       [HTTP_OTHER] = 0};
    return flags[method];
}

static void answer_allowed(struct http_request *request, unsigned flags, unsigned status)
{
    struct strbuf allow = STRBUF_INIT;
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {{ROUTE_GET, "GET"},
                 {ROUTE_HEAD, "HEAD"},
                 {0, "OPTIONS"},
                 {ROUTE_POST, "POST"},
                 {ROUTE_PUT, "PUT"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].flag == 0 || (flags & names[i].flag) != 0)
            strbuf_printf(&allow, "%s%s", allow.size == 0 ? "" : ", ", names[i].name);
    }
    if (status == 405)
        http__text(request, 405, "Method Not Allowed\n");
    else
        request->response.status = status;
    http__header(request, "Allow", arena_str(&request->arena, strbuf_str(&allow)));
    strbuf_deinit(&allow);
}

static bool strip_prefix(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    struct str prefix = exchange->server->route_prefix;
    if (prefix.size == 0)
        return true;
    if (!str_starts_with(request->raw_path, prefix)) {
        if (str_equal(request->raw_path, STR("/")))
            redirect__prefix(request, prefix);
        else
            http__text(request, 404, "404 page not found\n");
        return false;
    }
    request->raw_path.data += prefix.size;
    request->raw_path.size -= prefix.size;
    if (request->raw_path.size == 0)
        request->raw_path = STR("/");
    return true;
}

static void answer_not_ready(struct http_request *request, enum server_state state)
{
    http__text(request, 503, "Service Unavailable");
    http__header(request, "X-Prometheus-Stopping",
                 state == SERVER_STOPPING ? STR("true") : STR("false"));
}

static void answer_no_memory(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    struct strbuf text = STRBUF_INIT;
    strbuf_printf(&text,
                  "the memory budget of %lld bytes is used up; no new queries until it is free",
                  (long long)mem_budget());
    metric_add(exchange->server->refused_for_memory, 1);
    if ((exchange->route->flags & ROUTE_API) != 0) {
        http__api_error(request, API_UNAVAILABLE, strbuf_cstr(&text));
        request->response.status = 503;
    } else {
        strbuf_add_char(&text, '\n');
        http__text(request, 503, strbuf_cstr(&text));
    }
    http__header(request, "Retry-After", STR("10"));
    strbuf_deinit(&text);
}

/* Decides what happens; false when the answer is already there. */
static bool admit(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    if (!strip_prefix(exchange))
        return false;
    if (exchange->too_many_bodies) {
        http__text(request, 503, "Service Unavailable: too many request bodies at once\n");
        return false;
    }
    if (exchange->body_too_large) {
        http__text(request, 413, "request body exceeds the 33554432 bytes limit\n");
        return false;
    }
    if (redirect__unclean(request, exchange->server->route_prefix))
        return false;
    exchange->route = http__route_find(request);
    bool api = str_starts_with(request->raw_path, STR("/api/v1/"));
    if (request->method == HTTP_OPTIONS && (exchange->route != NULL || api)) {
        exchange->has_cors = api;
        if (api)
            request->response.status = 204;
        else
            answer_allowed(request, exchange->route->flags, 200);
        return false;
    }
    if (exchange->route == NULL) {
        if (!redirect__similar(request, exchange->server->route_prefix))
            http__text(request, 404, "404 page not found\n");
        return false;
    }
    if ((exchange->route->flags & method_flag(request->method)) == 0) {
        answer_allowed(request, exchange->route->flags, 405);
        return false;
    }
    /* acquire: pairs with the release store after the services were filled in */
    enum server_state state = atomic_load_explicit(&request->services->state, memory_order_acquire);
    if ((exchange->route->flags & ROUTE_GATED) != 0 && state != SERVER_READY) {
        answer_not_ready(request, state);
        return false;
    }
    if ((exchange->route->flags & ROUTE_DATA) != 0 && mem_pressure() != MEM_PLENTY) {
        answer_no_memory(exchange);
        return false;
    }
    exchange->has_cors = (exchange->route->flags & ROUTE_API) != 0;
    return true;
}

/* ---- the web configuration ---- */

static void answer_denied(struct http_request *request)
{
    http__text(request, 401, "Unauthorized\n");
    http__header(request, "WWW-Authenticate", STR("Basic"));
}

/* Rate limit and password, before anything of the request is looked at; false when the answer is
 * there. A password that must be hashed first leaves the exchange `unproven`. */
static bool pass_guard(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct http_request *request = &exchange->request;
    if (server->guard == NULL)
        return true;
    exchange->web = web_guard_pin(server->guard);
    const struct web_config *config = web_state_config(exchange->web);
    if (config == NULL) {
        http__text(request, 500, "Internal Server Error\n");
        return false;
    }
    if (!web_guard_take_token(server->guard, exchange->started_ns)) {
        http__text(request, 429, "Too Many Requests\n");
        return false;
    }
    for (uint32_t i = 0; i < config->header_count; i++)
        http__header(request, config->headers[i].name.data, config->headers[i].value);
    enum web_verdict verdict = web_guard_judge(server->guard, config, request->authorization);
    exchange->unproven = verdict == WEB_ASK;
    if (verdict == WEB_DENY)
        answer_denied(request);
    return verdict != WEB_DENY;
}

/* What can be judged before a body is read; false when the answer is there. */
static bool pass_head(struct http_exchange *exchange, const char *version)
{
    unsigned status;
    const char *text;
    if (!head_check(exchange->connection, version, &status, &text)) {
        http__text(&exchange->request, status, text);
        http__header(&exchange->request, "Connection", STR("close"));
        return false;
    }
    return pass_guard(exchange);
}

static bool has_media_type(struct str content_type, struct str wanted)
{
    size_t semicolon = str_find(content_type, ';', 0);
    if (semicolon != SIZE_MAX)
        content_type.size = semicolon;
    return str_equal_nocase(str_trim(content_type), wanted);
}

static void parse_params(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    request->body = strbuf_str(&exchange->body);
    bool has_form = request->method == HTTP_POST || request->method == HTTP_PUT;
    if (has_form && has_media_type(request->content_type, STR("application/x-www-form-urlencoded")))
        http__params_parse(request, request->body, true);
    http__params_parse(request, request->raw_query, false);
    /* Fields of a multipart body come behind the URL's, unlike those of the other form. */
    if (has_form && has_media_type(request->content_type, STR("multipart/form-data")))
        http__multipart_parse(request, request->content_type, request->body);
}

/* ---- finishing ---- */

static void add_cors(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    http__header(request, "Vary", STR("Origin"));
    if (request->origin.size == 0)
        return;
    http__header(request, "Access-Control-Allow-Headers",
                 STR("Accept, Authorization, Content-Type, Origin"));
    http__header(request, "Access-Control-Allow-Methods", STR("GET, POST, OPTIONS"));
    http__header(request, "Access-Control-Expose-Headers", STR("Date"));
    if (regex_matches_all(exchange->server->cors_origin))
        http__header(request, "Access-Control-Allow-Origin", STR("*"));
    else if (regex_matches(exchange->server->cors_origin, request->origin))
        http__header(request, "Access-Control-Allow-Origin", request->origin);
}

static void count(struct http_exchange *exchange, uint64_t bytes)
{
    struct http_server *server = exchange->server;
    struct http_request *request = &exchange->request;
    if (exchange->route == NULL)
        return;
    char code[12];
    snprintf(code, sizeof code, "%u", request->response.status);
    struct str handler = str_from_cstr(exchange->route->path);
    struct str values[] = {handler, str_from_cstr(code)};
    int64_t now_ns = clock_monotonic_ns(clock_system());
    metric_add(metric_with(server->requests_total, values), 1);
    if (exchange->route->handle == http__metrics)
        metric_add(metric_with(server->scrapes_total, &values[1]), 1);
    metric_observe(metric_distribution_with(server->request_duration, &handler),
                   (double)(now_ns - exchange->started_ns) / 1e9);
    metric_observe(metric_distribution_with(server->response_size, &handler), (double)bytes);
}

static bool has_pieces(const struct http_exchange *exchange)
{
    return exchange->request.response.pieces.close != NULL;
}

/* Lets clients that have this body already keep it. */
static void add_etag(struct http_request *request)
{
    struct str etag =
        arena_printf(&request->arena, "\"%016llx\"",
                     (unsigned long long)hash_str(strbuf_str(&request->response.body)));
    http__header(request, "ETag", etag);
    if (!str_equal(request->if_none_match, etag))
        return;
    request->response.status = 304;
    request->response.content_type = NULL;
    strbuf_clear(&request->response.body);
}

static void finish(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    upload__end(exchange);
    if (exchange->has_cors)
        add_cors(exchange);
    unsigned flags = exchange->route == NULL ? 0 : exchange->route->flags;
    if (has_pieces(exchange)) {
        struct compress_stream *zip =
            (flags & ROUTE_ZIP) != 0 ? compress__stream_open(request) : NULL;
        if (zip == NULL && answer_blocks__make(exchange))
            count(exchange, answer_blocks__bytes(request->response.blocks));
        else
            answer_stream__begin(exchange, zip); /* counted when its size is known */
        return;
    }
    if ((flags & ROUTE_ETAG) != 0 && request->response.status == 200)
        add_etag(request);
    if ((flags & ROUTE_ZIP) != 0 && request->response.status != 204)
        compress__body(request);
    count(exchange, request->response.body.size);
}

/* Hashes the password; false when the answer, 401, is there. */
static bool prove_now(struct http_exchange *exchange)
{
    exchange->unproven = false;
    bool right = web_guard_verify(exchange->server->guard, web_state_config(exchange->web),
                                  exchange->request.authorization);
    if (!right)
        answer_denied(&exchange->request);
    return right;
}

/* On a worker: the password, then what a proven request would have gone through before. */
static bool prove(struct http_exchange *exchange)
{
    if (!prove_now(exchange) || !admit(exchange))
        return false;
    parse_params(exchange);
    return true;
}

void exchange__run(struct http_exchange *exchange)
{
    if (exchange->unproven && !prove(exchange)) {
        finish(exchange);
        return;
    }
    exchange->route->handle(&exchange->request);
    finish(exchange);
}

static void free_body(void *data)
{
    mem_free(MEM_TEXT, data);
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t size)
{
    (void)position;
    const struct http_stream *stream = context;
    ssize_t count = stream->read(stream->context, to, size);
    if (count == HTTP_STREAM_BROKEN)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return count == HTTP_STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : count;
}

static void end_stream(struct http_exchange *exchange)
{
    const struct http_stream *stream = &exchange->request.response.stream;
    if (stream->read == NULL)
        return;
    workers__unwatch_stream(exchange);
    if (has_pieces(exchange))
        count(exchange, answer_stream__bytes(exchange));
    stream->close(stream->context);
}

void http__stream_suspend(struct http_request *request)
{
    MHD_suspend_connection(((struct http_exchange *)request)->connection);
}

void http__stream_resume(struct http_request *request)
{
    MHD_resume_connection(((struct http_exchange *)request)->connection);
}

void exchange__end(void *server, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code)
{
    (void)server;
    (void)code;
    struct http_exchange *exchange = *context;
    if (exchange == NULL)
        return;
    upload__end(exchange);
    end_stream(exchange);
    answer_blocks__destroy(exchange->request.response.blocks);
    connections__reading(&exchange->server->connections, connection);
    atomic_fetch_sub_explicit(&exchange->server->body_bytes, exchange->body.size,
                              memory_order_relaxed);
    web_state_unpin(exchange->web);
    strbuf_deinit(&exchange->uri);
    strbuf_deinit(&exchange->body);
    strbuf_deinit(&exchange->request.response.body);
    arena_deinit(&exchange->request.arena);
    mem_free(MEM_HTTP, exchange);
    *context = NULL;
}

static enum MHD_Result send_answer(struct http_exchange *exchange)
{
    struct http_response *from = &exchange->request.response;
    struct MHD_Response *response;
    if (from->stream.read == NULL || has_pieces(exchange))
        connections__sending(&exchange->server->connections, exchange->connection);
    if (from->stream.read != NULL) {
        workers__watch_stream(exchange);
        bool is_known = from->stream.size > 0;
        response = MHD_create_response_from_callback(
            is_known ? from->stream.size : MHD_SIZE_UNKNOWN,
            is_known ? LONG_BLOCK_BYTES : STREAM_BLOCK_BYTES, read_stream, &from->stream, NULL);
    } else if (from->blocks != NULL) {
        response = answer_blocks__respond(from->blocks);
        if (response != NULL)
            from->blocks = NULL;
    } else if (from->body.size > 0) {
        response = MHD_create_response_from_buffer_with_free_callback(from->body.size,
                                                                      from->body.data, free_body);
        if (response != NULL)
            from->body = (struct strbuf)STRBUF_INIT;
    } else {
        response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    if (response == NULL)
        return MHD_NO;
    if (from->content_type != NULL)
        MHD_add_response_header(response, "Content-Type", from->content_type);
    for (uint32_t i = 0; i < from->header_count; i++) {
        struct str value = arena_str(&exchange->request.arena, from->headers[i].value);
        MHD_add_response_header(response, from->headers[i].name, value.data);
    }
    enum MHD_Result result = MHD_queue_response(exchange->connection, from->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Queries that take less than a hand-over; false when it is for a worker. */
static bool answer_here(struct http_exchange *exchange)
{
    if ((exchange->route->flags & ROUTE_QUICK) == 0)
        return false;
    struct http_request *request = &exchange->request;
    request->may_defer = true;
    request->deferred = false;
    exchange->route->handle(request);
    request->may_defer = false;
    return !request->deferred;
}

static enum MHD_Result dispatch(struct http_exchange *exchange)
{
    connections__working(exchange->connection);
    if (!exchange->unproven && (!admit(exchange) || !upload__is_whole(exchange))) {
        finish(exchange);
        return send_answer(exchange);
    }
    if (!exchange->unproven)
        parse_params(exchange);
    if (!exchange->unproven && (exchange->route->flags & ROUTE_WORKER) == 0) {
        exchange__run(exchange);
        return send_answer(exchange);
    }
    if (!exchange->unproven && answer_here(exchange)) {
        finish(exchange);
        return send_answer(exchange);
    }
    if (workers__submit(exchange))
        return MHD_YES;
    http__text(&exchange->request, 503, "Service Unavailable: too many requests are waiting\n");
    finish(exchange);
    return send_answer(exchange);
}

static void take_body(struct http_exchange *exchange, const char *data, size_t size)
{
    atomic_size_t *all = &exchange->server->body_bytes;
    /* relaxed: a sum to compare with, nothing hangs on its order */
    size_t held = atomic_fetch_add_explicit(all, size, memory_order_relaxed);
    bool too_large = exchange->body.size + size > HTTP_BODY_BYTES_MAX;
    bool too_many = held + size > HTTP_BODIES_BYTES_MAX;
    if (too_large || too_many) {
        atomic_fetch_sub_explicit(all, size, memory_order_relaxed);
        exchange->body_too_large = exchange->body_too_large || too_large;
        exchange->too_many_bodies = exchange->too_many_bodies || too_many;
        return;
    }
    strbuf_add(&exchange->body, data, size);
}

enum MHD_Result exchange__access(void *server, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_size, void **context)
{
    (void)server;
    (void)url;
    struct http_exchange *exchange = *context;
    if (exchange->state == EXCHANGE_HEADERS) {
        read_head(exchange, method);
        exchange->state = EXCHANGE_BODY;
        if (!pass_head(exchange, version)) {
            finish(exchange);
            return send_answer(exchange);
        }
        exchange->uploads = upload__wanted(exchange);
        /* A file of somebody unproven must not grow: the password is hashed here and now. */
        if (exchange->uploads && exchange->unproven && !prove_now(exchange)) {
            finish(exchange);
            return send_answer(exchange);
        }
        if (exchange->uploads)
            upload__begin(exchange);
        return MHD_YES;
    }
    if (exchange->state == EXCHANGE_DONE)
        return send_answer(exchange);
    if (*upload_size > 0) {
        if (exchange->uploads) {
            /* A long file may take its time as long as it comes. */
            connections__reading(&exchange->server->connections, connection);
            upload__add(exchange, upload_data, *upload_size);
        } else {
            take_body(exchange, upload_data, *upload_size);
        }
        *upload_size = 0;
        return MHD_YES;
    }
    return dispatch(exchange);
}
