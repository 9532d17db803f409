/* deriv, predict_linear, double_exponential_smoothing (spec promql.md 6.2). */
#include "range.h"

#include <math.h>

#include "narthex/model/histogram_math.h"

struct line {
    double slope;
    double intercept;
};

void line_sums__add(struct line_sums *sums, double x, double y)
{
    kahan_add(x, &sums->x[0], &sums->x[1]);
    kahan_add(y, &sums->y[0], &sums->y[1]);
    kahan_add(x * y, &sums->xy[0], &sums->xy[1]);
    kahan_add(x * x, &sums->xx[0], &sums->xx[1]);
}

/* `values` are the y of the sums. */
static struct line fit(const struct line_sums *sums, const double *values)
{
    double n = sums->n;
    uint32_t same = 1;
    while (same < sums->n && values[same] == values[0])
        same++;
    if (same >= sums->n) {
        if (isinf(values[0]))
            return (struct line){NAN, NAN};
        return (struct line){0, values[0]};
    }
    double x_sum = sums->x[0] + sums->x[1];
    double y_sum = sums->y[0] + sums->y[1];
    double xy_sum = sums->xy[0] + sums->xy[1];
    double xx_sum = sums->xx[0] + sums->xx[1];
    double covariance = xy_sum - x_sum * y_sum / n;
    double variance = xx_sum - x_sum * x_sum / n;
    struct line line;
    line.slope = covariance / variance;
    line.intercept = y_sum / n - line.slope * x_sum / n;
    return line;
}

double regression__result(const struct range_op *range, const struct line_sums *sums,
                          const double *values, uint32_t step)
{
    struct line line = fit(sums, values);
    if (range->id == FUNCTION_DERIV)
        return line.slope;
    return line.slope * range->param_columns[0][step] + line.intercept;
}

/* Least squares over x = seconds since intercept_ms. */
static bool regression(const struct range_op *range, const struct window *w, int64_t intercept_ms,
                       struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    struct line_sums sums = {.n = window__floats(w)};
    for (uint32_t i = w->low; i < w->high; i++)
        line_sums__add(&sums, (double)(s->t[i] - intercept_ms) / 1000, s->v[i]);
    cell->v = regression__result(range, &sums, s->v + w->low, w->step);
    return true;
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
    return regression(range, w, w->samples->t[w->low], cell);
}

bool range__predict_linear(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (!enough(range, w))
        return false;
    return regression(range, w, w->eval_ms, cell);
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
