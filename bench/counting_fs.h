/* bench/counting_fs.h: the real file system, which counts what is written into which folder of a
 * database. One thread. */
#pragma once

#include "narthex/base/fs.h"

enum written {
    WRITTEN_LOG, /* segments */
    WRITTEN_CHECKPOINT,
    WRITTEN_SEALED,
    WRITTEN_SERIES,
    WRITTEN_OTHER,
    WRITTEN_COUNT
};

struct counting_fs {
    struct fs table; /* for the database */
    uint64_t bytes[WRITTEN_COUNT];
};

/* The structure must stay where it is while files are open. */
void counting_fs_init(struct counting_fs *counting);
