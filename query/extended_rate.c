/* rate, increase and delta of anchored and smoothed range vectors (spec promql.md 3.1): no
 * extrapolation; the samples beyond the window's ends say what was there. */
#include <string.h>

#include "interpolate.h"
#include "range.h"

/* ---- which functions may be used ---- */

static bool takes_smoothed(enum function_id id)
{
    return id == FUNCTION_DELTA || id == FUNCTION_INCREASE || id == FUNCTION_RATE;
}

err_t range__check_modifiers(const struct range_op *range, struct strbuf *why)
{
    const char *name = range->op.expr->call.function->name.data;
    bool counts = range->id == FUNCTION_CHANGES || range->id == FUNCTION_RESETS;
    if (range->anchored && !takes_smoothed(range->id) && !counts)
        return err_fail(why, ERR_EXECUTION,
                        "anchored modifier can only be used with: changes, delta, increase, rate, "
                        "resets - not with %s",
                        name);
    if (range->smoothed && !takes_smoothed(range->id))
        return err_fail(why, ERR_EXECUTION,
                        "smoothed modifier can only be used with: delta, increase, rate - not "
                        "with %s",
                        name);
    return OK;
}

/* ---- the ends of a window ---- */

/* Indices of the samples that the ends are taken from. */
struct ends {
    uint32_t first;
    uint32_t last;
    bool left_between; /* the left end lies after `first`, before the next sample */
    bool right_between;
};

/* False: there is no result. low < high. */
static bool find_ends(const int64_t *t, uint32_t low, uint32_t high, int64_t start_ms,
                      int64_t end_ms, bool smoothed, struct ends *ends)
{
    ends->first = low;
    while (ends->first + 1 < high && t[ends->first + 1] <= start_ms)
        ends->first++;
    ends->last = high - 1;
    while (smoothed && ends->last > low && t[ends->last - 1] >= end_ms)
        ends->last--;
    if (t[ends->last] <= start_ms || (smoothed && t[ends->first] > end_ms))
        return false;
    ends->left_between = smoothed && t[ends->first] < start_ms;
    ends->right_between = smoothed && ends->last > low && t[ends->last] > end_ms;
    return true;
}

static double left_value(const struct sample_buffer *s, const struct ends *ends, int64_t start_ms,
                         bool counter)
{
    uint32_t i = ends->first;
    if (!ends->left_between)
        return s->v[i];
    return interpolate__float(s->t[i], s->v[i], s->t[i + 1], s->v[i + 1], start_ms, counter);
}

static double right_value(const struct sample_buffer *s, const struct ends *ends, int64_t end_ms,
                          bool counter)
{
    uint32_t i = ends->last;
    if (!ends->right_between)
        return s->v[i];
    return interpolate__float(s->t[i - 1], s->v[i - 1], s->t[i], s->v[i], end_ms, counter);
}

static bool extended_floats(const struct range_op *range, const struct window *w, struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    struct ends ends;
    if (!find_ends(s->t, w->low, w->high, w->start_ms, w->end_ms, range->smoothed, &ends))
        return false;
    double left = left_value(s, &ends, w->start_ms, range->counter);
    double right = right_value(s, &ends, w->end_ms, range->counter);
    double result = right - left;
    if (range->counter) {
        double before = left;
        for (uint32_t i = ends.first; i <= ends.last; i++) {
            if (s->t[i] <= w->start_ms || s->t[i] >= w->end_ms)
                continue;
            if (s->v[i] < before)
                result += before;
            before = s->v[i];
        }
        if (right < before)
            result += before;
    }
    if (range->id == FUNCTION_RATE)
        result /= (double)range->times.range_ms / 1000;
    cell->v = result;
    return true;
}

/* ---- histograms ---- */

static void warn(const struct range_op *range, const struct window *w, const char *text)
{
    annotations__warn_name(&range->op.eval->annotations, range->position, text, w->metric);
}

static void check_hints(const struct range_op *range, const struct window *w,
                        const struct ends *ends)
{
    const struct histogram *const *h = w->samples->histograms;
    if (!range->counter) {
        if (h[ends->first]->hint != HISTOGRAM_HINT_GAUGE ||
            h[ends->last]->hint != HISTOGRAM_HINT_GAUGE)
            warn(range, w, "this native histogram metric is not a gauge: ");
        return;
    }
    for (uint32_t i = ends->first; i <= ends->last; i++) {
        if (h[i]->hint != HISTOGRAM_HINT_GAUGE)
            continue;
        warn(range, w, "this native histogram metric is not a counter: ");
        return;
    }
}

