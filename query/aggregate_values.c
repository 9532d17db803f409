/* Aggregations that need every value: quantile, count_values. */
#include <math.h>
#include <string.h>

#include "aggregate.h"
#include "narthex/base/hash.h"
#include "narthex/base/number.h"
#include "range.h"

/* ---- quantile ---- */

static err_t collect(struct aggregate_op *aggregate, struct strbuf *why)
{
    struct batch child;
    for (;;) {
        TRY(op__next(aggregate->child, &child, why));
        if (child.count == 0)
            return OK;
        for (uint32_t i = 0; i < child.count; i++) {
            const struct row *row = &child.rows[i];
            if (!bits__any(row->present, aggregate->steps))
                continue;
            aggregate->kept_groups =
                aggregate__grow(aggregate->arena, aggregate->kept_groups, aggregate->kept.count,
                                &aggregate->kept_capacity, sizeof *aggregate->kept_groups);
            aggregate->kept_groups[aggregate->kept.count] =
                (uint32_t)(aggregate__group(aggregate, row) - aggregate->groups);
            row_set__append(&aggregate->kept, row);
        }
    }
}

static void group_quantile(struct aggregate_op *aggregate, uint32_t group, const uint32_t *rows,
                           uint32_t row_count, double *values)
{
    bool ignored = false;
    struct row *out = &aggregate->groups[group].row;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        uint32_t count = 0;
        for (uint32_t r = 0; r < row_count; r++) {
            const struct row *row = &aggregate->kept.items[rows[r]];
            if (!bits__get(row->present, i))
                continue;
            if (row__histogram(row, i) != NULL)
                ignored = true;
            else
                values[count++] = row->values[i];
        }
        if (count > 0)
            row__set(out, i, range__quantile(aggregate->param_column[i], values, count));
    }
    if (ignored)
        aggregate__ignored_histogram(aggregate, aggregate->position);
}

/* One warning for all steps: the parameter that is worst. */
static void check_quantiles(struct aggregate_op *aggregate)
{
    const double *q = aggregate->param_column;
    double min = INFINITY;
    double max = -INFINITY;
    bool any_nan = false;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        any_nan = any_nan || isnan(q[i]);
        min = q[i] < min ? q[i] : min;
        max = q[i] > max ? q[i] : max;
    }
    struct annotations *annotations = &aggregate->op.eval->annotations;
    uint32_t position = expr_strip_parens(aggregate->aggregation->param)->start;
    if (any_nan)
        annotations__invalid_quantile(annotations, position, NAN);
    if (max > 1)
        annotations__invalid_quantile(annotations, position, max);
    if (min < 0)
        annotations__invalid_quantile(annotations, position, min);
}

err_t aggregate__next_quantile(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct aggregate_op *aggregate = (struct aggregate_op *)op;
    if (aggregate->done)
        return OK;
    aggregate->done = true;
    TRY(op__scalar(aggregate->param, &aggregate->param_column, why));
    check_quantiles(aggregate);
    TRY(collect(aggregate, why));
    uint32_t rows = aggregate->kept.count;
    uint32_t groups = aggregate->table.count;
    /* Rows of each group, in order: a counting sort. */
    uint32_t *first = arena_calloc(aggregate->arena, groups + 2, sizeof *first);
    uint32_t *sorted = arena_alloc(aggregate->arena, rows * sizeof *sorted + 1);
    double *values = arena_alloc(aggregate->arena, rows * sizeof *values + 1);
    for (uint32_t r = 0; r < rows; r++)
        first[aggregate->kept_groups[r] + 2]++;
    for (uint32_t g = 2; g < groups + 2; g++)
        first[g] += first[g - 1];
    for (uint32_t r = 0; r < rows; r++)
        sorted[first[aggregate->kept_groups[r] + 1]++] = r;
    struct row *result = arena_alloc(aggregate->arena, (groups + 1) * sizeof *result);
    for (uint32_t g = 0; g < groups; g++) {
        group_quantile(aggregate, g, sorted + first[g], first[g + 1] - first[g], values);
        result[g] = aggregate->groups[g].row;
    }
    *batch = (struct batch){result, groups};
    return OK;
}

/* ---- count_values ---- */

struct value_key {
    uint32_t group;
    bool histogram;
    struct str text; /* histograms */
    uint64_t bits;   /* floats */
};

struct count_values_op {
    struct op op;
    struct op *child;
    const struct aggregation *aggregation;
    struct str label;
    struct vector_matching grouping;
    struct match_table table;
    struct value_key *keys; /* of the rows, as far as they are distinct by value */
    uint32_t *key_rows;
    uint32_t key_count;
    uint32_t key_capacity;
    uint32_t key_row_capacity;
    struct htable index;
    struct row_set rows;
    struct label_builder builder;
    bool done;
};

