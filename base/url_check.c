/* Whether a text is a URL, as Go's url.Parse judges. */
#include <string.h>

#include "narthex/base/number.h"
#include "narthex/base/strbuf.h"
#include "narthex/base/url.h"

/* The URL and where to say what is wrong with it. */
struct url_verdict {
    struct str url;
    struct strbuf *why;
};

static err_t fail(const struct url_verdict *v, const char *what, struct str part)
{
    strbuf_clear(v->why);
    strbuf_add_cstr(v->why, "parse ");
    url_add_quoted(v->why, v->url);
    strbuf_printf(v->why, ": %s", what);
    if (part.size > 0)
        strbuf_add_quoted(v->why, part);
    return ERR_INVALID;
}

static struct str rest_from(struct str text, size_t at)
{
    return str_from(text.data + at, text.size - at);
}

/* Cuts `text` before the first `c`. */
static struct str before(struct str text, char c)
{
    size_t at = str_find(text, c, 0);
    return str_from(text.data, at == SIZE_MAX ? text.size : at);
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_escape(struct str text, size_t at)
{
    return text.size - at >= 3 && number_hex_digit(text.data[at + 1]) >= 0 &&
           number_hex_digit(text.data[at + 2]) >= 0;
}

static err_t fail_escape(const struct url_verdict *v, struct str text, size_t at)
{
    size_t size = text.size - at < 3 ? text.size - at : 3;
    return fail(v, "invalid URL escape ", str_from(text.data + at, size));
}

static err_t check_escapes(const struct url_verdict *v, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '%' && !is_escape(text, i))
            return fail_escape(v, text, i);
    }
    return OK;
}

static err_t check_user(const struct url_verdict *v, struct str user)
{
    for (size_t i = 0; i < user.size; i++) {
        char c = user.data[i];
        if (!is_alphanumeric(c) && !is_one_of(c, "-._:~!$&'()*+,;=%@"))
            return fail(v, "net/url: invalid userinfo", STR(""));
    }
    return check_escapes(v, user);
}

/* A host may hold escaped bytes that are no ASCII, and the percent sign of an IPv6 zone. */
static err_t check_host_text(const struct url_verdict *v, struct str host)
{
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        if (c == '%') {
            bool is_percent =
                is_escape(host, i) && str_equal(str_from(host.data + i, 3), STR("%25"));
            if (!is_escape(host, i) || (host.data[i + 1] < '8' && !is_percent))
                return fail_escape(v, host, i);
        } else if ((unsigned char)c < 0x80 && !is_alphanumeric(c) &&
                   !is_one_of(c, "-_.~!$&'()*+,;=:[]<>\"")) {
            (void)fail(v, "invalid character ", str_from(&c, 1));
            strbuf_add_cstr(v->why, " in host name");
            return ERR_INVALID;
        }
    }
    return OK;
}

static size_t find_last(struct str text, char c)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != c)
        at--;
    return at == 0 ? SIZE_MAX : at - 1;
}

static bool is_optional_port(struct str text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size == 0 || text.data[0] == ':';
}

static err_t check_host(const struct url_verdict *v, struct str host)
{
    bool bracketed = host.size > 0 && host.data[0] == '[';
    size_t at = find_last(host, bracketed ? ']' : ':');
    if (bracketed && at == SIZE_MAX)
        return fail(v, "missing ']' in host", STR(""));
    struct str port = at == SIZE_MAX ? STR("") : rest_from(host, at + bracketed);
    if (!is_optional_port(port)) {
        (void)fail(v, "invalid port ", port);
        strbuf_add_cstr(v->why, " after host");
        return ERR_INVALID;
    }
    return check_host_text(v, host);
}

static err_t check_authority(const struct url_verdict *v, struct str authority)
{
    size_t at = find_last(authority, '@');
    if (at == SIZE_MAX)
        return check_host(v, authority);
    TRY(check_host(v, rest_from(authority, at + 1)));
    return check_user(v, str_from(authority.data, at));
}

/* Bytes of the scheme; 0: there is none. A colon in front of everything is an error. */
static err_t find_scheme(const struct url_verdict *v, struct str text, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == ':' && i == 0)
            return fail(v, "missing protocol scheme", STR(""));
        if (c == ':') {
            *size = i;
            return OK;
        }
        if (!letter && (i == 0 || !(is_alphanumeric(c) || is_one_of(c, "+-."))))
            return OK;
    }
    return OK;
}

err_t url_check(struct str url, struct strbuf *why)
{
    const struct url_verdict v = {url, why};
    for (size_t i = 0; i < url.size; i++) {
        if ((unsigned char)url.data[i] < 0x20 || url.data[i] == 0x7f)
            return fail(&v, "net/url: invalid control character in URL", STR(""));
    }
    struct str rest = before(url, '#');
    size_t scheme;
    TRY(find_scheme(&v, rest, &scheme));
    if (rest.size < url.size)
        TRY(check_escapes(&v, rest_from(url, rest.size + 1)));
    rest = before(scheme > 0 ? rest_from(rest, scheme + 1) : rest, '?');
    if (!str_starts_with(rest, STR("/"))) {
        if (scheme > 0)
            return OK; /* "mailto:x" */
        if (str_find(before(rest, '/'), ':', 0) != SIZE_MAX)
            return fail(&v, "first path segment in URL cannot contain colon", STR(""));
    }
    bool has_authority =
        str_starts_with(rest, STR("//")) && (scheme > 0 || !str_starts_with(rest, STR("///")));
    if (has_authority) {
        struct str authority = before(rest_from(rest, 2), '/');
        TRY(check_authority(&v, authority));
        rest = rest_from(rest, 2 + authority.size);
    }
    return check_escapes(&v, rest);
}
