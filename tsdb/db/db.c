/* Opening and closing a database, its interface table and its settings. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_impl.h"
#include "db_maintain.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"

static const int64_t BLOCK_RANGE_MS_DEFAULT = INT64_C(2) * 60 * 60 * 1000;
static const int64_t BLOCK_RANGE_MAX_MS_DEFAULT = INT64_C(31) * 24 * 60 * 60 * 1000;

/* ---- the interface ---- */

static source_ref storage_op_source_open(struct storage *storage, uint64_t key)
{
    return head_source_open(db__of(storage)->head, key);
}

static void storage_op_source_close(struct storage *storage, source_ref source)
{
    head_source_close(db__of(storage)->head, source);
}

static err_t storage_op_appender_open(struct storage *storage, struct appender **appender,
                                      struct strbuf *why)
{
    return head_appender_open(db__of(storage)->head, appender, why);
}

static bool storage_op_time_range(struct storage *storage, int64_t *min_t_ms, int64_t *max_t_ms)
{
    struct db *db = db__of(storage);
    struct head_extent extent;
    head_extent(db->head, &extent);
    *min_t_ms = extent.min_t_ms;
    *max_t_ms = extent.max_t_ms;
    if (extent.late_min_t_ms < *min_t_ms)
        *min_t_ms = extent.late_min_t_ms;
    if (extent.late_max_t_ms > *max_t_ms)
        *max_t_ms = extent.late_max_t_ms;
    struct db_view *view = db__view_get(db);
    for (uint32_t i = 0; i < view->block_count; i++) {
        const struct block_meta *meta = block_meta(view->blocks[i]->handle->block);
        if (meta->min_t_ms < *min_t_ms)
            *min_t_ms = meta->min_t_ms;
        if (meta->max_t_ms - 1 > *max_t_ms)
            *max_t_ms = meta->max_t_ms - 1;
    }
    db__view_put(view);
    return *min_t_ms <= *max_t_ms;
}

/* Like Prometheus, the figures are those of the head. */
static err_t storage_op_cardinality(struct storage *storage, size_t limit, struct arena *arena,
                                    struct cardinality *result, struct strbuf *why)
{
    head_cardinality(db__of(storage)->head, limit, arena, result);
    return arena_exhausted(arena)
               ? err_fail(why, ERR_LIMIT, "cardinality figures need too much memory")
               : OK;
}

static const struct storage_ops db_storage_ops = {
    .source_open = storage_op_source_open,
    .source_close = storage_op_source_close,
    .appender_open = storage_op_appender_open,
    .querier_open = db__querier_open,
    .delete_samples = db__delete_samples,
    .cardinality = storage_op_cardinality,
    .time_range = storage_op_time_range,
};

struct storage *db_storage(struct db *db)
{
    return &db->base;
}

const char *db_path(const struct db *db)
{
    return db->path;
}

/* ---- opening ---- */

char *db__join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = mem_alloc(MEM_BLOCK, size);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* Names ascend in the order of making: see db__block_precedes. */
void db__ulid_make(struct db *db, struct block_ulid *ulid)
{
    int64_t time_ms = clock_wall_ms(db->clock);
    if (time_ms <= db->ulid_ms)
        time_ms = db->ulid_ms + 1;
    db->ulid_ms = time_ms;
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort(); /* cannot happen for so few bytes once the system is up */
    block_ulid_make(time_ms, random, ulid);
}

static bool has_entry(const char *folder, const char *name)
{
    char *path = db__join(folder, name);
    bool exists = fs_exists(path);
    mem_free(MEM_BLOCK, path);
    return exists;
}

/* A folder of Prometheus must not be mixed with ours: neither could read the other's files. */
static err_t refuse_prometheus(const char *path, struct strbuf *why)
{
    struct fs_list list;
    TRY(fs_list_dir(path, &list, why));
    bool found = has_entry(path, "chunks_head");
    for (size_t i = 0; i < list.count && !found; i++) {
        if (!block_ulid_is_valid(str_from_cstr(list.names[i])))
            continue;
        char *folder = db__join(path, list.names[i]);
        found = has_entry(folder, "meta.json");
        mem_free(MEM_BLOCK, folder);
    }
    fs_list_free(&list);
    if (!found)
        return OK;
    return err_fail(why, ERR_INVALID,
                    "%s holds data of Prometheus; choose another folder and bring the data over as "
                    "OpenMetrics text with: narthexctl tsdb create-blocks-from openmetrics",
                    path);
}

err_t db_lock_folder(const char *folder, int *file, struct strbuf *why)
{
    TRY(refuse_prometheus(folder, why));
    char *path = db__join(folder, "lock");
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    err_t err = OK;
    if (opened < 0) {
        err = err_fail_errno(why, errno, "open %s", path);
    } else if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        err = err_fail(why, ERR_UNAVAILABLE, "%s is in use by another process", folder);
        close(opened);
    } else {
        *file = opened;
    }
    mem_free(MEM_BLOCK, path);
    return err;
}

