#include "sealed_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

static const uint64_t FILE_BYTES = UINT64_C(64) << 20;

enum { KIND_COUNT = 2 };

struct sealed_file {
    struct sealed_store *store;
    uint32_t number;
    char *path;
    struct fs_file *handle; /* NULL: not written to any more */
    struct fs_mapping mapping;
    uint64_t size;        /* good bytes */
    uint64_t synced_size; /* of them */
    _Atomic int64_t needed;
    _Atomic int64_t pins; /* one of the store's own while the file exists */
};

struct sealed_store {
    const struct fs *fs;
    char *path;
    struct sealed_file **files; /* by number */
    size_t file_count;
    size_t file_capacity;
    uint32_t next_number;
    struct sealed_file *current[KIND_COUNT];
    bool dir_synced;
};

static char *file_path(const char *dir, uint32_t number)
{
    size_t size = strlen(dir) + 16;
    char *path = mem_alloc(MEM_HEAD, size);
    snprintf(path, size, "%s/%08u", dir, number);
    return path;
}

static struct sealed_file *add_file(struct sealed_store *store, uint32_t number)
{
    struct sealed_file *file = MEM_NEW(MEM_HEAD, struct sealed_file);
    file->store = store;
    file->number = number;
    file->path = file_path(store->path, number);
    atomic_init(&file->pins, 1);
    VEC_PUSH(MEM_HEAD, store->files, store->file_count, store->file_capacity, file);
    if (number >= store->next_number)
        store->next_number = number + 1;
    return file;
}

void sealed_file_pin(struct sealed_file *file)
{
    atomic_fetch_add_explicit(&file->pins, 1, memory_order_relaxed);
}

void sealed_file_unpin(struct sealed_file *file)
{
    /* Acquire and release: the last one unmaps what the others have read. */
    if (atomic_fetch_sub_explicit(&file->pins, 1, memory_order_acq_rel) != 1)
        return;
    fs_unmap(&file->mapping);
    mem_free(MEM_HEAD, file->path);
    mem_free(MEM_HEAD, file);
}

void sealed_file_needed(struct sealed_file *file)
{
    atomic_fetch_add_explicit(&file->needed, 1, memory_order_relaxed);
}

void sealed_file_forget(struct sealed_file *file)
{
    atomic_fetch_sub_explicit(&file->needed, 1, memory_order_relaxed);
}

bool sealed_file_is_synced(const struct sealed_file *file, uint64_t end)
{
    return end <= file->synced_size;
}

const char *sealed_file_path(const struct sealed_file *file)
{
    return file->path;
}

/* ---- opening ---- */

err_t sealed_store_open(const struct fs *fs, const char *path, struct sealed_store **result,
                        struct strbuf *why)
{
    TRY(fs_make_dirs(fs, path, why));
    struct fs_list list;
    TRY(fs_list_dir(path, &list, why));
    struct sealed_store *store = MEM_NEW(MEM_HEAD, struct sealed_store);
    store->fs = fs;
    store->path = mem_dup(MEM_HEAD, path, strlen(path));
    store->next_number = 1;
    err_t err = OK;
    for (size_t i = 0; i < list.count && err == OK; i++) {
        uint32_t number;
        if (!file_name_number(str_from_cstr(list.names[i]), &number))
            continue;
        struct sealed_file *file = add_file(store, number);
        err = fs_map(file->path, &file->mapping, why);
        file->size = file->mapping.size;
        file->synced_size = 0; /* found in the page cache perhaps: see sealed_store_sync */
    }
    fs_list_free(&list);
    if (err != OK) {
        sealed_store_close(store);
        return err;
    }
    *result = store;
    return OK;
}

static void close_handle(struct sealed_file *file)
{
    struct strbuf why = STRBUF_INIT;
    struct fs_file *handle = file->handle;
    file->handle = NULL;
    if (handle != NULL && file->store->fs->close(handle, &why) != OK)
        LOG_WARN("closing a file of sealed windows failed", "err", strbuf_cstr(&why));
    strbuf_deinit(&why);
}

void sealed_store_close(struct sealed_store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->file_count; i++) {
        close_handle(store->files[i]);
        assert(atomic_load_explicit(&store->files[i]->pins, memory_order_relaxed) == 1);
        sealed_file_unpin(store->files[i]);
    }
    mem_free(MEM_HEAD, store->files);
    mem_free(MEM_HEAD, store->path);
    mem_free(MEM_HEAD, store);
}

/* ---- reading ---- */

static void report_damage(const struct sealed_file *file, size_t at, size_t size, const char *what)
{
    char offset[24], bytes[24];
    snprintf(offset, sizeof offset, "%zu", at);
    snprintf(bytes, sizeof bytes, "%zu", size);
    LOG_ERROR("sealed windows are damaged; the log is asked for their rows", "path", file->path,
              "offset", offset, "bytes", bytes, "err", what);
}

static err_t read_file(struct sealed_file *file,
                       err_t (*record)(void *, const struct sealed_record *,
                                       const struct sealed_place *, struct strbuf *),
                       void *context, struct strbuf *why)
{
    const uint8_t *data = file->mapping.data;
    size_t size = file->mapping.size;
    struct strbuf reason = STRBUF_INIT;
    err_t err = OK;
    size_t at = SEALED_FILE_HEADER_SIZE;
    if (!sealed_file_header_is_good(data, size, file->number)) {
        if (size > 0)
            report_damage(file, 0, SEALED_FILE_HEADER_SIZE, "no file of sealed windows");
        at = 0;
    }
    while (at < size && err == OK) {
        struct sealed_record found;
        strbuf_clear(&reason);
        if (sealed_get_record(data + at, size - at, &found, &reason) == OK) {
            struct sealed_place place = {file, data + at, at + found.size};
            err = record(context, &found, &place, why);
            at += found.size;
            continue;
        }
        size_t next = sealed_find_record(data, size, at + 1);
        if (next == size)
            LOG_WARN("left out unfinished windows at the end of a file", "path", file->path);
        else
            report_damage(file, at, next - at, strbuf_cstr(&reason));
        at = next;
    }
    strbuf_deinit(&reason);
    return err;
}

