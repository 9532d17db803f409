/* AVX2 kernels; compiled with -mavx2 for x86-64 only, called only where the processor has it.
 *
 * Integers become doubles by adding 2^52 + 2^51 in integer form and subtracting it as a double:
 * exact for |x| < 2^51, and the processor has no such instruction. */
#include "column_kernels.h"

#if defined(__AVX2__)

#include <immintrin.h>
#include <string.h>

#include "column_decimal.h"
#include "residual_tally.h"

#define TABLE_WIDTHS (COLUMN_NARROW_WIDTH_MAX + 1)

/* For 8 values of one width, 4 in each 128-bit half: the bytes of each value moved into its lane,
 * and how far it then has to be shifted. */
static struct {
    uint8_t bytes[32];
    uint32_t shifts[8];
} unpack_table[TABLE_WIDTHS] __attribute__((aligned(32)));

/* expand_table[mask][lane]: how many bits of the mask are below the lane. */
static uint8_t expand_table[256][8] __attribute__((aligned(8)));

static void build_tables(void)
{
    for (uint32_t width = 1; width < TABLE_WIDTHS; width++) {
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t bit = i % 4 * width + (i >= 4 ? 4 * width % 8 : 0);
            unpack_table[width].shifts[i] = bit % 8;
            for (uint32_t byte = 0; byte < 4; byte++)
                unpack_table[width].bytes[i * 4 + byte] = (uint8_t)(bit / 8 + byte);
        }
    }
    for (uint32_t mask = 0; mask < 256; mask++)
        for (uint32_t lane = 0; lane < 8; lane++)
            expand_table[mask][lane] = (uint8_t)__builtin_popcount(mask & ((1u << lane) - 1));
}

static void unpack32(const uint8_t *in, uint32_t count, uint32_t width, uint32_t *out)
{
    if (width == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    __m256i bytes = _mm256_load_si256((const __m256i *)(const void *)unpack_table[width].bytes);
    __m256i shifts = _mm256_load_si256((const __m256i *)(const void *)unpack_table[width].shifts);
    __m256i mask = _mm256_set1_epi32((int)((1u << width) - 1));
    for (uint32_t i = 0; i < count; i += 8, in += width) {
        __m128i low = _mm_loadu_si128((const __m128i *)(const void *)in);
        __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(in + width / 2));
        __m256i x = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        x = _mm256_srlv_epi32(_mm256_shuffle_epi8(x, bytes), shifts);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_and_si256(x, mask));
    }
}

static __m256i expand_lanes(const uint32_t *from, uint32_t mask)
{
    __m128i lanes = _mm_loadl_epi64((const __m128i *)(const void *)expand_table[mask]);
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm256_permutevar8x32_epi32(x, _mm256_cvtepu8_epi32(lanes));
}

static void merge32(const uint8_t *bitmap, uint32_t count, const uint32_t *small,
                    const uint32_t *large, uint32_t *out)
{
    const __m256i lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    for (uint32_t i = 0; i < count; i += 8) {
        uint32_t mask = bitmap[i / 8];
        __m256i from_large = expand_lanes(large, mask);
        __m256i from_small = expand_lanes(small, ~mask & 0xff);
        __m256i chosen = _mm256_cmpeq_epi32(
            _mm256_and_si256(_mm256_set1_epi32((int)mask), lane_bits), lane_bits);
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_blendv_epi8(from_small, from_large, chosen));
        uint32_t large_count = (uint32_t)__builtin_popcount(mask);
        large += large_count;
        small += 8 - large_count;
    }
}

static __m256i unzigzag32(__m256i x)
{
    __m256i sign =
        _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(x, _mm256_set1_epi32(1)));
    return _mm256_xor_si256(_mm256_srli_epi32(x, 1), sign);
}

