/* Binary operators with a scalar on one side, or both. */
#include <assert.h>

#include "binary.h"

struct binary_scalar_op {
    struct op op;
    const struct binary *binary;
    struct op *vector; /* NULL: two scalars */
    struct op *scalars[2];
    bool scalar_left;
    struct name_check names;
    uint8_t *notes;
    struct arena *arena; /* histograms of the batch */
    struct row row;
    bool done;
};

static err_t next_scalars(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct binary_scalar_op *binary = (struct binary_scalar_op *)op;
    if (binary->done)
        return OK;
    binary->done = true;
    const double *lhs;
    const double *rhs;
    TRY(op__scalar(binary->scalars[0], &lhs, why));
    TRY(op__scalar(binary->scalars[1], &rhs, why));
    uint32_t steps = op->scope->grid.count;
    for (uint32_t i = 0; i < steps; i++)
        binary->row.values[i] = binary__scalars(binary->binary->op, lhs[i], rhs[i]);
    bits__fill(binary->row.present, steps);
    *batch = (struct batch){&binary->row, 1};
    return OK;
}

static void put(struct binary_scalar_op *binary, struct row *row, uint32_t step,
                struct element vector, const struct binary_result *result)
{
    if (result->note != NOTE_NONE)
        binary->notes[step] = (uint8_t)result->note;
    if (!result->valid || (!result->keep && !binary->binary->return_bool)) {
        bits__clear(row->present, step);
        return;
    }
    struct element element = result->element;
    if (binary->binary->return_bool)
        element = (struct element){result->keep ? 1 : 0, NULL};
    else if (binary_op_is_comparison(binary->binary->op))
        element = vector; /* also when the vector is the right side */
    row->values[step] = element.f;
    if (row->histograms != NULL)
        row->histograms[step] = element.h;
}

/* Floats only, no trims. */
static void combine_floats(struct binary_scalar_op *binary, struct row *row, const double *scalar)
{
    enum binary_op op = binary->binary->op;
    bool filter = binary_op_is_comparison(op) && !binary->binary->return_bool;
    for (uint32_t w = 0; w < bits__words(binary->op.scope->grid.count); w++) {
        for (uint64_t left = row->present[w]; left != 0; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            double v = row->values[i];
            double result = binary->scalar_left ? binary__scalars(op, scalar[i], v)
                                                : binary__scalars(op, v, scalar[i]);
            if (!filter)
                row->values[i] = result;
            else if (result == 0)
                bits__clear(row->present, i);
        }
    }
}

static void combine_row(struct binary_scalar_op *binary, struct row *row, const double *scalar)
{
    uint32_t steps = binary->op.scope->grid.count;
    bool trims = binary->binary->op == BINARY_TRIM_UPPER || binary->binary->op == BINARY_TRIM_LOWER;
    if (row->histograms == NULL && !trims) {
        combine_floats(binary, row, scalar);
        return;
    }
    for (uint32_t i = 0; i < steps; i++) {
        if (!bits__get(row->present, i))
            continue;
        struct element vector = {row->values[i], row__histogram(row, i)};
        struct element constant = {scalar[i], NULL};
        struct binary_result result =
            binary->scalar_left
                ? binary__combine(binary->binary->op, constant, vector, binary->arena)
                : binary__combine(binary->binary->op, vector, constant, binary->arena);
        put(binary, row, i, vector, &result);
    }
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct binary_scalar_op *binary = (struct binary_scalar_op *)op;
    const double *scalar;
    TRY(op__scalar(binary->scalars[0], &scalar, why));
    TRY(op__next(binary->vector, batch, why));
    if (batch->count == 0) {
        binary__annotate(op->eval, op->expr, binary->notes, op->scope->grid.count);
        return OK;
    }
    arena_reset_to(binary->arena, (struct arena_mark){NULL, NULL});
    for (uint32_t i = 0; i < batch->count; i++) {
        combine_row(binary, &batch->rows[i], scalar);
        if (binary__drops_name(binary->binary))
            TRY(name_check__drop(&binary->names, &batch->rows[i], why));
    }
    return OK;
}

static void init_vector(struct binary_scalar_op *binary, struct op *vector, struct op *scalar)
{
    struct eval *eval = binary->op.eval;
    uint32_t steps = binary->op.scope->grid.count;
    binary->vector = vector;
    binary->scalars[0] = scalar;
    binary->notes = ARENA_NEW_ARRAY(eval->arena, uint8_t, steps);
    binary->arena = eval__arena(eval);
    name_check__init(&binary->names, eval, steps, false);
    binary->op.unique =
        vector->unique && (eval->delayed_names || !binary__drops_name(binary->binary));
}

err_t op_binary__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why)
{
    struct op *lhs;
    struct op *rhs;
    bool trims = expr->binary.op == BINARY_TRIM_UPPER || expr->binary.op == BINARY_TRIM_LOWER;
    eval->histogram_buckets += trims;
    TRY(plan__build(eval, scope, expr->binary.lhs, &lhs, why));
    TRY(plan__build(eval, scope, expr->binary.rhs, &rhs, why));
    eval->histogram_buckets -= trims;
    if (!lhs->scalar_type && !rhs->scalar_type)
        return binary_op_is_set(expr->binary.op)
                   ? op_set__create(eval, scope, expr, lhs, rhs, op, why)
                   : op_match__create(eval, scope, expr, lhs, rhs, op, why);
    bool two = lhs->scalar_type && rhs->scalar_type;
    struct binary_scalar_op *binary =
        EVAL_OP(eval, struct binary_scalar_op, two ? next_scalars : next, scope, expr);
    binary->binary = &expr->binary;
    op__add_input(&binary->op, lhs);
    op__add_input(&binary->op, rhs);
    if (two) {
        binary->scalars[0] = lhs;
        binary->scalars[1] = rhs;
        row__init(&binary->row, eval->arena, scope->grid.count);
        binary->op.unique = true;
        binary->op.scalar_type = true;
    } else if (lhs->scalar_type) {
        binary->scalar_left = true;
        init_vector(binary, rhs, lhs);
    } else {
        init_vector(binary, lhs, rhs);
    }
    *op = &binary->op;
    return OK;
}
