/* Shortening the log: what its oldest segments hold is in sealed windows and series files, and the
 * rest of it in a checkpoint. */
#include "head_late.h"
#include "narthex/base/log.h"
#include "series_log.h"

enum { CHECKPOINT_BODY_BYTES = 1 << 20, SERIES_PER_LOCK = 4096, LAGGING_SEGMENTS = 2 };

/* ---- which segments ---- */

static int64_t last_t_of(const struct head_window *window)
{
    uint32_t rows = atomic_load_explicit(&window->row_count, memory_order_relaxed);
    return rows == 0 ? INT64_MIN
                     : atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[rows - 1];
}

/* Whether a start needs the log for the window's rows. */
static bool needs_log(const struct head *head, const struct head_window *window)
{
    const struct sealed_window *sealed =
        atomic_load_explicit(&window->sealed, memory_order_relaxed);
    if (sealed != NULL && sealed->file != NULL &&
        sealed_file_is_synced(sealed->file, sealed->file_end))
        return false;
    return last_t_of(window) >= atomic_load_explicit(&head->min_valid_ms, memory_order_relaxed);
}

/* Oldest segment with rows that are nowhere else. A window that has been written to for long, by a
 * source that hardly writes, is closed, so that it will not hold the log for ever. */
static uint32_t oldest_needed(struct head *head, uint32_t current)
{
    uint32_t needed = current;
    mutex_lock(&head->write_lock);
    for (uint32_t i = 0; i < head->group_count; i++) {
        if (head->groups[i] == NULL)
            continue;
        struct head_window *newest =
            atomic_load_explicit(&head->groups[i]->newest, memory_order_relaxed);
        if (newest != NULL && newest->first_segment + LAGGING_SEGMENTS <= current)
            head__window_close(head, newest);
        for (const struct head_window *window = newest; window != NULL;
             window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
            if (window->first_segment < needed && needs_log(head, window))
                needed = window->first_segment;
        }
    }
    mutex_unlock(&head->write_lock);
    return needed;
}

/* ---- what else they hold ---- */

static void encode_of_series(struct head *head, uint32_t ordinal, struct strbuf *body)
{
    if (head__series(head, ordinal) == NULL)
        return;
    series_ref ref = head__ref(head, ordinal);
    head__metadata_encode(head->metadata, ref, body);
    uint32_t count;
    const struct head_deletion *deletions = head__deletions_of(head, ordinal, &count);
    for (uint32_t i = 0; i < count; i++)
        wal_encode_deletion(body, ref, deletions[i].min_t_ms, deletions[i].max_t_ms);
    head__late_encode(head, ordinal, body);
}

static err_t flush(struct wal_checkpoint *checkpoint, struct strbuf *body, size_t bytes_min,
                   struct strbuf *why)
{
    if (body->size == 0 || body->size < bytes_min)
        return OK;
    err_t err = wal_checkpoint_add(checkpoint, body, why);
    strbuf_clear(body);
    return err;
}

static err_t write_of_series(struct head *head, struct wal_checkpoint *checkpoint,
                             struct strbuf *body, struct strbuf *why)
{
    bool any = !head__metadata_is_empty(head->metadata) ||
               atomic_load_explicit(&head->deletions, memory_order_relaxed) != NULL ||
               atomic_load_explicit(&head->late.pages, memory_order_relaxed) != NULL;
    uint32_t count = any ? atomic_load_explicit(&head->ordinal_count, memory_order_acquire) : 0;
    for (uint32_t ordinal = 0; ordinal < count;) {
        mutex_lock(&head->write_lock);
        for (uint32_t i = 0;
             i < SERIES_PER_LOCK && ordinal < count && body->size < CHECKPOINT_BODY_BYTES; i++)
            encode_of_series(head, ordinal++, body);
        mutex_unlock(&head->write_lock);
        TRY(flush(checkpoint, body, CHECKPOINT_BODY_BYTES, why));
    }
    return OK;
}

static err_t write_exemplars(struct head *head, struct wal_checkpoint *checkpoint,
                             struct strbuf *body, struct strbuf *why)
{
    for (uint64_t from = 0; from != UINT64_MAX;) {
        mutex_lock(&head->write_lock);
        from = head__exemplars_encode(head->exemplars, from, CHECKPOINT_BODY_BYTES, body);
        mutex_unlock(&head->write_lock);
        TRY(flush(checkpoint, body, CHECKPOINT_BODY_BYTES, why));
    }
    return OK;
}

static err_t write_checkpoint(struct head *head, struct wal_checkpoint *checkpoint,
                              struct strbuf *why)
{
    struct strbuf body = STRBUF_INIT;
    wal_encode_cut(&body, atomic_load_explicit(&head->min_valid_ms, memory_order_relaxed));
    wal_encode_late_flushed(&body, head->late.pending_number);
    err_t err = write_of_series(head, checkpoint, &body, why);
    if (err == OK)
        err = write_exemplars(head, checkpoint, &body, why);
    if (err == OK)
        err = flush(checkpoint, &body, 0, why);
    strbuf_deinit(&body);
    return err;
}

err_t head__trim_log(struct head *head, struct strbuf *why)
{
    if (head->wal == NULL || wal_first_segment(head->wal) == wal_current_segment(head->wal))
        return OK;
    /* Taken first: series that later segments introduce may be missing in the files. */
    uint32_t current = wal_current_segment(head->wal);
    if (head->series_log != NULL) {
        TRY(series_log_update(head->series_log, head, why));
        TRY(sealed_store_sync(head->sealed, why));
        sealed_store_trim(head->sealed);
    }
    struct wal_checkpoint *checkpoint;
    TRY(wal_checkpoint_begin(head->wal, oldest_needed(head, current), &checkpoint, why));
    if (checkpoint == NULL)
        return OK;
    err_t err = write_checkpoint(head, checkpoint, why);
    if (err != OK) {
        wal_checkpoint_abort(checkpoint);
        return err;
    }
    return wal_checkpoint_finish(checkpoint, why);
}

err_t head_checkpoint(struct head *head, struct strbuf *why)
{
    if (head->wal == NULL)
        return OK;
    /* What was written before the cut can go with the next one. Not between the encoding and the
     * writing of a commit: its base is of one segment. */
    mutex_lock(&head->write_lock);
    err_t err = wal_roll(head->wal, why);
    mutex_unlock(&head->write_lock);
    if (head->sealed != NULL)
        sealed_store_roll(head->sealed);
    return err == OK ? head__trim_log(head, why) : err;
}
