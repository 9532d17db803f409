/* From the tree to operators. */
#include <assert.h>

#include "common_parts.h"
#include "eval.h"

/* ---- what does not depend on the step ---- */

static bool mark(struct eval *eval, struct expr *expr);

static bool mark_call(struct eval *eval, struct expr *expr)
{
    bool all = true;
    for (uint32_t i = 0; i < expr->call.arg_count; i++)
        all = mark(eval, expr->call.args[i]) && all;
    enum function_id id = expr->call.function->id;
    if (id == FUNCTION_TIMESTAMP &&
        expr_strip_parens(expr->call.args[0])->kind == EXPR_VECTOR_SELECTOR)
        return all;
    return all && !function_reads_time(id);
}

static bool mark(struct eval *eval, struct expr *expr)
{
    bool same = true;
    switch (expr->kind) {
    case EXPR_VECTOR_SELECTOR:
        same = expr->vector_selector.when.at != AT_NONE;
        break;
    case EXPR_CALL:
        same = mark_call(eval, expr);
        break;
    case EXPR_SUBQUERY:
        mark(eval, expr->subquery.expr);
        same = expr->subquery.when.at != AT_NONE;
        break;
    default:
        for (size_t i = 0; i < expr_child_count(expr); i++)
            same = mark(eval, expr_child(expr, i)) && same;
    }
    eval->invariant[expr->ordinal] = same;
    return same;
}

void plan__mark_invariant(struct eval *eval, struct expr *root, uint32_t node_count)
{
    eval->invariant = ARENA_NEW_ARRAY(eval->arena, bool, node_count);
    mark(eval, root);
}

/* ---- operators ---- */

typedef err_t (*create_fn)(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why);

static const create_fn creators[FUNCTION_COUNT] = {
    [FUNCTION_ABS] = op_math__create,
    [FUNCTION_ABSENT] = op_absent__create,
    [FUNCTION_ABSENT_OVER_TIME] = op_absent__create,
    [FUNCTION_ACOS] = op_math__create,
    [FUNCTION_ACOSH] = op_math__create,
    [FUNCTION_ASIN] = op_math__create,
    [FUNCTION_ASINH] = op_math__create,
    [FUNCTION_ATAN] = op_math__create,
    [FUNCTION_ATANH] = op_math__create,
    [FUNCTION_AVG_OVER_TIME] = op_range_call__create,
    [FUNCTION_CEIL] = op_math__create,
    [FUNCTION_CHANGES] = op_range_call__create,
    [FUNCTION_CLAMP] = op_math__create,
    [FUNCTION_CLAMP_MAX] = op_math__create,
    [FUNCTION_CLAMP_MIN] = op_math__create,
    [FUNCTION_COS] = op_math__create,
    [FUNCTION_COSH] = op_math__create,
    [FUNCTION_COUNT_OVER_TIME] = op_range_call__create,
    [FUNCTION_DAY_OF_MONTH] = op_time__create,
    [FUNCTION_DAY_OF_WEEK] = op_time__create,
    [FUNCTION_DAY_OF_YEAR] = op_time__create,
    [FUNCTION_DAYS_IN_MONTH] = op_time__create,
    [FUNCTION_DEG] = op_math__create,
    [FUNCTION_DELTA] = op_range_call__create,
    [FUNCTION_DERIV] = op_range_call__create,
    [FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING] = op_range_call__create,
    [FUNCTION_END] = op_scalar__create,
    [FUNCTION_EXP] = op_math__create,
    [FUNCTION_FIRST_OVER_TIME] = op_range_call__create,
    [FUNCTION_FLOOR] = op_math__create,
    [FUNCTION_HISTOGRAM_AVG] = op_histogram__create,
    [FUNCTION_HISTOGRAM_COUNT] = op_histogram__create,
    [FUNCTION_HISTOGRAM_FRACTION] = op_quantile__create,
    [FUNCTION_HISTOGRAM_QUANTILE] = op_quantile__create,
    [FUNCTION_HISTOGRAM_QUANTILES] = op_quantile__create,
    [FUNCTION_HISTOGRAM_STDDEV] = op_histogram__create,
    [FUNCTION_HISTOGRAM_STDVAR] = op_histogram__create,
    [FUNCTION_HISTOGRAM_SUM] = op_histogram__create,
    [FUNCTION_HOUR] = op_time__create,
    [FUNCTION_IDELTA] = op_range_call__create,
    [FUNCTION_INCREASE] = op_range_call__create,
    [FUNCTION_INFO] = op_info__create,
    [FUNCTION_IRATE] = op_range_call__create,
    [FUNCTION_LABEL_JOIN] = op_label__create,
    [FUNCTION_LABEL_REPLACE] = op_label__create,
    [FUNCTION_LAST_OVER_TIME] = op_range_call__create,
    [FUNCTION_LN] = op_math__create,
    [FUNCTION_LOG10] = op_math__create,
    [FUNCTION_LOG2] = op_math__create,
    [FUNCTION_MAD_OVER_TIME] = op_range_call__create,
    [FUNCTION_MAX_OF] = op_scalar__create,
    [FUNCTION_MAX_OVER_TIME] = op_range_call__create,
    [FUNCTION_MIN_OF] = op_scalar__create,
    [FUNCTION_MIN_OVER_TIME] = op_range_call__create,
    [FUNCTION_MINUTE] = op_time__create,
    [FUNCTION_MONTH] = op_time__create,
    [FUNCTION_PI] = op_scalar__create,
    [FUNCTION_PREDICT_LINEAR] = op_range_call__create,
    [FUNCTION_PRESENT_OVER_TIME] = op_range_call__create,
    [FUNCTION_QUANTILE_OVER_TIME] = op_range_call__create,
    [FUNCTION_RAD] = op_math__create,
    [FUNCTION_RANGE] = op_scalar__create,
    [FUNCTION_RATE] = op_range_call__create,
    [FUNCTION_RESETS] = op_range_call__create,
    [FUNCTION_ROUND] = op_math__create,
    [FUNCTION_SCALAR] = op_scalar__create,
    [FUNCTION_SGN] = op_math__create,
    [FUNCTION_SIN] = op_math__create,
    [FUNCTION_SINH] = op_math__create,
    [FUNCTION_SORT] = op_sort__create,
    [FUNCTION_SORT_BY_LABEL] = op_sort__create,
    [FUNCTION_SORT_BY_LABEL_DESC] = op_sort__create,
    [FUNCTION_SORT_DESC] = op_sort__create,
    [FUNCTION_SQRT] = op_math__create,
    [FUNCTION_START] = op_scalar__create,
    [FUNCTION_START_TIMESTAMP] = op_time__create,
    [FUNCTION_STDDEV_OVER_TIME] = op_range_call__create,
    [FUNCTION_STDVAR_OVER_TIME] = op_range_call__create,
    [FUNCTION_STEP] = op_scalar__create,
    [FUNCTION_SUM_OVER_TIME] = op_range_call__create,
    [FUNCTION_TAN] = op_math__create,
    [FUNCTION_TANH] = op_math__create,
    [FUNCTION_TIME] = op_scalar__create,
    [FUNCTION_TIMESTAMP] = op_time__create,
    [FUNCTION_TS_OF_FIRST_OVER_TIME] = op_range_call__create,
    [FUNCTION_TS_OF_LAST_OVER_TIME] = op_range_call__create,
    [FUNCTION_TS_OF_MAX_OVER_TIME] = op_range_call__create,
    [FUNCTION_TS_OF_MIN_OVER_TIME] = op_range_call__create,
    [FUNCTION_VECTOR] = op_scalar__create,
    [FUNCTION_YEAR] = op_time__create,
};