static __m256i prefix_sum32(__m256i x)
{
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
    __m256i low_total = _mm256_permutevar8x32_epi32(x, _mm256_set1_epi32(3));
    return _mm256_add_epi32(x, _mm256_blend_epi32(_mm256_setzero_si256(), low_total, 0xf0));
}

static __m256i prefix_sum64(__m256i x)
{
    x = _mm256_add_epi64(x, _mm256_slli_si256(x, 8));
    __m256i low_total = _mm256_permute4x64_epi64(x, 0x55);
    return _mm256_add_epi64(x, _mm256_blend_epi32(_mm256_setzero_si256(), low_total, 0xf0));
}

static __m256d to_double(__m256i x)
{
    const __m256d magic = _mm256_set1_pd(COLUMN_ROUNDING_MAGIC);
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(x, _mm256_castpd_si256(magic))),
                         magic);
}

/* What becomes of an integer: scaled by the common divisor, shifted by the first value, divided. */
struct finish {
    __m256d gcd;
    __m256d first;
    __m256d power;
    bool has_gcd;
    bool has_power;
};

static inline __m256d finish_value(const struct finish *finish, __m256i x)
{
    __m256d v = to_double(x);
    if (finish->has_gcd)
        v = _mm256_add_pd(_mm256_mul_pd(v, finish->gcd), finish->first);
    return finish->has_power ? _mm256_div_pd(v, finish->power) : v;
}

/* Stores up to 8 doubles; only the last group of a column is shorter. */
static inline void store8(double *out, uint32_t left, __m256d low, __m256d high)
{
    if (left >= 8) {
        _mm256_storeu_pd(out, low);
        _mm256_storeu_pd(out + 4, high);
        return;
    }
    double group[8];
    _mm256_storeu_pd(group, low);
    _mm256_storeu_pd(group + 4, high);
    memcpy(out, group, left * sizeof *out);
}

static __m256i low_half64(__m256i x)
{
    return _mm256_cvtepi32_epi64(_mm256_castsi256_si128(x));
}

static __m256i high_half64(__m256i x)
{
    return _mm256_cvtepi32_epi64(_mm256_extracti128_si256(x, 1));
}

static __m256i last_lane64(__m256i x)
{
    return _mm256_permute4x64_epi64(x, 0xff);
}

static struct finish finish_of(const struct column_line *line)
{
    return (struct finish){
        .gcd = _mm256_set1_pd((double)line->gcd),
        .first = _mm256_set1_pd((double)line->first),
        .power = _mm256_set1_pd(line->power),
        .has_gcd = line->gcd > 1,
        .has_power = line->power != 1,
    };
}

/* Running state of eight integers a step, in two vectors. */
struct sums {
    __m256i carry;
    __m256i low_centre;
    __m256i high_centre;
    bool running;
};

static struct sums sums_of(const struct column_line *line)
{
    uint64_t centre = (uint64_t)line->centre;
    /* Without a divisor the first value joins the integers. */
    struct sums sums = {
        .carry = _mm256_set1_epi64x(line->gcd > 1 ? 0 : line->first),
        .low_centre = _mm256_set1_epi64x(line->centre),
        .high_centre = _mm256_set1_epi64x(line->centre),
        .running = line->predictor == 1,
    };
    if (sums.running) {
        sums.low_centre = _mm256_setr_epi64x((int64_t)centre, (int64_t)(2 * centre),
                                             (int64_t)(3 * centre), (int64_t)(4 * centre));
        sums.high_centre =
            _mm256_add_epi64(sums.low_centre, _mm256_set1_epi64x((int64_t)(4 * centre)));
    }
    return sums;
}

/* Adds what is common to both widths; low and high hold plain or summed residuals. */
static inline void add_sums(struct sums *sums, __m256i *low, __m256i *high)
{
    *low = _mm256_add_epi64(*low, sums->low_centre);
    *high = _mm256_add_epi64(*high, sums->high_centre);
    __m256i total = last_lane64(*high);
    *low = _mm256_add_epi64(*low, sums->carry);
    *high = _mm256_add_epi64(*high, sums->carry);
    if (sums->running)
        sums->carry = _mm256_add_epi64(sums->carry, total);
}

