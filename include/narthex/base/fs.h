/* base/fs.h: the file system as a parameter.
 *
 * Everything that stores data goes through a `const struct fs *`, so that tests can stop it at
 * every call, tear writes and return ENOSPC. The real one is fs_system(). Paths are C strings.
 * Every error carries the path in `why`. Calls may come from any thread; one file handle has one
 * user at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

struct fs_file; /* owned by the fs that opened it */

enum fs_open_mode {
    FS_OPEN_READ,       /* must exist */
    FS_OPEN_APPEND,     /* created if absent; writes go to the end */
    FS_OPEN_CREATE_NEW, /* must not exist */
};

struct fs {
    err_t (*open)(void *context, const char *path, enum fs_open_mode mode, struct fs_file **file,
                  struct strbuf *why);
    /* Writes all of data or fails; after a failure the file may hold a part of it. */
    err_t (*write)(struct fs_file *file, const void *data, size_t size, struct strbuf *why);
    err_t (*sync)(struct fs_file *file, struct strbuf *why);
    err_t (*truncate)(struct fs_file *file, uint64_t size, struct strbuf *why);
    /* Always frees the handle. */
    err_t (*close)(struct fs_file *file, struct strbuf *why);
    err_t (*rename)(void *context, const char *from, const char *to, struct strbuf *why);
    err_t (*unlink)(void *context, const char *path, struct strbuf *why);
    err_t (*mkdir)(void *context, const char *path, struct strbuf *why);
    err_t (*rmdir)(void *context, const char *path, struct strbuf *why);
    err_t (*link)(void *context, const char *from, const char *to, struct strbuf *why);
    err_t (*sync_dir)(void *context, const char *path, struct strbuf *why);
    void *context;
};

struct fs_mapping {
    const uint8_t *data; /* NULL when size is 0 */
    size_t size;
};

const struct fs *fs_system(void);

/* Reading needs no fault injection beyond damaged bytes and uses the real system directly. */
/* Maps a whole file read-only; fs_unmap when done. */
err_t fs_map(const char *path, struct fs_mapping *mapping, struct strbuf *why);
/* Maps `size` bytes of a file that is still growing: only bytes that were written to it already may
 * be touched. */
err_t fs_map_ahead(const char *path, size_t size, struct fs_mapping *mapping, struct strbuf *why);
void fs_unmap(struct fs_mapping *mapping);
/* Appends the whole file to `out`; files above `size_max` are ERR_LIMIT. */
err_t fs_read_file(const char *path, size_t size_max, struct strbuf *out, struct strbuf *why);
/* Names in a directory, sorted, without "." and ".."; free with fs_list_free. */
struct fs_list {
    char **names;
    size_t count;
};
err_t fs_list_dir(const char *path, struct fs_list *list, struct strbuf *why);
void fs_list_free(struct fs_list *list);
bool fs_exists(const char *path);
err_t fs_file_size(const char *path, uint64_t *size, struct strbuf *why);
/* Sum of the sizes of all files below path, of one with several names once; what vanishes meanwhile
 * counts as 0. *alone_bytes, unless NULL: of those with no other name anywhere, which is what
 * removing the tree gives back. */
uint64_t fs_tree_bytes(const char *path, uint64_t *alone_bytes);

/* Built on the calls above. */
/* Closes the file at the end of some work that went as `err` says: the first error and its text
 * win. */
err_t fs_close_after(const struct fs *fs, struct fs_file *file, err_t err, struct strbuf *why);
/* Cuts the file at path to its first size bytes and syncs it. */
err_t fs_cut(const struct fs *fs, const char *path, uint64_t size, struct strbuf *why);
/* mkdir -p. */
err_t fs_make_dirs(const struct fs *fs, const char *path, struct strbuf *why);
/* Removes a folder with all it holds; absent is fine. */
err_t fs_remove_tree(const struct fs *fs, const char *path, struct strbuf *why);
/* Writes path.tmp, syncs it, renames it to path, syncs the folder. */
err_t fs_write_atomic(const struct fs *fs, const char *path, const void *data, size_t size,
                      struct strbuf *why);
