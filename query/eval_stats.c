#include "eval_stats.h"

#include <assert.h>

#include "common_parts.h"

static int64_t step_samples(const struct op *op, uint32_t step)
{
    return op->dense_rows + (op->sparse == NULL ? 0 : op->sparse[step]);
}

static void note_limit(struct eval *eval, int64_t samples)
{
    if (samples > eval->limit_samples)
        eval->limit_samples = samples;
}

static void note_peak(struct eval *eval, int64_t samples)
{
    note_limit(eval, samples);
    if (samples > eval->peak_samples)
        eval->peak_samples = samples;
}

/* What would be held while operators run one after the other, each from all of its inputs to its
 * whole result, with `held` samples kept by others; returns what is held afterwards. */
static int64_t account(struct eval *eval, const struct op *op, int64_t held)
{
    const struct op *worker;
    if (op_shared__worker(op, &worker))
        return worker == NULL ? held : account(eval, worker, held);
    int64_t now = held;
    for (uint32_t i = 0; i < op->input_count; i++)
        now = account(eval, op->inputs[i], now);
    int64_t after = held + op->produced;
    if (op->peak_rule == PEAK_IN_PLACE)
        return now;
    if (op->peak_rule == PEAK_WINDOWS) {
        note_peak(eval, now + op->window_peak);
        note_limit(eval, now + op->window_limit);
        return after;
    }
    if (op->input_count == 0 || op->peak_rule == PEAK_RESULT) {
        note_peak(eval, after);
        return after;
    }
    int64_t out = 0;
    for (uint32_t step = 0; step < op->scope->grid.count; step++) {
        int64_t in = 0;
        for (uint32_t i = 0; i < op->input_count; i++) {
            if (op->inputs[i]->scope == op->scope)
                in += step_samples(op->inputs[i], step);
        }
        out += step_samples(op, step);
        note_peak(eval, now + in + out);
    }
    return after;
}

static void add_all(struct scope *parent, const struct scope *scope)
{
    int64_t queryable = 0;
    int64_t read = 0;
    if (scope->kind == SCOPE_WINDOWS)
        return;
    for (uint32_t i = 0; i < scope->grid.count; i++) {
        queryable += scope->queryable[i];
        read += scope->read[i];
    }
    uint32_t first = scope->kind == SCOPE_INVARIANT ? 0 : parent->grid.count - 1;
    for (uint32_t i = first; i < parent->grid.count; i++)
        parent->queryable[i] += queryable;
    parent->read[first] += read;
}

static void add_steps(struct scope *into, const struct scope *scope)
{
    assert(into->grid.count == scope->grid.count);
    for (uint32_t i = 0; i < scope->grid.count; i++) {
        into->queryable[i] += scope->queryable[i];
        into->read[i] += scope->read[i];
    }
}

/* Adds a scope to those it counts in, and these to theirs once nothing more is to be added to
 * them. Their number bounds the depth: scopes are nested as the query is. */
static void add_up(struct scope *scope)
{
    scope->rolled_up = true;
    if (scope->kind != SCOPE_SHARED) {
        struct scope *parent = scope->parent;
        if (parent == NULL)
            return;
        add_all(parent, scope);
        if (--parent->pending == 0)
            add_up(parent);
        return;
    }
    for (const struct scope_use *use = scope->uses; use != NULL; use = use->next) {
        add_steps(use->into, scope);
        if (--use->into->pending == 0)
            add_up(use->into);
    }
}

static void roll_up(struct eval *eval)
{
    for (struct scope *scope = eval->scopes; scope != NULL; scope = scope->older) {
        if (scope->kind != SCOPE_SHARED && scope->parent != NULL)
            scope->parent->pending++;
        for (const struct scope_use *use = scope->uses; use != NULL; use = use->next)
            use->into->pending++;
    }
    for (struct scope *scope = eval->scopes; scope != NULL; scope = scope->older) {
        if (scope->pending == 0 && !scope->rolled_up)
            add_up(scope);
    }
}

static const struct query_step_count *copy_steps(struct arena *arena, const struct grid *grid,
                                                 const int64_t *counts)
{
    struct query_step_count *steps = arena_alloc(arena, grid->count * sizeof *steps);
    for (uint32_t i = 0; i < grid->count; i++)
        steps[i] = (struct query_step_count){grid_time(grid, i), counts[i]};
    return steps;
}

void eval_stats__fill(struct eval *eval, struct op *root_op, struct query_result *result)
{
    struct query_stats *stats = &result->stats;
    roll_up(eval);
    struct scope *root = eval->scopes;
    while (root->parent != NULL)
        root = root->older;
    for (uint32_t i = 0; i < root->grid.count; i++) {
        stats->total_queryable_samples += root->queryable[i];
        stats->samples_read += root->read[i];
    }
    if (root_op != NULL)
        account(eval, root_op, 0);
    stats->peak_samples = eval->peak_samples;
    if (!eval->request->per_step_stats)
        return;
    stats->queryable_per_step = copy_steps(&result->arena, &root->grid, root->queryable);
    stats->read_per_step = copy_steps(&result->arena, &root->grid, root->read);
    stats->step_count = root->grid.count;
}
