/* Shortest digits of a double by Schubfach (Raffaello Giulietti, "The Schubfach way to render
 * doubles", 2020).
 *
 * v = c·2^q. Scaled by 10^-k the interval of all reals that round to v is between 1 and 10 wide,
 * so the shortest decimal in it is one of the four neighbours of v·10^-k at the scales k+1 and k.
 * The ends of the interval and v itself are computed four times too large (two extra bits) from one
 * 128-bit power of ten; "rounding to odd" keeps in the last bit whether something was cut off,
 * which makes every comparison below exact.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "narthex/base/number.h"
#include "powers_of_ten.h"

enum {
    SIGNIFICAND_BITS = 52,
    EXPONENT_MASK = 0x7ff,
    EXPONENT_BIAS = 1075, /* of the significand taken as an integer */
};

__extension__ typedef unsigned __int128 uint128;

struct decimal {
    uint64_t significand;
    int exponent; /* value = significand · 10^exponent */
};

/* floor(log10(2^e)), and of 3/4·2^e. */
static int floor_log10_of_power_of_two(int e)
{
    return (e * 1262611) >> 22;
}

static int floor_log10_of_three_quarters(int e)
{
    return (e * 1262611 - 524031) >> 22;
}

/* The table rounds down; the proof needs a factor that is exact or just above. */
static struct power_of_ten power_rounded_up(int exponent)
{
    struct power_of_ten power = powers_of_ten[exponent - POWER_OF_TEN_FIRST];
    if (exponent < 0 || exponent > POWER_OF_TEN_EXACT_LAST) {
        power.low++;
        power.high += power.low == 0;
    }
    return power;
}

static uint64_t multiply_round_to_odd(struct power_of_ten power, uint64_t factor)
{
    uint64_t carry = (uint64_t)((uint128)power.low * factor >> 64);
    uint128 product = (uint128)power.high * factor + carry;
    /* At most 1 is left of an exact product, since the factor was rounded up. */
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

static struct decimal shortest(uint64_t c, int q, bool lower_is_closer)
{
    int k = lower_is_closer ? floor_log10_of_three_quarters(q) : floor_log10_of_power_of_two(q);
    int shift = q + floor_log2_of_power_of_ten(-k) + 1;
    assert(shift >= 1 && shift <= 4);

    struct power_of_ten power = power_rounded_up(-k);
    uint64_t value = multiply_round_to_odd(power, (4 * c) << shift);
    uint64_t lower = multiply_round_to_odd(power, (4 * c - 2 + lower_is_closer) << shift);
    uint64_t upper = multiply_round_to_odd(power, (4 * c + 2) << shift);
    /* Halves round to even: the ends belong to the interval of an even significand only. */
    lower += c & 1;
    upper -= c & 1;

    uint64_t floor = value / 4;
    if (floor >= 10) {
        uint64_t tens = floor / 10;
        bool below_in = lower <= 40 * tens;
        bool above_in = 40 * tens + 40 <= upper;
        if (below_in != above_in)
            return (struct decimal){tens + above_in, k + 1};
    }
    bool below_in = lower <= 4 * floor;
    bool above_in = 4 * floor + 4 <= upper;
    if (below_in != above_in)
        return (struct decimal){floor + above_in, k};
    uint64_t middle = 4 * floor + 2;
    bool up = value > middle || (value == middle && (floor & 1) != 0);
    return (struct decimal){floor + up, k};
}

static struct decimal decimal_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    int biased = (int)(bits >> SIGNIFICAND_BITS) & EXPONENT_MASK;
    assert(biased != EXPONENT_MASK);
    if (biased == 0) {
        assert(fraction != 0);
        return shortest(fraction, 1 - EXPONENT_BIAS, false);
    }
    uint64_t c = fraction | UINT64_C(1) << SIGNIFICAND_BITS;
    int q = biased - EXPONENT_BIAS;
    /* Integers below 2^53 are their own shortest digits, and the most frequent values. */
    if (q <= 0 && q >= -SIGNIFICAND_BITS && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return (struct decimal){c >> -q, 0};
    return shortest(c, q, fraction == 0 && biased > 1);
}

const uint64_t number_powers_of_ten[18] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
};

/* Digits of n from 1 to 10^17 - 1: the bit length tells them but for one, 1233/4096 being about
 * log10(2). */
static int digit_count(uint64_t n)
{
    int guess = (64 - __builtin_clzll(n)) * 1233 >> 12;
    return guess + (n >= number_powers_of_ten[guess]);
}

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

/* Writes n < 10^8 as eight digits, zeros in front: four independent divisions instead of a chain.
 */
static void write_eight(uint32_t n, char *out)
{
    uint32_t high = n / 10000;
    uint32_t low = n % 10000;
    memcpy(out, digit_pairs + high / 100 * 2, 2);
    memcpy(out + 2, digit_pairs + high % 100 * 2, 2);
    memcpy(out + 4, digit_pairs + low / 100 * 2, 2);
    memcpy(out + 6, digit_pairs + low % 100 * 2, 2);
}

/* Size without the zeros at the end. Short decimals come with ten or more of them, so eight are
 * counted at a time; the last digit is the highest byte of a little-endian word. */
static size_t strip_zeros(const char *digits, size_t size)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030);
    while (size > sizeof zeros) {
        uint64_t word;
        memcpy(&word, digits + size - sizeof word, sizeof word);
        word = le64toh(word) ^ zeros;
        if (word != 0)
            return size - (size_t)__builtin_clzll(word) / 8;
        size -= sizeof word;
    }
    while (size > 1 && digits[size - 1] == '0')
        size--;
    return size;
}

size_t number_shortest_digits(double v, char digits[NUMBER_DIGITS_MAX], int *exponent10)
{
    struct decimal decimal = decimal_of(v);
    uint64_t n = decimal.significand;
    int count = digit_count(n);
    assert(count <= NUMBER_DIGITS_MAX);
    *exponent10 = decimal.exponent + count;

    const uint32_t eight = 100000000;
    int at = count;
    for (; at >= 8; n /= eight) {
        at -= 8;
        write_eight((uint32_t)(n % eight), digits + at);
    }
    uint32_t rest = (uint32_t)n;
    for (; at >= 2; rest /= 100) {
        at -= 2;
        memcpy(digits + at, digit_pairs + rest % 100 * 2, 2);
    }
    if (at == 1)
        digits[0] = (char)('0' + rest);
    return strip_zeros(digits, (size_t)count);
}
