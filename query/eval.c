/* The life of a query's memory, and what every operator shares. */
#include "eval.h"

#include <assert.h>
#include <string.h>

err_t eval__too_many_samples(struct strbuf *why)
{
    return err_fail(why, ERR_LIMIT,
                    "query processing would load too many samples into memory in query execution");
}

err_t eval__give_up(struct query_trial *trial, struct strbuf *why)
{
    trial->gave_up = true;
    return err_fail(why, ERR_UNAVAILABLE, "query is longer than a trial may be");
}

err_t eval__check(const struct eval *eval, struct strbuf *why)
{
    if ((eval->cancel != NULL && atomic_load_explicit(eval->cancel, memory_order_relaxed)) ||
        atomic_load_explicit(eval->kill, memory_order_relaxed))
        return err_fail(why, ERR_CANCELED, "query was canceled in query execution");
    int64_t now_ns = clock_monotonic_ns(eval->options->clock);
    if (now_ns > eval->deadline_ns)
        return err_fail(why, ERR_TIMEOUT, "query timed out in query execution");
    if (now_ns > eval->trial_end_ns)
        return eval__give_up(eval->request->trial, why);
    return OK;
}

err_t eval__check_memory(const struct eval *eval, struct strbuf *why)
{
    uint64_t budget = eval->options->memory_bytes_max;
    if (budget == 0)
        return OK;
    uint64_t used = atomic_load_explicit(&eval->memory_bytes, memory_order_relaxed);
    used += eval->arena->allocated_bytes + eval->result->allocated_bytes;
    for (const struct eval_arena *item = eval->arenas; item != NULL; item = item->older)
        used += item->arena.allocated_bytes;
    if (used <= budget)
        return OK;
    return err_fail(why, ERR_LIMIT,
                    "query processing would use more than %llu bytes of memory in query execution",
                    (unsigned long long)budget);
}

static void close_querier(void *context)
{
    querier_close(context);
}

err_t eval__open(struct eval *eval, struct strbuf *why)
{
    if (eval->min_t_ms > eval->max_t_ms)
        return OK; /* nothing is selected */
    TRY(storage_querier_open(eval->options->storage, eval->min_t_ms, eval->max_t_ms, &eval->querier,
                             why));
    eval__on_end(eval, close_querier, eval->querier);
    return OK;
}

struct arena *eval__arena(struct eval *eval)
{
    struct eval_arena *item = ARENA_NEW(eval->arena, struct eval_arena);
    arena_init(&item->arena, MEM_QUERY, SIZE_MAX);
    item->older = eval->arenas;
    eval->arenas = item;
    return &item->arena;
}

struct arena *eval__scratch(struct eval *eval)
{
    struct arena *arena = eval__arena(eval);
    /* Chunks are as large as the arena: the second one is what resets leave. */
    arena_alloc(arena, EVAL_SCRATCH_BYTES);
    arena_alloc(arena, 1);
    return arena;
}

void eval__on_end(struct eval *eval, void (*run)(void *context), void *context)
{
    struct eval_cleanup *cleanup = ARENA_NEW(eval->arena, struct eval_cleanup);
    *cleanup = (struct eval_cleanup){run, context, eval->cleanups};
    eval->cleanups = cleanup;
}

static void free_table(void *context)
{
    htable_deinit(context);
}

void eval__table(struct eval *eval, struct htable *table)
{
    htable_init(table, MEM_QUERY);
    eval__on_end(eval, free_table, table);
}

struct scope *eval__scope(struct eval *eval, enum scope_kind kind, struct scope *parent,
                          struct grid grid)
{
    struct scope *scope = ARENA_NEW(eval->arena, struct scope);
    scope->grid = grid;
    scope->kind = kind;
    scope->parent = parent;
    scope->older = eval->scopes;
    scope->queryable = ARENA_NEW_ARRAY(eval->arena, int64_t, grid.count);
    scope->read = ARENA_NEW_ARRAY(eval->arena, int64_t, grid.count);
    eval->scopes = scope;
    return scope;
}

