/* A heap of timers of one thread, ordered by monotonic time. A timer is embedded in its owner; the
 * heap itself lies in arrays of its own, since owners are cold memory and a step down the heap
 * would touch two of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct scrape_timer {
    int64_t due_ns;
    uint32_t id; /* in the heap's tables, from 1; 0: not set */
    void (*fire)(struct scrape_timer *timer, void *context);
};

struct scrape_timer_entry {
    int64_t due_ns;
    uint32_t id;
};

/* What the heap knows of an id. */
struct scrape_timer_id {
    struct scrape_timer *timer; /* NULL: free */
    uint32_t position;          /* in the heap; of a free one the next free id */
};

struct scrape_timers {
    struct scrape_timer_entry *items;
    uint32_t count;
    uint32_t capacity;
    struct scrape_timer_id *ids; /* ids[0] is unused */
    uint32_t id_count;
    uint32_t id_capacity;
    uint32_t free_id; /* 0: none */
};

void scrape_timers_deinit(struct scrape_timers *timers);
/* Sets or moves a timer. */
void scrape_timers_set(struct scrape_timers *timers, struct scrape_timer *timer, int64_t due_ns);
/* Forgets a timer; one that is not set is fine. */
void scrape_timers_remove(struct scrape_timers *timers, struct scrape_timer *timer);
/* The earliest due time, INT64_MAX when there is none. */
int64_t scrape_timers_next(const struct scrape_timers *timers);
/* Removes and returns the earliest timer due at now_ns, NULL when there is none. */
struct scrape_timer *scrape_timers_take(struct scrape_timers *timers, int64_t now_ns);
