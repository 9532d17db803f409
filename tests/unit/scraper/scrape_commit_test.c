/* The per-sample pipeline: bodies in, samples of a plain store out; no network, no threads. */
#include "scrape_rig.h"

static void test_values_and_report(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "# HELP a Some help.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3.5\n");
    assert_false(r.outcome.failed);
    scrape(&r, 1, "# HELP a Some help.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 7\nb 3.25\n");
    scrape(&r, 2, "# HELP a Some help.\n# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 7\nb NaN\n");
    assert_string_equal(samples(&r, "a", "x", "1"), "1@0 1@1 2@2");
    assert_string_equal(samples(&r, "a", "x", "2"), "2@0 7@1 7@2");
    assert_string_equal(plain(&r, "b"), "3.5@0 3.25@1 nan@2");
    assert_string_equal(plain(&r, "up"), "1@0 1@1 1@2");
    assert_string_equal(plain(&r, "scrape_samples_scraped"), "3@0 3@1 3@2");
    assert_string_equal(plain(&r, "scrape_samples_post_metric_relabeling"), "3@0 3@1 3@2");
    assert_string_equal(plain(&r, "scrape_series_added"), "3@0 0@1 0@2");
    assert_string_equal(plain(&r, "scrape_timeout_seconds"), "");
    end(&r);
}

static void test_order_and_churn(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\nb 2\nc 3\nd 4\n");
    scrape(&r, 1, "d 5\nc 6\nnew 1\nb 7\na 8\n");
    scrape(&r, 2, "d 5\nnew 2\nb 7\n");
    scrape(&r, 3, "a 1\nd 5\nnew 2\nb 7\n");
    assert_string_equal(plain(&r, "a"), "1@0 8@1 stale@2 1@3");
    assert_string_equal(plain(&r, "b"), "2@0 7@1 7@2 7@3");
    assert_string_equal(plain(&r, "c"), "3@0 6@1 stale@2");
    assert_string_equal(plain(&r, "d"), "4@0 5@1 5@2 5@3");
    assert_string_equal(plain(&r, "new"), "1@1 2@2 2@3");
    assert_string_equal(plain(&r, "scrape_series_added"), "4@0 1@1 0@2 1@3");
    end(&r);
}

static void test_failed_fetch_ends_all_series(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\nb 2\n");
    scrape(&r, 1, NULL);
    scrape(&r, 2, NULL);
    scrape(&r, 3, "a 1\nb 2\n");
    scrape(&r, 4, "");
    assert_string_equal(plain(&r, "a"), "1@0 stale@1 1@3 stale@4");
    assert_string_equal(plain(&r, "up"), "1@0 0@1 0@2 1@3 1@4");
    assert_string_equal(plain(&r, "scrape_series_added"), "2@0 0@1 0@2 0@3 0@4");
    end(&r);
}

static void test_parse_error_stores_nothing_of_the_body(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\nb 2\n");
    scrape(&r, 1, "a 5\nnew 1\n{{{\nb 2\n");
    assert_true(r.outcome.failed);
    assert_true(r.why.size > 0);
    /* a was seen before the error, b was not. */
    assert_string_equal(plain(&r, "a"), "1@0");
    assert_string_equal(plain(&r, "b"), "2@0 stale@1");
    assert_string_equal(plain(&r, "new"), "");
    assert_string_equal(plain(&r, "up"), "1@0 0@1");
    scrape(&r, 2, NULL);
    assert_string_equal(plain(&r, "a"), "1@0 stale@2");
    scrape(&r, 3, "a 1\nb 2\nnew 3\n");
    assert_string_equal(plain(&r, "new"), "stale@2 3@3");
    assert_string_equal(plain(&r, "b"), "2@0 stale@1 2@3");
    end(&r);
}

