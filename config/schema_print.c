#include "schema.h"

#include "narthex/base/duration.h"
#include "narthex/base/number.h"
#include "narthex/base/url.h"

static void indent_by(struct strbuf *out, uint32_t indent)
{
    for (uint32_t i = 0; i < indent; i++)
        strbuf_add_char(out, ' ');
}

/* A plain YAML scalar must not read back as something else than this string. */
static bool needs_quotes(struct str text)
{
    struct yaml_node node = {.kind = YAML_SCALAR, .text = text, .plain = true};
    if (strcmp(yaml_node_tag(&node), "!!str") != 0)
        return true;
    if (strchr("!&*-?|>@%`\"'#,[]{}:=~ ", text.data[0]) != NULL)
        return text.data[0] != '-' || text.size == 1 || text.data[1] == ' ' || text.data[1] == '-';
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        char next = i + 1 < text.size ? text.data[i + 1] : ' ';
        if ((unsigned char)c < 0x20 || (c == ':' && next == ' ') || (c == ' ' && next == '#'))
            return true;
    }
    return text.data[text.size - 1] == ' ';
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < 0x20)
            return true;
    }
    return false;
}

static void print_string(struct strbuf *out, struct str text)
{
    if (text.size == 0) {
        strbuf_add_cstr(out, "\"\"");
    } else if (!needs_quotes(text)) {
        strbuf_add_str(out, text);
    } else if (has_control(text) || strcmp(yaml_node_tag(&(struct yaml_node){
                                               .kind = YAML_SCALAR, .text = text, .plain = true}),
                                           "!!str") != 0) {
        strbuf_add_quoted(out, text);
    } else {
        strbuf_add_char(out, '\'');
        for (size_t i = 0; i < text.size; i++) {
            if (text.data[i] == '\'')
                strbuf_add_char(out, '\'');
            strbuf_add_char(out, text.data[i]);
        }
        strbuf_add_char(out, '\'');
    }
}

/* scheme://user:password@host becomes scheme://user:xxxxx@host. */
static void print_url(struct strbuf *out, struct str url)
{
    struct strbuf masked = STRBUF_INIT;
    url_add_masked(&masked, url, "xxxxx");
    print_string(out, strbuf_str(&masked));
    strbuf_deinit(&masked);
}

static void print_item(struct strbuf *out, enum field_kind kind, struct str text)
{
    if (kind == FIELD_SECRETS || kind == FIELD_SECRET_LISTS)
        strbuf_add_cstr(out, "<secret>");
    else
        print_string(out, text);
}

static void print_list(struct strbuf *out, enum field_kind kind, const struct str *items,
                       uint32_t count, uint32_t indent, bool flow)
{
    if (flow) {
        strbuf_add_cstr(out, " [");
        for (uint32_t i = 0; i < count; i++) {
            strbuf_add_cstr(out, i == 0 ? "" : ", ");
            print_item(out, kind, items[i]);
        }
        strbuf_add_cstr(out, "]\n");
        return;
    }
    strbuf_add_char(out, '\n');
    for (uint32_t i = 0; i < count; i++) {
        indent_by(out, indent);
        strbuf_add_cstr(out, "- ");
        print_item(out, kind, items[i]);
        strbuf_add_char(out, '\n');
    }
}

static void print_named(struct strbuf *out, const struct field *field, const struct value *value,
                        uint32_t indent)
{
    strbuf_add_char(out, '\n');
    for (uint32_t i = 0; i < value->count; i++) {
        const struct named_strings *named = &value->named[i];
        indent_by(out, indent + 2);
        print_string(out, named->name);
        strbuf_add_char(out, ':');
        if (field->kind == FIELD_MAP) {
            strbuf_add_char(out, ' ');
            print_string(out, named->count == 0 ? STR("") : named->items[0]);
            strbuf_add_char(out, '\n');
        } else {
            print_list(out, field->kind, named->items, named->count, indent + 2, false);
        }
    }
}

static void print_objects(struct strbuf *out, const struct value *value, uint32_t indent)
{
    strbuf_add_char(out, '\n');
    for (uint32_t i = 0; i < value->count; i++) {
        size_t start = out->size;
        schema_print(value->objects[i], indent + 2, out);
        if (out->size == start) {
            indent_by(out, indent);
            strbuf_add_cstr(out, "- {}\n");
        } else {
            out->data[start + indent] = '-';
        }
    }
}

