/* query/binary.h: what binary operators do with two samples (private to query/; spec promql.md 4).
 */
#pragma once

#include "eval.h"

/* Why there is no result, or what is odd about it. Only the last of a step is reported. */
enum binary_note {
    NOTE_NONE,
    NOTE_FLOAT_FLOAT, /* types that the operator cannot combine */
    NOTE_FLOAT_HISTOGRAM,
    NOTE_HISTOGRAM_FLOAT,
    NOTE_HISTOGRAM_HISTOGRAM,
    NOTE_LAYOUT,     /* exponential and custom buckets */
    NOTE_COLLISION,  /* reset and not_reset */
    NOTE_RECONCILED, /* different custom bounds; there is a result */
};

struct element {
    double f;
    const struct histogram *h; /* NULL: the float */
};

struct binary_result {
    struct element element;
    bool valid; /* false: no element, whatever the comparison says */
    bool keep;  /* of a comparison; true for arithmetic */
    enum binary_note note;
};

struct binary_result binary__combine(enum binary_op op, struct element lhs, struct element rhs,
                                     struct arena *arena);
/* Two scalars; comparisons give 1 and 0. */
double binary__scalars(enum binary_op op, double lhs, double rhs);
/* Reports what the steps noted. */
void binary__annotate(struct eval *eval, const struct expr *expr, const uint8_t *notes,
                      uint32_t steps);
/* Arithmetic operators and bool comparisons drop the metric name; trims and filters do not. */
bool binary__drops_name(const struct binary *binary);
