/* Checks what the grammar cannot: types of operands and arguments (spec promql.md 1.4). Children
 * are checked before what they are checked for, in the order of the text, and the first fault
 * counts. */
#include "promql_parser.h"
#include "promql_text.h"

static err_t check(struct parser *parser, struct expr *expr);

static err_t expect_type(struct parser *parser, struct expr *expr, enum expr_type wanted,
                         const char *place)
{
    TRY(check(parser, expr));
    if (expr->type == wanted)
        return OK;
    return parser__fail(parser, expr->start, "expected type %s in %s, got %s",
                        expr_type_text(wanted), place, expr_type_text(expr->type));
}

static err_t check_aggregation(struct parser *parser, struct expr *expr)
{
    struct aggregation *aggregation = &expr->aggregation;
    TRY(expect_type(parser, aggregation->expr, EXPR_TYPE_VECTOR, "aggregation expression"));
    if (aggregation->param == NULL)
        return OK;
    enum expr_type wanted =
        aggregation->op == AGGREGATION_COUNT_VALUES ? EXPR_TYPE_STRING : EXPR_TYPE_SCALAR;
    return expect_type(parser, aggregation->param, wanted, "aggregation parameter");
}

/* ---- binary operators ---- */

/* Where the operator stands: after the left side and blanks. */
static uint32_t operator_offset(const struct parser *parser, const struct binary *binary)
{
    struct str text = parser->query->text;
    uint32_t offset = binary->lhs->end;
    while (offset < text.size && promql_is_space(text.data[offset]))
        offset++;
    return offset;
}

static err_t check_comparison(struct parser *parser, const struct binary *binary)
{
    bool comparison = binary_op_is_comparison(binary->op);
    if (binary->return_bool && !comparison)
        return parser__fail(parser, operator_offset(parser, binary),
                            "bool modifier can only be used on comparison operators");
    bool scalars = binary->lhs->type == EXPR_TYPE_SCALAR && binary->rhs->type == EXPR_TYPE_SCALAR;
    if (comparison && !binary->return_bool && scalars)
        return parser__fail(parser, operator_offset(parser, binary),
                            "comparisons between scalars must use BOOL modifier");
    return OK;
}

static err_t check_labels_disjoint(struct parser *parser, const struct binary *binary)
{
    const struct vector_matching *matching = binary->matching;
    if (!matching->on)
        return OK;
    for (uint32_t i = 0; i < matching->label_count; i++) {
        for (uint32_t j = 0; j < matching->include_count; j++) {
            if (!str_equal(matching->labels[i], matching->include[j]))
                continue;
            struct strbuf quoted = STRBUF_INIT;
            strbuf_add_quoted(&quoted, matching->labels[i]);
            err_t err = parser__fail(parser, operator_offset(parser, binary),
                                     "label %s must not occur in ON and GROUP clause at once",
                                     strbuf_cstr(&quoted));
            strbuf_deinit(&quoted);
            return err;
        }
    }
    return OK;
}

static err_t check_set_operator(struct parser *parser, const struct expr *expr)
{
    const struct binary *binary = &expr->binary;
    const struct vector_matching *matching = binary->matching;
    if (matching->card == CARD_MANY_TO_ONE || matching->card == CARD_ONE_TO_MANY)
        return parser__fail(parser, expr->start, "no grouping allowed for \"%s\" operation",
                            binary_op_text(binary->op));
    if (matching->fill_left.set || matching->fill_right.set)
        return parser__fail(parser, expr->start,
                            "filling in missing series not allowed for set operators");
    return OK;
}

static bool is_operand(const struct expr *expr)
{
    return expr->type == EXPR_TYPE_SCALAR || expr->type == EXPR_TYPE_VECTOR;
}

/* At least one side is no vector: matching has no meaning. */
static err_t check_without_matching(struct parser *parser, struct expr *expr)
{
    struct binary *binary = &expr->binary;
    if (binary->matching->label_count > 0)
        return parser__fail(parser, expr->start,
                            "vector matching only allowed between instant vectors");
    if (binary->matching->fill_left.set || binary->matching->fill_right.set)
        return parser__fail(parser, expr->start,
                            "filling in missing series only allowed between instant vectors");
    binary->matching = NULL;
    if (binary_op_is_set(binary->op))
        return parser__fail(parser, expr->start,
                            "set operator \"%s\" not allowed in binary scalar expression",
                            binary_op_text(binary->op));
    return OK;
}

static err_t check_binary(struct parser *parser, struct expr *expr)
{
    struct binary *binary = &expr->binary;
    TRY(check(parser, binary->lhs));
    TRY(check(parser, binary->rhs));
    TRY(check_comparison(parser, binary));
    TRY(check_labels_disjoint(parser, binary));
    const struct expr *sides[] = {binary->lhs, binary->rhs};
    for (size_t i = 0; i < 2; i++) {
        if (!is_operand(sides[i]))
            return parser__fail(
                parser, sides[i]->start,
                "binary expression must contain only scalar and instant vector types");
    }
    if (binary->lhs->type != EXPR_TYPE_VECTOR || binary->rhs->type != EXPR_TYPE_VECTOR)
        return check_without_matching(parser, expr);
    return binary_op_is_set(binary->op) ? check_set_operator(parser, expr) : OK;
}

