/* The head's parts. See README.md for the picture. */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/head.h"
#include "narthex/tsdb/label_index.h"
#include "narthex/tsdb/open_column.h"
#include "narthex/tsdb/open_histograms.h"
#include "narthex/tsdb/slab.h"
#include "sealed_store.h"

enum {
    SERIES_PAGE_SIZE = 1024,
    SERIES_PAGES_MAX = 1 << 18,
    HEAD_ORDINALS_MAX = SERIES_PAGE_SIZE * SERIES_PAGES_MAX,
    SLOT_PAGE_SIZE = 64,
    LANES_MAX = 256,                   /* of one source, as long as another way remains */
    SERIES_LABELS_MAX = 1024,          /* of one series, and what the log takes */
    SERIES_LABEL_BYTES_MAX = 16 << 20, /* likewise: a record of the log holds several such series */
    SOURCE_NONE = UINT32_MAX,
    SOURCE_RETIRED = UINT32_MAX - 1, /* most slots were dead: its series move to a new group */
    RENEW_SLOTS_MIN = 64,
    /* Rows of a window that goes to a file: what a start may have to replay. Such windows are
     * merged into ones of COLUMN_ROWS_MAX rows. */
    SHORT_ROWS = 30,
    SHORT_WINDOWS_MAX = 24, /* of a group before they are merged all the same */
};

/* ---- windows ---- */

/* Timestamps and commit sequences of the rows; entries below the window's row_count never change.
 * Replaced by a larger copy when full. */
struct window_rows {
    uint32_t capacity;
    int64_t *t_ms;
    uint64_t *sequences;
};

/* Pages of SLOT_PAGE_SIZE elements (open columns or open histograms), made when the first of its
 * slots is written. */
struct slot_table {
    uint32_t page_count;
    _Atomic(void *) pages[];
};

/* A window in its final form, a view of its record (docs/format/sealed.md): the entry of slot i is
 * data[offsets[i] .. offsets[i + 1]). */
struct sealed_window {
    uint32_t slot_count;
    uint32_t bytes;           /* of data, without slack */
    const uint8_t *data;      /* COLUMN_SLACK_BYTES more are readable */
    const uint32_t *offsets;  /* in the file, whose bytes may change: not to be trusted */
    uint32_t size;            /* of the record */
    struct sealed_file *file; /* pinned; NULL: the record is in memory */
    uint64_t file_end;        /* offset behind the record */
    void *memory;             /* the record when there is no file */
};

struct head_window {
    struct head_group *group;
    uint64_t number;                     /* within the group, ascending */
    _Atomic(struct head_window *) older; /* cut by head_finish_cut */
    _Atomic(struct window_rows *) rows;
    _Atomic uint32_t row_count;              /* written rows; release after the row's samples */
    _Atomic(struct slot_table *) slots;      /* struct open_column; NULL after sealing */
    _Atomic(struct slot_table *) starts;     /* struct open_column of start times; mostly NULL */
    _Atomic(struct slot_table *) histograms; /* struct open_histograms; mostly NULL */
    _Atomic(struct sealed_window *) sealed;

    /* guarded by the write lock */
    struct head_window *next_closed; /* queue of the sealer */
    uint64_t first_sequence;         /* of the group's rows in it */
    uint64_t last_sequence;
    uint32_t first_segment; /* of the log, with its first row; 0: not logged */
    uint16_t rows_max;      /* it is closed when it has so many */
    bool closed;
    bool merged; /* made of short ones, or as long as those get */
};

/* ---- groups ---- */

struct head_group {
    uint32_t id;     /* as in the log, from 1 */
    uint32_t source; /* index, SOURCE_NONE: any source may write, SOURCE_RETIRED: none */
    uint32_t lane;
    uint64_t key; /* of the source */

    /* guarded by the write lock */
    struct wal_group wal;
    uint64_t sequence; /* rows ever appended */
    uint64_t window_numbers;
    int64_t last_t_ms;  /* of the newest row, INT64_MIN: none */
    int64_t floor_t_ms; /* series that moved here have no sample after this */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t dead_count;
    uint32_t *slot_refs; /* series of every slot, 0: it moved away or was collected */
    struct dead_slot {   /* of those that moved away */
        uint32_t slot;
        uint32_t ref;
    } * dead_slots;
    uint32_t dead_slot_count;
    uint32_t dead_slot_capacity;
    int64_t staged_t_ms;  /* newest row that the commit at work will add */
    uint32_t staged_rows; /* and how many */

