#include "narthex/scraper/discovery.h"

#include <curl/curl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "discovery_mechanism.h"
#include "narthex/base/fs.h"
#include "scripted_server.h"

struct found {
    struct arena arena;
    struct discovered_groups groups;
    struct strbuf why;
};

static void begin(struct found *f)
{
    *f = (struct found){0};
    arena_init(&f->arena, MEM_TEST, SIZE_MAX);
    f->groups.arena = &f->arena;
}

static void end(struct found *f)
{
    arena_deinit(&f->arena);
    strbuf_deinit(&f->why);
}

static void assert_target(const struct found *f, uint32_t group, uint32_t target,
                          const char *address)
{
    assert_true(group < f->groups.count);
    assert_true(target < f->groups.items[group].target_count);
    struct str found = labels_get(f->groups.items[group].targets[target], STR("__address__"));
    assert_true(str_equal_cstr(found, address));
}

static void assert_group_label(const struct found *f, uint32_t group, const char *name,
                               const char *value)
{
    struct str found = labels_get(f->groups.items[group].labels, str_from_cstr(name));
    assert_true(str_equal_cstr(found, value));
}

static void test_documents(void **state)
{
    (void)state;
    struct found f;
    begin(&f);
    const struct label extra = {STR("__meta_filepath"), STR("/x")};
    assert_int_equal(
        discovered_groups_read_json(&f.groups,
                                    STR("[{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"z\":\"1\","
                                        "\"c\":\"2\"}},{\"targets\":[]}]"),
                                    &extra, &f.why),
        OK);
    assert_int_equal(f.groups.count, 2);
    assert_target(&f, 0, 1, "b:2");
    assert_group_label(&f, 0, "z", "1");
    assert_group_label(&f, 0, "__meta_filepath", "/x");
    assert_int_equal(f.groups.items[1].target_count, 0);
    assert_int_equal(
        discovered_groups_read_yaml(&f.groups,
                                    STR("- targets: ['c:3', localhost]\n  labels:\n    port: 80\n"
                                        "- labels: {a: b}\n  targets:\n  - d\n"),
                                    &extra, &f.why),
        OK);
    assert_int_equal(f.groups.count, 4);
    assert_target(&f, 2, 1, "localhost");
    assert_group_label(&f, 2, "port", "80");
    assert_target(&f, 3, 0, "d");
    end(&f);
}

/* What programs write that know no field names in lower case, and texts that look like others. */
static void test_lenient_documents(void **state)
{
    (void)state;
    struct found f;
    begin(&f);
    const struct label extra = {STR("m"), STR("v")};
    assert_int_equal(
        discovered_groups_read_json(&f.groups,
                                    STR("[{\"Targets\":[\"a:1\"],\"LABELS\":{\"x\":\"1\"}},"
                                        "{\"targets\":null,\"labels\":null},"
                                        "{\"targets\":[null],\"labels\":{\"a\":null}}]"),
                                    &extra, &f.why),
        OK);
    assert_target(&f, 0, 0, "a:1");
    assert_group_label(&f, 0, "x", "1");
    assert_group_label(&f, 0, "m", "v");
    assert_int_equal(f.groups.items[1].target_count, 0);
    assert_int_equal(
        discovered_groups_read_yaml(&f.groups,
                                    STR("- labels: {a: yes, b: ~, 'c d': 1.50, m: mine}\n"
                                        "  targets: [1]\n- targets:\n"),
                                    &extra, &f.why),
        OK);
    assert_int_equal(f.groups.items[2].target_count, 1);
    assert_target(&f, 2, 0, "");
    assert_group_label(&f, 2, "a", "");
    assert_target(&f, 3, 0, "1");
    assert_group_label(&f, 3, "a", "yes");
    assert_group_label(&f, 3, "b", "");
    assert_group_label(&f, 3, "c d", "1.50");
    assert_group_label(&f, 3, "m", "v");
    end(&f);
}

