/* What happens when samples have gone to a block: windows and series leave, the log is shortened.
 */
#include "head_late.h"

#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "series_log.h"

enum { SERIES_PER_LOCK = 4096 };

void head_begin_cut(struct head *head, int64_t t_ms)
{
    mutex_lock(&head->write_lock);
    if (t_ms > head->append_floor_ms)
        head->append_floor_ms = t_ms;
    for (uint32_t i = 0; i < head->group_count; i++) {
        struct head_group *group = head->groups[i];
        struct head_window *window =
            group == NULL ? NULL : atomic_load_explicit(&group->newest, memory_order_relaxed);
        if (window != NULL && group->last_t_ms < t_ms)
            head__window_close(head, window);
    }
    head->merge_all = true;
    mutex_unlock(&head->write_lock);
}

/* Once the block is merged with late samples, its end does not tell any more what the log still
 * stands for. A failure does no harm until then: see on_cut in head_replay.c. */
static void log_cut(struct head *head, int64_t t_ms)
{
    struct strbuf why = STRBUF_INIT;
    uint32_t segment;
    if (head->wal == NULL)
        return;
    strbuf_clear(&head->body);
    wal_encode_cut(&head->body, t_ms);
    if (wal_begin(head->wal, &segment, &why) != OK ||
        wal_append(head->wal, &head->body, INT64_MIN, &why) != OK)
        LOG_WARN("cannot log that a block was cut", "err", strbuf_cstr(&why));
    strbuf_deinit(&why);
}

void head_finish_cut(struct head *head, int64_t t_ms)
{
    mutex_lock(&head->write_lock);
    mutex_lock(&head->epochs.lock);
    atomic_store_explicit(&head->min_valid_ms, t_ms, memory_order_relaxed);
    head->pending_epoch = head->epochs.epoch;
    mutex_unlock(&head->epochs.lock);
    head->pending_cut_ms = t_ms;
    head->cut_pending = true;
    log_cut(head, t_ms);
    if (t_ms > head->append_floor_ms)
        head->append_floor_ms = t_ms;
    mutex_unlock(&head->write_lock);
}

static int64_t window_last_t(const struct head_window *window)
{
    uint32_t rows = atomic_load_explicit(&window->row_count, memory_order_relaxed);
    const int64_t *times = atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms;
    return rows == 0 ? INT64_MAX : times[rows - 1];
}

/* Unlinks the group's windows that end before t. Only sealed ones can: the queue of the sealer
 * holds the others, which may be older than a sealed one when a start filled a gap from the log. */
static void drop_windows(struct head *head, struct head_group *group, int64_t t_ms)
{
    _Atomic(struct head_window *) *link = &group->newest;
    struct head_window *window = atomic_load_explicit(link, memory_order_relaxed);
    while (window != NULL) {
        struct head_window *older = atomic_load_explicit(&window->older, memory_order_relaxed);
        const struct sealed_window *sealed =
            atomic_load_explicit(&window->sealed, memory_order_relaxed);
        if (sealed == NULL || window_last_t(window) >= t_ms) {
            link = &window->older;
        } else {
            atomic_store_explicit(link, older, memory_order_release);
            if (sealed->file != NULL)
                sealed_file_forget(sealed->file);
            head__window_retire(head, window);
        }
        window = older;
    }
}

static bool place_has_samples(struct head *head, const struct head_place *place)
{
    for (const struct head_window *window =
             atomic_load_explicit(&place->group->newest, memory_order_relaxed);
         window != NULL; window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
        head__slot_load(window, place->slot,
                        atomic_load_explicit(&window->row_count, memory_order_relaxed),
                        &head->last_samples);
        if (head->last_samples.float_count > 0 || head->last_samples.histogram_count > 0)
            return true;
    }
    return false;
}

static void free_place(void *owner, void *block, size_t size)
{
    slab_free(owner, block, size);
}

/* Forgets old places without samples. */
static void trim_places(struct head *head, struct head_series *series)
{
    struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    struct head_place *older = atomic_load_explicit(&place->older, memory_order_relaxed);
    while (older != NULL) {
        struct head_place *next = atomic_load_explicit(&older->older, memory_order_relaxed);
        if (place_has_samples(head, older)) {
            place = older;
        } else {
            atomic_store_explicit(&place->older, next, memory_order_release);
            if (older != &series->first)
                head__retire(head, free_place, head->pool, older, sizeof *older);
        }
        older = next;
    }
}

