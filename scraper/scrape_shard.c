/* The shard's thread: epoll over connections, curl's sockets and the inbox, until the next timer.
 */
#include "scrape_shard.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "narthex/base/mem.h"

enum {
    EVENTS_PER_WAIT = 64,
    CONNECTIONS_MIN = 64, /* that curl keeps open between scrapes, at least */
    WAIT_MS_MAX = 60000,
};
static const int64_t ns_per_ms = 1000000;
static const int64_t reap_ns = INT64_C(60000000000); /* between looks at idle connections */

static int64_t now_ns(const struct scrape_shard *shard)
{
    return clock_monotonic_ns(shard->options.manager->clock);
}

/* ---- curl's callbacks ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    (void)easy;
    struct scrape_shard *shard = context;
    if (what == CURL_POLL_REMOVE) {
        /* The descriptor may be closed already, which removed it. */
        (void)epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(shard->multi, fd, NULL);
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        event.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        event.events |= EPOLLOUT;
    int operation = known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int result = epoll_ctl(shard->epoll_fd, operation, fd, &event);
    if (result != 0 && errno == EEXIST)
        result = epoll_ctl(shard->epoll_fd, EPOLL_CTL_MOD, fd, &event);
    else if (result != 0 && errno == ENOENT)
        result = epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(shard->multi, fd, shard);
    return result == 0 ? 0 : -1;
}

static int on_curl_timeout(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct scrape_shard *shard = context;
    if (timeout_ms < 0)
        scrape_timers_remove(&shard->timers, &shard->curl_timer);
    else
        /* One more millisecond: curl must not be asked before, see fire_timers. */
        scrape_timers_set(&shard->timers, &shard->curl_timer,
                          now_ns(shard) + (timeout_ms + (timeout_ms > 0)) * ns_per_ms);
    return 0;
}

static void fire_curl(struct scrape_timer *timer, void *context)
{
    (void)timer;
    struct scrape_shard *shard = context;
    int running;
    curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void take_finished(struct scrape_shard *shard)
{
    int left;
    CURLMsg *message;
    while (shard->transfer_count > 0 &&
           (message = curl_multi_info_read(shard->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct scrape_loop *loop = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&loop);
        scrape_loop_fetched(loop, code);
    }
}

/* ---- the inbox ---- */

void scrape_shard_post(struct scrape_shard *shard, struct inbox_item *item)
{
    item->next = NULL;
    mutex_lock(&shard->lock);
    if (shard->inbox_last == NULL)
        shard->inbox_first = item;
    else
        shard->inbox_last->next = item;
    shard->inbox_last = item;
    mutex_unlock(&shard->lock);
    eventfd_write(shard->wake_fd, 1);
}

static void free_item(struct inbox_item *item)
{
    if (item->target != NULL)
        scrape_target_unref(item->target);
    if (item->old != NULL)
        scrape_target_unref(item->old);
    mem_free(MEM_SCRAPE, item);
}

/* A target that comes back while its end is still to be marked goes on where it was. */
static struct scrape_loop *find_ending(struct scrape_shard *shard,
                                       const struct scrape_target *target)
{
    if (shard->ending_count == 0)
        return NULL;
    for (struct scrape_loop *loop = shard->loops; loop != NULL; loop = loop->next) {
        if (loop->state == LOOP_ENDING && loop->target->sameness == target->sameness)
            return loop;
    }
    return NULL;
}

static void add_target(struct scrape_shard *shard, struct scrape_target *target)
{
    struct scrape_loop *ending = find_ending(shard, target);
    if (ending != NULL)
        scrape_loop_continue(ending, target, false);
    else
        scrape_loop_create(shard, target);
}

static void handle_item(struct scrape_shard *shard, struct inbox_item *item)
{
    switch (item->kind) {
    case INBOX_ADD:
        add_target(shard, item->target);
        break;
    case INBOX_REMOVE:
        if (item->target->loop != NULL)
            scrape_loop_end(item->target->loop);
        break;
    case INBOX_REPLACE:
        if (item->old->loop != NULL)
            scrape_loop_continue(item->old->loop, item->target, item->keep_cache);
        else
            add_target(shard, item->target);
        break;
    }
}

static struct inbox_item *take_inbox(struct scrape_shard *shard, bool *stopping)
{
    mutex_lock(&shard->lock);
    struct inbox_item *first = shard->inbox_first;
    shard->inbox_first = NULL;
    shard->inbox_last = NULL;
    *stopping = shard->stopping;
    mutex_unlock(&shard->lock);
    return first;
}

static bool handle_inbox(struct scrape_shard *shard)
{
    bool stopping;
    struct inbox_item *item = take_inbox(shard, &stopping);
    while (item != NULL) {
        struct inbox_item *next = item->next;
        if (!stopping)
            handle_item(shard, item);
        free_item(item);
        item = next;
    }
    long connections = (long)shard->loop_count + CONNECTIONS_MIN;
    curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, connections);
    return !stopping;
}

/* ---- the thread ---- */

static void fire_reap(struct scrape_timer *timer, void *context)
{
    struct scrape_shard *shard = context;
    http_wire_pool_reap(&shard->wires, now_ns(shard));
    scrape_timers_set(&shard->timers, timer, now_ns(shard) + reap_ns);
}

/* Targets of one tick are due within a millisecond of each other, the wall clock's resolution: they
 * are all started at the first one's wake-up. */
static void fire_timers(struct scrape_shard *shard)
{
    struct scrape_timer *timer;
    int64_t until_ns = now_ns(shard) + ns_per_ms;
    while ((timer = scrape_timers_take(&shard->timers, until_ns)) != NULL)
        timer->fire(timer, shard);
}

/* Until the next timer, in whole milliseconds from above: timers that are due within the same
 * millisecond share a wake-up, and timestamps are adjusted by more than that anyway. */
static int wait_ms(const struct scrape_shard *shard)
{
    int64_t due_ns = scrape_timers_next(&shard->timers);
    int64_t left_ns = due_ns == INT64_MAX ? INT64_MAX / 2 : due_ns - now_ns(shard);
    if (left_ns <= 0)
        return 0;
    int64_t left_ms = (left_ns + ns_per_ms - 1) / ns_per_ms;
    return left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)left_ms;
}

