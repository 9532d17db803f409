/* tsdb/time_column.h: the timestamps of one window, shared by all slots of a group.
 *
 * 1 to COLUMN_ROWS_MAX int64 milliseconds in row order; any values are kept exactly, but ascending
 * ones are small. A constant step needs no decoding at all: time_column_peek tells it.
 * Layout: docs/format/column.md. No allocation, no locks; any thread on distinct outputs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"

/* What can be told from the first bytes. */
struct time_column_summary {
    int64_t first_ms;
    int64_t last_ms;
    int64_t step_ms; /* row i is at first_ms + i * step_ms; 0: no constant step, decode it. With
                        one row it is 0 too, and first_ms says all. */
};

/* Bytes that time_column_seal may write for row_count timestamps, slack included. */
size_t time_column_size_max(uint32_t row_count);

/* Encodes times_ms[0..row_count) into out (time_column_size_max(row_count) bytes); returns the
 * encoded size without slack. Cannot fail. */
size_t time_column_seal(const int64_t *times_ms, uint32_t row_count, uint8_t *out);

/* Decodes into times_ms[0..row_count). `in` must be readable for in_size + COLUMN_SLACK_BYTES.
 * Errors: ERR_CORRUPT, times_ms[] then unspecified. */
err_t time_column_decode(const uint8_t *in, size_t in_size, uint32_t row_count, int64_t *times_ms);

/* Reads the summary only, in constant time; needs no slack. Errors: ERR_CORRUPT. */
err_t time_column_peek(const uint8_t *in, size_t in_size, uint32_t row_count,
                       struct time_column_summary *summary);
