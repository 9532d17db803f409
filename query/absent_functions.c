/* absent() and absent_over_time(). */
#include <string.h>

#include "eval.h"
#include "range.h"

struct absent_op {
    struct op op;
    struct op *child;
    struct row row;
    bool done;
};

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct absent_op *absent = (struct absent_op *)op;
    if (absent->done)
        return OK;
    absent->done = true;
    uint32_t steps = op->scope->grid.count;
    uint64_t *present = absent->row.present;
    bits__fill(present, steps);
    struct batch child;
    for (;;) {
        TRY(op__next(absent->child, &child, why));
        if (child.count == 0)
            break;
        for (uint32_t r = 0; r < child.count; r++) {
            for (uint32_t i = 0; i < bits__words(steps); i++)
                present[i] &= ~child.rows[r].present[i];
        }
    }
    for (uint32_t i = 0; i < steps; i++)
        absent->row.values[i] = 1;
    *batch = (struct batch){&absent->row, 1};
    return OK;
}

/* The labels that the missing series would have: its equality matchers, each name once. */
static struct labels labels_of(struct arena *arena, const struct expr *arg)
{
    if (arg->kind == EXPR_MATRIX_SELECTOR)
        arg = arg->matrix_selector.vector;
    if (arg->kind != EXPR_VECTOR_SELECTOR)
        return (struct labels){NULL, 0};
    struct selector selector = arg->vector_selector.selector;
    struct label_builder builder = {NULL, 0, 0};
    for (size_t i = 0; i < selector.count; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        if (str_equal(matcher->name, LABEL_NAME))
            continue;
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || (selector.matchers[k].kind == MATCH_EQUAL &&
                            str_equal(selector.matchers[k].name, matcher->name));
        bool take = matcher->kind == MATCH_EQUAL && !seen;
        label_builder_set(&builder, matcher->name, take ? matcher->value : (struct str){NULL, 0});
    }
    struct labels labels = labels_copy(arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    return labels;
}

err_t op_absent__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why)
{
    struct absent_op *absent = EVAL_OP(eval, struct absent_op, next, scope, expr);
    const struct expr *arg = expr_strip_parens(expr->call.args[0]);
    if (expr->call.function->id == FUNCTION_ABSENT_OVER_TIME)
        TRY(op_range_call__create(eval, scope, expr, &absent->child, why));
    else
        TRY(plan__build(eval, scope, arg, &absent->child, why));
    op__add_input(&absent->op, absent->child);
    row__init(&absent->row, eval->arena, scope->grid.count);
    absent->row.labels = labels_of(eval->arena, arg);
    absent->op.unique = true;
    *op = &absent->op;
    return OK;
}
