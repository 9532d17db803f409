/* Queries end to end over the reference store; what they compute is the conformance suite's. */
#include "query_fixture.h"

enum { SERIES = 300, SAMPLES = 60, INTERVAL_MS = 15000 };

/* requests_total{job, instance}: counters with different slopes; odd ones restart once. */
static double sample_value(int series, int i)
{
    int slope = series % 7 + 1;
    return series % 2 == 1 && i >= 30 ? (i - 30) * slope + 0.1 : i * slope + 0.3;
}

static void fill(struct storage *storage)
{
    struct strbuf why = STRBUF_INIT;
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &why), OK);
    source_ref source = storage_source_open(storage, 1);
    struct append_options options = {.t_max_ms = 0};
    series_ref refs[SERIES];
    for (int i = 0; i < SAMPLES; i++) {
        appender_begin(appender, source, &options);
        double values[SERIES];
        uint8_t outcomes[SERIES];
        for (int s = 0; s < SERIES; s++) {
            char instance[16];
            snprintf(instance, sizeof instance, "i%03d", s);
            struct label labels[] = {
                {STR("__name__"), STR("requests_total")},
                {STR("instance"), str_from_cstr(instance)},
                {STR("job"), s % 3 == 0 ? STR("a") : STR("b")},
            };
            bool created;
            assert_int_equal(
                appender_series(appender, (struct labels){labels, 3}, &refs[s], &created, &why),
                OK);
            values[s] = sample_value(s, i);
        }
        struct append_batch batch = {.count = SERIES,
                                     .refs = refs,
                                     .t_all_ms = (int64_t)i * INTERVAL_MS,
                                     .values = values,
                                     .outcomes = outcomes};
        assert_int_equal(appender_add(appender, &batch, &why), OK);
        assert_int_equal(appender_commit(appender, &why), OK);
    }
    appender_close(appender);
    storage_source_close(storage, source);
    strbuf_deinit(&why);
}

static err_t run(struct query_engine *engine, const char *text, bool range, struct strbuf *out)
{
    struct query_request request = {
        .text = str_from_cstr(text),
        .range = range,
        .start_ms = range ? 300000 : 600000,
        .end_ms = 840000,
        .step_ms = 20000,
    };
    struct query_result *result;
    strbuf_clear(out);
    err_t err = query_run(engine, &request, &result, out);
    if (err == OK) {
        fixture_print(result, out);
        query_result_destroy(result);
    }
    return err;
}

struct fixture {
    struct storage *storage;
    struct query_engine *engines[3]; /* 0, 1 and 7 helping threads */
};

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    fixture->storage = reference_store_create();
    fill(fixture->storage);
    static const uint32_t threads[] = {0, 1, 7};
    for (int i = 0; i < 3; i++) {
        struct query_engine_options options = {.storage = fixture->storage, .threads = threads[i]};
        fixture->engines[i] = query_engine_create(&options);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        query_engine_destroy(fixture->engines[i]);
    reference_store_destroy(fixture->storage);
    mem_free(MEM_TEST, fixture);
    return 0;
}

/* The result as text, or the error. */
static void check(struct fixture *fixture, const char *text, const char *expected)
{
    struct strbuf out = STRBUF_INIT;
    err_t err = run(fixture->engines[0], text, false, &out);
    assert_true(err == OK || out.size > 0);
    assert_string_equal(strbuf_cstr(&out), expected);
    strbuf_deinit(&out);
}

static void test_instant(void **state)
{
    check(*state, "1 + 2 * 3", "7");
    check(*state, "'text'", "text");
    check(*state, "requests_total{instance='i000'}",
          "requests_total{instance=\"i000\", job=\"a\"} 40.3@600000\n");
    check(*state, "count by (job) (requests_total)",
          "{job=\"a\"} 100@600000\n{job=\"b\"} 200@600000\n");
    check(*state, "increase(requests_total{instance='i001'}[5m])",
          "{instance=\"i001\", job=\"b\"} 38@600000\n");
    check(*state, "max(requests_total) - min(requests_total)", "{} 270.2@600000\n");
    check(*state, "sum(nothing)", "");
    check(*state, "requests_total{instance='i000'}[30s]",
          "requests_total{instance=\"i000\", job=\"a\"} 39.3@585000 40.3@600000\n");
}

