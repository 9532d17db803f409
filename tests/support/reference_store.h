/* reference_store.h: a store of plain arrays behind tsdb/storage.h.
 *
 * It is what the real database is compared with: no blocks, no encodings, nothing clever. Samples
 * stay in memory as they came; every read copies. All calls may be made from any thread. As in
 * Prometheus' head there is no out-of-order window, and a histogram read back carries the hint that
 * the runs of its counter give it (spec promql.md 7.4).
 */
#pragma once

#include "narthex/tsdb/storage.h"

/* Owned by the caller. */
struct storage *reference_store_create(void);
/* No appender, querier or cursor may be open. */
void reference_store_destroy(struct storage *storage);
