#include "eval_stats.h"

static int64_t step_samples(const struct op *op, uint32_t step)
{
    return op->dense_rows + (op->sparse == NULL ? 0 : op->sparse[step]);
}

static void note_peak(struct eval *eval, int64_t samples)
{
    if (samples > eval->peak_samples)
        eval->peak_samples = samples;
}

/* What would be held while operators run one after the other, each from all of its inputs to its
 * whole result, with `held` samples kept by others; returns what is held afterwards. */
static int64_t account(struct eval *eval, const struct op *op, int64_t held)
{
    int64_t now = held;
    for (uint32_t i = 0; i < op->input_count; i++)
        now = account(eval, op->inputs[i], now);
    int64_t after = held + op->produced;
    if (op->input_count == 0 || op->is_aggregation) {
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

/* Scopes are listed newest first, so children come before their parents. */
static void roll_up(struct eval *eval)
{
    for (struct scope *scope = eval->scopes; scope != NULL; scope = scope->older) {
        if (scope->parent == NULL)
            continue;
        int64_t queryable = 0;
        int64_t read = 0;
        for (uint32_t i = 0; i < scope->grid.count; i++) {
            queryable += scope->queryable[i];
            read += scope->read[i];
        }
        struct scope *parent = scope->parent;
        uint32_t first = scope->kind == SCOPE_INVARIANT ? 0 : parent->grid.count - 1;
        for (uint32_t i = first; i < parent->grid.count; i++)
            parent->queryable[i] += queryable;
        parent->read[scope->kind == SCOPE_INVARIANT ? 0 : parent->grid.count - 1] += read;
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
