/* The mechanism as a whole, against a scripted server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "discovery_mechanism.h"
#include "narthex/base/thread.h"
#include "narthex/scraper/discovery.h"
#include "scripted_server.h"

#define POD(name)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\",\"resourceVersion\":\"2\"},"         \
    "\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"podIP\":\"10.0.0.1\"}}"

struct rig {
    _Atomic bool broken;
    struct http_server *server;
    struct metrics *metrics;
    _Atomic bool cancel;
    struct discovery_env env;
    struct kubernetes_discovery_config config;
    char url[64];
    void *state;
    struct strbuf why;
};

/* One pod in the list, another one as the first event. */
static bool answer(void *context, struct http_server_request *request)
{
    struct rig *rig = context;
    if (atomic_load(&rig->broken))
        return http_server_answer(request, "500 Internal Server Error", "", STR("broken"));
    if (strstr(request->path, "watch=true") == NULL)
        return http_server_answer(
            request, "200 OK", "",
            STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" POD("p") "]}"));
    const char *event = "HTTP/1.1 200 OK\r\n\r\n{\"type\":\"ADDED\",\"object\":" POD("q") "}\n";
    (void)http_server_send(request, event, strlen(event));
    http_server_hang(request);
    return false;
}

static void rig_init(struct rig *rig, bool broken)
{
    *rig = (struct rig){0};
    atomic_init(&rig->broken, broken);
    rig->server = http_server_start(answer, rig);
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u",
                   (unsigned)http_server_port(rig->server));
    rig->metrics = metrics_create();
    rig->env =
        (struct discovery_env){&rig->cancel, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rig->metrics};
    rig->config.role = STR("pod");
    rig->config.api_server = str_from_cstr(rig->url);
    discovery_kubernetes.register_metrics(rig->metrics);
}

static void rig_deinit(struct rig *rig)
{
    if (rig->state != NULL)
        discovery_kubernetes.destroy(rig->state);
    http_server_stop(rig->server);
    metrics_destroy(rig->metrics);
    close(rig->env.stop_fd);
    strbuf_deinit(&rig->why);
}

static void create(struct rig *rig)
{
    assert_int_equal(discovery_kubernetes.create(&rig->config, &rig->env, &rig->state, &rig->why),
                     OK);
}

/* Number of groups that the next call of watch gives. */
static uint32_t watch(struct rig *rig)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    assert_int_equal(discovery_kubernetes.watch(rig->state, &groups, &rig->why), OK);
    uint32_t count = groups.count;
    arena_deinit(&arena);
    return count;
}

static double bytes(const struct rig *rig)
{
    return metric_value(
        metric_only(metrics_gauge(rig->metrics, "narthex_sd_kubernetes_object_bytes", "", NULL)));
}

static void test_watch(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, false);
    const struct str spaces[] = {STR("a"), STR("a")};
    rig.config.namespaces = spaces;
    rig.config.namespace_count = 2;
    create(&rig);
    uint32_t count = watch(&rig);
    assert_in_range(count, 1, 2); /* the event may have come along */
    while (count < 2)
        count = watch(&rig);
    assert_true(bytes(&rig) > 0);
    /* Nothing more happens: told to stop, it stops. */
    atomic_store(&rig.cancel, true);
    assert_int_equal(eventfd_write(rig.env.stop_fd, 1), 0);
    struct discovered_groups none = {0};
    assert_int_equal(discovery_kubernetes.watch(rig.state, &none, &rig.why), ERR_CANCELED);
    discovery_kubernetes.destroy(rig.state);
    rig.state = NULL;
    assert_true(bytes(&rig) == 0);
    rig_deinit(&rig);
}

/* What another configuration found goes; then the server recovers. */
static void test_broken_at_first(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, true);
    create(&rig);
    assert_int_equal(watch(&rig), 0);
    atomic_store(&rig.broken, false);
    assert_in_range(watch(&rig), 1, 2);
    rig_deinit(&rig);
}

/* ---- what is asked for ---- */

enum { LISTED_MAX = 32, PATH_BYTES_MAX = 256 };

struct listed {
    struct mutex lock;
    /* guarded by lock */
    char paths[LISTED_MAX][PATH_BYTES_MAX];
    uint32_t count;
};

