/* reference_store.h: a store of plain arrays behind tsdb/storage.h.
 *
 * It is what the real database is compared with: no blocks, no encodings, nothing clever. Samples
 * stay in memory as they came; every read copies. All calls may be made from any thread. A
 * histogram read back carries the hint that the runs of its counter give it (spec promql.md 7.4).
 */
#pragma once

#include "narthex/tsdb/storage.h"

/* Owned by the caller. */
struct storage *reference_store_create(void);
/* Late samples within the window are kept, the first one at a time staying. In order, samples older
 * than half a window range before the newest one are refused. Both are 0 at first: no late samples,
 * samples of any age. */
void reference_store_set_window(struct storage *storage, int64_t out_of_order_window_ms,
                                int64_t window_range_ms);
/* Samples up to the newest one are late from now on. */
void reference_store_flush(struct storage *storage);
/* No appender, querier or cursor may be open. */
void reference_store_destroy(struct storage *storage);
