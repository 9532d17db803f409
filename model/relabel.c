#include "narthex/model/relabel.h"

#include <assert.h>
#include <stdlib.h>

#include "narthex/base/md5.h"
#include "narthex/base/mem.h"
#include "regex_expand.h"
#include "unicode_case.h"

static const char default_separator[] = ";";
static const char default_replacement[] = "$1";
static const char default_regex[] = "(.*)";

static const char *const action_texts[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase",
};

void relabel_rule_init(struct relabel_rule *rule)
{
    *rule = (struct relabel_rule){
        .separator = str_from_cstr(default_separator),
        .replacement = str_from_cstr(default_replacement),
        .regex_text = str_from_cstr(default_regex),
        .action = RELABEL_REPLACE,
    };
}

static void free_text(struct str text, const char *default_text)
{
    if (text.data != default_text)
        mem_free(MEM_CONFIG, (char *)text.data);
}

void relabel_rule_deinit(struct relabel_rule *rule)
{
    for (uint32_t i = 0; i < rule->source_label_count; i++)
        mem_free(MEM_CONFIG, (char *)rule->source_labels[i].data);
    mem_free(MEM_CONFIG, rule->source_labels);
    free_text(rule->separator, default_separator);
    free_text(rule->target_label, NULL);
    free_text(rule->replacement, default_replacement);
    free_text(rule->regex_text, default_regex);
    regex_destroy(rule->regex);
    relabel_rule_init(rule);
}

