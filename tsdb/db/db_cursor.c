/* Cursors: columns of the head and the blocks in order of time.
 *
 * Each source gives its columns in order and without overlap. As long as the earliest column ends
 * before every other begins, it is passed on as it is. Otherwise (blocks that overlap, late
 * samples, a head that was just cut) the overlapping columns are decoded, merged by time, and given
 * out in pieces; which of two samples at one time stays: db__block_precedes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "db_impl.h"
#include "narthex/base/coding.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/histogram_column.h"

struct source {
    uint32_t number; /* block of the view, DB_SOURCE_HEAD or DB_SOURCE_LATE */
    bool active;     /* `info` is a column not given out yet */
    struct sample_column_info info;
    struct block_column_info block_info;
};

struct merged_sample {
    int64_t t_ms;
    int64_t start_t_ms;
    double value;
    struct histogram histogram;
    enum sample_kind kind;
    uint32_t rank; /* higher wins */
};

struct db_cursor {
    struct series_cursor base;
    struct db_querier *querier;
    bool keep_integers;
    bool newest_only;
    struct head_cursor *head;
    struct db_late_source *late;  /* made when first needed */
    uint32_t *block_ranks;        /* likewise; by block number, from 1 */
    struct block_cursor **blocks; /* by block number, made when first needed */
    struct source *sources;
    struct db_member *members;
    uint32_t source_count;
    struct source *current; /* whose column was given out last; NULL: a merged piece or nothing */

    struct merged_sample *merged;
    uint32_t merged_count;
    uint32_t merged_capacity;
    uint32_t merged_from; /* the piece given out last: [merged_from, merged_to) */
    uint32_t merged_to;

    struct arena merge_arena;  /* histograms of merged samples */
    struct arena column_arena; /* of the decoded column */

    /* The end of the last decoded column, which tells whether the next one goes on with its run. */
    struct arena last_arena;
    const struct histogram *last; /* NULL: floats, or nothing decoded */
    uint64_t column_number;       /* of the column given out last */
    uint64_t last_number;         /* of the column that `last` ends */
    int64_t *t_ms;
    int64_t *starts;
    double *values;
    struct histogram *histograms;
};

static struct db_cursor *self_of(struct series_cursor *cursor)
{
    return (struct db_cursor *)cursor;
}

/* ---- sources ---- */

static void take_stats(const struct column_stats *stats, struct sample_column_info *info)
{
    info->has_stats = true;
    info->stats = (struct sample_stats){
        .first = stats->first,
        .last = stats->last,
        .min = stats->min,
        .max = stats->max,
        .drops = (stats->flags & COLUMN_STATS_FALLS) != 0,
        .sum_exact = (stats->flags & COLUMN_STATS_SUM_EXACT) != 0,
        .sum = stats->sum,
    };
}

static err_t advance_head(struct db_cursor *self, struct source *source, struct strbuf *why)
{
    struct column_stats stats;
    TRY(head_cursor_next(self->head, &source->info, &source->active, why));
    if (source->active && head_cursor_stats(self->head, &stats))
        take_stats(&stats, &source->info);
    return OK;
}

static err_t advance(struct db_cursor *self, struct source *source, struct strbuf *why)
{
    if (source->number == DB_SOURCE_HEAD)
        return advance_head(self, source, why);
    if (source->number == DB_SOURCE_LATE) {
        source->active = db__late_source_next(self->late, &source->info);
        return OK;
    }
    struct block_cursor *cursor = self->blocks[source->number];
    struct block_column_info *block_info = &source->block_info;
    TRY(block_cursor_next(cursor, block_info, &source->active, why));
    if (!source->active)
        return OK;
    source->info = (struct sample_column_info){
        .kind = block_info->kind == BLOCK_COLUMN_FLOAT ? SAMPLES_FLOAT : SAMPLES_HISTOGRAM,
        .count = block_info->count,
        .first_t_ms = block_info->first_t_ms,
        .last_t_ms = block_info->last_t_ms,
    };
    if (block_info->has_stats) {
        struct column_stats stats;
        TRY(block_cursor_stats(cursor, &stats, why));
        take_stats(&stats, &source->info);
    }
    return OK;
}

static err_t start_source(struct db_cursor *self, struct source *source, struct db_member member,
                          int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    source->number = member.source;
    if (member.source == DB_SOURCE_HEAD) {
        if (self->head == NULL) {
            self->head = head_cursor_create(&self->querier->head);
            if (!self->keep_integers)
                head_cursor_prefer_floats(self->head);
            if (self->newest_only)
                head_cursor_newest_only(self->head);
        }
        head_cursor_seek(self->head, member.ordinal, min_t_ms, max_t_ms);
    } else if (member.source == DB_SOURCE_LATE) {
        if (self->late == NULL)
            self->late = db__late_source_create();
        db__late_source_seek(self->late, &self->querier->head, member.ordinal, min_t_ms, max_t_ms);
    } else {
        const struct db_block *block = self->querier->view->blocks[member.source];
        if (self->blocks[member.source] == NULL) {
            self->blocks[member.source] = block_cursor_create(block->handle->block);
            block_cursor_set_tombstones(self->blocks[member.source], block->tombstones);
        }
        TRY(block_cursor_seek(self->blocks[member.source], member.ordinal, min_t_ms, max_t_ms,
                              why));
    }
    return advance(self, source, why);
}

