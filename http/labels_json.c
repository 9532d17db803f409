#include "labels_json.h"

#include <jansson.h>

static const char *json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "number";
    default:
        return "bool";
    }
}

static err_t wrong_kind(const json_t *value, const char *wanted, struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "json: cannot unmarshal %s into Go value of type %s",
                    json_kind(value), wanted);
}

static err_t take_labels(json_t *root, struct arena *arena, struct label_builder *builder,
                         struct strbuf *why)
{
    const char *name;
    json_t *value;
    if (json_is_null(root))
        return OK;
    if (!json_is_object(root))
        return wrong_kind(root, "map[string]string", why);
    json_object_foreach(root, name, value)
    {
        if (!json_is_string(value) && !json_is_null(value))
            return wrong_kind(value, "string", why);
        struct str text = str_from(json_string_value(value), json_string_length(value));
        label_builder_set(builder, arena_str(arena, str_from_cstr(name)), arena_str(arena, text));
    }
    return OK;
}

err_t labels_json_read(struct str text, struct arena *arena, struct label_builder *builder,
                       struct strbuf *why)
{
    json_error_t fault;
    json_t *root = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
    if (root == NULL)
        return err_fail(why, ERR_INVALID, "%s", fault.text);
    err_t err = take_labels(root, arena, builder, why);
    json_decref(root);
    return err;
}
