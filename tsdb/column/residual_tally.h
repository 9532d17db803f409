/* Loops of the planner that are compiled twice: with and without the instruction that counts
 * leading zeros. Included by the files of the two kernel tables only. */
#pragma once

#include <math.h>

#include "column_bytes.h"
#include "column_kernels.h"

static uint32_t count_lengths(const int64_t *residuals, uint32_t count, uint64_t centre,
                              bool zigzag, uint16_t lengths[COLUMN_LENGTHS])
{
    /* Neighbours are often of one length: two tables keep their increments apart. */
    uint16_t odd[COLUMN_LENGTHS] = {0};
    uint32_t sum = 0;
    memset(lengths, 0, COLUMN_LENGTHS * sizeof *lengths);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t x = (uint64_t)residuals[i] - centre;
        uint32_t length = column__bit_length(zigzag ? coding_zigzag((int64_t)x) : x);
        uint16_t *table = i % 2 ? odd : lengths;
        table[length]++;
        sum += length;
    }
    for (uint32_t i = 0; i < COLUMN_LENGTHS; i++)
        lengths[i] = (uint16_t)(lengths[i] + odd[i]);
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
