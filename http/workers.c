/* Workers that run requests away from libmicrohttpd's threads, and the watcher that notices clients
 * hanging up meanwhile (libmicrohttpd does not look at a suspended connection) and clients that
 * take too long to send a request. */
#include "exchange.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WATCH_EVENTS_MAX = 64 };
#define WATCH_STOP UINT64_MAX

static void watch(struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLONESHOT,
                                .data.u64 = exchange->serial};
    if (info != NULL)
        epoll_ctl(exchange->server->work.epoll_fd, EPOLL_CTL_ADD, info->connect_fd, &event);
}

static void unwatch(struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        epoll_ctl(exchange->server->work.epoll_fd, EPOLL_CTL_DEL, info->connect_fd, NULL);
}

static void cancel(struct http_exchange *exchange)
{
    /* relaxed: the flag stands alone, its reader polls it */
    atomic_store_explicit(&exchange->request.cancel, true, memory_order_relaxed);
    const struct http_stream *stream = &exchange->request.response.stream;
    if (exchange->state == EXCHANGE_STREAM)
        stream->hang_up(stream->context);
}

static void watcher_run(void *context)
{
    struct http_server *server = context;
    struct http_work *work = &server->work;
    int look_ms = connections__look_interval_ms(&server->connections);
    int64_t looked_ns = 0;
    struct epoll_event events[WATCH_EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(work->epoll_fd, events, WATCH_EVENTS_MAX, look_ms);
        if (count < 0 && errno != EINTR)
            return;
        mutex_lock(&work->lock);
        bool stop = false;
        for (int i = 0; i < count; i++) {
            stop = stop || events[i].data.u64 == WATCH_STOP;
            /* Looked up by serial: the exchange may be gone by now. */
            for (struct http_exchange *e = work->active; e != NULL; e = e->active_next) {
                if (e->serial == events[i].data.u64)
                    cancel(e);
            }
        }
        mutex_unlock(&work->lock);
        if (stop)
            return;
        int64_t now_ns = clock_monotonic_ns(clock_system());
        if (now_ns - looked_ns >= (int64_t)look_ms * 1000000) {
            connections__end_slow(&server->connections, now_ns);
            looked_ns = now_ns;
        }
    }
}

static void link_active_locked(struct http_exchange *exchange)
{
    struct http_work *work = &exchange->server->work;
    exchange->serial = work->next_serial++;
    exchange->active_next = work->active;
    exchange->active_link = &work->active;
    if (work->active != NULL)
        work->active->active_link = &exchange->active_next;
    work->active = exchange;
    watch(exchange);
}

static void unlink_active_locked(struct http_exchange *exchange)
{
    *exchange->active_link = exchange->active_next;
    if (exchange->active_next != NULL)
        exchange->active_next->active_link = exchange->active_link;
}

static void wake_one_locked(struct http_work *work)
{
    struct http_worker *worker = work->idle;
    if (worker == NULL)
        return;
    work->idle = worker->idle_next;
    worker->idle = false;
    cond_signal(&worker->wake);
}

static void sleep_locked(struct http_worker *worker)
{
    struct http_work *work = worker->work;
    worker->idle = true;
    worker->idle_next = work->idle;
    work->idle = worker;
    while (worker->idle)
        cond_wait(&worker->wake, &work->lock);
}

static struct http_exchange *take(struct http_worker *worker)
{
    struct http_work *work = worker->work;
    mutex_lock(&work->lock);
    while (work->first == NULL && !work->stopping)
        sleep_locked(worker);
    struct http_exchange *exchange = work->first;
    if (exchange != NULL) {
        work->first = exchange->next;
        if (work->first == NULL)
            work->last = &work->first;
        work->queued--;
    }
    mutex_unlock(&work->lock);
    return exchange;
}

