/* query/time_plan.h: which samples the steps of a selector see (private to query/).
 *
 * That depends on the samples' times only, and series that were scraped together have the same
 * times: it is found once for all of them. A plan also carries what functions make of times alone.
 */
#pragma once

#include "eval.h"

struct time_plan {
    uint32_t count; /* samples */
    uint32_t capacity;
    int64_t *t;
    /* Per step: the samples [low, high); an instant selector's one sample, or none. Both ascend. */
    uint32_t *low;
    uint32_t *high;
    uint64_t *present; /* steps that see a sample */
    uint32_t widest;   /* samples that a step sees at most */
    /* Of rate, increase and delta; made when first needed. */
    bool has_factors;
    double *factor;   /* by what a difference is multiplied, its zero point left out */
    uint64_t *paired; /* steps that see two samples */
    uint64_t uses;    /* series not counted yet */
};

struct time_plans {
    const struct scope *scope;
    struct arena *arena;
    struct time_plan *items; /* by hash; NULL: not used */
    uint32_t capacity;       /* a power of two */
    uint32_t lookups;
    uint32_t misses;
};

/* For one lane; off when the query has too few steps to gain. */
void time_plans__init(struct time_plans *plans, const struct scope *scope, struct arena *arena);
/* The plan's place for these times; *known says whether it is filled, else low, high and present
 * (all 0) are the caller's to fill. NULL: plans do not pay here. `queryable` and `read` get the
 * counts of a plan that is thrown out. */
struct time_plan *time_plans__find(struct time_plans *plans, const int64_t *t, uint32_t count,
                                   bool *known, int64_t *queryable, int64_t *read);
/* Adds the counts of all series to those of the steps. */
void time_plans__count(struct time_plans *plans, int64_t *queryable, int64_t *read);