static err_t create_call(struct eval *eval, struct scope *scope, const struct expr *expr,
                         struct op **op, struct strbuf *why)
{
    return creators[expr->call.function->id](eval, scope, expr, op, why);
}

err_t plan__build(struct eval *eval, struct scope *scope, const struct expr *expr, struct op **op,
                  struct strbuf *why)
{
    if (expr->kind == EXPR_PAREN)
        return plan__build(eval, scope, expr->paren, op, why);
    if (expr->kind == EXPR_NUMBER)
        return op_number__create(eval, scope, expr, expr->number.value, op);
    if (scope->grid.count > 1 && eval->invariant[expr->ordinal])
        return op_broadcast__create(eval, scope, expr, op, why);
    if (common_parts__repeated(eval, expr))
        return op_shared__create(eval, scope, expr, op, why);
    return plan__build_alone(eval, scope, expr, op, why);
}

err_t plan__build_alone(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why)
{
    switch (expr->kind) {
    case EXPR_VECTOR_SELECTOR:
        *op = op_select__create(eval, scope, expr, (struct str){NULL, 0}, SELECT_VALUE);
        return OK;
    case EXPR_CALL:
        return create_call(eval, scope, expr, op, why);
    case EXPR_AGGREGATION:
        return op_aggregate__create(eval, scope, expr, op, why);
    case EXPR_BINARY:
        return op_binary__create(eval, scope, expr, op, why);
    case EXPR_UNARY:
        return op_unary__create(eval, scope, expr, op, why);
    default:
        /* Strings are read by the functions that take them, matrices by range functions. */
        return err_fail(why, ERR_EXECUTION, "unexpected %s expression", expr_type_text(expr->type));
    }
}
