#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/number.h"

enum { ALWAYS_EXPONENT = -400, RANDOM_ROUNDS = 2000000, ORACLE_ROUNDS = 50000 };

static const uint64_t seed = UINT64_C(0x6e61727468657831);

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t to_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double random_finite(uint64_t *state)
{
    for (;;) {
        double v = from_bits(next_random(state));
        if (isfinite(v) && v != 0)
            return v;
    }
}

/* Oracle: the first precision at which printf's exact rounding reads back. It finds the shortest
 * form except beside powers of two, where the interval is lopsided and the nearest decimal of some
 * length may lie outside while its neighbour lies inside. */
static void check_shortest(double v)
{
    char ours[NUMBER_TEXT_MAX];
    ours[number_format_general(fabs(v), ALWAYS_EXPONENT, ours)] = '\0';
    char digits[NUMBER_TEXT_MAX];
    size_t count = 0;
    for (const char *at = ours; *at != 'e'; at++) {
        if (*at != '.')
            digits[count++] = *at;
    }
    if (strtod(ours, NULL) != fabs(v))
        fail_msg("%a gives %s, which is another number", v, ours);
    if (count > 1 && digits[count - 1] == '0')
        fail_msg("%a gives %s, with a zero at the end", v, ours);

    char theirs[64];
    int precision = 1;
    for (;; precision++) {
        snprintf(theirs, sizeof theirs, "%.*e", precision - 1, fabs(v));
        if (strtod(theirs, NULL) == fabs(v))
            break;
    }
    bool power_of_two = (to_bits(v) & ((UINT64_C(1) << 52) - 1)) == 0;
    if (power_of_two && count <= (size_t)precision)
        return;
    char wanted[NUMBER_DIGITS_MAX + 1];
    snprintf(wanted, sizeof wanted, "%c%.*s", theirs[0], precision - 1, theirs + 2);
    if (count != (size_t)precision || memcmp(digits, wanted, count) != 0)
        fail_msg("%a gives %s, printf %s", v, ours, theirs);
}

static void shortest_digits_agree_with_printf(void **state)
{
    (void)state;
    print_message("seed %#" PRIx64 "\n", seed);
    uint64_t random = seed;
    for (int i = 0; i < ORACLE_ROUNDS; i++)
        check_shortest(random_finite(&random));
    for (int i = 0; i < ORACLE_ROUNDS; i++) {
        uint64_t r = next_random(&random);
        check_shortest((double)(int64_t)(r >> (r & 63)) + 0.5);
        check_shortest((double)(r % 1000000000 + 1) / 1000);
        check_shortest((double)(r % 100000 + 1) * pow(10, (double)(r >> 32 & 31)));
    }
}

static void shortest_digits_hold_at_every_exponent(void **state)
{
    (void)state;
    for (uint64_t biased = 0; biased < 0x7ff; biased++) {
        for (uint64_t offset = 0; offset < 3; offset++) {
            uint64_t edge = biased << 52;
            if (edge + offset != 0)
                check_shortest(from_bits(edge + offset));
            if (edge > offset)
                check_shortest(from_bits(edge - offset - 1));
        }
    }
    for (uint64_t bits = 1; bits < 5000; bits++)
        check_shortest(from_bits(bits));
    for (int exponent = -323; exponent <= 308; exponent++) {
        double v = pow(10, exponent);
        check_shortest(v);
        check_shortest(nextafter(v, 0));
        check_shortest(nextafter(v, INFINITY));
    }
}

static void lopsided_intervals_give_the_shortest(void **state)
{
    (void)state;
    /* 2^-44: no 16-digit decimal but the second nearest one is inside. */
    char out[NUMBER_TEXT_MAX];
    size_t size = number_format_general(ldexp(1, -44), 6, out);
    assert_int_equal(size, strlen("5.684341886080802e-14"));
    assert_memory_equal(out, "5.684341886080802e-14", size);
}

typedef size_t format_fn(double v, char *out);

static void expect_format(format_fn *format, double v, const char *wanted)
{
    char out[NUMBER_TEXT_MAX];
    size_t size = format(v, out);
    if (size != strlen(wanted) || memcmp(out, wanted, size) != 0)
        fail_msg("%.17g gives %.*s, wanted %s", v, (int)size, out, wanted);
}

