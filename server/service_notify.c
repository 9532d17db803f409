#include "service_notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"

static struct {
    int socket; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_size;
    int64_t interval_ns;
    atomic_flag warned;
} manager = {.socket = -1, .warned = ATOMIC_FLAG_INIT};

static bool read_address(const char *path)
{
    size_t size = path == NULL ? 0 : strlen(path);
    if (size == 0)
        return false;
    if ((path[0] != '/' && path[0] != '@') || size >= sizeof manager.address.sun_path) {
        LOG_WARN("NOTIFY_SOCKET is no address of a socket", "value", path);
        return false;
    }
    manager.address.sun_family = AF_UNIX;
    memcpy(manager.address.sun_path, path, size);
    manager.address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (path[0] == '@')
        manager.address.sun_path[0] = '\0'; /* an abstract name, which has no end */
    else
        manager.address_size++;
    return true;
}

/* The watchdog's time is meant for the process that the manager started. */
static int64_t read_interval_ns(void)
{
    const char *time = getenv("WATCHDOG_USEC");
    const char *process = getenv("WATCHDOG_PID");
    if (time == NULL || (process != NULL && strtol(process, NULL, 10) != getpid()))
        return 0;
    char *end;
    errno = 0;
    long long microseconds = strtoll(time, &end, 10);
    if (errno != 0 || *end != '\0' || microseconds <= 0 || microseconds > INT64_MAX / 1000)
        return 0;
    return (int64_t)microseconds * 1000 / 2;
}

void service_notify_init(void)
{
    if (!read_address(getenv("NOTIFY_SOCKET")))
        return;
    manager.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (manager.socket >= 0)
        manager.interval_ns = read_interval_ns();
}

static void tell(const char *text)
{
    if (manager.socket < 0)
        return;
    ssize_t sent = sendto(manager.socket, text, strlen(text), MSG_NOSIGNAL,
                          (const struct sockaddr *)&manager.address, manager.address_size);
    /* Said once: a manager that is not there does not come back. */
    if (sent < 0 && !atomic_flag_test_and_set(&manager.warned))
        LOG_WARN("the service manager cannot be told", "err", strerror(errno));
}

void service_notify_ready(void)
{
    tell("READY=1");
}

void service_notify_reloading(void)
{
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             clock_monotonic_ns(clock_system()) / 1000);
    tell(text);
}

void service_notify_stopping(void)
{
    tell("STOPPING=1");
}

void service_notify_alive(void)
{
    tell("WATCHDOG=1");
}

int64_t service_notify_interval_ns(void)
{
    return manager.interval_ns;
}
