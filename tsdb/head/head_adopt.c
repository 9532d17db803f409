/* Windows from the files of sealed ones, and the places of their series. */
#include "head_replay.h"

#include <stdlib.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/time_column.h"

/* ---- finding ---- */

static err_t on_record(void *context, const struct sealed_record *record,
                       const struct sealed_place *place, struct strbuf *why)
{
    struct replay *replay = context;
    struct time_column_summary times;
    if (record->group > REPLAY_GROUPS_MAX ||
        time_column_peek(record->times, record->times_size, record->row_count, &times) != OK) {
        LOG_ERROR("a sealed window makes no sense and is left out");
        strbuf_clear(why);
        return OK;
    }
    /* Also of windows that are left out: their group's number must not be used again while a later
     * start may find them. */
    head__group_reserve(replay->head, record->group);
    sealed_file_needed(place->file);
    VEC_PUSH(MEM_HEAD, replay->found, replay->found_count, replay->found_capacity,
             (struct found_window){*record, *place, times.first_ms, times.last_ms, NULL});
    return OK;
}

err_t head__adopt_find(struct replay *replay, struct strbuf *why)
{
    if (replay->head->sealed == NULL)
        return OK;
    return sealed_store_read(replay->head->sealed, on_record, replay, why);
}

static int by_sequence(const void *a, const void *b)
{
    const struct sealed_record *x = &((const struct found_window *)a)->record;
    const struct sealed_record *y = &((const struct found_window *)b)->record;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->first_sequence != y->first_sequence)
        return x->first_sequence < y->first_sequence ? -1 : 1;
    return x->row_count > y->row_count ? -1 : x->row_count < y->row_count;
}

static int by_time(const void *a, const void *b)
{
    const struct found_window *x = a, *y = b;
    if (x->first_t_ms != y->first_t_ms)
        return x->first_t_ms < y->first_t_ms ? -1 : 1;
    return by_sequence(a, b);
}

/* Leaves out windows that are in blocks, and of those with common rows all but the longest. */
static void choose_windows(struct replay *replay)
{
    uint32_t kept = 0;
    if (replay->found_count > 0)
        qsort(replay->found, replay->found_count, sizeof *replay->found, by_sequence);
    for (uint32_t i = 0; i < replay->found_count; i++) {
        struct found_window *found = &replay->found[i];
        struct found_window *last = kept == 0 ? NULL : &replay->found[kept - 1];
        bool overlaps = last != NULL && last->record.group == found->record.group &&
                        found->record.first_sequence <= last->record.last_sequence;
        if (found->last_t_ms < replay->cut_t_ms ||
            (overlaps && found->record.row_count <= last->record.row_count)) {
            sealed_file_forget(found->place.file);
        } else if (overlaps) {
            sealed_file_forget(last->place.file);
            *last = *found;
        } else {
            replay->found[kept++] = *found;
        }
    }
    replay->found_count = kept;
    if (kept > 0)
        qsort(replay->found, kept, sizeof *replay->found, by_time);
}

/* ---- places ---- */

static bool has_place(const struct head_series *series, const struct head_group *group,
                      uint32_t slot)
{
    const struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    while (place != NULL && (place->group != group || place->slot != slot))
        place = atomic_load_explicit(&place->older, memory_order_relaxed);
    return place != NULL;
}

void head__replay_place(struct replay *replay, struct head_series *series, struct head_group *group,
                        uint32_t slot)
{
    if (has_place(series, group, slot))
        return;
    /* The files and the log are not read in the order of the moves: see head__adopt_settle. */
    if (atomic_load_explicit(&series->newest, memory_order_relaxed) != NULL)
        VEC_PUSH(MEM_HEAD, replay->moved, replay->moved_count, replay->moved_capacity,
                 series->ordinal);
    head__group_give_slot(replay->head, group, slot, series);
}

/* Newest sample of the place; INT64_MIN: none. */
static int64_t newest_of_place(struct head *head, const struct head_place *place)
{
    struct slot_samples *samples = &head->last_samples;
    const struct head_window *window =
        atomic_load_explicit(&place->group->newest, memory_order_relaxed);
    for (; window != NULL; window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
        uint32_t row = atomic_load_explicit(&window->row_count, memory_order_relaxed);
        head__slot_load(window, place->slot, row, samples);
        while (row-- > 0) {
            uint64_t bits = samples->float_rows[row / 64] | samples->histogram_rows[row / 64];
            if ((bits >> (row % 64) & 1) != 0)
                return atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[row];
        }
    }
    return INT64_MIN;
}

static void make_live(struct head_group *group, uint32_t slot, uint32_t ref)
{
    if (group->slot_refs[slot] != 0)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->dead_slot_count; i++) {
        if (group->dead_slots[i].slot != slot)
            group->dead_slots[kept++] = group->dead_slots[i];
    }
    group->dead_slot_count = kept;
    group->slot_refs[slot] = ref;
    group->dead_count--;
}

static void make_dead(struct head_group *group, uint32_t slot, uint32_t ref)
{
    if (group->slot_refs[slot] == 0)
        return;
    VEC_PUSH(MEM_HEAD, group->dead_slots, group->dead_slot_count, group->dead_slot_capacity,
             (struct dead_slot){slot, ref});
    group->slot_refs[slot] = 0;
    group->dead_count++;
}

/* Newest first, by insertion: there are few places. The records stay where they are, their contents
 * change places. */