static bool series_is_idle(struct head *head, struct head_series *series)
{
    bool has_late = head__late_run(head, series->ordinal) != NULL;
    struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    if (place == NULL)
        return !has_late;
    if (atomic_load_explicit(&place->older, memory_order_relaxed) != NULL)
        trim_places(head, series);
    return atomic_load_explicit(&place->older, memory_order_relaxed) == NULL &&
           !place_has_samples(head, place) && !has_late;
}

/* Trims the places of all series and removes those without samples. Those that were made since
 * `first_fresh` stay: their writer is about to append. */
static void collect_series(struct head *head, uint32_t first_fresh)
{
    uint32_t *dead = NULL;
    uint32_t dead_count = 0, dead_capacity = 0;
    uint32_t end = atomic_load_explicit(&head->ordinal_count, memory_order_acquire);
    for (uint32_t ordinal = 0; ordinal < end;) {
        mutex_lock(&head->write_lock);
        for (uint32_t i = 0; i < SERIES_PER_LOCK && ordinal < end; i++, ordinal++) {
            struct head_series *series = head__series(head, ordinal);
            if (series == NULL || !series_is_idle(head, series) || ordinal >= first_fresh)
                continue;
            head__metadata_remove(head->metadata, head__ref(head, ordinal));
            head__series_remove_locked(head, series);
            VEC_PUSH(MEM_HEAD, dead, dead_count, dead_capacity, ordinal);
        }
        mutex_unlock(&head->write_lock);
    }
    mutex_lock(&head->write_lock);
    head__series_free_pages_locked(head, first_fresh);
    label_index_sweep(head->index, (struct id_view){dead, dead_count});
    if (dead_count > 0 && head->series_log != NULL)
        series_log_invalidate(head->series_log);
    head__publish_locked(head, head->sequence);
    mutex_unlock(&head->write_lock);
    mem_free(MEM_HEAD, dead);
}

/* Groups whose source has gone and that hold nothing. */
static void collect_groups_locked(struct head *head)
{
    for (uint32_t i = 0; i < head->group_count; i++) {
        struct head_group *group = head->groups[i];
        if (group == NULL || group->dead_count < group->slot_count ||
            atomic_load_explicit(&group->newest, memory_order_relaxed) != NULL)
            continue;
        if (group->source < SOURCE_RETIRED) {
            struct head_source *source = &head->sources[group->source];
            if (source->open)
                continue;
            uint32_t kept = 0;
            for (uint32_t j = 0; j < source->lane_count; j++) {
                if (source->lanes[j] != group)
                    source->lanes[kept++] = source->lanes[j];
            }
            source->lane_count = kept;
        }
        head__retire(head, head__group_free, NULL, group, 0);
        head->groups[i] = NULL;
        head->stats.group_count--;
    }
}

static int64_t oldest_sample_locked(const struct head *head)
{
    int64_t oldest = INT64_MAX;
    int64_t min_valid_ms = atomic_load_explicit(&head->min_valid_ms, memory_order_relaxed);
    for (uint32_t i = 0; i < head->group_count; i++) {
        const struct head_group *group = head->groups[i];
        const struct head_window *window =
            group == NULL ? NULL : atomic_load_explicit(&group->newest, memory_order_relaxed);
        for (; window != NULL;
             window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
            if (atomic_load_explicit(&window->row_count, memory_order_relaxed) == 0)
                continue;
            int64_t t_ms = atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[0];
            if (t_ms < oldest && t_ms >= min_valid_ms)
                oldest = t_ms;
        }
    }
    return oldest;
}

int64_t head_oldest_sample(struct head *head)
{
    mutex_lock(&head->write_lock);
    int64_t oldest = oldest_sample_locked(head);
    mutex_unlock(&head->write_lock);
    return oldest;
}

bool head_drop_cut(struct head *head)
{
    mutex_lock(&head->write_lock);
    bool pending = head->cut_pending;
    int64_t t_ms = head->pending_cut_ms;
    if (!pending || head__readers_before(head, head->pending_epoch)) {
        mutex_unlock(&head->write_lock);
        return !pending;
    }
    head->cut_pending = false;
    for (uint32_t i = 0; i < head->group_count; i++) {
        if (head->groups[i] != NULL)
            drop_windows(head, head->groups[i], t_ms);
    }
    head->min_t_ms = oldest_sample_locked(head);
    uint32_t first_fresh = head->collect_below;
    head->collect_below = atomic_load_explicit(&head->ordinal_count, memory_order_relaxed);
    head__publish_locked(head, head->sequence);
    mutex_unlock(&head->write_lock);

    collect_series(head, first_fresh);

    mutex_lock(&head->write_lock);
    collect_groups_locked(head);
    head__deletions_trim_locked(head, t_ms);
    head__publish_locked(head, head->sequence);
    mutex_unlock(&head->write_lock);
    return true;
}
