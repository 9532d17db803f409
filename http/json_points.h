/* http/json_points.h: the points of a matrix, fast: series of one range query share their times,
 * and neighbouring values are often equal, so that neither is rendered again.
 */
#pragma once

#include "narthex/base/strbuf.h"
#include "narthex/query/engine.h"

enum { JSON_TIME_BYTES = 32 };

/* Times already rendered, ascending; starts zeroed. Once learnt, any thread may read them. */
struct json_times {
    int64_t *t_ms;
    char (*texts)[JSON_TIME_BYTES]; /* `,[1700000000,"`, not terminated */
    uint8_t *sizes;
    uint32_t count;
};

/* Takes the series' times as the ones to look up, if they are more than before. */
void json_times_learn(struct json_times *times, const struct query_series *series);
void json_times_deinit(struct json_times *times);

/* Appends `[1700000000,"0.5"],[…]` for the floats first to end - 1 of the series; what follows
 * another point begins with a comma. */
void json_add_float_points(struct strbuf *out, const struct json_times *times,
                           const struct query_series *series, uint32_t first, uint32_t end);
/* The bytes that json_add_float_points appends. */
size_t json_float_points_size(const struct json_times *times, const struct query_series *series,
                              uint32_t first, uint32_t end);
