/* tsdb/id_set.h: set operations on ascending arrays of distinct u32. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct id_view {
    const uint32_t *items;
    size_t count;
};

/* a AND b into out (room for the smaller one; may be a.items itself); returns the count. Cost
 * follows the smaller side when the sizes differ much. */
size_t id_set_intersect(struct id_view a, struct id_view b, uint32_t *out);
/* a without b into out (room for a; may be a.items itself); returns the count. */
size_t id_set_subtract(struct id_view a, struct id_view b, uint32_t *out);
