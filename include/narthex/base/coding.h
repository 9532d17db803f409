/* base/coding.h: integers and strings in stored bytes.
 *
 * Little endian everywhere. `uv` is LEB128 (at most 10 bytes), `zv` is zigzag + LEB128, a `str` is
 * uv size + bytes. Writers append to a strbuf; the reader checks bounds and turns sticky-bad at the
 * first fault, so that a decoder may read a whole structure and look at `failed` once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

enum { CODING_VARINT_MAX = 10, CODING_CHANGE_MAX = 11 };

static inline uint64_t coding_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t coding_unzigzag(uint64_t u)
{
    return (int64_t)((u >> 1) ^ (0 - (u & 1)));
}

/* Writes at most CODING_VARINT_MAX bytes; returns the end. */
static inline uint8_t *coding_write_uv(uint8_t *out, uint64_t v)
{
    while (v >= 0x80) {
        *out++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *out++ = (uint8_t)v;
    return out;
}

static inline void coding_put_u8(struct strbuf *out, uint8_t v)
{
    strbuf_add(out, &v, 1);
}

static inline void coding_store_u32(uint8_t out[4], uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static inline void coding_put_u32(struct strbuf *out, uint32_t v)
{
    uint8_t bytes[4];
    coding_store_u32(bytes, v);
    strbuf_add(out, bytes, sizeof bytes);
}

static inline void coding_put_u64(struct strbuf *out, uint64_t v)
{
    coding_put_u32(out, (uint32_t)v);
    coding_put_u32(out, (uint32_t)(v >> 32));
}

static inline void coding_put_uv(struct strbuf *out, uint64_t v)
{
    uint8_t *start = (uint8_t *)strbuf_reserve(out, CODING_VARINT_MAX);
    strbuf_commit(out, (size_t)(coding_write_uv(start, v) - start));
}

static inline void coding_put_zv(struct strbuf *out, int64_t v)
{
    coding_put_uv(out, coding_zigzag(v));
}

static inline void coding_put_double(struct strbuf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    coding_put_u64(out, bits);
}

static inline void coding_put_str(struct strbuf *out, struct str s)
{
    coding_put_uv(out, s.size);
    strbuf_add(out, s.data, s.size);
}

static inline uint32_t coding_load_u32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static inline uint64_t coding_load_u64(const uint8_t *in)
{
    return coding_load_u32(in) | (uint64_t)coding_load_u32(in + 4) << 32;
}

/* Reads from borrowed bytes. After a fault every read gives 0 or an empty view. */
struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct byte_reader byte_reader_of(const void *data, size_t size)
{
    /* No bytes may be a NULL pointer, which must not be added to. */
    const uint8_t *at = size == 0 ? (const uint8_t *)"" : data;
    return (struct byte_reader){at, at + size, false};
}

static inline size_t byte_reader_left(const struct byte_reader *in)
{
    return (size_t)(in->end - in->at);
}

/* A view of the next `size` bytes, or NULL after a fault. */
static inline const uint8_t *byte_reader_take(struct byte_reader *in, size_t size)
{
    if (in->failed || byte_reader_left(in) < size) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *bytes = in->at;
    in->at += size;
    return bytes;
}

static inline uint8_t byte_reader_u8(struct byte_reader *in)
{
    if (in->failed || in->at >= in->end) {
        in->failed = true;
        return 0;
    }
    return *in->at++;
}

static inline uint32_t byte_reader_u32(struct byte_reader *in)
{
    const uint8_t *bytes = byte_reader_take(in, 4);
    return bytes == NULL ? 0 : coding_load_u32(bytes);
}

static inline uint64_t byte_reader_u64(struct byte_reader *in)
{
    const uint8_t *bytes = byte_reader_take(in, 8);
    return bytes == NULL ? 0 : coding_load_u64(bytes);
}

static inline double byte_reader_double(struct byte_reader *in)
{
    uint64_t bits = byte_reader_u64(in);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint64_t byte_reader_uv(struct byte_reader *in)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end && !in->failed; shift += 7) {
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    in->failed = true;
    return 0;
}

static inline int64_t byte_reader_zv(struct byte_reader *in)
{
    return coding_unzigzag(byte_reader_uv(in));
}

/* A uv that must be at most `max`; more is a fault. */
static inline uint64_t byte_reader_uv_max(struct byte_reader *in, uint64_t max)
{
    uint64_t v = byte_reader_uv(in);
    if (v > max) {
        in->failed = true;
        return 0;
    }
    return v;
}

static inline struct str byte_reader_str(struct byte_reader *in)
{
    size_t size = (size_t)byte_reader_uv_max(in, byte_reader_left(in));
    const uint8_t *bytes = byte_reader_take(in, size);
    return bytes == NULL ? (struct str){NULL, 0} : str_from((const char *)bytes, size);
}

/* A double that differs from one the reader knows, both as bits: the difference of integers, else
 * the bytes of the exclusive or that are not zero (docs/format/wal.md, "Values"). Writes at most
 * CODING_CHANGE_MAX bytes; returns the end. The bits must differ. */
uint8_t *coding_write_change(uint8_t *out, uint64_t bits, uint64_t base);
uint64_t byte_reader_change(struct byte_reader *in, uint64_t base);
