/* Range vectors: windows over a selector's series, or over the rows of a subquery. */
#include "range.h"

#include <assert.h>
#include <string.h>

#include "summaries.h"

enum {
    RESET_RUN = 64, /* samples */
    RANGE_CHECK_SAMPLES = 1 << 19
}; /* seen by kernels between two looks at the clock: a few ms */

/* ---- one row ---- */

/* Whether values fall anywhere among v[first..end); first >= 1. */
static bool any_fall(const double *v, uint32_t first, uint32_t end)
{
    uint64_t found = 0;
    for (uint32_t i = first; i < end; i++)
        found |= v[i] < v[i - 1];
    return found != 0;
}

/* Where a counter restarts, once per series: windows then need only the few restarts in them. */
static uint32_t find_resets(const struct range_op *range, const struct sample_buffer *samples,
                            struct arena *arena, const uint32_t **resets)
{
    *resets = NULL;
    if (!range->wants_resets)
        return 0;
    uint32_t count = 0;
    uint32_t *found = NULL;
    bool starts = samples->has_start && range->start_timestamps;
    if (!starts && samples->count <= RESET_RUN && !any_fall(samples->v, 1, samples->count))
        return 0;
    for (uint32_t i = 1; i < samples->count; i++) {
        /* Restarts are rare: most runs are looked at without a branch per sample. */
        if (i % RESET_RUN == 0 && !starts && i + RESET_RUN <= samples->count &&
            !any_fall(samples->v, i, i + RESET_RUN)) {
            i += RESET_RUN - 1;
            continue;
        }
        bool reset = samples->v[i] < samples->v[i - 1];
        if (!reset && starts)
            reset = range__start_reset(samples->st[i - 1], samples->t[i - 1], samples->st[i],
                                       samples->t[i]);
        if (!reset)
            continue;
        if (found == NULL)
            found = arena_alloc(arena, samples->count * sizeof *found);
        found[count++] = i;
    }
    *resets = found;
    return count;
}

static void move_window(struct window *w, const struct range_op *range, int64_t t_ms)
{
    const struct sample_buffer *samples = w->samples;
    w->eval_ms = t_ms;
    w->end_ms = select_times__ref(&range->times, t_ms);
    w->start_ms = time__subtract(w->end_ms, range->times.range_ms);
    int64_t after = time__subtract(w->start_ms, range->times.before_ms);
    int64_t until = time__add(w->end_ms, range->times.after_ms);
    while (w->high < samples->count && samples->t[w->high] <= until)
        w->high++;
    while (w->low < w->high && samples->t[w->low] <= after)
        w->low++;
    while (w->histogram_high < samples->histogram_count &&
           samples->histogram_t[w->histogram_high] <= until)
        w->histogram_high++;
    while (w->histogram_low < w->histogram_high && samples->histogram_t[w->histogram_low] <= after)
        w->histogram_low++;
    while (w->reset_low < w->reset_count && w->resets[w->reset_low] <= w->low)
        w->reset_low++;
}

/* Samples of the window, and those that no window before had: above the old ends. */
static void count_window(struct lane *lane, const struct window *w, uint32_t old_high,
                         uint32_t old_histogram_high, struct row_windows *windows)
{
    int64_t queryable = window__real_floats(w);
    uint32_t new_low = w->low > old_high ? w->low : old_high;
    int64_t read = samples__real(w->samples, new_low, w->high);
    for (uint32_t i = w->histogram_low; i < w->histogram_high; i++) {
        int64_t samples = histogram__samples(w->samples->histograms[i]);
        queryable += samples;
        if (i >= old_histogram_high)
            read += samples;
    }
    windows->last = queryable;
    if (queryable > windows->widest)
        windows->widest = queryable;
    lane->queryable[w->step] += queryable;
    lane->read[w->step] += read;
}

/* Before the first step, for kernels; the memory outlives the window. */
static struct window first_window(struct lane *lane, const struct row *row,
                                  struct window_memory *memory)
{
    return (struct window){
        .samples = &lane->samples,
        .metric = names__metric(row),
        .out = lane->out,
        .memory = memory,
        .lane = lane,
    };
}

