/* Exact reader of the Prometheus text format (0.0.4 and 1.0.0 with quoted names). */
#include "exposition_parser.h"

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* The rest of the line, which is no HELP or TYPE. */
static enum token lex_comment(struct lexer *lexer)
{
    for (unsigned char c = lexer__byte(lexer, lexer->at);; c = lexer__next(lexer)) {
        if (c == '\0')
            return TOKEN_EOF;
        if (c == '\n') {
            lexer->state = LEX_INIT;
            return TOKEN_COMMENT;
        }
    }
}

/* Behind "# ": HELP or TYPE followed by a blank, or any comment. */
static enum token lex_comment_word(struct lexer *lexer)
{
    static const struct {
        char word[5];
        enum token token;
    } words[] = {{"HELP", TOKEN_HELP}, {"TYPE", TOKEN_TYPE}};
    unsigned char first = lexer__byte(lexer, lexer->at);
    for (int i = 0; i < 2; i++) {
        if (first != (unsigned char)words[i].word[0])
            continue;
        int matched = 1;
        unsigned char c = lexer__next(lexer);
        while (matched < 4 && c == (unsigned char)words[i].word[matched]) {
            matched++;
            c = lexer__next(lexer);
        }
        if (matched < 4 || !is_blank(c))
            break;
        while (is_blank(c))
            c = lexer__next(lexer);
        lexer->state = LEX_META1;
        return words[i].token;
    }
    return lex_comment(lexer);
}

static enum token lex_init(struct lexer *lexer, unsigned char c)
{
    if (c == '#') {
        c = lexer__next(lexer);
        if (!is_blank(c))
            return lex_comment(lexer);
        while (is_blank(c))
            c = lexer__next(lexer);
        lexer->state = LEX_COMMENT;
        return lex_comment_word(lexer);
    }
    if (lexer__is_name_start(c, true)) {
        lexer__skip_name(lexer, true);
        lexer->state = LEX_VALUE;
        return TOKEN_MNAME;
    }
    switch (c) {
    case '\0':
        lexer__next(lexer);
        return TOKEN_EOF;
    case '\n':
        lexer__next(lexer);
        return TOKEN_LINEBREAK;
    case '{':
        lexer__next(lexer);
        lexer->state = LEX_LABELS;
        return TOKEN_BOPEN;
    default:
        return TOKEN_INVALID;
    }
}

static enum token lex_labels(struct lexer *lexer, unsigned char c)
{
    static const struct label_states states = {LEX_VALUE, LEX_LVALUE, false};
    return lexer__take_label_part(lexer, c, &states);
}

static enum token lex_value(struct lexer *lexer, unsigned char c)
{
    if (c == '{') {
        lexer__next(lexer);
        lexer->state = LEX_LABELS;
        return TOKEN_BOPEN;
    }
    if (c == '\0' || c == '\n')
        return TOKEN_INVALID;
    while (c != '\0' && c != '\n' && c != '{' && !is_blank(c))
        c = lexer__next(lexer);
    lexer->state = LEX_TIMESTAMP;
    return TOKEN_VALUE;
}

static enum token lex_timestamp(struct lexer *lexer, unsigned char c)
{
    if (c == '\n') {
        lexer__next(lexer);
        lexer->state = LEX_INIT;
        return TOKEN_LINEBREAK;
    }
    if (c < '0' || c > '9')
        return TOKEN_INVALID;
    while (c >= '0' && c <= '9')
        c = lexer__next(lexer);
    return TOKEN_TIMESTAMP;
}

static enum token lex_meta(struct lexer *lexer, unsigned char c)
{
    if (lexer->state == LEX_META2) {
        bool blank = true;
        for (; c != '\0' && c != '\n'; c = lexer__next(lexer))
            blank = blank && is_blank(c);
        if (blank) /* nothing but blanks is no text */
            lexer->start = lexer->at;
        lexer->state = LEX_INIT;
        return TOKEN_TEXT;
    }
    return lexer__take_family(lexer, c);
}

static enum token lex(struct lexer *lexer)
{
    if (lexer->at >= lexer->limit)
        return TOKEN_EOF;
    lexer->start = lexer->at;
    unsigned char c = lexer__byte(lexer, lexer->at);
    /* Help texts keep their blanks: only there they are part of a token. */
    if (lexer->state != LEX_META2 && is_blank(c)) {
        while (is_blank(c))
            c = lexer__next(lexer);
        return TOKEN_WHITESPACE;
    }
    switch (lexer->state) {
    case LEX_META1:
    case LEX_META2:
        return lex_meta(lexer, c);
    case LEX_LABELS:
        return lex_labels(lexer, c);
    case LEX_LVALUE:
        if (c != '"' || !lexer__skip_quoted(lexer, false))
            return TOKEN_INVALID;
        lexer->state = LEX_LABELS;
        return TOKEN_LVALUE;
    case LEX_VALUE:
        return lex_value(lexer, c);
    case LEX_TIMESTAMP:
        return lex_timestamp(lexer, c);
    default:
        return lex_init(lexer, c);
    }
}