static void test_duplicates(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    for (int n = 0; n < 3; n++) {
        scrape(&r, n, "a 1\na 2\nb{x=\"1\",y=\"2\"} 3\nb{y=\"2\",x=\"1\"} 4\n");
        assert_false(r.outcome.failed);
        assert_int_equal(r.outcome.result.duplicates, 2);
    }
    assert_string_equal(plain(&r, "a"), "1@0 1@1 1@2");
    assert_string_equal(plain(&r, "b"), "3@0 3@1 3@2");
    assert_string_equal(plain(&r, "scrape_samples_scraped"), "4@0 4@1 4@2");
    scrape(&r, 3, "b{y=\"2\",x=\"1\"} 4\na 2\na 1\n");
    assert_string_equal(plain(&r, "a"), "1@0 1@1 1@2 2@3");
    assert_string_equal(plain(&r, "b"), "3@0 3@1 3@2 4@3");
    end(&r);
}

static void test_explicit_timestamps(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    char body[128];
    for (int n = 0; n < 3; n++) {
        if (n == 2)
            strcpy(body, "other 1\n");
        else
            snprintf(body, sizeof body, "a 1 %d\nother 1\nfuture 1 %d\n", T0 + n * STEP - STEP,
                     T0 + 100 * STEP);
        scrape(&r, n, body);
    }
    /* Not tracked: no marker. Later than ten minutes from now: left out and counted. */
    assert_string_equal(plain(&r, "a"), "1@-1 1@0");
    assert_string_equal(plain(&r, "future"), "");
    end(&r);

    begin(&r);
    r.config.honor_timestamps = false;
    start(&r);
    scrape(&r, 0, "a 1 5\n");
    scrape(&r, 1, "");
    assert_string_equal(plain(&r, "a"), "1@0 stale@1");
    end(&r);

    begin(&r);
    r.config.track_timestamps_staleness = true;
    start(&r);
    snprintf(body, sizeof body, "a 1 %d\n", T0);
    scrape(&r, 0, body);
    scrape(&r, 1, "");
    assert_string_equal(plain(&r, "a"), "1@0 stale@1");
    end(&r);
}

static void test_label_conflicts(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a{job=\"x\",exported_job=\"y\"} 1\nb{instance=\"\"} 2\n");
    assert_string_equal(samples(&r, "a", "exported_exported_job", "x"), "1@0");
    assert_string_equal(samples(&r, "a", "exported_job", "y"), "1@0");
    assert_string_equal(samples(&r, "a", "job", "j"), "1@0");
    assert_string_equal(plain(&r, "b"), "2@0");
    end(&r);

    begin(&r);
    r.config.honor_labels = true;
    start(&r);
    scrape(&r, 0, "a{job=\"x\"} 1\nb{instance=\"\"} 2\n");
    assert_string_equal(samples(&r, "a", "job", "x"), "1@0");
    assert_string_equal(samples(&r, "b", "instance", ""), "2@0");
    end(&r);
}

static void set_sample_limit(struct scrape_config *config)
{
    config->sample_limit = 2;
}

static void set_label_limit(struct scrape_config *config)
{
    config->label_limit = 3;
}

static void set_name_limit(struct scrape_config *config)
{
    config->label_name_length_limit = 10;
}

static void set_value_limit(struct scrape_config *config)
{
    config->label_value_length_limit = 10;
}

static void set_nothing(struct scrape_config *config)
{
    config->name_scheme = NAME_SCHEME_LEGACY;
}

static void test_limits(void **state)
{
    (void)state;
    limit_fails(set_sample_limit, "a 1\nb 1\nc 1\nd 1\n", "sample limit exceeded");
    limit_fails(set_label_limit, "a{x=\"1\"} 1\n",
                "label_limit exceeded (metric: a, number of labels: 4, limit: 3)");
    limit_fails(set_name_limit, "a{elevenchars=\"1\"} 1\n",
                "label_name_length_limit exceeded (metric: a, label name: elevenchars, length: 11, "
                "limit: 10)");
    limit_fails(set_value_limit, "a{x=\"elevenchars\"} 1\n",
                "label_value_length_limit exceeded (metric: a, label name: x, value: "
                "\"elevenchars\", length: 11, limit: 10)");
    limit_fails(set_nothing, "a{x=\"1\",x=\"2\"} 1\n",
                "label name \"x\" is not unique: invalid sample");
}

