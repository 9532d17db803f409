/* http/notifications.h: what the operator should know now (/api/v1/notifications).
 *
 * A notification is active from notifications_set(…, true) to notifications_set(…, false). Clients
 * of /api/v1/notifications/live are told of both. All calls may come from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/clock.h"

enum notification_kind {
    NOTIFICATION_RELOAD_FAILED,
    NOTIFICATION_STARTING,
    NOTIFICATION_STOPPING,
    NOTIFICATION_COUNT,
};

struct notifications;

/* At most `subscribers_max` live clients at a time. */
struct notifications *notifications_create(const struct clock *clock, uint32_t subscribers_max);
/* There is no live client any more. */
void notifications_destroy(struct notifications *notifications);
void notifications_set(struct notifications *notifications, enum notification_kind kind,
                       bool active);
/* Live clients get what waits for them and are let go; later ones are refused. May be NULL. */
void notifications_close(struct notifications *notifications);
