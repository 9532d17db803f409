/* Times and durations as the HTTP API reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/api_time.h"

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
        if (api_time_parse(str_from_cstr(cases[i].text), &t_ms, &why) != OK)
            fail_msg("%s: %s", cases[i].text, strbuf_cstr(&why));
        if (t_ms != cases[i].t_ms)
            fail_msg("%s: %lld", cases[i].text, (long long)t_ms);
    }
    static const char *const bad[] = {
        "",   "x",  "2015-07-01", "2015-02-29T00:00:00Z", "1__0",
        "_1", "1_", "1_.5",       "2015-07-01T20:10:51",  "2015-07-01T24:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t t_ms;
        assert_int_equal(api_time_parse(str_from_cstr(bad[i]), &t_ms, &why), ERR_INVALID);
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
    assert_int_equal(api_duration_parse(STR("15"), &ms, &why), OK);
    assert_int_equal(ms, 15000);
    assert_int_equal(api_duration_parse(STR("0.25"), &ms, &why), OK);
    assert_int_equal(ms, 250);
    assert_int_equal(api_duration_parse(STR("1h30m"), &ms, &why), OK);
    assert_int_equal(ms, 5400000);
    assert_int_equal(api_duration_parse(STR("1x"), &ms, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), "cannot parse \"1x\" to a valid duration");
    assert_int_equal(api_duration_parse(STR("1e30"), &ms, &why), ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why),
                        "cannot parse \"1e30\" to a valid duration. It overflows int64");
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_floats_or_rfc3339),
        cmocka_unit_test(durations_are_floats_or_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