/* The lock file is empty unless a process has the database open, or had it and did not close it. */
static err_t lock(struct db *db, struct strbuf *why)
{
    struct stat status;
    TRY(db_lock_folder(db->path, &db->lock_file, why));
    db->locked_clean = fstat(db->lock_file, &status) == 0 && status.st_size == 0;
    return OK;
}

static void mark_in_use(struct db *db)
{
    static const char mark[] = "open\n";
    if (db->lock_file >= 0)
        db->marked_in_use =
            pwrite(db->lock_file, mark, sizeof mark - 1, 0) == (ssize_t)sizeof mark - 1;
}

static void unlock(struct db *db)
{
    if (db->lock_file < 0)
        return;
    /* What cannot be emptied counts as not closed, which is a warning and no more. */
    if (db->marked_in_use && ftruncate(db->lock_file, 0) != 0)
        LOG_WARN("the lock file cannot be emptied", "path", db->path);
    close(db->lock_file);
}

static int64_t newest_ulid_ms(const struct db *db)
{
    int64_t newest_ms = 0;
    for (uint32_t i = 0; i < db->view->block_count; i++) {
        int64_t time_ms = block_ulid_ms(&block_meta(db->view->blocks[i]->handle->block)->ulid);
        newest_ms = time_ms > newest_ms ? time_ms : newest_ms;
    }
    return newest_ms;
}

struct replayed_segment {
    uint32_t number;
    uint64_t bytes;
    int64_t max_t_ms;
};

struct replay_log {
    struct db_replay *progress; /* NULL: nobody asks */
    struct replayed_segment *items;
    uint32_t count;
    uint32_t capacity;
};

static void on_segment(void *context, uint32_t number, uint32_t last)
{
    const struct replay_log *log = context;
    if (log->progress != NULL) {
        /* relaxed: three numbers to look at, nothing else is read by them */
        if (log->count == 0)
            atomic_store_explicit(&log->progress->first_segment, number, memory_order_relaxed);
        atomic_store_explicit(&log->progress->last_segment, last, memory_order_relaxed);
        atomic_store_explicit(&log->progress->segment, number, memory_order_relaxed);
    }
    char text[16], last_text[16];
    snprintf(text, sizeof text, "%u", number);
    snprintf(last_text, sizeof last_text, "%u", last);
    LOG_INFO("replaying the write-ahead log", "segment", text, "last", last_text);
}

static void on_segment_end(void *context, uint32_t number, uint64_t bytes, int64_t max_t_ms)
{
    struct replay_log *log = context;
    VEC_PUSH(MEM_WAL, log->items, log->count, log->capacity,
             (struct replayed_segment){number, bytes, max_t_ms});
}

/* Everything before this is in blocks that were cut from the head. */
static int64_t end_of_blocks(struct db *db)
{
    int64_t end = INT64_MIN;
    for (uint32_t i = 0; i < db->view->block_count; i++) {
        const struct block_meta *meta = block_meta(db->view->blocks[i]->handle->block);
        if ((meta->flags & BLOCK_FLAG_OUT_OF_ORDER) == 0 && meta->max_t_ms > end)
            end = meta->max_t_ms;
    }
    return end;
}

static err_t open_log(struct db *db, struct db_replay *progress, struct strbuf *why)
{
    struct replay_log log = {.progress = progress};
    struct wal_replay_result result;
    int64_t start_ns = clock_monotonic_ns(clock_system());
    err_t err = head_replay(db->head, db->fs, db->wal_path, end_of_blocks(db), on_segment,
                            on_segment_end, &log, &result, why);
    if (err == OK) {
        struct wal_options options = {.fs = db->fs,
                                      .path = db->wal_path,
                                      .first_segment = result.next_segment,
                                      .fsync_seconds = db->metrics.fsync_seconds};
        err = wal_open(&options, &db->wal, why);
    }
    for (uint32_t i = 0; i < log.count && err == OK; i++)
        wal_adopt_segment(db->wal, log.items[i].number, log.items[i].bytes, log.items[i].max_t_ms);
    mem_free(MEM_WAL, log.items);
    TRY(err);
    head_set_wal(db->head, db->wal);
    int64_t took_ms = (clock_monotonic_ns(clock_system()) - start_ns) / 1000000;
    db->corruptions = result.damaged_records;
    db__count(db->metrics.wal_corruptions, (double)db->corruptions);
    db__set(db->metrics.replay_seconds, (double)took_ms / 1000);
    char samples[24], milliseconds[24], damaged[24];
    snprintf(samples, sizeof samples, "%" PRIu64, result.sample_count);
    snprintf(milliseconds, sizeof milliseconds, "%" PRId64, took_ms);
    snprintf(damaged, sizeof damaged, "%" PRIu64, result.damaged_bytes);
    LOG_INFO("write-ahead log replayed", "samples", samples, "milliseconds", milliseconds,
             "damaged_bytes", damaged);
    return OK;
}

