#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/tsdb/column.h"

enum { TRIALS = 20000 };

static uint8_t encoded[2200];

static void check(const double *values, uint32_t count, size_t size)
{
    double back[COLUMN_ROWS_MAX];
    assert_true(size >= 1 && size <= 1 + 8 * count);
    memset(encoded + size, 0xa5, COLUMN_SLACK_BYTES);
    assert_int_equal(column_decode(encoded, size, count, back), OK);
    assert_memory_equal(values, back, count * sizeof *values);
}

static void every_bit_pattern_comes_back(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(1);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < TRIALS; i++) {
        uint32_t count = sample_column(&source, values);
        check(values, count, column_seal(values, count, NULL, encoded));
        if (i % 4 == 0)
            check(values, count, column_seal_small(values, count, encoded));
    }
}

static void hints_of_other_columns_do_no_harm(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(2);
    struct column_hint hint = {0};
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < TRIALS; i++) {
        uint32_t count = sample_column(&source, values);
        if (i % 50 == 0)
            hint = (struct column_hint){0};
        check(values, count, column_seal(values, count, &hint, encoded));
        if (i % 3 == 0)
            check(values, count, column_seal(values, count, &hint, encoded));
    }
}

/* A hint saves the search, and may cost a little size only. */
static void hints_cost_little(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(5);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t shape = 0; shape < SAMPLE_SHAPES; shape++) {
        struct column_hint hint = {0};
        size_t hinted = 0, searched = 0;
        for (uint32_t window = 0; window < 50; window++) {
            sample_plain(&source, shape, values, COLUMN_ROWS_MAX);
            searched += column_seal(values, COLUMN_ROWS_MAX, NULL, encoded);
            hinted += column_seal(values, COLUMN_ROWS_MAX, &hint, encoded);
        }
        assert_true(hinted * 100 <= searched * 107);
    }
}

static void writes_stay_inside_the_stated_size(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(3);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < TRIALS; i++) {
        uint32_t count = sample_column(&source, values);
        size_t size_max = column_size_max(count);
        memset(encoded, 0x5a, sizeof encoded);
        column_seal(values, count, NULL, encoded);
        for (size_t at = size_max; at < sizeof encoded; at++)
            assert_int_equal(encoded[at], 0x5a);
    }
}

static void constants_can_be_peeked(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(4);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < TRIALS; i++) {
        values[0] = values[1] = i % 2 ? sample_garbage(&source) : (double)i / 100;
        size_t size = column_seal(values, 2, NULL, encoded);
        double peeked;
        assert_true(size <= 9);
        assert_true(column_peek_constant(encoded, size, &peeked));
        assert_int_equal(sample_bits(peeked), sample_bits(values[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_pattern_comes_back),
        cmocka_unit_test(hints_of_other_columns_do_no_harm),
        cmocka_unit_test(hints_cost_little),
        cmocka_unit_test(writes_stay_inside_the_stated_size),
        cmocka_unit_test(constants_can_be_peeked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
