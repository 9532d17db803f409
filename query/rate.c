/* rate, increase, delta, irate, idelta, changes, resets (spec promql.md 6.1). */
#include "range.h"

#include <math.h>
#include <string.h>

#include "narthex/model/histogram_math.h"

bool range__start_reset(int64_t previous_st, int64_t previous_t, int64_t st, int64_t t)
{
    if (st == 0 || st >= t || st < previous_t)
        return false;
    if (st > previous_t)
        return true;
    if (previous_st > previous_t)
        return false;
    return previous_st != 0 && previous_st != previous_t;
}

void range__check_counter_name(const struct range_op *range, const struct row *row)
{
    struct eval *eval = range->op.eval;
    struct str name = names__metric(row);
    if (name.size == 0)
        return;
    if (eval->options->features.type_and_unit_labels) {
        struct str type = labels_get(row->labels, STR("__type__"));
        if (str_equal(type, STR("counter")) || str_equal(type, STR("histogram")))
            return;
        struct strbuf text = STRBUF_INIT;
        strbuf_add_cstr(&text, "metric might not be a counter, __type__ label is not set to "
                               "\"counter\" or \"histogram\", got ");
        strbuf_add_quoted(&text, type);
        strbuf_add_cstr(&text, ": ");
        annotations__info_name(&eval->annotations, range->position, strbuf_cstr(&text), name);
        strbuf_deinit(&text);
        return;
    }
    if (str_ends_with(name, STR("_total")) || str_ends_with(name, STR("_sum")) ||
        str_ends_with(name, STR("_count")) || str_ends_with(name, STR("_bucket")))
        return;
    annotations__info_name(&eval->annotations, range->position,
                           "metric might not be a counter, name does not end in "
                           "_total/_sum/_count/_bucket: ",
                           name);
}

void range__warn_mixed(const struct range_op *range, const struct window *w)
{
    annotations__warn_name(&range->op.eval->annotations, range->position,
                           "encountered a mix of histograms and floats for metric name ",
                           w->metric);
}

/* ---- extrapolation ---- */

double rate__factor(const struct range_op *range, struct rate_span *span)
{
    double to_start = span->to_start_s;
    double to_end = span->to_end_s;
    double average = span->intervals == 0 ? 0 : span->sampled_s / (double)span->intervals;
    double threshold = average * 1.1;
    if (to_start >= threshold)
        to_start = average / 2;
    if (range->counter) {
        /* A counter cannot be negative: do not extrapolate beyond its zero point. */
        double to_zero = to_start;
        if (span->has_zero_point)
            to_zero = span->sampled_s * span->zero_ratio;
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = 1;
    if (span->sampled_s != 0)
        factor = (span->sampled_s + to_start + to_end) / span->sampled_s;
    if (range->id == FUNCTION_RATE)
        factor /= (double)range->times.range_ms / 1000;
    return factor;
}

static bool overlaps(int64_t previous_st, int64_t previous_t, int64_t st)
{
    return st != 0 && st < previous_t && st != previous_st;
}

void range__check_overlap(const struct range_op *range, const struct sample_buffer *samples,
                          struct str metric)
{
    if (!range->wants_resets && range->id != FUNCTION_IRATE)
        return;
    bool found = false;
    for (uint32_t i = 1; i < samples->count && !found; i++)
        found = overlaps(samples->st[i - 1], samples->t[i - 1], samples->st[i]);
    for (uint32_t i = 1; i < samples->histogram_count && !found; i++)
        found = overlaps(samples->histogram_st[i - 1], samples->histogram_t[i - 1],
                         samples->histogram_st[i]);
    if (!found)
        return;
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "sample has start time that overlaps with previous sample timestamp "
                           "for metric ");
    strbuf_add_quoted(&text, metric);
    struct annotation annotation = {
        .warning = true,
        .text = strbuf_str(&text),
        .offset = range->position,
        .counted = true,
        .occurrences = 1,
    };
    annotations__add(&range->op.eval->annotations, &annotation);
    strbuf_deinit(&text);
}

/* The factor of a window whose zero point does not matter. */
static double repeated_factor(const struct range_op *range, struct window_memory *memory,
                              int64_t to_start_ms, int64_t to_end_ms, int64_t sampled_ms,
                              uint32_t intervals)
{
    if (memory->has_factor && memory->to_start_ms == to_start_ms &&
        memory->to_end_ms == to_end_ms && memory->sampled_ms == sampled_ms &&
        memory->intervals == intervals)
        return memory->factor;
    struct rate_span span = {
        .intervals = intervals,
        .to_start_s = (double)to_start_ms / 1000,
        .to_end_s = (double)to_end_ms / 1000,
        .sampled_s = (double)sampled_ms / 1000,
    };
    memory->has_factor = true;
    memory->to_start_ms = to_start_ms;
    memory->to_end_ms = to_end_ms;
    memory->sampled_ms = sampled_ms;
    memory->intervals = intervals;
    memory->factor = rate__factor(range, &span);
    return memory->factor;
}

