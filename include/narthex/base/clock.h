/* base/clock.h: time as a parameter.
 *
 * Code that schedules or stamps takes a `const struct clock *`; tests pass one they drive. Wall
 * time is for timestamps of samples only; schedules use the monotonic clock, so that neither a jump
 * of the wall clock nor a suspend disturbs them.
 */
#pragma once

#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(void *context);      /* Unix time, milliseconds */
    int64_t (*monotonic_ns)(void *context); /* CLOCK_MONOTONIC */
    void *context;
};

/* The machine's clocks; static storage, any thread. */
const struct clock *clock_system(void);

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

static inline int64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

/* A clock that stands still until told; any thread. */
struct manual_clock {
    struct clock clock;
    int64_t now_ms; /* wall; monotonic is the same in nanoseconds */
};
void manual_clock_init(struct manual_clock *manual, int64_t now_ms);
void manual_clock_set(struct manual_clock *manual, int64_t now_ms);
