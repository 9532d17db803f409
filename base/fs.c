#include "narthex/base/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum {
    FS_READ_BYTES = 64 * 1024,
    FS_DEPTH_MAX = 64, /* of folders inside folders */
};

/* Maps size bytes, or with size 0 the whole file. */
static err_t map_file(const char *path, size_t size, struct fs_mapping *mapping, struct strbuf *why)
{
    *mapping = (struct fs_mapping){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_fail_errno(why, errno, "open %s", path);
    err_t err = OK;
    struct stat status;
    if (fstat(fd, &status) != 0) {
        err = err_fail_errno(why, errno, "stat %s", path);
        goto out;
    }
    if (size == 0)
        size = (size_t)status.st_size;
    /* Mapping nothing is an error to mmap; a folder fails in mmap with ENODEV. */
    if (size == 0)
        goto out;
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        err = err_fail_errno(why, errno, "map %s", path);
        goto out;
    }
    *mapping = (struct fs_mapping){data, size};
out:
    close(fd);
    return err;
}

err_t fs_map(const char *path, struct fs_mapping *mapping, struct strbuf *why)
{
    return map_file(path, 0, mapping, why);
}

err_t fs_map_ahead(const char *path, size_t size, struct fs_mapping *mapping, struct strbuf *why)
{
    assert(size > 0);
    return map_file(path, size, mapping, why);
}

void fs_unmap(struct fs_mapping *mapping)
{
    if (mapping->data != NULL) {
        int result = munmap((void *)mapping->data, mapping->size);
        assert(result == 0);
    }
    *mapping = (struct fs_mapping){NULL, 0};
}

/* Reads to the end rather than by st_size, which is 0 below /proc. */
static err_t read_all(int fd, const char *path, size_t size_max, struct strbuf *out,
                      struct strbuf *why)
{
    size_t total = 0;
    for (;;) {
        char *to = strbuf_reserve(out, FS_READ_BYTES);
        ssize_t got = read(fd, to, FS_READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_fail_errno(why, errno, "read %s", path);
        if (got == 0)
            return OK;
        total += (size_t)got;
        if (total > size_max)
            return err_fail(why, ERR_LIMIT, "read %s: larger than %zu bytes", path, size_max);
        strbuf_commit(out, (size_t)got);
    }
}

err_t fs_read_file(const char *path, size_t size_max, struct strbuf *out, struct strbuf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_fail_errno(why, errno, "open %s", path);
    size_t before = out->size;
    strbuf_reserve(out, 0);
    err_t err = read_all(fd, path, size_max, out, why);
    if (err != OK)
        out->size = before;
    out->data[out->size] = '\0';
    close(fd);
    return err;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

err_t fs_list_dir(const char *path, struct fs_list *list, struct strbuf *why)
{
    *list = (struct fs_list){NULL, 0};
    DIR *dir = opendir(path);
    if (dir == NULL)
        return err_fail_errno(why, errno, "list folder %s", path);
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *name = mem_dup(MEM_BASE, entry->d_name, strlen(entry->d_name));
        VEC_PUSH(MEM_BASE, list->names, list->count, capacity, name);
    }
    int failure = errno;
    closedir(dir);
    if (failure != 0) {
        fs_list_free(list);
        return err_fail_errno(why, failure, "list folder %s", path);
    }
    if (list->count > 0)
        qsort(list->names, list->count, sizeof *list->names, compare_names);
    return OK;
}

void fs_list_free(struct fs_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(MEM_BASE, list->names[i]);
    mem_free(MEM_BASE, list->names);
    *list = (struct fs_list){NULL, 0};
}

bool fs_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

err_t fs_file_size(const char *path, uint64_t *size, struct strbuf *why)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return err_fail_errno(why, errno, "stat %s", path);
    *size = (uint64_t)status.st_size;
    return OK;
}

static void add_name(struct strbuf *path, const char *name)
{
    strbuf_add_char(path, '/');
    strbuf_add_cstr(path, name);
}

