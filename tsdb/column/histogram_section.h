/* What writing and reading histogram columns share: docs/format/column.md, part 7. */
#pragma once

#include "narthex/model/histogram.h"
#include "narthex/tsdb/histogram_column.h"

enum {
    /* First byte of a section. Columns of older blocks are plain records; they begin with the size
     * of the first one, which is never below SECTION_RECORD_SIZE_MIN. */
    SECTION_RECORDS = 0,
    SECTION_COLUMNS = 1 << 0,
    SECTION_FLOAT = 1 << 1,
    SECTION_COUNT_DERIVED = 1 << 2,
    SECTION_USUAL_THRESHOLD = 1 << 3,
    SECTION_HEAD_MAX = 15,
    SECTION_RECORD_SIZE_MIN = 25,
    /* First byte of a run. */
    RUN_HINT_MASK = 3,
    RUN_ALL_BUCKETS = 1 << 2,
    RUN_STALE = 1 << 3,
    RUN_STALE_FLOAT = 1 << 4,
    RUN_MAX = 31,
    /* Of one side of a section. */
    SECTION_BUCKETS_MAX = 8192,
    /* Magnitude of bucket indices: the gap between any two is a span's offset. */
    SECTION_INDEX_MAX = 1 << 30,
};
static_assert(SECTION_HEAD_MAX < SECTION_RECORD_SIZE_MIN, "old columns can be told apart");

/* Zero threshold of the client libraries, 2^-128. */
#define SECTION_THRESHOLD 0x1p-128

/* Indices of a side's buckets, in order. */
struct bucket_walk {
    const struct histogram_span *spans;
    uint32_t span_count;
    uint32_t span; /* the current one */
    uint32_t used; /* buckets of it passed */
    int64_t index; /* of the bucket next stopped at */
};

static inline struct bucket_walk bucket_walk_of(const struct histogram_side *side)
{
    return (struct bucket_walk){
        .spans = side->spans,
        .span_count = side->span_count,
        .index = side->span_count > 0 ? (int64_t)side->spans[0].offset - 1 : 0,
    };
}

static inline bool bucket_walk_next(struct bucket_walk *walk)
{
    while (walk->span < walk->span_count && walk->used == walk->spans[walk->span].length) {
        walk->used = 0;
        if (++walk->span < walk->span_count)
            walk->index += walk->spans[walk->span].offset;
    }
    if (walk->span >= walk->span_count)
        return false;
    walk->used++;
    walk->index++;
    return true;
}

/* The stale marker as the head writes it: nothing but a sum. */
static inline struct histogram section_stale(enum histogram_kind kind)
{
    return (struct histogram){.kind = kind, .sum = double_from_bits(STALE_NAN_BITS)};
}

/* Zero count and bucket counts added in order, as a reader derives a count. */
union histogram_count section__count_sum(const struct histogram *histogram);
