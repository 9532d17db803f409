/* Commits: places for samples, the log record, the rows, visibility. */
#include "head_late.h"

#include <stdlib.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"

enum { MOVES_BEFORE_SHARED = 2, SERIES_BODY_BYTES = 1 << 24 };

static_assert(SERIES_BODY_BYTES + 2 * SERIES_LABEL_BYTES_MAX < WAL_RECORD_BYTES_MAX,
              "a series that no record takes would keep all later commits out of the log");

/* ---- samples judged before other commits came ---- */

/* Whether what was judged at staging still holds. */
static bool is_untouched(const struct head_appender *self, const struct staged_sample *sample)
{
    const struct head_group *group = sample->group;
    const struct head_source *source = &self->head->sources[self->source];
    /* Without a lane of its own a source may still have samples in a shared group. */
    return group != NULL && source->lane_count > 0 && group == source->lanes[0] &&
           group->sequence == self->lane_sequence &&
           group->slot_refs[sample->slot] == head__ref(self->head, sample->ordinal);
}

/* Finds the series again and judges again: OK, ERR_EXISTS, or why the sample is not appended. How
 * far it is behind the newest sample is not looked at again: that it is not too far was said when
 * it was staged. */
static err_t judge_again(struct head_appender *self, struct staged_sample *sample)
{
    struct head *head = self->head;
    const struct head_series *series = head__series(head, sample->ordinal);
    if (series == NULL)
        return ERR_STALE_REF;
    if (sample->t_ms < head->append_floor_ms)
        return ERR_OUT_OF_BOUNDS;
    const struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    sample->group = NULL;
    if (place != NULL && head__group_is_open_to(place->group, self->source)) {
        sample->group = place->group;
        sample->slot = place->slot;
    }
    struct str bytes = {NULL, 0};
    if (sample->histogram != 0)
        bytes = head__staged_histogram(self, sample);
    return head__judge_locked(head, series, sample->t_ms, sample->value, bytes);
}

/* The same for samples in columns: all of them, or not. */
static bool columns_are_untouched(const struct head_appender *self)
{
    const struct head_source *source = &self->head->sources[self->source];
    const struct head_group *lane = self->compact_lane;
    if (source->lane_count == 0 || lane != source->lanes[0] ||
        lane->sequence != self->lane_sequence)
        return false;
    for (uint32_t i = 0; i < self->staged_count; i++) {
        bool is_new = self->new_count > 0 && self->slots[i] >= self->new_slot_base;
        if (!is_new && lane->slot_refs[self->slots[i]] != head__ref(self->head, self->ordinals[i]))
            return false;
    }
    return true;
}

static void judge_all_again(struct head_appender *self)
{
    struct head *head = self->head;
    bool same_floor = head->append_floor_ms == self->seen_floor_ms;
    if (self->staged_count == 0 || (same_floor && (head->sequence == self->seen_sequence ||
                                                   (self->compact && columns_are_untouched(self)))))
        return;
    head__staged_unfold(self);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->staged_count; i++) {
        struct staged_sample *sample = &self->staged[i];
        bool untouched = is_untouched(self, sample) && sample->t_ms >= head->append_floor_ms;
        if (!untouched)
            self->plain = false;
        err_t err = untouched ? OK : judge_again(self, sample);
        if (err == OK)
            self->staged[kept++] = *sample;
        else if (err != ERR_EXISTS && err != ERR_STALE_REF)
            head__late_stage_again(self, sample, err);
    }
    self->staged_count = kept;
}

/* ---- places ---- */

static int64_t lane_newest(const struct head_group *lane)
{
    return lane->staged_t_ms > lane->last_t_ms ? lane->staged_t_ms : lane->last_t_ms;
}

/* A lane of the source for a series without a usable slot. Samples with timestamps of their own go
 * where this commit already has a row of that time, else each timestamp begins a lane: what is
 * stamped together (a container, a device) stays together. */
static struct head_group *choose_lane(struct head_appender *self, int64_t t_ms)
{
    struct head *head = self->head;
    struct head_source *source = &head->sources[self->source];
    struct head_group *possible = NULL;
    for (uint32_t i = self->explicit_times ? 1 : 0; i < source->lane_count; i++) {
        struct head_group *lane = source->lanes[i];
        if (self->explicit_times ? lane->staged_t_ms == t_ms : lane_newest(lane) <= t_ms)
            return lane;
        if (possible == NULL && lane_newest(lane) <= t_ms)
            possible = lane;
    }
    if (possible != NULL && source->lane_count >= LANES_MAX)
        return possible;
    if (self->explicit_times && source->lane_count == 0)
        head__group_create(head, self->source, source->key, 0, 0);
    return head__group_create(head, self->source, source->key, source->lane_count, 0);
}

