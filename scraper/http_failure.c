/* Error texts of transfers, in the shape Go's net/http gives them: alerts, dashboards and people
 * match on these words. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_client_private.h"
#include "http_wire_request.h"
#include "narthex/base/url.h"

const char *http__status_phrase(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Request Entity Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Entity"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "";
}

void http_transfer_explain(const struct http_transfer *transfer, const char *cause,
                           struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, transfer->method);
    strbuf_add_char(&text, ' ');
    url_add_quoted(&text, strbuf_str(&transfer->url));
    strbuf_add_cstr(&text, ": ");
    strbuf_add_cstr(&text, cause);
    strbuf_clear(why);
    strbuf_add_str(why, strbuf_str(&text));
    strbuf_deinit(&text);
}

/* Go spells the messages of the C library with a small first letter. */
static void add_errno(struct strbuf *out, int error)
{
    const char *text = error == ETIMEDOUT ? "connection timed out" : strerror(error);
    strbuf_add_char(out, (char)tolower((unsigned char)text[0]));
    strbuf_add_cstr(out, text + 1);
}

static void add_address(struct strbuf *out, const char *host, long port)
{
    strbuf_printf(out, strchr(host, ':') != NULL ? "[%s]:%ld" : "%s:%ld", host, port);
}

/* The peer as curl reached it, else as the URL names it. */
static void add_remote(const struct http_transfer *transfer, struct strbuf *out)
{
    char *ip = NULL;
    long port = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_PORT, &port);
    if (ip != NULL && ip[0] != '\0') {
        add_address(out, ip, port);
        return;
    }
    CURLU *url = curl_url();
    char *host = NULL;
    char *url_port = NULL;
    if (curl_url_set(url, CURLUPART_URL, strbuf_cstr(&transfer->url), 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &url_port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        strbuf_printf(out, "%s:%s", host, url_port);
    curl_free(host);
    curl_free(url_port);
    curl_url_cleanup(url);
}

static void add_host(const struct http_transfer *transfer, struct strbuf *out)
{
    CURLU *url = curl_url();
    char *host = NULL;
    if (curl_url_set(url, CURLUPART_URL, strbuf_cstr(&transfer->url), 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        strbuf_add_cstr(out, host);
    curl_free(host);
    curl_url_cleanup(url);
}

static long os_error(const struct http_transfer *transfer)
{
    if (transfer->direct)
        return transfer->direct_errno;
    long error = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
    return error;
}

/* curl names whom it could not reach, which is a proxy if it is not the host of the URL. */
static bool add_proxy(const struct http_transfer *transfer, struct strbuf *out)
{
    char host[CURL_ERROR_SIZE];
    long port;
    if (sscanf(transfer->curl_error, "Failed to connect to %255s port %ld", host, &port) != 2)
        return false;
    struct strbuf tried = STRBUF_INIT;
    struct strbuf wanted = STRBUF_INIT;
    add_address(&tried, host, port);
    add_remote(transfer, &wanted);
    bool found = !str_equal(strbuf_str(&tried), strbuf_str(&wanted));
    if (found) {
        strbuf_add_cstr(out, "proxyconnect tcp: dial tcp ");
        strbuf_add_str(out, strbuf_str(&tried));
    }
    strbuf_deinit(&tried);
    strbuf_deinit(&wanted);
    return found;
}

static void add_connect(const struct http_transfer *transfer, struct strbuf *out)
{
    long error = os_error(transfer);
    if (transfer->unix_socket.size > 0) {
        strbuf_printf(out, "dial unix %.*s: connect: ", STR_ARG(transfer->unix_socket));
    } else if (!transfer->direct && add_proxy(transfer, out)) {
        strbuf_add_cstr(out, ": connect: ");
    } else {
        strbuf_add_cstr(out, "dial tcp ");
        add_remote(transfer, out);
        strbuf_add_cstr(out, ": connect: ");
    }
    add_errno(out, error == 0 ? ECONNREFUSED : (int)error);
}

/* Both ends of the connection. */
static void add_peers(const struct http_transfer *transfer, struct strbuf *out)
{
    if (transfer->direct) {
        strbuf_add_cstr(out, transfer->direct_peers);
        return;
    }
    char *ip = NULL;
    long port = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_IP, &ip);
    curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_PORT, &port);
    add_address(out, ip == NULL ? "" : ip, port);
    strbuf_add_cstr(out, "->");
    add_remote(transfer, out);
}

static void add_io(const struct http_transfer *transfer, const char *operation, struct strbuf *out)
{
    strbuf_printf(out, "%s tcp ", operation);
    add_peers(transfer, out);
    strbuf_printf(out, ": %s: ", operation);
    long error = os_error(transfer);
    add_errno(out, error == 0 ? ECONNRESET : (int)error);
}

/* "127.0.0.1:80" or "[::1]:80"; false when the system does not know (any more). */
static bool add_socket_name(struct strbuf *out,
                            int (*name)(int, struct sockaddr *restrict, socklen_t *restrict),
                            int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (name(fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    add_address(out, host, strtol(port, NULL, 10));
    return true;
}

void http_transfer_note_error(struct http_transfer *transfer, int fd, int error)
{
    struct strbuf text = STRBUF_INIT;
    struct http_wire_url url = {0};
    add_socket_name(&text, getsockname, fd);
    strbuf_add_cstr(&text, "->");
    if (!add_socket_name(&text, getpeername, fd) &&
        http_wire_url_parse(strbuf_str(&transfer->url), &url))
        strbuf_add_str(&text, url.authority);
    snprintf(transfer->direct_peers, sizeof transfer->direct_peers, "%s", strbuf_cstr(&text));
    transfer->direct_errno = error;
    strbuf_deinit(&text);
}

static bool mentions(const struct http_transfer *transfer, const char *words)
{
    return strstr(transfer->curl_error, words) != NULL;
}

static void add_tls(const struct http_transfer *transfer, struct strbuf *out)
{
    if (mentions(transfer, "wrong version number") || mentions(transfer, "http request")) {
        strbuf_add_cstr(out, "http: server gave HTTP response to HTTPS client");
    } else if (mentions(transfer, "self-signed") || mentions(transfer, "self signed") ||
               mentions(transfer, "unable to get local issuer")) {
        strbuf_add_cstr(out, "tls: failed to verify certificate: x509: certificate signed by "
                             "unknown authority");
    } else if (mentions(transfer, "expired") || mentions(transfer, "not yet valid")) {
        strbuf_add_cstr(out, "tls: failed to verify certificate: x509: certificate has expired or "
                             "is not yet valid");
    } else if (mentions(transfer, "does not match") || mentions(transfer, "no alternative")) {
        strbuf_add_cstr(out, "tls: failed to verify certificate: x509: certificate is not valid "
                             "for ");
        add_host(transfer, out);
    } else {
        strbuf_printf(out, "tls: %s", transfer->curl_error);
    }
}

static void add_scheme(const struct http_transfer *transfer, struct strbuf *out)
{
    struct str url = strbuf_str(&transfer->url);
    size_t end = str_starts_with(url, STR("//")) ? 0 : str_find(url, ':', 0);
    strbuf_add_cstr(out, "unsupported protocol scheme ");
    strbuf_add_quoted(out, str_from(url.data, end == SIZE_MAX ? 0 : end));
}

static void add_other(const struct http_transfer *transfer, CURLcode code, struct strbuf *out)
{
    const char *text =
        transfer->curl_error[0] != '\0' ? transfer->curl_error : curl_easy_strerror(code);
    strbuf_add_char(out, (char)tolower((unsigned char)text[0]));
    strbuf_add_cstr(out, text + 1);
}

/* The cause alone; sets *plain when Go reports it while reading the body, without the URL. */
static void add_cause(const struct http_transfer *transfer, CURLcode code, bool *plain,
                      struct strbuf *out)
{
    *plain = transfer->answered && !http_status_redirects(transfer->answer.status);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        strbuf_add_cstr(out, "context deadline exceeded");
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        strbuf_add_cstr(out, "dial tcp: lookup ");
        add_host(transfer, out);
        strbuf_add_cstr(out, ": no such host");
        return;
    case CURLE_COULDNT_CONNECT:
        add_connect(transfer, out);
        return;
    case CURLE_TOO_MANY_REDIRECTS:
        strbuf_add_cstr(out, "stopped after 10 redirects");
        return;
    case CURLE_URL_MALFORMAT:
        if (str_starts_with(strbuf_str(&transfer->url), STR("//")))
            add_scheme(transfer, out);
        else
            strbuf_add_cstr(out, "invalid URL");
        return;
    case CURLE_GOT_NOTHING:
        strbuf_add_cstr(out, "EOF");
        return;
    case CURLE_PARTIAL_FILE:
        strbuf_add_cstr(out, "unexpected EOF");
        return;
    case CURLE_RECV_ERROR:
        if (os_error(transfer) == 0 && transfer->answered)
            strbuf_add_cstr(out, "unexpected EOF");
        else
            add_io(transfer, "read", out);
        return;
    case CURLE_SEND_ERROR:
        add_io(transfer, "write", out);
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        add_tls(transfer, out);
        return;
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (mentions(transfer, "HTTP/0.9"))
            strbuf_add_cstr(out, "net/http: HTTP/1.x transport connection broken: malformed HTTP "
                                 "response");
        else
            add_scheme(transfer, out);
        return;
    case CURLE_WEIRD_SERVER_REPLY:
        strbuf_add_cstr(out, "net/http: HTTP/1.x transport connection broken: malformed HTTP "
                             "response");
        return;
    default:
        add_other(transfer, code, out);
    }
}

void http_transfer_failure(struct http_transfer *transfer, CURLcode code, struct strbuf *why)
{
    struct strbuf cause = STRBUF_INIT;
    bool plain;
    add_cause(transfer, code, &plain, &cause);
    if (plain) {
        strbuf_clear(why);
        strbuf_add_str(why, strbuf_str(&cause));
    } else {
        http_transfer_explain(transfer, strbuf_cstr(&cause), why);
    }
    strbuf_deinit(&cause);
}
