/* Points of a matrix are what rendering each by itself gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "json_points.h"
#include "request.h"

enum { POINTS_MAX = 60, SERIES = 400 };

static uint64_t state = 20261122;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void plain_points(struct strbuf *out, const struct query_series *series)
{
    for (uint32_t p = 0; p < series->float_count; p++) {
        strbuf_add_cstr(out, p == 0 ? "[" : ",[");
        json_add_timestamp(out, series->float_t_ms[p]);
        strbuf_add_char(out, ',');
        json_add_value(out, series->floats[p]);
        strbuf_add_char(out, ']');
    }
}

static double some_value(double before)
{
    switch (next_random() % 6) {
    case 0:
        return before;
    case 1:
        return -before; /* 0 and -0 differ in text */
    case 2:
        return (double)(next_random() % 3);
    case 3: {
        uint64_t bits = next_random();
        double v;
        __builtin_memcpy(&v, &bits, sizeof v);
        return v;
    }
    default:
        return (double)next_random() / 7;
    }
}

static void series_with_gaps_and_other_times(void **unused)
{
    (void)unused;
    struct json_times times = {0};
    printf("seed %llu\n", (unsigned long long)state);
    for (size_t i = 0; i < SERIES; i++) {
        int64_t t_ms[POINTS_MAX];
        double values[POINTS_MAX];
        uint32_t count = (uint32_t)(next_random() % POINTS_MAX);
        int64_t t = next_random() % 4 == 0 ? -100000 : 1700000000000;
        int64_t step = next_random() % 3 == 0 ? 333 : 1000;
        for (uint32_t p = 0; p < count; p++) {
            t += step * (int64_t)(next_random() % 5 == 0 ? 2 : 1);
            t_ms[p] = t;
            values[p] = some_value(p == 0 ? 0.0 : values[p - 1]);
        }
        struct query_series series = {.float_count = count, .float_t_ms = t_ms, .floats = values};
        struct strbuf fast = STRBUF_INIT, plain = STRBUF_INIT;
        uint32_t cut = (uint32_t)(next_random() % (count + 1));
        if (next_random() % 2 == 0)
            json_times_learn(&times, &series);
        json_add_float_points(&fast, &times, &series, 0, cut);
        json_add_float_points(&fast, &times, &series, cut, count);
        assert_int_equal(json_float_points_size(&times, &series, 0, cut) +
                             json_float_points_size(&times, &series, cut, count),
                         fast.size);
        plain_points(&plain, &series);
        assert_string_equal(strbuf_cstr(&fast), strbuf_cstr(&plain));
        strbuf_deinit(&fast);
        strbuf_deinit(&plain);
    }
    json_times_deinit(&times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_with_gaps_and_other_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
