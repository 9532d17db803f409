/* What to ask a target for, and what its answer is. */
#include "narthex/model/exposition.h"

enum { MEDIA_PARAMETERS_MAX = 16 };

static bool is_token(char c)
{
    return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct str take_token(struct str *rest)
{
    size_t size = 0;
    while (size < rest->size && is_token(rest->data[size]))
        size++;
    struct str token = str_from(rest->data, size);
    *rest = str_from(rest->data + size, rest->size - size);
    return token;
}

static struct str skip_blanks(struct str text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t' || text.data[0] == '\r' ||
                             text.data[0] == '\n' || text.data[0] == '\v' || text.data[0] == '\f'))
        text = str_from(text.data + 1, text.size - 1);
    return text;
}

/* A token or a quoted text; false if there is neither. */
static bool take_value(struct str *rest)
{
    if (rest->size == 0 || rest->data[0] != '"')
        return take_token(rest).size > 0;
    for (size_t i = 1; i < rest->size; i++) {
        char c = rest->data[i];
        if (c == '"') {
            *rest = str_from(rest->data + i + 1, rest->size - i - 1);
            return true;
        }
        if (c == '\r' || c == '\n')
            return false;
        if (c == '\\' && i + 1 < rest->size && !is_token(rest->data[i + 1]))
            i++;
    }
    return false;
}

/* ";name=value" at *rest; an empty name if there is none. */
static struct str take_parameter(struct str *rest)
{
    struct str at = skip_blanks(*rest);
    struct str none = {NULL, 0};
    if (at.size == 0 || at.data[0] != ';')
        return none;
    at = skip_blanks(str_from(at.data + 1, at.size - 1));
    struct str name = take_token(&at);
    at = skip_blanks(at);
    if (name.size == 0 || at.size == 0 || at.data[0] != '=')
        return none;
    at = skip_blanks(str_from(at.data + 1, at.size - 1));
    if (!take_value(&at))
        return none;
    *rest = at;
    return name;
}

static const char *check_parameters(struct str rest)
{
    struct str names[MEDIA_PARAMETERS_MAX];
    size_t count = 0;
    while ((rest = skip_blanks(rest)).size > 0) {
        struct str name = take_parameter(&rest);
        if (name.size == 0)
            return str_equal(str_trim(rest), STR(";")) ? NULL : "mime: invalid media parameter";
        for (size_t i = 0; i < count; i++) {
            if (str_equal_nocase(names[i], name))
                return "mime: duplicate parameter name";
        }
        if (count == MEDIA_PARAMETERS_MAX)
            return "mime: invalid media parameter";
        names[count++] = name;
    }
    return NULL;
}

/* What Go's mime package says about a media type, or NULL; *media is type/subtype as written. */
static const char *parse_media_type(struct str text, struct str *media)
{
    size_t semicolon = str_find(text, ';', 0);
    size_t size = semicolon == SIZE_MAX ? text.size : semicolon;
    *media = str_trim(str_from(text.data, size));
    struct str rest = *media;
    if (take_token(&rest).size == 0)
        return "mime: no media type";
    if (rest.size > 0) {
        if (rest.data[0] != '/')
            return "mime: expected slash after first token";
        rest = str_from(rest.data + 1, rest.size - 1);
        if (take_token(&rest).size == 0)
            return "mime: expected token after slash";
        if (rest.size > 0)
            return "mime: unexpected content after media subtype";
    }
    return check_parameters(str_from(text.data + size, text.size - size));
}

static bool format_of_media(struct str media, enum exposition_format *format)
{
    static const struct {
        struct str media;
        enum exposition_format format;
    } known[] = {
        {STR_INIT("text/plain"), EXPOSITION_TEXT},
        {STR_INIT("application/openmetrics-text"), EXPOSITION_OPENMETRICS},
        {STR_INIT("application/vnd.google.protobuf"), EXPOSITION_PROTOBUF},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal_nocase(media, known[i].media)) {
            *format = known[i].format;
            return true;
        }
    }
    return false;
}

static err_t fail(struct strbuf *why, const char *before, struct str content_type,
                  const char *after)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, before);
    strbuf_add_quoted(why, content_type);
    strbuf_add_cstr(why, after);
    return ERR_INVALID;
}

err_t exposition_format_choose(struct str content_type, enum exposition_protocol fallback,
                               enum exposition_format *format, struct strbuf *why)
{
    struct str media;
    const char *defect = content_type.size == 0 ? NULL : parse_media_type(content_type, &media);
    if (content_type.size > 0 && defect == NULL && format_of_media(media, format))
        return OK;
    switch (fallback) {
    case EXPOSITION_PROTOCOL_PROTO:
        *format = EXPOSITION_PROTOBUF;
        return OK;
    case EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1:
    case EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0:
        *format = EXPOSITION_OPENMETRICS;
        return OK;
    case EXPOSITION_PROTOCOL_TEXT_0_0_4:
    case EXPOSITION_PROTOCOL_TEXT_1_0_0:
        *format = EXPOSITION_TEXT;
        return OK;
    case EXPOSITION_PROTOCOL_NONE:
        break;
    }
    if (content_type.size == 0)
        return err_fail(why, ERR_INVALID,
                        "non-compliant scrape target sending blank Content-Type and no "
                        "fallback_scrape_protocol specified for target");
    if (defect == NULL)
        return fail(why, "received unsupported Content-Type ", content_type,
                    " and no fallback_scrape_protocol specified for target");
    (void)fail(why, "cannot parse Content-Type ", content_type,
               " and no fallback_scrape_protocol for target\n");
    strbuf_add_cstr(why, defect);
    return ERR_INVALID;
}

void exposition_accept_header(const enum exposition_protocol *protocols, uint32_t count,
                              enum name_escaping escaping, struct strbuf *out)
{
    static const struct {
        const char *media;
        bool escaping;
    } forms[] = {
        [EXPOSITION_PROTOCOL_NONE] = {"*/*", false},
        [EXPOSITION_PROTOCOL_PROTO] = {"application/vnd.google.protobuf;proto=io.prometheus."
                                       "client.MetricFamily;encoding=delimited",
                                       false},
        [EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1] = {"application/openmetrics-text;version=0.0.1",
                                                   false},
        [EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0] = {"application/openmetrics-text;version=1.0.0",
                                                   true},
        [EXPOSITION_PROTOCOL_TEXT_0_0_4] = {"text/plain;version=0.0.4", false},
        [EXPOSITION_PROTOCOL_TEXT_1_0_0] = {"text/plain;version=1.0.0", true},
    };
    static const char *const escapings[] = {
        [NAME_ESCAPING_NONE] = "allow-utf-8",
        [NAME_ESCAPING_UNDERSCORES] = "underscores",
        [NAME_ESCAPING_DOTS] = "dots",
        [NAME_ESCAPING_VALUES] = "values",
    };
    unsigned tenths = 6;
    for (uint32_t i = 0; i < count; i++, tenths--) {
        strbuf_add_cstr(out, forms[protocols[i]].media);
        if (forms[protocols[i]].escaping)
            strbuf_printf(out, ";escaping=%s", escapings[escaping]);
        strbuf_printf(out, ";q=0.%u,", tenths);
    }
    strbuf_printf(out, "*/*;q=0.%u", tenths);
}
