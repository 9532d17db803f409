/* The loader against Prometheus' own configuration cases (skipped when they are not there), and
 * against our own for texts, defaults and printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/fs.h"
#include "narthex/config/config.h"
#include "narthex/scraper/discovery.h"

static err_t load(const char *yaml, struct config **config, struct strbuf *why)
{
    struct config_options options = {0};
    return config_load_text(str_from_cstr(yaml), "test.yml", STR("/conf"), &options, config, why);
}

static void expect_error(const char *yaml, const char *text)
{
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(load(yaml, &config, &why), ERR_INVALID);
    if (strstr(strbuf_cstr(&why), text) == NULL)
        fail_msg("got: %s\nwanted: %s", strbuf_cstr(&why), text);
    strbuf_deinit(&why);
}

static struct config *expect_ok(const char *yaml)
{
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    if (load(yaml, &config, &why) != OK)
        fail_msg("%s", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return config;
}

static uint64_t sample_limit_of(const char *text)
{
    char yaml[200];
    snprintf(yaml, sizeof yaml, "scrape_configs:\n- job_name: a\n  sample_limit: %s\n", text);
    struct config *config = expect_ok(yaml);
    uint64_t limit = config->scrape_configs[0].sample_limit;
    config_unpin(config);
    return limit;
}

static void expect_job_error(const char *line, const char *text)
{
    char yaml[200];
    snprintf(yaml, sizeof yaml, "scrape_configs:\n- job_name: a\n  %s\n", line);
    expect_error(yaml, text);
}

/* As go-yaml 2 reads scalars. */
static void numbers_and_lists_are_read_as_by_go(void **state)
{
    (void)state;
    assert_int_equal(sample_limit_of("010"), 8);
    assert_int_equal(sample_limit_of("089"), 89);
    assert_int_equal(sample_limit_of("0x1F"), 31);
    assert_int_equal(sample_limit_of("0o17"), 15);
    assert_int_equal(sample_limit_of("0b11"), 3);
    assert_int_equal(sample_limit_of("1_000"), 1000);
    assert_int_equal(sample_limit_of("+3"), 3);
    assert_int_equal(sample_limit_of("1e3"), 1000);
    assert_int_equal(sample_limit_of("1.9"), 1);
    assert_int_equal(sample_limit_of("18446744073709551615"), UINT64_MAX);
    assert_int_equal(sample_limit_of("~"), 0);
    expect_job_error("sample_limit: '5'", "line 3: cannot unmarshal !!str `5` into uint");
    expect_job_error("sample_limit: -1", "line 3: cannot unmarshal !!int `-1` into uint");
    expect_job_error("sample_limit: 1e20", "line 3: cannot unmarshal !!float `1e20` into uint");
    expect_job_error("sample_limit: .inf", "line 3: cannot unmarshal !!float `.inf` into uint");
    expect_job_error("sample_limit: 0x", "line 3: cannot unmarshal !!str `0x` into uint");
    expect_job_error("sample_limit: [1]", "line 3: cannot unmarshal !!seq into uint");
    expect_job_error("native_histogram_min_bucket_factor: inf",
                     "line 3: cannot unmarshal !!str `inf` into float64");
    expect_job_error("params: {a: b}", "line 3: cannot unmarshal !!str `b` into []string");
    expect_job_error("static_configs: [{targets: a}]",
                     "line 3: cannot unmarshal !!str `a` into []string");
    expect_job_error("relabel_configs: [{target_label: a, source_labels: ['']}]",
                     "\"\" is not a valid label name");
    expect_job_error("proxy_url: 'http://u:p@h:x'",
                     "parse \"http://u:***@h:x\": invalid port \":x\" after host (line 3)");
    config_unpin(expect_ok("scrape_configs:\n- job_name: a\n  relabel_configs:\n"
                           "  - {action: labeldrop, regex: a, source_labels: ~}\n"));
}

