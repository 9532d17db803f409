/* tsdb/block.h: immutable blocks of samples on disk.
 *
 * A block is a folder named by its ULID with the file `block` (docs/format/block.md) and, once
 * something was deleted from it, the file `tombstones` (tsdb/tombstones.h). The file is written
 * once, front to back, and read through one mapping; nothing in it ever changes.
 *
 *     writer: open → add_symbol* → (add_group | begin_series add_column*)* → finish
 *     reader: open → values, postings → ordinals → cursor: labels, columns → close
 *
 * Inside a block everything has an ordinal: symbols (all label names and values, sorted bytewise),
 * series (sorted by labels), groups (in the order they were added) and windows (per group, by
 * time). A group's time columns are shared by its series.
 *
 * Errors that mean damage are ERR_CORRUPT and name the file and the offset; what does not touch the
 * damaged bytes goes on working. Any bytes are safe to open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/time_column.h"

enum {
    BLOCK_ULID_SIZE = 26,
    BLOCK_SOURCES_MAX = 4096,
    BLOCK_LABELS_MAX = 1024,          /* pairs of one series */
    BLOCK_COLUMN_BYTES_MAX = 1 << 24, /* encoded bytes of one column, start timestamps included */
    BLOCK_PRESENT_WORDS = 4,          /* bit r of word r / 64: row r has a sample */
    BLOCK_NONE = UINT32_MAX,          /* no such ordinal */
};

/* 26 characters of Crockford's base 32 and a NUL: 48 bits of milliseconds, 80 random bits. */
struct block_ulid {
    char text[BLOCK_ULID_SIZE + 1];
};

void block_ulid_make(int64_t time_ms, const uint8_t random[10], struct block_ulid *ulid);
/* The time it was made with. */
int64_t block_ulid_ms(const struct block_ulid *ulid);
/* Whether text is a well-formed ULID in upper case, as the folders of blocks are named. */
bool block_ulid_is_valid(struct str text);

/* ---- what a block says of itself ---- */

enum block_flag {
    BLOCK_FLAG_OUT_OF_ORDER = 1 << 0, /* made of late samples: expect overlap with other blocks */
};

struct block_counts {
    uint64_t samples; /* stale markers included */
    uint64_t float_samples;
    uint64_t columns;
    uint32_t series;
    uint32_t groups;
    uint32_t symbols;
    uint32_t pages;
};

struct block_meta {
    struct block_ulid ulid;
    int64_t min_t_ms; /* of the range the block stands for */
    int64_t max_t_ms; /* exclusive */
    uint32_t level;   /* 1: cut from the head; a merge is one more than its highest source */
    uint32_t flags;   /* enum block_flag */
    const struct block_ulid *sources; /* level-1 blocks it descends from, sorted */
    uint32_t source_count;
    struct block_counts counts; /* filled by the writer */
};

/* Bytes per part of the file, for tools and benchmarks. They add up to the file's size. */
struct block_section_bytes {
    uint64_t symbols;    /* strings and their offsets */
    uint64_t series;     /* label pairs of the series */
    uint64_t postings;   /* label index and postings */
    uint64_t times;      /* time columns and group tables */
    uint64_t directory;  /* where columns are, their rows, inline constants */
    uint64_t statistics; /* column statistics */
    uint64_t pages;      /* column bytes as stored, and the page table */
    uint64_t page_raw;   /* the same before compression; not part of the sum */
    uint64_t overhead;   /* header, meta, checksums, footer, padding */
};

/* ---- writing ---- */

struct block_writer; /* one owner */

struct block_writer_options {
    const struct fs *fs;
    const char *parent;     /* the folder that holds the blocks; exists */
    struct block_meta meta; /* all but `counts`; `sources` is copied; no sources: the ulid itself */
    bool compress_hard;     /* LZ4HC: for compaction */
    bool drop_stats;        /* write no column statistics */
};

/* One window of a group: its time column as time_column_seal made it, strictly ascending. */
struct block_window {
    const uint8_t *times; /* borrowed during the call, no slack needed */
    size_t times_size;
    uint32_t row_count; /* 1 to COLUMN_ROWS_MAX */
};

/* Symbol ordinals of a label pair. */
struct block_label {
    uint32_t name;
    uint32_t value;
};

enum block_column_kind {
    BLOCK_COLUMN_FLOAT,     /* bytes of column_seal */
    BLOCK_COLUMN_HISTOGRAM, /* opaque here: bytes of the histogram column codec */
};