static size_t general6(double v, char *out)
{
    return number_format_general(v, 6, out);
}

static size_t general21(double v, char *out)
{
    return number_format_general(v, 21, out);
}

static void formats_follow_go(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *plain, *json, *general, *general21, *openmetrics;
    } cases[] = {
        {0, "0", "0", "0", "0", "0.0"},
        {-0.0, "-0", "-0", "-0", "-0", "-0.0"},
        {1, "1", "1", "1", "1", "1.0"},
        {-17, "-17", "-17", "-17", "-17", "-17.0"},
        {0.1, "0.1", "0.1", "0.1", "0.1", "0.1"},
        {100000, "100000", "100000", "100000", "100000", "100000.0"},
        {999999, "999999", "999999", "999999", "999999", "999999.0"},
        {999999.5, "999999.5", "999999.5", "999999.5", "999999.5", "999999.5"},
        {1e6, "1000000", "1000000", "1e+06", "1000000", "1e+06"},
        {2349209.324, "2349209.324", "2349209.324", "2.349209324e+06", "2349209.324",
         "2.349209324e+06"},
        {1e-4, "0.0001", "0.0001", "0.0001", "0.0001", "0.0001"},
        {1e-5, "0.00001", "0.00001", "1e-05", "1e-05", "1e-05"},
        {1e-6, "0.000001", "0.000001", "1e-06", "1e-06", "1e-06"},
        {1.5e-7, "0.00000015", "1.5e-07", "1.5e-07", "1.5e-07", "1.5e-07"},
        {1e20, "100000000000000000000", "100000000000000000000", "1e+20", "100000000000000000000",
         "1e+20"},
        {-1e21, "-1000000000000000000000", "-1e+21", "-1e+21", "-1e+21", "-1e+21"},
        {1.25e100, "", "1.25e+100", "1.25e+100", "1.25e+100", "1.25e+100"},
        {5e-324, "", "5e-324", "5e-324", "5e-324", "5e-324"},
        {DBL_MAX, "", "1.7976931348623157e+308", "1.7976931348623157e+308",
         "1.7976931348623157e+308", "1.7976931348623157e+308"},
        {NAN, "NaN", "NaN", "NaN", "NaN", "NaN"},
        {-NAN, "NaN", "NaN", "NaN", "NaN", "NaN"},
        {INFINITY, "+Inf", "+Inf", "+Inf", "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf", "-Inf", "-Inf", "-Inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].plain[0] != '\0')
            expect_format(number_format_plain, cases[i].v, cases[i].plain);
        expect_format(number_format_json, cases[i].v, cases[i].json);
        expect_format(general6, cases[i].v, cases[i].general);
        expect_format(general21, cases[i].v, cases[i].general21);
        expect_format(number_format_openmetrics, cases[i].v, cases[i].openmetrics);
    }
}

static void plain_form_of_the_extremes_fits(void **state)
{
    (void)state;
    char out[NUMBER_TEXT_MAX];
    assert_int_equal(number_format_plain(-DBL_MAX, out), 310);
    assert_memory_equal(out, "-17976931348623157000", 21);
    assert_int_equal(number_format_plain(-from_bits(1), out), 327);
    assert_memory_equal(out + 320, "0000005", 7);
    /* 17 digits below the smallest normal double: the longest text there is. */
    assert_true(number_format_plain(-2.2250738585072014e-308, out) <= NUMBER_TEXT_MAX);
}

