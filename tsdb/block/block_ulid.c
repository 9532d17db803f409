/* ULIDs: how the folders of blocks are named, so that names sort by time of making. */
#include <string.h>

#include "narthex/tsdb/block.h"

static const char ulid_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void block_ulid_make(int64_t time_ms, const uint8_t random[10], struct block_ulid *ulid)
{
    uint64_t time = (uint64_t)time_ms & ((UINT64_C(1) << 48) - 1);
    for (int i = 9; i >= 0; i--) {
        ulid->text[i] = ulid_digits[time & 31];
        time >>= 5;
    }
    /* 80 random bits are two halves of 40 bits, 8 digits each. */
    for (int half = 0; half < 2; half++) {
        uint64_t bits = 0;
        for (int i = 0; i < 5; i++)
            bits = bits << 8 | random[half * 5 + i];
        for (int i = 7; i >= 0; i--) {
            ulid->text[10 + half * 8 + i] = ulid_digits[bits & 31];
            bits >>= 5;
        }
    }
    ulid->text[BLOCK_ULID_SIZE] = '\0';
}

int64_t block_ulid_ms(const struct block_ulid *ulid)
{
    int64_t time_ms = 0;
    for (int i = 0; i < 10; i++) {
        const char *digit = strchr(ulid_digits, ulid->text[i]);
        time_ms = time_ms << 5 | (digit == NULL ? 0 : digit - ulid_digits);
    }
    return time_ms;
}

bool block_ulid_is_valid(struct str text)
{
    /* 130 bits of digits hold 128: the first one is at most 7. */
    if (text.size != BLOCK_ULID_SIZE || text.data[0] > '7')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || strchr(ulid_digits, text.data[i]) == NULL)
            return false;
    }
    return true;
}
