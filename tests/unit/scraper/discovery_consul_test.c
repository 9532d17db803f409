#include "discovery_consul.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/thread.h"
#include "scripted_server.h"

/* ---- readers ---- */

static const char two_instances[] =
    "[{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"dc1\","
    "\"TaggedAddresses\":{\"lan\":\"10.0.0.1\",\"wan ip\":\"1.2.3.4\"},\"Meta\":{\"rack\":\"7\"}},"
    "\"Service\":{\"ID\":\"web-1\",\"Service\":\"web\",\"Tags\":[\"a\",\"b\"],\"Address\":\"\","
    "\"Port\":8080,\"Meta\":{\"ver/s\":\"2\"},\"Namespace\":\"default\",\"Partition\":\"p\"},"
    "\"Checks\":[{\"CheckID\":\"serfHealth\",\"Status\":\"passing\"}]},"
    "{\"Node\":{\"Node\":\"n2\",\"Address\":\"10.0.0.2\"},\"Service\":{\"ID\":\"web-2\","
    "\"Address\":\"fd00::2\",\"Port\":81,\"Tags\":null},\"Checks\":[{\"Status\":\"passing\"},"
    "{\"CheckID\":\"x\",\"Status\":\"critical\"},{\"CheckID\":\"_node_maintenance\","
    "\"Status\":\"critical\"}]}]";

static void print_groups(const struct discovered_groups *groups, struct strbuf *out)
{
    for (uint32_t g = 0; g < groups->count; g++) {
        labels_print(groups->items[g].labels, out);
        for (uint32_t t = 0; t < groups->items[g].target_count; t++) {
            strbuf_add_cstr(out, "\n");
            labels_print(groups->items[g].targets[t], out);
        }
    }
}

static void test_instances(void **state)
{
    (void)state;
    struct consul_discovery_config config = {.tag_separator = STR(",")};
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    assert_int_equal(consul_service_read(&config, STR("web"), STR("here"),
                                         str_from_cstr(two_instances), &groups, &why),
                     OK);
    print_groups(&groups, &text);
    assert_string_equal(
        strbuf_cstr(&text),
        "{__meta_consul_dc=\"here\", __meta_consul_service=\"web\"}\n"
        "{__address__=\"10.0.0.1:8080\", __meta_consul_address=\"10.0.0.1\", "
        "__meta_consul_health=\"passing\", "
        "__meta_consul_metadata_rack=\"7\", __meta_consul_namespace=\"default\", "
        "__meta_consul_node=\"n1\", __meta_consul_partition=\"p\", "
        "__meta_consul_service_id=\"web-1\", __meta_consul_service_metadata_ver_s=\"2\", "
        "__meta_consul_service_port=\"8080\", __meta_consul_tagged_address_lan=\"10.0.0.1\", "
        "__meta_consul_tagged_address_wan_ip=\"1.2.3.4\", __meta_consul_tags=\",a,b,\"}\n"
        "{__address__=\"[fd00::2]:81\", __meta_consul_address=\"10.0.0.2\", "
        "__meta_consul_health=\"maintenance\", __meta_consul_node=\"n2\", "
        "__meta_consul_service_address=\"fd00::2\", __meta_consul_service_id=\"web-2\", "
        "__meta_consul_service_port=\"81\", __meta_consul_tags=\",,\"}");
    arena_deinit(&arena);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}

