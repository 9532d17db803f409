/* Values for what depends on the times of a query: duration arithmetic, "@ start()", "@ end()". */
#include <assert.h>
#include <math.h>

#include "narthex/query/ast.h"

static const double duration_seconds_max = 9223372036.854775807; /* 2^63 ns */

struct preparation {
    const struct prepare_times *times;
    struct strbuf *why;
    err_t err;
};

static err_t duration_fail(struct strbuf *why, const struct duration_expr *expr, const char *text)
{
    return err_fail(why, ERR_INVALID, "%u:%u: %s", expr->start, expr->end, text);
}

static double min_or_max(bool max, double a, double b)
{
    if (isnan(a) || isnan(b))
        return NAN;
    return max == (a > b) ? a : b;
}

static err_t evaluate(struct preparation *preparation, const struct duration_expr *expr,
                      double *seconds)
{
    const struct prepare_times *times = preparation->times;
    double a = 0;
    double b = 0;
    if (expr->lhs != NULL)
        TRY(evaluate(preparation, expr->lhs, &a));
    if (expr->rhs != NULL)
        TRY(evaluate(preparation, expr->rhs, &b));
    switch (expr->op) {
    case DURATION_LITERAL:
        *seconds = expr->seconds;
        break;
    case DURATION_STEP:
        *seconds = (double)times->step_ms / 1000;
        break;
    case DURATION_RANGE:
        *seconds = (double)(times->end_ms - times->start_ms) / 1000;
        break;
    case DURATION_NEGATE:
        *seconds = -a;
        break;
    case DURATION_ADD:
        *seconds = a + b;
        break;
    case DURATION_SUB:
        *seconds = a - b;
        break;
    case DURATION_MUL:
        *seconds = a * b;
        break;
    case DURATION_DIV:
        if (b == 0)
            return duration_fail(preparation->why, expr, "division by zero");
        *seconds = a / b;
        break;
    case DURATION_MOD:
        if (b == 0)
            return duration_fail(preparation->why, expr, "modulo by zero");
        *seconds = fmod(a, b);
        break;
    case DURATION_POW:
        *seconds = pow(a, b);
        break;
    case DURATION_MIN_OF:
    case DURATION_MAX_OF:
        *seconds = min_or_max(expr->op == DURATION_MAX_OF, a, b);
        break;
    }
    return OK;
}

static err_t prepare_duration(struct preparation *preparation, struct duration *duration,
                              bool may_be_negative)
{
    if (duration->expr == NULL)
        return OK;
    double seconds = 0;
    TRY(evaluate(preparation, duration->expr, &seconds));
    if (!isfinite(seconds))
        return duration_fail(preparation->why, duration->expr, "duration is NaN or infinite");
    if (fabs(seconds) > duration_seconds_max)
        return duration_fail(preparation->why, duration->expr, "duration is out of range");
    duration->ms = (int64_t)(seconds * 1000);
    if (!may_be_negative && duration->ms <= 0)
        return duration_fail(preparation->why, duration->expr, "duration must be greater than 0");
    return OK;
}

static err_t prepare_modifiers(struct preparation *preparation, struct time_modifiers *when)
{
    if (when->at == AT_START)
        when->at_ms = preparation->times->start_ms;
    else if (when->at == AT_END)
        when->at_ms = preparation->times->end_ms;
    return prepare_duration(preparation, &when->offset, true);
}

static err_t prepare_expr(struct preparation *preparation, struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_VECTOR_SELECTOR:
        return prepare_modifiers(preparation, &expr->vector_selector.when);
    case EXPR_MATRIX_SELECTOR:
        return prepare_duration(preparation, &expr->matrix_selector.range, false);
    case EXPR_SUBQUERY:
        TRY(prepare_duration(preparation, &expr->subquery.range, false));
        if (expr->subquery.has_step)
            TRY(prepare_duration(preparation, &expr->subquery.step, false));
        return prepare_modifiers(preparation, &expr->subquery.when);
    default:
        return OK;
    }
}

static enum walk_step visit(void *context, struct expr *expr)
{
    struct preparation *preparation = context;
    preparation->err = prepare_expr(preparation, expr);
    return preparation->err == OK ? WALK_INTO : WALK_STOP;
}

err_t promql_prepare(struct parsed_query *query, const struct prepare_times *times,
                     struct strbuf *why)
{
    assert(query->root != NULL);
    struct preparation preparation = {times, why, OK};
    expr_walk(query->root, visit, &preparation);
    return preparation.err;
}
