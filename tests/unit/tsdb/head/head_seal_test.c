/* When sealing is worth its while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "narthex/tsdb/head.h"

enum { SOURCES = 200, BATCH = SOURCES / 64 };

static void commit_sample(struct appender *appender, source_ref source, int number, int64_t t_ms)
{
    struct strbuf why = STRBUF_INIT;
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    struct label label = {STR("n"), str_from_cstr(text)};
    struct labels labels = {&label, 1};
    series_ref ref;
    double value = number;
    uint8_t outcome;
    appender_begin(appender, source, NULL);
    assert_int_equal(appender_series(appender, labels, &ref, NULL, &why), OK);
    const struct append_batch batch = {
        .count = 1, .refs = &ref, .t_all_ms = t_ms, .values = &value, .outcomes = &outcome};
    assert_int_equal(appender_add(appender, &batch, &why), OK);
    assert_int_equal(outcome, OK);
    assert_int_equal(appender_commit(appender, &why), OK);
    strbuf_deinit(&why);
}

static void few_windows_of_many_wait(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    struct head_options options = {0};
    struct head *head = head_create(&options);
    struct appender *appender;
    source_ref sources[SOURCES];
    assert_int_equal(head_appender_open(head, &appender, &why), OK);
    for (int i = 0; i < SOURCES; i++) {
        sources[i] = head_source_open(head, (uint64_t)i + 1);
        commit_sample(appender, sources[i], i, 1000);
    }
    assert_false(head_seal_is_due(head));
    for (int i = 0; i < BATCH; i++)
        head_source_close(head, sources[i]);
    assert_false(head_seal_is_due(head));
    head_source_close(head, sources[BATCH]);
    assert_true(head_seal_is_due(head));
    assert_int_equal(head_seal(head, 0), 0);
    assert_false(head_seal_is_due(head));
    for (int i = BATCH + 1; i < SOURCES; i++)
        head_source_close(head, sources[i]);
    appender_close(appender);
    head_destroy(head);
    strbuf_deinit(&why);
}

static void the_only_window_does_not_wait(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    struct head_options options = {0};
    struct head *head = head_create(&options);
    struct appender *appender;
    assert_int_equal(head_appender_open(head, &appender, &why), OK);
    source_ref source = head_source_open(head, 1);
    commit_sample(appender, source, 1, 1000);
    assert_false(head_seal_is_due(head));
    head_source_close(head, source);
    assert_true(head_seal_is_due(head));
    appender_close(appender);
    head_destroy(head);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_windows_of_many_wait),
        cmocka_unit_test(the_only_window_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
