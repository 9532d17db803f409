#include "yaml_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "narthex/base/number.h"

struct tree_builder {
    yaml_document_t *document;
    struct arena *arena;
    struct strbuf *why;
    uint32_t node_count;
};

static err_t build(struct tree_builder *b, int index, uint32_t depth, struct yaml_node **out);

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static struct str decode_base64(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.size);
    size_t size = 0;
    uint32_t bits = 0;
    int bit_count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            continue;
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[size++] = (char)(bits >> bit_count & 0xff);
        }
    }
    return str_from(out, size);
}

static void build_scalar(struct tree_builder *b, const yaml_node_t *from, struct yaml_node *node)
{
    struct str text = str_from((const char *)from->data.scalar.value, from->data.scalar.length);
    const char *tag = (const char *)from->tag;
    node->binary = tag != NULL && strcmp(tag, "tag:yaml.org,2002:binary") == 0;
    node->text = node->binary ? decode_base64(b->arena, text) : arena_str(b->arena, text);
    node->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                  (tag == NULL || strcmp(tag, YAML_STR_TAG) == 0) && !node->binary;
}

static err_t build_list(struct tree_builder *b, const yaml_node_t *from, uint32_t depth,
                        struct yaml_node *node)
{
    const yaml_node_item_t *start = from->data.sequence.items.start;
    node->count = (uint32_t)(from->data.sequence.items.top - start);
    node->items = ARENA_NEW_ARRAY(b->arena, struct yaml_node *, node->count);
    for (uint32_t i = 0; i < node->count; i++)
        TRY(build(b, start[i], depth + 1, &node->items[i]));
    return OK;
}

static bool has_key(const struct yaml_node *map, uint32_t count, struct str key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(map->pairs[i].key->text, key))
            return true;
    }
    return false;
}

/* Adds the pairs of a merged map that the map itself does not have. */
static void merge(struct arena *arena, struct yaml_node *node, const struct yaml_node *merged)
{
    struct yaml_pair *pairs = ARENA_NEW_ARRAY(arena, struct yaml_pair, node->count + merged->count);
    uint32_t count = node->count;
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = node->pairs[i];
    for (uint32_t i = 0; i < merged->count; i++) {
        if (!has_key(node, node->count, merged->pairs[i].key->text))
            pairs[count++] = merged->pairs[i];
    }
    node->pairs = pairs;
    node->count = count;
}

static err_t build_map(struct tree_builder *b, const yaml_node_t *from, uint32_t depth,
                       struct yaml_node *node)
{
    const yaml_node_pair_t *start = from->data.mapping.pairs.start;
    uint32_t count = (uint32_t)(from->data.mapping.pairs.top - start);
    node->pairs = ARENA_NEW_ARRAY(b->arena, struct yaml_pair, count);
    struct yaml_node *merged = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct yaml_pair pair;
        TRY(build(b, start[i].key, depth + 1, &pair.key));
        TRY(build(b, start[i].value, depth + 1, &pair.value));
        if (pair.key->kind != YAML_SCALAR)
            return err_fail(b->why, ERR_INVALID, "yaml: line %u: map key is not a scalar",
                            pair.key->line);
        if (pair.key->plain && str_equal(pair.key->text, STR("<<")) &&
            pair.value->kind == YAML_MAP) {
            merged = pair.value;
            continue;
        }
        node->pairs[node->count++] = pair;
    }
    if (merged != NULL)
        merge(b->arena, node, merged);
    return OK;
}

static err_t build(struct tree_builder *b, int index, uint32_t depth, struct yaml_node **out)
{
    if (depth > YAML_DEPTH_MAX || ++b->node_count > YAML_NODES_MAX)
        return err_fail(b->why, ERR_LIMIT, "yaml: document contains excessive aliasing or nesting");
    const yaml_node_t *from = yaml_document_get_node(b->document, index);
    struct yaml_node *node = ARENA_NEW(b->arena, struct yaml_node);
    node->line = (uint32_t)from->start_mark.line + 1;
    *out = node;
    switch (from->type) {
    case YAML_SEQUENCE_NODE:
        node->kind = YAML_LIST;
        return build_list(b, from, depth, node);
    case YAML_MAPPING_NODE:
        node->kind = YAML_MAP;
        return build_map(b, from, depth, node);
    default:
        node->kind = YAML_SCALAR;
        build_scalar(b, from, node);
        return OK;
    }
}

err_t yaml_tree_parse(struct str text, struct arena *arena, struct yaml_node **root,
                      struct strbuf *why)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser))
        return err_fail(why, ERR_IO, "yaml: parser cannot start");
    const char *bytes = text.size == 0 ? "" : text.data; /* libyaml refuses NULL */
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, text.size);
    err_t err = OK;
    if (!yaml_parser_load(&parser, &document)) {
        err = err_fail(why, ERR_INVALID, "yaml: line %zu: %s", parser.problem_mark.line + 1,
                       parser.problem == NULL ? "unreadable" : parser.problem);
        yaml_parser_delete(&parser);
        return err;
    }
    struct tree_builder builder = {.document = &document, .arena = arena, .why = why};
    if (yaml_document_get_root_node(&document) == NULL) {
        *root = ARENA_NEW(arena, struct yaml_node);
        (*root)->line = 1;
        (*root)->plain = true;
        (*root)->text = STR("");
    } else {
        err = build(&builder, 1, 0, root);
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return err;
}

