/* Writing a stream as planned. */
#include <assert.h>

#include "int_stream.h"

struct bit_writer {
    uint8_t *at;
    uint64_t pending;
    uint32_t pending_bits; /* below 8 between calls */
};

static inline void put_bits(struct bit_writer *writer, uint64_t x, uint32_t width)
{
    if (width > 56) {
        put_bits(writer, x & UINT32_MAX, 32);
        x >>= 32;
        width -= 32;
    }
    writer->pending |= x << writer->pending_bits;
    column__store_u64(writer->at, writer->pending);
    uint32_t bits = writer->pending_bits + width;
    writer->at += bits / 8;
    writer->pending >>= bits & ~7u;
    writer->pending_bits = bits % 8;
}

/* Pads to a byte and returns the end. */
static uint8_t *finish_bits(struct bit_writer *writer)
{
    return writer->pending_bits > 0 ? writer->at + 1 : writer->at;
}

static bool is_exception(const struct int_plan *plan, uint64_t u)
{
    if (plan->form == INT_STREAM_RICE)
        return u >> plan->width > STREAM_RICE_QUOTIENT_MAX;
    return column__bit_length(u) > plan->width;
}

/* The residuals as they will be stored; exceptions are written out and stored as 0. */
static uint8_t *write_exceptions(const struct int_plan *plan, uint64_t *numbers, uint32_t count,
                                 uint8_t *out)
{
    uint8_t *count_byte = out++;
    uint32_t exception_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_exception(plan, numbers[i]))
            continue;
        *out++ = (uint8_t)i;
        out = plan->zigzag ? coding_write_uv(out, numbers[i])
                           : column__put_zv(out, (int64_t)numbers[i]);
        numbers[i] = 0;
        exception_count++;
    }
    assert(exception_count > 0);
    *count_byte = (uint8_t)exception_count;
    return out;
}

static uint8_t *write_packed(const uint64_t *numbers, uint32_t count, uint32_t width, uint8_t *out)
{
    struct bit_writer writer = {.at = out};
    for (uint32_t i = 0; i < count; i++)
        put_bits(&writer, numbers[i], width);
    return finish_bits(&writer);
}

static uint8_t *write_dual(const struct int_plan *plan, const uint64_t *numbers, uint32_t count,
                           uint8_t *out)
{
    uint64_t classes[2][COLUMN_ROWS_MAX];
    uint32_t counts[2] = {0, 0};
    memset(out, 0, (count + 7) / 8);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t large = numbers[i] >> plan->width_small != 0;
        classes[large][counts[large]++] = numbers[i];
        out[i / 8] |= (uint8_t)(large << i % 8);
    }
    out = write_packed(classes[0], counts[0], plan->width_small, out + (count + 7) / 8);
    return write_packed(classes[1], counts[1], plan->width, out);
}

static uint8_t *write_rice(const uint64_t *numbers, uint32_t count, uint32_t width, uint8_t *out)
{
    struct bit_writer writer = {.at = out};
    uint64_t mask = (UINT64_C(1) << width) - 1;
    for (uint32_t i = 0; i < count; i++)
        put_bits(&writer, numbers[i] & mask, width);
    writer = (struct bit_writer){.at = finish_bits(&writer)};
    for (uint32_t i = 0; i < count; i++)
        put_bits(&writer, UINT64_C(1) << (numbers[i] >> width),
                 (uint32_t)(numbers[i] >> width) + 1);
    return finish_bits(&writer);
}

/* The integers' residuals under the plan, as unsigned numbers; returns how many. */
static uint32_t numbers_of(const struct int_plan *plan, const int64_t *integers, uint32_t count,
                           uint64_t *numbers)
{
    struct exact_divisor divisor = exact_divisor_of(plan->gcd);
    uint64_t y = 0;
    uint64_t previous = 0;
    uint32_t n = 0;
    for (uint32_t i = 1; i < count; i++) {
        int64_t difference = (int64_t)((uint64_t)integers[i] - (uint64_t)integers[i - 1]);
        uint64_t unit = (uint64_t)exact_divide(difference, divisor);
        y += unit;
        uint64_t residual = plan->predictor == 0 ? y : unit;
        if (plan->predictor == 2) {
            residual -= previous;
            previous = unit;
            if (i == 1)
                continue;
        }
        residual -= plan->centre;
        numbers[n++] = plan->zigzag ? coding_zigzag((int64_t)residual) : residual;
    }
    return n;
}

uint8_t *int_plan_write(const struct int_plan *plan, const int64_t *integers, uint32_t count,
                        uint8_t *out)
{
    uint64_t numbers[COLUMN_ROWS_MAX];
    uint32_t n = numbers_of(plan, integers, count, numbers);
    *out++ = plan->width | (plan->form == INT_STREAM_RICE ? STREAM_RICE : 0);
    if (plan->form == INT_STREAM_DUAL)
        *out++ = plan->width_small;
    out = column__put_zv(out, integers[0]);
    if (plan->gcd > 1)
        out = coding_write_uv(out, plan->gcd);
    out = column__put_zv(out, (int64_t)plan->centre);
    if (plan->predictor == 2) {
        int64_t difference = (int64_t)((uint64_t)integers[1] - (uint64_t)integers[0]);
        out = column__put_zv(out, exact_divide(difference, exact_divisor_of(plan->gcd)));
    }
    if (plan->exceptions)
        out = write_exceptions(plan, numbers, n, out);
    switch ((enum int_stream_form)plan->form) {
    case INT_STREAM_DUAL:
        return write_dual(plan, numbers, n, out);
    case INT_STREAM_RICE:
        return write_rice(numbers, n, plan->width, out);
    case INT_STREAM_PACKED:
        break;
    }
    return write_packed(numbers, n, plan->width, out);
}
