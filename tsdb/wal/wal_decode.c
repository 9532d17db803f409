/* Bodies of records, read back. Any bytes are safe. */
#include <assert.h>
#include <string.h>

#include "narthex/base/arena.h"
#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/vec.h"
#include "wal_format.h"

struct decoded_group {
    uint32_t id;
    uint32_t lane;
    uint64_t source_key;
    uint64_t sequence; /* of the last row; 0: nothing known, wait for a full row */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t *refs;
    struct wal_base base;
};

struct wal_decoder {
    struct htable by_id;
    struct decoded_group *groups;
    uint32_t group_count;
    uint32_t group_capacity;
    struct wal_scratch scratch; /* of the row being read */
    struct label labels[WAL_LABELS_MAX];
};

struct wal_decoder *wal__decoder_create(void)
{
    struct wal_decoder *decoder = MEM_NEW(MEM_WAL, struct wal_decoder);
    htable_init(&decoder->by_id, MEM_WAL);
    return decoder;
}

/* Forgets all groups: at the start of each file. */
static void decoder_reset(struct wal_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->group_count; i++) {
        mem_free(MEM_WAL, decoder->groups[i].refs);
        wal_base_deinit(&decoder->groups[i].base);
    }
    decoder->group_count = 0;
    htable_clear(&decoder->by_id);
}

void wal__decoder_destroy(struct wal_decoder *decoder)
{
    decoder_reset(decoder);
    htable_deinit(&decoder->by_id);
    mem_free(MEM_WAL, decoder->groups);
    wal_scratch_deinit(&decoder->scratch);
    mem_free(MEM_WAL, decoder);
}

void wal_base_deinit(struct wal_base *base)
{
    mem_free(MEM_WAL, base->values);
    *base = (struct wal_base){0};
}

void wal_scratch_deinit(struct wal_scratch *scratch)
{
    mem_free(MEM_WAL, scratch->slots);
    mem_free(MEM_WAL, scratch->values);
    mem_free(MEM_WAL, scratch->histograms);
    mem_free(MEM_WAL, scratch->starts);
    *scratch = (struct wal_scratch){0};
}

static bool group_has_id(const void *owner, uint32_t item, const void *key)
{
    const struct wal_decoder *decoder = owner;
    return decoder->groups[item].id == *(const uint32_t *)key;
}

static struct decoded_group *find_group(struct wal_decoder *decoder, uint32_t id)
{
    uint64_t hash = hash_mix(0, id);
    uint32_t item = htable_find(&decoder->by_id, hash, group_has_id, decoder, &id);
    if (item == HTABLE_NONE) {
        item = decoder->group_count;
        VEC_PUSH(MEM_WAL, decoder->groups, decoder->group_count, decoder->group_capacity,
                 (struct decoded_group){.id = id});
        htable_insert(&decoder->by_id, hash, item);
    }
    return &decoder->groups[item];
}

static struct labels read_labels(struct wal_decoder *decoder, struct byte_reader *in)
{
    uint32_t count = (uint32_t)byte_reader_uv_max(in, WAL_LABELS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        decoder->labels[i].name = byte_reader_str(in);
        decoder->labels[i].value = byte_reader_str(in);
    }
    return (struct labels){decoder->labels, in->failed ? 0 : count};
}

/* Adds `count` slots to the table. Every slot costs at least a byte, so `count` is bounded by the
 * record. */
static void read_refs(struct byte_reader *in, struct decoded_group *group, uint32_t count)
{
    uint32_t wanted = group->slot_count + count;
    if (wanted > group->slot_capacity) {
        group->slot_capacity = wanted + wanted / 4;
        group->refs = mem_realloc(MEM_WAL, group->refs, group->slot_capacity * sizeof *group->refs);
    }
    int64_t ref = 0;
    for (uint32_t i = 0; i < count; i++) {
        ref = (int64_t)((uint64_t)ref + (uint64_t)byte_reader_zv(in));
        if (ref < 0 || ref > UINT32_MAX) {
            in->failed = true;
            return;
        }
        group->refs[group->slot_count + i] = (uint32_t)ref;
    }
    group->slot_count = wanted;
}

