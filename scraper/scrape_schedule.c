#include "scrape_schedule.h"

#include <assert.h>

static const int64_t ns_per_ms = 1000000;

uint64_t scrape_schedule_gather(int64_t interval_ms, uint64_t spread)
{
    assert(interval_ms > 0);
    int64_t tick_ms = interval_ms / SCRAPE_TICKS_MIN;
    if (tick_ms > SCRAPE_TICK_MS_MAX)
        tick_ms = SCRAPE_TICK_MS_MAX;
    uint64_t tick_ns = (uint64_t)(tick_ms * ns_per_ms);
    uint64_t phase_ns = spread % (uint64_t)(interval_ms * ns_per_ms);
    return tick_ns == 0 ? phase_ns : phase_ns - phase_ns % tick_ns;
}

void scrape_schedule_start(struct scrape_schedule *schedule, int64_t interval_ms, uint64_t spread,
                           int64_t wall_ms, int64_t monotonic_ns)
{
    assert(interval_ms > 0);
    int64_t interval_ns = interval_ms * ns_per_ms;
    int64_t offset_ns = (int64_t)(spread % (uint64_t)interval_ns);
    int64_t wall_phase_ns = (wall_ms % interval_ms) * ns_per_ms;
    int64_t wait_ns = (offset_ns - wall_phase_ns) % interval_ns;
    if (wait_ns < 0)
        wait_ns += interval_ns;
    schedule->interval_ms = interval_ms;
    schedule->due_ns = monotonic_ns + wait_ns;
    schedule->anchored = false;
}

void scrape_schedule_advance(struct scrape_schedule *schedule, int64_t monotonic_ns)
{
    int64_t interval_ns = schedule->interval_ms * ns_per_ms;
    /* A tick that is as near as timestamps are adjusted could get the one of this scrape. */
    int64_t passed_ns = monotonic_ns + interval_ns / 100 - schedule->due_ns;
    schedule->due_ns += interval_ns;
    if (passed_ns >= interval_ns)
        schedule->due_ns += (passed_ns - interval_ns) / interval_ns * interval_ns + interval_ns;
}

static int64_t nearest_tick(const struct scrape_schedule *schedule, int64_t t_ms)
{
    int64_t interval = schedule->interval_ms;
    int64_t rest = (t_ms - schedule->anchor_ms) % interval;
    if (rest < 0)
        rest += interval;
    return rest * 2 > interval ? t_ms + interval - rest : t_ms - rest;
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

int64_t scrape_schedule_stamp(struct scrape_schedule *schedule, int64_t wall_ms,
                              int64_t monotonic_ns, int64_t tolerance_ms, bool adjust)
{
    int64_t late_ms = (monotonic_ns - schedule->due_ns) / ns_per_ms;
    int64_t ideal_ms = wall_ms - late_ms;
    int64_t tolerance = schedule->interval_ms / 100;
    if (tolerance > tolerance_ms)
        tolerance = tolerance_ms;
    if (!schedule->anchored || distance(ideal_ms, nearest_tick(schedule, ideal_ms)) > tolerance) {
        /* First scrape, or the wall clock jumped: timestamps are regular from here on. */
        schedule->anchored = true;
        schedule->anchor_ms = ideal_ms;
    }
    if (!adjust || late_ms > tolerance)
        return wall_ms;
    return nearest_tick(schedule, ideal_ms);
}

int64_t wall_watch_jump(struct wall_watch *watch, int64_t wall_ms, int64_t monotonic_ns)
{
    int64_t ahead_ms = wall_ms - monotonic_ns / ns_per_ms;
    /* Relaxed: nothing else depends on it. Slewing moves it by a millisecond now and then. */
    if (atomic_load_explicit(&watch->ahead_ms, memory_order_relaxed) == ahead_ms)
        return 0;
    int64_t before_ms = atomic_exchange_explicit(&watch->ahead_ms, ahead_ms, memory_order_relaxed);
    if (before_ms == 0 || distance(ahead_ms, before_ms) < WALL_JUMP_MS_MIN)
        return 0;
    return ahead_ms - before_ms;
}
