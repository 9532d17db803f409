/* Reads the answer to a plain HTTP/1.x GET, piece by piece as it comes from the socket.
 *
 * It knows the one shape that scrape targets have: a final status line, fields on one line each, a
 * body by Content-Length, in chunks, or up to the end of the connection. Whatever else is legal,
 * doubtful or broken (interim answers, folded fields, two lengths, other transfer codings, bare
 * control characters, a bad chunk) is called odd: the caller asks again through libcurl, which then
 * says what it is. So a sloppy answer is never understood in two ways.
 *
 * Nothing allocates unless a line is cut in two by the end of a piece. One owner thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/strbuf.h"
#include "narthex/scraper/http_client.h"

enum {
    HTTP_WIRE_HEAD_BYTES_MAX = 64 << 10, /* head, chunk lines and trailer together */
};

enum http_wire_verdict {
    HTTP_WIRE_MORE,    /* the answer goes on */
    HTTP_WIRE_DONE,    /* complete */
    HTTP_WIRE_ODD,     /* not ours to read */
    HTTP_WIRE_REFUSED, /* the owner wants no more of the body */
    HTTP_WIRE_CUT,     /* the connection ended inside the body */
};

enum http_wire_state {
    HTTP_WIRE_STATUS,
    HTTP_WIRE_FIELDS,
    HTTP_WIRE_LENGTH,      /* `left` bytes of body */
    HTTP_WIRE_UNTIL_CLOSE, /* a body without length */
    HTTP_WIRE_CHUNK_SIZE,
    HTTP_WIRE_CHUNK_DATA, /* `left` bytes of a chunk */
    HTTP_WIRE_CHUNK_END,
    HTTP_WIRE_TRAILER,
    HTTP_WIRE_ENDED,
};

struct http_wire_reader {
    struct http_answer *answer; /* borrowed; filled while the head is read */
    /* Takes a piece of the body; false: enough. */
    bool (*on_body)(void *context, const char *data, size_t size);
    void *context;
    enum http_wire_state state;
    bool answered; /* the head is complete */
    bool old;      /* HTTP/1.0 */
    bool chunked;
    bool has_length;
    bool close;      /* the peer ends the connection after this answer */
    bool keep_alive; /* an HTTP/1.0 peer does not */
    uint64_t left;
    size_t head_bytes;
    struct strbuf line; /* the begun line, when a piece ended in it */
};

/* Before every answer; the line buffer is kept. */
void http_wire_reader_start(struct http_wire_reader *reader, struct http_answer *answer,
                            bool (*on_body)(void *context, const char *data, size_t size),
                            void *context);
void http_wire_reader_deinit(struct http_wire_reader *reader);

/* Takes the next piece. After any verdict but HTTP_WIRE_MORE the reader wants no more. */
enum http_wire_verdict http_wire_reader_take(struct http_wire_reader *reader, const char *data,
                                             size_t size);
/* The peer closed the connection: HTTP_WIRE_DONE when that ends the body, HTTP_WIRE_CUT inside a
 * body of known length, HTTP_WIRE_ODD inside the head. */
enum http_wire_verdict http_wire_reader_close(struct http_wire_reader *reader);
/* After HTTP_WIRE_DONE: whether the connection can carry another request. */
bool http_wire_reader_keeps(const struct http_wire_reader *reader);
