/* http/redirect.h: answers to paths that are not quite those of a route. */
#pragma once

#include "request.h"

/* A path with empty, "." or ".." segments: 301 to the clean one. False when it is clean. */
bool redirect__unclean(struct http_request *request, struct str route_prefix);
/* A path that no route has: 301 (307 for other methods than GET and HEAD) to that of a route which
 * differs in a slash at the end or in case only. False when there is none. */
bool redirect__similar(struct http_request *request, struct str route_prefix);
/* 302 from the root above the route prefix. */
void redirect__prefix(struct http_request *request, struct str route_prefix);
