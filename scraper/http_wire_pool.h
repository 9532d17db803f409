/* Kept plain connections of one shard, by host and port: what a scrape leaves open, the next one to
 * the same endpoint takes, the latest first. A few hundred bytes an endpoint, where a connection in
 * curl's cache takes some thousands. One owner thread; descriptors are watched by the caller's
 * epoll. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/htable.h"
#include "narthex/base/str.h"

struct http_wire {
    int fd;
    bool kept; /* has carried an answer before: the peer may have closed it meanwhile */
    struct http_endpoint *endpoint;
    void *user; /* whose answer is awaited; NULL while idle */
    int64_t idle_since_ns;
    struct http_wire *next, *previous; /* idle ones of the endpoint, the latest first */
};

struct http_endpoint {
    struct str authority; /* owned */
    uint64_t hash;
    uint32_t number; /* in the pool */
    uint32_t users;  /* targets that hold it */
    struct http_wire *idle_first, *idle_last;
};

struct http_wire_pool {
    struct htable table; /* authority -> endpoint number */
    struct http_endpoint **endpoints;
    uint32_t endpoint_count;
    uint32_t endpoint_capacity;
    struct http_wire **wires; /* by descriptor; NULL: not ours */
    uint32_t wire_capacity;
};

void http_wire_pool_init(struct http_wire_pool *pool);
/* No endpoint has users any more. */
void http_wire_pool_deinit(struct http_wire_pool *pool);

/* Both once a target. The last release closes the endpoint's idle connections. */
struct http_endpoint *http_wire_pool_hold(struct http_wire_pool *pool, struct str authority);
void http_wire_pool_release(struct http_wire_pool *pool, struct http_endpoint *endpoint);

/* Makes a connection of a connected, non-blocking descriptor, which it then owns. */
struct http_wire *http_wire_open(struct http_wire_pool *pool, struct http_endpoint *endpoint,
                                 int fd);
/* Idle or not. Closing takes the descriptor out of every epoll. */
void http_wire_close(struct http_wire_pool *pool, struct http_wire *wire);
/* The connection of a descriptor, or NULL. */
struct http_wire *http_wire_find(const struct http_wire_pool *pool, int fd);
/* The idle connection used last, or NULL; one idle for longer than the keep-alive time is closed
 * instead. */
struct http_wire *http_wire_take(struct http_wire_pool *pool, struct http_endpoint *endpoint,
                                 int64_t now_ns);
/* Gives it back, fit for another request. */
void http_wire_keep(struct http_wire *wire, int64_t now_ns);
/* Closes what has been idle for too long. */
void http_wire_pool_reap(struct http_wire_pool *pool, int64_t now_ns);
