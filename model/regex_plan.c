#include "regex_plan.h"

#include <stdlib.h>

#include "narthex/base/vec.h"

enum {
    PLAN_ITEMS_MAX = 16384,
    PLAN_BYTES_MAX = 1 << 20,
    PLAN_GLOBS_MAX = 64,  /* more alternatives with gaps go to the engine */
    PLAN_CLASS_MAX = 64,  /* runes of a class that is spelled out */
    PLAN_REPEAT_MAX = 16, /* copies of a counted repetition that is spelled out */
};

/* Alternatives found so far; strings live in the arena. */
struct item_list {
    struct str *items;
    uint32_t count;
    uint32_t capacity;
    size_t bytes;
};

/* Whether nothing can stand before (after) the node in a match of the whole text. */
struct place {
    bool at_start;
    bool at_end;
};

static bool expand(const struct regex_node *node, struct place place, struct arena *arena,
                   struct item_list *out);

static bool list_add(struct item_list *list, struct str item)
{
    list->bytes += item.size;
    if (list->count >= PLAN_ITEMS_MAX || list->bytes > PLAN_BYTES_MAX)
        return false;
    VEC_PUSH(MEM_MODEL, list->items, list->count, list->capacity, item);
    return true;
}

static void list_deinit(struct item_list *list)
{
    mem_free(MEM_MODEL, list->items);
    *list = (struct item_list){0};
}

/* Replaces `left` by every left item followed by every right item. */
static bool list_multiply(struct item_list *left, const struct item_list *right,
                          struct arena *arena)
{
    struct item_list product = {0};
    bool fits = true;
    for (uint32_t i = 0; fits && i < left->count; i++) {
        for (uint32_t k = 0; fits && k < right->count; k++) {
            struct str a = left->items[i];
            struct str b = right->items[k];
            char *text = arena_alloc(arena, a.size + b.size + 1);
            if (a.size > 0)
                memcpy(text, a.data, a.size);
            if (b.size > 0)
                memcpy(text + a.size, b.data, b.size);
            fits = list_add(&product, str_from(text, a.size + b.size));
        }
    }
    list_deinit(left);
    *left = product;
    return fits;
}

static struct str rune_text(uint32_t rune, struct arena *arena)
{
    char text[4];
    return arena_str(arena, str_from(text, str_encode_rune(rune, text)));
}

/* A rune that only its own bytes match: no folding, and not the one that bad bytes count as. */
static bool is_plain(const struct regex_node *node)
{
    return node->op == REGEX_LITERAL && !node->fold && node->rune != RUNE_BAD &&
           !rune_is_surrogate(node->rune);
}

static bool expand_class(const struct regex_class *class, struct arena *arena,
                         struct item_list *out)
{
    uint64_t total = 0;
    if (class->negated || class->property_count > 0)
        return false;
    for (uint32_t i = 0; i < class->range_count; i++)
        total += class->ranges[i].high - class->ranges[i].low + 1;
    if (total > PLAN_CLASS_MAX)
        return false;
    for (uint32_t i = 0; i < class->range_count; i++) {
        for (uint32_t rune = class->ranges[i].low; rune <= class->ranges[i].high; rune++) {
            if (rune == RUNE_BAD || !list_add(out, rune_text(rune, arena)))
                return false;
        }
    }
    return true;
}

static bool expand_repeat(const struct regex_node *node, struct place place, struct arena *arena,
                          struct item_list *out)
{
    int min = node->repeat.min;
    int max = node->repeat.max;
    if (node->child->op == REGEX_ANY && max < 0 && min <= 1) {
        char gap = (char)(min == 0 ? GAP_ANY : GAP_SOME);
        return list_add(out, arena_str(arena, str_from(&gap, 1)));
    }
    if (max < 0 || max > PLAN_REPEAT_MAX)
        return false;
    struct item_list once = {0};
    struct item_list power = {0};
    struct place inside = {place.at_start && max <= 1, place.at_end && max <= 1};
    bool fits = expand(node->child, inside, arena, &once) && list_add(&power, STR(""));
    for (int i = 0; fits && i <= max; i++) {
        for (uint32_t k = 0; fits && i >= min && k < power.count; k++)
            fits = list_add(out, power.items[k]);
        fits = fits && (i == max || list_multiply(&power, &once, arena));
    }
    list_deinit(&once);
    list_deinit(&power);
    return fits;
}

