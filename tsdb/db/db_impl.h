/* The database's parts.
 *
 *     db ── head (its own memory and log)
 *        └─ view ── blocks by time, each with its tombstones     replaced as a whole, counted
 *
 * A querier holds a head reader and a view. Locks, in the order they may be taken:
 * maintain_lock, view_lock; selections.lock alone; the head's own locks come last.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/db.h"
#include "narthex/tsdb/head.h"
#include "narthex/tsdb/tombstones.h"
#include "narthex/tsdb/wal.h"

/* An open block file, shared by the db_blocks that differ in tombstones only. */
struct block_handle {
    _Atomic uint32_t references;
    struct block *block;
    /* Set when the block was replaced or expired: the last user removes the folder. */
    _Atomic bool doomed;
    uint64_t doomed_bytes; /* that go with the folder; written before the view lets go of it */
    struct db *db;
    char *path;
};

/* Immutable. */
struct db_block {
    _Atomic uint32_t references;
    struct block_handle *handle;
    struct tombstones *tombstones; /* owned */
};

struct db_view {
    _Atomic uint32_t references;
    uint32_t block_count;
    struct db_block *blocks[]; /* by min_t_ms */
};

/* All NULL when no registry was given. */
struct db_metrics {
    struct metric *head_series, *head_series_created, *head_series_removed, *head_series_refused,
        *head_chunks;
    struct metric *head_min_time, *head_max_time, *head_min_seconds, *head_max_seconds;
    struct metric *lowest_time, *lowest_seconds, *retention_bytes, *retention_seconds;
    /* By kind: floats, histograms. */
    struct metric *head_samples[2], *out_of_order[2], *out_of_bounds[2], *too_old[2],
        *late_appended[2];
    struct metric *selection_bytes, *selection_hits, *selection_misses;
    struct metric *wal_bytes, *wal_segment, *blocks_loaded, *block_bytes;
    struct metric *replay_seconds, *clean_start, *wal_corruptions, *wal_writes_failed;
    struct metric *reloads, *reloads_failed;
    struct metric *compactions, *compactions_failed, *time_retentions, *size_retentions;
    struct metric_distribution *fsync_seconds, *compaction_seconds, *tombstone_seconds;
};

/* Selections of the head that were made lately, kept for equal selectors (db_selections.c). */
enum {
    DB_SELECTIONS_MAX = 64,
    DB_SELECTION_BYTES_MAX = 1 << 20,  /* of one */
    DB_SELECTIONS_BYTES_MAX = 4 << 20, /* of all */
};

/* One of them; what is found is constant. */
struct db_selection {
    uint32_t references; /* guarded by the lock of struct db_selections */
    uint64_t generation; /* head_reader.series_generation */
    struct str key;      /* text of the selector */
    size_t bytes;
    struct db_found_series *items; /* by labels; views of the head's strings */
    size_t count;
};

struct db_selections {
    struct mutex lock;
    /* guarded by lock */
    struct db_selection *entries[DB_SELECTIONS_MAX];
    uint64_t hashes[DB_SELECTIONS_MAX];
    uint32_t next; /* to be replaced */
    size_t bytes;
    uint64_t hit_count;
    uint64_t miss_count;
};

struct db {
    struct storage base; /* first: a struct storage pointer is a struct db pointer */

    /* constant */
    char *path;
    char *wal_path;
    const struct fs *fs;
    const struct clock *clock;
    int64_t block_range_ms;
    int64_t block_range_max_ms;
    bool sync_each_commit;
    struct head *head;
    struct wal *wal;
    int lock_file;        /* -1: none */
    bool locked_clean;    /* the process before closed the database */
    bool marked_in_use;   /* in the lock file, until the database is closed */
    uint64_t corruptions; /* damaged places of the log, found at the start */
    atomic_bool importing;

    struct mutex settings_lock;
    /* guarded by settings_lock */
    int64_t retention_ms;
    uint64_t retention_bytes;
    double retention_percent;

    struct mutex maintain_lock; /* one maintenance step at a time */
    int64_t cut_not_before_ns;  /* guarded by maintain_lock; monotonic */
    int64_t ulid_ms;            /* guarded by maintain_lock; of the newest block's name */
    uint32_t rounds_unsealed;   /* guarded by maintain_lock; of the housekeeper, since it sealed */

    struct db_selections selections;

    struct mutex view_lock;
    /* guarded by view_lock */
    struct db_view *view;

    /* Of folders of blocks that nothing but open queries holds. Queries subtract (release), who
     * measures the data folder reads (acquire). */
    _Atomic uint64_t doomed_bytes;

    struct thread housekeeper;
    struct thread syncer;
    struct mutex housekeeper_lock;
    struct cond housekeeper_wake;
    bool stopping; /* guarded by housekeeper_lock */

    struct db_metrics metrics;
};

/* Counts where there is a registry. */
static inline void db__count(struct metric *metric, double by)
{
    if (metric != NULL)
        metric_add(metric, by);
}

static inline void db__set(struct metric *metric, double value)
{
    if (metric != NULL)
        metric_set(metric, value);
}

