#include "schema.h"

#include <assert.h>

#include "narthex/base/duration.h"
#include "narthex/base/url.h"

enum { DECODE_ERRORS_MAX = 20 };

struct decoder {
    struct arena *arena;
    struct str folder;
    struct strbuf *why;
    struct strbuf errors; /* "\n  line N: …" lines */
    uint32_t error_count;
};

static err_t decode_object(struct decoder *d, const struct schema *schema,
                           const struct yaml_node *node, struct object **out);

static void note(struct decoder *d, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(struct decoder *d, uint32_t line, const char *format, ...)
{
    if (d->error_count++ >= DECODE_ERRORS_MAX)
        return;
    strbuf_printf(&d->errors, "\n  line %u: ", line);
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&d->errors, format, args);
    va_end(args);
}

static void note_type(struct decoder *d, const struct yaml_node *node, const char *wanted)
{
    if (node->kind == YAML_SCALAR)
        note(d, node->line, "cannot unmarshal %s `%.*s` into %s", yaml_node_tag(node),
             STR_ARG(node->text), wanted);
    else
        note(d, node->line, "cannot unmarshal %s into %s", yaml_node_tag(node), wanted);
}

/* Appends " (line N)" to the text of a failed check. */
static err_t located(struct decoder *d, uint32_t line, err_t err)
{
    if (err != OK)
        strbuf_printf(d->why, " (line %u)", line);
    return err;
}

static bool expect_scalar(struct decoder *d, const struct yaml_node *node, const char *wanted)
{
    if (node->kind == YAML_SCALAR)
        return true;
    note_type(d, node, wanted);
    return false;
}

static struct str joined_path(struct decoder *d, struct str path)
{
    if (path.size == 0 || path.data[0] == '/' || d->folder.size == 0)
        return path;
    return arena_printf(d->arena, "%.*s/%.*s", STR_ARG(d->folder), STR_ARG(path));
}

static void decode_strings(struct decoder *d, const struct yaml_node *node, bool paths,
                           struct str **items, uint32_t *count)
{
    if (yaml_node_is_null(node))
        return;
    if (node->kind != YAML_LIST) {
        note_type(d, node, "[]string");
        return;
    }
    *items = ARENA_NEW_ARRAY(d->arena, struct str, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        if (expect_scalar(d, node->items[i], "string"))
            (*items)[(*count)++] =
                paths ? joined_path(d, node->items[i]->text) : node->items[i]->text;
    }
}

static bool expect_map(struct decoder *d, const struct yaml_node *node, const char *wanted)
{
    if (node->kind == YAML_MAP)
        return true;
    if (!yaml_node_is_null(node))
        note_type(d, node, wanted);
    return false;
}

static bool repeated_key(struct decoder *d, const struct yaml_node *map, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (str_equal(map->pairs[i].key->text, map->pairs[index].key->text)) {
            note(d, map->pairs[index].key->line, "key \"%.*s\" already set in map",
                 STR_ARG(map->pairs[index].key->text));
            return true;
        }
    }
    return false;
}

static void decode_named(struct decoder *d, const struct yaml_node *node, bool lists,
                         struct value *value)
{
    if (!expect_map(d, node, lists ? "map[string][]string" : "map[string]string"))
        return;
    value->named = ARENA_NEW_ARRAY(d->arena, struct named_strings, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        if (repeated_key(d, node, i))
            continue;
        struct named_strings *named = &value->named[value->count++];
        const struct yaml_node *item = node->pairs[i].value;
        named->name = node->pairs[i].key->text;
        if (lists) {
            decode_strings(d, item, false, &named->items, &named->count);
        } else if (expect_scalar(d, item, "string")) {
            named->items = ARENA_NEW_ARRAY(d->arena, struct str, 1);
            named->items[0] = yaml_node_is_null(item) ? STR("") : item->text;
            named->count = 1;
        }
    }
}

