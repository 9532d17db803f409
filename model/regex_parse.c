/* Parser of RE2 syntax. It keeps its own stack of open groups, so that nesting of any depth needs
 * no recursion; the tree it gives is at most REGEX_HEIGHT_MAX high. Error texts are Go's. */
#include <assert.h>

#include "narthex/base/vec.h"
#include "narthex/model/regex.h"
#include "regex_ast.h"
#include "unicode_case.h"

enum flag { FLAG_FOLD = 1, FLAG_MULTILINE = 2, FLAG_DOT_NEWLINE = 4, FLAG_UNGREEDY = 8 };

/* Child list under construction; `last` is what a repetition operator binds to. */
struct node_list {
    struct regex_node *first;
    struct regex_node *last;
    uint32_t count;
    uint16_t height; /* of the highest child */
};

/* An open group: its finished alternatives, the sequence being read, what to restore after it. */
struct group {
    struct node_list alternatives;
    struct node_list sequence;
    uint32_t capture; /* 0: not capturing */
    uint32_t flags;   /* of the text around the group */
};

struct parser {
    struct str whole;
    struct str rest; /* not yet read */
    struct arena *arena;
    struct group *groups;
    uint32_t group_count;
    uint32_t group_capacity;
    struct str *names;
    uint32_t name_count;
    uint32_t name_capacity;
    uint32_t flags;
    struct str last_repeat; /* from the previous token if that was a repetition, else empty */
    struct strbuf *why;
};

err_t regex__fail(struct strbuf *why, const char *code, struct str text)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "error parsing regexp: ");
    strbuf_add_cstr(why, code);
    strbuf_add_cstr(why, ": `");
    strbuf_add_str(why, text);
    strbuf_add_char(why, '`');
    return ERR_INVALID;
}

static struct group *top(struct parser *p)
{
    return &p->groups[p->group_count - 1];
}

static void list_append(struct node_list *list, struct regex_node *node)
{
    if (node->height > list->height)
        list->height = node->height;
    if (list->last == NULL)
        list->first = node;
    else
        list->last->next = node;
    list->last = node;
    list->count++;
}

static struct regex_node *add_node(struct parser *p, enum regex_op op)
{
    struct regex_node *node = ARENA_NEW(p->arena, struct regex_node);
    node->op = (uint8_t)op;
    node->height = 1;
    list_append(&top(p)->sequence, node);
    return node;
}

static void add_literal(struct parser *p, uint32_t rune)
{
    uint32_t orbit[3];
    struct regex_node *node = add_node(p, REGEX_LITERAL);
    node->rune = rune;
    node->fold = (p->flags & FLAG_FOLD) != 0 && rune_fold_others(rune, orbit) > 0;
}

static void add_class(struct parser *p, const struct regex_class *class)
{
    struct regex_node *node = add_node(p, REGEX_CLASS);
    node->class = class;
    if (regex__class_is_all(class))
        node->op = REGEX_ANY;
}

static struct str consumed(struct str from, struct str rest)
{
    return str_from(from.data, (size_t)(rest.data - from.data));
}

static void skip(struct parser *p, size_t size)
{
    p->rest.data += size;
    p->rest.size -= size;
}

/* Adds one level above a tree. Refusing here keeps every recursion over trees bounded. */
static err_t raise_height(struct parser *p, struct regex_node *node, uint16_t below)
{
    if (below >= REGEX_HEIGHT_MAX)
        return regex__fail(p->why, "expression nests too deeply", p->whole);
    node->height = (uint16_t)(below + 1);
    return OK;
}

/* Makes one node of a list: the node itself when it is alone. */
static err_t list_collapse(struct parser *p, struct node_list *list, enum regex_op op,
                           struct regex_node **node)
{
    *node = list->first;
    if (list->count == 1)
        return OK;
    *node = ARENA_NEW(p->arena, struct regex_node);
    (*node)->op = (uint8_t)(list->count == 0 ? REGEX_EMPTY : op);
    (*node)->child = list->first;
    return raise_height(p, *node, list->height);
}

static err_t end_alternative(struct parser *p)
{
    struct group *group = top(p);
    struct regex_node *node;
    TRY(list_collapse(p, &group->sequence, REGEX_CONCAT, &node));
    list_append(&group->alternatives, node);
    group->sequence = (struct node_list){0};
    return OK;
}

static void open_group(struct parser *p, uint32_t capture)
{
    struct group group = {.capture = capture, .flags = p->flags};
    VEC_PUSH(MEM_MODEL, p->groups, p->group_count, p->group_capacity, group);
}

static uint32_t new_capture(struct parser *p, struct str name)
{
    VEC_PUSH(MEM_MODEL, p->names, p->name_count, p->name_capacity, name);
    return p->name_count - 1;
}

