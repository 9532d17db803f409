/* Expressions: literals, calls, aggregations, parentheses and unary signs. */
#include "promql_parser.h"

#include <assert.h>

struct expr_list {
    struct expr **items;
    uint32_t count;
    uint32_t capacity;
};

struct label_list {
    struct str *items;
    uint32_t count;
    uint32_t capacity;
};

static const struct parse_context nowhere = {NULL, NULL};

static void list_add_expr(struct parser *parser, struct expr_list *list, struct expr *expr)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct expr **items = ARENA_NEW_ARRAY(parser->arena, struct expr *, capacity);
        for (uint32_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = expr;
}

static void list_add_label(struct parser *parser, struct label_list *list, struct str label)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct str *items = ARENA_NEW_ARRAY(parser->arena, struct str, capacity);
        for (uint32_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = label;
}

/* ---- grouping ---- */

static bool is_label_word(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
    case TOKEN_AGGREGATOR:
    case TOKEN_AND:
    case TOKEN_OR:
    case TOKEN_UNLESS:
    case TOKEN_ATAN2:
        return true;
    case TOKEN_WITHOUT:
        return false;
    default:
        return (kind >= TOKEN_MODIFIER_FIRST && kind <= TOKEN_MODIFIER_LAST) ||
               (kind >= TOKEN_TIME_WORD_FIRST && kind <= TOKEN_TIME_WORD_LAST);
    }
}

static err_t grouping_label(struct parser *parser, struct label_list *list)
{
    enum token_kind kind = parser->token.kind;
    if (is_label_word(kind)) {
        struct token token = parser__take(parser);
        list_add_label(parser, list, arena_str(parser->arena, token.text));
        return OK;
    }
    if (kind != TOKEN_STRING)
        return parser__unexpected(parser, (struct parse_context){"grouping opts", "label"});
    struct token token = parser__take(parser);
    struct str label = promql_string_decode(parser->arena, token.text);
    if (!label_name_is_valid(label, NAME_SCHEME_UTF8)) {
        struct strbuf quoted = STRBUF_INIT;
        strbuf_add_quoted(&quoted, label);
        err_t err = parser__fail(parser, token.start, "invalid label name for grouping: %s",
                                 strbuf_cstr(&quoted));
        strbuf_deinit(&quoted);
        return err;
    }
    list_add_label(parser, list, label);
    return OK;
}

err_t parser__grouping(struct parser *parser, const struct str **labels, uint32_t *count)
{
    struct label_list list = {NULL, 0, 0};
    TRY(parser__expect(parser, TOKEN_LEFT_PAREN, (struct parse_context){"grouping opts", "\"(\""}));
    if (parser->token.kind != TOKEN_RIGHT_PAREN)
        TRY(grouping_label(parser, &list));
    while (parser->token.kind != TOKEN_RIGHT_PAREN) {
        struct parse_context after_label = {"grouping opts", "\",\" or \")\""};
        TRY(parser__expect(parser, TOKEN_COMMA, after_label));
        if (parser->token.kind != TOKEN_RIGHT_PAREN)
            TRY(grouping_label(parser, &list));
    }
    parser__take(parser);
    *labels = list.items;
    *count = list.count;
    return OK;
}

/* ---- calls and aggregations ---- */

bool parser__at_metric_name(const struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
    case TOKEN_AGGREGATOR:
    case TOKEN_AND:
    case TOKEN_OR:
    case TOKEN_UNLESS:
    case TOKEN_BY:
    case TOKEN_WITHOUT:
    case TOKEN_OFFSET:
    case TOKEN_ANCHORED:
    case TOKEN_SMOOTHED:
    case TOKEN_FILL:
    case TOKEN_FILL_LEFT:
    case TOKEN_FILL_RIGHT:
        return true;
    default:
        return parser->token.kind >= TOKEN_TIME_WORD_FIRST &&
               parser->token.kind <= TOKEN_TIME_WORD_LAST;
    }
}

bool parser__at_expr(const struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_STRING:
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_LEFT_PAREN:
    case TOKEN_LEFT_BRACE:
    case TOKEN_ADD:
    case TOKEN_SUB:
        return true;
    default:
        return parser__at_metric_name(parser);
    }
}

