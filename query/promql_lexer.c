#include "promql_lexer.h"

#include <assert.h>

#include "narthex/query/ast.h"

#include "promql_text.h"

struct keyword {
    struct str word;
    enum token_kind kind;
    enum aggregation_op aggregation;
};

/* clang-format off */
static const struct keyword keywords[] = {
    {STR_INIT("and"), TOKEN_AND, 0},
    {STR_INIT("or"), TOKEN_OR, 0},
    {STR_INIT("unless"), TOKEN_UNLESS, 0},
    {STR_INIT("atan2"), TOKEN_ATAN2, 0},
    {STR_INIT("sum"), TOKEN_AGGREGATOR, AGGREGATION_SUM},
    {STR_INIT("avg"), TOKEN_AGGREGATOR, AGGREGATION_AVG},
    {STR_INIT("count"), TOKEN_AGGREGATOR, AGGREGATION_COUNT},
    {STR_INIT("min"), TOKEN_AGGREGATOR, AGGREGATION_MIN},
    {STR_INIT("max"), TOKEN_AGGREGATOR, AGGREGATION_MAX},
    {STR_INIT("group"), TOKEN_AGGREGATOR, AGGREGATION_GROUP},
    {STR_INIT("stddev"), TOKEN_AGGREGATOR, AGGREGATION_STDDEV},
    {STR_INIT("stdvar"), TOKEN_AGGREGATOR, AGGREGATION_STDVAR},
    {STR_INIT("topk"), TOKEN_AGGREGATOR, AGGREGATION_TOPK},
    {STR_INIT("bottomk"), TOKEN_AGGREGATOR, AGGREGATION_BOTTOMK},
    {STR_INIT("count_values"), TOKEN_AGGREGATOR, AGGREGATION_COUNT_VALUES},
    {STR_INIT("quantile"), TOKEN_AGGREGATOR, AGGREGATION_QUANTILE},
    {STR_INIT("limitk"), TOKEN_AGGREGATOR, AGGREGATION_LIMITK},
    {STR_INIT("limit_ratio"), TOKEN_AGGREGATOR, AGGREGATION_LIMIT_RATIO},
    {STR_INIT("offset"), TOKEN_OFFSET, 0},
    {STR_INIT("smoothed"), TOKEN_SMOOTHED, 0},
    {STR_INIT("anchored"), TOKEN_ANCHORED, 0},
    {STR_INIT("by"), TOKEN_BY, 0},
    {STR_INIT("without"), TOKEN_WITHOUT, 0},
    {STR_INIT("on"), TOKEN_ON, 0},
    {STR_INIT("ignoring"), TOKEN_IGNORING, 0},
    {STR_INIT("group_left"), TOKEN_GROUP_LEFT, 0},
    {STR_INIT("group_right"), TOKEN_GROUP_RIGHT, 0},
    {STR_INIT("fill"), TOKEN_FILL, 0},
    {STR_INIT("fill_left"), TOKEN_FILL_LEFT, 0},
    {STR_INIT("fill_right"), TOKEN_FILL_RIGHT, 0},
    {STR_INIT("bool"), TOKEN_BOOL, 0},
    {STR_INIT("start"), TOKEN_START_WORD, 0},
    {STR_INIT("end"), TOKEN_END_WORD, 0},
    {STR_INIT("step"), TOKEN_STEP_WORD, 0},
    {STR_INIT("range"), TOKEN_RANGE_WORD, 0},
    {STR_INIT("max_of"), TOKEN_MAX_OF, 0},
    {STR_INIT("min_of"), TOKEN_MIN_OF, 0},
    {STR_INIT("inf"), TOKEN_NUMBER, 0},
    {STR_INIT("nan"), TOKEN_NUMBER, 0},
};
/* clang-format on */

void promql_lexer_init(struct promql_lexer *lexer, struct str input)
{
    assert(input.size <= UINT32_MAX);
    *lexer = (struct promql_lexer){.input = input};
}

void promql_lexer_deinit(struct promql_lexer *lexer)
{
    strbuf_deinit(&lexer->error);
}

