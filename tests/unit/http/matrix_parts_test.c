/* The parts of a matrix, one after another, are what rendering it in one go gives, however its
 * series and labels fall into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "matrix_parts.h"
#include "narthex/base/mem.h"
#include "request.h"

enum { ROUNDS = 40, SERIES_MAX = 600, POINTS_MAX = 5000 };

static uint64_t state = 20261123;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct labels some_labels(struct arena *arena, bool may_be_long)
{
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, 1);
    size_t size = may_be_long && next_random() % 20 == 0 ? 40000 : next_random() % 60;
    char *value = arena_alloc(arena, size + 1);
    memset(value, 'v', size);
    items[0] = (struct label){STR("name"), str_from(value, size)};
    return (struct labels){.items = items, .count = 1};
}

static struct query_result some_result(struct arena *arena)
{
    static int64_t t_ms[POINTS_MAX];
    static double values[POINTS_MAX];
    for (uint32_t i = 0; i < POINTS_MAX; i++) {
        t_ms[i] = 1700000000000 + 333 * (int64_t)i;
        values[i] = (double)(next_random() % 1000) / 7;
    }
    size_t count = next_random() % SERIES_MAX + 1;
    uint32_t points_max = next_random() % 3 == 0 ? POINTS_MAX : 100;
    struct query_series *series = ARENA_NEW_ARRAY(arena, struct query_series, count);
    for (size_t s = 0; s < count; s++) {
        uint32_t first = (uint32_t)(next_random() % 50);
        uint32_t floats = (uint32_t)(next_random() % (points_max - first)) + 1;
        series[s] = (struct query_series){.labels = some_labels(arena, points_max == POINTS_MAX),
                                          .float_count = floats,
                                          .float_t_ms = t_ms + first,
                                          .floats = values + first};
    }
    return (struct query_result){.type = QUERY_MATRIX, .series = series, .series_count = count};
}

static size_t plain(struct strbuf *out, const struct query_result *result)
{
    size_t points = 0;
    for (size_t s = 0; s < result->series_count; s++) {
        const struct query_series *series = &result->series[s];
        strbuf_add_cstr(out, s == 0 ? "{\"metric\":" : ",{\"metric\":");
        json_add_labels(out, series->labels);
        strbuf_add_cstr(out, ",\"values\":");
        for (uint32_t p = 0; p < series->float_count; p++) {
            strbuf_add_cstr(out, p == 0 ? "[[" : ",[");
            json_add_timestamp(out, series->float_t_ms[p]);
            strbuf_add_char(out, ',');
            json_add_value(out, series->floats[p]);
            strbuf_add_char(out, ']');
        }
        strbuf_add_cstr(out, "]}");
        points += series->float_count;
    }
    return points;
}

static void parts_make_the_whole(void **unused)
{
    (void)unused;
    printf("seed %llu\n", (unsigned long long)state);
    size_t long_ones = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena;
        arena_init(&arena, MEM_HTTP, SIZE_MAX);
        struct query_result result = some_result(&arena);
        struct strbuf whole = STRBUF_INIT, joined = STRBUF_INIT;
        size_t points = plain(&whole, &result);
        struct matrix_parts parts;
        if (matrix_parts_cut(&arena, &result, result.series_count, &parts)) {
            long_ones++;
            assert_true(parts.count > 1);
            /* Any order. */
            struct strbuf *texts = ARENA_NEW_ARRAY(&arena, struct strbuf, parts.count);
            for (size_t i = parts.count; i-- > 0;)
                matrix_parts_render(&parts, i, &texts[i]);
            for (size_t i = 0; i < parts.count; i++) {
                assert_true(texts[i].size > 0);
                assert_int_equal(matrix_parts_measure(&parts, i), texts[i].size);
                assert_true(texts[i].size < 256 * 1024);
                strbuf_add_str(&joined, strbuf_str(&texts[i]));
                strbuf_deinit(&texts[i]);
            }
            assert_string_equal(strbuf_cstr(&joined), strbuf_cstr(&whole));
            assert_true(parts.bytes_about > whole.size / 2 && parts.bytes_about < whole.size * 3);
            matrix_parts_deinit(&parts);
        } else {
            assert_true(points < 40000);
        }
        strbuf_deinit(&whole);
        strbuf_deinit(&joined);
        arena_deinit(&arena);
    }
    assert_true(long_ones > ROUNDS / 4);
}

/* Histograms and labels that outweigh the points are left to who renders piece by piece. */
static void others_are_not_cut(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena, MEM_HTTP, SIZE_MAX);
    enum { POINTS = 20000 };
    int64_t *t_ms = ARENA_NEW_ARRAY(&arena, int64_t, POINTS);
    double *values = ARENA_NEW_ARRAY(&arena, double, POINTS);
    char *filler = arena_alloc(&arena, POINTS * 20);
    memset(filler, '\1', POINTS * 20);
    struct label label = {STR("name"), str_from(filler, POINTS * 20)};
    struct query_series series = {.float_count = POINTS, .float_t_ms = t_ms, .floats = values};
    struct query_result result = {.type = QUERY_MATRIX, .series = &series, .series_count = 1};
    struct matrix_parts parts;
    assert_true(matrix_parts_cut(&arena, &result, 1, &parts));
    matrix_parts_deinit(&parts);
    assert_false(matrix_parts_cut(&arena, &result, 0, &parts));
    series.labels = (struct labels){.items = &label, .count = 1};
    assert_false(matrix_parts_cut(&arena, &result, 1, &parts));
    series.labels = (struct labels){0};
    series.histogram_count = 1;
    assert_false(matrix_parts_cut(&arena, &result, 1, &parts));
    series.histogram_count = 0;
    result.type = QUERY_VECTOR;
    assert_false(matrix_parts_cut(&arena, &result, 1, &parts));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(others_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
