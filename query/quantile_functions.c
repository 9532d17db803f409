/* histogram_quantile, histogram_quantiles and histogram_fraction, over classic buckets and native
 * histograms. A group is a label set without le; it may be made of bucket series, or of one series
 * of native histograms. */
#include <math.h>
#include <string.h>

#include "classic_histogram.h"
#include "eval.h"
#include "narthex/base/number.h"
#include "narthex/model/histogram_math.h"

enum {
    QUANTILE_PARAMS_MAX = 10,
    QUANTILE_SLICE_STEPS = 256,     /* of a group, taken by one thread; a multiple of 64 */
    QUANTILE_CELLS_MIN = 32 * 1024, /* of all buckets, below which one thread is done sooner */
};

struct quantile_row {
    uint32_t next; /* of the group; UINT32_MAX: end */
    double upper;  /* le */
    bool valid;    /* le is a number */
};

struct quantile_group {
    struct labels labels;
    bool drop_name;
    uint32_t first_bucket; /* rows as buckets, in order */
    uint32_t last_bucket;
    uint32_t bucket_count;
    bool sliced;     /* float buckets only: steps may be computed by any thread */
    uint32_t native; /* row whose own labels these are */
    uint32_t result; /* row of `out` when there is one quantile; UINT32_MAX: none yet */
};

/* What one thread works with. */
struct quantile_lane {
    struct classic_bucket *buckets; /* of a group at a step; room for those of the largest one */
    struct classic_bucket *ordered; /* likewise; their bounds stay for a slice */
    const struct row **rows;        /* of the group being computed */
    err_t err;
    struct strbuf why;
};

struct quantile_op {
    struct op op;
    struct op *child;
    enum function_id id;
    uint32_t position; /* of the vector */
    struct str label;  /* histogram_quantiles */
    struct op *params[QUANTILE_PARAMS_MAX];
    const double *columns[QUANTILE_PARAMS_MAX];
    uint32_t positions[QUANTILE_PARAMS_MAX];
    uint32_t param_count;
    struct row_set rows;
    struct quantile_row *row_info;
    uint32_t row_info_capacity;
    struct quantile_group *groups;
    uint32_t group_count;
    uint32_t group_capacity;
    struct htable index;
    struct quantile_lane *lanes;
    uint32_t group_buckets_max;
    struct row_set out;
    struct name_check names;
    struct label_builder builder;
    struct arena *scratch;
    bool done;
};

static struct annotations *annotations_of(const struct quantile_op *quantile)
{
    return &quantile->op.eval->annotations;
}

static struct str name_for_annotation(const struct quantile_op *quantile, struct labels labels)
{
    return quantile->op.eval->delayed_names ? labels_get(labels, LABEL_NAME)
                                            : (struct str){NULL, 0};
}

/* ---- grouping ---- */

static bool group_equal(const void *owner, uint32_t item, const void *key)
{
    const struct quantile_op *quantile = owner;
    return labels_equal(quantile->groups[item].labels, *(const struct labels *)key);
}

static void *grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    uint32_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = arena_alloc(arena, wanted * size);
    if (count > 0)
        memcpy(grown, items, count * size);
    *capacity = wanted;
    return grown;
}

static struct quantile_group *find_group(struct quantile_op *quantile, const struct row *row,
                                         struct labels labels)
{
    uint64_t hash = labels_hash(labels);
    uint32_t at = htable_find(&quantile->index, hash, group_equal, quantile, &labels);
    if (at == HTABLE_NONE) {
        struct arena *arena = quantile->rows.arena;
        quantile->groups = grow(arena, quantile->groups, quantile->group_count,
                                &quantile->group_capacity, sizeof *quantile->groups);
        at = quantile->group_count++;
        quantile->groups[at] = (struct quantile_group){
            .labels = labels_copy_shallow(arena, labels),
            .first_bucket = UINT32_MAX,
            .last_bucket = UINT32_MAX,
            .native = UINT32_MAX,
            .result = UINT32_MAX,
        };
        htable_insert(&quantile->index, hash, at);
    }
    quantile->groups[at].drop_name = quantile->groups[at].drop_name || row->drop_name;
    return &quantile->groups[at];
}

static bool has_kind(const struct row *row, uint32_t steps, bool histogram)
{
    if (row->histograms == NULL)
        return !histogram && bits__any(row->present, steps);
    for (uint32_t i = 0; i < steps; i++) {
        if (bits__get(row->present, i) && (row__histogram(row, i) != NULL) == histogram)
            return true;
    }
    return false;
}