static void cut_to(struct strbuf *path, size_t size)
{
    path->size = size;
    path->data[size] = '\0';
}

/* What a walk through a tree found. */
struct tree_walk {
    uint64_t alone_bytes; /* of files with one name */
    struct linked_file {  /* those with several, once per name found */
        uint64_t device;
        uint64_t inode;
        uint64_t bytes;
    } * linked;
    size_t linked_count;
    size_t linked_capacity;
};

static void count_file(struct tree_walk *walk, const struct stat *status)
{
    if (status->st_nlink == 1)
        walk->alone_bytes += (uint64_t)status->st_size;
    else
        VEC_PUSH(MEM_BASE, walk->linked, walk->linked_count, walk->linked_capacity,
                 (struct linked_file){(uint64_t)status->st_dev, (uint64_t)status->st_ino,
                                      (uint64_t)status->st_size});
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is bounded by FS_DEPTH_MAX. */
static void walk_tree(struct tree_walk *walk, struct strbuf *path, uint32_t depth)
{
    struct stat status;
    if (lstat(path->data, &status) != 0)
        return;
    if (S_ISREG(status.st_mode))
        count_file(walk, &status);
    if (!S_ISDIR(status.st_mode))
        return;
    struct fs_list list = {NULL, 0};
    struct strbuf ignored = STRBUF_INIT;
    if (depth < FS_DEPTH_MAX && fs_list_dir(path->data, &list, &ignored) == OK) {
        size_t size = path->size;
        for (size_t i = 0; i < list.count; i++) {
            add_name(path, list.names[i]);
            walk_tree(walk, path, depth + 1);
            cut_to(path, size);
        }
        fs_list_free(&list);
    }
    strbuf_deinit(&ignored);
}

static int by_inode(const void *a, const void *b)
{
    const struct linked_file *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static uint64_t linked_bytes(struct tree_walk *walk)
{
    uint64_t sum = 0;
    if (walk->linked_count > 0)
        qsort(walk->linked, walk->linked_count, sizeof *walk->linked, by_inode);
    for (size_t i = 0; i < walk->linked_count; i++) {
        if (i == 0 || by_inode(&walk->linked[i - 1], &walk->linked[i]) != 0)
            sum += walk->linked[i].bytes;
    }
    return sum;
}

uint64_t fs_tree_bytes(const char *path, uint64_t *alone_bytes)
{
    struct tree_walk walk = {0};
    struct strbuf buf = STRBUF_INIT;
    strbuf_add_cstr(&buf, path);
    walk_tree(&walk, &buf, 0);
    uint64_t sum = walk.alone_bytes + linked_bytes(&walk);
    if (alone_bytes != NULL)
        *alone_bytes = walk.alone_bytes;
    mem_free(MEM_BASE, walk.linked);
    strbuf_deinit(&buf);
    return sum;
}

static err_t make_dir(const struct fs *fs, const char *path, struct strbuf *why)
{
    err_t err = fs->mkdir(fs->context, path, why);
    if (err != ERR_EXISTS)
        return err;
    struct stat status;
    if (stat(path, &status) != 0)
        return err_fail_errno(why, errno, "stat %s", path);
    if (!S_ISDIR(status.st_mode))
        return err_fail(why, ERR_EXISTS, "make folder %s: a file is in the way", path);
    return OK;
}

err_t fs_make_dirs(const struct fs *fs, const char *path, struct strbuf *why)
{
    err_t err = OK;
    char *copy = mem_dup(MEM_BASE, path, strlen(path));
    /* From the first separator that is not the root. */
    for (char *at = copy + 1; copy[0] != '\0'; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        TRY_OUT(make_dir(fs, copy, why));
        *at = kept;
        if (kept == '\0')
            break;
    }
out:
    mem_free(MEM_BASE, copy);
    return err;
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is bounded by FS_DEPTH_MAX. */
static err_t remove_tree(const struct fs *fs, struct strbuf *path, uint32_t depth,
                         struct strbuf *why)
{
    struct stat status;
    if (lstat(path->data, &status) != 0)
        return errno == ENOENT ? OK : err_fail_errno(why, errno, "stat %s", path->data);
    err_t err = OK;
    if (!S_ISDIR(status.st_mode)) {
        err = fs->unlink(fs->context, path->data, why);
        return err == ERR_NOT_FOUND ? OK : err;
    }
    if (depth >= FS_DEPTH_MAX)
        return err_fail(why, ERR_LIMIT, "remove folder %s: nested too deeply", path->data);
    struct fs_list list;
    TRY(fs_list_dir(path->data, &list, why));
    size_t size = path->size;
    for (size_t i = 0; i < list.count; i++) {
        add_name(path, list.names[i]);
        TRY_OUT(remove_tree(fs, path, depth + 1, why));
        cut_to(path, size);
    }
    err = fs->rmdir(fs->context, path->data, why);
    if (err == ERR_NOT_FOUND)
        err = OK;
out:
    fs_list_free(&list);
    return err;
}

err_t fs_remove_tree(const struct fs *fs, const char *path, struct strbuf *why)
{
    struct strbuf buf = STRBUF_INIT;
    strbuf_add_cstr(&buf, path);
    err_t err = remove_tree(fs, &buf, 0, why);
    strbuf_deinit(&buf);
    return err;
}

static err_t sync_parent(const struct fs *fs, const char *path, struct strbuf *why)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return fs->sync_dir(fs->context, ".", why);
    size_t size = slash == path ? 1 : (size_t)(slash - path);
    char *parent = mem_dup(MEM_BASE, path, size);
    err_t err = fs->sync_dir(fs->context, parent, why);
    mem_free(MEM_BASE, parent);
    return err;
}

static err_t write_synced(const struct fs *fs, const char *path, const void *data, size_t size,
                          struct strbuf *why)
{
    struct fs_file *file;
    TRY(fs->open(fs->context, path, FS_OPEN_CREATE_NEW, &file, why));
    err_t err = fs->write(file, data, size, why);
    if (err == OK)
        err = fs->sync(file, why);
    struct strbuf close_why = STRBUF_INIT;
    err_t close_err = fs->close(file, &close_why);
    if (err == OK && close_err != OK)
        err = err_fail(why, close_err, "%s", strbuf_cstr(&close_why));
    strbuf_deinit(&close_why);
    return err;
}

err_t fs_write_atomic(const struct fs *fs, const char *path, const void *data, size_t size,
                      struct strbuf *why)
{
    struct strbuf temporary = STRBUF_INIT;
    strbuf_printf(&temporary, "%s.tmp", path);
    err_t err = fs->unlink(fs->context, temporary.data, why); /* left by a crash */
    if (err != OK && err != ERR_NOT_FOUND)
        goto out;
    strbuf_clear(why);
    TRY_OUT(write_synced(fs, temporary.data, data, size, why));
    TRY_OUT(fs->rename(fs->context, temporary.data, path, why));
    err = sync_parent(fs, path, why);
out:
    strbuf_deinit(&temporary);
    return err;
}

err_t fs_close_after(const struct fs *fs, struct fs_file *file, err_t err, struct strbuf *why)
{
    if (err == OK)
        return fs->close(file, why);
    struct strbuf second = STRBUF_INIT;
    err_t close_err = fs->close(file, &second);
    (void)close_err; /* the first fault is the one to report */
    strbuf_deinit(&second);
    return err;
}

err_t fs_cut(const struct fs *fs, const char *path, uint64_t size, struct strbuf *why)
{
    struct fs_file *file;
    TRY(fs->open(fs->context, path, FS_OPEN_APPEND, &file, why));
    err_t err = fs->truncate(file, size, why);
    if (err == OK)
        err = fs->sync(file, why);
    return fs_close_after(fs, file, err, why);
}
