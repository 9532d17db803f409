/* Plain C kernels, and the choice between them and the AVX2 ones. */
#include "column_kernels.h"

#include <string.h>

#include "column_decimal.h"
#include "residual_tally.h"

static void unpack32(const uint8_t *in, uint32_t count, uint32_t width, uint32_t *out)
{
    uint32_t mask = (1u << width) - 1;
    size_t bit = 0;
    for (uint32_t i = 0; i < count; i++, bit += width)
        out[i] = (uint32_t)(column__load_u64(in + bit / 8) >> (bit % 8)) & mask;
}

static void merge32(const uint8_t *bitmap, uint32_t count, const uint32_t *small,
                    const uint32_t *large, uint32_t *out)
{
    /* No branch on the bits: they are as good as random. */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bit = bitmap[i / 8] >> (i % 8) & 1;
        uint32_t mask = 0 - (uint32_t)bit;
        out[i] = (*large & mask) | (*small & ~mask);
        large += bit;
        small += 1 - bit;
    }
}

static int64_t unzigzag_if(uint64_t x, bool zigzag)
{
    return zigzag ? coding_unzigzag(x) : (int64_t)x;
}

/* Two divisions take the time of one on every 64-bit processor. */
typedef double pair __attribute__((vector_size(16)));

static void divide(double *values, uint32_t count, double power)
{
    if (power == 1)
        return;
    uint32_t i = 0;
    for (; i + 2 <= count; i += 2) {
        pair two;
        memcpy(&two, values + i, sizeof two);
        two /= power;
        memcpy(values + i, &two, sizeof two);
    }
    if (i < count)
        values[i] /= power;
}

static void finish32(const struct column_line *line, const uint32_t *numbers, uint32_t count,
                     double *values)
{
    uint64_t gcd = (uint64_t)line->gcd;
    uint64_t step = gcd * (uint64_t)line->centre;
    uint64_t m = (uint64_t)line->first;
    bool zigzag = line->zigzag; /* a store to values might be one to *line, for the compiler */
    if (line->predictor == 0) {
        m += step;
        for (uint32_t i = 0; i < count; i++)
            values[i] = (double)(int64_t)(m + gcd * (uint64_t)unzigzag_if(numbers[i], zigzag));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            m += gcd * (uint64_t)unzigzag_if(numbers[i], zigzag) + step;
            values[i] = (double)(int64_t)m;
        }
    }
    divide(values, count, line->power);
}

static void finish64(const struct column_line *line, const uint64_t *residuals, uint32_t count,
                     double *values)
{
    uint64_t gcd = (uint64_t)line->gcd;
    uint64_t step = gcd * (uint64_t)line->centre;
    uint64_t m = (uint64_t)line->first;
    if (line->predictor == 0) {
        m += step;
        for (uint32_t i = 0; i < count; i++)
            values[i] = (double)(int64_t)(m + gcd * residuals[i]);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            m += gcd * residuals[i] + step;
            values[i] = (double)(int64_t)m;
        }
    }
    divide(values, count, line->power);
}

static void fill(double v, uint32_t count, double *values)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4)
        values[i] = values[i + 1] = values[i + 2] = values[i + 3] = v;
    for (; i < count; i++)
        values[i] = v;
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
    for (uint32_t i = 0; i < count; i++)
        values[i] = (double)integers[i];
    divide(values, count, power);
}

static void from_images(const int64_t *images, uint32_t count, double *values)
{
    for (uint32_t i = 0; i < count; i++)
        values[i] = double_from_bits(column__image((uint64_t)images[i]));
}

static void add_to_images(const int64_t *added, uint32_t count, double *values)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t image = column__image(double_bits(values[i])) + (uint64_t)added[i];
        values[i] = double_from_bits(column__image(image));
    }
}

/* The same loop over elements of three sizes. */
#define SUM_DELTAS(name, type)                                                                     \
    static void name(const type *deltas, uint32_t count, int64_t first, double power,              \
                     double *values)                                                               \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            first += deltas[i];                                                                    \
            values[i] = (double)first;                                                             \
        }                                                                                          \
        divide(values, count, power);                                                              \
    }

SUM_DELTAS(sum_deltas8, int8_t)
SUM_DELTAS(sum_deltas16, int16_t)
SUM_DELTAS(sum_deltas32, int32_t)

const struct column_kernels column__kernels_scalar = {
    .name = "scalar",
    .unpack32 = unpack32,
    .merge32 = merge32,
    .finish32 = finish32,
    .finish64 = finish64,
    .fill = fill,
    .to_decimal = to_decimal,
    .from_decimal = from_decimal,
    .from_images = from_images,
    .add_to_images = add_to_images,
    .sum_deltas8 = sum_deltas8,
    .sum_deltas16 = sum_deltas16,
    .sum_deltas32 = sum_deltas32,
    .count_lengths = count_lengths,
    .spread = spread,
};

const struct column_kernels *column__kernels = &column__kernels_scalar;

__attribute__((constructor)) static void choose_kernels(void)
{
    const struct column_kernels *avx2 = column__kernels_avx2();
    if (avx2 != NULL)
        column__kernels = avx2;
}

const char *column_kernels_name(void)
{
    return column__kernels->name;
}

void column_kernels_use_scalar(void)
{
    column__kernels = &column__kernels_scalar;
}
