/* One request from its first byte to the queued answer. */
#include "exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "narthex/model/regex.h"

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
    return exchange;
}

void exchange__end(void *server, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code)
{
    (void)server;
    (void)connection;
    (void)code;
    struct http_exchange *exchange = *context;
    if (exchange == NULL)
        return;
    strbuf_deinit(&exchange->uri);
    strbuf_deinit(&exchange->body);
    strbuf_deinit(&exchange->request.response.body);
    arena_deinit(&exchange->request.arena);
    mem_free(MEM_HTTP, exchange);
    *context = NULL;
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
    request->origin = header(exchange, "Origin");
    request->host = header(exchange, "Host");
    request->content_type = header(exchange, "Content-Type");
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

/* Path without doubled or trailing slashes; empty when it is clean already. */
static struct str cleaned(struct http_request *request)
{
    struct str path = request->raw_path;
    bool doubled = false;
    for (size_t i = 1; i < path.size; i++)
        doubled = doubled || (path.data[i] == '/' && path.data[i - 1] == '/');
    bool trailing = path.size > 1 && path.data[path.size - 1] == '/';
    if (!doubled && !trailing)
        return STR("");
    char *out = arena_alloc(&request->arena, path.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] != '/' || size == 0 || out[size - 1] != '/')
            out[size++] = path.data[i];
    }
    while (size > 1 && out[size - 1] == '/')
        size--;
    return str_from(out, size);
}

static void answer_unknown(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    struct str clean = cleaned(request);
    if (clean.size > 0) {
        struct str original = request->raw_path;
        request->raw_path = clean;
        bool known = http__route_find(request) != NULL;
        request->raw_path = original;
        if (known) {
            bool get = request->method == HTTP_GET || request->method == HTTP_HEAD;
            request->response.status = get ? 301 : 307;
            http__header(request, "Location",
                         arena_printf(&request->arena, "%.*s%.*s%s%.*s",
                                      STR_ARG(exchange->server->route_prefix), STR_ARG(clean),
                                      request->raw_query.size > 0 ? "?" : "",
                                      STR_ARG(request->raw_query)));
            return;
        }
    }
    http__text(request, 404, "404 page not found\n");
}

static bool strip_prefix(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    struct str prefix = exchange->server->route_prefix;
    if (prefix.size == 0)
        return true;
    if (!str_starts_with(request->raw_path, prefix)) {
        if (str_equal(request->raw_path, STR("/"))) {
            request->response.status = 302;
            http__header(request, "Location", prefix);
        } else {
            http__text(request, 404, "404 page not found\n");
        }
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

/* Decides what happens; false when the answer is already there. */
static bool admit(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    if (!strip_prefix(exchange))
        return false;
    if (exchange->body_too_large) {
        http__text(request, 413, "request body exceeds the 33554432 bytes limit\n");
        return false;
    }
    exchange->route = http__route_find(request);
    bool api = str_starts_with(request->raw_path, STR("/api/v1/"));
    if (request->method == HTTP_OPTIONS && (exchange->route != NULL || api)) {
        if (api)
            request->response.status = 204;
        else
            answer_allowed(request, exchange->route->flags, 200);
        return false;
    }
    if (exchange->route == NULL) {
        answer_unknown(exchange);
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
    return true;
}

static bool is_form(struct str content_type)
{
    static const char form[] = "application/x-www-form-urlencoded";
    return content_type.size >= sizeof form - 1 &&
           str_equal_nocase(str_from(content_type.data, sizeof form - 1),
                            str_from(form, sizeof form - 1));
}

static void parse_params(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    request->body = strbuf_str(&exchange->body);
    if (is_form(request->content_type))
        http__params_parse(request, request->body, true);
    http__params_parse(request, request->raw_query, false);
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

static void count(struct http_exchange *exchange)
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
    metric_observe(metric_distribution_with(server->request_duration, &handler),
                   (double)(now_ns - exchange->started_ns) / 1e9);
    metric_observe(metric_distribution_with(server->response_size, &handler),
                   (double)request->response.body.size);
}

static void finish(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    bool api = str_starts_with(request->raw_path, STR("/api/v1/"));
    if (api)
        add_cors(exchange);
    if (exchange->route != NULL && (exchange->route->flags & ROUTE_ZIP) != 0 &&
        request->response.status != 204)
        compress__body(request);
    count(exchange);
}

void exchange__run(struct http_exchange *exchange)
{
    exchange->route->handle(&exchange->request);
    finish(exchange);
}

static void free_body(void *data)
{
    mem_free(MEM_TEXT, data);
}

static enum MHD_Result send_answer(struct http_exchange *exchange)
{
    struct http_response *from = &exchange->request.response;
    struct MHD_Response *response;
    if (from->body.size > 0) {
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

static enum MHD_Result dispatch(struct http_exchange *exchange)
{
    if (!admit(exchange)) {
        finish(exchange);
        return send_answer(exchange);
    }
    parse_params(exchange);
    if ((exchange->route->flags & ROUTE_WORKER) == 0) {
        exchange__run(exchange);
        return send_answer(exchange);
    }
    if (workers__submit(exchange))
        return MHD_YES;
    http__text(&exchange->request, 503, "Service Unavailable: too many requests are waiting\n");
    finish(exchange);
    return send_answer(exchange);
}

enum MHD_Result exchange__access(void *server, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_size, void **context)
{
    (void)server;
    (void)connection;
    (void)url;
    (void)version;
    struct http_exchange *exchange = *context;
    if (exchange->state == EXCHANGE_HEADERS) {
        read_head(exchange, method);
        exchange->state = EXCHANGE_BODY;
        return MHD_YES;
    }
    if (exchange->state == EXCHANGE_DONE)
        return send_answer(exchange);
    if (*upload_size > 0) {
        if (exchange->body.size + *upload_size > HTTP_BODY_BYTES_MAX)
            exchange->body_too_large = true;
        else
            strbuf_add(&exchange->body, upload_data, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    return dispatch(exchange);
}
