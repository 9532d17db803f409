/* base/number_digits.h: the shortest digits of a double, on their way into a text.
 *
 * They stay in registers until they are written where they belong: digits that go through a buffer
 * byte by byte and are read back in words cost more than finding them did.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "narthex/base/number.h"

enum { NUMBER_WORD_DIGITS = 8 };

/* NUMBER_DIGITS_MAX digits as characters, zeros behind those that count: the first, then two words
 * of eight whose lowest byte comes first. |v| = 0.d1d2d3… × 10^point. */
struct number_digits {
    uint64_t high;
    uint64_t low;
    char first;
    int count; /* without zeros at the end; at least 1 */
    int point;
};

/* v is finite and not 0; its sign is left to the caller. */
struct number_digits number__digits(double v);

static inline void number__put_word(char *to, uint64_t word)
{
    word = htole64(word);
    memcpy(to, &word, sizeof word);
}

/* Writes NUMBER_DIGITS_MAX bytes. */
static inline void number__put_digits(char *to, const struct number_digits *digits)
{
    to[0] = digits->first;
    number__put_word(to + 1, digits->high);
    number__put_word(to + 1 + NUMBER_WORD_DIGITS, digits->low);
}