    /* of the sealing thread */
    struct column_hint *hints; /* per slot */
    uint32_t hint_count;

    _Atomic(struct head_window *) newest;
};

struct head_source {
    uint64_t key;
    bool open;
    struct head_group **lanes;
    uint32_t lane_count;
    uint32_t lane_capacity;
};

/* ---- series ---- */

struct head_place {
    struct head_group *group;
    _Atomic(struct head_place *) older;
    uint32_t slot;
};

struct head_series {
    uint32_t ordinal;
    uint16_t label_count;
    uint8_t moves; /* from source to source; guarded by the write lock */
    uint8_t reserved;
    int64_t left_t_ms; /* newest sample when it left its last place; guarded by the write lock */
    _Atomic(struct head_place *) newest;
    struct head_place first; /* the first place of most series is the only one */
    uint32_t pairs[];
};

/* What a slot of a window holds below a row limit. */
struct slot_samples {
    uint32_t float_count;
    uint64_t float_rows[4];
    uint32_t histogram_count;
    uint64_t histogram_rows[4];
    uint32_t start_count;
    uint64_t start_rows[4];
    bool starts_damaged; /* there are some, and they cannot be read */
    /* sealed floats not decoded yet: */
    const uint8_t *sealed_floats;
    size_t sealed_floats_size;
    uint32_t sealed_float_count; /* values in the sealed column, rows below its own end */
    bool floats_decoded;
    bool has_stats;
    struct column_stats stats; /* of the sealed floats */
    double values[COLUMN_ROWS_MAX];
    double starts[COLUMN_ROWS_MAX];
    /* histograms not decoded yet, in one of two forms: */
    const uint8_t *sealed_histograms;
    size_t sealed_histograms_size;
    uint32_t sealed_histogram_count; /* in the sealed column, rows below its own end */
    const struct open_histograms *open_histograms; /* NULL: none */
    struct open_histograms_view histogram_view;
    uint32_t row_limit;
};

/* ---- late samples: head_late.h ---- */

struct late_run;
typedef _Atomic(struct late_run *) late_slot;
typedef _Atomic(late_slot *) late_page;

struct head_late {
    _Atomic(late_page *) pages; /* by ordinal / SERIES_PAGE_SIZE; NULL before the first sample */
    /* guarded by the write lock */
    uint64_t number; /* of the newest sample, ever */
    uint64_t sample_count;
    int64_t min_t_ms, max_t_ms; /* since there were none */
    uint64_t pending_number;    /* samples up to this wait for readers older than pending_epoch */
    uint64_t pending_epoch;
    bool pending;
};

/* ---- memory that readers may hold ---- */

struct retired {
    void (*free_block)(void *owner, void *block, size_t size);
    void *owner;
    void *block;
    size_t size;
    uint64_t epoch;
};

struct head_epochs {
    struct mutex lock;
    /* guarded by lock */
    uint64_t epoch;              /* counts reader opens */
    uint64_t published;          /* sequence of the last visible commit */
    uint64_t late_published;     /* number of its last late sample */
    uint64_t late_flushed;       /* late samples up to this are in blocks */
    uint64_t series_generation;  /* counts publications after series came or went */
    struct head_reader *readers; /* any order */

    /* guarded by the head's write lock */
    struct retired *items; /* ascending epochs; the last `fresh` are not stamped yet */
    size_t count;
    size_t capacity;
    size_t fresh;
};

struct head_exemplars; /* head_exemplar.c */
struct head_deletions; /* head_delete.c */
struct head_metadata_store;

struct head {
    /* constant */
    int64_t window_range_ms;
    bool sync_each_commit;
    bool exclusive;                /* at the start: no readers, so nothing need be retired */
    struct series_log *series_log; /* NULL without files */
    struct sealed_store *sealed;   /* NULL: sealed windows stay in memory, and are long ones only */
    struct slab_pool *pool;        /* open buffers, slot pages, series records, places */
    struct label_index *index;

    struct head_epochs epochs;

    /* read without a lock */
    _Atomic(_Atomic(struct head_series *) *) *series_pages;
    _Atomic uint32_t ordinal_count; /* ordinals handed out */
    _Atomic int64_t min_valid_ms;   /* older samples are in blocks: new readers skip them */
    _Atomic(struct head_deletions *) deletions;

