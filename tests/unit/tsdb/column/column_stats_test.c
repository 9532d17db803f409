#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/column_stats.h"

static const uint64_t STALE = 0x7ff0000000000002;

static void same_bits(double a, double b)
{
    assert_int_equal(sample_bits(a), sample_bits(b));
}

static void assert_same(const struct column_stats *a, const struct column_stats *b)
{
    same_bits(a->first, b->first);
    same_bits(a->last, b->last);
    same_bits(a->min, b->min);
    same_bits(a->max, b->max);
    same_bits(a->sum, b->sum);
    assert_int_equal(a->flags, b->flags);
}

static void known_figures(void **state)
{
    (void)state;
    double stale = sample_from_bits(STALE);
    struct column_stats stats;
    assert_true(column_stats_compute((double[]){5, 7, 2, 2, 9, 1}, 6, &stats));
    same_bits(stats.first, 5);
    same_bits(stats.last, 1);
    same_bits(stats.min, 1);
    same_bits(stats.max, 9);
    same_bits(stats.sum, 26);
    assert_int_equal(stats.flags, COLUMN_STATS_SUM_EXACT | COLUMN_STATS_FALLS);

    assert_true(column_stats_compute((double[]){1, 1, 2.5}, 3, &stats));
    assert_int_equal(stats.flags, COLUMN_STATS_MONOTONE);
    same_bits(stats.sum, 0);
    assert_true(column_stats_compute((double[]){0.0, -0.0}, 2, &stats));
    same_bits(stats.max, 0.0);
    assert_int_equal(stats.flags, 0);
    assert_true(column_stats_compute((double[]){-INFINITY, 0, INFINITY}, 3, &stats));
    assert_int_equal(stats.flags, COLUMN_STATS_MONOTONE);
    assert_true(column_stats_compute((double[]){0x1p52, 0x1p52}, 2, &stats));
    assert_int_equal(stats.flags, COLUMN_STATS_MONOTONE);

    assert_false(column_stats_compute((double[]){1, stale}, 2, &stats));
    assert_false(column_stats_compute((double[]){NAN, 1}, 2, &stats));
    assert_false(column_stats_compute((double[]){1, NAN, 1}, 3, &stats));
    assert_false(column_stats_compute((double[]){NAN}, 1, &stats));
}

static void constants_agree_with_columns(void **state)
{
    (void)state;
    static const double constants[] = {0, -0.0, 7, -3, 0.1, 0x1p43, 0x1p44, 0x1p50, INFINITY};
    struct column_stats stats, same;
    double values[COLUMN_ROWS_MAX];
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
            values[row] = constants[i];
        assert_true(column_stats_compute(values, COLUMN_ROWS_MAX, &stats));
        assert_true(column_stats_of_constant(constants[i], COLUMN_ROWS_MAX, &same));
        assert_same(&stats, &same);
    }
    assert_false(column_stats_of_constant(NAN, 1, &same));
    assert_false(column_stats_of_constant(sample_from_bits(STALE), 2, &same));
}

/* The definitions of the header, word for word, but for what the flags say. */
static bool naive(const double *values, uint32_t row_count, struct column_stats *stats)
{
    *stats = (struct column_stats){.first = values[0], .min = values[0], .max = values[0]};
    stats->last = values[row_count - 1];
    for (uint32_t i = 0; i < row_count; i++) {
        if (isnan(values[i]))
            return false;
        stats->sum += values[i];
        if (values[i] < stats->min)
            stats->min = values[i];
        if (values[i] > stats->max)
            stats->max = values[i];
        if (i > 0 && values[i] < values[i - 1])
            stats->flags = COLUMN_STATS_FALLS;
    }
    return true;
}

/* Adding integers backwards rounds as little as adding them forwards. */
static void sum_is_exact(const double *values, uint32_t count, double sum)
{
    double backwards = 0;
    for (uint32_t i = count; i-- > 0;) {
        same_bits(values[i], trunc(values[i]));
        backwards += values[i];
    }
    same_bits(backwards, sum);
}

