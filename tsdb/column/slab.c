#include "narthex/tsdb/slab.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "narthex/base/thread.h"

/* Under the address sanitizer free blocks are poisoned: a reader that holds a retired buffer too
 * long is found. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#endif
#ifdef SLAB_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(pointer, size) ASAN_POISON_MEMORY_REGION((pointer), (size))
#define UNPOISON(pointer, size) ASAN_UNPOISON_MEMORY_REGION((pointer), (size))
#else
#define POISON(pointer, size) ((void)(pointer), (void)(size))
#define UNPOISON(pointer, size) ((void)(pointer), (void)(size))
#endif

enum {
    SLAB_BYTES = 64 * 1024,
    CHUNK_SLABS_MIN = 2, /* chunks of slabs double up to a mebibyte */
    CHUNK_SLABS_MAX = 16,
    FINE_STEP = 16, /* up to FINE_MAX */
    FINE_MAX = 256,
    FINE_COUNT = FINE_MAX / FINE_STEP,
    COARSE_STEP = 64, /* up to COARSE_MAX */
    COARSE_MAX = 2048,
    COARSE_COUNT = (COARSE_MAX - FINE_MAX) / COARSE_STEP,
    LARGE_STEP = 512,
    CLASS_COUNT = FINE_COUNT + COARSE_COUNT + (SLAB_SIZE_MAX - COARSE_MAX) / LARGE_STEP,
};

struct free_block {
    struct free_block *next;
};

/* A slab lies at a multiple of its size, so a block's slab is found by its address. Its own bytes
 * are followed by the blocks. Guarded by the mutex of its class. */
struct slab {
    struct slab *next, *previous; /* among the class's slabs with room, or the pool's empty ones */
    struct free_block *free;
    uint32_t used;   /* blocks handed out */
    uint32_t cursor; /* offset of the first byte never handed out */
};

/* Memory of several slabs. */
struct slab_chunk {
    struct slab_chunk *next;
    size_t size;
};

struct slab_class {
    struct mutex mutex;
    struct slab *with_room;     /* guarded by mutex */
    _Atomic int64_t used_bytes; /* written under mutex, read by anybody */
};

/* Slabs whose blocks are all free go back to the pool and serve any class: open buffers grow
 * together, and what one size has left the next one takes. */
struct slab_pool {
    enum mem_subsystem subsystem;
    struct slab_class classes[CLASS_COUNT];
    struct mutex mutex; /* taken after a class's */
    /* guarded by mutex */
    struct slab *empty;
    struct slab_chunk *chunks;
    uint8_t *cursor; /* next slab of the newest chunk */
    uint32_t slabs_left;
    uint32_t chunk_slabs; /* of the next chunk */
};

static uint32_t class_of(size_t size)
{
    assert(size >= 1 && size <= SLAB_SIZE_MAX);
    if (size <= FINE_MAX)
        return (uint32_t)((size - 1) / FINE_STEP);
    if (size <= COARSE_MAX)
        return (uint32_t)(FINE_COUNT + (size - FINE_MAX - 1) / COARSE_STEP);
    return (uint32_t)(FINE_COUNT + COARSE_COUNT + (size - COARSE_MAX - 1) / LARGE_STEP);
}

size_t slab_usable_size(size_t size)
{
    assert(size >= 1 && size <= SLAB_SIZE_MAX);
    size_t step = size <= FINE_MAX ? FINE_STEP : size <= COARSE_MAX ? COARSE_STEP : LARGE_STEP;
    return (size + step - 1) / step * step;
}

struct slab_pool *slab_pool_create(enum mem_subsystem subsystem)
{
    struct slab_pool *pool = MEM_NEW(subsystem, struct slab_pool);
    pool->subsystem = subsystem;
    pool->chunk_slabs = CHUNK_SLABS_MIN;
    mutex_init(&pool->mutex);
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        mutex_init(&pool->classes[i].mutex);
    return pool;
}

static size_t chunk_size(uint32_t slab_count)
{
    return sizeof(struct slab_chunk) + ((size_t)slab_count + 1) * SLAB_BYTES;
}

