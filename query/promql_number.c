/* Reading numbers and durations: where the token ends, and what it is worth. */
#include "promql_number.h"

#include "narthex/base/number.h"

#include "promql_lexer.h"
#include "promql_text.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

struct duration_unit {
    struct str name;
    int64_t ms;
};

/* In the order in which they must be written. */
static const struct duration_unit units[] = {
    {STR_INIT("y"), INT64_C(365) * 86400 * MS_PER_S},
    {STR_INIT("w"), INT64_C(7) * 86400 * MS_PER_S},
    {STR_INIT("d"), INT64_C(86400) * MS_PER_S},
    {STR_INIT("h"), INT64_C(3600) * MS_PER_S},
    {STR_INIT("m"), INT64_C(60) * MS_PER_S},
    {STR_INIT("s"), MS_PER_S},
    {STR_INIT("ms"), 1},
};

enum { UNIT_COUNT = sizeof units / sizeof *units };

/* ---- tokens ---- */

static char current(const struct promql_lexer *lexer)
{
    return lexer->position < lexer->input.size ? lexer->input.data[lexer->position] : 0;
}

static bool at_end(const struct promql_lexer *lexer)
{
    return lexer->position >= lexer->input.size;
}

static bool take_one_of(struct promql_lexer *lexer, const char *set)
{
    char c = current(lexer);
    if (c == 0 || strchr(set, c) == NULL)
        return false;
    lexer->position++;
    return true;
}

static bool is_number_digit(char c, bool hex)
{
    return promql_is_digit(c) || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

/* Steps over a number. False leaves the position behind what was wrong, for the error text. */
static bool scan_number(struct promql_lexer *lexer)
{
    bool hex = take_one_of(lexer, "0") && take_one_of(lexer, "xX");
    if (hex)
        take_one_of(lexer, "_");
    take_one_of(lexer, ".");
    if (is_number_digit(current(lexer), hex))
        lexer->position++;
    bool dot = false;
    bool exponent = false;
    for (;;) {
        char c = current(lexer);
        if (c == '.') {
            lexer->position++;
            if (dot || take_one_of(lexer, "._") || hex)
                return false;
            dot = true;
        } else if (c == 'e' || c == 'E') {
            lexer->position++;
            if (exponent)
                return false;
            exponent = true;
            take_one_of(lexer, "+-");
            if (take_one_of(lexer, "._eE") || at_end(lexer))
                return false;
        } else if (c == '_') {
            lexer->position++;
            if (take_one_of(lexer, "._eE") || at_end(lexer))
                return false;
        } else if (is_number_digit(c, hex)) {
            while (is_number_digit(current(lexer), hex))
                lexer->position++;
        } else {
            return !promql_is_alphanumeric(c);
        }
    }
}

/* After the first digits: unit, digits, unit, … Whether the units are real and in order is found
 * when the value is taken. */
static bool scan_duration_rest(struct promql_lexer *lexer)
{
    if (!take_one_of(lexer, "smhdwy"))
        return false;
    take_one_of(lexer, "s");
    while (promql_is_digit(current(lexer))) {
        while (promql_is_digit(current(lexer)))
            lexer->position++;
        if (!take_one_of(lexer, "smhdw"))
            return false;
        take_one_of(lexer, "s");
    }
    if (promql_is_alphanumeric(current(lexer))) {
        lexer->position++;
        return false;
    }
    return true;
}

struct token promql_lexer__number(struct promql_lexer *lexer)
{
    if (scan_number(lexer))
        return promql_lexer__emit(lexer, TOKEN_NUMBER);
    if (scan_duration_rest(lexer))
        return promql_lexer__emit(lexer, TOKEN_DURATION);
    struct strbuf lexeme = STRBUF_INIT;
    strbuf_add_quoted(&lexeme,
                      str_from(lexer->input.data + lexer->start, lexer->position - lexer->start));
    struct token token =
        promql_lexer__error(lexer, "bad number or duration syntax: %s", strbuf_cstr(&lexeme));
    strbuf_deinit(&lexeme);
    return token;
}

/* ---- values ---- */

/* "0x1f", "017", "12_000"; false when it is no integer or does not fit an int64. */
static bool integer_value(struct str text, double *value)
{
    uint64_t base = 10;
    size_t at = 0;
    if (text.size > 2 && text.data[0] == '0' && (text.data[1] == 'x' || text.data[1] == 'X')) {
        base = 16;
        at = 2;
    } else if (text.size > 1 && text.data[0] == '0') {
        base = 8;
        at = 1;
    }
    uint64_t sum = 0;
    for (; at < text.size; at++) {
        char c = text.data[at];
        if (c == '_')
            continue;
        uint64_t digit;
        if (promql_is_digit(c))
            digit = (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint64_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint64_t)(c - 'A') + 10;
        else
            return false;
        if (digit >= base || sum > ((uint64_t)INT64_MAX - digit) / base)
            return false;
        sum = sum * base + digit;
    }
    *value = (double)sum;
    return true;
}

/* Underscores stand between digits, or after the 0x. */
static bool underscores_separate_digits(struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '_')
            continue;
        bool after_prefix = i == 2 && (text.data[1] == 'x' || text.data[1] == 'X');
        bool before = i > 0 && (after_prefix || is_number_digit(text.data[i - 1], true));
        bool after = i + 1 < text.size && is_number_digit(text.data[i + 1], true);
        if (!before || !after)
            return false;
    }
    return true;
}

