#include <assert.h>
#include <math.h>
#include <string.h>

#include "number_digits.h"

enum { EXPONENT_MIN_GENERAL = -4 /* %g: smaller decimal exponents take the exponent form */ };

/* NaN, infinities and zeros; 0 for all other numbers. */
static size_t format_special(double v, char *out)
{
    struct str text;
    if (isnan(v))
        text = STR("NaN");
    else if (isinf(v))
        text = v > 0 ? STR("+Inf") : STR("-Inf");
    else if (v == 0)
        text = signbit(v) ? STR("-0") : STR("0");
    else
        return 0;
    memcpy(out, text.data, text.size);
    return text.size;
}

static char *put(char *at, const char *data, int size)
{
    memcpy(at, data, (size_t)size);
    return at + size;
}

static char *put_zeros(char *at, int count)
{
    memset(at, '0', (size_t)count);
    return at + count;
}

/* At most this far from the point: what is written too much stays within NUMBER_JSON_TEXT_MAX. */
static bool is_near_point(const struct number_digits *digits)
{
    return digits->point > -8 && digits->point <= NUMBER_DIGITS_MAX;
}

/* The digits behind the first ones, from the point on: 1 to 16 of them are wanted. */
static void put_fraction(char *to, const struct number_digits *digits)
{
    __extension__ unsigned __int128 rest = digits->low;
    rest = (rest << 64 | digits->high) >> 8 * (digits->point - 1);
    number__put_word(to, (uint64_t)rest);
    number__put_word(to + NUMBER_WORD_DIGITS, (uint64_t)(rest >> 64));
}

static size_t write_near_point(const struct number_digits *digits, char *at)
{
    if (digits->point <= 0) {
        memcpy(at, "0.0000000", 10);
        number__put_digits(at + 2 - digits->point, digits);
        return (size_t)2 + (size_t)(digits->count - digits->point);
    }
    number__put_digits(at, digits);
    if (digits->point >= digits->count)
        return (size_t)digits->point;
    at[digits->point] = '.';
    put_fraction(at + digits->point + 1, digits);
    return (size_t)digits->count + 1;
}

static size_t write_plain(double v, const struct number_digits *digits, char *out)
{
    char *at = out;
    if (v < 0)
        *at++ = '-';
    if (is_near_point(digits))
        return write_near_point(digits, at) + (v < 0);
    /* All digits are on one side of the point. */
    if (digits->point <= 0) {
        at = put(at, "0.", 2);
        at = put_zeros(at, -digits->point);
        number__put_digits(at, digits);
        at += digits->count;
    } else {
        number__put_digits(at, digits);
        at = put_zeros(at + digits->count, digits->point - digits->count);
    }
    assert(at - out <= NUMBER_TEXT_MAX);
    return (size_t)(at - out);
}

static size_t write_exponent(double v, const struct number_digits *digits, char *out)
{
    char *at = out;
    if (v < 0)
        *at++ = '-';
    *at = digits->first;
    number__put_word(at + 2, digits->high);
    number__put_word(at + 2 + NUMBER_WORD_DIGITS, digits->low);
    at[1] = '.';
    at += digits->count > 1 ? digits->count + 1 : 1;
    int exponent = digits->point - 1;
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    if (exponent < 0)
        exponent = -exponent;
    if (exponent >= 100)
        *at++ = (char)('0' + exponent / 100);
    *at++ = (char)('0' + exponent / 10 % 10);
    *at++ = (char)('0' + exponent % 10);
    return (size_t)(at - out);
}

size_t number_format_plain(double v, char out[NUMBER_TEXT_MAX])
{
    size_t size = format_special(v, out);
    if (size > 0)
        return size;
    struct number_digits digits = number__digits(v);
    return write_plain(v, &digits, out);
}

size_t number_format_json(double v, char out[NUMBER_JSON_TEXT_MAX])
{
    size_t size = format_special(v, out);
    if (size > 0)
        return size;
    struct number_digits digits = number__digits(v);
    double magnitude = fabs(v);
    if (magnitude < 1e-6 || magnitude >= 1e21)
        return write_exponent(v, &digits, out);
    return write_plain(v, &digits, out);
}

static size_t plain_size(const struct number_digits *digits)
{
    if (digits->point <= 0)
        return (size_t)2 + (size_t)(digits->count - digits->point);
    return (size_t)(digits->point >= digits->count ? digits->point : digits->count + 1);
}

size_t number_json_size(double v)
{
    char text[NUMBER_JSON_TEXT_MAX];
    double magnitude = fabs(v);
    /* Rare ones are measured by writing them; the comparison is false for NaN. */
    if (!(magnitude >= 1e-6 && magnitude < 1e21))
        return number_format_json(v, text);
    struct number_digits digits = number__digits(v);
    return plain_size(&digits) + (v < 0);
}

size_t number_format_general(double v, int exponent_max, char out[NUMBER_TEXT_MAX])
{
    size_t size = format_special(v, out);
    if (size > 0)
        return size;
    struct number_digits digits = number__digits(v);
    int exponent = digits.point - 1;
    if (exponent < EXPONENT_MIN_GENERAL || exponent >= exponent_max)
        return write_exponent(v, &digits, out);
    return write_plain(v, &digits, out);
}

size_t number_format_openmetrics(double v, char out[NUMBER_TEXT_MAX])
{
    size_t size = number_format_general(v, 6, out);
    if (isfinite(v) && memchr(out, '.', size) == NULL && memchr(out, 'e', size) == NULL) {
        out[size++] = '.';
        out[size++] = '0';
    }
    return size;
}

static size_t write_uint(uint64_t v, char *out)
{
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

size_t number_format_uint(uint64_t v, char out[20])
{
    return write_uint(v, out);
}

size_t number_format_int(int64_t v, char out[20])
{
    if (v >= 0)
        return write_uint((uint64_t)v, out);
    out[0] = '-';
    return 1 + write_uint(0 - (uint64_t)v, out + 1);
}

size_t number_format_timestamp(int64_t t_ms, char out[24])
{
    size_t size = 0;
    uint64_t magnitude = (uint64_t)t_ms;
    if (t_ms < 0) {
        out[size++] = '-';
        magnitude = 0 - magnitude;
    }
    size += write_uint(magnitude / 1000, out + size);
    uint32_t fraction = (uint32_t)(magnitude % 1000);
    if (fraction != 0) {
        out[size++] = '.';
        out[size++] = (char)('0' + fraction / 100);
        out[size++] = (char)('0' + fraction / 10 % 10);
        out[size++] = (char)('0' + fraction % 10);
    }
    return size;
}
