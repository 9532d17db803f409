/* Vector selectors: the newest sample within the lookback at every step. */
#include <string.h>

#include "eval.h"
#include "samples.h"
#include "smoothed_select.h"

struct select_op {
    struct op op;
    struct lane_set lanes;
    struct select_times times;
    enum select_emit emit;
    bool stats_only; /* histograms without buckets will do */
};

struct select_times select_times__of(const struct time_modifiers *when)
{
    return (struct select_times){
        .pinned = when->at != AT_NONE,
        .at_ms = when->at_ms,
        .offset_ms = when->offset.ms,
    };
}

/* The newest float and histogram not after a time; both only move forward. */
struct newest {
    uint32_t floats; /* samples not after the time */
    uint32_t histograms;
};

static void advance(struct newest *newest, const struct sample_buffer *samples, int64_t t_ms)
{
    while (newest->floats < samples->count && samples->t[newest->floats] <= t_ms)
        newest->floats++;
    while (newest->histograms < samples->histogram_count &&
           samples->histogram_t[newest->histograms] <= t_ms)
        newest->histograms++;
}

struct found {
    int64_t t_ms;
    int64_t start_t_ms;
    double v;
    const struct histogram *h;
    const struct histogram *before; /* the histogram before h, if within the lookback */
};

static bool find(const struct newest *newest, const struct sample_buffer *samples, int64_t after_ms,
                 struct found *found)
{
    *found = (struct found){.t_ms = INT64_MIN};
    if (newest->floats > 0) {
        uint32_t at = newest->floats - 1;
        found->t_ms = samples->t[at];
        found->v = samples->v[at];
        found->start_t_ms = samples->has_start ? samples->st[at] : 0;
    }
    if (newest->histograms > 0 && samples->histogram_t[newest->histograms - 1] > found->t_ms) {
        uint32_t at = newest->histograms - 1;
        found->t_ms = samples->histogram_t[at];
        found->h = samples->histograms[at];
        if (at > 0 && samples->histogram_t[at - 1] >= after_ms &&
            !histogram_is_stale(samples->histograms[at - 1]))
            found->before = samples->histograms[at - 1];
        found->start_t_ms = samples->has_start ? samples->histogram_st[at] : 0;
    }
    if (found->t_ms <= after_ms || found->t_ms == INT64_MIN)
        return false;
    return found->h == NULL ? !value_is_stale(found->v) : !histogram_is_stale(found->h);
}

static void emit(const struct select_op *select, struct lane *lane, struct row *row, uint32_t step,
                 const struct found *found, const struct histogram **last_copied,
                 const struct histogram **last_copy)
{
    uint32_t steps = select->op.scope->grid.count;
    if (select->emit == SELECT_TIMESTAMP) {
        row__set(row, step, (double)found->t_ms / 1000);
    } else if (select->emit == SELECT_START_TIMESTAMP) {
        row__set(row, step, (double)found->start_t_ms / 1000);
    } else if (select->emit == SELECT_INFO) {
        row__set(row, step, (double)found->t_ms);
    } else if (found->h == NULL) {
        row__set(row, step, found->v);
    } else {
        if (*last_copied != found->h) {
            *last_copied = found->h;
            struct histogram stats;
            if (select->stats_only)
                stats = samples__stats(found->h, found->before);
            *last_copy = histogram_copy(lane->out, select->stats_only ? &stats : found->h);
        }
        row__set_histogram(row, lane->out, steps, step, *last_copy);
    }
}

static err_t fail_not_info(struct labels labels, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    labels_print(labels, &text);
    err_t err =
        err_fail(why, ERR_EXECUTION, "this should be an info metric, with float samples: %s",
                 strbuf_cstr(&text));
    strbuf_deinit(&text);
    return err;
}

/* Which sample every step sees, shared by series with equal times. */
static void plan_samples(const struct select_op *select, const struct sample_buffer *samples,
                         struct time_plan *plan)
{
    const struct grid *grid = &select->op.scope->grid;
    struct newest newest = {0, 0};
    uint32_t end = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        int64_t ref = select_times__ref(&select->times, grid_time(grid, i));
        advance(&newest, samples, ref);
        uint32_t at = newest.floats - 1;
        bool seen =
            newest.floats > 0 && samples->t[at] > time__subtract(ref, select->times.before_ms);
        plan->low[i] = seen ? at : end;
        plan->high[i] = seen ? newest.floats : end;
        end = plan->high[i];
        if (seen)
            bits__set(plan->present, i);
    }
}

