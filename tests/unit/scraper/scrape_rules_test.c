/* Rules of a scrape that no other test of this folder names (spec 3.3 to 3.5). */
#include "scrape_rig.h"

static void fails_with(struct rig *r, int n, const char *body, const char *why)
{
    scrape(r, n, body);
    assert_true(r->outcome.failed);
    assert_string_equal(strbuf_cstr(&r->why), why);
}

/* Conflicts are resolved in the order of increasing name length, whatever their order is. */
static void test_conflicts_by_length(void **state)
{
    (void)state;
    const struct label group[] = {{STR("a"), STR("t1")}, {STR("exported_a"), STR("t2")}};
    struct rig r;
    begin(&r);
    r.group = (struct labels){group, 2};
    start(&r);
    scrape(&r, 0, "m{exported_a=\"long\",a=\"short\"} 1\n");
    assert_string_equal(samples(&r, "m", "a", "t1"), "1@0");
    assert_string_equal(samples(&r, "m", "exported_a", "t2"), "1@0");
    assert_string_equal(samples(&r, "m", "exported_exported_a", "short"), "1@0");
    assert_string_equal(samples(&r, "m", "exported_exported_exported_a", "long"), "1@0");
    end(&r);
}

static void test_samples_need_a_name(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    struct relabel_rule rule;
    struct regex *regex;
    relabel_rule_init(&rule);
    assert_int_equal(regex_compile(STR("__name__"), &regex, &r.why), OK);
    rule.action = RELABEL_LABELDROP;
    rule.regex = regex;
    r.config.metric_relabel_rules = &rule;
    r.config.metric_relabel_rule_count = 1;
    start(&r);
    fails_with(&r, 0, "a 1\n", "missing metric name (__name__ label)");
    assert_string_equal(plain(&r, "up"), "0@0");
    end(&r);
    relabel_rule_deinit(&rule);
}

static void test_names_under_the_legacy_scheme(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.name_scheme = NAME_SCHEME_LEGACY;
    start(&r);
    fails_with(
        &r, 0, "{\"a.b\"} 1\n",
        "invalid metric name or label names: {__name__=\"a.b\", instance=\"h:1\", job=\"j\"}");
    fails_with(&r, 1, "a{\"b.c\"=\"1\"} 1\n",
               "invalid metric name or label names: {__name__=\"a\", \"b.c\"=\"1\", "
               "instance=\"h:1\", job=\"j\"}");
    fails_with(
        &r, 2, " a 1\n",
        "invalid metric name or label names: {__name__=\" a\", instance=\"h:1\", job=\"j\"}");
    end(&r);
    begin(&r);
    start(&r);
    scrape(&r, 0, "{\"a.b\",\"c.d\"=\"1\"} 1\n");
    assert_string_equal(samples(&r, "a.b", "c.d", "1"), "1@0");
    end(&r);
}

/* A sample with a repeated label name fails the scrape, unless relabeling takes the one or the
 * other away, or the label is the target's. */
static void test_repeated_label_names(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    struct relabel_rule rules[2];
    struct regex *name, *dropped;
    struct str sources[] = {LABEL_NAME};
    relabel_rule_init(&rules[0]);
    relabel_rule_init(&rules[1]);
    assert_int_equal(regex_compile(STR("x"), &name, &r.why), OK);
    assert_int_equal(regex_compile(STR("gone"), &dropped, &r.why), OK);
    rules[0].action = RELABEL_LABELDROP;
    rules[0].regex = name;
    rules[1].action = RELABEL_DROP;
    rules[1].regex = dropped;
    rules[1].source_labels = sources;
    rules[1].source_label_count = 1;
    r.config.metric_relabel_rules = rules;
    r.config.metric_relabel_rule_count = 2;
    start(&r);
    fails_with(&r, 0, "a{y=\"1\",y=\"2\"} 1\n", "label name \"y\" is not unique: invalid sample");
    fails_with(&r, 1, "a{x=\"1\",x=\"2\",y=\"1\",y=\"2\"} 1\n",
               "label name \"y\" is not unique: invalid sample");
    scrape(&r, 2,
           "a{x=\"1\",x=\"2\"} 3\ngone{y=\"1\",y=\"2\"} 1\n"
           "b{instance=\"1\",instance=\"2\"} 4\n");
    assert_false(r.outcome.failed);
    assert_int_equal(r.outcome.result.kept, 2);
    assert_string_equal(plain(&r, "a"), "3@2");
    assert_string_equal(plain(&r, "b"), "4@2");
    end(&r);
    regex_destroy(name);
    regex_destroy(dropped);
}