/* "(expr, …)"; the lookahead need not be the parenthesis. */
static err_t arguments(struct parser *parser, struct expr_list *list)
{
    TRY(parser__expect(parser, TOKEN_LEFT_PAREN, parser->context));
    if (parser->token.kind == TOKEN_RIGHT_PAREN) {
        parser__take(parser);
        return OK;
    }
    for (;;) {
        struct expr *argument;
        TRY(parser__expr(parser, &argument));
        list_add_expr(parser, list, argument);
        if (parser->token.kind != TOKEN_COMMA)
            return parser__expect(parser, TOKEN_RIGHT_PAREN, parser->context);
        struct token comma = parser__take(parser);
        if (!parser__at_expr(parser) && parser->token.kind != TOKEN_ERROR)
            return parser__fail(parser, comma.start,
                                "trailing commas not allowed in function call args");
    }
}

static err_t call(struct parser *parser, struct token name, struct expr **out)
{
    struct expr *expr = parser__new_expr(parser, EXPR_CALL, name.start);
    struct expr_list list = {NULL, 0, 0};
    TRY(arguments(parser, &list));
    const struct function *function = function_find(name.text);
    if (function == NULL)
        return parser__fail(parser, name.start, "unknown function with name \"%.*s\"",
                            STR_ARG(name.text));
    if (function->experimental && !parser->features->experimental_functions)
        return parser__fail(parser, name.start, "function \"%.*s\" is not enabled",
                            STR_ARG(name.text));
    expr->type = function->return_type;
    expr->call = (struct call){.function = function, .args = list.items, .arg_count = list.count};
    *out = expr;
    return parser__finish_expr(parser, expr, parser->last_end);
}

static bool aggregation_has_param(enum aggregation_op op)
{
    return op == AGGREGATION_TOPK || op == AGGREGATION_BOTTOMK || op == AGGREGATION_COUNT_VALUES ||
           op == AGGREGATION_QUANTILE || op == AGGREGATION_LIMITK || op == AGGREGATION_LIMIT_RATIO;
}

static err_t aggregation_arguments(struct parser *parser, struct expr *expr,
                                   const struct expr_list *list)
{
    struct aggregation *aggregation = &expr->aggregation;
    if (list->count == 0)
        return parser__fail(parser, expr->start, "no arguments for aggregate expression provided");
    bool experimental =
        aggregation->op == AGGREGATION_LIMITK || aggregation->op == AGGREGATION_LIMIT_RATIO;
    if (experimental && !parser->features->experimental_functions)
        return parser__fail(parser, expr->start,
                            "%s() is experimental and must be enabled with "
                            "--enable-feature=promql-experimental-functions",
                            aggregation_op_text(aggregation->op));
    uint32_t wanted = aggregation_has_param(aggregation->op) ? 2 : 1;
    if (list->count != wanted)
        return parser__fail(parser, expr->start,
                            "wrong number of arguments for aggregate expression provided, "
                            "expected %u, got %u",
                            wanted, list->count);
    if (wanted == 2)
        aggregation->param = list->items[0];
    aggregation->expr = list->items[wanted - 1];
    return OK;
}

static err_t grouping_clause(struct parser *parser, struct aggregation *aggregation)
{
    aggregation->without = parser->token.kind == TOKEN_WITHOUT;
    parser__take(parser);
    return parser__grouping(parser, &aggregation->grouping, &aggregation->grouping_count);
}

static bool at_grouping_clause(const struct parser *parser)
{
    return parser->token.kind == TOKEN_BY || parser->token.kind == TOKEN_WITHOUT;
}

static err_t aggregation(struct parser *parser, struct token op, struct expr **out)
{
    struct expr *expr = parser__new_expr(parser, EXPR_AGGREGATION, op.start);
    expr->type = EXPR_TYPE_VECTOR;
    expr->aggregation.op = (enum aggregation_op)op.aggregation;
    struct parse_context outer = parser->context;
    parser->context = (struct parse_context){"aggregation", NULL};
    bool clause_first = at_grouping_clause(parser);
    if (clause_first)
        TRY(grouping_clause(parser, &expr->aggregation));
    struct expr_list list = {NULL, 0, 0};
    TRY(arguments(parser, &list));
    if (!clause_first && at_grouping_clause(parser))
        TRY(grouping_clause(parser, &expr->aggregation));
    if (parser->token.kind == TOKEN_ERROR && !clause_first)
        return parser__unexpected(parser, nowhere);
    parser->context = outer;
    TRY(aggregation_arguments(parser, expr, &list));
    *out = expr;
    return parser__finish_expr(parser, expr, parser->last_end);
}

