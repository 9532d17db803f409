#include "narthex/base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(void *context)
{
    (void)context;
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_monotonic_ns(void *context)
{
    (void)context;
    return read_ns(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock system = {system_wall_ms, system_monotonic_ns, NULL};
    return &system;
}

static int64_t manual_wall_ms(void *context)
{
    const struct manual_clock *manual = context;
    return __atomic_load_n(&manual->now_ms, __ATOMIC_RELAXED);
}

static int64_t manual_monotonic_ns(void *context)
{
    return manual_wall_ms(context) * 1000000;
}

void manual_clock_init(struct manual_clock *manual, int64_t now_ms)
{
    manual->clock = (struct clock){manual_wall_ms, manual_monotonic_ns, manual};
    manual->now_ms = now_ms;
}

void manual_clock_set(struct manual_clock *manual, int64_t now_ms)
{
    __atomic_store_n(&manual->now_ms, now_ms, __ATOMIC_RELAXED);
}
