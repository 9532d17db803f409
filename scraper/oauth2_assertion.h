/* The signed assertion of OAuth2's JWT bearer grant (RFC 7523). */
#pragma once

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/scraper/http_config.h"

#define OAUTH2_GRANT_JWT_BEARER "urn:ietf:params:oauth:grant-type:jwt-bearer"

/* Appends the scopes, separated by blanks. */
void oauth2_scopes_write(const struct oauth2_config *config, struct strbuf *out);
/* Whether the section asks for this grant. */
bool oauth2_uses_assertion(const struct oauth2_config *config);
/* ERR_INVALID when no assertion can come of the section: unknown algorithm, secret reference. */
err_t oauth2_assertion_check(const struct oauth2_config *config, struct strbuf *why);
/* Appends a new assertion, good for an hour from now_s (Unix time, seconds). The key is read again
 * each time. Any thread. */
err_t oauth2_assertion_write(const struct oauth2_config *config, int64_t now_s, struct strbuf *out,
                             struct strbuf *why);
