#include "narthex/base/url.h"

#include "narthex/base/strbuf.h"

/* The password in scheme://user:password@host…, a view into `url`; empty if there is none. */
static struct str password_of(struct str url)
{
    size_t scheme = str_find(url, ':', 0);
    if (scheme == SIZE_MAX || scheme + 2 >= url.size || url.data[scheme + 1] != '/' ||
        url.data[scheme + 2] != '/')
        return STR("");
    size_t start = scheme + 3;
    size_t colon = SIZE_MAX, at = SIZE_MAX;
    for (size_t i = start; i < url.size; i++) {
        char c = url.data[i];
        if (c == '/' || c == '?' || c == '#')
            break;
        if (c == ':' && colon == SIZE_MAX)
            colon = i;
        /* The last one: a password may hold others. */
        if (c == '@')
            at = i;
    }
    if (at == SIZE_MAX || colon == SIZE_MAX || colon > at)
        return STR("");
    return str_from(url.data + colon + 1, at - colon - 1);
}

void url_add_masked(struct strbuf *out, struct str url, const char *mask)
{
    struct str password = password_of(url);
    if (password.size == 0) {
        strbuf_add_str(out, url);
        return;
    }
    const char *end = password.data + password.size;
    strbuf_add(out, url.data, (size_t)(password.data - url.data));
    strbuf_add_cstr(out, mask);
    strbuf_add(out, end, (size_t)(url.data + url.size - end));
}

void url_add_quoted(struct strbuf *out, struct str url)
{
    struct strbuf masked = STRBUF_INIT;
    url_add_masked(&masked, url, "***");
    strbuf_add_quoted(out, strbuf_str(&masked));
    strbuf_deinit(&masked);
}
