#include "int_stream.h"

#include <assert.h>

#include "column_kernels.h"

enum { NUMBERS_MAX = COLUMN_ROWS_MAX + 2 * COLUMN_NUMBERS_SLACK };

static size_t bits_to_bytes(size_t bits)
{
    return (bits + 7) / 8;
}

static void parse_exceptions(struct byte_reader *reader, struct int_stream *stream)
{
    uint32_t count = byte_reader_u8(reader);
    if (count == 0 || count > stream->residual_count)
        reader->failed = true;
    stream->exception_count = (uint8_t)count;
    stream->exceptions = reader->at;
    int32_t previous = -1;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        int32_t position = byte_reader_u8(reader);
        byte_reader_uv(reader);
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

/* Reads the unary part, a word at a time: the gaps between one bits. */
static void parse_quotients(struct byte_reader *reader, struct int_stream *stream)
{
    const uint8_t *at = reader->at;
    int32_t start = 0; /* bit after the last one, relative to `at` */
    for (uint32_t i = 0; i < stream->residual_count; at += 8) {
        if (at >= reader->end) {
            reader->failed = true;
            return;
        }
        uint64_t ones = column__load_u64(at);
        if (reader->end - at < 8)
            ones &= (UINT64_C(1) << (8 * (reader->end - at))) - 1;
        for (; ones != 0 && i < stream->residual_count; ones &= ones - 1) {
            int32_t bit = __builtin_ctzll(ones);
            if (bit - start > STREAM_RICE_QUOTIENT_MAX) {
                reader->failed = true;
                return;
            }
            stream->quotients[i++] = (uint8_t)(bit - start);
            start = bit + 1;
        }
        start -= 64;
    }
    reader->at += bits_to_bytes((size_t)(8 * (at - reader->at) + start));
}

static void parse_body(struct byte_reader *reader, struct int_stream *stream)
{
    uint32_t residual_count = stream->residual_count;
    if (stream->form != INT_STREAM_DUAL) {
        stream->large =
            byte_reader_take(reader, bits_to_bytes((size_t)residual_count * stream->width));
        if (stream->form == INT_STREAM_RICE && !reader->failed)
            parse_quotients(reader, stream);
        return;
    }
    stream->bitmap = byte_reader_take(reader, bits_to_bytes(residual_count));
    if (reader->failed)
        return;
    stream->large_count = (uint16_t)count_bits(stream->bitmap, residual_count);
    uint32_t small_count = residual_count - stream->large_count;
    stream->small =
        byte_reader_take(reader, bits_to_bytes((size_t)small_count * stream->width_small));
    stream->large =
        byte_reader_take(reader, bits_to_bytes((size_t)stream->large_count * stream->width));
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

    uint32_t width_byte = byte_reader_u8(reader);
    stream->width = width_byte & STREAM_WIDTH_MASK;
    stream->form = INT_STREAM_PACKED;
    stream->width_small = 0;
    if (width_byte & STREAM_RICE) {
        stream->form = INT_STREAM_RICE;
        if (!(flags & STREAM_SPLIT) || stream->width > STREAM_RICE_WIDTH_MAX)
            return ERR_CORRUPT;
    } else if (flags & STREAM_SPLIT) {
        stream->form = INT_STREAM_DUAL;
        stream->width_small = byte_reader_u8(reader);
        if (stream->width_small >= stream->width)
            return ERR_CORRUPT;
    }
    if (stream->width > 64)
        return ERR_CORRUPT;

    stream->first = (uint64_t)byte_reader_zv(reader);
    stream->gcd = flags & STREAM_GCD ? byte_reader_uv(reader) : 1;
    if (stream->gcd < 1 + (uint32_t)((flags & STREAM_GCD) != 0))
        return ERR_CORRUPT;
    stream->centre = (uint64_t)byte_reader_zv(reader);
    stream->first_difference = stream->predictor == 2 ? (uint64_t)byte_reader_zv(reader) : 0;
    stream->exception_count = 0;
    if (flags & STREAM_EXCEPTIONS)
        parse_exceptions(reader, stream);
    if (!reader->failed)
        parse_body(reader, stream);
    stream->end = reader->at;
    return reader->failed ? ERR_CORRUPT : OK;
}

static void unpack64(const uint8_t *in, uint32_t count, uint32_t width, uint64_t *out)
{
    if (width == 0) {
        memset(out, 0, count * sizeof *out);
        return;
    }
    uint64_t mask = ~UINT64_C(0) >> (64 - width);
    size_t bit = 0;
    if (width <= 57) {
        for (uint32_t i = 0; i < count; i++, bit += width)
            out[i] = column__load_u64(in + bit / 8) >> (bit % 8) & mask;
        return;
    }
    for (uint32_t i = 0; i < count; i++, bit += width) {
        uint64_t low = column__load_u64(in + bit / 8) >> (bit % 8);
        /* Shift in two steps: one of 64 would be undefined when the value starts a byte. */
        uint64_t high = (uint64_t)in[bit / 8 + 8] << 1 << (63 - bit % 8);
        out[i] = (low | high) & mask;
    }
}

/* No branch on the bits: they are as good as random. */
static void merge64(const uint8_t *bitmap, uint32_t count, const uint64_t *small,
                    const uint64_t *large, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bit = bitmap[i / 8] >> (i % 8) & 1;
        uint64_t mask = 0 - (uint64_t)bit;
        out[i] = (*large & mask) | (*small & ~mask);
        large += bit;
        small += 1 - bit;
    }
}

