#include "quick_queries.h"

#include "narthex/base/hash.h"

enum {
    QUICK_US_MAX = 1000,     /* a hand-over there and back takes 50 to 200 */
    TRIAL_US = 5000,         /* room for being interrupted by other processes */
    TRIAL_POINTS_MAX = 5000, /* some 0.2 ms of rendering */
    TOOK_BITS = 20,
    TOOK_MAX = (1 << TOOK_BITS) - 1,
};

static uint64_t hash_of(const struct query_request *request)
{
    uint64_t span = (uint64_t)request->end_ms - (uint64_t)request->start_ms;
    uint64_t step = request->range ? (uint64_t)request->step_ms : 0;
    return hash_mix(hash_mix(hash_str(request->text), span), step);
}

static uint32_t place_of(uint64_t hash)
{
    return (uint32_t)(hash % QUICK_QUERIES_MAX);
}

struct query_trial quick_queries__trial(void)
{
    return (struct query_trial){.time_ns = TRIAL_US * INT64_C(1000), .points = TRIAL_POINTS_MAX};
}

bool quick_queries__has(const struct quick_queries *queries, const struct query_request *request)
{
    uint64_t hash = hash_of(request);
    /* relaxed: a place is one word that tells all */
    uint64_t place = atomic_load_explicit(&queries->places[place_of(hash)], memory_order_relaxed);
    return (place ^ hash) >> TOOK_BITS == 0 && (place & TOOK_MAX) <= QUICK_US_MAX;
}

static uint64_t took_us(const struct query_result *result)
{
    if (result == NULL)
        return TOOK_MAX;
    uint64_t points = 0;
    for (size_t i = 0; i < result->series_count; i++) {
        if (result->series[i].histogram_count > 0)
            return TOOK_MAX;
        points += result->series[i].float_count;
    }
    if (points > TRIAL_POINTS_MAX)
        return TOOK_MAX;
    double us = (result->stats.exec_total_s - result->stats.queue_s) * 1e6;
    return us >= TOOK_MAX ? TOOK_MAX : us > 0 ? (uint64_t)us : 0;
}

void quick_queries__note(struct quick_queries *queries, const struct query_request *request,
                         const struct query_result *result)
{
    uint64_t hash = hash_of(request);
    _Atomic uint64_t *place = &queries->places[place_of(hash)];
    uint64_t before = atomic_load_explicit(place, memory_order_relaxed);
    uint64_t took = took_us(result);
    bool known = (before ^ hash) >> TOOK_BITS == 0;
    /* One slow run among quick ones was interrupted rather than longer. */
    if (known && took > (before & TOOK_MAX) && result != NULL)
        took = ((before & TOOK_MAX) * 3 + took) / 4;
    atomic_store_explicit(place, (hash & ~(uint64_t)TOOK_MAX) | took, memory_order_relaxed);
}
