/* http/exchange.h: a request on its way through libmicrohttpd, the workers and back. */
#pragma once

#include <microhttpd.h>

#include "connections.h"
#include "listen.h"
#include "narthex/base/thread.h"
#include "quick_queries.h"
#include "request.h"
#include "web_guard.h"

enum {
    HTTP_BODY_BYTES_MAX = 32 * 1024 * 1024,
    HTTP_BODIES_BYTES_MAX = 256 * 1024 * 1024, /* of all requests being read */
    HTTP_QUEUE_MAX = 1000,
    HTTP_LISTENERS_MAX = 16,
};

enum exchange_state {
    EXCHANGE_HEADERS, /* the access handler has not been called yet */
    EXCHANGE_BODY,    /* collecting a body */
    EXCHANGE_WAITING, /* suspended, on or before a worker */
    EXCHANGE_DONE,    /* the answer is there */
    EXCHANGE_STREAM,  /* the answer is on its way, bit by bit */
};

struct http_exchange {
    struct http_request request;
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route;
    enum exchange_state state;
    bool body_too_large;
    bool uploads;  /* the body goes to a file */
    bool has_cors; /* the answer carries the headers of CORS */
    bool too_many_bodies;
    bool unproven; /* the password must be hashed before anything else */
    struct web_state *web;
    struct strbuf uri; /* raw request target */
    struct strbuf body;
    char *upload_path; /* in the request's arena; NULL: the body is not written to a file */
    int upload_file;
    int upload_errno; /* 0: all of it was written */
    int64_t started_ns;
    uint64_t serial;                   /* names the exchange to the hang-up watcher */
    struct http_exchange *next;        /* in the queue */
    struct http_exchange *active_next; /* in the list of suspended ones */
    struct http_exchange **active_link;
};

struct http_worker {
    struct http_work *work;
    struct thread thread;
    struct cond wake;
    /* guarded by the work's lock */
    struct http_worker *idle_next;
    bool idle;
};

struct http_work {
    struct mutex lock;
    /* guarded by lock */
    struct http_exchange *first;
    struct http_exchange **last;
    struct http_worker *idle; /* the one that slept last comes first: its memory is in the cache */
    uint32_t queued;
    bool stopping;
    struct http_exchange *active; /* all exchanges on workers and all streams */
    uint64_t next_serial;
    /* constant while running */
    struct http_worker *workers;
    uint32_t worker_count;
    struct thread watcher;
    int epoll_fd;
    int stop_fd; /* eventfd that ends the watcher */
};

struct http_server {
    struct http_server_options options;
    struct http_services *services;
    struct MHD_Daemon *daemons[HTTP_LISTENERS_MAX];
    struct listener listeners[HTTP_LISTENERS_MAX]; /* of the daemons */
    size_t daemon_count;
    uint16_t port;
    struct str route_prefix; /* "" or "/p", no slash at the end */
    struct regex *cors_origin;
    struct http_work work;
    struct web_guard *guard; /* NULL: no web configuration */
    struct http_connections connections;
    atomic_size_t body_bytes; /* held by requests */
    atomic_size_t held_bytes; /* about, by answers whose parts were made at once */
    struct quick_queries quick;
    struct metric_family *requests_total;
    struct metric_family *request_duration;
    struct metric_family *response_size;
    struct metric *refused_for_memory;
    struct metric *connections_accepted;
    struct metric *connections_closed;
    struct metric_family *scrapes_total; /* of /metrics */
    struct arena arena;                  /* strings of the server's life */
};

/* exchange.c */
void *exchange__begin(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange__access(void *server, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_size, void **context);
void exchange__end(void *server, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code);
/* Runs the route's handler and finishes the answer's headers. */
void exchange__run(struct http_exchange *exchange);

/* upload.c */
/* Whether the body goes to a file; known when the head of the request is. */
bool upload__wanted(const struct http_exchange *exchange);
void upload__begin(struct http_exchange *exchange);
void upload__add(struct http_exchange *exchange, const char *data, size_t size);
/* False: it could not be written, and the request is answered. */
bool upload__is_whole(struct http_exchange *exchange);
void upload__end(struct http_exchange *exchange);

/* workers.c */
void workers__start(struct http_server *server, uint32_t count);
/* Cancels what runs, answers what waits, ends the threads. */
void workers__stop(struct http_server *server);
/* After the last exchange has ended. */
void workers__deinit(struct http_server *server);
/* Suspends the connection and queues the exchange; false when the queue is full. */
bool workers__submit(struct http_exchange *exchange);
/* The same for the next block of an answer in pieces, which is never too many: its request was let
 * in before. False when the server stops. */
bool workers__submit_piece(struct http_exchange *exchange);

/* Lets the answer's stream know when the client leaves; until workers__unwatch_stream. */
void workers__watch_stream(struct http_exchange *exchange);
void workers__unwatch_stream(struct http_exchange *exchange);

/* compress.c: replaces the body by its gzip or zlib form when the client takes it. */
void compress__body(struct http_request *request);
/* For a body in pieces, with the headers; NULL when the client takes no compressed form. */
struct compress_stream;
struct compress_stream *compress__stream_open(struct http_request *request);
/* Appends to `out` what the piece, less than 4 GiB, adds to the compressed body, if anything yet.
 */
void compress__stream_add(struct compress_stream *stream, struct str piece, bool is_last,
                          struct strbuf *out);
void compress__stream_close(struct compress_stream *stream); /* may be NULL */

/* answer_blocks.c: an answer whose parts are made at once and sent with its length, without
 * copying them together. */
struct answer_blocks;
/* Makes all parts of the answer and closes its pieces. False, and nothing is done, if it has none,
 * or would be longer than may be held. */
bool answer_blocks__make(struct http_exchange *exchange);
uint64_t answer_blocks__bytes(const struct answer_blocks *self);
/* Hands the blocks over to the response; NULL: they stay the caller's. */
struct MHD_Response *answer_blocks__respond(struct answer_blocks *self);
void answer_blocks__destroy(struct answer_blocks *self); /* may be NULL */

/* answer_stream.c: makes the answer's stream of its body and its pieces. */
/* Takes `zip` over; NULL: the body is sent as it is made. */
void answer_stream__begin(struct http_exchange *exchange, struct compress_stream *zip);
/* Makes the next block, on a worker. */
void answer_stream__fill(struct http_exchange *exchange);
/* Bytes that were sent so far. */
uint64_t answer_stream__bytes(const struct http_exchange *exchange);
