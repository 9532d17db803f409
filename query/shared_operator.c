/* One evaluation of a part of the query, several readers.
 *
 * The reader that runs first drives the part's operator and keeps a copy of the rows; those that
 * run after the part has ended read the copy. A reader evaluates the part itself when the copy
 * would not be the same or too large: the part has not ended yet (both run in turns), the rows
 * exceed SHARED_BYTES_MAX, or evaluating again would change an annotation.
 */
#include <string.h>

#include "common_parts.h"

enum { SHARED_BYTES_MAX = 64 * 1024 * 1024 };

struct shared {
    struct shared *next; /* of the same class */
    struct op *source;   /* in a scope of its own: its counts are added per reader */
    bool histogram_stats;
    bool histogram_buckets;
    uint32_t waiting; /* readers that have not begun */
    uint32_t reading; /* readers of the copy that have not ended */
    bool begun;
    bool kept; /* rows is all that the source handed out so far */
    uint64_t bytes_max;
    bool annotated; /* by the source */
    bool merged;    /* with figures that adding again changes */
    struct row_set rows;
};

enum reader_mode { READER_NEW, READER_DRIVES, READER_COPIES, READER_ALONE };

struct reader_op {
    struct op op;
    struct shared *shared;
    enum reader_mode mode;
    struct op *alone;
    struct row_set copy; /* of the copy, for readers that are not the last: rows may be changed */
    bool done;
};

/* ---- running ---- */

static void add_use(struct reader_op *reader)
{
    struct arena *arena = reader->op.eval->arena;
    struct scope *scope = reader->shared->source->scope;
    struct scope_use *use = ARENA_NEW(arena, struct scope_use);
    *use = (struct scope_use){reader->op.scope, scope->uses};
    scope->uses = use;
}

/* An annotation added again is merged into the first: nothing changes if it has no figures and
 * stands later in the text. */
static bool may_copy(const struct reader_op *reader)
{
    const struct shared *shared = reader->shared;
    const struct op *source = shared->source;
    bool ended = source->ended || (source->scalar_type && source->produced > 0);
    if (!shared->kept || !ended)
        return false;
    return !shared->annotated || (!shared->merged && source->expr->start <= reader->op.expr->start);
}

static void drop_rows(struct shared *shared)
{
    shared->kept = false;
    arena_reset_to(shared->rows.arena, (struct arena_mark){NULL, NULL});
    shared->rows = (struct row_set){.arena = shared->rows.arena, .steps = shared->rows.steps};
}

/* The flags are those of the place in the tree, as when the part was planned. */
static err_t build(struct reader_op *reader, struct strbuf *why)
{
    struct eval *eval = reader->op.eval;
    bool stats = eval->histogram_stats;
    uint32_t buckets = eval->histogram_buckets;
    eval->histogram_stats = reader->shared->histogram_stats;
    eval->histogram_buckets = reader->shared->histogram_buckets;
    err_t err = plan__build_alone(eval, reader->op.scope, reader->op.expr, &reader->alone, why);
    eval->histogram_stats = stats;
    eval->histogram_buckets = buckets;
    return err;
}

static err_t begin(struct reader_op *reader, struct strbuf *why)
{
    struct shared *shared = reader->shared;
    shared->waiting--;
    if (!shared->begun) {
        shared->begun = true;
        shared->kept = shared->waiting > 0;
        reader->mode = READER_DRIVES;
        add_use(reader);
        return OK;
    }
    if (may_copy(reader)) {
        reader->mode = READER_COPIES;
        shared->reading++;
        add_use(reader);
        return OK;
    }
    reader->mode = READER_ALONE;
    if (shared->kept && shared->waiting == 0 && shared->reading == 0)
        drop_rows(shared);
    return build(reader, why);
}

