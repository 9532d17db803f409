#include "narthex/tsdb/id_set.h"

/* Above this ratio of sizes the larger side is searched instead of walked. */
enum { GALLOP_RATIO = 16 };

/* First index in [from, count) with items[index] >= id: doubling steps, then bisection. */
static size_t gallop(struct id_view set, size_t from, uint32_t id)
{
    size_t step = 1;
    size_t low = from;
    while (low + step < set.count && set.items[low + step] < id) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < set.count ? low + step : set.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set.items[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t intersect_gallop(struct id_view small, struct id_view large, uint32_t *out)
{
    size_t count = 0;
    size_t at = 0;
    for (size_t i = 0; i < small.count; i++) {
        uint32_t id = small.items[i];
        at = gallop(large, at, id);
        if (at == large.count)
            break;
        if (large.items[at] == id)
            out[count++] = id;
    }
    return count;
}

size_t id_set_intersect(struct id_view a, struct id_view b, uint32_t *out)
{
    if (a.count / GALLOP_RATIO > b.count)
        return intersect_gallop(b, a, out);
    if (b.count / GALLOP_RATIO > a.count)
        return intersect_gallop(a, b, out);
    size_t count = 0, i = 0, j = 0;
    while (i < a.count && j < b.count) {
        uint32_t x = a.items[i];
        uint32_t y = b.items[j];
        if (x == y)
            out[count++] = x;
        i += x <= y;
        j += y <= x;
    }
    return count;
}

size_t id_set_subtract(struct id_view a, struct id_view b, uint32_t *out)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < a.count; i++) {
        uint32_t id = a.items[i];
        at = gallop(b, at, id);
        if (at < b.count && b.items[at] == id)
            continue;
        out[count++] = id;
    }
    return count;
}
