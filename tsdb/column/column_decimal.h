/* Doubles as decimal integers: v == (double)m / 10^e, bit for bit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "column_bytes.h"
#include "column_format.h"

/* 10^0 to 10^15, all exact. */
extern const double column__powers[COLUMN_EXPONENT_MAX + 1];

/* The highest exponent tried when looking for a decimal. */
enum { COLUMN_EXPONENT_TRIED = 12 };

/* A column split into decimals and specials. */
struct decimal_split {
    uint32_t exponent;
    uint32_t count; /* integers */
    uint32_t special_count;
    bool all_stale; /* of the specials */
    bool wide;
    int64_t integers[COLUMN_ROWS_MAX];
    uint8_t special_rows[COLUMN_ROWS_MAX];
};

/* Adding 1.5 * 2^52 leaves the rounded integer in the low bits of the sum, for |x| < 2^51. */
#define COLUMN_ROUNDING_MAGIC 0x1.8p52

/* Whether v is m / power with |m| < 2^51. */
static inline bool column__decimal_scaled(double v, double power, int64_t *m)
{
    double scaled = v * power;
    if (!(scaled < 0x1p51 && scaled > -0x1p51))
        return false;
    double rounded = scaled + COLUMN_ROUNDING_MAGIC;
    *m = (int64_t)(double_bits(rounded) - double_bits(COLUMN_ROUNDING_MAGIC));
    double back = (rounded - COLUMN_ROUNDING_MAGIC) / power;
    return double_bits(back) == double_bits(v);
}

/* Whether v is m / 10^e with |m| < 2^51, or e is 0 and v any whole number in int64. -0 is not. */
static inline bool column__decimal_at(double v, uint32_t exponent, int64_t *m)
{
    if (exponent > 0)
        return column__decimal_scaled(v, column__powers[exponent], m);
    if (!(v < 0x1p63 && v >= -0x1p63))
        return false;
    *m = (int64_t)v;
    return double_bits((double)*m) == double_bits(v);
}

/* The smallest exponent from `exponent` to COLUMN_EXPONENT_TRIED at which v is a decimal.
 * False: none. */
bool column__decimal_find(double v, uint32_t *exponent, int64_t *m);

/* Asks a few rows only: noise is found out before an expensive search runs over all of them. */
bool column__looks_decimal(const double *values, uint32_t row_count);

/* Splits values[0..row_count), starting at `exponent_start` (0 unless hinted). False if too many
 * rows would be special: the column is better stored otherwise. */
bool column__decimal_split(const double *values, uint32_t row_count, uint32_t exponent_start,
                           struct decimal_split *split);
