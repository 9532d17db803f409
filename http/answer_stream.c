/* Bodies in pieces: each is made, and compressed, on a worker while the connection is suspended;
 * libmicrohttpd's thread then sends it and asks for the next. Workers never wait for clients. */
#include "exchange.h"

enum { SEND_BYTES_MIN = 64 * 1024 }; /* compressed pieces are gathered up to this */

struct answer_stream {
    struct http_exchange *exchange;
    struct compress_stream *zip; /* NULL: sent as it is made */
    struct strbuf block;         /* what is sent now */
    size_t given;                /* bytes of it that libmicrohttpd has */
    uint64_t given_before;       /* bytes of the blocks before */
    bool is_last;
    int64_t left_ns; /* of the client's time, while a block is made */
};

static ptrdiff_t read_block(void *context, char *to, size_t size)
{
    struct answer_stream *self = context;
    size_t left = self->block.size - self->given;
    if (left > 0) {
        size_t count = left < size ? left : size;
        memcpy(to, self->block.data + self->given, count);
        self->given += count;
        return (ptrdiff_t)count;
    }
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
    strbuf_deinit(&self->block);
    mem_free(MEM_HTTP, self);
}

static void fill(struct answer_stream *self, struct strbuf *begun)
{
    struct http_pieces *pieces = &self->exchange->request.response.pieces;
    self->given_before += self->given;
    self->given = 0;
    strbuf_clear(&self->block);
    if (self->zip == NULL) {
        self->is_last = !pieces->next(pieces->context, &self->block);
        return;
    }
    struct strbuf piece = STRBUF_INIT;
    if (begun != NULL)
        compress__stream_add(self->zip, strbuf_str(begun), false, &self->block);
    while (!self->is_last && self->block.size < SEND_BYTES_MIN) {
        strbuf_clear(&piece);
        self->is_last = !pieces->next(pieces->context, &piece);
        compress__stream_add(self->zip, strbuf_str(&piece), self->is_last, &self->block);
    }
    strbuf_deinit(&piece);
}

void answer_stream__begin(struct http_exchange *exchange, bool may_zip)
{
    struct http_response *response = &exchange->request.response;
    struct answer_stream *self = MEM_NEW(MEM_HTTP, struct answer_stream);
    self->exchange = exchange;
    if (may_zip)
        self->zip = compress__stream_open(&exchange->request);
    if (self->zip != NULL) {
        fill(self, &response->body);
        strbuf_deinit(&response->body);
    } else {
        self->block = response->body;
        response->body = (struct strbuf)STRBUF_INIT;
    }
    response->stream = (struct http_stream){read_block, hang_up, close_stream, self};
}

void answer_stream__fill(struct http_exchange *exchange)
{
    struct answer_stream *self = exchange->request.response.stream.context;
    fill(self, NULL);
    connections__start_clock(exchange->connection, self->left_ns);
}

uint64_t answer_stream__bytes(const struct http_exchange *exchange)
{
    const struct answer_stream *self = exchange->request.response.stream.context;
    return self->given_before + self->given;
}
