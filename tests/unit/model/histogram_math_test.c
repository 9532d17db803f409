/* Arithmetic of native histograms against dense arrays and by its laws. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/model/histogram_math.h"

enum { ROUNDS = 2000, INDEX_MAX = 24 };

static uint64_t seed = 20260102;

static uint32_t next_random(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % below);
}

/* Spans out of a presence pattern; counts may be 0. */
static struct histogram_side random_side(struct arena *arena)
{
    struct histogram_span *spans = ARENA_NEW_ARRAY(arena, struct histogram_span, 2 * INDEX_MAX);
    union histogram_count *counts =
        ARENA_NEW_ARRAY(arena, union histogram_count, 2 * INDEX_MAX + 1);
    struct histogram_side side = {spans, counts, 0, 0};
    int32_t end = 0;
    for (int32_t i = -INDEX_MAX; i <= INDEX_MAX; i++) {
        if (next_random(3) != 0)
            continue;
        if (side.span_count == 0 || end != i)
            spans[side.span_count++] = (struct histogram_span){i - end, 0};
        spans[side.span_count - 1].length++;
        counts[side.bucket_count++].f = next_random(5);
        end = i + 1;
    }
    return side;
}

static struct histogram random_histogram(struct arena *arena)
{
    struct histogram h = {
        .kind = HISTOGRAM_FLOAT,
        .schema = (int32_t)next_random(4) - 1,
        .zero_count = {.f = next_random(4)},
        .sum = next_random(100),
    };
    h.positive = random_side(arena);
    h.negative = random_side(arena);
    h.count.f = h.zero_count.f;
    for (uint32_t i = 0; i < h.positive.bucket_count; i++)
        h.count.f += h.positive.counts[i].f;
    for (uint32_t i = 0; i < h.negative.bucket_count; i++)
        h.count.f += h.negative.counts[i].f;
    return h;
}

/* Counts by index in a lower schema, shifted so that every index fits. */
enum { DENSE = 4 * INDEX_MAX, DENSE_ZERO = 2 * INDEX_MAX };

static void add_dense(const struct histogram_side *side, int32_t shift, double sign, double *dense)
{
    int32_t index = 0;
    uint32_t at = 0;
    for (uint32_t s = 0; s < side->span_count; s++) {
        index += side->spans[s].offset;
        for (uint32_t i = 0; i < side->spans[s].length; i++, index++)
            dense[((index - 1) >> shift) + 1 + DENSE_ZERO] += sign * side->counts[at++].f;
    }
}

static void check_dense(const struct histogram_side *side, const double *expected)
{
    double dense[DENSE] = {0};
    add_dense(side, 0, 1, dense);
    for (int i = 0; i < DENSE; i++) {
        if (dense[i] != expected[i])
            fail_msg("seed %llu: bucket %d is %g, not %g", (unsigned long long)seed, i - DENSE_ZERO,
                     dense[i], expected[i]);
    }
}

static void test_add_against_dense(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct histogram a = random_histogram(&arena);
        struct histogram b = random_histogram(&arena);
        int32_t schema = a.schema < b.schema ? a.schema : b.schema;
        for (int subtract = 0; subtract < 2; subtract++) {
            struct histogram_outcome outcome;
            struct histogram *c = subtract ? histogram_subtract(&arena, &a, &b, &outcome)
                                           : histogram_add(&arena, &a, &b, &outcome);
            double sign = subtract ? -1 : 1;
            assert_false(outcome.incompatible);
            assert_int_equal(c->schema, schema);
            assert_true(c->count.f == a.count.f + sign * b.count.f);
            assert_true(c->zero_count.f == a.zero_count.f + sign * b.zero_count.f);
            double positive[DENSE] = {0};
            double negative[DENSE] = {0};
            add_dense(&a.positive, a.schema - schema, 1, positive);
            add_dense(&b.positive, b.schema - schema, sign, positive);
            add_dense(&a.negative, a.schema - schema, 1, negative);
            add_dense(&b.negative, b.schema - schema, sign, negative);
            check_dense(&c->positive, positive);
            check_dense(&c->negative, negative);
        }
        arena_deinit(&arena);
    }
}

/* a + b - b = a once compacted to the schema of the sum; nothing resets when counts only grow. */
static void test_laws(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct histogram a = random_histogram(&arena);
        struct histogram b = random_histogram(&arena);
        struct histogram_outcome outcome;
        struct histogram *sum = histogram_add(&arena, &a, &b, &outcome);
        struct histogram *back = histogram_subtract(&arena, sum, &b, &outcome);
        struct histogram_sum reduced;
        histogram_sum_init(&reduced, &arena, &a);
        histogram_sum_reduce(&reduced, sum->schema);
        assert_true(histogram_equal(back, histogram_sum_finish(&reduced, &arena, true)));
        assert_false(histogram_detect_reset(sum, &a));
        assert_false(histogram_detect_reset(&a, &a));
        if (b.count.f > 0)
            assert_true(histogram_detect_reset(&a, sum));
        arena_deinit(&arena);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    assert_true(histogram_exponential_bound(0, 8) == 1);
    assert_true(histogram_exponential_bound(1, 0) == 2);
    assert_true(histogram_exponential_bound(1, 1) == 1.414213562373095);
    assert_true(histogram_exponential_bound(-1, -2) == 0.0625);
    assert_true(histogram_exponential_bound(1024, 0) == DBL_MAX);
    assert_true(histogram_exponential_bound(64, -4) == DBL_MAX);
    for (int32_t schema = -4; schema <= 8; schema++) {
        for (int32_t i = -60; i < 60; i++)
            assert_true(histogram_exponential_bound(i, schema) <
                        histogram_exponential_bound(i + 1, schema));
    }
}

