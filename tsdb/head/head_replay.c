/* Filling the head from the log. One thread, no readers: no locks are taken here, although the
 * functions used say that they need the write lock. */
#include "head_late.h"

#include "narthex/base/vec.h"

/* Refs below the first one seen that may still come (commits reorder a little). */
enum { REF_SLACK = 65536 };
/* What may wait while replaying, to keep memory low. */
enum { UNSEALED_MAX = 64, RETIRED_MAX = 16384 };

struct replay {
    struct head *head;
    int64_t cut_t_ms;
    void (*segment)(void *context, uint32_t number, uint32_t last);
    void (*segment_end)(void *context, uint32_t number, uint64_t bytes, int64_t max_t_ms);
    void *context;
    /* Refs whose labels another, living series has: a series was collected and came back. */
    struct htable aliases;
    struct alias {
        series_ref ref;
        uint32_t ordinal;
    } * alias_items;
    uint32_t alias_count;
    uint32_t alias_capacity;
};

static bool alias_is(const void *owner, uint32_t item, const void *key)
{
    const struct replay *replay = owner;
    return replay->alias_items[item].ref == *(const series_ref *)key;
}

static struct head_series *series_of(struct replay *replay, series_ref ref)
{
    struct head_series *series = head__series_of_ref(replay->head, ref);
    if (series != NULL || replay->alias_count == 0)
        return series;
    uint32_t item = htable_find(&replay->aliases, hash_mix(0, ref), alias_is, replay, &ref);
    return item == HTABLE_NONE ? NULL
                               : head__series(replay->head, replay->alias_items[item].ordinal);
}

static err_t on_series(void *context, uint64_t ref, struct labels labels, struct strbuf *why)
{
    struct replay *replay = context;
    struct head *head = replay->head;
    if (!head->ref_base_set) {
        head->ref_base = ref - 1 > REF_SLACK ? ref - 1 - REF_SLACK : 0;
        head->ref_base_set = true;
    }
    if (ref <= head->ref_base || ref - head->ref_base - 1 >= HEAD_ORDINALS_MAX)
        return err_fail(why, ERR_CORRUPT, "series number out of range");
    for (uint32_t i = 0; i < labels.count; i++) {
        if (labels.items[i].value.size == 0 ||
            (i > 0 && str_compare(labels.items[i - 1].name, labels.items[i].name) >= 0))
            return err_fail(why, ERR_CORRUPT, "labels out of order");
    }
    if (head__series_of_ref(head, ref) != NULL)
        return OK; /* in the checkpoint already */
    uint64_t hash = labels_hash(labels);
    struct head_series *old = head__series_find_locked(head, labels, hash);
    if (old != NULL) {
        if (atomic_load_explicit(&old->newest, memory_order_relaxed) != NULL ||
            head__late_run(head, old->ordinal) != NULL) {
            VEC_PUSH(MEM_HEAD, replay->alias_items, replay->alias_count, replay->alias_capacity,
                     (struct alias){ref, old->ordinal});
            htable_insert(&replay->aliases, hash_mix(0, ref), replay->alias_count - 1);
            return OK;
        }
        head__series_remove_locked(head, old);
    }
    struct head_series *series;
    return head__series_create_locked(head, labels, hash, (uint32_t)(ref - head->ref_base - 1),
                                      &series, why);
}

static struct head_group *group_of(struct head *head, const struct wal_row *row)
{
    if (row->group <= head->group_count && head->groups[row->group - 1] != NULL)
        return head->groups[row->group - 1];
    uint32_t source =
        row->lane == UINT32_MAX ? SOURCE_NONE : head__source_index(head, row->source_key);
    return head__group_create(head, source, row->source_key, row->lane, row->group);
}

/* Gives the group the slots that the row knows and it does not. */
static void add_slots(struct replay *replay, struct head_group *group, const struct wal_row *row)
{
    struct head *head = replay->head;
    while (group->slot_count < row->slot_count) {
        series_ref ref = row->slot_refs[group->slot_count];
        struct head_series *series = series_of(replay, ref);
        if (series != NULL) {
            head__group_take_series(head, group, series);
            continue;
        }
        /* Dead, or its labels were lost. */
        VEC_PUSH(MEM_HEAD, group->slot_refs, group->slot_count, group->slot_capacity, 0);
        group->dead_count++;
    }
}

/* A histogram that is none is left out and reported; everything else is appended. */
static err_t append_row(struct head *head, struct head_group *group, const struct wal_row *row,
                        struct strbuf *why)
{
    uint32_t number;
    err_t err = OK;
    struct head_window *window = head__group_begin_row(head, group, row->t_ms, &number);
    /* Runs of slots whose series are known: nearly always all of them. */
    for (uint32_t from = 0; from < row->sample_count;) {
        uint32_t end = from;
        while (end < row->sample_count && group->slot_refs[row->slots[end]] != 0)
            end++;
        head__window_append(head, window, number, row->slots + from, row->values + from,
                            end - from);
        from = end + 1;
    }
    for (uint32_t i = 0; i < row->histogram_count; i++) {
        uint32_t slot = row->histograms[i].slot;
        err_t added = OK;
        if (group->slot_refs[slot] != 0)
            added = head__window_add_histogram(head, window, slot, number, row->histograms[i].bytes,
                                               why);
        if (added != OK)
            err = added;
    }
    for (uint32_t i = 0; i < row->start_count; i++) {
        uint32_t slot = row->starts[i].slot;
        if (group->slot_refs[slot] != 0)
            head__window_add_start(head, window, slot, number, row->starts[i].start_t_ms);
    }
    head__group_end_row(group, window, number, row->t_ms, ++head->sequence);
    if (row->t_ms < head->min_t_ms)
        head->min_t_ms = row->t_ms;
    if (row->t_ms > head->max_t_ms)
        head->max_t_ms = row->t_ms;
    return err;
}

