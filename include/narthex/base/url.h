/* base/url.h: what must not be shown of a URL, and whether a text is one. */
#pragma once

#include "narthex/base/err.h"
#include "narthex/base/str.h"

struct strbuf;
/* Appends the URL with `mask` in place of its password. */
void url_add_masked(struct strbuf *out, struct str url, const char *mask);
/* The URL as Go's messages show it: quoted, with *** for its password. */
void url_add_quoted(struct strbuf *out, struct str url);
/* ERR_INVALID with the text of Go's url.Parse, the password masked: `parse "::x": missing protocol
 * scheme`. */
err_t url_check(struct str url, struct strbuf *why);
