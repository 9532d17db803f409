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

/* Removes the files the checkpoint stands for. What cannot be removed is tried again at the next
 * start, when it is ignored too. */
static void remove_covered(struct wal_checkpoint *checkpoint)
{
    struct wal *wal = checkpoint->wal;
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&wal->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wal->segment_count; i++) {
        if (wal->segments[i].number > checkpoint->number) {
            wal->segments[kept++] = wal->segments[i];
            continue;
        }
        char *path = wal__segment_path(wal->path, wal->segments[i].number);
        if (wal->fs->unlink(wal->fs->context, path, &why) != OK)
            LOG_WARN("cannot remove an old log segment", "err", strbuf_cstr(&why));
        mem_free(MEM_WAL, path);
    }
    wal->segment_count = kept;
    wal->checkpoint_bytes = checkpoint->bytes;
    mutex_unlock(&wal->lock);
    struct fs_list list;
    if (fs_list_dir(wal->path, &list, &why) == OK) {
        for (size_t i = 0; i < list.count; i++) {
            uint32_t number;
            if (!wal__is_checkpoint(str_from_cstr(list.names[i]), &number) ||
                number >= checkpoint->number)
                continue;
            char *path = wal__checkpoint_path(wal->path, number);
            if (wal->fs->unlink(wal->fs->context, path, &why) != OK)
                LOG_WARN("cannot remove an old checkpoint", "err", strbuf_cstr(&why));
            mem_free(MEM_WAL, path);
        }
        fs_list_free(&list);
    }
    strbuf_deinit(&why);
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
