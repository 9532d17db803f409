/* Walking the tree, and the words for its parts. */
#include "narthex/query/ast.h"

#include <assert.h>

size_t expr_child_count(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_VECTOR_SELECTOR:
        return 0;
    case EXPR_MATRIX_SELECTOR:
    case EXPR_SUBQUERY:
    case EXPR_UNARY:
    case EXPR_PAREN:
        return 1;
    case EXPR_BINARY:
        return 2;
    case EXPR_AGGREGATION:
        return expr->aggregation.param == NULL ? 1 : 2;
    case EXPR_CALL:
        return expr->call.arg_count;
    }
    return 0;
}

struct expr *expr_child(const struct expr *expr, size_t index)
{
    assert(index < expr_child_count(expr));
    switch (expr->kind) {
    case EXPR_MATRIX_SELECTOR:
        return expr->matrix_selector.vector;
    case EXPR_SUBQUERY:
        return expr->subquery.expr;
    case EXPR_UNARY:
        return expr->unary.expr;
    case EXPR_PAREN:
        return expr->paren;
    case EXPR_BINARY:
        return index == 0 ? expr->binary.lhs : expr->binary.rhs;
    case EXPR_AGGREGATION:
        if (expr->aggregation.param != NULL && index == 0)
            return expr->aggregation.param;
        return expr->aggregation.expr;
    case EXPR_CALL:
        return expr->call.args[index];
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_VECTOR_SELECTOR:
        break;
    }
    return NULL;
}

bool expr_walk(struct expr *root, expr_visit_fn visit, void *context)
{
    enum walk_step step = visit(context, root);
    if (step == WALK_STOP)
        return false;
    if (step == WALK_OVER)
        return true;
    size_t count = expr_child_count(root);
    for (size_t i = 0; i < count; i++) {
        if (!expr_walk(expr_child(root, i), visit, context))
            return false;
    }
    return true;
}

struct expr *expr_strip_parens(struct expr *expr)
{
    while (expr->kind == EXPR_PAREN)
        expr = expr->paren;
    return expr;
}

const char *expr_type_text(enum expr_type type)
{
    static const char *const texts[] = {
        [EXPR_TYPE_NONE] = "none",           [EXPR_TYPE_SCALAR] = "scalar",
        [EXPR_TYPE_STRING] = "string",       [EXPR_TYPE_VECTOR] = "instant vector",
        [EXPR_TYPE_MATRIX] = "range vector",
    };
    return texts[type];
}

const char *expr_type_name(enum expr_type type)
{
    static const char *const names[] = {
        [EXPR_TYPE_NONE] = "none",     [EXPR_TYPE_SCALAR] = "scalar", [EXPR_TYPE_STRING] = "string",
        [EXPR_TYPE_VECTOR] = "vector", [EXPR_TYPE_MATRIX] = "matrix",
    };
    return names[type];
}

const char *aggregation_op_text(enum aggregation_op op)
{
    static const char *const texts[] = {
        [AGGREGATION_AVG] = "avg",
        [AGGREGATION_BOTTOMK] = "bottomk",
        [AGGREGATION_COUNT] = "count",
        [AGGREGATION_COUNT_VALUES] = "count_values",
        [AGGREGATION_GROUP] = "group",
        [AGGREGATION_LIMITK] = "limitk",
        [AGGREGATION_LIMIT_RATIO] = "limit_ratio",
        [AGGREGATION_MAX] = "max",
        [AGGREGATION_MIN] = "min",
        [AGGREGATION_QUANTILE] = "quantile",
        [AGGREGATION_STDDEV] = "stddev",
        [AGGREGATION_STDVAR] = "stdvar",
        [AGGREGATION_SUM] = "sum",
        [AGGREGATION_TOPK] = "topk",
    };
    return texts[op];
}

const char *binary_op_text(enum binary_op op)
{
    static const char *const texts[] = {
        [BINARY_ADD] = "+",
        [BINARY_SUB] = "-",
        [BINARY_MUL] = "*",
        [BINARY_DIV] = "/",
        [BINARY_MOD] = "%",
        [BINARY_POW] = "^",
        [BINARY_ATAN2] = "atan2",
        [BINARY_EQUAL] = "==",
        [BINARY_NOT_EQUAL] = "!=",
        [BINARY_LESS] = "<",
        [BINARY_LESS_EQUAL] = "<=",
        [BINARY_GREATER] = ">",
        [BINARY_GREATER_EQUAL] = ">=",
        [BINARY_TRIM_UPPER] = "</",
        [BINARY_TRIM_LOWER] = ">/",
        [BINARY_AND] = "and",
        [BINARY_OR] = "or",
        [BINARY_UNLESS] = "unless",
    };
    return texts[op];
}

bool binary_op_is_comparison(enum binary_op op)
{
    return op >= BINARY_EQUAL && op <= BINARY_GREATER_EQUAL;
}

bool binary_op_is_set(enum binary_op op)
{
    return op >= BINARY_AND && op <= BINARY_UNLESS;
}

struct text_position text_position_at(struct str text, uint32_t offset)
{
    struct text_position position = {1, 1};
    for (uint32_t i = 0; i < offset && i < text.size; i++) {
        position.column++;
        if (text.data[i] == '\n') {
            position.line++;
            position.column = 1;
        }
    }
    return position;
}
