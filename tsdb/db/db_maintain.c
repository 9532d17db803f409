/* The housekeeper: syncs the log, seals windows, cuts blocks, compacts, retains. */
#include "db_maintain.h"

#include "narthex/base/log.h"

static const int64_t PERIOD_NS = INT64_C(1000) * 1000 * 1000;
/* A failed cut (a full disk) is not tried again at once. */
static const int64_t CUT_RETRY_NS = INT64_C(60) * 1000 * 1000 * 1000;

/* 20 bytes each in memory, 36 with a start time or a histogram. */
enum { LATE_SAMPLES_MAX = 1 << 21 };

/* Windows wait until there are several, but not for long: a restart takes them from the log. */
enum { SEAL_ROUNDS_MAX = 5 };

static void seal_and_reclaim(struct db *db, bool at_once)
{
    if (at_once || ++db->rounds_unsealed >= SEAL_ROUNDS_MAX || head_seal_is_due(db->head)) {
        db->rounds_unsealed = 0;
        head_seal(db->head, 0);
    }
    head_drop_cut(db->head);
    head_late_drop(db->head);
    head_reclaim(db->head);
}

/* As in Prometheus: a range is cut when the head spans one and a half of them. */
static err_t cut_if_due(struct db *db, struct strbuf *why)
{
    struct head_extent extent;
    head_extent(db->head, &extent);
    /* Its min_t_ms may be too old, after deletions or while a cut waits for readers; the true one
     * takes a walk over all windows, during which nobody appends. */
    if (extent.min_t_ms == INT64_MAX ||
        extent.max_t_ms - extent.min_t_ms <= db->block_range_ms * 3 / 2)
        return OK;
    int64_t min_t_ms = head_oldest_sample(db->head);
    if (min_t_ms == INT64_MAX || extent.max_t_ms - min_t_ms <= db->block_range_ms * 3 / 2)
        return OK;
    int64_t now_ns = clock_monotonic_ns(db->clock);
    if (now_ns < db->cut_not_before_ns)
        return OK;
    int64_t end_t_ms = db__range_start(min_t_ms, db->block_range_ms) + db->block_range_ms;
    int64_t start_ns = clock_monotonic_ns(clock_system());
    err_t err = db__cut_head(db, end_t_ms, why);
    db__note_compaction(db, err, start_ns);
    if (err != OK)
        db->cut_not_before_ns = now_ns + CUT_RETRY_NS;
    return err;
}

/* Late samples go with a cut of the head, and when there are many of them. */
static err_t flush_late_if_due(struct db *db, struct strbuf *why)
{
    struct head_extent extent;
    head_extent(db->head, &extent);
    int64_t now_ns = clock_monotonic_ns(db->clock);
    if (extent.late_count < LATE_SAMPLES_MAX || now_ns < db->cut_not_before_ns)
        return OK;
    err_t err = db__flush_late(db, why);
    if (err != OK)
        db->cut_not_before_ns = now_ns + CUT_RETRY_NS;
    return err;
}

static err_t compact_if_due(struct db *db, struct strbuf *why)
{
    int64_t now_ns = clock_monotonic_ns(db->clock);
    if (now_ns < db->cut_not_before_ns)
        return OK;
    err_t err = db__compact(db, why);
    if (err != OK)
        db->cut_not_before_ns = now_ns + CUT_RETRY_NS;
    return err;
}

static err_t maintain(struct db *db, bool at_once, struct strbuf *why)
{
    mutex_lock(&db->maintain_lock);
    seal_and_reclaim(db, at_once);
    err_t err = cut_if_due(db, why);
    if (err == OK)
        err = flush_late_if_due(db, why);
    if (err == OK)
        err = compact_if_due(db, why);
    if (err == OK)
        db__retain(db);
    mutex_unlock(&db->maintain_lock);
    return err;
}

err_t db_maintain(struct db *db, struct strbuf *why)
{
    TRY(wal_sync(db->wal, why));
    return maintain(db, true, why);
}

/* Runs `work` each period until the database stops. */
static void run_periodically(struct db *db, err_t (*work)(struct db *, struct strbuf *),
                             const char *failure)
{
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&db->housekeeper_lock);
    while (!db->stopping) {
        int64_t deadline_ns = clock_monotonic_ns(clock_system()) + PERIOD_NS;
        while (!db->stopping &&
               cond_wait_until(&db->housekeeper_wake, &db->housekeeper_lock, deadline_ns)) {
        }
        mutex_unlock(&db->housekeeper_lock);
        if (work(db, &why) != OK)
            LOG_ERROR(failure, "err", strbuf_cstr(&why));
        mutex_lock(&db->housekeeper_lock);
    }
    mutex_unlock(&db->housekeeper_lock);
    strbuf_deinit(&why);
}

static err_t keep_house(struct db *db, struct strbuf *why)
{
    return maintain(db, false, why);
}

static void housekeeper_run(void *context)
{
    run_periodically(context, keep_house, "storage maintenance failed");
}

static void syncer_run(void *context)
{
    run_periodically(context, db_sync, "syncing the write-ahead log failed");
}

/* Syncing has a thread of its own, so that a long merge does not hold it up. */
void db__housekeeper_start(struct db *db)
{
    thread_start(&db->housekeeper, "tsdb", housekeeper_run, db);
    thread_start(&db->syncer, "tsdb-sync", syncer_run, db);
}

void db__housekeeper_stop(struct db *db)
{
    if (!db->housekeeper.running)
        return;
    mutex_lock(&db->housekeeper_lock);
    db->stopping = true;
    cond_broadcast(&db->housekeeper_wake);
    mutex_unlock(&db->housekeeper_lock);
    thread_join(&db->housekeeper);
    thread_join(&db->syncer);
}
