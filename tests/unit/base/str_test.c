#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/str.h"

static void order_is_bytewise_and_prefixes_come_first(void **state)
{
    (void)state;
    const struct str sorted[] = {STR(""),   STR("\0"), STR("A"),    STR("a"),   STR("a\0"),
                                 STR("ab"), STR("b"),  STR("\x80"), STR("\xff")};
    size_t count = sizeof sorted / sizeof *sorted;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = str_compare(sorted[i], sorted[j]);
            assert_int_equal(order < 0 ? -1 : order > 0, i < j ? -1 : i > j);
            assert_int_equal(str_equal(sorted[i], sorted[j]), i == j);
        }
    }
    assert_true(str_equal(str_from_cstr(NULL), STR("")));
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("abc"), STR("ab")));
    assert_true(str_starts_with(STR("abc"), STR("")));
    assert_false(str_starts_with(STR("ab"), STR("abc")));
    assert_true(str_ends_with(STR("abc"), STR("bc")));
    assert_true(str_ends_with(STR(""), STR("")));
    assert_false(str_ends_with(STR("c"), STR("bc")));
}

static void nocase_is_ascii_only(void **state)
{
    (void)state;
    assert_true(str_equal_nocase(STR("aZ@[`{9"), STR("Az@[`{9")));
    assert_false(str_equal_nocase(STR("@"), STR("`")));
    assert_false(str_equal_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_false(str_equal_nocase(STR("a"), STR("ab")));
}

static void trim_and_find(void **state)
{
    (void)state;
    assert_true(str_equal(str_trim(STR(" \t\r\n a b \n")), STR("a b")));
    assert_int_equal(str_trim(STR(" \n")).size, 0);
    assert_int_equal(str_find(STR("abcabc"), 'c', 0), 2);
    assert_int_equal(str_find(STR("abcabc"), 'c', 3), 5);
    assert_true(str_find(STR("abc"), 'c', 3) == SIZE_MAX);
    assert_true(str_find(STR("abc"), 'x', 0) == SIZE_MAX);
}

static void utf8_is_judged_as_unicode_says(void **state)
{
    (void)state;
    static const struct str good[] = {
        STR_INIT(""),
        STR_INIT("plain ASCII, longer than eight bytes"),
        STR_INIT("\x7f"),
        STR_INIT("\xc2\x80"),
        STR_INIT("\xdf\xbf"),
        STR_INIT("\xe0\xa0\x80"),
        STR_INIT("\xed\x9f\xbf"),
        STR_INIT("\xee\x80\x80"),
        STR_INIT("\xef\xbf\xbf"),
        STR_INIT("\xf0\x90\x80\x80"),
        STR_INIT("\xf4\x8f\xbf\xbf"),
        STR_INIT("12345678\xc3\xa4"),
    };
    static const struct str bad[] = {
        STR_INIT("\x80"), /* continuation alone */
        STR_INIT("\xc3"), /* cut */
        STR_INIT("\xe2\x82"),
        STR_INIT("\xf0\x9f\x98"),
        STR_INIT("\xc0\x80"), /* overlong */
        STR_INIT("\xc1\xbf"),
        STR_INIT("\xe0\x9f\xbf"),
        STR_INIT("\xf0\x8f\xbf\xbf"),
        STR_INIT("\xed\xa0\x80"), /* surrogates */
        STR_INIT("\xed\xbf\xbf"),
        STR_INIT("\xf4\x90\x80\x80"), /* above U+10FFFF */
        STR_INIT("\xf5\x80\x80\x80"),
        STR_INIT("\xff"),
        STR_INIT("\xc3("
                 "x"),
        STR_INIT("12345678\xff"),
        STR_INIT("1234567\xff"
                 "8"),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(str_is_utf8(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (str_is_utf8(bad[i]))
            fail_msg("bad text %zu is taken", i);
    }
}

static void every_rune_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t rune = 0; rune <= 0x10ffff; rune++) {
        if (rune >= 0xd800 && rune <= 0xdfff)
            continue;
        char bytes[4];
        size_t size = str_encode_rune(rune, bytes);
        uint32_t back = UINT32_MAX;
        if (str_decode_rune(str_from(bytes, size), &back) != size || back != rune)
            fail_msg("U+%04X comes back as U+%04X", rune, back);
        /* Cut short it is nothing. */
        if (size > 1 && str_decode_rune(str_from(bytes, size - 1), &back) != 0)
            fail_msg("U+%04X is taken though it is cut", rune);
    }
    uint32_t rune;
    assert_int_equal(str_decode_rune(STR(""), &rune), 0);
}

static void integers_are_taken_whole_and_in_range(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(str_to_int64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_int64(STR("+9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_uint64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(str_to_uint64(STR("000"), &u) && u == 0);
    static const struct str bad[] = {STR_INIT(""),
                                     STR_INIT("-"),
                                     STR_INIT("+"),
                                     STR_INIT("1 "),
                                     STR_INIT("1x"),
                                     STR_INIT("--1"),
                                     STR_INIT("9223372036854775808"),
                                     STR_INIT("-9223372036854775809")};
    for (size_t n = 0; n < sizeof bad / sizeof *bad; n++)
        assert_false(str_to_int64(bad[n], &i));
    assert_false(str_to_uint64(STR("18446744073709551616"), &u));
    assert_false(str_to_uint64(STR("-1"), &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_bytewise_and_prefixes_come_first),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(nocase_is_ascii_only),
        cmocka_unit_test(trim_and_find),
        cmocka_unit_test(utf8_is_judged_as_unicode_says),
        cmocka_unit_test(every_rune_survives_a_round_trip),
        cmocka_unit_test(integers_are_taken_whole_and_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
