#include "schema_discovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_valid(void **state)
{
    (void)state;
    static const char *const selectors[] = {
        "",          "  ",          "a",           "!a",      "a=b",        "a==b",
        "a!=b",      "a=",          "a=,b=c",      "a , ! b", "a in (x)",   "a in (x, y,)",
        "a notin()", "cores > 4",   "cores<10",    "in",      "in in (in)", "app.io/name=x-y_z.1",
        "a = b",     "a in (x),!b", "x-y.z/A_b=0",
    };
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        if (!kubernetes_label_selector_is_valid(str_from_cstr(selectors[i])))
            fail_msg("\"%s\" is refused", selectors[i]);
    }
}

static void test_invalid(void **state)
{
    (void)state;
    static const char *const selectors[] = {
        ",",    "a,",    "=b",  "a=b=c",     "a b",      "a in",  "a in x", "a in (x",
        "!a=b", "a>x",   "-a",  "a-",        "/a",       "A/b",   "a/",     "a/b/c",
        "a=-",  "a=b c", "a!b", "a in (x)y", "\xc3\xa4", "a=b;c", "a<",
    };
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        if (kubernetes_label_selector_is_valid(str_from_cstr(selectors[i])))
            fail_msg("\"%s\" is accepted", selectors[i]);
    }
    char key[80] = "";
    for (size_t i = 0; i < 63; i++)
        key[i] = 'k';
    assert_true(kubernetes_label_selector_is_valid(str_from_cstr(key)));
    key[63] = 'k';
    assert_false(kubernetes_label_selector_is_valid(str_from_cstr(key)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
