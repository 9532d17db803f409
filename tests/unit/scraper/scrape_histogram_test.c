/* Native histograms: from protobuf, from classic ones, and their limits. */
#include "scrape_rig.h"

#define CLASSIC                                                                                    \
    "# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 2\nh_bucket{x=\"1\",le=\"5\"} 3\n"             \
    "h_bucket{x=\"1\",le=\"+Inf\"} 7\nh_sum{x=\"1\"} 30\nh_count{x=\"1\"} 7\n"

static void test_classic_histograms_are_converted(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.convert_classic_histograms = true;
    start(&r);
    scrape(&r, 0, CLASSIC "h_bucket{x=\"2\",le=\"1\"} 1.5\nother 1\n# TYPE g gauge\ng 2\n");
    assert_false(r.outcome.failed);
    assert_int_equal(r.outcome.result.scraped, 4);
    scrape(&r, 1, CLASSIC "# TYPE g gauge\ng 2\n");
    assert_string_equal(samples(&r, "h", "x", "1"),
                        "{count 7 sum 30 1:2 5:1 inf:4}@0 {count 7 sum 30 1:2 5:1 inf:4}@1");
    assert_string_equal(samples(&r, "h", "x", "2"), "{count 1.5 sum 0 1:1.5 inf:0}@0 stale@1");
    assert_string_equal(samples(&r, "h_count", "x", "1"), "");
    assert_string_equal(plain(&r, "g"), "2@0 2@1");
    /* What does not add up is lost without a word. */
    scrape(&r, 2, "# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 2\nh_count{x=\"1\"} 1\n");
    assert_false(r.outcome.failed);
    assert_int_equal(r.outcome.result.scraped, 0);
    end(&r);

    begin(&r);
    r.config.convert_classic_histograms = true;
    r.config.always_scrape_classic_histograms = true;
    start(&r);
    scrape(&r, 0, CLASSIC);
    assert_int_equal(r.outcome.result.scraped, 6);
    assert_string_equal(samples(&r, "h_count", "x", "1"), "7@0");
    assert_string_equal(samples(&r, "h", "x", "1"), "{count 7 sum 30 1:2 5:1 inf:4}@0");
    end(&r);
}

/* ---- protobuf ---- */

static void put_varint(struct strbuf *out, uint64_t v)
{
    while (v >= 0x80) {
        strbuf_add_char(out, (char)(v | 0x80));
        v >>= 7;
    }
    strbuf_add_char(out, (char)v);
}

static void put_uint(struct strbuf *out, uint32_t field, uint64_t v)
{
    put_varint(out, field << 3);
    put_varint(out, v);
}

static void put_bytes(struct strbuf *out, uint32_t field, struct str bytes)
{
    put_varint(out, (field << 3) | 2);
    put_varint(out, bytes.size);
    strbuf_add_str(out, bytes);
}

static void put_double(struct strbuf *out, uint32_t field, double v)
{
    put_varint(out, (field << 3) | 1);
    strbuf_add(out, &v, sizeof v);
}

/* Moves `inner` into field `field` of `out`. */
static void put_message(struct strbuf *out, uint32_t field, struct strbuf *inner)
{
    put_bytes(out, field, strbuf_str(inner));
    strbuf_clear(inner);
}

/* A family with one metric, delimited. */
static void put_family(struct strbuf *out, const char *name, uint32_t type, uint32_t metric_field,
                       struct strbuf *metric)
{
    struct strbuf whole = STRBUF_INIT;
    struct strbuf family = STRBUF_INIT;
    put_message(&whole, metric_field, metric);
    put_bytes(&family, 1, str_from_cstr(name));
    put_uint(&family, 3, type);
    put_message(&family, 4, &whole);
    put_varint(out, family.size);
    strbuf_add_str(out, strbuf_str(&family));
    strbuf_deinit(&family);
    strbuf_deinit(&whole);
}

static void put_counter(struct strbuf *out, double value, int64_t start_s)
{
    struct strbuf counter = STRBUF_INIT;
    struct strbuf start = STRBUF_INIT;
    put_double(&counter, 1, value);
    put_uint(&start, 1, (uint64_t)start_s);
    put_message(&counter, 3, &start);
    put_family(out, "c", 0, 3, &counter);
    strbuf_deinit(&start);
    strbuf_deinit(&counter);
}

