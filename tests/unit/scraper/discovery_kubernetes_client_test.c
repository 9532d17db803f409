#include "discovery_kubernetes_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "narthex/base/clock.h"
#include "scripted_server.h"

#define POD(name)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\",\"resourceVersion\":\"2\"}}"

enum mode { MODE_HANG, MODE_REFUSE, MODE_HANG_INSIDE, MODE_GOOD, MODE_REDIRECT };

struct rig {
    _Atomic int mode;
    struct http_server *server;
    struct kubernetes_access access;
    struct kubernetes_client client;
    struct kubernetes_cache cache;
    struct metrics *metrics;
    char url[64];
    struct http_server *other; /* where MODE_REDIRECT leads, by another name of the host */
    _Atomic int authorized;    /* requests with the token, at the first server */
    _Atomic int moved;         /* requests at the other one */
    _Atomic int leaked;        /* those of them with the token */
};

static void send_text(struct http_server_request *request, const char *text)
{
    (void)http_server_send(request, text, strlen(text));
}

static bool redirect(struct rig *rig, struct http_server_request *request)
{
    char location[512];
    (void)snprintf(location, sizeof location, "Location: http://localhost:%u%.*s\r\n",
                   (unsigned)http_server_port(rig->other), (int)strcspn(request->path, " "),
                   request->path);
    rig->authorized += strstr(request->head, "Authorization: Bearer secret\r\n") != NULL;
    return http_server_answer(request, "307 Temporary Redirect", location,
                              STR("{\"items\":\"elsewhere\"}"));
}

static bool answer_elsewhere(void *context, struct http_server_request *request)
{
    struct rig *rig = context;
    rig->moved++;
    rig->leaked += strstr(request->head, "secret") != NULL;
    if (strstr(request->path, "watch=true") == NULL)
        return http_server_answer(
            request, "200 OK", "",
            STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" POD("p") "]}"));
    http_server_hang(request);
    return false;
}

static bool answer(void *context, struct http_server_request *request)
{
    struct rig *rig = context;
    bool watch = strstr(request->path, "watch=true") != NULL;
    switch (atomic_load(&rig->mode)) {
    case MODE_REFUSE:
        return http_server_answer(request, "429 Too Many Requests", "Retry-After: 1\r\n",
                                  STR("{\"message\":\"slowly\"}"));
    case MODE_HANG_INSIDE:
        send_text(request, "HTTP/1.1 200 OK\r\n\r\n{\"items\":[{\"metadata\":{\"na");
        break;
    case MODE_GOOD:
        if (!watch)
            return http_server_answer(
                request, "200 OK", "",
                STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" POD("p") "]}"));
        send_text(request, "HTTP/1.1 200 OK\r\n\r\n{\"type\":\"ADDED\",\"object\":" POD("q") "}\n");
        break;
    case MODE_REDIRECT:
        return redirect(rig, request);
    default:
        break;
    }
    http_server_hang(request);
    return false;
}

static struct kubernetes_watch *rig_init(struct rig *rig, enum mode mode)
{
    struct strbuf why = STRBUF_INIT;
    *rig = (struct rig){0};
    atomic_init(&rig->mode, mode);
    rig->server = http_server_start(answer, rig);
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u",
                   (unsigned)http_server_port(rig->server));
    const struct kubernetes_discovery_config config = {.api_server = str_from_cstr(rig->url)};
    rig->metrics = metrics_create();
    kubernetes_client_register_metrics(rig->metrics);
    kubernetes_cache_init(&rig->cache, 1 << 20);
    assert_int_equal(kubernetes_access_open(&rig->access, &config, NULL, &why), OK);
    assert_int_equal(kubernetes_client_create(&rig->access, rig->metrics, &rig->client, &why), OK);
    strbuf_deinit(&why);
    struct kubernetes_watch *watch =
        kubernetes_client_add(&rig->client, KUBERNETES_POD, STR(""), &rig->cache, 1);
    watch->list_timeout_ms = 100;
    return watch;
}

static void rig_deinit(struct rig *rig)
{
    kubernetes_client_deinit(&rig->client);
    kubernetes_cache_deinit(&rig->cache);
    kubernetes_access_close(&rig->access);
    http_server_stop(rig->server);
    metrics_destroy(rig->metrics);
}

