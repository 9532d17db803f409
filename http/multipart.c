/* Bodies of multipart/form-data: fields become parameters, files are left out. */
#include "request.h"

/* Index of `needle` in `text` at or after `from`, or SIZE_MAX. */
static size_t find_text(struct str text, struct str needle, size_t from)
{
    if (from + needle.size > text.size)
        return SIZE_MAX;
    const char *hit = memmem(text.data + from, text.size - from, needle.data, needle.size);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - text.data);
}

/* Value of `name=` among the parameters of a header behind its first ';', unquoted. */
static struct str header_param(struct http_request *request, struct str header, struct str name)
{
    for (size_t at = str_find(header, ';', 0); at != SIZE_MAX; at = str_find(header, ';', at + 1)) {
        struct str rest = str_trim(str_from(header.data + at + 1, header.size - at - 1));
        if (rest.size <= name.size || rest.data[name.size] != '=' ||
            !str_equal_nocase(str_from(rest.data, name.size), name))
            continue;
        rest = str_from(rest.data + name.size + 1, rest.size - name.size - 1);
        if (rest.size == 0 || rest.data[0] != '"') {
            size_t end = str_find(rest, ';', 0);
            return str_trim(str_from(rest.data, end == SIZE_MAX ? rest.size : end));
        }
        char *value = arena_alloc(&request->arena, rest.size);
        size_t size = 0;
        for (size_t i = 1; i < rest.size && rest.data[i] != '"'; i++) {
            if (rest.data[i] == '\\' && i + 1 < rest.size)
                i++;
            value[size++] = rest.data[i];
        }
        return str_from(value, size);
    }
    return STR("");
}

/* The Content-Disposition line of a part's header. */
static struct str disposition(struct str head)
{
    static const struct str name = STR_INIT("Content-Disposition:");
    for (size_t at = 0; at < head.size;) {
        size_t end = find_text(head, STR("\r\n"), at);
        if (end == SIZE_MAX)
            end = head.size;
        struct str line = str_from(head.data + at, end - at);
        at = end + 2;
        if (line.size > name.size && str_equal_nocase(str_from(line.data, name.size), name))
            return str_trim(str_from(line.data + name.size, line.size - name.size));
    }
    return STR("");
}

/* One part, from behind its delimiter line to before the next delimiter. */
static bool add_part(struct http_request *request, struct str part)
{
    size_t blank = find_text(part, STR("\r\n\r\n"), 0);
    if (blank == SIZE_MAX)
        return false;
    struct str header = disposition(str_from(part.data, blank));
    struct str name = header_param(request, header, STR("name"));
    if (name.size > 0 && header_param(request, header, STR("filename")).size == 0)
        http__param_add(request, name, str_from(part.data + blank + 4, part.size - blank - 4),
                        true);
    return true;
}

void http__multipart_parse(struct http_request *request, struct str content_type, struct str body)
{
    struct str boundary = header_param(request, content_type, STR("boundary"));
    if (boundary.size == 0)
        return;
    struct str delimiter = arena_printf(&request->arena, "\r\n--%.*s", STR_ARG(boundary));
    /* The first delimiter may stand at the very beginning. */
    struct str first = str_from(delimiter.data + 2, delimiter.size - 2);
    size_t at = str_starts_with(body, first) ? first.size : find_text(body, delimiter, 0);
    if (at == SIZE_MAX)
        return;
    if (!str_starts_with(body, first))
        at += delimiter.size;
    uint32_t before = request->param_count;
    while (at + 2 <= body.size && body.data[at] == '\r' && body.data[at + 1] == '\n') {
        size_t end = find_text(body, delimiter, at);
        if (end == SIZE_MAX || end < at + 2 ||
            !add_part(request, str_from(body.data + at + 2, end - at - 2)))
            break;
        at = end + delimiter.size;
    }
    /* A body that is cut off says nothing. */
    if (at + 2 > body.size || body.data[at] != '-' || body.data[at + 1] != '-')
        request->param_count = before;
}
