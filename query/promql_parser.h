/* The parser's state, shared by the files parse_*.c (grammar: spec promql.md 1.3).
 *
 * Recursive descent with one token of lookahead; binary operators by precedence. Only the first
 * error counts, so every function returns at once. What an unexpected token is said to be "in" is
 * the innermost place that knows better than the whole query: `context`, which aggregations and
 * brackets set while they are read, or a place given directly.
 */
#pragma once

#include "narthex/query/ast.h"

#include "promql_lexer.h"

/* " in WHERE, expected WHAT"; either may be NULL. */
struct parse_context {
    const char *where;
    const char *expected;
};

/* Matchers that own memory, one entry a selector. */
struct matcher_list {
    struct matcher *items;
    size_t count;
    struct matcher_list *next;
};

struct parser {
    struct promql_lexer lexer;
    struct token token; /* the lookahead; a TOKEN_ERROR is reported when it is looked at */
    uint32_t last_end;  /* of the last token taken */
    uint32_t depth;
    struct parse_context context;
    const struct promql_features *features;
    struct arena *arena;
    struct parsed_query *query;
    struct strbuf *why;
};

/* ---- promql_parser.c ---- */

/* ERR_INVALID with "L:C: parse error: MSG", the position being a byte offset. */
err_t parser__fail(struct parser *parser, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* parser__fail with a text that may hold any byte. */
err_t parser__fail_text(struct parser *parser, uint32_t offset, struct str message);
/* The lookahead does not fit; the lexer's own error comes first. */
err_t parser__unexpected(struct parser *parser, struct parse_context context);
/* Takes the lookahead and reads the next. */
struct token parser__take(struct parser *parser);
/* Takes a token of this kind, or fails in the context. */
err_t parser__expect(struct parser *parser, enum token_kind kind, struct parse_context context);
/* Guards recursion. */
err_t parser__enter(struct parser *parser);
void parser__leave(struct parser *parser);
struct expr *parser__new_expr(struct parser *parser, enum expr_kind kind, uint32_t start);
/* Call when the children are in place: sets end and height. */
err_t parser__finish_expr(struct parser *parser, struct expr *expr, uint32_t end);
/* The value of a number or duration token. */
err_t parser__literal(struct parser *parser, struct token token, double *value);

/* Parses a bare selector without type checks (match[]). */
err_t promql__parse_selector(struct str text, struct arena *arena, struct parsed_query *query,
                             struct strbuf *why);

/* ---- parse_expr.c ---- */

/* Whether the lookahead is a name or a keyword that may stand for a metric. */
bool parser__at_metric_name(const struct parser *parser);

err_t parser__expr(struct parser *parser, struct expr **expr);
/* Whether an expression can begin with the lookahead. */
bool parser__at_expr(const struct parser *parser);
/* "(label, …)" */
err_t parser__grouping(struct parser *parser, const struct str **labels, uint32_t *count);

/* ---- parse_binary.c ---- */

/* Precedence of the lookahead as a binary operator, 0 if it is none. */
int parser__binary_precedence(const struct parser *parser);
/* The operator with its modifiers, then the right side, joined to *lhs in place. */
err_t parser__binary(struct parser *parser, struct expr **lhs);
err_t parser__expr_above(struct parser *parser, int precedence_min, struct expr **expr);

enum { PRECEDENCE_UNARY = 5, PRECEDENCE_POW = 6 };

/* ---- parse_selector.c ---- */

/* A selector; name is a taken token, or NULL when the lookahead is '{'. */
err_t parser__selector(struct parser *parser, const struct token *name, struct expr **expr);
/* One of: offset, @, anchored, smoothed, [range], [range:step]; *expr is replaced or extended. */
err_t parser__postfix(struct parser *parser, struct expr **expr);
bool parser__at_postfix(const struct parser *parser);

/* ---- parse_duration.c ---- */

/* A duration that must be positive if it is a literal, in the context given. */
err_t parser__positive_duration(struct parser *parser, struct parse_context context,
                                struct duration *duration);
err_t parser__offset_duration(struct parser *parser, struct duration *duration);

/* ---- typecheck.c ---- */

err_t parser__check_types(struct parser *parser, struct expr *expr);