static void warn_bad_le(struct quantile_op *quantile, struct labels labels, struct str le)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "bucket label \"le\" is missing or has a malformed value of ");
    strbuf_add_quoted(&text, le);
    annotations__warn_for(annotations_of(quantile), quantile->position, strbuf_cstr(&text),
                          name_for_annotation(quantile, labels));
    strbuf_deinit(&text);
}

static void add_bucket_row(struct quantile_op *quantile, const struct row *row, uint32_t at)
{
    struct quantile_row *info = &quantile->row_info[at];
    struct str le = labels_get(row->labels, STR("le"));
    bool range;
    if (!number_parse(le, &info->upper, &range)) {
        warn_bad_le(quantile, row->labels, le);
        return;
    }
    label_builder_reset(&quantile->builder, row->labels);
    label_builder_remove(&quantile->builder, STR("le"));
    struct quantile_group *group =
        find_group(quantile, row, label_builder_labels(&quantile->builder));
    if (group->first_bucket == UINT32_MAX)
        group->first_bucket = at;
    else
        quantile->row_info[group->last_bucket].next = at;
    group->last_bucket = at;
    group->sliced = (group->bucket_count == 0 || group->sliced) && row->histograms == NULL;
    if (++group->bucket_count > quantile->group_buckets_max)
        quantile->group_buckets_max = group->bucket_count;
}

static void add_row(struct quantile_op *quantile, const struct row *row)
{
    uint32_t steps = quantile->rows.steps;
    uint32_t at = quantile->rows.count;
    quantile->row_info = grow(quantile->rows.arena, quantile->row_info, at,
                              &quantile->row_info_capacity, sizeof *quantile->row_info);
    quantile->row_info[at] = (struct quantile_row){.next = UINT32_MAX};
    row_set__append(&quantile->rows, row);
    if (has_kind(row, steps, false))
        add_bucket_row(quantile, row, at);
    if (has_kind(row, steps, true))
        find_group(quantile, row, row->labels)->native = at;
}

static err_t collect(struct quantile_op *quantile, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(quantile->child, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            if (bits__any(batch.rows[i].present, quantile->rows.steps))
                add_row(quantile, &batch.rows[i]);
        }
    }
}

/* Puts the rows of a group in order of their bounds, equal ones as they came. Bounds are few: by
 * insertion. */
static void order_buckets(struct quantile_op *quantile, struct quantile_group *group)
{
    struct quantile_row *info = quantile->row_info;
    uint32_t left = group->first_bucket;
    group->first_bucket = UINT32_MAX;
    group->last_bucket = UINT32_MAX;
    while (left != UINT32_MAX) {
        uint32_t row = left;
        left = info[row].next;
        bool is_last =
            group->last_bucket != UINT32_MAX && !(info[row].upper < info[group->last_bucket].upper);
        uint32_t *at = is_last ? &info[group->last_bucket].next : &group->first_bucket;
        while (*at != UINT32_MAX && !(info[row].upper < info[*at].upper))
            at = &info[*at].next;
        info[row].next = *at;
        *at = row;
        if (info[row].next == UINT32_MAX)
            group->last_bucket = row;
    }
}

/* ---- one group at one step ---- */

/* The group's samples at a step. */
struct group_step {
    struct quantile_group *group;
    uint32_t step;
    struct classic_bucket *buckets;
    uint32_t bucket_count;
    const struct histogram *native;
};

static void gather(struct quantile_op *quantile, struct group_step *at)
{
    at->bucket_count = 0;
    at->native = NULL;
    for (uint32_t r = at->group->first_bucket; r != UINT32_MAX; r = quantile->row_info[r].next) {
        const struct row *row = &quantile->rows.items[r];
        if (!bits__get(row->present, at->step) || row__histogram(row, at->step) != NULL)
            continue;
        at->buckets[at->bucket_count++] =
            (struct classic_bucket){quantile->row_info[r].upper, row->values[at->step]};
    }
    if (at->group->native == UINT32_MAX)
        return;
    const struct row *row = &quantile->rows.items[at->group->native];
    if (bits__get(row->present, at->step))
        at->native = row__histogram(row, at->step);
}

