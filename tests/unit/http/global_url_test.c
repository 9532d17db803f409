/* URLs of targets as others reach them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "global_url.h"

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url, *external, *wanted;
    } cases[] = {
        {"http://db:90/m", "https://out/p", "http://db:90/m"},
        {"http://127.0.0.1:90/m?a=b", "https://out:1/p", "http://out:90/m?a=b"},
        {"http://localhost:90/m", "https://out/p", "http://out:90/m"},
        {"http://[::1]:90/m", "https://[fe80::1]:7/", "http://[fe80::1]:90/m"},
        {"http://localhost/m", "https://out:1/", "http://out/m"},
        /* This server itself. */
        {"http://127.0.0.1:9090/metrics", "https://out/p", "https://out/metrics"},
        {"http://[::1]:9090/metrics", "https://out:8443/p", "https://out:8443/metrics"},
        {"http://localhost.:90/m", "https://out/", "http://localhost.:90/m"},
        {"http://127.0.0.2:90", "https://out/", "http://127.0.0.2:90"},
        {"http://127.0.0.1:90", "https://out/", "http://out:90"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_external external = {str_from_cstr(cases[i].external), STR("9090")};
        struct strbuf out = STRBUF_INIT;
        http__global_url(str_from_cstr(cases[i].url), &external, &out);
        assert_string_equal(strbuf_cstr(&out), cases[i].wanted);
        strbuf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