static void print_object_map(struct strbuf *out, const struct value *value, uint32_t indent)
{
    strbuf_add_char(out, '\n');
    for (uint32_t i = 0; i < value->count; i++) {
        indent_by(out, indent + 2);
        print_string(out, value->named_objects[i].name);
        strbuf_add_cstr(out, ":\n");
        schema_print(value->named_objects[i].object, indent + 4, out);
    }
}

static void print_any(struct strbuf *out, const struct yaml_node *node, uint32_t indent)
{
    if (node->kind == YAML_SCALAR) {
        strbuf_add_char(out, ' ');
        print_string(out, node->text);
        strbuf_add_char(out, '\n');
        return;
    }
    strbuf_add_char(out, '\n');
    for (uint32_t i = 0; i < node->count; i++) {
        indent_by(out, indent + 2);
        if (node->kind == YAML_MAP) {
            print_string(out, node->pairs[i].key->text);
            strbuf_add_char(out, ':');
            print_any(out, node->pairs[i].value, indent + 2);
        } else {
            strbuf_add_char(out, '-');
            print_any(out, node->items[i], indent + 2);
        }
    }
}

static bool is_zero(const struct field *field, const struct value *value)
{
    switch (field->kind) {
    case FIELD_STRING:
    case FIELD_URL:
    case FIELD_SECRET:
        return value->text.size == 0;
    case FIELD_BOOL:
        return !value->b;
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
        return value->i == 0;
    case FIELD_UINT:
        return value->u == 0;
    case FIELD_FLOAT:
        return value->f == 0;
    case FIELD_OBJECT:
        return value->object == NULL;
    case FIELD_ANY:
        return value->any == NULL;
    default:
        return value->count == 0;
    }
}

static void print_scalar(struct strbuf *out, const struct field *field, const struct value *value)
{
    char number[NUMBER_TEXT_MAX];
    strbuf_add_char(out, ' ');
    switch (field->kind) {
    case FIELD_URL:
        print_url(out, value->text);
        break;
    case FIELD_SECRET:
        strbuf_add_cstr(out, "<secret>");
        break;
    case FIELD_BOOL:
        strbuf_add_cstr(out, value->b ? "true" : "false");
        break;
    case FIELD_INT:
        strbuf_add_int(out, value->i);
        break;
    case FIELD_UINT:
        strbuf_add_uint(out, value->u);
        break;
    case FIELD_FLOAT:
        strbuf_add(out, number, number_format_general(value->f, 6, number));
        break;
    case FIELD_DURATION:
        duration_print(value->i, out);
        break;
    case FIELD_SIZE:
        byte_size_print(value->i, out);
        break;
    default:
        print_string(out, value->text);
        break;
    }
    strbuf_add_char(out, '\n');
}

void schema_print(const struct object *object, uint32_t indent, struct strbuf *out)
{
    for (uint32_t i = 0; object->schema->fields[i].name != NULL; i++) {
        const struct field *field = &object->schema->fields[i];
        const struct value *value = &object->values[i];
        if ((field->flags & FIELD_HIDDEN) != 0)
            continue;
        bool wanted = (field->flags & FIELD_ALWAYS) != 0 ||
                      ((field->flags & FIELD_IF_SET) != 0 && value->set);
        if (is_zero(field, value) && !wanted)
            continue;
        if (field->kind == FIELD_OBJECT && value->object == NULL)
            continue;
        indent_by(out, indent);
        strbuf_add_cstr(out, field->name);
        strbuf_add_char(out, ':');
        switch (field->kind) {
        case FIELD_STRINGS:
        case FIELD_SECRETS:
            print_list(out, field->kind, value->strings, value->count, indent,
                       (field->flags & FIELD_FLOW) != 0);
            break;
        case FIELD_MAP:
        case FIELD_LISTS:
        case FIELD_SECRET_LISTS:
            print_named(out, field, value, indent);
            break;
        case FIELD_OBJECT:
            strbuf_add_char(out, '\n');
            schema_print(value->object, indent + 2, out);
            break;
        case FIELD_OBJECTS:
            print_objects(out, value, indent);
            break;
        case FIELD_OBJECT_MAP:
            print_object_map(out, value, indent);
            break;
        case FIELD_ANY:
            print_any(out, value->any, indent);
            break;
        default:
            print_scalar(out, field, value);
            break;
        }
    }
}
