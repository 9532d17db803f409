#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/model/exposition.h"

static void content_types_choose_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum exposition_protocol fallback;
        int format; /* -1: error */
        const char *error;
    } cases[] = {
        {"text/plain; version=0.0.4; charset=utf-8", 0, EXPOSITION_TEXT, ""},
        {"Text/PLAIN", 0, EXPOSITION_TEXT, ""},
        {"text/plain;", 0, EXPOSITION_TEXT, ""},
        {"application/openmetrics-text; version=\"1.0.0\"; x=\"a;b\\\"c\"", 0,
         EXPOSITION_OPENMETRICS, ""},
        {"application/vnd.google.protobuf; proto=x; encoding=delimited", 0, EXPOSITION_PROTOBUF,
         ""},
        {"text/html", EXPOSITION_PROTOCOL_TEXT_1_0_0, EXPOSITION_TEXT, ""},
        {"", EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1, EXPOSITION_OPENMETRICS, ""},
        {"text/", EXPOSITION_PROTOCOL_PROTO, EXPOSITION_PROTOBUF, ""},
        {"", 0, -1,
         "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
         "specified for target"},
        {"text/html", 0, -1,
         "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol "
         "specified for target"},
        {"counter", 0, -1,
         "received unsupported Content-Type \"counter\" and no fallback_scrape_protocol specified "
         "for target"},
        {"text/plain; q", 0, -1,
         "cannot parse Content-Type \"text/plain; q\" and no fallback_scrape_protocol for "
         "target\nmime: invalid media parameter"},
        {"text/plain; q=1; Q=2", 0, -1,
         "cannot parse Content-Type \"text/plain; q=1; Q=2\" and no fallback_scrape_protocol for "
         "target\nmime: duplicate parameter name"},
        {"text/", 0, -1,
         "cannot parse Content-Type \"text/\" and no fallback_scrape_protocol for target\nmime: "
         "expected token after slash"},
        {"a b", 0, -1,
         "cannot parse Content-Type \"a b\" and no fallback_scrape_protocol for target\nmime: "
         "expected slash after first token"},
        {"a/b c", 0, -1,
         "cannot parse Content-Type \"a/b c\" and no fallback_scrape_protocol for target\nmime: "
         "unexpected content after media subtype"},
        {";", 0, -1,
         "cannot parse Content-Type \";\" and no fallback_scrape_protocol for target\nmime: no "
         "media type"},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum exposition_format format;
        strbuf_clear(&why);
        err_t err = exposition_format_choose(str_from_cstr(cases[i].type), cases[i].fallback,
                                             &format, &why);
        assert_int_equal(err, cases[i].format < 0 ? ERR_INVALID : OK);
        assert_string_equal(strbuf_cstr(&why), cases[i].error);
        if (err == OK)
            assert_int_equal((int)format, cases[i].format);
    }
    strbuf_deinit(&why);
}

static void accept_headers_have_falling_weights(void **state)
{
    (void)state;
    static const enum exposition_protocol protocols[] = {
        EXPOSITION_PROTOCOL_PROTO,
        EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0,
        EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1,
        EXPOSITION_PROTOCOL_TEXT_1_0_0,
        EXPOSITION_PROTOCOL_TEXT_0_0_4,
    };
    struct strbuf out = STRBUF_INIT;
    exposition_accept_header(protocols + 1, 4, NAME_ESCAPING_NONE, &out);
    assert_string_equal(strbuf_cstr(&out),
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                        "application/openmetrics-text;version=0.0.1;q=0.5,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    strbuf_clear(&out);
    exposition_accept_header(protocols, 5, NAME_ESCAPING_UNDERSCORES, &out);
    assert_string_equal(
        strbuf_cstr(&out),
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
        "delimited;q=0.6,"
        "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=1.0.0;escaping=underscores;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_types_choose_the_format),
        cmocka_unit_test(accept_headers_have_falling_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