/* The numbers of the body as 32-bit, before zigzag and exceptions; widths are narrow. */
static void unpack_narrow(const struct int_stream *stream, uint32_t *out)
{
    const struct column_kernels *kernels = column__kernels;
    uint32_t count = stream->residual_count;
    if (stream->form != INT_STREAM_DUAL) {
        kernels->unpack32(stream->large, count, stream->width, out);
        if (stream->form == INT_STREAM_RICE)
            for (uint32_t i = 0; i < count; i++)
                out[i] += (uint32_t)stream->quotients[i] << stream->width;
        return;
    }
    uint32_t small[NUMBERS_MAX], large[NUMBERS_MAX];
    uint32_t small_count = count - stream->large_count;
    assert(stream->large_count <= count && count < COLUMN_ROWS_MAX);
    kernels->unpack32(stream->small, small_count, stream->width_small, small);
    kernels->unpack32(stream->large, stream->large_count, stream->width, large);
    kernels->merge32(stream->bitmap, count, small, large, out);
}

static bool is_narrow(const struct int_stream *stream)
{
    return stream->width <= COLUMN_NARROW_WIDTH_MAX;
}

/* The numbers of the body, before zigzag and exceptions. */
static void unpack_body(const struct int_stream *stream, uint64_t *out)
{
    uint32_t count = stream->residual_count;
    if (is_narrow(stream)) {
        uint32_t narrow[NUMBERS_MAX];
        unpack_narrow(stream, narrow);
        for (uint32_t i = 0; i < count; i++)
            out[i] = narrow[i];
    } else if (stream->form == INT_STREAM_DUAL) {
        /* One more of each is looked at when a class has no number left. */
        uint64_t small[COLUMN_ROWS_MAX + 1], large[COLUMN_ROWS_MAX + 1];
        small[count - stream->large_count] = 0;
        large[stream->large_count] = 0;
        unpack64(stream->small, count - stream->large_count, stream->width_small, small);
        unpack64(stream->large, stream->large_count, stream->width, large);
        merge64(stream->bitmap, count, small, large, out);
    } else {
        unpack64(stream->large, count, stream->width, out);
    }
}

static void residuals_of(const struct int_stream *stream, uint64_t *out)
{
    unpack_body(stream, out);
    if (stream->zigzag)
        for (uint32_t i = 0; i < stream->residual_count; i++)
            out[i] = (uint64_t)coding_unzigzag(out[i]);
    struct byte_reader reader = {.at = stream->exceptions, .end = stream->end};
    for (uint32_t i = 0; i < stream->exception_count; i++) {
        uint32_t position = byte_reader_u8(&reader);
        assert(position < stream->residual_count);
        out[position] += (uint64_t)byte_reader_zv(&reader);
    }
}

/* Puts the exceptions where a 0 was stored. False if one is too wide for sums of eight in 32 bits
 * or cannot be told as a number: then the numbers are spoilt. */
static bool patch_narrow(const struct int_stream *stream, uint32_t *numbers)
{
    struct byte_reader reader = {.at = stream->exceptions, .end = stream->end};
    for (uint32_t i = 0; i < stream->exception_count; i++) {
        uint32_t position = byte_reader_u8(&reader);
        uint64_t x = byte_reader_uv(&reader);
        if (!stream->zigzag) {
            if (x & 1)
                return false;
            x >>= 1;
        }
        if (numbers[position] != 0 || x >> COLUMN_NARROW_WIDTH_MAX != 0)
            return false;
        numbers[position] = (uint32_t)x;
    }
    return true;
}