static err_t close_group(struct parser *p)
{
    if (p->group_count == 1)
        return regex__fail(p->why, "unexpected )", p->whole);
    TRY(end_alternative(p));
    struct group group = *top(p);
    struct regex_node *node;
    TRY(list_collapse(p, &group.alternatives, REGEX_ALTERNATE, &node));
    p->group_count--;
    p->flags = group.flags;
    if (group.capture > 0) {
        struct regex_node *capture = ARENA_NEW(p->arena, struct regex_node);
        capture->op = REGEX_CAPTURE;
        capture->capture = group.capture;
        capture->child = node;
        TRY(raise_height(p, capture, node->height));
        node = capture;
    }
    list_append(&top(p)->sequence, node);
    return OK;
}

/* --- repetition --- */

/* Digits without leading zero; false if there are none. Values past 1e8 become -1 (too large). */
static bool parse_count(struct str *text, int32_t *value)
{
    size_t digits = 0;
    while (digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9')
        digits++;
    if (digits == 0 || (digits > 1 && text->data[0] == '0'))
        return false;
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (*value >= 0)
            *value = *value >= 10000000 ? -1 : *value * 10 + (text->data[i] - '0');
    }
    text->data += digits;
    text->size -= digits;
    return true;
}

/* {n} {n,} {n,m} at text[0]; false when it is not of that form (then '{' is a literal). A count
 * that is too large to hold gives min -1. */
static bool parse_braces(struct str text, size_t *used, int32_t *min, int32_t *max)
{
    struct str rest = str_from(text.data + 1, text.size - 1);
    if (!parse_count(&rest, min) || rest.size == 0)
        return false;
    *max = *min;
    if (rest.data[0] == ',') {
        rest.data++;
        rest.size--;
        if (rest.size == 0)
            return false;
        if (rest.data[0] == '}')
            *max = -1;
        else if (!parse_count(&rest, max))
            return false;
        else if (*max < 0)
            *min = -1;
    }
    if (rest.size == 0 || rest.data[0] != '}')
        return false;
    *used = (size_t)(rest.data + 1 - text.data);
    return true;
}

/* Turns the last node of the sequence into a repetition of itself. The operator was at `before`. */
static err_t repeat(struct parser *p, struct str before, size_t used, int32_t min, int32_t max)
{
    skip(p, used);
    bool greedy = (p->flags & FLAG_UNGREEDY) == 0;
    if (p->rest.size > 0 && p->rest.data[0] == '?') {
        greedy = !greedy;
        skip(p, 1);
    }
    if (p->last_repeat.size > 0)
        return regex__fail(p->why, "invalid nested repetition operator",
                           consumed(p->last_repeat, p->rest));
    struct regex_node *last = top(p)->sequence.last;
    if (last == NULL)
        return regex__fail(p->why, "missing argument to repetition operator",
                           consumed(before, p->rest));
    struct regex_node *child = ARENA_NEW(p->arena, struct regex_node);
    *child = *last;
    *last = (struct regex_node){.op = REGEX_REPEAT, .child = child, .greedy = greedy};
    TRY(raise_height(p, last, child->height));
    if (last->height > top(p)->sequence.height)
        top(p)->sequence.height = last->height;
    last->repeat.min = (int16_t)min;
    last->repeat.max = (int16_t)max;
    p->last_repeat = before;
    return OK;
}

/* Largest product of counts on one path: nested repeats must not exceed REGEX_REPEAT_MAX. */
static bool counts_fit(const struct regex_node *node, int32_t left)
{
    if (node->op == REGEX_REPEAT) {
        int32_t count = node->repeat.max < 0 ? node->repeat.min : node->repeat.max;
        if (node->repeat.max == 0)
            return true;
        if (count > left)
            return false;
        if (count > 0)
            left /= count;
    }
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        if (!counts_fit(child, left))
            return false;
    }
    return true;
}

static err_t parse_repeat(struct parser *p, bool *literal)
{
    struct str before = p->rest;
    switch (p->rest.data[0]) {
    case '*':
        return repeat(p, before, 1, 0, -1);
    case '+':
        return repeat(p, before, 1, 1, -1);
    case '?':
        return repeat(p, before, 1, 0, 1);
    default:
        break;
    }
    size_t used;
    int32_t min;
    int32_t max;
    *literal = !parse_braces(before, &used, &min, &max);
    if (*literal)
        return OK;
    if (min < 0 || min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX || (max >= 0 && min > max))
        return regex__fail(p->why, "invalid repeat count", str_from(before.data, used));
    TRY(repeat(p, before, used, min, max));
    if ((min >= 2 || max >= 2) && !counts_fit(top(p)->sequence.last, REGEX_REPEAT_MAX))
        return regex__fail(p->why, "invalid repeat count", consumed(before, p->rest));
    return OK;
}

