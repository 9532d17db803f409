#include "classic_histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static int compare_buckets(const void *a, const void *b)
{
    double x = ((const struct classic_bucket *)a)->upper;
    double y = ((const struct classic_bucket *)b)->upper;
    return x < y ? -1 : x > y;
}

/* Callers hand them out in order; bounds that are NaN have none. */
static void sort_buckets(struct classic_bucket *buckets, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (!(buckets[i - 1].upper <= buckets[i].upper)) {
            qsort(buckets, count, sizeof *buckets, compare_buckets);
            return;
        }
    }
}

/* Buckets with one bound become one; returns how many are left. */
static uint32_t merge_equal(struct classic_bucket *buckets, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && buckets[kept - 1].upper == buckets[i].upper)
            buckets[kept - 1].count += buckets[i].count;
        else
            buckets[kept++] = buckets[i];
    }
    return kept;
}

static bool almost_equal(double a, double b)
{
    const double tolerance = 1e-12;
    double difference = fabs(a - b);
    double total = fabs(a) + fabs(b);
    if (a == 0 || b == 0 || total < DBL_MIN)
        return difference < tolerance * DBL_MIN;
    return difference / fmin(total, DBL_MAX) < tolerance;
}

static void note_fix(struct classic_fix *fix, double bound, double difference)
{
    if (!fix->forced) {
        *fix = (struct classic_fix){true, bound, bound, difference};
        return;
    }
    fix->bucket_min = fmin(fix->bucket_min, bound);
    fix->bucket_max = fmax(fix->bucket_max, bound);
    fix->difference_max = fmax(fix->difference_max, difference);
}

static void ensure_monotonic(struct classic_bucket *buckets, uint32_t count,
                             struct classic_fix *fix)
{
    double before = buckets[0].count;
    for (uint32_t i = 1; i < count; i++) {
        double now = buckets[i].count;
        if (now == before)
            continue;
        if (almost_equal(before, now)) {
            buckets[i].count = before;
        } else if (now < before) {
            buckets[i].count = before;
            note_fix(fix, buckets[i].upper, before - now);
        } else {
            before = now;
        }
    }
}

double classic_histogram__quantile(double q, struct classic_bucket *buckets, uint32_t count,
                                   struct classic_fix *fix)
{
    if (count > 0 && q >= 0 && q <= 1) {
        sort_buckets(buckets, count);
        if (buckets[count - 1].upper != INFINITY)
            count = 0;
        count = merge_equal(buckets, count);
    }
    return classic_histogram__ordered_quantile(q, buckets, count, fix);
}

double classic_histogram__ordered_quantile(double q, struct classic_bucket *buckets, uint32_t count,
                                           struct classic_fix *fix)
{
    *fix = (struct classic_fix){.forced = false};
    if (isnan(q) || count == 0)
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    ensure_monotonic(buckets, count, fix);
    if (count < 2)
        return NAN;
    double total = buckets[count - 1].count;
    if (total == 0)
        return NAN;
    double rank = q * total;
    uint32_t b = 0;
    while (b < count - 1 && !(buckets[b].count >= rank))
        b++;
    if (b == count - 1)
        return buckets[count - 2].upper;
    if (b == 0 && buckets[0].upper <= 0)
        return buckets[0].upper;
    double start = 0;
    double end = buckets[b].upper;
    double inside = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].upper;
        inside -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (end - start) * (rank / inside);
}

/* Observations up to v. */
static double rank_of(double v, const struct classic_bucket *buckets, uint32_t count)
{
    double total = buckets[count - 1].count;
    double rank = 0;
    for (uint32_t i = 0; i < count; i++) {
        double lower = i > 0 ? buckets[i - 1].upper : buckets[0].upper > 0 ? 0 : -INFINITY;
        double found = rank;
        if (lower < v) {
            if (buckets[i].upper <= v) {
                rank = buckets[i].count;
                continue;
            }
            found = lower == -INFINITY ? buckets[i].count
                                       : rank + (buckets[i].count - rank) * (v - lower) /
                                                    (buckets[i].upper - lower);
        }
        return found > total ? total : found;
    }
    return total;
}

double classic_histogram__fraction(double lower, double upper, struct classic_bucket *buckets,
                                   uint32_t count)
{
    if (count == 0)
        return NAN;
    sort_buckets(buckets, count);
    if (buckets[count - 1].upper != INFINITY)
        return NAN;
    count = merge_equal(buckets, count);
    double total = buckets[count - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    return (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / total;
}