static bool key_equal(const void *owner, uint32_t item, const void *key)
{
    const struct count_values_op *count = owner;
    const struct value_key *a = &count->keys[item];
    const struct value_key *b = key;
    return a->group == b->group && a->histogram == b->histogram && a->bits == b->bits &&
           str_equal(a->text, b->text);
}

static struct str key_text(struct count_values_op *count, const struct value_key *key)
{
    if (key->histogram)
        return arena_str(count->rows.arena, key->text);
    char text[NUMBER_TEXT_MAX];
    size_t size = number_format_plain(double_from_bits(key->bits), text);
    return arena_str(count->rows.arena, str_from(text, size));
}

static uint32_t add_key(struct count_values_op *count, struct value_key key, uint64_t hash,
                        struct labels group)
{
    struct arena *arena = count->rows.arena;
    key.text = key_text(count, &key);
    label_builder_reset(&count->builder, group);
    label_builder_set(&count->builder, count->label, key.text);
    if (!key.histogram)
        key.text = (struct str){NULL, 0};
    struct labels labels = label_builder_labels(&count->builder);
    bool created;
    struct row *row = row_set__get(&count->rows, labels, &created);
    if (created)
        row->labels = labels_copy_shallow(arena, labels);
    count->keys = aggregate__grow(arena, count->keys, count->key_count, &count->key_capacity,
                                  sizeof *count->keys);
    count->key_rows = aggregate__grow(arena, count->key_rows, count->key_count,
                                      &count->key_row_capacity, sizeof *count->key_rows);
    htable_insert(&count->index, hash, count->key_count);
    count->keys[count->key_count] = key;
    count->key_rows[count->key_count] = (uint32_t)(row - count->rows.items);
    return count->key_count++;
}

static void count_cell(struct count_values_op *count, const struct match_group *group,
                       const struct row *row, uint32_t step)
{
    struct value_key key = {.group = (uint32_t)(group - count->table.groups)};
    const struct histogram *h = row__histogram(row, step);
    struct strbuf text = STRBUF_INIT;
    if (h == NULL) {
        double v = row->values[step];
        key.bits = double_bits(isnan(v) ? NAN : v);
    } else {
        key.histogram = true;
        histogram_print(h, &text);
        key.text = strbuf_str(&text);
    }
    uint64_t hash = hash_mix(hash_mix(hash_str(key.text), key.bits), key.group);
    uint32_t at = htable_find(&count->index, hash, key_equal, count, &key);
    if (at == HTABLE_NONE)
        at = add_key(count, key, hash, group->signature);
    strbuf_deinit(&text);
    struct row *out = &count->rows.items[count->key_rows[at]];
    if (bits__get(out->present, step))
        out->values[step]++;
    else
        row__set(out, step, 1);
}

static err_t next_count(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct count_values_op *count = (struct count_values_op *)op;
    if (count->done)
        return OK;
    count->done = true;
    struct batch child;
    for (;;) {
        TRY(op__next(count->child, &child, why));
        if (child.count == 0)
            break;
        for (uint32_t r = 0; r < child.count; r++) {
            const struct row *row = &child.rows[r];
            const struct match_group *group = match_table__find(&count->table, row->labels, true);
            for (uint32_t i = 0; i < op->scope->grid.count; i++) {
                if (bits__get(row->present, i))
                    count_cell(count, group, row, i);
            }
        }
    }
    *batch = (struct batch){count->rows.items, count->rows.count};
    return OK;
}

static void free_builder(void *context)
{
    label_builder_deinit(context);
}

err_t op_count_values__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                              struct op **op, struct strbuf *why)
{
    struct count_values_op *count = EVAL_OP(eval, struct count_values_op, next_count, scope, expr);
    count->aggregation = &expr->aggregation;
    count->label = expr_strip_parens(count->aggregation->param)->string;
    if (!label_name_is_valid(count->label, NAME_SCHEME_UTF8)) {
        struct strbuf quoted = STRBUF_INIT;
        strbuf_add_quoted(&quoted, count->label);
        err_t err = err_fail(why, ERR_EXECUTION, "invalid label name %s", strbuf_cstr(&quoted));
        strbuf_deinit(&quoted);
        return err;
    }
    count->grouping = (struct vector_matching){
        .on = !count->aggregation->without,
        .labels = count->aggregation->grouping,
        .label_count = count->aggregation->grouping_count,
    };
    TRY(plan__build(eval, scope, count->aggregation->expr, &count->child, why));
    op__add_input(&count->op, count->child);
    match_table__init(&count->table, eval, &count->grouping, scope->grid.count);
    row_set__init(&count->rows, eval, scope->grid.count);
    eval__table(eval, &count->index);
    eval__on_end(eval, free_builder, &count->builder);
    count->op.unique = true;
    *op = &count->op;
    return OK;
}
