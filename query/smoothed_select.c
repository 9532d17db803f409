/* Smoothed vector selectors: values between the samples before and after the step. */
#include "smoothed_select.h"
#include "interpolate.h"
#include "samples.h"

struct smoothed {
    struct op *op;
    struct lane *lane;
    const struct row *row;
    int64_t ref;
    uint32_t low; /* of the window in the buffer */
    uint32_t high;
    uint32_t histogram_low;
    uint32_t histogram_high;
};

static void warn(const struct smoothed *at, const char *text)
{
    annotations__warn_name(&at->op->eval->annotations, at->op->expr->start, text,
                           names__metric(at->row));
}

/* Index of the first sample at or after the reference time, in [low, high]. */
static uint32_t first_after(const int64_t *t, uint32_t low, uint32_t high, int64_t ref)
{
    while (low < high && t[low] < ref)
        low++;
    return low;
}

static bool smoothed_float(const struct smoothed *at, double *v)
{
    const struct sample_buffer *s = &at->lane->samples;
    uint32_t after = first_after(s->t, at->low, at->high, at->ref);
    if (after < at->high && s->t[after] == at->ref) {
        *v = s->v[after];
        return true;
    }
    if (after == at->low)
        return false; /* nothing before */
    uint32_t before = after - 1;
    *v = after == at->high ? s->v[before]
                           : interpolate__float(s->t[before], s->v[before], s->t[after],
                                                s->v[after], at->ref, false);
    return true;
}

static const struct histogram *smoothed_histogram(const struct smoothed *at)
{
    const struct sample_buffer *s = &at->lane->samples;
    struct arena *arena = at->lane->out;
    uint32_t after = first_after(s->histogram_t, at->histogram_low, at->histogram_high, at->ref);
    if (after < at->histogram_high && s->histogram_t[after] == at->ref)
        return histogram_copy(arena, s->histograms[after]);
    if (after == at->histogram_low)
        return NULL;
    const struct histogram *h1 = s->histograms[after - 1];
    if (after == at->histogram_high) {
        struct histogram *carried = histogram_copy(arena, h1);
        carried->hint = HISTOGRAM_HINT_UNKNOWN;
        return carried;
    }
    const struct histogram *h2 = s->histograms[after];
    bool counter = h1->hint != HISTOGRAM_HINT_GAUGE || h2->hint != HISTOGRAM_HINT_GAUGE;
    struct interpolated result = interpolate__histogram(
        arena, s->histogram_t[after - 1], h1, s->histogram_t[after], h2, at->ref, counter);
    if (result.h == NULL)
        warn(at, "vector contains a mix of histograms with exponential and custom buckets "
                 "schemas for metric name ");
    return result.h;
}

static void fill_step(struct smoothed *at, struct row *row, uint32_t step)
{
    struct lane *lane = at->lane;
    uint32_t steps = at->op->scope->grid.count;
    bool floats = at->high > at->low;
    bool histograms = at->histogram_high > at->histogram_low;
    if (floats && histograms) {
        warn(at, "encountered a mix of histograms and floats for metric name ");
        return;
    }
    double v;
    const struct histogram *h = NULL;
    if (histograms)
        h = smoothed_histogram(at);
    if (h != NULL)
        row__set_histogram(row, lane->out, steps, step, h);
    else if (floats && smoothed_float(at, &v))
        row__set(row, step, v);
}

err_t smoothed_select__fill(struct op *op, const struct select_times *times,
                            const struct select_hints *hints, struct lane *lane,
                            const struct series *series, struct row *row, struct strbuf *why)
{
    struct sample_want want = {.min_t_ms = hints->start_ms, .max_t_ms = hints->end_ms};
    struct sample_buffer *s = &lane->samples;
    TRY(samples__load(s, lane->cursor, series, &want, lane->scratch, why));
    struct smoothed at = {.op = op, .lane = lane, .row = row};
    for (uint32_t i = 0; i < op->scope->grid.count; i++) {
        at.ref = select_times__ref(times, grid_time(&op->scope->grid, i));
        int64_t after = time__subtract(at.ref, times->before_ms);
        int64_t until = time__add(at.ref, times->after_ms);
        while (at.high < s->count && s->t[at.high] <= until)
            at.high++;
        while (at.low < at.high && s->t[at.low] <= after)
            at.low++;
        while (at.histogram_high < s->histogram_count && s->histogram_t[at.histogram_high] <= until)
            at.histogram_high++;
        while (at.histogram_low < at.histogram_high && s->histogram_t[at.histogram_low] <= after)
            at.histogram_low++;
        fill_step(&at, row, i);
        if (!bits__get(row->present, i))
            continue;
        const struct histogram *h = row__histogram(row, i);
        int64_t samples = h == NULL ? 1 : histogram__samples(h);
        lane->queryable[i] += samples;
        lane->read[i] += samples;
    }
    return OK;
}
