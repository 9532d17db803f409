/* Sums over the windows of a series, four windows at a time.
 *
 * A compensated sum is a chain of dependent additions: one window at a time the processor waits
 * most of the time. Four windows are four independent chains, and fit vector registers. Each
 * window still adds its samples in order. kahan_add takes the rounding error of an addition by
 * comparing magnitudes (Neumaier); two_sum finds the same number without (Knuth, The Art of
 * Computer Programming 2, 4.2.2, theorem B): the error is exact and unique as long as nothing
 * overflows. A window that ends in an infinity or NaN is done again by the plain kernel. */
#include <math.h>

#include "narthex/model/histogram_math.h"
#include "range.h"

enum { LANES = 4, LANE_CHECK_SAMPLES = 1 << 19 };

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

/* Windows first … first + 3, or the last one repeated. */
struct lane_windows {
    const double *v[LANES];
    const int64_t *t[LANES];
    uint32_t count[LANES];
    uint32_t common; /* samples that each has */
    uint32_t step[LANES];
    uint32_t used;
};

/* By pointers: how such vectors are passed depends on the instruction set. */
static inline void two_sum(const lanes *x, lanes *sum, lanes *lost)
{
    lanes total = *sum + *x;
    lanes part = total - *sum;
    *lost += (*sum - (total - part)) + (*x - part);
    *sum = total;
}

static inline void gather(const struct lane_windows *w, uint32_t i, lanes *values)
{
    *values = (lanes){w->v[0][i], w->v[1][i], w->v[2][i], w->v[3][i]};
}

/* ---- sum_over_time, avg_over_time ---- */

/* Every sum begins with its first sample, which is 0 + it but for -0. */
static void add_windows(const struct lane_windows *w, double *sums, double *losts)
{
    lanes sum, v;
    lanes lost = {0, 0, 0, 0};
    gather(w, 0, &sum);
    for (uint32_t i = 1; i < w->common; i++) {
        gather(w, i, &v);
        two_sum(&v, &sum, &lost);
    }
    for (uint32_t k = 0; k < w->used; k++) {
        sums[k] = sum[k];
        losts[k] = lost[k];
        for (uint32_t i = w->common; i < w->count[k]; i++)
            kahan_add(w->v[k][i], &sums[k], &losts[k]);
    }
}

static void sum_windows(const struct range_op *range, const struct lane_windows *w, double *results)
{
    double sums[LANES];
    double losts[LANES];
    add_windows(w, sums, losts);
    for (uint32_t k = 0; k < w->used; k++) {
        double n = w->count[k];
        if (range->id == FUNCTION_SUM_OVER_TIME)
            results[k] = (sums[k] + 0.0) + losts[k];
        else
            results[k] = sums[k] / n + losts[k] / n;
    }
}

/* ---- stddev_over_time, stdvar_over_time ---- */

static void moments_of_windows(const struct range_op *range, const struct lane_windows *w,
                               double *results)
{
    lanes mean = {0, 0, 0, 0}, mean_lost = {0, 0, 0, 0};
    lanes squares = {0, 0, 0, 0}, squares_lost = {0, 0, 0, 0};
    for (uint32_t i = 0; i < w->common; i++) {
        lanes v;
        gather(w, i, &v);
        lanes delta = v - (mean + mean_lost);
        lanes part = delta / (double)(i + 1);
        two_sum(&part, &mean, &mean_lost);
        lanes square = delta * (v - (mean + mean_lost));
        two_sum(&square, &squares, &squares_lost);
    }
    for (uint32_t k = 0; k < w->used; k++) {
        double m = mean[k], m_lost = mean_lost[k], s = squares[k], s_lost = squares_lost[k];
        for (uint32_t i = w->common; i < w->count[k]; i++) {
            double v = w->v[k][i];
            double delta = v - (m + m_lost);
            kahan_add(delta / (double)(i + 1), &m, &m_lost);
            kahan_add(delta * (v - (m + m_lost)), &s, &s_lost);
        }
        double variance = (s + s_lost) / (double)w->count[k];
        results[k] = range->id == FUNCTION_STDVAR_OVER_TIME ? variance : sqrt(variance);
    }
}

/* ---- deriv, predict_linear ---- */

static double seconds(const struct lane_windows *w, uint32_t k, uint32_t i, int64_t intercept_ms)
{
    return (double)(w->t[k][i] - intercept_ms) / 1000;
}

