/* Start timestamps: zeros at the start (created-timestamp-zero-ingestion) and starts kept with the
 * samples (st-storage), from OpenMetrics `_created` lines. */
#include "scrape_rig.h"

/* Seconds of the n-th scrape, with three decimals. */
#define AT_MINUS_2 "970.000"
#define AT_MINUS_1 "985.000"
#define AT_HALF "1007.500"

static void begin_openmetrics(struct rig *r)
{
    begin(r);
    r->format = EXPOSITION_OPENMETRICS;
}

static void scrape_well(struct rig *r, int n, const char *body)
{
    scrape(r, n, body);
    if (r->outcome.failed)
        fail_msg("%s", strbuf_cstr(&r->why));
}

#define COUNTER(value, created)                                                                    \
    "# TYPE c counter\nc_total{a=\"1\",b=\"2\"} " value "\nc_created{b=\"2\",a=\"1\"} " created    \
    "\n# EOF\n"

static void test_zeros_are_stored_at_the_start(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.options.created_timestamp_zero = true;
    start(&r);
    scrape_well(&r, 0, COUNTER("5", AT_MINUS_1));
    assert_int_equal(r.outcome.result.scraped, 1);
    scrape_well(&r, 1, COUNTER("6", AT_MINUS_1));
    assert_string_equal(plain(&r, "c_total"), "0@-1 5@0 6@1");
    assert_string_equal(plain(&r, "c_created"), "");
    /* It began anew between two scrapes. */
    scrape_well(&r, 2, COUNTER("1", "1022.5"));
    assert_string_equal(plain(&r, "c_total"), "0@-1 5@0 6@1 0@1 1@2");
    assert_int_equal(r.outcome.result.out_of_order, 0);
    /* A start in the future, in the past of the series, at the sample itself, or none at all. */
    scrape_well(&r, 3, COUNTER("2", "99999"));
    scrape_well(&r, 4, COUNTER("3", "1"));
    scrape_well(&r, 5, COUNTER("4", "1075"));
    scrape_well(&r, 6, COUNTER("5", "NaN"));
    scrape_well(&r, 7, COUNTER("6", "-1"));
    assert_string_equal(plain(&r, "c_total"), "0@-1 5@0 6@1 0@1 1@2 2@3 3@4 4@5 5@6 6@7");
    end(&r);
}

static void test_without_the_feature_they_are_samples(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    start(&r);
    scrape_well(&r, 0, COUNTER("5", AT_MINUS_1));
    scrape_well(&r, 1, COUNTER("6", AT_MINUS_1));
    assert_string_equal(plain(&r, "c_total"), "5@0 6@1");
    assert_string_equal(plain(&r, "c_created"), "985@0 985@1");
    end(&r);
}

static void test_families_and_parts(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.options.created_timestamp_zero = true;
    start(&r);
    scrape_well(&r, 0,
                "# TYPE h histogram\n"
                "h_bucket{x=\"1\",le=\"1\"} 1\nh_bucket{x=\"1\",le=\"+Inf\"} 2\n"
                "h_count{x=\"1\"} 2\nh_sum{x=\"1\"} 3\nh_created{x=\"1\"} " AT_MINUS_1 "\n"
                "h_count{x=\"2\"} 4\n"
                "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\ns_sum 3\n"
                "s_created " AT_MINUS_2 "\n"
                "# TYPE g gauge\ng 1\ng_created " AT_MINUS_1 "\n"
                "# EOF\n");
    assert_string_equal(samples(&r, "h_bucket", "le", "1.0"), "0@-1 1@0");
    assert_string_equal(samples(&r, "h_sum", "x", "1"), "0@-1 3@0");
    assert_string_equal(samples(&r, "h_count", "x", "2"), "4@0");
    assert_string_equal(plain(&r, "h_created"), "");
    assert_string_equal(samples(&r, "s", "quantile", "0.5"), "0@-2 1@0");
    assert_string_equal(plain(&r, "s_count"), "0@-2 2@0");
    assert_string_equal(plain(&r, "g_created"), "985@0");
    assert_int_equal(r.outcome.result.scraped, 10);
    end(&r);
}

static void test_converted_histograms(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.config.convert_classic_histograms = true;
    r.options.created_timestamp_zero = true;
    start(&r);
    for (int n = 0; n < 2; n++)
        scrape_well(&r, n,
                    "# TYPE h histogram\n"
                    "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n"
                    "h_created " AT_MINUS_1 "\n# EOF\n");
    assert_string_equal(
        plain(&r, "h"),
        "{count 0 sum 0}@-1 {count 2 sum 3 1:1 inf:1}@0 {count 2 sum 3 1:1 inf:1}@1");
    end(&r);
}

/* Zeros are no samples of the target: its limit is not theirs. */
static void test_zeros_do_not_count(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.config.sample_limit = 2;
    r.options.created_timestamp_zero = true;
    start(&r);
    scrape_well(&r, 0,
                "# TYPE c counter\nc_total 1\nc_created " AT_MINUS_1 "\n"
                "# TYPE d counter\nd_total 1\nd_created " AT_MINUS_1 "\n# EOF\n");
    assert_string_equal(plain(&r, "d_total"), "0@-1 1@0");
    end(&r);
}

/* An out-of-order window takes late samples; a zero that is late is left out all the same. */
static void test_late_zeros_are_left_out(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.options.created_timestamp_zero = true;
    reference_store_set_window(r.store, 10 * STEP, 0);
    start(&r);
    scrape_well(&r, 0, COUNTER("1", "NaN"));
    r.loop.scrape++; /* nothing is known of the last scrape: the storage has to judge */
    scrape_well(&r, 1, COUNTER("2", AT_MINUS_1));
    assert_string_equal(plain(&r, "c_total"), "1@0 2@1");
    end(&r);
}

static void test_starts_are_kept_with_samples(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.options.start_timestamps = true;
    start(&r);
    scrape_well(&r, 0, COUNTER("5", AT_MINUS_1));
    scrape_well(&r, 1, COUNTER("1", AT_HALF));
    scrape_well(&r, 2, "# TYPE c counter\nc_total{a=\"1\",b=\"2\"} 2\n# EOF\n");
    assert_string_equal(plain(&r, "c_total"), "5@0 1@1 2@2");
    assert_string_equal(plain(&r, "c_created"), "");
    assert_int_equal(start_of(&r, "c_total", 0), T0 - STEP);
    assert_int_equal(start_of(&r, "c_total", 1), T0 + STEP / 2);
    assert_int_equal(start_of(&r, "c_total", 2), 0);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeros_are_stored_at_the_start),
        cmocka_unit_test(test_without_the_feature_they_are_samples),
        cmocka_unit_test(test_families_and_parts),
        cmocka_unit_test(test_converted_histograms),
        cmocka_unit_test(test_zeros_do_not_count),
        cmocka_unit_test(test_late_zeros_are_left_out),
        cmocka_unit_test(test_starts_are_kept_with_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
