/* Plain C kernels, and the choice between them and the AVX2 ones. */
#include "column_kernels.h"

#include <string.h>

#include "column_bytes.h"

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

/* Adding 1.5 * 2^52 leaves the rounded integer in the low bits of the sum, for |x| < 2^51. */
#define ROUNDING_MAGIC 0x1.8p52

static uint32_t to_decimal(const double *values, uint32_t count, double power, int64_t *mantissas)
{
    for (uint32_t i = 0; i < count; i++) {
        double scaled = values[i] * power;
        if (!(scaled < 0x1p51 && scaled > -0x1p51))
            return i;
        double rounded = scaled + ROUNDING_MAGIC;
        double back = (rounded - ROUNDING_MAGIC) / power;
        if (column__double_bits(back) != column__double_bits(values[i]))
            return i;
        mantissas[i] =
            (int64_t)(column__double_bits(rounded) - column__double_bits(ROUNDING_MAGIC));
    }
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

const struct column_kernels column__kernels_scalar = {
    .name = "scalar",
    .unpack64 = unpack64,
    .to_decimal = to_decimal,
    .from_decimal = from_decimal,
};

const struct column_kernels *column__kernels = &column__kernels_scalar;