/* Empty lists, and watches in which nothing happens. */
static bool answer_empty(void *context, struct http_server_request *request)
{
    struct listed *listed = context;
    if (strstr(request->path, "watch=true") != NULL) {
        http_server_hang(request);
        return false;
    }
    mutex_lock(&listed->lock);
    assert_in_range(listed->count, 0, LISTED_MAX - 1);
    (void)snprintf(listed->paths[listed->count++], PATH_BYTES_MAX, "%.*s",
                   (int)strcspn(request->path, " "), request->path);
    mutex_unlock(&listed->lock);
    return http_server_answer(request, "200 OK", "",
                              STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}"));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The lists of a section, sorted, a line each and without what all have. */
static void expect_lists(struct kubernetes_discovery_config config, const char *role,
                         const char *expected)
{
    struct rig rig;
    struct listed listed = {0};
    struct strbuf text = STRBUF_INIT;
    mutex_init(&listed.lock);
    rig_init(&rig, false);
    http_server_stop(rig.server);
    rig.server = http_server_start(answer_empty, &listed);
    (void)snprintf(rig.url, sizeof rig.url, "http://127.0.0.1:%u",
                   (unsigned)http_server_port(rig.server));
    config.role = str_from_cstr(role);
    config.api_server = str_from_cstr(rig.url);
    rig.config = config;
    create(&rig);
    assert_int_equal(watch(&rig), 0); /* once all lists are there */
    mutex_lock(&listed.lock);
    for (uint32_t i = 0; i < listed.count; i++) {
        char *limit = strstr(listed.paths[i], "?limit=500");
        assert_non_null(limit);
        memmove(limit, limit + 10, strlen(limit + 10) + 1);
    }
    qsort(listed.paths, listed.count, PATH_BYTES_MAX, by_text);
    for (uint32_t i = 0; i < listed.count; i++)
        strbuf_printf(&text, "%s\n", listed.paths[i]);
    mutex_unlock(&listed.lock);
    assert_string_equal(strbuf_cstr(&text), expected);
    rig_deinit(&rig);
    mutex_deinit(&listed.lock);
    strbuf_deinit(&text);
}

static void test_lists_of_roles(void **state)
{
    (void)state;
    static const struct str spaces[] = {STR_INIT("a"), STR_INIT("b")};
    const struct kubernetes_discovery_config plain = {0};
    const struct kubernetes_discovery_config named = {.namespaces = spaces, .namespace_count = 2};
    struct kubernetes_discovery_config all = {.attach_node = true,
                                              .attach_namespace = true,
                                              .attach_deployment = true,
                                              .attach_job = true,
                                              .attach_cronjob = true};
    expect_lists(named, "node", "/api/v1/nodes\n");
    expect_lists(all, "node", "/api/v1/nodes\n");
    expect_lists(plain, "pod", "/api/v1/pods\n");
    expect_lists(named, "service",
                 "/api/v1/namespaces/a/services\n/api/v1/namespaces/b/services\n");
    expect_lists(all, "service", "/api/v1/namespaces\n/api/v1/services\n");
    expect_lists(plain, "endpoints", "/api/v1/endpoints\n/api/v1/pods\n/api/v1/services\n");
    expect_lists(plain, "endpointslice",
                 "/api/v1/pods\n/api/v1/services\n/apis/discovery.k8s.io/v1/endpointslices\n");
    expect_lists(all, "ingress", "/api/v1/namespaces\n/apis/networking.k8s.io/v1/ingresses\n");
    all.namespaces = spaces;
    all.namespace_count = 1;
    expect_lists(all, "pod",
                 "/api/v1/namespaces\n/api/v1/namespaces/a/pods\n/api/v1/nodes\n"
                 "/apis/apps/v1/namespaces/a/replicasets\n"
                 "/apis/batch/v1/namespaces/a/jobs\n");
}

/* Each for the kind that it names. */
static void test_selectors(void **state)
{
    (void)state;
    static const struct kubernetes_selector selectors[] = {
        {STR_INIT("pod"), STR_INIT("app=web,tier!=db"), STR_INIT("status.phase=Running")},
        {STR_INIT("endpoints"), STR_INIT(""), STR_INIT("metadata.name=web")},
    };
    const struct kubernetes_discovery_config config = {.selectors = selectors, .selector_count = 2};
    expect_lists(config, "endpoints",
                 "/api/v1/endpoints&fieldSelector=metadata.name%3Dweb\n"
                 "/api/v1/pods&labelSelector=app%3Dweb%2Ctier%21%3Ddb"
                 "&fieldSelector=status.phase%3DRunning\n"
                 "/api/v1/services\n");
}

static void test_cannot_be_made(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, false);
    rig.config.role = STR("planet");
    assert_int_equal(discovery_kubernetes.create(&rig.config, &rig.env, &rig.state, &rig.why),
                     ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&rig.why), "unknown Kubernetes SD role \"planet\""));
    rig.config.role = STR("pod");
    rig.config.api_server = STR("");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(discovery_kubernetes.create(&rig.config, &rig.env, &rig.state, &rig.why),
                     ERR_UNAVAILABLE);
    rig.config.api_server = STR("https://api");
    rig.config.http.tls.ca_file = STR("/nowhere/ca.crt");
    assert_int_equal(discovery_kubernetes.create(&rig.config, &rig.env, &rig.state, &rig.why),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(strbuf_cstr(&rig.why), "/nowhere/ca.crt"));
    rig_deinit(&rig);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch),          cmocka_unit_test(test_broken_at_first),
        cmocka_unit_test(test_lists_of_roles), cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_cannot_be_made),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