/* Notes a block written, or one that could not be; started at start_ns of the monotonic clock. */
void db__note_compaction(struct db *db, err_t err, int64_t start_ns);

static inline struct db *db__of(struct storage *storage)
{
    return (struct db *)storage;
}

/* ---- db_view.c ---- */
struct db_view *db__view_get(struct db *db);
void db__view_put(struct db_view *view);
/* Opens the block in a folder. */
err_t db__block_open(struct db *db, const char *path, struct db_block **block, struct strbuf *why);
/* Takes the block's reference. */
void db__view_add(struct db *db, struct db_block *block);
/* Replaces blocks of the view (matched by handle): `removed` go, `added` (NULL: none) comes, its
 * reference taken. The folders of removed blocks go with their last user when `for_good` is set.
 * Under the maintain lock. */
void db__view_replace(struct db *db, struct db_block *const *removed, size_t removed_count,
                      struct db_block *added, bool for_good);
/* The same block with other tombstones, which are taken. */
struct db_block *db__block_with_tombstones(struct db_block *block, struct tombstones *tombstones);
/* Whether samples of `a` count before those of `b` at the same time: what was stored first stays.
 * Late samples came after those in order, so blocks without them are first. Otherwise late samples
 * of an older block came first; blocks in order do not overlap unless somebody copied one, and the
 * newer is taken then. */
bool db__block_precedes(const struct db_block *a, const struct db_block *b);
/* Opens all blocks of the folder and removes left-overs of unfinished work. */
err_t db__view_load(struct db *db, struct strbuf *why);

/* ---- db_block_select.c ---- */
/* Series ordinals of a block that match, ascending, in the arena. */
err_t db__block_select(const struct block *block, struct selector selector, struct arena *arena,
                       struct id_view *ordinals, struct strbuf *why);

/* ---- db_querier.c ---- */
/* Where a series of a querier is: sources in order of time where they do not overlap. */
/* DB_SOURCE_LATE: late samples of the head; only cursors have such a source. */
enum { DB_SOURCE_HEAD = UINT32_MAX, DB_SOURCE_LATE = UINT32_MAX - 1 };
struct db_member {
    uint32_t source; /* block number in the view, or DB_SOURCE_HEAD */
    uint32_t ordinal;
};

struct db_found_series {
    struct labels labels;
    struct db_member member;
};

struct db_querier {
    struct querier base;
    struct db *db;
    struct head_reader head;
    struct db_view *view;
    int64_t min_t_ms;
    int64_t max_t_ms;
    struct mutex lock;
    /* guarded by lock; the position of a series is the index of its first member, or its ordinal
     * and POSITION_HEAD when it is in the head only */
    struct db_member **member_pages;
    uint32_t page_count;
    uint32_t page_capacity;
    uint32_t member_count;
    struct db_selection **held; /* whose labels were handed out */
    uint32_t held_count;
    uint32_t held_capacity;
};

enum { MEMBER_PAGE_SIZE = 1 << 14, MEMBER_LAST = 1u << 31 };
#define POSITION_HEAD (UINT64_C(1) << 63)

err_t db__querier_open(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                       struct querier **querier, struct strbuf *why);
/* Copies the members of a position, the head last; at most block_count + 1. */
uint32_t db__querier_members(struct db_querier *querier, uint64_t position,
                             struct db_member *members);

/* ---- db_cursor.c ---- */
err_t db__cursor_open(struct querier *querier, const struct select_hints *hints,
                      struct series_cursor **cursor, struct strbuf *why);

/* ---- db_selections.c ---- */
void db__selections_init(struct db_selections *selections);
/* No reference may be held. */
void db__selections_deinit(struct db_selections *selections);
/* Adds a text that equal selectors share and others do not. */
void db__selection_key(struct selector selector, struct strbuf *key);
/* What an equal selector found in the same generation, with a reference; NULL: it is not here. */
struct db_selection *db__selection_get(struct db_selections *selections, struct str key,
                                       uint64_t generation);
void db__selection_put(struct db_selections *selections, struct db_selection *selection);
/* Keeps a copy of what a selector found, unless it is too large; in place of older ones. */
void db__selection_keep(struct db_selections *selections, struct str key, uint64_t generation,
                        const struct db_found_series *items, size_t count);

/* ---- db_late_source.c ---- */
/* Walks the late samples of a series in the head as columns. One owner. */
struct db_late_source;
struct db_late_source *db__late_source_create(void);
void db__late_source_destroy(struct db_late_source *source);
void db__late_source_seek(struct db_late_source *source, const struct head_reader *reader,
                          uint32_t ordinal, int64_t min_t_ms, int64_t max_t_ms);
/* The next column; false at the end. */
bool db__late_source_next(struct db_late_source *source, struct sample_column_info *info);
/* Valid until the next call; histograms as they were stored. */
err_t db__late_source_decode(struct db_late_source *source, struct sample_column *column,
                             struct strbuf *why);

/* ---- db_delete.c ---- */
err_t db__delete_samples(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                         struct selector selector, struct strbuf *why);
