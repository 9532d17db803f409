#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_line.h"

static const int64_t moment_ms = 1700000000123; /* 2023-11-14T22:13:20.123Z */

static void add_line(struct strbuf *out, enum log_format format, enum log_level level, uint32_t cut,
                     const char *message, ...)
{
    va_list pairs;
    va_start(pairs, message);
    log__add_line(out, format, moment_ms, level, message, cut, pairs);
    va_end(pairs);
}

static void logfmt_quotes_what_needs_it(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    add_line(&out, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN, 0, "two words", "plain", "a/b:1", "empty", "",
             "equals", "a=b", "quote", "say \"x\"\n", "bytes", "\xff", NULL);
    assert_string_equal(out.data, "time=2023-11-14T22:13:20.123Z level=WARN msg=\"two words\" "
                                  "plain=a/b:1 empty=\"\" equals=\"a=b\" "
                                  "quote=\"say \\\"x\\\"\\n\" bytes=\"\\xff\"\n");
    strbuf_deinit(&out);
}

static void json_escapes_and_replaces(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    add_line(&out, LOG_FORMAT_JSON, LOG_LEVEL_ERROR, 3, "m", "k\"", "a\\b\x01", "u", "\xc3\xa9\xff",
             NULL);
    assert_string_equal(out.data,
                        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"ERROR\",\"msg\":\"m\","
                        "\"k\\\"\":\"a\\\\b\\u0001\",\"u\":\"\xc3\xa9\\ufffd\","
                        "\"lines_left_out\":3}\n");
    strbuf_deinit(&out);
}

static void a_site_is_cut_within_a_second_and_says_so_after(void **state)
{
    (void)state;
    struct log_site site = {0};
    uint32_t cut = 0;
    for (int i = 0; i < LOG_SITE_BURST; i++) {
        assert_true(log__admit(&site, 7, &cut));
        assert_int_equal(cut, 0);
    }
    for (int i = 0; i < 5; i++)
        assert_false(log__admit(&site, 7, &cut));
    assert_true(log__admit(&site, 8, &cut));
    assert_int_equal(cut, 5);
    assert_true(log__admit(&site, 8, &cut));
    assert_int_equal(cut, 0);
}

static void levels_below_the_configured_one_are_off(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_needs_it),
        cmocka_unit_test(json_escapes_and_replaces),
        cmocka_unit_test(a_site_is_cut_within_a_second_and_says_so_after),
        cmocka_unit_test(levels_below_the_configured_one_are_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
