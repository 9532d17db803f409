/* The function table. One row a function, in the order of enum function_id, which is the order of
 * the names; the single letters keep a row on a line. */
#include "narthex/query/functions.h"

#include <assert.h>

#define S EXPR_TYPE_SCALAR
#define V EXPR_TYPE_VECTOR
#define M EXPR_TYPE_MATRIX
#define T EXPR_TYPE_STRING

/* clang-format off */
static const struct function functions[FUNCTION_COUNT] = {
    {STR_INIT("abs"), FUNCTION_ABS, V, {V}, 1, 0, false},
    {STR_INIT("absent"), FUNCTION_ABSENT, V, {V}, 1, 0, false},
    {STR_INIT("absent_over_time"), FUNCTION_ABSENT_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("acos"), FUNCTION_ACOS, V, {V}, 1, 0, false},
    {STR_INIT("acosh"), FUNCTION_ACOSH, V, {V}, 1, 0, false},
    {STR_INIT("asin"), FUNCTION_ASIN, V, {V}, 1, 0, false},
    {STR_INIT("asinh"), FUNCTION_ASINH, V, {V}, 1, 0, false},
    {STR_INIT("atan"), FUNCTION_ATAN, V, {V}, 1, 0, false},
    {STR_INIT("atanh"), FUNCTION_ATANH, V, {V}, 1, 0, false},
    {STR_INIT("avg_over_time"), FUNCTION_AVG_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("ceil"), FUNCTION_CEIL, V, {V}, 1, 0, false},
    {STR_INIT("changes"), FUNCTION_CHANGES, V, {M}, 1, 0, false},
    {STR_INIT("clamp"), FUNCTION_CLAMP, V, {V, S, S}, 3, 0, false},
    {STR_INIT("clamp_max"), FUNCTION_CLAMP_MAX, V, {V, S}, 2, 0, false},
    {STR_INIT("clamp_min"), FUNCTION_CLAMP_MIN, V, {V, S}, 2, 0, false},
    {STR_INIT("cos"), FUNCTION_COS, V, {V}, 1, 0, false},
    {STR_INIT("cosh"), FUNCTION_COSH, V, {V}, 1, 0, false},
    {STR_INIT("count_over_time"), FUNCTION_COUNT_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("day_of_month"), FUNCTION_DAY_OF_MONTH, V, {V}, 1, 1, false},
    {STR_INIT("day_of_week"), FUNCTION_DAY_OF_WEEK, V, {V}, 1, 1, false},
    {STR_INIT("day_of_year"), FUNCTION_DAY_OF_YEAR, V, {V}, 1, 1, false},
    {STR_INIT("days_in_month"), FUNCTION_DAYS_IN_MONTH, V, {V}, 1, 1, false},
    {STR_INIT("deg"), FUNCTION_DEG, V, {V}, 1, 0, false},
    {STR_INIT("delta"), FUNCTION_DELTA, V, {M}, 1, 0, false},
    {STR_INIT("deriv"), FUNCTION_DERIV, V, {M}, 1, 0, false},
    {STR_INIT("double_exponential_smoothing"), FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING, V, {M, S, S}, 3, 0, true},
    {STR_INIT("end"), FUNCTION_END, S, {EXPR_TYPE_NONE}, 0, 0, true},
    {STR_INIT("exp"), FUNCTION_EXP, V, {V}, 1, 0, false},
    {STR_INIT("first_over_time"), FUNCTION_FIRST_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("floor"), FUNCTION_FLOOR, V, {V}, 1, 0, false},
    {STR_INIT("histogram_avg"), FUNCTION_HISTOGRAM_AVG, V, {V}, 1, 0, false},
    {STR_INIT("histogram_count"), FUNCTION_HISTOGRAM_COUNT, V, {V}, 1, 0, false},
    {STR_INIT("histogram_fraction"), FUNCTION_HISTOGRAM_FRACTION, V, {S, S, V}, 3, 0, false},
    {STR_INIT("histogram_quantile"), FUNCTION_HISTOGRAM_QUANTILE, V, {S, V}, 2, 0, false},
    {STR_INIT("histogram_quantiles"), FUNCTION_HISTOGRAM_QUANTILES, V, {V, T, S, S}, 4, 9, true},
    {STR_INIT("histogram_stddev"), FUNCTION_HISTOGRAM_STDDEV, V, {V}, 1, 0, false},
    {STR_INIT("histogram_stdvar"), FUNCTION_HISTOGRAM_STDVAR, V, {V}, 1, 0, false},
    {STR_INIT("histogram_sum"), FUNCTION_HISTOGRAM_SUM, V, {V}, 1, 0, false},
    {STR_INIT("hour"), FUNCTION_HOUR, V, {V}, 1, 1, false},
    {STR_INIT("idelta"), FUNCTION_IDELTA, V, {M}, 1, 0, false},
    {STR_INIT("increase"), FUNCTION_INCREASE, V, {M}, 1, 0, false},
    {STR_INIT("info"), FUNCTION_INFO, V, {V, V}, 2, 1, true},
    {STR_INIT("irate"), FUNCTION_IRATE, V, {M}, 1, 0, false},
    {STR_INIT("label_join"), FUNCTION_LABEL_JOIN, V, {V, T, T, T}, 4, -1, false},
    {STR_INIT("label_replace"), FUNCTION_LABEL_REPLACE, V, {V, T, T, T, T}, 5, 0, false},
    {STR_INIT("last_over_time"), FUNCTION_LAST_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("ln"), FUNCTION_LN, V, {V}, 1, 0, false},
    {STR_INIT("log10"), FUNCTION_LOG10, V, {V}, 1, 0, false},
    {STR_INIT("log2"), FUNCTION_LOG2, V, {V}, 1, 0, false},
    {STR_INIT("mad_over_time"), FUNCTION_MAD_OVER_TIME, V, {M}, 1, 0, true},
    {STR_INIT("max_of"), FUNCTION_MAX_OF, S, {S, S}, 2, 0, true},
    {STR_INIT("max_over_time"), FUNCTION_MAX_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("min_of"), FUNCTION_MIN_OF, S, {S, S}, 2, 0, true},
    {STR_INIT("min_over_time"), FUNCTION_MIN_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("minute"), FUNCTION_MINUTE, V, {V}, 1, 1, false},
    {STR_INIT("month"), FUNCTION_MONTH, V, {V}, 1, 1, false},
    {STR_INIT("pi"), FUNCTION_PI, S, {EXPR_TYPE_NONE}, 0, 0, false},
    {STR_INIT("predict_linear"), FUNCTION_PREDICT_LINEAR, V, {M, S}, 2, 0, false},
    {STR_INIT("present_over_time"), FUNCTION_PRESENT_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("quantile_over_time"), FUNCTION_QUANTILE_OVER_TIME, V, {S, M}, 2, 0, false},
    {STR_INIT("rad"), FUNCTION_RAD, V, {V}, 1, 0, false},
    {STR_INIT("range"), FUNCTION_RANGE, S, {EXPR_TYPE_NONE}, 0, 0, true},
    {STR_INIT("rate"), FUNCTION_RATE, V, {M}, 1, 0, false},
    {STR_INIT("resets"), FUNCTION_RESETS, V, {M}, 1, 0, false},
    {STR_INIT("round"), FUNCTION_ROUND, V, {V, S}, 2, 1, false},
    {STR_INIT("scalar"), FUNCTION_SCALAR, S, {V}, 1, 0, false},
    {STR_INIT("sgn"), FUNCTION_SGN, V, {V}, 1, 0, false},
    {STR_INIT("sin"), FUNCTION_SIN, V, {V}, 1, 0, false},
    {STR_INIT("sinh"), FUNCTION_SINH, V, {V}, 1, 0, false},
    {STR_INIT("sort"), FUNCTION_SORT, V, {V}, 1, 0, false},
    {STR_INIT("sort_by_label"), FUNCTION_SORT_BY_LABEL, V, {V, T}, 2, -1, true},
    {STR_INIT("sort_by_label_desc"), FUNCTION_SORT_BY_LABEL_DESC, V, {V, T}, 2, -1, true},
    {STR_INIT("sort_desc"), FUNCTION_SORT_DESC, V, {V}, 1, 0, false},
    {STR_INIT("sqrt"), FUNCTION_SQRT, V, {V}, 1, 0, false},
    {STR_INIT("start"), FUNCTION_START, S, {EXPR_TYPE_NONE}, 0, 0, true},
    {STR_INIT("start_timestamp"), FUNCTION_START_TIMESTAMP, V, {V}, 1, 0, true},
    {STR_INIT("stddev_over_time"), FUNCTION_STDDEV_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("stdvar_over_time"), FUNCTION_STDVAR_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("step"), FUNCTION_STEP, S, {EXPR_TYPE_NONE}, 0, 0, true},
    {STR_INIT("sum_over_time"), FUNCTION_SUM_OVER_TIME, V, {M}, 1, 0, false},
    {STR_INIT("tan"), FUNCTION_TAN, V, {V}, 1, 0, false},
    {STR_INIT("tanh"), FUNCTION_TANH, V, {V}, 1, 0, false},
    {STR_INIT("time"), FUNCTION_TIME, S, {EXPR_TYPE_NONE}, 0, 0, false},
    {STR_INIT("timestamp"), FUNCTION_TIMESTAMP, V, {V}, 1, 0, false},
    {STR_INIT("ts_of_first_over_time"), FUNCTION_TS_OF_FIRST_OVER_TIME, V, {M}, 1, 0, true},
    {STR_INIT("ts_of_last_over_time"), FUNCTION_TS_OF_LAST_OVER_TIME, V, {M}, 1, 0, true},
    {STR_INIT("ts_of_max_over_time"), FUNCTION_TS_OF_MAX_OVER_TIME, V, {M}, 1, 0, true},
    {STR_INIT("ts_of_min_over_time"), FUNCTION_TS_OF_MIN_OVER_TIME, V, {M}, 1, 0, true},
    {STR_INIT("vector"), FUNCTION_VECTOR, V, {S}, 1, 0, false},
    {STR_INIT("year"), FUNCTION_YEAR, V, {V}, 1, 1, false},
};
/* clang-format on */

const struct function *function_find(struct str name)
{
    size_t low = 0;
    size_t high = FUNCTION_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(name, functions[middle].name);
        if (order == 0)
            return &functions[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct function *function_get(enum function_id id)
{
    assert(id < FUNCTION_COUNT);
    return &functions[id];
}

bool function_reads_time(enum function_id id)
{
    switch (id) {
    case FUNCTION_DAYS_IN_MONTH:
    case FUNCTION_DAY_OF_MONTH:
    case FUNCTION_DAY_OF_WEEK:
    case FUNCTION_DAY_OF_YEAR:
    case FUNCTION_END:
    case FUNCTION_HOUR:
    case FUNCTION_MINUTE:
    case FUNCTION_MONTH:
    case FUNCTION_YEAR:
    case FUNCTION_PREDICT_LINEAR:
    case FUNCTION_RANGE:
    case FUNCTION_START:
    case FUNCTION_STEP:
    case FUNCTION_TIME:
    case FUNCTION_TIMESTAMP:
        return true;
    default:
        return false;
    }
}
