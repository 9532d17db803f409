#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "range.h"

/* ---- series ---- */

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct query_series *)a)->labels,
                          ((const struct query_series *)b)->labels);
}

void result__sort(struct query_result *result)
{
    if (result->series_count > 1)
        qsort((void *)result->series, result->series_count, sizeof *result->series, compare_series);
}

static void count_kinds(const struct row *row, uint32_t steps, struct query_series *series)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (row__histogram(row, i) == NULL)
            series->float_count++;
        else
            series->histogram_count++;
    }
}

/* Turns rows into series of the result. */
struct collector {
    struct query_result *result;
    const struct grid *grid;
    struct query_series *series; /* in the result's arena */
    size_t count;
    size_t capacity;
    int64_t *times; /* of all steps, shared by series that have a float at each */
};

static const int64_t *all_times(struct collector *collector)
{
    const struct grid *grid = collector->grid;
    if (collector->times != NULL)
        return collector->times;
    int64_t *times = arena_alloc(&collector->result->arena, grid->count * sizeof *times);
    for (uint32_t i = 0; i < grid->count; i++)
        times[i] = grid_time(grid, i);
    collector->times = times;
    return times;
}

static void copy_floats(struct collector *collector, const struct row *row,
                        struct query_series *series)
{
    const struct grid *grid = collector->grid;
    struct arena *arena = &collector->result->arena;
    double *v = arena_alloc(arena, series->float_count * sizeof *v);
    series->floats = v;
    if (series->float_count == grid->count) {
        series->float_t_ms = all_times(collector);
        memcpy(v, row->values, grid->count * sizeof *v);
        return;
    }
    int64_t *t = arena_alloc(arena, series->float_count * sizeof *t);
    uint32_t at = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        if (!bits__get(row->present, i) || row__histogram(row, i) != NULL)
            continue;
        t[at] = grid_time(grid, i);
        v[at++] = row->values[i];
    }
    series->float_t_ms = t;
}

static void copy_histograms(struct collector *collector, const struct row *row,
                            struct query_series *series)
{
    const struct grid *grid = collector->grid;
    struct arena *arena = &collector->result->arena;
    int64_t *t = arena_alloc(arena, series->histogram_count * sizeof *t);
    const struct histogram **histograms =
        arena_alloc(arena, series->histogram_count * sizeof *histograms);
    uint32_t at = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        const struct histogram *histogram = row__histogram(row, i);
        if (!bits__get(row->present, i) || histogram == NULL)
            continue;
        t[at] = grid_time(grid, i);
        histograms[at++] = histogram_copy(arena, histogram);
    }
    series->histogram_t_ms = t;
    series->histograms = histograms;
}

static void add_series(struct collector *collector, const struct row *row)
{
    struct arena *arena = &collector->result->arena;
    struct query_series series = {.labels = labels_copy(arena, row->labels)};
    if (row->histograms == NULL)
        series.float_count = bits__count(row->present, collector->grid->count);
    else
        count_kinds(row, collector->grid->count, &series);
    copy_floats(collector, row, &series);
    if (series.histogram_count > 0)
        copy_histograms(collector, row, &series);
    if (collector->count == collector->capacity) {
        size_t capacity = collector->capacity == 0 ? 16 : collector->capacity * 2;
        struct query_series *grown = arena_alloc(arena, capacity * sizeof *grown);
        if (collector->count > 0)
            memcpy(grown, collector->series, collector->count * sizeof *grown);
        collector->series = grown;
        collector->capacity = capacity;
    }
    collector->series[collector->count++] = series;
}

/* Rows that may have to be joined are held until all are there; in delayed mode flagged ones lose
 * their name now, and equal ones become one. */
static err_t collect_rows(struct eval *eval, struct op *root, struct collector *collector,
                          struct strbuf *why)
{
    struct row_set *set = ARENA_NEW(eval->arena, struct row_set);
    row_set__init(set, eval, collector->grid->count);
    bool direct = root->unique && !eval->delayed_names;
    struct batch batch;
    for (;;) {
        TRY(op__next(root, &batch, why));
        if (batch.count == 0)
            break;
        for (uint32_t i = 0; i < batch.count; i++) {
            struct row *row = &batch.rows[i];
            if (row->drop_name)
                row->labels = names__drop(set->arena, row->labels);
            if (!direct)
                TRY(row_set__merge(set, row, why));
            else if (bits__any(row->present, set->steps))
                add_series(collector, row);
        }
    }
    for (uint32_t i = 0; i < set->count; i++)
        add_series(collector, &set->items[i]);
    collector->result->series = collector->series;
    collector->result->series_count = collector->count;
    return eval__check_memory(eval, why);
}

err_t result__collect(struct eval *eval, struct op *root, const struct expr *expr,
                      struct query_result *result, struct strbuf *why)
{
    if (expr->type == EXPR_TYPE_SCALAR && !eval->request->range) {
        const double *column;
        TRY(op__scalar(root, &column, why));
        result->type = QUERY_SCALAR;
        result->scalar = column[0];
        return OK;
    }
    result->type = eval->request->range ? QUERY_MATRIX : QUERY_VECTOR;
    struct collector collector = {.result = result, .grid = &root->scope->grid};
    return collect_rows(eval, root, &collector, why);
}

/* ---- range vectors ---- */

