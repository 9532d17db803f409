#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "narthex/base/log.h"
#include "narthex/base/mem.h"

enum { LISTEN_BACKLOG = 512 };

/* Whether anybody takes connections there; then the file is not ours to replace. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A full queue says EAGAIN: somebody is there. */
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return !refused;
}

/* What a process that was killed has left. */
static err_t remove_stale(const struct sockaddr_un *address, struct strbuf *why)
{
    struct stat info;
    const char *path = address->sun_path;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? OK : err_fail_errno(why, errno, "listen unix %s", path);
    if (!S_ISSOCK(info.st_mode))
        return err_fail(why, ERR_IO, "listen unix %s: a file is there that is no socket", path);
    if (is_alive(address))
        return err_fail(why, ERR_IO, "listen unix %s: another process listens there", path);
    if (unlink(path) != 0)
        return err_fail_errno(why, errno, "listen unix %s: remove the old socket", path);
    return OK;
}

static err_t listen_unix(const char *path, struct listener *out, struct strbuf *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
        return err_fail(why, ERR_INVALID, "listen unix %s: path %s", path,
                        path[0] == '\0' ? "missing" : "too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    TRY(remove_stale(&address, why));
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0 || bind(out->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return err_fail_errno(why, errno, "listen unix %s", path);
    if (lstat(path, &info) == 0) {
        out->path = mem_dup(MEM_HTTP, path, strlen(path));
        out->device = info.st_dev;
        out->inode = info.st_ino;
    }
    if (listen(out->fd, LISTEN_BACKLOG) != 0)
        return err_fail_errno(why, errno, "listen unix %s", path);
    return OK;
}

static err_t listen_tcp(const char *address, struct listener *out, struct strbuf *why)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return err_fail(why, ERR_INVALID, "listen tcp: address %s: missing port in address",
                        address);
    size_t size = (size_t)(colon - address);
    bool bracketed = size >= 2 && address[0] == '[' && address[size - 1] == ']';
    memcpy(host, address + bracketed, size - 2 * bracketed);
    host[size - 2 * bracketed] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host[0] == '\0' ? NULL : host, colon + 1, &hints, &found);
    if (failed != 0 || found == NULL)
        return err_fail(why, ERR_INVALID, "listen tcp %s: %s", address, gai_strerror(failed));
    /* ":9090" listens on both families through one IPv6 socket where there is IPv6. */
    struct addrinfo *chosen = found;
    for (struct addrinfo *a = found; a != NULL && host[0] == '\0'; a = a->ai_next) {
        if (a->ai_family == AF_INET6)
            chosen = a;
    }
    int on = 1, off = 0;
    int *fd = &out->fd;
    *fd = socket(chosen->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0 && chosen->ai_family == AF_INET6 && chosen != found) {
        chosen = found;
        *fd = socket(chosen->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (*fd >= 0) {
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (chosen->ai_family == AF_INET6)
            setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    bool bound = *fd >= 0 && bind(*fd, chosen->ai_addr, chosen->ai_addrlen) == 0 &&
                 listen(*fd, LISTEN_BACKLOG) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (!bound)
        return err_fail_errno(why, error, "listen tcp %s: bind", address);
    return OK;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

err_t listen__open(const char *address, struct listener *listener, struct strbuf *why)
{
    static const char unix_scheme[] = "unix://";
    *listener = (struct listener){.fd = -1};
    err_t err;
    if (strncmp(address, unix_scheme, strlen(unix_scheme)) == 0)
        err = listen_unix(address + strlen(unix_scheme), listener, why);
    else
        err = listen_tcp(address, listener, why);
    if (err == OK)
        listener->port = bound_port(listener->fd);
    else
        listen__close(listener);
    return err;
}

void listen__close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    listen__remove(listener);
}

void listen__remove(struct listener *listener)
{
    struct stat info;
    if (listener->path == NULL)
        return;
    if (lstat(listener->path, &info) == 0 && info.st_dev == listener->device &&
        info.st_ino == listener->inode && unlink(listener->path) != 0)
        LOG_WARN("cannot remove the socket", "path", listener->path, "err", strerror(errno));
    mem_free(MEM_HTTP, listener->path);
    listener->path = NULL;
}
