#include "narthex/base/coding.h"

/* An integer of magnitude below 2^53, so that differences are exact; -0 is none. */
static bool integer_of(uint64_t bits, int64_t *integer)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    if (!(v > -0x1p53 && v < 0x1p53))
        return false;
    *integer = (int64_t)v;
    double back = (double)*integer;
    uint64_t back_bits;
    memcpy(&back_bits, &back, sizeof back_bits);
    return back_bits == bits;
}

uint8_t *coding_write_change(uint8_t *out, uint64_t bits, uint64_t base)
{
    int64_t v, b;
    if (integer_of(bits, &v) && integer_of(base, &b))
        return coding_write_uv(out, coding_zigzag(v - b) << 1);
    uint64_t x = bits ^ base;
    unsigned low = (unsigned)__builtin_ctzll(x) / 8;
    unsigned kept = 8 - low - (unsigned)__builtin_clzll(x) / 8;
    *out++ = (uint8_t)(1 | low << 1 | (kept - 1) << 4);
    x >>= 8 * low;
    for (unsigned i = 0; i < kept; i++, x >>= 8)
        *out++ = (uint8_t)x;
    return out;
}

uint64_t byte_reader_change(struct byte_reader *in, uint64_t base)
{
    if (byte_reader_left(in) == 0) {
        in->failed = true;
        return 0;
    }
    uint8_t first = *in->at;
    if ((first & 1) == 0) {
        int64_t b = 0;
        int64_t difference = coding_unzigzag(byte_reader_uv(in) >> 1);
        if (!integer_of(base, &b))
            in->failed = true;
        double v = (double)(int64_t)((uint64_t)b + (uint64_t)difference);
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        return bits;
    }
    unsigned low = first >> 1 & 7;
    unsigned kept = (first >> 4) + 1u;
    in->at++;
    const uint8_t *bytes = byte_reader_take(in, kept);
    if (bytes == NULL || low + kept > 8) {
        in->failed = true;
        return 0;
    }
    uint64_t x = 0;
    for (unsigned i = 0; i < kept; i++)
        x |= (uint64_t)bytes[i] << (8 * (low + i));
    return base ^ x;
}
