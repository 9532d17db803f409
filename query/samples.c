#include "samples.h"

#include <assert.h>
#include <string.h>

#include "narthex/model/histogram_math.h"
#include "summaries.h"

enum {
    SAMPLES_FIRST_CAPACITY = 256,
    /* How often a lane looks whether its query should end, in samples and steps; a row costs at
     * least as much as ROW_WORK of them. */
    CHECKED_WORK = 2048,
    ROW_WORK = 128,
};

static void free_buffer(void *context)
{
    struct sample_buffer *buffer = context;
    mem_free(MEM_QUERY, buffer->t);
    mem_free(MEM_QUERY, buffer->v);
    mem_free(MEM_QUERY, buffer->st);
    mem_free(MEM_QUERY, buffer->before);
    mem_free(MEM_QUERY, buffer->histogram_t);
    mem_free(MEM_QUERY, buffer->histogram_st);
    mem_free(MEM_QUERY, buffer->histograms);
}

void samples__init(struct sample_buffer *buffer, struct eval *eval)
{
    *buffer = (struct sample_buffer){.eval = eval};
    eval__on_end(eval, free_buffer, buffer);
}

void samples__clear(struct sample_buffer *buffer)
{
    buffer->count = 0;
    buffer->histogram_count = 0;
    buffer->has_start = false;
    buffer->has_stale = false;
    buffer->summarised = false;
    buffer->magnitude = 0;
}

static uint32_t grown(uint32_t capacity, uint32_t wanted)
{
    uint32_t result = capacity == 0 ? SAMPLES_FIRST_CAPACITY : capacity;
    while (result < wanted)
        result *= 2;
    return result;
}

static void reserve_floats(struct sample_buffer *buffer, uint32_t extra)
{
    uint32_t wanted = buffer->count + extra;
    if (wanted <= buffer->capacity)
        return;
    uint32_t capacity = grown(buffer->capacity, wanted);
    atomic_fetch_add_explicit(&buffer->eval->memory_bytes,
                              (size_t)(capacity - buffer->capacity) * 28, memory_order_relaxed);
    buffer->before =
        mem_realloc(MEM_QUERY, buffer->before, ((size_t)capacity + 1) * sizeof *buffer->before);
    buffer->t = mem_realloc(MEM_QUERY, buffer->t, capacity * sizeof *buffer->t);
    buffer->v = mem_realloc(MEM_QUERY, buffer->v, capacity * sizeof *buffer->v);
    buffer->st = mem_realloc(MEM_QUERY, buffer->st, capacity * sizeof *buffer->st);
    buffer->capacity = capacity;
}

static void reserve_histograms(struct sample_buffer *buffer, uint32_t extra)
{
    uint32_t wanted = buffer->histogram_count + extra;
    if (wanted <= buffer->histogram_capacity)
        return;
    uint32_t capacity = grown(buffer->histogram_capacity, wanted);
    atomic_fetch_add_explicit(&buffer->eval->memory_bytes,
                              (size_t)(capacity - buffer->histogram_capacity) * 24,
                              memory_order_relaxed);
    buffer->histogram_t =
        mem_realloc(MEM_QUERY, buffer->histogram_t, capacity * sizeof *buffer->histogram_t);
    buffer->histogram_st =
        mem_realloc(MEM_QUERY, buffer->histogram_st, capacity * sizeof *buffer->histogram_st);
    buffer->histograms =
        mem_realloc(MEM_QUERY, buffer->histograms, capacity * sizeof *buffer->histograms);
    buffer->histogram_capacity = capacity;
}

void samples__reserve(struct sample_buffer *buffer, uint32_t count)
{
    if (count > buffer->count)
        reserve_floats(buffer, count - buffer->count);
}

void samples__add_float(struct sample_buffer *buffer, int64_t t_ms, double v)
{
    reserve_floats(buffer, 1);
    buffer->t[buffer->count] = t_ms;
    buffer->st[buffer->count] = 0;
    buffer->v[buffer->count++] = v;
}

void samples__add_summary(struct sample_buffer *buffer, int64_t t_ms, double v, uint32_t real)
{
    reserve_floats(buffer, 1);
    if (!buffer->summarised) {
        buffer->summarised = true;
        for (uint32_t i = 0; i <= buffer->count; i++)
            buffer->before[i] = i;
    }
    buffer->t[buffer->count] = t_ms;
    buffer->st[buffer->count] = 0;
    buffer->v[buffer->count++] = v;
    buffer->before[buffer->count] = buffer->before[buffer->count - 1] + real;
}

