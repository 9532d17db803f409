/* Text to double, correctly rounded.
 *
 * Three stages, each exact or saying that it cannot tell: one floating-point operation on exact
 * operands (Clinger 1990); a 64×128-bit multiplication (Eisel-Lemire: D. Lemire, "Number parsing at
 * a gigabyte per second", 2021); and strtod on a canonical form, which no locale can change since
 * it has no decimal point.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/number.h"
#include "powers_of_ten.h"

enum {
    DIGITS_IN_UINT64 = 19,
    /* A halfway point between doubles has at most 767 significant digits; later ones only matter
     * by being zero or not. */
    DIGITS_KEPT_MAX = 770,
    EXPONENT_BOUND = 100000000, /* beyond it every exponent gives 0 or infinity */
    CLINGER_EXPONENT_MAX = 22,
    HEX_MANTISSA_BITS = 60,
};

__extension__ typedef unsigned __int128 uint128;

/* A decimal number as scanned. */
struct decimal_text {
    uint64_t significand; /* first 19 significant digits */
    int64_t exponent;     /* of the significand's last digit */
    bool cut;             /* non-zero digits follow those in the significand */
    const char *mantissa; /* digits and at most one dot */
    const char *mantissa_end;
    int64_t exponent_written;
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Reads e[+-]digits; *exponent is unchanged and text returned if there is no whole exponent. */
static const char *scan_exponent(const char *text, const char *end, char marker, int64_t *exponent)
{
    const char *at = text;
    if (at == end || (*at | 0x20) != marker)
        return text;
    at++;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !is_digit(*at))
        return text;
    int64_t value = 0;
    for (; at < end && is_digit(*at); at++) {
        if (value < EXPONENT_BOUND)
            value = value * 10 + (*at - '0');
    }
    *exponent = negative ? -value : value;
    return at;
}

/* A digit's value in each byte, the first digit lowest, to their number: pairs, fours, all. */
static uint64_t join_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return (((digits & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064)) +
            (((digits >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001))) >>
           32;
}

/* Appends digits to *value, modulo 2^64, and returns what is behind them. Eight at a time, whose
 * count costs no loop: how many digits a value has is what branches guess worst. */
static const char *scan_digits(const char *at, const char *end, uint64_t *value)
{
    static const uint64_t powers[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first digit is the lowest byte");
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    while (end - at >= 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof bytes);
        bytes ^= UINT64_C(0x3030303030303030);
        /* The highest bit of every byte above 9. */
        uint64_t others = (((bytes & low_bits) + UINT64_C(0x7676767676767676)) | bytes) & ~low_bits;
        if (others != 0) {
            unsigned count = (unsigned)__builtin_ctzll(others) / 8;
            if (count > 0)
                *value = *value * powers[count] + join_digits(bytes << (64 - 8 * count));
            return at + count;
        }
        *value = *value * 100000000 + join_digits(bytes);
        at += 8;
    }
    for (; at < end && is_digit(*at); at++)
        *value = *value * 10 + (uint64_t)(*at - '0');
    return at;
}

/* Scans unsigned decimal text; NULL if there is no digit. */
static const char *scan_decimal(const char *text, const char *end, struct decimal_text *decimal)
{
    uint64_t significand = 0;
    const char *at = scan_digits(text, end, &significand);
    int64_t digits = at - text;
    int64_t fraction = 0;
    if (at < end && *at == '.') {
        const char *dot = at;
        at = scan_digits(dot + 1, end, &significand);
        fraction = at - dot - 1;
        digits += fraction;
    }
    if (digits == 0)
        return NULL;
    decimal->significand = significand;
    decimal->cut = false;
    decimal->mantissa = text;
    decimal->mantissa_end = at;
    decimal->exponent_written = 0;
    if (at < end && (*at | 0x20) == 'e')
        at = scan_exponent(at, end, 'e', &decimal->exponent_written);
    decimal->exponent = decimal->exponent_written - fraction;
    return at;
}

/* The significand of more than 19 digits overflowed: counts again from the first digit that is
 * not 0. */
