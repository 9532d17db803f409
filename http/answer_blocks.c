/* Long answers whose parts can be made in any order: all of them at once, on all cores, then sent
 * with their length in one go. Clients read that with half the work that chunks are, and nothing is
 * copied. It holds the whole answer, so both one answer and all together have a bound. */
#include "exchange.h"

struct answer_blocks {
    struct http_server *server;
    size_t held_bytes;
    const struct http_pieces *pieces; /* while they are made */
    size_t count;
    uint64_t bytes;
    struct strbuf *blocks;
};

static bool take_room(struct http_server *server, size_t bytes)
{
    if (bytes > HTTP_HELD_BYTES_MAX || mem_pressure() != MEM_PLENTY)
        return false;
    /* relaxed: a sum to compare with, nothing hangs on its order */
    size_t before = atomic_fetch_add_explicit(&server->held_bytes, bytes, memory_order_relaxed);
    if (before + bytes <= HTTP_HELD_ALL_BYTES_MAX)
        return true;
    atomic_fetch_sub_explicit(&server->held_bytes, bytes, memory_order_relaxed);
    return false;
}

static void make_one(void *context, uint32_t index)
{
    struct answer_blocks *self = context;
    self->pieces->make(self->pieces->context, index, &self->blocks[index]);
}

bool answer_blocks__make(struct http_exchange *exchange)
{
    struct http_response *response = &exchange->request.response;
    struct http_pieces *pieces = &response->pieces;
    if (pieces->make == NULL || !take_room(exchange->server, pieces->bytes_about))
        return false;
    struct answer_blocks *self = MEM_NEW(MEM_HTTP, struct answer_blocks);
    self->server = exchange->server;
    self->held_bytes = pieces->bytes_about;
    self->pieces = pieces;
    self->count = pieces->part_count;
    self->blocks = MEM_NEW_ARRAY(MEM_HTTP, struct strbuf, self->count);
    query_engine_help(exchange->request.services->engine, (uint32_t)self->count, make_one, self);
    for (size_t i = 0; i < self->count; i++)
        self->bytes += self->blocks[i].size;
    pieces->close(pieces->context);
    *pieces = (struct http_pieces){0};
    response->blocks = self;
    return true;
}

uint64_t answer_blocks__bytes(const struct answer_blocks *self)
{
    return self->bytes;
}

void answer_blocks__destroy(struct answer_blocks *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++)
        strbuf_deinit(&self->blocks[i]);
    mem_free(MEM_HTTP, self->blocks);
    atomic_fetch_sub_explicit(&self->server->held_bytes, self->held_bytes, memory_order_relaxed);
    mem_free(MEM_HTTP, self);
}

static void destroy(void *self)
{
    answer_blocks__destroy(self);
}

struct MHD_Response *answer_blocks__respond(struct answer_blocks *self)
{
    struct MHD_IoVec *pieces = MEM_NEW_ARRAY(MEM_HTTP, struct MHD_IoVec, self->count);
    for (size_t i = 0; i < self->count; i++)
        pieces[i] = (struct MHD_IoVec){self->blocks[i].data, self->blocks[i].size};
    struct MHD_Response *response =
        MHD_create_response_from_iovec(pieces, (unsigned)self->count, destroy, self);
    mem_free(MEM_HTTP, pieces);
    return response;
}
