/* fault_fs.h: a file system that fails on demand.
 *
 * It passes calls to the real one and counts those that change something (open for writing, write,
 * sync, truncate, rename, unlink, mkdir, rmdir, link, sync_dir). The call with the armed number
 * fails in the armed way. It knows how much of every file was synced, and can take the rest away as
 * a power loss would; names (rename, mkdir, …) count as durable at once. Any thread.
 */
#pragma once

#include "narthex/base/fs.h"

enum fault {
    FAULT_NONE,
    FAULT_STOP,     /* this call and all later ones fail, as if the process had died here */
    FAULT_TORN,     /* the same, but a write first puts half of its bytes into the file */
    FAULT_NO_SPACE, /* this call alone fails with ERR_NO_SPACE, a write after half of its bytes */
    FAULT_IO,       /* this call alone fails with ERR_IO */
};

struct fault_fs;

struct fault_fs *fault_fs_create(void);
/* All files must be closed. */
void fault_fs_destroy(struct fault_fs *faulty);
const struct fs *fault_fs_table(struct fault_fs *faulty);
/* Arms the fault for the call with this number, counted from 0 since creation; resets nothing. */
void fault_fs_arm(struct fault_fs *faulty, uint64_t call, enum fault fault);
/* Calls so far. */
uint64_t fault_fs_calls(const struct fault_fs *faulty);
/* Cuts every file to what was synced plus a part of the rest that follows from `seed`. */
void fault_fs_lose_power(struct fault_fs *faulty, uint64_t seed);