static err_t decode_objects(struct decoder *d, const struct field *field,
                            const struct yaml_node *node, struct value *value)
{
    if (yaml_node_is_null(node))
        return OK;
    if (node->kind != YAML_LIST) {
        note_type(d, node, "list");
        return OK;
    }
    value->objects = ARENA_NEW_ARRAY(d->arena, struct object *, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        if (yaml_node_is_null(node->items[i]) && field->null_error != NULL)
            return located(d, node->items[i]->line,
                           err_fail(d->why, ERR_INVALID, "%s", field->null_error));
        TRY(decode_object(d, field->schema, node->items[i], &value->objects[value->count++]));
    }
    return OK;
}

static err_t decode_object_map(struct decoder *d, const struct field *field,
                               const struct yaml_node *node, struct value *value)
{
    if (!expect_map(d, node, "map"))
        return OK;
    value->named_objects = ARENA_NEW_ARRAY(d->arena, struct named_object, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        if (repeated_key(d, node, i))
            continue;
        struct named_object *named = &value->named_objects[value->count++];
        named->name = node->pairs[i].key->text;
        TRY(decode_object(d, field->schema, node->pairs[i].value, &named->object));
    }
    return OK;
}

/* Numbers, sizes and durations. `text` comes from the file or from a default. */
static err_t decode_number(struct decoder *d, const struct field *field,
                           const struct yaml_node *node, struct value *value)
{
    switch (field->kind) {
    case FIELD_INT:
        if (!yaml_node_to_int(node, &value->i))
            note_type(d, node, "int");
        return OK;
    case FIELD_UINT:
        if (!yaml_node_to_uint(node, &value->u))
            note_type(d, node, "uint");
        return OK;
    case FIELD_FLOAT:
        if (!yaml_node_to_float(node, &value->f))
            note_type(d, node, "float64");
        return OK;
    case FIELD_DURATION:
        return located(d, node->line, duration_parse(node->text, &value->i, d->why));
    default:
        return located(d, node->line, byte_size_parse(node->text, &value->i, d->why));
    }
}

static err_t decode_scalar(struct decoder *d, const struct field *field,
                           const struct yaml_node *node, struct value *value)
{
    if (yaml_node_is_null(node))
        return OK;
    if (field->kind == FIELD_BOOL) {
        if (!yaml_node_to_bool(node, &value->b))
            note_type(d, node, "bool");
        return OK;
    }
    bool is_number = field->kind == FIELD_INT || field->kind == FIELD_UINT ||
                     field->kind == FIELD_FLOAT; /* which name their type themselves */
    if (!is_number && !expect_scalar(d, node, "string"))
        return OK;
    value->text = node->text;
    if (field->kind == FIELD_STRING || field->kind == FIELD_URL || field->kind == FIELD_SECRET) {
        if ((field->flags & FIELD_PATH) != 0)
            value->text = joined_path(d, node->text);
        if (field->kind == FIELD_URL)
            return located(d, node->line, url_check(node->text, d->why));
        return OK;
    }
    return decode_number(d, field, node, value);
}

static err_t decode_value(struct decoder *d, const struct field *field,
                          const struct yaml_node *node, struct value *value)
{
    switch (field->kind) {
    case FIELD_STRINGS:
    case FIELD_SECRETS:
        decode_strings(d, node, (field->flags & FIELD_PATH) != 0, &value->strings, &value->count);
        return OK;
    case FIELD_MAP:
        decode_named(d, node, false, value);
        return OK;
    case FIELD_LISTS:
    case FIELD_SECRET_LISTS:
        decode_named(d, node, true, value);
        return OK;
    case FIELD_OBJECT:
        return yaml_node_is_null(node) ? OK : decode_object(d, field->schema, node, &value->object);
    case FIELD_OBJECTS:
        return decode_objects(d, field, node, value);
    case FIELD_OBJECT_MAP:
        return decode_object_map(d, field, node, value);
    case FIELD_ANY:
        value->any = (struct yaml_node *)node;
        return OK;
    default:
        return decode_scalar(d, field, node, value);
    }
}

static uint32_t field_count(const struct schema *schema)
{
    uint32_t count = 0;
    while (schema->fields[count].name != NULL)
        count++;
    return count;
}

/* Index of a key, or UINT32_MAX. */
static uint32_t find_field(const struct schema *schema, struct str name)
{
    for (uint32_t i = 0; schema->fields[i].name != NULL; i++) {
        if (str_equal_cstr(name, schema->fields[i].name))
            return i;
    }
    return UINT32_MAX;
}

