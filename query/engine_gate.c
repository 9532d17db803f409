/* Admission: at most max_concurrency queries run, the others wait in line. */
#include <string.h>

#include "engine_state.h"
#include "eval.h"

enum { GATE_POLL_MS = 50 }; /* how soon a waiting query sees its cancel flag */

static void list_locked(struct query_engine *engine, struct engine_ticket *ticket)
{
    ticket->next = engine->tickets;
    if (ticket->next != NULL)
        ticket->next->previous = ticket;
    engine->tickets = ticket;
    ticket->listed = true;
}

static void unlist_locked(struct query_engine *engine, struct engine_ticket *ticket)
{
    if (!ticket->listed)
        return;
    if (ticket->previous != NULL)
        ticket->previous->next = ticket->next;
    else
        engine->tickets = ticket->next;
    if (ticket->next != NULL)
        ticket->next->previous = ticket->previous;
    ticket->listed = false;
}

static err_t wait_locked(struct query_engine *engine, const struct query_request *request,
                         struct engine_ticket *ticket, int64_t deadline_ns, struct strbuf *why)
{
    const struct clock *clock = engine->options.clock;
    if (request->trial != NULL && engine->running >= engine->options.max_concurrency)
        return eval__give_up(request->trial, why);
    while (engine->running >= engine->options.max_concurrency) {
        bool canceled = (request->cancel != NULL &&
                         atomic_load_explicit(request->cancel, memory_order_relaxed)) ||
                        atomic_load_explicit(&ticket->kill, memory_order_relaxed);
        if (canceled)
            return err_fail(why, ERR_CANCELED, "query was canceled in query queue");
        if (clock_monotonic_ns(clock) > deadline_ns)
            return err_fail(why, ERR_TIMEOUT, "query timed out in query queue");
        cond_wait_until(&engine->released, &engine->lock,
                        clock_monotonic_ns(clock_system()) + GATE_POLL_MS * INT64_C(1000000));
    }
    return OK;
}

/* `size` bytes of a text in which no character is cut in two. */
static void copy_text(char *to, size_t size_max, struct str text)
{
    size_t size = text.size;
    if (size > size_max) {
        size = size_max;
        while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80)
            size--;
    }
    if (size > 0)
        memcpy(to, text.data, size);
    to[size] = '\0';
}

static void fill_active(struct query_active *active, const struct query_request *request)
{
    active->waiting = true;
    active->range = request->range;
    active->start_ms = request->start_ms;
    active->end_ms = request->range ? request->end_ms : request->start_ms;
    active->step_ms = request->range ? request->step_ms : 0;
    copy_text(active->text, QUERY_ACTIVE_TEXT_BYTES_MAX, request->text);
    copy_text(active->client, QUERY_ACTIVE_CLIENT_BYTES_MAX, request->client);
}

err_t engine__enter(struct query_engine *engine, const struct query_request *request,
                    struct engine_ticket *ticket, int64_t deadline_ns, struct strbuf *why)
{
    const struct clock *clock = engine->options.clock;
    fill_active(&ticket->active, request);
    ticket->active.started_ms = clock_wall_ms(clock);
    mutex_lock(&engine->lock);
    ticket->active.id = ++engine->last_id;
    list_locked(engine, ticket);
    err_t err = wait_locked(engine, request, ticket, deadline_ns, why);
    ticket->active.waiting = false;
    if (err == OK)
        engine->running++;
    else
        unlist_locked(engine, ticket);
    uint32_t running = engine->running;
    mutex_unlock(&engine->lock);
    ticket->admitted_ns = clock_monotonic_ns(clock);
    if (engine->metrics.on)
        metric_set(engine->metrics.queries, running);
    return err;
}

void engine__leave(struct query_engine *engine, struct engine_ticket *ticket)
{
    mutex_lock(&engine->lock);
    unlist_locked(engine, ticket);
    engine->running--;
    uint32_t running = engine->running;
    cond_signal(&engine->released);
    mutex_unlock(&engine->lock);
    if (engine->metrics.on)
        metric_set(engine->metrics.queries, running);
}

size_t query_engine_active(struct query_engine *engine, struct query_active *list, size_t max)
{
    size_t count = 0;
    int64_t now_ns = clock_monotonic_ns(engine->options.clock);
    mutex_lock(&engine->lock);
    for (const struct engine_ticket *ticket = engine->tickets; ticket != NULL && count < max;
         ticket = ticket->next) {
        struct query_active *active = &list[count++];
        *active = ticket->active;
        active->running_ms = (now_ns - ticket->arrived_ns) / 1000000;
        active->samples = atomic_load_explicit(&ticket->samples, memory_order_relaxed);
    }
    mutex_unlock(&engine->lock);
    return count;
}

bool query_engine_kill(struct query_engine *engine, uint64_t id)
{
    bool found = false;
    mutex_lock(&engine->lock);
    for (struct engine_ticket *ticket = engine->tickets; ticket != NULL; ticket = ticket->next) {
        if (ticket->active.id != id)
            continue;
        atomic_store_explicit(&ticket->kill, true, memory_order_relaxed);
        found = true;
    }
    mutex_unlock(&engine->lock);
    return found;
}