/* The worst of an instance's checks. */
static void test_health(void **state)
{
    (void)state;
    static const struct {
        const char *checks;
        const char *health;
    } cases[] = {
        {"[]", "passing"},
        {"[{'Status':'passing'},{'Status':'passing'}]", "passing"},
        {"[{'Status':'warning'},{'Status':'passing'}]", "warning"},
        {"[{'Status':'warning'},{'Status':'critical'}]", "critical"},
        {"[{'CheckID':'_service_maintenance:web-1','Status':'critical'},{'Status':'passing'}]",
         "maintenance"},
        {"[{'Status':'critical'},{'CheckID':'_node_maintenance','Status':'passing'}]",
         "maintenance"},
        {"[{'Status':'critical'},{'Status':'new'}]", ""},
    };
    const struct consul_discovery_config config = {.tag_separator = STR(",")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct strbuf why = STRBUF_INIT;
        struct strbuf text = STRBUF_INIT;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct discovered_groups groups = {.arena = &arena};
        strbuf_printf(&text, "[{'Checks':%s}]", cases[i].checks);
        for (size_t k = 0; k < text.size; k++)
            text.data[k] = text.data[k] == '\'' ? '"' : text.data[k];
        assert_int_equal(
            consul_service_read(&config, STR("web"), STR("d"), strbuf_str(&text), &groups, &why),
            OK);
        struct str found = labels_get(groups.items[0].targets[0], STR("__meta_consul_health"));
        if (!str_equal_cstr(found, cases[i].health))
            fail_msg("%s: \"%.*s\"", cases[i].checks, STR_ARG(found));
        arena_deinit(&arena);
        strbuf_deinit(&text);
        strbuf_deinit(&why);
    }
}

static void assert_url(const struct consul_discovery_config *config, enum consul_query_kind kind,
                       uint64_t index, const char *datacenter, const char *expected)
{
    struct consul_discovery consul = {.config = config};
    struct consul_query query = {
        .consul = &consul, .kind = kind, .name = STR("a/b c"), .index = index};
    struct strbuf url = STRBUF_INIT;
    consul_address_parse(config, &consul.base_url, &consul.unix_socket);
    strbuf_add_cstr(&consul.datacenter, datacenter);
    consul_query_url(&query, &url);
    assert_string_equal(strbuf_cstr(&url), expected);
    strbuf_deinit(&url);
    strbuf_deinit(&consul.base_url);
    strbuf_deinit(&consul.datacenter);
}

static void test_urls(void **state)
{
    (void)state;
    struct consul_discovery_config config = {.server = STR("c:8500"), .scheme = STR("https")};
    assert_url(&config, CONSUL_AGENT, 0, "", "https://c:8500/v1/agent/self");
    assert_url(&config, CONSUL_CATALOG, 0, "", "https://c:8500/v1/catalog/services");
    static const struct str tags[] = {STR_INIT("x"), STR_INIT("y&")};
    static const struct name_value meta[] = {{STR_INIT("rack"), STR_INIT("1")}};
    config = (struct consul_discovery_config){
        .server = STR("http://c:8500/"),
        .path_prefix = STR("in/consul/"),
        .name_space = STR("n"),
        .partition = STR("p"),
        .tags = tags,
        .tag_count = 2,
        .node_meta = meta,
        .node_meta_count = 1,
        .filter = STR("a == \"b\""),
        .health_filter = STR("h"),
        .allow_stale = true,
    };
    assert_url(&config, CONSUL_CATALOG, 7, "dc1",
               "http://c:8500/in/consul/v1/catalog/services?dc=dc1&ns=n&partition=p&stale=&index=7"
               "&wait=120000ms&node-meta=rack%3A1&filter=a%20%3D%3D%20%22b%22");
    assert_url(&config, CONSUL_SERVICE, 0, "dc1",
               "http://c:8500/in/consul/v1/health/service/a%2Fb%20c?dc=dc1&ns=n&partition=p&stale="
               "&node-meta=rack%3A1&tag=x&tag=y%26&filter=h");
    config = (struct consul_discovery_config){.server = STR("unix:///run/consul.sock")};
    struct strbuf base = STRBUF_INIT;
    struct str socket;
    consul_address_parse(&config, &base, &socket);
    assert_true(str_equal_cstr(socket, "/run/consul.sock"));
    strbuf_deinit(&base);
}

/* ---- against a scripted Consul ---- */

enum fault { FAULT_NONE, FAULT_STATUS, FAULT_JSON, FAULT_KIND, FAULT_ENDLESS, FAULT_CLOSED };

