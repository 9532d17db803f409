/* base/api_time.h: times and durations as clients of the HTTP API and command lines spell them
 * (spec http-api.md 1.2). Pure functions; any thread. */
#pragma once

#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"

/* Seconds since 1970 as a decimal number, or RFC 3339. ERR_INVALID: `cannot parse "x" to a valid
 * timestamp`. */
err_t api_time_parse(struct str text, int64_t *t_ms, struct strbuf *why);
/* Seconds as a decimal number, or a Prometheus duration. ERR_INVALID: `cannot parse "x" to a valid
 * duration`. */
err_t api_duration_parse(struct str text, int64_t *ms, struct strbuf *why);