static bool rate_floats(const struct range_op *range, const struct window *w, struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    uint32_t first = w->low;
    uint32_t last = w->high - 1;
    bool starts = range->counter && s->has_start && range->start_timestamps;
    bool from_start =
        starts && s->st[first] != 0 && w->start_ms < s->st[first] && s->st[first] < s->t[first];
    if (last == first && !from_start)
        return false;
    double delta = s->v[last] - s->v[first];
    if (range->counter) {
        for (uint32_t i = w->reset_low; i < w->reset_count && w->resets[i] <= last; i++)
            delta += s->v[w->resets[i] - 1];
    }
    int64_t to_start_ms = s->t[first] - w->start_ms;
    int64_t to_end_ms = w->end_ms - s->t[last];
    int64_t sampled_ms = s->t[last] - s->t[first];
    uint32_t intervals = window__real_floats(w) - 1;
    if (from_start) {
        delta += s->v[first];
        to_start_ms = 0;
        sampled_ms = s->t[last] - s->st[first];
    }
    /* The time at which the counter was 0 matters only if it is nearer than to_start, which is
     * below 1.1 times the sampled span; a first value of twice the increase puts it at two spans.
     */
    bool has_zero_point = range->counter && delta > 0 && s->v[first] >= 0 && !from_start;
    if (!has_zero_point || (sampled_ms > 0 && s->v[first] >= 2 * delta)) {
        cell->v = delta *
                  repeated_factor(range, w->memory, to_start_ms, to_end_ms, sampled_ms, intervals);
        return true;
    }
    struct rate_span span = {
        .intervals = intervals,
        .to_start_s = (double)to_start_ms / 1000,
        .to_end_s = (double)to_end_ms / 1000,
        .sampled_s = (double)sampled_ms / 1000,
        .has_zero_point = true,
        .zero_ratio = s->v[first] / delta,
    };
    cell->v = delta * rate__factor(range, &span);
    return true;
}

/* What rate makes of the times alone. */
static void plan_factors(const struct range_op *range, struct time_plan *plan, struct arena *arena)
{
    const struct grid *grid = &range->op.scope->grid;
    if (plan->factor == NULL) {
        plan->factor = arena_alloc(arena, grid->count * sizeof *plan->factor);
        plan->paired = arena_alloc(arena, bits__words(grid->count) * sizeof *plan->paired);
    }
    memset(plan->paired, 0, bits__words(grid->count) * sizeof *plan->paired);
    plan->has_factors = true;
    struct window_memory memory = {.high = 0};
    for (uint32_t i = 0; i < grid->count; i++) {
        uint32_t first = plan->low[i];
        uint32_t last = plan->high[i] - 1;
        if (plan->high[i] < first + 2)
            continue;
        int64_t end_ms = select_times__ref(&range->times, grid_time(grid, i));
        int64_t start_ms = time__subtract(end_ms, range->times.range_ms);
        plan->factor[i] =
            repeated_factor(range, &memory, plan->t[first] - start_ms, end_ms - plan->t[last],
                            plan->t[last] - plan->t[first], last - first);
        bits__set(plan->paired, i);
    }
}

/* A counter that may have been 0 within the extrapolation. */
static double factor_to_zero(const struct range_op *range, const struct time_plan *plan,
                             uint32_t step, double ratio)
{
    int64_t end_ms = select_times__ref(&range->times, grid_time(&range->op.scope->grid, step));
    int64_t start_ms = time__subtract(end_ms, range->times.range_ms);
    uint32_t first = plan->low[step];
    uint32_t last = plan->high[step] - 1;
    struct rate_span span = {
        .intervals = last - first,
        .to_start_s = (double)(plan->t[first] - start_ms) / 1000,
        .to_end_s = (double)(end_ms - plan->t[last]) / 1000,
        .sampled_s = (double)(plan->t[last] - plan->t[first]) / 1000,
        .has_zero_point = true,
        .zero_ratio = ratio,
    };
    return rate__factor(range, &span);
}

