#include "int_stream.h"

#include <assert.h>

#include "column_kernels.h"

static size_t bits_to_bytes(size_t bits)
{
    return (bits + 7) / 8;
}

static void parse_exceptions(struct byte_reader *reader, struct int_stream *stream)
{
    uint32_t count = column__get_u8(reader);
    if (count == 0 || count > stream->residual_count)
        reader->failed = true;
    stream->exception_count = (uint8_t)count;
    stream->exceptions = reader->at;
    int32_t previous = -1;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        int32_t position = column__get_u8(reader);
        column__get_uv(reader);
        if (position <= previous || position >= stream->residual_count)
            reader->failed = true;
        previous = position;
    }
}

/* Bits set among the first `count` bits. */
static uint32_t count_bits(const uint8_t *bitmap, uint32_t count)
{
    uint32_t sum = 0;
    uint32_t i = 0;
    for (; i + 64 <= count; i += 64)
        sum += (uint32_t)__builtin_popcountll(column__load_u64(bitmap + i / 8));
    if (i < count)
        sum += (uint32_t)__builtin_popcountll(column__load_u64(bitmap + i / 8) &
                                              ((UINT64_C(1) << (count - i)) - 1));
    return sum;
}

/* Finds the end of the unary part: residual_count ones, runs of zeros within the limit. */
static void parse_quotients(struct byte_reader *reader, struct int_stream *stream)
{
    stream->quotients = reader->at;
    size_t bit_count = (size_t)(reader->end - reader->at) * 8;
    size_t bit = 0;
    for (uint32_t i = 0; i < stream->residual_count; i++) {
        uint32_t zeros = 0;
        for (;; bit++, zeros++) {
            if (bit >= bit_count || zeros > STREAM_RICE_QUOTIENT_MAX) {
                reader->failed = true;
                return;
            }
            if (stream->quotients[bit / 8] >> (bit % 8) & 1)
                break;
        }
        bit++;
    }
    reader->at += bits_to_bytes(bit);
}

static void parse_body(struct byte_reader *reader, struct int_stream *stream)
{
    uint32_t residual_count = stream->residual_count;
    if (stream->form != INT_STREAM_DUAL) {
        stream->large =
            column__get_bytes(reader, bits_to_bytes((size_t)residual_count * stream->width));
        if (stream->form == INT_STREAM_RICE && !reader->failed)
            parse_quotients(reader, stream);
        return;
    }
    stream->bitmap = column__get_bytes(reader, bits_to_bytes(residual_count));
    if (reader->failed)
        return;
    stream->large_count = (uint16_t)count_bits(stream->bitmap, residual_count);
    uint32_t small_count = residual_count - stream->large_count;
    stream->small =
        column__get_bytes(reader, bits_to_bytes((size_t)small_count * stream->width_small));
    stream->large =
        column__get_bytes(reader, bits_to_bytes((size_t)stream->large_count * stream->width));
}

err_t int_stream_parse(struct byte_reader *reader, uint8_t flags, bool zigzag, uint32_t count,
                       struct int_stream *stream)
{
    assert(count >= 1 && count <= COLUMN_ROWS_MAX);
    stream->predictor = flags >> STREAM_PREDICTOR_SHIFT & STREAM_PREDICTOR_MASK;
    stream->zigzag = zigzag;
    stream->count = (uint16_t)count;
    if (stream->predictor > 2 || (stream->predictor == 2 && count < 2))
        return ERR_CORRUPT;
    stream->residual_count = (uint16_t)(count - 1 - (stream->predictor == 2));

    uint32_t width_byte = column__get_u8(reader);
    stream->width = width_byte & STREAM_WIDTH_MASK;
    stream->form = INT_STREAM_PACKED;
    stream->width_small = 0;
    if (width_byte & STREAM_RICE) {
        stream->form = INT_STREAM_RICE;
        if (!(flags & STREAM_SPLIT) || stream->width > STREAM_RICE_WIDTH_MAX)
            return ERR_CORRUPT;
    } else if (flags & STREAM_SPLIT) {
        stream->form = INT_STREAM_DUAL;
        stream->width_small = column__get_u8(reader);
        if (stream->width_small >= stream->width)
            return ERR_CORRUPT;
    }
    if (stream->width > 64)
        return ERR_CORRUPT;