static void worker_run(void *context)
{
    struct http_worker *worker = context;
    struct http_work *work = worker->work;
    struct http_exchange *exchange;
    while ((exchange = take(worker)) != NULL) {
        if (exchange->state == EXCHANGE_STREAM) {
            answer_stream__fill(exchange);
            MHD_resume_connection(exchange->connection);
            continue;
        }
        exchange__run(exchange);
        mutex_lock(&work->lock);
        unlink_active_locked(exchange);
        unwatch(exchange);
        mutex_unlock(&work->lock);
        exchange->state = EXCHANGE_DONE;
        MHD_resume_connection(exchange->connection);
    }
}

void workers__start(struct http_server *server, uint32_t count)
{
    struct http_work *work = &server->work;
    mutex_init(&work->lock);
    work->last = &work->first;
    work->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    work->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WATCH_STOP};
    epoll_ctl(work->epoll_fd, EPOLL_CTL_ADD, work->stop_fd, &event);
    thread_start(&work->watcher, "http-watch", watcher_run, server);
    work->workers = MEM_NEW_ARRAY(MEM_HTTP, struct http_worker, count);
    work->worker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct http_worker *worker = &work->workers[i];
        worker->work = work;
        cond_init(&worker->wake);
        thread_start(&worker->thread, "http-work", worker_run, worker);
    }
}

void workers__stop(struct http_server *server)
{
    struct http_work *work = &server->work;
    mutex_lock(&work->lock);
    work->stopping = true;
    for (struct http_exchange *e = work->active; e != NULL; e = e->active_next) {
        /* Streams end by themselves, with their last words. */
        if (e->state != EXCHANGE_STREAM)
            cancel(e);
    }
    while (work->idle != NULL)
        wake_one_locked(work);
    mutex_unlock(&work->lock);
    for (uint32_t i = 0; i < work->worker_count; i++)
        thread_join(&work->workers[i].thread);
    uint64_t one = 1;
    while (write(work->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    thread_join(&work->watcher);
}

void workers__deinit(struct http_server *server)
{
    struct http_work *work = &server->work;
    close(work->stop_fd);
    close(work->epoll_fd);
    for (uint32_t i = 0; i < work->worker_count; i++)
        cond_deinit(&work->workers[i].wake);
    mem_free(MEM_HTTP, work->workers);
    mutex_deinit(&work->lock);
}

static void enqueue_locked(struct http_work *work, struct http_exchange *exchange)
{
    MHD_suspend_connection(exchange->connection);
    exchange->next = NULL;
    *work->last = exchange;
    work->last = &exchange->next;
    work->queued++;
    wake_one_locked(work);
}

bool workers__submit_piece(struct http_exchange *exchange)
{
    struct http_work *work = &exchange->server->work;
    mutex_lock(&work->lock);
    bool goes_on = !work->stopping;
    if (goes_on)
        enqueue_locked(work, exchange);
    mutex_unlock(&work->lock);
    return goes_on;
}

bool workers__submit(struct http_exchange *exchange)
{
    struct http_work *work = &exchange->server->work;
    mutex_lock(&work->lock);
    bool full = work->queued >= HTTP_QUEUE_MAX || work->stopping;
    if (!full) {
        exchange->state = EXCHANGE_WAITING;
        link_active_locked(exchange);
        enqueue_locked(work, exchange);
    }
    mutex_unlock(&work->lock);
    return !full;
}

void workers__watch_stream(struct http_exchange *exchange)
{
    mutex_lock(&exchange->server->work.lock);
    exchange->state = EXCHANGE_STREAM;
    link_active_locked(exchange);
    mutex_unlock(&exchange->server->work.lock);
}

void workers__unwatch_stream(struct http_exchange *exchange)
{
    mutex_lock(&exchange->server->work.lock);
    if (exchange->state == EXCHANGE_STREAM) {
        unlink_active_locked(exchange);
        unwatch(exchange);
    }
    mutex_unlock(&exchange->server->work.lock);
}
