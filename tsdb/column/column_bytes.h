/* Little-endian loads and stores, varints and zigzag, shared by the folder's codecs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VARINT_SIZE_MAX = 10 };

static inline uint64_t column__load_u64(const uint8_t *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static inline void column__store_u64(uint8_t *at, uint64_t x)
{
    memcpy(at, &x, sizeof x);
}

static inline uint64_t column__double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double column__bits_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Order-preserving image of a double's bits; its own inverse. */
static inline uint64_t column__image(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) >> 1);
}

static inline uint64_t column__zigzag(int64_t x)
{
    return ((uint64_t)x << 1) ^ (uint64_t)(x >> 63);
}

static inline int64_t column__unzigzag(uint64_t x)
{
    return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

/* Bits needed to write x; 0 for 0. */
static inline uint32_t column__bit_length(uint64_t x)
{
    return x == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(x);
}

static inline uint8_t *column__put_uv(uint8_t *at, uint64_t x)
{
    while (x >= 0x80) {
        *at++ = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    *at++ = (uint8_t)x;
    return at;
}

static inline uint8_t *column__put_zv(uint8_t *at, int64_t x)
{
    return column__put_uv(at, column__zigzag(x));
}

static inline size_t column__uv_size(uint64_t x)
{
    return x == 0 ? 1 : (column__bit_length(x) + 6) / 7;
}

/* Bounded reading: after the first failure everything reads as zero and `failed` stays set. */
struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline uint8_t column__get_u8(struct byte_reader *reader)
{
    if (reader->at == reader->end) {
        reader->failed = true;
        return 0;
    }
    return *reader->at++;
}

static inline uint64_t column__get_uv(struct byte_reader *reader)
{
    uint64_t x = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            break;
        uint64_t byte = *reader->at++;
        x |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1)
                break;
            return x;
        }
    }
    reader->failed = true;
    return 0;
}

static inline int64_t column__get_zv(struct byte_reader *reader)
{
    return column__unzigzag(column__get_uv(reader));
}

static inline uint64_t column__get_raw64(struct byte_reader *reader)
{
    if (reader->end - reader->at < 8) {
        reader->failed = true;
        return 0;
    }
    uint64_t x = column__load_u64(reader->at);
    reader->at += 8;
    return x;
}

/* Skips `size` bytes and returns where they start. */
static inline const uint8_t *column__get_bytes(struct byte_reader *reader, size_t size)
{
    const uint8_t *start = reader->at;
    if ((size_t)(reader->end - reader->at) < size) {
        reader->failed = true;
        return start;
    }
    reader->at += size;
    return start;
}