    struct mutex write_lock;
    /* guarded by write_lock */
    struct wal *wal;
    struct open_column_memory column_memory;
    uint64_t ref_base; /* ref = ref_base + ordinal + 1 */
    bool ref_base_set;
    struct htable series_by_labels;
    struct htable sources_by_key;
    struct head_source *sources;
    uint32_t source_count;
    uint32_t source_capacity;
    struct head_group **groups; /* by id - 1 */
    uint32_t group_count;
    uint32_t group_capacity;
    uint64_t sequence;   /* of the newest commit */
    bool series_changed; /* what selectors find, since the last publication */
    struct head_window *closed_first, *closed_last;
    uint32_t closed_count;
    bool merge_all;     /* a cut is being prepared: short windows before it are merged */
    struct strbuf body; /* of the log record at work */
    uint32_t *unlogged; /* ordinals of series that the log does not know yet */
    uint32_t unlogged_count;
    uint32_t unlogged_capacity;
    struct head_exemplars *exemplars;
    struct head_metadata_store *metadata;
    int64_t min_t_ms, max_t_ms;
    int64_t append_floor_ms; /* older samples are refused */
    struct strbuf scratch;
    int64_t out_of_order_window_ms;
    int64_t pending_cut_ms; /* windows before this wait for readers older than pending_epoch */
    uint64_t pending_epoch;
    bool cut_pending;
    uint32_t collect_below; /* series older than this are collected at the next cut */
    struct head_stats stats;
    struct slot_samples last_samples; /* scratch of head__series_last_locked */
    struct head_late late;
    struct strbuf last_histogram; /* and what its answer may point to */
};

/* Oldest time that can still be appended, as in Prometheus: half a window range behind the newest
 * sample, and never what a block holds. Needs the write lock. */
static inline int64_t head__min_append_t(const struct head *head)
{
    int64_t by_newest =
        head->max_t_ms == INT64_MIN ? INT64_MIN : head->max_t_ms - head->window_range_ms / 2;
    return by_newest > head->append_floor_ms ? by_newest : head->append_floor_ms;
}

static inline series_ref head__ref(const struct head *head, uint32_t ordinal)
{
    return head->ref_base + ordinal + 1;
}

/* ---- head_epoch.c ---- */
void head__epochs_init(struct head_epochs *epochs);
/* Frees everything; no reader may be open. */
void head__epochs_deinit(struct head_epochs *epochs);
/* Needs the write lock. */
void head__retire(struct head *head, void (*free_block)(void *, void *, size_t), void *owner,
                  void *block, size_t size);
/* Makes commits up to `sequence` visible and stamps what was retired meanwhile. Needs the write
 * lock. */
void head__publish_locked(struct head *head, uint64_t sequence);
/* Sequence below which all open readers and all later ones see everything. */
bool head__readers_before(struct head *head, uint64_t epoch);

/* ---- head_series.c ---- */
/* NULL when the ordinal was never given or the series was collected. */
static inline struct head_series *head__series(const struct head *head, uint32_t ordinal)
{
    if (ordinal >= atomic_load_explicit(&head->ordinal_count, memory_order_acquire))
        return NULL;
    _Atomic(struct head_series *) *page =
        atomic_load_explicit(&head->series_pages[ordinal / SERIES_PAGE_SIZE], memory_order_acquire);
    return page == NULL
               ? NULL
               : atomic_load_explicit(&page[ordinal % SERIES_PAGE_SIZE], memory_order_acquire);
}
static inline struct head_series *head__series_of_ref(const struct head *head, series_ref ref)
{
    uint64_t ordinal = ref - head->ref_base - 1;
    return ref == 0 || ordinal >= HEAD_ORDINALS_MAX ? NULL : head__series(head, (uint32_t)ordinal);
}
/* All need the write lock. */
struct head_series *head__series_find_locked(struct head *head, struct labels labels,
                                             uint64_t hash);
/* With a given ordinal (replay) or HEAD_ORDINALS_MAX for the next one; ERR_LIMIT. */
err_t head__series_create_locked(struct head *head, struct labels labels, uint64_t hash,
                                 uint32_t ordinal, struct head_series **series, struct strbuf *why);
/* A series that was in the files, with pairs of the index; its hash goes to the table apart. */
void head__series_restore(struct head *head, uint32_t ordinal, const uint32_t *pairs,
                          uint32_t count);
void head__series_remove_locked(struct head *head, struct head_series *series);
/* Views; pairs in label order. */
struct labels head__series_labels(const struct head *head, const struct head_series *series,
                                  struct label *items);