/* --- groups and flags --- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* (?P<name> or (?<name>, `name_at` is where the name begins. */
static err_t open_named_group(struct parser *p, size_t name_at)
{
    size_t end = str_find(p->rest, '>', name_at);
    if (end == SIZE_MAX) {
        TRY(regex__utf8_check(p->rest, p->why));
        return regex__fail(p->why, "invalid named capture", p->rest);
    }
    struct str name = str_from(p->rest.data + name_at, end - name_at);
    TRY(regex__utf8_check(name, p->why));
    bool valid = name.size > 0;
    for (size_t i = 0; i < name.size; i++)
        valid = valid && is_word(name.data[i]);
    if (!valid)
        return regex__fail(p->why, "invalid named capture", str_from(p->rest.data, end + 1));
    skip(p, end + 1);
    open_group(p, new_capture(p, name));
    return OK;
}

static uint32_t flag_of(char letter)
{
    switch (letter) {
    case 'i':
        return FLAG_FOLD;
    case 'm':
        return FLAG_MULTILINE;
    case 's':
        return FLAG_DOT_NEWLINE;
    case 'U':
        return FLAG_UNGREEDY;
    default:
        return 0;
    }
}

/* (?flags) or (?flags: at the rest. */
static err_t parse_flags(struct parser *p)
{
    struct str start = p->rest;
    uint32_t set = p->flags;
    bool negative = false;
    bool saw_flag = false;
    skip(p, 2);
    while (p->rest.size > 0) {
        uint32_t rune;
        size_t used;
        TRY(regex__rune_parse(p->rest, &used, &rune, p->why));
        char c = used == 1 ? (char)rune : '\0';
        skip(p, used);
        if (flag_of(c) != 0) {
            set = negative ? set & ~flag_of(c) : set | flag_of(c);
            saw_flag = true;
        } else if (c == '-' && !negative) {
            negative = true;
            saw_flag = false;
        } else if ((c == ':' || c == ')') && (!negative || saw_flag)) {
            if (c == ':')
                open_group(p, 0);
            p->flags = set;
            return OK;
        } else {
            break;
        }
    }
    return regex__fail(p->why, "invalid or unsupported Perl syntax", consumed(start, p->rest));
}

static err_t parse_open(struct parser *p)
{
    struct str rest = p->rest;
    if (rest.size >= 2 && rest.data[1] == '?') {
        if (rest.size > 4 && rest.data[2] == 'P' && rest.data[3] == '<')
            return open_named_group(p, 4);
        if (rest.size > 3 && rest.data[2] == '<')
            return open_named_group(p, 3);
        return parse_flags(p);
    }
    skip(p, 1);
    open_group(p, new_capture(p, (struct str){NULL, 0}));
    return OK;
}

/* --- escapes outside classes --- */

static err_t parse_quoted(struct parser *p)
{
    skip(p, 2);
    const char *end = memmem(p->rest.data, p->rest.size, "\\E", 2);
    struct str quoted = p->rest;
    if (end != NULL)
        quoted.size = (size_t)(end - p->rest.data);
    skip(p, quoted.size + (end != NULL ? 2 : 0));
    while (quoted.size > 0) {
        size_t used;
        uint32_t rune;
        TRY(regex__rune_parse(quoted, &used, &rune, p->why));
        add_literal(p, rune);
        quoted.data += used;
        quoted.size -= used;
    }
    return OK;
}

static bool parse_assertion(struct parser *p, char letter)
{
    enum regex_op op = REGEX_BEGIN_TEXT;
    switch (letter) {
    case 'A':
        break;
    case 'z':
        op = REGEX_END_TEXT;
        break;
    case 'b':
        op = REGEX_WORD_BOUNDARY;
        break;
    case 'B':
        op = REGEX_NO_WORD_BOUNDARY;
        break;
    default:
        return false;
    }
    add_node(p, op);
    skip(p, 2);
    return true;
}

static err_t parse_class_escape(struct parser *p, bool *done)
{
    struct regex_class_builder builder = {0};
    bool fold = (p->flags & FLAG_FOLD) != 0;
    size_t used = 2;
    err_t err = OK;
    *done = true;
    if (p->rest.data[1] == 'p' || p->rest.data[1] == 'P')
        TRY_OUT(regex__class_add_property(&builder, p->rest, fold, &used, p->why));
    else
        *done = regex__class_add_perl(&builder, p->rest.data[1], fold);
    if (*done) {
        add_class(p, regex__class_finish(&builder, false, p->arena));
        skip(p, used);
    }
out:
    regex__class_deinit(&builder);
    return err;
}