/* ---- decoding one source ---- */

static err_t decode_block_histograms(struct db_cursor *self, const struct block_column_data *data,
                                     struct strbuf *why)
{
    if (data->encoded_count > COLUMN_ROWS_MAX || data->count > data->encoded_count)
        return err_fail(why, ERR_CORRUPT, "a column holds too many histograms");
    TRY(histogram_column_decode(data->bytes, data->size, data->encoded_count, !self->keep_integers,
                                &self->column_arena, self->histograms, why));
    for (uint32_t i = 0; data->encoded_index != NULL && i < data->count; i++)
        self->histograms[i] = self->histograms[data->encoded_index[i]];
    return OK;
}

static err_t decode_block(struct db_cursor *self, const struct source *source,
                          struct sample_column *column, struct strbuf *why)
{
    struct block_column_data data;
    TRY(block_cursor_decode(self->blocks[source->number], &data, why));
    *column = (struct sample_column){
        .kind = source->info.kind,
        .count = data.count,
        .t_ms = data.t_ms,
        .step_ms = data.step_ms,
        .values = data.values,
        .start_t_ms = data.start_t_ms,
    };
    if (column->kind == SAMPLES_FLOAT)
        return OK;
    column->values = NULL;
    column->histograms = self->histograms;
    return decode_block_histograms(self, &data, why);
}

/* Most cursors never meet a histogram: their array is made when one comes. */
static void need_histograms(struct db_cursor *self)
{
    if (self->histograms == NULL)
        self->histograms = MEM_NEW_ARRAY(MEM_QUERY, struct histogram, COLUMN_ROWS_MAX);
}

static err_t decode_source(struct db_cursor *self, const struct source *source,
                           struct sample_column *column, struct strbuf *why)
{
    arena_deinit(&self->column_arena);
    if (source->info.kind == SAMPLES_HISTOGRAM)
        need_histograms(self);
    if (source->number == DB_SOURCE_HEAD)
        TRY(head_cursor_decode(self->head, column, why));
    else if (source->number == DB_SOURCE_LATE)
        TRY(db__late_source_decode(self->late, column, why));
    else
        TRY(decode_block(self, source, column, why));
    if (column->kind == SAMPLES_FLOAT)
        return OK;
    for (uint32_t i = 0; i < column->count; i++) {
        self->histograms[i] = column->histograms[i];
        if (self->histograms[i].kind == HISTOGRAM_INTEGER && !self->keep_integers)
            self->histograms[i] = *histogram_to_float(&self->column_arena, &column->histograms[i]);
    }
    column->histograms = self->histograms;
    return OK;
}

/* What the writer said of resets held for its own order of samples. Readers get what the samples
 * themselves say: a counter goes on from the sample before, or nothing is known. */
static void set_hints(struct db_cursor *self, const struct sample_column *column)
{
    const struct histogram *before =
        self->last_number + 1 == self->column_number ? self->last : NULL;
    for (uint32_t i = 0; column->kind == SAMPLES_HISTOGRAM && i < column->count; i++) {
        struct histogram *histogram = &self->histograms[i];
        if (histogram->hint != HISTOGRAM_HINT_GAUGE) {
            bool goes_on = before != NULL && histogram_continues_run(before, histogram);
            histogram->hint = goes_on ? HISTOGRAM_HINT_NOT_RESET : HISTOGRAM_HINT_UNKNOWN;
        }
        before = histogram;
    }
    self->last_number = self->column_number;
    if (column->kind == SAMPLES_FLOAT) {
        self->last = NULL;
        return;
    }
    struct arena kept;
    arena_init(&kept, MEM_QUERY, SIZE_MAX);
    self->last = histogram_copy(&kept, before);
    arena_deinit(&self->last_arena);
    self->last_arena = kept;
}

/* ---- merging ---- */

/* Late samples of the head first, then blocks, then the head. */
static uint32_t rank_of(struct db_cursor *self, const struct source *source)
{
    const struct db_view *view = self->querier->view;
    if (source->number == DB_SOURCE_LATE)
        return 0;
    if (source->number == DB_SOURCE_HEAD)
        return view->block_count + 1;
    if (self->block_ranks == NULL) {
        self->block_ranks = MEM_NEW_ARRAY(MEM_QUERY, uint32_t, view->block_count);
        for (uint32_t i = 0; i < view->block_count; i++) {
            self->block_ranks[i] = 1;
            for (uint32_t j = 0; j < view->block_count; j++)
                self->block_ranks[i] += db__block_precedes(view->blocks[i], view->blocks[j]);
        }
    }
    return self->block_ranks[source->number];
}

