/* Exact reader of OpenMetrics 1.0 text. */
#include <math.h>

#include "exposition_parser.h"

/* "HELP ", "TYPE ", "UNIT " or "EOF" behind "# "; stops at the first byte that fits none. */
static enum token lex_comment_word(struct lexer *lexer, unsigned char c)
{
    static const struct {
        char word[6];
        enum token token;
    } words[] = {{"HELP ", TOKEN_HELP}, {"TYPE ", TOKEN_TYPE}, {"UNIT ", TOKEN_UNIT}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (c != (unsigned char)words[i].word[0])
            continue;
        for (int k = 0; words[i].word[k] != '\0'; k++, c = lexer__next(lexer)) {
            if (c != (unsigned char)words[i].word[k])
                return TOKEN_INVALID;
        }
        lexer->state = LEX_META1;
        return words[i].token;
    }
    for (int k = 0; k < 3; k++, c = lexer__next(lexer)) {
        if (c != (unsigned char)"EOF"[k])
            return TOKEN_INVALID;
    }
    if (c == '\n')
        lexer__next(lexer);
    lexer->state = LEX_INIT;
    return TOKEN_EOFWORD;
}

static enum token lex_init(struct lexer *lexer, unsigned char c)
{
    if (c == '#') {
        if (lexer__next(lexer) != ' ')
            return TOKEN_INVALID;
        c = lexer__next(lexer);
        lexer->state = LEX_COMMENT;
        return lex_comment_word(lexer, c);
    }
    if (lexer__is_name_start(c, true)) {
        lexer__skip_name(lexer, true);
        lexer->state = LEX_VALUE;
        return TOKEN_MNAME;
    }
    if (c != '{')
        return TOKEN_INVALID;
    lexer__next(lexer);
    lexer->state = LEX_LABELS;
    return TOKEN_BOPEN;
}

/* A blank, the text and the newline, all of them in the token. */
static enum token lex_meta2(struct lexer *lexer, unsigned char c)
{
    if (c != ' ')
        return TOKEN_INVALID;
    while (c != '\n') {
        c = lexer__next(lexer);
        if (c == '\0')
            return TOKEN_INVALID;
    }
    lexer__next(lexer);
    lexer->state = LEX_INIT;
    return TOKEN_TEXT;
}

/* Labels of samples and of exemplars differ in the states around them and in quoted names. */
static enum token lex_labels(struct lexer *lexer, unsigned char c)
{
    static const struct label_states of_sample = {LEX_VALUE, LEX_LVALUE, false};
    static const struct label_states of_exemplar = {LEX_EXEMPLAR_LVALUE, LEX_EXEMPLAR_LVALUE, true};
    return lexer__take_label_part(lexer, c,
                                  lexer->state == LEX_EXEMPLAR ? &of_exemplar : &of_sample);
}

static enum token lex_quoted_value(struct lexer *lexer, enum lexer_state after)
{
    if (!lexer__skip_quoted(lexer, true))
        return TOKEN_INVALID;
    lexer->state = after;
    return TOKEN_LVALUE;
}

/* A blank and a word; the blank belongs to the token. */
static enum token lex_word(struct lexer *lexer, unsigned char c, enum token token,
                           enum lexer_state after)
{
    if (c != ' ')
        return TOKEN_INVALID;
    c = lexer__next(lexer);
    if (c == ' ' || c == '\n' || c == '\0')
        return TOKEN_INVALID;
    while (c != ' ' && c != '\n' && c != '\0')
        c = lexer__next(lexer);
    lexer->state = after;
    return token;
}

/* After a value: the line's end, a timestamp, or " # {" of an exemplar. */
static enum token lex_timestamp(struct lexer *lexer, unsigned char c)
{
    if (c == '\n') {
        lexer__next(lexer);
        lexer->state = LEX_INIT;
        return TOKEN_LINEBREAK;
    }
    bool exemplar = lexer->state == LEX_TIMESTAMP && c == ' ' &&
                    lexer__byte(lexer, lexer->at + 1) == '#' &&
                    lexer__byte(lexer, lexer->at + 2) == ' ';
    if (!exemplar)
        return lex_word(lexer, c, TOKEN_TIMESTAMP, lexer->state);
    lexer->at += 3;
    if (lexer__byte(lexer, lexer->at) != '{')
        return TOKEN_INVALID;
    lexer__next(lexer);
    lexer->state = LEX_EXEMPLAR;
    return TOKEN_COMMENT;
}

