/* tsdb/db_import.h: samples of an OpenMetrics text with timestamps, made into blocks of a database.
 *
 * The text may hold its samples in any order and any age; it is walked once per slice of samples
 * that fit into memory. The blocks are flagged as late ones, so that they may overlap with others
 * and with the head; a sample that is there already at the same time stays.
 *
 * Any thread; one import into a database at a time. The database may be in use otherwise.
 */
#pragma once

#include "narthex/tsdb/db.h"

enum { DB_IMPORT_SAMPLES_MIN = 16 };

struct db_import_options {
    const char *file;         /* of the text */
    const char *name;         /* how errors call it; NULL: as `file` */
    size_t samples_in_memory; /* 0: 8 million; 24 bytes each; at least DB_IMPORT_SAMPLES_MIN */
    /* Called with the folder of each new block; may be NULL. */
    void (*block_made)(void *context, const char *path);
    /* Called after each commit with the samples taken so far; may be NULL. */
    void (*progress)(void *context, uint64_t samples);
    /* Asked between commits; true ends the import with ERR_CANCELED. May be NULL. */
    bool (*is_canceled)(void *context);
    void *context;
};

struct db_import_result {
    uint64_t sample_count;
    uint32_t block_count;
    int64_t min_t_ms; /* INT64_MAX when there were no samples */
    int64_t max_t_ms; /* INT64_MIN then */
};

/* ERR_INVALID and ERR_DUPLICATE with name and place when the text is at fault: a malformed text
 * makes no block, two values at one time are found later and leave the blocks made before.
 * ERR_UNAVAILABLE while another import runs. */
err_t db_import_openmetrics(struct db *db, const struct db_import_options *options,
                            struct db_import_result *result, struct strbuf *why);