static bool one_layout(const struct window *w, const struct ends *ends)
{
    const struct histogram *const *h = w->samples->histograms;
    for (uint32_t i = ends->first; i < ends->last; i++) {
        if (histogram_uses_custom_buckets(h[i]) != histogram_uses_custom_buckets(h[i + 1]))
            return false;
    }
    return true;
}

/* Adds what was counted before each reset inside the window. */
static void add_resets(const struct window *w, const struct ends *ends,
                       const struct interpolated *left, const struct interpolated *right,
                       struct histogram_sum *sum)
{
    const struct sample_buffer *s = w->samples;
    const struct histogram *before = left->h;
    uint32_t i = ends->first + 1;
    if (left->reset) {
        /* The left end is already part of the new count. */
        if (ends->first + 1 >= ends->last)
            return;
        before = s->histograms[i++];
    }
    for (; i < ends->last; i++) {
        if (s->histogram_t[i] <= w->start_ms || s->histogram_t[i] >= w->end_ms)
            continue;
        if (histogram_detect_reset(s->histograms[i], before))
            histogram_sum_add(sum, before);
        before = s->histograms[i];
    }
    if (ends->first != ends->last && histogram_detect_reset(right->h, before))
        histogram_sum_add(sum, before);
}

static struct interpolated between(const struct range_op *range, const struct window *w, uint32_t i,
                                   int64_t t)
{
    const struct sample_buffer *s = w->samples;
    return interpolate__histogram(w->out, s->histogram_t[i], s->histograms[i],
                                  s->histogram_t[i + 1], s->histograms[i + 1], t, range->counter);
}

static bool extended_histograms(const struct range_op *range, const struct window *w,
                                struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    struct ends ends;
    if (!find_ends(s->histogram_t, w->histogram_low, w->histogram_high, w->start_ms, w->end_ms,
                   range->smoothed, &ends))
        return false;
    if (!one_layout(w, &ends)) {
        range__warn_mixed_buckets(range, w);
        return false;
    }
    check_hints(range, w, &ends);
    struct interpolated left = {s->histograms[ends.first], false};
    struct interpolated right = {s->histograms[ends.last], false};
    if (ends.left_between)
        left = between(range, w, ends.first, w->start_ms);
    if (ends.right_between)
        right = between(range, w, ends.last - 1, w->end_ms);
    struct histogram_sum sum;
    histogram_sum_init(&sum, w->out, right.h);
    histogram_sum_subtract(&sum, left.h);
    if (range->counter)
        add_resets(w, &ends, &left, &right, &sum);
    if (range->id == FUNCTION_RATE)
        histogram_sum_divide(&sum, (double)range->times.range_ms / 1000);
    sum.hint = HISTOGRAM_HINT_GAUGE;
    cell->h = histogram_sum_finish(&sum, w->out, true);
    return true;
}

bool range__extended_rate(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (window__histograms(w) == 0)
        return extended_floats(range, w, cell);
    if (window__floats(w) == 0)
        return extended_histograms(range, w, cell);
    range__warn_mixed(range, w);
    return false;
}

/* ---- a range vector on its own ---- */

err_t range__extend_window(struct sample_buffer *samples, int64_t t_ms,
                           const struct select_times *times, bool anchored, struct strbuf *why)
{
    if (samples->histogram_count > 0)
        return err_fail(why, ERR_EXECUTION, "%s modifier is not supported with histograms",
                        anchored ? "anchored" : "smoothed");
    if (samples->count == 0)
        return OK;
    int64_t end_ms = select_times__ref(times, t_ms);
    int64_t start_ms = end_ms - times->range_ms;
    struct ends ends;
    if (!find_ends(samples->t, 0, samples->count, start_ms, end_ms, !anchored, &ends)) {
        samples__clear(samples);
        return OK;
    }
    double left = left_value(samples, &ends, start_ms, false);
    double right = right_value(samples, &ends, end_ms, false);
    uint32_t low = ends.first;
    uint32_t count = 0;
    /* Inner samples move down past the left end; at most `first` and `last` make room for both. */
    while (low < samples->count && samples->t[low] <= start_ms)
        low++;
    uint32_t high = low;
    while (high < samples->count && samples->t[high] < end_ms)
        high++;
    uint32_t inner = high - low;
    samples__reserve(samples, inner + 2);
    memmove(samples->t + 1, samples->t + low, inner * sizeof *samples->t);
    memmove(samples->v + 1, samples->v + low, inner * sizeof *samples->v);
    samples->t[0] = start_ms;
    samples->v[0] = left;
    count = inner + 1;
    samples->t[count] = end_ms;
    samples->v[count++] = right;
    samples->count = count;
    return OK;
}