enum { GROUPS_MAX = 1 << 24 };

static err_t on_row(void *context, const struct wal_row *row, struct strbuf *why)
{
    struct replay *replay = context;
    struct head *head = replay->head;
    if (row->group == 0 || row->group > GROUPS_MAX)
        return err_fail(why, ERR_CORRUPT, "group number out of range");
    struct head_group *group = group_of(head, row);
    if (row->sequence <= group->sequence)
        return OK;
    add_slots(replay, group, row);
    group->sequence = row->sequence;
    if (row->t_ms < replay->cut_t_ms)
        return OK;
    if (row->t_ms < group->last_t_ms)
        return err_fail(why, ERR_CORRUPT, "rows of a group out of order");
    group->sequence--;
    err_t err = append_row(head, group, row, why);
    head->stats.sample_count += row->sample_count + row->histogram_count;
    head__publish_locked(head, head->sequence);
    if (head->closed_count > UNSEALED_MAX)
        head_seal(head, 0);
    if (head->epochs.count > RETIRED_MAX)
        head_reclaim(head);
    return err;
}

static err_t on_exemplar(void *context, uint64_t ref, int64_t t_ms, double value,
                         struct labels labels, struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    const struct head_series *series = series_of(replay, ref);
    struct exemplar exemplar = {labels, value, t_ms};
    if (series != NULL)
        head__exemplar_add(replay->head->exemplars, head__ref(replay->head, series->ordinal),
                           &exemplar);
    return OK;
}

static err_t on_metadata(void *context, uint64_t ref, uint8_t type, struct str help,
                         struct str unit, struct strbuf *why)
{
    struct replay *replay = context;
    const struct head_series *series = series_of(replay, ref);
    if (type > METADATA_STATESET)
        return err_fail(why, ERR_CORRUPT, "unknown metadata type %u", type);
    struct metadata metadata = {(enum metadata_type)type, help, unit};
    if (series != NULL)
        head__metadata_set(replay->head->metadata, head__ref(replay->head, series->ordinal),
                           &metadata);
    return OK;
}

static err_t on_deletion(void *context, uint64_t ref, int64_t min_t_ms, int64_t max_t_ms,
                         struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    const struct head_series *series = series_of(replay, ref);
    if (series != NULL)
        head__late_delete(replay->head, series->ordinal, min_t_ms, max_t_ms);
    if (series != NULL && max_t_ms >= replay->cut_t_ms)
        head__deletion_add_locked(replay->head, series->ordinal, min_t_ms, max_t_ms);
    return OK;
}

static err_t on_cut(void *context, int64_t t_ms, struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    if (t_ms > replay->cut_t_ms)
        replay->cut_t_ms = t_ms;
    return OK;
}

static err_t on_late(void *context, const struct wal_late *sample, struct strbuf *why)
{
    struct replay *replay = context;
    struct head *head = replay->head;
    (void)why;
    const struct head_series *series = series_of(replay, sample->ref);
    if (sample->number > head->late.number)
        head->late.number = sample->number;
    /* In a block already; the log may have it again behind a checkpoint. */
    if (series == NULL || sample->number <= head->late.pending_number)
        return OK;
    head__late_add(head, series->ordinal, sample);
    head->stats.sample_count++;
    head__publish_locked(head, head->sequence);
    if (head->epochs.count > RETIRED_MAX)
        head_reclaim(head);
    return OK;
}

static err_t on_late_flushed(void *context, uint64_t number, struct strbuf *why)
{
    struct replay *replay = context;
    struct head *head = replay->head;
    (void)why;
    if (number > head->late.number)
        head->late.number = number;
    if (number <= head->late.pending_number)
        return OK;
    head->late.pending_number = number;
    head->epochs.late_flushed = number;
    head__late_forget(head, number);
    head__publish_locked(head, head->sequence);
    return OK;
}

static err_t on_segment(void *context, uint32_t number, uint32_t last, struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    if (replay->segment != NULL)
        replay->segment(replay->context, number, last);
    return OK;
}

static void on_segment_end(void *context, uint32_t number, uint64_t bytes, int64_t max_t_ms)
{
    struct replay *replay = context;
    if (replay->segment_end != NULL)
        replay->segment_end(replay->context, number, bytes, max_t_ms);
}

err_t head_replay(struct head *head, const struct fs *fs, const char *wal_path, int64_t cut_t_ms,
                  void (*segment)(void *context, uint32_t number, uint32_t last),
                  void (*segment_end)(void *context, uint32_t number, uint64_t bytes,
                                      int64_t max_t_ms),
                  void *context, struct wal_replay_result *result, struct strbuf *why)
{
    struct replay replay = {
        .head = head,
        .cut_t_ms = cut_t_ms,
        .segment = segment,
        .segment_end = segment_end,
        .context = context,
    };
    htable_init(&replay.aliases, MEM_HEAD);
    struct wal_handler handler = {
        .context = &replay,
        .segment = on_segment,
        .segment_end = on_segment_end,
        .series = on_series,
        .row = on_row,
        .exemplar = on_exemplar,
        .metadata = on_metadata,
        .deletion = on_deletion,
        .cut = on_cut,
        .late = on_late,
        .late_flushed = on_late_flushed,
    };
    err_t err = wal_replay(fs, wal_path, &handler, result, why);
    htable_deinit(&replay.aliases);
    mem_free(MEM_HEAD, replay.alias_items);
    head_seal(head, 0);
    head_reclaim(head);
    head->append_floor_ms = replay.cut_t_ms;
    atomic_store_explicit(&head->min_valid_ms, replay.cut_t_ms, memory_order_relaxed);
    return err;
}
