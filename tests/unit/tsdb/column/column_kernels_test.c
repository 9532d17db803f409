/* The vector kernels against the plain ones. Skipped where the processor has no AVX2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_kernels.h"
#include "column_samples.h"
#include "narthex/tsdb/column.h"

enum { NUMBERS = COLUMN_ROWS_MAX + 2 * COLUMN_NUMBERS_SLACK, MISSING = 77 };

static const struct column_kernels *plain = &column__kernels_scalar;
static const struct column_kernels *vector;

static void fill_random(struct random_source *source, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_u64(source);
}

static void unpack_all_widths_and_counts(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(51);
    uint8_t packed[COLUMN_ROWS_MAX * 4 + COLUMN_SLACK_BYTES];
    uint32_t expected[NUMBERS], got[NUMBERS];
    for (uint32_t width = 0; width <= COLUMN_NARROW_WIDTH_MAX; width++) {
        for (uint32_t count = 0; count <= COLUMN_ROWS_MAX; count++) {
            fill_random(&source, packed, sizeof packed);
            plain->unpack32(packed, count, width, expected);
            vector->unpack32(packed, count, width, got);
            assert_memory_equal(got, expected, count * sizeof *got);
        }
    }
}

static void merge_any_bitmap(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(52);
    uint8_t bitmap[COLUMN_ROWS_MAX / 8];
    uint32_t small[NUMBERS], large[NUMBERS], expected[NUMBERS], got[NUMBERS];
    for (uint32_t i = 0; i < NUMBERS; i++) {
        small[i] = i;
        large[i] = 1000 + i;
    }
    for (uint32_t trial = 0; trial < 2000; trial++) {
        uint32_t count = (uint32_t)random_below(&source, COLUMN_ROWS_MAX + 1);
        fill_random(&source, bitmap, sizeof bitmap);
        plain->merge32(bitmap, count, small, large, expected);
        vector->merge32(bitmap, count, small, large, got);
        assert_memory_equal(got, expected, count * sizeof *got);
    }
}

/* Lines whose integers all stay within the contract of finish32 and finish64. */
static struct column_line random_line(struct random_source *source)
{
    static const double powers[] = {1, 1, 10, 1000, 1e15};
    static const int64_t gcds[] = {1, 1, 3, 8, 4096};
    return (struct column_line){
        .first = (int64_t)random_below(source, INT64_C(1) << 48) - (INT64_C(1) << 47),
        .gcd = gcds[random_below(source, 5)],
        .centre = (int64_t)random_below(source, 1 << 20) - (1 << 19),
        .power = powers[random_below(source, 5)],
        .predictor = (uint32_t)random_below(source, 2),
        .zigzag = random_below(source, 2),
    };
}

static void finish_any_line(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(53);
    uint32_t numbers[NUMBERS];
    uint64_t residuals[NUMBERS];
    double expected[COLUMN_ROWS_MAX + 1], got[COLUMN_ROWS_MAX + 1];
    for (uint32_t trial = 0; trial < 5000; trial++) {
        struct column_line line = random_line(&source);
        uint32_t count = (uint32_t)random_below(&source, COLUMN_ROWS_MAX + 1);
        uint64_t width = random_below(&source, COLUMN_NARROW_WIDTH_MAX + 1);
        for (uint32_t i = 0; i < NUMBERS; i++) {
            uint64_t random = random_u64(&source);
            numbers[i] = (uint32_t)(random & ((1u << width) - 1));
            residuals[i] = (uint64_t)((int64_t)(random << 36) >> 36);
        }
        got[count] = 4711;
        plain->finish32(&line, numbers, count, expected);
        vector->finish32(&line, numbers, count, got);
        assert_memory_equal(got, expected, count * sizeof *got);
        plain->finish64(&line, residuals, count, expected);
        vector->finish64(&line, residuals, count, got);
        assert_memory_equal(got, expected, count * sizeof *got);
        assert_true(got[count] == 4711);
    }
}

