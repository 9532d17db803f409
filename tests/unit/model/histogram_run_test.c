/* Which histograms go on with a counter's run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/model/histogram.h"

enum { BUCKETS_MAX = 8 };

/* A float histogram with one bucket per index; count is their sum. */
struct made {
    struct histogram histogram;
    struct histogram_span spans[BUCKETS_MAX];
    union histogram_count counts[BUCKETS_MAX];
};

static void make(struct made *made, const int32_t *indexes, const double *counts, uint32_t count)
{
    *made = (struct made){.histogram = {.kind = HISTOGRAM_FLOAT}};
    int32_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        made->spans[i] = (struct histogram_span){indexes[i] - end, 1};
        end = indexes[i] + 1;
        made->counts[i].f = counts[i];
        made->histogram.count.f += counts[i];
    }
    made->histogram.positive = (struct histogram_side){made->spans, made->counts, count, count};
}

static void buckets_may_appear_and_grow(void **state)
{
    (void)state;
    struct made a;
    struct made b;
    make(&a, (int32_t[]){-2, 3}, (double[]){1, 2}, 2);
    make(&b, (int32_t[]){-2, 0, 3, 7}, (double[]){1, 1, 2, 5}, 4);
    assert_true(histogram_continues_run(&a.histogram, &a.histogram));
    assert_true(histogram_continues_run(&a.histogram, &b.histogram));
    assert_false(histogram_continues_run(&b.histogram, &a.histogram));
}

static void a_bucket_that_falls_or_goes_is_a_reset(void **state)
{
    (void)state;
    struct made a;
    struct made b;
    make(&a, (int32_t[]){1, 2, 5}, (double[]){1, 2, 3}, 3);
    make(&b, (int32_t[]){1, 2, 5}, (double[]){9, 1, 9}, 3);
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    make(&b, (int32_t[]){1, 5}, (double[]){9, 9}, 2);
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    /* An empty bucket may go. */
    make(&a, (int32_t[]){1, 2, 5}, (double[]){1, 0, 3}, 3);
    assert_true(histogram_continues_run(&a.histogram, &b.histogram));
    /* The other side counts too. */
    a.histogram.negative = a.histogram.positive;
    a.histogram.positive = (struct histogram_side){0};
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
}

static void layout_hints_and_markers_end_runs(void **state)
{
    (void)state;
    struct made a;
    make(&a, (int32_t[]){1}, (double[]){1}, 1);
    struct made b = a;
    b.histogram.schema = 1;
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    b = a;
    b.histogram.zero_threshold = 0.1;
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    b = a;
    b.histogram.hint = HISTOGRAM_HINT_RESET;
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    b.histogram.hint = HISTOGRAM_HINT_GAUGE;
    assert_false(histogram_continues_run(&a.histogram, &b.histogram));
    assert_false(histogram_continues_run(&b.histogram, &a.histogram));
    b = a;
    b.histogram.sum = double_from_bits(STALE_NAN_BITS);
    assert_true(histogram_continues_run(&a.histogram, &b.histogram));
    assert_true(histogram_continues_run(&b.histogram, &b.histogram));
    assert_false(histogram_continues_run(&b.histogram, &a.histogram));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_may_appear_and_grow),
        cmocka_unit_test(a_bucket_that_falls_or_goes_is_a_reset),
        cmocka_unit_test(layout_hints_and_markers_end_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
