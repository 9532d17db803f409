/* tsdb/column_stats.h: what a query may know about a column without decoding it.
 *
 * Statistics are computed from the values when a column is sealed and kept, compactly, in a
 * directory. Only columns without NaNs have any, so without stale markers too: with one, a query
 * must look at the samples anyway. Doubles come back bit for bit.
 *
 * What each is good for:
 *
 * first, last: exact always.
 *
 * min, max: what min_over_time and max_over_time answer. Of -0 and +0 the earlier stays.
 *
 * sum: only if COLUMN_STATS_SUM_EXACT, else 0: a rounded sum is not PromQL's compensated one bit
 * for bit, so it is of no use to a query and not kept.
 *
 * COLUMN_STATS_FALLS: whether the correction of rate() and increase() has anything to add up. How
 * much is not kept: added up by column it could differ in the last place from what a query adds up
 * from its first sample on, and gauges, which fall all the time, would pay the most for it.
 *
 * No allocation, no locks; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"

enum column_stats_flag {
    COLUMN_STATS_MONOTONE = 1 << 0,  /* never falls: min is first and max is last, bit for bit */
    COLUMN_STATS_SUM_EXACT = 1 << 1, /* integers, none of them -0, with sum of magnitudes < 2^51:
                                        any order of adding gives `sum` */
    COLUMN_STATS_FALLS = 1 << 2,     /* a sample is smaller than the one before */
};

/* Bytes of the longest encoding. */
enum { COLUMN_STATS_SIZE_MAX = 42 };

struct column_stats {
    double first;
    double last;
    double min;
    double max;
    double sum;
    uint32_t flags;
};

/* False if there is a NaN among the values: there are no statistics, *stats is of no use. */
bool column_stats_compute(const double *values, uint32_t row_count, struct column_stats *stats);

/* The same of `row_count` times the same value; quick for integers. */
bool column_stats_of_constant(double value, uint32_t row_count, struct column_stats *stats);

/* Writes at most COLUMN_STATS_SIZE_MAX bytes and returns how many. `row_count` must be the
 * column's and is not stored. */
size_t column_stats_encode(const struct column_stats *stats, uint32_t row_count, uint8_t *out);

/* Whether encoded statistics are any. Files from before the second form have them of columns with
 * NaNs as well; those are passed over. */
bool column_stats_are_usable(const uint8_t *in, size_t in_size);

/* Reads what column_stats_encode wrote, or statistics of the first form; *consumed is the number of
 * bytes read. Errors: ERR_CORRUPT, also for what is not usable. */
err_t column_stats_decode(const uint8_t *in, size_t in_size, uint32_t row_count,
                          struct column_stats *stats, size_t *consumed);
