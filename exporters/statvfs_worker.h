/* exporters/statvfs_worker.h: statvfs(2) that cannot hang the caller.
 *
 * A dead network mount blocks statvfs for ever and cannot be interrupted. The calls are made by a
 * thread; when the time is up it is left behind with the path it hangs on, which is not tried
 * again until that thread comes back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>

#define STATVFS_TIMEOUT_NS INT64_C(5000000000)

struct statvfs_worker;

struct statvfs_result {
    int failure; /* 0, errno, or ETIMEDOUT */
    struct statvfs values;
};

/* As statvfs(2): 0, or -1 with errno. */
typedef int (*statvfs_fn)(const char *path, struct statvfs *values);

/* call: NULL for the real one. */
struct statvfs_worker *statvfs_worker__create(statvfs_fn call, int64_t timeout_ns);
/* Threads that still hang are left behind; what they hold is freed when they come back. */
void statvfs_worker__destroy(struct statvfs_worker *worker);
/* Fills results[i] for paths[i]; returns once all are known or the timeout has passed. One caller
 * at a time. */
void statvfs_worker__run(struct statvfs_worker *worker, const char *const *paths, size_t count,
                         struct statvfs_result *results);
