/* Streams of 1 to COLUMN_ROWS_MAX int64: the common part of INT, BITS, DECULP and time columns.
 * Layout: docs/format/column.md, part 2. All arithmetic is modulo 2^64. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "column_bytes.h"
#include "column_format.h"
#include "narthex/base/err.h"

enum int_stream_form { INT_STREAM_PACKED, INT_STREAM_DUAL, INT_STREAM_RICE };

/* A parsed and validated stream; pointers go into the encoded bytes. */
struct int_stream {
    uint64_t first;
    uint64_t gcd;
    uint64_t centre;
    uint64_t first_difference; /* predictor 2 */
    const uint8_t *exceptions; /* exception_count pairs of u8 position, zv */
    const uint8_t *bitmap;     /* dual */
    const uint8_t *small;      /* dual: values of class 0 */
    const uint8_t *large;      /* dual: class 1; else the values; Rice: low bits */
    const uint8_t *end;
    uint16_t count; /* integers */
    uint16_t residual_count;
    uint16_t large_count; /* dual: residuals of class 1 */
    uint8_t exception_count;
    uint8_t predictor;
    uint8_t width;
    uint8_t width_small;
    uint8_t form; /* enum int_stream_form */
    bool zigzag;
    uint8_t quotients[COLUMN_ROWS_MAX]; /* Rice */
};

/* Parses a stream of `count` integers at the reader. `flags` are the STREAM_ bits of the byte that
 * announced it. Errors: ERR_CORRUPT. */
err_t int_stream_parse(struct byte_reader *reader, uint8_t flags, bool zigzag, uint32_t count,
                       struct int_stream *stream);

/* Decodes the integers into out[0..stream->count); out must hold COLUMN_ROWS_MAX. Reads up to
 * COLUMN_SLACK_BYTES past the stream. */
void int_stream_decode(const struct int_stream *stream, int64_t *out);

/* Decodes the integers and divides them by power (10^e): values[i] = (double)m / power. `wide` says
 * that some |m| may be 2^50 or more. */
void int_stream_decode_decimal(const struct int_stream *stream, double power, bool wide,
                               double *values);

/* Exact division of multiples: shift out the twos, multiply by the inverse of the rest modulo 2^64.
 * A few cycles where dividing takes tens. */
struct exact_divisor {
    uint64_t inverse;
    uint32_t shift;
};

struct exact_divisor exact_divisor_of(uint64_t divisor);

static inline int64_t exact_divide(int64_t multiple, struct exact_divisor divisor)
{
    return (int64_t)((uint64_t)(multiple >> divisor.shift) * divisor.inverse);
}

enum { INT_PREDICTORS = 3 };

/* What residuals are counted from; ZERO and MEAN are zigzagged. */
enum int_centre {
    INT_CENTRE_MINIMUM,
    INT_CENTRE_ZERO,
    INT_CENTRE_MEAN,
    INT_CENTRE_RISE, /* smallest residual that is not negative; counter resets are exceptions */
    INT_CENTRE_KINDS,
};

/* How a stream is going to be written. */
struct int_plan {
    uint64_t gcd;
    uint64_t centre;
    uint64_t size_bits; /* of the whole stream, flags byte not counted */
    uint8_t predictor;
    uint8_t width;
    uint8_t width_small;
    uint8_t form;        /* enum int_stream_form */
    uint8_t centre_kind; /* enum int_centre */
    bool zigzag;
    bool exceptions;
};

/* Finds a small encoding of integers[0..count). `rice`: Rice may be chosen. */
struct int_plan int_plan_search(const int64_t *integers, uint32_t count, bool rice);

/* Four bits that remember predictor and centre for int_plan_retry. */
uint8_t int_plan_hint(const struct int_plan *plan);

/* As int_plan_search, with the hint's predictor and centre only. False if the hint does not fit
 * these integers. */
bool int_plan_retry(const int64_t *integers, uint32_t count, uint8_t hint, struct int_plan *plan);

/* The STREAM_ bits that announce the plan. */
uint8_t int_plan_flags(const struct int_plan *plan);

/* Writes the stream at `out` and returns its end; may write COLUMN_SLACK_BYTES beyond. */
uint8_t *int_plan_write(const struct int_plan *plan, const int64_t *integers, uint32_t count,
                        uint8_t *out);
