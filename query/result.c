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

static struct query_series copy_row(struct arena *arena, const struct row *row,
                                    const struct grid *grid)
{
    struct query_series series = {.labels = labels_copy(arena, row->labels)};
    count_kinds(row, grid->count, &series);
    int64_t *t = arena_alloc(arena, series.float_count * sizeof *t);
    double *v = arena_alloc(arena, series.float_count * sizeof *v);
    int64_t *histogram_t = arena_alloc(arena, series.histogram_count * sizeof *histogram_t);
    const struct histogram **histograms =
        arena_alloc(arena, series.histogram_count * sizeof *histograms);
    uint32_t f = 0;
    uint32_t h = 0;
    for (uint32_t i = 0; i < grid->count; i++) {
        if (!bits__get(row->present, i))
            continue;
        const struct histogram *histogram = row__histogram(row, i);
        if (histogram == NULL) {
            t[f] = grid_time(grid, i);
            v[f++] = row->values[i];
        } else {
            histogram_t[h] = grid_time(grid, i);
            histograms[h++] = histogram_copy(arena, histogram);
        }
    }
    series.float_t_ms = t;
    series.floats = v;
    series.histogram_t_ms = histogram_t;
    series.histograms = histograms;
    return series;
}

/* Delayed mode: flagged rows lose their name now, and equal ones become one. */
static err_t collect_rows(struct eval *eval, struct op *root, struct row_set *set,
                          struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(root, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            struct row *row = &batch.rows[i];
            if (row->drop_name)
                row->labels = names__drop(set->arena, row->labels);
            if (root->unique && !eval->delayed_names) {
                if (bits__any(row->present, set->steps))
                    row_set__append(set, row);
                continue;
            }
            TRY(row_set__merge(set, row, why));
        }
    }
}

err_t result__collect(struct eval *eval, struct op *root, const struct expr *expr,
                      struct query_result *result, struct strbuf *why)
{
    struct row_set *set = ARENA_NEW(eval->arena, struct row_set);
    const struct grid *grid = &root->scope->grid;
    row_set__init(set, eval, grid->count);
    TRY(collect_rows(eval, root, set, why));
    if (expr->type == EXPR_TYPE_SCALAR && !eval->request->range) {
        result->type = QUERY_SCALAR;
        result->scalar = set->items[0].values[0];
        return OK;
    }
    result->type = eval->request->range ? QUERY_MATRIX : QUERY_VECTOR;
    struct query_series *series = arena_alloc(&result->arena, (set->count + 1) * sizeof *series);
    for (uint32_t i = 0; i < set->count; i++)
        series[i] = copy_row(&result->arena, &set->items[i], grid);
    result->series = series;
    result->series_count = set->count;
    return OK;
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
    struct row_set *set = ARENA_NEW(eval->arena, struct row_set);
    row_set__init(set, eval, grid.count);
    TRY(collect_rows(eval, op, set, why));
    struct query_series *series = arena_alloc(&result->arena, (set->count + 1) * sizeof *series);
    for (uint32_t i = 0; i < set->count; i++)
        series[i] = copy_row(&result->arena, &set->items[i], &grid);
    result->series = series;
    result->series_count = set->count;
    return OK;
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