static err_t drive(struct reader_op *reader, struct batch *batch, struct strbuf *why)
{
    struct shared *shared = reader->shared;
    struct annotations *annotations = &reader->op.eval->annotations;
    struct annotation_counts before = annotations__counts(annotations);
    TRY(op__next(shared->source, batch, why));
    struct annotation_counts after = annotations__counts(annotations);
    shared->annotated = shared->annotated || after.added != before.added;
    shared->merged = shared->merged || after.merged != before.merged;
    for (uint32_t i = 0; i < batch->count && shared->kept; i++) {
        row_set__append(&shared->rows, &batch->rows[i]);
        if (shared->rows.arena->allocated_bytes > shared->bytes_max)
            drop_rows(shared);
    }
    return OK;
}

static void copy(struct reader_op *reader, struct batch *batch)
{
    struct shared *shared = reader->shared;
    bool last = shared->waiting == 0 && shared->reading == 1;
    if (reader->done) {
        shared->reading--;
        if (last)
            drop_rows(shared);
        if (reader->copy.arena != NULL)
            arena_reset_to(reader->copy.arena, (struct arena_mark){NULL, NULL});
        return;
    }
    reader->done = true;
    struct row_set *rows = &shared->rows;
    if (!last) {
        reader->copy =
            (struct row_set){.arena = eval__arena(reader->op.eval), .steps = rows->steps};
        for (uint32_t i = 0; i < rows->count; i++)
            row_set__append(&reader->copy, &rows->items[i]);
        rows = &reader->copy;
    }
    *batch = (struct batch){rows->items, rows->count};
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct reader_op *reader = (struct reader_op *)op;
    if (reader->mode == READER_NEW)
        TRY(begin(reader, why));
    if (reader->mode == READER_DRIVES)
        return drive(reader, batch, why);
    if (reader->mode == READER_ALONE)
        return op__next(reader->alone, batch, why);
    copy(reader, batch);
    return OK;
}

/* ---- building ---- */

static struct shared *find(const struct eval *eval, const struct scope *scope,
                           const struct expr *expr)
{
    struct shared *shared = eval->shared[eval->classes[expr->ordinal]];
    for (; shared != NULL; shared = shared->next) {
        const struct grid *grid = &shared->source->scope->grid;
        if (grid->start_ms == scope->grid.start_ms && grid->count == scope->grid.count &&
            (grid->count == 1 || grid->step_ms == scope->grid.step_ms) &&
            shared->histogram_stats == eval->histogram_stats &&
            shared->histogram_buckets == (eval->histogram_buckets > 0))
            return shared;
    }
    return NULL;
}

static err_t create(struct eval *eval, struct scope *scope, const struct expr *expr,
                    struct shared **made, struct strbuf *why)
{
    struct shared *shared = ARENA_NEW(eval->arena, struct shared);
    struct scope *inner = eval__scope(eval, SCOPE_SHARED, scope, scope->grid);
    TRY(plan__build_alone(eval, inner, expr, &shared->source, why));
    shared->histogram_stats = eval->histogram_stats;
    shared->histogram_buckets = eval->histogram_buckets > 0;
    shared->rows = (struct row_set){.arena = eval__arena(eval), .steps = scope->grid.count};
    uint64_t budget = eval->options->memory_bytes_max / 4;
    shared->bytes_max = budget > 0 && budget < SHARED_BYTES_MAX ? budget : SHARED_BYTES_MAX;
    struct shared **list = &eval->shared[eval->classes[expr->ordinal]];
    shared->next = *list;
    *list = shared;
    *made = shared;
    return OK;
}

err_t op_shared__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why)
{
    struct shared *shared = find(eval, scope, expr);
    if (shared == NULL)
        TRY(create(eval, scope, expr, &shared, why));
    struct reader_op *reader = EVAL_OP(eval, struct reader_op, next, scope, expr);
    reader->shared = shared;
    reader->op.unique = shared->source->unique;
    reader->op.scalar_type = shared->source->scalar_type;
    shared->waiting++;
    *op = &reader->op;
    return OK;
}

bool op_shared__worker(const struct op *op, const struct op **worker)
{
    if (op->next != next)
        return false;
    const struct reader_op *reader = (const struct reader_op *)op;
    *worker = NULL;
    if (reader->mode == READER_ALONE)
        *worker = reader->alone;
    else if (reader->mode != READER_NEW)
        *worker = reader->shared->source;
    return true;
}
