/* base/duration.h: Prometheus' duration and byte-size texts (spec config-and-scrape.md 1.1). */
#pragma once

#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

/* "0" or descending units without repetition NyNwNdNhNmNsNms, integers, no sign. ERR_INVALID with
 * Prometheus' text. */
err_t duration_parse(struct str text, int64_t *ms, struct strbuf *why);
/* Normalised: y and w only for exact multiples, then d h m s ms; 0 is "0s", negative ones
 * (PromQL's offsets) have a minus in front. */
void duration_print(int64_t ms, struct strbuf *out);

/* "15MB", "1.5GB", "1GiB512MiB", "0"; all units are powers of 1024. A leading minus is read, so
 * that the caller can name it. */
err_t byte_size_parse(struct str text, int64_t *bytes, struct strbuf *why);
/* "15MiB", "1GiB512MiB", "0B". */
void byte_size_print(int64_t bytes, struct strbuf *out);
