/* http/openapi.h: the OpenAPI document of the table of routes. */
#pragma once

#include <stdbool.h>

#include "narthex/base/strbuf.h"

/* Appends the document, of OpenAPI `version` ("3.1.0"); paths are below `server_path`. False when a
 * route has no description: it is left out. */
bool openapi__write(struct strbuf *out, const char *version, const char *server_path);