static void test_sample_limit_counts_all_and_recovers(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.sample_limit = 2;
    start(&r);
    scrape(&r, 0, "a 1\nb 1\n");
    scrape(&r, 1, "a 1\nb 1\nc 1\nd 1\n");
    scrape(&r, 2, "a 1\nb 1\nc 1\nd 1\n");
    scrape(&r, 3, "a 1\nb 1\n");
    assert_string_equal(plain(&r, "scrape_samples_scraped"), "2@0 4@1 4@2 2@3");
    assert_string_equal(plain(&r, "scrape_samples_post_metric_relabeling"), "2@0 4@1 4@2 2@3");
    assert_string_equal(plain(&r, "a"), "1@0 1@3");
    assert_string_equal(plain(&r, "up"), "1@0 0@1 0@2 1@3");
    end(&r);
}

static void test_metric_relabeling_drops(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    struct str sources[] = {STR_INIT("__name__")};
    struct relabel_rule rule;
    struct regex *regex;
    relabel_rule_init(&rule);
    assert_int_equal(regex_compile(STR("drop.*"), &regex, &r.why), OK);
    rule.action = RELABEL_DROP;
    rule.source_labels = sources;
    rule.source_label_count = 1;
    rule.regex = regex;
    r.config.metric_relabel_rules = &rule;
    r.config.metric_relabel_rule_count = 1;
    start(&r);
    for (int n = 0; n < 2; n++)
        scrape(&r, n, "dropped 1\na 1\ndropped_too 3\n");
    assert_string_equal(plain(&r, "dropped"), "");
    assert_string_equal(plain(&r, "scrape_samples_scraped"), "3@0 3@1");
    assert_string_equal(plain(&r, "scrape_samples_post_metric_relabeling"), "1@0 1@1");
    assert_string_equal(plain(&r, "scrape_series_added"), "1@0 0@1");
    end(&r);
    regex_destroy(regex);
}

static void test_quantiles_are_normalised(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    const char *histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n";
    scrape(&r, 0, histogram);
    scrape(&r, 1, histogram);
    assert_string_equal(samples(&r, "h_bucket", "le", "1.0"), "1@0 1@1");
    /* The same text means other labels once the family is no histogram any more. */
    scrape(&r, 2, "# TYPE h gauge\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n");
    assert_string_equal(samples(&r, "h_bucket", "le", "1.0"), "1@0 1@1 stale@2");
    assert_string_equal(samples(&r, "h_bucket", "le", "1"), "1@2");
    end(&r);
}

static void test_refresh_moves_series(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\nb 2\na 3\n");
    r.loop.refresh = true;
    scrape(&r, 1, "a 1\nb 2\na 3\n");
    assert_false(r.outcome.failed);
    scrape(&r, 2, "a 1\n");
    assert_string_equal(plain(&r, "a"), "1@0 1@1 1@2");
    assert_string_equal(plain(&r, "b"), "2@0 2@1 stale@2");
    end(&r);
}

static void test_end_of_run(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\n");
    r.loop.marker_ms = T0 + STEP;
    scrape_commit_end(&r.loop);
    assert_string_equal(plain(&r, "a"), "1@0 stale@1");
    assert_string_equal(plain(&r, "up"), "1@0 stale@1");
    end(&r);
}

