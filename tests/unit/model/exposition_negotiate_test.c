#include "narthex/model/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void accepts(const enum exposition_protocol *protocols, uint32_t count, const char *expected)
{
    struct strbuf out = STRBUF_INIT;
    exposition_accept_header(protocols, count, NAME_ESCAPING_NONE, &out);
    assert_string_equal(strbuf_cstr(&out), expected);
    strbuf_deinit(&out);
}

static void test_accept(void **state)
{
    (void)state;
    const enum exposition_protocol usual[] = {
        EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0, EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1,
        EXPOSITION_PROTOCOL_TEXT_1_0_0, EXPOSITION_PROTOCOL_TEXT_0_0_4};
    accepts(usual, 4,
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    const enum exposition_protocol proto[] = {EXPOSITION_PROTOCOL_PROTO};
    accepts(proto, 1,
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            "encoding=delimited;q=0.6,*/*;q=0.5");
}

static void chooses(const char *type, enum exposition_protocol fallback,
                    enum exposition_format expected)
{
    struct strbuf why = STRBUF_INIT;
    enum exposition_format format = EXPOSITION_TEXT;
    assert_int_equal(exposition_format_choose(str_from_cstr(type), fallback, &format, &why), OK);
    assert_int_equal(format, expected);
    strbuf_deinit(&why);
}

static void refuses(const char *type, const char *expected)
{
    struct strbuf why = STRBUF_INIT;
    enum exposition_format format;
    assert_int_equal(
        exposition_format_choose(str_from_cstr(type), EXPOSITION_PROTOCOL_NONE, &format, &why),
        ERR_INVALID);
    assert_string_equal(strbuf_cstr(&why), expected);
    strbuf_deinit(&why);
}

static void test_choose(void **state)
{
    (void)state;
    chooses("text/plain; version=0.0.4; charset=utf-8", EXPOSITION_PROTOCOL_NONE, EXPOSITION_TEXT);
    chooses("Text/PLAIN", EXPOSITION_PROTOCOL_PROTO, EXPOSITION_TEXT);
    chooses("application/openmetrics-text;version=\"1.0.0\" ; x=y", EXPOSITION_PROTOCOL_NONE,
            EXPOSITION_OPENMETRICS);
    chooses("application/vnd.google.protobuf", EXPOSITION_PROTOCOL_NONE, EXPOSITION_PROTOBUF);
    chooses("text/html", EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1, EXPOSITION_OPENMETRICS);
    chooses("", EXPOSITION_PROTOCOL_TEXT_0_0_4, EXPOSITION_TEXT);
    refuses("", "non-compliant scrape target sending blank Content-Type and no "
                "fallback_scrape_protocol specified for target");
    refuses("text/html", "received unsupported Content-Type \"text/html\" and no "
                         "fallback_scrape_protocol specified for target");
    refuses("text/plain; charset", "cannot parse Content-Type \"text/plain; charset\" and no "
                                   "fallback_scrape_protocol for target: mime: invalid media "
                                   "parameter");
    refuses("text plain", "cannot parse Content-Type \"text plain\" and no "
                          "fallback_scrape_protocol for target: mime: expected slash after first "
                          "token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
