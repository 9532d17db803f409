/* http/federate.h: what /federate has collected, for its writers. */
#pragma once

#include "negotiate.h"
#include "request.h"

struct federated {
    struct labels labels; /* without external ones */
    int64_t t_ms;
    double value;
    const struct histogram *histogram; /* float kind; NULL: `value` counts */
};

/* The labels to show in their order: the series' own without the name, then external ones that it
 * lacks, and an empty instance where there is none. In the arena; strings are views. */
struct labels federate__labels(struct arena *arena, const struct federated *item,
                               struct labels external);
/* Appends the length-delimited MetricFamily message of the first name and kind among the items,
 * which are sorted by name, and returns how many it took. */
size_t federate__write_family(struct strbuf *out, const struct federated *items, size_t count,
                              struct labels external, enum name_escaping escaping);
