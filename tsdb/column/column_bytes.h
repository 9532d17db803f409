/* What the folder's codecs need beyond base/coding.h: whole-register loads and stores (the machine
 * is little endian), images of doubles, sizes. */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/model/histogram.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "streams are loaded as they lie");

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

/* Order-preserving image of a double's bits; its own inverse. */
static inline uint64_t column__image(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) >> 1);
}

/* Bits needed to write x; 0 for 0. */
static inline uint32_t column__bit_length(uint64_t x)
{
    return x == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(x);
}

static inline size_t column__uv_size(uint64_t x)
{
    return x == 0 ? 1 : (column__bit_length(x) + 6) / 7;
}

static inline uint8_t *column__put_zv(uint8_t *at, int64_t x)
{
    return coding_write_uv(at, coding_zigzag(x));
}
