/* Arithmetic and comparisons of two vectors.
 *
 * After a possible swap the right side is the "one" side: it is kept, grouped by signature. The
 * many side streams past it. Errors of matching belong to a step; the earliest step is reported, as
 * an evaluation step by step would.
 */
#include "match.h"

#include <assert.h>
#include <string.h>

#include "binary.h"

struct duplicate {
    uint32_t step;
    uint32_t row; /* the later one */
    bool found;
};

struct match_op {
    struct op op;
    const struct binary *binary;
    const struct vector_matching *matching;
    struct op *many;
    struct op *one;
    bool swapped;
    struct match_table table;
    struct row_set ones;
    uint32_t *next_row; /* chains of rows of a group */
    uint64_t **clashes; /* per row of `ones`: steps at which an earlier row has the signature */
    uint32_t chain_capacity;
    struct row_set out;
    uint64_t **claimed; /* per row of `out` */
    uint32_t claimed_capacity;
    uint64_t *many_any; /* steps at which the many side has any sample */
    uint8_t *notes;
    struct label_builder builder;
    uint32_t error_step; /* earliest failure, UINT32_MAX: none */
    const char *error;
    bool done;
};

/* ---- the one side ---- */

static void grow_chains(struct match_op *match)
{
    uint32_t capacity = match->chain_capacity == 0 ? 16 : match->chain_capacity * 2;
    struct arena *arena = match->table.arena;
    uint32_t *next_row = arena_alloc(arena, capacity * sizeof *next_row);
    uint64_t **clashes = arena_calloc(arena, capacity, sizeof *clashes);
    if (match->chain_capacity > 0) {
        memcpy(next_row, match->next_row, match->chain_capacity * sizeof *next_row);
        memcpy(clashes, match->clashes, match->chain_capacity * sizeof *clashes);
    }
    match->next_row = next_row;
    match->clashes = clashes;
    match->chain_capacity = capacity;
}

static void add_one(struct match_op *match, const struct row *row)
{
    uint32_t words = bits__words(match->table.steps);
    uint32_t at = match->ones.count;
    if (at == match->chain_capacity)
        grow_chains(match);
    struct match_group *group = match_table__find(&match->table, row->labels, true);
    row_set__append(&match->ones, row);
    match->next_row[at] = UINT32_MAX;
    if (bits__overlap(group->present, row->present, match->table.steps)) {
        uint64_t *clash = arena_alloc(match->table.arena, words * sizeof *clash);
        for (uint32_t i = 0; i < words; i++)
            clash[i] = group->present[i] & row->present[i];
        match->clashes[at] = clash;
    }
    if (group->first_row == UINT32_MAX)
        group->first_row = at;
    else
        match->next_row[group->last_row] = at;
    group->last_row = at;
    for (uint32_t i = 0; i < words; i++)
        group->present[i] |= row->present[i];
}

static err_t load_ones(struct match_op *match, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(match->one, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            if (bits__any(batch.rows[i].present, match->table.steps))
                add_one(match, &batch.rows[i]);
        }
    }
}

/* ---- result labels ---- */

static bool is_listed(const struct vector_matching *matching, struct str name)
{
    for (uint32_t i = 0; i < matching->label_count; i++) {
        if (str_equal(matching->labels[i], name))
            return true;
    }
    return false;
}

static struct labels result_labels(struct match_op *match, struct labels many, struct labels one)
{
    const struct vector_matching *matching = match->matching;
    struct label_builder *builder = &match->builder;
    label_builder_clear(builder);
    bool drop = match->binary->op <= BINARY_ATAN2 ||
                (match->binary->return_bool && !match->op.eval->delayed_names);
    struct labels base = drop ? names__drop(match->table.arena, many) : many;
    label_builder_reset(builder, base);
    if (matching->card == CARD_ONE_TO_ONE) {
        for (uint32_t i = 0; i < base.count; i++) {
            if (is_listed(matching, base.items[i].name) != matching->on)
                label_builder_remove(builder, base.items[i].name);
        }
    }
    for (uint32_t i = 0; i < matching->include_count; i++)
        label_builder_set(builder, matching->include[i], labels_get(one, matching->include[i]));
    return label_builder_labels(builder);
}