static void decimals_of_any_values(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(54);
    double values[COLUMN_ROWS_MAX], expected_values[COLUMN_ROWS_MAX], got_values[COLUMN_ROWS_MAX];
    int64_t expected[COLUMN_ROWS_MAX], got[COLUMN_ROWS_MAX];
    uint64_t converted = 0;
    for (uint32_t trial = 0; trial < 20000; trial++) {
        uint32_t count = sample_column(&source, values);
        double power = (double[]){1, 10, 100, 1e6}[random_below(&source, 4)];
        uint32_t n = plain->to_decimal(values, count, power, expected);
        assert_int_equal(vector->to_decimal(values, count, power, got), n);
        assert_memory_equal(got, expected, n * sizeof *got);
        converted += n;
        for (uint32_t i = 0; i < count; i++)
            got[i] = (int64_t)(random_u64(&source) >> random_below(&source, 64));
        plain->from_decimal(got, count, power, expected_values);
        vector->from_decimal(got, count, power, got_values);
        assert_memory_equal(got_values, expected_values, count * sizeof *got_values);
        plain->from_images(got, count, expected_values);
        vector->from_images(got, count, got_values);
        assert_memory_equal(got_values, expected_values, count * sizeof *got_values);
        plain->add_to_images(got, count, expected_values);
        vector->add_to_images(got, count, got_values);
        assert_memory_equal(got_values, expected_values, count * sizeof *got_values);
    }
    assert_true(converted > 100000);
}

static void sums_of_any_deltas(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(55);
    int32_t deltas[COLUMN_ROWS_MAX];
    double expected[COLUMN_ROWS_MAX], got[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 5000; trial++) {
        uint32_t count = (uint32_t)random_below(&source, COLUMN_ROWS_MAX + 1);
        double power = trial % 2 ? 1 : 100;
        int64_t first = (int64_t)random_u64(&source) >> (2 + random_below(&source, 60));
        fill_random(&source, (uint8_t *)deltas, sizeof deltas);
        plain->sum_deltas8((const int8_t *)deltas, count, first, power, expected);
        vector->sum_deltas8((const int8_t *)deltas, count, first, power, got);
        assert_memory_equal(got, expected, count * sizeof *got);
        plain->sum_deltas16((const int16_t *)deltas, count, first, power, expected);
        vector->sum_deltas16((const int16_t *)deltas, count, first, power, got);
        assert_memory_equal(got, expected, count * sizeof *got);
        plain->sum_deltas32(deltas, count, first, power, expected);
        vector->sum_deltas32(deltas, count, first, power, got);
        assert_memory_equal(got, expected, count * sizeof *got);
    }
}

static void whole_columns_agree(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(56);
    static uint8_t first[2200], second[2200];
    double values[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 5000; trial++) {
        uint32_t count = sample_column(&source, values);
        column__kernels = plain;
        size_t size = column_seal_small(values, count, first);
        column__kernels = vector;
        assert_int_equal(column_seal_small(values, count, second), size);
        assert_memory_equal(first, second, size);
        column__kernels = plain;
        assert_int_equal(column_decode(first, size, count, back), OK);
        assert_memory_equal(values, back, count * sizeof *values);
        column__kernels = vector;
        assert_int_equal(column_decode(first, size, count, back), OK);
        assert_memory_equal(values, back, count * sizeof *values);
    }
}

/* Streams whose numbers have each width from 0 to 64, plain and beside smaller ones (dual). */
static void columns_of_all_widths_agree(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(57);
    static uint8_t encoded[2200];
    double values[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 65 * 20; trial++) {
        uint32_t width = trial % 65;
        uint64_t mask = width == 0 ? 0 : ~UINT64_C(0) >> (64 - width);
        for (uint32_t i = 0; i < COLUMN_ROWS_MAX; i++) {
            uint64_t random = random_u64(&source) & mask;
            if (trial % 2 && random_u64(&source) % 3)
                random >>= 10;
            values[i] = width <= 50 ? (double)random : sample_from_bits(random);
        }
        size_t size = trial % 3 ? column_seal(values, COLUMN_ROWS_MAX, NULL, encoded)
                                : column_seal_small(values, COLUMN_ROWS_MAX, encoded);
        column__kernels = plain;
        assert_int_equal(column_decode(encoded, size, COLUMN_ROWS_MAX, back), OK);
        assert_memory_equal(values, back, sizeof values);
        column__kernels = vector;
        assert_int_equal(column_decode(encoded, size, COLUMN_ROWS_MAX, back), OK);
        assert_memory_equal(values, back, sizeof values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpack_all_widths_and_counts),
        cmocka_unit_test(merge_any_bitmap),
        cmocka_unit_test(finish_any_line),
        cmocka_unit_test(decimals_of_any_values),
        cmocka_unit_test(sums_of_any_deltas),
        cmocka_unit_test(whole_columns_agree),
        cmocka_unit_test(columns_of_all_widths_agree),
    };
    vector = column__kernels_avx2();
    if (vector == NULL) {
        printf("no AVX2 here\n");
        return MISSING;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