/* One column of a series. Pointers are borrowed during the call. */
struct block_column {
    enum block_column_kind kind;
    uint32_t group;
    uint32_t window;
    /* Which rows of the window hold samples: `present` (rows at or above the window's row count
     * clear), or if NULL the rows [row0, row0 + row_count). */
    const uint64_t *present;
    uint32_t row0;
    uint32_t row_count;
    /* As many values as rows are present. Constants are recognised and kept inline. */
    const uint8_t *bytes;
    size_t size;
    /* Start timestamps, sealed by time_column_seal, one per sample (0: none); NULL: none at all. */
    const uint8_t *start_times;
    size_t start_times_size;
    /* Of a float column, or NULL; constants need none. */
    const struct column_stats *stats;
    /* The column was begun here for a reason that readers must know of (a histogram's layout or
     * counter reset, a change between floats and histograms). Compaction keeps it. */
    bool cut;
};

/* Makes <parent>/<ulid>.tmp. ERR_EXISTS when it or the block is there. All writer calls: on an
 * error (ERR_IO, ERR_NO_SPACE, ERR_LIMIT, ERR_INVALID) the writer can only be aborted. */
err_t block_writer_open(const struct block_writer_options *options, struct block_writer **writer,
                        struct strbuf *why);

/* Symbols come first, strictly ascending, each once; ordinals count from 0. "" need not be one. */
err_t block_writer_add_symbol(struct block_writer *writer, struct str symbol, struct strbuf *why);

/* A group with all its windows, ascending and without overlap in time. `key` says which source it
 * is, across blocks (a merge joins groups of one key). Any time after the symbols, but before the
 * first column that refers to it; *group is its ordinal. */
err_t block_writer_add_group(struct block_writer *writer, uint64_t key,
                             const struct block_window *windows, uint32_t window_count,
                             uint32_t *group, struct strbuf *why);

/* The next series, in the order of labels_compare: pairs sorted by name ordinal, unique. Ends the
 * series before. A series that gets no column is not written. */
err_t block_writer_begin_series(struct block_writer *writer, const struct block_label *labels,
                                uint32_t label_count, struct strbuf *why);

/* The series' next column by time. Columns of one series do not overlap in time; several may share
 * a window (their rows are disjoint then). */
err_t block_writer_add_column(struct block_writer *writer, const struct block_column *column,
                              struct strbuf *why);

/* What was written so far, an open series included. */
void block_writer_counts(const struct block_writer *writer, struct block_counts *counts);

/* Writes the rest, syncs, renames the folder to <parent>/<ulid> and syncs the parent; always frees
 * the writer. After an error the block does not exist (a folder *.tmp may remain). */
err_t block_writer_finish(struct block_writer *writer, struct strbuf *why);

/* Frees the writer and removes the temporary folder as far as the disk lets it. */
void block_writer_abort(struct block_writer *writer);

/* Collects strings in any order, repeats allowed, hands them to a writer sorted, and tells their
 * ordinals afterwards. Copies what it is given. One owner. */
struct block_symbols;
struct block_symbols *block_symbols_create(void);
void block_symbols_destroy(struct block_symbols *symbols);
void block_symbols_add(struct block_symbols *symbols, struct str symbol);
/* Adds both strings of every pair. */
void block_symbols_add_labels(struct block_symbols *symbols, struct labels labels);
/* Once, after all adds: sorts and calls block_writer_add_symbol for each. */
err_t block_symbols_write(struct block_symbols *symbols, struct block_writer *writer,
                          struct strbuf *why);
/* Ordinal after block_symbols_write, BLOCK_NONE if it was never added. */
uint32_t block_symbols_find(const struct block_symbols *symbols, struct str symbol);

/* ---- reading ---- */

/* An open block. Immutable: all calls on it may come from any thread. Strings it hands out point
 * into its mapping and live until block_close. */
struct block;

/* Opens <path>/block, `path` being the block's folder. Checks header, footer, tables' bounds and
 * the checksum table; everything else is checked when first touched. ERR_NOT_FOUND, ERR_IO,
 * ERR_CORRUPT, ERR_UNSUPPORTED (a newer version). */
err_t block_open(const char *path, struct block **block, struct strbuf *why);
/* No cursor, string or view of the block may be used afterwards. */
void block_close(struct block *block);

const struct block_meta *block_meta(const struct block *block);
/* The folder given to block_open. */
const char *block_path(const struct block *block);
/* Size of the file. */
uint64_t block_bytes(const struct block *block);
void block_section_bytes(const struct block *block, struct block_section_bytes *bytes);
/* Reads and checks every byte and every structure: for narthexctl and tests. */
err_t block_verify(const struct block *block, struct strbuf *why);

err_t block_symbol(const struct block *block, uint32_t symbol, struct str *text,
                   struct strbuf *why);

/* The label index. Label names are numbered in bytewise order from 0 to block_name_count - 1; the
 * values of a name are the pairs [first, first + count), bytewise ordered too. */
