#include "narthex/tsdb/histogram_codec.h"

#include <assert.h>

#include "narthex/base/coding.h"

enum { SPANS_MAX = 1 << 16, BUCKETS_MAX = 1 << 20 };

static_assert(SPANS_MAX * 2 >= HISTOGRAM_STORED_BYTES_MAX &&
                  (int)BUCKETS_MAX >= (int)HISTOGRAM_STORED_BYTES_MAX,
              "whatever is stored can be read: a span takes two bytes at least, a bucket one");

static void put_count(struct strbuf *out, enum histogram_kind kind, union histogram_count count)
{
    if (kind == HISTOGRAM_INTEGER)
        coding_put_uv(out, count.i);
    else
        coding_put_double(out, count.f);
}

static void put_side(struct strbuf *out, enum histogram_kind kind,
                     const struct histogram_side *side)
{
    coding_put_uv(out, side->span_count);
    for (uint32_t i = 0; i < side->span_count; i++) {
        coding_put_zv(out, side->spans[i].offset);
        coding_put_uv(out, side->spans[i].length);
    }
    coding_put_uv(out, side->bucket_count);
    for (uint32_t i = 0; i < side->bucket_count; i++)
        put_count(out, kind, side->counts[i]);
}

void histogram_encode(struct strbuf *out, const struct histogram *histogram)
{
    enum histogram_kind kind = histogram->kind;
    coding_put_u8(out, (uint8_t)((unsigned)kind | (unsigned)histogram->hint << 1));
    coding_put_zv(out, histogram->schema);
    coding_put_double(out, histogram->zero_threshold);
    put_count(out, kind, histogram->zero_count);
    put_count(out, kind, histogram->count);
    coding_put_double(out, histogram->sum);
    put_side(out, kind, &histogram->positive);
    put_side(out, kind, &histogram->negative);
    coding_put_uv(out, histogram->custom_value_count);
    for (uint32_t i = 0; i < histogram->custom_value_count; i++)
        coding_put_double(out, histogram->custom_values[i]);
}

static union histogram_count get_count(struct byte_reader *in, enum histogram_kind kind)
{
    union histogram_count count;
    if (kind == HISTOGRAM_INTEGER)
        count.i = byte_reader_uv(in);
    else
        count.f = byte_reader_double(in);
    return count;
}

/* At most as many elements as bytes are left, each being a byte at least. */
static uint32_t get_length(struct byte_reader *in, uint32_t max)
{
    size_t left = byte_reader_left(in);
    return (uint32_t)byte_reader_uv_max(in, left < max ? left : max);
}

static void get_side(struct byte_reader *in, enum histogram_kind kind, struct arena *arena,
                     struct histogram_side *side)
{
    uint32_t span_count = get_length(in, SPANS_MAX);
    struct histogram_span *spans = ARENA_NEW_ARRAY(arena, struct histogram_span, span_count);
    for (uint32_t i = 0; i < span_count; i++) {
        int64_t offset = byte_reader_zv(in);
        if (offset < INT32_MIN || offset > INT32_MAX)
            in->failed = true;
        spans[i].offset = (int32_t)offset;
        spans[i].length = (uint32_t)byte_reader_uv_max(in, UINT32_MAX);
    }
    uint32_t bucket_count = get_length(in, BUCKETS_MAX);
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, bucket_count);
    for (uint32_t i = 0; i < bucket_count; i++)
        counts[i] = get_count(in, kind);
    *side = (struct histogram_side){spans, counts, span_count, bucket_count};
}

err_t histogram_decode(struct str bytes, struct arena *arena, struct histogram *histogram,
                       struct strbuf *why)
{
    struct byte_reader in = byte_reader_of(bytes.data, bytes.size);
    uint8_t first = byte_reader_u8(&in);
    *histogram = (struct histogram){.kind = (enum histogram_kind)(first & 1),
                                    .hint = (enum histogram_hint)(first >> 1 & 3)};
    if (first > 7)
        in.failed = true;
    int64_t schema = byte_reader_zv(&in);
    if (schema < INT8_MIN || schema > INT8_MAX)
        in.failed = true;
    histogram->schema = (int32_t)schema;
    histogram->zero_threshold = byte_reader_double(&in);
    histogram->zero_count = get_count(&in, histogram->kind);
    histogram->count = get_count(&in, histogram->kind);
    histogram->sum = byte_reader_double(&in);
    get_side(&in, histogram->kind, arena, &histogram->positive);
    get_side(&in, histogram->kind, arena, &histogram->negative);
    uint32_t custom_count = get_length(&in, BUCKETS_MAX);
    double *custom = ARENA_NEW_ARRAY(arena, double, custom_count);
    for (uint32_t i = 0; i < custom_count; i++)
        custom[i] = byte_reader_double(&in);
    histogram->custom_values = custom;
    histogram->custom_value_count = custom_count;
    if (in.failed || in.at != in.end)
        return err_fail(why, ERR_CORRUPT, "malformed histogram");
    return OK;
}
