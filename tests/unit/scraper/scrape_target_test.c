#include "narthex/base/url.h"
#include "scrape_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    struct scrape_config config;
    struct scrape_job_set *set;
    struct scrape_job *job;
    struct label_builder builder;
    struct strbuf why;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){
        .config =
            {
                .job_name = STR("api"),
                .interval_ms = 15000,
                .timeout_ms = 10000,
                .metrics_path = STR("/metrics"),
                .scheme = STR("http"),
                .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                .protocol_count = 1,
            },
    };
}

static void start(struct fixture *f)
{
    f->set = scrape_job_set_create(NULL, NULL);
    assert_int_equal(scrape_job_create(f->set, &f->config, &f->job, &f->why), OK);
}

static void end(struct fixture *f)
{
    if (f->job != NULL)
        scrape_job_unref(f->job);
    if (f->set != NULL)
        scrape_job_set_unref(f->set);
    label_builder_deinit(&f->builder);
    strbuf_deinit(&f->why);
}

static enum target_outcome make(struct fixture *f, const struct label *own, uint32_t own_count,
                                const struct label *group, uint32_t group_count,
                                struct scrape_target **target)
{
    return scrape_target_create(f->job, (struct labels){own, own_count},
                                (struct labels){group, group_count}, &f->builder, target, &f->why);
}

static void assert_label(struct labels labels, const char *name, const char *value)
{
    struct str found = labels_get(labels, str_from_cstr(name));
    if (!str_equal_cstr(found, value))
        fail_msg("%s is \"%.*s\", not \"%s\"", name, STR_ARG(found), value);
}

static void test_plain_target(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    start(&f);
    const struct label own[] = {{STR("__address__"), STR("h:90")}, {STR("zone"), STR("own")}};
    const struct label group[] = {{STR("__meta_x"), STR("1")}, {STR("zone"), STR("group")}};
    struct scrape_target *t;
    assert_int_equal(make(&f, own, 2, group, 2, &t), TARGET_KEPT);
    assert_int_equal(t->labels.count, 3);
    assert_label(t->labels, "instance", "h:90");
    assert_label(t->labels, "job", "api");
    assert_label(t->labels, "zone", "own");
    assert_label(t->discovered_labels, "__meta_x", "1");
    assert_label(t->discovered_labels, "__scrape_interval__", "15s");
    assert_label(t->discovered_labels, "__scrape_timeout__", "10s");
    assert_label(t->discovered_labels, "__scrape_native_histograms__", "false");
    assert_false(labels_has(t->all_labels, STR("__meta_x")));
    assert_int_equal(t->interval_ms, 15000);
    assert_true(str_equal(t->url, STR("http://h:90/metrics")));
    scrape_target_unref(t);
    end(&f);
}

static void test_url_is_escaped_and_sorted(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct str modules[] = {STR_INIT("a b"), STR_INIT("c&d")};
    const struct str zs[] = {STR_INIT("first"), STR_INIT("second")};
    const struct query_param params[] = {{STR("z"), zs, 2}, {STR("module"), modules, 2}};
    f.config.params = params;
    f.config.param_count = 2;
    f.config.metrics_path = STR("probe it");
    f.config.scheme = STR("https");
    start(&f);
    const struct label own[] = {{STR("__address__"), STR("h")},
                                {STR("__param_target"), STR("http://x/")},
                                {STR("__param_z"), STR("over")}};
    struct scrape_target *t;
    assert_int_equal(make(&f, own, 3, NULL, 0, &t), TARGET_KEPT);
    struct str expected = STR("https://h/probe%20it?module=a+b&module=c%26d"
                              "&target=http%3A%2F%2Fx%2F&z=over&z=second");
    if (!str_equal(t->url, expected))
        fail_msg("%.*s", STR_ARG(t->url));
    assert_label(t->discovered_labels, "__param_module", "a b");
    scrape_target_unref(t);
    end(&f);
}

static void assert_url(struct fixture *f, const char *address, const char *url, const char *text)
{
    const struct label own = {STR("__address__"), str_from_cstr(address)};
    struct scrape_target *t;
    assert_int_equal(make(f, &own, 1, NULL, 0, &t), TARGET_KEPT);
    if (!str_equal_cstr(t->url, url))
        fail_msg("%.*s", STR_ARG(t->url));
    err_t err = url_check(t->url, &f->why);
    assert_string_equal(err == OK ? "" : strbuf_cstr(&f->why), text);
    scrape_target_unref(t);
}

