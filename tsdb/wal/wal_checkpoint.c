/* Checkpoints: what later segments need of the ones that are removed. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "wal_files.h"

struct wal_checkpoint {
    struct wal *wal;
    uint32_t number; /* stands for segments up to this one */
    struct fs_file *file;
    char *path;
    char *temporary;
    uint64_t bytes;
    struct strbuf out;
};

static err_t write_out(struct wal_checkpoint *checkpoint, struct strbuf *why)
{
    const struct fs *fs = checkpoint->wal->fs;
    checkpoint->bytes += checkpoint->out.size;
    return fs->write(checkpoint->file, checkpoint->out.data, checkpoint->out.size, why);
}

static char *temporary_path(const char *path)
{
    size_t size = strlen(path) + 8;
    char *temporary = mem_alloc(MEM_WAL, size);
    snprintf(temporary, size, "%s.tmp", path);
    return temporary;
}

/* Number of the last segment that may go, 0: none. */
static uint32_t last_removable(struct wal *wal, uint32_t needed)
{
    uint32_t last = 0;
    mutex_lock(&wal->lock);
    for (uint32_t i = 0; i + 1 < wal->segment_count; i++) {
        if (wal->segments[i].number >= needed)
            break;
        last = wal->segments[i].number;
    }
    mutex_unlock(&wal->lock);
    return last;
}

err_t wal_checkpoint_begin(struct wal *wal, uint32_t needed, struct wal_checkpoint **result,
                           struct strbuf *why)
{
    *result = NULL;
    uint32_t number = last_removable(wal, needed);
    if (number == 0)
        return OK;
    struct wal_checkpoint *checkpoint = MEM_NEW(MEM_WAL, struct wal_checkpoint);
    checkpoint->wal = wal;
    checkpoint->number = number;
    checkpoint->path = wal__checkpoint_path(wal->path, number);
    checkpoint->temporary = temporary_path(checkpoint->path);
    const struct fs *fs = wal->fs;
    err_t err = OK;
    if (fs_exists(checkpoint->temporary))
        err = fs->unlink(fs->context, checkpoint->temporary, why);
    if (err == OK)
        err = fs->open(fs->context, checkpoint->temporary, FS_OPEN_CREATE_NEW, &checkpoint->file,
                       why);
    if (err == OK) {
        wal__put_file_header(&checkpoint->out, number);
        err = write_out(checkpoint, why);
    }
    if (err != OK) {
        wal_checkpoint_abort(checkpoint);
        return err;
    }
    *result = checkpoint;
    return OK;
}

err_t wal_checkpoint_add(struct wal_checkpoint *checkpoint, const struct strbuf *body,
                         struct strbuf *why)
{
    strbuf_clear(&checkpoint->out);
    TRY(wal__put_record(&checkpoint->out, WAL_RECORD_CHECKPOINT, body, why));
    return write_out(checkpoint, why);
}

static void checkpoint_free(struct wal_checkpoint *checkpoint)
{
    strbuf_deinit(&checkpoint->out);
    mem_free(MEM_WAL, checkpoint->path);
    mem_free(MEM_WAL, checkpoint->temporary);
    mem_free(MEM_WAL, checkpoint);
}

void wal_checkpoint_abort(struct wal_checkpoint *checkpoint)
{
    const struct fs *fs = checkpoint->wal->fs;
    struct strbuf why = STRBUF_INIT;
    bool left = false;
    if (checkpoint->file != NULL)
        left = fs->close(checkpoint->file, &why) != OK;
    if (fs_exists(checkpoint->temporary))
        left |= fs->unlink(fs->context, checkpoint->temporary, &why) != OK;
    if (left)
        LOG_WARN("cannot remove an unfinished checkpoint", "err", strbuf_cstr(&why));
    strbuf_deinit(&why);
    checkpoint_free(checkpoint);
}

static void remove_file(struct wal *wal, char *path)
{
    struct strbuf why = STRBUF_INIT;
    if (wal->fs->unlink(wal->fs->context, path, &why) != OK)
        LOG_WARN("cannot remove an old file of the log", "err", strbuf_cstr(&why));
    strbuf_deinit(&why);
    mem_free(MEM_WAL, path);
}

/* Takes the segments up to `last` out of the list; *gone, to be freed, are those. */
static uint32_t take_segments(struct wal *wal, uint32_t last, uint64_t checkpoint_bytes,
                              struct wal_segment **gone)
{
    mutex_lock(&wal->lock);
    uint32_t count = 0;
    while (count < wal->segment_count && wal->segments[count].number <= last)
        count++;
    *gone = MEM_NEW_ARRAY(MEM_WAL, struct wal_segment, count);
    memcpy(*gone, wal->segments, count * sizeof **gone);
    wal->segment_count -= count;
    memmove(wal->segments, wal->segments + count, wal->segment_count * sizeof *wal->segments);
    wal->checkpoint_bytes = checkpoint_bytes;
    mutex_unlock(&wal->lock);
    return count;
}

static void remove_older_checkpoints(const struct wal_checkpoint *checkpoint)
{
    struct wal *wal = checkpoint->wal;
    struct strbuf why = STRBUF_INIT;
    struct fs_list list;
    if (fs_list_dir(wal->path, &list, &why) == OK) {
        for (size_t i = 0; i < list.count; i++) {
            uint32_t number;
            if (wal__is_checkpoint(str_from_cstr(list.names[i]), &number) &&
                number < checkpoint->number)
                remove_file(wal, wal__checkpoint_path(wal->path, number));
        }
        fs_list_free(&list);
    }
    strbuf_deinit(&why);
}

/* Removes the files the checkpoint stands for. What cannot be removed is tried again at the next
 * start, when it is ignored too. Commits go on meanwhile; a sync, which would make a file anew that
 * it does not find, waits. */
static void remove_covered(struct wal_checkpoint *checkpoint)
{
    struct wal *wal = checkpoint->wal;
    struct wal_segment *gone;
    mutex_lock(&wal->sync_lock);
    uint32_t count = take_segments(wal, checkpoint->number, checkpoint->bytes, &gone);
    for (uint32_t i = 0; i < count; i++)
        remove_file(wal, wal__segment_path(wal->path, gone[i].number));
    mutex_unlock(&wal->sync_lock);
    mem_free(MEM_WAL, gone);
    remove_older_checkpoints(checkpoint);
}

err_t wal_checkpoint_finish(struct wal_checkpoint *checkpoint, struct strbuf *why)
{
    const struct fs *fs = checkpoint->wal->fs;
    struct strbuf end = STRBUF_INIT;
    coding_put_u8(&end, WAL_TAG_END);
    err_t err;
    TRY_OUT(wal_checkpoint_add(checkpoint, &end, why));
    TRY_OUT(fs->sync(checkpoint->file, why));
    struct fs_file *file = checkpoint->file;
    checkpoint->file = NULL;
    TRY_OUT(fs->close(file, why));
    TRY_OUT(fs->rename(fs->context, checkpoint->temporary, checkpoint->path, why));
    TRY_OUT(fs->sync_dir(fs->context, checkpoint->wal->path, why));
    remove_covered(checkpoint);
    checkpoint_free(checkpoint);
    checkpoint = NULL;
out:
    strbuf_deinit(&end);
    if (checkpoint != NULL)
        wal_checkpoint_abort(checkpoint);
    return err;
}
