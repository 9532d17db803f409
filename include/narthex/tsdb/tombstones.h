/* tsdb/tombstones.h: which samples of a block were deleted.
 *
 * Per series (by ordinal) a list of time intervals, inclusive at both ends, ascending, apart from
 * each other. Kept in memory and as the file `tombstones` in the block's folder
 * (docs/format/block.md), which is replaced as a whole.
 *
 * A struct tombstones that is no longer changed may be read by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/base/strbuf.h"

struct tombstones;

struct tombstone_interval {
    int64_t min_t_ms;
    int64_t max_t_ms; /* inclusive */
};

/* One that deletes nothing. */
struct tombstones *tombstones_create(void);
struct tombstones *tombstones_copy(const struct tombstones *tombstones);
void tombstones_destroy(struct tombstones *tombstones);

/* Reads <block_path>/tombstones; without such a file the result deletes nothing. ERR_CORRUPT,
 * ERR_IO. */
err_t tombstones_load(const char *block_path, struct tombstones **tombstones, struct strbuf *why);
/* Replaces the file atomically; removes it when nothing is deleted. */
err_t tombstones_store(const struct tombstones *tombstones, const struct fs *fs,
                       const char *block_path, struct strbuf *why);

/* Deletes [min_t_ms, max_t_ms] of a series; intervals that touch are joined. */
void tombstones_add(struct tombstones *tombstones, uint32_t series, int64_t min_t_ms,
                    int64_t max_t_ms);
/* Intervals of a series, NULL with *count 0 for none; the view lives until the next add. */
const struct tombstone_interval *tombstones_get(const struct tombstones *tombstones,
                                                uint32_t series, uint32_t *count);
/* Intervals in all. */
uint64_t tombstones_count(const struct tombstones *tombstones);
/* Series that have any. */
uint32_t tombstones_series_count(const struct tombstones *tombstones);