static void sort_places(struct head *head, struct head_series *series)
{
    struct head_place *first = atomic_load_explicit(&series->newest, memory_order_relaxed);
    for (struct head_place *end = first; end != NULL;
         end = atomic_load_explicit(&end->older, memory_order_relaxed)) {
        for (struct head_place *at = first; at != end;
             at = atomic_load_explicit(&at->older, memory_order_relaxed)) {
            if (newest_of_place(head, at) >= newest_of_place(head, end))
                continue;
            struct head_group *group = at->group;
            uint32_t slot = at->slot;
            at->group = end->group;
            at->slot = end->slot;
            end->group = group;
            end->slot = slot;
        }
    }
}

static void settle_series(struct head *head, struct head_series *series)
{
    uint32_t ref = (uint32_t)head__ref(head, series->ordinal);
    sort_places(head, series);
    struct head_place *newest = atomic_load_explicit(&series->newest, memory_order_relaxed);
    for (struct head_place *place = atomic_load_explicit(&newest->older, memory_order_relaxed);
         place != NULL; place = atomic_load_explicit(&place->older, memory_order_relaxed)) {
        int64_t t_ms = newest_of_place(head, place);
        if (t_ms > series->left_t_ms)
            series->left_t_ms = t_ms;
        make_dead(place->group, place->slot, ref);
    }
    make_live(newest->group, newest->slot, ref);
    if (series->left_t_ms > newest->group->floor_t_ms)
        newest->group->floor_t_ms = series->left_t_ms;
}

void head__adopt_settle(struct replay *replay)
{
    for (uint32_t i = 0; i < replay->moved_count; i++) {
        struct head_series *series = head__series(replay->head, replay->moved[i]);
        if (series != NULL)
            settle_series(replay->head, series);
    }
    mem_free(MEM_HEAD, replay->moved);
    replay->moved = NULL;
    replay->moved_count = 0;
}

/* Gives the slots of a window to their series as far as they are known. */
static void place_slots(struct replay *replay, const struct found_window *found, uint32_t *refs)
{
    struct head_group *group = found->window->group;
    for (uint32_t slot = 0; slot < found->record.slot_count; slot++) {
        if (slot == group->slot_count) {
            VEC_PUSH(MEM_HEAD, group->slot_refs, group->slot_count, group->slot_capacity, 0);
            group->dead_count++;
        }
        /* Numbers are those of the time of sealing: without samples they say nothing of this one.
         */
        if (refs[slot] == 0 || group->slot_refs[slot] == refs[slot] ||
            found->record.offsets[slot] == found->record.offsets[slot + 1])
            continue;
        struct head_series *series = head__replay_series(replay, refs[slot]);
        if (series == NULL)
            replay->unknown_series = true;
        else if (group->slot_refs[slot] == 0)
            head__replay_place(replay, series, group, slot);
    }
}

/* ---- adopting ---- */

static struct head_window *make_window(const struct found_window *found, struct head_group *group)
{
    const struct sealed_record *record = &found->record;
    struct window_rows *rows = head__rows_create(record->row_count);
    struct head_window *window = MEM_NEW(MEM_HEAD, struct head_window);
    atomic_init(&window->rows, rows);
    if (time_column_decode(record->times, record->times_size, record->row_count, rows->t_ms) !=
        OK) {
        head__window_free(window);
        return NULL;
    }
    memset(rows->sequences, 0, record->row_count * sizeof *rows->sequences);
    window->group = group;
    window->number = ++group->window_numbers;
    window->first_sequence = record->first_sequence;
    window->last_sequence = record->last_sequence;
    window->rows_max = (uint16_t)record->row_count;
    window->closed = true;
    window->merged = record->kind == SEALED_MERGED;
    atomic_init(&window->row_count, record->row_count);
    atomic_init(&window->sealed, head__sealed_of_record(found->place.data, &found->place));
    return window;
}

static void adopt(struct replay *replay, struct found_window *found)
{
    struct head *head = replay->head;
    const struct sealed_record *record = &found->record;
    struct head_group *group =
        head__replay_group(head, record->group, record->source_key, record->lane);
    if (group->key != record->source_key || group->sequence >= record->first_sequence ||
        group->last_t_ms > found->first_t_ms ||
        (found->window = make_window(found, group)) == NULL) {
        LOG_ERROR("a sealed window does not fit to its group and is left out");
        return;
    }
    atomic_init(&found->window->older, atomic_load_explicit(&group->newest, memory_order_relaxed));
    atomic_store_explicit(&group->newest, found->window, memory_order_relaxed);
    group->sequence = record->last_sequence;
    group->last_t_ms = found->last_t_ms;
    if (found->first_t_ms < head->min_t_ms)
        head->min_t_ms = found->first_t_ms;
    if (found->last_t_ms > head->max_t_ms)
        head->max_t_ms = found->last_t_ms;
}

static void place_all(struct replay *replay)
{
    struct strbuf why = STRBUF_INIT;
    for (uint32_t i = 0; i < replay->found_count; i++) {
        const struct found_window *found = &replay->found[i];
        if (found->window == NULL)
            continue;
        uint32_t *refs = mem_alloc(MEM_HEAD, (found->record.slot_count + 1) * sizeof *refs);
        if (sealed_get_refs(&found->record, refs, &why) == OK)
            place_slots(replay, found, refs);
        else
            LOG_ERROR("the series of a sealed window are damaged", "err", strbuf_cstr(&why));
        mem_free(MEM_HEAD, refs);
    }
    strbuf_deinit(&why);
}

void head__adopt_windows(struct replay *replay)
{
    if (replay->adopted)
        return;
    replay->adopted = true;
    choose_windows(replay);
    for (uint32_t i = 0; i < replay->found_count; i++) {
        adopt(replay, &replay->found[i]);
        sealed_file_forget(replay->found[i].place.file); /* the window itself needs it now */
    }
    place_all(replay);
}

void head__adopt_missing(struct replay *replay)
{
    if (replay->unknown_series)
        place_all(replay);
}