/* Plain runes in a row as one string; returns the first node behind them. */
static const struct regex_node *take_run(const struct regex_node *node, struct arena *arena,
                                         struct str *run)
{
    size_t size = 0;
    const struct regex_node *end = node;
    char text[4];
    for (; end != NULL && is_plain(end); end = end->next)
        size += str_encode_rune(end->rune, text);
    char *bytes = arena_alloc(arena, size + 1);
    *run = str_from(bytes, size);
    for (; node != end; node = node->next)
        bytes += str_encode_rune(node->rune, bytes);
    return end;
}

static bool is_edge(const struct regex_node *node)
{
    return node->op == REGEX_BEGIN_TEXT || node->op == REGEX_END_TEXT || node->op == REGEX_EMPTY;
}

static bool only_edges(const struct regex_node *node)
{
    while (node != NULL && is_edge(node))
        node = node->next;
    return node == NULL;
}

static bool expand_concat(const struct regex_node *node, struct place place, struct arena *arena,
                          struct item_list *out)
{
    struct item_list whole = {0};
    bool fits = list_add(&whole, STR(""));
    bool at_start = place.at_start;
    const struct regex_node *child = node->child;
    while (fits && child != NULL) {
        struct item_list part = {0};
        bool edge = is_edge(child);
        if (is_plain(child)) {
            struct str run;
            child = take_run(child, arena, &run);
            fits = list_add(&part, run);
        } else {
            struct place inside = {at_start, place.at_end && only_edges(child->next)};
            fits = expand(child, inside, arena, &part);
            child = child->next;
        }
        fits = fits && list_multiply(&whole, &part, arena);
        list_deinit(&part);
        at_start = at_start && edge;
    }
    for (uint32_t i = 0; fits && i < whole.count; i++)
        fits = list_add(out, whole.items[i]);
    list_deinit(&whole);
    return fits;
}