struct token promql_lexer__emit(struct promql_lexer *lexer, enum token_kind kind)
{
    struct token token = {
        .kind = kind,
        .start = lexer->start,
        .end = lexer->position,
        .text = {lexer->input.data + lexer->start, lexer->position - lexer->start},
    };
    return token;
}

struct token promql_lexer__error(struct promql_lexer *lexer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    strbuf_clear(&lexer->error);
    strbuf_vprintf(&lexer->error, format, args);
    va_end(args);
    return promql_lexer__emit(lexer, TOKEN_ERROR);
}

/* The byte at an offset from the position, 0 beyond the end (a real 0 is no legal character). */
static char peek(const struct promql_lexer *lexer, uint32_t offset)
{
    size_t at = (size_t)lexer->position + offset;
    return at < lexer->input.size ? lexer->input.data[at] : 0;
}

static struct token unexpected_rune(struct promql_lexer *lexer, const char *before, uint32_t at,
                                    const char *after)
{
    struct strbuf rune = STRBUF_INIT;
    promql_add_quoted_rune(&rune, lexer->input, at);
    struct token token = promql_lexer__error(lexer, "%s%s%s", before, strbuf_cstr(&rune), after);
    strbuf_deinit(&rune);
    return token;
}

static void skip_spaces(struct promql_lexer *lexer, bool comments)
{
    const struct str input = lexer->input;
    while (lexer->position < input.size) {
        char c = input.data[lexer->position];
        if (promql_is_space(c)) {
            lexer->position++;
        } else if (comments && c == '#') {
            while (lexer->position < input.size && input.data[lexer->position] != '\n' &&
                   input.data[lexer->position] != '\r')
                lexer->position++;
        } else {
            return;
        }
    }
}

static void skip_word(struct promql_lexer *lexer, bool colons)
{
    while (promql_is_alphanumeric(peek(lexer, 0)) || (colons && peek(lexer, 0) == ':'))
        lexer->position++;
}

static bool fill_is_call(const struct promql_lexer *lexer)
{
    struct promql_lexer ahead = *lexer;
    skip_spaces(&ahead, false);
    return peek(&ahead, 0) == '(';
}

static const struct keyword *find_keyword(struct str word)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (str_equal_nocase(keywords[i].word, word))
            return &keywords[i];
    }
    return NULL;
}

static struct token keyword_or_name(struct promql_lexer *lexer)
{
    skip_word(lexer, true);
    struct token token = promql_lexer__emit(lexer, TOKEN_IDENTIFIER);
    const struct keyword *keyword = find_keyword(token.text);
    if (keyword != NULL) {
        bool is_fill = keyword->kind == TOKEN_FILL || keyword->kind == TOKEN_FILL_LEFT ||
                       keyword->kind == TOKEN_FILL_RIGHT;
        if (!is_fill || fill_is_call(lexer)) {
            token.kind = keyword->kind;
            token.aggregation = (uint8_t)keyword->aggregation;
        }
    } else if (str_find(token.text, ':', 0) != SIZE_MAX) {
        token.kind = TOKEN_METRIC_IDENTIFIER;
    }
    return token;
}

/* One of the four words that brackets know, or TOKEN_ERROR with nothing consumed. */
static struct token bracket_word(struct promql_lexer *lexer)
{
    uint32_t before = lexer->position;
    skip_word(lexer, false);
    struct token token = promql_lexer__emit(lexer, TOKEN_ERROR);
    const struct keyword *keyword = find_keyword(token.text);
    if (keyword != NULL && (keyword->kind == TOKEN_STEP_WORD || keyword->kind == TOKEN_RANGE_WORD ||
                            keyword->kind == TOKEN_MIN_OF || keyword->kind == TOKEN_MAX_OF))
        token.kind = keyword->kind;
    else
        lexer->position = before;
    return token;
}

static struct token emit_size(struct promql_lexer *lexer, enum token_kind kind, uint32_t size)
{
    lexer->position += size;
    return promql_lexer__emit(lexer, kind);
}