void head__series_free_all(struct head *head);
/* Frees what numbers below `end` take when all series of a page are gone. */
void head__series_free_pages_locked(struct head *head, uint32_t end);
/* The newest sample, wherever it is; false when the series has none in memory. Only called under
 * the write lock. *histogram is an encoded histogram, or empty for a float. */
bool head__series_last_locked(struct head *head, const struct head_series *series, int64_t *t_ms,
                              double *value, struct str *histogram);

/* ---- head_group.c: all under the write lock ---- */
struct head_group *head__group_create(struct head *head, uint32_t source, uint64_t key,
                                      uint32_t lane, uint32_t id);
/* Numbers up to this one are not given to new groups. */
void head__group_reserve(struct head *head, uint32_t id);
/* Puts the series into a new slot of the group; the place it had is dead. */
uint32_t head__group_take_series(struct head *head, struct head_group *group,
                                 struct head_series *series);
/* The same for a slot that is there and nobody's. */
void head__group_give_slot(struct head *head, struct head_group *group, uint32_t slot,
                           struct head_series *series);
/* Begins a row: *row is its number in the window returned. */
struct head_window *head__group_begin_row(struct head *head, struct head_group *group, int64_t t_ms,
                                          uint32_t *row);
struct window_rows *head__rows_create(uint32_t capacity);
/* Number of the range of time that a window must not leave. */
int64_t head__range_of(const struct head *head, int64_t t_ms);
/* Appends floats to slots (ascending) of one row. */
void head__window_append(struct head *head, struct head_window *window, uint32_t row,
                         const uint32_t *slots, const double *values, uint32_t count);
void head__window_add_start(struct head *head, struct head_window *window, uint32_t slot,
                            uint32_t row, int64_t start_t_ms);
/* ERR_CORRUPT, and nothing is added, when the bytes are no histogram. */
err_t head__window_add_histogram(struct head *head, struct head_window *window, uint32_t slot,
                                 uint32_t row, struct str bytes, struct strbuf *why);
/* Ends the row: its samples are complete. */
void head__group_end_row(struct head_group *group, struct head_window *window, uint32_t row,
                         int64_t t_ms, uint64_t sequence);
void head__window_close(struct head *head, struct head_window *window);
/* Retires its windows and frees the group: at the end of the head. */
void head__group_destroy(struct head *head, struct head_group *group);
/* Frees a group without windows (for the retirer). */
void head__group_free(void *owner, void *group, size_t size);
uint32_t head__source_index(struct head *head, uint64_t key);
/* Replaces the source's first lane when most of its slots are dead: a slot belongs to one series
 * for ever, and churn would fill the table with slots of series that are gone. */
void head__source_renew(struct head *head, uint32_t index);
/* Frees a window without an open form. */
void head__window_free(struct head_window *window);
/* Hands everything below to the retirer. */
void head__window_retire(struct head *head, struct head_window *window);
void head__window_retire_open_form(struct head *head, struct head_window *window);

/* ---- reading a slot of a window: head_slot.c ---- */
/* Rows of the window that commits up to `sequence` wrote. */
uint32_t head__window_visible_rows(const struct head_window *window, uint64_t sequence);
void head__slot_load(const struct head_window *window, uint32_t slot, uint32_t row_limit,
                     struct slot_samples *samples);
err_t head__slot_decode_floats(struct slot_samples *samples, struct strbuf *why);
/* Decodes the histograms in the order of their rows into histograms[], which holds COLUMN_ROWS_MAX:
 * those of the rows below the limit and perhaps later ones. `to_float`: integer ones may be given
 * as floats. */
err_t head__slot_decode_histograms(const struct slot_samples *samples, bool to_float,
                                   struct arena *arena, struct histogram *histograms,
                                   struct strbuf *why);

/* ---- head_seal.c ---- */
struct sealed_entry {
    const uint8_t *floats;
    size_t floats_size;
    uint32_t float_count;
    uint64_t float_rows[4];
    bool has_stats;
    struct column_stats stats; /* of the floats */
    const uint8_t *starts;
    size_t starts_size;
    uint32_t start_count;
    uint64_t start_rows[4];
    const uint8_t *histograms;
    size_t histograms_size;
    uint32_t histogram_count;
    uint64_t histogram_rows[4];
};
/* The entry of a slot; all empty when it has none. Malformed ones have floats in all rows that do
 * not decode. */
void head__sealed_entry(const struct sealed_window *sealed, uint32_t slot,
                        struct sealed_entry *entry);

