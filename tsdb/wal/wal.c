/* Writing segments: one open file, one write per record. */
#include "narthex/tsdb/wal.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/base/vec.h"
#include "wal_files.h"

static err_t open_segment(struct wal *wal, uint32_t number, struct strbuf *why)
{
    char *path = wal__segment_path(wal->path, number);
    err_t err = wal->fs->open(wal->fs->context, path, FS_OPEN_CREATE_NEW, &wal->file, why);
    if (err == OK) {
        strbuf_clear(&wal->out);
        wal__put_file_header(&wal->out, number);
        err = wal->fs->write(wal->file, wal->out.data, wal->out.size, why);
        if (err != OK) {
            /* An unusable file must not stay: its number would be in the way. */
            struct strbuf ignored = STRBUF_INIT;
            if (wal->fs->close(wal->file, &ignored) != OK ||
                wal->fs->unlink(wal->fs->context, path, &ignored) != OK)
                LOG_WARN("cannot remove an unusable log segment", "path", path, "err",
                         strbuf_cstr(&ignored));
            strbuf_deinit(&ignored);
            wal->file = NULL;
        }
    }
    mem_free(MEM_WAL, path);
    if (err != OK)
        return err;
    VEC_PUSH(MEM_WAL, wal->segments, wal->segment_count, wal->segment_capacity,
             (struct wal_segment){number, WAL_FILE_HEADER_SIZE, INT64_MIN});
    wal->broken = false;
    wal->number = number;
    wal->dir_synced = false;
    return OK;
}

err_t wal_open(const struct wal_options *options, struct wal **result, struct strbuf *why)
{
    assert(options->first_segment > 0);
    TRY(fs_make_dirs(options->fs, options->path, why));
    struct wal *wal = MEM_NEW(MEM_WAL, struct wal);
    wal->fs = options->fs;
    wal->path = mem_dup(MEM_WAL, options->path, strlen(options->path));
    wal->segment_bytes =
        options->segment_bytes == 0 ? WAL_SEGMENT_BYTES_DEFAULT : options->segment_bytes;
    wal->unsynced_from = options->first_segment;
    wal->fsync_seconds = options->fsync_seconds;
    mutex_init(&wal->lock);
    mutex_init(&wal->sync_lock);
    err_t err = open_segment(wal, options->first_segment, why);
    if (err != OK) {
        struct strbuf ignored = STRBUF_INIT;
        if (wal_close(wal, &ignored) != OK)
            LOG_WARN("closing the log failed", "err", strbuf_cstr(&ignored));
        strbuf_deinit(&ignored);
        return err;
    }
    *result = wal;
    return OK;
}

static err_t close_file(struct wal *wal, struct strbuf *why)
{
    if (wal->file == NULL)
        return OK;
    struct fs_file *file = wal->file;
    wal->file = NULL;
    return wal->fs->close(file, why);
}

err_t wal_close(struct wal *wal, struct strbuf *why)
{
    err_t err = OK;
    if (wal->file != NULL) {
        err = wal_sync(wal, why);
        err = fs_close_after(wal->fs, wal->file, err, why);
    }
    mutex_deinit(&wal->lock);
    mutex_deinit(&wal->sync_lock);
    strbuf_deinit(&wal->out);
    mem_free(MEM_WAL, wal->segments);
    mem_free(MEM_WAL, wal->path);
    mem_free(MEM_WAL, wal);
    return err;
}

static err_t roll_locked(struct wal *wal, struct strbuf *why)
{
    TRY(close_file(wal, why));
    return open_segment(wal, wal->number + 1, why);
}

err_t wal_roll(struct wal *wal, struct strbuf *why)
{
    mutex_lock(&wal->lock);
    err_t err = roll_locked(wal, why);
    mutex_unlock(&wal->lock);
    return err;
}

err_t wal_begin(struct wal *wal, uint32_t *segment, struct strbuf *why)
{
    err_t err = OK;
    mutex_lock(&wal->lock);
    if (wal->file == NULL || wal->broken ||
        wal->segments[wal->segment_count - 1].bytes >= wal->segment_bytes)
        err = roll_locked(wal, why);
    *segment = wal->number;
    mutex_unlock(&wal->lock);
    return err;
}

/* Takes back what a failed write may have left. If even that fails, the segment is given up: what
 * follows it in the file would be read as damage. */
static void take_back(struct wal *wal, uint64_t good_bytes)
{
    struct strbuf why = STRBUF_INIT;
    if (wal->fs->truncate(wal->file, good_bytes, &why) != OK) {
        wal->broken = true;
        LOG_ERROR("cannot take back a failed write; beginning a new log segment", "err",
                  strbuf_cstr(&why));
    }
    strbuf_deinit(&why);
}

