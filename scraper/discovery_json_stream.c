#include "discovery_json_stream.h"

#include <string.h>

/* Where the cutter is. A document of the shape LIST:
 *
 *     START { KEY "key" COLON : VALUE value AFTER , KEY … } DONE
 *                               VALUE [ ITEM value AFTER_ITEM , ITEM … ] AFTER   when key is
 * "items"
 *
 * and of the shape VALUES: START value START value … */
enum {
    AT_START,
    AT_FIRST_KEY,
    AT_KEY,
    IN_KEY,
    AT_COLON,
    AT_VALUE,
    AFTER_VALUE,
    AT_FIRST_ITEM,
    AT_ITEM,
    AFTER_ITEM,
    AT_END,
};

void json_stream_init(struct json_stream *stream, enum json_stream_shape shape,
                      size_t value_bytes_max,
                      err_t (*take)(void *context, struct str key, struct str value,
                                    struct strbuf *why),
                      void *context)
{
    *stream = (struct json_stream){
        .shape = shape, .value_bytes_max = value_bytes_max, .take = take, .context = context};
}

void json_stream_deinit(struct json_stream *stream)
{
    strbuf_deinit(&stream->value);
}

void json_stream_reset(struct json_stream *stream, enum json_stream_shape shape)
{
    struct strbuf value = stream->value;
    strbuf_clear(&value);
    json_stream_init(stream, shape, stream->value_bytes_max, stream->take, stream->context);
    stream->value = value;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool ends_scalar(char c)
{
    return is_blank(c) || c == ',' || c == '}' || c == ']';
}

static err_t misplaced(char c, struct strbuf *why)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "json: unexpected ");
    strbuf_add_quoted(why, str_from(&c, 1));
    return ERR_INVALID;
}

static err_t add_piece(struct json_stream *stream, const char *data, size_t size,
                       struct strbuf *why)
{
    if (stream->skipped_bytes == 0 && stream->value.size + size <= stream->value_bytes_max) {
        strbuf_add(&stream->value, data, size);
        return OK;
    }
    stream->skipped_bytes += stream->value.size + size;
    strbuf_clear(&stream->value);
    if (stream->skipped_bytes / JSON_STREAM_SKIP_FACTOR > stream->value_bytes_max)
        return err_fail(why, ERR_LIMIT, "json: a value of more than %zu bytes",
                        stream->value_bytes_max * JSON_STREAM_SKIP_FACTOR);
    return OK;
}

static uint32_t state_after(const struct json_stream *stream)
{
    if (stream->shape == JSON_STREAM_VALUES)
        return AT_START;
    return stream->state == AT_ITEM ? AFTER_ITEM : AFTER_VALUE;
}

static err_t end_value(struct json_stream *stream, struct strbuf *why)
{
    stream->in_value = false;
    stream->state = state_after(stream);
    err_t err = stream->take(stream->context, str_from(stream->key, stream->key_size),
                             strbuf_str(&stream->value), why);
    strbuf_clear(&stream->value);
    return err;
}

/* One byte inside a value. *ended: the value is complete with it; *before: without it. */
static err_t step_value(struct json_stream *stream, char c, bool *ended, bool *before,
                        struct strbuf *why)
{
    *ended = false;
    *before = false;
    if (stream->in_string) {
        if (stream->escaped)
            stream->escaped = false;
        else if (c == '\\')
            stream->escaped = true;
        else if (c == '"')
            stream->in_string = false;
        *ended = !stream->in_string && stream->depth == 0;
        return OK;
    }
    switch (c) {
    case '"':
        stream->in_string = true;
        return OK;
    case '{':
    case '[':
        if (++stream->depth > JSON_STREAM_DEPTH_MAX)
            return err_fail(why, ERR_LIMIT, "json: nested more than %d deep",
                            (int)JSON_STREAM_DEPTH_MAX);
        return OK;
    case '}':
    case ']':
        if (stream->depth == 0) {
            *before = true;
            return OK;
        }
        *ended = --stream->depth == 0;
        return OK;
    default:
        *before = stream->depth == 0 && ends_scalar(c);
        return OK;
    }
}

