/* When a target is scraped and which timestamp its samples get (spec 3.2). Pure functions.
 *
 * The schedule runs on the monotonic clock; the wall clock is asked once for the phase and then
 * only for timestamps, so a jump of it moves no scrape. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct scrape_schedule {
    int64_t interval_ms;
    int64_t due_ns;    /* monotonic time of the next tick */
    int64_t anchor_ms; /* wall time of a tick; the others are whole intervals away */
    bool anchored;
};

/* `spread` cut to one of the at least SCRAPE_TICKS_MIN moments of an interval at which scrapes may
 * start, for scrape_schedule_start: targets that share a moment share a wake-up, which costs more
 * than sending a request. */
enum { SCRAPE_TICKS_MIN = 32, SCRAPE_TICK_MS_MAX = 250 };
uint64_t scrape_schedule_gather(int64_t interval_ms, uint64_t spread);
/* The first tick is the next moment at which Unix time modulo interval is `spread` modulo it. */
void scrape_schedule_start(struct scrape_schedule *schedule, int64_t interval_ms, uint64_t spread,
                           int64_t wall_ms, int64_t monotonic_ns);
/* A scrape begins: moves on to the next tick. Those that passed meanwhile are made up for by this
 * scrape. */
void scrape_schedule_advance(struct scrape_schedule *schedule, int64_t monotonic_ns);
/* Timestamp of the scrape that starts now, for the tick in due_ns: the wall clock, or the tick's
 * ideal time when that is at most min(tolerance_ms, interval / 100) away. */
int64_t scrape_schedule_stamp(struct scrape_schedule *schedule, int64_t wall_ms,
                              int64_t monotonic_ns, int64_t tolerance_ms, bool adjust);

/* Notices when the wall clock is set, or the machine slept (the monotonic clock then stood still).
 * Shared by all threads; zero at first. */
struct wall_watch {
    _Atomic int64_t ahead_ms; /* of the monotonic clock; 0: not known yet */
};
enum { WALL_JUMP_MS_MIN = 1000 };
/* By how much the wall clock moved against the monotonic one since any thread last asked, when that
 * is at least WALL_JUMP_MS_MIN either way, else 0. */
int64_t wall_watch_jump(struct wall_watch *watch, int64_t wall_ms, int64_t monotonic_ns);
