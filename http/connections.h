/* http/connections.h: the open connections, and how long each may take to send a request.
 *
 * libmicrohttpd ends connections that are silent; a client that sends a byte now and then would
 * stay for ever. So every connection has a deadline from its start, or from its last answer, until
 * a request has been read whole.
 */
#pragma once

#include <microhttpd.h>

#include "narthex/base/thread.h"
#include "web_guard.h"

struct http_connection {
    struct http_connection *next;
    struct http_connection **link;
    int fd;
    int64_t reading_since_ns; /* 0: a request is being answered */
    struct web_state *tls;    /* what the session uses; NULL without TLS */
};

struct http_connections {
    struct mutex lock;
    struct http_connection *first; /* guarded by lock */
    int64_t read_timeout_ns;
};

void connections__init(struct http_connections *connections, int64_t read_timeout_ns);
void connections__deinit(struct http_connections *connections);

/* libmicrohttpd's MHD_NotifyConnectionCallback, with the struct http_server as context. */
void connections__notify(void *server, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);
/* A request begins to be read, or has been read whole. */
void connections__reading(struct http_connections *connections, struct MHD_Connection *connection,
                          bool reading);
/* Shuts the sockets whose deadline has passed; libmicrohttpd then closes them. */
void connections__end_slow(struct http_connections *connections, int64_t now_ns);
/* Milliseconds between two looks. */
int connections__look_interval_ms(const struct http_connections *connections);
