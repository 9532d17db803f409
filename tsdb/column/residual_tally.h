/* Loops of the planner that are compiled twice: with and without the instruction that counts
 * leading zeros. Included by the files of the two kernel tables only. */
#pragma once

#include <math.h>

#include "column_bytes.h"
#include "column_kernels.h"

/* One number: its place among the lengths, and their sum. */
static inline uint32_t tally(int64_t residual, uint64_t centre, bool zigzag, uint64_t *any,
                             uint16_t *table)
{
    uint64_t x = (uint64_t)residual - centre;
    x = zigzag ? coding_zigzag((int64_t)x) : x;
    uint32_t length = column__bit_length(x);
    *any |= x;
    table[length]++;
    return length;
}

static uint32_t count_lengths(const int64_t *residuals, uint32_t count, uint64_t centre,
                              bool zigzag, uint16_t lengths[COLUMN_LENGTHS], uint32_t *longest)
{
    /* Neighbours are often of one length: two tables keep their increments apart. */
    uint16_t odd[COLUMN_LENGTHS];
    uint64_t any = 0;
    uint32_t sum = 0;
    memset(lengths, 0, COLUMN_LENGTHS * sizeof *lengths);
    memset(odd, 0, sizeof odd);
    uint32_t i = 0;
    for (; i + 2 <= count; i += 2) {
        sum += tally(residuals[i], centre, zigzag, &any, lengths);
        sum += tally(residuals[i + 1], centre, zigzag, &any, odd);
    }
    if (i < count)
        sum += tally(residuals[i], centre, zigzag, &any, lengths);
    *longest = column__bit_length(any);
    for (uint32_t length = 0; length <= *longest; length++)
        lengths[length] = (uint16_t)(lengths[length] + odd[length]);
    return sum;
}

static double spread(const int64_t *residuals, uint32_t count, int64_t mean)
{
    double from_mean[2] = {0, 0};
    double from_zero[2] = {0, 0};
    uint32_t i = 0;
    for (; i + 2 <= count; i += 2) {
        for (uint32_t k = 0; k < 2; k++) {
            double x = (double)residuals[i + k];
            from_mean[k] += fabs(x - (double)mean);
            from_zero[k] += fabs(x);
        }
    }
    if (i < count) {
        from_mean[0] += fabs((double)residuals[i] - (double)mean);
        from_zero[0] += fabs((double)residuals[i]);
    }
    return fmin(from_mean[0] + from_mean[1], from_zero[0] + from_zero[1]);
}
