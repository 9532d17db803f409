#include "sealed_format.h"

#include <assert.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/tsdb/column.h"

#define RECORD_MARK "NXSW"

enum { MARK_OFFSET = 8, MARK_SIZE = 4, ALIGNMENT = 8 };

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "offsets are read from the mapped file as they are"
#endif

void sealed_put_file_header(struct strbuf *out, uint32_t number)
{
    file_header_put(out, SEALED_MAGIC, SEALED_VERSION, 0, number);
}

bool sealed_file_header_is_good(const uint8_t *data, size_t size, uint32_t number)
{
    uint8_t version = file_header_version(data, size, SEALED_MAGIC, number);
    return version >= SEALED_VERSION_OLDEST && version <= SEALED_VERSION;
}

/* Of the whole record, its padding included. */
static size_t record_size(const struct sealed_record *record)
{
    size_t size =
        SEALED_RECORD_HEADER_SIZE + ((size_t)record->slot_count + 1) * sizeof record->offsets[0] +
        record->times_size + record->refs_size + record->entries_size + COLUMN_SLACK_BYTES;
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void put_u16(struct strbuf *out, uint32_t v)
{
    coding_put_u8(out, (uint8_t)v);
    coding_put_u8(out, (uint8_t)(v >> 8));
}

void sealed_put_record(struct strbuf *out, const struct sealed_record *record)
{
    size_t start = out->size;
    size_t size = record_size(record);
    assert(start % ALIGNMENT == 0);
    assert(size <= SEALED_RECORD_BYTES_MAX);
    strbuf_reserve(out, size);
    coding_put_u32(out, 0);
    coding_put_u32(out, (uint32_t)size);
    strbuf_add(out, RECORD_MARK, MARK_SIZE);
    coding_put_u8(out, (uint8_t)record->kind);
    coding_put_u8(out, 0);
    put_u16(out, record->row_count);
    coding_put_u32(out, record->group);
    coding_put_u32(out, record->lane);
    coding_put_u64(out, record->source_key);
    coding_put_u64(out, record->first_sequence);
    coding_put_u64(out, record->last_sequence);
    coding_put_u32(out, record->slot_count);
    coding_put_u32(out, (uint32_t)record->times_size);
    coding_put_u32(out, (uint32_t)record->refs_size);
    coding_put_u32(out, (uint32_t)record->entries_size);
    assert(out->size - start == SEALED_RECORD_HEADER_SIZE);
    strbuf_add(out, record->offsets, ((size_t)record->slot_count + 1) * sizeof record->offsets[0]);
    strbuf_add(out, record->times, record->times_size);
    strbuf_add(out, record->refs, record->refs_size);
    strbuf_add(out, record->entries, record->entries_size);
    size_t padding = start + size - out->size;
    memset(strbuf_reserve(out, padding), 0, padding);
    strbuf_commit(out, padding);
    uint8_t *at = (uint8_t *)out->data + start;
    coding_store_u32(at, hash_crc32c(0, at + 4, size - 4));
}

static bool offsets_are_good(const struct sealed_record *record)
{
    uint32_t previous = 0;
    for (uint32_t i = 0; i <= record->slot_count; i++) {
        if (record->offsets[i] < previous)
            return false;
        previous = record->offsets[i];
    }
    return record->offsets[0] == 0 && previous == record->entries_size;
}

static void load_header(const uint8_t *data, struct sealed_record *record)
{
    *record = (struct sealed_record){
        .kind = (enum sealed_kind)data[12],
        .row_count = (uint32_t)data[14] | (uint32_t)data[15] << 8,
        .group = coding_load_u32(data + 16),
        .lane = coding_load_u32(data + 20),
        .source_key = coding_load_u64(data + 24),
        .first_sequence = coding_load_u64(data + 32),
        .last_sequence = coding_load_u64(data + 40),
        .slot_count = coding_load_u32(data + 48),
        .times_size = coding_load_u32(data + 52),
        .refs_size = coding_load_u32(data + 56),
        .entries_size = coding_load_u32(data + 60),
        .size = coding_load_u32(data + 4),
    };
}

void sealed_view_record(const uint8_t *data, struct sealed_record *record)
{
    load_header(data, record);
    record->offsets = (const uint32_t *)(const void *)(data + SEALED_RECORD_HEADER_SIZE);
    record->times = (const uint8_t *)(record->offsets + record->slot_count + 1);
    record->refs = record->times + record->times_size;
    record->entries = record->refs + record->refs_size;
}

err_t sealed_get_record(const uint8_t *data, size_t size, struct sealed_record *record,
                        struct strbuf *why)
{
    if (size < SEALED_RECORD_HEADER_SIZE || memcmp(data + MARK_OFFSET, RECORD_MARK, MARK_SIZE) != 0)
        return err_fail(why, ERR_CORRUPT, "no record");
    load_header(data, record);
    if (record->size > size || record->size != record_size(record))
        return err_fail(why, ERR_CORRUPT, "impossible sizes");
    if (coding_load_u32(data) != hash_crc32c(0, data + 4, record->size - 4))
        return err_fail(why, ERR_CORRUPT, "wrong checksum");
    sealed_view_record(data, record);
    if ((record->kind != SEALED_SHORT && record->kind != SEALED_MERGED) || data[13] != 0 ||
        record->row_count == 0 || record->row_count > COLUMN_ROWS_MAX || record->group == 0 ||
        record->first_sequence == 0 || record->last_sequence < record->first_sequence ||
        record->last_sequence - record->first_sequence < record->row_count - 1 ||
        !offsets_are_good(record))
        return err_fail(why, ERR_CORRUPT, "impossible contents");
    return OK;
}

size_t sealed_find_record(const uint8_t *data, size_t size, size_t at)
{
    struct strbuf why = STRBUF_INIT;
    at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (; at < size && size - at >= SEALED_RECORD_HEADER_SIZE; at += ALIGNMENT) {
        struct sealed_record ignored;
        if (memcmp(data + at + MARK_OFFSET, RECORD_MARK, MARK_SIZE) == 0 &&
            sealed_get_record(data + at, size - at, &ignored, &why) == OK)
            break;
    }
    strbuf_deinit(&why);
    return at < size && size - at >= SEALED_RECORD_HEADER_SIZE ? at : size;
}

err_t sealed_get_refs(const struct sealed_record *record, uint32_t *refs, struct strbuf *why)
{
    struct byte_reader in = byte_reader_of(record->refs, record->refs_size);
    int64_t ref = 0;
    for (uint32_t i = 0; i < record->slot_count; i++) {
        ref = (int64_t)((uint64_t)ref + (uint64_t)byte_reader_zv(&in));
        if (ref < 0 || ref > UINT32_MAX)
            in.failed = true;
        if (in.failed)
            break;
        refs[i] = (uint32_t)ref;
    }
    return in.failed || in.at != in.end ? err_fail(why, ERR_CORRUPT, "malformed series numbers")
                                        : OK;
}
