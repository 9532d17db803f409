/* Equal parts of a query are read once, and everything else is as if they were not. */
#include "counting_store.h"
#include "query_fixture.h"

enum { SAMPLES = 60, STEP_MS = 15000 };

struct fixture {
    struct storage *reference;
    struct counting_store store;
    struct query_engine *engine;
};

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    fixture->reference = reference_store_create();
    static const char *const series[] = {
        "__name__=requests_total,instance=a,job=x", "__name__=requests_total,instance=b,job=x",
        "__name__=requests_total,instance=c,job=y", "__name__=load,instance=a,job=x",
        "__name__=load,instance=b,job=x",
    };
    for (size_t s = 0; s < sizeof series / sizeof series[0]; s++) {
        double values[SAMPLES];
        for (int i = 0; i < SAMPLES; i++)
            values[i] = (double)(i * (int)(s + 2) % 37) + 0.1;
        fixture_append(fixture->reference, series[s], values, SAMPLES, STEP_MS);
    }
    counting_store_init(&fixture->store, fixture->reference);
    struct query_engine_options options = {.storage = &fixture->store.storage, .threads = 1};
    fixture->engine = query_engine_create(&options);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    query_engine_destroy(fixture->engine);
    reference_store_destroy(fixture->reference);
    mem_free(MEM_TEST, fixture);
    return 0;
}

struct outcome {
    struct strbuf text;
    struct query_stats stats;
    int selects;
};

static void run(struct fixture *fixture, const char *text, bool range, struct outcome *outcome)
{
    struct query_request request = {
        .text = str_from_cstr(text),
        .range = range,
        .start_ms = range ? 300000 : 600000,
        .end_ms = 800000,
        .step_ms = 20000,
    };
    atomic_store(&fixture->store.selects, 0);
    strbuf_clear(&outcome->text);
    struct query_result *result;
    assert_int_equal(query_run(fixture->engine, &request, &result, &outcome->text), OK);
    fixture_print(result, &outcome->text);
    outcome->stats = result->stats;
    outcome->selects = atomic_load(&fixture->store.selects);
    query_result_destroy(result);
}

/* Two queries with the same meaning: the second writes the equal part in two ways, so that it is
 * evaluated twice. Same answer, annotations and counts; selects as given. */
static void check(struct fixture *fixture, const char *shared, const char *apart,
                  int shared_selects, int apart_selects)
{
    struct outcome a = {.text = STRBUF_INIT};
    struct outcome b = {.text = STRBUF_INIT};
    for (int range = 0; range < 2; range++) {
        run(fixture, shared, range, &a);
        run(fixture, apart, range, &b);
        assert_true(a.text.size > 0);
        assert_string_equal(strbuf_cstr(&a.text), strbuf_cstr(&b.text));
        assert_int_equal(a.stats.total_queryable_samples, b.stats.total_queryable_samples);
        assert_int_equal(a.stats.samples_read, b.stats.samples_read);
        assert_int_equal(a.stats.peak_samples, b.stats.peak_samples);
        assert_int_equal(a.selects, shared_selects);
        assert_int_equal(b.selects, apart_selects);
    }
    strbuf_deinit(&a.text);
    strbuf_deinit(&b.text);
}

static void test_read_once(void **state)
{
    check(*state, "sum(requests_total) / sum(requests_total)",
          "sum(requests_total) / sum(requests_total{job!=''})", 1, 2);
    check(*state, "sum(rate(requests_total[1m])) / count((rate(requests_total[1m])))",
          "sum(rate(requests_total[1m])) / count((rate(requests_total{job!=''}[1m])))", 1, 2);
    check(*state, "abs(-requests_total) - requests_total",
          "abs(-requests_total{}) - requests_total", 1, 1);
    check(*state, "requests_total > 5 and requests_total < 30 or requests_total == 2.1",
          "requests_total > 5 and requests_total{job!=''} < 30 or requests_total{job!='z'} == 2.1",
          1, 3);
    check(*state, "sum(load) * scalar(sum(load)) + scalar(sum(load))",
          "sum(load) * scalar(sum(load{job!=''})) + scalar(sum(load{job!='z'}))", 1, 3);
}

