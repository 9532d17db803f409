/* Parameters by the rules of the HTTP API: times, durations, limits, form pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "request.h"

static void times_are_floats_or_rfc3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t t_ms;
    } cases[] = {
        {"1700000000", 1700000000000},
        {"1700000000.1234", 1700000000123},
        {"1700000000.1236", 1700000000124},
        {"-1.5", -1500},
        {"0x1p4", 16000},
        {"1_0", 10000},
        {"0x_1_0p0", 16000},
        {"1e3", 1000000},
        {"2015-07-01T20:10:51.781Z", 1435781451781},
        {"2015-07-01T20:10:51+02:00", 1435774251000},
        {"2016-02-29T00:00:00Z", 1456704000000},
        {"1969-12-31T23:59:59.5Z", -500},
        {"-292273086-05-16T16:47:06Z", -INT64_C(9223372036854775) * 1000},
        {"Inf", INT64_MAX},
        {"NaN", INT64_MIN},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t t_ms = 0;
        if (http__parse_time(str_from_cstr(cases[i].text), &t_ms, &why) != OK)
            fail_msg("%s: %s", cases[i].text, strbuf_cstr(&why));
        if (t_ms != cases[i].t_ms)
            fail_msg("%s: %lld", cases[i].text, (long long)t_ms);
    }
    static const char *const bad[] = {
        "",   "x",  "2015-07-01", "2015-02-29T00:00:00Z", "1__0",
        "_1", "1_", "1_.5",       "2015-07-01T20:10:51",  "2015-07-01T24:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t t_ms;
        assert_int_equal(http__parse_time(str_from_cstr(bad[i]), &t_ms, &why), ERR_INVALID);
    }
    assert_string_equal(strbuf_cstr(&why),
                        "cannot parse \"2015-07-01T24:00:00Z\" to a valid timestamp");
    strbuf_deinit(&why);
}

static void durations_are_floats_or_units(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    int64_t ms;
    assert_int_equal(http__parse_duration(STR("15"), &ms, &why), OK);
    assert_int_equal(ms, 15000);
    assert_int_equal(http__parse_duration(STR("0.25"), &ms, &why), OK);
    assert_int_equal(ms, 250);
    assert_int_equal(http__parse_duration(STR("1h30m"), &ms, &why), OK);
    assert_int_equal(ms, 5400000);
    assert_int_equal(http__parse_duration(STR("1x"), &ms, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "cannot parse \"1x\" to a valid duration");
    assert_int_equal(http__parse_duration(STR("1e30"), &ms, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why),
                        "cannot parse \"1e30\" to a valid duration. It overflows int64");
    strbuf_deinit(&why);
}

static void limits_name_what_is_wrong(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    size_t limit;
    assert_int_equal(http__parse_limit(STR(""), &limit, &why), OK);
    assert_int_equal(limit, 0);
    assert_int_equal(http__parse_limit(STR("7"), &limit, &why), OK);
    assert_int_equal(limit, 7);
    assert_int_equal(http__parse_limit(STR("x"), &limit, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "strconv.Atoi: parsing \"x\": invalid syntax");
    assert_int_equal(http__parse_limit(STR("-1"), &limit, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "limit must be non-negative");
    strbuf_deinit(&why);
}

static void form_pairs_are_decoded_or_dropped(void **state)
{
    (void)state;
    struct http_request request = {0};
    arena_init(&request.arena, MEM_TEST, SIZE_MAX);
    http__params_parse(&request, STR("query=a%2Bb+c&match[]=x&broken=%zz&flag"), true);
    http__params_parse(&request, STR("match[]=y&query=second"), false);
    assert_true(str_equal(http__param(&request, "query"), STR("a+b c")));
    assert_true(http__has_param(&request, "flag"));
    assert_false(http__has_param(&request, "broken"));
    assert_true(request.has_bad_escape);
    assert_true(str_equal(request.bad_escape, STR("%zz")));
    struct str *values;
    assert_int_equal(http__params_all(&request, "match[]", &values), 2);
    assert_true(str_equal(values[0], STR("x")));
    assert_true(str_equal(values[1], STR("y")));
    arena_deinit(&request.arena);
}

static void label_names_in_paths_are_found(void **state)
{
    (void)state;
    struct http_request request = {0};
    arena_init(&request.arena, MEM_TEST, SIZE_MAX);
    request.raw_path = STR("/api/v1/label/a%2Fb/values");
    const struct http_route *route = http__route_find(&request);
    assert_non_null(route);
    assert_string_equal(route->path, "/api/v1/label/:name/values");
    assert_true(str_equal(request.path_param, STR("a/b")));
    request.raw_path = STR("/api/v1/label/a/b/values");
    assert_null(http__route_find(&request));
    request.raw_path = STR("/api/v1/quer");
    assert_null(http__route_find(&request));
    arena_deinit(&request.arena);
}

static void json_is_escaped_as_go_does(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    json_add_string(&out, STR("a\"b\\c\n\x01<&>\xff\xc3\xa4\xe2\x80\xa8"), true);
    assert_string_equal(strbuf_cstr(&out), "\"a\\\"b\\\\c\\n\\u0001\\u003c\\u0026\\u003e\\ufffd"
                                           "\xc3\xa4\\u2028\"");
    strbuf_clear(&out);
    json_add_string(&out, STR("<&>"), false);
    assert_string_equal(strbuf_cstr(&out), "\"<&>\"");
    strbuf_clear(&out);
    json_add_time(&out, 1767323045600);
    assert_string_equal(strbuf_cstr(&out), "\"2026-01-02T03:04:05.6Z\"");
    strbuf_clear(&out);
    json_add_timestamp(&out, 1700000000120);
    json_add_value(&out, 1e-7);
    assert_string_equal(strbuf_cstr(&out), "1700000000.120\"1e-07\"");
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_floats_or_rfc3339),
        cmocka_unit_test(durations_are_floats_or_units),
        cmocka_unit_test(limits_name_what_is_wrong),
        cmocka_unit_test(form_pairs_are_decoded_or_dropped),
        cmocka_unit_test(label_names_in_paths_are_found),
        cmocka_unit_test(json_is_escaped_as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
