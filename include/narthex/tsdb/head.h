/* tsdb/head.h: what was appended lately, in memory and in the log.
 *
 * The head implements the appender of tsdb/storage.h and a reading side that tsdb/db merges with
 * the blocks. Its memory: tsdb/head/README.md.
 *
 * Threads: appenders from any number of threads (commits follow each other, one at a time);
 * readers from any number of threads, without locks against appenders; the maintenance calls from
 * one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/id_set.h"
#include "narthex/tsdb/storage.h"
#include "narthex/tsdb/wal.h"

struct head;

struct head_options {
    int64_t window_range_ms; /* windows end where this range of time does; 0: two hours */
    int64_t exemplars_max;   /* <= 0: none are kept */
    bool sync_each_commit;
};

struct head *head_create(const struct head_options *options);
/* All appenders and readers must be closed. */
void head_destroy(struct head *head);

/* ---- start ---- */

/* Sealed windows and series go to files below this folder (docs/format/sealed.md, series.md), made
 * if absent; called first. Without it they stay in memory. */
err_t head_open_files(struct head *head, const struct fs *fs, const char *folder,
                      struct strbuf *why);
/* Fills an empty head from the log; *result as wal_replay says. `segment_end` may be NULL; it is
 * told of every segment read. Samples before cut_t_ms are in blocks and left out. */
err_t head_replay(struct head *head, const struct fs *fs, const char *wal_path, int64_t cut_t_ms,
                  void (*segment)(void *context, uint32_t number, uint32_t last),
                  void (*segment_end)(void *context, uint32_t number, uint64_t bytes,
                                      int64_t max_t_ms),
                  void *context, struct wal_replay_result *result, struct strbuf *why);
/* Commits go to this log from now on; borrowed. Without one they are kept in memory only. */
void head_set_wal(struct head *head, struct wal *wal);
void head_set_exemplars_max(struct head *head, int64_t exemplars_max);
void head_set_out_of_order_window(struct head *head, int64_t window_ms);

/* ---- appending: see storage.h ---- */

source_ref head_source_open(struct head *head, uint64_t key);
void head_source_close(struct head *head, source_ref source);
err_t head_appender_open(struct head *head, struct appender **appender, struct strbuf *why);

/* ---- reading ---- */

/* Everything committed before the open and nothing later. Cheap. */
struct head_reader {
    struct head *head;
    uint64_t sequence; /* commits up to this one are visible */
    uint64_t epoch;
    int64_t min_valid_ms; /* older samples are in blocks */
    uint64_t late_after;  /* late samples above this number, up to late_to, are visible */
    uint64_t late_to;
    /* A selector finds the same series for all readers with the same number, and the strings of
     * their labels are there for each of them. */
    uint64_t series_generation;
    struct head_reader *previous, *next;
};
void head_reader_open(struct head *head, struct head_reader *reader);
void head_reader_close(struct head_reader *reader);

/* Ordinals of series that match, ascending, in the arena. */
err_t head_reader_select(struct head_reader *reader, struct selector selector, struct arena *arena,
                         struct id_view *ordinals, struct strbuf *why);
/* The pair list goes into the arena, the strings live as long as the reader. */
struct labels head_reader_labels(struct head_reader *reader, uint32_t ordinal, struct arena *arena);
/* The same for many series, of whose labels only the metric's name is given: that of the series
 * ordinals.items[i] to items[i].labels, which may share memory with their neighbours. Empty for
 * series without a name, or collected since they were selected. */
void head_reader_metric_names(struct head_reader *reader, struct id_view ordinals,
                              struct arena *arena, struct series *items);
/* Marks the names (or the values of one name) that the series carry by calling add() for each once,
 * in any order. With selector.count 0 all series count. */
err_t head_reader_names(struct head_reader *reader, struct selector selector,
                        void (*add)(void *context, struct str text), void *context,
                        struct strbuf *why);
err_t head_reader_values(struct head_reader *reader, struct str name, struct selector selector,
                         void (*add)(void *context, struct str text), void *context,
                         struct strbuf *why);
err_t head_reader_exemplars(struct head_reader *reader, int64_t min_t_ms, int64_t max_t_ms,
                            const struct selector *selectors, size_t selector_count,
                            struct arena *arena, struct exemplar_list *list, struct strbuf *why);

/* Walks the columns of a series of the head: as series_cursor, and the same rules. */
struct head_cursor;
struct head_cursor *head_cursor_create(struct head_reader *reader);
void head_cursor_destroy(struct head_cursor *cursor);
void head_cursor_seek(struct head_cursor *cursor, uint32_t ordinal, int64_t min_t_ms,
                      int64_t max_t_ms);
err_t head_cursor_next(struct head_cursor *cursor, struct sample_column_info *info, bool *found,
                       struct strbuf *why);
/* Statistics of all samples of the column that next stopped at; false when it has none: open
 * columns, short ones, and where rows are hidden. */
bool head_cursor_stats(const struct head_cursor *cursor, struct column_stats *stats);
/* Integer histograms may be given as floats from now on, where that is quicker. */
void head_cursor_prefer_floats(struct head_cursor *cursor);
/* From the next seek on, columns may be left out that end before the newest sample in the range. */
void head_cursor_newest_only(struct head_cursor *cursor);
/* Histograms are given as they were stored, unless floats are preferred. */
err_t head_cursor_decode(struct head_cursor *cursor, struct sample_column *column,
                         struct strbuf *why);

