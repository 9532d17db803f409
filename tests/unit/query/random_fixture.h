/* random_fixture.h: series of random samples of every sort, printed seed, and an engine over them.
 */
#pragma once

#include <stdlib.h>

#include "counting_store.h"
#include "query_fixture.h"

enum { FIXTURE_SAMPLES = 400, FIXTURE_STEP_MS = 15000, FIXTURE_SERIES = 12 };

static uint64_t fixture_random;

static inline uint32_t fixture_below(uint32_t bound)
{
    fixture_random = fixture_random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(fixture_random >> 33) % bound;
}

/* Counters and gauges, whole and not, with restarts, infinities, zeros of both signs, NaNs of both
 * kinds and gaps (which the fixture makes of plain NaN). */
static inline double fixture_value(int series, double before)
{
    switch (series % 6) {
    case 0: /* a counter */
        return fixture_below(40) == 0 ? fixture_below(3) : before + fixture_below(50);
    case 1: /* of fractions */
        return fixture_below(60) == 0 ? 0.25 : before + fixture_below(1000) * 0.1;
    case 2: /* a gauge */
        return (double)fixture_below(2000) - 1000;
    case 3:
        return (fixture_below(2000000) - 1e6) * 1e-3;
    case 4: /* constants, zeros of both signs */
        return fixture_below(30) == 0 ? -0.0 : 0.0;
    default: {
        static const double odd[] = {INFINITY, -INFINITY, 1e300, -1e-300, 0x1p52, 3, -7};
        return fixture_below(10) == 0 ? odd[fixture_below(7)] : before;
    }
    }
}

struct fixture {
    struct storage *reference;
    struct counting_store store;
    struct query_engine *engine;
};

static inline int fixture_set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    const char *seed = getenv("NARTHEX_SEED");
    fixture_random = seed == NULL ? 20261122 : strtoull(seed, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)fixture_random);
    fixture->reference = reference_store_create();
    for (int s = 0; s < FIXTURE_SERIES; s++) {
        char text[32];
        double values[FIXTURE_SAMPLES];
        double before = s;
        snprintf(text, sizeof text, "__name__=m_total,i=%d", s);
        for (int i = 0; i < FIXTURE_SAMPLES; i++) {
            before = fixture_value(s, before);
            values[i] = s >= 6 && fixture_below(20) == 0 ? NAN : before;
            if (s == 7 && fixture_below(50) == 0)
                values[i] = double_from_bits(STALE_NAN_BITS);
        }
        fixture_append(fixture->reference, text, values, FIXTURE_SAMPLES, FIXTURE_STEP_MS);
    }
    counting_store_init(&fixture->store, fixture->reference);
    struct query_engine_options options = {.storage = &fixture->store.storage,
                                           .features = {.experimental_functions = true}};
    fixture->engine = query_engine_create(&options);
    *state = fixture;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    query_engine_destroy(fixture->engine);
    reference_store_destroy(fixture->reference);
    mem_free(MEM_TEST, fixture);
    return 0;
}