static void errors_name_file_line_and_key(void **state)
{
    (void)state;
    expect_error("global:\n  nonexistent_field: test\n",
                 "parsing YAML file test.yml: yaml: unmarshal errors:\n  line 2: field "
                 "nonexistent_field not found in type config.plain");
    expect_error("global:\n  scrape_interval: 15\n",
                 "not a valid duration string: \"15\" (line 2)");
    expect_error("global: {}\nglobal: {}\n", "line 2: field global already set in type");
    expect_error("scrape_configs:\n- job_name: a\n- job_name: a\n",
                 "found multiple scrape configs with job name \"a\" (line 3)");
    expect_error("scrape_configs:\n- honor_labels: maybe\n  job_name: a\n",
                 "line 2: cannot unmarshal !!str `maybe` into bool");
    expect_error("scrape_configs:\n- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 6s\n",
                 "scrape timeout greater than scrape interval for scrape config with job name "
                 "\"a\"");
    expect_error("global: [", "yaml: line 2: ");
    expect_error("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: hashmod\n"
                 "    target_label: x\n",
                 "relabel configuration for hashmod requires non-zero modulus (line 4)");
    expect_error("scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: '('\n"
                 "    target_label: x\n",
                 "error parsing regexp: missing closing )");
}

static void defaults_come_from_the_global_section(void **state)
{
    (void)state;
    struct config *config =
        expect_ok("global:\n  scrape_interval: 15s\n  sample_limit: 7\n"
                  "scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_interval: 3s\n"
                  "  sample_limit: 9\n  params: {x: [y, z]}\n");
    assert_int_equal(config->scrape_config_count, 2);
    const struct scrape_config *a = &config->scrape_configs[0];
    const struct scrape_config *b = &config->scrape_configs[1];
    assert_int_equal(a->interval_ms, 15000);
    assert_int_equal(a->timeout_ms, 10000);
    assert_int_equal(a->sample_limit, 7);
    assert_int_equal(b->interval_ms, 3000);
    assert_int_equal(b->timeout_ms, 3000);
    assert_int_equal(b->sample_limit, 9);
    assert_int_equal(b->params[0].value_count, 2);
    assert_int_equal(a->protocol_count, 4);
    assert_int_equal(a->protocols[0], SCRAPE_PROTOCOL_OPENMETRICS_1_0_0);
    assert_true(a->honor_timestamps);
    assert_true(a->enable_compression);
    config_unpin(config);
}

static void what_is_not_built_is_listed(void **state)
{
    (void)state;
    struct config *config = expect_ok("rule_files: [a.yml]\n"
                                      "remote_write:\n- url: http://x/\n"
                                      "scrape_configs:\n- job_name: e\n"
                                      "  ec2_sd_configs:\n  - region: r\n");
    assert_int_equal(config->unsupported_count, 3);
    struct strbuf all = STRBUF_INIT;
    for (uint32_t i = 0; i < config->unsupported_count; i++)
        strbuf_add_str(&all, config->unsupported[i]);
    assert_non_null(strstr(strbuf_cstr(&all), "ec2_sd_configs of job \"e\" (line 6)"));
    assert_non_null(strstr(strbuf_cstr(&all), "rule_files (line 1)"));
    assert_non_null(strstr(strbuf_cstr(&all), "remote_write (line 2)"));
    strbuf_deinit(&all);
    config_unpin(config);
}

static void secrets_are_not_printed(void **state)
{
    (void)state;
    struct config *config = expect_ok("scrape_configs:\n- job_name: a\n"
                                      "  basic_auth: {username: u, password: hidden}\n"
                                      "  proxy_url: http://me:hidden@proxy:1\n");
    struct strbuf text = STRBUF_INIT;
    config_print(config, &text);
    assert_null(strstr(strbuf_cstr(&text), "hidden"));
    assert_non_null(strstr(strbuf_cstr(&text), "password: <secret>"));
    assert_non_null(strstr(strbuf_cstr(&text), "http://me:xxxxx@proxy:1"));
    strbuf_deinit(&text);
    config_unpin(config);
}

static uint64_t discovery_fingerprint(const char *yaml, uint64_t *of_job)
{
    struct config *config = expect_ok(yaml);
    uint64_t fingerprint = config->scrape_configs[0].discovery[0].fingerprint;
    *of_job = config->scrape_configs[0].fingerprint;
    config_unpin(config);
    return fingerprint;
}

