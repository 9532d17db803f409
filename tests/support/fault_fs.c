#include "fault_fs.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/base/vec.h"

struct tracked_file {
    char *path;
    uint64_t size;
    uint64_t synced;
};

struct fault_fs {
    struct fs table;
    const struct fs *real;
    struct mutex lock;
    uint64_t calls;
    uint64_t armed_call;
    enum fault fault;
    bool stopped;
    struct tracked_file *files;
    size_t file_count;
    size_t file_capacity;
};

/* What the system under test holds as a struct fs_file. */
struct faulty_file {
    struct fault_fs *owner;
    struct fs_file *real;
    char *path;
    bool writable;
};

static struct faulty_file *file_of(struct fs_file *file)
{
    return (struct faulty_file *)(void *)file;
}

/* Counts a call and says what is to happen to it. */
static enum fault next_fault(struct fault_fs *faulty)
{
    uint64_t call = faulty->calls++;
    if (faulty->stopped)
        return FAULT_STOP;
    if (faulty->fault == FAULT_NONE || call != faulty->armed_call)
        return FAULT_NONE;
    if (faulty->fault == FAULT_STOP || faulty->fault == FAULT_TORN)
        faulty->stopped = true;
    return faulty->fault;
}

static err_t fault_error(enum fault fault, struct strbuf *why)
{
    return err_fail(why, fault == FAULT_NO_SPACE ? ERR_NO_SPACE : ERR_IO, "injected fault");
}

static enum fault begin_call(struct fault_fs *faulty)
{
    mutex_lock(&faulty->lock);
    enum fault fault = next_fault(faulty);
    mutex_unlock(&faulty->lock);
    return fault;
}

static struct tracked_file *find_locked(struct fault_fs *faulty, const char *path)
{
    for (size_t i = 0; i < faulty->file_count; i++) {
        if (strcmp(faulty->files[i].path, path) == 0)
            return &faulty->files[i];
    }
    return NULL;
}

static struct tracked_file *track_locked(struct fault_fs *faulty, const char *path)
{
    struct tracked_file *file = find_locked(faulty, path);
    if (file != NULL)
        return file;
    struct strbuf why = STRBUF_INIT;
    struct tracked_file fresh = {.path = mem_dup(MEM_TEST, path, strlen(path))};
    if (fs_file_size(path, &fresh.size, &why) != OK)
        fresh.size = 0;
    fresh.synced = fresh.size; /* it was there before */
    strbuf_deinit(&why);
    VEC_PUSH(MEM_TEST, faulty->files, faulty->file_count, faulty->file_capacity, fresh);
    return &faulty->files[faulty->file_count - 1];
}

static void forget_locked(struct fault_fs *faulty, const char *path)
{
    struct tracked_file *file = find_locked(faulty, path);
    if (file == NULL)
        return;
    mem_free(MEM_TEST, file->path);
    *file = faulty->files[--faulty->file_count];
}

/* ---- the table ---- */

static err_t faulty_open(void *context, const char *path, enum fs_open_mode mode,
                         struct fs_file **result, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    if (mode != FS_OPEN_READ) {
        enum fault fault = begin_call(faulty);
        if (fault != FAULT_NONE)
            return fault_error(fault, why);
        mutex_lock(&faulty->lock);
        track_locked(faulty, path);
        mutex_unlock(&faulty->lock);
    }
    struct fs_file *real;
    TRY(faulty->real->open(faulty->real->context, path, mode, &real, why));
    struct faulty_file *file = MEM_NEW(MEM_TEST, struct faulty_file);
    *file = (struct faulty_file){faulty, real, mem_dup(MEM_TEST, path, strlen(path)),
                                 mode != FS_OPEN_READ};
    *result = (struct fs_file *)(void *)file;
    return OK;
}

static err_t faulty_write(struct fs_file *handle, const void *data, size_t size, struct strbuf *why)
{
    struct faulty_file *file = file_of(handle);
    struct fault_fs *faulty = file->owner;
    enum fault fault = begin_call(faulty);
    if (fault == FAULT_TORN || fault == FAULT_NO_SPACE)
        size /= 2;
    else if (fault != FAULT_NONE)
        return fault_error(fault, why);
    TRY(faulty->real->write(file->real, data, size, why));
    mutex_lock(&faulty->lock);
    track_locked(faulty, file->path)->size += size;
    mutex_unlock(&faulty->lock);
    return fault == FAULT_NONE ? OK : fault_error(fault, why);
}

static err_t faulty_sync(struct fs_file *handle, struct strbuf *why)
{
    struct faulty_file *file = file_of(handle);
    struct fault_fs *faulty = file->owner;
    enum fault fault = begin_call(faulty);
    if (fault != FAULT_NONE)
        return fault_error(fault, why);
    mutex_lock(&faulty->lock);
    struct tracked_file *tracked = track_locked(faulty, file->path);
    tracked->synced = tracked->size;
    mutex_unlock(&faulty->lock);
    return OK;
}

