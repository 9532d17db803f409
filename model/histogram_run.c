/* Runs of a counter: which histograms follow each other without a reset. */
#include "narthex/model/histogram.h"

/* Walks the buckets of one side in order of their index. */
struct bucket_walk {
    const struct histogram_side *side;
    uint32_t span;
    uint32_t in_span;
    uint32_t bucket;
    int64_t index;
};

static bool walk_next(struct bucket_walk *walk)
{
    const struct histogram_side *side = walk->side;
    while (walk->span < side->span_count && walk->in_span == side->spans[walk->span].length) {
        walk->span++;
        walk->in_span = 0;
        if (walk->span < side->span_count)
            walk->index += side->spans[walk->span].offset;
    }
    if (walk->span == side->span_count)
        return false;
    walk->in_span++;
    walk->bucket++;
    walk->index++;
    return true;
}

/* Before the first bucket: walk_next steps on to index and bucket + 1. */
static struct bucket_walk walk_begin(const struct histogram_side *side)
{
    return (struct bucket_walk){.side = side,
                                .index = side->span_count == 0 ? 0 : side->spans[0].offset};
}

static double count_of(const struct histogram *h, union histogram_count count)
{
    return h->kind == HISTOGRAM_INTEGER ? (double)count.i : count.f;
}

static bool side_lost_observations(const struct histogram *before,
                                   const struct histogram_side *from, const struct histogram *after,
                                   const struct histogram_side *to)
{
    struct bucket_walk old_walk = walk_begin(from);
    struct bucket_walk new_walk = walk_begin(to);
    bool more = walk_next(&new_walk);
    while (walk_next(&old_walk)) {
        while (more && new_walk.index < old_walk.index)
            more = walk_next(&new_walk);
        double now = more && new_walk.index == old_walk.index
                         ? count_of(after, to->counts[new_walk.bucket - 1])
                         : 0;
        if (now < count_of(before, from->counts[old_walk.bucket - 1]))
            return true;
    }
    return false;
}

static bool same_layout(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema || a->zero_threshold != b->zero_threshold ||
        a->custom_value_count != b->custom_value_count)
        return false;
    for (uint32_t i = 0; i < a->custom_value_count; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return true;
}

bool histogram_continues_run(const struct histogram *before, const struct histogram *after)
{
    if (before->hint == HISTOGRAM_HINT_GAUGE || after->hint == HISTOGRAM_HINT_GAUGE ||
        after->hint == HISTOGRAM_HINT_RESET)
        return false;
    if (histogram_is_stale(before) || histogram_is_stale(after))
        return histogram_is_stale(after);
    return same_layout(before, after) &&
           count_of(after, after->count) >= count_of(before, before->count) &&
           count_of(after, after->zero_count) >= count_of(before, before->zero_count) &&
           !side_lost_observations(before, &before->positive, after, &after->positive) &&
           !side_lost_observations(before, &before->negative, after, &after->negative);
}
