/* The reference store itself: what the conformance suites stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/query/promql.h"

#include "reference_store.h"

struct fixture {
    struct storage *storage;
    struct appender *appender;
    struct arena arena;
    struct strbuf why;
};

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    f->storage = reference_store_create();
    arena_init(&f->arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(storage_appender_open(f->storage, &f->appender, &f->why), OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    appender_close(f->appender);
    reference_store_destroy(f->storage);
    arena_deinit(&f->arena);
    strbuf_deinit(&f->why);
    mem_free(MEM_TEST, f);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
    return 0;
}

static series_ref add_series(struct fixture *f, const char *name)
{
    struct label label = {LABEL_NAME, str_from_cstr(name)};
    series_ref ref;
    bool created;
    assert_int_equal(
        appender_series(f->appender, (struct labels){&label, 1}, &ref, &created, &f->why), OK);
    return ref;
}

static err_t add_float(struct fixture *f, series_ref ref, int64_t t_ms, double value)
{
    uint8_t outcome = 0;
    struct append_batch batch = {
        .count = 1, .refs = &ref, .t_all_ms = t_ms, .values = &value, .outcomes = &outcome};
    assert_int_equal(appender_add(f->appender, &batch, &f->why), OK);
    return (err_t)outcome;
}

static err_t add_histogram(struct fixture *f, series_ref ref, int64_t t_ms,
                           const struct histogram *histogram)
{
    uint8_t outcome = 0;
    double value = 0;
    struct append_batch batch = {.count = 1,
                                 .refs = &ref,
                                 .t_all_ms = t_ms,
                                 .values = &value,
                                 .histograms = &histogram,
                                 .outcomes = &outcome};
    assert_int_equal(appender_add(f->appender, &batch, &f->why), OK);
    return (err_t)outcome;
}

/* Number of samples of all series matching the query; the last one's value goes to *last. */
static size_t count_samples(struct fixture *f, struct querier *querier, const char *text,
                            double *last)
{
    struct selector selector;
    assert_int_equal(
        promql_parse_selector(str_from_cstr(text), true, &f->arena, &selector, &f->why), OK);
    struct series_list list;
    assert_int_equal(querier_select(querier, selector, NULL, &f->arena, &list, &f->why), OK);
    struct series_cursor *cursor;
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    size_t total = 0;
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &f->why),
                         OK);
        bool found = true;
        for (;;) {
            struct sample_column_info info;
            assert_int_equal(series_cursor_next(cursor, &info, &found, &f->why), OK);
            if (!found)
                break;
            struct sample_column column;
            assert_int_equal(series_cursor_decode(cursor, &column, &f->why), OK);
            assert_int_equal(column.count, info.count);
            assert_int_equal(column.t_ms[0], info.first_t_ms);
            assert_int_equal(column.t_ms[column.count - 1], info.last_t_ms);
            total += column.count;
            if (last != NULL && column.kind == SAMPLES_FLOAT)
                *last = column.values[column.count - 1];
        }
    }
    series_cursor_close(cursor);
    promql_selector_deinit(&selector);
    return total;
}

static void commits_are_seen_as_a_whole(void **state)
{
    struct fixture *f = *state;
    appender_begin(f->appender, 1, NULL);
    series_ref ref = add_series(f, "a");
    for (int i = 0; i < 250; i++)
        assert_int_equal(add_float(f, ref, i, i), OK);
    struct querier *before;
    assert_int_equal(storage_querier_open(f->storage, INT64_MIN, INT64_MAX, &before, &f->why), OK);
    assert_int_equal(count_samples(f, before, "a", NULL), 0);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    assert_int_equal(count_samples(f, before, "a", NULL), 0);
    struct querier *after;
    assert_int_equal(storage_querier_open(f->storage, INT64_MIN, INT64_MAX, &after, &f->why), OK);
    double last = 0;
    assert_int_equal(count_samples(f, after, "a", &last), 250);
    assert_true(last == 249);
    querier_close(before);
    querier_close(after);
}

