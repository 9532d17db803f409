/* Target groups as files and HTTP answers write them, in JSON or YAML. */
#include <assert.h>
#include <jansson.h>
#include <string.h>
#include <yaml.h>

#include "discovery_json.h"
#include "discovery_labels.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

/* Adds a group whose targets have only an address. `labels` need not be sorted, an empty value is
 * no label; all strings are copied. */
static void add_group(struct discovered_groups *groups, const struct str *addresses,
                      uint32_t address_count, const struct label *labels, uint32_t label_count)
{
    struct arena *arena = groups->arena;
    struct labels *targets = ARENA_NEW_ARRAY(arena, struct labels, address_count + 1);
    for (uint32_t i = 0; i < address_count; i++) {
        struct label address = {STR("__address__"), addresses[i]};
        bool empty = addresses[i].size == 0;
        targets[i] = labels_copy(arena, (struct labels){&address, empty ? 0 : 1});
    }
    struct discovery_labels shared = {0};
    for (uint32_t i = 0; i < label_count; i++)
        discovery_labels_add(&shared, arena_str(arena, labels[i].name),
                             arena_str(arena, labels[i].value));
    discovered_groups_add_labeled(groups, targets, address_count,
                                  discovery_labels_finish(&shared, arena));
    discovery_labels_deinit(&shared);
}

enum { GROUP_BYTES_MAX = 8 << 20 }; /* of one group in JSON */

/* One group while it is read; strings are borrowed from the document. */
struct draft {
    struct str *addresses;
    uint32_t address_count;
    uint32_t address_capacity;
    struct label *labels;
    uint32_t label_count;
    uint32_t label_capacity;
};

static void draft_deinit(struct draft *draft)
{
    mem_free(MEM_DISCOVERY, draft->addresses);
    mem_free(MEM_DISCOVERY, draft->labels);
}

static void draft_add_address(struct draft *draft, struct str address)
{
    VEC_PUSH(MEM_DISCOVERY, draft->addresses, draft->address_count, draft->address_capacity,
             address);
}

static bool draft_has_label(const struct draft *draft, struct str name)
{
    for (uint32_t i = 0; i < draft->label_count; i++) {
        if (str_equal(draft->labels[i].name, name))
            return true;
    }
    return false;
}

static err_t draft_add_label(struct draft *draft, struct str name, struct str value,
                             struct strbuf *why)
{
    if (!label_name_is_valid(name, NAME_SCHEME_UTF8)) {
        strbuf_clear(why);
        strbuf_add_quoted(why, name);
        strbuf_add_cstr(why, " is not a valid label name");
        return ERR_INVALID;
    }
    if (draft->label_count == DISCOVERY_TARGET_LABELS_MAX)
        return err_fail(why, ERR_LIMIT, "a target has more than %d labels",
                        DISCOVERY_TARGET_LABELS_MAX);
    VEC_PUSH(MEM_DISCOVERY, draft->labels, draft->label_count, draft->label_capacity,
             (struct label){name, value});
    return OK;
}

static void draft_finish(struct draft *draft, const struct label *extra,
                         struct discovered_groups *groups)
{
    VEC_PUSH(MEM_DISCOVERY, draft->labels, draft->label_count, draft->label_capacity, *extra);
    add_group(groups, draft->addresses, draft->address_count, draft->labels, draft->label_count);
}

/* ---- JSON ---- */

static err_t read_json_targets(struct draft *draft, const json_t *targets, struct strbuf *why)
{
    if (!json_is_array(targets) && !json_is_null(targets))
        return err_fail(why, ERR_INVALID, "\"targets\" is not a list");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *address = json_array_get(targets, i);
        if (!json_is_string(address) && !json_is_null(address))
            return err_fail(why, ERR_INVALID, "a target is not a string");
        draft_add_address(draft, discovery_json_text(address));
    }
    return OK;
}

static err_t read_json_labels(struct draft *draft, json_t *labels, struct strbuf *why)
{
    if (!json_is_object(labels) && !json_is_null(labels))
        return err_fail(why, ERR_INVALID, "\"labels\" is not an object");
    const char *name;
    json_t *value;
    json_object_foreach(labels, name, value)
    {
        if (!json_is_string(value) && !json_is_null(value))
            return err_fail(why, ERR_INVALID, "the value of label \"%s\" is not a string", name);
        TRY(draft_add_label(draft, str_from_cstr(name), discovery_json_text(value), why));
    }
    return OK;
}

