/* base/number.h: numbers to text and back, exactly, without locale.
 *
 * Formats follow Go's strconv, which Prometheus' answers are made with: shortest digits that read
 * back to the same double. Pure functions, nothing allocates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/str.h"

enum {
    NUMBER_DIGITS_MAX = 17,
    NUMBER_TEXT_MAX = 400,     /* any double in any format here, no NUL counted */
    NUMBER_JSON_TEXT_MAX = 40, /* by number_format_json */
};

/* Each writes without NUL and returns the size; what is behind it, up to the array's end, may be
 * overwritten. NaN, +Inf and -Inf are spelled so; -0 is "-0". */
/* Plain decimal, never an exponent ("FMT-f": 1e21 is 1000000000000000000000). */
size_t number_format_plain(double v, char out[NUMBER_TEXT_MAX]);
/* Sample values of the HTTP API: exponent form iff |v| < 1e-6 (not 0) or |v| >= 1e21. */
size_t number_format_json(double v, char out[NUMBER_JSON_TEXT_MAX]);
/* What number_format_json returns, in two thirds of the time. */
size_t number_json_size(double v);
/* %g with shortest digits: form d.ddde+XX iff the decimal exponent is < -4 or >= exponent_max.
 * Go's %g, %v and strconv 'g' with precision -1, and so the text formats, have exponent_max 6;
 * 21 gives the limit of JSON and of Go's %#v. */
size_t number_format_general(double v, int exponent_max, char out[NUMBER_TEXT_MAX]);
/* OpenMetrics label form of le and quantile: %g (threshold 6) with ".0" appended when there is
 * neither dot nor exponent. */
size_t number_format_openmetrics(double v, char out[NUMBER_TEXT_MAX]);

size_t number_format_uint(uint64_t v, char out[20]);
size_t number_format_int(int64_t v, char out[20]);
/* Milliseconds as API timestamps: integer seconds, or exactly three decimals when needed. */
size_t number_format_timestamp(int64_t t_ms, char out[24]);

/* 0 to 15, or -1: c, a byte or rune, is no hexadecimal digit. */
static inline int number_hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 10^0 to 10^17. */
extern const uint64_t number_powers_of_ten[18];

/* The whole of text as a double by Go's strconv.ParseFloat rules: decimal and hex floats,
 * exponents, inf and infinity in any case with an optional sign, nan in any case without one,
 * underscores not allowed. Correctly rounded. Overflow fails with *range set and *v infinite. */
bool number_parse(struct str text, double *v, bool *range);

/* Hot path of the exposition parser: reads the longest number at text[0..size) (digits, sign, dot,
 * exponent, or inf/nan words) and returns how many bytes it used; 0 if there is none or it does not
 * fit a double. Reads only within size. */
size_t number_scan(const char *text, size_t size, double *v);