static void read_presence(struct byte_reader *in, const struct wal_raw_row *raw,
                          struct wal_scratch *scratch, struct wal_row *row)
{
    uint32_t slot_count = raw->slot_count;
    VEC_RESERVE(MEM_WAL, scratch->slots, scratch->slots_capacity, slot_count + 1);
    VEC_RESERVE(MEM_WAL, scratch->values, scratch->values_capacity, slot_count + 1);
    uint32_t count = 0;
    if ((raw->flags & WAL_ROW_ALL) != 0) {
        for (; count < slot_count; count++)
            scratch->slots[count] = count;
    } else if ((raw->flags & WAL_ROW_LIST) != 0) {
        uint32_t wanted = (uint32_t)byte_reader_uv_max(in, slot_count);
        uint64_t next = 0;
        for (; count < wanted; count++) {
            next += byte_reader_uv_max(in, slot_count);
            if (in->failed || next >= slot_count) {
                in->failed = true;
                return;
            }
            scratch->slots[count] = (uint32_t)next++;
        }
    } else {
        const uint8_t *bitmap = byte_reader_take(in, ((size_t)slot_count + 7) / 8);
        for (uint32_t i = 0; bitmap != NULL && i < slot_count; i++) {
            if ((bitmap[i / 8] >> (i % 8) & 1) != 0)
                scratch->slots[count++] = i;
        }
    }
    row->slots = scratch->slots;
    row->sample_count = count;
}

static void read_values(struct byte_reader *in, struct wal_scratch *scratch, struct wal_base *base,
                        struct wal_row *row)
{
    const uint8_t *changed = byte_reader_take(in, ((size_t)row->sample_count + 7) / 8);
    for (uint32_t i = 0; i < row->sample_count && !in->failed; i++) {
        uint64_t *last = &base->values[row->slots[i]];
        if ((changed[i / 8] >> (i % 8) & 1) != 0)
            *last = byte_reader_change(in, *last);
        memcpy(&scratch->values[i], last, sizeof *last);
    }
    row->values = scratch->values;
}

static void read_extras(struct byte_reader *in, struct wal_scratch *scratch, struct wal_row *row)
{
    uint32_t count = (uint32_t)byte_reader_uv_max(in, row->slot_count);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        uint32_t slot = (uint32_t)byte_reader_uv_max(in, row->slot_count - 1);
        struct str bytes = byte_reader_str(in);
        VEC_PUSH(MEM_WAL, scratch->histograms, row->histogram_count, scratch->histogram_capacity,
                 (struct wal_histogram){slot, bytes});
    }
    count = (uint32_t)byte_reader_uv_max(in, row->slot_count);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        uint32_t slot = (uint32_t)byte_reader_uv_max(in, row->slot_count - 1);
        int64_t start = (int64_t)((uint64_t)row->t_ms - (uint64_t)byte_reader_zv(in));
        VEC_PUSH(MEM_WAL, scratch->starts, row->start_count, scratch->start_capacity,
                 (struct wal_start){slot, start});
    }
    row->histograms = scratch->histograms;
    row->starts = scratch->starts;
}

err_t wal_raw_row_decode(const struct wal_raw_row *raw, struct wal_base *base,
                         struct wal_scratch *scratch, struct wal_row *row, struct strbuf *why)
{
    struct byte_reader in = byte_reader_of(raw->data, raw->size);
    if (raw->full)
        base->count = 0;
    assert(raw->slot_count >= base->count);
    VEC_RESERVE(MEM_WAL, base->values, base->capacity, raw->slot_count);
    if (raw->slot_count > base->count)
        memset(base->values + base->count, 0,
               (raw->slot_count - base->count) * sizeof *base->values);
    base->count = raw->slot_count;
    row->slot_count = raw->slot_count;
    row->sequence = raw->sequence;
    row->t_ms = raw->t_ms;
    row->sample_count = 0;
    row->histogram_count = 0;
    row->start_count = 0;
    read_presence(&in, raw, scratch, row);
    read_values(&in, scratch, base, row);
    if ((raw->flags & WAL_ROW_EXTRAS) != 0 && row->slot_count > 0 && !in.failed)
        read_extras(&in, scratch, row);
    if (in.failed || in.at != in.end)
        return err_fail(why, ERR_CORRUPT, "malformed row");
    return OK;
}

