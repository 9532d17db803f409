/* Which format is asked for and which one an answer has (spec config-and-scrape.md 3.1, 4.1). */
#include <assert.h>

#include "narthex/model/exposition.h"

/* ---- Content-Type, as Go's mime.ParseMediaType reads it ---- */

static bool is_token_byte(char c)
{
    return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static size_t skip_token(struct str s, size_t at)
{
    while (at < s.size && is_token_byte(s.data[at]))
        at++;
    return at;
}

static size_t skip_blanks(struct str s, size_t at)
{
    while (at < s.size && (s.data[at] == ' ' || s.data[at] == '\t'))
        at++;
    return at;
}

/* Position after a token or a quoted string; `at` itself when there is neither. */
static size_t skip_value(struct str s, size_t at)
{
    if (at == s.size || s.data[at] != '"')
        return skip_token(s, at);
    for (size_t i = at + 1; i < s.size; i++) {
        if (s.data[i] == '\\')
            i++;
        else if (s.data[i] == '"')
            return i + 1;
    }
    return at;
}

/* Parameters are checked for form and ignored. */
static err_t check_parameters(struct str text, size_t at, struct strbuf *why)
{
    while (at < text.size) {
        at = skip_blanks(text, at + 1);
        if (at >= text.size)
            return OK;
        size_t equals = skip_token(text, at);
        if (equals == at || equals == text.size || text.data[equals] != '=')
            return err_fail(why, ERR_INVALID, "mime: invalid media parameter");
        size_t value = skip_value(text, equals + 1);
        if (value == equals + 1)
            return err_fail(why, ERR_INVALID, "mime: invalid media parameter");
        at = skip_blanks(text, value);
        if (at < text.size && text.data[at] != ';')
            return err_fail(why, ERR_INVALID, "mime: invalid media parameter");
    }
    return OK;
}

static err_t parse_media_type(struct str text, struct str *type, struct strbuf *why)
{
    size_t end = str_find(text, ';', 0);
    *type = str_trim(str_from(text.data, end == SIZE_MAX ? text.size : end));
    size_t slash = skip_token(*type, 0);
    if (slash == 0)
        return err_fail(why, ERR_INVALID, "mime: no media type");
    if (slash < type->size) {
        if (type->data[slash] != '/')
            return err_fail(why, ERR_INVALID, "mime: expected slash after first token");
        size_t rest = skip_token(*type, slash + 1);
        if (rest == slash + 1)
            return err_fail(why, ERR_INVALID, "mime: expected token after slash");
        if (rest < type->size)
            return err_fail(why, ERR_INVALID, "mime: unexpected content after media subtype");
    }
    return end == SIZE_MAX ? OK : check_parameters(text, end, why);
}

static enum exposition_format format_of(enum exposition_protocol protocol)
{
    switch (protocol) {
    case EXPOSITION_PROTOCOL_PROTO:
        return EXPOSITION_PROTOBUF;
    case EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1:
    case EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0:
        return EXPOSITION_OPENMETRICS;
    default:
        return EXPOSITION_TEXT;
    }
}

static bool format_by_type(struct str type, enum exposition_format *format)
{
    static const struct {
        struct str type;
        enum exposition_format format;
    } formats[] = {
        {STR_INIT("application/openmetrics-text"), EXPOSITION_OPENMETRICS},
        {STR_INIT("text/plain"), EXPOSITION_TEXT},
        {STR_INIT("application/vnd.google.protobuf"), EXPOSITION_PROTOBUF},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (str_equal_nocase(formats[i].type, type)) {
            *format = formats[i].format;
            return true;
        }
    }
    return false;
}

err_t exposition_format_choose(struct str content_type, enum exposition_protocol fallback,
                               enum exposition_format *format, struct strbuf *why)
{
    struct strbuf cause = STRBUF_INIT;
    struct str type = STR("");
    bool parsed = content_type.size > 0 && parse_media_type(content_type, &type, &cause) == OK;
    err_t err = OK;
    if (parsed && format_by_type(type, format)) {
        err = OK;
    } else if (fallback != EXPOSITION_PROTOCOL_NONE) {
        *format = format_of(fallback);
    } else if (content_type.size == 0) {
        err = err_fail(why, ERR_INVALID,
                       "non-compliant scrape target sending blank Content-Type and no "
                       "fallback_scrape_protocol specified for target");
    } else if (parsed) {
        err = err_fail(why, ERR_INVALID,
                       "received unsupported Content-Type \"%.*s\" and no "
                       "fallback_scrape_protocol specified for target",
                       STR_ARG(content_type));
    } else {
        err = err_fail(why, ERR_INVALID,
                       "cannot parse Content-Type \"%.*s\" and no fallback_scrape_protocol for "
                       "target: %s",
                       STR_ARG(content_type), strbuf_cstr(&cause));
    }
    strbuf_deinit(&cause);
    return err;
}

/* ---- Accept ---- */

void exposition_accept_header(const enum exposition_protocol *protocols, uint32_t count,
                              enum name_escaping escaping, struct strbuf *out)
{
    static const char *const types[] = {
        [EXPOSITION_PROTOCOL_PROTO] = "application/vnd.google.protobuf;proto=io.prometheus.client."
                                      "MetricFamily;encoding=delimited",
        [EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
        [EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
        [EXPOSITION_PROTOCOL_TEXT_0_0_4] = "text/plain;version=0.0.4",
        [EXPOSITION_PROTOCOL_TEXT_1_0_0] = "text/plain;version=1.0.0",
    };
    static const char *const escapings[] = {
        [NAME_ESCAPING_NONE] = "allow-utf-8",
        [NAME_ESCAPING_UNDERSCORES] = "underscores",
        [NAME_ESCAPING_DOTS] = "dots",
        [NAME_ESCAPING_VALUES] = "values",
    };
    unsigned tenths = 6;
    assert(count < tenths);
    for (uint32_t i = 0; i < count; i++) {
        strbuf_add_cstr(out, types[protocols[i]]);
        if (protocols[i] == EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0 ||
            protocols[i] == EXPOSITION_PROTOCOL_TEXT_1_0_0)
            strbuf_printf(out, ";escaping=%s", escapings[escaping]);
        strbuf_printf(out, ";q=0.%u,", tenths--);
    }
    strbuf_printf(out, "*/*;q=0.%u", tenths);
}
