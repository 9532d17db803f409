/* An appender's state between begin and commit. */
#pragma once

#include "head_impl.h"
#include "narthex/tsdb/histogram_codec.h"

struct staged_sample {
    double value;
    int64_t t_ms;
    int64_t start_t_ms;       /* 0: none */
    struct head_group *group; /* NULL: the commit finds a slot */
    uint32_t ordinal;
    uint32_t slot;
    uint32_t histogram; /* number of the staged histogram + 1; 0: a float */
    uint32_t order;     /* of staging; set when it is needed */
};

struct staged_bytes {
    size_t offset;
    size_t size;
};

struct staged_exemplar {
    series_ref ref;
    struct exemplar exemplar;
};

struct staged_metadata {
    series_ref ref;
    struct metadata metadata;
};

/* Samples of one group at one time, after sorting: staged[first .. first + count). */
struct commit_row {
    struct head_group *group;
    int64_t t_ms;
    uint64_t sequence; /* in the group */
    uint32_t first;
    uint32_t count;
    uint32_t first_float; /* in slots[] and values[] */
    uint32_t float_count;
    bool has_extras; /* histograms or start times */
};

struct head_appender {
    struct appender base;
    struct head *head;
    uint32_t source;
    bool begun;
    struct append_options options;

    /* Samples that wait for the commit: in three columns as long as they are `compact` (16 bytes a
     * sample where a record takes 56: a scrape's stay in the nearest cache), else in staged[]. */
    bool compact;
    struct head_group *compact_lane; /* of all of them, when there is one */
    int64_t compact_t_ms;
    /* Of these, samples of series that never had a slot: the commit gives them slots from
     * new_slot_base on, which was the lane's slot_count, in the order of staging. */
    uint32_t new_count;
    uint32_t new_slot_base;
    uint32_t *ordinals;
    uint32_t ordinals_capacity;
    uint32_t *slots; /* when not compact: scratch of the commit, as are values */
    uint32_t slots_capacity;
    double *values;
    uint32_t values_capacity;
    struct staged_sample *staged;
    uint32_t staged_count; /* in either form */
    uint32_t staged_capacity;
    struct staged_sample *late; /* out of order, within the window; in the order of staging */
    uint32_t late_count;
    uint32_t late_capacity;
    struct wal_late *wal_late; /* scratch of the commit */
    uint32_t wal_late_capacity;
    /* The common case: samples of different slots of the source's first lane, at one time. Compact
     * implies it; histograms and start times need records. */
    bool plain;
    /* In it: slots do not ascend, as when a series began late that stands early in a scrape. Which
     * ones are staged is in slot_bits; the commit sorts by that. */
    const struct head_group *scattered; /* that lane; NULL: they ascend */
    uint64_t *slot_bits;
    uint32_t slot_word_count; /* of scattered */
    uint32_t slot_bits_capacity;
    bool explicit_times;         /* some batch had timestamps of its own */
    uint32_t next_slot;          /* where the next sample of lane 0 is expected */
    uint64_t seen_sequence;      /* the head's when the first sample was judged */
    uint64_t lane_sequence;      /* lane 0's then */
    int64_t seen_floor_ms;       /* what was being cut then */
    struct htable newest_staged; /* ordinal to its newest staged sample; while plain: of new ones */

    struct strbuf histogram_bytes;
    struct staged_bytes *histograms;
    uint32_t histogram_count;
    uint32_t histogram_capacity;
    struct staged_exemplar *exemplars;
    uint32_t exemplar_count;
    uint32_t exemplar_capacity;
    struct staged_metadata *metadata;
    uint32_t metadata_count;
    uint32_t metadata_capacity;
    struct arena arena; /* of exemplars and metadata */

    /* scratch of the commit */
    struct commit_row *rows;
    uint32_t row_count;
    uint32_t row_capacity;
    double *values_by_slot; /* of a scattered commit */
    uint32_t values_by_slot_capacity;
    struct wal_histogram *wal_histograms;
    uint32_t wal_histogram_capacity;
    struct wal_start *wal_starts;
    uint32_t wal_start_capacity;
};

static inline struct str head__staged_histogram(const struct head_appender *appender,
                                                const struct staged_sample *sample)
{
    struct staged_bytes bytes = appender->histograms[sample->histogram - 1];
    return str_from(appender->histogram_bytes.data + bytes.offset, bytes.size);
}

/* Makes records of samples that are in columns; those of new series have no group then. */
void head__staged_unfold(struct head_appender *appender);

/* Whether the source may write to the group without moving the series. */
static inline bool head__group_is_open_to(const struct head_group *group, uint32_t source)
{
    return group->source == source || group->source == SOURCE_NONE;
}

/* Judges the sample against what the head holds of its series (not against staged ones): OK to
 * append, ERR_EXISTS when the very same sample is there, or the reason. Needs the write lock. */
err_t head__judge_locked(struct head *head, const struct head_series *series, int64_t t_ms,
                         double value, struct str histogram);

/* Everything staged: places, log, memory, visibility. Needs the write lock. */
err_t head__commit_locked(struct head_appender *appender, struct strbuf *why);
