#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/duration.h"

static void durations_print_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } cases[] = {
        {"0", 0, "0s"},
        {"90s", 90000, "1m30s"},
        {"604800s", 604800000, "1w"},
        {"1d", 86400000, "1d"},
        {"8d", 691200000, "8d"},
        {"1y", INT64_C(31536000000), "1y"},
        {"1h0m1ms", 3600001, "1h1ms"},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms;
        struct strbuf printed = STRBUF_INIT;
        assert_int_equal(duration_parse(str_from_cstr(cases[i].text), &ms, &why), OK);
        assert_int_equal(ms, cases[i].ms);
        duration_print(ms, &printed);
        assert_string_equal(strbuf_cstr(&printed), cases[i].printed);
        strbuf_deinit(&printed);
    }
    strbuf_deinit(&why);
}

static void expect_duration_error(const char *text, const char *error)
{
    struct strbuf why = STRBUF_INIT;
    int64_t ms;
    assert_int_equal(duration_parse(str_from_cstr(text), &ms, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), error);
    strbuf_deinit(&why);
}

static void bad_durations_have_prometheus_texts(void **state)
{
    (void)state;
    expect_duration_error("", "empty duration string");
    expect_duration_error("15", "not a valid duration string: \"15\"");
    expect_duration_error("1m1h", "not a valid duration string: \"1m1h\"");
    expect_duration_error("1x", "unknown unit \"x\" in duration \"1x\"");
    expect_duration_error("-1s", "not a valid duration string: \"-1s\"");
    expect_duration_error("300y", "duration out of range");
    expect_duration_error("99999999999999999999s", "duration out of range");
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
        const char *printed;
    } cases[] = {
        {"0", 0, "0B"},
        {"15MB", INT64_C(15) << 20, "15MiB"},
        {"1GiB512MiB", (INT64_C(1) << 30) + (INT64_C(512) << 20), "1GiB512MiB"},
        {"1.5GB", (INT64_C(3) << 30) / 2, "1GiB512MiB"},
        {"100B", 100, "100B"},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t bytes;
        struct strbuf printed = STRBUF_INIT;
        assert_int_equal(byte_size_parse(str_from_cstr(cases[i].text), &bytes, &why), OK);
        assert_int_equal(bytes, cases[i].bytes);
        byte_size_print(bytes, &printed);
        assert_string_equal(strbuf_cstr(&printed), cases[i].printed);
        strbuf_deinit(&printed);
    }
    int64_t bytes;
    assert_int_equal(byte_size_parse(STR("100"), &bytes, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "units: unknown unit  in 100");
    assert_int_equal(byte_size_parse(STR("1.5.5MB"), &bytes, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "units: unknown unit  in 1.5.5MB");
    assert_int_equal(byte_size_parse(STR("1kB"), &bytes, &why), ERR_INVALID);
    assert_int_equal(byte_size_parse(STR("1KB1KiB"), &bytes, &why), ERR_INVALID);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_print_normalised),
        cmocka_unit_test(bad_durations_have_prometheus_texts),
        cmocka_unit_test(sizes_are_powers_of_1024),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