/* An address is a host and no more: nothing of it becomes user, query or fragment. */
static void test_addresses_are_hosts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.config.metrics_path = STR("/m");
    start(&f);
    assert_url(&f, "user:secret@h:1", "http://user:secret%40h:1/m",
               "parse \"http://user:secret%40h:1/m\": invalid URL escape \"%40\"");
    assert_url(&f, "user@h:1", "http://user%40h:1/m",
               "parse \"http://user%40h:1/m\": invalid URL escape \"%40\"");
    assert_url(&f, "a b:1", "http://a%20b:1/m",
               "parse \"http://a%20b:1/m\": invalid URL escape \"%20\"");
    assert_url(&f, "h?x=1#y", "http://h%3Fx=1%23y/m",
               "parse \"http://h%3Fx=1%23y/m\": invalid URL escape \"%3F\"");
    assert_url(&f, "h:http", "http://h:http/m",
               "parse \"http://h:http/m\": invalid port \":http\" after host");
    assert_url(&f, "[::1", "http://[::1/m", "parse \"http://[::1/m\": missing ']' in host");
    assert_url(&f, "[::1]x", "http://[::1]x/m",
               "parse \"http://[::1]x/m\": invalid port \"x\" after host");
    assert_url(&f, "[fe80::1%lo]:1", "http://[fe80::1%25lo]:1/m", "");
    assert_url(&f, "[::1]", "http://[::1]/m", "");
    assert_url(&f, "\xc3\xa4.example:80", "http://%C3%A4.example:80/m", "");
    assert_url(&f, "h:", "http://h:/m", "");
    end(&f);
}

static void refuses(struct fixture *f, const char *name, const char *value, const char *text)
{
    struct label own[2] = {{STR("__address__"), STR("h")},
                           {str_from_cstr(name), str_from_cstr(value)}};
    bool address = str_equal_cstr(own[0].name, name);
    struct scrape_target *t;
    assert_int_equal(make(f, address ? own + 1 : own, address ? 1 : 2, NULL, 0, &t),
                     TARGET_REFUSED);
    assert_string_equal(strbuf_cstr(&f->why), text);
}

static void test_checks(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    start(&f);
    struct scrape_target *t;
    assert_int_equal(make(&f, NULL, 0, NULL, 0, &t), TARGET_REFUSED);
    assert_string_equal(strbuf_cstr(&f.why), "no address");
    refuses(&f, "__address__", "http://bad", "\"http://bad\" is not a valid hostname");
    refuses(&f, "__scrape_interval__", "x",
            "error parsing scrape interval: not a valid duration string: \"x\"");
    refuses(&f, "__scrape_interval__", "0s", "scrape interval cannot be 0");
    refuses(&f, "__scrape_timeout__", "0", "scrape timeout cannot be 0");
    refuses(&f, "__scrape_timeout__", "20s",
            "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")");
    refuses(&f, "__scrape_native_histograms__", "yes",
            "error parsing scrape native histograms: strconv.ParseBool: parsing \"yes\": invalid "
            "syntax");
    refuses(&f, "bad", "\xff", "invalid label value for \"bad\": \"\\xff\"");
    end(&f);
}

static void test_relabeling_drops_and_rewrites(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct str sources[] = {STR_INIT("__address__")};
    struct relabel_rule rules[2];
    relabel_rule_init(&rules[0]);
    rules[0].action = RELABEL_DROP;
    rules[0].source_labels = sources;
    rules[0].source_label_count = 1;
    rules[0].source_labels_set = true;
    struct regex *first;
    struct regex *second;
    assert_int_equal(regex_compile(STR("gone.*"), &first, &f.why), OK);
    rules[0].regex = first;
    relabel_rule_init(&rules[1]);
    rules[1] = rules[0];
    rules[1].action = RELABEL_REPLACE;
    rules[1].target_label = STR("instance");
    rules[1].replacement = STR("node-$1");
    assert_int_equal(regex_compile(STR("([^:]+):.*"), &second, &f.why), OK);
    rules[1].regex = second;
    f.config.relabel_rules = rules;
    f.config.relabel_rule_count = 2;
    start(&f);
    const struct label gone = {STR("__address__"), STR("gone:1")};
    const struct label kept = {STR("__address__"), STR("k:1")};
    struct scrape_target *t;
    assert_int_equal(make(&f, &gone, 1, NULL, 0, &t), TARGET_DROPPED);
    assert_label(t->discovered_labels, "__address__", "gone:1");
    scrape_target_unref(t);
    assert_int_equal(make(&f, &kept, 1, NULL, 0, &t), TARGET_KEPT);
    assert_label(t->labels, "instance", "node-k");
    scrape_target_unref(t);
    end(&f);
    regex_destroy(first);
    regex_destroy(second);
}

static void test_sameness_ignores_times(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    start(&f);
    const struct label a[] = {{STR("__address__"), STR("h")}};
    const struct label b[] = {{STR("__address__"), STR("h")},
                              {STR("__scrape_interval__"), STR("20s")}};
    struct scrape_target *first;
    struct scrape_target *second;
    assert_int_equal(make(&f, a, 1, NULL, 0, &first), TARGET_KEPT);
    assert_int_equal(make(&f, b, 2, NULL, 0, &second), TARGET_KEPT);
    assert_true(first->sameness == second->sameness);
    assert_false(scrape_target_equal(first, second));
    scrape_target_unref(first);
    scrape_target_unref(second);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_target),
        cmocka_unit_test(test_url_is_escaped_and_sorted),
        cmocka_unit_test(test_addresses_are_hosts),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_relabeling_drops_and_rewrites),
        cmocka_unit_test(test_sameness_ignores_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
