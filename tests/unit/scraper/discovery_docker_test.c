#include "discovery_docker.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scripted_server.h"

struct found {
    struct arena arena;
    struct discovered_groups groups;
    struct strbuf why;
    struct strbuf text;
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
    strbuf_deinit(&f->text);
}

/* All targets, a line each. */
static const char *print(struct found *f)
{
    strbuf_clear(&f->text);
    for (uint32_t g = 0; g < f->groups.count; g++) {
        for (uint32_t t = 0; t < f->groups.items[g].target_count; t++) {
            labels_print(f->groups.items[g].targets[t], &f->text);
            strbuf_add_char(&f->text, '\n');
        }
    }
    return strbuf_cstr(&f->text);
}

/* ---- readers ---- */

static const struct docker_discovery_config docker_config = {
    .port = 80, .host_networking_host = STR_INIT("localhost"), .match_first_network = true};

static void containers_give(const char *containers, const char *networks, const char *expected)
{
    struct found f;
    begin(&f);
    assert_int_equal(docker_containers_read(&docker_config, str_from_cstr(containers),
                                            str_from_cstr(networks), &f.groups, &f.why),
                     OK);
    assert_string_equal(print(&f), expected);
    end(&f);
}

static void test_containers(void **state)
{
    (void)state;
    /* The first of two networks by name; IPv6 only; a port that is not TCP. */
    containers_give(
        "[{\"Id\":\"1\",\"Names\":[\"/a\"],\"Image\":\"i\",\"ImageID\":\"s\",\"Ports\":["
        "{\"PrivatePort\":80,\"PublicPort\":8080,\"IP\":\"0.0.0.0\",\"Type\":\"tcp\"},"
        "{\"PrivatePort\":53,\"Type\":\"udp\"}],\"Labels\":{\"x.y\":\"v\",\"empty\":\"\"},"
        "\"HostConfig\":{\"NetworkMode\":\"zz\"},\"NetworkSettings\":{\"Networks\":{"
        "\"zz\":{\"NetworkID\":\"nz\",\"IPAddress\":\"10.0.0.1\"},"
        "\"aa\":{\"NetworkID\":\"na\",\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd00::1\"}}}}]",
        "[{\"Id\":\"na\",\"Name\":\"aa\",\"Scope\":\"local\",\"Internal\":true,"
        "\"Labels\":{\"k-k\":\"w\"}}]",
        "{__address__=\"[fd00::1]:80\", __meta_docker_container_id=\"1\", "
        "__meta_docker_container_image=\"i\", __meta_docker_container_image_id=\"s\", "
        "__meta_docker_container_label_x_y=\"v\", __meta_docker_container_name=\"/a\", "
        "__meta_docker_container_network_mode=\"zz\", __meta_docker_network_id=\"na\", "
        "__meta_docker_network_ingress=\"false\", __meta_docker_network_internal=\"true\", "
        "__meta_docker_network_ip=\"fd00::1\", __meta_docker_network_label_k_k=\"w\", "
        "__meta_docker_network_name=\"aa\", __meta_docker_network_scope=\"local\", "
        "__meta_docker_port_private=\"80\", __meta_docker_port_public=\"8080\", "
        "__meta_docker_port_public_ip=\"0.0.0.0\"}\n");
    /* Fields that another engine leaves out, and a container without names. */
    containers_give("[{\"Id\":\"1\",\"Names\":[\"/a\"],\"Labels\":null,\"Ports\":null,"
                    "\"NetworkSettings\":{\"Networks\":{\"p\":{\"IPAddress\":\"10.0.0.2\"}}}},"
                    "{\"Id\":\"2\"},{\"Id\":\"3\",\"Names\":[]},7,null,"
                    "{\"Id\":\"4\",\"Names\":[\"/d\"],"
                    "\"NetworkSettings\":{\"Networks\":{\"a\":null}}}]",
                    "null",
                    "{__address__=\"10.0.0.2:80\", __meta_docker_container_id=\"1\", "
                    "__meta_docker_container_name=\"/a\", "
                    "__meta_docker_network_ip=\"10.0.0.2\"}\n");
    containers_give("[]", "[]", "");
}