struct fake {
    struct http_server *server;
    struct mutex lock;
    struct cond changed;
    /* guarded by lock */
    uint64_t index;
    bool stopping;
    const char *catalog;
    uint32_t web_count;
    enum fault web_fault;
    bool web_failed; /* the fault was shown */
    bool token_missing;
};

static bool send_json(struct http_server_request *request, uint64_t index, struct str body)
{
    char headers[96];
    snprintf(headers, sizeof headers, "Content-Type: application/json\r\nX-Consul-Index: %llu\r\n",
             (unsigned long long)index);
    return http_server_answer(request, "200 OK", headers, body);
}

static bool send_fault(struct http_server_request *request, uint64_t index, enum fault fault)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nX-Consul-Index: 99\r\n\r\n[";
    char block[4096];
    switch (fault) {
    case FAULT_STATUS:
        return http_server_answer(request, "500 Internal Server Error", "", STR("No leader"));
    case FAULT_JSON:
        return send_json(request, index, STR("[{\"Node\":{\"Address\":\"lost\"}},{\"No"));
    case FAULT_KIND:
        return send_json(request, index, STR("{\"Node\":1}"));
    case FAULT_ENDLESS:
        memset(block, ' ', sizeof block);
        for (bool open = http_server_send(request, head, sizeof head - 1); open;)
            open = http_server_send(request, block, sizeof block);
        return false;
    default:
        return false;
    }
}

static bool serve_service(struct fake *fake, struct http_server_request *request, uint64_t index,
                          bool is_web, uint32_t count, enum fault fault)
{
    if (is_web && fault != FAULT_NONE) {
        bool keep = send_fault(request, index, fault);
        mutex_lock(&fake->lock);
        fake->web_failed = true;
        cond_broadcast(&fake->changed);
        mutex_unlock(&fake->lock);
        return keep;
    }
    struct strbuf body = STRBUF_INIT;
    strbuf_add_char(&body, '[');
    for (uint32_t i = 0; i < (is_web ? count : 1); i++)
        strbuf_printf(&body, "%s{\"Node\":{\"Address\":\"%s\"},\"Service\":{\"Port\":%u}}",
                      i > 0 ? "," : "", is_web ? "web" : "db", i + 1);
    strbuf_add_char(&body, ']');
    bool keep = send_json(request, index, strbuf_str(&body));
    strbuf_deinit(&body);
    return keep;
}

static bool handle(void *context, struct http_server_request *request)
{
    struct fake *fake = context;
    const char *index_at = strstr(request->path, "index=");
    uint64_t known = index_at == NULL ? 0 : strtoull(index_at + 6, NULL, 10);
    bool is_web = strstr(request->path, "/service/web?") != NULL;
    bool is_db = strstr(request->path, "/service/db?") != NULL;
    mutex_lock(&fake->lock);
    fake->token_missing |= strstr(request->head, "X-Consul-Token: secret\r\n") == NULL;
    /* Another service answers once the fault of the first one is out. */
    while (!fake->stopping &&
           (known == fake->index || (is_db && fake->web_fault != FAULT_NONE && !fake->web_failed)))
        cond_wait(&fake->changed, &fake->lock);
    uint64_t index = fake->index;
    bool stopping = fake->stopping;
    const char *catalog = fake->catalog;
    uint32_t count = fake->web_count;
    enum fault fault = fake->web_fault;
    mutex_unlock(&fake->lock);
    if (stopping)
        return false;
    if (strncmp(request->path, "/v1/agent/self ", 15) == 0)
        return send_json(request, 0, STR("{\"Config\":{\"Datacenter\":\"dc9\"}}"));
    if (strncmp(request->path, "/v1/catalog/services?dc=dc9", 27) == 0)
        return send_json(request, index, str_from_cstr(catalog));
    if (is_web || is_db)
        return serve_service(fake, request, index, is_web, count, fault);
    return http_server_answer(request, "404 Not Found", "", STR(""));
}

struct rig {
    struct fake fake;
    struct consul_discovery_config config;
    struct discovery_env env;
    _Atomic bool cancel;
    struct metric *failures;
    void *consul;
    char address[64];
    struct arena arena;
    struct discovered_groups groups;
};

