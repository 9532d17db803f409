#include "time_plan.h"

#include <string.h>

#include "narthex/base/hash.h"

enum {
    PLANS_BYTES_MAX = 2 * 1024 * 1024, /* of one lane, times not counted */
    PLANS_MAX = 128,
    PLAN_STEPS_MIN = 4,
    PLAN_TRIAL = 64, /* lookups after which misses are judged */
};

void time_plans__init(struct time_plans *plans, const struct scope *scope, struct arena *arena)
{
    *plans = (struct time_plans){.scope = scope, .arena = arena};
    size_t steps = scope->grid.count;
    if (steps < PLAN_STEPS_MIN)
        return;
    size_t bytes = steps * (2 * sizeof(uint32_t) + sizeof(double) + 1);
    plans->capacity = PLANS_MAX;
    while (plans->capacity > 1 && plans->capacity * bytes > PLANS_BYTES_MAX)
        plans->capacity /= 2;
}

/* Samples of every step, and those that no step before had: above the old end. */
static void add_counts(const struct time_plans *plans, struct time_plan *plan, int64_t *queryable,
                       int64_t *read)
{
    if (plan->uses == 0)
        return;
    int64_t uses = (int64_t)plan->uses;
    uint32_t end = 0;
    for (uint32_t i = 0; i < plans->scope->grid.count; i++) {
        uint32_t low = plan->low[i];
        uint32_t high = plan->high[i];
        uint32_t first_new = low > end ? low : end;
        queryable[i] += uses * (int64_t)(high - low);
        read[i] += uses * ((int64_t)high - first_new);
        end = high;
    }
    plan->uses = 0;
}

void time_plans__count(struct time_plans *plans, int64_t *queryable, int64_t *read)
{
    for (uint32_t i = 0; plans->items != NULL && i < plans->capacity; i++)
        add_counts(plans, &plans->items[i], queryable, read);
}

static void reset(struct time_plans *plans, struct time_plan *plan, const int64_t *t,
                  uint32_t sample_count)
{
    uint32_t steps = plans->scope->grid.count;
    if (plan->low == NULL) {
        plan->low = arena_alloc(plans->arena, steps * sizeof *plan->low);
        plan->high = arena_alloc(plans->arena, steps * sizeof *plan->high);
        plan->present = arena_alloc(plans->arena, bits__words(steps) * sizeof *plan->present);
    }
    if (sample_count > plan->capacity) {
        plan->capacity = sample_count + sample_count / 4;
        plan->t = arena_alloc(plans->arena, plan->capacity * sizeof *plan->t);
    }
    memset(plan->present, 0, bits__words(steps) * sizeof *plan->present);
    memcpy(plan->t, t, sample_count * sizeof *t);
    plan->count = sample_count;
    plan->has_factors = false;
}

struct time_plan *time_plans__find(struct time_plans *plans, const int64_t *t,
                                   uint32_t sample_count, bool *known, int64_t *queryable,
                                   int64_t *read)
{
    if (plans->capacity == 0 || sample_count == 0)
        return NULL;
    if (plans->lookups > PLAN_TRIAL && plans->misses > plans->lookups / 2)
        return NULL;
    if (plans->items == NULL)
        plans->items = ARENA_NEW_ARRAY(plans->arena, struct time_plan, plans->capacity);
    uint64_t hash = hash_mix(hash_mix((uint64_t)t[0], (uint64_t)t[sample_count - 1]), sample_count);
    struct time_plan *plan = &plans->items[hash & (plans->capacity - 1)];
    plans->lookups++;
    *known = plan->count == sample_count && memcmp(plan->t, t, sample_count * sizeof *t) == 0;
    if (!*known) {
        plans->misses++;
        add_counts(plans, plan, queryable, read);
        reset(plans, plan, t, sample_count);
    }
    plan->uses++;
    return plan;
}