err_t wal_append(struct wal *wal, const struct strbuf *body, int64_t max_t_ms, struct strbuf *why)
{
    mutex_lock(&wal->lock);
    assert(wal->file != NULL);
    struct wal_segment *segment = &wal->segments[wal->segment_count - 1];
    strbuf_clear(&wal->out);
    err_t err = wal__put_record(&wal->out, WAL_RECORD_COMMIT, body, why);
    if (err == OK) {
        err = wal->fs->write(wal->file, wal->out.data, wal->out.size, why);
        if (err != OK)
            take_back(wal, segment->bytes);
    }
    if (err == OK) {
        segment->bytes += wal->out.size;
        if (max_t_ms > segment->max_t_ms)
            segment->max_t_ms = max_t_ms;
    }
    mutex_unlock(&wal->lock);
    return err;
}

bool wal_take_back(struct wal *wal)
{
    mutex_lock(&wal->sync_lock);
    mutex_lock(&wal->lock);
    struct wal_segment *segment = &wal->segments[wal->segment_count - 1];
    take_back(wal, segment->bytes - wal->out.size);
    bool taken = !wal->broken;
    if (taken)
        segment->bytes -= wal->out.size;
    /* Another thread may have synced it meanwhile: other bytes will stand in its place. */
    if (wal->synced_bytes > segment->bytes)
        wal->synced_bytes = 0;
    mutex_unlock(&wal->lock);
    mutex_unlock(&wal->sync_lock);
    return taken;
}

static err_t sync_segment(struct wal *wal, uint32_t number, struct strbuf *why)
{
    char *path = wal__segment_path(wal->path, number);
    struct fs_file *file;
    err_t err = wal->fs->open(wal->fs->context, path, FS_OPEN_APPEND, &file, why);
    if (err == OK) {
        int64_t start_ns = clock_monotonic_ns(clock_system());
        err = wal->fs->sync(file, why);
        if (wal->fsync_seconds != NULL)
            metric_observe(wal->fsync_seconds,
                           (double)(clock_monotonic_ns(clock_system()) - start_ns) / 1e9);
        err = fs_close_after(wal->fs, file, err, why);
    }
    mem_free(MEM_WAL, path);
    return err;
}

/* Files are synced through handles of their own, so that appends go on meanwhile; so is the folder,
 * which may take as long as a block's pages need to the disk, and not when a segment begins. */
err_t wal_sync(struct wal *wal, struct strbuf *why)
{
    mutex_lock(&wal->sync_lock);
    mutex_lock(&wal->lock);
    uint32_t first = wal->unsynced_from;
    if (first < wal->segments[0].number)
        first = wal->segments[0].number;
    uint32_t last = wal->number;
    uint64_t bytes = wal->segments[wal->segment_count - 1].bytes;
    bool dir_synced = wal->dir_synced;
    wal->dir_synced = true;
    mutex_unlock(&wal->lock);
    err_t err = dir_synced ? OK : wal->fs->sync_dir(wal->fs->context, wal->path, why);
    bool idle = dir_synced && first == last && bytes == wal->synced_bytes;
    for (uint32_t number = first; number <= last && err == OK && !idle; number++)
        err = sync_segment(wal, number, why);
    if (err == OK) {
        wal->unsynced_from = last;
        wal->synced_bytes = bytes;
    } else if (!dir_synced) {
        mutex_lock(&wal->lock);
        wal->dir_synced = false;
        mutex_unlock(&wal->lock);
    }
    mutex_unlock(&wal->sync_lock);
    return err;
}

uint32_t wal_current_segment(struct wal *wal)
{
    mutex_lock(&wal->lock);
    uint32_t number = wal->number;
    mutex_unlock(&wal->lock);
    return number;
}

uint32_t wal_first_segment(struct wal *wal)
{
    mutex_lock(&wal->lock);
    uint32_t number = wal->segments[0].number;
    mutex_unlock(&wal->lock);
    return number;
}

uint64_t wal_bytes(struct wal *wal)
{
    mutex_lock(&wal->lock);
    uint64_t bytes = wal->checkpoint_bytes;
    for (uint32_t i = 0; i < wal->segment_count; i++)
        bytes += wal->segments[i].bytes;
    mutex_unlock(&wal->lock);
    return bytes;
}

void wal_adopt_segment(struct wal *wal, uint32_t number, uint64_t bytes, int64_t max_t_ms)
{
    assert(wal->segment_count > 0 && number < wal->number);
    VEC_PUSH(MEM_WAL, wal->segments, wal->segment_count, wal->segment_capacity,
             (struct wal_segment){0});
    uint32_t at = wal->segment_count - 1;
    for (; at > 0 && wal->segments[at - 1].number > number; at--)
        wal->segments[at] = wal->segments[at - 1];
    wal->segments[at] = (struct wal_segment){number, bytes, max_t_ms};
}
