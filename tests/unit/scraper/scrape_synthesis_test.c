/* Starts of counters that expose none (feature st-synthesis): the first sample is left out, its
 * time is the start of the others, and they are stored less its value. */
#include "scrape_rig.h"

static void begin_synthesis(struct rig *r)
{
    begin(r);
    r->options.start_synthesis = true;
    r->options.start_timestamps = true;
}

static void scrape_well(struct rig *r, int n, const char *body)
{
    scrape(r, n, body);
    if (r->outcome.failed)
        fail_msg("%s", strbuf_cstr(&r->why));
}

#define COUNTER(value) "# TYPE c counter\nc " value "\n"

static void test_values_count_from_the_first(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    start(&r);
    scrape_well(&r, 0, COUNTER("100"));
    assert_string_equal(plain(&r, "c"), "");
    assert_int_equal(r.outcome.result.scraped, 1);
    scrape_well(&r, 1, COUNTER("100"));
    scrape_well(&r, 2, COUNTER("107"));
    scrape_well(&r, 3, COUNTER("NaN"));
    assert_string_equal(plain(&r, "c"), "0@1 7@2 nan@3");
    assert_int_equal(start_of(&r, "c", 0), T0);
    assert_int_equal(start_of(&r, "c", 1), T0);
    /* It began anew: from then on the exposed values are those since the start. */
    scrape_well(&r, 4, COUNTER("3"));
    scrape_well(&r, 5, COUNTER("4"));
    assert_string_equal(plain(&r, "c"), "0@1 7@2 nan@3 3@4 4@5");
    assert_int_equal(start_of(&r, "c", 3), T0 + 4 * STEP - 1);
    assert_int_equal(start_of(&r, "c", 4), T0 + 4 * STEP - 1);
    end(&r);
}

static void test_what_counts(void **state)
{
    (void)state;
    static const char body[] = "# TYPE g gauge\ng 5\n"
                               "# TYPE c counter\nc_total 5\nc_other 5\n"
                               "# TYPE s summary\ns{quantile=\"0.5\"} 5\ns_sum 5\ns_count 5\n"
                               "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 5\nh_sum 5\nh_count 5\n"
                               "# TYPE u untyped\nu 5\n{\"c.d\"} 5\n";
    struct rig r;
    begin_synthesis(&r);
    start(&r);
    scrape_well(&r, 0, body);
    scrape_well(&r, 1, body);
    const char *const counted[] = {"c_total", "s_sum", "s_count", "h_bucket", "h_sum", "h_count"};
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        assert_string_equal(plain(&r, counted[i]), "0@1");
    const char *const others[] = {"g", "c_other", "s", "u", "c.d"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_string_equal(plain(&r, others[i]), "5@0 5@1");
    end(&r);
}

/* A start that is exposed is the truth. */
static void test_exposed_starts_are_kept(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    r.format = EXPOSITION_OPENMETRICS;
    start(&r);
    for (int n = 0; n < 2; n++)
        scrape_well(&r, n,
                    "# TYPE c counter\nc_total 5\nc_created 985.000\n"
                    "# TYPE d counter\nd_total 5\n# EOF\n");
    assert_string_equal(plain(&r, "c_total"), "5@0 5@1");
    assert_int_equal(start_of(&r, "c_total", 0), T0 - STEP);
    assert_string_equal(plain(&r, "d_total"), "0@1");
    end(&r);
}

static void test_what_is_forgotten(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    start(&r);
    scrape_well(&r, 0, COUNTER("100"));
    scrape_well(&r, 1, COUNTER("101"));
    /* A failed scrape forgets nothing, and neither does one that was read in part. */
    scrape(&r, 2, NULL);
    scrape_well(&r, 3, COUNTER("103"));
    scrape(&r, 4, COUNTER("104") "broken\n");
    assert_true(r.outcome.failed);
    scrape_well(&r, 5, COUNTER("105"));
    assert_string_equal(plain(&r, "c"), "1@1 stale@2 3@3 5@5");
    /* A series that ended begins as a new one. */
    scrape_well(&r, 6, "a 1\n");
    scrape_well(&r, 7, COUNTER("200"));
    scrape_well(&r, 8, COUNTER("202"));
    assert_string_equal(plain(&r, "c"), "1@1 stale@2 3@3 5@5 stale@6 2@8");
    assert_int_equal(start_of(&r, "c", 5), T0 + 7 * STEP);
    end(&r);
}

/* A body is read a second time when the storage forgot a series: the first sample stays the first.
 */
static void test_a_body_read_twice(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    start(&r);
    scrape_well(&r, 0, COUNTER("100"));
    scrape_well(&r, 0, COUNTER("100"));
    assert_string_equal(plain(&r, "c"), "");
    scrape_well(&r, 1, COUNTER("101"));
    assert_string_equal(plain(&r, "c"), "1@1");
    end(&r);
}

/* The time of a sample is its own, and it may come with several scrapes. */
static void test_explicit_timestamps(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    start(&r);
    scrape_well(&r, 0, COUNTER("100 985000"));
    scrape_well(&r, 1, COUNTER("100 985000"));
    scrape_well(&r, 2, COUNTER("104 1015000"));
    assert_string_equal(plain(&r, "c"), "4@1");
    assert_int_equal(start_of(&r, "c", 0), 985000);
    end(&r);
}

static void scrape_classic(struct rig *r, int n, int low, int all)
{
    char body[200];
    snprintf(body, sizeof body,
             "# TYPE h histogram\nh_bucket{le=\"1\"} %d\nh_bucket{le=\"+Inf\"} %d\n"
             "h_count %d\nh_sum %d\n",
             low, all, all, 2 * all);
    scrape_well(r, n, body);
}

static void test_histograms(void **state)
{
    (void)state;
    struct rig r;
    begin_synthesis(&r);
    r.config.convert_classic_histograms = true;
    start(&r);
    scrape_classic(&r, 0, 5, 8);
    scrape_classic(&r, 1, 7, 11);
    assert_string_equal(plain(&r, "h"), "{count 3 sum 6 1:2 inf:1}@1");
    assert_int_equal(start_of(&r, "h", 0), T0);
    scrape_classic(&r, 2, 7, 11);
    /* A bucket went down: it began anew, and nothing was counted before. */
    scrape_classic(&r, 3, 6, 11);
    scrape_classic(&r, 4, 6, 12);
    assert_string_equal(plain(&r, "h"),
                        "{count 3 sum 6 1:2 inf:1}@1 {count 3 sum 6 1:2 inf:1}@2 "
                        "{count 11 sum 22 1:6 inf:5}@3 {count 12 sum 24 1:6 inf:6}@4");
    assert_int_equal(start_of(&r, "h", 3), T0 + 3 * STEP - 1);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_count_from_the_first),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_exposed_starts_are_kept),
        cmocka_unit_test(test_what_is_forgotten),
        cmocka_unit_test(test_a_body_read_twice),
        cmocka_unit_test(test_explicit_timestamps),
        cmocka_unit_test(test_histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