static bool is_one_of(struct str text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (str_equal_cstr(text, *words))
            return true;
    }
    return false;
}

bool yaml_node_is_null(const struct yaml_node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return node->kind == YAML_SCALAR && node->plain && is_one_of(node->text, words);
}

bool yaml_node_to_bool(const struct yaml_node *node, bool *value)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};
    if (node->kind != YAML_SCALAR || !node->plain)
        return false;
    *value = is_one_of(node->text, yes);
    return *value || is_one_of(node->text, no);
}

/* ---- numbers ---- */

enum { NUMBER_TEXT_BYTES_MAX = 64 };

/* Without underscores, ended by a NUL; false when it is no plain text of such a size. */
static bool number_text(const struct yaml_node *node, char text[NUMBER_TEXT_BYTES_MAX])
{
    if (node->kind != YAML_SCALAR || !node->plain || node->text.size == 0 ||
        node->text.size >= NUMBER_TEXT_BYTES_MAX)
        return false;
    size_t size = 0;
    for (size_t i = 0; i < node->text.size; i++) {
        if (node->text.data[i] != '_')
            text[size++] = node->text.data[i];
    }
    text[size] = '\0';
    return strlen(text) == size && strchr("+-.0123456789", node->text.data[0]) != NULL;
}

static unsigned take_base(const char **digits)
{
    static const struct {
        char letter;
        unsigned base;
    } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    const char *at = *digits;
    if (at[0] != '0' || at[1] == '\0')
        return 10;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if ((at[1] | 0x20) == prefixes[i].letter) {
            *digits = at + 2;
            return prefixes[i].base;
        }
    }
    *digits = at + 1;
    return 8;
}

static bool read_integer(const char *text, bool *negative, uint64_t *magnitude)
{
    *negative = text[0] == '-';
    text += text[0] == '-' || text[0] == '+';
    unsigned base = take_base(&text);
    *magnitude = 0;
    for (const char *at = text; *at != '\0'; at++) {
        int digit = number_hex_digit(*at);
        if (digit < 0 || (unsigned)digit >= base ||
            *magnitude > (UINT64_MAX - (unsigned)digit) / base)
            return false;
        *magnitude = *magnitude * base + (unsigned)digit;
    }
    return *text != '\0';
}

/* Decimal digits with a point or an exponent; no words, nothing hexadecimal. */
static bool read_decimal(const char *text, double *value)
{
    bool range = false;
    return strspn(text, "+-.0123456789eE") == strlen(text) &&
           number_parse(str_from_cstr(text), value, &range);
}

bool yaml_node_to_uint(const struct yaml_node *node, uint64_t *value)
{
    char text[NUMBER_TEXT_BYTES_MAX];
    bool negative;
    double decimal;
    if (!number_text(node, text))
        return false;
    if (read_integer(text, &negative, value))
        return !negative || *value == 0;
    if (!read_decimal(text, &decimal) || !(decimal >= 0 && decimal < 0x1p64))
        return false;
    *value = (uint64_t)decimal;
    return true;
}

bool yaml_node_to_int(const struct yaml_node *node, int64_t *value)
{
    char text[NUMBER_TEXT_BYTES_MAX];
    bool negative;
    uint64_t magnitude;
    double decimal;
    if (!number_text(node, text))
        return false;
    if (read_integer(text, &negative, &magnitude)) {
        *value = (int64_t)(negative ? 0 - magnitude : magnitude);
        return magnitude <= (uint64_t)INT64_MAX + negative;
    }
    if (!read_decimal(text, &decimal) || !(decimal >= -0x1p63 && decimal < 0x1p63))
        return false;
    *value = (int64_t)decimal;
    return true;
}

bool yaml_node_to_float(const struct yaml_node *node, double *value)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
    static const char *const less[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const none[] = {".nan", ".NaN", ".NAN", NULL};
    char text[NUMBER_TEXT_BYTES_MAX];
    bool negative;
    uint64_t magnitude;
    if (!number_text(node, text))
        return false;
    if (is_one_of(node->text, infinite) || is_one_of(node->text, less)) {
        *value = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (is_one_of(node->text, none)) {
        *value = NAN;
        return true;
    }
    if (read_integer(text, &negative, &magnitude)) {
        *value = negative ? -(double)magnitude : (double)magnitude;
        return true;
    }
    return read_decimal(text, value);
}

const char *yaml_node_tag(const struct yaml_node *node)
{
    char text[NUMBER_TEXT_BYTES_MAX];
    bool truth;
    bool negative;
    uint64_t magnitude;
    double number;
    if (node->kind == YAML_LIST)
        return "!!seq";
    if (node->kind == YAML_MAP)
        return "!!map";
    if (yaml_node_is_null(node))
        return "!!null";
    if (yaml_node_to_bool(node, &truth))
        return "!!bool";
    if (number_text(node, text) && read_integer(text, &negative, &magnitude))
        return "!!int";
    if (yaml_node_to_float(node, &number))
        return "!!float";
    return "!!str";
}
