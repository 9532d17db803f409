/* tsdb/column.h: sealed columns.
 *
 * A column is the values of one slot in one window: 1 to COLUMN_ROWS_MAX float64, dense (rows the
 * slot missed are not in it), kept bit for bit: NaN payloads, stale markers, -0, infinities and
 * denormals included. Layout and the choice of encodings: docs/format/column.md. A column does not
 * know its own row count, size or format version; the file that holds it does.
 *
 * Nothing here allocates, locks or does I/O; every function may be called from any thread on
 * distinct outputs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"

enum {
    COLUMN_ROWS_MAX = 240,
    /* Readable bytes that must follow every encoded column given to a decoder, and writable ones
     * that column_size_max and time_column_size_max already contain. Their contents are ignored. */
    COLUMN_SLACK_BYTES = 32,
};

/* What the last seal of a slot chose, so that the next one need not search. One per slot, zeroed
 * when the slot is created, afterwards written by column_seal only. */
struct column_hint {
    uint8_t kind;              /* 0: nothing known */
    uint8_t exponent;          /* decimal exponent */
    uint8_t form;              /* predictor and centre of the stream */
    uint8_t ulp_form;          /* and of the second stream, if the kind has one */
    uint32_t bits_per_row_x64; /* size the last search reached, 1/64 bit per row */
};

/* Bytes that column_seal may write for `row_count` values, slack included. */
size_t column_size_max(uint32_t row_count);

/* Encodes values[0..row_count), 1 <= row_count <= COLUMN_ROWS_MAX, into out, which holds
 * column_size_max(row_count) bytes. `hint` is the previous column's choice of the same slot and is
 * updated in place; NULL searches all encodings. Returns the encoded size in bytes, slack excluded,
 * never more than 1 + 8 * row_count. Cannot fail: every bit pattern has an encoding. */
size_t column_seal(const double *values, uint32_t row_count, struct column_hint *hint,
                   uint8_t *out);

/* As column_seal without a hint, searching also the encodings that are slower to read and to find
 * (Rice): for compaction, when a few percent of size are worth more than time. */
size_t column_seal_small(const double *values, uint32_t row_count, uint8_t *out);

/* Decodes a whole column into values[0..row_count). `in` must be readable for
 * in_size + COLUMN_SLACK_BYTES bytes; `row_count` comes from the directory.
 * Errors: ERR_CORRUPT if the bytes do not describe row_count values; values[] is then
 * unspecified. Any bytes are safe to pass. */
err_t column_decode(const uint8_t *in, size_t in_size, uint32_t row_count, double *values);

/* Whether the column is of the constant kind; if so *value is what all its rows hold. Such columns
 * need no page: a directory can keep them inline (at most 9 bytes). False for corrupt bytes. */
bool column_peek_constant(const uint8_t *in, size_t in_size, double *value);

/* Name of the instruction set the decoder uses, "avx2" or "scalar", for logs and benchmarks. */
const char *column_kernels_name(void);

/* Goes back to the plain C kernels, for measurements. Call before any other thread runs. */
void column_kernels_use_scalar(void);
