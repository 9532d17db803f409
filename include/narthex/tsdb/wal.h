/* tsdb/wal.h: the write-ahead log: segments, records, replay. Format: docs/format/wal.md.
 *
 * The log knows series by number (ref), groups by number and rows of samples; what they mean is the
 * head's. A commit is encoded into a body (wal_encode_*) and appended as one record.
 *
 * Threads: all calls that change a struct wal come from one thread at a time (the head's write
 * lock), except wal_sync, wal_bytes and wal_current_segment, which any thread may call beside them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/base/metrics.h"
#include "narthex/base/strbuf.h"
#include "narthex/base/thread.h"
#include "narthex/model/labels.h"

enum {
    WAL_RECORD_BYTES_MAX = 256 << 20,
    WAL_SEGMENT_BYTES_DEFAULT = 64 << 20,
    WAL_SLOTS_MAX = 1 << 26, /* of one group */
};

/* ---- bodies ---- */

/* What the writer remembers of a group in the current segment. All zero: nothing, so the next row
 * is a full one. */
struct wal_group {
    uint64_t *base; /* last value written per slot, as bits */
    uint32_t base_capacity;
    uint32_t slot_count; /* slots the segment knows */
    uint32_t segment;    /* segment of the last row, 0: none */
    uint64_t sequence;   /* of the last row */
};
void wal_group_deinit(struct wal_group *group);
/* After a failed append: the next row is full. */
void wal_group_forget(struct wal_group *group);

struct wal_histogram {
    uint32_t slot;
    struct str bytes;
};

struct wal_start {
    uint32_t slot;
    int64_t start_t_ms;
};

/* One row of one group, both when written and when replayed. Arrays are borrowed. */
struct wal_row {
    uint32_t group;
    uint32_t lane;
    uint64_t source_key;
    uint64_t sequence; /* the group's rows count from 1 */
    int64_t t_ms;
    const uint32_t *slot_refs; /* series of every slot, 0: dead */
    uint32_t slot_count;
    uint32_t sample_count;
    const uint32_t *slots; /* of the samples, ascending */
    const double *values;
    const struct wal_histogram *histograms; /* by slot */
    uint32_t histogram_count;
    const struct wal_start *starts; /* by slot */
    uint32_t start_count;
};

void wal_encode_series(struct strbuf *body, uint64_t ref, struct labels labels);
/* Updates *group as if the append succeeded; see wal_group_forget. `segment` is what wal_begin
 * said. */
void wal_encode_row(struct strbuf *body, const struct wal_row *row, struct wal_group *group,
                    uint32_t segment);
void wal_encode_exemplar(struct strbuf *body, uint64_t ref, int64_t t_ms, double value,
                         struct labels labels);
void wal_encode_metadata(struct strbuf *body, uint64_t ref, uint8_t type, struct str help,
                         struct str unit);
void wal_encode_deletion(struct strbuf *body, uint64_t ref, int64_t min_t_ms, int64_t max_t_ms);
void wal_encode_cut(struct strbuf *body, int64_t t_ms);

/* A sample older than the newest one of its series. Numbers ascend in the order of commits and are
 * never used again. Views are borrowed. */
struct wal_late {
    uint64_t number;
    uint64_t ref;
    int64_t t_ms;
    int64_t start_t_ms; /* 0: none */
    double value;
    struct str histogram; /* empty: a float */
};
/* `count` late samples, numbers ascending. */
void wal_encode_late(struct strbuf *body, const struct wal_late *samples, uint32_t count);
/* Late samples up to this number are in blocks. */
void wal_encode_late_flushed(struct strbuf *body, uint64_t number);

/* ---- writing ---- */

struct wal;

struct wal_options {
    const struct fs *fs;
    const char *path;       /* the folder; made if absent */
    uint64_t segment_bytes; /* 0: the default */
    uint32_t first_segment; /* number of the segment to begin; wal_replay says which */
    struct metric_distribution *fsync_seconds; /* observed at each fsync; NULL: not */
};

/* Begins a new segment. */
err_t wal_open(const struct wal_options *options, struct wal **wal, struct strbuf *why);
/* Syncs and frees, whatever happens. */
err_t wal_close(struct wal *wal, struct strbuf *why);

/* Begins a new segment if the current one is full or damaged by a failed write; *segment is the one
 * that the next record will go to. */
err_t wal_begin(struct wal *wal, uint32_t *segment, struct strbuf *why);
/* Appends one record: when OK is returned, write(2) has taken all of it. After an error none of it
 * will be replayed. `max_t_ms` is the newest sample in it (INT64_MIN: none). */
err_t wal_append(struct wal *wal, const struct strbuf *body, int64_t max_t_ms, struct strbuf *why);
/* Removes the record that the last wal_append wrote, as if it had failed; nothing else was called
 * in between but wal_sync. False: it could not be removed, and a replay will find it. */
bool wal_take_back(struct wal *wal);
/* Everything appended before the call survives a power loss when OK is returned. */
err_t wal_sync(struct wal *wal, struct strbuf *why);
/* Begins a new segment now. */
err_t wal_roll(struct wal *wal, struct strbuf *why);

/* A checkpoint for all segments before `needed` (the current one always stays): begin, add bodies,
 * finish; then those segments are removed. */
struct wal_checkpoint;
/* *checkpoint is NULL when no segment can be removed. */
err_t wal_checkpoint_begin(struct wal *wal, uint32_t needed, struct wal_checkpoint **checkpoint,
                           struct strbuf *why);
/* Number of the oldest segment; any thread. */
uint32_t wal_first_segment(struct wal *wal);
err_t wal_checkpoint_add(struct wal_checkpoint *checkpoint, const struct strbuf *body,
                         struct strbuf *why);
