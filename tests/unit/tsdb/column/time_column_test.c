#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/time_column.h"

static uint8_t encoded[2200];

/* Scrape times of some kind; returns the constant step or 0. */
static int64_t sample_times(struct random_source *source, int64_t *times, uint32_t count)
{
    uint64_t shape = random_below(source, 5);
    int64_t step = 1 + (int64_t)random_below(source, 60000);
    int64_t t = (int64_t)random_below(source, 2000000000000);
    bool even = true;
    for (uint32_t i = 0; i < count; i++) {
        times[i] = t;
        if (shape == 4)
            times[i] = (int64_t)random_u64(source);
        int64_t jitter = shape == 1 ? (int64_t)random_below(source, 20) - 10 : 0;
        if (shape == 2 && random_below(source, 30) == 0)
            jitter = step * (int64_t)random_below(source, 100);
        if (shape == 3)
            jitter = (int64_t)i * step;
        even = even && (jitter == 0 || i + 1 == count) && shape != 4;
        t += step + jitter;
    }
    return even && count > 1 ? step : 0;
}

static void times_come_back(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(21);
    int64_t times[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 20000; trial++) {
        uint32_t count = 1 + (uint32_t)random_below(&source, COLUMN_ROWS_MAX);
        int64_t step = sample_times(&source, times, count);
        size_t size = time_column_seal(times, count, encoded);
        assert_true(size + COLUMN_SLACK_BYTES <= time_column_size_max(count));
        assert_int_equal(time_column_decode(encoded, size, count, back), OK);
        assert_memory_equal(times, back, count * sizeof *times);
        struct time_column_summary summary;
        assert_int_equal(time_column_peek(encoded, size, count, &summary), OK);
        assert_true(summary.first_ms == times[0]);
        assert_true(summary.last_ms == times[count - 1]);
        if (step != 0)
            assert_true(summary.step_ms == step);
        for (uint32_t i = 0; i < count && summary.step_ms != 0; i++)
            assert_true((uint64_t)times[i] ==
                        (uint64_t)summary.first_ms + i * (uint64_t)summary.step_ms);
    }
}

static void truncations_are_errors(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(22);
    int64_t times[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 500; trial++) {
        uint32_t count = 1 + (uint32_t)random_below(&source, COLUMN_ROWS_MAX);
        sample_times(&source, times, count);
        size_t size = time_column_seal(times, count, encoded);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(time_column_decode(encoded, cut, count, times), ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_come_back),
        cmocka_unit_test(truncations_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
