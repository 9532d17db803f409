/* The start of a head: series and sealed windows from their files, the rest from the log.
 *
 *     series files ─► series            (series_load.c)
 *     checkpoint   ─► cut, deletions …  (head_replay.c)
 *     sealed files ─► windows, places   (head_adopt.c)
 *     segments     ─► series, slots … in order, then rows group by group on all cores
 *                                       (head_replay.c, head_replay_rows.c)
 */
#pragma once

#include "head_late.h"
#include "series_log.h"

/* A window found in the files of sealed ones. */
struct found_window {
    struct sealed_record record;
    struct sealed_place place;
    int64_t first_t_ms;
    int64_t last_t_ms;
    struct head_window *window; /* NULL: not adopted */
};

/* A row of the log that waits for the others of its batch. */
struct waiting_row {
    struct wal_raw_row raw;
    uint32_t next; /* row of the same group + 1, 0: none */
    bool wanted;   /* else it is there already, and read for the rows behind it only */
};

struct replayed_group {
    struct wal_base base;
    uint32_t first, last; /* waiting rows + 1 */
    bool broken;          /* a row could not be read: wait for a full one */
    bool has_gaps;        /* windows were put between others */
};

struct replay {
    struct head *head;
    int64_t cut_t_ms;
    void (*segment)(void *context, uint32_t number, uint32_t last);
    void (*segment_end)(void *context, uint32_t number, uint64_t bytes, int64_t max_t_ms);
    void *context;
    /* Refs whose labels another, living series has: a series was collected and came back. */
    struct htable aliases;
    struct alias {
        series_ref ref;
        uint32_t ordinal;
    } * alias_items;
    uint32_t alias_count;
    uint32_t alias_capacity;

    struct found_window *found;
    uint32_t found_count;
    uint32_t found_capacity;
    bool adopted;
    struct head_deletion *deletions; /* of the log so far; in force at the end */
    uint32_t deletion_count;
    uint32_t deletion_capacity;
    uint32_t *moved; /* ordinals of series with several places */
    uint32_t moved_count;
    uint32_t moved_capacity;
    bool unknown_series;      /* of an adopted window: the log may know it */
    uint64_t series_in_files; /* ordinals below */
    bool lost_series;         /* of them some were in the log only */

    uint32_t segment_number;
    struct worker_pool *pool;
    struct waiting_row *rows;
    uint32_t row_count;
    uint32_t row_capacity;
    struct replayed_group *groups; /* by id - 1 */
    uint32_t group_capacity;
    uint32_t *active; /* groups with waiting rows */
    uint32_t active_count;
    uint32_t active_capacity;
    _Atomic uint64_t sample_count;
    _Atomic uint64_t histogram_count; /* of these */
    _Atomic uint64_t damaged_rows;
};

enum { REPLAY_GROUPS_MAX = 1 << 24 };

struct head_series *head__replay_series(struct replay *replay, series_ref ref);
/* Found or made. */
struct head_group *head__replay_group(struct head *head, uint32_t id, uint64_t key, uint32_t lane);

/* ---- head_adopt.c ---- */
/* Looks through the files; then, when the cut is known, makes windows of what counts. */
err_t head__adopt_find(struct replay *replay, struct strbuf *why);
void head__adopt_windows(struct replay *replay);
/* Makes a slot that is nobody's a place of the series, unless it is one. */
void head__replay_place(struct replay *replay, struct head_series *series, struct head_group *group,
                        uint32_t slot);
/* At the end, when all samples are there: a series that has moved between groups has several
 * places, and they go by the times of their samples. */
void head__adopt_settle(struct replay *replay);
/* At the end: places of series that only the log knew. */
void head__adopt_missing(struct replay *replay);

/* ---- head_replay_rows.c ---- */
err_t head__replay_row(struct replay *replay, const struct wal_row *row,
                       const struct wal_raw_row *raw, struct strbuf *why);
/* Appends all waiting rows. */
void head__replay_rows(struct replay *replay, struct wal_replay_result *result);
void head__replay_rows_end(struct replay *replay);
