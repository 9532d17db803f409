/* query/classic_histogram.h: histograms made of le buckets (private to query/; spec promql.md 6.3).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct classic_bucket {
    double upper; /* le */
    double count; /* cumulative */
};

/* Counts that decreased from one bucket to the next and were raised. */
struct classic_fix {
    bool forced;
    double bucket_min;
    double bucket_max;
    double difference_max;
};

/* Both sort and change the buckets. */
double classic_histogram__quantile(double q, struct classic_bucket *buckets, uint32_t count,
                                   struct classic_fix *fix);
/* As the first, for bounds that ascend up to +Inf, all distinct; it changes the counts only. */
double classic_histogram__ordered_quantile(double q, struct classic_bucket *buckets, uint32_t count,
                                           struct classic_fix *fix);
double classic_histogram__fraction(double lower, double upper, struct classic_bucket *buckets,
                                   uint32_t count);
