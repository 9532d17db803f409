/* Rows of the log: gathered in order, appended group by group on all cores. */
#include "head_replay.h"

#include <string.h>

#include "narthex/base/vec.h"

/* ---- gathering ---- */

/* Whether a window holds the row. */
static bool is_held(const struct head_group *group, uint64_t sequence)
{
    const struct head_window *window = atomic_load_explicit(&group->newest, memory_order_relaxed);
    while (window != NULL && window->first_sequence > sequence)
        window = atomic_load_explicit(&window->older, memory_order_relaxed);
    return window != NULL && sequence <= window->last_sequence;
}

/* Gives the slots of the group to the series that the row knows in them. */
static void add_slots(struct replay *replay, struct head_group *group, const struct wal_row *row,
                      bool full)
{
    for (uint32_t slot = full ? 0 : group->slot_count; slot < row->slot_count; slot++) {
        if (slot == group->slot_count) {
            VEC_PUSH(MEM_HEAD, group->slot_refs, group->slot_count, group->slot_capacity, 0);
            group->dead_count++; /* or its labels were lost */
        }
        if (group->slot_refs[slot] != 0 || row->slot_refs[slot] == 0)
            continue;
        struct head_series *series = head__replay_series(replay, row->slot_refs[slot]);
        if (series != NULL)
            head__replay_place(replay, series, group, slot);
    }
}

static struct replayed_group *state_of(struct replay *replay, uint32_t id)
{
    if (id > replay->group_capacity) {
        uint32_t capacity = id + id / 2 + 64;
        replay->groups = mem_realloc(MEM_HEAD, replay->groups, capacity * sizeof *replay->groups);
        memset(replay->groups + replay->group_capacity, 0,
               (capacity - replay->group_capacity) * sizeof *replay->groups);
        replay->group_capacity = capacity;
    }
    return &replay->groups[id - 1];
}

err_t head__replay_row(struct replay *replay, const struct wal_row *row,
                       const struct wal_raw_row *raw, struct strbuf *why)
{
    struct head *head = replay->head;
    if (row->group == 0 || row->group > REPLAY_GROUPS_MAX)
        return err_fail(why, ERR_CORRUPT, "group number out of range");
    struct head_group *group = head__replay_group(head, row->group, row->source_key, row->lane);
    struct replayed_group *state = state_of(replay, row->group);
    struct waiting_row waiting = {.raw = *raw};
    add_slots(replay, group, row, raw->full);
    waiting.wanted = row->t_ms >= replay->cut_t_ms && !is_held(group, row->sequence);
    if (waiting.wanted && row->t_ms < head->min_t_ms)
        head->min_t_ms = row->t_ms;
    if (waiting.wanted && row->t_ms > head->max_t_ms)
        head->max_t_ms = row->t_ms;
    VEC_PUSH(MEM_HEAD, replay->rows, replay->row_count, replay->row_capacity, waiting);
    if (state->first == 0) {
        state->first = replay->row_count;
        VEC_PUSH(MEM_HEAD, replay->active, replay->active_count, replay->active_capacity,
                 row->group);
    } else {
        replay->rows[state->last - 1].next = replay->row_count;
    }
    state->last = replay->row_count;
    return OK;
}

/* ---- appending ---- */