void samples__add_histogram(struct sample_buffer *buffer, int64_t t_ms, const struct histogram *h)
{
    reserve_histograms(buffer, 1);
    buffer->histogram_t[buffer->histogram_count] = t_ms;
    buffer->histogram_st[buffer->histogram_count] = 0;
    buffer->histograms[buffer->histogram_count++] = h;
}

/* First index whose time is >= t. */
static uint32_t lower_bound(const int64_t *times, uint32_t count, int64_t t)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool any_stale(const double *values, uint32_t count)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found |= double_bits(values[i]) == STALE_NAN_BITS;
    return found != 0;
}

static void note_start(struct sample_buffer *buffer)
{
    if (buffer->has_start)
        return;
    buffer->has_start = true;
    if (buffer->count > 0)
        memset(buffer->st, 0, buffer->count * sizeof *buffer->st);
    if (buffer->histogram_count > 0)
        memset(buffer->histogram_st, 0, buffer->histogram_count * sizeof *buffer->histogram_st);
}

/* Floats added from `from` on stand for themselves. */
static void extend_before(struct sample_buffer *buffer, uint32_t from)
{
    if (!buffer->summarised)
        return;
    for (uint32_t i = from; i < buffer->count; i++)
        buffer->before[i + 1] = buffer->before[i] + 1;
}

static void add_floats(struct sample_buffer *buffer, const struct sample_column *column,
                       uint32_t low, uint32_t high, bool keep_stale, bool starts)
{
    uint32_t count = high - low;
    reserve_floats(buffer, count);
    const double *values = column->values + low;
    const int64_t *times = column->t_ms + low;
    bool stale = any_stale(values, count);
    buffer->has_stale = buffer->has_stale || stale;
    if (keep_stale || !stale) {
        memcpy(buffer->t + buffer->count, times, count * sizeof *times);
        memcpy(buffer->v + buffer->count, values, count * sizeof *values);
        if (starts)
            memcpy(buffer->st + buffer->count, column->start_t_ms + low, count * sizeof *times);
        else if (buffer->has_start)
            memset(buffer->st + buffer->count, 0, count * sizeof *times);
        buffer->count += count;
        extend_before(buffer, buffer->count - count);
        return;
    }
    uint32_t old_count = buffer->count;
    for (uint32_t i = 0; i < count; i++) {
        if (value_is_stale(values[i]))
            continue;
        buffer->t[buffer->count] = times[i];
        buffer->st[buffer->count] = starts ? column->start_t_ms[low + i] : 0;
        buffer->v[buffer->count++] = values[i];
    }
    extend_before(buffer, old_count);
}

static void add_histograms(struct sample_buffer *buffer, const struct sample_column *column,
                           uint32_t low, uint32_t high, bool keep_stale, bool starts,
                           struct arena *arena)
{
    reserve_histograms(buffer, high - low);
    for (uint32_t i = low; i < high; i++) {
        const struct histogram *h = &column->histograms[i];
        if (!keep_stale && histogram_is_stale(h))
            continue;
        buffer->histogram_t[buffer->histogram_count] = column->t_ms[i];
        buffer->histogram_st[buffer->histogram_count] = starts ? column->start_t_ms[i] : 0;
        buffer->histograms[buffer->histogram_count++] = histogram_to_float(arena, h);
    }
}

err_t samples__load(struct sample_buffer *buffer, struct series_cursor *cursor,
                    const struct series *series, const struct sample_want *want,
                    struct arena *arena, struct strbuf *why)
{
    samples__clear(buffer);
    TRY(series_cursor_seek(cursor, series, want->min_t_ms, want->max_t_ms, why));
    for (;;) {
        struct sample_column_info info;
        bool found;
        TRY(series_cursor_next(cursor, &info, &found, why));
        if (!found || info.first_t_ms > want->max_t_ms)
            return OK;
        if (info.last_t_ms < want->min_t_ms)
            continue;
        if (summaries__take(buffer, want, &info))
            continue;
        struct sample_column column;
        TRY(series_cursor_decode(cursor, &column, why));
        uint32_t low = lower_bound(column.t_ms, column.count, want->min_t_ms);
        uint32_t high = want->max_t_ms == INT64_MAX
                            ? column.count
                            : lower_bound(column.t_ms, column.count, want->max_t_ms + 1);
        if (low >= high)
            continue;
        bool starts = want->start_timestamps && column.start_t_ms != NULL;
        if (starts)
            note_start(buffer);
        if (column.kind == SAMPLES_FLOAT)
            add_floats(buffer, &column, low, high, want->keep_stale, starts);
        else
            add_histograms(buffer, &column, low, high, want->keep_stale, starts, arena);
    }
}