static struct row *out_row(struct match_op *match, struct labels many, struct labels one,
                           uint64_t **claimed)
{
    struct labels labels = result_labels(match, many, one);
    bool created;
    struct row *row = row_set__get(&match->out, labels, &created);
    uint32_t at = (uint32_t)(row - match->out.items);
    if (created) {
        row->labels = labels_copy_shallow(match->out.arena, labels);
        row->drop_name = match->op.eval->delayed_names && match->binary->return_bool;
        if (at == match->claimed_capacity) {
            uint32_t capacity = at == 0 ? 16 : at * 2;
            uint64_t **grown = arena_alloc(match->out.arena, capacity * sizeof *grown);
            if (at > 0)
                memcpy(grown, match->claimed, at * sizeof *grown);
            match->claimed = grown;
            match->claimed_capacity = capacity;
        }
        match->claimed[at] =
            arena_calloc(match->out.arena, bits__words(match->table.steps), sizeof(uint64_t));
    }
    *claimed = match->claimed[at];
    return row;
}

/* ---- cells ---- */

static void fail_at(struct match_op *match, uint32_t step, const char *error)
{
    if (step < match->error_step) {
        match->error_step = step;
        match->error = error;
    }
}

static void check_claim(struct match_op *match, struct match_group *group, uint64_t *claimed,
                        uint32_t step)
{
    if (match->matching->card == CARD_ONE_TO_ONE) {
        if (bits__get(group->matched, step))
            fail_at(match, step,
                    "multiple matches for labels: many-to-one matching must be "
                    "explicit (group_left/group_right)");
    } else if (bits__get(claimed, step)) {
        fail_at(match, step,
                "multiple matches for labels: grouping labels must ensure unique matches");
    }
    bits__set(group->matched, step);
    bits__set(claimed, step);
}

/* Two results for one place: by the signature, or by equal labels. */
static void combine_clash(struct match_op *match, struct match_group *group, uint64_t *claimed,
                          uint32_t step)
{
    check_claim(match, group, claimed, step);
    fail_at(match, step, "vector cannot contain metrics with the same labelset");
}

static void combine(struct match_op *match, struct match_group *group, struct row *out,
                    uint64_t *claimed, uint32_t step, struct element many, struct element one)
{
    struct element lhs = match->swapped ? one : many;
    struct element rhs = match->swapped ? many : one;
    struct binary_result result = binary__combine(match->binary->op, lhs, rhs, match->out.arena);
    if (result.note != NOTE_NONE)
        match->notes[step] = (uint8_t)result.note;
    if (!result.valid)
        return;
    check_claim(match, group, claimed, step);
    if (match->binary->return_bool)
        result.element = (struct element){result.keep ? 1 : 0, NULL};
    else if (!result.keep)
        return;
    if (bits__get(out->present, step)) {
        fail_at(match, step, "vector cannot contain metrics with the same labelset");
        return;
    }
    if (result.element.h == NULL) {
        row__set(out, step, result.element.f);
        return;
    }
    const struct histogram *h = result.element.h;
    if (h == lhs.h || h == rhs.h)
        h = histogram_copy(match->out.arena, h); /* the many side's batch dies */
    row__set_histogram(out, match->out.arena, match->table.steps, step, h);
}