/* ---- primaries ---- */

static err_t word(struct parser *parser, struct expr **out)
{
    struct token name = parser__take(parser);
    bool paren = parser->token.kind == TOKEN_LEFT_PAREN;
    if (name.kind == TOKEN_AGGREGATOR && (paren || at_grouping_clause(parser)))
        return aggregation(parser, name, out);
    bool may_call = name.kind == TOKEN_IDENTIFIER ||
                    (name.kind >= TOKEN_TIME_WORD_FIRST && name.kind <= TOKEN_TIME_WORD_LAST);
    if (may_call && paren)
        return call(parser, name, out);
    return parser__selector(parser, &name, out);
}

static err_t literal(struct parser *parser, struct expr **out)
{
    struct token token = parser__take(parser);
    struct expr *expr;
    if (token.kind == TOKEN_STRING) {
        expr = parser__new_expr(parser, EXPR_STRING, token.start);
        expr->type = EXPR_TYPE_STRING;
        expr->string = promql_string_decode(parser->arena, token.text);
    } else {
        expr = parser__new_expr(parser, EXPR_NUMBER, token.start);
        expr->type = EXPR_TYPE_SCALAR;
        expr->number.is_duration = token.kind == TOKEN_DURATION;
        TRY(parser__literal(parser, token, &expr->number.value));
    }
    *out = expr;
    return parser__finish_expr(parser, expr, token.end);
}

static err_t parenthesised(struct parser *parser, struct expr **out)
{
    struct token open = parser__take(parser);
    struct expr *expr = parser__new_expr(parser, EXPR_PAREN, open.start);
    TRY(parser__expr(parser, &expr->paren));
    TRY(parser__expect(parser, TOKEN_RIGHT_PAREN, parser->context));
    expr->type = expr->paren->type;
    *out = expr;
    return parser__finish_expr(parser, expr, parser->last_end);
}

static err_t primary(struct parser *parser, struct expr **out)
{
    switch (parser->token.kind) {
    case TOKEN_STRING:
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        return literal(parser, out);
    case TOKEN_LEFT_PAREN:
        return parenthesised(parser, out);
    case TOKEN_LEFT_BRACE:
        return parser__selector(parser, NULL, out);
    default:
        if (parser__at_metric_name(parser))
            return word(parser, out);
        return parser__unexpected(parser, parser->context);
    }
}

static err_t unary(struct parser *parser, struct expr **out)
{
    struct token sign = parser__take(parser);
    struct expr *operand;
    TRY(parser__expr_above(parser, PRECEDENCE_POW, &operand));
    bool negate = sign.kind == TOKEN_SUB;
    if (operand->kind == EXPR_NUMBER) {
        if (negate)
            operand->number.value = -operand->number.value;
        operand->start = sign.start;
        *out = operand;
        return OK;
    }
    struct expr *expr = parser__new_expr(parser, EXPR_UNARY, sign.start);
    expr->type = operand->type;
    expr->unary = (struct unary){.negate = negate, .expr = operand};
    *out = expr;
    return parser__finish_expr(parser, expr, operand->end);
}

err_t parser__expr_above(struct parser *parser, int precedence_min, struct expr **out)
{
    TRY(parser__enter(parser));
    if (parser->token.kind == TOKEN_ADD || parser->token.kind == TOKEN_SUB) {
        TRY(unary(parser, out));
    } else {
        TRY(primary(parser, out));
        while (parser__at_postfix(parser))
            TRY(parser__postfix(parser, out));
    }
    for (;;) {
        int precedence = parser__binary_precedence(parser);
        if (precedence == 0 || precedence < precedence_min)
            break;
        TRY(parser__binary(parser, out));
    }
    parser__leave(parser);
    return OK;
}

err_t parser__expr(struct parser *parser, struct expr **expr)
{
    return parser__expr_above(parser, 1, expr);
}
