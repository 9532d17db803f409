/* http/connections.h: the open connections, and how long each may take to send a request and to
 * take the answer.
 *
 * libmicrohttpd ends connections that are silent; a client that sends or takes a byte now and then
 * would stay for ever. So every connection has a deadline: from its start, or from its last answer,
 * until a request has been read whole, and from the first byte of an answer to the last.
 */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>

#include "narthex/base/metrics.h"
#include "narthex/base/thread.h"
#include "web_guard.h"

struct http_connection {
    struct http_connection *next;
    struct http_connection **link;
    int fd;
    _Atomic int64_t deadline_ns; /* 0: none, a request is being answered */
    struct web_state *tls;       /* what the session uses; NULL without TLS */
};

struct http_connections {
    struct mutex lock;
    struct http_connection *first; /* guarded by lock */
    int64_t read_timeout_ns;
    int64_t send_timeout_ns;
    struct metric *slow_clients; /* those that were ended */
};

void connections__init(struct http_connections *connections, int64_t read_timeout_ns,
                       int64_t send_timeout_ns);
void connections__deinit(struct http_connections *connections);

/* libmicrohttpd's MHD_NotifyConnectionCallback, with the struct http_server as context. */
void connections__notify(void *server, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);
/* A request begins to be read. */
void connections__reading(const struct http_connections *connections,
                          struct MHD_Connection *connection);
/* It has been read whole. */
void connections__working(struct MHD_Connection *connection);
/* While the server makes more of an answer the client is not slow: stops its clock and returns what
 * is left of its time in nanoseconds; starts it again. */
int64_t connections__stop_clock(struct MHD_Connection *connection);
void connections__start_clock(struct MHD_Connection *connection, int64_t left_ns);
/* Its answer is there. */
void connections__sending(const struct http_connections *connections,
                          struct MHD_Connection *connection);
/* Shuts the sockets whose deadline has passed; libmicrohttpd then closes them. */
void connections__end_slow(struct http_connections *connections, int64_t now_ns);
/* Milliseconds between two looks. */
int connections__look_interval_ms(const struct http_connections *connections);
