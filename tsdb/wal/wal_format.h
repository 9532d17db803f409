/* The numbers of docs/format/wal.md, shared by writer and reader. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/strbuf.h"
#include "narthex/tsdb/file_header.h"
#include "narthex/tsdb/wal.h"

#define WAL_MAGIC "NXWAL"

enum {
    WAL_VERSION = 2,
    WAL_VERSION_MIN = 1, /* read too: it has no late samples */
    WAL_FILE_HEADER_SIZE = FILE_HEADER_SIZE,
    WAL_RECORD_HEADER_SIZE = 16,
    WAL_RECORD_MARK = 0xc5,
    WAL_RECORD_MARK_OFFSET = 12,
    WAL_LABELS_MAX = 1024, /* pairs of one label set in the log */
};

enum wal_record_kind { WAL_RECORD_COMMIT = 1, WAL_RECORD_CHECKPOINT = 2 };
enum wal_codec { WAL_CODEC_NONE = 0, WAL_CODEC_LZ4 = 1 };

enum wal_tag {
    WAL_TAG_SERIES = 1,
    WAL_TAG_ROW = 2,
    WAL_TAG_EXEMPLAR = 3,
    WAL_TAG_METADATA = 4,
    WAL_TAG_DELETION = 5,
    WAL_TAG_CUT = 6,
    WAL_TAG_END = 7,
    WAL_TAG_LATE = 8,
    WAL_TAG_LATE_FLUSHED = 9,
};

enum wal_row_flag {
    WAL_ROW_FULL = 1,
    WAL_ROW_ALL = 2,
    WAL_ROW_LIST = 4,
    WAL_ROW_EXTRAS = 8,
    WAL_ROW_FLAGS_KNOWN = 15,
};

enum wal_late_flag {
    WAL_LATE_HISTOGRAM = 1,
    WAL_LATE_START = 2,
    WAL_LATE_FLAGS_KNOWN = 3,
};

/* Appends a file header. */
void wal__put_file_header(struct strbuf *out, uint32_t number);
/* Appends one whole record made of `body`. ERR_LIMIT above WAL_RECORD_BYTES_MAX. */
err_t wal__put_record(struct strbuf *out, enum wal_record_kind kind, const struct strbuf *body,
                      struct strbuf *why);

bool wal__header_is_good(const void *data, size_t size, uint32_t number);
/* Size of the whole, unharmed record at `at`, its header included; 0: there is none. */
size_t wal__record_size(const void *data, size_t size, size_t at);
/* First such record at or after `at`; `size` when there is none. */
size_t wal__find_record(const void *data, size_t size, size_t at);

/* Decodes bodies; keeps the groups of the file being read. */
struct wal_decoder;
struct wal_decoder *wal__decoder_create(void);
void wal__decoder_destroy(struct wal_decoder *decoder);
/* ERR_CORRUPT when the body makes no sense; other errors are the handler's. *max_t_ms is raised to
 * the newest sample, *complete set at an end entry. */
err_t wal__decode_body(struct wal_decoder *decoder, const void *body, size_t size,
                       const struct wal_handler *handler, struct wal_replay_result *result,
                       int64_t *max_t_ms, bool *complete, struct strbuf *why);
