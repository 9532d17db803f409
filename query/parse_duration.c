/* Durations in brackets and after "offset": literals and arithmetic in seconds. */
#include "promql_parser.h"

#include <assert.h>
#include <math.h>

static const double duration_seconds_max = 9223372036.854775807; /* 2^63 ns */

static const struct parse_context offset_context = {"offset",
                                                    "number, duration, step(), or range()"};

struct duration_operator {
    enum token_kind token;
    enum duration_op op;
    int precedence;
};

static const struct duration_operator operators[] = {
    {TOKEN_ADD, DURATION_ADD, 4},
    {TOKEN_SUB, DURATION_SUB, 4},
    {TOKEN_MUL, DURATION_MUL, PRECEDENCE_UNARY},
    {TOKEN_DIV, DURATION_DIV, PRECEDENCE_UNARY},
    {TOKEN_MOD, DURATION_MOD, PRECEDENCE_UNARY},
    {TOKEN_POW, DURATION_POW, PRECEDENCE_POW},
};

static err_t duration_above(struct parser *parser, int precedence_min, struct duration_expr **out);

static const struct duration_operator *find_operator(enum token_kind kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].token == kind)
            return &operators[i];
    }
    return NULL;
}

static err_t check_enabled(struct parser *parser, const struct duration_expr *expr)
{
    if (!parser->features->no_duration_expressions)
        return OK;
    return parser__fail(parser, expr->start, "experimental duration expression is not enabled");
}

static struct duration_expr *new_duration(struct parser *parser, enum duration_op op,
                                          uint32_t start)
{
    struct duration_expr *expr = ARENA_NEW(parser->arena, struct duration_expr);
    expr->op = op;
    expr->start = start;
    return expr;
}

static bool at_literal(const struct parser *parser)
{
    return parser->token.kind == TOKEN_NUMBER || parser->token.kind == TOKEN_DURATION;
}

static err_t duration_literal(struct parser *parser, struct duration_expr **out)
{
    struct token token = parser__take(parser);
    struct duration_expr *expr = new_duration(parser, DURATION_LITERAL, token.start);
    expr->end = token.end;
    expr->is_duration = token.kind == TOKEN_DURATION;
    TRY(parser__literal(parser, token, &expr->seconds));
    if (!(fabs(expr->seconds) <= duration_seconds_max))
        return parser__fail(parser, token.start, "duration out of range");
    *out = expr;
    return OK;
}

static bool at_time_call(const struct parser *parser)
{
    enum token_kind kind = parser->token.kind;
    return kind == TOKEN_STEP_WORD || kind == TOKEN_RANGE_WORD || kind == TOKEN_MIN_OF ||
           kind == TOKEN_MAX_OF;
}

/* step(), range(), min_of(a, b), max_of(a, b) */
static err_t time_call(struct parser *parser, struct duration_expr **out)
{
    static const enum duration_op ops[] = {
        [TOKEN_STEP_WORD - TOKEN_STEP_WORD] = DURATION_STEP,
        [TOKEN_RANGE_WORD - TOKEN_STEP_WORD] = DURATION_RANGE,
        [TOKEN_MIN_OF - TOKEN_STEP_WORD] = DURATION_MIN_OF,
        [TOKEN_MAX_OF - TOKEN_STEP_WORD] = DURATION_MAX_OF,
    };
    struct token name = parser__take(parser);
    struct duration_expr *expr = new_duration(parser, ops[name.kind - TOKEN_STEP_WORD], name.start);
    TRY(parser__expect(parser, TOKEN_LEFT_PAREN, parser->context));
    if (expr->op == DURATION_MIN_OF || expr->op == DURATION_MAX_OF) {
        TRY(duration_above(parser, 1, &expr->lhs));
        TRY(parser__expect(parser, TOKEN_COMMA, parser->context));
        TRY(duration_above(parser, 1, &expr->rhs));
    }
    TRY(parser__expect(parser, TOKEN_RIGHT_PAREN, parser->context));
    expr->end = parser->last_end;
    *out = expr;
    return check_enabled(parser, expr);
}

static err_t parenthesised(struct parser *parser, struct duration_expr **out)
{
    parser__take(parser);
    TRY(duration_above(parser, 1, out));
    TRY(parser__expect(parser, TOKEN_RIGHT_PAREN, parser->context));
    if ((*out)->op != DURATION_LITERAL)
        (*out)->wrapped = true;
    return check_enabled(parser, *out);
}

/* A sign before an operand that has been read. */
static struct duration_expr *apply_sign(struct parser *parser, struct token sign,
                                        struct duration_expr *operand)
{
    if (operand->op == DURATION_LITERAL) {
        operand->start = sign.start;
        if (sign.kind == TOKEN_SUB)
            operand->seconds = -operand->seconds;
        return operand;
    }
    if (sign.kind == TOKEN_ADD)
        return operand;
    struct duration_expr *expr = new_duration(parser, DURATION_NEGATE, sign.start);
    expr->end = operand->end;
    expr->lhs = operand;
    return expr;
}

static bool at_sign(const struct parser *parser)
{
    return parser->token.kind == TOKEN_ADD || parser->token.kind == TOKEN_SUB;
}

