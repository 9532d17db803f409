/* The housekeeper: syncs the log, seals windows, cuts blocks, compacts, retains. */
#include "db_maintain.h"

#include "narthex/base/log.h"

enum { HOUSEKEEPER_PERIOD_MS = 1000 };

static err_t seal_and_reclaim(struct db *db)
{
    head_seal(db->head, 0);
    head_drop_cut(db->head);
    head_reclaim(db->head);
    return OK;
}

err_t db_maintain(struct db *db, struct strbuf *why)
{
    mutex_lock(&db->maintain_lock);
    err_t err = wal_sync(db->wal, why);
    if (err == OK)
        err = seal_and_reclaim(db);
    mutex_unlock(&db->maintain_lock);
    return err;
}

static void housekeeper_run(void *context)
{
    struct db *db = context;
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&db->housekeeper_lock);
    while (!db->stopping) {
        int64_t deadline_ns =
            clock_monotonic_ns(clock_system()) + (int64_t)HOUSEKEEPER_PERIOD_MS * 1000 * 1000;
        while (!db->stopping &&
               cond_wait_until(&db->housekeeper_wake, &db->housekeeper_lock, deadline_ns)) {
        }
        mutex_unlock(&db->housekeeper_lock);
        if (db_maintain(db, &why) != OK)
            LOG_ERROR("storage maintenance failed", "err", strbuf_cstr(&why));
        mutex_lock(&db->housekeeper_lock);
    }
    mutex_unlock(&db->housekeeper_lock);
    strbuf_deinit(&why);
}

void db__housekeeper_start(struct db *db)
{
    thread_start(&db->housekeeper, "tsdb", housekeeper_run, db);
}

void db__housekeeper_stop(struct db *db)
{
    if (!db->housekeeper.running)
        return;
    mutex_lock(&db->housekeeper_lock);
    db->stopping = true;
    cond_signal(&db->housekeeper_wake);
    mutex_unlock(&db->housekeeper_lock);
    thread_join(&db->housekeeper);
}
