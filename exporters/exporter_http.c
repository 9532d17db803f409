#include "exporter_http.h"

#include <errno.h>
#include <libdeflate.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "text_fields.h"

enum {
    HTTP_THREADS = 2,
    HTTP_CONNECTIONS_MAX = 64,
    HTTP_TIMEOUT_SECONDS = 30,
    HTTP_BACKLOG = 64,
    COLLECTORS_NAMED_MAX = 64, /* in one request */
    GZIP_LEVEL = 3,            /* 60 KB of text in about 0.5 ms on the test machine */
};

struct exporter_http {
    struct MHD_Daemon *daemon;
    struct host_exporter *exporter;
    const char *telemetry_path;
    uint16_t port;
};

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *content_type, struct str text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text.size, (void *)(uintptr_t)text.data, MHD_RESPMEM_MUST_COPY);
    if (response != NULL)
        MHD_add_response_header(response, "Content-Type", content_type);
    return send_response(connection, status, response);
}

static enum MHD_Result send_plain(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    return send_text(connection, status, "text/plain; charset=utf-8", str_from_cstr(text));
}

/* Whether an Accept-Encoding names gzip with a weight above 0. */
static bool accepts_gzip(const char *header)
{
    struct str rest = str_from_cstr(header);
    while (rest.size > 0) {
        struct str item;
        if (!text_cut(&rest, ',', &item)) {
            item = rest;
            rest = STR("");
        }
        struct str coding;
        double weight = 1;
        if (text_cut(&item, ';', &coding)) {
            item = str_trim(item);
            if (str_starts_with(item, STR("q=")))
                number_scan(item.data + 2, item.size - 2, &weight);
        } else {
            coding = item;
        }
        if (str_equal_nocase(str_trim(coding), STR("gzip")))
            return weight > 0;
    }
    return false;
}

/* NULL if it cannot be compressed: the answer then goes out as it is. */
static struct MHD_Response *gzip_response(struct str text)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (compressor == NULL)
        return NULL;
    size_t size_max = libdeflate_gzip_compress_bound(compressor, text.size);
    char *packed = mem_alloc(MEM_EXPORTER, size_max);
    size_t size = libdeflate_gzip_compress(compressor, text.data, text.size, packed, size_max);
    libdeflate_free_compressor(compressor);
    struct MHD_Response *response = NULL;
    if (size > 0)
        response = MHD_create_response_from_buffer(size, packed, MHD_RESPMEM_MUST_COPY);
    mem_free(MEM_EXPORTER, packed);
    if (response != NULL)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    return response;
}

struct named_collectors {
    struct str only[COLLECTORS_NAMED_MAX];
    struct str except[COLLECTORS_NAMED_MAX];
    struct host_exporter_filter filter;
    bool too_many;
};

static enum MHD_Result note_argument(void *context, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    (void)kind;
    struct named_collectors *named = context;
    struct host_exporter_filter *filter = &named->filter;
    struct str name = str_from_cstr(value);
    bool only = strcmp(key, "collect[]") == 0;
    if (!only && strcmp(key, "exclude[]") != 0)
        return MHD_YES;
    size_t *count = only ? &filter->only_count : &filter->except_count;
    if (*count == COLLECTORS_NAMED_MAX) {
        named->too_many = true;
        return MHD_NO;
    }
    (only ? named->only : named->except)[(*count)++] = name;
    return MHD_YES;
}

static void add_build_info(struct metric_writer *writer)
{
    const struct str name = STR("version");
    const struct str value = STR(NARTHEX_VERSION);
    metric_writer_family(writer, STR("narthex_exporter_build_info"), METRIC_GAUGE,
                         STR("The version of this exporter; always 1."));
    metric_writer_sample(writer, "", &name, &value, 1, 1);
}

static enum MHD_Result send_metrics(struct exporter_http *http, struct MHD_Connection *connection)
{
    struct named_collectors named = {.filter = {.only = named.only, .except = named.except}};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, note_argument, &named);
    if (named.too_many)
        return send_plain(connection, MHD_HTTP_BAD_REQUEST, "too many collectors named\n");

    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct metric_writer writer;
    metric_writer_init(&writer, &text);
    enum MHD_Result result;
    if (host_exporter_collect(http->exporter, &writer, &named.filter, &why) != OK) {
        strbuf_add_char(&why, '\n');
        result = send_plain(connection, MHD_HTTP_BAD_REQUEST, strbuf_cstr(&why));
    } else {
        add_build_info(&writer);
        process_exporter_collect(&writer);
        struct MHD_Response *response = NULL;
        if (accepts_gzip(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_ACCEPT_ENCODING)))
            response = gzip_response(strbuf_str(&text));
        if (response == NULL)
            response = MHD_create_response_from_buffer(text.size, text.data, MHD_RESPMEM_MUST_COPY);
        if (response != NULL) {
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                    EXPOSITION_TEXT_CONTENT_TYPE);
            MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
        }
        result = send_response(connection, MHD_HTTP_OK, response);
    }
    metric_writer_deinit(&writer);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    return result;
}

