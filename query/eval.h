/* query/eval.h: the running query and its operators (private to query/).
 *
 * A plan is a tree of operators. op__next hands out a batch of rows: one row is one series over all
 * steps of its scope, a column of values with a bit per step that says whether there is a sample.
 * Rows stream; what an operator hands out stays valid until its next op__next, labels until the end
 * of the query. Everything but lanes, folding and slices of quantiles runs in the calling thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "annotations.h"
#include "narthex/base/arena.h"
#include "narthex/base/clock.h"
#include "narthex/base/err.h"
#include "narthex/base/htable.h"
#include "narthex/base/thread.h"
#include "narthex/model/histogram.h"
#include "narthex/model/labels.h"
#include "narthex/query/ast.h"
#include "narthex/query/engine.h"
#include "narthex/tsdb/storage.h"

enum {
    EVAL_BATCH_CELLS = 64 * 1024, /* values of a batch: 512 KiB, a part of the cache */
    EVAL_BATCH_ROWS_MAX = 1024,
    EVAL_LANES_MAX = 64,
    EVAL_INPUTS_MAX = 12,
    EVAL_SCRATCH_BYTES = 16 * 1024,
    EVAL_STEPS_MAX = 1 << 24, /* of a query or a subquery */
};

/* Steps start_ms, start_ms + step_ms, …; count >= 1. */
struct grid {
    int64_t start_ms;
    int64_t step_ms;
    uint32_t count;
};