static void place_sample(struct head_appender *self, struct staged_sample *sample)
{
    struct head *head = self->head;
    struct head_series *series = head__series(head, sample->ordinal);
    const struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    /* An earlier sample of this commit may have moved it already. */
    if (place != NULL && head__group_is_open_to(place->group, self->source) &&
        lane_newest(place->group) <= sample->t_ms) {
        sample->group = place->group;
        sample->slot = place->slot;
    } else {
        struct head_group *group;
        bool other_source = place != NULL && place->group->source != self->source &&
                            place->group->source != SOURCE_RETIRED;
        if (other_source && series->moves < UINT8_MAX)
            series->moves++;
        if (other_source && series->moves >= MOVES_BEFORE_SHARED)
            group = head__group_create(head, SOURCE_NONE, 0, 0, 0);
        else
            group = choose_lane(self, sample->t_ms);
        sample->group = group;
        sample->slot = head__group_take_series(head, group, series);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct staged_sample *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_row(const void *a, const void *b)
{
    const struct staged_sample *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    if (x->group != y->group)
        return x->group->id < y->group->id ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void sort_unless_sorted(struct head_appender *self,
                               int (*compare)(const void *, const void *))
{
    for (uint32_t i = 1; i < self->staged_count; i++) {
        if (compare(&self->staged[i - 1], &self->staged[i]) > 0) {
            qsort(self->staged, self->staged_count, sizeof *self->staged, compare);
            return;
        }
    }
}

/* Gives every sample a slot and sorts them into rows. */
static void place_all(struct head_appender *self)
{
    for (uint32_t i = 0; i < self->staged_count; i++)
        self->staged[i].order = i;
    sort_unless_sorted(self, by_time);
    for (uint32_t i = 0; i < self->staged_count; i++) {
        struct staged_sample *sample = &self->staged[i];
        struct head_group *group = sample->group;
        if (group == NULL || lane_newest(group) > sample->t_ms ||
            group->slot_refs[sample->slot] != head__ref(self->head, sample->ordinal))
            place_sample(self, sample);
        sample->group->staged_t_ms = sample->t_ms;
    }
    for (uint32_t i = 0; i < self->staged_count; i++)
        self->staged[i].group->staged_t_ms = INT64_MIN;
    sort_unless_sorted(self, by_row);
}

static void begin_row(struct head_appender *self, const struct staged_sample *sample,
                      uint32_t first, uint32_t first_float)
{
    VEC_PUSH(MEM_HEAD, self->rows, self->row_count, self->row_capacity,
             (struct commit_row){
                 .group = sample->group,
                 .t_ms = sample->t_ms,
                 .sequence = sample->group->sequence + ++sample->group->staged_rows,
                 .first = first,
                 .first_float = first_float,
             });
}

/* Rows from the sorted samples, with the floats in arrays of their own. */
static void collect_rows(struct head_appender *self)
{
    self->row_count = 0;
    VEC_RESERVE(MEM_HEAD, self->slots, self->slots_capacity, self->staged_count);
    VEC_RESERVE(MEM_HEAD, self->values, self->values_capacity, self->staged_count);
    struct commit_row *row = NULL;
    uint32_t floats = 0;
    for (uint32_t i = 0; i < self->staged_count; i++) {
        const struct staged_sample *sample = &self->staged[i];
        if (row == NULL || row->group != sample->group || row->t_ms != sample->t_ms) {
            begin_row(self, sample, i, floats);
            row = &self->rows[self->row_count - 1];
        }
        row->count++;
        if (sample->histogram == 0) {
            self->slots[floats] = sample->slot;
            self->values[floats++] = sample->value;
            row->float_count++;
        }
        row->has_extras |= sample->histogram != 0 || sample->start_t_ms != 0;
    }
    for (uint32_t i = 0; i < self->row_count; i++)
        self->rows[i].group->staged_rows = 0;
}

/* Sorts the columns of a scattered commit by laying the values out. */
static void sort_columns(struct head_appender *self)
{
    VEC_RESERVE(MEM_HEAD, self->values_by_slot, self->values_by_slot_capacity,
                self->slot_word_count * 64);
    for (uint32_t i = 0; i < self->staged_count; i++)
        self->values_by_slot[self->slots[i]] = self->values[i];
    uint32_t at = 0;
    for (uint32_t word = 0; word < self->slot_word_count; word++) {
        for (uint64_t bits = self->slot_bits[word]; bits != 0; bits &= bits - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            self->slots[at] = slot;
            self->values[at++] = self->values_by_slot[slot];
        }
    }
    assert(at == self->staged_count);
}

/* The only row of a compact commit: its columns are there. */
static void collect_compact_row(struct head_appender *self)
{
    self->row_count = 0;
    if (self->staged_count == 0)
        return;
    if (self->scattered != NULL)
        sort_columns(self);
    VEC_PUSH(MEM_HEAD, self->rows, self->row_count, self->row_capacity,
             (struct commit_row){
                 .group = self->compact_lane,
                 .t_ms = self->compact_t_ms,
                 .sequence = self->compact_lane->sequence + 1,
                 .count = self->staged_count,
                 .float_count = self->staged_count,
             });
}

/* Gives new series the slots that were meant for them; false: something came in between, and
 * nothing is done. */
static bool place_new(struct head_appender *self)
{
    struct head *head = self->head;
    struct head_group *lane = self->compact_lane;
    if (lane->slot_count != self->new_slot_base || lane->source != self->source)
        return false;
    for (uint32_t i = 0; i < self->staged_count; i++) {
        if (self->slots[i] < self->new_slot_base)
            continue;
        const struct head_series *series = head__series(head, self->ordinals[i]);
        if (series == NULL || atomic_load_explicit(&series->newest, memory_order_relaxed) != NULL ||
            series->left_t_ms >= self->compact_t_ms)
            return false;
    }
    for (uint32_t i = 0; i < self->staged_count; i++) {
        if (self->slots[i] < self->new_slot_base)
            continue;
        uint32_t slot = head__group_take_series(head, lane, head__series(head, self->ordinals[i]));
        assert(slot == self->slots[i]);
    }
    return true;
}

/* Rows from what is staged. */
static void place_and_collect(struct head_appender *self)
{
    if (self->compact &&
        (self->staged_count == 0 || self->compact_lane->last_t_ms <= self->compact_t_ms) &&
        (self->new_count == 0 || place_new(self))) {
        collect_compact_row(self);
        return;
    }
    head__staged_unfold(self);
    bool placed = self->plain && self->scattered == NULL;
    if (placed && self->staged_count > 0)
        placed = self->staged[0].group->last_t_ms <= self->staged[0].t_ms;
    if (!placed)
        place_all(self);
    collect_rows(self);
}

/* ---- the log ---- */

static void encode_row(struct head_appender *self, const struct commit_row *row, uint32_t segment)
{
    struct head_group *group = row->group;
    struct wal_row wal_row = {
        .group = group->id,
        .lane = group->source == SOURCE_NONE ? UINT32_MAX : group->lane,
        .source_key = group->key,
        .sequence = row->sequence,
        .t_ms = row->t_ms,
        .slot_refs = group->slot_refs,
        .slot_count = group->slot_count,
        .sample_count = row->float_count,
        .slots = self->slots + row->first_float,
        .values = self->values + row->first_float,
    };
    for (uint32_t i = row->first; row->has_extras && i < row->first + row->count; i++) {
        const struct staged_sample *sample = &self->staged[i];
        if (sample->histogram != 0)
            VEC_PUSH(MEM_HEAD, self->wal_histograms, wal_row.histogram_count,
                     self->wal_histogram_capacity,
                     (struct wal_histogram){sample->slot, head__staged_histogram(self, sample)});
        if (sample->start_t_ms != 0)
            VEC_PUSH(MEM_HEAD, self->wal_starts, wal_row.start_count, self->wal_start_capacity,
                     (struct wal_start){sample->slot, sample->start_t_ms});
    }
    wal_row.histograms = self->wal_histograms;
    wal_row.starts = self->wal_starts;
    wal_encode_row(&self->head->body, &wal_row, &group->wal, segment);
}

static void encode_rest(struct head_appender *self)
{
    struct strbuf *body = &self->head->body;
    for (uint32_t i = 0; i < self->exemplar_count; i++) {
        const struct staged_exemplar *staged = &self->exemplars[i];
        wal_encode_exemplar(body, staged->ref, staged->exemplar.t_ms, staged->exemplar.value,
                            staged->exemplar.labels);
    }
    for (uint32_t i = 0; i < self->metadata_count; i++) {
        const struct staged_metadata *staged = &self->metadata[i];
        wal_encode_metadata(body, staged->ref, (uint8_t)staged->metadata.type,
                            staged->metadata.help, staged->metadata.unit);
    }
}

/* Very many new series go into records of their own before that of the commit: together they could
 * be more than a record takes, and then no later commit would get them into the log either. */
static err_t encode_new_series(struct head *head, struct strbuf *why)
{
    struct label items[SERIES_LABELS_MAX];
    uint32_t logged = 0;
    err_t err = OK;
    for (uint32_t i = 0; i < head->unlogged_count && err == OK; i++) {
        const struct head_series *series = head__series(head, head->unlogged[i]);
        if (series != NULL)
            wal_encode_series(&head->body, head__ref(head, series->ordinal),
                              head__series_labels(head, series, items));
        if (head->body.size < SERIES_BODY_BYTES)
            continue;
        err = wal_append(head->wal, &head->body, INT64_MIN, why);
        strbuf_clear(&head->body);
        if (err == OK)
            logged = i + 1;
    }
    if (logged > 0) {
        head->unlogged_count -= logged;
        memmove(head->unlogged, head->unlogged + logged,
                head->unlogged_count * sizeof *head->unlogged);
    }
    return err;
}

static err_t write_log(struct head_appender *self, struct strbuf *why)
{
    struct head *head = self->head;
    uint32_t segment;
    TRY(wal_begin(head->wal, &segment, why));
    strbuf_clear(&head->body);
    TRY(encode_new_series(head, why));
    int64_t max_t_ms = INT64_MIN;
    for (uint32_t i = 0; i < self->row_count; i++) {
        encode_row(self, &self->rows[i], segment);
        if (self->rows[i].t_ms > max_t_ms)
            max_t_ms = self->rows[i].t_ms;
    }
    if (self->late_count > 0)
        head__late_encode_staged(self);
    encode_rest(self);
    err_t err = wal_append(head->wal, &head->body, max_t_ms, why);
    bool logged = err == OK;
    if (logged && head->sync_each_commit) {
        err = wal_sync(head->wal, why);
        /* What failed must not come back at the next start. */
        logged = err == OK || !wal_take_back(head->wal);
    }
    if (logged)
        head->unlogged_count = 0;
    if (err == OK)
        return OK;
    if (logged) {
        /* The rows are in the log all the same: their numbers are used up. No window spans them,
         * so that a start takes all of the commit from the log or nothing. */
        for (uint32_t i = 0; i < self->row_count; i++) {
            struct head_group *group = self->rows[i].group;
            struct head_window *window = atomic_load_explicit(&group->newest, memory_order_relaxed);
            group->sequence = self->rows[i].sequence;
            if (window != NULL)
                head__window_close(head, window);
        }
        head->late.number += self->late_count;
    }
    for (uint32_t i = 0; i < self->row_count; i++)
        wal_group_forget(&self->rows[i].group->wal);
    head->stats.wal_failure_count++;
    return err;
}

/* ---- memory ---- */

static void add_histogram(struct head_appender *self, const struct staged_sample *sample,
                          struct head_window *window, uint32_t number)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = head__window_add_histogram(self->head, window, sample->slot, number,
                                           head__staged_histogram(self, sample), &why);
    assert(err == OK); /* encoded by this process */
    strbuf_deinit(&why);
}

static void apply_extras(struct head_appender *self, const struct commit_row *row,
                         struct head_window *window, uint32_t number)
{
    for (uint32_t i = row->first; i < row->first + row->count; i++) {
        const struct staged_sample *sample = &self->staged[i];
        if (sample->histogram != 0)
            add_histogram(self, sample, window, number);
        if (sample->start_t_ms != 0)
            head__window_add_start(self->head, window, sample->slot, number, sample->start_t_ms);
    }
}

static void apply_row(struct head_appender *self, const struct commit_row *row, uint64_t sequence)
{
    struct head *head = self->head;
    uint32_t number;
    struct head_window *window = head__group_begin_row(head, row->group, row->t_ms, &number);
    head__window_append(head, window, number, self->slots + row->first_float,
                        self->values + row->first_float, row->float_count);
    if (row->has_extras)
        apply_extras(self, row, window, number);
    head__group_end_row(row->group, window, number, row->t_ms, sequence);
    if (row->t_ms < head->min_t_ms)
        head->min_t_ms = row->t_ms;
    if (row->t_ms > head->max_t_ms)
        head->max_t_ms = row->t_ms;
}

err_t head__commit_locked(struct head_appender *self, struct strbuf *why)
{
    struct head *head = self->head;
    judge_all_again(self);
    place_and_collect(self);
    if (self->row_count == 0 && self->exemplar_count == 0 && self->metadata_count == 0 &&
        self->late_count == 0)
        return OK;
    if (head->wal != NULL)
        TRY(write_log(self, why));

    uint64_t sequence = ++head->sequence;
    for (uint32_t i = 0; i < self->row_count; i++) {
        apply_row(self, &self->rows[i], sequence);
        head->stats.histogram_sample_count += self->rows[i].count - self->rows[i].float_count;
    }
    for (uint32_t i = 0; i < self->exemplar_count; i++)
        head__exemplar_add(head->exemplars, self->exemplars[i].ref, &self->exemplars[i].exemplar);
    for (uint32_t i = 0; i < self->metadata_count; i++)
        head__metadata_set(head->metadata, self->metadata[i].ref, &self->metadata[i].metadata);
    if (self->late_count > 0)
        head__late_apply_staged(self);
    head->stats.sample_count += self->staged_count;
    head->stats.commit_count++;
    head__publish_locked(head, sequence);
    return OK;
}
