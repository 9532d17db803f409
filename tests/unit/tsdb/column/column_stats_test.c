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
    same_bits(a->reset_sum, b->reset_sum);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->stale_count, b->stale_count);
    assert_int_equal(a->reset_count, b->reset_count);
    assert_int_equal(a->change_count, b->change_count);
    assert_int_equal(a->flags, b->flags);
}

static void known_figures(void **state)
{
    (void)state;
    double stale = sample_from_bits(STALE);
    struct column_stats stats;
    column_stats_compute((double[]){5, 7, stale, 2, 2, 9, 1}, 7, &stats);
    assert_int_equal(stats.count, 6);
    assert_int_equal(stats.stale_count, 1);
    assert_int_equal(stats.reset_count, 2);
    assert_int_equal(stats.change_count, 4);
    same_bits(stats.first, 5);
    same_bits(stats.last, 1);
    same_bits(stats.min, 1);
    same_bits(stats.max, 9);
    same_bits(stats.sum, 26);
    same_bits(stats.reset_sum, 16);
    assert_int_equal(stats.flags, COLUMN_STATS_SUM_EXACT);

    column_stats_compute((double[]){1, 1, 2.5}, 3, &stats);
    assert_int_equal(stats.flags, COLUMN_STATS_MONOTONE);
    column_stats_compute((double[]){NAN, 3, NAN, -INFINITY}, 4, &stats);
    assert_int_equal(stats.flags, COLUMN_STATS_HAS_NAN | COLUMN_STATS_HAS_INF);
    same_bits(stats.min, -INFINITY);
    same_bits(stats.max, 3);
    assert_int_equal(stats.change_count, 3);
    static const double constants[] = {0, -0.0, 7, -3, 0.1, 0x1p44, 0x1p50, INFINITY, NAN};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        double values[COLUMN_ROWS_MAX];
        struct column_stats same;
        for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
            values[row] = constants[i];
        column_stats_compute(values, COLUMN_ROWS_MAX, &stats);
        column_stats_of_constant(constants[i], COLUMN_ROWS_MAX, &same);
        assert_same(&stats, &same);
    }
    column_stats_compute((double[]){0.0, -0.0}, 2, &stats);
    same_bits(stats.max, 0.0);
    assert_false(stats.flags & COLUMN_STATS_MONOTONE);
    column_stats_compute((double[]){0x1p52, 0x1p52}, 2, &stats);
    assert_false(stats.flags & COLUMN_STATS_SUM_EXACT);
}

/* The definitions of the header, word for word. */
static void naive(const double *values, uint32_t row_count, struct column_stats *stats)
{
    double seen[COLUMN_ROWS_MAX];
    uint32_t n = 0;
    *stats = (struct column_stats){0};
    for (uint32_t i = 0; i < row_count; i++)
        if (sample_bits(values[i]) != STALE)
            seen[n++] = values[i];
    stats->count = (uint16_t)n;
    stats->stale_count = (uint16_t)(row_count - n);
    if (n == 0)
        return;
    stats->first = stats->min = stats->max = stats->sum = seen[0];
    stats->last = seen[n - 1];
    for (uint32_t i = 1; i < n; i++) {
        stats->sum += seen[i];
        if (seen[i] < stats->min || isnan(stats->min))
            stats->min = seen[i];
        if (seen[i] > stats->max || isnan(stats->max))
            stats->max = seen[i];
        if (seen[i] < seen[i - 1]) {
            stats->reset_count++;
            stats->reset_sum += seen[i - 1];
        }
        if (seen[i] != seen[i - 1] && !(isnan(seen[i]) && isnan(seen[i - 1])))
            stats->change_count++;
    }
}

static void agrees_with_the_definitions(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(43);
    double values[COLUMN_ROWS_MAX];
    uint32_t monotone = 0, exact = 0;
    for (uint32_t trial = 0; trial < 30000; trial++) {
        uint32_t count = sample_column(&source, values);
        struct column_stats stats, expected;
        column_stats_compute(values, count, &stats);
        naive(values, count, &expected);
        expected.flags = stats.flags;
        if (isnan(expected.sum) && isnan(stats.sum)) /* which NaN is the compiler's choice */
            expected.sum = stats.sum;
        if (isnan(expected.reset_sum) && isnan(stats.reset_sum))
            expected.reset_sum = stats.reset_sum;
        assert_same(&stats, &expected);
        if (stats.flags & COLUMN_STATS_MONOTONE) {
            monotone++;
            same_bits(stats.min, stats.first);
            same_bits(stats.max, stats.last);
        }
        if (stats.flags & COLUMN_STATS_SUM_EXACT) {
            double backwards = 0;
            exact++;
            for (uint32_t i = count; i-- > 0;)
                if (sample_bits(values[i]) != STALE)
                    backwards += values[i];
            same_bits(backwards, stats.sum);
        }
    }
    assert_true(monotone > 100);
    assert_true(exact > 100);
}

static void encodings_come_back(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(41);
    double values[COLUMN_ROWS_MAX];
    uint8_t encoded[COLUMN_STATS_SIZE_MAX];
    for (uint32_t trial = 0; trial < 30000; trial++) {
        uint32_t count = sample_column(&source, values);
        if (trial % 100 == 0)
            for (uint32_t i = 0; i < count; i++)
                values[i] = sample_from_bits(STALE);
        struct column_stats stats, back;
        size_t consumed;
        column_stats_compute(values, count, &stats);
        size_t size = column_stats_encode(&stats, count, encoded);
        assert_int_equal(column_stats_decode(encoded, size, count, &back, &consumed), OK);
        assert_int_equal(consumed, size);
        assert_same(&stats, &back);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(column_stats_decode(encoded, cut, count, &back, &consumed),
                             ERR_CORRUPT);
    }
}

static void random_bytes_are_survived(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(42);
    uint32_t accepted = 0;
    for (uint32_t trial = 0; trial < 100000; trial++) {
        uint8_t bytes[COLUMN_STATS_SIZE_MAX];
        size_t size = random_below(&source, sizeof bytes + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(random_u64(&source) >> (random_u64(&source) % 8));
        struct column_stats stats;
        size_t consumed = 0;
        err_t err = column_stats_decode(bytes, size, 1 + (uint32_t)random_below(&source, 240),
                                        &stats, &consumed);
        if (err == OK)
            accepted++;
        assert_true(consumed <= size);
    }
    assert_true(accepted > 0);
}

static void golden_bytes(void **state)
{
    (void)state;
    struct column_stats stats;
    uint8_t encoded[COLUMN_STATS_SIZE_MAX];
    column_stats_compute((double[]){10.5, 11, 12}, 3, &stats);
    static const uint8_t expected[] = {0x41, 0x02, 0x01, 0xd2, 0x01, 0x1e, 0x28, 0x00};
    assert_int_equal(column_stats_encode(&stats, 3, encoded), sizeof expected);
    assert_memory_equal(encoded, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_figures),       cmocka_unit_test(agrees_with_the_definitions),
        cmocka_unit_test(encodings_come_back), cmocka_unit_test(random_bytes_are_survived),
        cmocka_unit_test(golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
