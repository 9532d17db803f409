/* model/histogram_bounds.h: walking the buckets of float histograms (private to model/). */
#pragma once

#include "narthex/model/histogram_math.h"

/* Buckets of one side in the order of their indices. */
struct side_cursor {
    const struct histogram_side *side;
    uint32_t span;
    uint32_t within; /* of the span */
    uint32_t at;     /* of the counts */
    int32_t next_index;
    int32_t index; /* of the bucket that side_cursor__next found */
    double count;
};

void side_cursor__init(struct side_cursor *cursor, const struct histogram_side *side);
bool side_cursor__next(struct side_cursor *cursor);

/* Index of a bucket in a schema that is lower by `shift`. */
static inline int32_t histogram__reduced_index(int32_t index, int32_t shift)
{
    return shift == 0 ? index : ((index - 1) >> shift) + 1;
}

/* The buckets of a side in a lower schema, those inside the zero bucket left out. */
struct reduced_cursor {
    struct side_cursor side;
    bool pending;
    int32_t shift;
    int32_t schema; /* the lower one */
    double zero_threshold;
    int32_t index;
    double count;
};
void reduced_cursor__init(struct reduced_cursor *cursor, const struct histogram_side *side,
                          int32_t from_schema, int32_t schema, double zero_threshold);
bool reduced_cursor__next(struct reduced_cursor *cursor);

/* What the zero bucket would count if its threshold were *threshold, which is raised as long as it
 * lies inside a populated bucket. */
double histogram__zero_count_at(const struct histogram *h, double *threshold);

/* Bounds that both have; room for the smaller count. Returns how many. */
uint32_t histogram__common_bounds(const double *a, uint32_t a_count, const double *b,
                                  uint32_t b_count, double *common);
/* First bound that is not below the upper bound of bucket `index`, or bound_count. */
uint32_t histogram__find_bound(const double *from, uint32_t from_count, int32_t index,
                               const double *bounds, uint32_t bound_count);
