#include "discovery_json_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static err_t collect(void *context, struct str key, struct str value, struct strbuf *why)
{
    (void)why;
    struct strbuf *out = context;
    strbuf_printf(out, "%.*s>%.*s|", STR_ARG(key), STR_ARG(value));
    return OK;
}

/* Feeds the text in pieces of `piece` bytes; what was taken, or "!" and the error. */
static void feed(enum json_stream_shape shape, const char *text, size_t piece, size_t value_max,
                 struct strbuf *out)
{
    struct json_stream stream;
    struct strbuf why = STRBUF_INIT;
    strbuf_clear(out);
    json_stream_init(&stream, shape, value_max, collect, out);
    err_t err = OK;
    for (size_t at = 0, size = strlen(text); err == OK && at < size; at += piece)
        err = json_stream_feed(&stream, text + at, size - at < piece ? size - at : piece, &why);
    if (err == OK)
        err = json_stream_finish(&stream, &why);
    if (err != OK)
        strbuf_printf(out, "!%s", strbuf_cstr(&why));
    json_stream_deinit(&stream);
    strbuf_deinit(&why);
}

static void assert_taken(enum json_stream_shape shape, const char *text, const char *expected)
{
    struct strbuf out = STRBUF_INIT;
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        feed(shape, text, piece, 1000, &out);
        assert_string_equal(strbuf_cstr(&out), expected);
    }
    strbuf_deinit(&out);
}

static void test_lists(void **state)
{
    (void)state;
    assert_taken(JSON_STREAM_LIST, "{}", "");
    assert_taken(JSON_STREAM_LIST, " { \"items\" : [ ] } \n", "");
    assert_taken(JSON_STREAM_LIST, "{\"items\":null}", "items>null|");
    assert_taken(JSON_STREAM_LIST,
                 "{\"kind\":\"L\",\"metadata\":{\"a\":[1,{}]},\"items\":[{\"x\":\"]}\\\"\"},7 ,"
                 "\"s\",[1,[2]]],\"n\":-1.5e3}",
                 "kind>\"L\"|metadata>{\"a\":[1,{}]}|items>{\"x\":\"]}\\\"\"}|items>7|items>\"s\"|"
                 "items>[1,[2]]|n>-1.5e3|");
}

static void test_values(void **state)
{
    (void)state;
    assert_taken(JSON_STREAM_VALUES, "", "");
    assert_taken(JSON_STREAM_VALUES, "{\"a\":1}\n{\"b\":[\"}\"]} [2]\"x\" 5 ",
                 ">{\"a\":1}|>{\"b\":[\"}\"]}|>[2]|>\"x\"|>5|");
}

static void test_broken(void **state)
{
    (void)state;
    const char *end = "!json: unexpected end of the answer";
    assert_taken(JSON_STREAM_LIST, "", end);
    assert_taken(JSON_STREAM_LIST, "{\"items\":[", end);
    assert_taken(JSON_STREAM_LIST, "{\"a\"", end);
    assert_taken(JSON_STREAM_LIST, "{\"items\":[{}",
                 "items>{}|!json: unexpected end of the answer");
    assert_taken(JSON_STREAM_VALUES, "{\"a\":\"", end);
    assert_taken(JSON_STREAM_LIST, "[]", "!json: unexpected \"[\"");
    assert_taken(JSON_STREAM_LIST, "{,", "!json: unexpected \",\"");
    assert_taken(JSON_STREAM_LIST, "{\"a\" 1}", "!json: unexpected \"1\"");
    assert_taken(JSON_STREAM_LIST, "{\"items\":[,", "!json: unexpected \",\"");
    assert_taken(JSON_STREAM_LIST, "{\"items\":[1,]", "items>1|!json: unexpected \"]\"");
    assert_taken(JSON_STREAM_LIST, "{\"a\":1,}", "a>1|!json: unexpected \"}\"");
    assert_taken(JSON_STREAM_LIST, "{}x", "!json: unexpected \"x\"");
    assert_taken(JSON_STREAM_VALUES, "}", "!json: unexpected \"}\"");
}

static void test_limits(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    feed(JSON_STREAM_LIST, "{\"items\":[\"123456\"]}", 3, 8, &out);
    assert_string_equal(strbuf_cstr(&out), "items>\"123456\"|");
    /* One that is too long comes empty, the others as they are. */
    feed(JSON_STREAM_LIST, "{\"items\":[1,\"1234567\",[2]]}", 3, 8, &out);
    assert_string_equal(strbuf_cstr(&out), "items>1|items>|items>[2]|");
    struct strbuf endless = STRBUF_INIT;
    strbuf_add_cstr(&endless, "{\"items\":[\"");
    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&endless, 'x');
    feed(JSON_STREAM_LIST, strbuf_cstr(&endless), 3, 8, &out);
    assert_string_equal(strbuf_cstr(&out), "!json: a value of more than 128 bytes");
    strbuf_deinit(&endless);
    /* Depth: opening brackets without end. */
    struct strbuf deep = STRBUF_INIT;
    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&deep, '[');
    feed(JSON_STREAM_VALUES, strbuf_cstr(&deep), 1, 5000, &out);
    assert_string_equal(strbuf_cstr(&out), "!json: nested more than 256 deep");
    strbuf_deinit(&deep);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
