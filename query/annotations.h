/* query/annotations.h: warnings and infos of a query (private to query/; spec promql.md 8.3).
 *
 * Added by any thread, kept once per text, rendered at the end in an order that does not depend on
 * the threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/htable.h"
#include "narthex/base/str.h"
#include "narthex/base/thread.h"

enum { ANNOTATIONS_SHOWN_MAX = 10 };

struct annotation {
    bool warning;
    struct str text; /* without prefix and position */
    uint32_t offset; /* into the query's text */
    /* Of "needed to be fixed for monotonicity": merged when equal texts meet; samples 0 else. */
    uint64_t samples;
    int64_t t_min_ms;
    int64_t t_max_ms;
    double bucket_min;
    double bucket_max;
    double difference_max;
    /* "(N occurrences)" */
    bool counted;
    uint64_t occurrences;
};

struct annotations {
    struct mutex lock;
    /* guarded by lock */
    struct arena arena;
    struct annotation *items;
    uint32_t count;
    uint32_t capacity;
    struct htable index;
    uint64_t added;
    uint64_t merged;
};

/* How often something was added, and how often with figures that adding again changes. */
struct annotation_counts {
    uint64_t added;
    uint64_t merged;
};

void annotations__init(struct annotations *annotations);
void annotations__deinit(struct annotations *annotations);
/* A fixed text. */
void annotations__warn(struct annotations *annotations, uint32_t offset, const char *text);
void annotations__info(struct annotations *annotations, uint32_t offset, const char *text);
/* A text followed by the Go-quoted name. */
void annotations__warn_name(struct annotations *annotations, uint32_t offset, const char *text,
                            struct str name);
void annotations__info_name(struct annotations *annotations, uint32_t offset, const char *text,
                            struct str name);
/* A text followed by ` for metric name "NAME"` unless the name is empty. */
void annotations__warn_for(struct annotations *annotations, uint32_t offset, const char *text,
                           struct str name);
void annotations__info_for(struct annotations *annotations, uint32_t offset, const char *text,
                           struct str name);
/* "quantile value should be between 0 and 1, got %g". */
void annotations__invalid_quantile(struct annotations *annotations, uint32_t offset, double q);
/* A ready text, plain or with figures to merge. */
void annotations__add(struct annotations *annotations, const struct annotation *annotation);

struct annotation_counts annotations__counts(struct annotations *annotations);

struct str_array {
    const struct str *items;
    size_t count;
};
/* Rendered with prefix and position, at most ten and the "omitted" line. */
struct str_array annotations__render(struct annotations *annotations, bool warnings,
                                     struct str query_text, struct arena *arena);