static void add_merged(struct db_cursor *self, const struct source *source,
                       const struct sample_column *column)
{
    for (uint32_t i = 0; i < column->count; i++) {
        struct merged_sample sample = {
            .t_ms = column->t_ms[i],
            .start_t_ms = column->start_t_ms == NULL ? 0 : column->start_t_ms[i],
            .kind = column->kind,
            .rank = rank_of(self, source),
        };
        if (column->kind == SAMPLES_FLOAT)
            sample.value = column->values[i];
        else
            sample.histogram = *histogram_copy(&self->merge_arena, &column->histograms[i]);
        VEC_PUSH(MEM_QUERY, self->merged, self->merged_count, self->merged_capacity, sample);
    }
}

static int by_time_and_rank(const void *a, const void *b)
{
    const struct merged_sample *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->rank > y->rank ? -1 : x->rank < y->rank;
}

static struct source *earliest(struct db_cursor *self)
{
    struct source *first = NULL;
    for (uint32_t i = 0; i < self->source_count; i++) {
        struct source *source = &self->sources[i];
        if (source->active && (first == NULL || source->info.first_t_ms < first->info.first_t_ms))
            first = source;
    }
    return first;
}

static bool overlaps_another(const struct db_cursor *self, const struct source *first)
{
    for (uint32_t i = 0; i < self->source_count; i++) {
        const struct source *source = &self->sources[i];
        if (source != first && source->active && source->info.first_t_ms <= first->info.last_t_ms)
            return true;
    }
    return false;
}

/* Decodes the earliest column and all that overlap it, directly or through others. */
static err_t merge_overlap(struct db_cursor *self, struct strbuf *why)
{
    self->merged_count = 0;
    self->merged_from = 0;
    self->merged_to = 0;
    arena_deinit(&self->merge_arena);
    int64_t end_t_ms = INT64_MIN;
    for (;;) {
        struct source *source = earliest(self);
        if (source == NULL || (self->merged_count > 0 && source->info.first_t_ms > end_t_ms))
            break;
        struct sample_column column;
        TRY(decode_source(self, source, &column, why));
        add_merged(self, source, &column);
        if (source->info.last_t_ms > end_t_ms)
            end_t_ms = source->info.last_t_ms;
        TRY(advance(self, source, why));
    }
    qsort(self->merged, self->merged_count, sizeof *self->merged, by_time_and_rank);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->merged_count; i++) {
        if (kept == 0 || self->merged[kept - 1].t_ms != self->merged[i].t_ms)
            self->merged[kept++] = self->merged[i];
    }
    self->merged_count = kept;
    return OK;
}

/* The next piece of what was merged: one kind, at most a column's rows. */
static bool next_piece(struct db_cursor *self, struct sample_column_info *info)
{
    if (self->merged_to >= self->merged_count)
        return false;
    uint32_t from = self->merged_to, to = from;
    while (to < self->merged_count && to - from < COLUMN_ROWS_MAX &&
           self->merged[to].kind == self->merged[from].kind)
        to++;
    self->merged_from = from;
    self->merged_to = to;
    self->current = NULL;
    *info = (struct sample_column_info){
        .kind = self->merged[from].kind,
        .count = to - from,
        .first_t_ms = self->merged[from].t_ms,
        .last_t_ms = self->merged[to - 1].t_ms,
    };
    return true;
}

static void decode_piece(struct db_cursor *self, struct sample_column *column)
{
    const struct merged_sample *from = &self->merged[self->merged_from];
    uint32_t count = self->merged_to - self->merged_from;
    bool starts = false;
    if (from[0].kind == SAMPLES_HISTOGRAM)
        need_histograms(self);
    for (uint32_t i = 0; i < count; i++) {
        self->t_ms[i] = from[i].t_ms;
        self->starts[i] = from[i].start_t_ms;
        self->values[i] = from[i].value;
        if (from[0].kind == SAMPLES_HISTOGRAM)
            self->histograms[i] = from[i].histogram;
        starts = starts || from[i].start_t_ms != 0;
    }
    *column = (struct sample_column){
        .kind = from[0].kind,
        .count = count,
        .t_ms = self->t_ms,
        .values = from[0].kind == SAMPLES_FLOAT ? self->values : NULL,
        .histograms = from[0].kind == SAMPLES_HISTOGRAM ? self->histograms : NULL,
        .start_t_ms = starts ? self->starts : NULL,
    };
}

/* ---- the interface ---- */