/* Frees the checkpoint, whatever happens. */
err_t wal_checkpoint_finish(struct wal_checkpoint *checkpoint, struct strbuf *why);
void wal_checkpoint_abort(struct wal_checkpoint *checkpoint);

/* Any thread. */
uint32_t wal_current_segment(struct wal *wal);
/* Bytes of all segments and the checkpoint; any thread. */
uint64_t wal_bytes(struct wal *wal);

/* Segments found by a replay, so that they can be removed by later checkpoints. */
void wal_adopt_segment(struct wal *wal, uint32_t number, uint64_t bytes, int64_t max_t_ms);

/* ---- replay ---- */

/* A row whose samples are still bytes. */
struct wal_raw_row {
    uint64_t sequence;
    int64_t t_ms;
    uint32_t slot_count;
    uint8_t flags;
    bool full; /* it can be read without the rows before it */
    const uint8_t *data;
    size_t size;
};

/* Last values of a group's slots while its raw rows are decoded in order. All zero at first. */
struct wal_base {
    uint64_t *values;
    uint32_t count;
    uint32_t capacity;
};
void wal_base_deinit(struct wal_base *base);

/* Arrays of the row being decoded; they grow to the largest. All zero at first. */
struct wal_scratch {
    uint32_t *slots;
    double *values;
    uint32_t slots_capacity;
    uint32_t values_capacity;
    struct wal_histogram *histograms;
    uint32_t histogram_capacity;
    struct wal_start *starts;
    uint32_t start_capacity;
};
void wal_scratch_deinit(struct wal_scratch *scratch);

/* Fills what the row says of its samples (views into the scratch and the row's bytes). Rows of a
 * group in order from a full one on; any thread on distinct bases and scratches. ERR_CORRUPT: the
 * group's rows up to its next full one are of no use. */
err_t wal_raw_row_decode(const struct wal_raw_row *raw, struct wal_base *base,
                         struct wal_scratch *scratch, struct wal_row *row, struct strbuf *why);

struct wal_replay_result;

/* Called in log order. Views live until the call returns. An error ends the replay. */
struct wal_handler {
    void *context;
    err_t (*segment)(void *context, uint32_t number, uint32_t last, struct strbuf *why);
    /* After a segment; not called for a checkpoint. */
    void (*segment_end)(void *context, uint32_t number, uint64_t bytes, int64_t max_t_ms);
    err_t (*series)(void *context, uint64_t ref, struct labels labels, struct strbuf *why);
    err_t (*row)(void *context, const struct wal_row *row, struct strbuf *why);
    /* Instead of `row`: samples are left out of *row and can be decoded from *raw until rows_end
     * returns, which is called after some records and at the end of each file. */
    err_t (*raw_row)(void *context, const struct wal_row *row, const struct wal_raw_row *raw,
                     struct strbuf *why);
    err_t (*rows_end)(void *context, struct wal_replay_result *result, struct strbuf *why);
    struct worker_pool *pool; /* helps with raw rows; may be NULL */
    err_t (*exemplar)(void *context, uint64_t ref, int64_t t_ms, double value, struct labels labels,
                      struct strbuf *why);
    err_t (*metadata)(void *context, uint64_t ref, uint8_t type, struct str help, struct str unit,
                      struct strbuf *why);
    err_t (*deletion)(void *context, uint64_t ref, int64_t min_t_ms, int64_t max_t_ms,
                      struct strbuf *why);
    err_t (*cut)(void *context, int64_t t_ms, struct strbuf *why);
    err_t (*late)(void *context, const struct wal_late *sample, struct strbuf *why);
    err_t (*late_flushed)(void *context, uint64_t number, struct strbuf *why);
};

struct wal_replay_result {
    uint32_t next_segment; /* for wal_open */
    uint64_t record_count;
    uint64_t row_count;
    uint64_t sample_count;
    uint64_t torn_bytes;    /* cut off the last segment */
    uint64_t damaged_bytes; /* elsewhere */
    uint64_t damaged_records;
    uint64_t skipped_rows; /* delta rows behind damage */
};

/* Reads the folder (absent: nothing). Damage is counted, logged and never an error. */
err_t wal_replay(const struct fs *fs, const char *path, const struct wal_handler *handler,
                 struct wal_replay_result *result, struct strbuf *why);
/* The same for the bytes of one file, without touching a disk: for tools and fuzzing. `last`: a
 * torn tail is allowed; *good_bytes is where it begins. */
err_t wal_replay_bytes(const void *data, size_t size, uint32_t number, bool last,
                       const struct wal_handler *handler, struct wal_replay_result *result,
                       uint64_t *good_bytes, struct strbuf *why);

/* ---- repair ---- */

enum wal_file_kind { WAL_FILE_OTHER, WAL_FILE_SEGMENT, WAL_FILE_CHECKPOINT };
/* What a file of the folder is by its name; *number is that of a segment or checkpoint. */
enum wal_file_kind wal_file_kind(struct str name, uint32_t *number);

/* Whether the bytes of a checkpoint's file are there to their end. */
bool wal_checkpoint_is_complete(const void *data, size_t size, uint32_t number);

struct wal_salvage {
    uint64_t kept_records;
    uint64_t lost_bytes; /* with a torn end */
    uint64_t lost_places;
    uint64_t first_lost_at; /* offset of the first of them */
};
/* Appends a file with all unharmed records of `data`, which was the file with that number. */
void wal_salvage_bytes(const void *data, size_t size, uint32_t number, struct strbuf *out,
                       struct wal_salvage *result);