/* ---- calls ---- */

static err_t check_arity(struct parser *parser, const struct expr *expr)
{
    const struct call *call = &expr->call;
    const struct function *function = call->function;
    uint32_t types = function->arg_type_count;
    const char *bound = NULL;
    uint32_t limit = types;
    if (function->variadic == 0) {
        bound = call->arg_count != types ? "" : NULL;
    } else {
        uint32_t least = types - 1;
        uint32_t most = function->variadic > 0 ? least + (uint32_t)function->variadic : UINT32_MAX;
        if (call->arg_count < least) {
            bound = "at least ";
            limit = least;
        } else if (call->arg_count > most) {
            bound = "at most ";
            limit = most;
        }
    }
    if (bound == NULL)
        return OK;
    return parser__fail(parser, expr->start,
                        "expected %s%u argument(s) in call to \"%.*s\", got %u", bound, limit,
                        STR_ARG(function->name), call->arg_count);
}

/* The second argument of info() is a list of matchers, not a vector. */
static err_t check_info(struct parser *parser, const struct expr *expr)
{
    if (expr->call.arg_count < 2)
        return OK;
    struct expr *labels = expr->call.args[1];
    if (labels->type != EXPR_TYPE_VECTOR)
        return parser__fail(parser, expr->start,
                            "expected type instant vector in call to function \"info\", got %s",
                            expr_type_text(labels->type));
    if (labels->kind != EXPR_VECTOR_SELECTOR)
        return parser__fail(parser, labels->start, "expected label selectors only");
    if (labels->vector_selector.name.size > 0)
        return parser__fail(parser, labels->start,
                            "expected label selectors only, got vector selector instead");
    labels->vector_selector.may_match_empty = true;
    return OK;
}

static err_t check_call(struct parser *parser, const struct expr *expr)
{
    const struct call *call = &expr->call;
    const struct function *function = call->function;
    TRY(check_arity(parser, expr));
    if (function->id == FUNCTION_INFO)
        TRY(check_info(parser, expr));
    struct strbuf place = STRBUF_INIT;
    strbuf_printf(&place, "call to function \"%.*s\"", STR_ARG(function->name));
    err_t err = OK;
    for (uint32_t i = 0; i < call->arg_count && err == OK; i++) {
        uint32_t type = i < function->arg_type_count ? i : function->arg_type_count - 1;
        err = expect_type(parser, call->args[i], function->arg_types[type], strbuf_cstr(&place));
    }
    strbuf_deinit(&place);
    return err;
}

/* ---- selectors ---- */

static err_t check_name_once(struct parser *parser, const struct expr *expr)
{
    const struct vector_selector *selector = &expr->vector_selector;
    /* The last matcher is the name's own. */
    for (size_t i = 0; i + 1 < selector->selector.count; i++) {
        const struct matcher *matcher = &selector->selector.matchers[i];
        if (!str_equal(matcher->name, LABEL_NAME))
            continue;
        struct strbuf message = STRBUF_INIT;
        strbuf_add_cstr(&message, "metric name must not be set twice: ");
        strbuf_add_quoted(&message, selector->name);
        strbuf_add_cstr(&message, " or ");
        strbuf_add_quoted(&message, matcher->value);
        err_t err = parser__fail_text(parser, expr->start, strbuf_str(&message));
        strbuf_deinit(&message);
        return err;
    }
    return OK;
}

static err_t check_selector(struct parser *parser, const struct expr *expr)
{
    const struct vector_selector *selector = &expr->vector_selector;
    if (selector->name.size > 0)
        return check_name_once(parser, expr);
    if (selector->may_match_empty)
        return OK;
    for (size_t i = 0; i < selector->selector.count; i++) {
        if (!matcher_matches_empty(&selector->selector.matchers[i]))
            return OK;
    }
    return parser__fail(parser, expr->start,
                        "vector selector must contain at least one non-empty matcher");
}

static err_t check(struct parser *parser, struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
        return OK;
    case EXPR_VECTOR_SELECTOR:
        return check_selector(parser, expr);
    case EXPR_MATRIX_SELECTOR:
        return check(parser, expr->matrix_selector.vector);
    case EXPR_SUBQUERY:
        TRY(check(parser, expr->subquery.expr));
        if (expr->subquery.expr->type == EXPR_TYPE_VECTOR)
            return OK;
        return parser__fail(parser, expr->start,
                            "subquery is only allowed on instant vector, got %s instead",
                            expr_type_name(expr->subquery.expr->type));
    case EXPR_CALL:
        return check_call(parser, expr);
    case EXPR_AGGREGATION:
        return check_aggregation(parser, expr);
    case EXPR_BINARY:
        return check_binary(parser, expr);
    case EXPR_UNARY:
        TRY(check(parser, expr->unary.expr));
        if (is_operand(expr->unary.expr))
            return OK;
        return parser__fail(parser, expr->start,
                            "unary expression only allowed on expressions of type scalar or "
                            "instant vector, got \"%s\"",
                            expr_type_text(expr->unary.expr->type));
    case EXPR_PAREN:
        return check(parser, expr->paren);
    }
    return OK;
}

err_t parser__check_types(struct parser *parser, struct expr *expr)
{
    return check(parser, expr);
}