static void integers_and_timestamps(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        const char *integer, *timestamp;
    } cases[] = {
        {0, "0", "0"},
        {1, "1", "0.001"},
        {-1, "-1", "-0.001"},
        {1500, "1500", "1.500"},
        {-62000, "-62000", "-62"},
        {1700000000123, "1700000000123", "1700000000.123"},
        {INT64_MAX, "9223372036854775807", "9223372036854775.807"},
        {INT64_MIN, "-9223372036854775808", "-9223372036854775.808"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[25] = {0};
        out[number_format_int(cases[i].v, out)] = '\0';
        assert_string_equal(out, cases[i].integer);
        memset(out, 0, sizeof out);
        out[number_format_timestamp(cases[i].v, out)] = '\0';
        assert_string_equal(out, cases[i].timestamp);
    }
    char out[20];
    assert_int_equal(number_format_uint(UINT64_MAX, out), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
}

static void check_parse(const char *text)
{
    double wanted = strtod(text, NULL);
    double v = 0;
    bool range = false;
    bool ok = number_parse(str_from_cstr(text), &v, &range);
    if (isinf(wanted) ? ok || !range : !ok)
        fail_msg("%s: ok %d range %d", text, ok, range);
    if (to_bits(v) != to_bits(wanted))
        fail_msg("%s gives %.17g, strtod %.17g", text, v, wanted);
    double scanned = 0;
    size_t size = number_scan(text, strlen(text), &scanned);
    if (size != (isinf(wanted) ? 0 : strlen(text)))
        fail_msg("%s: scanned %zu bytes", text, size);
    if (size > 0 && to_bits(scanned) != to_bits(wanted))
        fail_msg("%s scans as %.17g, strtod %.17g", text, scanned, wanted);
}

/* "0.", zeros, digits; digits with a point between; digits, zeros. */
static void place_digits(const char *digits, int count, int point, char *out)
{
    if (point <= 0)
        sprintf(out, "0.%.*s%s", -point, "0000000000", digits);
    else if (point < count)
        sprintf(out, "%.*s.%s", point, digits, digits + point);
    else
        sprintf(out, "%s%.*s", digits, point - count, "00000000000000000000");
}

/* Fifteen digits are always the shortest of the double they read as. */
static void plain_texts_have_each_digit_in_its_place(void **state)
{
    (void)state;
    uint64_t random = seed + 3;
    for (int round = 0; round < 200; round++) {
        for (int count = 1; count <= 15; count++) {
            char digits[16];
            for (int i = 0; i < count; i++)
                digits[i] = (char)('0' + next_random(&random) % 10);
            digits[0] = (char)('1' + next_random(&random) % 9);
            digits[count - 1] = (char)('1' + next_random(&random) % 9);
            digits[count] = '\0';
            for (int point = -5; point <= 21; point++) {
                char wanted[64] = "-";
                place_digits(digits, count, point, wanted + 1);
                char out[NUMBER_JSON_TEXT_MAX + 8];
                memset(out, '#', sizeof out);
                double v = strtod(wanted, NULL);
                expect_format(number_format_json, v, wanted);
                assert_int_equal(number_json_size(v), strlen(wanted));
                expect_format(number_format_plain, -v, wanted + 1);
                number_format_json(v, out);
                assert_memory_equal(out + NUMBER_JSON_TEXT_MAX, "########", 8);
            }
        }
    }
}

static void round_trip_of_every_kind_of_text(void **state)
{
    (void)state;
    uint64_t random = seed + 1;
    char text[512];
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        double v = random_finite(&random);
        if (number_json_size(v) != number_format_json(v, text))
            fail_msg("%a has another size in JSON than %zu", v, number_json_size(v));
        size_t size = i % 2 == 0 ? number_format_plain(v, text) : number_format_general(v, 6, text);
        double back;
        bool range;
        if (!number_parse(str_from(text, size), &back, &range) || to_bits(back) != to_bits(v))
            fail_msg("%a does not come back from %.*s", v, (int)size, text);
    }
    for (int i = 0; i < ORACLE_ROUNDS; i++) {
        double v = random_finite(&random);
        snprintf(text, sizeof text, "%.*e", (int)(next_random(&random) % 24), v);
        check_parse(text);
        uint64_t r = next_random(&random);
        snprintf(text, sizeof text, "%" PRIu64 "e%d", r >> (r & 63),
                 (int)(next_random(&random) % 700) - 370);
        check_parse(text);
        snprintf(text, sizeof text, "%" PRIu64 ".%0*" PRIu64, r % 100000, (int)(r >> 60) + 4,
                 next_random(&random) % 10000);
        check_parse(text);
    }
}

/* The exact decimal of the point between two doubles has up to 767 digits: as it is, and a last
 * digit to either side. */
