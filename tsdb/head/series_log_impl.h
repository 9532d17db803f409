/* The parts of a series log, shared by its writer and its reader. */
#pragma once

#include "narthex/tsdb/file_header.h"
#include "series_log.h"

#define SERIES_LOG_MAGIC "NXSER"
#define SERIES_RECORD_MARK "NXSR"

enum {
    SERIES_LOG_VERSION = 1,
    SERIES_LOG_WHOLE = 1,
    SERIES_LOG_HEADER_SIZE = FILE_HEADER_SIZE,
    SERIES_RECORD_HEADER_SIZE = 32,
};

/* As in the file. */
struct series_head {
    uint64_t hash;
    uint32_t ref;
    uint16_t label_count;
    uint16_t reserved;
};
static_assert(sizeof(struct series_head) == 16, "docs/format/series.md");

struct series_log {
    const struct fs *fs;
    char *path;
    uint32_t first_number; /* of the files there are; UINT32_MAX: none */
    uint32_t last_number;
    bool stale;          /* write all anew */
    uint32_t written_to; /* ordinals below are in the files */

    struct fs_file *file; /* being written, NULL: none */
    uint32_t number;
    bool dir_synced;
    uint32_t *pair_numbers; /* by the index's pair: number in the file + 1 */
    uint32_t pair_capacity;
    uint32_t pair_count;
    uint32_t *name_numbers;
    uint32_t name_capacity;
    uint32_t name_count;

    /* the record being made */
    struct series_head *heads;
    uint32_t head_count;
    uint32_t head_capacity;
    uint32_t *labels;
    uint32_t label_count;
    uint32_t label_capacity;
    uint32_t new_pairs;
    struct strbuf pairs;
    struct strbuf out;
};

bool series_log__header_is_good(const void *bytes, size_t size, uint32_t number);
/* Whether the record at `at` was there when the file got its name, so that no crash tears it. */
bool series_log__must_be_whole(const void *bytes, size_t at);
/* To be freed under MEM_HEAD. */
char *series_log__path(const struct series_log *log, uint32_t number);
void series_log__put_file_header(struct strbuf *out, uint32_t number, bool whole);