void slab_pool_destroy(struct slab_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->chunks != NULL) {
        struct slab_chunk *next = pool->chunks->next;
        UNPOISON(pool->chunks, pool->chunks->size);
        mem_free(pool->subsystem, pool->chunks);
        pool->chunks = next;
    }
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        mutex_deinit(&pool->classes[i].mutex);
    mutex_deinit(&pool->mutex);
    mem_free(pool->subsystem, pool);
}

static struct slab *take_slab(struct slab_pool *pool)
{
    mutex_lock(&pool->mutex);
    struct slab *slab = pool->empty;
    if (slab != NULL) {
        pool->empty = slab->next;
    } else {
        if (pool->slabs_left == 0) {
            struct slab_chunk *chunk = mem_alloc(pool->subsystem, chunk_size(pool->chunk_slabs));
            chunk->next = pool->chunks;
            chunk->size = chunk_size(pool->chunk_slabs);
            pool->chunks = chunk;
            uintptr_t first = (uintptr_t)(chunk + 1) + SLAB_BYTES - 1;
            pool->cursor = (uint8_t *)(first & ~(uintptr_t)(SLAB_BYTES - 1));
            pool->slabs_left = pool->chunk_slabs;
            if (pool->chunk_slabs < CHUNK_SLABS_MAX)
                pool->chunk_slabs *= 2;
        }
        slab = (struct slab *)pool->cursor;
        pool->cursor += SLAB_BYTES;
        pool->slabs_left--;
    }
    mutex_unlock(&pool->mutex);
    *slab = (struct slab){.cursor = sizeof *slab};
    return slab;
}

static void give_slab(struct slab_pool *pool, struct slab *slab)
{
    UNPOISON(slab, SLAB_BYTES);
    mutex_lock(&pool->mutex);
    slab->next = pool->empty;
    pool->empty = slab;
    mutex_unlock(&pool->mutex);
}

static void link_slab(struct slab_class *class, struct slab *slab)
{
    slab->previous = NULL;
    slab->next = class->with_room;
    if (slab->next != NULL)
        slab->next->previous = slab;
    class->with_room = slab;
}

static void unlink_slab(struct slab_class *class, struct slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        class->with_room = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
}

static bool has_room(const struct slab *slab, size_t size)
{
    return slab->free != NULL || slab->cursor + size <= SLAB_BYTES;
}

static void *take_block_locked(struct slab_pool *pool, struct slab_class *class, size_t size)
{
    if (class->with_room == NULL)
        link_slab(class, take_slab(pool));
    struct slab *slab = class->with_room;
    void *block = slab->free;
    if (block != NULL) {
        UNPOISON(block, size);
        slab->free = slab->free->next;
    } else {
        block = (uint8_t *)slab + slab->cursor;
        slab->cursor += (uint32_t)size;
    }
    slab->used++;
    if (!has_room(slab, size))
        unlink_slab(class, slab);
    return block;
}

void *slab_alloc(struct slab_pool *pool, size_t size)
{
    struct slab_class *class = &pool->classes[class_of(size)];
    size_t usable = slab_usable_size(size);
    mutex_lock(&class->mutex);
    void *block = take_block_locked(pool, class, usable);
    atomic_fetch_add_explicit(&class->used_bytes, (int64_t)usable, memory_order_relaxed);
    mutex_unlock(&class->mutex);
    return block;
}

void slab_free(struct slab_pool *pool, void *block, size_t size)
{
    struct slab_class *class = &pool->classes[class_of(size)];
    size_t usable = slab_usable_size(size);
    struct slab *slab = (struct slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
    struct free_block *freed = block;
    mutex_lock(&class->mutex);
    assert(slab->used > 0);
    bool had_room = has_room(slab, usable);
    freed->next = slab->free;
    slab->free = freed;
    POISON(freed, usable);
    slab->used--;
    if (!had_room)
        link_slab(class, slab);
    if (slab->used == 0) {
        unlink_slab(class, slab);
        give_slab(pool, slab);
    }
    atomic_fetch_sub_explicit(&class->used_bytes, (int64_t)usable, memory_order_relaxed);
    mutex_unlock(&class->mutex);
}

int64_t slab_used_bytes(const struct slab_pool *pool)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        sum += atomic_load_explicit(&pool->classes[i].used_bytes, memory_order_relaxed);
    return sum;
}
