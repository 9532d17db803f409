/* Scalars: literals, time() and the like, scalar(), vector(); and values that do not change. */
#include <math.h>
#include <string.h>

#include "eval.h"

/* One row without labels, dense. */
struct scalar_op {
    struct op op;
    struct row row;
    struct op *params[2];
    enum function_id id;
    double constant;
    bool done;
};

static err_t hand_out(struct scalar_op *scalar, struct batch *batch)
{
    scalar->done = true;
    bits__fill(scalar->row.present, scalar->op.scope->grid.count);
    *batch = (struct batch){&scalar->row, 1};
    return OK;
}

static struct scalar_op *create(struct eval *eval, struct scope *scope, const struct expr *expr,
                                op_next_fn next)
{
    struct scalar_op *scalar = EVAL_OP(eval, struct scalar_op, next, scope, expr);
    row__init(&scalar->row, eval->arena, scope->grid.count);
    scalar->op.unique = true;
    scalar->op.scalar_type = true;
    return scalar;
}

static err_t next_constant(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct scalar_op *scalar = (struct scalar_op *)op;
    (void)why;
    if (scalar->done)
        return OK;
    for (uint32_t i = 0; i < op->scope->grid.count; i++)
        scalar->row.values[i] = scalar->constant;
    return hand_out(scalar, batch);
}

err_t op_number__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        double value, struct op **op)
{
    struct scalar_op *scalar = create(eval, scope, expr, next_constant);
    scalar->constant = value;
    *op = &scalar->op;
    return OK;
}

static err_t next_time(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct scalar_op *scalar = (struct scalar_op *)op;
    (void)why;
    if (scalar->done)
        return OK;
    for (uint32_t i = 0; i < op->scope->grid.count; i++)
        scalar->row.values[i] = (double)grid_time(&op->scope->grid, i) / 1000;
    return hand_out(scalar, batch);
}

/* max_of, min_of: NaN wins. */
static err_t next_extreme(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct scalar_op *scalar = (struct scalar_op *)op;
    if (scalar->done)
        return OK;
    const double *a;
    const double *b;
    TRY(op__scalar(scalar->params[0], &a, why));
    TRY(op__scalar(scalar->params[1], &b, why));
    bool want_max = scalar->id == FUNCTION_MAX_OF;
    for (uint32_t i = 0; i < op->scope->grid.count; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            scalar->row.values[i] = NAN;
        else
            scalar->row.values[i] = (want_max ? a[i] > b[i] : a[i] < b[i]) ? a[i] : b[i];
    }
    return hand_out(scalar, batch);
}

/* scalar(): the value of the only float, else NaN. */
static err_t next_scalar(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct scalar_op *scalar = (struct scalar_op *)op;
    if (scalar->done)
        return OK;
    uint32_t steps = op->scope->grid.count;
    uint8_t *found = ARENA_NEW_ARRAY(op->eval->arena, uint8_t, steps);
    struct batch child;
    for (;;) {
        TRY(op__next(scalar->params[0], &child, why));
        if (child.count == 0)
            break;
        for (uint32_t r = 0; r < child.count; r++) {
            const struct row *row = &child.rows[r];
            for (uint32_t i = 0; i < steps; i++) {
                if (!bits__get(row->present, i) || row__histogram(row, i) != NULL)
                    continue;
                scalar->row.values[i] = row->values[i];
                found[i] = found[i] == 0 ? 1 : 2;
            }
        }
    }
    for (uint32_t i = 0; i < steps; i++) {
        if (found[i] != 1)
            scalar->row.values[i] = NAN;
    }
    return hand_out(scalar, batch);
}

/* vector(): the scalar as a series without labels. */
static err_t next_vector(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct scalar_op *scalar = (struct scalar_op *)op;
    if (scalar->done)
        return OK;
    const double *column;
    TRY(op__scalar(scalar->params[0], &column, why));
    memcpy(scalar->row.values, column, op->scope->grid.count * sizeof *column);
    return hand_out(scalar, batch);
}