/* Where the numbers of a stream without exceptions are read from. */
enum number_source {
    NUMBERS_32,     /* an array of uint32_t */
    NUMBERS_64,     /* an array of uint64_t, zigzag undone */
    NUMBERS_PACKED, /* the body, of at most PACKED_WIDTH_MAX bits each */
};

enum { PACKED_WIDTH_MAX = 57 };

/* One pass from numbers to integers. Always inlined with constant source, zigzag and predictor: no
 * choice is left in the loop. */
static inline __attribute__((always_inline)) void sum_numbers(const struct int_stream *stream,
                                                              enum number_source source,
                                                              const void *numbers, bool zigzag,
                                                              uint32_t predictor, int64_t *out)
{
    uint64_t m = stream->first, difference = stream->first_difference;
    uint64_t mask = stream->width == 0 ? 0 : ~UINT64_C(0) >> (64 - stream->width);
    uint32_t count = stream->residual_count;
    const uint64_t gcd = stream->gcd, centre = stream->centre;
    size_t bit = 0;
    *out++ = (int64_t)m;
    if (predictor == 2) {
        m += gcd * difference;
        *out++ = (int64_t)m;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t u;
        if (source == NUMBERS_PACKED) {
            u = column__load_u64((const uint8_t *)numbers + bit / 8) >> (bit % 8) & mask;
            bit += stream->width;
        } else {
            u = source == NUMBERS_32 ? ((const uint32_t *)numbers)[i]
                                     : ((const uint64_t *)numbers)[i];
        }
        if (zigzag)
            u = (uint64_t)coding_unzigzag(u);
        u += centre;
        if (predictor == 0) {
            out[i] = (int64_t)(m + gcd * u);
            continue;
        }
        difference = predictor == 2 ? difference + u : u;
        m += gcd * difference;
        out[i] = (int64_t)m;
    }
}

static inline __attribute__((always_inline)) void sum_any(const struct int_stream *stream,
                                                          enum number_source source,
                                                          const void *numbers, bool zigzag,
                                                          int64_t *out)
{
    switch (stream->predictor) {
    case 0:
        sum_numbers(stream, source, numbers, zigzag, 0, out);
        break;
    case 1:
        sum_numbers(stream, source, numbers, zigzag, 1, out);
        break;
    default:
        sum_numbers(stream, source, numbers, zigzag, 2, out);
    }
}

void int_stream_decode(const struct int_stream *stream, int64_t *out)
{
    if (is_narrow(stream)) {
        uint32_t numbers[NUMBERS_MAX];
        unpack_narrow(stream, numbers);
        if (patch_narrow(stream, numbers)) {
            if (stream->zigzag)
                sum_any(stream, NUMBERS_32, numbers, true, out);
            else
                sum_any(stream, NUMBERS_32, numbers, false, out);
            return;
        }
    } else if (stream->form == INT_STREAM_PACKED && stream->exception_count == 0 &&
               stream->width <= PACKED_WIDTH_MAX) {
        if (stream->zigzag)
            sum_any(stream, NUMBERS_PACKED, stream->large, true, out);
        else
            sum_any(stream, NUMBERS_PACKED, stream->large, false, out);
        return;
    }
    uint64_t residuals[NUMBERS_MAX];
    residuals_of(stream, residuals);
    sum_any(stream, NUMBERS_64, residuals, false, out);
}

/* Quotients add up to 5 bits to a Rice stream's numbers. */
static bool fits_narrow(const struct int_stream *stream)
{
    uint32_t width = stream->width + (stream->form == INT_STREAM_RICE ? 5 : 0);
    return width <= COLUMN_NARROW_WIDTH_MAX;
}

void int_stream_decode_decimal(const struct int_stream *stream, double power, bool wide,
                               double *values)
{
    if (wide || stream->predictor == 2) {
        int64_t integers[COLUMN_ROWS_MAX];
        int_stream_decode(stream, integers);
        column__kernels->from_decimal(integers, stream->count, power, values);
        return;
    }
    struct column_line line = {
        .first = (int64_t)stream->first,
        .gcd = (int64_t)stream->gcd,
        .centre = (int64_t)stream->centre,
        .power = power,
        .predictor = stream->predictor,
        .zigzag = stream->zigzag,
    };
    values[0] = (double)line.first / power;
    uint32_t numbers[NUMBERS_MAX];
    if (fits_narrow(stream)) {
        unpack_narrow(stream, numbers);
        if (patch_narrow(stream, numbers)) {
            column__kernels->finish32(&line, numbers, stream->residual_count, values + 1);
            return;
        }
    }
    uint64_t residuals[NUMBERS_MAX];
    residuals_of(stream, residuals);
    column__kernels->finish64(&line, residuals, stream->residual_count, values + 1);
}
