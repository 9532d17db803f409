/* /api/v1/notifications and its live form, a stream of server-sent events. */
#include "narthex/http/notifications.h"

#include "narthex/base/thread.h"
#include "request.h"

struct subscriber {
    struct http_request *request;
    struct notifications *notifications;
    struct strbuf waiting; /* events not yet sent */
    size_t sent;           /* bytes of them that are */
    bool suspended;        /* until something happens */
    bool gone;
    struct subscriber *next;
};

struct notification {
    bool active;
    int64_t since_ms;
};

struct notifications {
    const struct clock *clock;
    uint32_t subscribers_max;
    struct mutex lock;
    /* guarded by lock */
    struct notification items[NOTIFICATION_COUNT];
    struct subscriber *subscribers;
    uint32_t subscriber_count;
    bool closed;
};

struct notifications *notifications_create(const struct clock *clock, uint32_t subscribers_max)
{
    struct notifications *n = MEM_NEW(MEM_HTTP, struct notifications);
    n->clock = clock;
    n->subscribers_max = subscribers_max;
    mutex_init(&n->lock);
    return n;
}

void notifications_destroy(struct notifications *n)
{
    if (n == NULL)
        return;
    mutex_deinit(&n->lock);
    mem_free(MEM_HTTP, n);
}

static void add_notification(struct strbuf *out, enum notification_kind kind,
                             const struct notification *item)
{
    /* Clients know them by their texts. */
    static const char *const texts[] = {
        [NOTIFICATION_RELOAD_FAILED] = "Configuration reload has failed.",
        [NOTIFICATION_STARTING] = "Prometheus is starting and replaying the write-ahead log (WAL).",
        [NOTIFICATION_STOPPING] =
            "Prometheus is shutting down and gracefully stopping all operations.",
    };
    strbuf_printf(out, "{\"text\":\"%s\",\"date\":", texts[kind]);
    json_add_time(out, item->since_ms);
    strbuf_printf(out, ",\"active\":%s}", item->active ? "true" : "false");
}

static void add_event(struct strbuf *out, enum notification_kind kind,
                      const struct notification *item)
{
    strbuf_add_cstr(out, "data: ");
    add_notification(out, kind, item);
    strbuf_add_cstr(out, "\n\n");
}

static void wake_locked(struct subscriber *subscriber)
{
    if (subscriber->suspended)
        http__stream_resume(subscriber->request);
    subscriber->suspended = false;
}

void notifications_set(struct notifications *n, enum notification_kind kind, bool active)
{
    mutex_lock(&n->lock);
    struct notification *item = &n->items[kind];
    if (item->active != active) {
        item->active = active;
        if (active)
            item->since_ms = clock_wall_ms(n->clock);
        for (struct subscriber *s = n->subscribers; s != NULL; s = s->next) {
            add_event(&s->waiting, kind, item);
            wake_locked(s);
        }
    }
    mutex_unlock(&n->lock);
}

void notifications_close(struct notifications *n)
{
    if (n == NULL)
        return;
    mutex_lock(&n->lock);
    n->closed = true;
    for (struct subscriber *s = n->subscribers; s != NULL; s = s->next)
        wake_locked(s);
    mutex_unlock(&n->lock);
}

void http__notifications(struct http_request *request)
{
    struct notifications *n = request->services->notifications;
    struct strbuf *out = http__api_begin(request);
    bool first = true;
    strbuf_add_char(out, '[');
    mutex_lock(&n->lock);
    for (int i = 0; i < NOTIFICATION_COUNT; i++) {
        if (!n->items[i].active)
            continue;
        if (!first)
            strbuf_add_char(out, ',');
        first = false;
        add_notification(out, (enum notification_kind)i, &n->items[i]);
    }
    mutex_unlock(&n->lock);
    strbuf_add_char(out, ']');
    http__api_end(request, NULL, 0, NULL, 0);
}

/* ---- live ---- */

static ptrdiff_t read_events(void *context, char *to, size_t size)
{
    struct subscriber *self = context;
    ptrdiff_t count = 0;
    mutex_lock(&self->notifications->lock);
    size_t left = self->waiting.size - self->sent;
    if (left > 0 && !self->gone) {
        count = (ptrdiff_t)(left < size ? left : size);
        memcpy(to, self->waiting.data + self->sent, (size_t)count);
        self->sent += (size_t)count;
        if (self->sent == self->waiting.size) {
            strbuf_clear(&self->waiting);
            self->sent = 0;
        }
    } else if (self->gone || self->notifications->closed) {
        count = HTTP_STREAM_END;
    } else {
        self->suspended = true;
        http__stream_suspend(self->request);
    }
    mutex_unlock(&self->notifications->lock);
    return count;
}

static void hang_up(void *context)
{
    struct subscriber *self = context;
    mutex_lock(&self->notifications->lock);
    self->gone = true;
    wake_locked(self);
    mutex_unlock(&self->notifications->lock);
}

static void unsubscribe(void *context)
{
    struct subscriber *self = context;
    struct notifications *n = self->notifications;
    mutex_lock(&n->lock);
    for (struct subscriber **link = &n->subscribers; *link != NULL; link = &(*link)->next) {
        if (*link == self) {
            *link = self->next;
            n->subscriber_count--;
            break;
        }
    }
    mutex_unlock(&n->lock);
    strbuf_deinit(&self->waiting);
    mem_free(MEM_HTTP, self);
}

void http__notifications_live(struct http_request *request)
{
    struct notifications *n = request->services->notifications;
    struct subscriber *self = NULL;
    mutex_lock(&n->lock);
    if (n->subscriber_count < n->subscribers_max && !n->closed) {
        self = MEM_NEW(MEM_HTTP, struct subscriber);
        self->request = request;
        self->notifications = n;
        self->next = n->subscribers;
        n->subscribers = self;
        n->subscriber_count++;
        for (int i = 0; i < NOTIFICATION_COUNT; i++) {
            if (n->items[i].active)
                add_event(&self->waiting, (enum notification_kind)i, &n->items[i]);
        }
    }
    mutex_unlock(&n->lock);
    if (self == NULL) {
        request->response.status = 204;
        return;
    }
    request->response.status = 200;
    request->response.content_type = "text/event-stream";
    http__header(request, "Cache-Control", STR("no-cache"));
    request->response.stream = (struct http_stream){
        .read = read_events, .hang_up = hang_up, .close = unsubscribe, .context = self};
}