static void halfway_points_round_to_even(void **state)
{
    (void)state;
    uint64_t random = seed + 2;
    static char text[2000];
    for (int i = 0; i < 3000; i++) {
        uint64_t r = next_random(&random);
        /* Few exponents in the middle, all kinds of subnormals. */
        uint64_t bits = i % 3 == 0 ? r >> 12 : (r >> 12) | (900 + r % 300) << 52;
        double low = from_bits(bits);
        double high = from_bits(bits + 1);

        /* Prints the exact value of low + half an ulp with integer arithmetic on decimal text. */
        snprintf(text, sizeof text, "%.1100f", low);
        static char text_high[2000];
        snprintf(text_high, sizeof text_high, "%.1100f", high);
        char *sum = text;
        int carry = 0;
        size_t size = strlen(text);
        if (strlen(text_high) != size)
            continue;
        for (size_t at = size; at-- > 0;) {
            if (sum[at] == '.')
                continue;
            int digit = sum[at] - '0' + text_high[at] - '0' + carry;
            sum[at] = (char)('0' + digit % 10);
            carry = digit / 10;
        }
        int rest = carry; /* halve */
        for (size_t at = 0; at < size; at++) {
            if (sum[at] == '.')
                continue;
            int digit = rest * 10 + sum[at] - '0';
            sum[at] = (char)('0' + digit / 2);
            rest = digit % 2;
        }
        assert_int_equal(rest, 0);
        check_parse(text);
        double even = (bits & 1) == 0 ? low : high;
        assert_true(strtod(text, NULL) == even);
        memcpy(text + size, "1", 2);
        check_parse(text);
        assert_true(strtod(text, NULL) == high);
    }
}

static void long_texts_parse(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0000000000000000000000000000000000001",
        "0.00000000000000000000000000000000000000000001",
        "00000000000000000000000.00000000000000000000000001234567890123456789012345",
        "123456789012345678901234567890",
        "12345678901234567890000000000000",
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000000000001",
        "9007199254740992.9999999999999999999999999999999999999",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e-400",
        "1e400",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "5.",
        ".5",
        "1E5",
        "1e+5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_parse(texts[i]);
    static char huge[4000];
    memset(huge, '0', sizeof huge - 1);
    huge[1] = '.';
    huge[3000] = '7';
    memcpy(huge + 3990, "e2999", 6);
    check_parse(huge);
    memset(huge, '1', sizeof huge - 1);
    memcpy(huge + 3990, "e-3980", 7);
    check_parse(huge);
}

static void parse_takes_go_forms_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "+",    "-",    ".",     "e5",    "1e",   "1e+",
                                      "1x",    " 1",   "1 ",   "1_000", "0x1",   "0x",   "0x.p1",
                                      "1p3",   "+nan", "-NaN", "nano",  "in",    "infi", "infinit",
                                      "1.2.3", "--1",  "1,5",  "0x1p",  "0xg1p0"};
    double v;
    bool range;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (number_parse(str_from_cstr(bad[i]), &v, &range))
            fail_msg("%s is taken as %g", bad[i], v);
        assert_false(range);
    }
    static const struct {
        const char *text;
        double v;
    } good[] = {{"inf", INFINITY},
                {"+Inf", INFINITY},
                {"-INFINITY", -INFINITY},
                {"0x1p4", 16},
                {"-0X.8P1", -1},
                {"0x1.8p+1", 3},
                {"0x10p-4", 1},
                {"+5", 5},
                {"0x1.00000000000008p0", 1},
                {"0x1.00000000000008000000000000000000001p0", 1 + DBL_EPSILON},
                {"0x1p-1074", 5e-324},
                {"0x0p99999999999", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!number_parse(str_from_cstr(good[i].text), &v, &range) || v != good[i].v)
            fail_msg("%s gives %g", good[i].text, v);
    }
    assert_true(number_parse(STR("NaN"), &v, &range) && isnan(v));
    assert_true(number_parse(STR("-0"), &v, &range) && v == 0 && signbit(v));
    assert_false(number_parse(STR("0x1p1024"), &v, &range));
    assert_true(range);
    assert_false(number_parse(STR("-1e309"), &v, &range));
    assert_true(range && v == -INFINITY);
}