static void agrees_with_the_definitions(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(43);
    double values[COLUMN_ROWS_MAX];
    uint32_t monotone = 0, exact = 0, none = 0;
    for (uint32_t trial = 0; trial < 30000; trial++) {
        uint32_t count = sample_column(&source, values);
        struct column_stats stats, expected;
        bool any = naive(values, count, &expected);
        assert_int_equal(column_stats_compute(values, count, &stats), any);
        if (!any) {
            none++;
            continue;
        }
        if (stats.flags & COLUMN_STATS_MONOTONE) {
            monotone++;
            expected.flags |= COLUMN_STATS_MONOTONE;
            same_bits(stats.min, stats.first);
            same_bits(stats.max, stats.last);
            assert_false(stats.flags & COLUMN_STATS_FALLS);
        }
        if (stats.flags & COLUMN_STATS_SUM_EXACT) {
            exact++;
            expected.flags |= COLUMN_STATS_SUM_EXACT;
            sum_is_exact(values, count, stats.sum);
        } else {
            expected.sum = 0;
        }
        assert_same(&stats, &expected);
    }
    assert_true(monotone > 100);
    assert_true(exact > 100);
    assert_true(none > 100);
}

static void comes_back(const double *values, uint32_t count)
{
    struct column_stats stats, back;
    uint8_t encoded[COLUMN_STATS_SIZE_MAX];
    size_t consumed;
    assert_true(column_stats_compute(values, count, &stats));
    size_t size = column_stats_encode(&stats, count, encoded);
    assert_true(column_stats_are_usable(encoded, size));
    assert_int_equal(column_stats_decode(encoded, size, count, &back, &consumed), OK);
    assert_int_equal(consumed, size);
    assert_same(&stats, &back);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(column_stats_decode(encoded, cut, count, &back, &consumed), ERR_CORRUPT);
}

static void encodings_come_back(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(41);
    double values[COLUMN_ROWS_MAX];
    uint32_t tried = 0;
    for (uint32_t trial = 0; trial < 30000; trial++) {
        struct column_stats stats;
        uint32_t count = sample_column(&source, values);
        if (!column_stats_compute(values, count, &stats))
            continue;
        tried++;
        comes_back(values, count);
    }
    assert_true(tried > 10000);
}

/* The longest there are, and differences beyond 63 bits. */
static void extremes_come_back(void **state)
{
    (void)state;
    double values[COLUMN_ROWS_MAX] = {0x1p50 - 1, -0x1p49 - 1, 0x1p49 + 3};
    comes_back((double[]){-0x1p63, 0, 0x1.fffffffffffffp62}, 3);
    comes_back((double[]){0, 0x1.fffffffffffffp62, -0x1p63}, 3);
    comes_back((double[]){0x1.fffffffffffffp62, -0x1p63}, 2);
    comes_back((double[]){0x1p51 - 1}, 1);
    comes_back((double[]){1 - 0x1p51}, 1);
    comes_back((double[]){0x1.fffffffffffffp1023, -0x1p-1074, -INFINITY, 0.1}, 4);
    comes_back(values, COLUMN_ROWS_MAX);
    values[COLUMN_ROWS_MAX - 1] = -0x1p47;
    comes_back(values, COLUMN_ROWS_MAX);
}

