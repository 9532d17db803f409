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
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "number_digits.h"
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

/* Two numbers below 10^8 as eight bytes each, the first digit lowest: halves, then quarters, then
 * digits, each step on all parts at once. Quotients by products with 1/10000, 1/100 and 1/10
 * rounded up, exact for that many digits. */
#ifdef __SSE2__
static void spread_digits(uint32_t first, uint32_t second, uint64_t words[2])
{
    __m128i n = _mm_set_epi64x(second, first);
    __m128i high = _mm_srli_epi64(_mm_mul_epu32(n, _mm_set1_epi64x(0xd1b71759)), 45);
    __m128i low = _mm_sub_epi32(n, _mm_mul_epu32(high, _mm_set1_epi64x(10000)));
    n = _mm_or_si128(high, _mm_slli_epi64(low, 32));
    high = _mm_srli_epi16(_mm_mulhi_epu16(n, _mm_set1_epi16(0x147b)), 3);
    low = _mm_sub_epi16(n, _mm_mullo_epi16(high, _mm_set1_epi16(100)));
    n = _mm_or_si128(high, _mm_slli_epi32(low, 16));
    high = _mm_mulhi_epu16(n, _mm_set1_epi16(0x199a));
    low = _mm_sub_epi16(n, _mm_mullo_epi16(high, _mm_set1_epi16(10)));
    n = _mm_or_si128(high, _mm_slli_epi16(low, 8));
    words[0] = (uint64_t)_mm_cvtsi128_si64(n);
    words[1] = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(n, n));
}
#else
static uint64_t spread_eight(uint32_t n)
{
    uint64_t fours = n / 10000 | (uint64_t)(n % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (twos - 10 * tens) << 8;
}

static void spread_digits(uint32_t first, uint32_t second, uint64_t words[2])
{
    words[0] = spread_eight(first);
    words[1] = spread_eight(second);
}
#endif

/* Of words without the characters' base: up to the last digit that is not 0. */
static int digits_before_zeros(uint64_t high, uint64_t low)
{
    if (low != 0)
        return 2 * NUMBER_WORD_DIGITS - __builtin_clzll(low) / 8;
    return high != 0 ? NUMBER_WORD_DIGITS - __builtin_clzll(high) / 8 : 0;
}

struct number_digits number__digits(double v)
{
    const uint64_t characters = UINT64_C(0x3030303030303030);
    const uint32_t eight = 100000000;
    struct decimal decimal = decimal_of(v);
    int count = digit_count(decimal.significand);
    assert(count <= NUMBER_DIGITS_MAX);

    uint64_t n = decimal.significand * number_powers_of_ten[NUMBER_DIGITS_MAX - count];
    uint64_t front = n / eight;
    uint64_t words[2];
    spread_digits((uint32_t)(front % eight), (uint32_t)(n % eight), words);
    return (struct number_digits){
        .first = (char)('0' + front / eight),
        .high = words[0] | characters,
        .low = words[1] | characters,
        .count = 1 + digits_before_zeros(words[0], words[1]),
        .point = decimal.exponent + count,
    };
}
