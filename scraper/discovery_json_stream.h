/* A stream of JSON in pieces of any size, cut into the values that matter: the elements of the list
 * `items` of one document, or the documents of a stream one after the other. Only one value is held
 * at a time, and no more of it than the limit: the rest of the stream may be endless. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum json_stream_shape {
    JSON_STREAM_LIST,   /* {"metadata":{…},"items":[value,…],…}: once */
    JSON_STREAM_VALUES, /* value value value … */
};

enum {
    JSON_STREAM_KEY_MAX = 64,
    JSON_STREAM_DEPTH_MAX = 256,
    JSON_STREAM_SKIP_FACTOR = 16, /* a value of so many times the limit is taken for endless */
};

struct json_stream {
    enum json_stream_shape shape;
    size_t value_bytes_max;
    /* Takes a whole value; `key` is that of the document, "items" for an element. One longer than
     * value_bytes_max comes empty: its bytes were skipped. An error ends the stream with it. The
     * text lives until the callback returns. */
    err_t (*take)(void *context, struct str key, struct str value, struct strbuf *why);
    void *context;

    struct strbuf value;
    size_t skipped_bytes; /* of a value that is too long; 0: it is not */
    char key[JSON_STREAM_KEY_MAX];
    size_t key_size;
    uint32_t depth; /* open brackets */
    uint32_t state; /* of the cutter */
    bool in_string;
    bool escaped;
    bool in_value; /* one is being collected */
};

void json_stream_init(struct json_stream *stream, enum json_stream_shape shape,
                      size_t value_bytes_max,
                      err_t (*take)(void *context, struct str key, struct str value,
                                    struct strbuf *why),
                      void *context);
void json_stream_deinit(struct json_stream *stream);
/* Begins anew; keeps memory. */
void json_stream_reset(struct json_stream *stream, enum json_stream_shape shape);
/* ERR_INVALID for what cannot be JSON of that shape, ERR_LIMIT for a value that is too long, else
 * what `take` said. The values themselves are not checked: their reader does. */
err_t json_stream_feed(struct json_stream *stream, const char *data, size_t size,
                       struct strbuf *why);
/* At the end of the stream: ERR_INVALID when it stopped inside a value. */
err_t json_stream_finish(const struct json_stream *stream, struct strbuf *why);