/* A sample that came after newer ones of its series. Views live as long as the reader. */
struct head_late_sample {
    int64_t t_ms;
    int64_t start_t_ms; /* 0: none */
    double value;
    struct str histogram; /* encoded; empty: a float */
};
struct head_late_list {
    struct head_late_sample *items;
    uint32_t count;
    uint32_t capacity;
};
/* Late samples of a series in the range: ascending, distinct times. They are in no block and may
 * have the times of other samples of the series, which then count. The list is reused from call to
 * call; free its items under MEM_HEAD. */
void head_late_read(const struct head_reader *reader, uint32_t ordinal, int64_t min_t_ms,
                    int64_t max_t_ms, struct head_late_list *list);
/* Whether the series has late samples at all, visible or not. */
bool head_late_has(const struct head_reader *reader, uint32_t ordinal);

/* ---- reading for blocks ---- */

/* Sorts ordinals by labels (labels_compare). */
void head_reader_sort(struct head_reader *reader, uint32_t *ordinals, size_t count);

/* A window whose rows the reader sees. */
struct head_window_info {
    uint64_t key; /* of the group; stable across restarts */
    uint32_t group;
    uint64_t window; /* consecutive within the group */
    uint32_t row_count;
    const int64_t *t_ms; /* ascending, not strictly; lives as long as the reader */
};
/* All windows with rows in [min_t_ms, max_t_ms], by group and window. Called by the maintenance
 * thread only. The array is allocated under MEM_HEAD; free with mem_free. */
size_t head_reader_windows(struct head_reader *reader, int64_t min_t_ms, int64_t max_t_ms,
                           struct head_window_info **windows);

/* The column that head_cursor_next stopped at, with its place. */
struct head_raw_column {
    uint32_t group;
    uint64_t window;
    uint64_t present[4]; /* rows of the window */
    bool cut;            /* not the first column of its slot and window */
    /* The sealed column as it is, COLUMN_SLACK_BYTES after it; NULL when it must be sealed from the
     * decoded samples. */
    const uint8_t *bytes;
    size_t size;
};
void head_cursor_raw(const struct head_cursor *cursor, struct head_raw_column *raw);

/* ---- maintenance ---- */

/* Seals windows that are full or whose time is over; at most `windows_max`, 0: all. Returns how
 * many are left. */
uint32_t head_seal(struct head *head, uint32_t windows_max);
/* Whether that is worth its writing and syncing already: enough windows wait for it. */
bool head_seal_is_due(struct head *head);
/* Samples before t are refused from now on, and windows that end before it are closed. First step
 * of cutting a block. */
void head_begin_cut(struct head *head, int64_t t_ms);
/* Samples before t are in a block that new readers see. Their windows, and series without samples,
 * go as soon as no reader is older than this call: see head_drop_cut. */
void head_finish_cut(struct head *head, int64_t t_ms);
/* Does what head_finish_cut asked for, when it is time; true when nothing is left to do. */
bool head_drop_cut(struct head *head);
/* Frees what no reader can hold any more. */
void head_reclaim(struct head *head);
/* Late samples that a reader saw (its late_to) are in blocks that new readers see; logged. They go
 * as soon as no reader is older than this call: see head_late_drop. */
err_t head_late_finish_flush(struct head *head, uint64_t late_to, struct strbuf *why);
/* Does what head_late_finish_flush asked for, when it is time. */
void head_late_drop(struct head *head);
/* Writes what later segments need into a checkpoint and removes older segments. */
err_t head_checkpoint(struct head *head, struct strbuf *why);

/* ---- state ---- */

struct head_stats {
    uint64_t series_count;
    uint64_t series_created;
    uint64_t series_removed;
    uint64_t series_refused; /* for want of memory (mem_pressure) */
    uint64_t group_count;
    uint64_t column_count;           /* windows × slots with samples, estimated */
    uint64_t sample_count;           /* appended since start */
    uint64_t histogram_sample_count; /* of these */
    uint64_t commit_count;
    /* Refused samples by reason and kind (0 floats, 1 histograms); see struct append_batch. */
    uint64_t out_of_order_count[2];
    uint64_t out_of_bounds_count[2];
    uint64_t too_old_count[2];
    uint64_t late_appended_count[2]; /* since start */
    uint64_t late_count;             /* late samples in memory */
    int64_t late_min_t_ms;           /* INT64_MAX: none */
    int64_t late_max_t_ms;           /* INT64_MIN: none */
    uint64_t wal_failure_count;
    int64_t min_t_ms; /* INT64_MAX when empty */
    int64_t max_t_ms; /* INT64_MIN when empty */
    int64_t min_valid_ms;
    uint32_t unsealed_windows;
    uint64_t sealed_bytes;
    int64_t open_bytes;
};
void head_stats(struct head *head, struct head_stats *stats);
/* The part of it that can be told without a look at every window. */
struct head_extent {
    int64_t min_t_ms;
    int64_t max_t_ms;
    uint64_t late_count;
    int64_t late_min_t_ms;
    int64_t late_max_t_ms;
};
void head_extent(struct head *head, struct head_extent *extent);
/* Oldest sample that is in no block; INT64_MAX: none. */
int64_t head_oldest_sample(struct head *head);
/* Deletes [min, max] of the series; logged. */
err_t head_delete(struct head *head, const uint32_t *ordinals, size_t count, int64_t min_t_ms,
                  int64_t max_t_ms, struct strbuf *why);
void head_cardinality(struct head *head, size_t limit, struct arena *arena,
                      struct cardinality *result);
/* What set_metadata stored; false when nothing. Views into the arena. */
bool head_metadata(struct head *head, series_ref ref, struct arena *arena,
                   struct metadata *metadata);
