/* and, unless, or. */
#include <string.h>

#include "match.h"

struct set_op {
    struct op op;
    struct op *lhs;
    struct op *rhs;
    struct match_table table; /* of rhs; of lhs for or */
    bool loaded;
    struct row_set rows; /* or */
};

static void note_present(struct set_op *set, const struct row *row)
{
    struct match_group *group = match_table__find(&set->table, row->labels, true);
    for (uint32_t i = 0; i < bits__words(set->table.steps); i++)
        group->present[i] |= row->present[i];
}

/* Keeps the steps at which the other side has (or lacks) the signature. */
static void filter(struct set_op *set, struct row *row, bool keep_present)
{
    const struct match_group *group = match_table__find(&set->table, row->labels, false);
    for (uint32_t i = 0; i < bits__words(set->table.steps); i++) {
        uint64_t other = group == NULL ? 0 : group->present[i];
        row->present[i] &= keep_present ? other : ~other;
    }
}

static err_t load_rhs(struct set_op *set, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(set->rhs, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++)
            note_present(set, &batch.rows[i]);
    }
}

static err_t next_filtered(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct set_op *set = (struct set_op *)op;
    if (!set->loaded)
        TRY(load_rhs(set, why));
    set->loaded = true;
    TRY(op__next(set->lhs, batch, why));
    for (uint32_t i = 0; i < batch->count; i++)
        filter(set, &batch->rows[i], op->expr->binary.op == BINARY_AND);
    return OK;
}

static err_t add_side(struct set_op *set, struct op *side, bool left, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(side, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            if (left)
                note_present(set, &batch.rows[i]);
            else
                filter(set, &batch.rows[i], false);
            TRY(row_set__merge(&set->rows, &batch.rows[i], why));
        }
    }
}

static err_t next_or(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct set_op *set = (struct set_op *)op;
    if (set->loaded)
        return OK;
    set->loaded = true;
    TRY(add_side(set, set->lhs, true, why));
    TRY(add_side(set, set->rhs, false, why));
    *batch = (struct batch){set->rows.items, set->rows.count};
    return OK;
}

err_t op_set__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                     struct op *lhs, struct op *rhs, struct op **op, struct strbuf *why)
{
    (void)why;
    bool is_or = expr->binary.op == BINARY_OR;
    struct set_op *set = EVAL_OP(eval, struct set_op, is_or ? next_or : next_filtered, scope, expr);
    set->lhs = lhs;
    set->rhs = rhs;
    op__add_input(&set->op, lhs);
    op__add_input(&set->op, rhs);
    match_table__init(&set->table, eval, expr->binary.matching, scope->grid.count);
    if (is_or)
        row_set__init(&set->rows, eval, scope->grid.count);
    set->op.unique = is_or || lhs->unique;
    *op = &set->op;
    return OK;
}
