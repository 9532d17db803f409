/* Bodies in pieces: each is made, and compressed, on a worker while the connection is suspended;
 * libmicrohttpd's thread then sends it and asks for the next. Workers never wait for clients. */
#include "exchange.h"

enum {
    SEND_BYTES_MIN = 64 * 1024, /* compressed pieces are gathered up to this */
    MADE_BLOCKS_MAX = 4,        /* parts that are made at once */
};

struct answer_stream {
    struct http_exchange *exchange;
    struct compress_stream *zip; /* NULL: sent as it is made */
    struct strbuf made[MADE_BLOCKS_MAX];
    struct strbuf packed;        /* with zip: what the made ones become */
    const struct strbuf *blocks; /* what is sent now: `made` or `packed` */
    size_t block_count;
    size_t block; /* the one that libmicrohttpd reads */
    size_t given; /* bytes of it that it has */
    uint64_t given_in_all;
    size_t next_part;
    bool is_last;
    int64_t left_ns; /* of the client's time, while a block is made */
};

static ptrdiff_t read_block(void *context, char *to, size_t size)
{
    struct answer_stream *self = context;
    size_t copied = 0;
    while (copied < size && self->block < self->block_count) {
        const struct strbuf *block = &self->blocks[self->block];
        size_t left = block->size - self->given;
        size_t count = left < size - copied ? left : size - copied;
        memcpy(to + copied, block->data + self->given, count);
        copied += count;
        self->given += count;
        self->given_in_all += count;
        if (count == left) {
            self->block++;
            self->given = 0;
        }
    }
    if (copied > 0)
        return (ptrdiff_t)copied;
    if (self->is_last)
        return HTTP_STREAM_END;
    /* relaxed: the flag stands alone */
    bool is_gone = atomic_load_explicit(&self->exchange->request.cancel, memory_order_relaxed);
    self->left_ns = connections__stop_clock(self->exchange->connection);
    return is_gone || !workers__submit_piece(self->exchange) ? HTTP_STREAM_BROKEN : 0;
}

/* The cancel flag is set already, and read when the next piece is asked for. */
static void hang_up(void *context)
{
    (void)context;
}

static void close_stream(void *context)
{
    struct answer_stream *self = context;
    struct http_pieces *pieces = &self->exchange->request.response.pieces;
    pieces->close(pieces->context);
    compress__stream_close(self->zip);
    for (size_t i = 0; i < MADE_BLOCKS_MAX; i++)
        strbuf_deinit(&self->made[i]);
    strbuf_deinit(&self->packed);
    mem_free(MEM_HTTP, self);
}

static void make_one(void *context, uint32_t index)
{
    struct answer_stream *self = context;
    const struct http_pieces *pieces = &self->exchange->request.response.pieces;
    pieces->make(pieces->context, self->next_part + index, &self->made[index]);
}

/* The next piece, or the next parts, several at once; returns how many blocks they fill. */
static size_t make_more(struct answer_stream *self)
{
    const struct http_request *request = &self->exchange->request;
    const struct http_pieces *pieces = &request->response.pieces;
    for (size_t i = 0; i < MADE_BLOCKS_MAX; i++)
        strbuf_clear(&self->made[i]);
    if (pieces->make == NULL) {
        self->is_last = !pieces->next(pieces->context, &self->made[0]);
        return 1;
    }
    size_t left = pieces->part_count - self->next_part;
    size_t count = left < MADE_BLOCKS_MAX ? left : MADE_BLOCKS_MAX;
    query_engine_help(request->services->engine, (uint32_t)count, make_one, self);
    self->next_part += count;
    self->is_last = count == left;
    return count;
}

static void fill(struct answer_stream *self)
{
    self->block = 0;
    if (self->zip == NULL) {
        self->block_count = make_more(self);
        return;
    }
    while (!self->is_last && self->packed.size < SEND_BYTES_MIN) {
        size_t count = make_more(self);
        for (size_t i = 0; i < count; i++)
            compress__stream_add(self->zip, strbuf_str(&self->made[i]),
                                 self->is_last && i + 1 == count, &self->packed);
    }
}

struct measurement {
    const struct http_pieces *pieces;
    _Atomic uint64_t bytes; /* relaxed: a sum, read when all are done */
};

static void measure_one(void *context, uint32_t index)
{
    struct measurement *self = context;
    size_t size = self->pieces->measure(self->pieces->context, index);
    atomic_fetch_add_explicit(&self->bytes, size, memory_order_relaxed);
}

/* The length of a body that is made of parts alone. Clients take half as long for what comes with
 * its length as for chunks, which is more than measuring takes; 0: not known. */
static uint64_t measure(const struct http_request *request)
{
    const struct http_pieces *pieces = &request->response.pieces;
    struct measurement measurement = {.pieces = pieces};
    if (pieces->make != NULL)
        query_engine_help(request->services->engine, (uint32_t)pieces->part_count, measure_one,
                          &measurement);
    return measurement.bytes;
}

void answer_stream__begin(struct http_exchange *exchange, struct compress_stream *zip)
{
    struct http_response *response = &exchange->request.response;
    struct answer_stream *self = MEM_NEW(MEM_HTTP, struct answer_stream);
    self->exchange = exchange;
    self->zip = zip;
    self->blocks = zip == NULL ? self->made : &self->packed;
    self->block_count = 1;
    if (zip == NULL && response->body.size > 0) {
        self->made[0] = response->body;
        response->body = (struct strbuf)STRBUF_INIT;
    } else {
        if (zip != NULL)
            compress__stream_add(zip, strbuf_str(&response->body), false, &self->packed);
        strbuf_deinit(&response->body);
        fill(self);
    }
    response->stream = (struct http_stream){.read = read_block,
                                            .hang_up = hang_up,
                                            .close = close_stream,
                                            .context = self,
                                            .size = zip == NULL ? measure(&exchange->request) : 0};
}

void answer_stream__fill(struct http_exchange *exchange)
{
    struct answer_stream *self = exchange->request.response.stream.context;
    strbuf_clear(&self->packed);
    fill(self);
    connections__start_clock(exchange->connection, self->left_ns);
}

uint64_t answer_stream__bytes(const struct http_exchange *exchange)
{
    const struct answer_stream *self = exchange->request.response.stream.context;
    return self->given_in_all;
}