/* What `<<` brings in gives way to what is written. */
static void test_merged_documents(void **state)
{
    (void)state;
    struct found f;
    begin(&f);
    const struct label extra = {STR("m"), STR("v")};
    assert_int_equal(
        discovered_groups_read_yaml(&f.groups,
                                    STR("- &a {targets: [a], labels: &l {x: 1, y: 1}}\n"
                                        "- <<: *a\n"
                                        "  labels: {<<: [*l, {y: 2, z: 2}], x: 3}\n"
                                        "- {labels: {<<: {<<: *l, y: 4}}, targets: [c], <<: *a}\n"),
                                    &extra, &f.why),
        OK);
    assert_target(&f, 1, 0, "a");
    assert_int_equal(f.groups.items[1].target_count, 1);
    assert_group_label(&f, 1, "x", "3");
    assert_group_label(&f, 1, "y", "1");
    assert_group_label(&f, 1, "z", "2");
    assert_target(&f, 2, 0, "c");
    assert_int_equal(f.groups.items[2].target_count, 1);
    assert_group_label(&f, 2, "x", "1");
    assert_group_label(&f, 2, "y", "4");
    assert_int_equal(discovered_groups_read_yaml(&f.groups, STR("- &c {<<: *c}\n"), &extra, &f.why),
                     ERR_LIMIT);
    end(&f);
}

static void test_bad_documents_add_nothing(void **state)
{
    (void)state;
    static const char *const json[] = {"{}",
                                       "[null]",
                                       "[{\"targets\":[1]}]",
                                       "[{\"targets\":[\"a\"]},{\"x\":1}]",
                                       "[{\"labels\":{\"\":\"1\"}}]",
                                       "[{\"labels\":{\"a\":1}}]",
                                       "[",
                                       "[{\"targets\":{}}]",
                                       "[{\"labels\":[]}]"};
    static const char *const yaml[] = {"a: b",
                                       "- ~",
                                       "- targets: x",
                                       "- targets: [a]\n- x: 1",
                                       "- labels: [a]",
                                       "- {",
                                       "- targets: [[a]]",
                                       "- targets: [a]\n  targets: [b]",
                                       "- labels: {a: b, a: c}",
                                       "- labels: {a: {}}",
                                       "- labels: {'': a}",
                                       "- labels: {}\n  labels: {}",
                                       "- <<: x",
                                       "- <<: {x: y}",
                                       "- labels: {<<: [a]}"};
    const struct label extra = {STR("m"), STR("v")};
    for (size_t i = 0; i < sizeof json / sizeof json[0]; i++) {
        struct found f;
        begin(&f);
        assert_int_equal(
            discovered_groups_read_json(&f.groups, str_from_cstr(json[i]), &extra, &f.why),
            ERR_INVALID);
        assert_int_equal(f.groups.count, 0);
        assert_true(f.why.size > 0);
        end(&f);
    }
    for (size_t i = 0; i < sizeof yaml / sizeof yaml[0]; i++) {
        struct found f;
        begin(&f);
        assert_int_equal(
            discovered_groups_read_yaml(&f.groups, str_from_cstr(yaml[i]), &extra, &f.why),
            ERR_INVALID);
        assert_int_equal(f.groups.count, 0);
        assert_true(f.why.size > 0);
        end(&f);
    }
}