/* Appends every string (with gaps) the node stands for; false when they cannot be listed. */
static bool expand(const struct regex_node *node, struct place place, struct arena *arena,
                   struct item_list *out)
{
    switch ((enum regex_op)node->op) {
    case REGEX_EMPTY:
        return list_add(out, STR(""));
    case REGEX_BEGIN_TEXT:
        return place.at_start && list_add(out, STR(""));
    case REGEX_END_TEXT:
        return place.at_end && list_add(out, STR(""));
    case REGEX_LITERAL:
        return is_plain(node) && list_add(out, rune_text(node->rune, arena));
    case REGEX_CLASS:
        return expand_class(node->class, arena, out);
    case REGEX_CAPTURE:
        return expand(node->child, place, arena, out);
    case REGEX_REPEAT:
        return expand_repeat(node, place, arena, out);
    case REGEX_CONCAT:
        return expand_concat(node, place, arena, out);
    case REGEX_ALTERNATE:
        for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
            if (!expand(child, place, arena, out))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static bool is_gap(char c)
{
    return (unsigned char)c == GAP_ANY || (unsigned char)c == GAP_SOME;
}

/* Merges neighbouring gaps in place. False for two GAP_SOME in a row: two runes are not two bytes.
 */
static bool merge_gaps(struct str *item, bool *has_gap)
{
    char *bytes = (char *)item->data;
    size_t kept = 0;
    for (size_t i = 0; i < item->size; i++) {
        if (!is_gap(bytes[i]) || kept == 0 || !is_gap(bytes[kept - 1])) {
            *has_gap = *has_gap || is_gap(bytes[i]);
            bytes[kept++] = bytes[i];
        } else if ((unsigned char)bytes[i] == GAP_SOME) {
            if ((unsigned char)bytes[kept - 1] == GAP_SOME)
                return false;
            bytes[kept - 1] = bytes[i];
        }
    }
    item->size = kept;
    return true;
}

static int compare_items(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void sort_unique(struct str *items, uint32_t *count)
{
    uint32_t kept = 0;
    qsort(items, *count, sizeof *items, compare_items);
    for (uint32_t i = 0; i < *count; i++) {
        if (kept == 0 || !str_equal(items[kept - 1], items[i]))
            items[kept++] = items[i];
    }
    *count = kept;
}

/* Appends the literal text every match of the node begins with; false when something that is not a
 * fixed text follows, so that the caller must stop. */
static bool add_prefix(const struct regex_node *node, struct arena *arena, struct strbuf *out)
{
    char text[4];
    switch ((enum regex_op)node->op) {
    case REGEX_EMPTY:
    case REGEX_BEGIN_TEXT:
    case REGEX_END_TEXT:
        return true;
    case REGEX_LITERAL:
        if (!is_plain(node))
            return false;
        strbuf_add(out, text, str_encode_rune(node->rune, text));
        return true;
    case REGEX_CAPTURE:
        return add_prefix(node->child, arena, out);
    case REGEX_REPEAT:
        if (node->repeat.min >= 1)
            add_prefix(node->child, arena, out);
        return false;
    case REGEX_CONCAT:
        for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
            if (!add_prefix(child, arena, out))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static bool is_anchored(const struct regex_node *root)
{
    if (root->op != REGEX_CONCAT || root->child->op != REGEX_BEGIN_TEXT)
        return false;
    const struct regex_node *last = root->child;
    while (last->next != NULL)
        last = last->next;
    return last->op == REGEX_END_TEXT;
}

void regex__plan_make(const struct regex_ast *ast, struct arena *arena, struct regex_plan *plan)
{
    *plan = (struct regex_plan){.kind = REGEX_PLAN_NONE};
    if (!is_anchored(ast->root))
        return;
    struct strbuf prefix = STRBUF_INIT;
    add_prefix(ast->root, arena, &prefix);
    plan->prefix = arena_str(arena, strbuf_str(&prefix));
    strbuf_deinit(&prefix);

    struct item_list list = {0};
    struct place place = {true, true};
    bool has_gap = false;
    bool usable = expand(ast->root, place, arena, &list) && list.count > 0;
    for (uint32_t i = 0; usable && i < list.count; i++) {
        list.items[i] = arena_str(arena, list.items[i]);
        usable = merge_gaps(&list.items[i], &has_gap);
    }
    if (usable)
        sort_unique(list.items, &list.count);
    if (usable && (!has_gap || list.count <= PLAN_GLOBS_MAX)) {
        plan->kind = has_gap ? REGEX_PLAN_GLOBS : REGEX_PLAN_SET;
        plan->count = list.count;
        plan->items = ARENA_NEW_ARRAY(arena, struct str, list.count);
        memcpy(plan->items, list.items, list.count * sizeof *list.items);
    }
    list_deinit(&list);
}

/* --- matching --- */

/* Size of the literal text at item[from..), up to the next gap. */
static size_t literal_size(struct str item, size_t from)
{
    size_t end = from;
    while (end < item.size && !is_gap(item.data[end]))
        end++;
    return end - from;
}

/* Leftmost placement of every literal is enough: it leaves most room for the rest. Literals are
 * whole runes and so never match inside one; a gap of one byte is a gap of one rune. */
static bool glob_matches(struct str glob, struct str text)
{
    size_t size = literal_size(glob, 0);
    if (!str_starts_with(text, str_from(glob.data, size)))
        return false;
    size_t at = size;       /* in glob: a gap or the end */
    size_t position = size; /* in text */
    while (at < glob.size) {
        size_t gap = (unsigned char)glob.data[at] == GAP_SOME;
        size_t from = at + 1;
        size = literal_size(glob, from);
        if (position + gap + size > text.size)
            return false;
        struct str literal = str_from(glob.data + from, size);
        if (from + size == glob.size)
            return str_ends_with(text, literal);
        const char *found = memmem(text.data + position + gap, text.size - position - gap,
                                   literal.data, literal.size);
        if (found == NULL)
            return false;
        position = (size_t)(found - text.data) + size;
        at = from + size;
    }
    return position == text.size;
}

static bool set_has(const struct regex_plan *plan, struct str text)
{
    enum { LINEAR_MAX = 8 };
    if (plan->count > LINEAR_MAX)
        return bsearch(&text, plan->items, plan->count, sizeof text, compare_items) != NULL;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (str_equal(plan->items[i], text))
            return true;
    }
    return false;
}

bool regex__plan_matches(const struct regex_plan *plan, struct str text)
{
    if (plan->kind == REGEX_PLAN_SET)
        return set_has(plan, text);
    for (uint32_t i = 0; i < plan->count; i++) {
        if (glob_matches(plan->items[i], text))
            return true;
    }
    return false;
}