static void note_remark(struct quantile_op *quantile, const struct group_step *at,
                        struct histogram_remark remark)
{
    struct str name = name_for_annotation(quantile, at->group->labels);
    if (remark.nan_result)
        annotations__info_for(annotations_of(quantile), quantile->position,
                              "input to histogram_quantile has NaN observations, result is NaN",
                              name);
    if (remark.nan_skewed)
        annotations__info_for(
            annotations_of(quantile), quantile->position,
            "input to histogram_quantile has NaN observations, result is skewed higher", name);
    if (remark.nan_ignored)
        annotations__info_for(annotations_of(quantile), quantile->position,
                              "input to histogram_fraction has NaN observations, which are "
                              "excluded from all fractions",
                              name);
}

static void note_fix(struct quantile_op *quantile, const struct group_step *at,
                     const struct classic_fix *fix)
{
    if (!fix->forced)
        return;
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "input to histogram_quantile needed to be fixed for monotonicity (see "
                           "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                           "#histogram_quantile)");
    struct str name = name_for_annotation(quantile, at->group->labels);
    if (name.size > 0) {
        strbuf_add_cstr(&text, " for metric name ");
        strbuf_add_quoted(&text, name);
    }
    int64_t t_ms = grid_time(&quantile->op.scope->grid, at->step);
    struct annotation annotation = {
        .text = strbuf_str(&text),
        .offset = quantile->position,
        .samples = 1,
        .t_min_ms = t_ms,
        .t_max_ms = t_ms,
        .bucket_min = fix->bucket_min,
        .bucket_max = fix->bucket_max,
        .difference_max = fix->difference_max,
    };
    annotations__add(annotations_of(quantile), &annotation);
    strbuf_deinit(&text);
}

static double quantile_at(struct quantile_op *quantile, const struct group_step *at, double q)
{
    if (at->native != NULL) {
        struct histogram_remark remark;
        struct arena_mark mark = arena_mark(quantile->scratch);
        double v = histogram_quantile_of(quantile->scratch, at->native, q, &remark);
        arena_reset_to(quantile->scratch, mark);
        note_remark(quantile, at, remark);
        return v;
    }
    struct classic_fix fix;
    double v = classic_histogram__quantile(q, at->buckets, at->bucket_count, &fix);
    note_fix(quantile, at, &fix);
    return v;
}

static double fraction_at(struct quantile_op *quantile, const struct group_step *at)
{
    double lower = quantile->columns[0][at->step];
    double upper = quantile->columns[1][at->step];
    if (at->native == NULL)
        return classic_histogram__fraction(lower, upper, at->buckets, at->bucket_count);
    struct histogram_remark remark;
    struct arena_mark mark = arena_mark(quantile->scratch);
    double v = histogram_fraction_of(quantile->scratch, at->native, lower, upper, &remark);
    arena_reset_to(quantile->scratch, mark);
    note_remark(quantile, at, remark);
    return v;
}

/* ---- results ---- */

static struct row *result_row(struct quantile_op *quantile, struct quantile_group *group,
                              const double *q)
{
    if (q == NULL && group->result != UINT32_MAX)
        return &quantile->out.items[group->result];
    struct labels labels = group->labels;
    if (q != NULL) {
        char text[NUMBER_TEXT_MAX];
        struct str value = str_from(text, number_format_openmetrics(*q, text));
        label_builder_reset(&quantile->builder, labels);
        label_builder_set(&quantile->builder, quantile->label,
                          arena_str(quantile->out.arena, value));
        labels = label_builder_labels(&quantile->builder);
    }
    bool created;
    struct row *row = row_set__get(&quantile->out, labels, &created);
    if (created) {
        row->labels = labels_copy_shallow(quantile->out.arena, labels);
        row->drop_name = group->drop_name;
    }
    if (q == NULL)
        group->result = (uint32_t)(row - quantile->out.items);
    return row;
}

static void compute_step(struct quantile_op *quantile, struct group_step *at)
{
    gather(quantile, at);
    if (at->native != NULL && at->bucket_count > 0) {
        annotations__warn_for(annotations_of(quantile), quantile->position,
                              "vector contains a mix of classic and native histograms",
                              name_for_annotation(quantile, at->group->labels));
        return;
    }
    if (at->native == NULL && at->bucket_count == 0)
        return;
    if (quantile->id == FUNCTION_HISTOGRAM_FRACTION) {
        row__set(result_row(quantile, at->group, NULL), at->step, fraction_at(quantile, at));
        return;
    }
    for (uint32_t p = 0; p < quantile->param_count; p++) {
        if (p > 0)
            gather(quantile, at); /* a quantile reorders the buckets */
        double q = quantile->columns[p][at->step];
        double v = quantile_at(quantile, at, q);
        bool many = quantile->id == FUNCTION_HISTOGRAM_QUANTILES;
        row__set(result_row(quantile, at->group, many ? &q : NULL), at->step, v);
    }
}