static void rescan_long(struct decimal_text *decimal)
{
    uint64_t significand = 0;
    int kept = 0;
    int64_t dropped_whole = 0;
    int64_t kept_fraction = 0;
    bool in_fraction = false;
    for (const char *at = decimal->mantissa; at < decimal->mantissa_end; at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        if (kept == DIGITS_IN_UINT64) {
            decimal->cut |= *at != '0';
            dropped_whole += !in_fraction;
            continue;
        }
        significand = significand * 10 + (uint64_t)(*at - '0');
        kept += significand != 0;
        kept_fraction += in_fraction;
    }
    decimal->significand = significand;
    decimal->exponent = decimal->exponent_written + dropped_whole - kept_fraction;
}

static bool clinger(uint64_t significand, int64_t exponent, double *v)
{
    static const double powers[CLINGER_EXPONENT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    if (significand > UINT64_C(1) << 53)
        return false;
    if (exponent < -CLINGER_EXPONENT_MAX || exponent > CLINGER_EXPONENT_MAX)
        return false;
    *v = exponent < 0 ? (double)significand / powers[-exponent]
                      : (double)significand * powers[exponent];
    return true;
}

/* The product of the normalised significand and the table's power is known up to an error below one
 * unit of its last bit, because the table rounds down. Whatever such an error could change, and all
 * that is not a normal double, is left to the next stage. */
static bool eisel_lemire(uint64_t significand, int64_t exponent, double *v)
{
    if (significand == 0 || exponent < POWER_OF_TEN_FIRST || exponent > POWER_OF_TEN_LAST)
        return false;
    int leading = __builtin_clzll(significand);
    significand <<= leading;
    const struct power_of_ten *power = &powers_of_ten[exponent - POWER_OF_TEN_FIRST];

    const uint64_t below_rounding = 0x1ff; /* 64 - 53 - 1 - 1 bits under the rounding bit */
    uint128 product = (uint128)significand * power->high;
    if (((uint64_t)(product >> 64) & below_rounding) == below_rounding &&
        (uint64_t)product + significand < significand) {
        uint128 low = (uint128)significand * power->low;
        uint128 wider = product + (uint64_t)(low >> 64);
        if (((uint64_t)(wider >> 64) & below_rounding) == below_rounding &&
            (uint64_t)wider == UINT64_MAX && (uint64_t)low + significand < significand)
            return false;
        product = wider;
    }
    uint64_t high = (uint64_t)(product >> 64);
    uint32_t top = (uint32_t)(high >> 63);
    uint64_t mantissa = high >> (top + 9); /* 54 bits: the last one decides the rounding */
    /* Possibly exactly between two doubles: the low bits cannot tell. */
    if ((uint64_t)product == 0 && (high & below_rounding) == 0 && (mantissa & 3) == 1)
        return false;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    int biased = floor_log2_of_power_of_ten((int)exponent) + 64 + 1023 - leading - !top;
    if (mantissa >> 53 != 0) {
        mantissa >>= 1;
        biased++;
    }
    if (biased < 1 || biased > 0x7fe)
        return false;
    uint64_t bits = (uint64_t)biased << 52 | (mantissa & ((UINT64_C(1) << 52) - 1));
    memcpy(v, &bits, sizeof *v);
    return true;
}

static double slow_decimal(const struct decimal_text *decimal)
{
    char text[DIGITS_KEPT_MAX + 32];
    size_t size = 0;
    int64_t exponent = decimal->exponent_written;
    bool in_fraction = false;
    bool cut = false;
    for (const char *at = decimal->mantissa; at < decimal->mantissa_end; at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        if (size == DIGITS_KEPT_MAX) {
            cut |= *at != '0';
            exponent += !in_fraction;
            continue;
        }
        if (size > 0 || *at != '0')
            text[size++] = *at;
        exponent -= in_fraction;
    }
    if (size == 0)
        return 0;
    if (cut) {
        text[size++] = '1';
        exponent--;
    }
    text[size++] = 'e';
    size += number_format_int(exponent, text + size);
    text[size] = '\0';
    return strtod(text, NULL);
}

static double convert_decimal(struct decimal_text *decimal)
{
    double v;
    if (decimal->mantissa_end - decimal->mantissa > DIGITS_IN_UINT64)
        rescan_long(decimal);
    if (!decimal->cut) {
        if (decimal->significand == 0)
            return 0;
        if (clinger(decimal->significand, decimal->exponent, &v) ||
            eisel_lemire(decimal->significand, decimal->exponent, &v))
            return v;
    } else {
        double next;
        if (eisel_lemire(decimal->significand, decimal->exponent, &v) &&
            eisel_lemire(decimal->significand + 1, decimal->exponent, &next) && v == next)
            return v;
    }
    return slow_decimal(decimal);
}

/* inf, infinity (either sign) and nan (no sign, as Go has it); NULL if there is no such word. */
static const char *scan_word(const char *text, const char *end, bool has_sign, double *v)
{
    static const char infinity[] = "infinity";
    size_t size = (size_t)(end - text);
    size_t same = 0;
    while (same < size && same < sizeof infinity - 1 && (text[same] | 0x20) == infinity[same])
        same++;
    if (same >= 3) {
        *v = INFINITY;
        return text + (same == sizeof infinity - 1 ? same : 3);
    }
    if (!has_sign && size >= 3 && (text[0] | 0x20) == 'n' && (text[1] | 0x20) == 'a' &&
        (text[2] | 0x20) == 'n') {
        *v = NAN;
        return text + 3;
    }
    return NULL;
}

/* Hex digits, dot and the binary exponent, which Go requires; text is after "0x". */
static const char *scan_hex(const char *text, const char *end, double *v)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0;
    bool any = false;
    bool in_fraction = false;
    const char *at = text;
    for (; at < end; at++) {
        if (*at == '.' && !in_fraction) {
            in_fraction = true;
            continue;
        }
        int digit = number_hex_digit(*at);
        if (digit < 0)
            break;
        any = true;
        if (mantissa >> HEX_MANTISSA_BITS == 0) {
            mantissa = mantissa << 4 | (uint64_t)digit;
            exponent -= in_fraction ? 4 : 0;
        } else {
            mantissa |= digit != 0; /* sticky: far below the rounding bit */
            exponent += in_fraction ? 0 : 4;
        }
    }
    int64_t written = 0;
    const char *after = scan_exponent(at, end, 'p', &written);
    if (!any || after == at)
        return NULL;
    char canonical[64] = "0x";
    size_t size = 2;
    for (int shift = 60; shift >= 0; shift -= 4)
        canonical[size++] = "0123456789abcdef"[mantissa >> shift & 15];
    canonical[size++] = 'p';
    size += number_format_int(exponent + written, canonical + size);
    canonical[size] = '\0';
    *v = strtod(canonical, NULL);
    return after;
}

