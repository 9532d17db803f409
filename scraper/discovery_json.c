#include "discovery_json.h"

#include <string.h>

err_t discovery_json_read(struct str text, json_t **root, struct strbuf *why)
{
    json_error_t error;
    *root = json_loadb(text.data, text.size, 0, &error);
    if (*root == NULL)
        return err_fail(why, ERR_INVALID, "json: line %d, column %d: %s", error.line, error.column,
                        error.text);
    return OK;
}

struct str discovery_json_text(const json_t *value)
{
    return str_from(json_string_value(value), json_string_length(value));
}

struct str discovery_json_get_text(const json_t *object, const char *key)
{
    return discovery_json_text(json_object_get(object, key));
}

int64_t discovery_json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool discovery_json_get_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static bool is_label_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void discovery_label_name_add(struct strbuf *name, struct str key)
{
    for (size_t i = 0; i < key.size;) {
        uint32_t rune;
        size_t size = str_decode_rune(str_from(key.data + i, key.size - i), &rune);
        strbuf_add_char(name, is_label_char((unsigned char)key.data[i]) ? key.data[i] : '_');
        i += size == 0 ? 1 : size;
    }
}

void discovery_address_add(struct strbuf *address, struct str host, int64_t port)
{
    bool is_ipv6 = str_find(host, ':', 0) != SIZE_MAX;
    strbuf_add_cstr(address, is_ipv6 ? "[" : "");
    strbuf_add_str(address, host);
    strbuf_add_cstr(address, is_ipv6 ? "]:" : ":");
    strbuf_add_int(address, port);
}

void discovery_query_add(struct strbuf *url, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_label_char(c) || c == '-' || c == '.' || c == '~')
            strbuf_add_char(url, (char)c);
        else
            strbuf_printf(url, "%%%02X", c);
    }
}

/* ---- lists ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The byte after blanks, 0 at the end. */
static char next_mark(struct discovery_json_list *list)
{
    struct str text = list->text;
    while (list->at < text.size && is_blank(text.data[list->at]))
        list->at++;
    return list->at < text.size ? text.data[list->at] : '\0';
}

/* Where the value that begins at `at` ends, by brackets and quotes alone: what is between them is
 * the parser's matter. SIZE_MAX when it does not end. */
static size_t value_end(struct str text, size_t at)
{
    size_t depth = 0;
    bool quoted = false;
    for (; at < text.size; at++) {
        char c = text.data[at];
        if (quoted) {
            at += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
            return at;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return SIZE_MAX;
}

static err_t begin_list(struct discovery_json_list *list, bool *empty, struct strbuf *why)
{
    char mark = next_mark(list);
    *empty = str_equal(str_trim(list->text), STR("null"));
    if (mark != '[' && !*empty)
        return err_fail(why, ERR_INVALID, "json: not a list");
    list->at++;
    if (!*empty && next_mark(list) == ']') {
        list->at++;
        *empty = true;
    } else if (*empty) {
        list->at = list->text.size;
    }
    return OK;
}

static err_t end_list(struct discovery_json_list *list, struct strbuf *why)
{
    if (next_mark(list) != '\0' || list->at < list->text.size)
        return err_fail(why, ERR_INVALID, "json: something follows the list");
    return OK;
}

/* After an element: whether another one follows. */
static err_t next_or_end(struct discovery_json_list *list, bool *ended, struct strbuf *why)
{
    char mark = next_mark(list);
    if (mark != ',' && mark != ']')
        return err_fail(why, ERR_INVALID, "json: element %u of a list has no end", list->count);
    *ended = mark == ']';
    list->at++;
    return OK;
}

err_t discovery_json_next(struct discovery_json_list *list, json_t **element, struct strbuf *why)
{
    bool ended = false;
    *element = NULL;
    if (list->count == 0 && list->at == 0)
        TRY(begin_list(list, &ended, why));
    else
        TRY(next_or_end(list, &ended, why));
    if (ended)
        return end_list(list, why);
    size_t end = value_end(list->text, list->at);
    if (end == SIZE_MAX)
        end = list->text.size;
    size_t bytes_max =
        list->element_bytes_max > 0 ? list->element_bytes_max : DISCOVERY_ELEMENT_BYTES_MAX;
    if (end - list->at > bytes_max)
        return err_fail(why, ERR_LIMIT, "json: element %u of a list has more than %zu bytes",
                        list->count, bytes_max);
    /* jansson takes a NUL for the end. */
    if (memchr(list->text.data + list->at, '\0', end - list->at) != NULL)
        return err_fail(why, ERR_INVALID, "json: element %u of a list holds a NUL", list->count);
    json_error_t error;
    *element = json_loadb(list->text.data + list->at, end - list->at, JSON_DECODE_ANY, &error);
    if (*element == NULL)
        return err_fail(why, ERR_INVALID, "json: element %u of a list: line %d, column %d: %s",
                        list->count, error.line, error.column, error.text);
    list->at = end;
    list->count++;
    return OK;
}
