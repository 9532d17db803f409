/* deriv, predict_linear, double_exponential_smoothing (spec promql.md 6.2). */
#include "range.h"

#include <math.h>

#include "narthex/model/histogram_math.h"

struct line {
    double slope;
    double intercept;
};

/* Least squares over x = seconds since intercept_ms. */
static struct line fit(const struct window *w, int64_t intercept_ms)
{
    const struct sample_buffer *s = w->samples;
    double n = 0, x_sum = 0, x_lost = 0, y_sum = 0, y_lost = 0;
    double xy_sum = 0, xy_lost = 0, xx_sum = 0, xx_lost = 0;
    double first = s->v[w->low];
    bool constant = true;
    for (uint32_t i = w->low; i < w->high; i++) {
        double y = s->v[i];
        if (constant && i > w->low && y != first)
            constant = false;
        n++;
        double x = (double)(s->t[i] - intercept_ms) / 1000;
        kahan_add(x, &x_sum, &x_lost);
        kahan_add(y, &y_sum, &y_lost);
        kahan_add(x * y, &xy_sum, &xy_lost);
        kahan_add(x * x, &xx_sum, &xx_lost);
    }
    if (constant) {
        if (isinf(first))
            return (struct line){NAN, NAN};
        return (struct line){0, first};
    }
    x_sum += x_lost;
    y_sum += y_lost;
    xy_sum += xy_lost;
    xx_sum += xx_lost;
    double covariance = xy_sum - x_sum * y_sum / n;
    double variance = xx_sum - x_sum * x_sum / n;
    struct line line;
    line.slope = covariance / variance;
    line.intercept = y_sum / n - line.slope * x_sum / n;
    return line;
}

/* Two floats at least; a lonely float among histograms is worth an info. */
static bool enough(const struct range_op *range, const struct window *w)
{
    uint32_t n = window__floats(w);
    if (n > 0)
        range__ignored_histograms(range, w);
    return n >= 2;
}

bool range__deriv(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (!enough(range, w))
        return false;
    cell->v = fit(w, w->samples->t[w->low]).slope;
    return true;
}

bool range__predict_linear(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (!enough(range, w))
        return false;
    struct line line = fit(w, w->eval_ms);
    cell->v = line.slope * range__param(range, w, 0) + line.intercept;
    return true;
}

static bool factor_is_valid(const struct window *w, const char *name, const char *short_name,
                            double factor)
{
    if (!(factor <= 0 || factor >= 1))
        return true;
    w->lane->err =
        err_fail(&w->lane->why, ERR_EXECUTION, "invalid %s factor. Expected: 0 < %s < 1, got: %f",
                 name, short_name, factor);
    return false;
}

bool range__smoothing(const struct range_op *range, const struct window *w, struct cell *cell)
{
    double smoothing = range__param(range, w, 0);
    double trend = range__param(range, w, 1);
    if (!factor_is_valid(w, "smoothing", "sf", smoothing) ||
        !factor_is_valid(w, "trend", "tf", trend))
        return false;
    if (!enough(range, w))
        return false;
    const double *v = w->samples->v + w->low;
    double before = 0;
    double level = v[0];
    double b = v[1] - v[0];
    for (uint32_t i = 1; i < window__floats(w); i++) {
        if (i > 1)
            b = trend * (level - before) + (1 - trend) * b;
        double scaled = smoothing * v[i];
        double rest = (1 - smoothing) * (level + b);
        before = level;
        level = scaled + rest;
    }
    cell->v = level;
    return true;
}
