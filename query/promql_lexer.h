/* PromQL tokens (spec promql.md 1.1, 1.2).
 *
 * The lexer keeps a little state, because what a character means depends on the brackets around it:
 *
 *     statements   keywords, names, operators
 *     { … }        names (keywords are plain names), strings, matching operators
 *     [ … ]        durations and their arithmetic; until the first number even comments are foreign
 *
 * Strings are checked here and decoded by promql_string_decode.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR, /* the text is in lexer.error */
    TOKEN_IDENTIFIER,
    TOKEN_METRIC_IDENTIFIER, /* with ':' */
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_DURATION,
    /* punctuation */
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ASSIGN, /* = */
    /* operators; TOKEN_OPERATOR_FIRST to TOKEN_OPERATOR_LAST */
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_ATAN2,
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_TRIM_UPPER,
    TOKEN_TRIM_LOWER,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_UNLESS,
    TOKEN_MATCH_REGEX,     /* =~ */
    TOKEN_MATCH_NOT_REGEX, /* !~ */
    TOKEN_AGGREGATOR,      /* token.aggregation says which */
    /* modifiers */
    TOKEN_BOOL,
    TOKEN_BY,
    TOKEN_WITHOUT,
    TOKEN_ON,
    TOKEN_IGNORING,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_OFFSET,
    TOKEN_ANCHORED,
    TOKEN_SMOOTHED,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    /* words that are functions of the query's times */
    TOKEN_START_WORD,
    TOKEN_END_WORD,
    TOKEN_STEP_WORD,
    TOKEN_RANGE_WORD,
    TOKEN_MIN_OF,
    TOKEN_MAX_OF,

    TOKEN_OPERATOR_FIRST = TOKEN_ADD,
    TOKEN_OPERATOR_LAST = TOKEN_MATCH_NOT_REGEX,
    TOKEN_MODIFIER_FIRST = TOKEN_BOOL,
    TOKEN_MODIFIER_LAST = TOKEN_FILL_RIGHT,
    TOKEN_TIME_WORD_FIRST = TOKEN_START_WORD,
    TOKEN_TIME_WORD_LAST = TOKEN_MAX_OF,
};

struct token {
    enum token_kind kind;
    uint8_t aggregation; /* enum aggregation_op of a TOKEN_AGGREGATOR */
    uint32_t start;
    uint32_t end;
    struct str text; /* as written */
};

struct promql_lexer {
    struct str input;
    uint32_t position;
    uint32_t start; /* of the token being read */
    uint32_t paren_depth;
    bool in_braces;
    bool in_brackets;
    bool bracket_number; /* a number has been seen in these brackets */
    bool bracket_colon;
    char quote;
    struct strbuf error; /* the message of the last TOKEN_ERROR */
};

/* `input` is borrowed and at most UINT32_MAX bytes. */
void promql_lexer_init(struct promql_lexer *lexer, struct str input);
void promql_lexer_deinit(struct promql_lexer *lexer);
/* After TOKEN_END or TOKEN_ERROR it must not be called again. */
struct token promql_lexer_next(struct promql_lexer *lexer);

/* Reads a number or a duration at lexer->position, for promql_lexer_next. */
struct token promql_lexer__number(struct promql_lexer *lexer);
/* Reads a string whose first quote is at lexer->start. */
struct token promql_lexer__string(struct promql_lexer *lexer);
struct token promql_lexer__emit(struct promql_lexer *lexer, enum token_kind kind);
struct token promql_lexer__error(struct promql_lexer *lexer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The value of a string token that the lexer accepted; lives in the arena. */
struct str promql_string_decode(struct arena *arena, struct str token_text);
