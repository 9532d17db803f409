#include "interpolate.h"

double interpolate__float(int64_t t1, double y1, int64_t t2, double y2, int64_t t, bool counter)
{
    if (counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * ((double)(t - t1) / (double)(t2 - t1));
}

static enum histogram_hint common_hint(enum histogram_hint a, enum histogram_hint b)
{
    if (a == b)
        return a;
    return a == HISTOGRAM_HINT_GAUGE || b == HISTOGRAM_HINT_GAUGE ? HISTOGRAM_HINT_GAUGE
                                                                  : HISTOGRAM_HINT_UNKNOWN;
}

struct interpolated interpolate__histogram(struct arena *arena, int64_t t1,
                                           const struct histogram *h1, int64_t t2,
                                           const struct histogram *h2, int64_t t, bool counter)
{
    struct interpolated result = {NULL, false};
    if (histogram_uses_custom_buckets(h1) != histogram_uses_custom_buckets(h2))
        return result;
    double fraction = (double)(t - t1) / (double)(t2 - t1);
    if (counter && histogram_detect_reset(h2, h1)) {
        result.reset = true;
        result.h = histogram_multiply(arena, h2, fraction);
        return result;
    }
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, h2);
    histogram_sum_subtract(&sum, h1);
    histogram_sum_scale(&sum, fraction);
    histogram_sum_add(&sum, h1);
    sum.hint = common_hint(h1->hint, h2->hint);
    result.h = histogram_sum_finish(&sum, arena, true);
    return result;
}