static void test_errors(void **state)
{
    check(*state, "requests_total / on (job) requests_total{instance=~'i00[03]'}",
          "found duplicate series for the match group {job=\"a\"} on the right hand-side of the "
          "operation: [{__name__=\"requests_total\", instance=\"i000\", job=\"a\"}, "
          "{__name__=\"requests_total\", instance=\"i003\", job=\"a\"}];many-to-many matching not "
          "allowed: matching labels must be unique on one side");
    check(*state, "sum(", "1:5: parse error: unclosed left parenthesis");
}

/* Every thread count gives the same bits. */
static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    static const char *const queries[] = {
        "sum(rate(requests_total[1m]))",
        "sum by (job) (rate(requests_total[2m]))",
        "avg without (instance) (requests_total * 1.1)",
        "topk(3, rate(requests_total[1m]))",
        "stddev(requests_total)",
        "quantile by (job) (0.9, requests_total)",
        "rate(requests_total[1m]) / on (instance) group_left requests_total",
        "max_over_time(sum by (job) (requests_total)[2m:20s])",
    };
    struct strbuf first = STRBUF_INIT;
    struct strbuf other = STRBUF_INIT;
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        for (int range = 0; range < 2; range++) {
            assert_int_equal(run(fixture->engines[0], queries[q], range, &first), OK);
            assert_true(first.size > 0);
            for (int i = 1; i < 3; i++) {
                assert_int_equal(run(fixture->engines[i], queries[q], range, &other), OK);
                assert_string_equal(strbuf_cstr(&first), strbuf_cstr(&other));
            }
        }
    }
    strbuf_deinit(&first);
    strbuf_deinit(&other);
}

static void test_limits(void **state)
{
    struct fixture *fixture = *state;
    struct query_engine_options options = {.storage = fixture->storage, .max_samples = 1000};
    struct query_engine *engine = query_engine_create(&options);
    struct strbuf out = STRBUF_INIT;
    assert_int_equal(run(engine, "requests_total", true, &out), ERR_LIMIT);
    assert_string_equal(
        strbuf_cstr(&out),
        "query processing would load too many samples into memory in query execution");
    assert_int_equal(run(engine, "requests_total", false, &out), OK);
    query_engine_destroy(engine);

    atomic_bool cancel = true;
    struct query_request request = {.text = STR("requests_total"), .cancel = &cancel};
    struct query_result *result;
    strbuf_clear(&out);
    assert_int_equal(query_run(fixture->engines[0], &request, &result, &out), ERR_CANCELED);
    assert_string_equal(strbuf_cstr(&out), "query was canceled in query execution");
    strbuf_deinit(&out);
}

/* Each look at this clock takes ten milliseconds. */
static int64_t step_clock(void *context)
{
    int64_t *now_ns = context;
    *now_ns += 10000000;
    return *now_ns;
}

static int64_t still_clock(void *context)
{
    (void)context;
    return 0;
}

static void test_deadline(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ns = 0;
    struct clock clock = {still_clock, step_clock, &now_ns};
    struct query_engine_options options = {
        .storage = fixture->storage, .clock = &clock, .timeout_ms = 250};
    struct query_engine *engine = query_engine_create(&options);
    struct strbuf out = STRBUF_INIT;
    assert_int_equal(run(engine, "sum(requests_total)", true, &out), ERR_TIMEOUT);
    assert_string_equal(strbuf_cstr(&out), "query timed out in query execution");
    assert_int_equal(run(engine, "requests_total{instance='i000'}", false, &out), OK);
    query_engine_destroy(engine);
    strbuf_deinit(&out);
}

