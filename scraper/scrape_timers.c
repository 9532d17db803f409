#include "scrape_timers.h"

#include <stddef.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

void scrape_timers_deinit(struct scrape_timers *timers)
{
    mem_free(MEM_SCRAPE, timers->items);
    *timers = (struct scrape_timers){0};
}

static void place(struct scrape_timers *timers, uint32_t i, struct scrape_timer *timer)
{
    timers->items[i] = timer;
    timer->position = i + 1;
}

static void sift_up(struct scrape_timers *timers, uint32_t i, struct scrape_timer *timer)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (timers->items[parent]->due_ns <= timer->due_ns)
            break;
        place(timers, i, timers->items[parent]);
        i = parent;
    }
    place(timers, i, timer);
}

static void sift_down(struct scrape_timers *timers, uint32_t i, struct scrape_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->items[child + 1]->due_ns < timers->items[child]->due_ns)
            child++;
        if (timer->due_ns <= timers->items[child]->due_ns)
            break;
        place(timers, i, timers->items[child]);
        i = child;
    }
    place(timers, i, timer);
}

void scrape_timers_remove(struct scrape_timers *timers, struct scrape_timer *timer)
{
    if (timer->position == 0)
        return;
    uint32_t hole = timer->position - 1;
    timer->position = 0;
    struct scrape_timer *last = timers->items[--timers->count];
    if (last == timer)
        return;
    if (hole > 0 && timers->items[(hole - 1) / 2]->due_ns > last->due_ns)
        sift_up(timers, hole, last);
    else
        sift_down(timers, hole, last);
}

void scrape_timers_set(struct scrape_timers *timers, struct scrape_timer *timer, int64_t due_ns)
{
    scrape_timers_remove(timers, timer);
    timer->due_ns = due_ns;
    VEC_PUSH(MEM_SCRAPE, timers->items, timers->count, timers->capacity, timer);
    sift_up(timers, timers->count - 1, timer);
}

int64_t scrape_timers_next(const struct scrape_timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->items[0]->due_ns;
}

struct scrape_timer *scrape_timers_take(struct scrape_timers *timers, int64_t now_ns)
{
    if (timers->count == 0 || timers->items[0]->due_ns > now_ns)
        return NULL;
    struct scrape_timer *timer = timers->items[0];
    scrape_timers_remove(timers, timer);
    return timer;
}