err_t sealed_store_read(struct sealed_store *store,
                        err_t (*record)(void *context, const struct sealed_record *record,
                                        const struct sealed_place *place, struct strbuf *why),
                        void *context, struct strbuf *why)
{
    for (size_t i = 0; i < store->file_count; i++)
        TRY(read_file(store->files[i], record, context, why));
    return OK;
}

/* ---- writing ---- */

/* A file that cannot be used must not stay: its number would be in the way. */
static void drop_last_file(struct sealed_store *store)
{
    struct strbuf why = STRBUF_INIT;
    struct sealed_file *file = store->files[--store->file_count];
    close_handle(file);
    if (store->fs->unlink(store->fs->context, file->path, &why) != OK)
        LOG_WARN("cannot remove an unusable file of sealed windows", "path", file->path, "err",
                 strbuf_cstr(&why));
    strbuf_deinit(&why);
    sealed_file_unpin(file);
}

static err_t begin_file(struct sealed_store *store, enum sealed_kind kind, uint64_t size_max,
                        struct strbuf *why)
{
    struct sealed_file *file = add_file(store, store->next_number);
    err_t err =
        store->fs->open(store->fs->context, file->path, FS_OPEN_CREATE_NEW, &file->handle, why);
    struct strbuf header = STRBUF_INIT;
    sealed_put_file_header(&header, file->number);
    if (err == OK)
        err = store->fs->write(file->handle, header.data, header.size, why);
    if (err == OK)
        err = fs_map_ahead(file->path, size_max, &file->mapping, why);
    strbuf_deinit(&header);
    if (err != OK) {
        drop_last_file(store);
        return err;
    }
    file->size = SEALED_FILE_HEADER_SIZE;
    store->dir_synced = false;
    store->current[kind - SEALED_SHORT] = file;
    return OK;
}

/* Ends the current file of the kind; it stays open until it was synced. */
static void end_file(struct sealed_store *store, enum sealed_kind kind)
{
    store->current[kind - SEALED_SHORT] = NULL;
}

void sealed_store_roll(struct sealed_store *store)
{
    end_file(store, SEALED_SHORT);
    end_file(store, SEALED_MERGED);
}

err_t sealed_store_write(struct sealed_store *store, enum sealed_kind kind, const void *records,
                         size_t size, struct sealed_place *place, struct strbuf *why)
{
    struct sealed_file *file = store->current[kind - SEALED_SHORT];
    if (file != NULL && file->size + size > file->mapping.size) {
        end_file(store, kind);
        file = NULL;
    }
    if (file == NULL) {
        uint64_t wanted = SEALED_FILE_HEADER_SIZE + size;
        TRY(begin_file(store, kind, wanted > FILE_BYTES ? wanted : FILE_BYTES, why));
        file = store->current[kind - SEALED_SHORT];
    }
    err_t err = store->fs->write(file->handle, records, size, why);
    if (err != OK) {
        struct strbuf second = STRBUF_INIT;
        if (store->fs->truncate(file->handle, file->size, &second) != OK)
            end_file(store, kind);
        strbuf_deinit(&second);
        return err;
    }
    *place = (struct sealed_place){file, file->mapping.data + file->size, file->size + size};
    file->size += size;
    return OK;
}

/* A file that was there at the start may never have been synced. */
static err_t sync_old_file(struct sealed_file *file, struct strbuf *why)
{
    const struct fs *fs = file->store->fs;
    struct fs_file *handle;
    TRY(fs->open(fs->context, file->path, FS_OPEN_APPEND, &handle, why));
    err_t err = fs->sync(handle, why);
    return fs_close_after(fs, handle, err, why);
}

static bool is_current(const struct sealed_store *store, const struct sealed_file *file)
{
    return file == store->current[0] || file == store->current[1];
}

err_t sealed_store_sync(struct sealed_store *store, struct strbuf *why)
{
    for (size_t i = 0; i < store->file_count; i++) {
        struct sealed_file *file = store->files[i];
        if (file->synced_size == file->size)
            continue;
        if (file->handle != NULL)
            TRY(store->fs->sync(file->handle, why));
        else
            TRY(sync_old_file(file, why));
        file->synced_size = file->size;
        if (!is_current(store, file))
            close_handle(file);
    }
    if (!store->dir_synced)
        TRY(store->fs->sync_dir(store->fs->context, store->path, why));
    store->dir_synced = true;
    return OK;
}

void sealed_store_trim(struct sealed_store *store)
{
    struct strbuf why = STRBUF_INIT;
    size_t kept = 0;
    for (size_t i = 0; i < store->file_count; i++) {
        struct sealed_file *file = store->files[i];
        bool needed = atomic_load_explicit(&file->needed, memory_order_relaxed) > 0;
        if (needed || is_current(store, file)) {
            store->files[kept++] = file;
            continue;
        }
        close_handle(file);
        if (store->fs->unlink(store->fs->context, file->path, &why) != OK) {
            /* Tried again at the next trim. */
            LOG_WARN("cannot remove a file of sealed windows", "err", strbuf_cstr(&why));
            store->files[kept++] = file;
            continue;
        }
        sealed_file_unpin(file);
    }
    store->file_count = kept;
    strbuf_deinit(&why);
}
