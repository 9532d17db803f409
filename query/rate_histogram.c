/* Native histograms in windows: rate and its kin, sum and average (spec promql.md 6.1, 6.2). */
#include <math.h>

#include "narthex/model/histogram_math.h"
#include "range.h"

static struct annotations *annotations_of(const struct range_op *range)
{
    return &range->op.eval->annotations;
}

void range__warn_mixed_buckets(const struct range_op *range, const struct window *w)
{
    annotations__warn_name(annotations_of(range), range->position,
                           "vector contains a mix of histograms with exponential and custom "
                           "buckets schemas for metric name ",
                           w->metric);
}

static void warn_not_a_counter(const struct range_op *range, const struct window *w)
{
    annotations__warn_name(annotations_of(range), range->position,
                           "this native histogram metric is not a counter: ", w->metric);
}

static void warn_not_a_gauge(const struct range_op *range, const struct window *w)
{
    annotations__warn_name(annotations_of(range), range->position,
                           "this native histogram metric is not a gauge: ", w->metric);
}

static void note_outcome(const struct range_op *range, struct histogram_outcome outcome, bool add)
{
    if (outcome.reconciled)
        annotations__info(annotations_of(range), range->position,
                          add ? "mismatched custom buckets were reconciled during addition"
                              : "mismatched custom buckets were reconciled during subtraction");
}

static bool pair_reset(const struct range_op *range, const struct sample_buffer *s, uint32_t i)
{
    if (range->start_timestamps && s->has_start &&
        range__start_reset(s->histogram_st[i - 1], s->histogram_t[i - 1], s->histogram_st[i],
                           s->histogram_t[i]))
        return true;
    return histogram_detect_reset(s->histograms[i], s->histograms[i - 1]);
}

static struct histogram empty_like(const struct histogram *h)
{
    return (struct histogram){
        .kind = HISTOGRAM_FLOAT,
        .hint = h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .custom_values = h->custom_values,
        .custom_value_count = h->custom_value_count,
    };
}

/* What a window's histograms have in common before they are subtracted. */
struct rate_plan {
    uint32_t first;
    uint32_t last;
    struct histogram empty; /* stands in for the first when the second restarted */
    const struct histogram *from;
    int32_t schema_min;
};

/* False: the window mixes custom and exponential buckets. */
static bool plan_rate(const struct range_op *range, const struct window *w, struct rate_plan *plan)
{
    const struct sample_buffer *s = w->samples;
    const struct histogram *last = s->histograms[plan->last];
    plan->from = s->histograms[plan->first];
    if (plan->last > plan->first && range->counter && pair_reset(range, s, plan->first + 1)) {
        plan->empty = empty_like(s->histograms[plan->first + 1]);
        plan->from = &plan->empty;
    }
    bool custom = histogram_uses_custom_buckets(last);
    if (custom != histogram_uses_custom_buckets(plan->from))
        return false;
    plan->schema_min = last->schema < plan->from->schema ? last->schema : plan->from->schema;
    for (uint32_t i = plan->first + 1; range->counter && i < plan->last; i++) {
        if (custom != histogram_uses_custom_buckets(s->histograms[i]))
            return false;
        if (s->histograms[i]->schema < plan->schema_min)
            plan->schema_min = s->histograms[i]->schema;
    }
    return true;
}

static void check_hints(const struct range_op *range, const struct window *w)
{
    const struct sample_buffer *s = w->samples;
    if (!range->counter) {
        if (s->histograms[w->histogram_low]->hint != HISTOGRAM_HINT_GAUGE ||
            s->histograms[w->histogram_high - 1]->hint != HISTOGRAM_HINT_GAUGE)
            warn_not_a_gauge(range, w);
        return;
    }
    for (uint32_t i = w->histogram_low; i < w->histogram_high; i++) {
        if (s->histograms[i]->hint == HISTOGRAM_HINT_GAUGE) {
            warn_not_a_counter(range, w);
            return;
        }
    }
}

/* last - first, plus what was counted before each reset. */
static void add_increase(const struct range_op *range, const struct window *w,
                         const struct rate_plan *plan, struct histogram_sum *sum)
{
    const struct sample_buffer *s = w->samples;
    histogram_sum_init(sum, w->out, s->histograms[plan->last]);
    if (sum->schema != HISTOGRAM_SCHEMA_CUSTOM)
        histogram_sum_reduce(sum, plan->schema_min);
    note_outcome(range, histogram_sum_subtract(sum, plan->from), false);
    if (!range->counter)
        return;
    const struct histogram *before = plan->from;
    for (uint32_t i = plan->first + 1; i <= plan->last; i++) {
        bool reset =
            i == plan->first + 1 && before == &plan->empty ? false : pair_reset(range, s, i);
        if (reset)
            note_outcome(range, histogram_sum_add(sum, before), true);
        before = s->histograms[i];
    }
}

