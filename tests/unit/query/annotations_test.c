#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "annotations.h"

struct fixture {
    struct annotations annotations;
    struct arena arena;
};

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    annotations__init(&fixture->annotations);
    arena_init(&fixture->arena, MEM_TEST, SIZE_MAX);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    annotations__deinit(&fixture->annotations);
    arena_deinit(&fixture->arena);
    mem_free(MEM_TEST, fixture);
    return 0;
}

static void check(struct str text, const char *expected)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%.*s", STR_ARG(text));
    assert_string_equal(copy, expected);
}

static void test_text_and_position(void **state)
{
    struct fixture *fixture = *state;
    struct str query = STR("a +\n  b");
    annotations__warn_name(&fixture->annotations, 6, "not a gauge: ", STR("x\"y"));
    annotations__info_for(&fixture->annotations, 0, "odd", STR("b"));
    annotations__info_for(&fixture->annotations, 0, "odd", STR(""));
    annotations__invalid_quantile(&fixture->annotations, 0, 1e6);
    struct str_array warnings =
        annotations__render(&fixture->annotations, true, query, &fixture->arena);
    assert_int_equal(warnings.count, 2);
    check(warnings.items[0],
          "PromQL warning: quantile value should be between 0 and 1, got 1e+06 (1:1)");
    check(warnings.items[1], "PromQL warning: not a gauge: \"x\\\"y\" (2:3)");
    struct str_array infos =
        annotations__render(&fixture->annotations, false, query, &fixture->arena);
    assert_int_equal(infos.count, 2);
    check(infos.items[0], "PromQL info: odd (1:1)");
    check(infos.items[1], "PromQL info: odd for metric name \"b\" (1:1)");
}

/* Equal texts are one annotation, at the first position whatever came first. */
static void test_merging(void **state)
{
    struct fixture *fixture = *state;
    struct str query = STR("histogram_quantile(0.9, x)");
    struct annotation annotation = {.text = STR("fixed"),
                                    .offset = 24,
                                    .samples = 1,
                                    .t_min_ms = 60000,
                                    .t_max_ms = 60000,
                                    .bucket_min = 5,
                                    .bucket_max = 5,
                                    .difference_max = 2};
    annotations__add(&fixture->annotations, &annotation);
    annotation.offset = 3;
    annotation.t_min_ms = annotation.t_max_ms = 951868800000; /* 1 March 2000 */
    annotation.bucket_min = annotation.bucket_max = 1;
    annotation.difference_max = 0.125;
    annotations__add(&fixture->annotations, &annotation);
    struct str_array infos =
        annotations__render(&fixture->annotations, false, query, &fixture->arena);
    assert_int_equal(infos.count, 1);
    check(infos.items[0],
          "PromQL info: fixed, from buckets 1 to 5, with a max diff of 2, over 2 samples from "
          "1970-01-01T00:01:00Z to 2000-03-01T00:00:00Z (1:4)");
}

static void test_omitted(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 13; i++) {
        char text[32];
        snprintf(text, sizeof text, "number %02d", i);
        annotations__warn(&fixture->annotations, 0, text);
    }
    struct str_array warnings =
        annotations__render(&fixture->annotations, true, STR("x"), &fixture->arena);
    assert_int_equal(warnings.count, 11);
    check(warnings.items[9], "PromQL warning: number 09 (1:1)");
    check(warnings.items[10], "3 more warning annotations omitted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_and_position, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_merging, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_omitted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