/* Fills what the file did not set. Defaults are ours, so they cannot fail. */
static void apply_defaults(struct decoder *d, struct object *object)
{
    for (uint32_t i = 0; object->schema->fields[i].name != NULL; i++) {
        const struct field *field = &object->schema->fields[i];
        struct value *value = &object->values[i];
        bool is_scalar = field->kind <= FIELD_SIZE;
        bool empty_text = value->text.size == 0 && field->kind != FIELD_BOOL;
        if (field->fallback == NULL || !is_scalar || (value->set && !empty_text) ||
            (value->set && field->kind == FIELD_BOOL))
            continue;
        if (value->set && (field->kind == FIELD_STRING || field->kind == FIELD_URL))
            continue; /* an explicit "" stays empty */
        struct yaml_node node = {
            .kind = YAML_SCALAR, .text = str_from_cstr(field->fallback), .plain = true};
        err_t err = decode_scalar(d, field, &node, value);
        assert(err == OK);
        (void)err;
    }
}

static struct object *new_object(struct arena *arena, const struct schema *schema, uint32_t line)
{
    struct object *object = ARENA_NEW(arena, struct object);
    object->schema = schema;
    object->line = line;
    object->values = ARENA_NEW_ARRAY(arena, struct value, field_count(schema));
    return object;
}

static err_t decode_pair(struct decoder *d, struct object *object, const struct yaml_pair *pair)
{
    const struct schema *schema = object->schema;
    uint32_t index = find_field(schema, pair->key->text);
    if (index == UINT32_MAX) {
        note(d, pair->key->line, "field %.*s not found in type %s", STR_ARG(pair->key->text),
             schema->type_name);
        return OK;
    }
    struct value *value = &object->values[index];
    if (value->set) {
        note(d, pair->key->line, "field %.*s already set in type %s", STR_ARG(pair->key->text),
             schema->type_name);
        return OK;
    }
    value->set = true;
    value->line = pair->key->line;
    return decode_value(d, &schema->fields[index], pair->value, value);
}

static err_t decode_object(struct decoder *d, const struct schema *schema,
                           const struct yaml_node *node, struct object **out)
{
    struct object *object = new_object(d->arena, schema, node->line);
    *out = object;
    if (!yaml_node_is_null(node)) {
        if (node->kind != YAML_MAP) {
            note_type(d, node, schema->type_name);
            return OK;
        }
        for (uint32_t i = 0; i < node->count; i++)
            TRY(decode_pair(d, object, &node->pairs[i]));
    }
    apply_defaults(d, object);
    /* Values with type errors would only give misleading check errors. */
    if (schema->check == NULL || d->error_count > 0)
        return OK;
    struct check_context context = {d->arena, d->why};
    return located(d, object->line, schema->check(&context, object));
}

err_t schema_decode(const struct schema *schema, const struct yaml_node *node, struct str folder,
                    struct arena *arena, struct object **object, struct strbuf *why)
{
    struct decoder d = {.arena = arena, .folder = folder, .why = why};
    err_t err = decode_object(&d, schema, node, object);
    if (err == OK && d.error_count > 0) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "yaml: unmarshal errors:");
        strbuf_add_str(why, strbuf_str(&d.errors));
        err = ERR_INVALID;
    }
    strbuf_deinit(&d.errors);
    return err;
}

struct object *schema_default(const struct schema *schema, struct arena *arena)
{
    struct strbuf why = STRBUF_INIT;
    struct decoder d = {.arena = arena, .why = &why};
    struct object *object = new_object(arena, schema, 0);
    apply_defaults(&d, object);
    strbuf_deinit(&why);
    return object;
}

struct value *object_find(const struct object *object, const char *name)
{
    uint32_t index = find_field(object->schema, str_from_cstr(name));
    return index == UINT32_MAX ? NULL : &object->values[index];
}

struct value *object_get(const struct object *object, const char *name)
{
    struct value *value = object_find(object, name);
    assert(value != NULL);
    return value;
}

bool object_has_text(const struct object *object, const char *name)
{
    return object_get(object, name)->text.size > 0;
}
