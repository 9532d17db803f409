/* query/aggregate.h: aggregation operators (private to query/; spec promql.md 5).
 *
 * Rows are folded into their group as they stream, so memory is groups × steps.
 */
#pragma once

#include "match.h"
#include "narthex/model/histogram_math.h"

/* What a group keeps per step; columns are made on first use. */
struct aggregate_group {
    struct row row; /* the result: values hold the running value, present the accepted steps */
    double *second; /* compensation, or the mean of a variance */
    double *counts;
    struct histogram_sum **histograms;
    uint8_t *flags;
    bool mixed; /* sum, avg: flags say what kinds were seen; else there are floats only */
    struct aggregate_heap *heaps; /* topk, bottomk */
    uint32_t *taken;              /* limitk */
};

struct aggregate_op {
    struct op op;
    struct op *child;
    const struct aggregation *aggregation;
    struct vector_matching grouping;
    struct match_table table;
    struct aggregate_group *groups;
    uint32_t group_capacity;
    struct arena *arena;
    uint32_t steps;
    uint32_t position; /* of the inner expression */
    struct op *param;
    const double *param_column;
    bool checked;
    bool empty; /* the parameter allows no result */
    bool done;
    uint32_t *row_groups; /* of the batch being folded */
    uint32_t row_groups_capacity;
    /* Makes the columns of a group; may be NULL. */
    void (*prepare)(struct aggregate_op *aggregate, struct aggregate_group *group,
                    const struct row *row);
    /* Folds some steps of a row into its group; NULL for operators with a next of their own. Rows
     * without histograms may be folded by several threads, each with steps of its own. */
    void (*fold)(struct aggregate_op *aggregate, struct aggregate_group *group,
                 const struct row *row, struct step_range steps);
    /* Turns the running values of a group into results. */
    void (*finish)(struct aggregate_op *aggregate, struct aggregate_group *group);
    /* topk and bottomk: rows seen, by ordinal */
    struct row *seen;
    uint32_t seen_count;
    uint32_t seen_capacity;
    struct row_set kept; /* quantile */
    uint32_t *kept_groups;
    uint32_t kept_capacity;
};

/* The group of a row, made on first use. Valid until the next call. */
struct aggregate_group *aggregate__group(struct aggregate_op *aggregate, const struct row *row);
/* The info about a histogram that the operator leaves out. */
void aggregate__ignored_histogram(struct aggregate_op *aggregate, uint32_t position);
double *aggregate__column(struct aggregate_op *aggregate);
void *aggregate__grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity,
                      size_t size);

/* aggregate_sum.c: sum and avg */
void aggregate__prepare_sum(struct aggregate_op *aggregate, struct aggregate_group *group,
                            const struct row *row);
void aggregate__fold_sum(struct aggregate_op *aggregate, struct aggregate_group *group,
                         const struct row *row, struct step_range steps);
void aggregate__finish_sum(struct aggregate_op *aggregate, struct aggregate_group *group);
/* aggregate_select.c */
err_t aggregate__next_top(struct op *op, struct batch *batch, struct strbuf *why);
err_t aggregate__next_limit(struct op *op, struct batch *batch, struct strbuf *why);
err_t aggregate__next_ratio(struct op *op, struct batch *batch, struct strbuf *why);
/* aggregate_values.c */
err_t aggregate__next_quantile(struct op *op, struct batch *batch, struct strbuf *why);
err_t op_count_values__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                              struct op **op, struct strbuf *why);
