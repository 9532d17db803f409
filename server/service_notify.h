/* server/service_notify.h: tells the service manager how we are (the protocol of sd_notify(3)).
 *
 * Without NOTIFY_SOCKET in the environment nothing is sent. One thread at a time may call, except
 * service_notify_reloading and service_notify_ready, which any thread may.
 */
#pragma once

#include <stdint.h>

/* Reads the environment; once, before any other call and before threads start. */
void service_notify_init(void);
/* Started, or a reload is over. */
void service_notify_ready(void);
void service_notify_reloading(void);
void service_notify_stopping(void);
void service_notify_alive(void);
/* How often service_notify_alive must be called: half of what the manager allows. 0: never. */
int64_t service_notify_interval_ns(void);
