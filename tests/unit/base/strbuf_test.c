#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/err.h"
#include "narthex/base/mem.h"
#include "narthex/base/strbuf.h"

static void grows_and_always_ends_with_nul(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    assert_string_equal(strbuf_cstr(&buf), "");
    strbuf_clear(&buf);
    for (size_t i = 0; i < 5000; i++) {
        strbuf_add_char(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.size, i + 1);
        assert_int_equal(buf.data[buf.size], 0);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    size_t capacity = buf.capacity;
    strbuf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_int_equal(buf.data[0], 0);
    assert_int_equal(buf.capacity, capacity);
    strbuf_add(&buf, "a\0b", 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    strbuf_deinit(&buf);
    assert_int_equal(mem_bytes(MEM_TEXT), 0);
}

static void reserve_and_commit_fill_in_place(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    strbuf_add_cstr(&buf, "ab");
    char *room = strbuf_reserve(&buf, 100);
    memset(room, 'c', 3);
    strbuf_commit(&buf, 3);
    assert_string_equal(buf.data, "abccc");
    strbuf_deinit(&buf);
}

static void numbers_and_printf_append(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    strbuf_add_int(&buf, INT64_MIN);
    strbuf_add_char(&buf, ' ');
    strbuf_add_uint(&buf, UINT64_MAX);
    strbuf_add_char(&buf, ' ');
    strbuf_add_int(&buf, 0);
    assert_string_equal(buf.data, "-9223372036854775808 18446744073709551615 0");
    strbuf_clear(&buf);
    /* Longer than the room printf is first given. */
    for (int width = 0; width < 300; width += 7) {
        size_t before = buf.size;
        strbuf_printf(&buf, "%*d|", width, 5);
        assert_int_equal(buf.size - before, (width == 0 ? 1 : width) + 1);
        assert_int_equal(buf.data[buf.size - 2], '5');
    }
    strbuf_deinit(&buf);
}

static void quotes_as_go_does(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *wanted;
    } cases[] = {
        {STR_INIT(""), "\"\""},
        {STR_INIT("plain 'text'"), "\"plain 'text'\""},
        {STR_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {STR_INIT("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\""},
        {STR_INIT("\0\x01\x1f\x7f"), "\"\\x00\\x01\\x1f\\x7f\""},
        {STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {STR_INIT("\xff\xc3"), "\"\\xff\\xc3\""},
        {STR_INIT("\xc2\x80\xc2\xa0\xc2\xad"), "\"\\u0080\\u00a0\\u00ad\""},
        {STR_INIT("\xe2\x80\x8b\xef\xbb\xbf"), "\"\\u200b\\ufeff\""},
        {STR_INIT("\xf3\xa0\x80\x81"), "\"\\U000e0001\""},
        {STR_INIT("\xef\xbf\xbd"), "\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf buf = STRBUF_INIT;
        strbuf_add_quoted(&buf, cases[i].text);
        assert_string_equal(buf.data, cases[i].wanted);
        strbuf_deinit(&buf);
    }
}

static void errors_replace_the_text_and_keep_the_kind(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    strbuf_add_cstr(&why, "old");
    assert_int_equal(err_fail(&why, ERR_LIMIT, "%d of %d", 3, 2), ERR_LIMIT);
    assert_string_equal(why.data, "3 of 2");
    static const struct {
        int number;
        err_t code;
    } cases[] = {{ENOENT, ERR_NOT_FOUND},
                 {EEXIST, ERR_EXISTS},
                 {ENOSPC, ERR_NO_SPACE},
                 {EDQUOT, ERR_NO_SPACE},
                 {EACCES, ERR_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(err_fail_errno(&why, cases[i].number, "open x"), cases[i].code);
    assert_string_equal(why.data, "open x: Permission denied");
    assert_string_equal(err_name(OK), "ok");
    for (int code = OK; code <= ERR_TOO_OLD; code++)
        assert_non_null(err_name((err_t)code));
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_always_ends_with_nul),
        cmocka_unit_test(reserve_and_commit_fill_in_place),
        cmocka_unit_test(numbers_and_printf_append),
        cmocka_unit_test(quotes_as_go_does),
        cmocka_unit_test(errors_replace_the_text_and_keep_the_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