/* combine for two rows of floats and an arithmetic operator, a word of steps at a time. */
static void combine_floats(struct match_op *match, struct match_group *group, struct row *out,
                           uint64_t *claimed, const struct row *many, const struct row *one)
{
    const double *lhs = match->swapped ? one->values : many->values;
    const double *rhs = match->swapped ? many->values : one->values;
    bool one_to_one = match->matching->card == CARD_ONE_TO_ONE;
    for (uint32_t w = 0; w < bits__words(match->table.steps); w++) {
        uint64_t both = many->present[w] & one->present[w];
        uint64_t taken = both & (one_to_one ? group->matched[w] : claimed[w]);
        uint64_t clash = both & out->present[w];
        for (uint64_t left = taken | clash; left != 0; left &= left - 1)
            combine_clash(match, group, claimed, w * 64 + (uint32_t)__builtin_ctzll(left));
        group->matched[w] |= both;
        claimed[w] |= both;
        out->present[w] |= both;
        for (uint64_t left = both; left != 0; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            out->values[i] = binary__scalars(match->binary->op, lhs[i], rhs[i]);
        }
    }
}

static struct element cell(const struct row *row, uint32_t step)
{
    return (struct element){row->values[step], row__histogram(row, step)};
}

static void need_matched(struct match_op *match, struct match_group *group)
{
    if (group->matched == NULL)
        group->matched =
            arena_calloc(match->table.arena, bits__words(match->table.steps), sizeof(uint64_t));
}

/* One row of the many side against all rows of its group, then against the fill value. */
static void match_many(struct match_op *match, const struct row *many)
{
    uint32_t steps = match->table.steps;
    bool fill = match->matching->fill_right.set;
    for (uint32_t i = 0; i < bits__words(steps); i++)
        match->many_any[i] |= many->present[i];
    bool create = fill || match->matching->fill_left.set;
    struct match_group *group = match_table__find(&match->table, many->labels, create);
    if (group == NULL)
        return;
    need_matched(match, group);
    uint64_t *claimed;
    for (uint32_t at = group->first_row; at != UINT32_MAX; at = match->next_row[at]) {
        const struct row *one = &match->ones.items[at];
        if (!bits__overlap(many->present, one->present, steps))
            continue;
        struct row *out = out_row(match, many->labels, one->labels, &claimed);
        if (match->binary->op <= BINARY_ATAN2 && many->histograms == NULL &&
            one->histograms == NULL && out->histograms == NULL) {
            combine_floats(match, group, out, claimed, many, one);
            continue;
        }
        for (uint32_t i = 0; i < steps; i++) {
            if (bits__get(many->present, i) && bits__get(one->present, i))
                combine(match, group, out, claimed, i, cell(many, i), cell(one, i));
        }
    }
    if (!fill)
        return;
    struct row *out = NULL;
    struct element value = {match->matching->fill_right.value, NULL};
    for (uint32_t i = 0; i < steps; i++) {
        if (!bits__get(many->present, i) || bits__get(group->present, i))
            continue;
        if (out == NULL)
            out = out_row(match, many->labels, group->signature, &claimed);
        combine(match, group, out, claimed, i, cell(many, i), value);
    }
}

/* Samples of the one side that met nobody, against the fill value. */
static void fill_many(struct match_op *match)
{
    uint32_t steps = match->table.steps;
    struct element value = {match->matching->fill_left.value, NULL};
    for (uint32_t r = 0; r < match->ones.count; r++) {
        const struct row *one = &match->ones.items[r];
        struct match_group *group = match_table__find(&match->table, one->labels, false);
        assert(group != NULL);
        need_matched(match, group);
        uint64_t *claimed;
        struct row *out = NULL;
        for (uint32_t i = 0; i < steps; i++) {
            if (!bits__get(one->present, i) || bits__get(group->matched, i))
                continue;
            if (out == NULL)
                out = out_row(match, group->signature, one->labels, &claimed);
            combine(match, group, out, claimed, i, value, cell(one, i));
        }
    }
}

/* ---- errors ---- */

/* The earliest step at which two rows of the one side have the same signature and the other side
 * has anything to match. */