bool number_parse(struct str text, double *v, bool *range)
{
    *range = false;
    if (text.size == 0)
        return false;
    const char *at = text.data;
    const char *end = text.data + text.size;
    bool negative = *at == '-';
    bool has_sign = negative || *at == '+';
    at += has_sign;

    double magnitude = 0;
    const char *after = scan_word(at, end, has_sign, &magnitude);
    bool is_word = after != NULL;
    if (!is_word) {
        struct decimal_text decimal;
        if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x')
            after = scan_hex(at + 2, end, &magnitude);
        else if ((after = scan_decimal(at, end, &decimal)) == end)
            magnitude = convert_decimal(&decimal);
    }
    if (after != end)
        return false;
    *v = negative ? -magnitude : magnitude;
    *range = !is_word && isinf(magnitude);
    return !*range;
}

size_t number_scan(const char *text, size_t size, double *v)
{
    const char *at = text;
    const char *end = text + size;
    if (size == 0)
        return 0;
    bool negative = *at == '-';
    bool has_sign = negative || *at == '+';
    at += has_sign;

    struct decimal_text decimal;
    double magnitude;
    const char *after = scan_decimal(at, end, &decimal);
    if (after != NULL) {
        magnitude = convert_decimal(&decimal);
        if (isinf(magnitude))
            return 0;
    } else {
        after = scan_word(at, end, has_sign, &magnitude);
        if (after == NULL)
            return 0;
    }
    *v = negative ? -magnitude : magnitude;
    return (size_t)(after - text);
}