static void drive_curl(struct scrape_shard *shard, const struct epoll_event *event)
{
    int what = 0;
    if ((event->events & EPOLLIN) != 0)
        what |= CURL_CSELECT_IN;
    if ((event->events & EPOLLOUT) != 0)
        what |= CURL_CSELECT_OUT;
    if ((event->events & (EPOLLERR | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_ERR;
    int running;
    curl_multi_socket_action(shard->multi, event->data.fd, what, &running);
}

/* False when the shard shall end. */
static bool handle_event(struct scrape_shard *shard, const struct epoll_event *event)
{
    struct http_wire *wire = http_wire_find(&shard->wires, event->data.fd);
    if (wire != NULL) {
        scrape_wire_ready(shard, wire);
    } else if (event->data.fd == shard->wake_fd) {
        eventfd_t count;
        eventfd_read(shard->wake_fd, &count);
        return handle_inbox(shard);
    } else {
        drive_curl(shard, event);
    }
    return true;
}

static void run(void *context)
{
    struct scrape_shard *shard = context;
    struct epoll_event events[EVENTS_PER_WAIT];
    bool going = true;
    while (going) {
        fire_timers(shard);
        take_finished(shard);
        int count = epoll_wait(shard->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(shard));
        assert(count >= 0 || errno == EINTR);
        for (int i = 0; i < count && going; i++)
            going = handle_event(shard, &events[i]);
        take_finished(shard);
    }
    while (shard->loops != NULL)
        scrape_loop_destroy(shard->loops);
}

static void watch(struct scrape_shard *shard, int fd)
{
    assert(fd >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int result = epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    assert(result == 0);
    (void)result;
}

struct scrape_shard *scrape_shard_start(const struct scrape_shard_options *options,
                                        struct appender *appender)
{
    struct scrape_shard *shard = MEM_NEW(MEM_SCRAPE, struct scrape_shard);
    shard->options = *options;
    shard->appender = appender;
    mutex_init(&shard->lock);
    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(shard->epoll_fd >= 0);
    watch(shard, shard->wake_fd);
    shard->curl_timer.fire = fire_curl;
    shard->reap_timer.fire = fire_reap;
    shard->wire_timer.fire = scrape_wire_expire;
    http_wire_pool_init(&shard->wires);
    shard->received = mem_alloc(MEM_SCRAPE, SCRAPE_RECEIVE_BYTES);
    scrape_timers_set(&shard->timers, &shard->reap_timer, now_ns(shard) + reap_ns);
    shard->multi = curl_multi_init();
    assert(shard->multi != NULL);
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
    shard->ingest = MEM_NEW(MEM_SCRAPE, struct scrape_ingest);
    scrape_ingest_init(shard->ingest);
    shard->decompressor = libdeflate_alloc_decompressor();
    assert(shard->decompressor != NULL);
    char name[16];
    snprintf(name, sizeof name, "scrape-%u", options->index);
    thread_start(&shard->thread, name, run, shard);
    return shard;
}

static void free_spares(struct scrape_shard *shard)
{
    while (shard->spare != NULL) {
        struct scrape_request *request = shard->spare;
        shard->spare = request->next_spare;
        scrape_fetch_free(request);
    }
}

void scrape_shard_stop(struct scrape_shard *shard)
{
    mutex_lock(&shard->lock);
    shard->stopping = true;
    mutex_unlock(&shard->lock);
    eventfd_write(shard->wake_fd, 1);
    thread_join(&shard->thread);
    free_spares(shard);
    curl_multi_cleanup(shard->multi);
    scrape_ingest_deinit(shard->ingest);
    mem_free(MEM_SCRAPE, shard->ingest);
    libdeflate_free_decompressor(shard->decompressor);
    scrape_body_deinit(&shard->unpacked);
    scrape_timers_deinit(&shard->timers);
    http_wire_pool_deinit(&shard->wires);
    strbuf_deinit(&shard->wire_text);
    mem_free(MEM_SCRAPE, shard->received);
    strbuf_deinit(&shard->why);
    close(shard->wake_fd);
    close(shard->epoll_fd);
    appender_close(shard->appender);
    mutex_deinit(&shard->lock);
    mem_free(MEM_SCRAPE, shard);
}
