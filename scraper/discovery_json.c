#include "discovery_json.h"

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