bool rate__histograms(const struct range_op *range, const struct window *w, struct cell *cell)
{
    const struct sample_buffer *s = w->samples;
    struct rate_plan plan = {.first = w->histogram_low, .last = w->histogram_high - 1};
    int64_t first_t = s->histogram_t[plan.first];
    int64_t last_t = s->histogram_t[plan.last];
    int64_t start_t =
        s->has_start && range->start_timestamps && range->counter ? s->histogram_st[plan.first] : 0;
    bool from_start = start_t != 0 && w->start_ms < start_t && start_t < first_t;
    if (plan.first == plan.last && !from_start)
        return false;
    check_hints(range, w);
    if (!plan_rate(range, w, &plan)) {
        range__warn_mixed_buckets(range, w);
        return false;
    }
    struct histogram_sum sum;
    add_increase(range, w, &plan, &sum);
    struct rate_span span = {
        .intervals = plan.last - plan.first,
        .to_start_s = (double)(first_t - w->start_ms) / 1000,
        .to_end_s = (double)(w->end_ms - last_t) / 1000,
        .sampled_s = (double)(last_t - first_t) / 1000,
    };
    if (from_start) {
        note_outcome(range, histogram_sum_add(&sum, s->histograms[plan.first]), true);
        span.to_start_s = 0;
        span.sampled_s = (double)(last_t - start_t) / 1000;
    }
    double increase = sum.count + sum.count_compensation;
    double first_count = s->histograms[plan.first]->count.f;
    if (increase > 0 && first_count >= 0 && !from_start) {
        span.has_zero_point = true;
        span.zero_ratio = first_count / increase;
    }
    histogram_sum_scale(&sum, rate__factor(range, &span));
    sum.hint = HISTOGRAM_HINT_GAUGE;
    cell->h = histogram_sum_finish(&sum, w->out, true);
    return true;
}

bool rate__instant_histograms(const struct range_op *range, const struct window *w,
                              const struct rate_pair *pair, struct cell *cell)
{
    bool rate = range->id == FUNCTION_IRATE;
    if (pair->t[1] == pair->t[0])
        return false;
    const struct histogram *before = pair->h[0];
    const struct histogram *now = pair->h[1];
    bool gauge = before->hint == HISTOGRAM_HINT_GAUGE && now->hint == HISTOGRAM_HINT_GAUGE;
    bool any_gauge = before->hint == HISTOGRAM_HINT_GAUGE || now->hint == HISTOGRAM_HINT_GAUGE;
    if (rate && any_gauge)
        warn_not_a_counter(range, w);
    if (!rate && !gauge)
        warn_not_a_gauge(range, w);
    bool reset = rate && ((w->samples->has_start && range->start_timestamps &&
                           range__start_reset(pair->st[0], pair->t[0], pair->st[1], pair->t[1])) ||
                          histogram_detect_reset(now, before));
    struct histogram_sum sum;
    histogram_sum_init(&sum, w->out, now);
    if (!reset) {
        struct histogram_outcome outcome = histogram_sum_subtract(&sum, before);
        if (outcome.incompatible) {
            range__warn_mixed_buckets(range, w);
            return false;
        }
        note_outcome(range, outcome, false);
    }
    if (rate)
        histogram_sum_divide(&sum, (double)(pair->t[1] - pair->t[0]) / 1000);
    sum.hint = HISTOGRAM_HINT_GAUGE;
    cell->h = histogram_sum_finish(&sum, w->out, true);
    return true;
}

/* ---- sum_over_time, avg_over_time ---- */

static void note_hints(const struct range_op *range, const struct window *w)
{
    bool reset = false;
    bool not_reset = false;
    for (uint32_t i = w->histogram_low; i < w->histogram_high; i++) {
        reset = reset || w->samples->histograms[i]->hint == HISTOGRAM_HINT_RESET;
        not_reset = not_reset || w->samples->histograms[i]->hint == HISTOGRAM_HINT_NOT_RESET;
    }
    if (reset && not_reset)
        annotations__warn(annotations_of(range), range->position,
                          "conflicting counter resets during histogram aggregation");
}

bool range__histogram_total(const struct range_op *range, const struct window *w, struct cell *cell)
{
    if (window__floats(w) > 0) {
        range__warn_mixed(range, w);
        return false;
    }
    const struct sample_buffer *s = w->samples;
    bool average = range->id == FUNCTION_AVG_OVER_TIME;
    bool incremental = false;
    double n = 1;
    struct histogram_sum sum;
    histogram_sum_init(&sum, w->out, s->histograms[w->histogram_low]);
    for (uint32_t i = w->histogram_low + 1; i < w->histogram_high; i++) {
        n++;
        struct histogram_outcome outcome =
            average ? histogram_average_add(&sum, s->histograms[i], n, &incremental)
                    : histogram_sum_add(&sum, s->histograms[i]);
        if (outcome.incompatible) {
            range__warn_mixed_buckets(range, w);
            return false;
        }
        if (outcome.reconciled)
            annotations__info(annotations_of(range), range->position,
                              "mismatched custom buckets were reconciled during aggregation");
    }
    note_hints(range, w);
    if (average && !incremental)
        histogram_sum_divide(&sum, n);
    cell->h = histogram_sum_finish(&sum, w->out, false);
    return true;
}
