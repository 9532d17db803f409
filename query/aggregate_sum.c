/* sum and avg, of floats and of histograms. */
#include <math.h>

#include "aggregate.h"

enum {
    FLAG_FLOAT = 1,
    FLAG_HISTOGRAM = 2,
    FLAG_DROPPED = 4,     /* histograms that cannot be added: no result */
    FLAG_INCREMENTAL = 8, /* avg: the sum overflowed, a mean is kept instead */
    FLAG_RESET = 16,
    FLAG_NOT_RESET = 32,
};

static void need_columns(struct aggregate_op *aggregate, struct aggregate_group *group)
{
    if (group->second != NULL)
        return;
    group->second = aggregate__column(aggregate);
    group->counts = aggregate__column(aggregate);
    group->flags = arena_calloc(aggregate->arena, aggregate->steps, 1);
}

/* ---- histograms ---- */

static void note_hint(struct aggregate_group *group, uint32_t step, const struct histogram *h)
{
    if (h->hint == HISTOGRAM_HINT_RESET)
        group->flags[step] |= FLAG_RESET;
    if (h->hint == HISTOGRAM_HINT_NOT_RESET)
        group->flags[step] |= FLAG_NOT_RESET;
}

/* Reports what an addition met. */
static void accept(struct aggregate_op *aggregate, struct aggregate_group *group, uint32_t step,
                   const struct row *row, struct histogram_outcome outcome)
{
    struct annotations *annotations = &aggregate->op.eval->annotations;
    if (outcome.incompatible) {
        annotations__warn_name(annotations, aggregate->position,
                               "vector contains a mix of histograms with exponential and custom "
                               "buckets schemas for metric name ",
                               names__metric(row));
        group->flags[step] |= FLAG_DROPPED;
        return;
    }
    if (outcome.reconciled)
        annotations__info(annotations, aggregate->position,
                          "mismatched custom buckets were reconciled during aggregation");
}

static struct histogram_sum *seed(struct aggregate_op *aggregate, struct aggregate_group *group,
                                  uint32_t step, const struct histogram *h)
{
    if (group->histograms == NULL)
        group->histograms =
            arena_calloc(aggregate->arena, aggregate->steps, sizeof(struct histogram_sum *));
    struct histogram_sum *sum = arena_alloc(aggregate->arena, sizeof *sum);
    histogram_sum_init(sum, aggregate->arena, h);
    group->histograms[step] = sum;
    return sum;
}

static void add_histogram(struct aggregate_op *aggregate, struct aggregate_group *group,
                          const struct row *row, uint32_t step, const struct histogram *h)
{
    note_hint(group, step, h);
    if (!bits__get(group->row.present, step)) {
        bits__set(group->row.present, step);
        group->flags[step] |= FLAG_HISTOGRAM;
        group->counts[step] = 1;
        seed(aggregate, group, step, h);
        return;
    }
    group->flags[step] |= FLAG_HISTOGRAM;
    group->counts[step]++;
    if (group->histograms == NULL || group->histograms[step] == NULL)
        return; /* floats came first: there will be no result */
    struct histogram_sum *sum = group->histograms[step];
    struct histogram_outcome outcome;
    if (aggregate->aggregation->op == AGGREGATION_AVG) {
        bool incremental = (group->flags[step] & FLAG_INCREMENTAL) != 0;
        outcome = histogram_average_add(sum, h, group->counts[step], &incremental);
        if (incremental)
            group->flags[step] |= FLAG_INCREMENTAL;
    } else {
        outcome = histogram_sum_add(sum, h);
    }
    accept(aggregate, group, step, row, outcome);
}

