/* query/functions.h: the functions of PromQL and their signatures (spec promql.md 6).
 *
 * The table is constant and shared by the type checker, the engine (which switches on `id`) and the
 * parse_query and features answers. Any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/str.h"

/* What an expression evaluates to. */
enum expr_type {
    EXPR_TYPE_NONE,
    EXPR_TYPE_SCALAR,
    EXPR_TYPE_STRING,
    EXPR_TYPE_VECTOR,
    EXPR_TYPE_MATRIX
};

/* In the order of the names, so that the table can be indexed by id. */
enum function_id {
    FUNCTION_ABS,
    FUNCTION_ABSENT,
    FUNCTION_ABSENT_OVER_TIME,
    FUNCTION_ACOS,
    FUNCTION_ACOSH,
    FUNCTION_ASIN,
    FUNCTION_ASINH,
    FUNCTION_ATAN,
    FUNCTION_ATANH,
    FUNCTION_AVG_OVER_TIME,
    FUNCTION_CEIL,
    FUNCTION_CHANGES,
    FUNCTION_CLAMP,
    FUNCTION_CLAMP_MAX,
    FUNCTION_CLAMP_MIN,
    FUNCTION_COS,
    FUNCTION_COSH,
    FUNCTION_COUNT_OVER_TIME,
    FUNCTION_DAY_OF_MONTH,
    FUNCTION_DAY_OF_WEEK,
    FUNCTION_DAY_OF_YEAR,
    FUNCTION_DAYS_IN_MONTH,
    FUNCTION_DEG,
    FUNCTION_DELTA,
    FUNCTION_DERIV,
    FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING,
    FUNCTION_END,
    FUNCTION_EXP,
    FUNCTION_FIRST_OVER_TIME,
    FUNCTION_FLOOR,
    FUNCTION_HISTOGRAM_AVG,
    FUNCTION_HISTOGRAM_COUNT,
    FUNCTION_HISTOGRAM_FRACTION,
    FUNCTION_HISTOGRAM_QUANTILE,
    FUNCTION_HISTOGRAM_QUANTILES,
    FUNCTION_HISTOGRAM_STDDEV,
    FUNCTION_HISTOGRAM_STDVAR,
    FUNCTION_HISTOGRAM_SUM,
    FUNCTION_HOUR,
    FUNCTION_IDELTA,
    FUNCTION_INCREASE,
    FUNCTION_INFO,
    FUNCTION_IRATE,
    FUNCTION_LABEL_JOIN,
    FUNCTION_LABEL_REPLACE,
    FUNCTION_LAST_OVER_TIME,
    FUNCTION_LN,
    FUNCTION_LOG10,
    FUNCTION_LOG2,
    FUNCTION_MAD_OVER_TIME,
    FUNCTION_MAX_OF,
    FUNCTION_MAX_OVER_TIME,
    FUNCTION_MIN_OF,
    FUNCTION_MIN_OVER_TIME,
    FUNCTION_MINUTE,
    FUNCTION_MONTH,
    FUNCTION_PI,
    FUNCTION_PREDICT_LINEAR,
    FUNCTION_PRESENT_OVER_TIME,
    FUNCTION_QUANTILE_OVER_TIME,
    FUNCTION_RAD,
    FUNCTION_RANGE,
    FUNCTION_RATE,
    FUNCTION_RESETS,
    FUNCTION_ROUND,
    FUNCTION_SCALAR,
    FUNCTION_SGN,
    FUNCTION_SIN,
    FUNCTION_SINH,
    FUNCTION_SORT,
    FUNCTION_SORT_BY_LABEL,
    FUNCTION_SORT_BY_LABEL_DESC,
    FUNCTION_SORT_DESC,
    FUNCTION_SQRT,
    FUNCTION_START,
    FUNCTION_START_TIMESTAMP,
    FUNCTION_STDDEV_OVER_TIME,
    FUNCTION_STDVAR_OVER_TIME,
    FUNCTION_STEP,
    FUNCTION_SUM_OVER_TIME,
    FUNCTION_TAN,
    FUNCTION_TANH,
    FUNCTION_TIME,
    FUNCTION_TIMESTAMP,
    FUNCTION_TS_OF_FIRST_OVER_TIME,
    FUNCTION_TS_OF_LAST_OVER_TIME,
    FUNCTION_TS_OF_MAX_OVER_TIME,
    FUNCTION_TS_OF_MIN_OVER_TIME,
    FUNCTION_VECTOR,
    FUNCTION_YEAR,
    FUNCTION_COUNT,
};

enum { FUNCTION_ARG_TYPES_MAX = 5 };

struct function {
    struct str name;
    enum function_id id;
    enum expr_type return_type;
    enum expr_type arg_types[FUNCTION_ARG_TYPES_MAX];
    uint32_t arg_type_count;
    /* 0: exactly arg_type_count arguments. Else the last type is optional: at least
     * arg_type_count - 1 arguments and at most `variadic` more, any number if it is -1. Arguments
     * beyond the list have the last type. */
    int32_t variadic;
    bool experimental; /* needs promql-experimental-functions */
};

/* The entry of a name (case-sensitive), or NULL. */
const struct function *function_find(struct str name);
const struct function *function_get(enum function_id id);
/* Whether the result depends on the evaluation time itself and not on the arguments alone. */
bool function_reads_time(enum function_id id);