/* Runs the kernel at every step over the lane's samples. */
static err_t fill_row(struct range_op *range, struct lane *lane, struct row *row,
                      struct row_windows *windows)
{
    *windows = (struct row_windows){0, 0};
    const struct grid *grid = &range->op.scope->grid;
    struct window_memory memory = {.high = 0};
    struct window w = first_window(lane, row, &memory);
    w.reset_count = find_resets(range, &lane->samples, lane->scratch, &w.resets);
    if (range->start_timestamps && lane->samples.has_start)
        range__check_overlap(range, &lane->samples, w.metric);
    bool any = false;
    uint64_t unchecked = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        uint32_t old_high = w.high;
        uint32_t old_histogram_high = w.histogram_high;
        w.step = i;
        move_window(&w, range, grid_time(grid, i));
        count_window(lane, &w, old_high, old_histogram_high, windows);
        if (w.low == w.high && w.histogram_low == w.histogram_high)
            continue;
        unchecked += window__floats(&w) + window__histograms(&w);
        if (unchecked > RANGE_CHECK_SAMPLES) {
            unchecked = 0;
            lane->err = eval__check(range->op.eval, &lane->why);
            if (lane->err != OK)
                return lane->err;
        }
        struct cell cell = {0, NULL};
        bool found = range->kernel(range, &w, &cell);
        if (lane->err != OK)
            return lane->err;
        if (!found)
            continue;
        if (cell.h == NULL) {
            row__set(row, i, cell.v);
            any = true;
        } else {
            row__set_histogram(row, lane->out, grid->count, i, cell.h);
        }
    }
    if (range->counter && any)
        range__check_counter_name(range, row);
    return OK;
}

/* Which samples the steps see, shared by series with equal times. */
static void plan_windows(const struct range_op *range, const struct sample_buffer *samples,
                         struct time_plan *plan)
{
    const struct grid *grid = &range->op.scope->grid;
    struct window w = {.samples = samples};
    plan->widest = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        move_window(&w, range, grid_time(grid, i));
        plan->low[i] = w.low;
        plan->high[i] = w.high;
        if (w.high - w.low > plan->widest)
            plan->widest = w.high - w.low;
        if (w.low < w.high)
            bits__set(plan->present, i);
    }
}

/* NULL: the series is not like others, or plans do not pay. */
static struct time_plan *find_plan(const struct range_op *range, struct lane *lane)
{
    const struct sample_buffer *samples = &lane->samples;
    bool starts = samples->has_start && range->start_timestamps;
    if (samples->histogram_count > 0 || samples->summarised || starts || range->anchored ||
        range->smoothed)
        return NULL;
    bool known;
    struct time_plan *plan = time_plans__find(&lane->plans, samples->t, samples->count, &known,
                                              lane->queryable, lane->read);
    if (plan != NULL && !known)
        plan_windows(range, samples, plan);
    return plan;
}

/* As fill_row for floats whose windows are known. */
static err_t fill_planned(struct range_op *range, struct lane *lane, struct row *row,
                          struct time_plan *plan)
{
    const struct grid *grid = &range->op.scope->grid;
    struct window_memory memory = {.high = 0};
    struct window w = first_window(lane, row, &memory);
    uint64_t unchecked = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        w.low = plan->low[i];
        w.high = plan->high[i];
        if (w.low == w.high)
            continue;
        unchecked += window__floats(&w);
        if (unchecked > RANGE_CHECK_SAMPLES) {
            unchecked = 0;
            lane->err = eval__check(range->op.eval, &lane->why);
        }
        w.step = i;
        w.eval_ms = grid_time(grid, i);
        w.end_ms = select_times__ref(&range->times, w.eval_ms);
        w.start_ms = time__subtract(w.end_ms, range->times.range_ms);
        struct cell cell = {0, NULL};
        if (lane->err == OK && range->kernel(range, &w, &cell))
            row__set(row, i, cell.v);
        if (lane->err != OK)
            return lane->err;
    }
    return OK;
}

static err_t fill_floats(struct range_op *range, struct lane *lane, struct row *row,
                         struct time_plan *plan)
{
    if (range__has_lanes(range))
        return range__fill_lanes(range, lane, row, plan);
    if (range->id == FUNCTION_CHANGES || range->id == FUNCTION_RESETS) {
        rate__planned_pairs(range, lane, row, plan);
        return OK;
    }
    if (range->kernel == range__instant_rate) {
        rate__planned_ends(range, lane, row, plan);
        return OK;
    }
    if (range->kernel != range__rate)
        return fill_planned(range, lane, row, plan);
    const uint32_t *resets;
    uint32_t reset_count = find_resets(range, &lane->samples, lane->scratch, &resets);
    if (rate__planned_row(range, lane, row, plan, resets, reset_count) && range->counter)
        range__check_counter_name(range, row);
    return OK;
}

