/* sort(), sort_desc(), sort_by_label(), sort_by_label_desc(); of use for instant queries only. */
#include <math.h>
#include <stdlib.h>

#include "eval.h"

struct sort_op {
    struct op op;
    struct op *child;
    enum function_id id;
    struct str *names;
    uint32_t name_count;
    struct row_set rows;
    bool done;
};

static int compare_ascending(const void *a, const void *b)
{
    double x = ((const struct row *)a)->values[0];
    double y = ((const struct row *)b)->values[0];
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return x < y ? -1 : x > y;
}

static int compare_descending(const void *a, const void *b)
{
    double x = ((const struct row *)a)->values[0];
    double y = ((const struct row *)b)->values[0];
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return x > y ? -1 : x < y;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next run of digits or of other bytes. */
static struct str take_run(struct str *rest)
{
    size_t size = 1;
    while (size < rest->size && is_digit(rest->data[size]) == is_digit(rest->data[0]))
        size++;
    struct str run = str_from(rest->data, size);
    *rest = str_from(rest->data + size, rest->size - size);
    return run;
}

/* Natural order: numbers inside the strings count as numbers. */
static int compare_natural(struct str a, struct str b)
{
    while (a.size > 0 && b.size > 0) {
        struct str run_a = take_run(&a);
        struct str run_b = take_run(&b);
        int64_t number_a;
        int64_t number_b;
        if (str_to_int64(run_a, &number_a) && str_to_int64(run_b, &number_b)) {
            if (number_a != number_b)
                return number_a < number_b ? -1 : 1;
            continue;
        }
        int order = str_compare(run_a, run_b);
        if (order != 0)
            return order;
    }
    return (a.size > 0) - (b.size > 0);
}

static int compare_labels(const void *a, const void *b, void *context)
{
    const struct sort_op *sort = context;
    const struct row *left = a;
    const struct row *right = b;
    int sign = sort->id == FUNCTION_SORT_BY_LABEL_DESC ? -1 : 1;
    for (uint32_t i = 0; i < sort->name_count; i++) {
        int order = compare_natural(labels_get(left->labels, sort->names[i]),
                                    labels_get(right->labels, sort->names[i]));
        if (order != 0)
            return sign * order;
    }
    return sign * labels_compare(left->labels, right->labels);
}

/* Floats only: a histogram has no place in the order. */
static void drop_histograms(struct row_set *rows)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (row__histogram(&rows->items[i], 0) == NULL)
            rows->items[kept++] = rows->items[i];
    }
    rows->count = kept;
}

static void drop_histogram_cells(struct row *row, uint32_t steps)
{
    for (uint32_t i = 0; row->histograms != NULL && i < steps; i++) {
        if (row->histograms[i] != NULL)
            bits__clear(row->present, i);
    }
    row->histograms = NULL;
}

static err_t pass_through(struct sort_op *sort, bool by_value, struct batch *batch,
                          struct strbuf *why)
{
    TRY(op__next(sort->child, batch, why));
    for (uint32_t i = 0; by_value && i < batch->count; i++)
        drop_histogram_cells(&batch->rows[i], sort->op.scope->grid.count);
    return OK;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct sort_op *sort = (struct sort_op *)op;
    bool by_value = sort->id == FUNCTION_SORT || sort->id == FUNCTION_SORT_DESC;
    if (op->scope->grid.count > 1)
        return pass_through(sort, by_value, batch, why);
    if (sort->done)
        return OK;
    sort->done = true;
    TRY(row_set__collect(&sort->rows, sort->child, why));
    struct row_set *rows = &sort->rows;
    if (by_value)
        drop_histograms(rows);
    if (rows->count > 1 && by_value)
        qsort(rows->items, rows->count, sizeof *rows->items,
              sort->id == FUNCTION_SORT ? compare_ascending : compare_descending);
    else if (rows->count > 1)
        qsort_r(rows->items, rows->count, sizeof *rows->items, compare_labels, sort);
    *batch = (struct batch){rows->items, rows->count};
    return OK;
}

err_t op_sort__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why)
{
    struct sort_op *sort = EVAL_OP(eval, struct sort_op, next, scope, expr);
    const struct call *call = &expr->call;
    sort->id = call->function->id;
    TRY(plan__build(eval, scope, call->args[0], &sort->child, why));
    op__add_input(&sort->op, sort->child);
    row_set__init(&sort->rows, eval, scope->grid.count);
    sort->name_count = call->arg_count - 1;
    sort->names = ARENA_NEW_ARRAY(eval->arena, struct str, sort->name_count);
    for (uint32_t i = 0; i < sort->name_count; i++)
        sort->names[i] = expr_strip_parens(call->args[i + 1])->string;
    sort->op.unique = true;
    if (eval->request->range) {
        sort->op.unique = sort->child->unique;
        annotations__warn(&eval->annotations, expr->start,
                          "sort is ineffective for range queries since results are always ordered "
                          "by labels");
    }
    *op = &sort->op;
    return OK;
}
