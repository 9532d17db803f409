/* Numbers and durations of query text (spec promql.md 1.1). */
#pragma once

#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

/* The value of a number token: an integer in any base first, else a float. */
err_t promql_number_value(struct str text, double *value, struct strbuf *why);

/* "1h30m" in milliseconds; the texts of Prometheus' duration parser. "0" alone is legal. */
err_t promql_duration_value(struct str text, int64_t *ms, struct strbuf *why);