static enum token next_token(struct lexer *lexer)
{
    enum token token;
    do {
        token = lex(lexer);
    } while (token == TOKEN_WHITESPACE);
    return token;
}

static err_t parse_metadata(struct exposition *exposition, enum token kind,
                            struct exposition_entry *entry, struct strbuf *why)
{
    struct lexer *lexer = &exposition->lexer;
    enum token token = next_token(lexer);
    if (token != TOKEN_MNAME)
        return exposition__fail_token(exposition,
                                      kind == TOKEN_HELP ? "expected metric name after HELP"
                                                         : "expected metric name after TYPE",
                                      token, why);
    struct str name = lexer__token(lexer);
    if (name.data[0] == '"')
        name = str_from(name.data + 1, name.size - 2);
    token = next_token(lexer);
    if (token != TOKEN_TEXT)
        return err_fail(why, ERR_INVALID, "expected text in %s, got %s",
                        exposition__token_name(kind), exposition__token_name(token));
    struct str text = lexer__token(lexer);
    text = text.size > 1 ? str_from(text.data + 1, text.size - 1) : STR("");
    if (kind == TOKEN_TYPE && !exposition__type_parse(text, false, &exposition->type)) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "invalid metric type ");
        strbuf_add_quoted(why, text);
        return ERR_INVALID;
    }
    if (kind == TOKEN_HELP && !str_is_utf8(text)) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "help text ");
        strbuf_add_quoted(why, text);
        strbuf_add_cstr(why, " is not a valid utf8 string");
        return ERR_INVALID;
    }
    if ((token = next_token(lexer)) != TOKEN_LINEBREAK)
        return exposition__fail_token(exposition, "linebreak expected after metadata", token, why);
    *entry = (struct exposition_entry){
        .kind = kind == TOKEN_HELP ? EXPOSITION_HELP : EXPOSITION_TYPE,
        .name = name,
        .text = text,
        .type = exposition->type,
    };
    return OK;
}

static err_t parse_comment(struct exposition *exposition, struct exposition_entry *entry,
                           struct strbuf *why)
{
    *entry = (struct exposition_entry){.kind = EXPOSITION_COMMENT,
                                       .text = lexer__token(&exposition->lexer)};
    enum token token = next_token(&exposition->lexer);
    if (token != TOKEN_LINEBREAK)
        return exposition__fail_token(exposition, "linebreak expected after comment", token, why);
    return OK;
}

static err_t parse_timestamp(struct exposition *exposition, struct exposition_entry *entry,
                             struct strbuf *why)
{
    struct str text = lexer__token(&exposition->lexer);
    entry->has_timestamp = true;
    if (!str_to_int64(text, &entry->timestamp_ms)) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "strconv.ParseInt: parsing ");
        strbuf_add_quoted(why, text);
        strbuf_add_cstr(why, ": value out of range");
        return exposition__fail_here(exposition, why);
    }
    enum token token = next_token(&exposition->lexer);
    if (token != TOKEN_LINEBREAK)
        return exposition__fail_token(exposition, "expected next entry after timestamp", token,
                                      why);
    return OK;
}

static err_t parse_sample(struct exposition *exposition, enum token token,
                          struct exposition_entry *entry, struct strbuf *why)
{
    static const struct sample_grammar grammar = {.next = next_token};
    TRY(exposition__parse_sample(exposition, token, &grammar, entry, why));
    token = next_token(&exposition->lexer);
    if (token == TOKEN_TIMESTAMP)
        return parse_timestamp(exposition, entry, why);
    if (token != TOKEN_LINEBREAK)
        return exposition__fail_token(exposition, "expected timestamp or new record", token, why);
    return OK;
}

err_t exposition__text_next(struct exposition *exposition, struct exposition_entry *entry,
                            struct strbuf *why)
{
    enum token token;
    do {
        exposition->entry_start = exposition->lexer.at;
        token = next_token(&exposition->lexer);
    } while (token == TOKEN_LINEBREAK);
    switch (token) {
    case TOKEN_EOF:
        exposition->ended = true;
        *entry = (struct exposition_entry){.kind = EXPOSITION_END};
        return OK;
    case TOKEN_HELP:
    case TOKEN_TYPE:
        return parse_metadata(exposition, token, entry, why);
    case TOKEN_COMMENT:
        return parse_comment(exposition, entry, why);
    case TOKEN_MNAME:
    case TOKEN_BOPEN:
        return parse_sample(exposition, token, entry, why);
    default:
        return exposition__fail_token(exposition, "expected a valid start token", token, why);
    }
}