static struct token inside_braces(struct promql_lexer *lexer)
{
    if (lexer->position >= lexer->input.size)
        return promql_lexer__error(lexer, "unexpected end of input inside braces");
    char c = peek(lexer, 0);
    switch (c) {
    case ',':
        return emit_size(lexer, TOKEN_COMMA, 1);
    case '"':
    case '\'':
    case '`':
        return promql_lexer__string(lexer);
    case '=':
        return peek(lexer, 1) == '~' ? emit_size(lexer, TOKEN_MATCH_REGEX, 2)
                                     : emit_size(lexer, TOKEN_ASSIGN, 1);
    case '!':
        if (peek(lexer, 1) == '~')
            return emit_size(lexer, TOKEN_MATCH_NOT_REGEX, 2);
        if (peek(lexer, 1) == '=')
            return emit_size(lexer, TOKEN_NOT_EQUAL, 2);
        return unexpected_rune(
            lexer, "unexpected character after '!' inside braces: ", lexer->position + 1, "");
    case '{':
        return promql_lexer__error(lexer, "unexpected left brace '{'");
    case '}':
        lexer->in_braces = false;
        return emit_size(lexer, TOKEN_RIGHT_BRACE, 1);
    default:
        if (!promql_is_alpha(c))
            return unexpected_rune(lexer, "unexpected character inside braces: ", lexer->position,
                                   "");
        skip_word(lexer, false);
        return promql_lexer__emit(lexer, TOKEN_IDENTIFIER);
    }
}

/* Letters and colons between brackets, after a number. */
static struct token bracket_name(struct promql_lexer *lexer)
{
    if (peek(lexer, 0) == ':') {
        if (lexer->bracket_colon)
            return promql_lexer__error(lexer, "unexpected colon ':'");
        lexer->bracket_colon = true;
        return emit_size(lexer, TOKEN_COLON, 1);
    }
    struct token token = bracket_word(lexer);
    if (token.kind != TOKEN_ERROR)
        return token;
    return unexpected_rune(lexer, "unexpected character: ", lexer->position, ", expected ':'");
}

static bool at_number(const struct promql_lexer *lexer)
{
    return promql_is_digit(peek(lexer, 0)) ||
           (peek(lexer, 0) == '.' && promql_is_digit(peek(lexer, 1)));
}

static struct token right_paren(struct promql_lexer *lexer)
{
    if (lexer->paren_depth == 0)
        return promql_lexer__error(lexer, "unexpected right parenthesis ')'");
    lexer->paren_depth--;
    return emit_size(lexer, TOKEN_RIGHT_PAREN, 1);
}

static struct token right_bracket(struct promql_lexer *lexer)
{
    if (!lexer->in_brackets)
        return promql_lexer__error(lexer, "unexpected right bracket ']'");
    lexer->in_brackets = false;
    return emit_size(lexer, TOKEN_RIGHT_BRACKET, 1);
}

/* Between '[' and the first number in it. */
static struct token bracket_begin(struct promql_lexer *lexer)
{
    if (lexer->position >= lexer->input.size)
        return promql_lexer__error(lexer, "unexpected end of input in duration expression");
    if (at_number(lexer)) {
        lexer->bracket_number = true;
        return promql_lexer__number(lexer);
    }
    switch (peek(lexer, 0)) {
    case ']':
        return right_bracket(lexer);
    case ':':
        return promql_lexer__error(lexer,
                                   "unexpected colon before duration in duration expression");
    case '(':
        lexer->paren_depth++;
        return emit_size(lexer, TOKEN_LEFT_PAREN, 1);
    case ')':
        return right_paren(lexer);
    case ',':
        return emit_size(lexer, TOKEN_COMMA, 1);
    case '+':
        return emit_size(lexer, TOKEN_ADD, 1);
    case '-':
        return emit_size(lexer, TOKEN_SUB, 1);
    case '*':
        return emit_size(lexer, TOKEN_MUL, 1);
    case '/':
        return emit_size(lexer, TOKEN_DIV, 1);
    case '%':
        return emit_size(lexer, TOKEN_MOD, 1);
    case '^':
        return emit_size(lexer, TOKEN_POW, 1);
    default:
        break;
    }
    if (promql_is_alpha(peek(lexer, 0))) {
        struct token token = bracket_word(lexer);
        if (token.kind != TOKEN_ERROR)
            return token;
    }
    return unexpected_rune(lexer, "unexpected character in duration expression: ", lexer->position,
                           "");
}