static void finish32(const struct column_line *line, const uint32_t *numbers, uint32_t count,
                     double *values)
{
    struct finish finish = finish_of(line);
    struct sums sums = sums_of(line);
    bool zigzag = line->zigzag;
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(numbers + i));
        if (zigzag)
            x = unzigzag32(x);
        if (sums.running)
            x = prefix_sum32(x);
        __m256i low = low_half64(x);
        __m256i high = high_half64(x);
        add_sums(&sums, &low, &high);
        store8(values + i, count - i, finish_value(&finish, low), finish_value(&finish, high));
    }
}

static void finish64(const struct column_line *line, const uint64_t *residuals, uint32_t count,
                     double *values)
{
    struct finish finish = finish_of(line);
    struct sums sums = sums_of(line);
    for (uint32_t i = 0; i < count; i += 8) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(residuals + i));
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(residuals + i + 4));
        if (sums.running) {
            low = prefix_sum64(low);
            high = _mm256_add_epi64(prefix_sum64(high), last_lane64(low));
        }
        add_sums(&sums, &low, &high);
        store8(values + i, count - i, finish_value(&finish, low), finish_value(&finish, high));
    }
}

static void fill(double v, uint32_t count, double *values)
{
    __m256d x = _mm256_set1_pd(v);
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8)
        store8(values + i, 8, x, x);
    store8(values + i, count - i, x, x);
}

/* Bit i: rows i have the same bits. */
static uint32_t equal_rows4(__m256d a, __m256d b)
{
    __m256i equal = _mm256_cmpeq_epi64(_mm256_castpd_si256(a), _mm256_castpd_si256(b));
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(equal));
}

static uint32_t to_decimal(const double *values, uint32_t count, double power, int64_t *mantissas)
{
    const __m256d magic = _mm256_set1_pd(COLUMN_ROUNDING_MAGIC);
    const __m256d limit = _mm256_set1_pd(0x1p51);
    const __m256d sign = _mm256_set1_pd(-0.0);
    __m256d powers = _mm256_set1_pd(power);
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256d v = _mm256_loadu_pd(values + i);
        __m256d scaled = _mm256_mul_pd(v, powers);
        __m256d rounded = _mm256_add_pd(scaled, magic);
        __m256d back = _mm256_sub_pd(rounded, magic);
        if (power != 1)
            back = _mm256_div_pd(back, powers);
        uint32_t inside = (uint32_t)_mm256_movemask_pd(
            _mm256_cmp_pd(_mm256_andnot_pd(sign, scaled), limit, _CMP_LT_OQ));
        _mm256_storeu_si256(
            (__m256i *)(void *)(mantissas + i),
            _mm256_sub_epi64(_mm256_castpd_si256(rounded), _mm256_castpd_si256(magic)));
        uint32_t good = inside & equal_rows4(back, v);
        if (good != 0xf)
            return i + (uint32_t)__builtin_ctz(~good);
    }
    return i + column__kernels_scalar.to_decimal(values + i, count - i, power, mantissas + i);
}

static void from_decimal(const int64_t *integers, uint32_t count, double power, double *values)
{
    const __m256i limit = _mm256_set1_epi64x(INT64_C(1) << 51);
    const __m256i above = _mm256_set1_epi64x(~((INT64_C(1) << 52) - 1));
    __m256d powers = _mm256_set1_pd(power);
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(integers + i));
        if (!_mm256_testz_si256(_mm256_add_epi64(x, limit), above)) {
            column__kernels_scalar.from_decimal(integers + i, 4, power, values + i);
            continue;
        }
        __m256d v = to_double(x);
        _mm256_storeu_pd(values + i, power != 1 ? _mm256_div_pd(v, powers) : v);
    }
    column__kernels_scalar.from_decimal(integers + i, count - i, power, values + i);
}

