/* Classic histograms of one exposition turned into native ones with custom bounds (spec 3.6):
 * consecutive lines under TYPE histogram that are equal but for le. Part of a scrape_ingest. */
#pragma once

#include <stdbool.h>

#include "narthex/base/arena.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/exposition.h"
#include "narthex/model/labels.h"

struct nhcb_bucket {
    double bound; /* upper, +Inf included */
    double count; /* cumulative */
};

struct found_exemplars {
    struct exposition_exemplar *items;
    uint32_t count;
    uint32_t capacity;
};

/* The histogram whose lines are being read. */
struct nhcb {
    bool active;
    struct strbuf key;    /* of its cache line: family, labels without le, timestamp */
    struct arena arena;   /* of the labels */
    struct label *labels; /* as exposed, name without suffix */
    uint32_t label_count;
    bool has_timestamp;
    int64_t timestamp_ms;
    int64_t start_ms;
    struct nhcb_bucket *buckets;
    uint32_t bucket_count;
    uint32_t bucket_capacity;
    bool has_count;
    double count;
    double sum;
    bool defect;                      /* a bound that is no number */
    struct found_exemplars exemplars; /* of its lines; in `arena` */
    uint32_t line_exemplars;          /* first of the line collected last */
    struct arena line;                /* of the line at hand, then of the histogram made */
    struct strbuf line_key;
};

void nhcb_init(struct nhcb *nhcb);
void nhcb_deinit(struct nhcb *nhcb);