static void step(struct rig *rig)
{
    kubernetes_client_step(&rig->client, -1, clock_monotonic_ns(clock_system()) + 1000000000);
}

static double failures(const struct rig *rig)
{
    return metric_value(metric_only(
        metrics_counter(rig->metrics, "prometheus_sd_kubernetes_failures_total", "", NULL)));
}

static void expect_failures(struct rig *rig, uint64_t count)
{
    while (rig->client.failures < count)
        step(rig);
    assert_int_equal(rig->client.failures, count);
    assert_true(failures(rig) == (double)count);
    assert_false(kubernetes_client_is_synced(&rig->client));
}

/* A server that hangs before and inside its answer, then recovers. */
static void test_hang(void **state)
{
    (void)state;
    struct rig rig;
    (void)rig_init(&rig, MODE_HANG);
    expect_failures(&rig, 1);
    atomic_store(&rig.mode, MODE_HANG_INSIDE);
    expect_failures(&rig, 2);
    atomic_store(&rig.mode, MODE_GOOD);
    while (!kubernetes_client_is_synced(&rig.client))
        step(&rig);
    assert_non_null(kubernetes_cache_find(&rig.cache, KUBERNETES_POD, STR("a"), STR("p")));
    while (kubernetes_cache_find(&rig.cache, KUBERNETES_POD, STR("a"), STR("q")) == NULL)
        step(&rig);
    struct str labels[] = {STR("pod"), STR("add")};
    static const char *const names[] = {"role", "event", NULL};
    step(&rig);
    assert_true(
        metric_value(metric_with(
            metrics_counter(rig.metrics, "prometheus_sd_kubernetes_events_total", "", names),
            labels)) == 2);
    rig_deinit(&rig);
}

static void test_retry_after(void **state)
{
    (void)state;
    struct rig rig;
    struct kubernetes_watch *watch = rig_init(&rig, MODE_REFUSE);
    expect_failures(&rig, 1);
    assert_true(watch->due_ns - watch->started_ns >= 1000000000);
    rig_deinit(&rig);
}

/* Nothing there, and nobody to vouch for it. */
static void test_unreachable(void **state)
{
    (void)state;
    struct rig rig;
    (void)rig_init(&rig, MODE_GOOD);
    struct str url = rig.access.server;
    rig.access.server = STR("https://127.0.0.1:1");
    expect_failures(&rig, 1);
    /* TLS to a server that speaks none. */
    char tls[64];
    (void)snprintf(tls, sizeof tls, "https%.*s", (int)url.size - 4, url.data + 4);
    rig.access.server = str_from_cstr(tls);
    expect_failures(&rig, 2);
    rig_deinit(&rig);
}

/* Followed, for lists and watches, but the token stays at home. */
static void test_redirects_leak_no_token(void **state)
{
    (void)state;
    struct rig rig;
    struct kubernetes_watch *watch = rig_init(&rig, MODE_REDIRECT);
    watch->list_timeout_ms = 60000;
    rig.other = http_server_start(answer_elsewhere, &rig);
    rig.access.http.has_authorization = true;
    rig.access.http.credentials.value = STR("secret");
    rig.access.http.follow_redirects = true;
    while (rig.moved < 2)
        step(&rig);
    assert_true(kubernetes_client_is_synced(&rig.client));
    assert_non_null(kubernetes_cache_find(&rig.cache, KUBERNETES_POD, STR("a"), STR("p")));
    assert_int_equal(rig.client.failures, 0);
    assert_int_equal(rig.authorized, 2);
    assert_int_equal(rig.leaked, 0);
    http_server_stop(rig.other);
    rig_deinit(&rig);
}

/* Being told to stop ends the wait. */
static void test_stop(void **state)
{
    (void)state;
    struct rig rig;
    struct kubernetes_watch *watch = rig_init(&rig, MODE_HANG);
    watch->list_timeout_ms = 3600000;
    int stop_fd = eventfd(1, EFD_NONBLOCK);
    for (int i = 0; i < 3; i++)
        kubernetes_client_step(&rig.client, stop_fd, INT64_MAX);
    assert_true(watch->busy);
    close(stop_fd);
    rig_deinit(&rig);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hang),        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_unreachable), cmocka_unit_test(test_redirects_leak_no_token),
        cmocka_unit_test(test_stop),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