static err_t fill_series(struct op *op, struct lane *lane, const struct series *series,
                         struct row *row, struct strbuf *why)
{
    struct range_op *range = (struct range_op *)op;
    struct sample_want want = {
        .min_t_ms = range->lanes.hints.start_ms,
        .max_t_ms = range->lanes.hints.end_ms,
        .start_timestamps = range->start_timestamps,
        .summary = range->summary,
        .windows = &range->windows,
    };
    TRY(samples__load(&lane->samples, lane->cursor, series, &want, lane->scratch, why));
    if (!summaries__hold(&lane->samples, range->summary)) {
        want.summary = SUMMARY_NONE;
        TRY(samples__load(&lane->samples, lane->cursor, series, &want, lane->scratch, why));
    }
    if (range->stats_only)
        samples__strip_buckets(&lane->samples, lane->scratch);
    struct row_windows *windows = &range->lanes.windows[row - range->lanes.rows];
    struct time_plan *plan = find_plan(range, lane);
    if (plan == NULL)
        return fill_row(range, lane, row, windows);
    uint32_t last = op->scope->grid.count - 1;
    *windows = (struct row_windows){plan->high[last] - plan->low[last], plan->widest};
    return fill_floats(range, lane, row, plan);
}

/* ---- subqueries ---- */

static void take_child_row(struct range_op *range, const struct row *child)
{
    const struct grid *grid = &range->child->scope->grid;
    struct sample_buffer *samples = &range->lane.samples;
    samples__clear(samples);
    for (uint32_t i = 0; i < grid->count; i++) {
        if (!bits__get(child->present, i))
            continue;
        const struct histogram *h = row__histogram(child, i);
        if (h == NULL) {
            samples__add_float(samples, grid_time(grid, i), child->values[i]);
            continue;
        }
        if (h->hint == HISTOGRAM_HINT_RESET || h->hint == HISTOGRAM_HINT_NOT_RESET) {
            /* The samples between are not seen here, so the hint says nothing. */
            struct histogram *plain = arena_alloc(range->lane.scratch, sizeof *plain);
            *plain = *h;
            plain->hint = HISTOGRAM_HINT_UNKNOWN;
            h = plain;
        }
        samples__add_histogram(samples, grid_time(grid, i), h);
    }
}

static err_t next_child_row(struct range_op *range, const struct row **row, struct strbuf *why)
{
    *row = NULL;
    if (range->child_at == range->child_batch.count) {
        range->child_at = 0;
        if (range->child->unique) {
            TRY(op__next(range->child, &range->child_batch, why));
        } else if (!range->collected) {
            range->collected = true;
            row_set__init(&range->child_rows, range->op.eval, range->child->scope->grid.count);
            TRY(row_set__collect(&range->child_rows, range->child, why));
            range->child_batch = (struct batch){range->child_rows.items, range->child_rows.count};
        } else {
            range->child_batch.count = 0;
        }
    }
    if (range->child_batch.count > 0)
        *row = &range->child_batch.rows[range->child_at++];
    return OK;
}

static err_t next_subquery(struct range_op *range, struct batch *batch, struct strbuf *why)
{
    const struct row *child;
    uint32_t steps = range->op.scope->grid.count;
    TRY(next_child_row(range, &child, why));
    if (child == NULL) {
        for (uint32_t i = 0; i < steps; i++) {
            range->op.scope->queryable[i] += range->lane.queryable[i];
            range->op.scope->read[i] += range->lane.read[i];
        }
        return OK;
    }
    arena_reset_to(range->lane.out, (struct arena_mark){NULL, NULL});
    arena_reset_to(range->lane.scratch, range->scratch_mark);
    take_child_row(range, child);
    range->row.labels = child->labels;
    range->row.drop_name = child->drop_name;
    range->row.histograms = NULL;
    memset(range->row.present, 0, bits__words(steps) * sizeof *range->row.present);
    err_t err = fill_row(range, &range->lane, &range->row, &range->row_windows);
    if (err != OK && range->lane.err != OK)
        err = err_fail(why, err, "%s", strbuf_cstr(&range->lane.why));
    strbuf_deinit(&range->lane.why);
    TRY(err);
    *batch = (struct batch){&range->row, 1};
    op__note_windows(&range->op, batch, &range->row_windows);
    return OK;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct range_op *range = (struct range_op *)op;
    for (uint32_t i = 0; i < range->param_count; i++)
        TRY(op__scalar(range->params[i], &range->param_columns[i], why));
    if (range->child != NULL)
        TRY(next_subquery(range, batch, why));
    else
        TRY(lanes__next(&range->lanes, batch, why));
    if (range->keeps_name)
        return OK;
    for (uint32_t i = 0; i < batch->count; i++)
        TRY(name_check__drop(&range->names, &batch->rows[i], why));
    return OK;
}

/* ---- building ---- */

