/* base/powers_of_ten.h: the table that number reading and writing share. */
#pragma once

#include <stdint.h>

enum {
    POWER_OF_TEN_FIRST =
        -342, /* 10^-343 times any 64-bit number is below half of the smallest double */
    POWER_OF_TEN_LAST = 324,
    POWER_OF_TEN_EXACT_LAST = 55, /* 10^0 to 10^55 have at most 128 significant bits */
};

/* The leading 128 bits of a power of ten, rounded down; the top bit is set. */
struct power_of_ten {
    uint64_t high;
    uint64_t low;
};

extern const struct power_of_ten powers_of_ten[POWER_OF_TEN_LAST - POWER_OF_TEN_FIRST + 1];

/* floor(log2(10^exponent)); exact for the table's range (the generator checks it). */
static inline int floor_log2_of_power_of_ten(int exponent)
{
    return (exponent * 1741647) >> 19;
}
