/* A growing byte array of the writer. All zero is empty; counted under MEM_BLOCK. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "block_format.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

struct block__bytes {
    uint8_t *items;
    size_t count;
    size_t capacity;
};

static inline void block__bytes_deinit(struct block__bytes *bytes)
{
    mem_free(MEM_BLOCK, bytes->items);
    *bytes = (struct block__bytes){0};
}

/* Room for `size` more bytes; returns where they go. */
static inline uint8_t *block__bytes_reserve(struct block__bytes *bytes, size_t size)
{
    VEC_RESERVE(MEM_BLOCK, bytes->items, bytes->capacity, bytes->count + size);
    return bytes->items + bytes->count;
}

static inline void block__bytes_add(struct block__bytes *bytes, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(block__bytes_reserve(bytes, size), data, size);
    bytes->count += size;
}

static inline void block__bytes_add_uv(struct block__bytes *bytes, uint64_t value)
{
    uint8_t *at = block__bytes_reserve(bytes, BLOCK__UV_BYTES_MAX);
    bytes->count += (size_t)(block__put_uv(at, value) - at);
}

static inline void block__bytes_add_u8(struct block__bytes *bytes, uint8_t value)
{
    block__bytes_add(bytes, &value, 1);
}

static inline void block__bytes_add_u32(struct block__bytes *bytes, uint32_t value)
{
    block__bytes_add(bytes, &value, sizeof value);
}

static inline void block__bytes_add_u64(struct block__bytes *bytes, uint64_t value)
{
    block__bytes_add(bytes, &value, sizeof value);
}
