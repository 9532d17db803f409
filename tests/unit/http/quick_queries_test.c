/* Which queries are answered where they were read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quick_queries.h"

static struct quick_queries queries;

static int start_anew(void **state)
{
    (void)state;
    queries = (struct quick_queries){0};
    return 0;
}

static void note(const struct query_request *request, double seconds, uint32_t points)
{
    struct query_series series = {.float_count = points};
    struct query_result result = {.series = &series, .series_count = 1};
    result.stats.queue_s = 3;
    result.stats.exec_total_s = 3 + seconds;
    quick_queries__note(&queries, request, &result);
}

static void test_times_move(void **state)
{
    (void)state;
    struct query_request request = {.text = STR("up"), .range = true, .end_ms = 60000};
    request.step_ms = 1000;
    assert_false(quick_queries__has(&queries, &request));
    note(&request, 1e-4, 60);
    assert_true(quick_queries__has(&queries, &request));
    request.start_ms += 5000;
    request.end_ms += 5000;
    assert_true(quick_queries__has(&queries, &request));

    struct query_request other = request;
    other.text = STR("down");
    assert_false(quick_queries__has(&queries, &other));
    other = request;
    other.step_ms = 500;
    assert_false(quick_queries__has(&queries, &other));
    other = request;
    other.end_ms += 1000;
    assert_false(quick_queries__has(&queries, &other));
    other = request;
    other.range = false;
    assert_false(quick_queries__has(&queries, &other));
}

static void test_long_ones(void **state)
{
    (void)state;
    struct query_request request = {.text = STR("up")};
    note(&request, 0.01, 1);
    assert_false(quick_queries__has(&queries, &request));
    note(&request, 1e-4, 1);
    assert_true(quick_queries__has(&queries, &request));
    note(&request, 0.003, 1); /* an interruption */
    assert_true(quick_queries__has(&queries, &request));
    note(&request, 0.1, 1);
    assert_false(quick_queries__has(&queries, &request));
    note(&request, 1e-4, 1);
    quick_queries__note(&queries, &request, NULL);
    assert_false(quick_queries__has(&queries, &request));
    note(&request, 1e-4, 1);
    note(&request, 1e6, 1);
    assert_false(quick_queries__has(&queries, &request));
}

static void test_long_answers(void **state)
{
    (void)state;
    struct query_request request = {.text = STR("up")};
    uint64_t most = quick_queries__trial().points;
    note(&request, 1e-4, (uint32_t)most);
    assert_true(quick_queries__has(&queries, &request));
    request.text = STR("up1");
    note(&request, 1e-4, (uint32_t)most + 1);
    assert_false(quick_queries__has(&queries, &request));
    request.text = STR("up2");
    struct query_series series = {.histogram_count = 1};
    struct query_result result = {.series = &series, .series_count = 1};
    quick_queries__note(&queries, &request, &result);
    assert_false(quick_queries__has(&queries, &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_times_move, start_anew),
        cmocka_unit_test_setup(test_long_ones, start_anew),
        cmocka_unit_test_setup(test_long_answers, start_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
