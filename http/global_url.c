/* A target's URL as a client elsewhere reaches it: what is local to this host gets the external
 * URL's host, and if it is this server, its scheme and port too. */
#include "global_url.h"

#include <string.h>
#include <unistd.h>

struct url_parts {
    struct str scheme;
    struct str host; /* without brackets */
    struct str port; /* empty: none */
    struct str rest; /* from the path on */
    bool bracketed;
};

static bool split_url(struct str url, struct url_parts *parts)
{
    *parts = (struct url_parts){0};
    size_t colon = str_find(url, ':', 0);
    if (colon == SIZE_MAX || colon + 3 > url.size || memcmp(url.data + colon, "://", 3) != 0)
        return false;
    parts->scheme = str_from(url.data, colon);
    size_t from = colon + 3;
    size_t end = from;
    while (end < url.size && strchr("/?#", url.data[end]) == NULL)
        end++;
    parts->rest = str_from(url.data + end, url.size - end);
    size_t host_end = end;
    parts->bracketed = from < end && url.data[from] == '[';
    size_t last = end;
    while (last > from && url.data[last - 1] != ':' && url.data[last - 1] != ']')
        last--;
    if (last > from && url.data[last - 1] == ':') {
        host_end = last - 1;
        parts->port = str_from(url.data + last, end - last);
    }
    if (parts->bracketed && host_end > from + 1)
        parts->host = str_from(url.data + from + 1, host_end - from - 2);
    else
        parts->host = str_from(url.data + from, host_end - from);
    return true;
}

static bool is_loopback(struct str host)
{
    return str_equal(host, STR("127.0.0.1")) || str_equal(host, STR("::1")) ||
           str_equal(host, STR("localhost"));
}

/* host:port of the external URL as Go's url.Host has it. */
static void add_host(struct strbuf *out, const struct url_parts *parts, struct str port)
{
    strbuf_add_cstr(out, parts->bracketed ? "[" : "");
    strbuf_add_str(out, parts->host);
    strbuf_add_cstr(out, parts->bracketed ? "]" : "");
    if (port.size == 0)
        return;
    strbuf_add_char(out, ':');
    strbuf_add_str(out, port);
}

void http__global_url(struct str url, const struct http_external *external, struct strbuf *out)
{
    struct url_parts target;
    struct url_parts outside;
    if (!split_url(url, &target) || !is_loopback(target.host) ||
        !split_url(external->url, &outside)) {
        strbuf_add_str(out, url);
        return;
    }
    bool own = str_equal(target.port, external->own_port);
    strbuf_add_str(out, own ? outside.scheme : target.scheme);
    strbuf_add_cstr(out, "://");
    add_host(out, &outside, own ? outside.port : target.port);
    strbuf_add_str(out, target.rest);
}

void http__external(struct http_request *request, struct http_external *external)
{
    const struct http_server_options *options = request->options;
    const char *given = options->external_url;
    const char *listen = options->listen_address_count == 0 ? "" : options->listen_addresses[0];
    const char *colon = strrchr(listen, ':');
    external->own_port = str_from_cstr(colon == NULL ? "" : colon + 1);
    if (given != NULL) {
        external->url = str_from_cstr(given);
        return;
    }
    char name[256] = "";
    (void)gethostname(name, sizeof name - 1);
    external->url =
        arena_printf(&request->arena, "http://%s:%.*s/", name, STR_ARG(external->own_port));
}