static inline int64_t grid_time(const struct grid *grid, uint32_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

static inline int64_t grid_end(const struct grid *grid)
{
    return grid_time(grid, grid->count - 1);
}

/* Times from queries may be anything: sums stop at the ends of int64 instead of wrapping. */
static inline int64_t time__add(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

static inline int64_t time__subtract(int64_t a, int64_t b)
{
    int64_t difference;
    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

enum scope_kind {
    SCOPE_ROOT,
    SCOPE_SUBQUERY, /* its samples count at the last step of the parent */
    SCOPE_WINDOWS,  /* a subquery whose windows a function takes: these count, its samples do not */
    SCOPE_INVARIANT, /* one step, its samples count at every step of the parent */
    SCOPE_SHARED,    /* its samples count at the same steps of every scope that uses it */
};

struct scope;

struct scope_use {
    struct scope *into;
    struct scope_use *next;
};

/* The steps that a part of the plan is evaluated at, and the samples it read. */
struct scope {
    struct grid grid;
    enum scope_kind kind;
    struct scope *parent;
    struct scope *older; /* all scopes of the query */
    int64_t *queryable;  /* [grid.count] */
    int64_t *read;
    struct scope_use *uses; /* SCOPE_SHARED; one per use */
    uint32_t pending;       /* while rolling up: scopes still to be added to this one */
    bool rolled_up;
};

struct row {
    struct labels labels;
    bool drop_name; /* delayed name removal: the name goes at the end */
    double *values; /* where present and not a histogram */
    uint64_t *present;
    const struct histogram **histograms; /* NULL: floats only; else NULL per float */
};

struct batch {
    struct row *rows;
    uint32_t count; /* 0: the end */
};

struct op;

/* What an operator holds besides its inputs, for the peak of samples. */
enum peak_rule {
    PEAK_STEPS,   /* step by step: the step's inputs and the results so far */
    PEAK_RESULT,  /* its result, the inputs being gone */
    PEAK_WINDOWS, /* the results so far and the last window of every series */
    PEAK_IN_PLACE /* nothing: the result is the input */
};

typedef err_t (*op_next_fn)(struct op *op, struct batch *batch, struct strbuf *why);

/* What every operator begins with. */
struct op {
    op_next_fn next;
    struct eval *eval;
    struct scope *scope;
    const struct expr *expr;
    bool unique; /* no two rows have equal labels */
    bool ended;
    bool scalar_type; /* one dense row without labels */
    /* Samples handed out so far; per step: dense_rows + sparse[step] (NULL: none). */
    int64_t produced;
    int64_t dense_rows;
    int64_t *sparse;
    const double *scalar; /* of op__scalar */
    /* For the peak of samples: the operators whose results are held while this one runs. */
    struct op *inputs[EVAL_INPUTS_MAX];
    uint32_t input_count;
    enum peak_rule peak_rule;
    /* PEAK_WINDOWS: the most that results so far and a window had together, of last windows (what
     * is reported) and of all (what is limited). */
    int64_t window_peak;
    int64_t window_limit;
};

/* Memory and cursors that end with the query. */
struct eval_arena {
    struct arena arena;
    struct eval_arena *older;
};

struct eval_cleanup {
    void (*run)(void *context);
    void *context;
    struct eval_cleanup *older;
};

/* One query while it runs. */
struct eval {
    /* constant */
    const struct query_engine_options *options; /* defaults filled in */
    const struct query_request *request;
    struct str text;
    struct worker_pool *pool;
    uint32_t lane_count;
    int64_t lookback_ms;
    int64_t subquery_step_ms;
    int64_t deadline_ns;       /* monotonic */
    int64_t trial_end_ns;      /* monotonic; INT64_MAX when the request is no trial */
    const atomic_bool *cancel; /* the request's, or NULL */
    const atomic_bool *kill;   /* the engine's */
    _Atomic int64_t *progress; /* samples read so far, for the list of running queries */
    bool delayed_names;
    bool *invariant; /* by expr.ordinal */
    /* common_parts.h; NULL when no part occurs twice */
    const uint32_t *classes;    /* by expr.ordinal */
    const uint32_t *class_uses; /* by class */
    struct shared **shared;     /* by class */

    /* owner thread only */
    struct arena *arena;
    const struct arena *result; /* counts in the budget too */
    struct eval_arena *arenas;
    struct eval_cleanup *cleanups;
    struct scope *scopes;
    struct querier *querier;
    int64_t min_t_ms; /* what the selectors need */
    int64_t max_t_ms;
    int64_t peak_samples;
    int64_t limit_samples; /* as the peak, with what is limited but not reported */
    /* While planning: whether only count and sum of histograms are looked at, and how many parents
     * need their buckets. */
    bool histogram_stats;
    uint32_t histogram_buckets;

    struct annotations annotations; /* has a lock of its own */
    atomic_size_t memory_bytes;     /* sample buffers; arenas are added up when checked */
};

/* ---- eval.c ---- */

/* ERR_CANCELED, ERR_TIMEOUT or OK; any thread. */
err_t eval__check(const struct eval *eval, struct strbuf *why);
/* ERR_LIMIT if the arenas exceed the budget; owner thread. */
err_t eval__check_memory(const struct eval *eval, struct strbuf *why);
err_t eval__too_many_samples(struct strbuf *why);
/* Ends a trial. */
err_t eval__give_up(struct query_trial *trial, struct strbuf *why);
/* Opens the querier over all that the operators built so far need. */
err_t eval__open(struct eval *eval, struct strbuf *why);
/* An arena that is freed with the query. */
struct arena *eval__arena(struct eval *eval);
/* Such an arena that keeps some memory however often it is reset to a mark: for what is needed per
 * row. */
struct arena *eval__scratch(struct eval *eval);
/* Prepares a table at a fixed address that is freed with the query. */
void eval__table(struct eval *eval, struct htable *table);
struct scope *eval__scope(struct eval *eval, enum scope_kind kind, struct scope *parent,
                          struct grid grid);
/* Runs a function when the query ends, newest first. */
void eval__on_end(struct eval *eval, void (*run)(void *context), void *context);
/* Runs the above and frees arenas and annotations. */
void eval__deinit(struct eval *eval);

/* The next batch, counted and checked against the limits. */
err_t op__next(struct op *op, struct batch *batch, struct strbuf *why);
/* The one dense row of a scalar operator; may be called again. */
err_t op__scalar(struct op *op, const double **column, struct strbuf *why);
void op__add_input(struct op *op, struct op *input);
/* Samples of a series' windows: at the last step, and the most at any. */
struct row_windows {
    int64_t last;
    int64_t widest;
};
/* Notes the rows of a batch before they are counted; windows[i] belongs to rows[i]. */
void op__note_windows(struct op *op, const struct batch *batch, const struct row_windows *windows);
int64_t histogram__samples(const struct histogram *h);

#define EVAL_OP(eval, type, next, scope, expr)                                                     \
    ((type *)eval__op((eval), sizeof(type), (next), (scope), (expr)))
/* A zeroed operator of `size` bytes, beginning with a struct op, in the query's arena. */
void *eval__op(struct eval *eval, size_t size, op_next_fn next, struct scope *scope,
               const struct expr *expr);

/* ---- rows.c ---- */

static inline uint32_t bits__words(uint32_t steps)
{
    return (steps + 63) / 64;
}

static inline bool bits__get(const uint64_t *bits, uint32_t i)
{
    return (bits[i >> 6] >> (i & 63)) & 1;
}

static inline void bits__set(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] |= UINT64_C(1) << (i & 63);
}

static inline void bits__clear(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}

/* Steps [from, to); from is a multiple of 64: no two ranges share a word of bits. */
struct step_range {
    uint32_t from;
    uint32_t to;
};

/* The bits of a word of 64 steps that belong to the range. */
static inline uint64_t step_range__mask(struct step_range steps, uint32_t word)
{
    uint32_t left = steps.to - word * 64;
    return left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

static inline const struct histogram *row__histogram(const struct row *row, uint32_t step)
{
    return row->histograms == NULL ? NULL : row->histograms[step];
}

uint32_t bits__count(const uint64_t *bits, uint32_t steps);
/* Sets the first `steps` bits. */
void bits__fill(uint64_t *bits, uint32_t steps);
bool bits__any(const uint64_t *bits, uint32_t steps);
bool bits__overlap(const uint64_t *a, const uint64_t *b, uint32_t steps);

/* An empty row in `arena`: no bit set, values not initialised. */
void row__init(struct row *row, struct arena *arena, uint32_t steps);
/* Puts a histogram into a cell; the column of pointers is made on first use. */
void row__set_histogram(struct row *row, struct arena *arena, uint32_t steps, uint32_t step,
                        const struct histogram *h);
static inline void row__set(struct row *row, uint32_t step, double value)
{
    row->values[step] = value;
    bits__set(row->present, step);
}

/* Rows that are kept. Has a fixed address: its table is freed with the query. */
struct row_set {
    struct arena *arena;
    uint32_t steps;
    struct row *items;
    uint32_t count;
    uint32_t capacity;
    struct htable index; /* by labels */
};
void row_set__init(struct row_set *set, struct eval *eval, uint32_t steps);
/* The row with these labels, made when new; labels are borrowed. The pointer is valid until the
 * next call. */
struct row *row_set__get(struct row_set *set, struct labels labels, bool *created);
/* Appends a deep copy of a row without looking for equal labels. */
struct row *row_set__append(struct row_set *set, const struct row *row);
/* As above, but cells go into the row with equal labels if there is one: ERR_EXECUTION "vector
 * cannot contain metrics with the same labelset" if both have a sample at a step. */
err_t row_set__merge(struct row_set *set, const struct row *row, struct strbuf *why);
/* All rows of an operator; merged by labels unless it is `unique`. */
err_t row_set__collect(struct row_set *set, struct op *op, struct strbuf *why);
err_t rows__same_labelset(struct strbuf *why);

/* ---- names.c ---- */

/* Labels without __name__, __type__ and __unit__; shares strings. */
struct labels names__drop(struct arena *arena, struct labels labels);

/* Sees to it that no two rows of an operator that drops names have equal labels at one step. */
struct name_check {
    struct eval *eval;
    uint32_t steps;
    bool any_step;  /* equal labels are wrong even at different steps */
    bool name_only; /* __type__ and __unit__ stay */
    bool same_name;
    bool tracking; /* false while nothing was added */
    struct str name;
    struct arena *arena;
    struct labels *labels; /* as handed out */
    uint64_t **present;    /* NULL: all steps */
    uint32_t count;
    uint32_t capacity;
    struct htable index;
    uint32_t indexed;
};
void name_check__init(struct name_check *check, struct eval *eval, uint32_t steps, bool any_step);
/* Drops the name of a row: at once, checking for duplicates, or by its flag. */
err_t name_check__drop(struct name_check *check, struct row *row, struct strbuf *why);
/* The name for annotations: empty once it was dropped. */
struct str names__metric(const struct row *row);

/* ---- plan.c ---- */

/* Marks the expressions whose value is the same at every step. */
void plan__mark_invariant(struct eval *eval, struct expr *root, uint32_t node_count);
/* The operator of an expression of type scalar or vector. ERR_INVALID, ERR_EXECUTION,
 * ERR_UNSUPPORTED. */
err_t plan__build(struct eval *eval, struct scope *scope, const struct expr *expr, struct op **op,
                  struct strbuf *why);
/* As above without looking for equal parts, for what is neither a number, nor in parentheses, nor
 * the same at all of several steps. */
err_t plan__build_alone(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why);

/* Whether a selector planned now may leave buckets out. */
static inline bool plan__wants_stats(const struct eval *eval)
{
    return eval->histogram_stats && eval->histogram_buckets == 0;
}

/* ---- operators ---- */

/* The times that a selector looks at. */
struct select_times {
    bool pinned;
    int64_t at_ms;
    int64_t offset_ms;
    int64_t range_ms;  /* 0: instant */
    int64_t before_ms; /* fetched before a window's start (or, instant, the lookback) */
    int64_t after_ms;  /* fetched after its end */
};
static inline int64_t select_times__ref(const struct select_times *times, int64_t t_ms)
{
    return time__subtract(times->pinned ? times->at_ms : t_ms, times->offset_ms);
}
struct select_times select_times__of(const struct time_modifiers *when);

enum select_emit {
    SELECT_VALUE,
    SELECT_TIMESTAMP,       /* of the sample, seconds */
    SELECT_START_TIMESTAMP, /* seconds */
    SELECT_INFO,            /* of the sample, milliseconds; histograms are an error */
};

struct op *op_select__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                             struct str function, enum select_emit emit);
/* All rows go into one group: if it is a selector, their order and labels beside the metric's name
 * may be anything. */
void op_select__fold(struct op *op);
err_t op_number__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        double value, struct op **op);
err_t op_scalar__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why);
err_t op_broadcast__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why);
err_t op_call__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why);
err_t op_range_call__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                            struct op **op, struct strbuf *why);
err_t op_math__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why);
err_t op_time__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why);
err_t op_label__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op **op, struct strbuf *why);
err_t op_sort__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why);
err_t op_absent__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why);
err_t op_histogram__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why);
err_t op_quantile__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                          struct op **op, struct strbuf *why);
err_t op_info__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why);
err_t op_unary__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op **op, struct strbuf *why);
err_t op_binary__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why);
err_t op_match__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op *lhs, struct op *rhs, struct op **op, struct strbuf *why);
err_t op_set__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                     struct op *lhs, struct op *rhs, struct op **op, struct strbuf *why);
err_t op_aggregate__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                           struct op **op, struct strbuf *why);