static err_t read_json_group(struct draft *draft, json_t *group, struct strbuf *why)
{
    if (json_is_null(group))
        return err_fail(why, ERR_INVALID, "nil target group item found");
    if (!json_is_object(group))
        return err_fail(why, ERR_INVALID, "a target group is not an object");
    const char *key;
    json_t *value;
    json_object_foreach(group, key, value)
    {
        /* In any case: programs in Go write their fields' names. */
        if (str_equal_nocase(str_from_cstr(key), STR("targets")))
            TRY(read_json_targets(draft, value, why));
        else if (str_equal_nocase(str_from_cstr(key), STR("labels")))
            TRY(read_json_labels(draft, value, why));
        else
            return err_fail(why, ERR_INVALID, "json: unknown field \"%s\"", key);
    }
    return OK;
}

static err_t check_room(const struct discovered_groups *groups, struct strbuf *why)
{
    if (arena_exhausted(groups->arena))
        return err_fail(why, ERR_LIMIT, "target groups need more than %zu bytes",
                        groups->arena->budget_bytes);
    return OK;
}

static err_t add_json_groups(struct discovered_groups *groups, struct str text,
                             const struct label *extra, struct strbuf *why)
{
    struct discovery_json_list list = {.text = text, .element_bytes_max = GROUP_BYTES_MAX};
    json_t *group;
    for (;;) {
        TRY(check_room(groups, why));
        TRY(discovery_json_next(&list, &group, why));
        if (group == NULL)
            return OK;
        struct draft draft = {0};
        err_t err = read_json_group(&draft, group, why);
        if (err == OK)
            draft_finish(&draft, extra, groups);
        draft_deinit(&draft);
        json_decref(group);
        TRY(err);
    }
}

err_t discovered_groups_read_json(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why)
{
    uint32_t count_before = groups->count;
    err_t err = add_json_groups(groups, text, extra, why);
    if (err != OK)
        groups->count = count_before;
    return err;
}

/* ---- YAML ---- */

enum { MERGES_MAX = 16 }; /* of one group */

static bool yaml_text(const yaml_node_t *node, struct str *text)
{
    if (node->type != YAML_SCALAR_NODE)
        return false;
    *text = str_from((const char *)node->data.scalar.value, node->data.scalar.length);
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (str_equal(*text, STR("~")) || str_equal(*text, STR("null"))))
        *text = STR("");
    return true;
}

static bool yaml_is_null(const yaml_node_t *node)
{
    struct str text;
    return yaml_text(node, &text) && text.size == 0 &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static err_t read_yaml_targets(struct draft *draft, yaml_document_t *document,
                               const yaml_node_t *targets, struct strbuf *why)
{
    if (yaml_is_null(targets))
        return OK;
    if (targets->type != YAML_SEQUENCE_NODE)
        return err_fail(why, ERR_INVALID, "line %zu: targets is not a list",
                        targets->start_mark.line + 1);
    for (const yaml_node_item_t *item = targets->data.sequence.items.start;
         item < targets->data.sequence.items.top; item++) {
        const yaml_node_t *address = yaml_document_get_node(document, *item);
        struct str text;
        if (!yaml_text(address, &text))
            return err_fail(why, ERR_INVALID, "line %zu: a target is not a string",
                            address->start_mark.line + 1);
        draft_add_address(draft, text);
    }
    return OK;
}

/* One group in the making and where it comes from. */
struct yaml_group {
    struct draft draft;
    yaml_document_t *document;
    bool has_targets;
    bool has_labels;
    uint32_t merges; /* so far */
};

/* Takes a pair of a map; one that is `merged` counts only if its key is not there yet. */
typedef err_t (*take_pair_fn)(struct yaml_group *group, const yaml_node_t *key,
                              const yaml_node_t *value, bool merged, struct strbuf *why);

static bool is_merge(const yaml_node_t *key)
{
    struct str name;
    return yaml_text(key, &name) && str_equal(name, STR("<<")) &&
           key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static err_t take_own_pairs(struct yaml_group *group, const yaml_node_t *map, take_pair_fn take,
                            bool merged, struct strbuf *why)
{
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(group->document, pair->key);
        if (!is_merge(key))
            TRY(take(group, key, yaml_document_get_node(group->document, pair->value), merged,
                     why));
    }
    return OK;
}

static err_t take_merged(struct yaml_group *group, const yaml_node_t *value, take_pair_fn take,
                         struct strbuf *why);

static err_t take_merges(struct yaml_group *group, const yaml_node_t *map, take_pair_fn take,
                         struct strbuf *why)
{
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        if (is_merge(yaml_document_get_node(group->document, pair->key)))
            TRY(take_merged(group, yaml_document_get_node(group->document, pair->value), take,
                            why));
    }
    return OK;
}

