/* http/web_guard.h: who may ask: the web configuration at work.
 *
 * The file is looked at again on every request and handshake, as Prometheus does; it is read anew
 * when it or a certificate it names has changed. What is fixed when the server starts: whether
 * there is TLS at all, and the rate limit.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "narthex/base/err.h"
#include "narthex/config/web_config.h"

struct web_guard;

/* One reading of the file, counted by its users. */
struct web_state;

enum web_verdict {
    WEB_ADMIT,
    WEB_DENY, /* 401 */
    WEB_ASK,  /* the password must be hashed first: web_guard_verify, away from network threads */
};

/* `path` NULL or "": everybody is admitted and *guard is NULL, which every call takes. Errors are
 * those of web_config_load and web_tls_create. */
err_t web_guard_create(const char *path, struct web_guard **guard, struct strbuf *why);
void web_guard_destroy(struct web_guard *guard);
bool web_guard_has_tls(const struct web_guard *guard);

/* The present state, NULL without a guard; give it back. Its config is NULL while the file is
 * broken. Any thread. */
struct web_state *web_guard_pin(struct web_guard *guard);
void web_state_unpin(struct web_state *state);
/* NULL: the file is broken, answer 500. */
const struct web_config *web_state_config(const struct web_state *state);
/* Prepares the handshake; false: it must fail. The state must stay pinned while the session lives.
 */
bool web_state_open_session(struct web_state *state, gnutls_session_t session);

/* Takes one token of the rate limit; false: 429. */
bool web_guard_take_token(struct web_guard *guard, int64_t now_ns);
/* `authorization`: the header's value, may be empty. Never slow. */
enum web_verdict web_guard_judge(struct web_guard *guard, const struct web_config *config,
                                 struct str authorization);
/* Hashes the password; remembers the outcome. Takes tens of milliseconds, one caller at a time. */
bool web_guard_verify(struct web_guard *guard, const struct web_config *config,
                      struct str authorization);