static struct token end_of_input(struct promql_lexer *lexer)
{
    if (lexer->paren_depth > 0)
        return promql_lexer__error(lexer, "unclosed left parenthesis");
    if (lexer->in_brackets)
        return promql_lexer__error(lexer, "unclosed left bracket");
    return promql_lexer__emit(lexer, TOKEN_END);
}

/* Operators of one or two characters that begin with = ! < or >. */
static struct token comparison(struct promql_lexer *lexer)
{
    char second = peek(lexer, 1);
    switch (peek(lexer, 0)) {
    case '=':
        if (second == '=')
            return emit_size(lexer, TOKEN_EQUAL, 2);
        if (second == '~')
            return promql_lexer__error(lexer, "unexpected character after '=': '~'");
        return emit_size(lexer, TOKEN_ASSIGN, 1);
    case '!':
        if (second == '=')
            return emit_size(lexer, TOKEN_NOT_EQUAL, 2);
        return unexpected_rune(lexer, "unexpected character after '!': ", lexer->position + 1, "");
    case '<':
        if (second == '=')
            return emit_size(lexer, TOKEN_LESS_EQUAL, 2);
        if (second == '/')
            return emit_size(lexer, TOKEN_TRIM_UPPER, 2);
        return emit_size(lexer, TOKEN_LESS, 1);
    default:
        if (second == '=')
            return emit_size(lexer, TOKEN_GREATER_EQUAL, 2);
        if (second == '/')
            return emit_size(lexer, TOKEN_TRIM_LOWER, 2);
        return emit_size(lexer, TOKEN_GREATER, 1);
    }
}

static struct token left_bracket(struct promql_lexer *lexer)
{
    if (lexer->in_brackets)
        return promql_lexer__error(lexer, "unexpected left bracket '['");
    lexer->in_brackets = true;
    lexer->bracket_number = false;
    lexer->bracket_colon = false;
    return emit_size(lexer, TOKEN_LEFT_BRACKET, 1);
}

static struct token statement(struct promql_lexer *lexer)
{
    if (lexer->position >= lexer->input.size)
        return end_of_input(lexer);
    char c = peek(lexer, 0);
    switch (c) {
    case ',':
        return emit_size(lexer, TOKEN_COMMA, 1);
    case '+':
        return emit_size(lexer, TOKEN_ADD, 1);
    case '-':
        return emit_size(lexer, TOKEN_SUB, 1);
    case '*':
        return emit_size(lexer, TOKEN_MUL, 1);
    case '/':
        return emit_size(lexer, TOKEN_DIV, 1);
    case '%':
        return emit_size(lexer, TOKEN_MOD, 1);
    case '^':
        return emit_size(lexer, TOKEN_POW, 1);
    case '@':
        return emit_size(lexer, TOKEN_AT, 1);
    case '=':
    case '!':
    case '<':
    case '>':
        return comparison(lexer);
    case '"':
    case '\'':
    case '`':
        return promql_lexer__string(lexer);
    case '(':
        lexer->paren_depth++;
        return emit_size(lexer, TOKEN_LEFT_PAREN, 1);
    case ')':
        return right_paren(lexer);
    case '{':
        lexer->in_braces = true;
        return emit_size(lexer, TOKEN_LEFT_BRACE, 1);
    case '[':
        return left_bracket(lexer);
    case ']':
        return right_bracket(lexer);
    default:
        break;
    }
    if (at_number(lexer))
        return promql_lexer__number(lexer);
    if (promql_is_alpha(c) || c == ':')
        return lexer->in_brackets ? bracket_name(lexer) : keyword_or_name(lexer);
    return unexpected_rune(lexer, "unexpected character: ", lexer->position, "");
}

struct token promql_lexer_next(struct promql_lexer *lexer)
{
    bool bracket_start = lexer->in_brackets && !lexer->bracket_number;
    skip_spaces(lexer, !bracket_start);
    lexer->start = lexer->position;
    if (lexer->in_braces)
        return inside_braces(lexer);
    if (bracket_start)
        return bracket_begin(lexer);
    return statement(lexer);
}
