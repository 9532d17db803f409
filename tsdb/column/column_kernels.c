/* Plain C kernels, and the choice between them and the AVX2 ones. */
#include "column_kernels.h"

#include <string.h>

#include "column_decimal.h"

static void unpack64(const uint8_t *in, uint32_t count, uint32_t width, uint64_t *out)
{
    if (width == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    uint64_t mask = ~UINT64_C(0) >> (64 - width);
    size_t bit = 0;
    if (width <= 57) {
        for (uint32_t i = 0; i < count; i++, bit += width)
            out[i] = column__load_u64(in + bit / 8) >> (bit % 8) & mask;
        return;
    }
    for (uint32_t i = 0; i < count; i++, bit += width) {
        uint64_t low = column__load_u64(in + bit / 8) >> (bit % 8);
        /* Shift in two steps: one of 64 would be undefined when the value starts a byte. */
        uint64_t high = (uint64_t)in[bit / 8 + 8] << 1 << (63 - bit % 8);
        out[i] = (low | high) & mask;
    }
}

static uint32_t to_decimal(const double *values, uint32_t count, double power, int64_t *mantissas)
{
    for (uint32_t i = 0; i < count; i++)
        if (!column__decimal_scaled(values[i], power, &mantissas[i]))
            return i;
    return count;
}

static void from_decimal(const int64_t *integers, uint32_t count, double power, double *values)
{
    if (power == 1) {
        for (uint32_t i = 0; i < count; i++)
            values[i] = (double)integers[i];
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        values[i] = (double)integers[i] / power;
}

/* The same loop over elements of three sizes. */
#define SUM_DELTAS(name, type)                                                                     \
    static void name(const type *deltas, uint32_t count, int64_t first, double power,              \
                     double *values)                                                               \
    {                                                                                              \
        if (power == 1) {                                                                          \
            for (uint32_t i = 0; i < count; i++) {                                                 \
                first += deltas[i];                                                                \
                values[i] = (double)first;                                                         \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            first += deltas[i];                                                                    \
            values[i] = (double)first / power;                                                     \
        }                                                                                          \
    }

SUM_DELTAS(sum_deltas8, int8_t)
SUM_DELTAS(sum_deltas16, int16_t)
SUM_DELTAS(sum_deltas32, int32_t)

const struct column_kernels column__kernels_scalar = {
    .name = "scalar",
    .unpack64 = unpack64,
    .to_decimal = to_decimal,
    .from_decimal = from_decimal,
    .sum_deltas8 = sum_deltas8,
    .sum_deltas16 = sum_deltas16,
    .sum_deltas32 = sum_deltas32,
};

const struct column_kernels *column__kernels = &column__kernels_scalar;
