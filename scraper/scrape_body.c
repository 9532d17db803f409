#include "scrape_body.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "narthex/base/mem.h"

enum {
    FIRST_BYTES = 16 << 10,
    GUESSED_RATIO = 10, /* exposition text packs about tenfold */
    GZIP_HEAD_BYTES = 10,
};

void scrape_body_deinit(struct scrape_body *body)
{
    mem_free(MEM_SCRAPE, body->data);
    *body = (struct scrape_body){0};
}

void scrape_body_clear(struct scrape_body *body)
{
    body->size = 0;
    if (body->capacity > SCRAPE_BODY_KEPT_BYTES)
        scrape_body_deinit(body);
}

/* Room for `wanted` bytes and the slack. */
static void reserve(struct scrape_body *body, size_t wanted)
{
    if (wanted + SCRAPE_BODY_SLACK_BYTES <= body->capacity)
        return;
    size_t capacity = body->capacity == 0 ? FIRST_BYTES : body->capacity;
    while (capacity < wanted + SCRAPE_BODY_SLACK_BYTES)
        capacity += capacity / 2;
    body->data = mem_realloc(MEM_SCRAPE, body->data, capacity);
    body->capacity = capacity;
}

static void end(struct scrape_body *body)
{
    memset(body->data + body->size, 0, SCRAPE_BODY_SLACK_BYTES);
}

bool scrape_body_add(struct scrape_body *body, const char *data, size_t size, size_t limit)
{
    if (size >= limit || body->size >= limit - size)
        return false;
    reserve(body, body->size + size);
    memcpy(body->data + body->size, data, size);
    body->size += size;
    end(body);
    return true;
}

/* libdeflate does not tell truncation from damage; zlib does, on a path that is slow anyway. */
static err_t explain_damage(const char *data, size_t size, struct strbuf *why)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        return err_fail(why, ERR_CORRUPT, "gzip: invalid header");
    unsigned char sink[4096];
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = size > UINT32_MAX ? UINT32_MAX : (uInt)size;
    int result;
    do {
        stream.next_out = sink;
        stream.avail_out = sizeof sink;
        result = inflate(&stream, Z_NO_FLUSH);
    } while (result == Z_OK);
    const char *message = stream.msg == NULL ? "" : stream.msg;
    err_t err;
    if (result == Z_BUF_ERROR || size < GZIP_HEAD_BYTES)
        err = err_fail(why, ERR_CORRUPT, "unexpected EOF");
    else if (strstr(message, "header") != NULL && stream.total_out == 0)
        err = err_fail(why, ERR_CORRUPT, "gzip: invalid header");
    else if (strstr(message, "check") != NULL)
        err = err_fail(why, ERR_CORRUPT, "gzip: invalid checksum");
    else
        err = err_fail(why, ERR_CORRUPT, "flate: corrupt input before offset %lu",
                       (unsigned long)stream.total_in);
    inflateEnd(&stream);
    return err;
}

static err_t over_limit(struct strbuf *why)
{
    return err_fail(why, ERR_LIMIT, "body size limit exceeded");
}

/* Unpacks one member behind out->size, with more room on every attempt. */
static err_t gunzip_member(struct libdeflate_decompressor *decompressor, const char *data,
                           size_t size, size_t limit, struct scrape_body *out, size_t *used,
                           struct strbuf *why)
{
    for (;;) {
        size_t room = out->capacity - SCRAPE_BODY_SLACK_BYTES - out->size;
        if (room > limit - out->size)
            room = limit - out->size;
        size_t made = 0;
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(
            decompressor, data, size, out->data + out->size, room, used, &made);
        if (result == LIBDEFLATE_SUCCESS) {
            out->size += made;
            return out->size >= limit ? over_limit(why) : OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return explain_damage(data, size, why);
        if (out->size + room >= limit)
            return over_limit(why);
        size_t wanted = out->capacity * 2;
        reserve(out, wanted < limit ? wanted : limit);
    }
}

err_t scrape_body_gunzip(struct libdeflate_decompressor *decompressor,
                         const struct scrape_body *packed, size_t size_hint, size_t limit,
                         struct scrape_body *out, struct strbuf *why)
{
    out->size = 0;
    size_t guess = size_hint > 0 ? size_hint + size_hint / 8 : packed->size * GUESSED_RATIO;
    reserve(out, guess < limit ? guess : limit);
    if (packed->size == 0)
        return err_fail(why, ERR_CORRUPT, "EOF");
    size_t at = 0;
    while (at < packed->size) {
        size_t used = 0;
        TRY(gunzip_member(decompressor, packed->data + at, packed->size - at, limit, out, &used,
                          why));
        at += used;
    }
    end(out);
    return OK;
}