static void begin(struct rig *rig)
{
    struct strbuf why = STRBUF_INIT;
    memset(rig, 0, sizeof *rig);
    rig->fake.index = 1;
    rig->fake.catalog = "{\"web\":[\"on\"],\"db\":[]}";
    rig->fake.web_count = 2;
    mutex_init(&rig->fake.lock);
    cond_init(&rig->fake.changed);
    rig->fake.server = http_server_start(handle, &rig->fake);
    snprintf(rig->address, sizeof rig->address, "127.0.0.1:%u", http_server_port(rig->fake.server));
    rig->config = (struct consul_discovery_config){
        .server = str_from_cstr(rig->address),
        .scheme = STR("http"),
        .token = STR("secret"),
        .tag_separator = STR(","),
        .refresh_interval_ms = 1,
    };
    rig->env = (struct discovery_env){&rig->cancel, -1, metrics_create()};
    rig->failures = metric_only(
        metrics_counter(rig->env.metrics, "prometheus_sd_consul_rpc_failures_total", "", NULL));
    arena_init(&rig->arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(discovery_consul.create(&rig->config, &rig->env, &rig->consul, &why), OK);
    strbuf_deinit(&why);
}

static void end(struct rig *rig)
{
    mutex_lock(&rig->fake.lock);
    rig->fake.stopping = true;
    assert_false(rig->fake.token_missing);
    cond_broadcast(&rig->fake.changed);
    mutex_unlock(&rig->fake.lock);
    discovery_consul.destroy(rig->consul);
    http_server_stop(rig->fake.server);
    metrics_destroy(rig->env.metrics);
    arena_deinit(&rig->arena);
    cond_deinit(&rig->fake.changed);
    mutex_deinit(&rig->fake.lock);
}

static void change(struct rig *rig, const char *catalog, uint32_t web_count, enum fault fault)
{
    mutex_lock(&rig->fake.lock);
    rig->fake.index++;
    rig->fake.catalog = catalog;
    rig->fake.web_count = web_count;
    rig->fake.web_fault = fault;
    cond_broadcast(&rig->fake.changed);
    mutex_unlock(&rig->fake.lock);
}

static uint32_t targets_of(const struct rig *rig, const char *service)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->groups.count; i++) {
        struct str name = labels_get(rig->groups.items[i].labels, STR("__meta_consul_service"));
        count += str_equal_cstr(name, service) ? rig->groups.items[i].target_count : 0;
    }
    return count;
}

/* Takes lists until one has these numbers of targets. */
static void expect(struct rig *rig, uint32_t web, uint32_t db)
{
    struct strbuf why = STRBUF_INIT;
    do {
        arena_deinit(&rig->arena);
        arena_init(&rig->arena, MEM_TEST, SIZE_MAX);
        rig->groups = (struct discovered_groups){.arena = &rig->arena};
        assert_int_equal(discovery_consul.watch(rig->consul, &rig->groups, &why), OK);
    } while (targets_of(rig, "web") != web || targets_of(rig, "db") != db);
    strbuf_deinit(&why);
}

static void look(void *context, struct str name, const char *suffix, const struct str *names,
                 const struct str *values, size_t label_count, double value)
{
    struct strbuf *seen = context;
    if (!str_equal(name, STR("prometheus_sd_consul_rpc_duration_seconds")) ||
        strcmp(suffix, "_count") != 0)
        return;
    for (size_t i = 0; i < label_count; i++)
        strbuf_printf(seen, "%.*s=%.*s ", STR_ARG(names[i]), STR_ARG(values[i]));
    strbuf_printf(seen, value > 0 ? "counted " : "never ");
}

static void ignore(void *context, struct str name, enum metric_type type, struct str help)
{
    (void)context;
    (void)name;
    (void)type;
    (void)help;
}