/* Lists that a server may make as long as it likes are refused once they need too much. */
static void test_documents_without_end(void **state)
{
    (void)state;
    const struct label extra = {STR("m"), STR("v")};
    struct strbuf text = STRBUF_INIT;
    struct found f;
    begin(&f);
    arena_init(&f.arena, MEM_TEST, 1 << 20);
    for (uint32_t i = 0; i < 100000; i++)
        strbuf_add_cstr(&text, i == 0 ? "[{}" : ",{}");
    strbuf_add_char(&text, ']');
    assert_int_equal(discovered_groups_read_json(&f.groups, strbuf_str(&text), &extra, &f.why),
                     ERR_LIMIT);
    assert_string_equal(strbuf_cstr(&f.why), "target groups need more than 1048576 bytes");
    assert_int_equal(f.groups.count, 0);
    end(&f);
    /* Aliases make much of little. */
    begin(&f);
    arena_init(&f.arena, MEM_TEST, 1 << 20);
    strbuf_clear(&text);
    strbuf_add_cstr(&text, "- &a {targets: [");
    for (uint32_t i = 0; i < 1000; i++)
        strbuf_add_cstr(&text, i == 0 ? "a" : ",a");
    strbuf_add_cstr(&text, "]}\n");
    for (uint32_t i = 0; i < 1000; i++)
        strbuf_add_cstr(&text, "- *a\n");
    assert_int_equal(discovered_groups_read_yaml(&f.groups, strbuf_str(&text), &extra, &f.why),
                     ERR_LIMIT);
    assert_int_equal(f.groups.count, 0);
    end(&f);
    /* One group that is too long. */
    begin(&f);
    strbuf_clear(&text);
    strbuf_add_cstr(&text, "[{\"targets\":[\"");
    while (text.size < (9u << 20))
        strbuf_add_cstr(&text, "aaaaaaaaaaaaaaaa");
    strbuf_add_cstr(&text, "\"]}]");
    assert_int_equal(discovered_groups_read_json(&f.groups, strbuf_str(&text), &extra, &f.why),
                     ERR_LIMIT);
    end(&f);
    strbuf_deinit(&text);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static uint32_t refresh_count(void *state)
{
    struct found f;
    begin(&f);
    assert_int_equal(discovery_file.refresh(state, &f.groups, &f.why), OK);
    uint32_t count = f.groups.count;
    end(&f);
    return count;
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/narthex-file-sd-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/*.json", folder);
    char single[256];
    snprintf(single, sizeof single, "%s/one.yml", folder);
    const struct str files[] = {str_from_cstr(pattern), str_from_cstr(single)};
    struct file_discovery_config config = {files, 2, 300000};
    struct discovery_env env = {.stop_fd = -1, .metrics = metrics_create()};
    struct metric *read_errors =
        metric_only(metrics_counter(env.metrics, "prometheus_sd_file_read_errors_total", "", NULL));
    void *mechanism;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(discovery_file.create(&config, &env, &mechanism, &why), OK);
    assert_int_equal(refresh_count(mechanism), 0);
    write_file(folder, "a.json", "[{\"targets\":[\"a\"]}]");
    struct pollfd event = {.fd = discovery_file.wake_fd(mechanism), .events = POLLIN};
    assert_int_equal(poll(&event, 1, 30000), 1);
    assert_true(discovery_file.woken(mechanism));
    assert_false(discovery_file.woken(mechanism));
    assert_int_equal(refresh_count(mechanism), 1);
    write_file(folder, ".shown.json", "[{\"targets\":[\"h\"]}]");
    assert_int_equal(refresh_count(mechanism), 2);
    char shown[256];
    snprintf(shown, sizeof shown, "%s/.shown.json", folder);
    assert_int_equal(unlink(shown), 0);
    write_file(folder, "one.yml", "- targets: [b]\n- targets: [c]\n");
    assert_int_equal(refresh_count(mechanism), 3);
    /* Broken: what it said before stays. */
    write_file(folder, "one.yml", "- target");
    assert_true(metric_value(read_errors) == 0);
    assert_int_equal(refresh_count(mechanism), 3);
    assert_true(metric_value(read_errors) == 1);
    snprintf(pattern, sizeof pattern, "%s/a.json", folder);
    assert_int_equal(unlink(pattern), 0);
    snprintf(pattern, sizeof pattern, "%s/*.json", folder);
    assert_int_equal(refresh_count(mechanism), 2);
    discovery_file.destroy(mechanism);
    metrics_destroy(env.metrics);
    assert_int_equal(fs_remove_tree(fs_system(), folder, &why), OK);
    strbuf_deinit(&why);
}

static const char *const types[] = {
    "application/json",
    "APPLICATION/json;charset=utf-8",
    "application/json; charset=\"UTF-8\"",
    "application/json ; charset=utf-8",
    "application/json;",
    "application/json; charset=latin1",
    "application/json; charset=utf-8; x=y",
    "application/x-json",
};
enum { GOOD_TYPES = 3, TYPES = sizeof types / sizeof *types };

static bool handle(void *context, struct http_server_request *request)
{
    (void)context;
    const char *path = request->path;
    if (strncmp(path, "/good", 5) == 0)
        return http_server_answer(request, "200 OK",
                                  "Content-Type: Application/JSON; charset=\"UTF-8\"\r\n",
                                  STR("[{\"targets\":[\"x:1\"]}]"));
    if (strncmp(path, "/types", 6) == 0) {
        char type[96];
        snprintf(type, sizeof type, "Content-Type: %s\r\n", types[path[6] - '0']);
        return http_server_answer(request, "200 OK", type, STR("[{\"targets\":[\"x:1\"]}]"));
    }
    if (strncmp(path, "/headers", 8) == 0) {
        bool good =
            strstr(request->head, "GET ") == request->head &&
            strstr(request->head, "Accept: application/json\r\n") != NULL &&
            strstr(request->head, "User-Agent: Prometheus/3.14.0\r\n") != NULL &&
            strstr(request->head, "X-Prometheus-Refresh-Interval-Seconds: 30.5\r\n") != NULL;
        return http_server_answer(request, good ? "200 OK" : "400 Bad Request",
                                  "Content-Type: application/json\r\n",
                                  STR("[{\"targets\":[\"x:1\"]}]"));
    }
    if (strncmp(path, "/html", 5) == 0)
        return http_server_answer(request, "200 OK", "Content-Type: text/html\r\n", STR("[]"));
    if (strncmp(path, "/fail", 5) == 0)
        return http_server_answer(request, "500 Internal Server Error", "", STR(""));
    http_server_hang(request);
    return false;
}

static void http_gives(struct http_server *server, const char *path, err_t expected,
                       const char *text)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", http_server_port(server), path);
    struct http_discovery_config config = {.url = str_from_cstr(url), .refresh_interval_ms = 30500};
    _Atomic bool cancel = strcmp(path, "/hang") == 0;
    struct discovery_env env = {.cancel = &cancel, .stop_fd = -1};
    void *mechanism;
    struct found f;
    begin(&f);
    assert_int_equal(discovery_http.create(&config, &env, &mechanism, &f.why), OK);
    assert_int_equal(discovery_http.refresh(mechanism, &f.groups, &f.why), expected);
    if (expected == OK) {
        assert_target(&f, 0, 0, "x:1");
        assert_group_label(&f, 0, "__meta_url", url);
    } else if (text != NULL) {
        assert_string_equal(strbuf_cstr(&f.why), text);
    }
    discovery_http.destroy(mechanism);
    end(&f);
}

static void test_http(void **state)
{
    (void)state;
    struct http_server *server = http_server_start(handle, NULL);
    http_gives(server, "/good", OK, NULL);
    http_gives(server, "/headers", OK, NULL);
    for (int i = 0; i < TYPES; i++) {
        char path[16];
        snprintf(path, sizeof path, "/types%d", i);
        http_gives(server, path, i < GOOD_TYPES ? OK : ERR_INVALID, NULL);
    }
    http_gives(server, "/html", ERR_INVALID, "unsupported content type \"text/html\"");
    http_gives(server, "/fail", ERR_IO, "server returned HTTP status 500 Internal Server Error");
    http_gives(server, "/hang", ERR_CANCELED, NULL);
    http_server_stop(server);
}

static void test_support(void **state)
{
    (void)state;
    assert_true(discovery_supported(STR("file")));
    assert_true(discovery_supported(STR("http")));
    assert_false(discovery_supported(STR("nonsense")));
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_lenient_documents),
        cmocka_unit_test(test_merged_documents),
        cmocka_unit_test(test_bad_documents_add_nothing),
        cmocka_unit_test(test_documents_without_end),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_support),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
