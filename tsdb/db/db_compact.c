/* Which blocks to merge, and which to drop. */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "db_maintain.h"
#include "narthex/base/log.h"
#include "narthex/tsdb/block_merge.h"
#include "narthex/tsdb/histogram_column.h"

/* Each level's range is three of the one below, as in Prometheus. */
enum { RANGE_FACTOR = 3, TOMBSTONE_PERCENT = 5 };

static const struct block_meta *meta_of(const struct db_block *block)
{
    return block_meta(block->handle->block);
}

/* Blocks to merge: view->blocks[first .. first + count). */
struct plan {
    uint32_t first;
    uint32_t count;
};

static struct plan plan_overlap(const struct db_view *view)
{
    struct plan plan = {0, 0};
    int64_t end_t_ms = INT64_MIN;
    for (uint32_t i = 0; i < view->block_count; i++) {
        const struct block_meta *meta = meta_of(view->blocks[i]);
        if (i > 0 && meta->min_t_ms < end_t_ms) {
            plan.count = i - plan.first + 1;
        } else if (plan.count > 1) {
            break;
        } else {
            plan.first = i;
        }
        if (meta->max_t_ms > end_t_ms)
            end_t_ms = meta->max_t_ms;
    }
    return plan;
}

/* Blocks that lie in one aligned range, of which there is nothing more to come. */
static struct plan plan_range(const struct db_view *view, int64_t range_ms)
{
    struct plan plan = {0, 0};
    if (view->block_count == 0)
        return plan;
    int64_t newest_t_ms = meta_of(view->blocks[view->block_count - 1])->max_t_ms;
    for (uint32_t i = 0; i < view->block_count;) {
        int64_t start = db__range_start(meta_of(view->blocks[i])->min_t_ms, range_ms);
        uint32_t end = i;
        while (end < view->block_count && meta_of(view->blocks[end])->min_t_ms < start + range_ms &&
               meta_of(view->blocks[end])->max_t_ms <= start + range_ms)
            end++;
        if (end - i > 1 && start + range_ms <= newest_t_ms) {
            plan = (struct plan){i, end - i};
            return plan;
        }
        i = end > i ? end : i + 1;
    }
    return plan;
}

static bool is_mostly_deleted(const struct db_block *block)
{
    uint64_t deleted = tombstones_series_count(block->tombstones);
    return deleted * 100 > ((uint64_t)meta_of(block)->counts.series + 1) * TOMBSTONE_PERCENT;
}

static struct plan bounded(struct plan plan)
{
    if (plan.count > BLOCK_MERGE_INPUTS_MAX)
        plan.count = BLOCK_MERGE_INPUTS_MAX;
    return plan;
}

static struct plan plan_next(const struct db *db, const struct db_view *view)
{
    struct plan plan = plan_overlap(view);
    if (plan.count > 1)
        return bounded(plan);
    for (int64_t range = db->block_range_ms * RANGE_FACTOR; range <= db->block_range_max_ms;
         range *= RANGE_FACTOR) {
        plan = plan_range(view, range);
        if (plan.count > 1)
            return bounded(plan);
    }
    for (uint32_t i = 0; i + 1 < view->block_count; i++) {
        if (is_mostly_deleted(view->blocks[i]))
            return (struct plan){i, 1};
    }
    return (struct plan){0, 0};
}

static err_t select_histograms(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                               const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                               struct strbuf *why)
{
    (void)context;
    return histogram_column_select(bytes, size, count, index, kept_count, out, why);
}

static err_t join_histograms(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                             struct strbuf *out, struct strbuf *why)
{
    (void)context;
    uint8_t all[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < count; i++)
        all[i] = (uint8_t)i;
    return histogram_column_select(bytes, size, count, all, count, out, why);
}

static const struct block_histogram_codec histogram_codec = {.select = select_histograms,
                                                             .join = join_histograms};

/* A later input of a merge wins. */
static int by_precedence(const void *a, const void *b)
{
    const struct db_block *x = *(struct db_block *const *)a;
    const struct db_block *y = *(struct db_block *const *)b;
    return db__block_precedes(x, y) - db__block_precedes(y, x);
}

static err_t merge(struct db *db, struct db_block *const *blocks, size_t count,
                   struct block_ulid *ulid, bool *written, struct strbuf *why)
{
    struct block_merge_input *inputs = MEM_NEW_ARRAY(MEM_BLOCK, struct block_merge_input, count);
    struct db_block **ordered = MEM_NEW_ARRAY(MEM_BLOCK, struct db_block *, count);
    memcpy(ordered, blocks, count * sizeof(struct db_block *));
    qsort(ordered, count, sizeof(struct db_block *), by_precedence);
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct block_merge_input){ordered[i]->handle->block, ordered[i]->tombstones};
    mem_free(MEM_BLOCK, ordered);
    struct block_merge_options options = {
        .fs = db->fs, .parent = db->path, .histograms = &histogram_codec};
    db__ulid_make(db, ulid);
    options.meta.ulid = *ulid;
    struct block_merge_result result = {0};
    err_t err = block_merge(inputs, (uint32_t)count, &options, &result, why);
    *written = result.written;
    mem_free(MEM_BLOCK, inputs);
    return err;
}

