/* tsdb/db.h: the database: head, WAL and blocks behind tsdb/storage.h.
 *
 * db_open replays the log and takes the folder's lock file; a background thread (the housekeeper)
 * syncs the WAL each second, seals windows, cuts blocks every two hours of data, compacts them and
 * applies retention. All calls may come from any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/clock.h"
#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/base/metrics.h"
#include "narthex/tsdb/storage.h"

struct db;

enum db_sync { DB_SYNC_EACH_SECOND, DB_SYNC_EACH_COMMIT };

/* How far a db_open has come with the log; other threads may read it meanwhile. */
struct db_replay {
    _Atomic uint32_t first_segment;
    _Atomic uint32_t last_segment;
    _Atomic uint32_t segment; /* being read, or the last one read */
};

struct db_options {
    const char *path;          /* created if absent */
    const struct fs *fs;       /* NULL: the real one */
    const struct clock *clock; /* NULL: the real one */
    struct metrics *metrics;   /* NULL: none */
    enum db_sync sync;
    bool no_lockfile;
    bool no_background;         /* tests drive db_maintain themselves */
    int64_t block_range_ms;     /* 0: two hours */
    int64_t block_range_max_ms; /* 0: 31 days or a tenth of the retention */
    int64_t retention_ms;       /* 0: no limit by time */
    uint64_t retention_bytes;   /* 0: no limit by size; every byte under path counts, once */
    double retention_percent;   /* of the disk; 0: none */
    int64_t out_of_order_window_ms;
    struct db_replay *replay; /* NULL: nobody asks; used until db_open returns */
    int64_t exemplars_max;    /* <= 0: exemplars are not kept */
};

/* ERR_INVALID when the folder was made by Prometheus, ERR_UNAVAILABLE when it is locked. */
err_t db_open(const struct db_options *options, struct db **db, struct strbuf *why);
/* Takes the lock of a database's folder without opening the database; close(*file) gives it up.
 * ERR_UNAVAILABLE when it is in use, ERR_INVALID when it was made by Prometheus. */
err_t db_lock_folder(const char *path, int *file, struct strbuf *why);
/* Flushes, syncs, ends the threads, frees. All appenders and queriers must be closed. */
void db_close(struct db *db);
struct storage *db_storage(struct db *db);
/* The folder. */
const char *db_path(const struct db *db);
/* Places of the log that were found damaged when the database was opened. */
uint64_t db_corruptions(const struct db *db);

/* Reloadable settings. */
void db_set_retention(struct db *db, int64_t retention_ms, uint64_t retention_bytes,
                      double retention_percent);
void db_set_out_of_order_window(struct db *db, int64_t window_ms);
void db_set_exemplars_max(struct db *db, int64_t exemplars_max);

/* One round of what the housekeeper and the syncer do: sync, seal, cut, compact, retain. Windows
 * are sealed at once, even a single one. */
err_t db_maintain(struct db *db, struct strbuf *why);
/* fsyncs the WAL. */
err_t db_sync(struct db *db, struct strbuf *why);
/* Writes the whole head into a block now, whatever its age (tests, tools, shutdown on demand). */
err_t db_flush_head(struct db *db, struct strbuf *why);
/* Shortens the log as far as it goes; files of series that were found damaged are written anew. */
err_t db_checkpoint(struct db *db, struct strbuf *why);
/* Rewrites blocks that hold deleted samples. */
err_t db_clean_tombstones(struct db *db, struct strbuf *why);
/* Hard-linked copy of all blocks (and a block made of the head unless skip_head) under
 * <path>/snapshots/NAME; NAME goes to *name. */
err_t db_snapshot(struct db *db, bool skip_head, struct strbuf *name, struct strbuf *why);

struct db_block_info {
    char ulid[27];
    int64_t min_t_ms;
    int64_t max_t_ms; /* exclusive */
    uint64_t sample_count;
    uint64_t float_sample_count;
    uint64_t series_count;
    uint64_t column_count;
    uint64_t bytes;
    uint32_t level;
    uint32_t source_count;
    const char (*sources)[27]; /* blocks of level 1 it descends from; in the same allocation */
};
/* Infos of all blocks by time, allocated under MEM_BLOCK; free with mem_free. */
size_t db_blocks(struct db *db, struct db_block_info **infos);