static void random_bytes_are_survived(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(42);
    uint32_t accepted[2] = {0, 0};
    for (uint32_t trial = 0; trial < 100000; trial++) {
        uint8_t bytes[COLUMN_STATS_SIZE_MAX];
        size_t size = 1 + random_below(&source, sizeof bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(random_u64(&source) >> (random_u64(&source) % 8));
        struct column_stats stats;
        size_t consumed = 0;
        err_t err = column_stats_decode(bytes, size, 1 + (uint32_t)random_below(&source, 240),
                                        &stats, &consumed);
        if (err == OK)
            accepted[bytes[0] >> 7]++;
        assert_true(consumed <= size);
    }
    assert_true(accepted[0] > 100);
    assert_true(accepted[1] > 100);
}

static void golden(const double *values, uint32_t count, const uint8_t *expected, size_t size)
{
    struct column_stats stats;
    uint8_t encoded[COLUMN_STATS_SIZE_MAX];
    assert_true(column_stats_compute(values, count, &stats));
    assert_int_equal(column_stats_encode(&stats, count, encoded), size);
    assert_memory_equal(encoded, expected, size);
}

static void golden_bytes(void **state)
{
    (void)state;
    static const uint8_t rising[] = {0x91, 0xd2, 0x01, 0x0f};
    static const uint8_t gauge[] = {0xe0, 0x0a, 0x06, 0x03, 0x01, 0x01};
    static const uint8_t raw[] = {0x9f, 0x18, 0x2d, 0x44, 0x54, 0xfb, 0x21, 0x09, 0x40,
                                  0x69, 0x57, 0x14, 0x8b, 0x0a, 0xbf, 0x15, 0x40};
    golden((double[]){10.5, 11, 12}, 3, rising, sizeof rising);
    golden((double[]){5, 7, 2, 9, 8}, 5, gauge, sizeof gauge);
    golden((double[]){0x1.921fb54442d18p+1, 0x1.5bf0a8b145769p+2}, 2, raw, sizeof raw);
}

/* Statistics as programs before the second form wrote them. */
static const struct {
    double values[5];
    uint8_t bytes[56];
    uint32_t count;
    uint32_t size;
} first_form[] = {
    {{10.5, 11, 12}, {0x41, 0x02, 0x01, 0xd2, 0x01, 0x1e, 0x28, 0x00}, 3, 8},
    {{5, 7, 2, 9, 8}, {0x52, 0x04, 0x02, 0x00, 0x0a, 0x06, 0x03, 0x04, 0x0c, 0x20}, 5, 10},
    {{0.1, 0.3, 0.2},
     {0x50, 0x02, 0x01, 0x01, 0x02, 0x02, 0x00, 0x02, 0x06, 0x02, 0x06, 0x00},
     3,
     12},
    {{0x1.921fb54442d18p+1, 0x1.5bf0a8b145769p+2},
     {0x01, 0x01, 0x18, 0x2d, 0x44, 0x54, 0xfb, 0x21, 0x09, 0x40, 0x69, 0x57, 0x14,
      0x8b, 0x0a, 0xbf, 0x15, 0x40, 0xfa, 0x36, 0x9b, 0x1a, 0x04, 0x28, 0x21, 0x40},
     2,
     26},
    {{0x1.5bf0a8b145769p+2, 0x1.921fb54442d18p+1, 1e300},
     {0x10, 0x02, 0x01, 0x69, 0x57, 0x14, 0x8b, 0x0a, 0xbf, 0x15, 0x40, 0x9c, 0x75,
      0x00, 0x88, 0x3c, 0xe4, 0x37, 0x7e, 0x18, 0x2d, 0x44, 0x54, 0xfb, 0x21, 0x09,
      0x40, 0x9c, 0x75, 0x00, 0x88, 0x3c, 0xe4, 0x37, 0x7e, 0x9c, 0x75, 0x00, 0x88,
      0x3c, 0xe4, 0x37, 0x7e, 0x69, 0x57, 0x14, 0x8b, 0x0a, 0xbf, 0x15, 0x40},
     3,
     51},
    {{-0x1p50 + 1, 0x1p50 - 1},
     {0x03, 0x01, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xc3, 0xf8, 0xff, 0xff,
      0xff, 0xff, 0xff, 0x0f, 0x43, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
     2,
     26},
};

static void the_first_form_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof first_form / sizeof first_form[0]; i++) {
        const uint8_t *bytes = first_form[i].bytes;
        uint32_t size = first_form[i].size, count = first_form[i].count;
        struct column_stats stats, back;
        size_t consumed;
        assert_true(column_stats_compute(first_form[i].values, count, &stats));
        assert_true(column_stats_are_usable(bytes, size));
        assert_int_equal(column_stats_decode(bytes, size, count, &back, &consumed), OK);
        assert_int_equal(consumed, size);
        assert_same(&stats, &back);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(column_stats_decode(bytes, cut, count, &back, &consumed), ERR_CORRUPT);
    }
    /* Of {1, stale, 2} and the beginning of {1, NaN, 2}. */
    static const uint8_t stale[] = {0x63, 0x01, 0x01, 0x00, 0x02, 0x02, 0x02};
    static const uint8_t nan[] = {0x04, 0x02};
    assert_false(column_stats_are_usable(stale, sizeof stale));
    assert_false(column_stats_are_usable(nan, sizeof nan));
    assert_false(column_stats_are_usable(nan, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_figures),
        cmocka_unit_test(constants_agree_with_columns),
        cmocka_unit_test(agrees_with_the_definitions),
        cmocka_unit_test(encodings_come_back),
        cmocka_unit_test(extremes_come_back),
        cmocka_unit_test(random_bytes_are_survived),
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(the_first_form_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
