/* The loops worth a second version for newer processors. One table is chosen when the program
 * starts; kernels take arrays and counts, are total for any input bytes, and both versions give
 * the same bits. */
#pragma once

#include <stdint.h>

struct column_kernels {
    const char *name;
    /* `count` values of `width` (0 to 64) bits. Reads up to 16 bytes past the packed bits; out
     * must hold COLUMN_ROWS_MAX. */
    void (*unpack64)(const uint8_t *in, uint32_t count, uint32_t width, uint64_t *out);
    /* mantissas[i] = values[i] * power rounded, for i from 0 as long as mantissa / power gives back
     * the bits of the value and |mantissa| < 2^51; returns how many. power is 10^e, e 0 to 15. */
    uint32_t (*to_decimal)(const double *values, uint32_t count, double power, int64_t *mantissas);
    /* values[i] = (double)integers[i] / power; power 1 for e = 0. Exact for all int64 that a
     * sealed column can hold. */
    void (*from_decimal)(const int64_t *integers, uint32_t count, double power, double *values);
    /* values[i] = (double)(first + deltas[0] + ... + deltas[i]) / power. Reads no element beyond
     * count: another thread may be writing there. */
    void (*sum_deltas8)(const int8_t *deltas, uint32_t count, int64_t first, double power,
                        double *values);
    void (*sum_deltas16)(const int16_t *deltas, uint32_t count, int64_t first, double power,
                         double *values);
    void (*sum_deltas32)(const int32_t *deltas, uint32_t count, int64_t first, double power,
                         double *values);
};

extern const struct column_kernels *column__kernels;
extern const struct column_kernels column__kernels_scalar;
