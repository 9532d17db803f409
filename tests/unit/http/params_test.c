/* Parameters by the rules of the HTTP API: limits, form pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "request.h"

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
        cmocka_unit_test(limits_name_what_is_wrong),
        cmocka_unit_test(form_pairs_are_decoded_or_dropped),
        cmocka_unit_test(label_names_in_paths_are_found),
        cmocka_unit_test(json_is_escaped_as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
