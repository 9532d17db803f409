/* A query that parses prints to one that parses to the same tree, on one line and on several. Even
 * first bytes take the rest as text, odd ones as choices in the grammar. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "narthex/query/printer.h"

#include "promql_generator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EXACT_MS_MAX_BITS = 52 };

static const struct promql_features all_features = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void expect_same_duration_expr(const struct duration_expr *a, const struct duration_expr *b)
{
    assert((a == NULL) == (b == NULL));
    if (a == NULL)
        return;
    assert(a->op == b->op);
    assert(same_number(a->seconds, b->seconds));
    expect_same_duration_expr(a->lhs, b->lhs);
    expect_same_duration_expr(a->rhs, b->rhs);
}

static void expect_same_duration(const struct duration *a, const struct duration *b)
{
    assert(a->ms == b->ms);
    expect_same_duration_expr(a->expr, b->expr);
}

static void expect_same_modifiers(const struct time_modifiers *a, const struct time_modifiers *b)
{
    expect_same_duration(&a->offset, &b->offset);
    assert(a->at == b->at);
    /* Seconds as doubles do not hold every millisecond of far times. */
    if (llabs(a->at_ms) < INT64_C(1) << EXACT_MS_MAX_BITS)
        assert(a->at_ms == b->at_ms);
}

static bool has_matcher(const struct selector *selector, const struct matcher *matcher)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct matcher *other = &selector->matchers[i];
        if (other->kind == matcher->kind && str_equal(other->name, matcher->name) &&
            str_equal(other->value, matcher->value))
            return true;
    }
    return false;
}

static void expect_same_selector(const struct vector_selector *a, const struct vector_selector *b)
{
    assert(str_equal(a->name, b->name));
    assert(a->anchored == b->anchored && a->smoothed == b->smoothed);
    assert(a->may_match_empty == b->may_match_empty);
    for (size_t i = 0; i < a->selector.count; i++)
        assert(has_matcher(&b->selector, &a->selector.matchers[i]));
    for (size_t i = 0; i < b->selector.count; i++)
        assert(has_matcher(&a->selector, &b->selector.matchers[i]));
    expect_same_modifiers(&a->when, &b->when);
}

static void expect_same_list(const struct str *a, uint32_t a_count, const struct str *b,
                             uint32_t b_count)
{
    assert(a_count == b_count);
    for (uint32_t i = 0; i < a_count; i++)
        assert(str_equal(a[i], b[i]));
}

static void expect_same_matching(const struct vector_matching *a, const struct vector_matching *b)
{
    assert((a == NULL) == (b == NULL));
    if (a == NULL)
        return;
    assert(a->card == b->card && a->on == b->on);
    expect_same_list(a->labels, a->label_count, b->labels, b->label_count);
    expect_same_list(a->include, a->include_count, b->include, b->include_count);
    assert(a->fill_left.set == b->fill_left.set && a->fill_right.set == b->fill_right.set);
    assert(same_number(a->fill_left.value, b->fill_left.value));
    assert(same_number(a->fill_right.value, b->fill_right.value));
}

static void expect_same_node(const struct expr *a, const struct expr *b)
{
    assert(a->kind == b->kind && a->type == b->type);
    switch (a->kind) {
    case EXPR_NUMBER:
        assert(same_number(a->number.value, b->number.value));
        break;
    case EXPR_STRING:
        assert(str_equal(a->string, b->string));
        break;
    case EXPR_VECTOR_SELECTOR:
        expect_same_selector(&a->vector_selector, &b->vector_selector);
        break;
    case EXPR_MATRIX_SELECTOR:
        expect_same_duration(&a->matrix_selector.range, &b->matrix_selector.range);
        break;
    case EXPR_SUBQUERY:
        expect_same_duration(&a->subquery.range, &b->subquery.range);
        expect_same_duration(&a->subquery.step, &b->subquery.step);
        assert(a->subquery.has_step == b->subquery.has_step);
        expect_same_modifiers(&a->subquery.when, &b->subquery.when);
        break;
    case EXPR_CALL:
        assert(a->call.function == b->call.function);
        break;
    case EXPR_AGGREGATION:
        assert(a->aggregation.op == b->aggregation.op);
        assert(a->aggregation.without == b->aggregation.without);
        expect_same_list(a->aggregation.grouping, a->aggregation.grouping_count,
                         b->aggregation.grouping, b->aggregation.grouping_count);
        break;
    case EXPR_BINARY:
        assert(a->binary.op == b->binary.op && a->binary.return_bool == b->binary.return_bool);
        expect_same_matching(a->binary.matching, b->binary.matching);
        break;
    case EXPR_UNARY:
        assert(a->unary.negate == b->unary.negate);
        break;
    case EXPR_PAREN:
        break;
    }
}

static void expect_same_tree(const struct expr *a, const struct expr *b)
{
    expect_same_node(a, b);
    size_t count = expr_child_count(a);
    assert(count == expr_child_count(b));
    for (size_t i = 0; i < count; i++)
        expect_same_tree(expr_child(a, i), expr_child(b, i));
}

struct bounds {
    struct str text;
    uint32_t node_count;
    bool printable;
};

/* Positions lie in the text; a range below a millisecond prints as "0s", which is no range. */
static enum walk_step check_bounds(void *context, struct expr *expr)
{
    struct bounds *bounds = context;
    assert(expr->start <= expr->end && expr->end <= bounds->text.size);
    assert(expr->ordinal < bounds->node_count);
    const struct duration *durations[2] = {NULL, NULL};
    if (expr->kind == EXPR_MATRIX_SELECTOR)
        durations[0] = &expr->matrix_selector.range;
    if (expr->kind == EXPR_SUBQUERY) {
        durations[0] = &expr->subquery.range;
        durations[1] = expr->subquery.has_step ? &expr->subquery.step : NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        if (durations[i] != NULL && durations[i]->expr == NULL && durations[i]->ms == 0)
            bounds->printable = false;
    }
    return WALK_INTO;
}

static void expect_round_trip(const struct parsed_query *query,
                              void (*print)(const struct expr *, struct strbuf *))
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    print(query->root, &text);
    struct parsed_query again;
    err_t err = promql_parse(strbuf_str(&text), &all_features, &arena, &again, &why);
    assert(err == OK);
    expect_same_tree(query->root, again.root);
    parsed_query_deinit(&again);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

static void check_query(struct str text)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct strbuf why = STRBUF_INIT;
    struct parsed_query query;
    if (promql_parse(text, &all_features, &arena, &query, &why) == OK) {
        struct bounds bounds = {text, query.node_count, true};
        expr_walk(query.root, check_bounds, &bounds);
        if (bounds.printable) {
            expect_round_trip(&query, expr_print);
            expect_round_trip(&query, expr_print_pretty);
        }
        parsed_query_deinit(&query);
    } else {
        assert(why.size > 0);
    }
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct strbuf text = STRBUF_INIT;
    if ((data[0] & 1) != 0)
        promql_generate(data + 1, size - 1, &text);
    else
        strbuf_add(&text, data + 1, size - 1);
    /* An exact copy shows every read past the end. */
    char *copy = malloc(text.size + 1);
    assert(copy != NULL);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    check_query(str_from(copy, text.size));
    free(copy);
    strbuf_deinit(&text);
    return 0;
}
