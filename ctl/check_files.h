/* ctl/check_files.h: what verify and repair find out about the files of a data folder. */
#pragma once

#include "narthex/base/fs.h"
#include "narthex/tsdb/head_files.h"
#include "narthex/tsdb/wal.h"

/* Reads all of a block and its tombstones. *tombstones_only: the block itself is good. */
err_t ctl_check_block(const char *path, bool *tombstones_only, struct strbuf *why);

struct ctl_log_file {
    char path[4096];
    enum wal_file_kind kind;
    uint32_t number;
    bool last; /* segment: its end may be torn */
};

/* What one file of the log holds. */
struct ctl_log_state {
    struct fs_mapping mapping; /* unmap it */
    struct wal_replay_result result;
    uint64_t good_bytes; /* end of what can be read, before a torn end */
    int64_t min_t_ms;    /* of rows; INT64_MAX: none */
    int64_t max_t_ms;    /* INT64_MIN: none */
    bool complete;       /* a segment, or a checkpoint with its end */
};
/* Maps and reads the file without changing it. */
err_t ctl_check_log_file(const struct ctl_log_file *file, struct ctl_log_state *state,
                         struct strbuf *why);
/* Calls `visit` for each segment and checkpoint of the folder's log; sums up what it returns. */
int ctl_each_log_file(const char *folder,
                      int (*visit)(const struct ctl_log_file *file, void *context), void *context);

/* A file of the head beside the log: of sealed windows, or of series. */
struct ctl_head_file {
    char path[4096];
    uint32_t number;
    bool series;
    bool last;
};
/* Calls `visit` for each of them, and sums up what it returns. */
int ctl_each_head_file(const char *folder,
                       int (*visit)(const struct ctl_head_file *file, void *context),
                       void *context);
/* Reads the file; `whole` as head_check_sealed has it. */
err_t ctl_check_head_file(const struct ctl_head_file *file, struct head_file_check *check,
                          struct strbuf *whole, struct strbuf *why);