/* ---- slices: one quantile of float buckets, by several threads ---- */

struct quantile_job {
    struct quantile_op *quantile;
    uint32_t slices;  /* of a group */
    atomic_uint next; /* slice of all groups */
};

/* Whether the bounds need no order and no merging; notes the rows. */
static bool begin_slice(const struct quantile_op *quantile, const struct quantile_group *group,
                        struct quantile_lane *lane)
{
    bool ordered = true;
    uint32_t count = 0;
    for (uint32_t r = group->first_bucket; r != UINT32_MAX; r = quantile->row_info[r].next) {
        double upper = quantile->row_info[r].upper;
        ordered = ordered && (count == 0 || lane->ordered[count - 1].upper < upper);
        lane->ordered[count].upper = upper;
        lane->rows[count++] = &quantile->rows.items[r];
    }
    return ordered && lane->ordered[count - 1].upper == INFINITY;
}

/* The steps of a word at which all buckets are there. */
static void compute_dense(struct quantile_op *quantile, struct quantile_lane *lane,
                          struct group_step *at, uint32_t end)
{
    struct row *out = &quantile->out.items[at->group->result];
    uint32_t count = at->group->bucket_count;
    for (; at->step < end; at->step++) {
        for (uint32_t i = 0; i < count; i++)
            lane->ordered[i].count = lane->rows[i]->values[at->step];
        struct classic_fix fix;
        double v = classic_histogram__ordered_quantile(quantile->columns[0][at->step],
                                                       lane->ordered, count, &fix);
        note_fix(quantile, at, &fix);
        row__set(out, at->step, v);
    }
}

static void compute_slice(struct quantile_op *quantile, struct quantile_lane *lane,
                          struct quantile_group *group, struct step_range steps)
{
    struct group_step at = {.group = group, .buckets = lane->buckets, .step = steps.from};
    bool ordered = begin_slice(quantile, group, lane);
    for (uint32_t word = steps.from / 64; at.step < steps.to; word++) {
        uint64_t wanted = step_range__mask(steps, word);
        uint64_t present = wanted;
        for (uint32_t i = 0; i < group->bucket_count; i++)
            present &= lane->rows[i]->present[word];
        uint32_t end = at.step + (uint32_t)__builtin_popcountll(wanted);
        if (ordered && present == wanted)
            compute_dense(quantile, lane, &at, end);
        for (; at.step < end; at.step++)
            compute_step(quantile, &at);
    }
}

static void run_lane(void *context, uint32_t index)
{
    struct quantile_job *job = context;
    struct quantile_op *quantile = job->quantile;
    struct quantile_lane *lane = &quantile->lanes[index];
    uint32_t count = job->slices * quantile->group_count;
    for (;;) {
        uint32_t at = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (at >= count)
            return;
        struct quantile_group *group = &quantile->groups[at / job->slices];
        if (!group->sliced)
            continue;
        lane->err = eval__check(quantile->op.eval, &lane->why);
        if (lane->err != OK)
            return;
        uint32_t from = at % job->slices * QUANTILE_SLICE_STEPS;
        uint32_t left = quantile->rows.steps - from;
        uint32_t taken = left < QUANTILE_SLICE_STEPS ? left : QUANTILE_SLICE_STEPS;
        compute_slice(quantile, lane, group, (struct step_range){from, from + taken});
    }
}

static uint32_t open_lanes(struct quantile_op *quantile)
{
    struct arena *arena = quantile->rows.arena;
    uint64_t cells = (uint64_t)quantile->rows.count * quantile->rows.steps;
    uint32_t count = cells < QUANTILE_CELLS_MIN ? 1 : quantile->op.eval->lane_count;
    size_t room = (size_t)quantile->group_buckets_max + 1;
    quantile->lanes = ARENA_NEW_ARRAY(arena, struct quantile_lane, count);
    for (uint32_t i = 0; i < count; i++) {
        struct quantile_lane *lane = &quantile->lanes[i];
        lane->buckets = arena_alloc(arena, room * sizeof *lane->buckets);
        lane->ordered = arena_alloc(arena, room * sizeof *lane->ordered);
        lane->rows = arena_alloc(arena, room * sizeof *lane->rows);
    }
    return count;
}