/* c lives in b's network, which lives in a's; d and e in each other's. */
static void test_shared_networks(void **state)
{
    (void)state;
    containers_give(
        "[{\"Id\":\"c\",\"Names\":[\"/c\"],\"HostConfig\":{\"NetworkMode\":\"container:b\"},"
        "\"Ports\":[{\"PrivatePort\":9,\"Type\":\"tcp\"}]},"
        "{\"Id\":\"b\",\"HostConfig\":{\"NetworkMode\":\"container:a\"}},"
        "{\"Id\":\"a\",\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"1.1.1.1\"}}}},"
        "{\"Id\":\"d\",\"Names\":[\"/d\"],\"HostConfig\":{\"NetworkMode\":\"container:e\"}},"
        "{\"Id\":\"e\",\"Names\":[\"/e\"],\"HostConfig\":{\"NetworkMode\":\"container:d\"}},"
        "{\"Id\":\"f\",\"Names\":[\"/f\"],\"HostConfig\":{\"NetworkMode\":\"container:gone\"}}]",
        "[]",
        "{__address__=\"1.1.1.1:9\", __meta_docker_container_id=\"c\", "
        "__meta_docker_container_name=\"/c\", "
        "__meta_docker_container_network_mode=\"container:b\", "
        "__meta_docker_network_ip=\"1.1.1.1\", __meta_docker_port_private=\"9\"}\n");
}

/* The host's network: of its own, without ports; one who shares it is asked at no address. */
static void test_host_network(void **state)
{
    (void)state;
    containers_give(
        "[{\"Id\":\"h\",\"Names\":[\"/h\"],\"HostConfig\":{\"NetworkMode\":\"host\"},"
        "\"NetworkSettings\":{\"Networks\":{\"host\":{\"IPAddress\":\"\"}}}},"
        "{\"Id\":\"s\",\"Names\":[\"/s\"],\"HostConfig\":{\"NetworkMode\":\"container:h\"}}]",
        "[]",
        "{__address__=\"localhost\", __meta_docker_container_id=\"h\", "
        "__meta_docker_container_name=\"/h\", __meta_docker_container_network_mode=\"host\"}\n"
        "{__address__=\":80\", __meta_docker_container_id=\"s\", "
        "__meta_docker_container_name=\"/s\", "
        "__meta_docker_container_network_mode=\"container:h\"}\n");
}

static void swarm_gives(const char *role, const struct swarm_lists *lists, err_t expected,
                        const char *text)
{
    struct docker_discovery_config config = {.role = str_from_cstr(role), .port = 80};
    struct found f;
    begin(&f);
    assert_int_equal(swarm_lists_read(&config, lists, &f.groups, &f.why), expected);
    assert_string_equal(expected == OK ? print(&f) : strbuf_cstr(&f.why), text);
    end(&f);
}

