/* http/head_check.h: requests whose length two readers could see differently.
 *
 * libmicrohttpd is lenient; behind a proxy that reads such a request another way, a client could
 * smuggle a second one past it (RFC 9112, section 11.2). They are refused and the connection ends.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>

/* `version` is "HTTP/1.1" or an older one. False: answer *status with *text and close. */
bool head_check(struct MHD_Connection *connection, const char *version, unsigned *status,
                const char **text);
