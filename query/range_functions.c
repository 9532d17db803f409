/* The functions of a window: counts, sums, extremes, moments. */
#include "range.h"

#include <math.h>
#include <string.h>

#include "narthex/model/histogram_math.h"

static const double *floats(const struct window *w)
{
    return w->samples->v + w->low;
}

static bool result(struct cell *cell, double v)
{
    cell->v = v;
    return true;
}

void range__ignored_histograms(const struct range_op *range, const struct window *w)
{
    if (window__histograms(w) > 0 && window__floats(w) > 0)
        annotations__info_name(
            &range->op.eval->annotations, range->position,
            "ignored histograms in a range containing both floats and histograms for metric name ",
            w->metric);
}

static bool count_over_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    (void)range;
    return result(cell, (double)window__real_floats(w) + (double)window__histograms(w));
}

static bool present_over_time(const struct range_op *range, const struct window *w,
                              struct cell *cell)
{
    (void)range;
    (void)w;
    return result(cell, 1);
}

/* The oldest or newest sample; equal times prefer the histogram. */
static bool edge_over_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    bool last = range->id == FUNCTION_LAST_OVER_TIME;
    const struct sample_buffer *s = w->samples;
    uint32_t f = last ? w->high - 1 : w->low;
    uint32_t h = last ? w->histogram_high - 1 : w->histogram_low;
    bool use_float = window__histograms(w) == 0;
    if (!use_float && window__floats(w) > 0)
        use_float = last ? s->t[f] > s->histogram_t[h] : s->t[f] < s->histogram_t[h];
    if (use_float)
        return result(cell, s->v[f]);
    cell->h = histogram_copy(w->out, s->histograms[h]);
    return true;
}

static bool edge_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    bool last = range->id == FUNCTION_TS_OF_LAST_OVER_TIME;
    const struct sample_buffer *s = w->samples;
    int64_t t = last ? INT64_MIN : INT64_MAX;
    if (window__floats(w) > 0)
        t = last ? s->t[w->high - 1] : s->t[w->low];
    if (window__histograms(w) > 0) {
        int64_t other =
            last ? s->histogram_t[w->histogram_high - 1] : s->histogram_t[w->histogram_low];
        t = last ? (other > t ? other : t) : (other < t ? other : t);
    }
    return result(cell, (double)t / 1000);
}

/* Remembers where the best of the last window was: as long as it is still inside, only new samples
 * are compared. */
static bool extreme_over_time(const struct range_op *range, const struct window *w,
                              struct cell *cell)
{
    if (window__floats(w) == 0)
        return false;
    range__ignored_histograms(range, w);
    const double *v = w->samples->v;
    struct window_memory *memory = w->memory;
    bool want_max = range->id == FUNCTION_MAX_OVER_TIME;
    bool inside = memory->high > w->low && memory->best >= w->low;
    uint32_t best = inside ? memory->best : w->low;
    for (uint32_t i = inside ? memory->high : w->low; i < w->high; i++) {
        if ((want_max ? v[i] > v[best] : v[i] < v[best]) || (isnan(v[best]) && !isnan(v[i])))
            best = i;
    }
    memory->best = best;
    memory->high = w->high;
    return result(cell, v[best]);
}

static bool extreme_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    uint32_t n = window__floats(w);
    if (n == 0)
        return false;
    range__ignored_histograms(range, w);
    const double *v = floats(w);
    uint32_t best = 0;
    bool want_max = range->id == FUNCTION_TS_OF_MAX_OVER_TIME;
    for (uint32_t i = 0; i < n; i++) {
        if ((want_max ? v[i] >= v[best] : v[i] <= v[best]) || isnan(v[best]))
            best = i;
    }
    return result(cell, (double)w->samples->t[w->low + best] / 1000);
}

static bool sum_floats(const struct window *w, struct cell *cell)
{
    const double *v = floats(w);
    double sum = 0;
    double compensation = 0;
    for (uint32_t i = 0; i < window__floats(w); i++)
        kahan_add(v[i], &sum, &compensation);
    return result(cell, isinf(sum) ? sum : sum + compensation);
}

static bool avg_floats(const struct window *w, struct cell *cell)
{
    const double *v = floats(w);
    double sum = v[0];
    double compensation = 0;
    double mean = 0;
    bool incremental = false;
    uint32_t n = window__floats(w);
    double real = (double)window__real_floats(w);
    for (uint32_t i = 1; i < n; i++) {
        double count = (double)(i + 1);
        if (!incremental) {
            double next_sum = sum;
            double next_compensation = compensation;
            kahan_add(v[i], &next_sum, &next_compensation);
            if (!isinf(next_sum)) {
                sum = next_sum;
                compensation = next_compensation;
                continue;
            }
            incremental = true;
            mean = sum / (count - 1);
            compensation /= count - 1;
        }
        double q = (count - 1) / count;
        mean *= q;
        compensation *= q;
        kahan_add(v[i] / count, &mean, &compensation);
    }
    if (incremental)
        return result(cell, mean + compensation);
    return result(cell, sum / real + compensation / real);
}

static bool moment_over_time(const struct range_op *range, const struct window *w,
                             struct cell *cell)
{
    uint32_t n = window__floats(w);
    if (n == 0)
        return false;
    range__ignored_histograms(range, w);
    const double *v = floats(w);
    double count = 0;
    double mean = 0;
    double mean_compensation = 0;
    double squares = 0;
    double squares_compensation = 0;
    for (uint32_t i = 0; i < n; i++) {
        count++;
        double delta = v[i] - (mean + mean_compensation);
        kahan_add(delta / count, &mean, &mean_compensation);
        kahan_add(delta * (v[i] - (mean + mean_compensation)), &squares, &squares_compensation);
    }
    double variance = (squares + squares_compensation) / count;
    return result(cell, range->id == FUNCTION_STDVAR_OVER_TIME ? variance : sqrt(variance));
}