static enum MHD_Result send_front_page(const struct exporter_http *http,
                                       struct MHD_Connection *connection)
{
    struct strbuf page = STRBUF_INIT;
    strbuf_printf(&page,
                  "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                  "<title>Narthex exporter</title></head>\n<body><h1>Narthex exporter " //
                  NARTHEX_VERSION "</h1>\n<p><a href=\"%s\">Metrics</a></p></body></html>\n",
                  http->telemetry_path);
    enum MHD_Result result =
        send_text(connection, MHD_HTTP_OK, "text/html; charset=utf-8", strbuf_str(&page));
    strbuf_deinit(&page);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    static int headers_seen;
    struct exporter_http *http = context;
    /* The first call comes before a body: answering only at the second keeps the connection. */
    if (*state == NULL) {
        *state = &headers_seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed\n");
    if (strcmp(url, http->telemetry_path) == 0)
        return send_metrics(http, connection);
    if (strcmp(url, "/") == 0)
        return send_front_page(http, connection);
    return send_plain(connection, MHD_HTTP_NOT_FOUND, "not found\n");
}

/* "host:port" into its parts; an empty host means every address. */
static err_t split_address(const char *address, struct strbuf *host, struct strbuf *port,
                           struct strbuf *why)
{
    const char *colon = strrchr(address, ':');
    uint64_t number;
    if (colon == NULL)
        return err_fail(why, ERR_INVALID, "address %s: missing port", address);
    /* The resolver would take the port modulo 65536. */
    if (!str_to_uint64(str_from_cstr(colon + 1), &number) || number > UINT16_MAX)
        return err_fail(why, ERR_INVALID, "address %s: invalid port", address);
    struct str name = str_from(address, (size_t)(colon - address));
    if (name.size >= 2 && name.data[0] == '[' && name.data[name.size - 1] == ']')
        name = str_from(name.data + 1, name.size - 2);
    strbuf_add_str(host, name);
    strbuf_add_cstr(port, colon + 1);
    return OK;
}

static int open_listener(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);
    if (fd < 0)
        return -1;
    int on = 1;
    int off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* One socket for both families where the address is the unspecified one. */
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, HTTP_BACKLOG) != 0) {
        int failure = errno;
        close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

/* Tries each address the name stands for; for every address IPv6 goes first, since it takes IPv4
 * connections too. */
static err_t listen_at(const char *address, int *fd, struct strbuf *why)
{
    struct strbuf host = STRBUF_INIT;
    struct strbuf port = STRBUF_INIT;
    struct addrinfo *infos = NULL;
    err_t err = OK;
    TRY_OUT(split_address(address, &host, &port, why));
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    int failure = getaddrinfo(host.size > 0 ? host.data : NULL, port.data, &hints, &infos);
    if (failure != 0) {
        err = err_fail(why, ERR_INVALID, "address %s: %s", address, gai_strerror(failure));
        goto out;
    }
    *fd = -1;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct addrinfo *info = infos; info != NULL && *fd < 0; info = info->ai_next) {
            bool first = host.size > 0 || info->ai_family == AF_INET6;
            if (first == (pass == 0))
                *fd = open_listener(info);
        }
    }
    if (*fd < 0)
        err = err_fail_errno(why, errno, "listen on %s", address);
out:
    if (infos != NULL)
        freeaddrinfo(infos);
    strbuf_deinit(&host);
    strbuf_deinit(&port);
    return err;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char port[NI_MAXSERV];
    uint64_t number = 0;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port,
                    NI_NUMERICSERV) == 0)
        str_to_uint64(str_from_cstr(port), &number);
    return (uint16_t)number;
}

err_t exporter_http_start(const struct exporter_http_options *options,
                          struct host_exporter *exporter, struct exporter_http **http,
                          struct strbuf *why)
{
    int fd = -1;
    TRY(listen_at(options->listen_address, &fd, why));
    struct exporter_http *server = MEM_NEW(MEM_EXPORTER, struct exporter_http);
    server->exporter = exporter;
    server->telemetry_path = options->telemetry_path;
    server->port = port_of(fd);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, answer, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)HTTP_THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_TIMEOUT_SECONDS, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(fd);
        mem_free(MEM_EXPORTER, server);
        return err_fail(why, ERR_IO, "the HTTP server did not start on %s",
                        options->listen_address);
    }
    *http = server;
    return OK;
}

void exporter_http_stop(struct exporter_http *http)
{
    MHD_stop_daemon(http->daemon);
    mem_free(MEM_EXPORTER, http);
}

uint16_t exporter_http_port(const struct exporter_http *http)
{
    return http->port;
}