static void a_changed_secret_is_another_section(void **state)
{
    (void)state;
    uint64_t jobs[3];
    uint64_t first = discovery_fingerprint(
        "scrape_configs: [{job_name: a, consul_sd_configs: [{token: x}]}]", &jobs[0]);
    uint64_t second = discovery_fingerprint(
        "scrape_configs: [{job_name: a, consul_sd_configs: [{token: y}]}]", &jobs[1]);
    uint64_t third = discovery_fingerprint("scrape_configs: [{job_name: a, scrape_interval: 7s, "
                                           "consul_sd_configs: [{token: x}]}]",
                                           &jobs[2]);
    assert_true(first != second);
    assert_true(jobs[0] != jobs[1]);
    assert_true(first == third);
    assert_true(jobs[0] != jobs[2]);
}

static void discovery_sections_are_typed(void **state)
{
    (void)state;
    struct config *config = expect_ok(
        "scrape_configs:\n- job_name: a\n"
        "  consul_sd_configs: [{server: ' c:1 ', username: u, password: p, tags: [t, v],"
        " node_meta: {rack: '1'}}]\n"
        "  dns_sd_configs: [{names: [n], type: a, port: 9}]\n"
        "  docker_sd_configs: [{host: 'unix:///s', filters: [{name: f, values: [x, y]}]}]\n"
        "  dockerswarm_sd_configs: [{host: 'http://h', role: tasks, port: 7}]\n");
    const struct discovery_config *found = config->scrape_configs[0].discovery;
    assert_int_equal(config->scrape_configs[0].discovery_count, 4);
    const struct consul_discovery_config *consul = found[0].settings;
    assert_true(str_equal_cstr(consul->server, "c:1"));
    assert_true(consul->http.has_basic_auth && consul->allow_stale);
    assert_true(str_equal_cstr(consul->http.password.value, "p"));
    assert_int_equal(consul->tag_count, 2);
    assert_true(str_equal_cstr(consul->node_meta[0].name, "rack"));
    assert_int_equal(consul->refresh_interval_ms, 30000);
    const struct dns_discovery_config *dns = found[1].settings;
    assert_true(dns->port == 9 && dns->name_count == 1 && dns->refresh_interval_ms == 30000);
    const struct docker_discovery_config *docker = found[2].settings;
    assert_true(docker->port == 80 && docker->match_first_network);
    assert_true(str_equal_cstr(docker->host_networking_host, "localhost"));
    assert_int_equal(docker->filters[0].value_count, 2);
    const struct docker_discovery_config *swarm = found[3].settings;
    assert_true(str_equal_cstr(swarm->role, "tasks") && swarm->port == 7);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(found[i].supported);
    config_unpin(config);
}

static void an_empty_file_prints_what_always_holds(void **state)
{
    (void)state;
    struct config *config = expect_ok("");
    struct strbuf text = STRBUF_INIT;
    config_print(config, &text);
    assert_string_equal(strbuf_cstr(&text),
                        "global:\n  scrape_interval: 1m\n  scrape_timeout: 10s\n"
                        "  evaluation_interval: 1m\n"
                        "runtime:\n  gogc: 75\n"
                        "storage:\n  tsdb:\n    outofordertimewindow: 0\n"
                        "otlp:\n  translation_strategy: UnderscoreEscapingWithSuffixes\n"
                        "  label_name_underscore_sanitization: true\n"
                        "  label_name_preserve_multiple_underscores: true\n");
    strbuf_deinit(&text);
    config_unpin(config);
}

/* What is printed loads again and prints the same. */
static void printing_is_stable(void **state)
{
    (void)state;
    struct config *config =
        expect_ok("global:\n  external_labels: {a: 'true', b: \"x: y\", c: '#'}\n"
                  "scrape_configs:\n- job_name: '007'\n  static_configs:\n"
                  "  - targets: ['h:1', 'h:2']\n    labels: {l: 'v'}\n"
                  "  relabel_configs:\n  - source_labels: [a, b]\n    target_label: t\n"
                  "    regex: '[a-z]+'\n  - {regex: null, target_label: z}\n"
                  "  metric_relabel_configs:\n  - {action: DROP, source_labels: [__name__]}\n");
    struct strbuf first = STRBUF_INIT;
    struct strbuf second = STRBUF_INIT;
    config_print(config, &first);
    config_unpin(config);
    config = expect_ok(strbuf_cstr(&first));
    assert_int_equal(config->scrape_configs[0].relabel_rule_count, 2);
    config_print(config, &second);
    assert_string_equal(strbuf_cstr(&first), strbuf_cstr(&second));
    config_unpin(config);
    strbuf_deinit(&first);
    strbuf_deinit(&second);
}