uint32_t block_name_count(const struct block *block);
struct block_name {
    struct str name;
    uint32_t first_pair;
    uint32_t pair_count;
};
err_t block_name(const struct block *block, uint32_t index, struct block_name *name,
                 struct strbuf *why);
/* *found false when no series has this label. */
err_t block_find_name(const struct block *block, struct str text, struct block_name *name,
                      bool *found, struct strbuf *why);
struct block_pair {
    struct str value;
    uint32_t series_count; /* length of its postings, at least 1 */
};
err_t block_pair(const struct block *block, uint32_t pair, struct block_pair *result,
                 struct strbuf *why);
/* The pair of `name` with this value, or BLOCK_NONE. */
err_t block_find_pair(const struct block *block, const struct block_name *name, struct str value,
                      uint32_t *pair, struct strbuf *why);
/* Series ordinals of a pair, ascending, into ordinals[0 .. block_pair.series_count). */
err_t block_postings(const struct block *block, uint32_t pair, uint32_t *ordinals,
                     struct strbuf *why);

/* ---- groups, for merging and tools ---- */

struct block_group {
    uint64_t key;
    uint32_t window_count;
    int64_t first_ms; /* of its first window */
    int64_t last_ms;  /* of its last window, inclusive */
};
err_t block_group(const struct block *block, uint32_t group, struct block_group *result,
                  struct strbuf *why);
/* The view points into the mapping; COLUMN_SLACK_BYTES are readable after it. */
err_t block_group_window(const struct block *block, uint32_t group, uint32_t window,
                         struct block_window *result, struct strbuf *why);

/* ---- series and columns ---- */

/* Walks series and their columns. Holds buffers (about 160 KiB) and remembers where it is, so that
 * visiting series in ascending order is cheap; any order works. One user at a time. */
struct block_cursor;
struct tombstones;

struct block_cursor *block_cursor_create(const struct block *block);
void block_cursor_destroy(struct block_cursor *cursor);

/* Labels of a series; the pair list goes into the arena, strings stay in the mapping. */
err_t block_cursor_labels(struct block_cursor *cursor, uint32_t series, struct arena *arena,
                          struct labels *labels, struct strbuf *why);
/* The same as symbol ordinals; the view lives until the next call on the cursor. */
err_t block_cursor_label_symbols(struct block_cursor *cursor, uint32_t series,
                                 const struct block_label **labels, uint32_t *label_count,
                                 struct strbuf *why);

/* Deleted samples are passed over from the next seek on; NULL: none. Borrowed. */
void block_cursor_set_tombstones(struct block_cursor *cursor, const struct tombstones *tombstones);

/* What a column's directory entry tells without touching its bytes. */
struct block_column_info {
    enum block_column_kind kind;
    bool cut;
    bool constant; /* a float column whose samples all have the bits of constant_value */
    bool has_start_times;
    bool has_stats; /* block_cursor_stats will give them */
    uint32_t group;
    uint32_t window;
    uint32_t count; /* samples, at least 1 */
    int64_t first_t_ms;
    int64_t last_t_ms;
    double constant_value;
};

/* The samples of one column. Valid until the next call on the cursor. */
struct block_column_data {
    uint32_t count;
    const int64_t *t_ms;  /* strictly ascending */
    int64_t step_ms;      /* constant distance of t_ms, or 0: not known */
    const double *values; /* floats only */
    const uint8_t *bytes; /* histograms only: the encoded column, COLUMN_SLACK_BYTES after it */
    size_t size;
    uint32_t encoded_count; /* histograms: samples in `bytes`; sample i of `count` is number
                               encoded_index[i] of them (NULL: i itself) */
    const uint8_t *encoded_index;
    const int64_t *start_t_ms; /* NULL: none */
};

/* Goes before the first column of `series` that may touch [min_t_ms, max_t_ms]. */
err_t block_cursor_seek(struct block_cursor *cursor, uint32_t series, int64_t min_t_ms,
                        int64_t max_t_ms, struct strbuf *why);
/* Steps to the next column that touches the range; *found false at the end. */
err_t block_cursor_next(struct block_cursor *cursor, struct block_column_info *info, bool *found,
                        struct strbuf *why);
/* Statistics of the column next stopped at, if info.has_stats (constants included). */
err_t block_cursor_stats(struct block_cursor *cursor, struct column_stats *stats,
                         struct strbuf *why);
/* Decodes the column next stopped at, whole: it may reach beyond the range. */
err_t block_cursor_decode(struct block_cursor *cursor, struct block_column_data *data,
                          struct strbuf *why);
/* The column next stopped at, as a writer takes it (tombstones are not applied); views as for
 * decode. `present` points to the cursor's own words. */
err_t block_cursor_raw(struct block_cursor *cursor, struct block_column *column,
                       struct strbuf *why);