err_t subquery__grid(const struct eval *eval, const struct expr *expr, const struct scope *scope,
                     struct grid *grid, struct strbuf *why)
{
    const struct subquery *subquery = &expr->subquery;
    struct select_times times = select_times__of(&subquery->when);
    int64_t step = subquery->has_step ? subquery->step.ms : eval->subquery_step_ms;
    int64_t first =
        time__subtract(select_times__ref(&times, scope->grid.start_ms), subquery->range.ms);
    int64_t last = select_times__ref(&times, grid_end(&scope->grid));
    int64_t start = step * (first / step); /* rounds towards 0, as Prometheus does */
    if (start <= first)
        start = time__add(start, step);
    int64_t count = last < start ? 0 : time__subtract(last, start) / step + 1;
    if (count > EVAL_STEPS_MAX)
        return eval__too_many_samples(why);
    *grid = (struct grid){start, step, (uint32_t)count};
    return OK;
}

static err_t build_subquery(struct range_op *range, struct strbuf *why)
{
    struct eval *eval = range->op.eval;
    struct grid grid;
    TRY(subquery__grid(eval, range->arg, range->op.scope, &grid, why));
    range->times = select_times__of(&range->arg->subquery.when);
    range->times.range_ms = range->arg->subquery.range.ms;
    uint32_t steps = range->op.scope->grid.count;
    samples__init(&range->lane.samples, eval);
    range->lane.scratch = eval__scratch(eval);
    range->scratch_mark = arena_mark(range->lane.scratch);
    range->lane.out = eval__arena(eval);
    range->lane.queryable = ARENA_NEW_ARRAY(eval->arena, int64_t, steps);
    range->lane.read = ARENA_NEW_ARRAY(eval->arena, int64_t, steps);
    row__init(&range->row, eval->arena, steps);
    if (grid.count == 0) {
        /* No aligned step falls into the window: nothing to evaluate. */
        range->op.ended = true;
        grid.count = 1;
    }
    struct scope *scope = eval__scope(eval, SCOPE_WINDOWS, range->op.scope, grid);
    eval->histogram_buckets++;
    TRY(plan__build(eval, scope, range->arg->subquery.expr, &range->child, why));
    eval->histogram_buckets--;
    op__add_input(&range->op, range->child);
    range->op.unique = range->child->unique;
    return OK;
}

static void set_summary(struct range_op *range)
{
    const struct grid *grid = &range->op.scope->grid;
    int64_t end_ms = select_times__ref(&range->times, grid->start_ms);
    range->summary = summaries__kind_of(range->id);
    range->windows = (struct summary_windows){
        .start_ms = time__subtract(end_ms, range->times.range_ms),
        .end_ms = end_ms,
        .step_ms = grid->step_ms,
        .count = range->times.pinned ? 1 : grid->count,
    };
}

static void build_selector(struct range_op *range, struct str function)
{
    const struct expr *vector = range->arg->matrix_selector.vector;
    const struct vector_selector *selector = &vector->vector_selector;
    range->times = select_times__of(&selector->when);
    range->times.range_ms = range->arg->matrix_selector.range.ms;
    range->anchored = selector->anchored;
    range->smoothed = selector->smoothed;
    if (range->anchored || range->smoothed)
        range->times.before_ms = range->op.eval->lookback_ms;
    if (range->smoothed)
        range->times.after_ms = range->op.eval->lookback_ms;
    range->stats_only = plan__wants_stats(range->op.eval);
    if (!range->anchored && !range->smoothed && !range->start_timestamps)
        set_summary(range);
    range->lanes.fill = fill_series;
    lanes__init(&range->lanes, &range->op, selector, &range->times, function);
    range->op.unique = true;
}

err_t op_range_call__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                            struct op **op, struct strbuf *why)
{
    struct range_op *range = EVAL_OP(eval, struct range_op, next, scope, expr);
    const struct call *call = &expr->call;
    range->id = call->function->id;
    range->op.peak_rule = PEAK_WINDOWS;
    range__set_function(range);
    range->start_timestamps = eval->options->features.start_timestamps;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        struct expr *arg = expr_strip_parens(call->args[i]);
        if (arg->type == EXPR_TYPE_MATRIX) {
            range->arg = arg;
            continue;
        }
        assert(range->param_count < 2);
        TRY(plan__build(eval, scope, call->args[i], &range->params[range->param_count], why));
        op__add_input(&range->op, range->params[range->param_count++]);
    }
    range->position = expr_strip_parens(call->args[0])->start;
    if (range->arg->kind == EXPR_SUBQUERY)
        TRY(build_subquery(range, why));
    else
        build_selector(range, call->function->name);
    TRY(range__check_modifiers(range, why));
    if (!range->keeps_name) {
        name_check__init(&range->names, eval, scope->grid.count, true);
        /* Without names equal labels are an error, at whatever steps. */
        range->op.unique = range->op.unique || !eval->delayed_names;
    }
    *op = &range->op;
    return OK;
}
