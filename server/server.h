/* server/server.h: the running server: its parts, their order of starting and stopping, reloading.
 */
#pragma once

#include "flags.h"
#include "narthex/base/err.h"

struct server;

/* Opens everything in order: configuration, HTTP (not ready), database, engine, scraper, ready.
 * ERR_INVALID: the configuration or a flag is at fault (exit status 2). */
err_t server_start(const struct server_flags *flags, struct server **server, struct strbuf *why);
/* Flushes and ends; the data is safe when it returns. */
void server_stop(struct server *server);
/* Returns once the storage has let a short look at it through; a server that hangs does not. */
void server_check(struct server *server);
/* SIGHUP, /-/reload and auto-reload. */
err_t server_reload(struct server *server, struct strbuf *why);