/* Floats of which none is stale; false if the series is not so. */
static bool fill_planned(const struct select_op *select, struct lane *lane, struct row *row)
{
    const struct sample_buffer *samples = &lane->samples;
    if (samples->histogram_count > 0 || samples->has_stale ||
        (select->emit != SELECT_VALUE && select->emit != SELECT_TIMESTAMP))
        return false;
    bool known;
    struct time_plan *plan = time_plans__find(&lane->plans, samples->t, samples->count, &known,
                                              lane->queryable, lane->read);
    if (plan == NULL)
        return false;
    if (!known)
        plan_samples(select, samples, plan);
    uint32_t steps = select->op.scope->grid.count;
    bool value = select->emit == SELECT_VALUE;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t at = plan->low[i];
        if (at < plan->high[i])
            row->values[i] = value ? samples->v[at] : (double)samples->t[at] / 1000;
    }
    memcpy(row->present, plan->present, bits__words(steps) * sizeof *row->present);
    return true;
}

/* Values of a series without histograms whose times no other has; false if it is not so. */
static bool fill_floats(const struct select_op *select, struct lane *lane, struct row *row)
{
    const struct sample_buffer *samples = &lane->samples;
    const struct grid *grid = &select->op.scope->grid;
    if (samples->histogram_count > 0 || select->emit != SELECT_VALUE)
        return false;
    uint32_t high = 0; /* samples not after the step */
    uint32_t last = 0; /* high when a step took a sample */
    for (uint32_t i = 0; i < grid->count; i++) {
        int64_t ref = select_times__ref(&select->times, grid_time(grid, i));
        while (high < samples->count && samples->t[high] <= ref)
            high++;
        if (high == 0 || samples->t[high - 1] <= time__subtract(ref, select->times.before_ms) ||
            (samples->has_stale && value_is_stale(samples->v[high - 1])))
            continue;
        row__set(row, i, samples->v[high - 1]);
        lane->queryable[i]++;
        lane->read[i] += high != last;
        last = high;
    }
    return true;
}

static err_t fill(struct op *op, struct lane *lane, const struct series *series, struct row *row,
                  struct strbuf *why)
{
    struct select_op *select = (struct select_op *)op;
    const struct grid *grid = &op->scope->grid;
    struct sample_want want = {
        .min_t_ms = select->lanes.hints.start_ms,
        .max_t_ms = select->lanes.hints.end_ms,
        .keep_stale = true,
        .start_timestamps = select->emit == SELECT_START_TIMESTAMP,
    };
    TRY(samples__load(&lane->samples, lane->cursor, series, &want, lane->scratch, why));
    if (fill_planned(select, lane, row) || fill_floats(select, lane, row))
        return OK;
    struct newest newest = {0, 0};
    int64_t last_t_ms = INT64_MIN;
    const struct histogram *last_copied = NULL;
    const struct histogram *last_copy = NULL;
    for (uint32_t i = 0; i < grid->count; i++) {
        int64_t ref = select_times__ref(&select->times, grid_time(grid, i));
        advance(&newest, &lane->samples, ref);
        struct found found;
        if (!find(&newest, &lane->samples, time__subtract(ref, select->times.before_ms), &found))
            continue;
        if (found.h != NULL && select->emit == SELECT_INFO)
            return fail_not_info(row->labels, why);
        emit(select, lane, row, i, &found, &last_copied, &last_copy);
        int64_t samples = found.h == NULL ? 1 : histogram__samples(found.h);
        lane->queryable[i] += samples;
        if (found.t_ms != last_t_ms)
            lane->read[i] += samples;
        last_t_ms = found.t_ms;
    }
    return OK;
}

static err_t fill_smoothed(struct op *op, struct lane *lane, const struct series *series,
                           struct row *row, struct strbuf *why)
{
    struct select_op *select = (struct select_op *)op;
    return smoothed_select__fill(op, &select->times, &select->lanes.hints, lane, series, row, why);
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    return lanes__next(&((struct select_op *)op)->lanes, batch, why);
}

void op_select__fold(struct op *op)
{
    if (op->next == next)
        ((struct select_op *)op)->lanes.hints.folded = true;
}

struct op *op_select__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                             struct str function, enum select_emit emit_what)
{
    struct select_op *select = EVAL_OP(eval, struct select_op, next, scope, expr);
    const struct vector_selector *selector = &expr->vector_selector;
    select->op.unique = true;
    select->times = select_times__of(&selector->when);
    select->times.before_ms = eval->lookback_ms;
    select->emit = emit_what;
    select->stats_only = plan__wants_stats(eval);
    bool smoothed = selector->smoothed && emit_what == SELECT_VALUE;
    if (smoothed)
        select->times.after_ms = eval->lookback_ms;
    select->lanes.fill = smoothed ? fill_smoothed : fill;
    lanes__init(&select->lanes, &select->op, selector, &select->times, function);
    select->lanes.hints.newest_only = scope->grid.count == 1 && !smoothed;
    return &select->op;
}