void eval__deinit(struct eval *eval)
{
    /* Both lists are in eval->arena, which the caller frees. */
    for (struct eval_cleanup *item = eval->cleanups; item != NULL; item = item->older)
        item->run(item->context);
    for (struct eval_arena *item = eval->arenas; item != NULL; item = item->older)
        arena_deinit(&item->arena);
    annotations__deinit(&eval->annotations);
}

int64_t histogram__samples(const struct histogram *h)
{
    int64_t parts = (int64_t)h->positive.span_count + h->negative.span_count +
                    h->positive.bucket_count + h->negative.bucket_count + h->custom_value_count;
    return (176 + 8 * parts) / 16;
}

/* Samples of the whole row as limits count them. */
static int64_t row_samples(const struct row *row, uint32_t steps)
{
    int64_t count = bits__count(row->present, steps);
    if (row->histograms == NULL)
        return count;
    for (uint32_t i = 0; i < steps; i++) {
        if (bits__get(row->present, i) && row->histograms[i] != NULL)
            count += histogram__samples(row->histograms[i]) - 1;
    }
    return count;
}

void op__note_windows(struct op *op, const struct batch *batch, const struct row_windows *windows)
{
    int64_t produced = op->produced;
    for (uint32_t i = 0; i < batch->count; i++) {
        int64_t limit = produced + windows[i].widest;
        produced += row_samples(&batch->rows[i], op->scope->grid.count);
        int64_t peak = produced + windows[i].last;
        if (limit > op->window_limit)
            op->window_limit = limit;
        if (peak > op->window_peak)
            op->window_peak = peak;
    }
}

/* Per step counts are needed for the peak only. */
static void count_row(struct op *op, const struct row *row, uint32_t steps)
{
    int64_t samples = row_samples(row, steps);
    op->produced += samples;
    if (samples == steps && row->histograms == NULL) {
        op->dense_rows++;
        return;
    }
    if (op->sparse == NULL)
        op->sparse = ARENA_NEW_ARRAY(op->eval->arena, int64_t, steps);
    for (uint32_t word = 0; word < bits__words(steps); word++) {
        for (uint64_t left = row->present[word]; left != 0; left &= left - 1) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(left);
            const struct histogram *h = row__histogram(row, i);
            op->sparse[i] += h == NULL ? 1 : histogram__samples(h);
        }
    }
}

err_t op__next(struct op *op, struct batch *batch, struct strbuf *why)
{
    *batch = (struct batch){NULL, 0};
    if (op->ended)
        return OK;
    TRY(eval__check(op->eval, why));
    TRY(eval__check_memory(op->eval, why));
    TRY(op->next(op, batch, why));
    if (batch->count == 0) {
        op->ended = true;
        return OK;
    }
    for (uint32_t i = 0; i < batch->count; i++)
        count_row(op, &batch->rows[i], op->scope->grid.count);
    uint64_t most = (uint64_t)(op->window_limit > op->produced ? op->window_limit : op->produced);
    return most > op->eval->options->max_samples ? eval__too_many_samples(why) : OK;
}

err_t op__scalar(struct op *op, const double **column, struct strbuf *why)
{
    if (op->scalar == NULL) {
        struct batch batch;
        TRY(op__next(op, &batch, why));
        assert(batch.count == 1);
        uint32_t steps = op->scope->grid.count;
        double *copy = ARENA_NEW_ARRAY(op->eval->arena, double, steps);
        memcpy(copy, batch.rows[0].values, steps * sizeof *copy);
        op->scalar = copy;
    }
    *column = op->scalar;
    return OK;
}

static void op_init(struct op *op, op_next_fn next, struct eval *eval, struct scope *scope,
                    const struct expr *expr)
{
    op->next = next;
    op->eval = eval;
    op->scope = scope;
    op->expr = expr;
}

void op__add_input(struct op *op, struct op *input)
{
    assert(op->input_count < sizeof op->inputs / sizeof op->inputs[0]);
    op->inputs[op->input_count++] = input;
}

void *eval__op(struct eval *eval, size_t size, op_next_fn next, struct scope *scope,
               const struct expr *expr)
{
    struct op *op = arena_calloc(eval->arena, 1, size);
    op_init(op, next, eval, scope, expr);
    return op;
}