/* Integer counts, indices below zero: (0.5,1] and (0.25,0.5] share a bucket of the next schema. */
static void test_reduce(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram_span spans[] = {{-1, 3}, {2, 1}};
    union histogram_count counts[] = {{.i = 1}, {.i = 2}, {.i = 3}, {.i = 4}};
    struct histogram h = {.kind = HISTOGRAM_INTEGER,
                          .schema = 0,
                          .count = {.i = 10},
                          .positive = {spans, counts, 2, 4}};
    const struct histogram *r = histogram_reduce(&arena, &h, -1);
    assert_int_equal(r->positive.span_count, 1); /* the gap of two is gone */
    assert_int_equal(r->positive.bucket_count, 3);
    assert_int_equal(r->positive.spans[0].offset, 0);
    assert_int_equal(r->positive.spans[0].length, 3);
    assert_int_equal(r->positive.counts[0].i, 3);
    assert_int_equal(r->positive.counts[1].i, 3);
    assert_int_equal(r->positive.counts[2].i, 4);
    assert_int_equal(histogram_reduce(&arena, &h, 0)->positive.bucket_count, 4);
    arena_deinit(&arena);
}

/* A larger zero bucket swallows what lies in it, and grows out of a populated bucket. */
static void test_zero_buckets(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram_span span = {-2, 4}; /* (0.125,0.25] (0.25,0.5] (0.5,1] (1,2] */
    union histogram_count counts[] = {{.f = 1}, {.f = 2}, {.f = 3}, {.f = 4}};
    struct histogram fine = {
        .kind = HISTOGRAM_FLOAT, .count = {.f = 10}, .sum = 8, .positive = {&span, counts, 1, 4}};
    struct histogram coarse = {.kind = HISTOGRAM_FLOAT,
                               .zero_threshold = 0.3, /* inside (0.25,0.5] */
                               .zero_count = {.f = 5},
                               .count = {.f = 5}};
    struct histogram_outcome outcome;
    struct histogram *sum = histogram_add(&arena, &fine, &coarse, &outcome);
    assert_true(sum->zero_threshold == 0.5);
    assert_true(sum->zero_count.f == 8);
    assert_int_equal(sum->positive.bucket_count, 2);
    sum = histogram_add(&arena, &coarse, &fine, &outcome);
    assert_true(sum->zero_threshold == 0.5);
    assert_true(sum->zero_count.f == 8);
    struct strbuf text = STRBUF_INIT;
    histogram_print(sum, &text);
    assert_string_equal(strbuf_cstr(&text), "{count:15, sum:8, [-0.5,0.5]:8, (0.5,1]:3, (1,2]:4}");
    strbuf_deinit(&text);
    arena_deinit(&arena);
}

static void test_average_overflow(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram huge = {
        .kind = HISTOGRAM_FLOAT, .count = {.f = DBL_MAX}, .sum = -DBL_MAX, .zero_count = {.f = 1}};
    struct histogram_sum sum;
    histogram_sum_init(&sum, &arena, &huge);
    bool incremental = false;
    for (int n = 2; n <= 5; n++)
        histogram_average_add(&sum, &huge, n, &incremental);
    assert_true(incremental);
    struct histogram *mean = histogram_sum_finish(&sum, &arena, true);
    assert_true(fabs(mean->count.f / DBL_MAX - 1) < 1e-12);
    assert_true(fabs(mean->sum / DBL_MAX + 1) < 1e-12);
    arena_deinit(&arena);
}

/* Quantiles lie in the bucket of their rank and do not decrease. */
static void test_quantiles(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS / 4; round++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct histogram h = random_histogram(&arena);
        struct histogram_remark remark;
        double before = -INFINITY;
        for (int i = 0; i <= 20 && h.count.f > 0; i++) {
            double v = histogram_quantile_of(&arena, &h, i / 20.0, &remark);
            if (!(v >= before - 1e-9 * fabs(before)))
                fail_msg("seed %llu: quantile %d is %g after %g", (unsigned long long)seed, i, v,
                         before);
            before = v;
        }
        if (h.count.f > 0) {
            double all = histogram_fraction_of(&arena, &h, -INFINITY, INFINITY, &remark);
            assert_true(all == 1);
        }
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_against_dense),
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_zero_buckets),
        cmocka_unit_test(test_average_overflow),
        cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