bool rate__planned_row(const struct range_op *range, struct lane *lane, struct row *row,
                       struct time_plan *plan, const uint32_t *resets, uint32_t reset_count)
{
    uint32_t steps = range->op.scope->grid.count;
    const double *v = lane->samples.v;
    if (!plan->has_factors)
        plan_factors(range, plan, lane->plans.arena);
    uint32_t reset_low = 0;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t first = plan->low[i];
        uint32_t last = plan->high[i] - 1;
        if (plan->high[i] < first + 2)
            continue;
        double delta = v[last] - v[first];
        while (reset_low < reset_count && resets[reset_low] <= first)
            reset_low++;
        for (uint32_t r = reset_low; r < reset_count && resets[r] <= last; r++)
            delta += v[resets[r] - 1];
        double factor = plan->factor[i];
        /* See rate_floats: times of samples are distinct here, so the span is above 0. */
        if (range->counter && delta > 0 && v[first] >= 0 && !(v[first] >= 2 * delta))
            factor = factor_to_zero(range, plan, i, v[first] / delta);
        row->values[i] = delta * factor;
    }
    memcpy(row->present, plan->paired, bits__words(steps) * sizeof *row->present);
    return bits__any(row->present, steps);
}

bool range__rate(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (range->anchored || range->smoothed)
        return range__extended_rate(range, w, cell);
    if (window__histograms(w) > 0) {
        if (window__floats(w) == 0)
            return rate__histograms(range, w, cell);
        range__warn_mixed(range, w);
        return false;
    }
    return rate_floats(range, w, cell);
}

/* ---- irate, idelta ---- */

/* The newest sample before the given ends; equal times prefer the histogram. */
static bool take_last(const struct window *w, uint32_t *high, uint32_t *histogram_high,
                      struct rate_pair *pair, int at)
{
    const struct sample_buffer *s = w->samples;
    bool has_float = *high > w->low;
    bool has_histogram = *histogram_high > w->histogram_low;
    if (!has_float && !has_histogram)
        return false;
    bool use_float =
        !has_histogram || (has_float && s->t[*high - 1] > s->histogram_t[*histogram_high - 1]);
    if (use_float) {
        uint32_t i = --*high;
        pair->t[at] = s->t[i];
        pair->st[at] = s->st[i];
        pair->v[at] = s->v[i];
        pair->h[at] = NULL;
    } else {
        uint32_t i = --*histogram_high;
        pair->t[at] = s->histogram_t[i];
        pair->st[at] = s->histogram_st[i];
        pair->v[at] = 0;
        pair->h[at] = s->histograms[i];
    }
    return true;
}

static bool last_pair(const struct window *w, struct rate_pair *pair)
{
    uint32_t high = w->high;
    uint32_t histogram_high = w->histogram_high;
    return take_last(w, &high, &histogram_high, pair, 1) &&
           take_last(w, &high, &histogram_high, pair, 0);
}

bool range__instant_rate(const struct range_op *range, const struct window *w, struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    struct rate_pair pair;
    if (!last_pair(w, &pair))
        return false;
    if (pair.h[0] != NULL || pair.h[1] != NULL) {
        if (pair.h[0] != NULL && pair.h[1] != NULL)
            return rate__instant_histograms(range, w, &pair, cell);
        range__warn_mixed(range, w);
        return false;
    }
    double seconds = (double)(pair.t[1] - pair.t[0]) / 1000;
    if (pair.t[1] == pair.t[0])
        return false;
    bool rate = range->id == FUNCTION_IRATE;
    bool reset = rate && (pair.v[1] < pair.v[0] ||
                          (s->has_start && range->start_timestamps &&
                           range__start_reset(pair.st[0], pair.t[0], pair.st[1], pair.t[1])));
    cell->v = reset ? pair.v[1] : pair.v[1] - pair.v[0];
    if (rate)
        cell->v /= seconds;
    return true;
}

void rate__planned_ends(const struct range_op *range, const struct lane *lane, struct row *row,
                        const struct time_plan *plan)
{
    const double *v = lane->samples.v;
    const int64_t *t = lane->samples.t;
    bool rate = range->id == FUNCTION_IRATE;
    uint32_t steps = range->op.scope->grid.count;
    for (uint32_t i = 0; i < steps; i++) {
        if (plan->high[i] < plan->low[i] + 2)
            continue;
        uint32_t last = plan->high[i] - 1;
        double value = rate && v[last] < v[last - 1] ? v[last] : v[last] - v[last - 1];
        if (rate)
            value /= (double)(t[last] - t[last - 1]) / 1000;
        row__set(row, i, value);
    }
}

/* ---- changes, resets ---- */

/* Walks floats and histograms of a window together, by time. */
struct merged {
    uint32_t f;
    uint32_t h;
};