static void test_swarm(void **state)
{
    (void)state;
    struct swarm_lists lists = {
        .nodes = STR("[{\"ID\":\"n\",\"Status\":{\"Addr\":\"10.9.9.9\",\"State\":\"ready\"}}]"),
        .services = STR("[{\"ID\":\"s\",\"Spec\":{\"Name\":\"web\",\"Mode\":{\"Global\":{}}},"
                        "\"Endpoint\":{\"Ports\":[{\"Protocol\":\"tcp\",\"PublishedPort\":7,"
                        "\"PublishMode\":\"host\"},{\"Protocol\":\"udp\",\"PublishedPort\":8}],"
                        "\"VirtualIPs\":[{\"NetworkID\":\"x\"},"
                        "{\"NetworkID\":\"x\",\"Addr\":\"10.0.0.3/24\"}]},"
                        "\"UpdateStatus\":{\"State\":\"updating\"}}]"),
        .tasks = STR("[{\"ID\":\"t\",\"ServiceID\":\"s\",\"NodeID\":\"n\",\"Slot\":3,"
                     "\"Status\":{\"PortStatus\":{\"Ports\":[{\"Protocol\":\"tcp\","
                     "\"PublishedPort\":70,\"PublishMode\":\"host\"}]}}}]"),
        .networks = STR("[]"),
    };
    swarm_gives("nodes", &lists, OK,
                "{__address__=\"10.9.9.9:80\", __meta_dockerswarm_node_address=\"10.9.9.9\", "
                "__meta_dockerswarm_node_id=\"n\", __meta_dockerswarm_node_status=\"ready\"}\n");
    swarm_gives("services", &lists, OK,
                "{__address__=\"10.0.0.3:7\", "
                "__meta_dockerswarm_service_endpoint_port_publish_mode=\"host\", "
                "__meta_dockerswarm_service_id=\"s\", __meta_dockerswarm_service_mode=\"global\", "
                "__meta_dockerswarm_service_name=\"web\", "
                "__meta_dockerswarm_service_updating_status=\"updating\"}\n");
    swarm_gives("tasks", &lists, OK,
                "{__address__=\"10.9.9.9:70\", __meta_dockerswarm_node_address=\"10.9.9.9\", "
                "__meta_dockerswarm_node_id=\"n\", __meta_dockerswarm_node_status=\"ready\", "
                "__meta_dockerswarm_service_id=\"s\", __meta_dockerswarm_service_mode=\"global\", "
                "__meta_dockerswarm_service_name=\"web\", __meta_dockerswarm_task_id=\"t\", "
                "__meta_dockerswarm_task_port_publish_mode=\"host\", "
                "__meta_dockerswarm_task_slot=\"3\"}\n");
    lists.services = STR("[{\"Endpoint\":{\"VirtualIPs\":[{\"Addr\":\"nonsense\"}]}}]");
    swarm_gives("services", &lists, ERR_INVALID,
                "error while parsing address nonsense: invalid CIDR address");
}

static const struct swarm_lists whole_lists = {
    .nodes = STR_INIT(
        "[{\"ID\":\"n\",\"Spec\":{\"Role\":\"manager\",\"Availability\":\"drain\","
        "\"Labels\":{\"a-b\":\"1\"}},\"Description\":{\"Hostname\":\"h\",\"Platform\":{"
        "\"Architecture\":\"x86_64\",\"OS\":\"linux\"},\"Engine\":{\"EngineVersion\":\"20.10\"}},"
        "\"Status\":{\"State\":\"ready\",\"Addr\":\"10.0.0.1\"},\"ManagerStatus\":{\"Leader\":true,"
        "\"Reachability\":\"reachable\",\"Addr\":\"10.0.0.1:2377\"}}]"),
    .services = STR_INIT(
        "[{\"ID\":\"s\",\"Spec\":{\"Name\":\"web\",\"Labels\":{\"tier.x\":\"1\"},"
        "\"Mode\":{\"Replicated\":{\"Replicas\":1}},\"TaskTemplate\":{\"ContainerSpec\":{"
        "\"Hostname\":\"w\",\"Image\":\"img:1\"}}},\"Endpoint\":{\"Ports\":[{\"Name\":\"http\","
        "\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"}"
        "],"
        "\"VirtualIPs\":[{\"NetworkID\":\"x\",\"Addr\":\"10.1.0.3/24\"}]}}]"),
    .tasks = STR_INIT(
        "[{\"ID\":\"t\",\"ServiceID\":\"s\",\"NodeID\":\"n\",\"Slot\":3,"
        "\"DesiredState\":\"running\",\"Status\":{\"State\":\"starting\",\"ContainerStatus\":{"
        "\"ContainerID\":\"c\"}},\"Spec\":{\"ContainerSpec\":{\"Labels\":{\"k/k\":\"v\"}}},"
        "\"NetworksAttachments\":[{\"Network\":{\"ID\":\"x\"},\"Addresses\":[\"10.1.0.9/24\"]}]}]"),
    .networks = STR_INIT("[{\"Id\":\"x\",\"Name\":\"net\",\"Scope\":\"swarm\",\"Ingress\":true,"
                         "\"Labels\":{\"use\":\"test\"}}]"),
};
#define WHOLE_NODE                                                                                 \
    "__meta_dockerswarm_node_address=\"10.0.0.1\", "                                               \
    "__meta_dockerswarm_node_availability=\"drain\", "
#define WHOLE_NODE_REST                                                                            \
    "__meta_dockerswarm_node_platform_architecture=\"x86_64\", "                                   \
    "__meta_dockerswarm_node_platform_os=\"linux\", "                                              \
    "__meta_dockerswarm_node_role=\"manager\", __meta_dockerswarm_node_status=\"ready\""