static enum token next_token(struct lexer *lexer)
{
    if (lexer->at >= lexer->limit)
        return TOKEN_EOF;
    lexer->start = lexer->at;
    unsigned char c = lexer__byte(lexer, lexer->at);
    switch (lexer->state) {
    case LEX_INIT:
    case LEX_COMMENT:
        return lex_init(lexer, c);
    case LEX_META1:
        return lexer__take_family(lexer, c);
    case LEX_META2:
        return lex_meta2(lexer, c);
    case LEX_LABELS:
    case LEX_EXEMPLAR:
        return lex_labels(lexer, c);
    case LEX_LVALUE:
        return c == '"' ? lex_quoted_value(lexer, LEX_LABELS) : TOKEN_INVALID;
    case LEX_EXEMPLAR_LVALUE:
        if (c == '"')
            return lex_quoted_value(lexer, LEX_EXEMPLAR);
        return lex_word(lexer, c, TOKEN_VALUE, LEX_EXEMPLAR_TIMESTAMP);
    case LEX_VALUE:
        if (c != '{')
            return lex_word(lexer, c, TOKEN_VALUE, LEX_TIMESTAMP);
        lexer__next(lexer);
        lexer->state = LEX_LABELS;
        return TOKEN_BOPEN;
    case LEX_TIMESTAMP:
    case LEX_EXEMPLAR_TIMESTAMP:
        return lex_timestamp(lexer, c);
    }
    return TOKEN_INVALID;
}

static err_t fail_quoted(struct strbuf *why, const char *before, struct str text, const char *after)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, before);
    strbuf_add_quoted(why, text);
    strbuf_add_cstr(why, after);
    return ERR_INVALID;
}

static err_t check_unit(struct str name, struct str unit, struct strbuf *why)
{
    if (unit.size == 0 || (str_ends_with(name, unit) && name.size > unit.size &&
                           name.data[name.size - unit.size - 1] == '_'))
        return OK;
    (void)fail_quoted(why, "unit ", unit, " not a suffix of metric ");
    strbuf_add_quoted(why, name);
    return ERR_INVALID;
}

static err_t parse_metadata(struct exposition *exposition, enum token kind,
                            struct exposition_entry *entry, struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    static const char *const expected[] = {
        [TOKEN_HELP] = "expected metric name after HELP",
        [TOKEN_TYPE] = "expected metric name after TYPE",
        [TOKEN_UNIT] = "expected metric name after UNIT",
    };
    enum token token = next_token(lexer);
    if (token != TOKEN_MNAME)
        return exposition__fail_token(exposition, expected[kind], token, why);
    struct str name = lexer__token(lexer);
    if (name.data[0] == '"')
        name = str_from(name.data + 1, name.size - 2);
    if (next_token(lexer) != TOKEN_TEXT)
        return err_fail(why, ERR_INVALID, "expected text in %s", exposition__token_name(kind));
    struct str text = lexer__token(lexer);
    text = str_from(text.data + 1, text.size - 2); /* blank and newline */
    *entry = (struct exposition_entry){.kind = EXPOSITION_TYPE, .name = name, .text = text};
    if (kind == TOKEN_TYPE && !exposition__type_parse(text, true, &exposition->type))
        return fail_quoted(why, "invalid metric type ", text, "");
    if (kind == TOKEN_HELP && !str_is_utf8(text))
        return fail_quoted(why, "help text ", text, " is not a valid utf8 string");
    if (kind == TOKEN_UNIT)
        TRY(check_unit(name, text, why));
    if (kind != TOKEN_TYPE)
        entry->kind = kind == TOKEN_HELP ? EXPOSITION_HELP : EXPOSITION_UNIT;
    entry->type = exposition->type;
    return OK;
}

/* The token of a word without its blank. */
static struct str word_text(const struct lexer *lexer)
{
    struct str token = lexer__token(lexer);
    return str_from(token.data + 1, token.size - 1);
}

/* Seconds to milliseconds, cut off towards zero. What no int64 holds becomes the smallest one, as
 * it does on amd64. */
