/* Snapshots: hard links of the blocks, and a block made of the head. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "db_maintain.h"

static const char *const block_files[] = {"block", "tombstones"};

static err_t link_block(struct db *db, const struct db_block *block, const char *folder,
                        struct strbuf *why)
{
    char *to = db__join(folder, block_meta(block->handle->block)->ulid.text);
    err_t err = db->fs->mkdir(db->fs->context, to, why);
    for (size_t i = 0; i < sizeof block_files / sizeof block_files[0] && err == OK; i++) {
        char *old_path = db__join(block->handle->path, block_files[i]);
        char *new_path = db__join(to, block_files[i]);
        if (fs_exists(old_path))
            err = db->fs->link(db->fs->context, old_path, new_path, why);
        mem_free(MEM_BLOCK, old_path);
        mem_free(MEM_BLOCK, new_path);
    }
    if (err == OK)
        err = db->fs->sync_dir(db->fs->context, to, why);
    mem_free(MEM_BLOCK, to);
    return err;
}

static void make_name(struct db *db, struct strbuf *name)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)clock_monotonic_ns(clock_system());
    time_t seconds = (time_t)(clock_wall_ms(db->clock) / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char text[64];
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
    strbuf_clear(name);
    strbuf_printf(name, "%s-%016llx", text, (unsigned long long)random);
}

static err_t fill(struct db *db, const char *folder, bool skip_head, struct strbuf *why)
{
    TRY(fs_make_dirs(db->fs, folder, why));
    struct db_view *view = db__view_get(db);
    err_t err = OK;
    for (uint32_t i = 0; i < view->block_count && err == OK; i++)
        err = link_block(db, view->blocks[i], folder, why);
    db__view_put(view);
    struct head_stats stats;
    head_stats(db->head, &stats);
    int64_t oldest_t_ms = head_oldest_sample(db->head);
    if (err == OK && !skip_head && oldest_t_ms <= stats.max_t_ms) {
        struct block_ulid ulid;
        bool written;
        err =
            db__write_head_block(db, folder, oldest_t_ms, stats.max_t_ms + 1, &ulid, &written, why);
    }
    if (err == OK && !skip_head)
        err = db__write_late_blocks(db, folder, why);
    return err == OK ? db->fs->sync_dir(db->fs->context, folder, why) : err;
}

err_t db_snapshot(struct db *db, bool skip_head, struct strbuf *name, struct strbuf *why)
{
    make_name(db, name);
    char *parent = db__join(db->path, "snapshots");
    char *folder = db__join(parent, strbuf_cstr(name));
    mutex_lock(&db->maintain_lock);
    err_t err = fill(db, folder, skip_head, why);
    mutex_unlock(&db->maintain_lock);
    mem_free(MEM_BLOCK, parent);
    mem_free(MEM_BLOCK, folder);
    return err;
}
