/* The thread of a mechanism that is asked at intervals: what it publishes, keeps and counts. */
#include "discovery_run.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/scraper/discovery.h"
#include "scrape_job.h"
#include "scripted_server.h"

struct rig {
    struct http_server *server;
    _Atomic bool broken;
    char url[64];
    struct metrics *registry;
    struct discovery_metrics metrics;
    struct scrape_config config;
    struct http_discovery_config http;
    struct discovery_config section;
    struct scrape_job *job;
    struct discovery_owner owner;
    struct mutex lock;
    struct cond changed;
    /* guarded by lock */
    uint32_t lists; /* published ones */
    uint32_t refusals;
    uint32_t none; /* lists that say that nothing could be found yet */
};

static bool answer(void *context, struct http_server_request *request)
{
    struct rig *rig = context;
    bool broken = rig->broken;
    mutex_lock(&rig->lock);
    rig->refusals += broken;
    cond_broadcast(&rig->changed);
    mutex_unlock(&rig->lock);
    if (broken)
        return http_server_answer(request, "503 Service Unavailable", "", STR(""));
    return http_server_answer(request, "200 OK", "Content-Type: application/json\r\n",
                              STR("[{\"targets\":[\"a:1\"]}]"));
}

static void take(void *context, struct discovery_run *run, struct discovered_groups *groups,
                 struct arena *arena)
{
    (void)run;
    struct rig *rig = context;
    mutex_lock(&rig->lock);
    rig->lists += groups != NULL;
    rig->none += groups == NULL;
    cond_broadcast(&rig->changed);
    mutex_unlock(&rig->lock);
    if (arena != NULL)
        arena_deinit(arena);
}

static void begin(struct rig *rig)
{
    struct strbuf why = STRBUF_INIT;
    memset(rig, 0, sizeof *rig);
    mutex_init(&rig->lock);
    cond_init(&rig->changed);
    rig->server = http_server_start(answer, rig);
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/",
                   (unsigned)http_server_port(rig->server));
    rig->registry = metrics_create();
    discovery_metrics_init(&rig->metrics, rig->registry);
    rig->http = (struct http_discovery_config){str_from_cstr(rig->url), 3600000, {0}};
    rig->section = (struct discovery_config){STR("http"), true, &rig->http, 1};
    rig->config.job_name = STR("j");
    rig->owner = (struct discovery_owner){take, rig, &rig->metrics};
    struct scrape_job_set *set = scrape_job_set_create(NULL, NULL);
    assert_int_equal(scrape_job_create(set, &rig->config, &rig->job, &why), OK);
    scrape_job_set_unref(set);
    strbuf_deinit(&why);
}

static void end(struct rig *rig)
{
    scrape_job_unref(rig->job);
    http_server_stop(rig->server);
    metrics_destroy(rig->registry);
    cond_deinit(&rig->changed);
    mutex_deinit(&rig->lock);
}

static void wait_for(struct rig *rig, uint32_t lists, uint32_t none)
{
    mutex_lock(&rig->lock);
    while (rig->lists < lists || rig->none < none)
        cond_wait(&rig->changed, &rig->lock);
    mutex_unlock(&rig->lock);
}

/* ---- what /metrics would show ---- */

struct search {
    const char *name;
    const char *suffix;
    uint32_t series;
    double value; /* of all of them */
};

static void look(void *context, struct str name, const char *suffix, const struct str *names,
                 const struct str *values, size_t label_count, double value)
{
    struct search *search = context;
    (void)names;
    if (!str_equal_cstr(name, search->name) || strcmp(suffix, search->suffix) != 0)
        return;
    assert_true(label_count > 0 && str_equal(values[0], STR("http")));
    search->series++;
    search->value += value;
}

static void ignore(void *context, struct str name, enum metric_type type, struct str help)
{
    (void)context;
    (void)name;
    (void)type;
    (void)help;
}

static void expect_metric(struct rig *rig, const char *name, const char *suffix, uint32_t series,
                          double value)
{
    struct search search = {name, suffix, 0, 0};
    const struct metrics_visitor visitor = {ignore, look, &search};
    metrics_visit(rig->registry, &visitor);
    if (search.series != series || search.value != value)
        fail_msg("%s%s: %u series with %g", name, suffix, search.series, search.value);
}

static const char failures[] = "prometheus_sd_refresh_failures_total";
static const char duration[] = "prometheus_sd_refresh_duration_seconds";
static const char histogram[] = "prometheus_sd_refresh_duration_histogram_seconds";

/* Counted as long as a run of these labels lives; over all jobs, for ever. */
static void test_counts(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig);
    expect_metric(&rig, failures, "", 0, 0);
    struct discovery_run *first = discovery_run_start(rig.job, &rig.section, &rig.owner);
    wait_for(&rig, 1, 0);
    struct discovery_run *second = discovery_run_start(rig.job, &rig.section, &rig.owner);
    wait_for(&rig, 2, 0);
    discovery_runs_stop(first);
    expect_metric(&rig, failures, "", 1, 0);
    expect_metric(&rig, duration, "_count", 1, 2);
    expect_metric(&rig, histogram, "_count", 1, 2);
    rig.broken = true;
    struct discovery_run *third = discovery_run_start(rig.job, &rig.section, &rig.owner);
    wait_for(&rig, 2, 1);
    discovery_runs_stop(third);
    expect_metric(&rig, failures, "", 1, 1);
    discovery_runs_stop(second);
    expect_metric(&rig, failures, "", 0, 0);
    expect_metric(&rig, duration, "_count", 0, 0);
    expect_metric(&rig, histogram, "_count", 1, 3);
    assert_int_equal(rig.lists, 2);
    assert_int_equal(rig.none, 1);
    end(&rig);
}

/* A refresh that fails says nothing, so that what was found before stays. */
static void test_failure_keeps(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig);
    rig.http.refresh_interval_ms = 100;
    rig.broken = true;
    struct discovery_run *run = discovery_run_start(rig.job, &rig.section, &rig.owner);
    wait_for(&rig, 0, 1);
    rig.broken = false;
    wait_for(&rig, 2, 1);
    rig.broken = true;
    mutex_lock(&rig.lock);
    for (uint32_t enough = rig.refusals + 3; rig.refusals < enough;)
        cond_wait(&rig.changed, &rig.lock);
    mutex_unlock(&rig.lock);
    discovery_runs_stop(run);
    assert_int_equal(rig.none, 1);
    end(&rig);
}

static void test_pauses(void **state)
{
    (void)state;
    assert_int_equal(discovery_pause_ms(0), 100);
    assert_int_equal(discovery_pause_ms(30000), 30000);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_failure_keeps),
        cmocka_unit_test(test_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