bool relabel_action_parse(struct str text, enum relabel_action *action)
{
    for (size_t i = 0; i < sizeof action_texts / sizeof action_texts[0]; i++) {
        if (str_equal_nocase(text, str_from_cstr(action_texts[i]))) {
            *action = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

const char *relabel_action_text(enum relabel_action action)
{
    return action_texts[action];
}

/* --- checks --- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Bytes of a $name or ${name} at text[at], 0 if there is none. */
static size_t reference_size(struct str text, size_t at)
{
    size_t from = at + 1;
    bool braces = from < text.size && text.data[from] == '{';
    size_t end = from + braces;
    while (end < text.size && is_word(text.data[end]))
        end++;
    if (end == from + braces)
        return 0;
    if (!braces)
        return end - at;
    return end < text.size && text.data[end] == '}' ? end + 1 - at : 0;
}

/* Word characters and references, not beginning with a digit; anything that is a name under utf8.
 */
static bool template_is_valid(struct str text, enum name_scheme scheme)
{
    if (scheme == NAME_SCHEME_UTF8)
        return label_name_is_valid(text, scheme);
    if (text.size == 0 || (text.data[0] >= '0' && text.data[0] <= '9'))
        return false;
    for (size_t at = 0; at < text.size;) {
        size_t used = text.data[at] == '$' ? reference_size(text, at) : is_word(text.data[at]);
        if (used == 0)
            return false;
        at += used;
    }
    return true;
}

static bool has_reference(struct str text)
{
    return str_find(text, '$', 0) != SIZE_MAX;
}

static bool takes_target(enum relabel_action action)
{
    return action == RELABEL_REPLACE || action == RELABEL_HASHMOD || action == RELABEL_LOWERCASE ||
           action == RELABEL_UPPERCASE || action == RELABEL_KEEPEQUAL ||
           action == RELABEL_DROPEQUAL;
}

static bool target_is_valid(const struct relabel_rule *rule, enum name_scheme scheme)
{
    if (rule->action == RELABEL_REPLACE && has_reference(rule->target_label))
        return template_is_valid(rule->target_label, scheme);
    return label_name_is_valid(rule->target_label, scheme);
}

static err_t fail_name(struct strbuf *why, struct str name, const char *field, const char *action)
{
    strbuf_clear(why);
    strbuf_add_quoted(why, name);
    strbuf_printf(why, " is invalid '%s' for %s action", field, action);
    return ERR_INVALID;
}

err_t relabel_rule_validate(const struct relabel_rule *rule, enum name_scheme scheme,
                            struct strbuf *why)
{
    enum relabel_action action = rule->action;
    const char *name = relabel_action_text(action);
    bool equal = action == RELABEL_KEEPEQUAL || action == RELABEL_DROPEQUAL;
    bool by_name = action == RELABEL_LABELDROP || action == RELABEL_LABELKEEP;
    bool plain_replacement = str_equal_cstr(rule->replacement, default_replacement);
    bool plain = plain_replacement && str_equal_cstr(rule->separator, default_separator) &&
                 rule->modulus == 0;

    if (action == RELABEL_HASHMOD && rule->modulus == 0)
        return err_fail(why, ERR_INVALID,
                        "relabel configuration for hashmod requires non-zero modulus");
    if (takes_target(action) && rule->target_label.size == 0)
        return err_fail(why, ERR_INVALID,
                        "relabel configuration for %s action requires 'target_label' value", name);
    if (takes_target(action) && !target_is_valid(rule, scheme))
        return fail_name(why, rule->target_label, "target_label", name);
    if ((equal || action == RELABEL_LOWERCASE || action == RELABEL_UPPERCASE) && !plain_replacement)
        return err_fail(why, ERR_INVALID, "'replacement' can not be set for %s action", name);
    if (action == RELABEL_LABELMAP && !template_is_valid(rule->replacement, scheme))
        return fail_name(why, rule->replacement, "replacement", name);
    if (equal && (rule->regex_set || !plain))
        return err_fail(why, ERR_INVALID,
                        "%s action requires only 'source_labels' and `target_label`, and no other "
                        "fields",
                        name);
    if (by_name && (rule->source_labels_set || rule->target_label.size > 0 || !plain))
        return err_fail(why, ERR_INVALID, "%s action requires only 'regex', and no other fields",
                        name);
    return OK;
}

/* --- applying --- */

/* What the rules of one call share; the buffers are reused from rule to rule. */
struct run {
    struct label_builder *builder;
    struct arena *arena;
    enum name_scheme scheme;
    struct strbuf joined;
    struct strbuf expanded;
};

static bool rule_matches(const struct relabel_rule *rule, struct str text)
{
    return rule->regex == NULL || regex_matches(rule->regex, text);
}

/* As regex_expand; the default pattern needs no engine. The view lives until the next call. */
static bool rule_expand(const struct relabel_rule *rule, struct run *run, struct str text,
                        struct str template, struct str *result)
{
    strbuf_clear(&run->expanded);
    if (rule->regex == NULL) {
        static const struct str names[2];
        const struct regex_span spans[2] = {{0, text.size}, {0, text.size}};
        regex__expand(text, template, spans, names, 2, &run->expanded);
    } else if (!regex_expand(rule->regex, text, template, &run->expanded)) {
        return false;
    }
    *result = strbuf_str(&run->expanded);
    return true;
}

/* Values of the source labels joined by the separator; a view of a label when there is only one. */
static struct str source_value(const struct relabel_rule *rule, struct run *run)
{
    if (rule->source_label_count == 1)
        return label_builder_get(run->builder, rule->source_labels[0]);
    strbuf_clear(&run->joined);
    for (uint32_t i = 0; i < rule->source_label_count; i++) {
        if (i > 0)
            strbuf_add_str(&run->joined, rule->separator);
        strbuf_add_str(&run->joined, label_builder_get(run->builder, rule->source_labels[i]));
    }
    return strbuf_str(&run->joined);
}

static void replace(const struct relabel_rule *rule, struct run *run, struct str value)
{
    struct str target = rule->target_label;
    struct str result;
    if (has_reference(target)) {
        if (!rule_expand(rule, run, value, rule->target_label, &target) ||
            !label_name_is_valid(target, run->scheme))
            return;
        target = arena_str(run->arena, target);
    }
    if (!rule_expand(rule, run, value, rule->replacement, &result))
        return;
    if (result.size == 0)
        label_builder_remove(run->builder, target);
    else
        label_builder_set(run->builder, target, arena_str(run->arena, result));
}

static void hash_into(const struct relabel_rule *rule, struct run *run, struct str value)
{
    uint8_t digest[MD5_BYTES];
    md5_digest(value.data, value.size, digest);
    uint64_t hash = 0;
    for (int i = MD5_BYTES / 2; i < MD5_BYTES; i++)
        hash = hash << 8 | digest[i];
    struct str text = arena_printf(run->arena, "%llu", (unsigned long long)(hash % rule->modulus));
    label_builder_set(run->builder, rule->target_label, text);
}

static void change_case(const struct relabel_rule *rule, struct run *run, struct str value)
{
    strbuf_clear(&run->expanded);
    for (size_t at = 0; at < value.size;) {
        uint32_t rune;
        char text[4];
        size_t length = str_decode_rune(str_from(value.data + at, value.size - at), &rune);
        if (length == 0) {
            rune = 0xfffd;
            length = 1;
        }
        rune = rule->action == RELABEL_LOWERCASE ? rune_to_lower(rune) : rune_to_upper(rune);
        strbuf_add(&run->expanded, text, str_encode_rune(rune, text));
        at += length;
    }
    label_builder_set(run->builder, rule->target_label,
                      arena_str(run->arena, strbuf_str(&run->expanded)));
}

struct mapped_label {
    struct str before;
    struct label label;
};

static int by_name_before(const void *a, const void *b)
{
    const struct mapped_label *x = a;
    const struct mapped_label *y = b;
    return str_compare(x->before, y->before);
}

/* Of several that get the same name the last by name stays, whatever order they came in. */
static void map_names(const struct relabel_rule *rule, struct run *run)
{
    const struct label_builder *builder = run->builder;
    if (builder->count == 0)
        return;
    struct mapped_label *mapped = ARENA_NEW_ARRAY(run->arena, struct mapped_label, builder->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < builder->count; i++) {
        struct label label = builder->items[i];
        struct str name;
        if (rule_expand(rule, run, label.name, rule->replacement, &name))
            mapped[count++] =
                (struct mapped_label){label.name, {arena_str(run->arena, name), label.value}};
    }
    if (count > 1)
        qsort(mapped, count, sizeof *mapped, by_name_before);
    for (uint32_t i = 0; i < count; i++)
        label_builder_set(run->builder, mapped[i].label.name, mapped[i].label.value);
}

static void keep_names(const struct relabel_rule *rule, struct run *run, bool keep_matching)
{
    struct label_builder *builder = run->builder;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < builder->count; i++) {
        if (rule_matches(rule, builder->items[i].name) == keep_matching)
            builder->items[kept++] = builder->items[i];
    }
    builder->count = kept;
}

/* Applies one rule; false drops the set. */
static bool apply(const struct relabel_rule *rule, struct run *run)
{
    struct str value = source_value(rule, run);
    switch (rule->action) {
    case RELABEL_REPLACE:
        replace(rule, run, value);
        return true;
    case RELABEL_KEEP:
        return rule_matches(rule, value);
    case RELABEL_DROP:
        return !rule_matches(rule, value);
    case RELABEL_KEEPEQUAL:
        return str_equal(label_builder_get(run->builder, rule->target_label), value);
    case RELABEL_DROPEQUAL:
        return !str_equal(label_builder_get(run->builder, rule->target_label), value);
    case RELABEL_HASHMOD:
        hash_into(rule, run, value);
        return true;
    case RELABEL_LABELMAP:
        map_names(rule, run);
        return true;
    case RELABEL_LABELDROP:
        keep_names(rule, run, false);
        return true;
    case RELABEL_LABELKEEP:
        keep_names(rule, run, true);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        change_case(rule, run, value);
        return true;
    }
    return true;
}

bool relabel_apply(const struct relabel_rule *rules, uint32_t rule_count, enum name_scheme scheme,
                   struct label_builder *builder, struct arena *arena, uint32_t *dropped_by)
{
    struct run run = {.builder = builder, .arena = arena, .scheme = scheme};
    uint32_t at = 0;
    while (at < rule_count && apply(&rules[at], &run))
        at++;
    strbuf_deinit(&run.joined);
    strbuf_deinit(&run.expanded);
    if (at < rule_count && dropped_by != NULL)
        *dropped_by = at;
    return at == rule_count;
}