static void append_samples(struct head *head, struct head_window *window, uint32_t number,
                           const struct wal_row *row, struct replay *replay)
{
    struct strbuf why = STRBUF_INIT;
    head__window_append(head, window, number, row->slots, row->values, row->sample_count);
    for (uint32_t i = 0; i < row->histogram_count; i++) {
        /* A histogram that is none is left out and counted. */
        if (head__window_add_histogram(head, window, row->histograms[i].slot, number,
                                       row->histograms[i].bytes, &why) != OK)
            atomic_fetch_add_explicit(&replay->damaged_rows, 1, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < row->start_count; i++)
        head__window_add_start(head, window, row->starts[i].slot, number,
                               row->starts[i].start_t_ms);
    strbuf_deinit(&why);
}

/* A row between windows that are there: a sealed one was damaged and the log still has its rows. */
static void append_in_gap(struct replay *replay, struct head_group *group,
                          struct replayed_group *state, const struct wal_row *row)
{
    struct head *head = replay->head;
    _Atomic(struct head_window *) *link = &group->newest;
    struct head_window *window = atomic_load_explicit(link, memory_order_relaxed);
    while (window != NULL && window->first_sequence > row->sequence) {
        link = &window->older;
        window = atomic_load_explicit(link, memory_order_relaxed);
    }
    bool fits = window != NULL && window->rows_max == 0 &&
                atomic_load_explicit(&window->sealed, memory_order_relaxed) == NULL;
    uint32_t number =
        fits ? atomic_load_explicit(&window->row_count, memory_order_relaxed) : COLUMN_ROWS_MAX;
    if (number >= SHORT_ROWS ||
        head__range_of(head, row->t_ms) !=
            head__range_of(head,
                           atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[0])) {
        struct head_window *fresh = MEM_NEW(MEM_HEAD, struct head_window);
        fresh->group = group;
        atomic_init(&fresh->rows, head__rows_create(SHORT_ROWS));
        atomic_init(&fresh->older, window);
        atomic_store_explicit(link, fresh, memory_order_relaxed);
        mutex_lock(&head->write_lock);
        head__window_close(head, fresh); /* nothing but this pass adds to it */
        mutex_unlock(&head->write_lock);
        state->has_gaps = true;
        window = fresh;
        number = 0;
    }
    int64_t last_t_ms = group->last_t_ms;
    uint64_t sequence = group->sequence;
    append_samples(head, window, number, row, replay);
    group->sequence = row->sequence - 1;
    head__group_end_row(group, window, number, row->t_ms, 0);
    group->sequence = sequence;
    group->last_t_ms = last_t_ms;
}

static void append_at_end(struct replay *replay, struct head_group *group,
                          const struct wal_row *row)
{
    struct head *head = replay->head;
    uint32_t number;
    /* Windows that end join a list that all groups share. */
    mutex_lock(&head->write_lock);
    struct head_window *window = head__group_begin_row(head, group, row->t_ms, &number);
    mutex_unlock(&head->write_lock);
    append_samples(head, window, number, row, replay);
    group->sequence = row->sequence - 1;
    head__group_end_row(group, window, number, row->t_ms, 0);
}

static bool append_row(struct replay *replay, struct head_group *group,
                       struct replayed_group *state, const struct wal_row *row)
{
    if (row->sequence <= group->sequence) {
        append_in_gap(replay, group, state, row);
        return true;
    }
    if (row->t_ms < group->last_t_ms)
        return false;
    append_at_end(replay, group, row);
    return true;
}

/* Where to begin reading: rows before the first wanted one matter only as far back as the newest
 * full row before it. */
static uint32_t first_to_read(const struct replay *replay, const struct replayed_group *state)
{
    uint32_t from = state->first;
    for (uint32_t at = state->first; at != 0; at = replay->rows[at - 1].next) {
        const struct waiting_row *waiting = &replay->rows[at - 1];
        if (waiting->raw.full)
            from = at;
        if (waiting->wanted)
            break;
    }
    return from;
}

static void replay_group(void *context, uint32_t index)
{
    struct replay *replay = context;
    struct head_group *group = replay->head->groups[replay->active[index] - 1];
    struct replayed_group *state = &replay->groups[group->id - 1];
    struct wal_scratch scratch = {0};
    struct strbuf why = STRBUF_INIT;
    uint64_t samples = 0, histograms = 0;
    group->wal.segment = replay->segment_number;
    for (uint32_t at = first_to_read(replay, state); at != 0; at = replay->rows[at - 1].next) {
        const struct waiting_row *waiting = &replay->rows[at - 1];
        struct wal_row row = {.group = group->id};
        if (state->broken && !waiting->raw.full)
            continue;
        state->broken = wal_raw_row_decode(&waiting->raw, &state->base, &scratch, &row, &why) != OK;
        bool good = !state->broken;
        if (good && waiting->wanted) {
            good = append_row(replay, group, state, &row);
            samples += good ? row.sample_count + row.histogram_count : 0;
            histograms += good ? row.histogram_count : 0;
        }
        if (good && group->sequence < row.sequence)
            group->sequence = row.sequence;
        if (!good)
            atomic_fetch_add_explicit(&replay->damaged_rows, 1, memory_order_relaxed);
    }
    state->first = 0;
    state->last = 0;
    atomic_fetch_add_explicit(&replay->sample_count, samples, memory_order_relaxed);
    atomic_fetch_add_explicit(&replay->histogram_count, histograms, memory_order_relaxed);
    wal_scratch_deinit(&scratch);
    strbuf_deinit(&why);
}

void head__replay_rows(struct replay *replay, struct wal_replay_result *result)
{
    worker_pool_run(replay->pool, replay->active_count, replay_group, replay);
    replay->active_count = 0;
    replay->row_count = 0;
    uint64_t samples = atomic_exchange_explicit(&replay->sample_count, 0, memory_order_relaxed);
    result->sample_count += samples;
    replay->head->stats.sample_count += samples;
    replay->head->stats.histogram_sample_count +=
        atomic_exchange_explicit(&replay->histogram_count, 0, memory_order_relaxed);
    result->damaged_records +=
        atomic_exchange_explicit(&replay->damaged_rows, 0, memory_order_relaxed);
}

/* Windows that were put between others have no number yet. */
static void number_windows(struct head_group *group)
{
    uint64_t count = 0;
    struct head_window *window;
    for (window = atomic_load_explicit(&group->newest, memory_order_relaxed); window != NULL;
         window = atomic_load_explicit(&window->older, memory_order_relaxed))
        count++;
    group->window_numbers = count;
    for (window = atomic_load_explicit(&group->newest, memory_order_relaxed); window != NULL;
         window = atomic_load_explicit(&window->older, memory_order_relaxed))
        window->number = count--;
}

void head__replay_rows_end(struct replay *replay)
{
    for (uint32_t i = 0; i < replay->group_capacity; i++) {
        wal_base_deinit(&replay->groups[i].base);
        if (replay->groups[i].has_gaps)
            number_windows(replay->head->groups[i]);
    }
    mem_free(MEM_HEAD, replay->groups);
    mem_free(MEM_HEAD, replay->rows);
    mem_free(MEM_HEAD, replay->active);
}