/* Replaces blocks by what is left of them. */
static err_t rewrite(struct db *db, struct db_block *const *blocks, size_t count,
                     struct strbuf *why)
{
    struct block_ulid ulid;
    bool written;
    int64_t start_ns = clock_monotonic_ns(clock_system());
    err_t err = merge(db, blocks, count, &ulid, &written, why);
    struct db_block *block = NULL;
    if (err == OK && written) {
        char *path = db__join(db->path, ulid.text);
        err = db__block_open(db, path, &block, why);
        mem_free(MEM_BLOCK, path);
    }
    db__note_compaction(db, err, start_ns);
    if (err != OK)
        return err;
    LOG_INFO("merged blocks", "ulid", written ? ulid.text : "none left");
    db__view_replace(db, blocks, count, block, true);
    return OK;
}

err_t db__compact(struct db *db, struct strbuf *why)
{
    for (;;) {
        struct db_view *view = db__view_get(db);
        struct plan plan = plan_next(db, view);
        err_t err = OK;
        if (plan.count > 0)
            err = rewrite(db, view->blocks + plan.first, plan.count, why);
        db__view_put(view);
        if (err != OK || plan.count == 0)
            return err;
    }
}

err_t db_clean_tombstones(struct db *db, struct strbuf *why)
{
    mutex_lock(&db->maintain_lock);
    int64_t start_ns = clock_monotonic_ns(clock_system());
    struct db_view *view = db__view_get(db);
    err_t err = OK;
    for (uint32_t i = 0; i < view->block_count && err == OK; i++) {
        if (tombstones_count(view->blocks[i]->tombstones) > 0)
            err = rewrite(db, &view->blocks[i], 1, why);
    }
    db__view_put(view);
    if (db->metrics.tombstone_seconds != NULL)
        metric_observe(db->metrics.tombstone_seconds,
                       (double)(clock_monotonic_ns(clock_system()) - start_ns) / 1e9);
    mutex_unlock(&db->maintain_lock);
    return err;
}

/* ---- retention ---- */

static uint64_t disk_bytes(const char *path)
{
    struct statvfs info;
    return statvfs(path, &info) == 0 ? (uint64_t)info.f_blocks * info.f_frsize : 0;
}

/* All that is under the data folder, but for blocks that go as soon as queries let go of them. */
static uint64_t data_bytes(const struct db *db)
{
    /* Read first: a block that goes meanwhile is left out twice rather than counted. */
    uint64_t doomed = atomic_load_explicit(&db->doomed_bytes, memory_order_acquire);
    uint64_t bytes = fs_tree_bytes(db->path, NULL);
    return bytes > doomed ? bytes - doomed : 0;
}

/* Oldest block first; true when one was removed, and counted. *bytes: of the data folder. */
static bool drop_oldest(struct db *db, int64_t retention_ms, uint64_t bytes_max, uint64_t *bytes)
{
    struct db_view *view = db__view_get(db);
    bool dropped = false;
    if (view->block_count > 0) {
        int64_t newest_t_ms = INT64_MIN;
        for (uint32_t i = 0; i < view->block_count; i++) {
            const struct block_meta *meta = meta_of(view->blocks[i]);
            newest_t_ms = meta->max_t_ms > newest_t_ms ? meta->max_t_ms : newest_t_ms;
        }
        struct db_block *oldest = view->blocks[0];
        bool too_old = retention_ms > 0 && meta_of(oldest)->max_t_ms <= newest_t_ms - retention_ms;
        if (too_old || (bytes_max > 0 && *bytes > bytes_max)) {
            LOG_INFO("removing a block by retention", "ulid", meta_of(oldest)->ulid.text);
            db__view_replace(db, &oldest, 1, NULL, true);
            /* What a snapshot links stays, and counts. */
            uint64_t freed = oldest->handle->doomed_bytes;
            *bytes = *bytes > freed ? *bytes - freed : 0;
            db__count(too_old ? db->metrics.time_retentions : db->metrics.size_retentions, 1);
            dropped = true;
        }
    }
    db__view_put(view);
    return dropped;
}

void db__retain(struct db *db)
{
    mutex_lock(&db->settings_lock);
    int64_t retention_ms = db->retention_ms;
    uint64_t bytes_max = db->retention_bytes;
    double percent = db->retention_percent;
    mutex_unlock(&db->settings_lock);
    if (percent > 0)
        bytes_max = (uint64_t)((double)disk_bytes(db->path) * percent / 100);
    uint64_t bytes = bytes_max > 0 ? data_bytes(db) : 0;
    while (drop_oldest(db, retention_ms, bytes_max, &bytes)) {
    }
}