struct histogram samples__stats(const struct histogram *h, const struct histogram *before)
{
    struct histogram stats = {
        .kind = HISTOGRAM_FLOAT,
        .hint = h->hint,
        .schema = h->schema,
        .count = h->count,
        .sum = h->sum,
    };
    if (h->hint == HISTOGRAM_HINT_UNKNOWN && before != NULL)
        stats.hint =
            histogram_detect_reset(h, before) ? HISTOGRAM_HINT_RESET : HISTOGRAM_HINT_NOT_RESET;
    return stats;
}

void samples__strip_buckets(struct sample_buffer *buffer, struct arena *arena)
{
    const struct histogram *before = NULL;
    for (uint32_t i = 0; i < buffer->histogram_count; i++) {
        const struct histogram *h = buffer->histograms[i];
        struct histogram *stats = arena_alloc(arena, sizeof *stats);
        *stats = samples__stats(h, before);
        before = h;
        buffer->histograms[i] = stats;
    }
}

/* ---- lanes ---- */

void lanes__init(struct lane_set *set, struct op *op, const struct vector_selector *selector,
                 const struct select_times *times, struct str function)
{
    set->op = op;
    set->selector = selector->selector;
    const struct grid *grid = &op->scope->grid;
    int64_t first = select_times__ref(times, grid->start_ms);
    int64_t last = select_times__ref(times, grid_end(grid));
    set->hints.start_ms = time__subtract(first, times->range_ms + times->before_ms - 1);
    set->hints.end_ms = time__add(last, times->after_ms);
    set->hints.step_ms = grid->count > 1 ? grid->step_ms : 0;
    set->hints.range_ms = times->range_ms;
    set->hints.function = function;
    if (set->hints.start_ms < op->eval->min_t_ms)
        op->eval->min_t_ms = set->hints.start_ms;
    if (set->hints.end_ms > op->eval->max_t_ms)
        op->eval->max_t_ms = set->hints.end_ms;
}

static void open_lane(struct lane_set *set, struct lane *lane)
{
    struct eval *eval = set->op->eval;
    uint32_t steps = set->op->scope->grid.count;
    samples__init(&lane->samples, eval);
    lane->scratch = eval__scratch(eval);
    lane->out = eval__arena(eval);
    lane->queryable = ARENA_NEW_ARRAY(eval->arena, int64_t, steps);
    lane->read = ARENA_NEW_ARRAY(eval->arena, int64_t, steps);
    lane->unchecked = CHECKED_WORK;
    time_plans__init(&lane->plans, set->op->scope, eval__arena(eval));
}

static void close_cursor(void *context)
{
    series_cursor_close(context);
}

static err_t open_cursor(struct lane_set *set, struct lane *lane, struct strbuf *why)
{
    struct eval *eval = set->op->eval;
    TRY(querier_cursor_open(eval->querier, &set->hints, &lane->cursor, why));
    eval__on_end(eval, close_cursor, lane->cursor);
    return OK;
}

err_t lanes__select(struct lane_set *set, struct strbuf *why)
{
    if (set->selected)
        return OK;
    struct eval *eval = set->op->eval;
    uint32_t steps = set->op->scope->grid.count;
    struct strbuf text = STRBUF_INIT;
    err_t err = querier_select(eval->querier, set->selector, &set->hints, eval__arena(eval),
                               &set->series, &text);
    if (err != OK)
        err = err_fail(why, err, "expanding series: %s", strbuf_cstr(&text));
    strbuf_deinit(&text);
    TRY(err);
    set->selected = true;

    size_t rows = EVAL_BATCH_CELLS / steps;
    if (rows > EVAL_BATCH_ROWS_MAX)
        rows = EVAL_BATCH_ROWS_MAX;
    if (rows > set->series.count)
        rows = set->series.count;
    if (rows == 0)
        rows = 1;
    set->row_capacity = (uint32_t)rows;
    set->rows = ARENA_NEW_ARRAY(eval->arena, struct row, rows);
    if (set->op->peak_rule == PEAK_WINDOWS)
        set->windows = ARENA_NEW_ARRAY(eval->arena, struct row_windows, rows);
    struct arena *columns = eval__arena(eval);
    set->values = arena_alloc(columns, rows * steps * sizeof *set->values);
    set->present = arena_alloc(columns, rows * bits__words(steps) * sizeof *set->present);
    set->lane_count = eval->lane_count < rows ? eval->lane_count : (uint32_t)rows;
    set->lanes = ARENA_NEW_ARRAY(eval->arena, struct lane, set->lane_count);
    for (uint32_t i = 0; i < set->lane_count; i++) {
        open_lane(set, &set->lanes[i]);
        TRY(open_cursor(set, &set->lanes[i], why));
    }
    return OK;
}

