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

static bool is_average(const struct aggregate_op *aggregate)
{
    return aggregate->aggregation->op == AGGREGATION_AVG;
}

void aggregate__prepare_sum(struct aggregate_op *aggregate, struct aggregate_group *group,
                            const struct row *row)
{
    if (group->second == NULL) {
        group->second = aggregate__column(aggregate);
        group->flags = arena_calloc(aggregate->arena, aggregate->steps, 1);
        if (is_average(aggregate))
            group->counts = aggregate__column(aggregate);
    }
    if (row->histograms == NULL || group->mixed)
        return;
    /* Up to here floats came only and were not noted. */
    group->mixed = true;
    if (group->counts == NULL)
        group->counts = aggregate__column(aggregate);
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (bits__get(group->row.present, i))
            group->flags[i] |= FLAG_FLOAT;
    }
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

/* ---- floats ---- */

/* kahan_add for a run of steps, without branches so that it is vectorised. */
static void add_run(double *restrict sums, double *restrict lost, const double *restrict values,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        double sum = sums[i];
        double v = values[i];
        double total = sum + v;
        bool sum_is_larger = fabs(sum) >= fabs(v);
        double larger = sum_is_larger ? sum : v;
        double smaller = sum_is_larger ? v : sum;
        double next = lost[i] + ((larger - total) + smaller);
        lost[i] = fabs(total) == INFINITY ? 0 : next;
        sums[i] = total;
    }
}

static bool would_overflow(const double *sums, const double *values, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found |= fabs(sums[i] + values[i]) == INFINITY;
    return found != 0;
}

static void add_float(struct aggregate_group *group, uint32_t step, double v)
{
    if (bits__get(group->row.present, step)) {
        kahan_add(v, &group->row.values[step], &group->second[step]);
        return;
    }
    row__set(&group->row, step, v);
}

static void average_float(struct aggregate_group *group, uint32_t step, double v)
{
    double *value = &group->row.values[step];
    double *lost = &group->second[step];
    if (!bits__get(group->row.present, step)) {
        row__set(&group->row, step, v);
        group->counts[step] = 1;
        return;
    }
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

/* The steps of a word that are both in the group and in the row, all of them. False: step by step.
 */
static bool fold_word(struct aggregate_op *aggregate, struct aggregate_group *group,
                      const double *values, uint32_t first, uint32_t count)
{
    double *sums = group->row.values + first;
    if (is_average(aggregate)) {
        for (uint32_t i = 0; i < count; i++) {
            if ((group->flags[first + i] & FLAG_INCREMENTAL) != 0)
                return false;
        }
        if (would_overflow(sums, values + first, count))
            return false;
        for (uint32_t i = 0; i < count; i++)
            group->counts[first + i]++;
    }
    add_run(sums, group->second + first, values + first, count);
    return true;
}

static void fold_step(struct aggregate_op *aggregate, struct aggregate_group *group,
                      const struct row *row, uint32_t step)
{
    if ((group->flags[step] & FLAG_DROPPED) != 0)
        return;
    const struct histogram *h = row__histogram(row, step);
    if (h != NULL) {
        add_histogram(aggregate, group, row, step, h);
        return;
    }
    if (group->mixed)
        group->flags[step] |= FLAG_FLOAT;
    if (is_average(aggregate))
        average_float(group, step, row->values[step]);
    else
        add_float(group, step, row->values[step]);
}

void aggregate__fold_sum(struct aggregate_op *aggregate, struct aggregate_group *group,
                         const struct row *row, struct step_range steps)
{
    for (uint32_t word = steps.from / 64; word * 64 < steps.to; word++) {
        uint64_t mask = step_range__mask(steps, word);
        uint64_t present = row->present[word] & mask;
        uint32_t count = (uint32_t)__builtin_popcountll(mask);
        if (present == mask && (group->row.present[word] & mask) == mask && !group->mixed &&
            fold_word(aggregate, group, row->values, word * 64, count))
            continue;
        for (; present != 0; present &= present - 1)
            fold_step(aggregate, group, row, word * 64 + (uint32_t)__builtin_ctzll(present));
    }
}

void aggregate__finish_sum(struct aggregate_op *aggregate, struct aggregate_group *group)
{
    bool average = is_average(aggregate);
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(group->row.present, i) || finish_histogram(aggregate, group, i))
            continue;
        double *value = &group->row.values[i];
        if (!average || (group->flags[i] & FLAG_INCREMENTAL) != 0)
            *value += group->second[i];
        else
            *value = *value / group->counts[i] + group->second[i] / group->counts[i];
    }
}
