/* Bodies of records: see docs/format/wal.md. */
#include <assert.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "wal_format.h"

void wal_group_deinit(struct wal_group *group)
{
    mem_free(MEM_WAL, group->base);
    *group = (struct wal_group){0};
}

void wal_group_forget(struct wal_group *group)
{
    group->segment = 0;
}

static void put_labels(struct strbuf *body, struct labels labels)
{
    coding_put_uv(body, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        coding_put_str(body, labels.items[i].name);
        coding_put_str(body, labels.items[i].value);
    }
}

void wal_encode_series(struct strbuf *body, uint64_t ref, struct labels labels)
{
    coding_put_u8(body, WAL_TAG_SERIES);
    coding_put_uv(body, ref);
    put_labels(body, labels);
}

void wal_encode_exemplar(struct strbuf *body, uint64_t ref, int64_t t_ms, double value,
                         struct labels labels)
{
    coding_put_u8(body, WAL_TAG_EXEMPLAR);
    coding_put_uv(body, ref);
    coding_put_zv(body, t_ms);
    coding_put_double(body, value);
    put_labels(body, labels);
}

void wal_encode_metadata(struct strbuf *body, uint64_t ref, uint8_t type, struct str help,
                         struct str unit)
{
    coding_put_u8(body, WAL_TAG_METADATA);
    coding_put_uv(body, ref);
    coding_put_u8(body, type);
    coding_put_str(body, help);
    coding_put_str(body, unit);
}

void wal_encode_deletion(struct strbuf *body, uint64_t ref, int64_t min_t_ms, int64_t max_t_ms)
{
    coding_put_u8(body, WAL_TAG_DELETION);
    coding_put_uv(body, ref);
    coding_put_zv(body, min_t_ms);
    coding_put_zv(body, max_t_ms);
}

void wal_encode_cut(struct strbuf *body, int64_t t_ms)
{
    coding_put_u8(body, WAL_TAG_CUT);
    coding_put_zv(body, t_ms);
}

void wal_encode_late(struct strbuf *body, const struct wal_late *samples, uint32_t count)
{
    uint64_t number = 0, ref = 0;
    int64_t t_ms = 0;
    coding_put_u8(body, WAL_TAG_LATE);
    coding_put_uv(body, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct wal_late *sample = &samples[i];
        uint8_t flags = sample->histogram.size > 0 ? WAL_LATE_HISTOGRAM : 0;
        if (sample->start_t_ms != 0)
            flags |= WAL_LATE_START;
        coding_put_u8(body, flags);
        coding_put_uv(body, sample->number - number);
        coding_put_zv(body, (int64_t)(sample->ref - ref));
        coding_put_zv(body, (int64_t)((uint64_t)sample->t_ms - (uint64_t)t_ms));
        if (sample->histogram.size > 0)
            coding_put_str(body, sample->histogram);
        else
            coding_put_double(body, sample->value);
        if (sample->start_t_ms != 0)
            coding_put_zv(body, (int64_t)((uint64_t)sample->t_ms - (uint64_t)sample->start_t_ms));
        number = sample->number;
        ref = sample->ref;
        t_ms = sample->t_ms;
    }
}

void wal_encode_late_flushed(struct strbuf *body, uint64_t number)
{
    coding_put_u8(body, WAL_TAG_LATE_FLUSHED);
    coding_put_uv(body, number);
}

/* Values of the present slots against the base, which moves on. */
static void put_values(struct strbuf *body, const struct wal_row *row, struct wal_group *group)
{
    size_t bitmap_size = ((size_t)row->sample_count + 7) / 8;
    uint8_t *bitmap = (uint8_t *)strbuf_reserve(body, bitmap_size + (size_t)row->sample_count *
                                                                        CODING_CHANGE_MAX);
    uint8_t *at = bitmap + bitmap_size;
    memset(bitmap, 0, bitmap_size);
    for (uint32_t i = 0; i < row->sample_count; i++) {
        uint64_t bits;
        memcpy(&bits, &row->values[i], sizeof bits);
        uint64_t *base = &group->base[row->slots[i]];
        if (bits == *base)
            continue;
        bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
        at = coding_write_change(at, bits, *base);
        *base = bits;
    }
    strbuf_commit(body, (size_t)(at - bitmap));
}

