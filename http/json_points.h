/* http/json_points.h: the points of a matrix, fast: series of one range query share their times,
 * and neighbouring values are often equal, so that neither is rendered again.
 */
#pragma once

#include "narthex/base/strbuf.h"
#include "narthex/query/engine.h"

enum { JSON_TIME_BYTES = 24 };

/* Times already rendered, ascending; starts zeroed. */
struct json_times {
    int64_t *t_ms;
    char (*texts)[JSON_TIME_BYTES]; /* not terminated */
    uint8_t *sizes;
    uint32_t count;
};

/* Appends `[1700000000,"0.5"],[…]` for the floats first to end - 1 of the series; what follows
 * another point begins with a comma. */
void json_add_float_points(struct strbuf *out, struct json_times *times,
                           const struct query_series *series, uint32_t first, uint32_t end);
void json_times_deinit(struct json_times *times);
