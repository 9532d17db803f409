/* Filling the head from the log. No readers, and but for the rows one thread: no locks are taken
 * here, although the functions used say that they need the write lock. */
#include "head_replay.h"

#include "narthex/base/log.h"

#include "narthex/base/vec.h"

/* Refs below the first one seen that may still come (commits reorder a little). */
enum { REF_SLACK = 65536 };
/* What may wait while replaying, to keep memory low. */
enum { UNSEALED_MAX = 1024, HELPERS_MAX = 7 };

static bool alias_is(const void *owner, uint32_t item, const void *key)
{
    const struct replay *replay = owner;
    return replay->alias_items[item].ref == *(const series_ref *)key;
}

struct head_series *head__replay_series(struct replay *replay, series_ref ref)
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
    if (head__series_of_ref(head, ref) != NULL)
        return OK; /* in the files of series, or the checkpoint, already */
    for (uint32_t i = 0; i < labels.count; i++) {
        if (labels.items[i].value.size == 0 ||
            (i > 0 && str_compare(labels.items[i - 1].name, labels.items[i].name) >= 0))
            return err_fail(why, ERR_CORRUPT, "labels out of order");
    }
    uint64_t hash = labels_hash(labels);
    struct head_series *old = head__series_find_locked(head, labels, hash);
    if (old != NULL) {
        if (atomic_load_explicit(&old->newest, memory_order_relaxed) != NULL ||
            head__late_run(head, old->ordinal) != NULL || head__ref(head, old->ordinal) > ref) {
            VEC_PUSH(MEM_HEAD, replay->alias_items, replay->alias_count, replay->alias_capacity,
                     (struct alias){ref, old->ordinal});
            htable_insert(&replay->aliases, hash_mix(0, ref), replay->alias_count - 1);
            return OK;
        }
        head__series_remove_locked(head, old);
    }
    replay->lost_series |= ref - head->ref_base - 1 < replay->series_in_files;
    struct head_series *series;
    return head__series_create_locked(head, labels, hash, (uint32_t)(ref - head->ref_base - 1),
                                      &series, why);
}

struct head_group *head__replay_group(struct head *head, uint32_t id, uint64_t key, uint32_t lane)
{
    if (id <= head->group_count && head->groups[id - 1] != NULL)
        return head->groups[id - 1];
    uint32_t source = lane == UINT32_MAX ? SOURCE_NONE : head__source_index(head, key);
    return head__group_create(head, source, key, lane, id);
}

static err_t on_row(void *context, const struct wal_row *row, const struct wal_raw_row *raw,
                    struct strbuf *why)
{
    return head__replay_row(context, row, raw, why);
}

static err_t on_rows_end(void *context, struct wal_replay_result *result, struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    head__replay_rows(replay, result);
    if (replay->head->closed_count > UNSEALED_MAX)
        head_seal(replay->head, 0);
    return OK;
}

static err_t on_exemplar(void *context, uint64_t ref, int64_t t_ms, double value,
                         struct labels labels, struct strbuf *why)
{
    struct replay *replay = context;
    (void)why;
    const struct head_series *series = head__replay_series(replay, ref);
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
    const struct head_series *series = head__replay_series(replay, ref);
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
    const struct head_series *series = head__replay_series(replay, ref);
    if (series != NULL)
        head__late_delete(replay->head, series->ordinal, min_t_ms, max_t_ms);
    if (series != NULL && max_t_ms >= replay->cut_t_ms)
        VEC_PUSH(MEM_HEAD, replay->deletions, replay->deletion_count, replay->deletion_capacity,
                 (struct head_deletion){series->ordinal, min_t_ms, max_t_ms});
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
    const struct head_series *series = head__replay_series(replay, sample->ref);
    if (sample->number > head->late.number)
        head->late.number = sample->number;
    /* In a block already; the log may have it again behind a checkpoint. */
    if (series == NULL || sample->number <= head->late.pending_number)
        return OK;
    if (head__late_add(head, series->ordinal, sample)) {
        head->stats.sample_count++;
        head->stats.histogram_sample_count += sample->histogram.size > 0;
    }
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
    /* The checkpoint was read: what is cut is known. */
    head__adopt_windows(replay);
    replay->segment_number = number;
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

/* Threads beside the calling one. */
static uint32_t helper_count(void)
{
    uint32_t cores = thread_core_count();
    return cores - 1 > HELPERS_MAX ? HELPERS_MAX : cores - 1;
}

static err_t read_everything(struct replay *replay, const struct fs *fs, const char *wal_path,
                             struct wal_replay_result *result, struct strbuf *why)
{
    struct head *head = replay->head;
    struct wal_handler handler = {
        .context = replay,
        .pool = replay->pool,
        .segment = on_segment,
        .segment_end = on_segment_end,
        .series = on_series,
        .raw_row = on_row,
        .rows_end = on_rows_end,
        .exemplar = on_exemplar,
        .metadata = on_metadata,
        .deletion = on_deletion,
        .cut = on_cut,
        .late = on_late,
        .late_flushed = on_late_flushed,
    };
    if (head->series_log != NULL)
        TRY(series_log_load(head->series_log, head, replay->pool, why));
    replay->series_in_files = atomic_load_explicit(&head->ordinal_count, memory_order_relaxed);
    TRY(head__adopt_find(replay, why));
    TRY(wal_replay(fs, wal_path, &handler, result, why));
    head__adopt_windows(replay);
    head__adopt_missing(replay);
    head__adopt_settle(replay);
    head__deletions_add_locked(head, replay->deletions, replay->deletion_count);
    return OK;
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
        .pool = worker_pool_create("replay", helper_count()),
    };
    htable_init(&replay.aliases, MEM_HEAD);
    head->exclusive = true;
    err_t err = read_everything(&replay, fs, wal_path, result, why);
    head->exclusive = false;
    worker_pool_destroy(replay.pool);
    htable_deinit(&replay.aliases);
    mem_free(MEM_HEAD, replay.alias_items);
    mem_free(MEM_HEAD, replay.deletions);
    mem_free(MEM_HEAD, replay.found);
    head__replay_rows_end(&replay);
    if (replay.lost_series && head->series_log != NULL)
        series_log_invalidate(head->series_log);
    head->append_floor_ms = replay.cut_t_ms;
    atomic_store_explicit(&head->min_valid_ms, replay.cut_t_ms, memory_order_relaxed);
    head__publish_locked(head, head->sequence);
    return err;
}
