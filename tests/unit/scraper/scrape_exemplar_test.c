/* Exemplars: which are stored, and at what time. */
#include "scrape_rig.h"

/* "value@t_ms{labels}" of all exemplars, by series and in their order. */
static const char *exemplars(struct rig *r, const char *name)
{
    struct matcher matcher;
    struct querier *querier;
    struct exemplar_list list;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    strbuf_clear(&r->seen);
    assert_int_equal(matcher_init(&matcher, MATCH_EQUAL, LABEL_NAME, str_from_cstr(name), &r->why),
                     OK);
    const struct selector selector = {&matcher, 1};
    assert_int_equal(storage_querier_open(r->store, 0, INT64_MAX, &querier, &r->why), OK);
    assert_int_equal(querier_exemplars(querier, &selector, 1, &arena, &list, &r->why), OK);
    for (size_t s = 0; s < list.count; s++) {
        for (size_t i = 0; i < list.items[s].count; i++) {
            const struct exemplar *exemplar = &list.items[s].items[i];
            strbuf_printf(&r->seen, "%s%g@%lld", r->seen.size == 0 ? "" : " ", exemplar->value,
                          (long long)exemplar->t_ms);
            labels_print(exemplar->labels, &r->seen);
        }
    }
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return strbuf_cstr(&r->seen);
}

static void begin_openmetrics(struct rig *r)
{
    begin(r);
    r->format = EXPOSITION_OPENMETRICS;
    r->options.exemplar_storage = true;
}

static void test_exemplars_of_samples(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    start(&r);
    scrape(&r, 0, "# TYPE a counter\na_total 1 # {id=\"x\"} 0.5\nb 2\n# EOF\n");
    assert_false(r.outcome.failed);
    scrape(&r, 1, "# TYPE a counter\na_total 2 # {id=\"y\"} 0.25 1010\nb 2\n# EOF\n");
    const char *all = "0.5@1000000{id=\"x\"} 0.25@1010000{id=\"y\"}";
    assert_string_equal(exemplars(&r, "a_total"), all);
    assert_string_equal(exemplars(&r, "b"), "");
    assert_string_equal(plain(&r, "a_total"), "1@0 2@1");
    /* Shown again, or of an earlier time; neither fails the scrape. */
    scrape(&r, 2, "# TYPE a counter\na_total 2 # {id=\"y\"} 0.25 1010\n# EOF\n");
    assert_int_equal(r.outcome.result.exemplars_out_of_order, 0);
    scrape(&r, 3, "# TYPE a counter\na_total 2 # {id=\"z\"} 0.25 1005\n# EOF\n");
    assert_int_equal(r.outcome.result.exemplars_out_of_order, 1);
    assert_false(r.outcome.failed);
    assert_string_equal(exemplars(&r, "a_total"), all);
    r.options.exemplar_storage = false;
    scrape(&r, 4, "# TYPE a counter\na_total 3 # {id=\"z\"} 1\nb 2\n# EOF\n");
    assert_string_equal(exemplars(&r, "a_total"), all);
    scrape(&r, 5, "# TYPE a counter\na_total 3\n");
    assert_string_equal(strbuf_cstr(&r.why), "data does not end with # EOF");
    end(&r);
}

static void test_long_labels_are_refused(void **state)
{
    (void)state;
    struct rig r;
    struct strbuf body = STRBUF_INIT;
    begin_openmetrics(&r);
    start(&r);
    for (int n = 0; n < 2; n++) {
        strbuf_clear(&body);
        strbuf_add_cstr(&body, "# TYPE a counter\na_total 1 # {id=\"");
        for (int i = 0; i < 127 - n; i++) /* 129 characters, then 128 */
            strbuf_add_char(&body, 'x');
        strbuf_add_cstr(&body, "\"} 1\n# EOF\n");
        scrape(&r, n, strbuf_cstr(&body));
        assert_false(r.outcome.failed);
        assert_int_equal(strncmp(exemplars(&r, "a_total"), "1@", 2) == 0, n == 1);
    }
    strbuf_deinit(&body);
    end(&r);
}

/* Those of a histogram's buckets come by time, not by bucket, and only with a time of their own. */
#define HISTOGRAM                                                                                  \
    "# TYPE h histogram\n"                                                                         \
    "h_bucket{le=\"1\"} 1 # {id=\"late\"} 0.5 1002\n"                                              \
    "h_bucket{le=\"5\"} 3 # {id=\"early\"} 3 1001\n"                                               \
    "h_bucket{le=\"+Inf\"} 4 # {id=\"dateless\"} 7\nh_count 4\nh_sum 9\n# EOF\n"

static void test_exemplars_of_converted_histograms(void **state)
{
    (void)state;
    for (int classic = 0; classic < 2; classic++) {
        struct rig r;
        begin_openmetrics(&r);
        r.config.convert_classic_histograms = true;
        r.config.always_scrape_classic_histograms = classic == 1;
        start(&r);
        for (int n = 0; n < 2; n++) {
            scrape(&r, n, HISTOGRAM);
            assert_false(r.outcome.failed);
            assert_int_equal(r.outcome.result.exemplars_out_of_order, 0);
        }
        assert_string_equal(exemplars(&r, "h"), "3@1001000{id=\"early\"} 0.5@1002000{id=\"late\"}");
        assert_string_equal(exemplars(&r, "h_bucket"),
                            classic == 1 ? "7@1000000{id=\"dateless\"} 7@1015000{id=\"dateless\"} "
                                           "0.5@1002000{id=\"late\"} 3@1001000{id=\"early\"}"
                                         : "");
        assert_string_equal(samples(&r, "h_bucket", "le", "1.0"), classic == 1 ? "1@0 1@1" : "");
        end(&r);
    }
}

/* The exemplars of one histogram are not the next one's. */
static void test_exemplars_stay_with_their_histogram(void **state)
{
    (void)state;
    struct rig r;
    begin_openmetrics(&r);
    r.config.convert_classic_histograms = true;
    start(&r);
    scrape(&r, 0,
           "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {id=\"h\"} 0.5 1002\nh_count 1\n"
           "# TYPE i histogram\ni_bucket{le=\"1\"} 1\ni_count 1\n"
           "# TYPE c counter\nc_total 1 # {id=\"c\"} 1 1003\n# EOF\n");
    assert_false(r.outcome.failed);
    assert_string_equal(exemplars(&r, "h"), "0.5@1002000{id=\"h\"}");
    assert_string_equal(exemplars(&r, "i"), "");
    assert_string_equal(exemplars(&r, "c_total"), "1@1003000{id=\"c\"}");
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exemplars_of_samples),
        cmocka_unit_test(test_long_labels_are_refused),
        cmocka_unit_test(test_exemplars_of_converted_histograms),
        cmocka_unit_test(test_exemplars_stay_with_their_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