/* What head_seal.c and head_merge.c build records with. Maintenance thread. */
struct seal_builder {
    struct strbuf entries; /* of the window at work */
    uint32_t *offsets;
    uint32_t offset_count;
    uint32_t offset_capacity;
    uint32_t *refs;
    uint32_t ref_capacity;
    struct strbuf ref_bytes;
    struct strbuf records; /* finished */
    struct slot_samples *samples;
    /* of head_merge.c */
    struct slot_samples *part;
    struct strbuf histograms;
    struct head_window **run;
    uint32_t run_capacity;
};
/* Copies the series of the group's slots; with the write lock. */
void head__seal_copy_refs(struct seal_builder *builder, const struct head_group *group,
                          uint32_t slot_count);
/* Ends the record of a window whose entries are there. */
void head__seal_finish_record(struct seal_builder *builder, const struct head_window *window,
                              uint32_t slot_count);
void head__seal_put_entry(struct seal_builder *builder, const struct slot_samples *samples,
                          struct column_hint *hint);
/* Of a record at `data`: in a file, or NULL: a copy is made. */
struct sealed_window *head__sealed_of_record(const uint8_t *data, const struct sealed_place *place);
void head__sealed_free(struct sealed_window *sealed);
/* Whether the record is as it was written; else it says so in the log. */
bool head__sealed_is_good(const struct sealed_window *sealed);

/* ---- head_merge.c ---- */
/* Merges short windows of the group if there are enough of them, or of all groups up to the cut.
 * Maintenance thread, without the write lock. */
void head__merge_if_due(struct head *head, struct head_group *group, struct seal_builder *builder);
void head__merge_all(struct head *head, struct seal_builder *builder);

/* ---- head_exemplar.c: all under the write lock ---- */
struct head_exemplars *head__exemplars_create(int64_t exemplars_max);
void head__exemplars_destroy(struct head_exemplars *exemplars);
void head__exemplars_resize(struct head_exemplars *exemplars, int64_t exemplars_max);
/* OK, ERR_OUT_OF_ORDER, ERR_DUPLICATE, ERR_INVALID, ERR_UNAVAILABLE (none are kept). */
err_t head__exemplar_judge(const struct head_exemplars *exemplars, series_ref ref,
                           const struct exemplar *exemplar);
void head__exemplar_add(struct head_exemplars *exemplars, series_ref ref,
                        const struct exemplar *exemplar);

/* Log entries of exemplars, oldest first, from number `from` on (0: all of them), until the body
 * has `bytes_max`; returns where to go on, also when others were added meanwhile; UINT64_MAX: all
 * are written. */
uint64_t head__exemplars_encode(const struct head_exemplars *exemplars, uint64_t from,
                                size_t bytes_max, struct strbuf *body);

/* ---- head_checkpoint.c: maintenance thread, without the write lock ---- */
/* Removes segments of the log that no start needs. */
err_t head__trim_log(struct head *head, struct strbuf *why);

/* ---- head_metadata.c: all under the write lock ---- */
struct head_metadata_store *head__metadata_create(void);
void head__metadata_destroy(struct head_metadata_store *store);
/* False when the same is stored already. */
bool head__metadata_set(struct head_metadata_store *store, series_ref ref,
                        const struct metadata *metadata);
bool head__metadata_is(const struct head_metadata_store *store, series_ref ref,
                       const struct metadata *metadata);
bool head__metadata_is_empty(const struct head_metadata_store *store);
void head__metadata_remove(struct head_metadata_store *store, series_ref ref);
/* False when nothing is stored; strings go into the arena. */
bool head__metadata_get(const struct head_metadata_store *store, series_ref ref,
                        struct arena *arena, struct metadata *metadata);
/* The log entry of a series, if it has metadata: for a checkpoint. */
void head__metadata_encode(const struct head_metadata_store *store, series_ref ref,
                           struct strbuf *body);

/* ---- head_delete.c ---- */
struct head_deletion {
    uint32_t ordinal;
    int64_t min_t_ms;
    int64_t max_t_ms; /* inclusive */
};
/* Immutable; replaced as a whole. */
struct head_deletions {
    uint32_t count;
    struct head_deletion items[]; /* by ordinal */
};
/* First deletion of the series and how many follow; NULL: none. */
const struct head_deletion *head__deletions_of(const struct head *head, uint32_t ordinal,
                                               uint32_t *count);
/* Needs the write lock; not logged. Sorts `added`. */
void head__deletions_add_locked(struct head *head, struct head_deletion *added, uint32_t count);
/* Forgets what ended before t, and what is of collected series. */
void head__deletions_trim_locked(struct head *head, int64_t t_ms);