/* Native, schema 2, buckets 1 to 4 with one observation each. */
static void put_histogram(struct strbuf *out)
{
    struct strbuf histogram = STRBUF_INIT;
    struct strbuf span = STRBUF_INIT;
    struct strbuf deltas = STRBUF_INIT;
    put_uint(&histogram, 1, 4);
    put_double(&histogram, 2, 6.5);
    put_uint(&histogram, 5, 4); /* zigzag of 2 */
    put_double(&histogram, 6, 1e-10);
    put_uint(&span, 1, 2); /* zigzag of 1 */
    put_uint(&span, 2, 4);
    put_message(&histogram, 12, &span);
    put_varint(&deltas, 2);
    put_varint(&deltas, 0);
    put_varint(&deltas, 0);
    put_varint(&deltas, 0);
    put_message(&histogram, 13, &deltas);
    put_family(out, "nh", 4, 7, &histogram);
    strbuf_deinit(&deltas);
    strbuf_deinit(&span);
    strbuf_deinit(&histogram);
}

static void test_protobuf(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.scrape_native_histograms = true;
    r.options.created_timestamp_zero = true;
    r.format = EXPOSITION_PROTOBUF;
    start(&r);
    for (int n = 1; n < 3; n++) {
        struct strbuf body = STRBUF_INIT;
        put_counter(&body, n, T0 / 1000);
        put_histogram(&body);
        scrape_bytes(&r, n, body.data, body.size);
        if (r.outcome.failed)
            fail_msg("%s", strbuf_cstr(&r.why));
        assert_int_equal(r.outcome.result.scraped, 2);
        assert_int_equal(r.outcome.result.out_of_order, 0);
        strbuf_deinit(&body);
    }
    assert_string_equal(plain(&r, "c"), "0@0 1@1 2@2");
    assert_string_equal(plain(&r, "nh"), "{count 4 sum 6.5 inf:1 inf:1 inf:1 inf:1}@1 "
                                         "{count 4 sum 6.5 inf:1 inf:1 inf:1 inf:1}@2");
    scrape(&r, 3, "");
    assert_non_null(strstr(plain(&r, "nh"), " stale@3"));
    end(&r);
}

/* A family "ch" of one histogram with two buckets; in_zero > 0: with the native form, too. */
static void put_classic(struct strbuf *out, uint64_t count, uint64_t in_first, uint64_t in_zero)
{
    struct strbuf histogram = STRBUF_INIT;
    struct strbuf bucket = STRBUF_INIT;
    put_uint(&histogram, 1, count);
    put_double(&histogram, 2, 6.5);
    put_uint(&bucket, 1, in_first);
    put_double(&bucket, 2, 1);
    put_message(&histogram, 3, &bucket);
    put_uint(&bucket, 1, 4);
    put_double(&bucket, 2, INFINITY);
    put_message(&histogram, 3, &bucket);
    if (in_zero > 0)
        put_uint(&histogram, 7, in_zero); /* all in the zero bucket */
    put_family(out, "ch", 4, 7, &histogram);
    strbuf_deinit(&bucket);
    strbuf_deinit(&histogram);
}

static void scrape_classic(struct rig *r, uint64_t count, uint64_t in_first, uint64_t in_zero)
{
    struct strbuf body = STRBUF_INIT;
    put_classic(&body, count, in_first, in_zero);
    scrape_bytes(r, 0, body.data, body.size);
    strbuf_deinit(&body);
}

/* The table of spec 3.6 for histograms that are exposed as classic ones, with native parts too
 * when `both`. */
static void stored(bool scrape_native, bool both, bool convert, bool always, const char *native,
                   const char *classic)
{
    struct rig r;
    begin(&r);
    r.format = EXPOSITION_PROTOBUF;
    r.config.scrape_native_histograms = scrape_native;
    r.config.convert_classic_histograms = convert;
    r.config.always_scrape_classic_histograms = always;
    start(&r);
    scrape_classic(&r, 4, 3, both ? 4 : 0);
    if (r.outcome.failed)
        fail_msg("%s", strbuf_cstr(&r.why));
    assert_string_equal(plain(&r, "ch"), native);
    assert_string_equal(plain(&r, "ch_count"), classic);
    assert_string_equal(samples(&r, "ch_bucket", "le", "1.0"), classic[0] == '\0' ? "" : "3@0");
    assert_int_equal(r.outcome.result.duplicates, 0);
    end(&r);
}

