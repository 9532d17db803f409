/* Quantiles, fractions and variance of native histograms (spec promql.md 6.3). */
#include <math.h>

#include "histogram_bounds.h"

/* The zero bucket of a histogram with observations on one side only ends at 0. */
static void clip_zero_bucket(const struct histogram *h, struct histogram_bucket *bucket)
{
    if (h->negative.bucket_count == 0 && h->positive.bucket_count > 0)
        bucket->lower = 0;
    else if (h->positive.bucket_count == 0 && h->negative.bucket_count > 0)
        bucket->upper = 0;
}

static double bucket_total(const struct histogram_bucket_list *list)
{
    double total = 0;
    for (uint32_t i = 0; i < list->count; i++)
        total += list->items[i].count;
    return total;
}

/* Where the fraction of a bucket's observations ends. */
static double position_in(const struct histogram *h, const struct histogram_bucket *bucket,
                          double fraction)
{
    double lower = bucket->lower;
    double upper = bucket->upper;
    if (histogram_uses_custom_buckets(h) || (lower <= 0 && upper >= 0))
        return lower + (upper - lower) * fraction;
    double log_lower = log2(fabs(lower));
    double log_upper = log2(fabs(upper));
    if (lower > 0)
        return exp2(log_lower + (log_upper - log_lower) * fraction);
    return -exp2(log_upper + (log_lower - log_upper) * (1 - fraction));
}

double histogram_quantile_of(struct arena *scratch, const struct histogram *h, double q,
                             struct histogram_remark *remark)
{
    *remark = (struct histogram_remark){false, false, false};
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count.f == 0 || isnan(q))
        return NAN;
    bool nan_sum = isnan(h->sum);
    bool forward = nan_sum || q < 0.5;
    double rank = (forward ? q : 1 - q) * h->count.f;
    struct histogram_bucket_list list = histogram_buckets(scratch, h);
    struct histogram_bucket bucket = {.lower = 0};
    double cumulative = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        const struct histogram_bucket *at = &list.items[forward ? i : list.count - 1 - i];
        if (at->count == 0)
            continue;
        bucket = *at;
        cumulative += at->count;
        if (cumulative >= rank)
            break;
    }
    if (!histogram_uses_custom_buckets(h)) {
        if (bucket.lower < 0 && bucket.upper > 0)
            clip_zero_bucket(h, &bucket);
    } else if (bucket.lower == -INFINITY) {
        if (bucket.upper <= 0)
            return bucket.upper;
        bucket.lower = 0;
    } else if (bucket.upper == INFINITY) {
        return bucket.lower;
    }
    if (cumulative > h->count.f)
        cumulative = h->count.f;
    if (cumulative < rank) {
        remark->nan_result = nan_sum;
        return nan_sum ? NAN : bucket.upper;
    }
    remark->nan_skewed = nan_sum && bucket_total(&list) < h->count.f;
    rank = forward ? rank - (cumulative - bucket.count) : cumulative - rank;
    return position_in(h, &bucket, rank / bucket.count);
}

/* Observations up to v, which is inside the bucket; `before` are in the buckets below. */
static double rank_in(const struct histogram *h, const struct histogram_bucket *bucket, bool zero,
                      double before, double v)
{
    if (histogram_uses_custom_buckets(h) || zero) {
        if (bucket->lower == -INFINITY)
            return bucket->count;
        return before + bucket->count * (v - bucket->lower) / (bucket->upper - bucket->lower);
    }
    double log_lower = log2(fabs(bucket->lower));
    double log_upper = log2(fabs(bucket->upper));
    double log_v = log2(fabs(v));
    if (v > 0)
        return before + bucket->count * (log_v - log_lower) / (log_upper - log_lower);
    return before + bucket->count * (1 - (log_v - log_upper) / (log_lower - log_upper));
}

/* Observations up to v. */
static double rank_of(const struct histogram *h, const struct histogram_bucket_list *list, double v,
                      double total)
{
    double before = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct histogram_bucket bucket = list->items[i];
        bool zero = bucket.lower <= 0 && bucket.upper >= 0;
        if (zero)
            clip_zero_bucket(h, &bucket);
        double rank;
        if (bucket.lower >= v)
            rank = before;
        else if (bucket.upper > v)
            rank = rank_in(h, &bucket, zero, before, v);
        else {
            before += bucket.count;
            continue;
        }
        return rank > total ? total : rank;
    }
    return total;
}

double histogram_fraction_of(struct arena *scratch, const struct histogram *h, double lower,
                             double upper, struct histogram_remark *remark)
{
    *remark = (struct histogram_remark){false, false, false};
    if (h->count.f == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    struct histogram_bucket_list list = histogram_buckets(scratch, h);
    double total = h->count.f;
    if (isnan(h->sum)) {
        total = bucket_total(&list);
        remark->nan_ignored = total < h->count.f;
    }
    double lower_rank = rank_of(h, &list, lower, total);
    double upper_rank = rank_of(h, &list, upper, total);
    return (upper_rank - lower_rank) / h->count.f;
}

double histogram_variance(struct arena *scratch, const struct histogram *h)
{
    double mean = h->sum / h->count.f;
    double sum = 0;
    double compensation = 0;
    struct histogram_bucket_list list = histogram_buckets(scratch, h);
    for (uint32_t i = 0; i < list.count; i++) {
        const struct histogram_bucket *bucket = &list.items[i];
        if (bucket->count == 0)
            continue;
        double value;
        if (histogram_uses_custom_buckets(h))
            value = (bucket->lower + bucket->upper) / 2;
        else if (bucket->lower <= 0 && bucket->upper >= 0)
            value = 0;
        else
            value = (bucket->upper < 0 ? -1 : 1) * sqrt(bucket->upper * bucket->lower);
        double delta = value - mean;
        kahan_add(bucket->count * delta * delta, &sum, &compensation);
    }
    return (sum + compensation) / h->count.f;
}
