/* Range functions over columns that are not decoded give the same bits as over their samples. */
#include "random_fixture.h"

static int run(struct fixture *fixture, const struct query_request *request, bool stats,
               struct strbuf *out)
{
    struct strbuf why = STRBUF_INIT;
    struct query_result *result;
    fixture->store.hide_stats = !stats;
    atomic_store(&fixture->store.decodes, 0);
    strbuf_clear(out);
    assert_int_equal(query_run(fixture->engine, request, &result, &why), OK);
    fixture_print(result, out);
    strbuf_printf(out, "%lld %lld %lld\n", (long long)result->stats.total_queryable_samples,
                  (long long)result->stats.samples_read, (long long)result->stats.peak_samples);
    query_result_destroy(result);
    strbuf_deinit(&why);
    return atomic_load(&fixture->store.decodes);
}

static const char *const functions[] = {
    "absent",  "avg", "count",       "first",      "last",   "max",      "min",
    "present", "sum", "ts_of_first", "ts_of_last", "stddev", "quantile",
};
static const char *const plain[] = {"rate", "increase", "delta", "changes", "resets", "irate"};

static void write_query(struct strbuf *text)
{
    static const char *const offsets[] = {"", "", "", " offset 70s", " offset -2m", " @ 3000"};
    uint32_t range_s = 15 * (1 + fixture_below(300)) + fixture_below(2) * 7;
    uint32_t pick =
        fixture_below(sizeof functions / sizeof *functions + 2 * sizeof plain / sizeof *plain);
    strbuf_clear(text);
    if (pick < sizeof functions / sizeof *functions)
        strbuf_printf(text, "%s_over_time(%s", functions[pick],
                      strcmp(functions[pick], "quantile") == 0 ? "0.3, " : "");
    else
        strbuf_printf(text, "%s(", plain[pick % (sizeof plain / sizeof *plain)]);
    strbuf_printf(text, "m_total[%us]%s)", range_s, offsets[fixture_below(6)]);
}

static void test_same_bits(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf text = STRBUF_INIT;
    struct strbuf with = STRBUF_INIT;
    struct strbuf without = STRBUF_INIT;
    int decodes[2] = {0, 0};
    for (int i = 0; i < 600; i++) {
        write_query(&text);
        int64_t start_ms =
            fixture_below(FIXTURE_SAMPLES) * (int64_t)FIXTURE_STEP_MS + fixture_below(2) * 5000;
        struct query_request request = {
            .text = strbuf_str(&text),
            .range = fixture_below(3) > 0,
            .start_ms = start_ms,
            .end_ms = start_ms + fixture_below(FIXTURE_SAMPLES * FIXTURE_STEP_MS),
            .step_ms = 15000 * (1 + fixture_below(400)) + fixture_below(2) * 1000,
        };
        fixture->store.piece_rows = 1 + fixture_below(60);
        decodes[0] += run(fixture, &request, false, &without);
        decodes[1] += run(fixture, &request, true, &with);
        if (strcmp(strbuf_cstr(&with), strbuf_cstr(&without)) != 0)
            print_message("%s start %lld step %lld pieces of %u\n", strbuf_cstr(&text),
                          (long long)request.start_ms, (long long)request.step_ms,
                          fixture->store.piece_rows);
        assert_string_equal(strbuf_cstr(&with), strbuf_cstr(&without));
    }
    assert_true(decodes[1] < decodes[0] * 3 / 4);
    strbuf_deinit(&text);
    strbuf_deinit(&with);
    strbuf_deinit(&without);
}

/* A window of all samples decodes nothing but what a function must see. */
static void test_decodes(void **state)
{
    static const struct {
        const char *text;
        int decodes;
    } cases[] = {
        {"count_over_time(m_total{i='0'}[4h])", 0},  {"max_over_time(m_total{i='3'}[4h])", 0},
        {"sum_over_time(m_total{i='2'}[4h])", 0},    {"delta(m_total{i='3'}[4h])", 0},
        {"stddev_over_time(m_total{i='2'}[4h])", 4}, {"sum_over_time(m_total{i='3'}[4h])", 4},
    };
    struct fixture *fixture = *state;
    struct strbuf out = STRBUF_INIT;
    fixture->store.piece_rows = 100;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query_request request = {.text = str_from_cstr(cases[i].text),
                                        .start_ms = FIXTURE_SAMPLES * FIXTURE_STEP_MS};
        assert_int_equal(run(fixture, &request, true, &out), cases[i].decodes);
        assert_int_equal(run(fixture, &request, false, &out), 4);
    }
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_decodes),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
