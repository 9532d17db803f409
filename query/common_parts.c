/* Which parts of a query are equal: every expression gets the number of its class, bottom up, by a
 * table keyed with the fields of the node and the classes of its children (hash-consing). Positions
 * and parentheses do not count. */
#include "common_parts.h"

#include "narthex/base/hash.h"
#include "narthex/model/histogram.h"

struct numbering {
    struct eval *eval;
    uint32_t *class_of;       /* by expr.ordinal */
    const struct expr **item; /* by class: one of its expressions */
    uint32_t *uses;           /* by class: places where a distinct parent uses it */
    bool *selects;            /* by class: there is a selector in it */
    uint32_t count;
    struct htable index;
};

static const struct expr *bare(const struct expr *expr)
{
    return expr_strip_parens((struct expr *)expr);
}

static uint32_t child_class(const struct numbering *numbering, const struct expr *expr, size_t i)
{
    return numbering->class_of[bare(expr_child(expr, i))->ordinal];
}

/* ---- the fields of a node ---- */

static bool equal_when(const struct time_modifiers *a, const struct time_modifiers *b)
{
    bool pinned = a->at != AT_NONE;
    return pinned == (b->at != AT_NONE) && a->offset.ms == b->offset.ms &&
           (!pinned || a->at_ms == b->at_ms);
}

static bool equal_names(const struct str *a, uint32_t a_count, const struct str *b,
                        uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        if (!str_equal(a[i], b[i]))
            return false;
    }
    return true;
}

static bool equal_selectors(const struct vector_selector *a, const struct vector_selector *b)
{
    if (a->selector.count != b->selector.count || a->anchored != b->anchored ||
        a->smoothed != b->smoothed || a->may_match_empty != b->may_match_empty ||
        !equal_when(&a->when, &b->when))
        return false;
    for (size_t i = 0; i < a->selector.count; i++) {
        const struct matcher *x = &a->selector.matchers[i];
        const struct matcher *y = &b->selector.matchers[i];
        if (x->kind != y->kind || !str_equal(x->name, y->name) || !str_equal(x->value, y->value))
            return false;
    }
    return true;
}

static bool equal_fill(const struct fill_value *a, const struct fill_value *b)
{
    return a->set == b->set && (!a->set || double_bits(a->value) == double_bits(b->value));
}

static bool equal_matching(const struct vector_matching *a, const struct vector_matching *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->card == b->card && a->on == b->on &&
           equal_names(a->labels, a->label_count, b->labels, b->label_count) &&
           equal_names(a->include, a->include_count, b->include, b->include_count) &&
           equal_fill(&a->fill_left, &b->fill_left) && equal_fill(&a->fill_right, &b->fill_right);
}

static bool equal_subqueries(const struct subquery *a, const struct subquery *b)
{
    return a->range.ms == b->range.ms && a->has_step == b->has_step &&
           (!a->has_step || a->step.ms == b->step.ms) && equal_when(&a->when, &b->when);
}

static bool equal_aggregations(const struct aggregation *a, const struct aggregation *b)
{
    return a->op == b->op && a->without == b->without &&
           equal_names(a->grouping, a->grouping_count, b->grouping, b->grouping_count);
}

/* Equal but for their children. */
static bool equal_nodes(const struct expr *a, const struct expr *b)
{
    if (a->kind != b->kind || expr_child_count(a) != expr_child_count(b))
        return false;
    switch (a->kind) {
    case EXPR_NUMBER:
        return double_bits(a->number.value) == double_bits(b->number.value);
    case EXPR_STRING:
        return str_equal(a->string, b->string);
    case EXPR_VECTOR_SELECTOR:
        return equal_selectors(&a->vector_selector, &b->vector_selector);
    case EXPR_MATRIX_SELECTOR:
        return a->matrix_selector.range.ms == b->matrix_selector.range.ms;
    case EXPR_SUBQUERY:
        return equal_subqueries(&a->subquery, &b->subquery);
    case EXPR_CALL:
        return a->call.function == b->call.function;
    case EXPR_AGGREGATION:
        return equal_aggregations(&a->aggregation, &b->aggregation);
    case EXPR_BINARY:
        return a->binary.op == b->binary.op && a->binary.return_bool == b->binary.return_bool &&
               equal_matching(a->binary.matching, b->binary.matching);
    case EXPR_UNARY:
        return a->unary.negate == b->unary.negate;
    case EXPR_PAREN:
        break;
    }
    return false;
}

