/* Metric names without delayed removal, which is how the server runs (spec promql.md 4.3). */
#include "query_fixture.h"

struct fixture {
    struct storage *storage;
    struct query_engine *engine;
};

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    fixture->storage = reference_store_create();
    const double early[] = {1, 2, 3, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    const double late[] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 4, 5, 6, 7};
    const double all[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    fixture_append(fixture->storage, "__name__=early_total,job=x", early, 13, 60000);
    fixture_append(fixture->storage, "__name__=late_total,job=x", late, 13, 60000);
    fixture_append(fixture->storage, "__name__=a_total,job=y", all, 13, 60000);
    fixture_append(fixture->storage, "__name__=b_total,job=y", all, 13, 60000);
    struct query_engine_options options = {.storage = fixture->storage};
    fixture->engine = query_engine_create(&options);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    query_engine_destroy(fixture->engine);
    reference_store_destroy(fixture->storage);
    mem_free(MEM_TEST, fixture);
    return 0;
}

static void check(struct fixture *fixture, const char *text, bool range, const char *expected)
{
    struct query_request request = {.text = str_from_cstr(text),
                                    .range = range,
                                    .start_ms = range ? 120000 : 600000,
                                    .end_ms = 600000,
                                    .step_ms = 480000};
    struct strbuf out = STRBUF_INIT;
    struct query_result *result;
    if (query_run(fixture->engine, &request, &result, &out) == OK) {
        fixture_print(result, &out);
        query_result_destroy(result);
    }
    assert_string_equal(strbuf_cstr(&out), expected);
    strbuf_deinit(&out);
}

#define SAME_LABELSET "vector cannot contain metrics with the same labelset"

static void test_dropped_at_once(void **state)
{
    check(*state, "rate(a_total[2m])", false, "{job=\"y\"} 0.016666666666666666@600000\n");
    check(*state, "a_total + 1", false, "{job=\"y\"} 12@600000\n");
    check(*state, "a_total > 1", false, "a_total{job=\"y\"} 11@600000\n");
    check(*state, "a_total > bool 1", false, "{job=\"y\"} 1@600000\n");
    check(*state, "last_over_time(a_total[2m])", false, "a_total{job=\"y\"} 11@600000\n");
    check(*state, "sum by (__name__) (abs(a_total))", false, "{} 11@600000\n");
    check(*state, "sum by (__name__) (a_total)", false, "a_total 11@600000\n");
    check(*state, "label_replace(abs(a_total), '__name__', 'new', 'job', '.*')", false,
          "new{job=\"y\"} 11@600000\n");
}

static void test_same_labelset(void **state)
{
    check(*state, "rate({__name__=~'[ab]_total'}[2m])", false, SAME_LABELSET);
    check(*state, "abs({__name__=~'[ab]_total'})", false, SAME_LABELSET);
    check(*state, "-{__name__=~'[ab]_total'}", false, SAME_LABELSET);
    check(*state, "{__name__=~'[ab]_total'} * 2", true, SAME_LABELSET);
    check(*state, "sum(rate({__name__=~'[ab]_total'}[2m]))", false, SAME_LABELSET);
    check(*state, "label_replace({__name__=~'[ab]_total'}, '__name__', 'c', '', '')", false,
          SAME_LABELSET);
    check(*state, "count({__name__=~'[ab]_total'})", false, "{} 2@600000\n");
}

/* Series that are never there at the same step become one. */
static void test_disjoint(void **state)
{
    check(*state, "abs({__name__=~'early_total|late_total'})", true,
          "{job=\"x\"} 3@120000 5@600000\n");
    check(*state, "-{__name__=~'early_total|late_total'}", true,
          "{job=\"x\"} -3@120000 -5@600000\n");
    check(*state, "{__name__=~'early_total|late_total'} + 1", true,
          "{job=\"x\"} 4@120000 6@600000\n");
    /* A window function has no steps of its own to tell them apart. */
    check(*state, "rate({__name__=~'early_total|late_total'}[5m])", true, SAME_LABELSET);
    check(*state, "max_over_time(abs({__name__=~'early_total|late_total'})[10m:1m])", false,
          "{job=\"x\"} 5@600000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped_at_once),
        cmocka_unit_test(test_same_labelset),
        cmocka_unit_test(test_disjoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
