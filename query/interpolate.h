/* query/interpolate.h: values between two samples (private to query/; spec promql.md 3, 3.1). */
#pragma once

#include "narthex/model/histogram_math.h"

/* y at t on the line through (t1, y1) and (t2, y2). A counter that fell began anew from 0. */
double interpolate__float(int64_t t1, double y1, int64_t t2, double y2, int64_t t, bool counter);

struct interpolated {
    const struct histogram *h; /* NULL: exponential and custom buckets do not mix */
    bool reset;                /* the counter restarted between the two */
};
struct interpolated interpolate__histogram(struct arena *arena, int64_t t1,
                                           const struct histogram *h1, int64_t t2,
                                           const struct histogram *h2, int64_t t, bool counter);
