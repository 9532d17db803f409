#include "connections.h"

#include <sys/socket.h>

#include "exchange.h"
#include "narthex/base/clock.h"
#include "narthex/base/mem.h"

enum { LOOK_MS_MIN = 50, LOOK_MS_MAX = 10000, LOOKS_PER_TIMEOUT = 4 };

void connections__init(struct http_connections *connections, int64_t read_timeout_ns,
                       int64_t send_timeout_ns)
{
    mutex_init(&connections->lock);
    connections->read_timeout_ns = read_timeout_ns;
    connections->send_timeout_ns = send_timeout_ns;
}

void connections__deinit(struct http_connections *connections)
{
    mutex_deinit(&connections->lock);
}

/* relaxed: a time to compare with, nothing hangs on its order */
static void set_deadline(struct http_connection *connection, int64_t timeout_ns)
{
    int64_t deadline_ns = timeout_ns == 0 ? 0 : clock_monotonic_ns(clock_system()) + timeout_ns;
    atomic_store_explicit(&connection->deadline_ns, deadline_ns, memory_order_relaxed);
}

static void open_connection(struct http_server *server, struct MHD_Connection *handle,
                            struct http_connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection->fd = info == NULL ? -1 : info->connect_fd;
    set_deadline(connection, server->connections.read_timeout_ns);
    if (web_guard_has_tls(server->guard)) {
        const union MHD_ConnectionInfo *tls =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        connection->tls = web_guard_pin(server->guard);
        /* Without credentials the handshake cannot succeed. */
        if (tls != NULL && !web_state_open_session(connection->tls, tls->tls_session))
            gnutls_credentials_clear(tls->tls_session);
    }
    struct http_connections *all = &server->connections;
    mutex_lock(&all->lock);
    connection->next = all->first;
    connection->link = &all->first;
    if (all->first != NULL)
        all->first->link = &connection->next;
    all->first = connection;
    mutex_unlock(&all->lock);
    metric_add(server->connections_accepted, 1);
}

static void close_connection(struct http_server *server, struct http_connection *connection)
{
    mutex_lock(&server->connections.lock);
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    mutex_unlock(&server->connections.lock);
    metric_add(server->connections_closed, 1);
    web_state_unpin(connection->tls);
    mem_free(MEM_HTTP, connection);
}

void connections__notify(void *server, struct MHD_Connection *handle, void **socket_context,
                         enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_connection *connection = MEM_NEW(MEM_HTTP, struct http_connection);
        *socket_context = connection;
        open_connection(server, handle, connection);
    } else if (*socket_context != NULL) {
        close_connection(server, *socket_context);
        *socket_context = NULL;
    }
}

/* NULL for a connection that did not begin here. */
static struct http_connection *connection_of(struct MHD_Connection *handle)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void allow(struct MHD_Connection *handle, int64_t timeout_ns)
{
    struct http_connection *connection = connection_of(handle);
    if (connection != NULL)
        set_deadline(connection, timeout_ns);
}

int64_t connections__stop_clock(struct MHD_Connection *handle)
{
    struct http_connection *connection = connection_of(handle);
    if (connection == NULL)
        return 0;
    int64_t deadline_ns = atomic_load_explicit(&connection->deadline_ns, memory_order_relaxed);
    set_deadline(connection, 0);
    if (deadline_ns == 0)
        return 0; /* over, and shut already */
    int64_t left_ns = deadline_ns - clock_monotonic_ns(clock_system());
    return left_ns > 0 ? left_ns : 1;
}

void connections__start_clock(struct MHD_Connection *handle, int64_t left_ns)
{
    allow(handle, left_ns);
}

void connections__reading(const struct http_connections *connections, struct MHD_Connection *handle)
{
    allow(handle, connections->read_timeout_ns);
}

void connections__working(struct MHD_Connection *handle)
{
    allow(handle, 0);
}

void connections__sending(const struct http_connections *connections, struct MHD_Connection *handle)
{
    allow(handle, connections->send_timeout_ns);
}

void connections__end_slow(struct http_connections *connections, int64_t now_ns)
{
    mutex_lock(&connections->lock);
    for (struct http_connection *c = connections->first; c != NULL; c = c->next) {
        int64_t deadline_ns = atomic_load_explicit(&c->deadline_ns, memory_order_relaxed);
        if (deadline_ns == 0 || now_ns <= deadline_ns)
            continue;
        shutdown(c->fd, SHUT_RDWR);
        atomic_store_explicit(&c->deadline_ns, 0, memory_order_relaxed);
        metric_add(connections->slow_clients, 1);
    }
    mutex_unlock(&connections->lock);
}

int connections__look_interval_ms(const struct http_connections *connections)
{
    int64_t shorter_ns = connections->read_timeout_ns < connections->send_timeout_ns
                             ? connections->read_timeout_ns
                             : connections->send_timeout_ns;
    int64_t ms = shorter_ns / 1000000 / LOOKS_PER_TIMEOUT;
    return ms < LOOK_MS_MIN ? LOOK_MS_MIN : ms > LOOK_MS_MAX ? LOOK_MS_MAX : (int)ms;
}
