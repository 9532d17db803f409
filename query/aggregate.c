#include "aggregate.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "range.h"

void *aggregate__grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity,
                      size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = arena_calloc(arena, wanted, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    *capacity = wanted;
    return grown;
}

double *aggregate__column(struct aggregate_op *aggregate)
{
    return arena_calloc(aggregate->arena, aggregate->steps, sizeof(double));
}

struct aggregate_group *aggregate__group(struct aggregate_op *aggregate, const struct row *row)
{
    uint32_t before = aggregate->table.count;
    struct match_group *key = match_table__find(&aggregate->table, row->labels, true);
    uint32_t at = (uint32_t)(key - aggregate->table.groups);
    if (at == before) {
        aggregate->groups =
            aggregate__grow(aggregate->arena, aggregate->groups, at, &aggregate->group_capacity,
                            sizeof(struct aggregate_group));
        struct aggregate_group *group = &aggregate->groups[at];
        row__init(&group->row, aggregate->arena, aggregate->steps);
        group->row.labels = key->signature;
    }
    struct aggregate_group *group = &aggregate->groups[at];
    group->row.drop_name = group->row.drop_name || row->drop_name;
    return group;
}

void aggregate__ignored_histogram(struct aggregate_op *aggregate, uint32_t position)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "ignored histogram in %s aggregation",
                  aggregation_op_text(aggregate->aggregation->op));
    annotations__info(&aggregate->op.eval->annotations, position, strbuf_cstr(&text));
    strbuf_deinit(&text);
}

/* ---- simple folds ---- */

static void fold_count(struct aggregate_op *aggregate, struct aggregate_group *group,
                       const struct row *row, struct step_range steps)
{
    double *values = group->row.values;
    bool one = aggregate->aggregation->op == AGGREGATION_GROUP;
    for (uint32_t word = steps.from / 64; word * 64 < steps.to; word++) {
        uint64_t mask = step_range__mask(steps, word);
        uint64_t present = row->present[word] & mask;
        if (present == mask && (group->row.present[word] & mask) == mask) {
            uint32_t end = word * 64 + (uint32_t)__builtin_popcountll(mask);
            for (uint32_t i = word * 64; i < end && !one; i++)
                values[i]++;
            continue;
        }
        for (; present != 0; present &= present - 1) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(present);
            if (!bits__get(group->row.present, i) || one)
                row__set(&group->row, i, 1);
            else
                values[i]++;
        }
    }
}

static void fold_extreme(struct aggregate_op *aggregate, struct aggregate_group *group,
                         const struct row *row, struct step_range steps)
{
    double *values = group->row.values;
    bool want_max = aggregate->aggregation->op == AGGREGATION_MAX;
    bool ignored = false;
    for (uint32_t i = steps.from; i < steps.to; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (row__histogram(row, i) != NULL) {
            ignored = true;
            continue;
        }
        double v = row->values[i];
        if (!bits__get(group->row.present, i))
            row__set(&group->row, i, v);
        else if ((want_max ? values[i] < v : values[i] > v) || isnan(values[i]))
            values[i] = v;
    }
    if (ignored)
        aggregate__ignored_histogram(aggregate, aggregate->position);
}

static void prepare_variance(struct aggregate_op *aggregate, struct aggregate_group *group,
                             const struct row *row)
{
    (void)row;
    if (group->second != NULL)
        return;
    group->second = aggregate__column(aggregate);
    group->counts = aggregate__column(aggregate);
}

/* Welford: values is the sum of squares, second the mean. */
static void fold_variance(struct aggregate_op *aggregate, struct aggregate_group *group,
                          const struct row *row, struct step_range steps)
{
    bool ignored = false;
    for (uint32_t i = steps.from; i < steps.to; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (row__histogram(row, i) != NULL) {
            ignored = true;
            continue;
        }
        double v = row->values[i];
        if (!bits__get(group->row.present, i)) {
            row__set(&group->row, i, isfinite(v) ? 0 : NAN);
            group->second[i] = v;
            group->counts[i] = 1;
            continue;
        }
        double delta = v - group->second[i];
        group->counts[i]++;
        group->second[i] += delta / group->counts[i];
        group->row.values[i] += delta * (v - group->second[i]);
    }
    if (ignored)
        aggregate__ignored_histogram(aggregate, aggregate->position);
}

static void finish_variance(struct aggregate_op *aggregate, struct aggregate_group *group)
{
    bool root = aggregate->aggregation->op == AGGREGATION_STDDEV;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(group->row.present, i))
            continue;
        double variance = group->row.values[i] / group->counts[i];
        group->row.values[i] = root ? sqrt(variance) : variance;
    }
}

/* ---- driver ---- */

enum { FOLD_CELLS_MIN = 32 * 1024 }; /* of a batch, below which one thread folds it sooner */

/* A batch being folded by several threads, each with a range of steps: every step sees the rows in
 * their order, so the bits do not depend on the threads. */
struct fold {
    struct aggregate_op *aggregate;
    const struct batch *batch;
    const uint32_t *groups; /* of the rows; UINT32_MAX: nothing in it */
    uint32_t words;         /* of steps, per range */
};

static void fold_range(void *context, uint32_t index)
{
    const struct fold *fold = context;
    struct aggregate_op *aggregate = fold->aggregate;
    struct step_range steps = {index * fold->words * 64, (index + 1) * fold->words * 64};
    if (steps.to > aggregate->steps)
        steps.to = aggregate->steps;
    for (uint32_t i = 0; i < fold->batch->count; i++) {
        if (fold->groups[i] != UINT32_MAX)
            aggregate->fold(aggregate, &aggregate->groups[fold->groups[i]], &fold->batch->rows[i],
                            steps);
    }
}

