/* The loops worth a second version for newer processors. One table is chosen when the program
 * starts; kernels take arrays and counts, are total for any input bytes, and both versions give
 * the same bits for all columns the sealer writes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Widest number of the 32-bit kernels: 4 of them and a bit offset fit 16 bytes, and sums of 8 fit
 * an int32. */
enum { COLUMN_NARROW_WIDTH_MAX = 25 };

/* Slack in arrays of numbers: kernels load and store 8 at a time. */
enum { COLUMN_NUMBERS_SLACK = 8 };

/* Bit lengths 0 to 64. */
enum { COLUMN_LENGTHS = 65 };

/* How numbers of a narrow stream become doubles. */
struct column_line {
    int64_t first;
    int64_t gcd; /* >= 1 */
    int64_t centre;
    double power;       /* 10^e */
    uint32_t predictor; /* 0 or 1 */
    bool zigzag;
};

struct column_kernels {
    const char *name;
    /* `count` numbers of `width` (0 to COLUMN_NARROW_WIDTH_MAX) bits. Reads up to 28 bytes past the
     * packed bits; writes up to COLUMN_NUMBERS_SLACK - 1 elements past count. */
    void (*unpack32)(const uint8_t *in, uint32_t count, uint32_t width, uint32_t *out);
    /* Numbers of two classes in the order of the bitmap; 8 elements may be read past the ends of
     * small and large, and written past count. */
    void (*merge32)(const uint8_t *bitmap, uint32_t count, const uint32_t *small,
                    const uint32_t *large, uint32_t *out);
    /* The rows after the first: values[i] for numbers[i], i below count. Every integer on the way
     * must be below 2^51, as it is in columns without `wide`; otherwise values are unspecified. */
    void (*finish32)(const struct column_line *line, const uint32_t *numbers, uint32_t count,
                     double *values);
    /* The same for residuals: numbers of any width after zigzag and exceptions. */
    void (*finish64)(const struct column_line *line, const uint64_t *residuals, uint32_t count,
                     double *values);
    void (*fill)(double v, uint32_t count, double *values);
    /* mantissas[i] = values[i] * power rounded, for i from 0 as long as mantissa / power gives back
     * the bits of the value and |mantissa| < 2^51; returns how many. power is 10^e, e 0 to 15.
     * Elements of mantissas from there to count are unspecified. */
    uint32_t (*to_decimal)(const double *values, uint32_t count, double power, int64_t *mantissas);
    /* values[i] = (double)integers[i] / power; power 1 for e = 0. */
    void (*from_decimal)(const int64_t *integers, uint32_t count, double power, double *values);
    /* values[i] = the double whose image is images[i]. */
    void (*from_images)(const int64_t *images, uint32_t count, double *values);
    /* values[i] becomes the double whose image is the image of values[i] plus added[i]. */
    void (*add_to_images)(const int64_t *added, uint32_t count, double *values);
    /* values[i] = (double)(first + deltas[0] + ... + deltas[i]) / power. Reads no element beyond
     * count: another thread may be writing there. */
    void (*sum_deltas8)(const int8_t *deltas, uint32_t count, int64_t first, double power,
                        double *values);
    void (*sum_deltas16)(const int16_t *deltas, uint32_t count, int64_t first, double power,
                         double *values);
    void (*sum_deltas32)(const int32_t *deltas, uint32_t count, int64_t first, double power,
                         double *values);
    /* Counts the residuals by bit length of residual - centre (zigzagged if asked); returns the sum
     * of the lengths, and the longest one of them (0 without residuals). */
    uint32_t (*count_lengths)(const int64_t *residuals, uint32_t count, uint64_t centre,
                              bool zigzag, uint16_t lengths[COLUMN_LENGTHS], uint32_t *longest);
    /* Sum of distances from the mean or from zero, whichever is less. */
    double (*spread)(const int64_t *residuals, uint32_t count, int64_t mean);
};

/* Set before main. */
extern const struct column_kernels *column__kernels;
extern const struct column_kernels column__kernels_scalar;

/* NULL if this processor or build has none. */
const struct column_kernels *column__kernels_avx2(void);
