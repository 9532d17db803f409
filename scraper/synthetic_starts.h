/* Starts of counters that expose none (feature st-synthesis, spec 3.6).
 *
 * The first sample of a cumulative series is not stored: its time is the start of those that
 * follow, and they are stored less its value. A counter that began anew starts a millisecond before
 * the sample that shows it, and from then on counts from nothing. Kept by key, beside a target's
 * cache and as long as it shows the key; only with the feature. Belongs to the target's loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/htable.h"
#include "narthex/model/histogram.h"

struct synthetic_start {
    uint64_t key_hash;
    uint32_t key_size;
    uint32_t seen;            /* the scrape that showed it last */
    int64_t start_ms;         /* 0: no sample was seen yet */
    bool cumulative;          /* else its samples are none of our business */
    bool of_histograms;       /* what the rest is of */
    double last, base;        /* the newest value, and the one at the start */
    struct histogram *last_h; /* floats, each in one block of memory */
    struct histogram *base_h; /* NULL: nothing was counted at the start */
};

struct synthetic_starts {
    struct synthetic_start *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t seen_count; /* in the scrape at hand */
    struct htable table;
    struct arena arena; /* of one sample's histogram */
};

struct synthetic_starts *synthetic_starts_create(void);
void synthetic_starts_destroy(struct synthetic_starts *starts);

/* The start of a key, marked as seen; a new one (*is_new) is not cumulative until the caller says
 * so. Valid until the next call. */
struct synthetic_start *synthetic_starts_get(struct synthetic_starts *starts, uint64_t key_hash,
                                             uint32_t key_size, uint32_t scrape, bool *is_new);
/* Ends a scrape: keys that it did not show are forgotten. */
void synthetic_starts_end(struct synthetic_starts *starts, uint32_t scrape);

/* The sample to be stored instead; false when none is. start->start_ms is its start. */
bool synthetic_start_value(struct synthetic_start *start, int64_t t_ms, double *value);
/* The result is in starts->arena until the next call. */
bool synthetic_start_histogram(struct synthetic_starts *starts, struct synthetic_start *start,
                               int64_t t_ms, const struct histogram **histogram);