static void expect_durations(struct metrics *metrics)
{
    struct strbuf seen = STRBUF_INIT;
    const struct metrics_visitor visitor = {ignore, look, &seen};
    metrics_visit(metrics, &visitor);
    assert_string_equal(strbuf_cstr(&seen), "endpoint=catalog call=services counted "
                                            "endpoint=catalog call=service counted ");
    strbuf_deinit(&seen);
}

static void test_watch(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig);
    expect(&rig, 2, 1);
    change(&rig, "{\"web\":[\"on\"]}", 3, FAULT_NONE);
    expect(&rig, 3, 0);
    change(&rig, "{\"db\":[\"off\"]}", 3, FAULT_NONE);
    expect(&rig, 0, 1);
    assert_true(metric_value(rig.failures) == 0);
    expect_durations(rig.env.metrics);
    end(&rig);
}

static void test_selected_services(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("web")};
    static const struct str tags[] = {STR_INIT("on")};
    struct consul_discovery_config config = {.services = names, .service_count = 1};
    json_t *on = json_pack("[ss]", "x", "on");
    json_t *none = json_array();
    assert_true(consul_service_is_wanted(&config, STR("web"), none));
    assert_false(consul_service_is_wanted(&config, STR("db"), on));
    config.tags = tags;
    config.tag_count = 1;
    assert_true(consul_service_is_wanted(&config, STR("web"), on));
    assert_false(consul_service_is_wanted(&config, STR("web"), none));
    json_decref(on);
    json_decref(none);
}

/* What was found stays, and the others go on. */
static void test_faults(void **state)
{
    (void)state;
    static const enum fault faults[] = {FAULT_STATUS, FAULT_JSON, FAULT_KIND, FAULT_ENDLESS,
                                        FAULT_CLOSED};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct rig rig;
        begin(&rig);
        change(&rig, "{\"web\":[]}", 2, FAULT_NONE);
        expect(&rig, 2, 0);
        change(&rig, "{\"web\":[],\"db\":[]}", 5, faults[i]);
        expect(&rig, 2, 1);
        assert_true(metric_value(rig.failures) == 1);
        end(&rig);
    }
}

static void test_catalog_that_lies(void **state)
{
    (void)state;
    struct strbuf many = STRBUF_INIT;
    strbuf_add_char(&many, '{');
    for (int i = 0; i < 20001; i++)
        strbuf_printf(&many, "%s\"s%d\":[]", i > 0 ? "," : "", i);
    strbuf_add_char(&many, '}');
    const char *const catalogs[] = {"[]", "{\"web\"", strbuf_cstr(&many)};
    for (size_t i = 0; i < sizeof catalogs / sizeof catalogs[0]; i++) {
        struct rig rig;
        begin(&rig);
        expect(&rig, 2, 1);
        change(&rig, catalogs[i], 4, FAULT_NONE);
        expect(&rig, 4, 1);
        end(&rig);
    }
    strbuf_deinit(&many);
}

/* ---- redirects ---- */

struct moved {
    struct http_server *server;
    struct http_server *other; /* another name of the host */
    _Atomic int authorized;    /* requests with both secrets, at the first server */
    _Atomic int leaked;        /* requests with one of them, at the other */
};

static bool redirect(void *context, struct http_server_request *request)
{
    struct moved *moved = context;
    char location[512];
    snprintf(location, sizeof location, "Location: http://localhost:%u%.*s\r\n",
             http_server_port(moved->other), (int)strcspn(request->path, " "), request->path);
    moved->authorized += strstr(request->head, "X-Consul-Token: secret\r\n") != NULL &&
                         strstr(request->head, "Authorization: Basic ") != NULL;
    return http_server_answer(request, "301 Moved Permanently", location, STR("elsewhere"));
}

static bool answer_elsewhere(void *context, struct http_server_request *request)
{
    struct moved *moved = context;
    moved->leaked += strstr(request->head, "X-Consul-Token") != NULL ||
                     strstr(request->head, "Authorization") != NULL;
    if (strstr(request->path, "index=") != NULL) {
        http_server_hang(request);
        return false;
    }
    return send_json(request, 7,
                     STR("[{\"Node\":{\"Address\":\"far\"},\"Service\":{\"Port\":1}}]"));
}