#define WHOLE_NETWORK                                                                              \
    "__meta_dockerswarm_network_id=\"x\", __meta_dockerswarm_network_ingress=\"true\", "           \
    "__meta_dockerswarm_network_internal=\"false\", "                                              \
    "__meta_dockerswarm_network_label_use=\"test\", __meta_dockerswarm_network_name=\"net\", "     \
    "__meta_dockerswarm_network_scope=\"swarm\", "

/* Every label of every role. */
static void test_swarm_labels(void **state)
{
    (void)state;
    swarm_gives("nodes", &whole_lists, OK,
                "{__address__=\"10.0.0.1:80\", " WHOLE_NODE
                "__meta_dockerswarm_node_engine_version=\"20.10\", "
                "__meta_dockerswarm_node_hostname=\"h\", __meta_dockerswarm_node_id=\"n\", "
                "__meta_dockerswarm_node_label_a_b=\"1\", "
                "__meta_dockerswarm_node_manager_address=\"10.0.0.1:2377\", "
                "__meta_dockerswarm_node_manager_leader=\"true\", "
                "__meta_dockerswarm_node_manager_reachability=\"reachable\", " WHOLE_NODE_REST
                "}\n");
    swarm_gives("services", &whole_lists, OK,
                "{__address__=\"10.1.0.3:8080\", " WHOLE_NETWORK
                "__meta_dockerswarm_service_endpoint_port_name=\"http\", "
                "__meta_dockerswarm_service_endpoint_port_publish_mode=\"ingress\", "
                "__meta_dockerswarm_service_id=\"s\", "
                "__meta_dockerswarm_service_label_tier_x=\"1\", "
                "__meta_dockerswarm_service_mode=\"replicated\", "
                "__meta_dockerswarm_service_name=\"web\", "
                "__meta_dockerswarm_service_task_container_hostname=\"w\", "
                "__meta_dockerswarm_service_task_container_image=\"img:1\"}\n");
    swarm_gives("tasks", &whole_lists, OK,
                "{__address__=\"10.1.0.9:8080\", "
                "__meta_dockerswarm_container_label_k_k=\"v\", " WHOLE_NETWORK WHOLE_NODE
                "__meta_dockerswarm_node_hostname=\"h\", "
                "__meta_dockerswarm_node_id=\"n\", "
                "__meta_dockerswarm_node_label_a_b=\"1\", " WHOLE_NODE_REST
                ", __meta_dockerswarm_service_id=\"s\", "
                "__meta_dockerswarm_service_label_tier_x=\"1\", "
                "__meta_dockerswarm_service_mode=\"replicated\", "
                "__meta_dockerswarm_service_name=\"web\", "
                "__meta_dockerswarm_task_container_id=\"c\", "
                "__meta_dockerswarm_task_desired_state=\"running\", "
                "__meta_dockerswarm_task_id=\"t\", "
                "__meta_dockerswarm_task_port_publish_mode=\"ingress\", "
                "__meta_dockerswarm_task_slot=\"3\", "
                "__meta_dockerswarm_task_state=\"starting\"}\n");
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t expected;
        uint32_t count;
    } cases[] = {
        {"[]", OK, 0},
        {" [ ] \n", OK, 0},
        {"null", OK, 0},
        {"[1]", OK, 1},
        {"[ {\"a\":[1,2,\"]\\\"\"]} , \"x,]\" ,null]\n", OK, 3},
        {"", ERR_INVALID, 0},
        {"{}", ERR_INVALID, 0},
        {"[", ERR_INVALID, 0},
        {"[1", ERR_INVALID, 1},
        {"[1,", ERR_INVALID, 1},
        {"[1,]", ERR_INVALID, 1},
        {"[,1]", ERR_INVALID, 0},
        {"[1}", ERR_INVALID, 1},
        {"[1]]", ERR_INVALID, 1},
        {"[1] x", ERR_INVALID, 1},
        {"[1 2]", ERR_INVALID, 0},
        {"[{\"a\":1},{\"b\"]", ERR_INVALID, 1},
        {"[\"abc]", ERR_INVALID, 0},
        {"nullx", ERR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct discovery_json_list list = {.text = str_from_cstr(cases[i].text)};
        struct strbuf why = STRBUF_INIT;
        uint32_t count = 0;
        json_t *element;
        err_t err;
        while ((err = discovery_json_next(&list, &element, &why)) == OK && element != NULL) {
            json_decref(element);
            count++;
        }
        if (err != cases[i].expected || count != cases[i].count)
            fail_msg("%s: %s after %u: %s", cases[i].text, err_name(err), count, strbuf_cstr(&why));
        strbuf_deinit(&why);
    }
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *base_url; /* NULL: refused */
        const char *unix_socket;
        bool takes_http_block;
    } cases[] = {
        {"unix:///run/docker.sock", "http://docker", "/run/docker.sock", false},
        {"tcp://h:2375", "http://h:2375", "", false},
        {"http://h:1/prefix/", "http://h:1/prefix", "", true},
        {"https://[::1]:2", "https://[::1]:2", "", true},
        {"h:2375", NULL, "", false},
        {"ssh://h", NULL, "", false},
        {"unix://", NULL, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strbuf base = STRBUF_INIT;
        struct strbuf why = STRBUF_INIT;
        struct str socket;
        bool takes;
        err_t err = docker_host_parse(str_from_cstr(cases[i].host), &base, &socket, &takes, &why);
        assert_int_equal(err, cases[i].base_url == NULL ? ERR_INVALID : OK);
        if (err == OK) {
            assert_string_equal(strbuf_cstr(&base), cases[i].base_url);
            assert_true(str_equal_cstr(socket, cases[i].unix_socket));
            assert_true(takes == cases[i].takes_http_block);
        }
        strbuf_deinit(&why);
        strbuf_deinit(&base);
    }
}