static void rollback_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    appender_begin(f->appender, 1, NULL);
    series_ref ref = add_series(f, "a");
    assert_int_equal(add_float(f, ref, 10, 1), OK);
    appender_rollback(f->appender);
    appender_begin(f->appender, 1, NULL);
    assert_int_equal(add_float(f, ref, 5, 2), OK);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    int64_t min_t_ms;
    int64_t max_t_ms;
    assert_true(storage_time_range(f->storage, &min_t_ms, &max_t_ms));
    assert_int_equal(min_t_ms, 5);
    assert_int_equal(max_t_ms, 5);
}

static void order_is_judged(void **state)
{
    struct fixture *f = *state;
    struct append_options options = {.t_max_ms = 100};
    appender_begin(f->appender, 1, &options);
    series_ref ref = add_series(f, "a");
    assert_int_equal(add_float(f, ref, 10, 1), OK);
    assert_int_equal(add_float(f, ref, 10, 1), OK);
    assert_int_equal(add_float(f, ref, 10, 2), ERR_DUPLICATE);
    assert_int_equal(add_float(f, ref, 9, 1), ERR_OUT_OF_ORDER);
    assert_int_equal(add_float(f, ref, 9, double_from_bits(STALE_NAN_BITS)), OK);
    assert_int_equal(add_float(f, ref, 101, 1), ERR_OUT_OF_BOUNDS);
    assert_int_equal(add_float(f, ref + 1, 20, 1), ERR_STALE_REF);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    struct querier *querier;
    assert_int_equal(storage_querier_open(f->storage, 0, 1000, &querier, &f->why), OK);
    assert_int_equal(count_samples(f, querier, "a", NULL), 1);
    querier_close(querier);
}

static void deletion_hides_samples_from_later_readers(void **state)
{
    struct fixture *f = *state;
    appender_begin(f->appender, 1, NULL);
    series_ref ref = add_series(f, "a");
    for (int i = 0; i < 10; i++)
        assert_int_equal(add_float(f, ref, i, i), OK);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    struct querier *before;
    assert_int_equal(storage_querier_open(f->storage, 0, 1000, &before, &f->why), OK);
    struct selector selector;
    assert_int_equal(promql_parse_selector(STR("a"), false, &f->arena, &selector, &f->why), OK);
    assert_int_equal(storage_delete_samples(f->storage, 3, 5, selector, &f->why), OK);
    promql_selector_deinit(&selector);
    struct querier *after;
    assert_int_equal(storage_querier_open(f->storage, 0, 1000, &after, &f->why), OK);
    assert_int_equal(count_samples(f, before, "a", NULL), 10);
    assert_int_equal(count_samples(f, after, "a", NULL), 7);
    querier_close(before);
    querier_close(after);
}

static enum histogram_hint hint_at(struct fixture *f, int64_t t_ms)
{
    struct querier *querier;
    assert_int_equal(storage_querier_open(f->storage, 0, 1000, &querier, &f->why), OK);
    struct series_list list;
    assert_int_equal(
        querier_select(querier, (struct selector){NULL, 0}, NULL, &f->arena, &list, &f->why), OK);
    struct series_cursor *cursor;
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    assert_int_equal(series_cursor_seek(cursor, &list.items[0], t_ms, t_ms, &f->why), OK);
    struct sample_column_info info;
    struct sample_column column;
    bool found;
    assert_int_equal(series_cursor_next(cursor, &info, &found, &f->why), OK);
    assert_true(found);
    assert_int_equal(series_cursor_decode(cursor, &column, &f->why), OK);
    assert_int_equal(column.kind, SAMPLES_HISTOGRAM);
    assert_int_equal(column.count, 1);
    enum histogram_hint hint = column.histograms[0].hint;
    series_cursor_close(cursor);
    querier_close(querier);
    return hint;
}