static err_t duration_primary(struct parser *parser, struct duration_expr **out)
{
    if (at_literal(parser))
        return duration_literal(parser, out);
    if (at_time_call(parser))
        return time_call(parser, out);
    if (parser->token.kind == TOKEN_LEFT_PAREN)
        return parenthesised(parser, out);
    if (!at_sign(parser))
        return parser__unexpected(parser, parser->context);
    struct token sign = parser__take(parser);
    struct duration_expr *operand;
    TRY(duration_above(parser, PRECEDENCE_POW, &operand));
    *out = apply_sign(parser, sign, operand);
    return OK;
}

static err_t duration_operator(struct parser *parser, const struct duration_operator *row,
                               struct duration_expr **lhs)
{
    struct token token = parser__take(parser);
    struct duration_expr *expr = new_duration(parser, row->op, (*lhs)->start);
    expr->lhs = *lhs;
    int above = row->op == DURATION_POW ? row->precedence : row->precedence + 1;
    TRY(duration_above(parser, above, &expr->rhs));
    expr->end = expr->rhs->end;
    TRY(check_enabled(parser, expr));
    bool zero = expr->rhs->op == DURATION_LITERAL && expr->rhs->seconds == 0;
    if (zero && row->op == DURATION_DIV)
        return parser__fail(parser, token.start, "division by zero");
    if (zero && row->op == DURATION_MOD)
        return parser__fail(parser, token.start, "modulo by zero");
    *lhs = expr;
    return OK;
}

static err_t duration_rest(struct parser *parser, int precedence_min, struct duration_expr **lhs)
{
    for (uint32_t chain = 0;; chain++) {
        const struct duration_operator *row = find_operator(parser->token.kind);
        if (row == NULL || row->precedence < precedence_min)
            return OK;
        if (chain >= PROMQL_DEPTH_MAX)
            return parser__fail(parser, (*lhs)->start, "duration expression is too long");
        TRY(duration_operator(parser, row, lhs));
    }
}

static err_t duration_above(struct parser *parser, int precedence_min, struct duration_expr **out)
{
    TRY(parser__enter(parser));
    TRY(duration_primary(parser, out));
    TRY(duration_rest(parser, precedence_min, out));
    parser__leave(parser);
    return OK;
}

static void set_duration(struct duration *duration, struct duration_expr *expr)
{
    *duration = (struct duration){.ms = 0, .expr = expr};
    if (expr->op != DURATION_LITERAL)
        return;
    /* Seconds to whole nanoseconds first: 0.0015 s are 1 ms, 0.1 s are 100 ms. */
    double ns = round(expr->seconds * 1e9);
    int64_t whole_ns;
    if (ns >= 9223372036854775808.0)
        whole_ns = INT64_MAX;
    else if (ns < -9223372036854775808.0)
        whole_ns = INT64_MIN;
    else
        whole_ns = (int64_t)ns;
    duration->ms = whole_ns / 1000000;
    duration->expr = NULL;
}

err_t parser__positive_duration(struct parser *parser, struct parse_context context,
                                struct duration *duration)
{
    struct parse_context outer = parser->context;
    parser->context = context;
    struct duration_expr *expr;
    TRY(duration_above(parser, 1, &expr));
    parser->context = outer;
    if (expr->op == DURATION_LITERAL && expr->seconds <= 0)
        return parser__fail(parser, expr->start, "duration must be greater than 0");
    set_duration(duration, expr);
    return OK;
}

static err_t signed_offset(struct parser *parser, struct duration_expr **out)
{
    struct token sign = parser__take(parser);
    bool arithmetic = at_sign(parser);
    struct duration_expr *operand;
    if (arithmetic)
        TRY(duration_above(parser, PRECEDENCE_POW, &operand));
    else if (at_literal(parser))
        TRY(duration_literal(parser, &operand));
    else if (at_time_call(parser))
        TRY(time_call(parser, &operand));
    else if (parser->token.kind == TOKEN_LEFT_PAREN)
        TRY(parenthesised(parser, &operand));
    else
        return parser__unexpected(parser, parser->context);
    *out = apply_sign(parser, sign, operand);
    /* Two signs make it a duration expression, which goes on. */
    return arithmetic ? duration_rest(parser, 1, out) : OK;
}

err_t parser__offset_duration(struct parser *parser, struct duration *duration)
{
    struct parse_context outer = parser->context;
    parser->context = offset_context;
    struct duration_expr *expr;
    if (at_literal(parser)) {
        TRY(duration_literal(parser, &expr));
    } else if (at_time_call(parser)) {
        TRY(time_call(parser, &expr));
    } else if (at_sign(parser)) {
        TRY(signed_offset(parser, &expr));
    } else if (parser->token.kind == TOKEN_LEFT_PAREN) {
        /* Without a sign, an operator after the parenthesis continues the duration. */
        TRY(parenthesised(parser, &expr));
        TRY(duration_rest(parser, 1, &expr));
    } else {
        return parser__unexpected(parser, parser->context);
    }
    parser->context = outer;
    set_duration(duration, expr);
    return OK;
}