static err_t parse_escape(struct parser *p)
{
    if (p->rest.size >= 2) {
        if (p->rest.data[1] == 'Q')
            return parse_quoted(p);
        if (parse_assertion(p, p->rest.data[1]))
            return OK;
        bool done;
        TRY(parse_class_escape(p, &done));
        if (done)
            return OK;
    }
    size_t used;
    uint32_t rune;
    TRY(regex__escape_parse(p->rest, &used, &rune, p->why));
    add_literal(p, rune);
    skip(p, used);
    return OK;
}

static void add_dot(struct parser *p)
{
    if ((p->flags & FLAG_DOT_NEWLINE) != 0) {
        add_node(p, REGEX_ANY);
        return;
    }
    struct regex_class_builder builder = {0};
    regex__class_add(&builder, '\n', '\n', false);
    add_class(p, regex__class_finish(&builder, true, p->arena));
    regex__class_deinit(&builder);
}

static err_t parse_literal(struct parser *p)
{
    size_t used;
    uint32_t rune;
    TRY(regex__rune_parse(p->rest, &used, &rune, p->why));
    add_literal(p, rune);
    skip(p, used);
    return OK;
}

static err_t parse_class(struct parser *p)
{
    size_t used;
    const struct regex_class *class;
    TRY(regex__class_parse(p->rest, (p->flags & FLAG_FOLD) != 0, p->arena, &used, &class, p->why));
    add_class(p, class);
    skip(p, used);
    return OK;
}

static err_t parse_token(struct parser *p)
{
    bool multiline = (p->flags & FLAG_MULTILINE) != 0;
    bool literal = false;
    switch (p->rest.data[0]) {
    case '(':
        return parse_open(p);
    case ')':
        skip(p, 1);
        return close_group(p);
    case '|':
        skip(p, 1);
        return end_alternative(p);
    case '^':
        skip(p, 1);
        add_node(p, multiline ? REGEX_BEGIN_LINE : REGEX_BEGIN_TEXT);
        return OK;
    case '$':
        skip(p, 1);
        add_node(p, multiline ? REGEX_END_LINE : REGEX_END_TEXT);
        return OK;
    case '.':
        skip(p, 1);
        add_dot(p);
        return OK;
    case '[':
        return parse_class(p);
    case '\\':
        return parse_escape(p);
    case '*':
    case '+':
    case '?':
    case '{':
        TRY(parse_repeat(p, &literal));
        return literal ? parse_literal(p) : OK;
    default:
        return parse_literal(p);
    }
}

/* --- limits --- */

/* Instructions of the compiled form, counted as Go counts them. */
static uint64_t program_size(const struct regex_node *node)
{
    uint64_t sum = 0;
    uint64_t count = 0;
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        sum += program_size(child);
        count++;
    }
    switch ((enum regex_op)node->op) {
    case REGEX_CAPTURE:
        return sum + 2;
    case REGEX_ALTERNATE:
        return sum + count - 1;
    case REGEX_REPEAT: {
        uint64_t min = (uint64_t)node->repeat.min;
        if (node->repeat.max < 0)
            return min == 0 ? sum + 2 : 1 + min * sum;
        uint64_t max = (uint64_t)node->repeat.max;
        return max * sum + (max - min);
    }
    default:
        return sum == 0 ? 1 : sum;
    }
}

static err_t parse_all(struct parser *p)
{
    open_group(p, 0);
    while (p->rest.size > 0) {
        char c = p->rest.data[0];
        struct str before = p->last_repeat;
        TRY(parse_token(p));
        if (p->last_repeat.data == before.data || (c != '*' && c != '+' && c != '?' && c != '{'))
            p->last_repeat = (struct str){NULL, 0};
    }
    if (p->group_count > 1)
        return regex__fail(p->why, "missing closing )", p->whole);
    return end_alternative(p);
}

err_t regex__parse(struct str pattern, struct arena *arena, struct regex_ast *ast,
                   struct strbuf *why)
{
    struct parser p = {.whole = pattern, .rest = pattern, .arena = arena, .why = why};
    new_capture(&p, (struct str){NULL, 0}); /* number 0: the whole match */
    err_t err = OK;
    TRY_OUT(parse_all(&p));
    TRY_OUT(list_collapse(&p, &p.groups[0].alternatives, REGEX_ALTERNATE, &ast->root));
    if (program_size(ast->root) > REGEX_SIZE_MAX)
        TRY_OUT(regex__fail(why, "expression too large", pattern));
    ast->capture_count = p.name_count - 1;
    ast->capture_names = ARENA_NEW_ARRAY(arena, struct str, p.name_count);
    memcpy(ast->capture_names, p.names, p.name_count * sizeof *p.names);
out:
    mem_free(MEM_MODEL, p.groups);
    mem_free(MEM_MODEL, p.names);
    return err;
}
