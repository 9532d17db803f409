/* The series of the head as files that load quickly. Format: docs/format/series.md.
 *
 * Sealed windows name series by number; what the numbers mean must be on disk before them. New
 * series are added to the current file; after series were collected all are written anew. Used by
 * the maintenance thread, and by one thread at the start.
 */
#pragma once

#include "head_impl.h"

struct series_log;

/* Makes the folder if absent; reads nothing yet. */
err_t series_log_open(const struct fs *fs, const char *path, struct series_log **log,
                      struct strbuf *why);
void series_log_close(struct series_log *log);

/* Fills an empty head. Damage is reported, not an error. `pool` may be NULL. */
err_t series_log_load(struct series_log *log, struct head *head, struct worker_pool *pool,
                      struct strbuf *why);

/* Adds the series made since the last call and syncs. Without the write lock. */
err_t series_log_update(struct series_log *log, struct head *head, struct strbuf *why);
/* Numbers of labels may get another meaning: the next update writes all series anew. */
void series_log_invalidate(struct series_log *log);

/* ---- records, for tests ---- */

struct series_record {
    uint32_t pair_count;
    uint32_t series_count;
    const uint8_t *pairs;
    size_t pairs_size;
    const uint8_t *heads; /* 16 bytes a series */
    const uint32_t *labels;
    uint32_t label_count;
    size_t size;
};
/* The record that begins at data (aligned to 8); ERR_CORRUPT when there is no whole, unharmed one.
 * Label counts add up, numbers of labels are not looked at. */
err_t series_record_get(const uint8_t *data, size_t size, struct series_record *record,
                        struct strbuf *why);
