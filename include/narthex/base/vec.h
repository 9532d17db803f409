/* base/vec.h: growable arrays kept as three plain fields (items, count, capacity).
 *
 *     struct series *items; uint32_t count; uint32_t capacity;
 *     VEC_PUSH(MEM_QUERY, v->items, v->count, v->capacity, element);
 */
#pragma once

#include "narthex/base/mem.h"

/* Grows `items` so that it holds at least `wanted` elements; doubles. */
#define VEC_RESERVE(subsystem, items, capacity, wanted)                                            \
    do {                                                                                           \
        size_t vec_wanted_ = (size_t)(wanted);                                                     \
        if (vec_wanted_ > (size_t)(capacity)) {                                                    \
            size_t vec_new_ = (size_t)(capacity) == 0 ? 8 : (size_t)(capacity)*2;                  \
            if (vec_new_ < vec_wanted_)                                                            \
                vec_new_ = vec_wanted_;                                                            \
            (items) = mem_realloc((subsystem), (items), vec_new_ * sizeof *(items));               \
            (capacity) = (__typeof__(capacity))vec_new_;                                           \
        }                                                                                          \
    } while (0)

#define VEC_PUSH(subsystem, items, count, capacity, ...)                                           \
    do {                                                                                           \
        VEC_RESERVE(subsystem, items, capacity, (size_t)(count) + 1);                              \
        (items)[(count)++] = (__VA_ARGS__);                                                        \
    } while (0)