static void histograms_get_the_hints_of_their_runs(void **state)
{
    struct fixture *f = *state;
    struct histogram_span span = {0, 1};
    union histogram_count counts[] = {{.f = 1}, {.f = 3}};
    struct histogram small = {
        .kind = HISTOGRAM_FLOAT,
        .count.f = 1,
        .sum = 1,
        .positive = {.spans = &span, .counts = &counts[0], .span_count = 1, .bucket_count = 1}};
    struct histogram large = small;
    large.count.f = 3;
    large.positive.counts = &counts[1];
    struct histogram gauge = small;
    gauge.hint = HISTOGRAM_HINT_GAUGE;
    appender_begin(f->appender, 1, NULL);
    series_ref ref = add_series(f, "h");
    assert_int_equal(add_histogram(f, ref, 1, &small), OK);
    assert_int_equal(add_histogram(f, ref, 2, &large), OK);
    assert_int_equal(add_histogram(f, ref, 3, &small), OK);
    assert_int_equal(add_float(f, ref, 4, 7), OK);
    assert_int_equal(add_histogram(f, ref, 5, &large), OK);
    assert_int_equal(add_float(f, ref, 6, double_from_bits(STALE_NAN_BITS)), OK);
    assert_int_equal(add_histogram(f, ref, 7, &large), OK);
    assert_int_equal(add_histogram(f, ref, 8, &gauge), OK);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    assert_int_equal(hint_at(f, 1), HISTOGRAM_HINT_UNKNOWN);
    assert_int_equal(hint_at(f, 2), HISTOGRAM_HINT_NOT_RESET);
    assert_int_equal(hint_at(f, 3), HISTOGRAM_HINT_UNKNOWN);
    assert_int_equal(hint_at(f, 5), HISTOGRAM_HINT_UNKNOWN);
    assert_int_equal(hint_at(f, 6), HISTOGRAM_HINT_NOT_RESET);
    assert_int_equal(hint_at(f, 7), HISTOGRAM_HINT_UNKNOWN);
    assert_int_equal(hint_at(f, 8), HISTOGRAM_HINT_GAUGE);
}

static void exemplars_are_found_by_selector_and_time(void **state)
{
    struct fixture *f = *state;
    struct label label = {STR("trace_id"), STR("x")};
    struct exemplar exemplar = {.labels = {&label, 1}, .value = 1, .t_ms = 10};
    appender_begin(f->appender, 1, NULL);
    series_ref ref = add_series(f, "a");
    assert_int_equal(appender_add_exemplar(f->appender, ref, &exemplar, &f->why), OK);
    assert_int_equal(appender_add_exemplar(f->appender, ref, &exemplar, &f->why), ERR_DUPLICATE);
    exemplar.t_ms = 20;
    assert_int_equal(appender_add_exemplar(f->appender, ref, &exemplar, &f->why), OK);
    exemplar.t_ms = 19;
    assert_int_equal(appender_add_exemplar(f->appender, ref, &exemplar, &f->why), ERR_OUT_OF_ORDER);
    assert_int_equal(appender_commit(f->appender, &f->why), OK);
    struct selector selector;
    assert_int_equal(promql_parse_selector(STR("a"), false, &f->arena, &selector, &f->why), OK);
    struct querier *querier;
    assert_int_equal(storage_querier_open(f->storage, 15, 30, &querier, &f->why), OK);
    struct exemplar_list list;
    assert_int_equal(querier_exemplars(querier, &selector, 1, &f->arena, &list, &f->why), OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].count, 1);
    assert_int_equal(list.items[0].items[0].t_ms, 20);
    querier_close(querier);
    promql_selector_deinit(&selector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commits_are_seen_as_a_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rollback_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(order_is_judged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deletion_hides_samples_from_later_readers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(histograms_get_the_hints_of_their_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(exemplars_are_found_by_selector_and_time, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
