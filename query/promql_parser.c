#include "promql_parser.h"

#include <assert.h>

#include "promql_number.h"

enum { LEXEME_SHOWN_MAX = 10 };

err_t parser__fail_text(struct parser *parser, uint32_t offset, struct str message)
{
    struct strbuf *why = parser->why;
    strbuf_clear(why);
    if (parser->query->text.size == 0) {
        strbuf_add_cstr(why, "unknown position");
    } else {
        struct text_position position = text_position_at(parser->query->text, offset);
        strbuf_printf(why, "%u:%u", position.line, position.column);
    }
    strbuf_add_cstr(why, ": parse error: ");
    strbuf_add_str(why, message);
    return ERR_INVALID;
}

err_t parser__fail(struct parser *parser, uint32_t offset, const char *format, ...)
{
    struct strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&message, format, args);
    va_end(args);
    err_t err = parser__fail_text(parser, offset, strbuf_str(&message));
    strbuf_deinit(&message);
    return err;
}

static const char *token_noun(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_IDENTIFIER:
        return "identifier ";
    case TOKEN_METRIC_IDENTIFIER:
        return "metric identifier ";
    case TOKEN_STRING:
        return "string ";
    case TOKEN_NUMBER:
        return "number ";
    case TOKEN_DURATION:
        return "duration ";
    default:
        return "";
    }
}

/* The first characters (not bytes) of a long lexeme. */
static struct str shortened(struct str text)
{
    size_t size = 0;
    for (size_t i = 0; i < LEXEME_SHOWN_MAX && size < text.size; i++) {
        uint32_t rune;
        size_t step = str_decode_rune(str_from(text.data + size, text.size - size), &rune);
        size += step == 0 ? 1 : step;
    }
    return str_from(text.data, size);
}

static void describe_token(const struct token *token, struct strbuf *out)
{
    enum token_kind kind = token->kind;
    if (kind == TOKEN_END) {
        strbuf_add_cstr(out, "end of input");
        return;
    }
    const char *open = NULL;
    if (kind == TOKEN_AGGREGATOR)
        open = "<aggr:";
    else if (kind >= TOKEN_OPERATOR_FIRST && kind <= TOKEN_OPERATOR_LAST)
        open = "<op:";
    else if (kind >= TOKEN_MODIFIER_FIRST && kind <= TOKEN_MODIFIER_LAST)
        open = "<";
    if (open != NULL) {
        strbuf_add_cstr(out, open);
        strbuf_add_str(out, token->text);
        strbuf_add_char(out, '>');
        return;
    }
    strbuf_add_cstr(out, token_noun(kind));
    bool is_name = kind == TOKEN_IDENTIFIER || kind == TOKEN_METRIC_IDENTIFIER;
    if (is_name || token->text.size <= LEXEME_SHOWN_MAX) {
        strbuf_add_quoted(out, token->text);
    } else {
        strbuf_add_quoted(out, shortened(token->text));
        strbuf_add_cstr(out, "...");
    }
}

err_t parser__unexpected(struct parser *parser, struct parse_context context)
{
    const struct token *token = &parser->token;
    if (token->kind == TOKEN_ERROR)
        return parser__fail_text(parser, token->start, strbuf_str(&parser->lexer.error));
    struct strbuf message = STRBUF_INIT;
    strbuf_add_cstr(&message, "unexpected ");
    describe_token(token, &message);
    if (context.where != NULL)
        strbuf_printf(&message, " in %s", context.where);
    if (context.expected != NULL)
        strbuf_printf(&message, ", expected %s", context.expected);
    err_t err = parser__fail_text(parser, token->start, strbuf_str(&message));
    strbuf_deinit(&message);
    return err;
}

struct token parser__take(struct parser *parser)
{
    struct token taken = parser->token;
    assert(taken.kind != TOKEN_ERROR && taken.kind != TOKEN_END);
    parser->last_end = taken.end;
    parser->token = promql_lexer_next(&parser->lexer);
    return taken;
}

err_t parser__expect(struct parser *parser, enum token_kind kind, struct parse_context context)
{
    if (parser->token.kind != kind)
        return parser__unexpected(parser, context);
    parser__take(parser);
    return OK;
}

static err_t too_deep(struct parser *parser, uint32_t offset)
{
    return parser__fail(parser, offset, "expression is nested more than %d levels deep",
                        PROMQL_DEPTH_MAX);
}

err_t parser__enter(struct parser *parser)
{
    if (parser->depth >= PROMQL_DEPTH_MAX)
        return too_deep(parser, parser->token.start);
    parser->depth++;
    return OK;
}