/* column__image of four. */
static __m256i image_of(__m256i bits)
{
    __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), bits);
    return _mm256_xor_si256(bits, _mm256_srli_epi64(sign, 1));
}

static void from_images(const int64_t *images, uint32_t count, double *values)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(images + i));
        _mm256_storeu_si256((__m256i *)(void *)(values + i), image_of(x));
    }
    column__kernels_scalar.from_images(images + i, count - i, values + i);
}

static void add_to_images(const int64_t *added, uint32_t count, double *values)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(values + i));
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(added + i));
        _mm256_storeu_si256((__m256i *)(void *)(values + i),
                            image_of(_mm256_add_epi64(image_of(x), y)));
    }
    column__kernels_scalar.add_to_images(added + i, count - i, values + i);
}

/* Sums of deltas this far from zero stay where to_double is exact: 240 * 2^31 < 2^39. */
#define SUM_FIRST_LIMIT (INT64_C(1) << 49)

static bool sums_are_exact(int64_t first)
{
    return first < SUM_FIRST_LIMIT && first > -SUM_FIRST_LIMIT;
}

static __m256i load_deltas8(const int8_t *deltas)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)deltas));
}

static __m256i load_deltas16(const int16_t *deltas)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)deltas));
}

/* Eight at a time, the rest by the plain kernel: elements beyond count belong to the writer. */
#define SUM_DELTAS(name, type, load)                                                               \
    static void name(const type *deltas, uint32_t count, int64_t first, double power,              \
                     double *values)                                                               \
    {                                                                                              \
        struct finish finish = {.power = _mm256_set1_pd(power), .has_power = power != 1};          \
        uint32_t i = 0;                                                                            \
        if (sums_are_exact(first)) {                                                               \
            __m256i carry = _mm256_set1_epi64x(first);                                             \
            for (; i + 8 <= count; i += 8) {                                                       \
                __m256i x = prefix_sum32(load(deltas + i));                                        \
                __m256i low = _mm256_add_epi64(low_half64(x), carry);                              \
                __m256i high = _mm256_add_epi64(high_half64(x), carry);                            \
                carry = last_lane64(high);                                                         \
                store8(values + i, 8, finish_value(&finish, low), finish_value(&finish, high));    \
            }                                                                                      \
            first = _mm256_extract_epi64(carry, 0);                                                \
        }                                                                                          \
        column__kernels_scalar.name(deltas + i, count - i, first, power, values + i);              \
    }

SUM_DELTAS(sum_deltas8, int8_t, load_deltas8)
SUM_DELTAS(sum_deltas16, int16_t, load_deltas16)

static void sum_deltas32(const int32_t *deltas, uint32_t count, int64_t first, double power,
                         double *values)
{
    struct finish finish = {.power = _mm256_set1_pd(power), .has_power = power != 1};
    uint32_t i = 0;
    if (sums_are_exact(first)) {
        __m256i carry = _mm256_set1_epi64x(first);
        for (; i + 4 <= count; i += 4) {
            __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(deltas + i));
            __m256i x = _mm256_add_epi64(prefix_sum64(_mm256_cvtepi32_epi64(four)), carry);
            carry = last_lane64(x);
            _mm256_storeu_pd(values + i, finish_value(&finish, x));
        }
        first = _mm256_extract_epi64(carry, 0);
    }
    column__kernels_scalar.sum_deltas32(deltas + i, count - i, first, power, values + i);
}

static const struct column_kernels kernels_avx2 = {
    .name = "avx2",
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

const struct column_kernels *column__kernels_avx2(void)
{
    /* Every processor with AVX2 has the leading-zero count too. */
    if (!__builtin_cpu_supports("avx2"))
        return NULL;
    build_tables();
    return &kernels_avx2;
}

#else

const struct column_kernels *column__kernels_avx2(void)
{
    return NULL;
}

#endif
