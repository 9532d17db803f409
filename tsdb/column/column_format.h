/* Constants of docs/format/column.md, parts 1 and 2. */
#pragma once

#include <stdint.h>

#include "narthex/tsdb/column.h"

enum column_kind {
    COLUMN_KIND_CONST = 0,
    COLUMN_KIND_INT = 1,
    COLUMN_KIND_BITS = 2,
    COLUMN_KIND_DECULP = 3,
    COLUMN_KIND_RAW = 4,
};

enum {
    COLUMN_KIND_MASK = 0x07,
    /* Bits of byte 0 that describe a stream. */
    STREAM_PREDICTOR_SHIFT = 3,
    STREAM_PREDICTOR_MASK = 0x03,
    STREAM_GCD = 0x20,
    STREAM_EXCEPTIONS = 0x40,
    STREAM_SPLIT = 0x80,
    /* Byte 1. */
    COLUMN_EXPONENT_MASK = 0x1f,
    COLUMN_SPECIALS = 0x20,
    COLUMN_WIDE = 0x40,
    COLUMN_ZIGZAG = 0x80,
    COLUMN_EXPONENT_MAX = 15,
    COLUMN_CONST_RAW = 31,
    SPECIALS_ALL_STALE = 0x80,
    SPECIALS_COUNT_MASK = 0x7f,
    STREAM_RICE = 0x80,
    STREAM_RICE_WIDTH_MAX = 25,
    STREAM_RICE_QUOTIENT_MAX = 23,
    STREAM_WIDTH_MASK = 0x7f,
};

/* Integers at and above this magnitude set COLUMN_WIDE. */
#define COLUMN_WIDE_LIMIT ((int64_t)1 << 50)