/* The histogram result of a step, or none; true if the step is settled. */
static bool finish_histogram(struct aggregate_op *aggregate, struct aggregate_group *group,
                             uint32_t step)
{
    uint8_t flags = group->flags[step];
    if ((flags & FLAG_HISTOGRAM) == 0)
        return false;
    struct annotations *annotations = &aggregate->op.eval->annotations;
    if ((flags & FLAG_RESET) != 0 && (flags & FLAG_NOT_RESET) != 0)
        annotations__warn(annotations, aggregate->position,
                          "conflicting counter resets during histogram aggregation");
    if ((flags & FLAG_FLOAT) != 0 || (flags & FLAG_DROPPED) != 0) {
        if ((flags & FLAG_FLOAT) != 0)
            annotations__warn(annotations, aggregate->position,
                              "encountered a mix of histograms and floats for aggregation");
        bits__clear(group->row.present, step);
        return true;
    }
    struct histogram_sum *sum = group->histograms[step];
    if (aggregate->aggregation->op == AGGREGATION_AVG && (flags & FLAG_INCREMENTAL) == 0)
        histogram_sum_divide(sum, group->counts[step]);
    row__set_histogram(&group->row, aggregate->arena, aggregate->steps, step,
                       histogram_sum_finish(sum, aggregate->arena, true));
    return true;
}

/* ---- sum ---- */

static void add_float(struct aggregate_group *group, uint32_t step, double v)
{
    group->flags[step] |= FLAG_FLOAT;
    if (bits__get(group->row.present, step)) {
        kahan_add(v, &group->row.values[step], &group->second[step]);
        return;
    }
    row__set(&group->row, step, v);
}

void aggregate__fold_sum(struct aggregate_op *aggregate, struct aggregate_group *group,
                         const struct row *row)
{
    need_columns(aggregate, group);
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(row->present, i) || (group->flags[i] & FLAG_DROPPED) != 0)
            continue;
        const struct histogram *h = row__histogram(row, i);
        if (h == NULL)
            add_float(group, i, row->values[i]);
        else
            add_histogram(aggregate, group, row, i, h);
    }
}

void aggregate__finish_sum(struct aggregate_op *aggregate, struct aggregate_group *group)
{
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(group->row.present, i) || finish_histogram(aggregate, group, i))
            continue;
        group->row.values[i] += group->second[i];
    }
}

/* ---- avg ---- */

static void average_float(struct aggregate_group *group, uint32_t step, double v)
{
    double *value = &group->row.values[step];
    double *lost = &group->second[step];
    if (!bits__get(group->row.present, step)) {
        group->flags[step] |= FLAG_FLOAT;
        row__set(&group->row, step, v);
        group->counts[step] = 1;
        return;
    }
    group->flags[step] |= FLAG_FLOAT;
    double n = ++group->counts[step];
    if ((group->flags[step] & FLAG_INCREMENTAL) == 0) {
        double sum = *value;
        double compensation = *lost;
        kahan_add(v, &sum, &compensation);
        if (!isinf(sum)) {
            *value = sum;
            *lost = compensation;
            return;
        }
        /* The sum would overflow: from here on keep a mean. */
        group->flags[step] |= FLAG_INCREMENTAL;
        *value /= n - 1;
        *lost /= n - 1;
    }
    double q = (n - 1) / n;
    *value *= q;
    *lost *= q;
    kahan_add(v / n, value, lost);
}

void aggregate__fold_avg(struct aggregate_op *aggregate, struct aggregate_group *group,
                         const struct row *row)
{
    need_columns(aggregate, group);
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(row->present, i) || (group->flags[i] & FLAG_DROPPED) != 0)
            continue;
        const struct histogram *h = row__histogram(row, i);
        if (h == NULL)
            average_float(group, i, row->values[i]);
        else
            add_histogram(aggregate, group, row, i, h);
    }
}

void aggregate__finish_avg(struct aggregate_op *aggregate, struct aggregate_group *group)
{
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(group->row.present, i) || finish_histogram(aggregate, group, i))
            continue;
        if ((group->flags[i] & FLAG_INCREMENTAL) != 0)
            group->row.values[i] += group->second[i];
        else
            group->row.values[i] =
                group->row.values[i] / group->counts[i] + group->second[i] / group->counts[i];
    }
}