static err_t cursor_op_seek(struct series_cursor *cursor, const struct series *series,
                            int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    struct db_cursor *self = self_of(cursor);
    self->current = NULL;
    self->last = NULL;
    self->merged_count = 0;
    self->merged_to = 0;
    self->source_count = 0;
    uint32_t count = db__querier_members(self->querier, series->position, self->members);
    if (count > 0 && self->members[count - 1].source == DB_SOURCE_HEAD &&
        head_late_has(&self->querier->head, self->members[count - 1].ordinal)) {
        self->members[count] = (struct db_member){DB_SOURCE_LATE, self->members[count - 1].ordinal};
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct source *source = &self->sources[i];
        source->active = false;
        self->source_count = i + 1;
        TRY(start_source(self, source, self->members[i], min_t_ms, max_t_ms, why));
    }
    return OK;
}

static err_t cursor_op_next(struct series_cursor *cursor, struct sample_column_info *info,
                            bool *found, struct strbuf *why)
{
    struct db_cursor *self = self_of(cursor);
    *found = true;
    self->column_number++;
    if (next_piece(self, info))
        return OK;
    if (self->current != NULL)
        TRY(advance(self, self->current, why));
    struct source *first = earliest(self);
    self->current = first;
    if (first == NULL) {
        *found = false;
        return OK;
    }
    if (overlaps_another(self, first)) {
        TRY(merge_overlap(self, why));
        *found = next_piece(self, info);
        assert(*found);
        return OK;
    }
    *info = first->info;
    return OK;
}

static err_t cursor_op_decode(struct series_cursor *cursor, struct sample_column *column,
                              struct strbuf *why)
{
    struct db_cursor *self = self_of(cursor);
    if (self->current != NULL) {
        TRY(decode_source(self, self->current, column, why));
    } else {
        assert(self->merged_to > self->merged_from);
        decode_piece(self, column);
    }
    set_hints(self, column);
    return OK;
}

static void cursor_op_close(struct series_cursor *cursor)
{
    struct db_cursor *self = self_of(cursor);
    for (uint32_t i = 0; i < self->querier->view->block_count; i++) {
        if (self->blocks[i] != NULL)
            block_cursor_destroy(self->blocks[i]);
    }
    if (self->head != NULL)
        head_cursor_destroy(self->head);
    if (self->late != NULL)
        db__late_source_destroy(self->late);
    mem_free(MEM_QUERY, self->block_ranks);
    arena_deinit(&self->merge_arena);
    arena_deinit(&self->column_arena);
    arena_deinit(&self->last_arena);
    mem_free(MEM_QUERY, self->blocks);
    mem_free(MEM_QUERY, self->sources);
    mem_free(MEM_QUERY, self->members);
    mem_free(MEM_QUERY, self->merged);
    mem_free(MEM_QUERY, self->t_ms);
    mem_free(MEM_QUERY, self->starts);
    mem_free(MEM_QUERY, self->values);
    mem_free(MEM_QUERY, self->histograms);
    mem_free(MEM_QUERY, self);
}

static const struct series_cursor_ops db_cursor_ops = {
    .seek = cursor_op_seek,
    .next = cursor_op_next,
    .decode = cursor_op_decode,
    .close = cursor_op_close,
};

err_t db__cursor_open(struct querier *querier, const struct select_hints *hints,
                      struct series_cursor **cursor, struct strbuf *why)
{
    (void)why;
    struct db_querier *owner = (struct db_querier *)querier;
    uint32_t source_max = owner->view->block_count + 2;
    struct db_cursor *self = MEM_NEW(MEM_QUERY, struct db_cursor);
    self->base.ops = &db_cursor_ops;
    self->querier = owner;
    self->keep_integers = hints != NULL && hints->keep_integers;
    self->newest_only = hints != NULL && hints->newest_only;
    self->blocks = MEM_NEW_ARRAY(MEM_QUERY, struct block_cursor *, source_max);
    self->sources = MEM_NEW_ARRAY(MEM_QUERY, struct source, source_max);
    self->members = MEM_NEW_ARRAY(MEM_QUERY, struct db_member, source_max);
    self->t_ms = MEM_NEW_ARRAY(MEM_QUERY, int64_t, COLUMN_ROWS_MAX);
    self->starts = MEM_NEW_ARRAY(MEM_QUERY, int64_t, COLUMN_ROWS_MAX);
    self->values = MEM_NEW_ARRAY(MEM_QUERY, double, COLUMN_ROWS_MAX);
    arena_init(&self->merge_arena, MEM_QUERY, SIZE_MAX);
    arena_init(&self->column_arena, MEM_QUERY, SIZE_MAX);
    arena_init(&self->last_arena, MEM_QUERY, SIZE_MAX);
    *cursor = &self->base;
    return OK;
}
