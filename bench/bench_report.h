/* bench/bench_report.h: timing rounds and printing what they gave. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"

enum { ROUNDS_MAX = 32 };

/* What a measurement cost per unit of work, round after round. All zero is empty. */
struct rounds {
    double ns[ROUNDS_MAX]; /* per unit */
    uint32_t count;
    double units;
    uint64_t cycles; /* of all rounds; 0 where the machine does not tell */
    uint64_t instructions;
    bool wall; /* measure wall time rather than CPU time of the process */
    double start_ns;
    uint64_t start_cycles;
    uint64_t start_instructions;
};

void rounds_start(struct rounds *rounds);
/* Ends a round of `units` units of work. */
void rounds_stop(struct rounds *rounds, double units);
double rounds_median(const struct rounds *rounds);

struct report;
struct report *report_create(void);
void report_destroy(struct report *report);
/* Adds rounds as ns divided by `ns_per_unit` (1: nanoseconds, 1e6: milliseconds). */
void report_add(struct report *report, const char *name, const char *unit,
                const struct rounds *rounds, double ns_per_unit);
/* Adds one figure that does not vary. */
void report_add_value(struct report *report, const char *name, const char *unit, double value);
/* The table for people, with ratios to an earlier report's JSON when against is not NULL. */
err_t report_print(const struct report *report, const char *against, struct strbuf *why);
void report_print_json(const struct report *report);
