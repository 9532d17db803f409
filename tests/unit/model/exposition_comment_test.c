#include "narthex/model/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static size_t line_size(struct str rest)
{
    size_t end = str_find(rest, '\n', 0);
    assert_int_not_equal(end, SIZE_MAX);
    return end + 1;
}

/* Skipping the TYPE and HELP lines gives the same samples, with the same types, as reading them. */
static void skips(enum exposition_format format, struct str body, bool skip)
{
    struct exposition *exposition = exposition_create();
    struct exposition_options options = {0};
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    const enum metadata_type summary = METADATA_SUMMARY;
    exposition_start(exposition, format, &options, body);
    for (int i = 0; i < 2; i++) {
        struct str rest = exposition_peek_comment(exposition);
        assert_true(rest.size > 0);
        assert_int_equal(exposition_peek(exposition).size, 0);
        if (skip)
            exposition_skip_comment(exposition, line_size(rest), i == 0 ? NULL : &summary);
        else
            assert_int_equal(exposition_next(exposition, &entry, &why), OK);
    }
    assert_int_equal(exposition_peek_comment(exposition).size, 0);
    assert_true(exposition_peek(exposition).size > 0);
    assert_int_equal(exposition_next(exposition, &entry, &why), OK);
    assert_int_equal(entry.kind, EXPOSITION_SAMPLE);
    assert_int_equal(entry.type, METADATA_SUMMARY);
    assert_true(entry.value == 5);
    assert_int_equal(exposition_next(exposition, &entry, &why), OK);
    assert_int_equal(entry.kind, EXPOSITION_END);
    strbuf_deinit(&why);
    exposition_destroy(exposition);
}

static void test_skipping(void **state)
{
    (void)state;
    struct str text = STR("\n\n# HELP s Text.\n# TYPE s summary\ns{quantile=\"1\"} 5\n");
    struct str openmetrics = STR("# HELP s Text.\n# TYPE s summary\ns{quantile=\"1\"} 5\n# EOF\n");
    skips(EXPOSITION_TEXT, text, false);
    skips(EXPOSITION_TEXT, text, true);
    skips(EXPOSITION_OPENMETRICS, openmetrics, false);
    skips(EXPOSITION_OPENMETRICS, openmetrics, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
