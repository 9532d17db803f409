/* Lower resolution for histograms of either kind. */
#include <assert.h>

#include "histogram_bounds.h"

static union histogram_count add_counts(enum histogram_kind kind, union histogram_count a,
                                        union histogram_count b)
{
    if (kind == HISTOGRAM_INTEGER)
        a.i += b.i;
    else
        a.f += b.f;
    return a;
}

static struct histogram_side reduce_side(struct arena *arena, const struct histogram *h,
                                         const struct histogram_side *side, int32_t shift)
{
    struct histogram_span *spans =
        ARENA_NEW_ARRAY(arena, struct histogram_span, side->bucket_count);
    union histogram_count *counts =
        ARENA_NEW_ARRAY(arena, union histogram_count, side->bucket_count);
    struct histogram_side reduced = {spans, counts, 0, 0};
    int32_t index = 0;
    int32_t end = 0; /* after the last bucket made */
    uint32_t at = 0;
    for (uint32_t s = 0; s < side->span_count; s++) {
        index += side->spans[s].offset;
        for (uint32_t i = 0; i < side->spans[s].length; i++, index++, at++) {
            int32_t lower = histogram__reduced_index(index, shift);
            if (reduced.bucket_count > 0 && lower == end - 1) {
                counts[reduced.bucket_count - 1] =
                    add_counts(h->kind, counts[reduced.bucket_count - 1], side->counts[at]);
                continue;
            }
            if (reduced.span_count == 0 || lower != end)
                spans[reduced.span_count++] = (struct histogram_span){lower - end, 0};
            spans[reduced.span_count - 1].length++;
            counts[reduced.bucket_count++] = side->counts[at];
            end = lower + 1;
        }
    }
    return reduced;
}

struct histogram *histogram_reduce(struct arena *arena, const struct histogram *h, int32_t schema)
{
    assert(!histogram_uses_custom_buckets(h));
    assert(schema <= h->schema);
    struct histogram *reduced = ARENA_NEW(arena, struct histogram);
    *reduced = *h;
    /* Beyond 31 every index is in one of two buckets, and a shift by more is undefined. */
    int32_t shift = h->schema - schema < 31 ? h->schema - schema : 31;
    reduced->schema = schema;
    reduced->positive = reduce_side(arena, h, &h->positive, shift);
    reduced->negative = reduce_side(arena, h, &h->negative, shift);
    return reduced;
}