static void test_memory_budget(void **state)
{
    struct fixture *fixture = *state;
    struct query_engine_options options = {.storage = fixture->storage,
                                           .memory_bytes_max = 2 << 20};
    struct query_engine *engine = query_engine_create(&options);
    struct strbuf out = STRBUF_INIT;
    assert_int_equal(run(engine, "sum(requests_total)", true, &out), OK);
    /* A million steps of one scalar are 8 MB. */
    assert_int_equal(run(engine, "max_over_time(vector(1)[1000001s:1s])", false, &out), ERR_LIMIT);
    /* More steps than any query may have, before memory is asked for. */
    assert_int_equal(run(engine, "max_over_time(vector(1)[100y:1ms])", false, &out), ERR_LIMIT);
    query_engine_destroy(engine);

    /* What the result holds counts too. */
    options.memory_bytes_max = 4 << 20;
    engine = query_engine_create(&options);
    struct query_request request = {.text = STR("requests_total"),
                                    .range = true,
                                    .start_ms = 300000,
                                    .end_ms = 840000,
                                    .step_ms = 300};
    struct query_result *result;
    strbuf_clear(&out);
    assert_int_equal(query_run(engine, &request, &result, &out), ERR_LIMIT);
    assert_string_equal(strbuf_cstr(&out), "query processing would use more than 4194304 bytes of "
                                           "memory in query execution");
    query_engine_destroy(engine);
    strbuf_deinit(&out);
}

/* Times at the ends of what can be written neither overflow nor find anything. */
static void test_far_times(void **state)
{
    check(*state, "requests_total @ 9000000000000000", "");
    check(*state, "rate(requests_total[100y] @ -9000000000000000 offset 100y)", "");
    check(*state, "count_over_time(requests_total[290y:1y] @ -9000000000000000)", "");
}

/* What is held at most, counted as Prometheus 2.42 answers for the same shapes. */
static void test_peak(void **state)
{
    static const struct {
        const char *text;
        int64_t peak;
    } cases[] = {
        {"requests_total", 300},
        {"rate(requests_total[1m])", 300 + 4},
        {"-requests_total", 300},
        {"requests_total + requests_total", 2 * 300 + 2 * 300 + 300},
        {"vector(1)", 1 + 1 + 1},
        {"quantile_over_time(0.5, requests_total[2m])", 1 + 300 + 8},
        {"sum(rate(requests_total[1m])) + sum(increase(requests_total[2m]))", 1 + 300 + 8},
        {"max_over_time(requests_total{instance='i000'}[2m:30s])", 4 + 1 + 4},
    };
    struct fixture *fixture = *state;
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query_request request = {.text = str_from_cstr(cases[i].text), .start_ms = 600000};
        struct query_result *result;
        assert_int_equal(query_run(fixture->engines[0], &request, &result, &why), OK);
        if (result->stats.peak_samples != cases[i].peak)
            print_message("%s\n", cases[i].text);
        assert_int_equal(result->stats.peak_samples, cases[i].peak);
        query_result_destroy(result);
    }
    /* A window counts against the limit while it is held. */
    struct query_engine_options options = {.storage = fixture->storage, .max_samples = 21};
    struct query_engine *engine = query_engine_create(&options);
    assert_int_equal(
        run(engine, "count_over_time(requests_total{instance='i000'}[5m])", false, &why), OK);
    assert_int_equal(
        run(engine, "count_over_time(requests_total{instance='i000'}[6m])", false, &why),
        ERR_LIMIT);
    query_engine_destroy(engine);
    strbuf_deinit(&why);
}

static void test_stats(void **state)
{
    struct fixture *fixture = *state;
    struct query_request request = {.text = STR("rate(requests_total{instance='i000'}[1m])"),
                                    .range = true,
                                    .start_ms = 300000,
                                    .end_ms = 360000,
                                    .step_ms = 30000,
                                    .per_step_stats = true};
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    assert_int_equal(query_run(fixture->engines[0], &request, &result, &why), OK);
    /* Windows of four samples, two of them new at each later step. */
    assert_int_equal(result->stats.total_queryable_samples, 12);
    assert_int_equal(result->stats.samples_read, 8);
    assert_int_equal(result->stats.step_count, 3);
    assert_int_equal(result->stats.read_per_step[0].count, 4);
    assert_int_equal(result->stats.read_per_step[2].count, 2);
    /* Three results and the last window. */
    assert_int_equal(result->stats.peak_samples, 3 + 4);
    query_result_destroy(result);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instant),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_peak),      cmocka_unit_test(test_stats),
        cmocka_unit_test(test_deadline),  cmocka_unit_test(test_memory_budget),
        cmocka_unit_test(test_far_times),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
