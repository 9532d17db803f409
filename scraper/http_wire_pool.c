#include "http_wire_pool.h"

#include <assert.h>
#include <unistd.h>

#include "narthex/base/hash.h"
#include "narthex/base/vec.h"

static const int64_t idle_ns_max = INT64_C(300000000000); /* as Prometheus' transport has it */

void http_wire_pool_init(struct http_wire_pool *pool)
{
    *pool = (struct http_wire_pool){0};
    htable_init(&pool->table, MEM_SCRAPE);
}

void http_wire_pool_deinit(struct http_wire_pool *pool)
{
    assert(pool->endpoint_count == 0);
    htable_deinit(&pool->table);
    mem_free(MEM_SCRAPE, pool->endpoints);
    mem_free(MEM_SCRAPE, pool->wires);
}

/* ---- endpoints ---- */

static bool is_of_authority(const void *owner, uint32_t item, const void *key)
{
    const struct http_wire_pool *pool = owner;
    const struct str *authority = key;
    return str_equal(pool->endpoints[item]->authority, *authority);
}

struct http_endpoint *http_wire_pool_hold(struct http_wire_pool *pool, struct str authority)
{
    uint64_t hash = hash_xxh64(authority.data, authority.size);
    uint32_t number = htable_find(&pool->table, hash, is_of_authority, pool, &authority);
    if (number != HTABLE_NONE) {
        pool->endpoints[number]->users++;
        return pool->endpoints[number];
    }
    struct http_endpoint *endpoint = MEM_NEW(MEM_SCRAPE, struct http_endpoint);
    endpoint->authority =
        str_from(mem_dup(MEM_SCRAPE, authority.data, authority.size), authority.size);
    endpoint->hash = hash;
    endpoint->users = 1;
    endpoint->number = pool->endpoint_count;
    VEC_PUSH(MEM_SCRAPE, pool->endpoints, pool->endpoint_count, pool->endpoint_capacity, endpoint);
    htable_insert(&pool->table, hash, endpoint->number);
    return endpoint;
}

void http_wire_pool_release(struct http_wire_pool *pool, struct http_endpoint *endpoint)
{
    assert(endpoint->users > 0);
    if (--endpoint->users > 0)
        return;
    while (endpoint->idle_first != NULL)
        http_wire_close(pool, endpoint->idle_first);
    htable_remove(&pool->table, endpoint->hash, endpoint->number);
    struct http_endpoint *last = pool->endpoints[--pool->endpoint_count];
    if (last != endpoint) {
        htable_remove(&pool->table, last->hash, last->number);
        last->number = endpoint->number;
        pool->endpoints[last->number] = last;
        htable_insert(&pool->table, last->hash, last->number);
    }
    mem_free(MEM_SCRAPE, (char *)(uintptr_t)endpoint->authority.data);
    mem_free(MEM_SCRAPE, endpoint);
}

/* ---- connections ---- */

struct http_wire *http_wire_open(struct http_wire_pool *pool, struct http_endpoint *endpoint,
                                 int fd)
{
    assert(fd >= 0);
    uint32_t before = pool->wire_capacity;
    VEC_RESERVE(MEM_SCRAPE, pool->wires, pool->wire_capacity, fd + 1);
    for (uint32_t i = before; i < pool->wire_capacity; i++)
        pool->wires[i] = NULL;
    assert(pool->wires[fd] == NULL);
    struct http_wire *wire = MEM_NEW(MEM_SCRAPE, struct http_wire);
    wire->fd = fd;
    wire->endpoint = endpoint;
    pool->wires[fd] = wire;
    return wire;
}

struct http_wire *http_wire_find(const struct http_wire_pool *pool, int fd)
{
    return fd >= 0 && (uint32_t)fd < pool->wire_capacity ? pool->wires[fd] : NULL;
}

static bool is_idle(const struct http_wire *wire)
{
    return wire->previous != NULL || wire->endpoint->idle_first == wire;
}

static void unlink_idle(struct http_wire *wire)
{
    struct http_endpoint *endpoint = wire->endpoint;
    if (wire->previous != NULL)
        wire->previous->next = wire->next;
    else
        endpoint->idle_first = wire->next;
    if (wire->next != NULL)
        wire->next->previous = wire->previous;
    else
        endpoint->idle_last = wire->previous;
    wire->next = NULL;
    wire->previous = NULL;
}

void http_wire_close(struct http_wire_pool *pool, struct http_wire *wire)
{
    if (is_idle(wire))
        unlink_idle(wire);
    pool->wires[wire->fd] = NULL;
    close(wire->fd);
    mem_free(MEM_SCRAPE, wire);
}

struct http_wire *http_wire_take(struct http_wire_pool *pool, struct http_endpoint *endpoint,
                                 int64_t now_ns)
{
    struct http_wire *wire = endpoint->idle_first;
    if (wire == NULL)
        return NULL;
    if (now_ns - wire->idle_since_ns > idle_ns_max) {
        /* The others have been idle for longer still. */
        while (endpoint->idle_first != NULL)
            http_wire_close(pool, endpoint->idle_first);
        return NULL;
    }
    unlink_idle(wire);
    return wire;
}

void http_wire_keep(struct http_wire *wire, int64_t now_ns)
{
    struct http_endpoint *endpoint = wire->endpoint;
    assert(!is_idle(wire));
    wire->kept = true;
    wire->user = NULL;
    wire->idle_since_ns = now_ns;
    wire->next = endpoint->idle_first;
    if (wire->next != NULL)
        wire->next->previous = wire;
    else
        endpoint->idle_last = wire;
    endpoint->idle_first = wire;
}

void http_wire_pool_reap(struct http_wire_pool *pool, int64_t now_ns)
{
    for (uint32_t i = 0; i < pool->endpoint_count; i++) {
        struct http_endpoint *endpoint = pool->endpoints[i];
        while (endpoint->idle_last != NULL &&
               now_ns - endpoint->idle_last->idle_since_ns > idle_ns_max)
            http_wire_close(pool, endpoint->idle_last);
    }
}
