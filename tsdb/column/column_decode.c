/* Reading sealed columns: everything is validated here before a kernel sees it. */
#include <assert.h>

#include "column_decimal.h"
#include "column_kernels.h"
#include "int_stream.h"
#include "narthex/tsdb/column.h"

struct specials {
    const uint8_t *entries;
    uint32_t count;
    bool all_stale;
};

static err_t parse_constant(struct byte_reader *reader, uint8_t byte0, double *value)
{
    uint32_t exponent = byte0 >> 3;
    if (exponent == COLUMN_CONST_RAW)
        *value = byte_reader_double(reader);
    else if (exponent <= COLUMN_EXPONENT_MAX)
        *value = (double)byte_reader_zv(reader) / column__powers[exponent];
    else
        return ERR_CORRUPT;
    return reader->failed || reader->at != reader->end ? ERR_CORRUPT : OK;
}

bool column_peek_constant(const uint8_t *in, size_t in_size, double *value)
{
    struct byte_reader reader = byte_reader_of(in, in_size);
    uint8_t byte0 = byte_reader_u8(&reader);
    if ((byte0 & COLUMN_KIND_MASK) != COLUMN_KIND_CONST)
        return false;
    return parse_constant(&reader, byte0, value) == OK;
}

static err_t parse_specials(struct byte_reader *reader, uint32_t row_count,
                            struct specials *specials)
{
    uint8_t head = byte_reader_u8(reader);
    specials->count = head & SPECIALS_COUNT_MASK;
    specials->all_stale = head & SPECIALS_ALL_STALE;
    if (specials->count == 0 || specials->count >= row_count)
        return ERR_CORRUPT;
    uint32_t entry_size = specials->all_stale ? 1 : 9;
    specials->entries = byte_reader_take(reader, specials->count * entry_size);
    if (reader->failed)
        return ERR_CORRUPT;
    int32_t previous = -1;
    for (uint32_t i = 0; i < specials->count; i++) {
        int32_t row = specials->entries[i * entry_size];
        if (row <= previous || row >= (int32_t)row_count)
            return ERR_CORRUPT;
        previous = row;
    }
    return OK;
}

/* Moves the values apart, from the back, and puts the specials between them. */
static void insert_specials(const struct specials *specials, uint32_t row_count, double *values)
{
    uint32_t entry_size = specials->all_stale ? 1 : 9;
    uint32_t end = row_count;
    for (uint32_t left = specials->count; left > 0; left--) {
        const uint8_t *entry = specials->entries + (left - 1) * entry_size;
        uint32_t row = entry[0];
        memmove(values + row + 1, values + row + 1 - left, (end - row - 1) * sizeof *values);
        values[row] =
            double_from_bits(specials->all_stale ? STALE_NAN_BITS : column__load_u64(entry + 1));
        end = row;
    }
}

static void decode_bits(const struct int_stream *stream, double *values)
{
    int64_t images[COLUMN_ROWS_MAX];
    int_stream_decode(stream, images);
    column__kernels->from_images(images, stream->count, values);
}

static err_t decode_deculp(struct byte_reader *reader, const struct int_stream *stream,
                           double power, bool wide, double *values)
{
    uint8_t flags = byte_reader_u8(reader);
    struct int_stream ulps;
    if (flags & (COLUMN_KIND_MASK & ~1))
        return ERR_CORRUPT;
    TRY(int_stream_parse(reader, flags, flags & 1, stream->count, &ulps));
    if (reader->at != reader->end)
        return ERR_CORRUPT;
    int_stream_decode_decimal(stream, power, wide, values);
    int64_t added[COLUMN_ROWS_MAX];
    int_stream_decode(&ulps, added);
    column__kernels->add_to_images(added, stream->count, values);
    return OK;
}

static err_t decode_streams(struct byte_reader *reader, uint8_t byte0, uint32_t row_count,
                            double *values)
{
    uint32_t kind = byte0 & COLUMN_KIND_MASK;
    uint8_t byte1 = byte_reader_u8(reader);
    uint32_t exponent = byte1 & COLUMN_EXPONENT_MASK;
    if (exponent > COLUMN_EXPONENT_MAX || (kind == COLUMN_KIND_BITS && exponent != 0) ||
        (kind == COLUMN_KIND_DECULP && exponent == 0))
        return ERR_CORRUPT;
    struct specials specials = {.count = 0};
    if (byte1 & COLUMN_SPECIALS)
        TRY(parse_specials(reader, row_count, &specials));
    struct int_stream stream;
    TRY(int_stream_parse(reader, byte0, byte1 & COLUMN_ZIGZAG, row_count - specials.count,
                         &stream));
    double power = column__powers[exponent];
    bool wide = byte1 & COLUMN_WIDE;
    if (kind == COLUMN_KIND_DECULP)
        TRY(decode_deculp(reader, &stream, power, wide, values));
    else if (reader->at != reader->end)
        return ERR_CORRUPT;
    else if (kind == COLUMN_KIND_INT)
        int_stream_decode_decimal(&stream, power, wide, values);
    else
        decode_bits(&stream, values);
    if (specials.count > 0)
        insert_specials(&specials, row_count, values);
    return OK;
}

err_t column_decode(const uint8_t *in, size_t in_size, uint32_t row_count, double *values)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    struct byte_reader reader = byte_reader_of(in, in_size);
    uint8_t byte0 = byte_reader_u8(&reader);
    if (reader.failed)
        return ERR_CORRUPT;

    double constant;
    switch (byte0 & COLUMN_KIND_MASK) {
    case COLUMN_KIND_CONST:
        TRY(parse_constant(&reader, byte0, &constant));
        column__kernels->fill(constant, row_count, values);
        return OK;
    case COLUMN_KIND_RAW:
        if (byte0 != COLUMN_KIND_RAW || in_size != 1 + row_count * sizeof *values)
            return ERR_CORRUPT;
        memcpy(values, reader.at, row_count * sizeof *values);
        return OK;
    case COLUMN_KIND_INT:
    case COLUMN_KIND_BITS:
    case COLUMN_KIND_DECULP:
        return decode_streams(&reader, byte0, row_count, values);
    default:
        return ERR_CORRUPT;
    }
}