static void scan_takes_the_longest_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        double v;
    } cases[] = {{"12 34", 2, 12},
                 {"1.5}", 3, 1.5},
                 {"1e", 1, 1},
                 {"1e+", 1, 1},
                 {"1e5x", 3, 1e5},
                 {"-2.5e-1,", 7, -.25},
                 {".", 0, 0},
                 {"-", 0, 0},
                 {"x", 0, 0},
                 {"", 0, 0},
                 {"1.", 2, 1},
                 {"1..2", 2, 1},
                 {"+Infx", 4, INFINITY},
                 {"infinit", 3, INFINITY},
                 {"1e999", 0, 0},
                 {"0x10", 1, 0},
                 {"1_0", 1, 1},
                 {"+nan", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v = 0;
        size_t size = number_scan(cases[i].text, strlen(cases[i].text), &v);
        if (size != cases[i].size || v != cases[i].v)
            fail_msg("%s: %zu bytes, %g", cases[i].text, size, v);
    }
    double v;
    assert_int_equal(number_scan("NaNx", 4, &v), 3);
    assert_true(isnan(v));
}

/* The bytes after `size` must not count, wherever the text is cut. */
static void scan_reads_only_within_size(void **state)
{
    (void)state;
    const char *text = "-123.456e+12";
    for (size_t size = 0; size <= strlen(text); size++) {
        char *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, text, size);
        double v = 0;
        size_t used = number_scan(copy, size, &v);
        assert_true(used <= size);
        char terminated[32];
        snprintf(terminated, sizeof terminated, "%.*s", (int)size, text);
        if (used > 0)
            assert_true(v == strtod(terminated, NULL));
        free(copy);
    }
}

/* Digits are read eight at a time: every count of them, before and behind the dot, with every byte
 * that is none right behind. */
static void scan_ends_at_the_first_other_byte(void **state)
{
    (void)state;
    for (size_t whole = 0; whole <= 20; whole++) {
        for (size_t fraction = whole == 0; fraction <= 20; fraction++) {
            char text[64];
            size_t size = 0;
            for (size_t i = 0; i < whole; i++)
                text[size++] = (char)('1' + i % 9);
            text[size++] = '.';
            for (size_t i = 0; i < fraction; i++)
                text[size++] = (char)('9' - i % 9);
            memset(text + size, '7', 16);
            text[size + 16] = '\0';
            for (int c = 0; c < 256; c++) {
                if ((c >= '0' && c <= '9') || (c | 0x20) == 'e')
                    continue;
                text[size] = (char)c;
                char copy[64];
                memcpy(copy, text, size);
                copy[size] = '\0';
                double v = -1;
                assert_int_equal(number_scan(text, size + 16, &v), size);
                assert_true(v == strtod(copy, NULL));
            }
        }
    }
}

static void hex_digits_are_the_twenty_two(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int c = -128; c < 0x200; c++) {
        const char *found = c > 0 && c < 128 ? strchr(digits, c) : NULL;
        int wanted = found == NULL ? -1 : (int)(found - digits);
        assert_int_equal(number_hex_digit(c), wanted > 15 ? wanted - 6 : wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_digits_agree_with_printf),
        cmocka_unit_test(shortest_digits_hold_at_every_exponent),
        cmocka_unit_test(lopsided_intervals_give_the_shortest),
        cmocka_unit_test(formats_follow_go),
        cmocka_unit_test(plain_form_of_the_extremes_fits),
        cmocka_unit_test(integers_and_timestamps),
        cmocka_unit_test(plain_texts_have_each_digit_in_its_place),
        cmocka_unit_test(round_trip_of_every_kind_of_text),
        cmocka_unit_test(halfway_points_round_to_even),
        cmocka_unit_test(long_texts_parse),
        cmocka_unit_test(parse_takes_go_forms_only),
        cmocka_unit_test(scan_takes_the_longest_number),
        cmocka_unit_test(scan_reads_only_within_size),
        cmocka_unit_test(scan_ends_at_the_first_other_byte),
        cmocka_unit_test(hex_digits_are_the_twenty_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
