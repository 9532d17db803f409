#include "narthex/tsdb/slab.h"

#include <assert.h>
#include <stdatomic.h>
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

/* Its own bytes are followed by the blocks. */
struct slab {
    struct slab *next;
    uint64_t padding;
};

struct slab_class {
    struct mutex mutex;
    /* guarded by mutex */
    struct free_block *free;
    struct slab *slabs; /* newest first; only the newest has blocks never handed out */
    uint8_t *cursor;
    uint8_t *limit;
    _Atomic int64_t used_bytes; /* written under mutex, read by anybody */
};

struct slab_pool {
    enum mem_subsystem subsystem;
    struct slab_class classes[CLASS_COUNT];
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
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        mutex_init(&pool->classes[i].mutex);
    return pool;
}

void slab_pool_destroy(struct slab_pool *pool)
{
    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        struct slab_class *class = &pool->classes[i];
        for (struct slab *slab = class->slabs; slab != NULL;) {
            struct slab *next = slab->next;
            UNPOISON(slab, SLAB_BYTES);
            mem_free(pool->subsystem, slab);
            slab = next;
        }
        mutex_deinit(&class->mutex);
    }
    mem_free(pool->subsystem, pool);
}

static void *take_block_locked(struct slab_pool *pool, struct slab_class *class, size_t size)
{
    struct free_block *block = class->free;
    if (block != NULL) {
        UNPOISON(block, size);
        class->free = block->next;
        return block;
    }
    if ((size_t)(class->limit - class->cursor) < size) {
        struct slab *slab = mem_alloc(pool->subsystem, SLAB_BYTES);
        slab->next = class->slabs;
        class->slabs = slab;
        class->cursor = (uint8_t *)(slab + 1);
        class->limit = (uint8_t *)slab + SLAB_BYTES;
    }
    void *fresh = class->cursor;
    class->cursor += size;
    return fresh;
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
    struct free_block *freed = block;
    mutex_lock(&class->mutex);
    freed->next = class->free;
    class->free = freed;
    POISON(freed, slab_usable_size(size));
    atomic_fetch_sub_explicit(&class->used_bytes, (int64_t)slab_usable_size(size),
                              memory_order_relaxed);
    mutex_unlock(&class->mutex);
}

int64_t slab_used_bytes(const struct slab_pool *pool)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < CLASS_COUNT; i++)
        sum += atomic_load_explicit(&pool->classes[i].used_bytes, memory_order_relaxed);
    return sum;
}