/* Takes bytes of the value from data[*at..size); *at moves behind them. */
static err_t feed_value(struct json_stream *stream, const char *data, size_t size, size_t *at,
                        struct strbuf *why)
{
    size_t start = *at;
    for (size_t i = start; i < size; i++) {
        bool ended, before;
        TRY(step_value(stream, data[i], &ended, &before, why));
        if (!ended && !before)
            continue;
        *at = before ? i : i + 1;
        TRY(add_piece(stream, data + start, *at - start, why));
        return end_value(stream, why);
    }
    *at = size;
    return add_piece(stream, data + start, size - start, why);
}

static void begin_value(struct json_stream *stream)
{
    stream->in_value = true;
    stream->skipped_bytes = 0;
    stream->in_string = false;
    stream->escaped = false;
    stream->depth = 0;
}

static void feed_key(struct json_stream *stream, char c)
{
    if (c == '"' && !stream->escaped) {
        stream->state = AT_COLON;
        return;
    }
    stream->escaped = c == '\\' && !stream->escaped;
    /* A key that is too long is none of those that matter. */
    if (stream->key_size < JSON_STREAM_KEY_MAX)
        stream->key[stream->key_size++] = c;
}

static bool key_is_items(const struct json_stream *stream)
{
    return str_equal(str_from(stream->key, stream->key_size), STR("items"));
}

/* One byte between values, not blank. *again: it is the first byte of a value. */
static err_t feed_between(struct json_stream *stream, char c, bool *again, struct strbuf *why)
{
    *again = false;
    switch (stream->state) {
    case AT_START:
        if (stream->shape == JSON_STREAM_VALUES) {
            *again = true;
            return ends_scalar(c) ? misplaced(c, why) : OK;
        }
        stream->state = AT_FIRST_KEY;
        return c == '{' ? OK : misplaced(c, why);
    case AT_FIRST_KEY:
    case AT_KEY:
        if (c == '}' && stream->state == AT_FIRST_KEY) {
            stream->state = AT_END;
            return OK;
        }
        stream->state = IN_KEY;
        stream->key_size = 0;
        stream->escaped = false;
        return c == '"' ? OK : misplaced(c, why);
    case AT_COLON:
        stream->state = AT_VALUE;
        return c == ':' ? OK : misplaced(c, why);
    case AT_VALUE:
        if (c == '[' && key_is_items(stream)) {
            stream->state = AT_FIRST_ITEM;
            return OK;
        }
        *again = true;
        return ends_scalar(c) ? misplaced(c, why) : OK;
    case AT_FIRST_ITEM:
    case AT_ITEM:
        if (c == ']' && stream->state == AT_FIRST_ITEM) {
            stream->state = AFTER_VALUE;
            return OK;
        }
        stream->state = AT_ITEM;
        *again = true;
        return ends_scalar(c) ? misplaced(c, why) : OK;
    case AFTER_ITEM:
        stream->state = c == ',' ? AT_ITEM : AFTER_VALUE;
        return c == ',' || c == ']' ? OK : misplaced(c, why);
    case AFTER_VALUE:
        stream->state = c == ',' ? AT_KEY : AT_END;
        return c == ',' || c == '}' ? OK : misplaced(c, why);
    default:
        return misplaced(c, why);
    }
}

err_t json_stream_feed(struct json_stream *stream, const char *data, size_t size,
                       struct strbuf *why)
{
    for (size_t at = 0; at < size;) {
        if (stream->in_value) {
            TRY(feed_value(stream, data, size, &at, why));
            continue;
        }
        char c = data[at];
        if (stream->state == IN_KEY) {
            feed_key(stream, c);
        } else if (!is_blank(c)) {
            bool again;
            TRY(feed_between(stream, c, &again, why));
            if (again) {
                begin_value(stream);
                continue;
            }
        }
        at++;
    }
    return OK;
}

err_t json_stream_finish(const struct json_stream *stream, struct strbuf *why)
{
    bool ended =
        stream->shape == JSON_STREAM_VALUES ? stream->state == AT_START : stream->state == AT_END;
    if (stream->in_value || !ended)
        return err_fail(why, ERR_INVALID, "json: unexpected end of the answer");
    return OK;
}
