/* Listening, starting and stopping. */
#include "exchange.h"

#include <gnutls/abstract.h>
#include <unistd.h>

#include "narthex/model/regex.h"

enum {
    DEFAULT_CONNECTIONS = 512,
    DEFAULT_THREADS = 2,
    DEFAULT_WORKERS = 28,
    DEFAULT_READ_TIMEOUT_S = 300,
    DEFAULT_SEND_TIMEOUT_S = 120,
};

/* libmicrohttpd wants some certificate before it starts; each session gets its own when it begins
 * (connections.c), so that this one is never asked. */
static int no_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                          gnutls_pcert_st **certificates, unsigned *count,
                          gnutls_ocsp_data_st **ocsp, unsigned *ocsp_count, gnutls_privkey_t *key,
                          unsigned *flags)
{
    (void)session;
    (void)info;
    (void)certificates;
    (void)count;
    (void)ocsp;
    (void)ocsp_count;
    (void)key;
    (void)flags;
    return -1;
}

static err_t start_daemon(struct http_server *server, const char *address, struct strbuf *why)
{
    const struct http_server_options *options = &server->options;
    struct listener *listener = &server->listeners[server->daemon_count];
    TRY(listen__open(address, listener, why));
    if (server->port == 0)
        server->port = listener->port;
    unsigned connections =
        options->max_connections == 0 ? DEFAULT_CONNECTIONS : options->max_connections;
    unsigned threads = options->threads == 0 ? DEFAULT_THREADS : options->threads;
    unsigned timeout_s = options->read_timeout_ms == 0
                             ? DEFAULT_READ_TIMEOUT_S
                             : (unsigned)((options->read_timeout_ms + 999) / 1000);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)no_certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    bool has_tls = web_guard_has_tls(server->guard);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            (has_tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, exchange__access, server, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_CONNECTION_LIMIT,
        connections < threads ? threads : connections, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
        MHD_OPTION_URI_LOG_CALLBACK, exchange__begin, server, MHD_OPTION_NOTIFY_COMPLETED,
        exchange__end, server, MHD_OPTION_NOTIFY_CONNECTION, connections__notify, server,
        MHD_OPTION_ARRAY, has_tls ? tls : &tls[1], MHD_OPTION_END);
    if (daemon == NULL) {
        listen__close(listener);
        return err_fail(why, ERR_IO, "listen %s: the HTTP daemon does not start", address);
    }
    server->daemons[server->daemon_count++] = daemon;
    return OK;
}

struct str http_external_path(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host == NULL ? url : host + 3 + strcspn(host + 3, "/?#");
    struct str found = str_from(path, strcspn(path, "?#"));
    while (found.size > 0 && found.data[found.size - 1] == '/')
        found.size--;
    return found;
}

/* Path of the external URL, or the flag, without slash at the end. */
static void set_route_prefix(struct http_server *server)
{
    struct str prefix = STR("");
    if (server->options.route_prefix != NULL) {
        prefix = str_from_cstr(server->options.route_prefix);
    } else if (server->options.external_url != NULL) {
        prefix = http_external_path(server->options.external_url);
    }
    while (prefix.size > 0 && prefix.data[prefix.size - 1] == '/')
        prefix.size--;
    if (prefix.size > 0 && prefix.data[0] != '/')
        prefix = arena_printf(&server->arena, "/%.*s", STR_ARG(prefix));
    server->route_prefix = arena_str(&server->arena, prefix);
}