err_t promql_number_value(struct str text, double *value, struct strbuf *why)
{
    bool separated = underscores_separate_digits(text);
    if (separated && integer_value(text, value))
        return OK;
    struct strbuf plain = STRBUF_INIT;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '_')
            strbuf_add_char(&plain, text.data[i]);
    }
    bool range = false;
    bool parsed = separated && number_parse(strbuf_str(&plain), value, &range);
    strbuf_deinit(&plain);
    if (parsed)
        return OK;
    struct strbuf quoted = STRBUF_INIT;
    strbuf_add_quoted(&quoted, text);
    err_t err =
        err_fail(why, ERR_INVALID, "error parsing number: strconv.ParseFloat: parsing %s: %s",
                 strbuf_cstr(&quoted), range ? "value out of range" : "invalid syntax");
    strbuf_deinit(&quoted);
    return err;
}

static err_t duration_fail(struct strbuf *why, const char *before, struct str text)
{
    struct strbuf quoted = STRBUF_INIT;
    strbuf_add_quoted(&quoted, text);
    err_t err = err_fail(why, ERR_INVALID, "%s%s", before, strbuf_cstr(&quoted));
    strbuf_deinit(&quoted);
    return err;
}

static err_t unknown_unit(struct strbuf *why, struct str unit, struct str text)
{
    struct strbuf message = STRBUF_INIT;
    strbuf_add_cstr(&message, "unknown unit ");
    strbuf_add_quoted(&message, unit);
    strbuf_add_cstr(&message, " in duration ");
    strbuf_add_quoted(&message, text);
    err_t err = err_fail(why, ERR_INVALID, "%s", strbuf_cstr(&message));
    strbuf_deinit(&message);
    return err;
}

static size_t find_unit(struct str name)
{
    size_t unit = 0;
    while (unit < UNIT_COUNT && !str_equal(units[unit].name, name))
        unit++;
    return unit;
}

err_t promql_duration_value(struct str text, int64_t *ms, struct strbuf *why)
{
    static const int64_t ms_max = INT64_MAX / NS_PER_MS; /* durations are int64 nanoseconds there */
    *ms = 0;
    if (text.size == 0)
        return err_fail(why, ERR_INVALID, "empty duration string");
    if (str_equal(text, STR("0")))
        return OK;
    size_t at = 0;
    size_t next_unit = 0;
    while (at < text.size) {
        if (!promql_is_digit(text.data[at]))
            return duration_fail(why, "not a valid duration string: ", text);
        int64_t count = 0;
        for (; at < text.size && promql_is_digit(text.data[at]); at++) {
            if (__builtin_mul_overflow(count, 10, &count) ||
                __builtin_add_overflow(count, text.data[at] - '0', &count))
                return err_fail(why, ERR_INVALID, "duration out of range");
        }
        size_t unit_start = at;
        while (at < text.size && !promql_is_digit(text.data[at]))
            at++;
        struct str name = {text.data + unit_start, at - unit_start};
        if (name.size == 0)
            return duration_fail(why, "not a valid duration string: ", text);
        size_t unit = find_unit(name);
        if (unit == UNIT_COUNT)
            return unknown_unit(why, name, text);
        if (unit < next_unit)
            return duration_fail(why, "not a valid duration string: ", text);
        next_unit = unit + 1;
        int64_t part;
        if (__builtin_mul_overflow(count, units[unit].ms, &part) ||
            __builtin_add_overflow(*ms, part, ms) || *ms > ms_max)
            return err_fail(why, ERR_INVALID, "duration out of range");
    }
    return OK;
}
