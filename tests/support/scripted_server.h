/* scripted_server.h: a scripted HTTP server for tests: a thread on a loopback port of the system's
 * choice. Each connection is handled by the test's function on a thread of its own, so that one may
 * hang while others answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"

struct http_server;

/* One request: the head as received, NUL-terminated. */
struct http_server_request {
    int fd;
    char head[16384];
    const char *path; /* in `head`; with the query */
    struct http_server *server;
};

/* Answers a request; returns false to close the connection. */
typedef bool (*http_server_handler)(void *context, struct http_server_request *request);

struct http_server *http_server_start(http_server_handler handler, void *context);
/* Shuts all connections and joins all threads. */
void http_server_stop(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);

/* A socket with a port of loopback on which nobody listens: connections are refused, and the port
 * is nobody else's until the caller closes the socket. */
int http_refusing_socket(uint16_t *port);

/* Sends everything; false when the peer is gone. */
bool http_server_send(struct http_server_request *request, const void *data, size_t size);
/* A whole answer with Content-Length; headers are lines ended by \r\n. */
bool http_server_answer(struct http_server_request *request, const char *status,
                        const char *headers, struct str body);
/* Blocks until the peer closes or the server stops. */
void http_server_hang(struct http_server_request *request);