/* Cases that a plain load of this folder cannot judge. */
static bool cannot_be_judged(const char *folder, const char *name)
{
    char imported[8192];
    snprintf(imported, sizeof imported, "%s/scrape_config_files.good.yml", folder);
    bool imports = strcmp(name, "scrape_config_files_double_import.bad.yml") == 0 ||
                   strcmp(name, "scrape_config_files_global_duplicate.bad.yml") == 0;
    if (imports && !fs_exists(imported)) {
        printf("%s: the file it imports is not here; files_are_imported covers it\n", name);
        return true;
    }
    return strcmp(name, "static_config.bad.yml") == 0; /* a target file, not a configuration */
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void files_are_imported(void **state)
{
    (void)state;
    char folder[] = "/tmp/narthex-config-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "jobs.yml",
               "scrape_configs:\n- job_name: imported\n  http_headers:\n"
               "    a: {files: [secret]}\n");
    write_file(folder, "once.yml",
               "scrape_config_files: [job*.yml]\n"
               "scrape_configs: [{job_name: own}]\n");
    write_file(folder, "twice.yml", "scrape_config_files: [jobs.yml, jobs.yml]\n");
    char path[4096];
    struct config_options options = {0};
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    snprintf(path, sizeof path, "%s/once.yml", folder);
    assert_int_equal(config_load(path, &options, &config, &why), OK);
    assert_int_equal(config->scrape_config_count, 2);
    char expected[4096];
    snprintf(expected, sizeof expected, "%s/secret", folder);
    assert_true(str_equal_cstr(config->scrape_configs[1].http.headers[0].files[0], expected));
    config_unpin(config);
    snprintf(path, sizeof path, "%s/twice.yml", folder);
    assert_int_equal(config_load(path, &options, &config, &why), ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&why), "found multiple scrape configs with job name "
                                              "\"imported\", first found in \""));
    assert_int_equal(fs_remove_tree(fs_system(), folder, &why), OK);
    strbuf_deinit(&why);
}

static void upstream_cases(void **state)
{
    (void)state;
    const char *shared = getenv("NARTHEX_SHARED");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/config", shared == NULL ? "" : shared);
    struct fs_list list;
    struct strbuf why = STRBUF_INIT;
    if (shared == NULL || fs_list_dir(folder, &list, &why) != OK) {
        strbuf_deinit(&why);
        printf("configuration cases are missing: set NARTHEX_SHARED\n");
        skip();
        return;
    }
    int wrong = 0;
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        struct str view = str_from_cstr(name);
        bool good = str_ends_with(view, STR(".good.yml"));
        bool bad = str_ends_with(view, STR(".bad.yml"));
        if ((!good && !bad) || cannot_be_judged(folder, name))
            continue;
        char path[8192];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        struct config_options options = {0};
        struct config *config = NULL;
        strbuf_clear(&why);
        err_t err = config_load(path, &options, &config, &why);
        if (err == OK)
            config_unpin(config);
        if ((err == OK) != good) {
            printf("%s: %s\n", name, err == OK ? "loads" : strbuf_cstr(&why));
            wrong++;
        }
    }
    fs_list_free(&list);
    strbuf_deinit(&why);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_name_file_line_and_key),
        cmocka_unit_test(numbers_and_lists_are_read_as_by_go),
        cmocka_unit_test(defaults_come_from_the_global_section),
        cmocka_unit_test(what_is_not_built_is_listed),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(a_changed_secret_is_another_section),
        cmocka_unit_test(discovery_sections_are_typed),
        cmocka_unit_test(an_empty_file_prints_what_always_holds),
        cmocka_unit_test(printing_is_stable),
        cmocka_unit_test(files_are_imported),
        cmocka_unit_test(upstream_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
