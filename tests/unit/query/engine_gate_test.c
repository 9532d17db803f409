/* Places in the engine: waiting in line, being seen, being killed, the log, own metrics. */
#include <stdlib.h>
#include <unistd.h>

#include "narthex/base/fs.h"
#include "narthex/base/thread.h"
#include "query_fixture.h"

/* A store whose querier_open waits until the test lets it go on. */
struct slow_store {
    struct storage storage;
    struct storage_ops ops;
    struct storage *inner;
    struct mutex lock;
    struct cond changed;
    int entered; /* guarded by lock */
    bool open;   /* guarded by lock */
};

static err_t slow_querier_open(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                               struct querier **querier, struct strbuf *why)
{
    struct slow_store *slow = (struct slow_store *)storage;
    mutex_lock(&slow->lock);
    slow->entered++;
    cond_broadcast(&slow->changed);
    while (!slow->open)
        cond_wait(&slow->changed, &slow->lock);
    mutex_unlock(&slow->lock);
    return storage_querier_open(slow->inner, min_t_ms, max_t_ms, querier, why);
}

struct running {
    struct query_engine *engine;
    struct str text; /* empty: up */
    struct thread thread;
    err_t err;
};

static void run_one(void *context)
{
    struct running *running = context;
    struct query_request request = {.text = running->text.size > 0 ? running->text : STR("up"),
                                    .start_ms = 60000,
                                    .client = STR("10.0.0.1:80")};
    struct query_result *result;
    struct strbuf why = STRBUF_INIT;
    running->err = query_run(running->engine, &request, &result, &why);
    query_result_destroy(result);
    strbuf_deinit(&why);
}

static void wait_entered(struct slow_store *slow, int count)
{
    mutex_lock(&slow->lock);
    while (slow->entered < count)
        cond_wait(&slow->changed, &slow->lock);
    mutex_unlock(&slow->lock);
}

static void let_go(struct slow_store *slow)
{
    mutex_lock(&slow->lock);
    slow->open = true;
    cond_broadcast(&slow->changed);
    mutex_unlock(&slow->lock);
}

static void slow_init(struct slow_store *slow)
{
    *slow = (struct slow_store){.inner = reference_store_create()};
    slow->ops = *slow->inner->ops;
    slow->ops.querier_open = slow_querier_open;
    slow->storage.ops = &slow->ops;
    mutex_init(&slow->lock);
    cond_init(&slow->changed);
}

static void slow_deinit(struct slow_store *slow)
{
    reference_store_destroy(slow->inner);
    cond_deinit(&slow->changed);
    mutex_deinit(&slow->lock);
}

static void test_queue_and_kill(void **state)
{
    (void)state;
    struct slow_store slow;
    slow_init(&slow);
    struct query_engine_options options = {.storage = &slow.storage, .max_concurrency = 1};
    struct query_engine *engine = query_engine_create(&options);
    struct running first = {.engine = engine};
    thread_start(&first.thread, "first", run_one, &first);
    wait_entered(&slow, 1);

    struct query_active active[4];
    assert_int_equal(query_engine_active(engine, active, 4), 1);
    assert_string_equal(active[0].text, "up");
    assert_string_equal(active[0].client, "10.0.0.1:80");
    assert_false(active[0].waiting);
    assert_false(active[0].range);
    assert_int_equal(active[0].start_ms, 60000);
    assert_int_equal(active[0].end_ms, 60000);
    assert_int_equal(active[0].step_ms, 0);
    assert_true(active[0].running_ms >= 0);
    assert_int_equal(active[0].samples, 0);

    /* The only place is taken: a second query waits until its own deadline. */
    struct query_request request = {.text = STR("up"), .start_ms = 60000, .timeout_ms = 1};
    struct query_result *result;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(query_run(engine, &request, &result, &why), ERR_TIMEOUT);
    assert_string_equal(strbuf_cstr(&why), "query timed out in query queue");
    atomic_bool cancel = true;
    request.timeout_ms = 0;
    request.cancel = &cancel;
    assert_int_equal(query_run(engine, &request, &result, &why), ERR_CANCELED);
    assert_string_equal(strbuf_cstr(&why), "query was canceled in query queue");

    assert_false(query_engine_kill(engine, active[0].id + 100));
    assert_true(query_engine_kill(engine, active[0].id));
    let_go(&slow);
    thread_join(&first.thread);
    assert_int_equal(first.err, ERR_CANCELED);
    assert_int_equal(query_engine_active(engine, active, 4), 0);

    cancel = false;
    assert_int_equal(query_run(engine, &request, &result, &why), OK);
    query_result_destroy(result);
    query_engine_destroy(engine);
    strbuf_deinit(&why);
    slow_deinit(&slow);
}

static void give_up(struct query_engine *engine, struct query_request *request,
                    struct query_trial trial)
{
    struct query_result *result;
    struct strbuf why = STRBUF_INIT;
    request->trial = &trial;
    assert_int_not_equal(query_run(engine, request, &result, &why), OK);
    assert_true(trial.gave_up);
    assert_null(result);
    request->trial = NULL;
    strbuf_deinit(&why);
}

