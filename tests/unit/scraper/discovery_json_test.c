#include "discovery_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_values(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    json_t *root;
    assert_int_equal(discovery_json_read(
                         STR("{\"a\":\"x\",\"n\":7,\"f\":1.5,\"t\":true,\"z\":null}"), &root, &why),
                     OK);
    assert_true(str_equal(discovery_json_get_text(root, "a"), STR("x")));
    assert_int_equal(discovery_json_get_text(root, "n").size, 0);
    assert_int_equal(discovery_json_get_text(root, "missing").size, 0);
    assert_int_equal(discovery_json_get_int(root, "n", -1), 7);
    assert_int_equal(discovery_json_get_int(root, "f", -1), -1);
    assert_int_equal(discovery_json_get_int(root, "z", -1), -1);
    assert_true(discovery_json_get_bool(root, "t"));
    assert_false(discovery_json_get_bool(root, "a"));
    json_decref(root);
    assert_int_equal(discovery_json_read(STR("{\"a\":}"), &root, &why), ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&why), "line 1"));
    strbuf_deinit(&why);
}

static void assert_label_name(struct str key, const char *expected)
{
    struct strbuf name = STRBUF_INIT;
    discovery_label_name_add(&name, key);
    assert_string_equal(strbuf_cstr(&name), expected);
    strbuf_deinit(&name);
}

static void test_names(void **state)
{
    (void)state;
    assert_label_name(STR("app.kubernetes.io/name"), "app_kubernetes_io_name");
    assert_label_name(STR("Az_09"), "Az_09");
    assert_label_name(STR("a\xc3\xa4z"), "a_z");
    assert_label_name(STR("a\xffz"), "a_z");
}

static void assert_address(struct str host, const char *expected)
{
    struct strbuf address = STRBUF_INIT;
    discovery_address_add(&address, host, 9100);
    assert_string_equal(strbuf_cstr(&address), expected);
    strbuf_deinit(&address);
}

static void test_addresses(void **state)
{
    (void)state;
    assert_address(STR("10.0.0.1"), "10.0.0.1:9100");
    assert_address(STR("fd00::1"), "[fd00::1]:9100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