static void register_metrics(struct http_server *server, struct metrics *metrics)
{
    static const char *const handler_code[] = {"handler", "code", NULL};
    static const char *const handler[] = {"handler", NULL};
    static const double durations[] = {.1, .2, .4, 1, 3, 8, 20, 60, 120};
    static const double sizes[] = {100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    server->requests_total = metrics_counter(metrics, "prometheus_http_requests_total",
                                             "HTTP requests answered.", handler_code);
    server->request_duration = metrics_histogram(
        metrics, "prometheus_http_request_duration_seconds", "Time from request to answer.",
        handler, durations, sizeof durations / sizeof *durations);
    server->response_size =
        metrics_histogram(metrics, "prometheus_http_response_size_bytes", "Bytes of answers sent.",
                          handler, sizes, sizeof sizes / sizeof *sizes);
    static const char *const listener[] = {"listener_name", NULL};
    static const char *const code[] = {"code", NULL};
    struct str name = STR("http"), ok = STR("200");
    server->refused_for_memory =
        metric_only(metrics_counter(metrics, "narthex_memory_refused_queries_total",
                                    "Requests for stored data refused because the memory budget "
                                    "was used up.",
                                    NULL));
    server->connections_accepted =
        metric_with(metrics_counter(metrics, "net_conntrack_listener_conn_accepted_total",
                                    "Connections of clients taken.", listener),
                    &name);
    server->connections_closed =
        metric_with(metrics_counter(metrics, "net_conntrack_listener_conn_closed_total",
                                    "Connections of clients that have ended.", listener),
                    &name);
    server->connections.slow_clients =
        metric_only(metrics_counter(metrics, "narthex_http_slow_clients_total",
                                    "Connections that were closed because a request was sent, or "
                                    "an answer taken, too slowly.",
                                    NULL));
    server->scrapes_total = metrics_counter(metrics, "promhttp_metric_handler_requests_total",
                                            "Answers of /metrics by status.", code);
    metric_with(server->scrapes_total, &ok);
    for (size_t i = 0; i < http_route_count; i++) {
        struct str values[] = {str_from_cstr(http_routes[i].path), STR("200")};
        metric_with(server->requests_total, values);
    }
}

err_t http_server_start(const struct http_server_options *options, struct http_services *services,
                        struct http_server **out, struct strbuf *why)
{
    struct http_server *server = MEM_NEW(MEM_HTTP, struct http_server);
    server->options = *options;
    server->services = services;
    arena_init(&server->arena, MEM_HTTP, SIZE_MAX);
    set_route_prefix(server);
    int64_t read_timeout_ms =
        options->read_timeout_ms == 0 ? DEFAULT_READ_TIMEOUT_S * 1000 : options->read_timeout_ms;
    int64_t send_timeout_ms =
        options->send_timeout_ms == 0 ? DEFAULT_SEND_TIMEOUT_S * 1000 : options->send_timeout_ms;
    connections__init(&server->connections, read_timeout_ms * 1000000, send_timeout_ms * 1000000);
    register_metrics(server, services->metrics);
    err_t err = web_guard_create(options->web_config, &server->guard, why);
    if (err == OK)
        err =
            regex_compile(str_from_cstr(options->cors_origin == NULL ? ".*" : options->cors_origin),
                          &server->cors_origin, why);
    workers__start(server, options->workers == 0 ? DEFAULT_WORKERS : options->workers);
    for (size_t i = 0; i < options->listen_address_count && err == OK; i++) {
        if (server->daemon_count == HTTP_LISTENERS_MAX)
            err = err_fail(why, ERR_LIMIT, "more than %d listen addresses", HTTP_LISTENERS_MAX);
        else
            err = start_daemon(server, options->listen_addresses[i], why);
    }
    if (err != OK) {
        http_server_stop(server);
        return err;
    }
    *out = server;
    return OK;
}

void http_server_stop(struct http_server *server)
{
    for (size_t i = 0; i < server->daemon_count; i++) {
        int fd = MHD_quiesce_daemon(server->daemons[i]);
        if (fd >= 0)
            close(fd);
        /* Before the last requests end: the next process may listen there. */
        listen__remove(&server->listeners[i]);
    }
    workers__stop(server);
    notifications_close(server->services->notifications);
    for (size_t i = 0; i < server->daemon_count; i++)
        MHD_stop_daemon(server->daemons[i]);
    workers__deinit(server);
    connections__deinit(&server->connections);
    web_guard_destroy(server->guard);
    regex_destroy(server->cors_origin);
    arena_deinit(&server->arena);
    mem_free(MEM_HTTP, server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}