static void fit_windows(const struct range_op *range, const struct lane_windows *w, double *results)
{
    int64_t from[LANES];
    lanes x_sum = {0, 0, 0, 0}, x_lost = x_sum, y_sum = x_sum, y_lost = x_sum;
    lanes xy_sum = x_sum, xy_lost = x_sum, xx_sum = x_sum, xx_lost = x_sum;
    for (uint32_t k = 0; k < LANES; k++) {
        bool deriv = range->id == FUNCTION_DERIV;
        from[k] = deriv ? w->t[k][0] : grid_time(&range->op.scope->grid, w->step[k]);
    }
    for (uint32_t i = 0; i < w->common; i++) {
        lanes y;
        gather(w, i, &y);
        lanes x = {seconds(w, 0, i, from[0]), seconds(w, 1, i, from[1]), seconds(w, 2, i, from[2]),
                   seconds(w, 3, i, from[3])};
        lanes xy = x * y;
        lanes xx = x * x;
        two_sum(&x, &x_sum, &x_lost);
        two_sum(&y, &y_sum, &y_lost);
        two_sum(&xy, &xy_sum, &xy_lost);
        two_sum(&xx, &xx_sum, &xx_lost);
    }
    for (uint32_t k = 0; k < w->used; k++) {
        struct line_sums sums = {
            .n = w->count[k],
            .x = {x_sum[k], x_lost[k]},
            .y = {y_sum[k], y_lost[k]},
            .xy = {xy_sum[k], xy_lost[k]},
            .xx = {xx_sum[k], xx_lost[k]},
        };
        for (uint32_t i = w->common; i < w->count[k]; i++)
            line_sums__add(&sums, seconds(w, k, i, from[k]), w->v[k][i]);
        results[k] = regression__result(range, &sums, w->v[k], w->step[k]);
    }
}

/* ---- a row ---- */

typedef void (*windows_fn)(const struct range_op *range, const struct lane_windows *w,
                           double *results);

static windows_fn function_of(enum function_id id)
{
    switch (id) {
    case FUNCTION_SUM_OVER_TIME:
    case FUNCTION_AVG_OVER_TIME:
        return sum_windows;
    case FUNCTION_STDDEV_OVER_TIME:
    case FUNCTION_STDVAR_OVER_TIME:
        return moments_of_windows;
    case FUNCTION_DERIV:
    case FUNCTION_PREDICT_LINEAR:
        return fit_windows;
    default:
        return NULL;
    }
}

bool range__has_lanes(const struct range_op *range)
{
    return function_of(range->id) != NULL;
}

static bool takes(const struct range_op *range, const struct time_plan *plan, uint32_t step)
{
    bool line = range->id == FUNCTION_DERIV || range->id == FUNCTION_PREDICT_LINEAR;
    return plan->high[step] - plan->low[step] >= (line ? 2 : 1);
}

/* The next windows from step *next on; false if there are none. */
static bool take_windows(const struct range_op *range, const struct sample_buffer *samples,
                         const struct time_plan *plan, uint32_t *next, struct lane_windows *w)
{
    uint32_t steps = range->op.scope->grid.count;
    w->used = 0;
    w->common = UINT32_MAX;
    for (; *next < steps && w->used < LANES; ++*next) {
        if (!takes(range, plan, *next))
            continue;
        uint32_t k = w->used++;
        w->step[k] = *next;
        w->v[k] = samples->v + plan->low[*next];
        w->t[k] = samples->t + plan->low[*next];
        w->count[k] = plan->high[*next] - plan->low[*next];
        w->common = w->count[k] < w->common ? w->count[k] : w->common;
    }
    for (uint32_t k = w->used; k < LANES && w->used > 0; k++) {
        w->step[k] = w->step[0];
        w->v[k] = w->v[0];
        w->t[k] = w->t[0];
    }
    return w->used > 0;
}

static void redo(const struct range_op *range, struct lane *lane, struct row *row,
                 const struct time_plan *plan, uint32_t step)
{
    struct window_memory memory = {.high = 0};
    struct window w = {
        .samples = &lane->samples,
        .low = plan->low[step],
        .high = plan->high[step],
        .step = step,
        .eval_ms = grid_time(&range->op.scope->grid, step),
        .metric = names__metric(row),
        .out = lane->out,
        .memory = &memory,
        .lane = lane,
    };
    struct cell cell = {0, NULL};
    if (range->kernel(range, &w, &cell))
        row__set(row, step, cell.v);
}

err_t range__fill_lanes(const struct range_op *range, struct lane *lane, struct row *row,
                        const struct time_plan *plan)
{
    windows_fn function = function_of(range->id);
    struct lane_windows w;
    uint32_t next = 0;
    uint64_t unchecked = 0;
    while (take_windows(range, &lane->samples, plan, &next, &w)) {
        double results[LANES];
        unchecked += (uint64_t)w.common * LANES;
        if (unchecked > LANE_CHECK_SAMPLES) {
            unchecked = 0;
            lane->err = eval__check(range->op.eval, &lane->why);
            if (lane->err != OK)
                return lane->err;
        }
        function(range, &w, results);
        for (uint32_t k = 0; k < w.used; k++) {
            if (isfinite(results[k]))
                row__set(row, w.step[k], results[k]);
            else
                redo(range, lane, row, plan, w.step[k]);
        }
    }
    return OK;
}
