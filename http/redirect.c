/* Paths that are not quite those of a route: clean forms, other cases, old names (spec http-api.md
 * 2, "Routing"). */
#include "redirect.h"

#include "narthex/base/strbuf.h"

/* Without empty, "." and ".." segments; a slash at the end stays. */
static struct str cleaned(struct http_request *request)
{
    struct str path = request->raw_path;
    char *out = arena_alloc(&request->arena, path.size + 2);
    size_t size = 0;
    for (size_t at = 0; at < path.size;) {
        size_t end = str_find(path, '/', at);
        if (end == SIZE_MAX)
            end = path.size;
        struct str segment = str_from(path.data + at, end - at);
        at = end + 1;
        if (segment.size == 0 || str_equal(segment, STR(".")))
            continue;
        if (str_equal(segment, STR(".."))) {
            while (size > 0 && out[--size] != '/')
                ;
            continue;
        }
        out[size++] = '/';
        memcpy(out + size, segment.data, segment.size);
        size += segment.size;
    }
    if (size == 0 || path.data[path.size - 1] == '/')
        out[size++] = '/';
    return str_from(out, size);
}

/* As Go's html.EscapeString. */
static void add_html(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            strbuf_add_cstr(out, "&amp;");
            break;
        case '<':
            strbuf_add_cstr(out, "&lt;");
            break;
        case '>':
            strbuf_add_cstr(out, "&gt;");
            break;
        case '"':
            strbuf_add_cstr(out, "&#34;");
            break;
        case '\'':
            strbuf_add_cstr(out, "&#39;");
            break;
        default:
            strbuf_add_char(out, text.data[i]);
        }
    }
}

/* Answers with `status` and prefix + path + the request's query as Location. */
static void redirect(struct http_request *request, unsigned status, struct str prefix,
                     struct str path)
{
    struct strbuf location = STRBUF_INIT;
    strbuf_add_str(&location, prefix);
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (c >= 0x80)
            strbuf_printf(&location, "%%%02x", c);
        else
            strbuf_add_char(&location, (char)c);
    }
    if (request->raw_query.size > 0) {
        strbuf_add_char(&location, '?');
        strbuf_add_str(&location, request->raw_query);
    }
    request->response.status = status;
    http__header(request, "Location", arena_str(&request->arena, strbuf_str(&location)));
    if (request->method == HTTP_GET || request->method == HTTP_HEAD) {
        struct strbuf *body = &request->response.body;
        request->response.content_type = "text/html; charset=utf-8";
        strbuf_add_cstr(body, "<a href=\"");
        add_html(body, strbuf_str(&location));
        strbuf_add_cstr(body,
                        status == 302 ? "\">Found</a>.\n\n" : "\">Moved Permanently</a>.\n\n");
    }
    strbuf_deinit(&location);
}

bool redirect__unclean(struct http_request *request, struct str route_prefix)
{
    struct str clean = cleaned(request);
    if (str_equal(clean, request->raw_path))
        return false;
    redirect(request, 301, route_prefix, clean);
    return true;
}

bool redirect__similar(struct http_request *request, struct str route_prefix)
{
    struct str path = request->raw_path;
    if (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    /* The API's root is a folder, as Go's router has it. */
    struct str similar = STR("/api/v1/");
    if (!str_equal(request->raw_path, STR("/api/v1")) &&
        !http__route_similar(path, &request->arena, &similar))
        return false;
    bool get = request->method == HTTP_GET || request->method == HTTP_HEAD;
    redirect(request, get ? 301 : 307, route_prefix, similar);
    return true;
}

/* Path of the external URL without a slash at the end. */
static struct str external_path(const struct http_request *request)
{
    const char *url = request->options->external_url;
    return url == NULL ? STR("") : http_external_path(url);
}

void redirect__prefix(struct http_request *request, struct str route_prefix)
{
    request->raw_query = STR("");
    redirect(request, 302, route_prefix, STR(""));
}

void http__root(struct http_request *request)
{
    request->raw_query = STR("");
    redirect(request, 302, external_path(request), STR("/query"));
}

void http__graph(struct http_request *request)
{
    redirect(request, 302, external_path(request), STR("/query"));
}
