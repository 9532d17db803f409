/* Buffers of open columns: one slab block each.
 *
 *     struct open_buffer, 16 B
 *     presence bitmap, 32 B         only with OPEN_BUFFER_GAPS; bit r: row r is there
 *     elements, capacity * size     size 0: none. Element i belongs to sample i:
 *                                   1, 2, 4: integer i - integer i-1, signed (0 for i = 0)
 *                                   8: the raw double
 *     specials, 8 B each            raw doubles the elements cannot say; 8-byte aligned
 *     special indexes, 1 B each     of their samples; their element is 0
 *
 * Sample i that is no special: (double)(first + sum of elements 0..i) / 10^exponent; with size 0
 * `first` is the raw value of all; with size 8 it means nothing.
 *
 * After the buffer is published its writer only adds: elements, bits of the bitmap (relaxed; their
 * rows are published later by the group), specials (entry first, then special_count, release).
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "narthex/tsdb/open_column.h"

enum open_buffer_flag { OPEN_BUFFER_GAPS = 1 };

struct open_buffer {
    uint64_t first;
    uint8_t element_size;
    uint8_t exponent;
    uint8_t capacity; /* elements; COLUMN_ROWS_MAX with size 0 */
    uint8_t flags;
    uint8_t special_capacity;
    _Atomic uint8_t special_count;
    uint8_t reserved[2];
};
static_assert(sizeof(struct open_buffer) == 16, "elements of small buffers share its cache line");

/* What a block is laid out for. */
struct open_buffer_shape {
    uint8_t element_size;
    uint8_t capacity;
    uint8_t special_capacity;
    uint8_t flags;
};

struct open_buffer_shape open_buffer_shape(const struct open_buffer *buffer);
size_t open_buffer_size(struct open_buffer_shape shape);

static inline _Atomic uint64_t *open_buffer_bitmap(const struct open_buffer *buffer)
{
    return (_Atomic uint64_t *)(uintptr_t)(buffer + 1);
}

static inline uint8_t *open_buffer_elements(const struct open_buffer *buffer)
{
    uintptr_t at = (uintptr_t)(buffer + 1);
    return (uint8_t *)(at + (buffer->flags & OPEN_BUFFER_GAPS ? 32 : 0));
}

uint64_t *open_buffer_specials(const struct open_buffer *buffer);

static inline uint8_t *open_buffer_special_indexes(const struct open_buffer *buffer)
{
    return (uint8_t *)(open_buffer_specials(buffer) + buffer->special_capacity);
}

/* A new block of the shape with an empty bitmap and no specials. */
struct open_buffer *open_buffer_create(struct open_buffer_shape shape, struct slab_pool *pool);

/* A copy of a buffer holding `count` samples with more room; a bitmap that is new stays empty. */
struct open_buffer *open_buffer_grow(const struct open_buffer *buffer, uint32_t count,
                                     struct open_buffer_shape shape, struct slab_pool *pool);

/* Adds a special; there must be room. Writer only. */
void open_buffer_add_special(struct open_buffer *buffer, uint32_t index, uint64_t bits);

/* The first `count` samples. */
void open_buffer_decode(const struct open_buffer *buffer, uint32_t count, double *values);

/* The capacity step above `count`. */
uint32_t open_buffer_capacity_after(uint32_t count);
