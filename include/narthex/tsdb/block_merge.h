/* tsdb/block_merge.h: several blocks made into one.
 *
 * Compaction, cleaning of tombstones and the merge of late samples are all this: series of equal
 * labels are joined, deleted samples left out, and where inputs overlap in time their samples are
 * merged one by one, a later input winning where two have the same timestamp. Column bytes are
 * copied; only columns that lose samples, overlap, or lie in joined short windows are encoded anew.
 *
 * Which blocks to merge, when, and what to do with the old ones is the database's decision.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/tsdb/block.h"
#include "narthex/tsdb/tombstones.h"

enum { BLOCK_MERGE_INPUTS_MAX = 1024 };

struct block_merge_input {
    const struct block *block;           /* stays open during the call */
    const struct tombstones *tombstones; /* or NULL */
};

/* How histogram columns are cut; needed only when one loses samples or overlaps another. */
struct block_histogram_codec {
    /* Appends to `out` a column with the samples index[0..kept_count), ascending, of the `count`
     * ones in `bytes`. ERR_CORRUPT if the bytes are malformed. */
    err_t (*select)(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                    const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                    struct strbuf *why);
    /* Appends to `out` one column with the `count` samples that `bytes` hold, which are what
     * several calls of select appended one after the other. NULL: such columns stay apart. */
    err_t (*join)(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                  struct strbuf *out, struct strbuf *why);
    void *context;
};

struct block_merge_options {
    const struct fs *fs;
    const char *parent; /* folder of the new block */
    /* ulid: of the new block. level 0: one more than the inputs' highest. No sources: those of all
     * inputs. max_t_ms == min_t_ms: the inputs' range. flags: those of all inputs are
     * added. */
    struct block_meta meta;
    bool compress_fast; /* LZ4 rather than LZ4HC */
    bool drop_stats;
    const struct block_histogram_codec *histograms; /* NULL: ERR_UNSUPPORTED where it is needed */
    /* Asked once a series; true ends the merge with ERR_CANCELED. NULL: never. */
    bool (*is_canceled)(void *context);
    void *cancel_context;
};

struct block_merge_result {
    bool written; /* false: nothing was left, there is no new block */
    struct block_counts counts;
    uint64_t columns_copied;  /* byte for byte */
    uint64_t columns_encoded; /* anew */
};

/* Takes time in proportion to the inputs; memory: the writer's tables, 4 bytes per symbol of the
 * inputs, 8 per window. On an error there is no new block. */
err_t block_merge(const struct block_merge_input *inputs, uint32_t input_count,
                  const struct block_merge_options *options, struct block_merge_result *result,
                  struct strbuf *why);