static void test_grids(void **state)
{
    /* Two subqueries at equal times, and one at others. */
    check(*state, "max_over_time(sum(load)[2m:20s]) - min_over_time(sum(load)[2m:20s])",
          "max_over_time(sum(load)[2m:20s]) - min_over_time(sum(load{job!=''})[2m:20s])", 1, 2);
    check(*state, "max_over_time(sum(load)[2m:20s]) - min_over_time(sum(load)[3m:20s])",
          "max_over_time(sum(load)[2m:20s]) - min_over_time(sum(load{job!=''})[3m:20s])", 2, 2);
    check(*state, "load offset 1m + on (instance) group_right load",
          "load offset 1m + on (instance) group_right load{job!=''}", 2, 2);
    check(*state, "sum(load @ 500) + sum(load @ 500)", "sum(load @ 500) + sum(load{job!=''} @ 500)",
          1, 2);
}

/* An info without figures is merged; the first place in the text is the one shown. */
static void test_annotations(void **state)
{
    check(*state, "sum(rate(load[1m])) + sum(rate(load[1m]))",
          "sum(rate(load[1m])) + sum(rate(load{job!=''}[1m]))", 1, 2);
    check(*state, "quantile(2, load) + quantile(2, load)",
          "quantile(2, load) + quantile(2, load{job!=''})", 1, 2);
}

/* The limit counts what two evaluations would hold. */
static void test_limit(void **state)
{
    struct fixture *fixture = *state;
    struct query_request request = {.text = STR("requests_total + requests_total"),
                                    .start_ms = 600000};
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    for (uint64_t max = 1; max < 12; max++) {
        struct query_engine_options options = {.storage = &fixture->store.storage,
                                               .max_samples = max};
        struct query_engine *engine = query_engine_create(&options);
        err_t err = query_run(engine, &request, &result, &why);
        request.text = STR("requests_total + requests_total{job!=''}");
        struct query_result *other = NULL;
        assert_int_equal(query_run(engine, &request, &other, &why), err);
        assert_true(err == OK || err == ERR_LIMIT);
        query_result_destroy(result);
        query_result_destroy(other);
        query_engine_destroy(engine);
        request.text = STR("requests_total + requests_total");
    }
    strbuf_deinit(&why);
}

enum { WIDE_SERIES = 600 };

/* What is too large to keep, a quarter of the budget, is evaluated again. */
static void test_large(void **state)
{
    struct fixture *fixture = *state;
    static const double values[] = {1, 2, 3};
    for (int i = 0; i < WIDE_SERIES; i++) {
        char text[64];
        snprintf(text, sizeof text, "__name__=wide,instance=i%d", i);
        fixture_append(fixture->reference, text, values, 3, STEP_MS);
    }
    struct query_engine_options options = {.storage = &fixture->store.storage,
                                           .memory_bytes_max = 16 << 20};
    struct query_engine *engine = query_engine_create(&options);
    struct query_request request = {
        .text = STR("sum(wide) / count(wide)"),
        .range = true,
        .end_ms = 200000,
    };
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    for (int steps = 100; steps <= 2000; steps += 1900) {
        request.step_ms = 200000 / steps;
        atomic_store(&fixture->store.selects, 0);
        assert_int_equal(query_run(engine, &request, &result, &why), OK);
        assert_int_equal(atomic_load(&fixture->store.selects), steps == 100 ? 1 : 2);
        assert_int_equal(result->series_count, 1);
        assert_int_equal(result->series[0].float_count, steps + 1);
        query_result_destroy(result);
    }
    query_engine_destroy(engine);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_once),   cmocka_unit_test(test_grids),
        cmocka_unit_test(test_annotations), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
