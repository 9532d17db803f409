/* histogram_count, _sum, _avg, _stddev, _stdvar. */
#include <math.h>

#include "eval.h"
#include "narthex/model/histogram_math.h"

struct histogram_op {
    struct op op;
    struct op *child;
    enum function_id id;
    struct name_check names;
    struct arena *scratch;
};

static double map(const struct histogram_op *histogram, const struct histogram *h)
{
    switch (histogram->id) {
    case FUNCTION_HISTOGRAM_COUNT:
        return h->count.f;
    case FUNCTION_HISTOGRAM_SUM:
        return h->sum;
    case FUNCTION_HISTOGRAM_AVG:
        return h->sum / h->count.f;
    default: {
        struct arena_mark mark = arena_mark(histogram->scratch);
        double variance = histogram_variance(histogram->scratch, h);
        arena_reset_to(histogram->scratch, mark);
        return histogram->id == FUNCTION_HISTOGRAM_STDVAR ? variance : sqrt(variance);
    }
    }
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct histogram_op *histogram = (struct histogram_op *)op;
    TRY(op__next(histogram->child, batch, why));
    for (uint32_t r = 0; r < batch->count; r++) {
        struct row *row = &batch->rows[r];
        for (uint32_t i = 0; i < op->scope->grid.count; i++) {
            if (!bits__get(row->present, i))
                continue;
            const struct histogram *h = row__histogram(row, i);
            if (h == NULL)
                bits__clear(row->present, i);
            else
                row->values[i] = map(histogram, h);
        }
        row->histograms = NULL;
        TRY(name_check__drop(&histogram->names, row, why));
    }
    return OK;
}

err_t op_histogram__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why)
{
    struct histogram_op *histogram = EVAL_OP(eval, struct histogram_op, next, scope, expr);
    histogram->id = expr->call.function->id;
    histogram->scratch = eval__scratch(eval);
    bool outer = eval->histogram_stats;
    eval->histogram_stats = outer || histogram->id == FUNCTION_HISTOGRAM_COUNT ||
                            histogram->id == FUNCTION_HISTOGRAM_SUM ||
                            histogram->id == FUNCTION_HISTOGRAM_AVG;
    TRY(plan__build(eval, scope, expr->call.args[0], &histogram->child, why));
    eval->histogram_stats = outer;
    op__add_input(&histogram->op, histogram->child);
    name_check__init(&histogram->names, eval, scope->grid.count, false);
    histogram->names.name_only = true;
    histogram->op.unique = histogram->child->unique && eval->delayed_names;
    *op = &histogram->op;
    return OK;
}