static void test_which_form_is_stored(void **state)
{
    (void)state;
    const char *custom = "{count 4 sum 6.5 1:3 inf:1}@0";
    const char *native = "{count 4 sum 6.5}@0";
    for (int both = 0; both < 2; both++) {
        stored(false, both, false, false, "", "4@0");
        stored(false, both, true, false, custom, "");
        stored(false, both, true, true, custom, "4@0");
    }
    stored(true, false, false, false, "", "4@0");
    stored(true, false, true, false, custom, "");
    stored(true, false, true, true, custom, "4@0");
    stored(true, true, false, false, native, "");
    stored(true, true, false, true, native, "4@0");
    stored(true, true, true, false, native, "");
    stored(true, true, true, true, native, "4@0");
}

/* In protobuf a histogram that cannot be converted fails the scrape. */
static void test_broken_classic_protobuf_fails(void **state)
{
    (void)state;
    static const struct {
        uint64_t count, in_first;
        const char *why;
    } cases[] = {
        {4, 5, "histogram \"ch\": bucket counts are not cumulative"},
        {5, 3, "histogram \"ch\": bucket counts and count differ"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        begin(&r);
        r.format = EXPOSITION_PROTOBUF;
        r.config.convert_classic_histograms = true;
        start(&r);
        scrape_classic(&r, cases[i].count, cases[i].in_first, 0);
        assert_true(r.outcome.failed);
        assert_string_equal(strbuf_cstr(&r.why), cases[i].why);
        assert_string_equal(plain(&r, "ch"), "");
        end(&r);
    }
}

static void test_invalid_native_histogram_fails(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.format = EXPOSITION_PROTOBUF;
    r.config.scrape_native_histograms = true;
    start(&r);
    scrape_classic(&r, 4, 3, 5);
    assert_true(r.outcome.failed);
    assert_non_null(strstr(strbuf_cstr(&r.why), "observations found in buckets"));
    assert_string_equal(plain(&r, "ch"), "");
    assert_string_equal(plain(&r, "up"), "0@0");
    end(&r);
}

static void histogram_gives(int64_t bucket_limit, double factor, bool fails, const char *expected)
{
    struct rig r;
    begin(&r);
    r.config.scrape_native_histograms = true;
    r.config.native_histogram_bucket_limit = bucket_limit;
    r.config.native_histogram_min_bucket_factor = factor;
    r.format = EXPOSITION_PROTOBUF;
    start(&r);
    struct strbuf body = STRBUF_INIT;
    put_histogram(&body);
    scrape_bytes(&r, 0, body.data, body.size);
    assert_int_equal(r.outcome.failed, fails);
    if (fails)
        assert_string_equal(strbuf_cstr(&r.why), expected);
    else
        assert_string_equal(plain(&r, "nh"), expected);
    strbuf_deinit(&body);
    end(&r);
}

static void test_histogram_limits(void **state)
{
    (void)state;
    histogram_gives(4, 0, false, "{count 4 sum 6.5 inf:1 inf:1 inf:1 inf:1}@0");
    histogram_gives(2, 0, false, "{count 4 sum 6.5 inf:2 inf:2}@0");
    histogram_gives(1, 0, false, "{count 4 sum 6.5 inf:4}@0");
    histogram_gives(0, 2, false, "{count 4 sum 6.5 inf:4}@0");
    histogram_gives(0, 1.4, false, "{count 4 sum 6.5 inf:2 inf:2}@0");
}

static void set_nothing_else(struct scrape_config *config)
{
    config->convert_classic_histograms = true;
    config->native_histogram_bucket_limit = 2;
}

static void set_sample_limit_too(struct scrape_config *config)
{
    set_nothing_else(config);
    config->sample_limit = 1;
}

static void test_custom_bounds_cannot_be_coarser(void **state)
{
    (void)state;
    limit_fails(set_nothing_else, CLASSIC, "histogram bucket limit exceeded");
    /* Of both limits the samples' is named. */
    limit_fails(set_sample_limit_too, CLASSIC "# TYPE g gauge\ng 1\ng{x=\"1\"} 1\n",
                "sample limit exceeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classic_histograms_are_converted),
        cmocka_unit_test(test_protobuf),
        cmocka_unit_test(test_which_form_is_stored),
        cmocka_unit_test(test_broken_classic_protobuf_fails),
        cmocka_unit_test(test_invalid_native_histogram_fails),
        cmocka_unit_test(test_histogram_limits),
        cmocka_unit_test(test_custom_bounds_cannot_be_coarser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