void parser__leave(struct parser *parser)
{
    assert(parser->depth > 0);
    parser->depth--;
}

struct expr *parser__new_expr(struct parser *parser, enum expr_kind kind, uint32_t start)
{
    struct expr *expr = ARENA_NEW(parser->arena, struct expr);
    expr->kind = kind;
    expr->start = start;
    expr->ordinal = parser->query->node_count++;
    return expr;
}

err_t parser__finish_expr(struct parser *parser, struct expr *expr, uint32_t end)
{
    expr->end = end;
    size_t count = expr_child_count(expr);
    for (size_t i = 0; i < count; i++) {
        uint32_t height = expr_child(expr, i)->height + 1;
        if (expr->height < height)
            expr->height = height;
    }
    return expr->height <= PROMQL_DEPTH_MAX ? OK : too_deep(parser, expr->start);
}

err_t parser__literal(struct parser *parser, struct token token, double *value)
{
    struct strbuf message = STRBUF_INIT;
    err_t err;
    if (token.kind == TOKEN_NUMBER) {
        err = promql_number_value(token.text, value, &message);
    } else {
        int64_t ms = 0;
        err = promql_duration_value(token.text, &ms, &message);
        int64_t whole_s = ms / 1000;
        *value = (double)whole_s + (double)(ms % 1000 * 1000000) / 1e9;
    }
    if (err != OK)
        err = parser__fail_text(parser, token.start, strbuf_str(&message));
    strbuf_deinit(&message);
    return err;
}

static void parser_init(struct parser *parser, struct str text,
                        const struct promql_features *features, struct arena *arena,
                        struct parsed_query *query, struct strbuf *why)
{
    *query = (struct parsed_query){.text = text};
    *parser = (struct parser){.features = features, .arena = arena, .query = query, .why = why};
    promql_lexer_init(&parser->lexer, text);
    parser->token = promql_lexer_next(&parser->lexer);
}

static err_t parse_query(struct parser *parser)
{
    if (parser->token.kind == TOKEN_END)
        return parser__fail(parser, 0, "no expression found in input");
    TRY(parser__expr(parser, &parser->query->root));
    if (parser->token.kind != TOKEN_END)
        return parser__unexpected(parser, (struct parse_context){NULL, NULL});
    return parser__check_types(parser, parser->query->root);
}

static err_t parse_selector(struct parser *parser)
{
    struct expr **root = &parser->query->root;
    enum token_kind kind = parser->token.kind;
    if (kind == TOKEN_LEFT_BRACE) {
        TRY(parser__selector(parser, NULL, root));
    } else if (parser__at_metric_name(parser)) {
        struct token name = parser__take(parser);
        TRY(parser__selector(parser, &name, root));
    } else {
        return parser__unexpected(parser, (struct parse_context){NULL, NULL});
    }
    if (parser->token.kind != TOKEN_END)
        return parser__unexpected(parser, (struct parse_context){NULL, NULL});
    return OK;
}

static err_t parse_all(struct str text, const struct promql_features *features, struct arena *arena,
                       struct parsed_query *query, struct strbuf *why,
                       err_t (*parse)(struct parser *))
{
    struct parser parser;
    if (text.size > PROMQL_TEXT_BYTES_MAX) {
        *query = (struct parsed_query){.text = text};
        return err_fail(why, ERR_INVALID, "1:1: parse error: query is longer than %d bytes",
                        PROMQL_TEXT_BYTES_MAX);
    }
    parser_init(&parser, text, features, arena, query, why);
    err_t err = parse(&parser);
    promql_lexer_deinit(&parser.lexer);
    if (err != OK)
        parsed_query_deinit(query);
    return err;
}

err_t promql_parse(struct str text, const struct promql_features *features, struct arena *arena,
                   struct parsed_query *query, struct strbuf *why)
{
    return parse_all(text, features, arena, query, why, parse_query);
}

err_t promql__parse_selector(struct str text, struct arena *arena, struct parsed_query *query,
                             struct strbuf *why)
{
    static const struct promql_features features;
    return parse_all(text, &features, arena, query, why, parse_selector);
}

void parsed_query_deinit(struct parsed_query *query)
{
    for (struct matcher_list *list = query->matchers; list != NULL; list = list->next) {
        for (size_t i = 0; i < list->count; i++)
            matcher_deinit(&list->items[i]);
    }
    query->matchers = NULL;
    query->root = NULL;
}
