/* model/histogram_math.h: arithmetic on float histograms (spec promql.md 7.2).
 *
 * Operands are of HISTOGRAM_FLOAT kind and never changed; results live in the arena that was given.
 * Sums go into a struct histogram_sum, which keeps sorted bucket lists and, per number, the
 * compensation of Kahan and Neumaier. Pure functions otherwise; any thread on distinct outputs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/histogram.h"

/* One step of Kahan and Neumaier's sum: adds x to (*sum, *compensation). */
void kahan_add(double x, double *sum, double *compensation);

/* ---- buckets ---- */

struct histogram_bucket {
    double lower;
    double upper;
    double count;
    bool lower_inclusive;
    bool upper_inclusive;
};

struct histogram_bucket_list {
    struct histogram_bucket *items;
    uint32_t count;
};

/* All buckets in ascending order: negative ones, the zero bucket if its count is not 0, positive
 * ones. Bounds that reach into the zero bucket are clipped to it. Empty buckets are included. */
struct histogram_bucket_list histogram_buckets(struct arena *arena, const struct histogram *h);
/* Upper bound of the positive bucket `index` of an exponential schema. */
double histogram_exponential_bound(int32_t index, int32_t schema);
/* "{count:3.3, sum:1.5, (0.5,1]:0.3}". */
void histogram_print(const struct histogram *h, struct strbuf *out);

/* ---- comparing ---- */

static inline bool histogram_uses_custom_buckets(const struct histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}
bool histogram_same_bounds(const struct histogram *a, const struct histogram *b);
/* Equality of PromQL: everything but the hint, bit for bit. */
bool histogram_equal(const struct histogram *a, const struct histogram *b);
/* Whether a counter was reset between `previous` and `current`. */
bool histogram_detect_reset(const struct histogram *current, const struct histogram *previous);

/* ---- arithmetic ---- */

struct histogram_list {
    int32_t *index; /* ascending */
    double *count;
    double *compensation;
    uint32_t size;
    uint32_t capacity;
};

/* A running sum. Set up by histogram_sum_init; the owner may change hint. */
struct histogram_sum {
    struct arena *arena;
    enum histogram_hint hint;
    int32_t schema;
    double zero_threshold;
    double zero_count, zero_compensation;
    double count, count_compensation;
    double sum, sum_compensation;
    struct histogram_list positive;
    struct histogram_list negative;
    const double *custom_values;
    uint32_t custom_value_count;
};

struct histogram_outcome {
    bool incompatible;   /* custom and exponential buckets: nothing was done */
    bool hint_collision; /* reset met not_reset */
    bool reconciled;     /* different custom bounds */
};

void histogram_sum_init(struct histogram_sum *sum, struct arena *arena, const struct histogram *h);
struct histogram_outcome histogram_sum_add(struct histogram_sum *sum, const struct histogram *h);
struct histogram_outcome histogram_sum_subtract(struct histogram_sum *sum,
                                                const struct histogram *h);
/* Adds the n-th histogram of an average (n >= 2). While *incremental is false the sum is kept, to
 * be divided by the last n; once it would overflow, the mean is kept and *incremental becomes true.
 */
struct histogram_outcome histogram_average_add(struct histogram_sum *sum, const struct histogram *h,
                                               double n, bool *incremental);
/* Every number and its compensation times the factor. */
void histogram_sum_scale(struct histogram_sum *sum, double factor);
void histogram_sum_divide(struct histogram_sum *sum, double divisor);
void histogram_sum_reduce(struct histogram_sum *sum, int32_t schema);
/* The plain histogram, compensation added. compact drops empty buckets. */
struct histogram *histogram_sum_finish(const struct histogram_sum *sum, struct arena *arena,
                                       bool compact);

struct histogram *histogram_add(struct arena *arena, const struct histogram *a,
                                const struct histogram *b, struct histogram_outcome *outcome);
struct histogram *histogram_subtract(struct arena *arena, const struct histogram *a,
                                     const struct histogram *b, struct histogram_outcome *outcome);
/* Scaled; a negative factor makes it a gauge. */
struct histogram *histogram_multiply(struct arena *arena, const struct histogram *h, double factor);
struct histogram *histogram_divide(struct arena *arena, const struct histogram *h, double divisor);
struct histogram *histogram_compact(struct arena *arena, const struct histogram *h);
/* Fewer buckets: schema must not be above that of h. Also for integer histograms, and for reserved
 * schemas on ingestion; the kind is kept. */
struct histogram *histogram_reduce(struct arena *arena, const struct histogram *h, int32_t schema);

/* Keeps the observations up to (upper) or from (lower) a bound; ops </ and >/. */
struct histogram *histogram_trim(struct arena *arena, const struct histogram *h, double bound,
                                 bool upper);

/* ---- statistics ---- */

/* Why a quantile or fraction is less than it seems. */
struct histogram_remark {
    bool nan_result;  /* NaN observations decide the result */
    bool nan_skewed;  /* … make it higher */
    bool nan_ignored; /* … are in no fraction */
};

double histogram_quantile_of(struct arena *scratch, const struct histogram *h, double q,
                             struct histogram_remark *remark);
double histogram_fraction_of(struct arena *scratch, const struct histogram *h, double lower,
                             double upper, struct histogram_remark *remark);
double histogram_variance(struct arena *scratch, const struct histogram *h);
