/* The free map `claims` of an oauth2 section as the JSON that goes into its assertion. */
#include <jansson.h>

#include "config_impl.h"
#include "narthex/base/number.h"

static json_t *to_json(const struct yaml_node *node);

static json_t *scalar_to_json(const struct yaml_node *node)
{
    const char *tag = yaml_node_tag(node);
    bool truth;
    int64_t whole;
    double v;
    bool range;
    if (yaml_node_is_null(node))
        return json_null();
    if (strcmp(tag, "!!bool") == 0 && yaml_node_to_bool(node, &truth))
        return json_boolean(truth);
    if (strcmp(tag, "!!int") == 0 && str_to_int64(node->text, &whole))
        return json_integer(whole);
    if (strcmp(tag, "!!float") == 0 && number_parse(node->text, &v, &range) && v - v == 0)
        return json_real(v);
    return json_stringn(node->text.data, node->text.size);
}

static json_t *list_to_json(const struct yaml_node *node)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < node->count; i++)
        json_array_append_new(list, to_json(node->items[i]));
    return list;
}

static json_t *map_to_json(const struct yaml_node *node)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < node->count; i++) {
        struct strbuf key = STRBUF_INIT;
        strbuf_add_str(&key, node->pairs[i].key->text);
        json_object_set_new(object, strbuf_cstr(&key), to_json(node->pairs[i].value));
        strbuf_deinit(&key);
    }
    return object;
}

static json_t *to_json(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_MAP:
        return map_to_json(node);
    case YAML_LIST:
        return list_to_json(node);
    default:
        return scalar_to_json(node);
    }
}

static int add_text(const char *text, size_t size, void *context)
{
    strbuf_add(context, text, size);
    return 0;
}

struct str config__claims_json(struct arena *arena, const struct yaml_node *claims)
{
    if (claims == NULL || claims->kind != YAML_MAP || claims->count == 0)
        return STR("");
    struct strbuf text = STRBUF_INIT;
    json_t *object = map_to_json(claims);
    json_dump_callback(object, add_text, &text, JSON_COMPACT);
    json_decref(object);
    struct str kept = arena_str(arena, strbuf_str(&text));
    strbuf_deinit(&text);
    return kept;
}
