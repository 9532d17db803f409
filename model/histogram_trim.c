/* The operators </ and >/: histograms cut at a bound (spec promql.md 4.4). */
#include <math.h>

#include "histogram_bounds.h"

struct trim {
    double bound;
    bool upper; /* keeps what is below the bound, else what is above */
    bool custom;
    bool changed;
    double count; /* kept */
    double sum;
};

static double middle(const struct trim *trim, double a, double b)
{
    if (isinf(a) && isinf(b))
        return 0;
    if (isinf(a))
        return b > 0 ? b / 2 : b;
    if (isinf(b))
        return a;
    if (trim->custom)
        return (a + b) / 2;
    return a < 0 || b < 0 ? -sqrt(fabs(a * b)) : sqrt(fabs(a * b));
}

static double keep(struct trim *trim, double count, double kept, double mid)
{
    if (kept != count)
        trim->changed = true;
    if (kept != 0) {
        trim->count += kept;
        trim->sum += mid * kept;
    }
    return kept;
}

/* A bucket that reaches down to -Inf: its observations are taken to lie above 0 if they can. */
static double cut_from_infinity(struct trim *trim, double upper, double count)
{
    double x = trim->bound;
    if (trim->upper) {
        if (x > 0 && upper > 0 && upper < INFINITY)
            return keep(trim, count, count * x / upper, x / 2);
        if (upper <= 0)
            return keep(trim, count, count, x);
        return keep(trim, count, 0, 0);
    }
    if (x >= 0 && x < upper && upper < INFINITY)
        return keep(trim, count, count * (1 - x / upper), (x + upper) / 2);
    return keep(trim, count, 0, 0);
}

static double cut_to_infinity(struct trim *trim, double lower, double count)
{
    if (!trim->upper && trim->bound >= lower && trim->bound < INFINITY)
        return keep(trim, count, count, trim->bound);
    return keep(trim, count, 0, 0);
}

/* What part of the bucket is below the bound, which is inside it. */
static double fraction_below(const struct trim *trim, double lower, double upper)
{
    double x = trim->bound;
    if (trim->custom)
        return (x - lower) / (upper - lower);
    double log_lower = log2(fabs(lower));
    double log_upper = log2(fabs(upper));
    double log_x = log2(fabs(x));
    if (x > 0)
        return (log_x - log_lower) / (log_upper - log_lower);
    return 1 - (log_x - log_upper) / (log_lower - log_upper);
}

static double trim_bucket(struct trim *trim, double lower, double upper, double count)
{
    double x = trim->bound;
    if (count == 0)
        return 0;
    if (trim->upper ? upper <= x : lower >= x)
        return keep(trim, count, count, middle(trim, lower, upper));
    if (isinf(lower))
        return cut_from_infinity(trim, upper, count);
    if (trim->upper ? lower >= x : upper <= x)
        return keep(trim, count, 0, 0);
    if (isinf(upper))
        return cut_to_infinity(trim, lower, count);
    double below = count * fraction_below(trim, lower, upper);
    if (trim->upper)
        return keep(trim, count, below, middle(trim, lower, x));
    return keep(trim, count, count - below, middle(trim, x, upper));
}

static double trim_zero_bucket(struct trim *trim, const struct histogram *h)
{
    double x = trim->bound;
    double count = h->zero_count.f;
    double lower =
        h->negative.bucket_count == 0 && h->positive.bucket_count > 0 ? 0 : -h->zero_threshold;
    double upper =
        h->positive.bucket_count == 0 && h->negative.bucket_count > 0 ? 0 : h->zero_threshold;
    if (count == 0)
        return 0;
    if (trim->upper ? upper <= x : lower >= x)
        return keep(trim, count, count, (lower + upper) / 2);
    if (trim->upper ? lower >= x : upper <= x)
        return keep(trim, count, 0, 0);
    if (trim->upper)
        return keep(trim, count, count * (x - lower) / (upper - lower), (lower + x) / 2);
    return keep(trim, count, count * (upper - x) / (upper - lower), (x + upper) / 2);
}

static void trim_positive(struct trim *trim, struct histogram_sum *sum, const struct histogram *h)
{
    for (uint32_t i = 0; i < sum->positive.size; i++) {
        int32_t index = sum->positive.index[i];
        double lower;
        double upper;
        if (trim->custom) {
            int32_t bounds = (int32_t)h->custom_value_count;
            lower = index <= 0 ? -INFINITY : h->custom_values[index - 1];
            upper = index >= bounds ? INFINITY : h->custom_values[index];
        } else {
            lower = fmax(histogram_exponential_bound(index - 1, h->schema), h->zero_threshold);
            upper = histogram_exponential_bound(index, h->schema);
        }
        sum->positive.count[i] = trim_bucket(trim, lower, upper, sum->positive.count[i]);
    }
}

static void trim_negative(struct trim *trim, struct histogram_sum *sum, const struct histogram *h)
{
    for (uint32_t i = 0; i < sum->negative.size; i++) {
        int32_t index = sum->negative.index[i];
        double lower = -histogram_exponential_bound(index, h->schema);
        double upper = -fmax(histogram_exponential_bound(index - 1, h->schema), h->zero_threshold);
        sum->negative.count[i] = trim_bucket(trim, lower, upper, sum->negative.count[i]);
    }
}

struct histogram *histogram_trim(struct arena *arena, const struct histogram *h, double bound,
                                 bool upper)
{
    struct trim trim = {.bound = bound, .upper = upper, .custom = histogram_uses_custom_buckets(h)};
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, h);
    trim_negative(&trim, &sum, h);
    sum.zero_count = trim_zero_bucket(&trim, h);
    trim_positive(&trim, &sum, h);
    if (trim.changed) {
        sum.count = trim.count;
        sum.sum = trim.sum;
    }
    return histogram_sum_finish(&sum, arena, true);
}
