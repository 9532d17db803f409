#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/model/histogram.h"

static const struct histogram_span spans[] = {{-2, 2}, {1, 1}};
static const union histogram_count integer_counts[] = {{.i = 1}, {.i = 2}, {.i = 3}};

static struct histogram integer_histogram(void)
{
    return (struct histogram){
        .kind = HISTOGRAM_INTEGER,
        .schema = 1,
        .zero_threshold = 0.001,
        .zero_count = {.i = 4},
        .count = {.i = 10},
        .sum = 12.5,
        .positive = {spans, integer_counts, 2, 3},
    };
}

static void check_invalid(const struct histogram *h, const char *part)
{
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(histogram_validate(h, &why), ERR_INVALID);
    if (strstr(strbuf_cstr(&why), part) == NULL)
        fail_msg("text is: %s", strbuf_cstr(&why));
    strbuf_deinit(&why);
}

static void test_validate(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    struct histogram h = integer_histogram();
    assert_int_equal(histogram_validate(&h, &why), OK);
    h.count.i = 11;
    check_invalid(&h, "but the Count field is 11");
    h.sum = NAN; /* NaN observations are in no bucket */
    assert_int_equal(histogram_validate(&h, &why), OK);
    h.positive.bucket_count = 2;
    check_invalid(&h, "positive side: spans need 3 buckets, have 2");
    h = integer_histogram();
    h.schema = 9;
    check_invalid(&h, "got schema 9");

    struct histogram_span backwards[] = {{0, 2}, {-1, 1}};
    h = integer_histogram();
    h.positive.spans = backwards;
    check_invalid(&h, "span number 2 with offset -1");
    strbuf_deinit(&why);
}

static void test_validate_custom(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    double bounds[] = {1, 2};
    struct histogram_span span = {0, 3};
    struct histogram h = integer_histogram();
    h.schema = HISTOGRAM_SCHEMA_CUSTOM;
    h.zero_count.i = 0;
    h.zero_threshold = 0;
    h.count.i = 6;
    h.positive.spans = &span;
    h.positive.span_count = 1;
    h.custom_values = bounds;
    h.custom_value_count = 2;
    assert_int_equal(histogram_validate(&h, &why), OK);
    h.custom_value_count = 1;
    check_invalid(&h, "custom bounds are too few");
    h.custom_value_count = 2;
    bounds[1] = 1;
    check_invalid(&h, "strictly increasing");
    bounds[1] = INFINITY;
    check_invalid(&h, "bound is +Inf");
    strbuf_deinit(&why);
}

static void test_copy(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram h = integer_histogram();
    struct histogram *copy = histogram_copy(&arena, &h);
    assert_true(histogram_identical(&h, copy));
    assert_ptr_not_equal(copy->positive.spans, h.positive.spans);
    copy->hint = HISTOGRAM_HINT_GAUGE;
    assert_false(histogram_identical(&h, copy));

    struct histogram *as_float = histogram_to_float(&arena, &h);
    assert_int_equal(as_float->kind, HISTOGRAM_FLOAT);
    assert_true(as_float->count.f == 10.0 && as_float->zero_count.f == 4.0);
    assert_true(as_float->positive.counts[2].f == 3.0);
    assert_false(histogram_identical(&h, as_float));
    assert_true(histogram_identical(as_float, histogram_to_float(&arena, as_float)));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate),
        cmocka_unit_test(test_validate_custom),
        cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