/* What `<<` brings in: a map, or a list of maps. Aliases may lead in circles. */
static err_t take_merged(struct yaml_group *group, const yaml_node_t *value, take_pair_fn take,
                         struct strbuf *why)
{
    if (++group->merges > MERGES_MAX)
        return err_fail(why, ERR_LIMIT, "line %zu: a group merges more than %d maps",
                        value->start_mark.line + 1, MERGES_MAX);
    if (value->type == YAML_SEQUENCE_NODE) {
        for (const yaml_node_item_t *item = value->data.sequence.items.start;
             item < value->data.sequence.items.top; item++)
            TRY(take_merged(group, yaml_document_get_node(group->document, *item), take, why));
        return OK;
    }
    if (value->type != YAML_MAPPING_NODE)
        return err_fail(why, ERR_INVALID,
                        "line %zu: map merge requires map or sequence of maps as the value",
                        value->start_mark.line + 1);
    TRY(take_own_pairs(group, value, take, true, why));
    return take_merges(group, value, take, why);
}

static err_t take_pairs(struct yaml_group *group, const yaml_node_t *map, take_pair_fn take,
                        struct strbuf *why)
{
    TRY(take_own_pairs(group, map, take, false, why));
    return take_merges(group, map, take, why);
}

static err_t take_label(struct yaml_group *group, const yaml_node_t *key, const yaml_node_t *value,
                        bool merged, struct strbuf *why)
{
    struct str name;
    struct str text;
    if (!yaml_text(key, &name) || !yaml_text(value, &text))
        return err_fail(why, ERR_INVALID, "line %zu: a label is not a pair of strings",
                        key->start_mark.line + 1);
    if (!draft_has_label(&group->draft, name))
        return draft_add_label(&group->draft, name, text, why);
    if (merged)
        return OK;
    return err_fail(why, ERR_INVALID, "line %zu: key \"%.*s\" already set in map",
                    key->start_mark.line + 1, STR_ARG(name));
}

static err_t take_field(struct yaml_group *group, const yaml_node_t *key, const yaml_node_t *value,
                        bool merged, struct strbuf *why)
{
    struct str name = STR("");
    (void)yaml_text(key, &name);
    bool is_targets = str_equal(name, STR("targets"));
    bool *seen = is_targets ? &group->has_targets : &group->has_labels;
    if (!is_targets && !str_equal(name, STR("labels")))
        return err_fail(why, ERR_INVALID, "line %zu: field %.*s not found in type struct",
                        key->start_mark.line + 1, STR_ARG(name));
    if (*seen && merged)
        return OK;
    if (*seen)
        return err_fail(why, ERR_INVALID, "line %zu: field %.*s already set in type struct",
                        key->start_mark.line + 1, STR_ARG(name));
    *seen = true;
    if (is_targets)
        return read_yaml_targets(&group->draft, group->document, value, why);
    if (yaml_is_null(value))
        return OK;
    if (value->type != YAML_MAPPING_NODE)
        return err_fail(why, ERR_INVALID, "line %zu: labels is not a map",
                        value->start_mark.line + 1);
    return take_pairs(group, value, take_label, why);
}

static err_t read_yaml_group(struct yaml_group *group, const yaml_node_t *node, struct strbuf *why)
{
    if (yaml_is_null(node))
        return err_fail(why, ERR_INVALID, "nil target group item found");
    if (node->type != YAML_MAPPING_NODE)
        return err_fail(why, ERR_INVALID, "line %zu: a target group is not a map",
                        node->start_mark.line + 1);
    return take_pairs(group, node, take_field, why);
}

static err_t read_yaml_root(struct discovered_groups *groups, yaml_document_t *document,
                            const struct label *extra, struct strbuf *why)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    if (root == NULL || yaml_is_null(root))
        return OK;
    if (root->type != YAML_SEQUENCE_NODE)
        return err_fail(why, ERR_INVALID, "not a list of target groups");
    for (const yaml_node_item_t *item = root->data.sequence.items.start;
         item < root->data.sequence.items.top; item++) {
        TRY(check_room(groups, why));
        struct yaml_group group = {.document = document};
        err_t err = read_yaml_group(&group, yaml_document_get_node(document, *item), why);
        if (err == OK)
            draft_finish(&group.draft, extra, groups);
        draft_deinit(&group.draft);
        TRY(err);
    }
    return OK;
}

err_t discovered_groups_read_yaml(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why)
{
    yaml_parser_t parser;
    yaml_document_t document;
    int ready = yaml_parser_initialize(&parser);
    assert(ready == 1);
    (void)ready;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.size);
    uint32_t count_before = groups->count;
    err_t err;
    if (yaml_parser_load(&parser, &document) == 0) {
        err = err_fail(why, ERR_INVALID, "yaml: line %zu: %s", parser.problem_mark.line + 1,
                       parser.problem == NULL ? "malformed" : parser.problem);
    } else {
        err = read_yaml_root(groups, &document, extra, why);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    if (err != OK)
        groups->count = count_before;
    return err;
}