static void put_presence(struct strbuf *body, const struct wal_row *row, uint8_t flags)
{
    if ((flags & WAL_ROW_ALL) != 0)
        return;
    if ((flags & WAL_ROW_LIST) != 0) {
        coding_put_uv(body, row->sample_count);
        uint32_t next = 0;
        for (uint32_t i = 0; i < row->sample_count; i++) {
            coding_put_uv(body, row->slots[i] - next);
            next = row->slots[i] + 1;
        }
        return;
    }
    size_t size = ((size_t)row->slot_count + 7) / 8;
    uint8_t *bitmap = (uint8_t *)strbuf_reserve(body, size);
    memset(bitmap, 0, size);
    for (uint32_t i = 0; i < row->sample_count; i++)
        bitmap[row->slots[i] / 8] |= (uint8_t)(1u << (row->slots[i] % 8));
    strbuf_commit(body, size);
}

static void put_refs(struct strbuf *body, const struct wal_row *row, uint32_t from)
{
    int64_t previous = 0;
    for (uint32_t i = from; i < row->slot_count; i++) {
        coding_put_zv(body, (int64_t)row->slot_refs[i] - previous);
        previous = row->slot_refs[i];
    }
}

static void put_extras(struct strbuf *body, const struct wal_row *row)
{
    coding_put_uv(body, row->histogram_count);
    for (uint32_t i = 0; i < row->histogram_count; i++) {
        coding_put_uv(body, row->histograms[i].slot);
        coding_put_str(body, row->histograms[i].bytes);
    }
    coding_put_uv(body, row->start_count);
    for (uint32_t i = 0; i < row->start_count; i++) {
        coding_put_uv(body, row->starts[i].slot);
        coding_put_zv(body, (int64_t)((uint64_t)row->t_ms - (uint64_t)row->starts[i].start_t_ms));
    }
}

static void make_room(struct wal_group *group, uint32_t slot_count)
{
    if (slot_count <= group->base_capacity)
        return;
    uint32_t capacity = slot_count + slot_count / 8 + 1;
    group->base = mem_realloc(MEM_WAL, group->base, capacity * sizeof *group->base);
    group->base_capacity = capacity;
}

void wal_encode_row(struct strbuf *body, const struct wal_row *row, struct wal_group *group,
                    uint32_t segment)
{
    assert(segment != 0);
    assert(row->sequence != 0);
    bool full = group->segment != segment;
    uint32_t known = full ? 0 : group->slot_count;
    assert(row->slot_count >= known);
    make_room(group, row->slot_count);
    if (row->slot_count > known)
        memset(group->base + known, 0, (row->slot_count - known) * sizeof *group->base);

    uint8_t flags = full ? WAL_ROW_FULL : 0;
    if (row->sample_count == row->slot_count)
        flags |= WAL_ROW_ALL;
    else if (row->sample_count < row->slot_count / 16)
        flags |= WAL_ROW_LIST;
    if (row->histogram_count > 0 || row->start_count > 0)
        flags |= WAL_ROW_EXTRAS;

    coding_put_u8(body, WAL_TAG_ROW);
    size_t size_at = body->size;
    coding_put_u32(body, 0);
    coding_put_uv(body, row->group);
    coding_put_u8(body, flags);
    coding_put_uv(body, row->sequence);
    coding_put_zv(body, row->t_ms);
    if (full) {
        coding_put_u64(body, row->source_key);
        coding_put_uv(body, row->lane);
        coding_put_uv(body, row->slot_count);
    } else {
        coding_put_uv(body, row->sequence - group->sequence);
        coding_put_uv(body, row->slot_count - known);
    }
    put_refs(body, row, known);
    put_presence(body, row, flags);
    put_values(body, row, group);
    if ((flags & WAL_ROW_EXTRAS) != 0)
        put_extras(body, row);
    coding_store_u32((uint8_t *)body->data + size_at, (uint32_t)(body->size - size_at - 4));

    group->segment = segment;
    group->slot_count = row->slot_count;
    group->sequence = row->sequence;
}
