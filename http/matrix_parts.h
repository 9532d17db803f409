/* http/matrix_parts.h: a long matrix of floats cut into parts that can be rendered in any order and
 * by several threads at once; one after another they are the elements of its JSON array.
 */
#pragma once

#include "json_points.h"
#include "narthex/base/arena.h"

/* A point of a series; points 0 begin it. */
struct matrix_place {
    size_t series;
    uint32_t point;
};

struct matrix_parts {
    const struct query_series *series;
    struct json_times times;
    struct matrix_place *starts; /* of the parts, and the end */
    size_t count;
    size_t bytes_about; /* of all parts in JSON, roughly */
};

/* False: the result is short, has histograms, or more labels than points to speak of, and is better
 * rendered piece by piece. Else the parts are in the arena but for what matrix_parts_deinit frees;
 * the result must stay. */
bool matrix_parts_cut(struct arena *arena, const struct query_result *result, size_t series_count,
                      struct matrix_parts *parts);
void matrix_parts_deinit(struct matrix_parts *parts);
/* The bytes of part `index`. Any thread. */
size_t matrix_parts_measure(const struct matrix_parts *parts, size_t index);
/* Appends part `index`. Any thread. */
void matrix_parts_render(const struct matrix_parts *parts, size_t index, struct strbuf *out);
