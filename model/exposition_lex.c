#include "exposition_parser.h"

#include <math.h>

#include "narthex/base/number.h"

const char *exposition__token_name(enum token token)
{
    static const char *const names[] = {
        [TOKEN_INVALID] = "INVALID",     [TOKEN_EOF] = "EOF",
        [TOKEN_LINEBREAK] = "LINEBREAK", [TOKEN_WHITESPACE] = "WHITESPACE",
        [TOKEN_HELP] = "HELP",           [TOKEN_TYPE] = "TYPE",
        [TOKEN_UNIT] = "UNIT",           [TOKEN_EOFWORD] = "EOFWORD",
        [TOKEN_TEXT] = "TEXT",           [TOKEN_COMMENT] = "COMMENT",
        [TOKEN_BLANK] = "BLANK",         [TOKEN_MNAME] = "MNAME",
        [TOKEN_QSTRING] = "QSTRING",     [TOKEN_BOPEN] = "BOPEN",
        [TOKEN_BCLOSE] = "BCLOSE",       [TOKEN_LNAME] = "LNAME",
        [TOKEN_LVALUE] = "LVALUE",       [TOKEN_EQUAL] = "EQUAL",
        [TOKEN_COMMA] = "COMMA",         [TOKEN_TIMESTAMP] = "TIMESTAMP",
        [TOKEN_VALUE] = "VALUE",
    };
    return names[token];
}

unsigned char lexer__byte(const struct lexer *lexer, size_t at)
{
    if (at < lexer->size)
        return (unsigned char)lexer->data[at];
    return at < lexer->limit ? '\n' : '\0';
}

unsigned char lexer__next(struct lexer *lexer)
{
    bool nul_allowed =
        lexer->state == LEX_LVALUE || lexer->state == LEX_META2 || lexer->state == LEX_COMMENT;
    do {
        lexer->at++;
    } while (nul_allowed && lexer->at < lexer->limit && lexer__byte(lexer, lexer->at) == '\0');
    if (lexer->at > lexer->limit)
        lexer->at = lexer->limit;
    return lexer__byte(lexer, lexer->at);
}

struct str lexer__token(const struct lexer *lexer)
{
    size_t end = lexer->at < lexer->size ? lexer->at : lexer->size;
    return str_from(lexer->data + lexer->start, end - lexer->start);
}

bool lexer__is_name_start(unsigned char c, bool colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
}

void lexer__skip_name(struct lexer *lexer, bool colon)
{
    unsigned char c;
    do {
        c = lexer__next(lexer);
    } while (lexer__is_name_start(c, colon) || (c >= '0' && c <= '9'));
}

bool lexer__skip_quoted(struct lexer *lexer, bool newline_ends)
{
    unsigned char c = lexer__next(lexer);
    while (c != '"') {
        if (c == '\\' && ((c = lexer__next(lexer)) == '\n' || c == '\0'))
            return false;
        if (c == '\0' || (newline_ends && c == '\n'))
            return false;
        c = lexer__next(lexer);
    }
    lexer__next(lexer);
    return true;
}

enum token lexer__take_label_part(struct lexer *lexer, unsigned char c,
                                  const struct label_states *states)
{
    if (lexer__is_name_start(c, false)) {
        lexer__skip_name(lexer, false);
        return TOKEN_LNAME;
    }
    switch (c) {
    case '"':
        return lexer__skip_quoted(lexer, states->newline_ends) ? TOKEN_QSTRING : TOKEN_INVALID;
    case '}':
        lexer__next(lexer);
        lexer->state = states->after_brace;
        return TOKEN_BCLOSE;
    case '=':
        lexer__next(lexer);
        lexer->state = states->after_equal;
        return TOKEN_EQUAL;
    case ',':
        lexer__next(lexer);
        return TOKEN_COMMA;
    default:
        return TOKEN_INVALID;
    }
}

enum token lexer__take_family(struct lexer *lexer, unsigned char c)
{
    if (c == '"') {
        if (!lexer__skip_quoted(lexer, false))
            return TOKEN_INVALID;
    } else if (lexer__is_name_start(c, true)) {
        lexer__skip_name(lexer, true);
    } else {
        return TOKEN_INVALID;
    }
    lexer->state = LEX_META2;
    return TOKEN_MNAME;
}

/* Appends the body's bytes from `start` to `end` (cut at the end of the body), Go-quoted. */
static void add_slice(const struct lexer *lexer, size_t start, size_t end, struct strbuf *out)
{
    struct strbuf slice = STRBUF_INIT;
    for (size_t at = start; at < end && at < lexer->limit; at++)
        strbuf_add_char(&slice, (char)lexer__byte(lexer, at));
    strbuf_add_quoted(out, strbuf_str(&slice));
    strbuf_deinit(&slice);
}

err_t exposition__fail_token(const struct exposition *exposition, const char *expected,
                             enum token got, struct strbuf *why)
{
    const struct lexer *lexer = &exposition->lexer;
    strbuf_clear(why);
    strbuf_printf(why, "%s, got ", expected);
    add_slice(lexer, lexer->start, lexer->at + 1, why);
    strbuf_printf(why, " (\"%s\") while parsing: ", exposition__token_name(got));
    add_slice(lexer, exposition->entry_start, lexer->at + 1, why);
    return ERR_INVALID;
}