static struct db *db_create(const struct db_options *options)
{
    struct db *db = MEM_NEW(MEM_BLOCK, struct db);
    db->base.ops = &db_storage_ops;
    db->path = mem_dup(MEM_BLOCK, options->path, strlen(options->path));
    db->wal_path = db__join(options->path, "wal");
    db->fs = options->fs == NULL ? fs_system() : options->fs;
    db->clock = options->clock == NULL ? clock_system() : options->clock;
    db->block_range_ms =
        options->block_range_ms == 0 ? BLOCK_RANGE_MS_DEFAULT : options->block_range_ms;
    db->block_range_max_ms = options->block_range_max_ms;
    if (db->block_range_max_ms == 0) {
        db->block_range_max_ms = BLOCK_RANGE_MAX_MS_DEFAULT;
        if (options->retention_ms > 0 && options->retention_ms / 10 < db->block_range_max_ms)
            db->block_range_max_ms = options->retention_ms / 10;
    }
    if (db->block_range_max_ms < db->block_range_ms)
        db->block_range_max_ms = db->block_range_ms;
    db->sync_each_commit = options->sync == DB_SYNC_EACH_COMMIT;
    db->retention_ms = options->retention_ms;
    db->retention_bytes = options->retention_bytes;
    db->retention_percent = options->retention_percent;
    db->lock_file = -1;
    mutex_init(&db->settings_lock);
    mutex_init(&db->maintain_lock);
    mutex_init(&db->view_lock);
    db__selections_init(&db->selections);
    mutex_init(&db->housekeeper_lock);
    cond_init(&db->housekeeper_wake);
    struct head_options head_options = {
        .window_range_ms = db->block_range_ms,
        .exemplars_max = options->exemplars_max,
        .sync_each_commit = db->sync_each_commit,
    };
    db->head = head_create(&head_options);
    db_set_out_of_order_window(db, options->out_of_order_window_ms);
    return db;
}

err_t db_open(const struct db_options *options, struct db **result, struct strbuf *why)
{
    struct db *db = db_create(options);
    err_t err;
    TRY_OUT(fs_make_dirs(db->fs, db->path, why));
    if (options->no_lockfile)
        TRY_OUT(refuse_prometheus(db->path, why));
    else
        TRY_OUT(lock(db, why));
    if (options->metrics != NULL)
        db__metrics_register(db, options->metrics);
    db__set(db->metrics.clean_start, db->lock_file < 0 ? -1 : db->locked_clean);
    TRY_OUT(db__view_load(db, why));
    TRY_OUT(head_open_files(db->head, db->fs, db->path, why));
    db->ulid_ms = newest_ulid_ms(db);
    TRY_OUT(open_log(db, options->replay, why));
    mark_in_use(db);
    if (options->metrics != NULL)
        db__metrics_start(db, options->metrics);
    if (!options->no_background)
        db__housekeeper_start(db);
    *result = db;
out:
    if (err != OK) {
        struct strbuf second = STRBUF_INIT;
        strbuf_add_str(&second, strbuf_str(why));
        db_close(db);
        strbuf_clear(why);
        strbuf_add_str(why, strbuf_str(&second));
        strbuf_deinit(&second);
    }
    return err;
}

void db_close(struct db *db)
{
    db__housekeeper_stop(db);
    if (db->wal != NULL) {
        struct strbuf why = STRBUF_INIT;
        head_set_wal(db->head, NULL);
        if (wal_close(db->wal, &why) != OK)
            LOG_ERROR("closing the write-ahead log failed", "err", strbuf_cstr(&why));
        strbuf_deinit(&why);
    }
    head_destroy(db->head);
    if (db->view != NULL)
        db__view_put(db->view);
    unlock(db);
    mutex_deinit(&db->settings_lock);
    mutex_deinit(&db->maintain_lock);
    mutex_deinit(&db->view_lock);
    db__selections_deinit(&db->selections);
    mutex_deinit(&db->housekeeper_lock);
    cond_deinit(&db->housekeeper_wake);
    mem_free(MEM_BLOCK, db->path);
    mem_free(MEM_BLOCK, db->wal_path);
    mem_free(MEM_BLOCK, db);
}

uint64_t db_corruptions(const struct db *db)
{
    return db->corruptions;
}

/* ---- settings ---- */

void db_set_retention(struct db *db, int64_t retention_ms, uint64_t retention_bytes,
                      double retention_percent)
{
    mutex_lock(&db->settings_lock);
    db->retention_ms = retention_ms;
    db->retention_bytes = retention_bytes;
    db->retention_percent = retention_percent;
    mutex_unlock(&db->settings_lock);
}

void db_set_out_of_order_window(struct db *db, int64_t window_ms)
{
    head_set_out_of_order_window(db->head, window_ms);
}

void db_set_exemplars_max(struct db *db, int64_t exemplars_max)
{
    head_set_exemplars_max(db->head, exemplars_max);
}

err_t db_sync(struct db *db, struct strbuf *why)
{
    return wal_sync(db->wal, why);
}
