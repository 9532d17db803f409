#include "open_buffer.h"

#include <assert.h>

#include "column_bytes.h"
#include "column_decimal.h"
#include "column_kernels.h"

enum { BITMAP_BYTES = 32 };

struct open_buffer_shape open_buffer_shape(const struct open_buffer *buffer)
{
    return (struct open_buffer_shape){
        .element_size = buffer->element_size,
        .capacity = buffer->capacity,
        .special_capacity = buffer->special_capacity,
        .flags = buffer->flags,
    };
}

static size_t elements_size(struct open_buffer_shape shape)
{
    return ((size_t)shape.element_size * shape.capacity + 7) / 8 * 8;
}

size_t open_buffer_size(struct open_buffer_shape shape)
{
    return sizeof(struct open_buffer) + (shape.flags & OPEN_BUFFER_GAPS ? BITMAP_BYTES : 0) +
           elements_size(shape) + shape.special_capacity * (sizeof(uint64_t) + 1);
}

uint64_t *open_buffer_specials(const struct open_buffer *buffer)
{
    return (uint64_t *)(void *)(open_buffer_elements(buffer) +
                                elements_size(open_buffer_shape(buffer)));
}

struct open_buffer *open_buffer_create(struct open_buffer_shape shape, struct slab_pool *pool)
{
    struct open_buffer *buffer = slab_alloc(pool, open_buffer_size(shape));
    *buffer = (struct open_buffer){
        .element_size = shape.element_size,
        .capacity = shape.capacity,
        .special_capacity = shape.special_capacity,
        .flags = shape.flags,
    };
    if (shape.flags & OPEN_BUFFER_GAPS)
        memset((void *)open_buffer_bitmap(buffer), 0, BITMAP_BYTES);
    return buffer;
}

struct open_buffer *open_buffer_grow(const struct open_buffer *buffer, uint32_t count,
                                     struct open_buffer_shape shape, struct slab_pool *pool)
{
    struct open_buffer *grown = open_buffer_create(shape, pool);
    grown->first = buffer->first;
    grown->exponent = buffer->exponent;
    if (buffer->flags & OPEN_BUFFER_GAPS)
        memcpy((void *)open_buffer_bitmap(grown), (const void *)open_buffer_bitmap(buffer),
               BITMAP_BYTES);
    memcpy(open_buffer_elements(grown), open_buffer_elements(buffer),
           (size_t)count * buffer->element_size);
    uint32_t special_count = buffer->special_count;
    assert(special_count <= shape.special_capacity);
    memcpy(open_buffer_specials(grown), open_buffer_specials(buffer),
           special_count * sizeof(uint64_t));
    memcpy(open_buffer_special_indexes(grown), open_buffer_special_indexes(buffer), special_count);
    grown->special_count = (uint8_t)special_count;
    return grown;
}

void open_buffer_add_special(struct open_buffer *buffer, uint32_t index, uint64_t bits)
{
    uint32_t at = atomic_load_explicit(&buffer->special_count, memory_order_relaxed);
    assert(at < buffer->special_capacity);
    open_buffer_specials(buffer)[at] = bits;
    open_buffer_special_indexes(buffer)[at] = (uint8_t)index;
    /* Pairs with the acquire load in patch_specials. */
    atomic_store_explicit(&buffer->special_count, (uint8_t)(at + 1), memory_order_release);
}

static void patch_specials(const struct open_buffer *buffer, uint32_t count, double *values)
{
    uint32_t special_count = atomic_load_explicit(&buffer->special_count, memory_order_acquire);
    const uint64_t *specials = open_buffer_specials(buffer);
    const uint8_t *indexes = open_buffer_special_indexes(buffer);
    for (uint32_t i = 0; i < special_count && indexes[i] < count; i++)
        values[indexes[i]] = double_from_bits(specials[i]);
}

void open_buffer_decode(const struct open_buffer *buffer, uint32_t count, double *values)
{
    const uint8_t *elements = open_buffer_elements(buffer);
    double power = column__powers[buffer->exponent];
    switch (buffer->element_size) {
    case 0:
        column__kernels->fill(double_from_bits(buffer->first), count, values);
        break;
    case 1:
        column__kernels->sum_deltas8((const int8_t *)elements, count, (int64_t)buffer->first, power,
                                     values);
        break;
    case 2:
        column__kernels->sum_deltas16((const int16_t *)(const void *)elements, count,
                                      (int64_t)buffer->first, power, values);
        break;
    case 4:
        column__kernels->sum_deltas32((const int32_t *)(const void *)elements, count,
                                      (int64_t)buffer->first, power, values);
        break;
    default:
        memcpy(values, elements, count * sizeof *values);
        return;
    }
    if (buffer->special_capacity > 0)
        patch_specials(buffer, count, values);
}

uint32_t open_buffer_capacity_after(uint32_t count)
{
    if (count < 16)
        return 16;
    uint32_t capacity = (count / 32 + 1) * 32;
    return capacity < COLUMN_ROWS_MAX - 32 ? capacity : COLUMN_ROWS_MAX;
}
