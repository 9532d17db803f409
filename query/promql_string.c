/* String tokens: checking while reading, decoding afterwards. */
#include <assert.h>

#include "narthex/base/number.h"
#include "promql_lexer.h"
#include "promql_text.h"

enum { RUNE_MAX = 0x10ffff };

struct escape_shape {
    uint32_t digits;
    uint32_t base;
    uint32_t value_max;
};

/* The value of an escape of one letter, or -1. */
static int simple_escape(char c, char quote)
{
    switch (c) {
    case 'a':
        return '\a';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case '\\':
        return '\\';
    default:
        return c == quote ? c : -1;
    }
}

/* How many digits follow the backslash and the letter; octal digits have no letter. */
static bool numeric_escape(char c, struct escape_shape *shape)
{
    switch (c) {
    case 'x':
        *shape = (struct escape_shape){2, 16, 255};
        return true;
    case 'u':
        *shape = (struct escape_shape){4, 16, RUNE_MAX};
        return true;
    case 'U':
        *shape = (struct escape_shape){8, 16, RUNE_MAX};
        return true;
    default:
        *shape = (struct escape_shape){3, 8, 255};
        return c >= '0' && c <= '7';
    }
}

static struct token escape_error(struct promql_lexer *lexer, const char *before, const char *after)
{
    if (lexer->position >= lexer->input.size)
        return promql_lexer__error(lexer, "escape sequence not terminated");
    struct strbuf name = STRBUF_INIT;
    promql_add_rune_name(&name, lexer->input, lexer->position);
    struct token token = promql_lexer__error(lexer, "%s%s%s", before, strbuf_cstr(&name), after);
    strbuf_deinit(&name);
    return token;
}

/* After a backslash. The token is TOKEN_END when all is well. */
static struct token check_escape(struct promql_lexer *lexer)
{
    const struct token fine = {.kind = TOKEN_END};
    const struct str input = lexer->input;
    char c = lexer->position < input.size ? input.data[lexer->position] : 0;
    if (simple_escape(c, lexer->quote) >= 0) {
        lexer->position++;
        return fine;
    }
    struct escape_shape shape;
    if (!numeric_escape(c, &shape))
        return escape_error(lexer, "unknown escape sequence ", "");
    if (shape.base == 16)
        lexer->position++;
    uint64_t value = 0;
    for (uint32_t i = 0; i < shape.digits; i++) {
        c = lexer->position < input.size ? input.data[lexer->position] : 0;
        uint32_t digit = (uint32_t)number_hex_digit(c); /* none is above every base */
        if (digit >= shape.base)
            return escape_error(lexer, "illegal character ", " in escape sequence");
        value = value * shape.base + digit;
        lexer->position++;
    }
    if (value > shape.value_max || (value >= 0xd800 && value < 0xe000))
        return promql_lexer__error(lexer, "escape sequence is an invalid Unicode code point");
    return fine;
}

/* One character that is neither the closing quote nor a backslash. */
static bool skip_rune(struct promql_lexer *lexer)
{
    struct str rest = {lexer->input.data + lexer->position, lexer->input.size - lexer->position};
    uint32_t rune;
    size_t size = str_decode_rune(rest, &rune);
    if (size == 0 || rune == 0xfffd)
        return false;
    lexer->position += (uint32_t)size;
    return true;
}

struct token promql_lexer__string(struct promql_lexer *lexer)
{
    const struct str input = lexer->input;
    lexer->quote = input.data[lexer->position++];
    bool raw = lexer->quote == '`';
    for (;;) {
        if (lexer->position >= input.size)
            return promql_lexer__error(lexer, raw ? "unterminated raw string"
                                                  : "unterminated quoted string");
        char c = input.data[lexer->position];
        if (c == lexer->quote) {
            lexer->position++;
            return promql_lexer__emit(lexer, TOKEN_STRING);
        }
        if (!raw && c == '\n')
            return promql_lexer__error(lexer, "unterminated quoted string");
        if (!raw && c == '\\') {
            lexer->position++;
            struct token problem = check_escape(lexer);
            if (problem.kind == TOKEN_ERROR)
                return problem;
        } else if (!skip_rune(lexer)) {
            return promql_lexer__error(lexer, "invalid UTF-8 rune");
        }
    }
}

/* Decodes the escape whose backslash is before text.data[*at]; returns the bytes written. */
static size_t decode_escape(struct str text, size_t *at, char *out)
{
    char c = text.data[*at];
    int simple = simple_escape(c, text.data[0]);
    if (simple >= 0) {
        (*at)++;
        out[0] = (char)simple;
        return 1;
    }
    struct escape_shape shape;
    bool numeric = numeric_escape(c, &shape);
    assert(numeric);
    if (shape.base == 16)
        (*at)++;
    uint32_t value = 0;
    for (uint32_t i = 0; i < shape.digits; i++)
        value = value * shape.base + (uint32_t)number_hex_digit(text.data[(*at)++]);
    if (c == 'u' || c == 'U')
        return str_encode_rune(value, out);
    out[0] = (char)value;
    return 1;
}

struct str promql_string_decode(struct arena *arena, struct str token_text)
{
    assert(token_text.size >= 2);
    struct str inner = {token_text.data + 1, token_text.size - 2};
    if (token_text.data[0] == '`' || str_find(inner, '\\', 0) == SIZE_MAX)
        return arena_str(arena, inner);
    /* No escape is shorter than what it stands for. */
    char *out = arena_alloc(arena, inner.size);
    size_t size = 0;
    size_t at = 1;
    while (at < token_text.size - 1) {
        if (token_text.data[at] == '\\') {
            at++;
            size += decode_escape(token_text, &at, out + size);
        } else {
            out[size++] = token_text.data[at++];
        }
    }
    return str_from(out, size);
}