static void fold_batch(struct aggregate_op *aggregate, const struct batch *batch)
{
    if (batch->count > aggregate->row_groups_capacity) {
        aggregate->row_groups_capacity = batch->count;
        aggregate->row_groups =
            arena_alloc(aggregate->arena, batch->count * sizeof *aggregate->row_groups);
    }
    bool floats = true;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct row *row = &batch->rows[i];
        aggregate->row_groups[i] = UINT32_MAX;
        if (!bits__any(row->present, aggregate->steps))
            continue;
        struct aggregate_group *group = aggregate__group(aggregate, row);
        aggregate->row_groups[i] = (uint32_t)(group - aggregate->groups);
        floats = floats && row->histograms == NULL;
        if (aggregate->prepare != NULL)
            aggregate->prepare(aggregate, group, row);
    }
    struct eval *eval = aggregate->op.eval;
    uint32_t words = bits__words(aggregate->steps);
    bool split = floats && (uint64_t)batch->count * aggregate->steps >= FOLD_CELLS_MIN;
    uint32_t parts = split && eval->lane_count < words ? eval->lane_count : split ? words : 1;
    struct fold fold = {aggregate, batch, aggregate->row_groups, (words + parts - 1) / parts};
    parts = (words + fold.words - 1) / fold.words;
    worker_pool_run(parts > 1 ? eval->pool : NULL, parts, fold_range, &fold);
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct aggregate_op *aggregate = (struct aggregate_op *)op;
    if (aggregate->done)
        return OK;
    aggregate->done = true;
    struct batch child;
    for (;;) {
        TRY(op__next(aggregate->child, &child, why));
        if (child.count == 0)
            break;
        fold_batch(aggregate, &child);
    }
    uint32_t count = aggregate->table.count;
    struct row *rows = arena_alloc(aggregate->arena, (count + 1) * sizeof *rows);
    for (uint32_t i = 0; i < count; i++) {
        if (aggregate->finish != NULL)
            aggregate->finish(aggregate, &aggregate->groups[i]);
        rows[i] = aggregate->groups[i].row;
    }
    *batch = (struct batch){rows, count};
    return OK;
}

static void set_functions(struct aggregate_op *aggregate)
{
    switch (aggregate->aggregation->op) {
    case AGGREGATION_SUM:
    case AGGREGATION_AVG:
        aggregate->prepare = aggregate__prepare_sum;
        aggregate->fold = aggregate__fold_sum;
        aggregate->finish = aggregate__finish_sum;
        break;
    case AGGREGATION_COUNT:
    case AGGREGATION_GROUP:
        aggregate->fold = fold_count;
        break;
    case AGGREGATION_MIN:
    case AGGREGATION_MAX:
        aggregate->fold = fold_extreme;
        break;
    case AGGREGATION_STDDEV:
    case AGGREGATION_STDVAR:
        aggregate->prepare = prepare_variance;
        aggregate->fold = fold_variance;
        aggregate->finish = finish_variance;
        break;
    case AGGREGATION_TOPK:
    case AGGREGATION_BOTTOMK:
        aggregate->op.next = aggregate__next_top;
        break;
    case AGGREGATION_LIMITK:
        aggregate->op.next = aggregate__next_limit;
        break;
    case AGGREGATION_LIMIT_RATIO:
        aggregate->op.next = aggregate__next_ratio;
        break;
    default:
        assert(aggregate->aggregation->op == AGGREGATION_QUANTILE);
        aggregate->op.next = aggregate__next_quantile;
    }
}

err_t op_aggregate__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why)
{
    const struct aggregation *aggregation = &expr->aggregation;
    if (aggregation->op == AGGREGATION_COUNT_VALUES)
        return op_count_values__create(eval, scope, expr, op, why);
    struct aggregate_op *aggregate = EVAL_OP(eval, struct aggregate_op, next, scope, expr);
    aggregate->op.peak_rule = PEAK_RESULT;
    aggregate->aggregation = aggregation;
    aggregate->steps = scope->grid.count;
    aggregate->arena = eval__arena(eval);
    aggregate->position = expr_strip_parens(aggregation->expr)->start;
    aggregate->grouping = (struct vector_matching){
        .on = !aggregation->without,
        .labels = aggregation->grouping,
        .label_count = aggregation->grouping_count,
    };
    match_table__init(&aggregate->table, eval, &aggregate->grouping, aggregate->steps);
    row_set__init(&aggregate->kept, eval, aggregate->steps);
    if (aggregation->param != NULL) {
        TRY(plan__build(eval, scope, aggregation->param, &aggregate->param, why));
        op__add_input(&aggregate->op, aggregate->param);
    }
    TRY(plan__build(eval, scope, aggregation->expr, &aggregate->child, why));
    op__add_input(&aggregate->op, aggregate->child);
    set_functions(aggregate);
    bool one_group = !aggregation->without && aggregation->grouping_count == 0;
    if (one_group && aggregate->fold != NULL)
        op_select__fold(aggregate->child);
    bool selects = aggregation->op == AGGREGATION_TOPK || aggregation->op == AGGREGATION_BOTTOMK ||
                   aggregation->op == AGGREGATION_LIMITK ||
                   aggregation->op == AGGREGATION_LIMIT_RATIO;
    aggregate->op.unique = selects ? aggregate->child->unique : true;
    *op = &aggregate->op;
    return OK;
}