static void test_metadata(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "# HELP a Line\\nbreak\n# TYPE a counter\na 1\n");
    scrape(&r, 1, "# HELP a Line\\nbreak\n# TYPE a gauge\na 1\n");
    const struct scrape_metadata *metadata = &r.loop.target->metadata;
    uint32_t item = scrape_metadata_find(metadata, STR("a"));
    assert_int_not_equal(item, HTABLE_NONE);
    assert_int_equal(metadata->items[item].type, METADATA_GAUGE);
    assert_true(str_equal(metadata->items[item].help, STR("Line\nbreak")));
    assert_false(scrape_metadata_has_expired(metadata, r.loop.scrape));
    for (int n = 2; n < 2 + METADATA_SCRAPES_KEPT + 1; n++)
        scrape(&r, n, "a 1\n");
    assert_true(scrape_metadata_has_expired(metadata, r.loop.scrape));
    scrape_metadata_expire(&r.loop.target->metadata, r.loop.scrape);
    assert_int_equal(scrape_metadata_find(metadata, STR("a")), HTABLE_NONE);
    end(&r);
}

static const char *help_of(struct rig *r, const char *family, enum metadata_type type)
{
    const struct scrape_metadata *metadata = &r->loop.target->metadata;
    uint32_t item = scrape_metadata_find(metadata, str_from_cstr(family));
    assert_int_not_equal(item, HTABLE_NONE);
    assert_int_equal(metadata->items[item].type, type);
    return metadata->items[item].help.data;
}

/* Comment lines are cached in blocks: changes in, before and between blocks are seen. */
static void test_comments_change(void **state)
{
    (void)state;
    static const char first[] =
        "# HELP a one\n# TYPE a counter\na 1\n# HELP b two\n# TYPE b gauge\nb 1\n";
    static const char second[] =
        "# HELP a one\n# TYPE a counter\na 1\n# HELP b two\n# TYPE b gauge\nb 2\n";
    static const char third[] =
        "# HELP a uno\n# TYPE a counter\na 1\n# HELP b two\n# TYPE b counter\nb 3\n";
    static const char fourth[] = "# HELP c new\n# TYPE c gauge\nc 1\n"
                                 "# HELP a uno\n# TYPE a counter\na 1\n"
                                 "# HELP b two\n# TYPE b counter\nb 4\n";
    static const char fifth[] = "# TYPE b counter\n# HELP b two\nb 5\n"
                                "# HELP a uno\n# HELP a ein\n# TYPE a summary\na 1\n";
    const char *const bodies[] = {first, second, third, fourth, fifth, fifth};
    struct rig r;
    begin(&r);
    start(&r);
    for (int n = 0; n < 6; n++) {
        scrape(&r, n, bodies[n]);
        assert_false(r.outcome.failed);
        assert_string_equal(help_of(&r, "a", n < 4 ? METADATA_COUNTER : METADATA_SUMMARY),
                            n < 2   ? "one"
                            : n < 4 ? "uno"
                                    : "ein");
        assert_string_equal(help_of(&r, "b", n < 2 ? METADATA_GAUGE : METADATA_COUNTER), "two");
    }
    /* Two blocks and two samples. */
    assert_int_equal(r.loop.cache.count, 4);
    assert_string_equal(plain(&r, "b"), "1@0 2@1 3@2 4@3 5@4 5@5");
    assert_string_equal(plain(&r, "c"), "1@3 stale@4");
    end(&r);
}

static void test_type_and_unit_labels(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.format = EXPOSITION_OPENMETRICS;
    r.options.type_and_unit_labels = true;
    start(&r);
    scrape(&r, 0, "# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n# EOF\n");
    assert_string_equal(samples(&r, "a_seconds_total", "__type__", "counter"), "1@0");
    assert_string_equal(samples(&r, "a_seconds_total", "__unit__", "seconds"), "1@0");
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_report),
        cmocka_unit_test(test_order_and_churn),
        cmocka_unit_test(test_failed_fetch_ends_all_series),
        cmocka_unit_test(test_parse_error_stores_nothing_of_the_body),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_explicit_timestamps),
        cmocka_unit_test(test_label_conflicts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sample_limit_counts_all_and_recovers),
        cmocka_unit_test(test_metric_relabeling_drops),
        cmocka_unit_test(test_quantiles_are_normalised),
        cmocka_unit_test(test_refresh_moves_series),
        cmocka_unit_test(test_end_of_run),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_comments_change),
        cmocka_unit_test(test_type_and_unit_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
