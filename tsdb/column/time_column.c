#include "narthex/tsdb/time_column.h"

#include <assert.h>

#include "int_stream.h"

enum time_form { TIME_FORM_STEP = 0, TIME_FORM_STREAM = 1, TIME_FORM_RAW = 2, TIME_FORM_MASK = 7 };

size_t time_column_size_max(uint32_t row_count)
{
    return 1 + 2 * CODING_VARINT_MAX + row_count * sizeof(int64_t) + COLUMN_SLACK_BYTES;
}

static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool has_constant_step(const int64_t *times_ms, uint32_t row_count)
{
    for (uint32_t i = 2; i < row_count; i++)
        if (difference(times_ms[i], times_ms[i - 1]) != difference(times_ms[1], times_ms[0]))
            return false;
    return true;
}

size_t time_column_seal(const int64_t *times_ms, uint32_t row_count, uint8_t *out)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    uint8_t *at = out + 1;
    if (has_constant_step(times_ms, row_count)) {
        *out = TIME_FORM_STEP;
        at = column__put_zv(at, times_ms[0]);
        if (row_count > 1)
            at = column__put_zv(at, difference(times_ms[1], times_ms[0]));
        return (size_t)(at - out);
    }
    int64_t since_first[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < row_count; i++)
        since_first[i] = difference(times_ms[i], times_ms[0]);
    struct int_plan plan = int_plan_search(since_first, row_count, false);
    size_t raw_size = 1 + row_count * sizeof *times_ms;
    size_t head_size = 2 + column__uv_size(coding_zigzag(times_ms[0])) +
                       column__uv_size(coding_zigzag(since_first[row_count - 1]));
    if (head_size + plan.size_bits / 8 < raw_size) {
        *out = TIME_FORM_STREAM | int_plan_flags(&plan);
        at = column__put_zv(at, times_ms[0]);
        at = column__put_zv(at, since_first[row_count - 1]);
        *at++ = plan.zigzag;
        return (size_t)(int_plan_write(&plan, since_first, row_count, at) - out);
    }
    *out = TIME_FORM_RAW;
    memcpy(at, times_ms, row_count * sizeof *times_ms);
    return raw_size;
}

/* Reads what stands before the stream; step_ms is 0 in all other forms than the constant step. */
static err_t parse_head(struct byte_reader *reader, uint32_t row_count, uint8_t *byte0,
                        struct time_column_summary *summary)
{
    *byte0 = byte_reader_u8(reader);
    uint32_t form = *byte0 & TIME_FORM_MASK;
    *summary = (struct time_column_summary){0};
    if (form == TIME_FORM_RAW) {
        const uint8_t *raw = byte_reader_take(reader, row_count * sizeof(int64_t));
        if (reader->failed || *byte0 != TIME_FORM_RAW || reader->at != reader->end)
            return ERR_CORRUPT;
        summary->first_ms = (int64_t)column__load_u64(raw);
        summary->last_ms = (int64_t)column__load_u64(reader->at - sizeof(int64_t));
        return OK;
    }
    if (form > TIME_FORM_STREAM || (form == TIME_FORM_STEP && *byte0 != TIME_FORM_STEP))
        return ERR_CORRUPT;
    summary->first_ms = byte_reader_zv(reader);
    uint64_t span =
        row_count > 1 || form == TIME_FORM_STREAM ? (uint64_t)byte_reader_zv(reader) : 0;
    if (form == TIME_FORM_STEP) {
        summary->step_ms = (int64_t)span;
        span *= row_count - 1;
        if (reader->at != reader->end)
            return ERR_CORRUPT;
    }
    summary->last_ms = (int64_t)((uint64_t)summary->first_ms + span);
    return reader->failed ? ERR_CORRUPT : OK;
}

err_t time_column_peek(const uint8_t *in, size_t in_size, uint32_t row_count,
                       struct time_column_summary *summary)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    struct byte_reader reader = byte_reader_of(in, in_size);
    uint8_t byte0;
    return parse_head(&reader, row_count, &byte0, summary);
}

err_t time_column_decode(const uint8_t *in, size_t in_size, uint32_t row_count, int64_t *times_ms)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    struct byte_reader reader = byte_reader_of(in, in_size);
    uint8_t byte0;
    struct time_column_summary summary;
    TRY(parse_head(&reader, row_count, &byte0, &summary));
    uint64_t first = (uint64_t)summary.first_ms;
    switch (byte0 & TIME_FORM_MASK) {
    case TIME_FORM_STEP:
        for (uint32_t i = 0; i < row_count; i++)
            times_ms[i] = (int64_t)(first + i * (uint64_t)summary.step_ms);
        return OK;
    case TIME_FORM_RAW:
        memcpy(times_ms, in + 1, row_count * sizeof *times_ms);
        return OK;
    default:
        break;
    }
    uint8_t zigzag = byte_reader_u8(&reader);
    struct int_stream stream;
    if (zigzag > 1)
        return ERR_CORRUPT;
    TRY(int_stream_parse(&reader, byte0, zigzag, row_count, &stream));
    if (reader.at != reader.end)
        return ERR_CORRUPT;
    int64_t since_first[COLUMN_ROWS_MAX];
    int_stream_decode(&stream, since_first);
    for (uint32_t i = 0; i < row_count; i++)
        times_ms[i] = (int64_t)(first + (uint64_t)since_first[i]);
    return times_ms[row_count - 1] == summary.last_ms ? OK : ERR_CORRUPT;
}