struct merged_sample {
    int64_t t;
    int64_t st;
    double v;
    const struct histogram *h;
};

static bool next_merged(const struct window *w, struct merged *at, struct merged_sample *sample)
{
    const struct sample_buffer *s = w->samples;
    bool has_float = at->f < w->high;
    bool has_histogram = at->h < w->histogram_high;
    if (!has_float && !has_histogram)
        return false;
    if (has_float && (!has_histogram || s->t[at->f] <= s->histogram_t[at->h])) {
        uint32_t i = at->f++;
        *sample = (struct merged_sample){s->t[i], s->st[i], s->v[i], NULL};
    } else {
        uint32_t i = at->h++;
        *sample =
            (struct merged_sample){s->histogram_t[i], s->histogram_st[i], 0, s->histograms[i]};
    }
    return true;
}

static bool start_reset(const struct range_op *range, const struct window *w,
                        const struct merged_sample *before, const struct merged_sample *now)
{
    return range->start_timestamps && w->samples->has_start &&
           range__start_reset(before->st, before->t, now->st, now->t);
}

static bool is_reset(const struct range_op *range, const struct window *w,
                     const struct merged_sample *before, const struct merged_sample *now)
{
    if ((before->h == NULL) != (now->h == NULL))
        return true;
    if (start_reset(range, w, before, now))
        return true;
    return now->h == NULL ? now->v < before->v : histogram_detect_reset(now->h, before->h);
}

static bool is_change(const struct merged_sample *before, const struct merged_sample *now)
{
    if ((before->h == NULL) != (now->h == NULL))
        return true;
    if (now->h != NULL)
        return !histogram_equal(now->h, before->h);
    return now->v != before->v && !(isnan(now->v) && isnan(before->v));
}

/* Anchored: begins with the newest sample not after the window's start; no result without one
 * inside. */
static bool anchor(const struct window *w, struct merged *at)
{
    const struct sample_buffer *s = w->samples;
    while (at->f + 1 < w->high && s->t[at->f + 1] <= w->start_ms)
        at->f++;
    while (at->h + 1 < w->histogram_high && s->histogram_t[at->h + 1] <= w->start_ms)
        at->h++;
    bool float_before = at->f < w->high && s->t[at->f] <= w->start_ms;
    bool histogram_before = at->h < w->histogram_high && s->histogram_t[at->h] <= w->start_ms;
    if (float_before && histogram_before) {
        if (s->t[at->f] >= s->histogram_t[at->h])
            at->h++;
        else
            at->f++;
    }
    bool float_inside = w->high > w->low && s->t[w->high - 1] > w->start_ms;
    bool histogram_inside =
        w->histogram_high > w->histogram_low && s->histogram_t[w->histogram_high - 1] > w->start_ms;
    return float_inside || histogram_inside;
}

static bool count_pairs(const struct range_op *range, const struct window *w, struct cell *cell)
{
    struct merged at = {w->low, w->histogram_low};
    if (range->anchored && !anchor(w, &at))
        return false;
    struct merged_sample before;
    struct merged_sample now;
    if (!next_merged(w, &at, &before))
        return false;
    uint32_t count = 0;
    while (next_merged(w, &at, &now)) {
        if (range->id == FUNCTION_RESETS)
            count += is_reset(range, w, &before, &now);
        else
            count += is_change(&before, &now);
        before = now;
    }
    cell->v = count;
    return true;
}

bool range__changes(const struct range_op *range, const struct window *w, struct cell *cell)
{
    return count_pairs(range, w, cell);
}

bool range__resets(const struct range_op *range, const struct window *w, struct cell *cell)
{
    return count_pairs(range, w, cell);
}

void rate__planned_pairs(const struct range_op *range, struct lane *lane, struct row *row,
                         const struct time_plan *plan)
{
    const double *v = lane->samples.v;
    uint32_t count = lane->samples.count;
    uint32_t steps = range->op.scope->grid.count;
    /* events[i]: how many of the pairs up to (i - 1, i) count. */
    uint32_t *events = arena_alloc(lane->scratch, count * sizeof *events);
    uint32_t total = 0;
    events[0] = 0;
    for (uint32_t i = 1; i < count; i++) {
        bool differ = v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
        total += range->id == FUNCTION_RESETS ? v[i] < v[i - 1] : differ;
        events[i] = total;
    }
    for (uint32_t i = 0; i < steps; i++) {
        if (plan->low[i] < plan->high[i])
            row->values[i] = events[plan->high[i] - 1] - events[plan->low[i]];
    }
    memcpy(row->present, plan->present, bits__words(steps) * sizeof *row->present);
}