static err_t compute_slices(struct quantile_op *quantile, uint32_t lane_count, struct strbuf *why)
{
    struct quantile_job job = {
        .quantile = quantile,
        .slices = (quantile->rows.steps + QUANTILE_SLICE_STEPS - 1) / QUANTILE_SLICE_STEPS,
    };
    worker_pool_run(lane_count > 1 ? quantile->op.eval->pool : NULL, lane_count, run_lane, &job);
    err_t err = OK;
    for (uint32_t i = 0; i < lane_count; i++) {
        struct quantile_lane *lane = &quantile->lanes[i];
        if (err == OK && lane->err != OK)
            err = err_fail(why, lane->err, "%s", strbuf_cstr(&lane->why));
        strbuf_deinit(&lane->why);
    }
    return err;
}

/* ---- driver ---- */

static void check_quantiles(struct quantile_op *quantile)
{
    if (quantile->id == FUNCTION_HISTOGRAM_FRACTION)
        return;
    for (uint32_t p = 0; p < quantile->param_count; p++) {
        for (uint32_t i = 0; i < quantile->rows.steps; i++) {
            double q = quantile->columns[p][i];
            if (!(q >= 0 && q <= 1))
                annotations__invalid_quantile(annotations_of(quantile), quantile->positions[p], q);
        }
    }
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct quantile_op *quantile = (struct quantile_op *)op;
    if (quantile->done)
        return OK;
    quantile->done = true;
    for (uint32_t p = 0; p < quantile->param_count; p++)
        TRY(op__scalar(quantile->params[p], &quantile->columns[p], why));
    check_quantiles(quantile);
    TRY(collect(quantile, why));
    uint32_t lane_count = open_lanes(quantile);
    for (uint32_t g = 0; g < quantile->group_count; g++) {
        TRY(eval__check(op->eval, why));
        struct group_step at = {.group = &quantile->groups[g],
                                .buckets = quantile->lanes[0].buckets};
        order_buckets(quantile, at.group);
        at.group->sliced = at.group->sliced && at.group->native == UINT32_MAX &&
                           quantile->id == FUNCTION_HISTOGRAM_QUANTILE;
        if (at.group->sliced)
            result_row(quantile, at.group, NULL); /* its row, made while one thread is at work */
        for (; !at.group->sliced && at.step < quantile->rows.steps; at.step++)
            compute_step(quantile, &at);
    }
    TRY(compute_slices(quantile, lane_count, why));
    for (uint32_t i = 0; i < quantile->out.count; i++)
        TRY(name_check__drop(&quantile->names, &quantile->out.items[i], why));
    *batch = (struct batch){quantile->out.items, quantile->out.count};
    return OK;
}

static void free_builder(void *context)
{
    label_builder_deinit(context);
}

err_t op_quantile__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                          struct op **op, struct strbuf *why)
{
    struct quantile_op *quantile = EVAL_OP(eval, struct quantile_op, next, scope, expr);
    const struct call *call = &expr->call;
    quantile->id = call->function->id;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        struct expr *arg = expr_strip_parens(call->args[i]);
        if (arg->type == EXPR_TYPE_STRING) {
            quantile->label = arg->string;
        } else if (arg->type == EXPR_TYPE_VECTOR) {
            quantile->position = arg->start;
            eval->histogram_buckets++;
            TRY(plan__build(eval, scope, arg, &quantile->child, why));
            eval->histogram_buckets--;
        } else {
            quantile->positions[quantile->param_count] = arg->start;
            TRY(plan__build(eval, scope, arg, &quantile->params[quantile->param_count], why));
            op__add_input(&quantile->op, quantile->params[quantile->param_count++]);
        }
    }
    op__add_input(&quantile->op, quantile->child);
    row_set__init(&quantile->rows, eval, scope->grid.count);
    row_set__init(&quantile->out, eval, scope->grid.count);
    eval__table(eval, &quantile->index);
    eval__on_end(eval, free_builder, &quantile->builder);
    quantile->scratch = eval__scratch(eval);
    name_check__init(&quantile->names, eval, scope->grid.count, false);
    quantile->op.unique = eval->delayed_names;
    *op = &quantile->op;
    return OK;
}