/* Reads a row up to its samples; *group_at is NULL when the rows before it are missing. */
static err_t read_row_head(struct wal_decoder *decoder, struct byte_reader *in,
                           struct decoded_group **group_at, struct wal_row *row,
                           struct wal_raw_row *raw, struct wal_replay_result *result,
                           struct strbuf *why)
{
    struct decoded_group *group = find_group(decoder, (uint32_t)byte_reader_uv_max(in, UINT32_MAX));
    *group_at = NULL;
    raw->flags = byte_reader_u8(in);
    raw->full = (raw->flags & WAL_ROW_FULL) != 0;
    *row = (struct wal_row){.group = group->id, .sequence = byte_reader_uv(in)};
    row->t_ms = byte_reader_zv(in);
    if ((raw->flags & ~WAL_ROW_FLAGS_KNOWN) != 0 || row->sequence == 0)
        in->failed = true;
    if (raw->full) {
        group->source_key = byte_reader_u64(in);
        group->lane = (uint32_t)byte_reader_uv_max(in, UINT32_MAX);
        group->slot_count = 0;
    } else {
        uint64_t back = byte_reader_uv(in);
        if (!in->failed && (group->sequence == 0 || row->sequence - back != group->sequence)) {
            group->sequence = 0;
            result->skipped_rows++;
            return OK;
        }
    }
    group->sequence = 0; /* until the row has been read whole */
    uint64_t slots_max = byte_reader_left(in);
    if (slots_max > WAL_SLOTS_MAX - group->slot_count)
        slots_max = WAL_SLOTS_MAX - group->slot_count;
    read_refs(in, group, (uint32_t)byte_reader_uv_max(in, slots_max));
    if (in->failed)
        return err_fail(why, ERR_CORRUPT, "malformed row");
    row->slot_count = group->slot_count;
    row->lane = group->lane;
    row->source_key = group->source_key;
    row->slot_refs = group->refs;
    raw->sequence = row->sequence;
    raw->t_ms = row->t_ms;
    raw->slot_count = row->slot_count;
    raw->data = in->at;
    raw->size = byte_reader_left(in);
    *group_at = group;
    return OK;
}

static err_t read_row(struct wal_decoder *decoder, struct byte_reader *body,
                      const struct wal_handler *handler, struct wal_replay_result *result,
                      int64_t *max_t_ms, struct strbuf *why)
{
    size_t size = byte_reader_u32(body);
    const uint8_t *bytes = byte_reader_take(body, size);
    struct byte_reader in = byte_reader_of(bytes, bytes == NULL ? 0 : size);
    struct decoded_group *group;
    struct wal_row row;
    struct wal_raw_row raw;
    TRY(read_row_head(decoder, &in, &group, &row, &raw, result, why));
    if (group == NULL)
        return OK;
    if (handler->raw_row == NULL)
        TRY(wal_raw_row_decode(&raw, &group->base, &decoder->scratch, &row, why));
    group->sequence = row.sequence;
    if (row.t_ms > *max_t_ms)
        *max_t_ms = row.t_ms;
    result->row_count++;
    result->sample_count += row.sample_count + row.histogram_count;
    if (handler->raw_row != NULL)
        return handler->raw_row(handler->context, &row, &raw, why);
    return handler->row == NULL ? OK : handler->row(handler->context, &row, why);
}

static err_t read_exemplar(struct wal_decoder *decoder, struct byte_reader *in,
                           const struct wal_handler *handler, struct strbuf *why)
{
    uint64_t ref = byte_reader_uv(in);
    int64_t t_ms = byte_reader_zv(in);
    double value = byte_reader_double(in);
    struct labels labels = read_labels(decoder, in);
    if (in->failed || handler->exemplar == NULL)
        return OK;
    return handler->exemplar(handler->context, ref, t_ms, value, labels, why);
}

static err_t read_metadata(struct byte_reader *in, const struct wal_handler *handler,
                           struct strbuf *why)
{
    uint64_t ref = byte_reader_uv(in);
    uint8_t type = byte_reader_u8(in);
    struct str help = byte_reader_str(in);
    struct str unit = byte_reader_str(in);
    if (in->failed || handler->metadata == NULL)
        return OK;
    return handler->metadata(handler->context, ref, type, help, unit, why);
}