static int64_t to_milliseconds(double seconds)
{
    double ms = seconds * 1000;
    return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static err_t parse_timestamp(struct exposition *exposition, const char *what, int64_t *t_ms,
                             struct strbuf *why)
{
    double seconds;
    TRY(exposition__parse_value(exposition, word_text(&exposition->lexer), &seconds, why));
    if (isnan(seconds))
        return err_fail(why, ERR_INVALID, "invalid %s NaN", what);
    if (isinf(seconds))
        return err_fail(why, ERR_INVALID, "invalid %s %sInf", what, seconds > 0 ? "+" : "-");
    *t_ms = to_milliseconds(seconds);
    return OK;
}

static err_t fail_no_end(struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "data does not end with # EOF");
}

/* Behind " # {". */
static err_t parse_exemplar(struct exposition *exposition, struct exposition_entry *entry,
                            struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    struct pending_exemplar exemplar = {0};
    struct braces braces = {.is_exemplar = true, .comma_required = true};
    size_t from = lexer->at;
    TRY(exposition__parse_braces(exposition, &braces, next_token, why));
    exemplar.labels = str_from(lexer->data + from, lexer->at - from);
    enum token token = next_token(lexer);
    if (token != TOKEN_VALUE)
        return exposition__fail_token(exposition, "expected value after exemplar labels", token,
                                      why);
    TRY(exposition__parse_value(exposition, word_text(lexer), &exemplar.value, why));
    token = next_token(lexer);
    if (token == TOKEN_EOF)
        return fail_no_end(why);
    if (token == TOKEN_TIMESTAMP) {
        exemplar.has_timestamp = true;
        TRY(parse_timestamp(exposition, "exemplar timestamp", &exemplar.timestamp_ms, why));
        token = next_token(lexer);
        if (token != TOKEN_LINEBREAK)
            return exposition__fail_token(
                exposition, "expected next entry after exemplar timestamp", token, why);
    } else if (token != TOKEN_LINEBREAK) {
        return exposition__fail_token(exposition, "expected timestamp or comment", token, why);
    }
    exposition->exemplar = exemplar;
    entry->has_exemplar = true;
    return OK;
}

/* Behind the value: timestamp, exemplar, the line's end. Anything else ends the sample too; the
 * next entry then fails on it, which is where Prometheus notices. */
static err_t parse_line_end(struct exposition *exposition, struct exposition_entry *entry,
                            struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    enum token token = next_token(lexer);
    if (token == TOKEN_EOF)
        return fail_no_end(why);
    if (token == TOKEN_COMMENT)
        return parse_exemplar(exposition, entry, why);
    if (token == TOKEN_TIMESTAMP) {
        entry->has_timestamp = true;
        TRY(parse_timestamp(exposition, "timestamp", &entry->timestamp_ms, why));
        token = next_token(lexer);
        if (token == TOKEN_COMMENT)
            return parse_exemplar(exposition, entry, why);
        if (token != TOKEN_LINEBREAK)
            return exposition__fail_token(exposition, "expected next entry after timestamp", token,
                                          why);
    }
    return OK;
}

static err_t parse_sample(struct exposition *exposition, enum token token,
                          struct exposition_entry *entry, struct strbuf *why)
{
    static const struct sample_grammar grammar = {
        .next = next_token, .comma_required = true, .value_blanks = 1};
    TRY(exposition__parse_sample(exposition, token, &grammar, entry, why));
    return parse_line_end(exposition, entry, why);
}

err_t exposition__openmetrics_next(struct exposition *exposition, struct exposition_entry *entry,
                                   struct strbuf *why)
{
    exposition->entry_start = exposition->lexer.at;
    enum token token = next_token(&exposition->lexer);
    switch (token) {
    case TOKEN_EOFWORD:
        if (next_token(&exposition->lexer) != TOKEN_EOF)
            return err_fail(why, ERR_INVALID, "unexpected data after # EOF");
        exposition->ended = true;
        *entry = (struct exposition_entry){.kind = EXPOSITION_END};
        return OK;
    case TOKEN_EOF:
        return fail_no_end(why);
    case TOKEN_HELP:
    case TOKEN_TYPE:
    case TOKEN_UNIT:
        return parse_metadata(exposition, token, entry, why);
    case TOKEN_MNAME:
    case TOKEN_BOPEN:
        return parse_sample(exposition, token, entry, why);
    default:
        return exposition__fail_token(exposition, "expected a valid start token", token, why);
    }
}
