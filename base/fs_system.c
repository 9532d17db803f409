/* The real file system behind struct fs. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"

enum { FS_FILE_MODE = 0644, FS_DIR_MODE = 0755 };

struct fs_file {
    int fd;
    char *path;
};

static err_t system_open(void *context, const char *path, enum fs_open_mode mode,
                         struct fs_file **file, struct strbuf *why)
{
    (void)context;
    int flags = O_CLOEXEC;
    switch (mode) {
    case FS_OPEN_READ:
        flags |= O_RDONLY;
        break;
    case FS_OPEN_APPEND:
        flags |= O_WRONLY | O_APPEND | O_CREAT;
        break;
    case FS_OPEN_CREATE_NEW:
        flags |= O_WRONLY | O_APPEND | O_CREAT | O_EXCL;
        break;
    }
    int fd = open(path, flags, FS_FILE_MODE);
    if (fd < 0)
        return err_fail_errno(why, errno, "open %s", path);
    *file = MEM_NEW(MEM_BASE, struct fs_file);
    (*file)->fd = fd;
    (*file)->path = mem_dup(MEM_BASE, path, strlen(path));
    return OK;
}

static err_t system_write(struct fs_file *file, const void *data, size_t size, struct strbuf *why)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(file->fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_fail_errno(why, errno, "write %s", file->path);
        at += written;
        size -= (size_t)written;
    }
    return OK;
}

static err_t system_sync(struct fs_file *file, struct strbuf *why)
{
    if (fdatasync(file->fd) != 0)
        return err_fail_errno(why, errno, "sync %s", file->path);
    return OK;
}

static err_t system_truncate(struct fs_file *file, uint64_t size, struct strbuf *why)
{
    if (ftruncate(file->fd, (off_t)size) != 0)
        return err_fail_errno(why, errno, "truncate %s", file->path);
    return OK;
}

static err_t system_close(struct fs_file *file, struct strbuf *why)
{
    err_t err = OK;
    if (close(file->fd) != 0)
        err = err_fail_errno(why, errno, "close %s", file->path);
    mem_free(MEM_BASE, file->path);
    mem_free(MEM_BASE, file);
    return err;
}

static err_t system_rename(void *context, const char *from, const char *to, struct strbuf *why)
{
    (void)context;
    if (rename(from, to) != 0)
        return err_fail_errno(why, errno, "rename %s to %s", from, to);
    return OK;
}

static err_t system_unlink(void *context, const char *path, struct strbuf *why)
{
    (void)context;
    if (unlink(path) != 0)
        return err_fail_errno(why, errno, "remove %s", path);
    return OK;
}

static err_t system_mkdir(void *context, const char *path, struct strbuf *why)
{
    (void)context;
    if (mkdir(path, FS_DIR_MODE) != 0)
        return err_fail_errno(why, errno, "make folder %s", path);
    return OK;
}

static err_t system_rmdir(void *context, const char *path, struct strbuf *why)
{
    (void)context;
    if (rmdir(path) != 0)
        return err_fail_errno(why, errno, "remove folder %s", path);
    return OK;
}

static err_t system_link(void *context, const char *from, const char *to, struct strbuf *why)
{
    (void)context;
    if (link(from, to) != 0)
        return err_fail_errno(why, errno, "link %s to %s", from, to);
    return OK;
}

static err_t system_sync_dir(void *context, const char *path, struct strbuf *why)
{
    (void)context;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_fail_errno(why, errno, "open folder %s", path);
    err_t err = OK;
    if (fsync(fd) != 0)
        err = err_fail_errno(why, errno, "sync folder %s", path);
    close(fd);
    return err;
}

const struct fs *fs_system(void)
{
    static const struct fs system = {
        .open = system_open,
        .write = system_write,
        .sync = system_sync,
        .truncate = system_truncate,
        .close = system_close,
        .rename = system_rename,
        .unlink = system_unlink,
        .mkdir = system_mkdir,
        .rmdir = system_rmdir,
        .link = system_link,
        .sync_dir = system_sync_dir,
        .context = NULL,
    };
    return &system;
}
