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

static void urls_are_judged_as_by_go(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *error; /* behind `parse "…": `; NULL: none */
    } cases[] = {
        {"", NULL},
        {"a", NULL},
        {"http://h", NULL},
        {"http://u:p@h:80/a%20b?c=%zz#d", NULL},
        {"http://[::1]:80/", NULL},
        {"http://[fe80::1%25lo]", NULL},
        {"http://%C3%A4/", NULL},
        {"http://h:", NULL},
        {"unix:///var/run/docker.sock", NULL},
        {"mailto:%zz", NULL},
        {"///x:y", NULL},
        {"a/b:c", NULL},
        {"1a://h", "first path segment in URL cannot contain colon"},
        {"::bad", "missing protocol scheme"},
        {"%zz", "invalid URL escape \"%zz\""},
        {"http://h/%a", "invalid URL escape \"%a\""},
        {"http://h#%1", "invalid URL escape \"%1\""},
        {"http://h%40x", "invalid URL escape \"%40\""},
        {"http://a b", "invalid character \" \" in host name"},
        {"http://[::1", "missing ']' in host"},
        {"http://[::1]x", "invalid port \"x\" after host"},
        {"http://h:x", "invalid port \":x\" after host"},
        {"http://u p@h", "net/url: invalid userinfo"},
        {"http://h/\n", "net/url: invalid control character in URL"},
    };
    struct strbuf why = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strbuf_clear(&why);
        strbuf_clear(&expected);
        err_t err = url_check(str_from_cstr(cases[i].url), &why);
        assert_int_equal(err, cases[i].error == NULL ? OK : ERR_INVALID);
        if (cases[i].error != NULL) {
            strbuf_add_cstr(&expected, "parse ");
            strbuf_add_quoted(&expected, str_from_cstr(cases[i].url));
            strbuf_printf(&expected, ": %s", cases[i].error);
        }
        assert_string_equal(strbuf_cstr(&why), strbuf_cstr(&expected));
    }
    strbuf_deinit(&why);
    strbuf_deinit(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(urls_are_judged_as_by_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