/* A trial does not wait, work or answer longer than it may, and is not counted when it gives up. */
static void test_trial(void **state)
{
    (void)state;
    struct slow_store slow;
    slow_init(&slow);
    static const double values[] = {1, 2, 3};
    fixture_append(slow.inner, "__name__=up", values, 3, 1000);
    struct metrics *metrics = metrics_create();
    struct query_engine_options options = {
        .storage = &slow.storage, .metrics = metrics, .max_concurrency = 1, .threads = 1};
    struct query_engine *engine = query_engine_create(&options);
    struct running first = {.engine = engine};
    thread_start(&first.thread, "first", run_one, &first);
    wait_entered(&slow, 1);
    struct query_request request = {
        .text = STR("up"), .range = true, .end_ms = 2000, .step_ms = 1000};
    const int64_t long_ns = INT64_C(3600) * 1000000000;
    give_up(engine, &request, (struct query_trial){.time_ns = long_ns, .points = 3});
    let_go(&slow);
    thread_join(&first.thread);

    give_up(engine, &request, (struct query_trial){.time_ns = long_ns, .points = 2});
    give_up(engine, &request, (struct query_trial){.time_ns = -1, .points = 3});
    struct query_trial trial = {.time_ns = long_ns, .points = 3};
    struct query_result *result;
    struct strbuf why = STRBUF_INIT;
    request.trial = &trial;
    assert_int_equal(query_run(engine, &request, &result, &why), OK);
    assert_false(trial.gave_up);
    assert_int_equal(result->series_count, 1);
    assert_int_equal(result->series[0].float_count, 3);
    query_result_destroy(result);

    /* The first query and the trial that went to its end: 1 and 3 samples. */
    struct metric *samples =
        metric_only(metrics_counter(metrics, "prometheus_engine_query_samples_total",
                                    "Samples that queries looked at, every window anew.", NULL));
    assert_true(metric_value(samples) == 4);
    query_engine_destroy(engine);
    metrics_destroy(metrics);
    strbuf_deinit(&why);
    slow_deinit(&slow);
}

/* A long text is cut before the character that does not fit whole. */
static void test_active_text(void **state)
{
    (void)state;
    struct slow_store slow;
    slow_init(&slow);
    struct query_engine_options options = {.storage = &slow.storage};
    struct query_engine *engine = query_engine_create(&options);
    char text[QUERY_ACTIVE_TEXT_BYTES_MAX + 20];
    memset(text, ' ', sizeof text);
    memcpy(text, "up #", 4);
    memcpy(text + QUERY_ACTIVE_TEXT_BYTES_MAX - 1, "\xc3\xa9", 2);
    struct running first = {.engine = engine, .text = str_from(text, sizeof text)};
    thread_start(&first.thread, "first", run_one, &first);
    wait_entered(&slow, 1);
    struct query_active active;
    assert_int_equal(query_engine_active(engine, &active, 1), 1);
    assert_int_equal(strlen(active.text), QUERY_ACTIVE_TEXT_BYTES_MAX - 1);
    assert_memory_equal(active.text, text, QUERY_ACTIVE_TEXT_BYTES_MAX - 1);
    let_go(&slow);
    thread_join(&first.thread);
    assert_int_equal(first.err, OK);
    query_engine_destroy(engine);
    slow_deinit(&slow);
}

static void test_log(void **state)
{
    (void)state;
    char path[] = "/tmp/narthex-query-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct storage *storage = reference_store_create();
    struct metrics *metrics = metrics_create();
    struct query_engine_options options = {.storage = storage, .metrics = metrics};
    struct query_engine *engine = query_engine_create(&options);
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(query_engine_set_log_file(engine, path, &why), OK);
    struct query_request request = {.text = STR("vector(\"\\n\""), .start_ms = 60000};
    struct query_result *result;
    assert_int_equal(query_run(engine, &request, &result, &why), ERR_INVALID);
    request.text = STR("absent(up{job=\"x\"})");
    assert_int_equal(query_run(engine, &request, &result, &why), OK);
    query_result_destroy(result);
    assert_int_equal(query_engine_set_log_file(engine, "", &why), OK);
    assert_int_equal(query_run(engine, &request, &result, &why), OK);
    query_result_destroy(result);

    struct strbuf text = STRBUF_INIT;
    assert_int_equal(fs_read_file(path, 1 << 20, &text, &why), OK);
    const char *line = strbuf_cstr(&text);
    assert_non_null(strstr(line, "\"query\":\"absent(up{job=\\\"x\\\"})\""));
    assert_non_null(strstr(line, "\"start\":\"1970-01-01T00:01:00.000Z\""));
    assert_non_null(strstr(line, "\"totalQueryableSamples\":0"));
    assert_ptr_equal(strchr(line, '\n'), line + text.size - 1); /* one line */
    unlink(path);
    query_engine_destroy(engine);
    metrics_destroy(metrics);
    reference_store_destroy(storage);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_and_kill),
        cmocka_unit_test(test_trial),
        cmocka_unit_test(test_active_text),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