static err_t faulty_truncate(struct fs_file *handle, uint64_t size, struct strbuf *why)
{
    struct faulty_file *file = file_of(handle);
    struct fault_fs *faulty = file->owner;
    enum fault fault = begin_call(faulty);
    if (fault != FAULT_NONE)
        return fault_error(fault, why);
    TRY(faulty->real->truncate(file->real, size, why));
    mutex_lock(&faulty->lock);
    struct tracked_file *tracked = track_locked(faulty, file->path);
    tracked->size = size;
    if (tracked->synced > size)
        tracked->synced = size;
    mutex_unlock(&faulty->lock);
    return OK;
}

static err_t faulty_close(struct fs_file *handle, struct strbuf *why)
{
    struct faulty_file *file = file_of(handle);
    err_t err = file->owner->real->close(file->real, why);
    mem_free(MEM_TEST, file->path);
    mem_free(MEM_TEST, file);
    return err;
}

/* Paths below a renamed folder move with it. */
static void move_tracked_locked(struct fault_fs *faulty, const char *from, const char *to)
{
    size_t from_size = strlen(from);
    for (size_t i = 0; i < faulty->file_count; i++) {
        char *path = faulty->files[i].path;
        if (strncmp(path, from, from_size) != 0 ||
            (path[from_size] != '\0' && path[from_size] != '/'))
            continue;
        struct strbuf moved = STRBUF_INIT;
        strbuf_printf(&moved, "%s%s", to, path + from_size);
        mem_free(MEM_TEST, path);
        faulty->files[i].path = mem_dup(MEM_TEST, moved.data, moved.size);
        strbuf_deinit(&moved);
    }
}

static err_t faulty_rename(void *context, const char *from, const char *to, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    enum fault fault = begin_call(faulty);
    if (fault != FAULT_NONE)
        return fault_error(fault, why);
    TRY(faulty->real->rename(faulty->real->context, from, to, why));
    mutex_lock(&faulty->lock);
    forget_locked(faulty, to);
    move_tracked_locked(faulty, from, to);
    mutex_unlock(&faulty->lock);
    return OK;
}

static err_t faulty_unlink(void *context, const char *path, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    enum fault fault = begin_call(faulty);
    if (fault != FAULT_NONE)
        return fault_error(fault, why);
    TRY(faulty->real->unlink(faulty->real->context, path, why));
    mutex_lock(&faulty->lock);
    forget_locked(faulty, path);
    mutex_unlock(&faulty->lock);
    return OK;
}

static err_t faulty_mkdir(void *context, const char *path, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    enum fault fault = begin_call(faulty);
    return fault != FAULT_NONE ? fault_error(fault, why)
                               : faulty->real->mkdir(faulty->real->context, path, why);
}

static err_t faulty_rmdir(void *context, const char *path, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    enum fault fault = begin_call(faulty);
    return fault != FAULT_NONE ? fault_error(fault, why)
                               : faulty->real->rmdir(faulty->real->context, path, why);
}

static err_t faulty_link(void *context, const char *from, const char *to, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    enum fault fault = begin_call(faulty);
    return fault != FAULT_NONE ? fault_error(fault, why)
                               : faulty->real->link(faulty->real->context, from, to, why);
}

static err_t faulty_sync_dir(void *context, const char *path, struct strbuf *why)
{
    struct fault_fs *faulty = context;
    (void)path;
    enum fault fault = begin_call(faulty);
    return fault != FAULT_NONE ? fault_error(fault, why) : OK;
}

/* ---- control ---- */

struct fault_fs *fault_fs_create(void)
{
    struct fault_fs *faulty = MEM_NEW(MEM_TEST, struct fault_fs);
    faulty->real = fs_system();
    mutex_init(&faulty->lock);
    faulty->table = (struct fs){
        .open = faulty_open,
        .write = faulty_write,
        .sync = faulty_sync,
        .truncate = faulty_truncate,
        .close = faulty_close,
        .rename = faulty_rename,
        .unlink = faulty_unlink,
        .mkdir = faulty_mkdir,
        .rmdir = faulty_rmdir,
        .link = faulty_link,
        .sync_dir = faulty_sync_dir,
        .context = faulty,
    };
    return faulty;
}

void fault_fs_destroy(struct fault_fs *faulty)
{
    for (size_t i = 0; i < faulty->file_count; i++)
        mem_free(MEM_TEST, faulty->files[i].path);
    mem_free(MEM_TEST, faulty->files);
    mutex_deinit(&faulty->lock);
    mem_free(MEM_TEST, faulty);
}

const struct fs *fault_fs_table(struct fault_fs *faulty)
{
    return &faulty->table;
}

void fault_fs_arm(struct fault_fs *faulty, uint64_t call, enum fault fault)
{
    mutex_lock(&faulty->lock);
    faulty->armed_call = call;
    faulty->fault = fault;
    mutex_unlock(&faulty->lock);
}

uint64_t fault_fs_calls(const struct fault_fs *faulty)
{
    return faulty->calls;
}

void fault_fs_lose_power(struct fault_fs *faulty, uint64_t seed)
{
    for (size_t i = 0; i < faulty->file_count; i++) {
        const struct tracked_file *file = &faulty->files[i];
        uint64_t unsynced = file->size - file->synced;
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint64_t kept = file->synced + (unsynced == 0 ? 0 : (seed >> 33) % (unsynced + 1));
        if (unsynced > 0 && fs_exists(file->path)) {
            int result = truncate(file->path, (off_t)kept);
            assert(result == 0);
            (void)result;
        }
    }
}
