/* Records of sealed windows as bytes. Layout: docs/format/sealed.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/tsdb/file_header.h"

#define SEALED_MAGIC "NXSEA"

enum {
    SEALED_VERSION = 2,
    SEALED_VERSION_OLDEST = 1, /* statistics of the first form */
    SEALED_FILE_HEADER_SIZE = FILE_HEADER_SIZE,
    SEALED_RECORD_HEADER_SIZE = 64,
};

/* What its size can say. */
#define SEALED_RECORD_BYTES_MAX UINT32_MAX

enum sealed_kind { SEALED_SHORT = 1, SEALED_MERGED = 2 };

/* A record. When read, all pointers are views into the file's bytes, and COLUMN_SLACK_BYTES more
 * than `entries` are readable. */
struct sealed_record {
    enum sealed_kind kind;
    uint32_t row_count;
    uint32_t group;
    uint32_t lane;
    uint64_t source_key;
    uint64_t first_sequence;
    uint64_t last_sequence;
    uint32_t slot_count;
    const uint32_t *offsets; /* slot_count + 1, of entries */
    const uint8_t *times;
    size_t times_size;
    const uint8_t *refs;
    size_t refs_size;
    const uint8_t *entries;
    size_t entries_size;
    size_t size; /* of the whole record */
};

void sealed_put_file_header(struct strbuf *out, uint32_t number);
bool sealed_file_header_is_good(const uint8_t *data, size_t size, uint32_t number);

/* Appends the record; all fields but `size` are given. Below SEALED_RECORD_BYTES_MAX. */
void sealed_put_record(struct strbuf *out, const struct sealed_record *record);
/* Reads the record that begins at data; ERR_CORRUPT when there is no whole, unharmed one. Data is
 * aligned to 8 bytes. What is in the entries is not looked at. */
err_t sealed_get_record(const uint8_t *data, size_t size, struct sealed_record *record,
                        struct strbuf *why);
/* The same for a record that was read or written before. */
void sealed_view_record(const uint8_t *data, struct sealed_record *record);
/* Offset of the next record at or after `at`; `size` when there is none. */
size_t sealed_find_record(const uint8_t *data, size_t size, size_t at);
/* The series of every slot, 0: none; refs holds slot_count. ERR_CORRUPT. */
err_t sealed_get_refs(const struct sealed_record *record, uint32_t *refs, struct strbuf *why);