/* The order of quantiles: NaN first. */
static bool less(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && !isnan(b);
    return a < b;
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Moves the value that sorting would put at `k` there, smaller ones before it, larger ones after it
 * (Hoare's selection, median of three). */
static void select_value(double *values, uint32_t count, uint32_t k)
{
    int64_t low = 0;
    int64_t high = (int64_t)count - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (less(values[middle], values[low]))
            swap(&values[middle], &values[low]);
        if (less(values[high], values[low]))
            swap(&values[high], &values[low]);
        if (less(values[high], values[middle]))
            swap(&values[high], &values[middle]);
        double pivot = values[middle];
        int64_t i = low;
        int64_t j = high;
        while (i <= j) {
            while (less(values[i], pivot))
                i++;
            while (less(pivot, values[j]))
                j--;
            if (i <= j)
                swap(&values[i++], &values[j--]);
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            return;
    }
}

double range__quantile(double q, double *values, uint32_t count)
{
    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double n = (double)count;
    double rank = q * (n - 1);
    uint32_t low = (uint32_t)fmax(0, floor(rank));
    double weight = rank - floor(rank);
    select_value(values, count, low);
    double lower = values[low];
    double upper = lower;
    for (uint32_t i = low + 1; i < count; i++) {
        if (i == low + 1 || less(values[i], upper))
            upper = values[i];
    }
    return lower * (1 - weight) + upper * weight;
}

static double *copy_floats(const struct window *w)
{
    size_t size = window__floats(w) * sizeof(double);
    return memcpy(arena_alloc(w->lane->scratch, size), floats(w), size);
}

static bool quantile_over_time(const struct range_op *range, const struct window *w,
                               struct cell *cell)
{
    uint32_t n = window__floats(w);
    if (n == 0)
        return false;
    double q = range__param(range, w, 0);
    if (isnan(q) || q < 0 || q > 1)
        annotations__invalid_quantile(&range->op.eval->annotations, range->position, q);
    range__ignored_histograms(range, w);
    struct arena_mark mark = arena_mark(w->lane->scratch);
    cell->v = range__quantile(q, copy_floats(w), n);
    arena_reset_to(w->lane->scratch, mark);
    return true;
}

static bool mad_over_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    uint32_t n = window__floats(w);
    if (n == 0)
        return false;
    range__ignored_histograms(range, w);
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(floats(w)[i]))
            return result(cell, NAN);
    }
    struct arena_mark mark = arena_mark(w->lane->scratch);
    double *values = copy_floats(w);
    double median = range__quantile(0.5, values, n);
    for (uint32_t i = 0; i < n; i++)
        values[i] = fabs(values[i] - median);
    cell->v = range__quantile(0.5, values, n);
    arena_reset_to(w->lane->scratch, mark);
    return true;
}

static bool sum_over_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (window__histograms(w) == 0)
        return sum_floats(w, cell);
    return range__histogram_total(range, w, cell);
}

static bool avg_over_time(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (window__histograms(w) == 0)
        return avg_floats(w, cell);
    return range__histogram_total(range, w, cell);
}

static const range_kernel kernels[FUNCTION_COUNT] = {
    [FUNCTION_ABSENT_OVER_TIME] = present_over_time,
    [FUNCTION_AVG_OVER_TIME] = avg_over_time,
    [FUNCTION_CHANGES] = range__changes,
    [FUNCTION_COUNT_OVER_TIME] = count_over_time,
    [FUNCTION_DELTA] = range__rate,
    [FUNCTION_DERIV] = range__deriv,
    [FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING] = range__smoothing,
    [FUNCTION_FIRST_OVER_TIME] = edge_over_time,
    [FUNCTION_IDELTA] = range__instant_rate,
    [FUNCTION_INCREASE] = range__rate,
    [FUNCTION_IRATE] = range__instant_rate,
    [FUNCTION_LAST_OVER_TIME] = edge_over_time,
    [FUNCTION_MAD_OVER_TIME] = mad_over_time,
    [FUNCTION_MAX_OVER_TIME] = extreme_over_time,
    [FUNCTION_MIN_OVER_TIME] = extreme_over_time,
    [FUNCTION_PREDICT_LINEAR] = range__predict_linear,
    [FUNCTION_PRESENT_OVER_TIME] = present_over_time,
    [FUNCTION_QUANTILE_OVER_TIME] = quantile_over_time,
    [FUNCTION_RATE] = range__rate,
    [FUNCTION_RESETS] = range__resets,
    [FUNCTION_STDDEV_OVER_TIME] = moment_over_time,
    [FUNCTION_STDVAR_OVER_TIME] = moment_over_time,
    [FUNCTION_SUM_OVER_TIME] = sum_over_time,
    [FUNCTION_TS_OF_FIRST_OVER_TIME] = edge_time,
    [FUNCTION_TS_OF_LAST_OVER_TIME] = edge_time,
    [FUNCTION_TS_OF_MAX_OVER_TIME] = extreme_time,
    [FUNCTION_TS_OF_MIN_OVER_TIME] = extreme_time,
};

void range__set_function(struct range_op *range)
{
    enum function_id id = range->id;
    range->kernel = kernels[id];
    range->counter = id == FUNCTION_RATE || id == FUNCTION_INCREASE;
    range->wants_resets = range->counter || id == FUNCTION_RESETS;
    range->keeps_name = id == FUNCTION_LAST_OVER_TIME || id == FUNCTION_FIRST_OVER_TIME ||
                        id == FUNCTION_ABSENT_OVER_TIME;
}