/* Spreads well enough: what is left out only costs a comparison. */
static uint64_t hash_node(const struct numbering *numbering, const struct expr *expr)
{
    uint64_t hash = hash_mix(0, expr->kind);
    for (size_t i = 0; i < expr_child_count(expr); i++)
        hash = hash_mix(hash, child_class(numbering, expr, i));
    switch (expr->kind) {
    case EXPR_NUMBER:
        return hash_mix(hash, hash_bytes(&expr->number.value, sizeof expr->number.value));
    case EXPR_STRING:
        return hash_mix(hash, hash_str(expr->string));
    case EXPR_VECTOR_SELECTOR:
        for (size_t i = 0; i < expr->vector_selector.selector.count; i++)
            hash = hash_mix(hash, hash_str(expr->vector_selector.selector.matchers[i].value));
        return hash_mix(hash, (uint64_t)expr->vector_selector.when.offset.ms);
    case EXPR_MATRIX_SELECTOR:
        return hash_mix(hash, (uint64_t)expr->matrix_selector.range.ms);
    case EXPR_SUBQUERY:
        return hash_mix(hash, (uint64_t)expr->subquery.range.ms);
    case EXPR_CALL:
        return hash_mix(hash, expr->call.function->id);
    case EXPR_AGGREGATION:
        for (uint32_t i = 0; i < expr->aggregation.grouping_count; i++)
            hash = hash_mix(hash, hash_str(expr->aggregation.grouping[i]));
        return hash_mix(hash, expr->aggregation.op);
    case EXPR_BINARY:
        return hash_mix(hash, expr->binary.op);
    default:
        return hash;
    }
}

/* ---- numbering ---- */

static bool item_equal(const void *owner, uint32_t item, const void *key)
{
    const struct numbering *numbering = owner;
    const struct expr *a = numbering->item[item];
    const struct expr *b = key;
    if (!equal_nodes(a, b))
        return false;
    for (size_t i = 0; i < expr_child_count(a); i++) {
        if (child_class(numbering, a, i) != child_class(numbering, b, i))
            return false;
    }
    return true;
}

static void number_node(struct numbering *numbering, const struct expr *expr)
{
    if (expr->kind == EXPR_PAREN) {
        number_node(numbering, expr->paren);
        return;
    }
    size_t children = expr_child_count(expr);
    for (size_t i = 0; i < children; i++)
        number_node(numbering, expr_child(expr, i));
    uint64_t hash = hash_node(numbering, expr);
    uint32_t at = htable_find(&numbering->index, hash, item_equal, numbering, expr);
    if (at == HTABLE_NONE) {
        at = numbering->count++;
        numbering->item[at] = expr;
        numbering->selects[at] = expr->kind == EXPR_VECTOR_SELECTOR;
        /* A child of an equal parent is not used again: the parent as a whole is shared. */
        for (size_t i = 0; i < children; i++) {
            uint32_t child = child_class(numbering, expr, i);
            numbering->uses[child]++;
            numbering->selects[at] = numbering->selects[at] || numbering->selects[child];
        }
        htable_insert(&numbering->index, hash, at);
    }
    numbering->class_of[expr->ordinal] = at;
}

void common_parts__find(struct eval *eval, struct expr *root, uint32_t node_count)
{
    struct numbering numbering = {
        .eval = eval,
        .class_of = ARENA_NEW_ARRAY(eval->arena, uint32_t, node_count),
        .item = ARENA_NEW_ARRAY(eval->arena, const struct expr *, node_count),
        .uses = ARENA_NEW_ARRAY(eval->arena, uint32_t, node_count),
        .selects = ARENA_NEW_ARRAY(eval->arena, bool, node_count),
    };
    htable_init(&numbering.index, MEM_QUERY);
    number_node(&numbering, root);
    htable_deinit(&numbering.index);
    bool any = false;
    /* Children have smaller numbers. A subquery itself is not shared, what it evaluates may be. */
    for (uint32_t i = numbering.count; i-- > 0;) {
        const struct expr *expr = numbering.item[i];
        if (expr->kind == EXPR_SUBQUERY && numbering.uses[i] > 1)
            numbering.uses[child_class(&numbering, expr, 0)] += numbering.uses[i] - 1;
        bool vector = expr->type == EXPR_TYPE_VECTOR || expr->type == EXPR_TYPE_SCALAR;
        if (!vector || !numbering.selects[i])
            numbering.uses[i] = 0;
        any = any || numbering.uses[i] > 1;
    }
    if (!any)
        return;
    eval->classes = numbering.class_of;
    eval->class_uses = numbering.uses;
    eval->shared = ARENA_NEW_ARRAY(eval->arena, struct shared *, numbering.count);
}

bool common_parts__repeated(const struct eval *eval, const struct expr *expr)
{
    return eval->classes != NULL && eval->class_uses[eval->classes[expr->ordinal]] > 1;
}