/* Followed, but the secrets stay at home. */
static void test_redirects_leak_no_secrets(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("web")};
    struct moved moved = {0};
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    char address[64];
    _Atomic bool cancel = false;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    moved.server = http_server_start(redirect, &moved);
    moved.other = http_server_start(answer_elsewhere, &moved);
    snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(moved.server));
    struct consul_discovery_config config = {
        .server = str_from_cstr(address),
        .scheme = STR("http"),
        .token = STR("secret"),
        .datacenter = STR("dc1"),
        .services = names,
        .service_count = 1,
        .refresh_interval_ms = 1,
        .http = {.follow_redirects = true, .has_basic_auth = true, .username = STR("user")},
    };
    struct discovery_env env = {&cancel, -1, NULL};
    struct discovered_groups groups = {.arena = &arena};
    void *consul;
    assert_int_equal(discovery_consul.create(&config, &env, &consul, &why), OK);
    assert_int_equal(discovery_consul.watch(consul, &groups, &why), OK);
    assert_int_equal(groups.count, 1);
    assert_true(
        str_equal(labels_get(groups.items[0].targets[0], STR("__address__")), STR("far:1")));
    assert_true(moved.authorized > 0);
    assert_int_equal(moved.leaked, 0);
    discovery_consul.destroy(consul);
    http_server_stop(moved.server);
    http_server_stop(moved.other);
    arena_deinit(&arena);
    strbuf_deinit(&why);
}

/* ---- answers without news ---- */

struct steady {
    _Atomic int asked;
    struct http_server *server;
};

/* The same index again and again, as when a query has waited in vain; then another one. */
static bool answer_again(void *context, struct http_server_request *request)
{
    struct steady *steady = context;
    int asked = ++steady->asked;
    return send_json(request, asked <= 5 ? 7 : 8,
                     asked == 1 ? STR("[{\"Node\":{\"Address\":\"a\"}}]")
                     : asked <= 5
                         ? STR("[]")
                         : STR("[{\"Node\":{\"Address\":\"b\"}},{\"Node\":{\"Address\":\"c\"}}]"));
}

static void test_same_index(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("web")};
    static const uint32_t counts[] = {1, 2};
    struct steady steady = {0};
    struct strbuf why = STRBUF_INIT;
    char address[64];
    _Atomic bool cancel = false;
    steady.server = http_server_start(answer_again, &steady);
    snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(steady.server));
    struct consul_discovery_config config = {
        .server = str_from_cstr(address),
        .scheme = STR("http"),
        .datacenter = STR("dc1"),
        .services = names,
        .service_count = 1,
        .refresh_interval_ms = 1,
    };
    struct discovery_env env = {&cancel, -1, metrics_create()};
    void *consul;
    assert_int_equal(discovery_consul.create(&config, &env, &consul, &why), OK);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct discovered_groups groups = {.arena = &arena};
        assert_int_equal(discovery_consul.watch(consul, &groups, &why), OK);
        assert_int_equal(groups.items[0].target_count, counts[i]);
        arena_deinit(&arena);
    }
    assert_true(steady.asked >= 6);
    discovery_consul.destroy(consul);
    http_server_stop(steady.server);
    metrics_destroy(env.metrics);
    strbuf_deinit(&why);
}

static void test_canceled(void **state)
{
    (void)state;
    struct rig rig;
    struct strbuf why = STRBUF_INIT;
    begin(&rig);
    atomic_store(&rig.cancel, true);
    assert_int_equal(discovery_consul.watch(rig.consul, &rig.groups, &why), ERR_CANCELED);
    strbuf_deinit(&why);
    end(&rig);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_selected_services),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_catalog_that_lies),
        cmocka_unit_test(test_redirects_leak_no_secrets),
        cmocka_unit_test(test_same_index),
        cmocka_unit_test(test_canceled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
