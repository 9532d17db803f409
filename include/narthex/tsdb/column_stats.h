/* tsdb/column_stats.h: what a query may know about a column without decoding it.
 *
 * Statistics cover the samples PromQL sees: stale markers (the NaN 0x7ff0000000000002) are left
 * out of everything but stale_count. They are computed from the values when a column is sealed and
 * kept, compactly, in a directory. Doubles come back bit for bit.
 *
 * What each is good for:
 *
 * count, first, last: exact always (count may be 0: then the others are 0).
 *
 * min, max: over the samples that are not NaN, so what min_over_time and max_over_time answer if
 * any such sample exists (otherwise both hold the last NaN). Of -0 and +0 the earlier stays.
 *
 * sum: plain left-to-right float64 sum. It equals PromQL's compensated sum bit for bit only if
 * COLUMN_STATS_SUM_EXACT. With NaNs in the column it is a NaN, no matter which.
 *
 * reset_count, change_count: exact always, what resets() and changes() count inside the column; the
 * pair across a seam is the caller's.
 *
 * reset_sum: left-to-right sum of the samples that a smaller one follows: the counter correction of
 * rate() and increase() for a range that starts in this column. With more than one reset it may
 * differ from a correction continued from an earlier column in the last place unless
 * COLUMN_STATS_SUM_EXACT.
 *
 * No allocation, no locks; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"

enum column_stats_flag {
    COLUMN_STATS_MONOTONE = 1 << 0,  /* never falls, no NaN: min is first and max is last */
    COLUMN_STATS_SUM_EXACT = 1 << 1, /* integers with sum of magnitudes < 2^51: any order of adding
                                        gives `sum` and `reset_sum` */
    COLUMN_STATS_HAS_NAN = 1 << 2,   /* NaN other than stale markers */
    COLUMN_STATS_HAS_INF = 1 << 3,
};

/* Bytes of the longest encoding. */
enum { COLUMN_STATS_SIZE_MAX = 56 };

struct column_stats {
    double first;
    double last;
    double min;
    double max;
    double sum;
    double reset_sum;
    uint16_t count;
    uint16_t stale_count;
    uint16_t reset_count;
    uint16_t change_count;
    uint32_t flags;
};

void column_stats_compute(const double *values, uint32_t row_count, struct column_stats *stats);

/* The same of `row_count` times the same value; quick for integers. */
void column_stats_of_constant(double value, uint32_t row_count, struct column_stats *stats);

/* Writes at most COLUMN_STATS_SIZE_MAX bytes and returns how many. `row_count` must be the
 * column's and is not stored. */
size_t column_stats_encode(const struct column_stats *stats, uint32_t row_count, uint8_t *out);

/* Reads what column_stats_encode wrote; *consumed is the number of bytes read.
 * Errors: ERR_CORRUPT. */
err_t column_stats_decode(const uint8_t *in, size_t in_size, uint32_t row_count,
                          struct column_stats *stats, size_t *consumed);