err_t exposition__fail_here(const struct exposition *exposition, struct strbuf *why)
{
    strbuf_add_cstr(why, " while parsing: ");
    add_slice(&exposition->lexer, exposition->entry_start, exposition->lexer.at, why);
    return ERR_INVALID;
}

/* As exposition__parse_value without a body: only the number's own complaint. */
static err_t parse_float(struct str text, double *value, struct strbuf *why)
{
    bool range;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == 'p' || text.data[i] == 'P' || text.data[i] == '_')
            return err_fail(why, ERR_INVALID, "unsupported character in float");
    }
    if (!number_parse(text, value, &range)) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "strconv.ParseFloat: parsing ");
        strbuf_add_quoted(why, text);
        strbuf_add_cstr(why, range ? ": value out of range" : ": invalid syntax");
        return ERR_INVALID;
    }
    if (isnan(*value))
        *value = double_from_bits(NORMAL_NAN_BITS);
    return OK;
}

err_t exposition__parse_value(const struct exposition *exposition, struct str text, double *value,
                              struct strbuf *why)
{
    if (parse_float(text, value, why) != OK)
        return exposition__fail_here(exposition, why);
    return OK;
}

static err_t parse_label(struct exposition *exposition, const struct braces *braces,
                         enum token (*next)(struct lexer *), enum token *token, struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    if (*token != TOKEN_EQUAL)
        return exposition__fail_token(exposition, "expected equal", *token, why);
    if ((*token = next(lexer)) != TOKEN_LVALUE)
        return exposition__fail_token(exposition, "expected label value", *token, why);
    if (!str_is_utf8(lexer__token(lexer))) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "invalid UTF-8 label value: ");
        strbuf_add_quoted(why, lexer__token(lexer));
        return ERR_INVALID;
    }
    if ((*token = next(lexer)) == TOKEN_COMMA)
        *token = next(lexer);
    else if (braces->comma_required && *token != TOKEN_BCLOSE)
        return exposition__fail_token(exposition, "expected comma or brace close", *token, why);
    return OK;
}

err_t exposition__parse_braces(struct exposition *exposition, struct braces *braces,
                               enum token (*next)(struct lexer *), struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    enum token token = next(lexer);
    while (token != TOKEN_BCLOSE) {
        bool quoted = token == TOKEN_QSTRING;
        if (!quoted && token != TOKEN_LNAME)
            return exposition__fail_token(exposition, "expected label name", token, why);
        token = next(lexer);
        if (!quoted || (token != TOKEN_COMMA && token != TOKEN_BCLOSE)) {
            TRY(parse_label(exposition, braces, next, &token, why));
            continue;
        }
        /* A quoted text without a value is the metric name. */
        if (braces->is_exemplar)
            return exposition__fail_token(exposition, "expected label name", token, why);
        if (braces->named) {
            strbuf_clear(why);
            strbuf_add_cstr(why, "metric name already set");
            return exposition__fail_here(exposition, why);
        }
        braces->named = true;
        if (token == TOKEN_COMMA)
            token = next(lexer);
    }
    return OK;
}

err_t exposition__parse_sample(struct exposition *exposition, enum token token,
                               const struct sample_grammar *grammar, struct exposition_entry *entry,
                               struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    struct braces braces = {.named = token == TOKEN_MNAME,
                            .comma_required = grammar->comma_required};
    size_t key_end = lexer->at;
    if (token == TOKEN_MNAME)
        token = grammar->next(lexer);
    if (token == TOKEN_BOPEN) {
        TRY(exposition__parse_braces(exposition, &braces, grammar->next, why));
        key_end = lexer->at;
        token = grammar->next(lexer);
    }
    if (!braces.named) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "metric name not set");
        return exposition__fail_here(exposition, why);
    }
    if (token != TOKEN_VALUE)
        return exposition__fail_token(exposition, "expected value after metric", token, why);
    struct str value = lexer__token(lexer);
    *entry = (struct exposition_entry){
        .kind = EXPOSITION_SAMPLE,
        .key = str_from(lexer->data + exposition->entry_start, key_end - exposition->entry_start),
        .value_text =
            str_from(value.data + grammar->value_blanks, value.size - grammar->value_blanks),
        .type = exposition->type,
    };
    return exposition__parse_value(exposition, entry->value_text, &entry->value, why);
}

bool exposition__type_parse(struct str word, bool openmetrics, enum metadata_type *type)
{
    static const struct {
        const char *word;
        enum metadata_type type;
        bool text;
        bool openmetrics;
    } words[] = {
        {"counter", METADATA_COUNTER, true, true},
        {"gauge", METADATA_GAUGE, true, true},
        {"histogram", METADATA_HISTOGRAM, true, true},
        {"summary", METADATA_SUMMARY, true, true},
        {"untyped", METADATA_UNKNOWN, true, false},
        {"gaugehistogram", METADATA_GAUGEHISTOGRAM, false, true},
        {"info", METADATA_INFO, false, true},
        {"stateset", METADATA_STATESET, false, true},
        {"unknown", METADATA_UNKNOWN, false, true},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        bool known = openmetrics ? words[i].openmetrics : words[i].text;
        if (known && str_equal_cstr(word, words[i].word)) {
            *type = words[i].type;
            return true;
        }
    }
    return false;
}
