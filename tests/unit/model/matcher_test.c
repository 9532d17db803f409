#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/model/matcher.h"

static void every_kind_matches(void **state)
{
    (void)state;
    static const struct {
        enum matcher_kind kind;
        const char *pattern;
        const char *value;
        bool matches;
    } cases[] = {
        {MATCH_EQUAL, "a", "a", true},
        {MATCH_EQUAL, "a", "b", false},
        {MATCH_EQUAL, "", "", true},
        {MATCH_NOT_EQUAL, "a", "", true},
        {MATCH_NOT_EQUAL, "a", "a", false},
        {MATCH_REGEX, "a|b", "b", true},
        {MATCH_REGEX, "a|b", "ab", false},
        {MATCH_REGEX, ".+", "", false},
        {MATCH_REGEX, "|x", "", true},
        {MATCH_NOT_REGEX, "a.*", "b", true},
        {MATCH_NOT_REGEX, "a.*", "a\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct matcher matcher;
        struct strbuf why = STRBUF_INIT;
        struct str value = str_from_cstr(cases[i].value);
        assert_int_equal(
            matcher_init(&matcher, cases[i].kind, STR("l"), str_from_cstr(cases[i].pattern), &why),
            OK);
        assert_int_equal(matcher_matches(&matcher, value), cases[i].matches);
        if (value.size == 0)
            assert_int_equal(matcher_matches_empty(&matcher), cases[i].matches);
        matcher_deinit(&matcher);
        strbuf_deinit(&why);
    }
}

static void absent_labels_count_as_empty(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    struct matcher matchers[2];
    struct label items[] = {{STR("job"), STR("x")}};
    struct labels labels = {items, 1};
    assert_int_equal(matcher_init(&matchers[0], MATCH_EQUAL, STR("job"), STR("x"), &why), OK);
    assert_int_equal(matcher_init(&matchers[1], MATCH_EQUAL, STR("zone"), STR(""), &why), OK);
    assert_true(matchers_match(matchers, 2, labels));
    matcher_deinit(&matchers[1]);
    assert_int_equal(matcher_init(&matchers[1], MATCH_NOT_EQUAL, STR("zone"), STR(""), &why), OK);
    assert_false(matchers_match(matchers, 2, labels));
    matcher_deinit(&matchers[0]);
    matcher_deinit(&matchers[1]);
    strbuf_deinit(&why);
}

static void print_and_errors(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct matcher matcher;
    assert_int_equal(matcher_init(&matcher, MATCH_REGEX, STR("a.b"), STR("x\"(y)"), &out), OK);
    matcher_print(&matcher, &out);
    assert_string_equal(strbuf_cstr(&out), "\"a.b\"=~\"x\\\"(y)\"");
    matcher_deinit(&matcher);
    assert_int_equal(matcher_init(&matcher, MATCH_NOT_REGEX, STR("a"), STR("(x"), &out),
                     ERR_INVALID);
    assert_string_equal(strbuf_cstr(&out), "error parsing regexp: missing closing ): `^(?s:(x)$`");
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_matches),
        cmocka_unit_test(absent_labels_count_as_empty),
        cmocka_unit_test(print_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