/* Asking the clock takes longer than a short row. */
static err_t check_sometimes(struct lane_set *set, struct lane *lane)
{
    if (lane->unchecked < CHECKED_WORK)
        return OK;
    lane->unchecked = 0;
    return eval__check(set->op->eval, &lane->why);
}

static void run_lane(void *context, uint32_t index)
{
    struct lane_set *set = context;
    struct lane *lane = &set->lanes[index];
    uint32_t steps = set->op->scope->grid.count;
    for (;;) {
        uint32_t at = atomic_fetch_add_explicit(&set->next_row, 1, memory_order_relaxed);
        if (at >= set->row_count)
            return;
        lane->err_row = at;
        lane->err = check_sometimes(set, lane);
        if (lane->err != OK)
            return;
        const struct series *series = &set->series.items[set->at + at];
        struct row *row = &set->rows[at];
        *row = (struct row){
            .labels = series->labels,
            .values = set->values + (size_t)at * steps,
            .present = set->present + (size_t)at * bits__words(steps),
        };
        memset(row->present, 0, bits__words(steps) * sizeof *row->present);
        struct arena_mark mark = arena_mark(lane->scratch);
        err_t err = set->fill(set->op, lane, series, row, &lane->why);
        if (lane->err == OK)
            lane->err = err;
        arena_reset_to(lane->scratch, mark);
        if (lane->err != OK)
            return;
        int64_t loaded = lane->samples.count + lane->samples.histogram_count;
        lane->loaded += loaded;
        lane->unchecked += (uint64_t)loaded + steps + ROW_WORK;
    }
}

/* For the list of running queries. */
static void publish_progress(struct lane_set *set)
{
    int64_t loaded = 0;
    for (uint32_t i = 0; i < set->lane_count; i++) {
        loaded += set->lanes[i].loaded;
        set->lanes[i].loaded = 0;
    }
    atomic_fetch_add_explicit(set->op->eval->progress, loaded, memory_order_relaxed);
}

/* The failure of the first row, whichever thread met it. */
static err_t lane_errors(struct lane_set *set, struct strbuf *why)
{
    const struct lane *first = NULL;
    for (uint32_t i = 0; i < set->lane_count; i++) {
        const struct lane *lane = &set->lanes[i];
        if (lane->err != OK && (first == NULL || lane->err_row < first->err_row))
            first = lane;
    }
    err_t err = first == NULL ? OK : first->err;
    if (first != NULL)
        err = err_fail(why, err, "%s", strbuf_cstr(&first->why));
    for (uint32_t i = 0; i < set->lane_count; i++)
        strbuf_deinit(&set->lanes[i].why);
    return err;
}

static void add_counts(struct lane_set *set)
{
    struct scope *scope = set->op->scope;
    for (uint32_t i = 0; i < set->lane_count; i++) {
        time_plans__count(&set->lanes[i].plans, set->lanes[i].queryable, set->lanes[i].read);
        for (uint32_t k = 0; k < scope->grid.count; k++) {
            scope->queryable[k] += set->lanes[i].queryable[k];
            scope->read[k] += set->lanes[i].read[k];
        }
    }
}

err_t lanes__next(struct lane_set *set, struct batch *batch, struct strbuf *why)
{
    TRY(lanes__select(set, why));
    *batch = (struct batch){set->rows, 0};
    size_t left = set->series.count - set->at;
    if (left == 0) {
        add_counts(set);
        return OK;
    }
    set->row_count = left < set->row_capacity ? (uint32_t)left : set->row_capacity;
    for (uint32_t i = 0; i < set->lane_count; i++) {
        /* Only main's arenas see new batches: what was handed out before is dead now. */
        arena_reset_to(set->lanes[i].out, (struct arena_mark){NULL, NULL});
    }
    atomic_store_explicit(&set->next_row, 0, memory_order_relaxed);
    worker_pool_run(set->lane_count > 1 ? set->op->eval->pool : NULL, set->lane_count, run_lane,
                    set);
    TRY(lane_errors(set, why));
    publish_progress(set);
    set->at += set->row_count;
    batch->count = set->row_count;
    if (set->windows != NULL)
        op__note_windows(set->op, batch, set->windows);
    return OK;
}
