/* A range query says at each step what an instant query says at its time, bit for bit: windows
 * found once for many series and steps are those found for one. */
#include "random_fixture.h"

/* One histogram whose buckets are the series; that of i="1" is the last. */
#define QUANTILE                                                                                   \
    "histogram_quantile(0.9, label_replace(label_replace(label_replace(m_total, 'le', '$1', "      \
    "'i', '(.+)'), 'le', '+Inf', 'i', '1'), 'i', '', '', ''))"

static const char *const queries[] = {
    "m_total",
    "m_total offset 40s",
    "timestamp(m_total)",
    "rate(m_total[2m])",
    "rate(m_total[35s])",
    "increase(m_total[10m] offset 1m)",
    "delta(m_total[3m])",
    "irate(m_total[90s])",
    "sum_over_time(m_total[4m])",
    "min_over_time(m_total[7m])",
    "last_over_time(m_total[1m])",
    "quantile_over_time(0.7, m_total[5m])",
    "deriv(m_total[5m])",
    "predict_linear(m_total[5m] offset 1m, 300)",
    "avg_over_time(m_total[3m])",
    "avg_over_time((m_total * 1e306)[3m:15s])",
    "sum_over_time(m_total[50m])",
    "stddev_over_time(m_total[6m])",
    "stdvar_over_time(m_total[45s])",
    "changes(m_total[4m])",
    "resets(m_total[4m])",
    "sum(rate(m_total[2m]))",
    "avg(m_total)",
    "stdvar by (i) (m_total)",
    "max(m_total)",
    "group(m_total > 0)",
    "count(rate(m_total[1m]) > 1)",
    "sum by (i) (m_total) - on (i) rate(m_total[2m])",
    QUANTILE,
};

/* The values of one step as text, in the order of series. */
static void print_step(const struct query_result *result, int64_t t_ms, struct strbuf *out)
{
    char text[NUMBER_TEXT_MAX];
    for (size_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];
        for (uint32_t k = 0; k < series->float_count; k++) {
            if (series->float_t_ms[k] != t_ms)
                continue;
            labels_print_metric(series->labels, out);
            strbuf_add_char(out, ' ');
            strbuf_add(out, text, number_format_plain(series->floats[k], text));
            strbuf_add_char(out, '\n');
        }
    }
}

static void check(struct fixture *fixture, const char *text, int64_t start_ms, int64_t step_ms,
                  uint32_t steps)
{
    struct strbuf why = STRBUF_INIT;
    struct strbuf range_text = STRBUF_INIT;
    struct strbuf instant_text = STRBUF_INIT;
    struct query_result *range;
    struct query_request request = {.text = str_from_cstr(text),
                                    .range = true,
                                    .start_ms = start_ms,
                                    .end_ms = start_ms + (steps - 1) * step_ms,
                                    .step_ms = step_ms,
                                    .per_step_stats = true};
    assert_int_equal(query_run(fixture->engine, &request, &range, &why), OK);
    assert_int_equal(range->stats.step_count, steps);
    for (uint32_t i = 0; i < steps; i++) {
        struct query_request at = {.text = request.text, .start_ms = start_ms + i * step_ms};
        struct query_result *instant;
        assert_int_equal(query_run(fixture->engine, &at, &instant, &why), OK);
        strbuf_clear(&range_text);
        strbuf_clear(&instant_text);
        print_step(range, at.start_ms, &range_text);
        print_step(instant, at.start_ms, &instant_text);
        assert_string_equal(strbuf_cstr(&range_text), strbuf_cstr(&instant_text));
        /* A subquery counts at its parent's last step. */
        if (strchr(text, ':') == NULL)
            assert_int_equal(range->stats.queryable_per_step[i].count,
                             instant->stats.total_queryable_samples);
        query_result_destroy(instant);
    }
    assert_true(range->stats.samples_read <= range->stats.total_queryable_samples);
    query_result_destroy(range);
    strbuf_deinit(&why);
    strbuf_deinit(&range_text);
    strbuf_deinit(&instant_text);
}

static void test_steps(void **state)
{
    struct fixture *fixture = *state;
    fixture->store.hide_stats = true;
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
        for (int k = 0; k < 4; k++) {
            fixture->store.piece_rows = 1 + fixture_below(200);
            int64_t step_ms = 1000 + fixture_below(200000);
            int64_t start_ms = fixture_below(FIXTURE_SAMPLES * FIXTURE_STEP_MS);
            check(fixture, queries[q], start_ms, step_ms, 1 + fixture_below(150));
        }
    }
}

/* Series of equal times share windows; their counts are all there in the end. */
static void test_counts(void **state)
{
    struct fixture *fixture = *state;
    fixture->store.piece_rows = 0;
    struct query_request request = {.text = STR("rate(m_total{i=~'[0-5]'}[1m])"),
                                    .range = true,
                                    .start_ms = 600000,
                                    .end_ms = 600000 + 99 * 30000,
                                    .step_ms = 30000};
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    assert_int_equal(query_run(fixture->engine, &request, &result, &why), OK);
    /* Six series without gaps: four samples a window, two of them new. */
    assert_int_equal(result->stats.total_queryable_samples, 6 * 100 * 4);
    assert_int_equal(result->stats.samples_read, 6 * (4 + 99 * 2));
    query_result_destroy(result);
    strbuf_deinit(&why);
}

/* Folding and quantiles are split by steps: the same bits for every number of threads. */
static void test_threads(void **state)
{
    static const char *const folds[] = {
        "sum(m_total)",
        "sum by (i) (rate(m_total[2m]))",
        "avg(m_total * 1.1)",
        "avg(m_total * 1e308)",
        "count(m_total > 3)",
        "max(m_total)",
        "min without (i) (rate(m_total[1m]))",
        "stddev(m_total)",
        "group(m_total)",
        QUANTILE,
    };
    struct fixture *fixture = *state;
    struct strbuf why = STRBUF_INIT;
    struct strbuf texts[2] = {STRBUF_INIT, STRBUF_INIT};
    for (uint32_t threads = 0; threads < 8; threads += threads == 1 ? 6 : 1) {
        struct query_engine_options options = {.storage = &fixture->store.storage,
                                               .threads = threads};
        struct query_engine *engine = query_engine_create(&options);
        struct strbuf *text = &texts[threads > 0];
        strbuf_clear(text);
        for (size_t q = 0; q < sizeof folds / sizeof *folds; q++) {
            struct query_request request = {.text = str_from_cstr(folds[q]),
                                            .range = true,
                                            .start_ms = 100000,
                                            .end_ms = 5000000,
                                            .step_ms = 1000};
            struct query_result *result;
            assert_int_equal(query_run(engine, &request, &result, &why), OK);
            assert_true(result->series_count > 0);
            fixture_print(result, text);
            query_result_destroy(result);
        }
        assert_true(text->size > 0);
        if (threads > 0)
            assert_string_equal(strbuf_cstr(&texts[0]), strbuf_cstr(&texts[1]));
        query_engine_destroy(engine);
    }
    strbuf_deinit(&why);
    strbuf_deinit(&texts[0]);
    strbuf_deinit(&texts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