static struct duplicate find_duplicate(const struct match_op *match)
{
    struct duplicate duplicate = {.step = UINT32_MAX};
    bool fill = match->matching->fill_left.set || match->matching->fill_right.set;
    for (uint32_t r = 0; r < match->ones.count; r++) {
        const uint64_t *clash = match->clashes[r];
        for (uint32_t i = 0; clash != NULL && i < match->table.steps && i < duplicate.step; i++) {
            if (!bits__get(clash, i) || (!fill && !bits__get(match->many_any, i)))
                continue;
            duplicate = (struct duplicate){.step = i, .row = r, .found = true};
        }
    }
    return duplicate;
}

static err_t fail_duplicate(struct match_op *match, const struct duplicate *duplicate,
                            struct strbuf *why)
{
    const struct row *second = &match->ones.items[duplicate->row];
    struct match_group *group = match_table__find(&match->table, second->labels, false);
    uint32_t first = group->first_row;
    while (!bits__get(match->ones.items[first].present, duplicate->step))
        first = match->next_row[first];
    struct strbuf texts[3] = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
    labels_print(group->signature, &texts[0]);
    labels_print(match->ones.items[first].labels, &texts[1]);
    labels_print(second->labels, &texts[2]);
    bool ordered = str_compare(strbuf_str(&texts[1]), strbuf_str(&texts[2])) <= 0;
    err_t err = err_fail(
        why, ERR_EXECUTION,
        "found duplicate series for the match group %s on the %s hand-side of the operation: "
        "[%s, %s];many-to-many matching not allowed: matching labels must be unique on one side",
        strbuf_cstr(&texts[0]), match->swapped ? "left" : "right",
        strbuf_cstr(&texts[ordered ? 1 : 2]), strbuf_cstr(&texts[ordered ? 2 : 1]));
    for (int i = 0; i < 3; i++)
        strbuf_deinit(&texts[i]);
    return err;
}

static err_t check_errors(struct match_op *match, struct strbuf *why)
{
    struct duplicate duplicate = find_duplicate(match);
    if (duplicate.found && duplicate.step <= match->error_step)
        return fail_duplicate(match, &duplicate, why);
    if (match->error_step != UINT32_MAX)
        return err_fail(why, ERR_EXECUTION, "%s", match->error);
    return OK;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct match_op *match = (struct match_op *)op;
    if (match->done)
        return OK;
    match->done = true;
    TRY(load_ones(match, why));
    struct batch many;
    for (;;) {
        TRY(op__next(match->many, &many, why));
        if (many.count == 0)
            break;
        for (uint32_t i = 0; i < many.count; i++)
            match_many(match, &many.rows[i]);
        TRY(eval__check_memory(op->eval, why));
    }
    if (match->matching->fill_left.set)
        fill_many(match);
    TRY(check_errors(match, why));
    binary__annotate(op->eval, op->expr, match->notes, match->table.steps);
    *batch = (struct batch){match->out.items, match->out.count};
    return OK;
}

static void free_builder(void *context)
{
    label_builder_deinit(context);
}

err_t op_match__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op *lhs, struct op *rhs, struct op **op, struct strbuf *why)
{
    (void)why;
    struct match_op *match = EVAL_OP(eval, struct match_op, next, scope, expr);
    uint32_t steps = scope->grid.count;
    match->binary = &expr->binary;
    match->matching = expr->binary.matching;
    match->swapped = match->matching->card == CARD_ONE_TO_MANY;
    match->many = match->swapped ? rhs : lhs;
    match->one = match->swapped ? lhs : rhs;
    op__add_input(&match->op, lhs);
    op__add_input(&match->op, rhs);
    match_table__init(&match->table, eval, match->matching, steps);
    row_set__init(&match->ones, eval, steps);
    row_set__init(&match->out, eval, steps);
    match->many_any = ARENA_NEW_ARRAY(eval->arena, uint64_t, bits__words(steps));
    match->notes = ARENA_NEW_ARRAY(eval->arena, uint8_t, steps);
    match->error_step = UINT32_MAX;
    match->op.unique = true;
    eval__on_end(eval, free_builder, &match->builder);
    *op = &match->op;
    return OK;
}