static err_t create_with_params(struct eval *eval, struct scope *scope, const struct expr *expr,
                                op_next_fn next, struct op **op, struct strbuf *why)
{
    struct scalar_op *scalar = create(eval, scope, expr, next);
    const struct call *call = &expr->call;
    scalar->id = call->function->id;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        TRY(plan__build(eval, scope, call->args[i], &scalar->params[i], why));
        op__add_input(&scalar->op, scalar->params[i]);
    }
    scalar->op.scalar_type = scalar->id != FUNCTION_VECTOR;
    *op = &scalar->op;
    return OK;
}

err_t op_scalar__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why)
{
    const struct query_request *request = eval->request;
    int64_t start = request->start_ms;
    int64_t end = request->range ? request->end_ms : start;
    int64_t step = start == end ? 0 : request->step_ms;
    switch (expr->call.function->id) {
    case FUNCTION_PI:
        return op_number__create(eval, scope, expr, M_PI, op);
    case FUNCTION_START:
        return op_number__create(eval, scope, expr, (double)start / 1000, op);
    case FUNCTION_END:
        return op_number__create(eval, scope, expr, (double)end / 1000, op);
    case FUNCTION_RANGE:
        return op_number__create(eval, scope, expr, (double)(end - start) / 1000, op);
    case FUNCTION_STEP:
        return op_number__create(eval, scope, expr, (double)step / 1000, op);
    case FUNCTION_TIME:
        *op = &create(eval, scope, expr, next_time)->op;
        return OK;
    case FUNCTION_MAX_OF:
    case FUNCTION_MIN_OF:
        return create_with_params(eval, scope, expr, next_extreme, op, why);
    case FUNCTION_SCALAR:
        return create_with_params(eval, scope, expr, next_scalar, op, why);
    default:
        return create_with_params(eval, scope, expr, next_vector, op, why);
    }
}

/* ---- the same at every step ---- */

struct broadcast_op {
    struct op op;
    struct op *child; /* in a scope of one step */
    struct row *rows;
    struct arena *arena;
};

static void repeat(struct broadcast_op *broadcast, struct row *to, const struct row *from)
{
    uint32_t steps = broadcast->op.scope->grid.count;
    row__init(to, broadcast->arena, steps);
    to->labels = from->labels;
    to->drop_name = from->drop_name;
    if (!bits__get(from->present, 0))
        return;
    const struct histogram *h = row__histogram(from, 0);
    for (uint32_t i = 0; i < steps; i++) {
        if (h == NULL)
            to->values[i] = from->values[0];
        else
            row__set_histogram(to, broadcast->arena, steps, i, h);
    }
    bits__fill(to->present, steps);
}

static err_t next_broadcast(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct broadcast_op *broadcast = (struct broadcast_op *)op;
    struct batch child;
    TRY(op__next(broadcast->child, &child, why));
    arena_reset_to(broadcast->arena, (struct arena_mark){NULL, NULL});
    struct row *rows = arena_alloc(broadcast->arena, (child.count + 1) * sizeof *rows);
    for (uint32_t i = 0; i < child.count; i++) {
        repeat(broadcast, &rows[i], &child.rows[i]);
        TRY(eval__check_memory(op->eval, why));
    }
    *batch = (struct batch){rows, child.count};
    return OK;
}

err_t op_broadcast__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why)
{
    struct broadcast_op *broadcast =
        EVAL_OP(eval, struct broadcast_op, next_broadcast, scope, expr);
    struct grid one = {scope->grid.start_ms, scope->grid.step_ms, 1};
    struct scope *inner = eval__scope(eval, SCOPE_INVARIANT, scope, one);
    broadcast->arena = eval__arena(eval);
    TRY(plan__build(eval, inner, expr, &broadcast->child, why));
    op__add_input(&broadcast->op, broadcast->child);
    broadcast->op.peak_rule = PEAK_RESULT;
    broadcast->op.unique = broadcast->child->unique;
    broadcast->op.scalar_type = broadcast->child->scalar_type;
    *op = &broadcast->op;
    return OK;
}