    stream->first = (uint64_t)column__get_zv(reader);
    stream->gcd = flags & STREAM_GCD ? column__get_uv(reader) : 1;
    if (stream->gcd < 1 + (uint32_t)((flags & STREAM_GCD) != 0))
        return ERR_CORRUPT;
    stream->centre = (uint64_t)column__get_zv(reader);
    stream->first_difference = stream->predictor == 2 ? (uint64_t)column__get_zv(reader) : 0;
    stream->exception_count = 0;
    if (flags & STREAM_EXCEPTIONS)
        parse_exceptions(reader, stream);
    if (!reader->failed)
        parse_body(reader, stream);
    stream->end = reader->at;
    return reader->failed ? ERR_CORRUPT : OK;
}

static void merge_classes(const struct int_stream *stream, const uint64_t *small,
                          const uint64_t *large, uint64_t *out)
{
    for (uint32_t i = 0; i < stream->residual_count; i++) {
        if (stream->bitmap[i / 8] >> (i % 8) & 1)
            out[i] = *large++;
        else
            out[i] = *small++;
    }
}

static void add_quotients(const struct int_stream *stream, uint64_t *out)
{
    size_t bit = 0;
    for (uint32_t i = 0; i < stream->residual_count; i++) {
        uint64_t window = column__load_u64(stream->quotients + bit / 8) >> (bit % 8);
        uint32_t quotient = (uint32_t)__builtin_ctzll(window);
        out[i] += (uint64_t)quotient << stream->width;
        bit += quotient + 1;
    }
}

/* The numbers of the body, before zigzag and exceptions. */
static void unpack_body(const struct int_stream *stream, uint64_t *out)
{
    uint32_t count = stream->residual_count;
    switch ((enum int_stream_form)stream->form) {
    case INT_STREAM_PACKED:
        column__kernels->unpack64(stream->large, count, stream->width, out);
        break;
    case INT_STREAM_DUAL: {
        uint64_t small[COLUMN_ROWS_MAX], large[COLUMN_ROWS_MAX];
        column__kernels->unpack64(stream->small, count - stream->large_count, stream->width_small,
                                  small);
        column__kernels->unpack64(stream->large, stream->large_count, stream->width, large);
        merge_classes(stream, small, large, out);
        break;
    }
    case INT_STREAM_RICE:
        column__kernels->unpack64(stream->large, count, stream->width, out);
        add_quotients(stream, out);
        break;
    }
}

static void residuals_of(const struct int_stream *stream, uint64_t *out)
{
    unpack_body(stream, out);
    if (stream->zigzag)
        for (uint32_t i = 0; i < stream->residual_count; i++)
            out[i] = (uint64_t)column__unzigzag(out[i]);
    struct byte_reader reader = {.at = stream->exceptions, .end = stream->end};
    for (uint32_t i = 0; i < stream->exception_count; i++) {
        uint32_t position = column__get_u8(&reader);
        out[position] += (uint64_t)column__get_zv(&reader);
    }
}

void int_stream_decode(const struct int_stream *stream, int64_t *out)
{
    uint64_t residuals[COLUMN_ROWS_MAX];
    residuals_of(stream, residuals);
    uint64_t m = stream->first;
    uint64_t gcd = stream->gcd;
    uint64_t centre = stream->centre;
    uint64_t difference = stream->first_difference;
    *out++ = (int64_t)m;
    switch (stream->predictor) {
    case 0:
        for (uint32_t i = 0; i < stream->residual_count; i++)
            out[i] = (int64_t)(m + gcd * (residuals[i] + centre));
        break;
    case 1:
        for (uint32_t i = 0; i < stream->residual_count; i++) {
            m += gcd * (residuals[i] + centre);
            out[i] = (int64_t)m;
        }
        break;
    default:
        m += gcd * difference;
        *out++ = (int64_t)m;
        for (uint32_t i = 0; i < stream->residual_count; i++) {
            difference += residuals[i] + centre;
            m += gcd * difference;
            out[i] = (int64_t)m;
        }
    }
}
