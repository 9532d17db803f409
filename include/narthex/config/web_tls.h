/* config/web_tls.h: TLS of the server as its web configuration says, made for GnuTLS.
 *
 * A struct web_tls is immutable; any number of sessions of any threads may use it at the same time.
 * It must live until the last session it was applied to has ended.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "narthex/config/web_config.h"

struct web_tls;

/* Reads certificates and keys and checks the settings. ERR_INVALID with Prometheus' text where it
 * has one ("missing one of cert or cert_file", "invalid ClientAuth: …", …). `config` must outlive
 * the result. */
err_t web_tls_create(const struct web_tls_config *config, struct web_tls **tls, struct strbuf *why);
void web_tls_destroy(struct web_tls *tls);

/* Sets up a fresh server session: versions, suites, groups, certificate, what the client must show.
 * False when GnuTLS refuses; the session must not be used then. */
bool web_tls_apply(struct web_tls *tls, gnutls_session_t session);

/* Whether Go's name of a cipher suite or curve is one that can be configured. */
bool web_tls_has_cipher(struct str name);
bool web_tls_has_curve(struct str name);
