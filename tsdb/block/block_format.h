/* What the writer and the reader of a block agree on; docs/format/block.md draws it. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little endian");

enum {
    BLOCK__VERSION = 3,
    BLOCK__VERSION_OLDEST = 1, /* 1: histogram columns are records; 1, 2: statistics' first form */
    BLOCK__PIECE_BYTES = 4096, /* one checksum each */
    BLOCK__HEADER_BYTES = 32,
    BLOCK__FOOTER_BYTES = 176,
    BLOCK__PAGE_TARGET_BYTES = 8192,
    BLOCK__CHUNK_SERIES_MAX = 64,
    BLOCK__CHUNK_SERIES_TARGET = 32, /* looking up a series walks half a chunk on average */
    BLOCK__CHUNK_TARGET_BYTES = 4096,
    BLOCK__GROUP_ENTRY_BYTES = 24,
    BLOCK__WINDOW_ENTRY_BYTES = 16,
    BLOCK__PAGE_ENTRY_BYTES = 16,
    BLOCK__CHUNK_ENTRY_BYTES = 16,
    BLOCK__NAME_ENTRY_BYTES = 12,
    BLOCK__PAIR_ENTRY_BYTES = 12,
    BLOCK__META_FIXED_BYTES = 26 + 2 * 8 + 2 * 4 + 1 + 3 * 8 + 4 + 5 * 8 + 4,
    BLOCK__CONSTANT_BYTES_MAX = 11, /* of a sealed CONST column */
    BLOCK__UV_BYTES_MAX = 10,
};

#define BLOCK__MAGIC_HEAD "narthexB"
#define BLOCK__MAGIC_FOOT "narthexE"
#define BLOCK__FILE_NAME "block"

enum block__section {
    BLOCK__SYMBOL_BYTES,
    BLOCK__SYMBOL_OFFSETS,
    BLOCK__GROUPS,
    BLOCK__PAGES,
    BLOCK__CHUNKS,
    BLOCK__NAMES,
    BLOCK__PAIRS,
    BLOCK__POSTINGS,
    BLOCK__META,
    BLOCK__SECTION_COUNT,
};

/* Offsets inside the footer. */
enum {
    BLOCK__FOOT_CHECKSUMS_OFFSET = BLOCK__SECTION_COUNT * 16,
    BLOCK__FOOT_CHECKSUMS_CRC = BLOCK__FOOT_CHECKSUMS_OFFSET + 8,
    BLOCK__FOOT_VERSION = BLOCK__FOOT_CHECKSUMS_CRC + 4,
    BLOCK__FOOT_CRC = BLOCK__FOOT_VERSION + 8,
    BLOCK__FOOT_MAGIC = BLOCK__FOOT_CRC + 4,
};
static_assert(BLOCK__FOOT_MAGIC + 8 == BLOCK__FOOTER_BYTES, "footer layout");

/* Record codes of the directory. */
enum {
    BLOCK__CODE_REPEAT = 0,
    BLOCK__CODE_REPEAT_RUN = 1,
    BLOCK__CODE_ABSENT = 2,
    BLOCK__CODE_GENERAL = 3,
    BLOCK__CODE_CONSTANT = 3, /* + size of the sealed constant, at least 1 */
    BLOCK__CODE_COLUMN = BLOCK__CODE_CONSTANT + BLOCK__CONSTANT_BYTES_MAX, /* + size */
};

/* Flags of a general record. */
enum {
    BLOCK__ROWS_MASK = 3,
    BLOCK__ROWS_ALL = 0,
    BLOCK__ROWS_RANGE = 1,
    BLOCK__ROWS_BITMAP = 2,
    BLOCK__HISTOGRAM = 1 << 2,
    BLOCK__CUT = 1 << 3,
    BLOCK__START_TIMES = 1 << 4,
    BLOCK__CONSTANT = 1 << 5,
    BLOCK__SHARED = 1 << 6,
    BLOCK__STATS = 1 << 7,
};

/* Bits of a run's head below the zigzagged group difference. */
enum { BLOCK__RUN_MORE = 1, BLOCK__RUN_PARTIAL = 2, BLOCK__RUN_SHIFT = 2 };

static inline uint32_t block__get32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint64_t block__get64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline uint8_t *block__put32(uint8_t *p, uint32_t value)
{
    memcpy(p, &value, sizeof value);
    return p + sizeof value;
}

static inline uint8_t *block__put64(uint8_t *p, uint64_t value)
{
    memcpy(p, &value, sizeof value);
    return p + sizeof value;
}

static inline uint64_t block__zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t block__unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Writes at most BLOCK__UV_BYTES_MAX bytes; returns the end. */
static inline uint8_t *block__put_uv(uint8_t *p, uint64_t value)
{
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

/* Reads a varint at *p, moving it; false when it does not end before `end` or overflows. */
static inline bool block__get_uv(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
    const uint8_t *at = *p;
    if (at < end && *at < 0x80) {
        *value = *at;
        *p = at + 1;
        return true;
    }
    uint64_t sum = 0;
    for (uint32_t shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return false;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            *p = at;
            return true;
        }
    }
    return false;
}
