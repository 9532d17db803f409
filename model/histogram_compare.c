/* Equality and counter resets of float histograms. */
#include <string.h>

#include "histogram_bounds.h"

bool histogram_same_bounds(const struct histogram *a, const struct histogram *b)
{
    if (a->custom_value_count != b->custom_value_count)
        return false;
    for (uint32_t i = 0; i < a->custom_value_count; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return true;
}

static bool same_side(const struct histogram_side *a, const struct histogram_side *b)
{
    struct side_cursor left;
    struct side_cursor right;
    side_cursor__init(&left, a);
    side_cursor__init(&right, b);
    for (;;) {
        bool more = side_cursor__next(&left);
        if (more != side_cursor__next(&right))
            return false;
        if (!more)
            return true;
        if (left.index != right.index || double_bits(left.count) != double_bits(right.count))
            return false;
    }
}

bool histogram_equal(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema || double_bits(a->count.f) != double_bits(b->count.f) ||
        double_bits(a->sum) != double_bits(b->sum))
        return false;
    if (histogram_uses_custom_buckets(a) && !histogram_same_bounds(a, b))
        return false;
    if (a->zero_threshold != b->zero_threshold ||
        double_bits(a->zero_count.f) != double_bits(b->zero_count.f))
        return false;
    return same_side(&a->positive, &b->positive) && same_side(&a->negative, &b->negative);
}

/* Whether a bucket of the previous histogram lost observations. */
static bool side_reset(const struct histogram *current, const struct histogram_side *side,
                       const struct histogram *previous, const struct histogram_side *previous_side)
{
    struct reduced_cursor now;
    struct reduced_cursor before;
    reduced_cursor__init(&now, side, current->schema, current->schema, current->zero_threshold);
    reduced_cursor__init(&before, previous_side, previous->schema, current->schema,
                         current->zero_threshold);
    bool has_now = reduced_cursor__next(&now);
    while (reduced_cursor__next(&before)) {
        while (has_now && now.index < before.index)
            has_now = reduced_cursor__next(&now);
        if (has_now && now.index == before.index) {
            if (now.count < before.count)
                return true;
        } else if (before.count != 0) {
            return true;
        }
    }
    return false;
}

static void roll_up(const struct histogram *h, const double *bounds, uint32_t bound_count,
                    double *totals)
{
    for (uint32_t i = 0; i <= bound_count; i++)
        totals[i] = 0;
    struct side_cursor cursor;
    side_cursor__init(&cursor, &h->positive);
    while (side_cursor__next(&cursor))
        totals[histogram__find_bound(h->custom_values, h->custom_value_count, cursor.index, bounds,
                                     bound_count)] += cursor.count;
}

/* With different custom bounds: the intervals between those that both have. */
static bool reconciled_reset(const struct histogram *current, const struct histogram *previous)
{
    struct arena arena;
    arena_init(&arena, MEM_MODEL, SIZE_MAX);
    double *common = ARENA_NEW_ARRAY(&arena, double, current->custom_value_count + 1);
    uint32_t count =
        histogram__common_bounds(current->custom_values, current->custom_value_count,
                                 previous->custom_values, previous->custom_value_count, common);
    double *now = ARENA_NEW_ARRAY(&arena, double, count + 1);
    double *before = ARENA_NEW_ARRAY(&arena, double, count + 1);
    roll_up(current, common, count, now);
    roll_up(previous, common, count, before);
    bool reset = false;
    for (uint32_t i = 0; i <= count; i++)
        reset = reset || now[i] < before[i];
    arena_deinit(&arena);
    return reset;
}

bool histogram_detect_reset(const struct histogram *current, const struct histogram *previous)
{
    if (current->hint == HISTOGRAM_HINT_RESET)
        return true;
    if (current->hint == HISTOGRAM_HINT_NOT_RESET)
        return false;
    if (current->count.f < previous->count.f)
        return true;
    if (histogram_uses_custom_buckets(current)) {
        if (!histogram_uses_custom_buckets(previous))
            return true;
        if (!histogram_same_bounds(current, previous))
            return reconciled_reset(current, previous);
    }
    if (current->schema > previous->schema || current->zero_threshold < previous->zero_threshold)
        return true;
    if (!histogram_uses_custom_buckets(current)) {
        double threshold = current->zero_threshold;
        double zero_count = histogram__zero_count_at(previous, &threshold);
        if (threshold != current->zero_threshold || current->zero_count.f < zero_count)
            return true;
    }
    return side_reset(current, &current->positive, previous, &previous->positive) ||
           side_reset(current, &current->negative, previous, &previous->negative);
}