static err_t read_series(struct wal_decoder *decoder, struct byte_reader *in,
                         const struct wal_handler *handler, struct strbuf *why)
{
    uint64_t ref = byte_reader_uv_max(in, UINT32_MAX);
    struct labels labels = read_labels(decoder, in);
    if (ref == 0)
        in->failed = true;
    if (in->failed || handler->series == NULL)
        return OK;
    return handler->series(handler->context, ref, labels, why);
}

static err_t read_deletion(struct byte_reader *in, const struct wal_handler *handler,
                           struct strbuf *why)
{
    uint64_t ref = byte_reader_uv(in);
    int64_t min_t_ms = byte_reader_zv(in);
    int64_t max_t_ms = byte_reader_zv(in);
    if (in->failed || handler->deletion == NULL)
        return OK;
    return handler->deletion(handler->context, ref, min_t_ms, max_t_ms, why);
}

static err_t read_late(struct byte_reader *in, const struct wal_handler *handler,
                       struct wal_replay_result *result, struct strbuf *why)
{
    struct wal_late sample = {0};
    uint64_t count = byte_reader_uv_max(in, byte_reader_left(in));
    for (uint64_t i = 0; i < count; i++) {
        uint8_t flags = byte_reader_u8(in);
        sample.number += byte_reader_uv(in);
        sample.ref += (uint64_t)byte_reader_zv(in);
        sample.t_ms = (int64_t)((uint64_t)sample.t_ms + (uint64_t)byte_reader_zv(in));
        sample.histogram = (struct str){NULL, 0};
        sample.value = 0;
        if ((flags & WAL_LATE_HISTOGRAM) != 0)
            sample.histogram = byte_reader_str(in);
        else
            sample.value = byte_reader_double(in);
        sample.start_t_ms = 0;
        if ((flags & WAL_LATE_START) != 0)
            sample.start_t_ms = (int64_t)((uint64_t)sample.t_ms - (uint64_t)byte_reader_zv(in));
        if ((flags & ~WAL_LATE_FLAGS_KNOWN) != 0 || sample.number == 0 ||
            ((flags & WAL_LATE_HISTOGRAM) != 0 && sample.histogram.size == 0))
            in->failed = true;
        if (in->failed)
            return OK; /* the caller says so */
        result->sample_count++;
        if (handler->late != NULL)
            TRY(handler->late(handler->context, &sample, why));
    }
    return OK;
}

err_t wal__decode_body(struct wal_decoder *decoder, const void *body, size_t size,
                       const struct wal_handler *handler, struct wal_replay_result *result,
                       int64_t *max_t_ms, bool *complete, struct strbuf *why)
{
    struct byte_reader in = byte_reader_of(body, size);
    while (in.at < in.end && !in.failed) {
        err_t err = OK;
        int64_t t_ms;
        uint64_t number;
        switch (byte_reader_u8(&in)) {
        case WAL_TAG_SERIES:
            err = read_series(decoder, &in, handler, why);
            break;
        case WAL_TAG_ROW:
            err = read_row(decoder, &in, handler, result, max_t_ms, why);
            break;
        case WAL_TAG_EXEMPLAR:
            err = read_exemplar(decoder, &in, handler, why);
            break;
        case WAL_TAG_METADATA:
            err = read_metadata(&in, handler, why);
            break;
        case WAL_TAG_DELETION:
            err = read_deletion(&in, handler, why);
            break;
        case WAL_TAG_CUT:
            t_ms = byte_reader_zv(&in);
            if (!in.failed && handler->cut != NULL)
                err = handler->cut(handler->context, t_ms, why);
            break;
        case WAL_TAG_LATE:
            err = read_late(&in, handler, result, why);
            break;
        case WAL_TAG_LATE_FLUSHED:
            number = byte_reader_uv(&in);
            if (!in.failed && handler->late_flushed != NULL)
                err = handler->late_flushed(handler->context, number, why);
            break;
        case WAL_TAG_END:
            *complete = true;
            break;
        default:
            in.failed = true;
        }
        if (err != OK)
            return err;
    }
    return in.failed ? err_fail(why, ERR_CORRUPT, "malformed record") : OK;
}
