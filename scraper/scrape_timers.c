#include "scrape_timers.h"

#include <stddef.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

void scrape_timers_deinit(struct scrape_timers *timers)
{
    mem_free(MEM_SCRAPE, timers->items);
    mem_free(MEM_SCRAPE, timers->ids);
    *timers = (struct scrape_timers){0};
}

static void place(struct scrape_timers *timers, uint32_t i, struct scrape_timer_entry entry)
{
    timers->items[i] = entry;
    timers->ids[entry.id].position = i;
}

static void sift_up(struct scrape_timers *timers, uint32_t i, struct scrape_timer_entry entry)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (timers->items[parent].due_ns <= entry.due_ns)
            break;
        place(timers, i, timers->items[parent]);
        i = parent;
    }
    place(timers, i, entry);
}

static void sift_down(struct scrape_timers *timers, uint32_t i, struct scrape_timer_entry entry)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->items[child + 1].due_ns < timers->items[child].due_ns)
            child++;
        if (entry.due_ns <= timers->items[child].due_ns)
            break;
        place(timers, i, timers->items[child]);
        i = child;
    }
    place(timers, i, entry);
}

static uint32_t take_id(struct scrape_timers *timers)
{
    uint32_t id = timers->free_id;
    if (id != 0) {
        timers->free_id = timers->ids[id].position;
        return id;
    }
    if (timers->id_count == 0)
        timers->id_count = 1;
    VEC_RESERVE(MEM_SCRAPE, timers->ids, timers->id_capacity, timers->id_count + 1);
    return timers->id_count++;
}

static void free_id(struct scrape_timers *timers, struct scrape_timer *timer)
{
    timers->ids[timer->id] = (struct scrape_timer_id){.position = timers->free_id};
    timers->free_id = timer->id;
    timer->id = 0;
}

void scrape_timers_remove(struct scrape_timers *timers, struct scrape_timer *timer)
{
    if (timer->id == 0)
        return;
    uint32_t hole = timers->ids[timer->id].position;
    free_id(timers, timer);
    struct scrape_timer_entry last = timers->items[--timers->count];
    if (hole == timers->count)
        return;
    if (hole > 0 && timers->items[(hole - 1) / 2].due_ns > last.due_ns)
        sift_up(timers, hole, last);
    else
        sift_down(timers, hole, last);
}

void scrape_timers_set(struct scrape_timers *timers, struct scrape_timer *timer, int64_t due_ns)
{
    scrape_timers_remove(timers, timer);
    timer->due_ns = due_ns;
    timer->id = take_id(timers);
    timers->ids[timer->id].timer = timer;
    struct scrape_timer_entry entry = {due_ns, timer->id};
    VEC_PUSH(MEM_SCRAPE, timers->items, timers->count, timers->capacity, entry);
    sift_up(timers, timers->count - 1, entry);
}

int64_t scrape_timers_next(const struct scrape_timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->items[0].due_ns;
}

struct scrape_timer *scrape_timers_take(struct scrape_timers *timers, int64_t now_ns)
{
    if (timers->count == 0 || timers->items[0].due_ns > now_ns)
        return NULL;
    struct scrape_timer *timer = timers->ids[timers->items[0].id].timer;
    scrape_timers_remove(timers, timer);
    return timer;
}
