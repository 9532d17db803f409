/* Passwords of URLs are found, whatever else is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/strbuf.h"
#include "narthex/base/url.h"

static void passwords_are_masked(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *masked;
    } cases[] = {
        {"http://u:p@h/x", "http://u:***@h/x"},
        {"http://u:p@w@h:1/x?a=b@c", "http://u:***@h:1/x?a=b@c"},
        {"http://u:p:q@h", "http://u:***@h"},
        {"https://:p@h", "https://:***@h"},
        {"http://u@h:80/a:b@c", "http://u@h:80/a:b@c"},
        {"http://u:@h", "http://u:@h"},
        {"http://h:80/x@y", "http://h:80/x@y"},
        {"http://h?u:p@x", "http://h?u:p@x"},
        {"http://u:p@", "http://u:***@"},
        {"http://", "http://"},
        {"http:/u:p@h", "http:/u:p@h"},
        {"u:p@h", "u:p@h"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf out = STRBUF_INIT;
        url_add_masked(&out, str_from_cstr(cases[i].url), "***");
        assert_string_equal(strbuf_cstr(&out), cases[i].masked);
        strbuf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