/* A subquery: its expression at every step of its grid. */
static err_t matrix_of_subquery(struct eval *eval, const struct expr *expr,
                                struct query_result *result, struct strbuf *why)
{
    struct scope *root = eval->scopes;
    while (root->parent != NULL)
        root = root->parent;
    struct grid grid;
    TRY(subquery__grid(eval, expr, root, &grid, why));
    if (grid.count == 0)
        return OK;
    struct scope *scope = eval__scope(eval, SCOPE_SUBQUERY, root, grid);
    struct op *op;
    TRY(plan__build(eval, scope, expr->subquery.expr, &op, why));
    TRY(eval__open(eval, why));
    struct collector collector = {.result = result, .grid = &scope->grid};
    return collect_rows(eval, op, &collector, why);
}

/* A selector: its samples as they are. */
struct matrix_op {
    struct op op;
    struct lane_set lanes;
    struct select_times times;
    struct query_result *result;
    struct query_series *series;
    size_t count;
    size_t capacity;
    bool anchored;
    bool smoothed;
};

/* `data` may be NULL when there is nothing to copy. */
static void *copy_bytes(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static err_t fill_matrix(struct op *op, struct lane *lane, const struct series *series,
                         struct row *row, struct strbuf *why)
{
    struct matrix_op *matrix = (struct matrix_op *)op;
    struct arena *arena = &matrix->result->arena;
    struct sample_want want = {.min_t_ms = matrix->lanes.hints.start_ms,
                               .max_t_ms = matrix->lanes.hints.end_ms};
    (void)row;
    struct sample_buffer *samples = &lane->samples;
    TRY(samples__load(samples, lane->cursor, series, &want, lane->scratch, why));
    if (matrix->anchored || matrix->smoothed)
        TRY(range__extend_window(samples, matrix->lanes.op->scope->grid.start_ms, &matrix->times,
                                 matrix->anchored, why));
    if (samples->count == 0 && samples->histogram_count == 0)
        return OK;
    struct query_series copy = {.labels = labels_copy(arena, series->labels),
                                .float_count = samples->count,
                                .histogram_count = samples->histogram_count};
    copy.float_t_ms = copy_bytes(arena, samples->t, samples->count * sizeof(int64_t));
    copy.floats = copy_bytes(arena, samples->v, samples->count * sizeof(double));
    copy.histogram_t_ms =
        copy_bytes(arena, samples->histogram_t, samples->histogram_count * sizeof(int64_t));
    const struct histogram **histograms =
        arena_alloc(arena, samples->histogram_count * sizeof *histograms);
    int64_t counted = samples->count;
    for (uint32_t i = 0; i < samples->histogram_count; i++) {
        histograms[i] = histogram_copy(arena, samples->histograms[i]);
        counted += histogram__samples(histograms[i]);
    }
    copy.histograms = histograms;
    matrix->series[matrix->count++] = copy;
    lane->queryable[0] += counted;
    lane->read[0] += counted;
    op->produced += counted;
    if ((uint64_t)op->produced > op->eval->options->max_samples)
        return eval__too_many_samples(why);
    return OK;
}

static err_t next_matrix(struct op *op, struct batch *batch, struct strbuf *why)
{
    return lanes__next(&((struct matrix_op *)op)->lanes, batch, why);
}

static err_t matrix_of_selector(struct eval *eval, const struct expr *expr,
                                struct query_result *result, struct strbuf *why)
{
    struct scope *root = eval->scopes;
    struct matrix_op *matrix = EVAL_OP(eval, struct matrix_op, next_matrix, root, expr);
    const struct vector_selector *selector = &expr->matrix_selector.vector->vector_selector;
    matrix->result = result;
    matrix->times = select_times__of(&selector->when);
    matrix->times.range_ms = expr->matrix_selector.range.ms;
    matrix->anchored = selector->anchored;
    matrix->smoothed = selector->smoothed;
    if (matrix->anchored || matrix->smoothed)
        matrix->times.before_ms = eval->lookback_ms;
    if (matrix->smoothed)
        matrix->times.after_ms = eval->lookback_ms;
    matrix->lanes.fill = fill_matrix;
    eval->lane_count = 1; /* series go straight into the result's arena, in order */
    lanes__init(&matrix->lanes, &matrix->op, selector, &matrix->times, (struct str){NULL, 0});
    TRY(eval__open(eval, why));
    for (;;) {
        struct batch batch;
        TRY(lanes__select(&matrix->lanes, why));
        if (matrix->series == NULL)
            matrix->series = arena_alloc(&result->arena,
                                         (matrix->lanes.series.count + 1) * sizeof *matrix->series);
        TRY(op__next(&matrix->op, &batch, why));
        if (batch.count == 0)
            break;
    }
    result->series = matrix->series;
    result->series_count = matrix->count;
    return OK;
}

err_t result__matrix(struct eval *eval, const struct expr *expr, struct query_result *result,
                     struct strbuf *why)
{
    result->type = QUERY_MATRIX;
    expr = expr_strip_parens((struct expr *)expr);
    if (expr->kind == EXPR_SUBQUERY)
        TRY(matrix_of_subquery(eval, expr, result, why));
    else
        TRY(matrix_of_selector(eval, expr, result, why));
    result__sort(result);
    return OK;
}