/* ---- an Engine that follows a script ---- */

enum fault { GOOD, HANG, STATUS, HTML, ENDLESS, HUGE_ELEMENT, MANY_TARGETS, CUT, VERSION };

struct engine {
    _Atomic enum fault fault;
    _Atomic bool asked_well;
};

static bool send_endless(struct http_server_request *request)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n[{\"Id\":\"1\"}";
    static const char more[] = ",{\"Id\":\"1\",\"Names\":[\"/a\"]}";
    bool open = http_server_send(request, head, sizeof head - 1);
    struct strbuf block = STRBUF_INIT;
    while (block.size < 65536)
        strbuf_add(&block, more, sizeof more - 1);
    while (open)
        open = http_server_send(request, block.data, block.size);
    strbuf_deinit(&block);
    return false;
}

/* One container with a label of a megabyte, and ports to multiply it with. */
static bool send_many(struct http_server_request *request, uint32_t ports)
{
    struct strbuf body = STRBUF_INIT;
    strbuf_add_cstr(&body, "[{\"Id\":\"1\",\"Names\":[\"/a\"],\"NetworkSettings\":{\"Networks\":{"
                           "\"n\":{\"IPAddress\":\"1.1.1.1\"}}},\"Labels\":{");
    for (uint32_t i = 0; i < (ports > 0 ? 40000u : 200000u); i++)
        strbuf_printf(&body, "%s\"label%u\":\"v\"", i > 0 ? "," : "", i);
    strbuf_add_cstr(&body, "},\"Ports\":[");
    for (uint32_t i = 0; i < ports; i++)
        strbuf_printf(&body, "%s{\"PrivatePort\":%u,\"Type\":\"tcp\"}", i > 0 ? "," : "", i);
    strbuf_add_cstr(&body, "]}]");
    bool keep = http_server_answer(request, "200 OK", "", strbuf_str(&body));
    strbuf_deinit(&body);
    return keep;
}

static bool send_containers(struct http_server_request *request, enum fault fault)
{
    switch (fault) {
    case HANG:
        http_server_hang(request);
        return false;
    case STATUS:
        return http_server_answer(request, "500 Internal Server Error", "",
                                  STR("{\"message\":\"out of \\u0041ir\"}"));
    case HTML:
        return http_server_answer(request, "200 OK", "", STR("<html>"));
    case ENDLESS:
        return send_endless(request);
    case HUGE_ELEMENT:
        return send_many(request, 0);
    case MANY_TARGETS:
        return send_many(request, 20000);
    case CUT:
        (void)http_server_send(request, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{\"Id", 44);
        return false;
    default:
        return http_server_answer(
            request, "200 OK", "",
            STR("[{\"Id\":\"1\",\"Names\":[\"/a\"],\"NetworkSettings\":{\"Networks\":{"
                "\"n\":{\"IPAddress\":\"1.1.1.1\"}}}}]"));
    }
}

static bool handle(void *context, struct http_server_request *request)
{
    struct engine *engine = context;
    enum fault fault = engine->fault;
    if (strncmp(request->path, "/_ping ", 7) == 0)
        return http_server_answer(request, "200 OK",
                                  fault == VERSION ? "Api-Version: 1.41; rm -rf\r\n"
                                                   : "api-version: 1.41\r\n",
                                  STR("OK"));
    const char *version = fault == VERSION ? "" : "/v1.41";
    char expected[160];
    snprintf(expected, sizeof expected,
             "%s/containers/json?filters=%%7B%%22label%%22%%3A%%5B%%22a%%3D%%5C%%22%%22%%2C%%22b"
             "%%22%%5D%%7D ",
             version);
    if (strncmp(request->path, expected, strlen(expected)) == 0) {
        engine->asked_well = strstr(request->head, "User-Agent: Prometheus/3.14.0\r\n") != NULL;
        return send_containers(request, fault);
    }
    snprintf(expected, sizeof expected, "%s/networks ", version);
    if (strncmp(request->path, expected, strlen(expected)) == 0)
        return http_server_answer(request, "200 OK", "", STR("[]"));
    return http_server_answer(request, "404 Not Found", "", STR(""));
}

static void test_engine(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        err_t expected;
        const char *text;
    } cases[] = {
        {GOOD, OK, ""},
        {VERSION, OK, ""},
        {STATUS, ERR_IO, "error while listing containers: Error response from daemon: out of Air"},
        {HTML, ERR_INVALID, "json: not a list"},
        {CUT, ERR_IO, "unexpected EOF"},
        {ENDLESS, ERR_LIMIT, "error while listing containers: answer larger than 33554432 bytes"},
        {HUGE_ELEMENT, ERR_LIMIT, "json: element 0 of a list has more than 2097152 bytes"},
        {MANY_TARGETS, ERR_LIMIT, "targets need more than 67108864 bytes"},
        {HANG, ERR_TIMEOUT, "context deadline exceeded"},
    };
    static const struct str values[] = {STR_INIT("a=\""), STR_INIT("b")};
    static const struct docker_filter filters[] = {{STR_INIT("label"), &values[0], 1},
                                                   {STR_INIT("label"), &values[1], 1}};
    struct engine engine = {0};
    struct http_server *server = http_server_start(handle, &engine);
    char host[64];
    snprintf(host, sizeof host, "tcp://127.0.0.1:%u", http_server_port(server));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct docker_discovery_config config = docker_config;
        struct discovery_env env = {.stop_fd = -1};
        void *docker;
        struct found f;
        begin(&f);
        arena_init(&f.arena, MEM_TEST, 64 << 20);
        config.host = str_from_cstr(host);
        config.filters = filters;
        config.filter_count = 2;
        config.refresh_interval_ms = cases[i].fault == HANG ? 1000 : 60000;
        engine.fault = cases[i].fault;
        engine.asked_well = false;
        assert_int_equal(discovery_docker.create(&config, &env, &docker, &f.why), OK);
        assert_int_equal(discovery_docker.refresh(docker, &f.groups, &f.why), cases[i].expected);
        if (strstr(strbuf_cstr(&f.why), cases[i].text) == NULL)
            fail_msg("got: %s\nwanted: %s", strbuf_cstr(&f.why), cases[i].text);
        if (cases[i].expected == OK)
            assert_int_equal(f.groups.items[0].target_count, 1);
        assert_true(engine.asked_well);
        discovery_docker.destroy(docker);
        end(&f);
    }
    http_server_stop(server);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_containers),   cmocka_unit_test(test_shared_networks),
        cmocka_unit_test(test_host_network),

        cmocka_unit_test(test_swarm),        cmocka_unit_test(test_swarm_labels),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
