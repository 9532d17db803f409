/* Functions that map every float of a vector: math, rounding, clamping. */
#include <math.h>

#include "eval.h"
#include "narthex/model/histogram_math.h"

struct math_op {
    struct op op;
    struct op *child;
    enum function_id id;
    double (*map)(double);
    struct op *params[2];
    const double *columns[2];
    uint32_t param_count;
    struct name_check names;
};

static double map_deg(double v)
{
    return v * 180 / M_PI;
}

static double map_rad(double v)
{
    return v * M_PI / 180;
}

static double map_sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double (*const maps[FUNCTION_COUNT])(double) = {
    [FUNCTION_ABS] = fabs,    [FUNCTION_CEIL] = ceil,   [FUNCTION_FLOOR] = floor,
    [FUNCTION_EXP] = exp,     [FUNCTION_SQRT] = sqrt,   [FUNCTION_LN] = log,
    [FUNCTION_LOG2] = log2,   [FUNCTION_LOG10] = log10, [FUNCTION_SIN] = sin,
    [FUNCTION_COS] = cos,     [FUNCTION_TAN] = tan,     [FUNCTION_ASIN] = asin,
    [FUNCTION_ACOS] = acos,   [FUNCTION_ATAN] = atan,   [FUNCTION_SINH] = sinh,
    [FUNCTION_COSH] = cosh,   [FUNCTION_TANH] = tanh,   [FUNCTION_ASINH] = asinh,
    [FUNCTION_ACOSH] = acosh, [FUNCTION_ATANH] = atanh, [FUNCTION_DEG] = map_deg,
    [FUNCTION_RAD] = map_rad, [FUNCTION_SGN] = map_sgn,
};

/* Go's math.Max and math.Min: the infinity that decides wins, then NaN; -0 is less than 0. */
static double max_go(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double min_go(double a, double b)
{
    return -max_go(-a, -b);
}

/* False: the step has no result. */
static bool map_with_params(const struct math_op *math, uint32_t step, double *v)
{
    double p0 = math->param_count > 0 ? math->columns[0][step] : 1;
    double p1 = math->param_count > 1 ? math->columns[1][step] : 0;
    switch (math->id) {
    case FUNCTION_CLAMP:
        if (p1 < p0)
            return false;
        *v = max_go(p0, min_go(p1, *v));
        return true;
    case FUNCTION_CLAMP_MIN:
        *v = max_go(p0, *v);
        return true;
    case FUNCTION_CLAMP_MAX:
        *v = min_go(p0, *v);
        return true;
    default: {
        /* round: the inverse, so that 0.1 and the like round well */
        double inverse = 1 / p0;
        *v = floor(*v * inverse + 0.5) / inverse;
        return true;
    }
    }
}

static void map_row(const struct math_op *math, struct row *row)
{
    uint32_t steps = math->op.scope->grid.count;
    for (uint32_t i = 0; i < steps; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (row__histogram(row, i) != NULL)
            bits__clear(row->present, i);
        else if (math->map != NULL)
            row->values[i] = math->map(row->values[i]);
        else if (!map_with_params(math, i, &row->values[i]))
            bits__clear(row->present, i);
    }
    row->histograms = NULL;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct math_op *math = (struct math_op *)op;
    for (uint32_t i = 0; i < math->param_count; i++)
        TRY(op__scalar(math->params[i], &math->columns[i], why));
    TRY(op__next(math->child, batch, why));
    for (uint32_t i = 0; i < batch->count; i++) {
        map_row(math, &batch->rows[i]);
        TRY(name_check__drop(&math->names, &batch->rows[i], why));
    }
    return OK;
}

err_t op_math__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why)
{
    struct math_op *math = EVAL_OP(eval, struct math_op, next, scope, expr);
    const struct call *call = &expr->call;
    math->id = call->function->id;
    math->map = maps[math->id];
    TRY(plan__build(eval, scope, call->args[0], &math->child, why));
    op__add_input(&math->op, math->child);
    for (uint32_t i = 1; i < call->arg_count; i++) {
        TRY(plan__build(eval, scope, call->args[i], &math->params[i - 1], why));
        op__add_input(&math->op, math->params[i - 1]);
        math->param_count++;
    }
    name_check__init(&math->names, eval, scope->grid.count, false);
    math->op.unique = math->child->unique && eval->delayed_names;
    *op = &math->op;
    return OK;
}

/* ---- unary operators ---- */

struct unary_op {
    struct op op;
    struct op *child;
    struct name_check names;
    struct row_set merged; /* of immediate mode */
    bool done;
};

/* -h has negative counts and is a gauge. */
static void negate_row(struct unary_op *unary, struct row *row)
{
    uint32_t steps = unary->op.scope->grid.count;
    for (uint32_t i = 0; i < steps; i++) {
        if (!bits__get(row->present, i))
            continue;
        const struct histogram *h = row__histogram(row, i);
        if (h == NULL)
            row->values[i] = -row->values[i];
        else
            row->histograms[i] = histogram_multiply(unary->merged.arena, h, -1);
    }
}

static err_t next_unary(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct unary_op *unary = (struct unary_op *)op;
    struct eval *eval = op->eval;
    if (unary->done)
        return OK;
    for (;;) {
        TRY(op__next(unary->child, batch, why));
        if (batch->count == 0)
            break;
        for (uint32_t i = 0; i < batch->count; i++) {
            struct row *row = &batch->rows[i];
            negate_row(unary, row);
            if (unary->child->scalar_type)
                continue;
            if (eval->delayed_names) {
                row->drop_name = true;
                continue;
            }
            row->labels = names__drop(unary->merged.arena, row->labels);
            TRY(row_set__merge(&unary->merged, row, why));
        }
        if (eval->delayed_names || unary->child->scalar_type)
            return OK;
    }
    unary->done = true;
    *batch = (struct batch){unary->merged.items, unary->merged.count};
    return OK;
}

err_t op_unary__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op **op, struct strbuf *why)
{
    if (!expr->unary.negate)
        return plan__build(eval, scope, expr->unary.expr, op, why);
    struct unary_op *unary = EVAL_OP(eval, struct unary_op, next_unary, scope, expr);
    TRY(plan__build(eval, scope, expr->unary.expr, &unary->child, why));
    op__add_input(&unary->op, unary->child);
    unary->op.peak_rule = PEAK_IN_PLACE;
    row_set__init(&unary->merged, eval, scope->grid.count);
    unary->op.unique = !eval->delayed_names || unary->child->unique;
    unary->op.scalar_type = unary->child->scalar_type;
    *op = &unary->op;
    return OK;
}
