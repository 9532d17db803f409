#include "scripted_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"

enum { CONNECTIONS_MAX = 4096 };

struct http_server {
    int fd;
    int stop_fd; /* readable for ever once the server stops */
    uint16_t port;
    http_server_handler handler;
    void *context;
    struct thread accepting;
    struct mutex lock;
    struct thread threads[CONNECTIONS_MAX]; /* guarded by lock */
    uint32_t thread_count;
};

struct connection {
    struct http_server *server;
    int fd;
};

/* Waits until fd is readable; false when the server stops. */
static bool wait_readable(struct http_server *server, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = server->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        assert(errno == EINTR);
    return fds[1].revents == 0;
}

static bool read_head(struct connection *connection, struct http_server_request *request)
{
    size_t size = 0;
    for (;;) {
        if (!wait_readable(connection->server, connection->fd))
            return false;
        ssize_t got =
            recv(connection->fd, request->head + size, sizeof request->head - 1 - size, 0);
        if (got <= 0)
            return false;
        size += (size_t)got;
        request->head[size] = '\0';
        if (strstr(request->head, "\r\n\r\n") != NULL)
            return true;
        if (size + 1 == sizeof request->head)
            return false;
    }
}

static void serve(void *context)
{
    struct connection *connection = context;
    struct http_server_request request = {.fd = connection->fd, .server = connection->server};
    while (read_head(connection, &request)) {
        const char *space = strchr(request.head, ' ');
        request.path = space == NULL ? "" : space + 1;
        if (!connection->server->handler(connection->server->context, &request))
            break;
    }
    close(connection->fd);
    mem_free(MEM_TEST, connection);
}

static void accept_all(void *context)
{
    struct http_server *server = context;
    while (wait_readable(server, server->fd)) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        struct connection *connection = MEM_NEW(MEM_TEST, struct connection);
        *connection = (struct connection){server, fd};
        mutex_lock(&server->lock);
        assert(server->thread_count < CONNECTIONS_MAX);
        thread_start(&server->threads[server->thread_count++], "http-test", serve, connection);
        mutex_unlock(&server->lock);
    }
}

int http_refusing_socket(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    assert(result == 0);
    result = getsockname(fd, (struct sockaddr *)&address, &size);
    assert(result == 0);
    (void)result;
    *port = ntohs(address.sin_port);
    return fd;
}

struct http_server *http_server_start(http_server_handler handler, void *context)
{
    struct http_server *server = MEM_NEW(MEM_TEST, struct http_server);
    server->handler = handler;
    server->context = context;
    mutex_init(&server->lock);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->fd = http_refusing_socket(&server->port);
    int result = listen(server->fd, 128);
    assert(result == 0);
    (void)result;
    thread_start(&server->accepting, "http-accept", accept_all, server);
    return server;
}

void http_server_stop(struct http_server *server)
{
    eventfd_write(server->stop_fd, 1);
    thread_join(&server->accepting);
    for (uint32_t i = 0; i < server->thread_count; i++)
        thread_join(&server->threads[i]);
    close(server->fd);
    close(server->stop_fd);
    mutex_deinit(&server->lock);
    mem_free(MEM_TEST, server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

bool http_server_send(struct http_server_request *request, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        struct pollfd fds[2] = {{.fd = request->fd, .events = POLLOUT},
                                {.fd = request->server->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return false;
        ssize_t sent = send(request->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            continue;
        if (sent < 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool http_server_answer(struct http_server_request *request, const char *status,
                        const char *headers, struct str body)
{
    char head[1024];
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status,
                        headers, body.size);
    assert(size > 0 && (size_t)size < sizeof head);
    return http_server_send(request, head, (size_t)size) &&
           http_server_send(request, body.data, body.size);
}

void http_server_hang(struct http_server_request *request)
{
    char byte;
    while (wait_readable(request->server, request->fd) && recv(request->fd, &byte, 1, 0) > 0)
        ;
}
