#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/protobuf.h"

static void every_wire_type_is_read(void **state)
{
    (void)state;
    struct str rest = STR("\x08\xac\x02"                         /* 1: varint 300 */
                          "\x11\x00\x00\x00\x00\x00\x00\xf8\x3f" /* 2: double 1.5 */
                          "\x1a\x03"
                          "abc"                  /* 3: bytes */
                          "\x25\x01\x02\x00\x00" /* 4: fixed32 513 */
                          "\xa8\x06\x03");       /* 101: sint -2 */
    struct protobuf_field field;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_int_equal(field.number, 1);
    assert_int_equal(field.value, 300);
    assert_true(protobuf_double(&field) == 0);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(protobuf_double(&field) == 1.5);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(str_equal(field.bytes, STR("abc")));
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_int_equal(field.value, 513);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_int_equal(field.number, 101);
    assert_int_equal(protobuf_sint(&field), -2);
    assert_int_equal(rest.size, 0);
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *error;
    } cases[] = {
        {STR_INIT("\x08"), "unexpected EOF"},
        {STR_INIT("\x08\x80"), "unexpected EOF"},
        {STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "unexpected EOF"},
        {STR_INIT("\x0a\x02x"), "unexpected EOF"},
        {STR_INIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"), "unexpected EOF"},
        {STR_INIT("\x09\x00\x00"), "unexpected EOF"},
        {STR_INIT("\x0d\x00"), "unexpected EOF"},
        {STR_INIT("\x0b"), "proto: illegal wireType 3"},
        {STR_INIT("\x00\x00"), "proto: illegal tag 0"},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str rest = cases[i].bytes;
        struct protobuf_field field;
        assert_int_equal(protobuf_next(&rest, &field, &why), ERR_INVALID);
        assert_string_equal(strbuf_cstr(&why), cases[i].error);
    }
    strbuf_deinit(&why);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct protobuf_field field;
    protobuf_add_uint(&out, 1, UINT64_MAX);
    protobuf_add_sint(&out, 2, INT64_MIN);
    protobuf_add_sint(&out, 2, 63);
    protobuf_add_double(&out, 200, -0.5);
    protobuf_add_bytes(&out, 4, STR("abc"));
    protobuf_add_bytes(&out, 5, STR(""));
    struct str rest = strbuf_str(&out);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(field.number == 1 && field.value == UINT64_MAX);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(field.number == 2 && protobuf_sint(&field) == INT64_MIN);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_int_equal(protobuf_sint(&field), 63);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(field.number == 200 && protobuf_double(&field) == -0.5);
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(field.number == 4 && str_equal(field.bytes, STR("abc")));
    assert_int_equal(protobuf_next(&rest, &field, &why), OK);
    assert_true(field.number == 5 && field.bytes.size == 0);
    assert_int_equal(rest.size, 0);
    /* 63 is the largest number whose zigzag form has one byte. */
    assert_memory_equal(out.data + 22, "\x10\x7e", 2);
    strbuf_deinit(&out);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wire_type_is_read),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
