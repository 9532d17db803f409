/* The open log and the names of its files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/base/thread.h"
#include "wal_format.h"

struct wal_segment {
    uint32_t number;
    uint64_t bytes;
    int64_t max_t_ms; /* newest sample, INT64_MIN: none */
};

struct wal {
    /* constant */
    const struct fs *fs;
    char *path;
    uint64_t segment_bytes;
    struct metric_distribution *fsync_seconds; /* may be NULL */

    struct mutex sync_lock; /* taken before `lock` */
    /* guarded by sync_lock */
    uint32_t unsynced_from; /* older segments are synced */
    uint64_t synced_bytes;  /* and so many of this one */

    struct mutex lock;
    /* guarded by lock */
    struct fs_file *file;         /* of the last segment; NULL after a failed roll */
    bool dir_synced;              /* the last segment's name is on the disk */
    bool broken;                  /* the file ends in a torn record: begin a new one */
    uint32_t number;              /* of the last segment */
    struct wal_segment *segments; /* ascending; the last is being written */
    uint32_t segment_count;
    uint32_t segment_capacity;
    uint64_t checkpoint_bytes;
    struct strbuf out;
};

/* <dir>/NNNNNNNN and <dir>/checkpoint.NNNNNNNN, to be freed under MEM_WAL. */
char *wal__segment_path(const char *dir, uint32_t number);
char *wal__checkpoint_path(const char *dir, uint32_t number);
/* Whether the name is a checkpoint's; *number is its number. Those of segments: file_name_number.
 */
bool wal__is_checkpoint(struct str name, uint32_t *number);
