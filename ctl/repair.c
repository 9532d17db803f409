/* narthexctl tsdb repair: makes a damaged data folder one that can be read whole.
 *
 * Nothing is thrown away: what is damaged goes to DIR/damaged/, and what it held is listed. The
 * torn end of the last segment of the log, a commit that was never finished, is cut. A damaged
 * segment, checkpoint or file of sealed windows is replaced by one with the records that are whole;
 * a damaged block is left out. Damaged files of series are copied; the database is opened once,
 * loads what it can, and writes them anew.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_files.h"
#include "ctl.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/db.h"
#include "progress.h"

struct repair {
    const char *folder;
    bool series; /* some file of series is damaged */
    struct ctl_progress progress;
    uint64_t bytes_done;
    int repaired;
    int failed;
};

static void fail(struct repair *repair, const char *path, struct strbuf *why)
{
    ctl_progress_clear(&repair->progress);
    fprintf(stderr, "narthexctl: error: %s: %s\n", path, strbuf_cstr(why));
    repair->failed++;
}

/* A file is about to be read; the bar is to be cleared before anything is printed. */
static void step(struct repair *repair, const char *path)
{
    uint64_t size = 0;
    struct strbuf why = STRBUF_INIT;
    ctl_progress_set(&repair->progress, repair->bytes_done);
    if (fs_file_size(path, &size, &why) == OK)
        repair->bytes_done += size;
    strbuf_deinit(&why);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Moves a file or folder to damaged/<prefix><name>; `to` is where. */
static err_t set_aside(const struct repair *repair, const char *path, const char *prefix, char *to,
                       size_t to_size, struct strbuf *why)
{
    const struct fs *fs = fs_system();
    snprintf(to, to_size, "%s/damaged", repair->folder);
    TRY(fs_make_dirs(fs, to, why));
    snprintf(to, to_size, "%s/damaged/%s%s", repair->folder, prefix, last_part(path));
    for (int i = 1; fs_exists(to) && i < 1000; i++)
        snprintf(to, to_size, "%s/damaged/%s%s.%d", repair->folder, prefix, last_part(path), i);
    TRY(fs->rename(fs->context, path, to, why));
    return fs->sync_dir(fs->context, repair->folder, why);
}

/* ---- blocks ---- */

/* What a block that can still be opened says it holds. */
static void print_block_loss(const char *path)
{
    struct block *block;
    struct strbuf why = STRBUF_INIT;
    if (block_open(path, &block, &why) == OK) {
        const struct block_meta *meta = block_meta(block);
        printf("  lost: %llu samples of %u series from %lld to %lld ms\n",
               (unsigned long long)meta->counts.samples, meta->counts.series,
               (long long)meta->min_t_ms, (long long)meta->max_t_ms - 1);
        block_close(block);
    } else {
        printf("  lost: all of the block; what it held cannot be told\n");
    }
    strbuf_deinit(&why);
}

static int repair_block(const char *path, void *context)
{
    struct repair *repair = context;
    struct strbuf why = STRBUF_INIT;
    bool tombstones_only;
    char to[4096];
    char block[4096];
    snprintf(block, sizeof block, "%s/block", path);
    step(repair, block);
    err_t err = ctl_check_block(path, &tombstones_only, &why);
    if (err == ERR_UNSUPPORTED) {
        fail(repair, path, &why); /* of a newer version: nothing says that it is damaged */
    } else if (err != OK) {
        ctl_progress_clear(&repair->progress);
        printf("%s: %s\n", path, strbuf_cstr(&why));
        strbuf_clear(&why);
        char file[4096];
        snprintf(file, sizeof file, "%s/tombstones", path);
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%.40s-", last_part(path));
        if (set_aside(repair, tombstones_only ? file : path, tombstones_only ? prefix : "", to,
                      sizeof to, &why) != OK) {
            fail(repair, path, &why);
        } else {
            repair->repaired++;
            printf("  set aside as %s\n", to);
            if (tombstones_only)
                printf("  lost: the deletions in this block; what they hid is back\n");
            else
                print_block_loss(to);
        }
    }
    strbuf_deinit(&why);
    return 0;
}

/* ---- the log ---- */

static void print_log_loss(const struct ctl_log_file *file, const struct ctl_log_state *state,
                           const struct wal_salvage *salvage, bool replaced)
{
    if (!replaced) {
        printf("  lost: series, metadata and late samples that segments up to %u held\n",
               file->number);
        return;
    }
    printf("  lost: %llu bytes in %llu places, the first at %llu",
           (unsigned long long)salvage->lost_bytes, (unsigned long long)salvage->lost_places,
           (unsigned long long)salvage->first_lost_at);
    if (state->result.skipped_rows > 0)
        printf(", and %llu rows behind them", (unsigned long long)state->result.skipped_rows);
    if (state->min_t_ms <= state->max_t_ms)
        printf("; what is left is from %lld to %lld ms", (long long)state->min_t_ms,
               (long long)state->max_t_ms);
    printf("\n");
}

/* Puts a file made of the whole records in place of a damaged one. */
static err_t replace_file(struct repair *repair, const struct ctl_log_file *file,
                          const struct ctl_log_state *state, struct strbuf *why)
{
    struct strbuf bytes = STRBUF_INIT;
    struct wal_salvage salvage;
    char to[4096];
    wal_salvage_bytes(state->mapping.data, state->mapping.size, file->number, &bytes, &salvage);
    err_t err = set_aside(repair, file->path, "wal-", to, sizeof to, why);
    if (err == OK && state->complete)
        err = fs_write_atomic(fs_system(), file->path, bytes.data, bytes.size, why);
    strbuf_deinit(&bytes);
    if (err != OK)
        return err;
    repair->repaired++;
    printf("%s: damaged\n  set aside as %s\n", file->path, to);
    if (state->complete)
        printf("  replaced by its %llu whole records\n", (unsigned long long)salvage.kept_records);
    print_log_loss(file, state, &salvage, state->complete);
    return OK;
}

static int repair_log_file(const struct ctl_log_file *file, void *context)
{
    struct repair *repair = context;
    struct ctl_log_state state;
    struct strbuf why = STRBUF_INIT;
    step(repair, file->path);
    err_t err = ctl_check_log_file(file, &state, &why);
    if (err == OK) {
        ctl_progress_clear(&repair->progress);
        uint64_t size = state.mapping.size;
        if (state.result.damaged_bytes > 0 || !state.complete) {
            err = replace_file(repair, file, &state, &why);
        } else if (state.good_bytes < size) {
            err = fs_cut(fs_system(), file->path, state.good_bytes, &why);
            repair->repaired++;
            printf("%s: cut %llu bytes of an unfinished commit\n", file->path,
                   (unsigned long long)(size - state.good_bytes));
        }
        fs_unmap(&state.mapping);
    }
    if (err != OK)
        fail(repair, file->path, &why);
    strbuf_deinit(&why);
    return 0;
}

/* ---- sealed windows and series ---- */

static err_t replace_sealed(struct repair *repair, const struct ctl_head_file *file,
                            const struct head_file_check *check, const struct strbuf *whole,
                            struct strbuf *why)
{
    char to[4096];
    TRY(set_aside(repair, file->path, "sealed-", to, sizeof to, why));
    TRY(fs_write_atomic(fs_system(), file->path, whole->data, whole->size, why));
    printf("%s: damaged\n  set aside as %s\n  replaced by its %llu whole windows\n", file->path, to,
           (unsigned long long)check->record_count);
    printf(
        "  lost: %llu bytes of windows in %llu places, the first at %llu; what the log still has "
        "of them comes back at the next start\n",
        (unsigned long long)check->damaged_bytes, (unsigned long long)check->damaged_places,
        (unsigned long long)check->first_damage_at);
    return OK;
}

static err_t copy_series(struct repair *repair, const struct ctl_head_file *file,
                         const struct head_file_check *check, struct strbuf *why)
{
    const struct fs *fs = fs_system();
    char to[4096];
    snprintf(to, sizeof to, "%s/damaged", repair->folder);
    TRY(fs_make_dirs(fs, to, why));
    int size =
        snprintf(to, sizeof to, "%s/damaged/series-%s", repair->folder, last_part(file->path));
    if (size < 0 || (size_t)size >= sizeof to)
        return err_fail(why, ERR_INVALID, "%s: the path is too long", file->path);
    TRY(fs->link(fs->context, file->path, to, why));
    repair->series = true;
    printf("%s: damaged\n  kept as %s\n", file->path, to);
    printf("  lost: series from offset %llu on, %llu bytes, unless the log still has them; their "
           "samples in the head cannot be found\n",
           (unsigned long long)check->first_damage_at, (unsigned long long)check->damaged_bytes);
    return OK;
}

static int repair_head_file(const struct ctl_head_file *file, void *context)
{
    struct repair *repair = context;
    struct head_file_check check;
    struct strbuf whole = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    step(repair, file->path);
    err_t err = ctl_check_head_file(file, &check, &whole, &why);
    ctl_progress_clear(&repair->progress);
    if (err == OK && check.damaged_places > 0) {
        err = file->series ? copy_series(repair, file, &check, &why)
                           : replace_sealed(repair, file, &check, &whole, &why);
        repair->repaired += err == OK;
    }
    if (err != OK)
        fail(repair, file->path, &why);
    strbuf_deinit(&why);
    strbuf_deinit(&whole);
    return 0;
}

/* Opening finds the damage again, and the checkpoint writes all series anew. */
static void rewrite_series(struct repair *repair)
{
    struct db_options options = {.path = repair->folder, .no_background = true};
    struct db *db;
    struct strbuf why = STRBUF_INIT;
    err_t err = db_open(&options, &db, &why);
    if (err == OK) {
        err = db_checkpoint(db, &why);
        db_close(db);
    }
    if (err != OK)
        fail(repair, repair->folder, &why);
    strbuf_deinit(&why);
}

int ctl_tsdb_repair(const struct ctl_arguments *arguments)
{
    struct repair repair = {.folder = ctl_folder(arguments)};
    struct strbuf why = STRBUF_INIT;
    int lock;
    if (db_lock_folder(repair.folder, &lock, &why) != OK) {
        ctl_fail(&why);
        strbuf_deinit(&why);
        return CTL_FAILED;
    }
    ctl_progress_start(&repair.progress, "Checking", fs_tree_bytes(repair.folder, NULL));
    repair.failed += ctl_each_block(repair.folder, repair_block, &repair);
    ctl_each_log_file(repair.folder, repair_log_file, &repair);
    ctl_each_head_file(repair.folder, repair_head_file, &repair);
    ctl_progress_clear(&repair.progress);
    close(lock);
    if (repair.series && repair.failed == 0)
        rewrite_series(&repair);
    strbuf_deinit(&why);
    if (repair.repaired == 0 && repair.failed == 0)
        printf("nothing to repair\n");
    return repair.failed == 0 ? CTL_OK : CTL_FAILED;
}
