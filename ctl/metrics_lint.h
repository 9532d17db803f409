/* ctl/metrics_lint.h: what is not as the conventions for metrics have it. */
#pragma once

#include "metrics_families.h"

struct ctl_problem {
    struct str metric;
    struct str text;
};

/* Sorted by metric, then text; in the families' arena. */
struct ctl_problems {
    struct ctl_problem *items;
    uint32_t count;
};

struct ctl_problems ctl_metrics_lint(struct ctl_families *families);