#define LONG_48 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG LONG_48 "xx"

static void test_limit_errors_cut_what_they_show(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.label_value_length_limit = 51;
    start(&r);
    fails_with(&r, 0, "a{b=\"" LONG "yy\"} 1\n",
               "label_value_length_limit exceeded (metric: a, label name: b, value: \"" LONG
               "\", length: 52, limit: 51)");
    fails_with(&r, 1, LONG "yy 1\n",
               "label_value_length_limit exceeded (metric: " LONG ", label name: __name__, "
               "value: \"" LONG "\", length: 52, limit: 51)");
    /* By characters, and quoted; the length is of bytes. */
    fails_with(&r, 2, "a{b=\"\\\"\xc3\xa4" LONG "\"} 1\n",
               "label_value_length_limit exceeded (metric: a, label name: b, "
               "value: \"\\\"\xc3\xa4" LONG_48 "\", length: 53, limit: 51)");
    scrape(&r, 3, LONG "y 1\n"); /* as long as the limit is no fault */
    assert_false(r.outcome.failed);
    end(&r);
}

static void test_extra_report(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.extra_scrape_metrics = true;
    r.config.sample_limit = 7;
    start(&r);
    scrape(&r, 0, "a 1\n");
    assert_string_equal(plain(&r, "scrape_timeout_seconds"), "10@0");
    assert_string_equal(plain(&r, "scrape_sample_limit"), "7@0");
    scrape(&r, 1, NULL);
    assert_string_equal(plain(&r, "scrape_body_size_bytes"), "0@0 0@1");
    end(&r);
}

static void test_empty_body_is_a_success(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1\n");
    scrape(&r, 1, "");
    assert_false(r.outcome.failed);
    assert_string_equal(plain(&r, "up"), "1@0 1@1");
    assert_string_equal(plain(&r, "a"), "1@0 stale@1");
    assert_string_equal(plain(&r, "scrape_samples_scraped"), "1@0 0@1");
    end(&r);
}

/* Samples that the storage refuses are counted and left out; the scrape succeeds. */
static void test_refused_samples_are_counted(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "a 1 900000\nb 1\n");
    scrape(&r, 1, "a 2 900000\nb 1\n"); /* another value at the same time */
    assert_int_equal(r.outcome.result.duplicates, 1);
    scrape(&r, 2, "a 2 800000\nb 1\n"); /* before it */
    assert_int_equal(r.outcome.result.out_of_order, 1);
    scrape(&r, 3, "a 2 9000000\nb 1\n"); /* more than ten minutes ahead */
    assert_int_equal(r.outcome.result.out_of_bounds, 1);
    assert_false(r.outcome.failed);
    assert_string_equal(plain(&r, "b"), "1@0 1@1 1@2 1@3");
    assert_string_equal(plain(&r, "up"), "1@0 1@1 1@2 1@3");
    assert_string_equal(plain(&r, "scrape_samples_post_metric_relabeling"), "2@0 2@1 2@2 2@3");
    end(&r);
}

/* Markers are no samples of the target: its limit is not theirs. */
static void test_markers_pass_the_sample_limit(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    r.config.sample_limit = 2;
    start(&r);
    scrape(&r, 0, "a 1\nb 1\n");
    scrape(&r, 1, "c 1\nd 1\n");
    assert_false(r.outcome.failed);
    assert_string_equal(plain(&r, "a"), "1@0 stale@1");
    assert_string_equal(plain(&r, "b"), "1@0 stale@1");
    assert_string_equal(plain(&r, "d"), "1@1");
    end(&r);
}

static void test_metadata_before_an_error_stays(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    start(&r);
    scrape(&r, 0, "# TYPE a counter\na 1\n}\n# TYPE b counter\n");
    assert_true(r.outcome.failed);
    const struct scrape_metadata *metadata = &r.loop.target->metadata;
    assert_int_not_equal(scrape_metadata_find(metadata, STR("a")), HTABLE_NONE);
    assert_int_equal(scrape_metadata_find(metadata, STR("b")), HTABLE_NONE);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts_by_length),
        cmocka_unit_test(test_samples_need_a_name),
        cmocka_unit_test(test_names_under_the_legacy_scheme),
        cmocka_unit_test(test_repeated_label_names),
        cmocka_unit_test(test_limit_errors_cut_what_they_show),
        cmocka_unit_test(test_extra_report),
        cmocka_unit_test(test_empty_body_is_a_success),
        cmocka_unit_test(test_refused_samples_are_counted),
        cmocka_unit_test(test_markers_pass_the_sample_limit),
        cmocka_unit_test(test_metadata_before_an_error_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
