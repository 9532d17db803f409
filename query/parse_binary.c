/* Binary operators and their matching modifiers. */
#include "promql_parser.h"

#include <assert.h>

struct operator_row {
    enum token_kind token;
    enum binary_op op;
    int precedence;
};

static const struct operator_row operators[] = {
    {TOKEN_OR, BINARY_OR, 1},
    {TOKEN_AND, BINARY_AND, 2},
    {TOKEN_UNLESS, BINARY_UNLESS, 2},
    {TOKEN_EQUAL, BINARY_EQUAL, 3},
    {TOKEN_NOT_EQUAL, BINARY_NOT_EQUAL, 3},
    {TOKEN_LESS, BINARY_LESS, 3},
    {TOKEN_LESS_EQUAL, BINARY_LESS_EQUAL, 3},
    {TOKEN_GREATER, BINARY_GREATER, 3},
    {TOKEN_GREATER_EQUAL, BINARY_GREATER_EQUAL, 3},
    {TOKEN_TRIM_UPPER, BINARY_TRIM_UPPER, 3},
    {TOKEN_TRIM_LOWER, BINARY_TRIM_LOWER, 3},
    {TOKEN_ADD, BINARY_ADD, 4},
    {TOKEN_SUB, BINARY_SUB, 4},
    {TOKEN_MUL, BINARY_MUL, PRECEDENCE_UNARY},
    {TOKEN_DIV, BINARY_DIV, PRECEDENCE_UNARY},
    {TOKEN_MOD, BINARY_MOD, PRECEDENCE_UNARY},
    {TOKEN_ATAN2, BINARY_ATAN2, PRECEDENCE_UNARY},
    {TOKEN_POW, BINARY_POW, PRECEDENCE_POW},
};

static const struct operator_row *find_operator(enum token_kind kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].token == kind)
            return &operators[i];
    }
    return NULL;
}

int parser__binary_precedence(const struct parser *parser)
{
    const struct operator_row *row = find_operator(parser->token.kind);
    return row == NULL ? 0 : row->precedence;
}

static err_t fill_value(struct parser *parser, struct fill_value *fill)
{
    parser__take(parser);
    TRY(parser__expect(parser, TOKEN_LEFT_PAREN, parser->context));
    bool negate = parser->token.kind == TOKEN_SUB;
    if (negate || parser->token.kind == TOKEN_ADD)
        parser__take(parser);
    if (parser->token.kind != TOKEN_NUMBER && parser->token.kind != TOKEN_DURATION)
        return parser__unexpected(parser, parser->context);
    struct token token = parser__take(parser);
    TRY(parser__literal(parser, token, &fill->value));
    if (negate)
        fill->value = -fill->value;
    fill->set = true;
    return parser__expect(parser, TOKEN_RIGHT_PAREN, parser->context);
}

static err_t fill_modifiers(struct parser *parser, struct vector_matching *matching)
{
    switch (parser->token.kind) {
    case TOKEN_FILL:
        TRY(fill_value(parser, &matching->fill_left));
        matching->fill_right = matching->fill_left;
        return OK;
    case TOKEN_FILL_LEFT:
        TRY(fill_value(parser, &matching->fill_left));
        if (parser->token.kind == TOKEN_FILL_RIGHT)
            TRY(fill_value(parser, &matching->fill_right));
        return OK;
    case TOKEN_FILL_RIGHT:
        TRY(fill_value(parser, &matching->fill_right));
        if (parser->token.kind == TOKEN_FILL_LEFT)
            TRY(fill_value(parser, &matching->fill_left));
        return OK;
    default:
        return OK;
    }
}

static err_t group_modifier(struct parser *parser, struct vector_matching *matching)
{
    struct token token = parser__take(parser);
    matching->card = token.kind == TOKEN_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
    if (parser->token.kind == TOKEN_LEFT_PAREN)
        return parser__grouping(parser, &matching->include, &matching->include_count);
    if (!parser__at_expr(parser))
        return parser__unexpected(parser, (struct parse_context){"grouping opts", "\"(\""});
    return OK;
}

static err_t modifiers(struct parser *parser, struct binary *binary,
                       struct vector_matching *matching)
{
    if (parser->token.kind == TOKEN_BOOL) {
        parser__take(parser);
        binary->return_bool = true;
    }
    if (parser->token.kind == TOKEN_ON || parser->token.kind == TOKEN_IGNORING) {
        matching->on = parser->token.kind == TOKEN_ON;
        parser__take(parser);
        TRY(parser__grouping(parser, &matching->labels, &matching->label_count));
        if (parser->token.kind == TOKEN_GROUP_LEFT || parser->token.kind == TOKEN_GROUP_RIGHT)
            TRY(group_modifier(parser, matching));
    }
    return fill_modifiers(parser, matching);
}

err_t parser__binary(struct parser *parser, struct expr **lhs)
{
    const struct operator_row *row = find_operator(parser->token.kind);
    assert(row != NULL);
    parser__take(parser);
    struct expr *expr = parser__new_expr(parser, EXPR_BINARY, (*lhs)->start);
    struct vector_matching *matching = ARENA_NEW(parser->arena, struct vector_matching);
    struct binary *binary = &expr->binary;
    *binary = (struct binary){.op = row->op, .lhs = *lhs, .matching = matching};
    TRY(modifiers(parser, binary, matching));
    if (binary_op_is_set(row->op) && matching->card == CARD_ONE_TO_ONE)
        matching->card = CARD_MANY_TO_MANY;
    /* All operators lean left except the power. */
    int above = row->op == BINARY_POW ? row->precedence : row->precedence + 1;
    TRY(parser__expr_above(parser, above, &binary->rhs));
    if ((matching->fill_left.set || matching->fill_right.set) &&
        !parser->features->binop_fill_modifiers)
        return parser__fail(parser, expr->start,
                            "binop fill modifiers are experimental and not enabled");
    bool scalar = binary->lhs->type == EXPR_TYPE_SCALAR && binary->rhs->type == EXPR_TYPE_SCALAR;
    expr->type = scalar ? EXPR_TYPE_SCALAR : EXPR_TYPE_VECTOR;
    *lhs = expr;
    return parser__finish_expr(parser, expr, binary->rhs->end);
}
