#include "narthex/base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One cache line each: threads that allocate for different subsystems do not share one. */
static struct {
    _Atomic int64_t bytes;
    char padding[56];
} counted[MEM_SUBSYSTEM_COUNT];

static void count(enum mem_subsystem subsystem, int64_t bytes)
{
    atomic_fetch_add_explicit(&counted[subsystem].bytes, bytes, memory_order_relaxed);
}

static void *checked(enum mem_subsystem subsystem, void *pointer, size_t size)
{
    if (pointer == NULL) {
        fprintf(stderr, "out of memory: %zu bytes for %s\n", size, mem_subsystem_name(subsystem));
        abort();
    }
    return pointer;
}

/* ---- spare blocks ----
 *
 * Large blocks of a query and of its answer come and go with it, and malloc gives such blocks back
 * to the system each time: a third of a short query would be page faults. A few are kept for the
 * next query. Not under the sanitizers, which are to see every use after free. */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MEM_NO_SPARES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(MEM_NO_SPARES)
enum { SPARE_BYTES_MAX = 0 };
#else
enum { SPARE_BYTES_MAX = 8 * 1024 * 1024 };
#endif
enum { SPARE_BYTES_MIN = 32 * 1024, SPARE_COUNT_MAX = 128 };

static struct {
    pthread_mutex_t lock;
    /* guarded by lock */
    void *blocks[SPARE_COUNT_MAX];
    uint32_t count;
    size_t bytes;
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool has_spares(enum mem_subsystem subsystem)
{
    return subsystem == MEM_QUERY || subsystem == MEM_TEXT;
}

/* A block of at least `size` bytes and less than twice that, or NULL. */
static void *take_spare(enum mem_subsystem subsystem, size_t size)
{
    if (!has_spares(subsystem) || size < SPARE_BYTES_MIN || size > SPARE_BYTES_MAX)
        return NULL;
    void *found = NULL;
    pthread_mutex_lock(&spares.lock);
    for (uint32_t i = spares.count; i-- > 0 && found == NULL;) {
        size_t usable = malloc_usable_size(spares.blocks[i]);
        if (usable < size || usable / 2 >= size)
            continue;
        found = spares.blocks[i];
        spares.blocks[i] = spares.blocks[--spares.count];
        spares.bytes -= usable;
    }
    pthread_mutex_unlock(&spares.lock);
    return found;
}

static bool keep_spare(enum mem_subsystem subsystem, void *pointer, size_t usable)
{
    if (!has_spares(subsystem) || usable < SPARE_BYTES_MIN)
        return false;
    pthread_mutex_lock(&spares.lock);
    bool room = spares.count < SPARE_COUNT_MAX && usable <= SPARE_BYTES_MAX - spares.bytes;
    if (room) {
        spares.blocks[spares.count++] = pointer;
        spares.bytes += usable;
    }
    pthread_mutex_unlock(&spares.lock);
    return room;
}

static void free_spares(void)
{
    pthread_mutex_lock(&spares.lock);
    while (spares.count > 0)
        free(spares.blocks[--spares.count]);
    spares.bytes = 0;
    pthread_mutex_unlock(&spares.lock);
}

/* ---- the gate ---- */

void *mem_alloc(enum mem_subsystem subsystem, size_t size)
{
    void *pointer = take_spare(subsystem, size);
    if (pointer == NULL)
        pointer = checked(subsystem, malloc(size == 0 ? 1 : size), size);
    count(subsystem, (int64_t)malloc_usable_size(pointer));
    return pointer;
}

void *mem_calloc(enum mem_subsystem subsystem, size_t element_count, size_t size)
{
    if (element_count == 0 || size == 0) {
        element_count = 1;
        size = 1;
    }
    void *pointer = checked(subsystem, calloc(element_count, size), element_count * size);
    count(subsystem, (int64_t)malloc_usable_size(pointer));
    return pointer;
}

void *mem_realloc(enum mem_subsystem subsystem, void *pointer, size_t size)
{
    if (pointer == NULL)
        return mem_alloc(subsystem, size);
    int64_t before = (int64_t)malloc_usable_size(pointer);
    pointer = checked(subsystem, realloc(pointer, size == 0 ? 1 : size), size);
    count(subsystem, (int64_t)malloc_usable_size(pointer) - before);
    return pointer;
}

void mem_free(enum mem_subsystem subsystem, void *pointer)
{
    if (pointer == NULL)
        return;
    size_t usable = malloc_usable_size(pointer);
    count(subsystem, -(int64_t)usable);
    if (!keep_spare(subsystem, pointer, usable))
        free(pointer);
}

char *mem_dup(enum mem_subsystem subsystem, const void *data, size_t size)
{
    char *copy = mem_alloc(subsystem, size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

void mem_trim(void)
{
    free_spares();
    malloc_trim(0);
}

void mem_keep_freed(size_t bytes)
{
    /* A limit that is set stays as it is; one that a freed mapping raises goes on growing, and
     * half of it stays the size from which blocks have mappings of their own. */
    void *volatile mapped = malloc(bytes / 2);
    free(mapped);
}

int64_t mem_bytes(enum mem_subsystem subsystem)
{
    return atomic_load_explicit(&counted[subsystem].bytes, memory_order_relaxed);
}

int64_t mem_total_bytes(void)
{
    int64_t total = 0;
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++)
        total += mem_bytes((enum mem_subsystem)i);
    return total;
}

/* ---- the budget ---- */

static _Atomic int64_t budget; /* relaxed: a number to compare with */

void mem_set_budget(int64_t bytes)
{
    atomic_store_explicit(&budget, bytes, memory_order_relaxed);
}

int64_t mem_budget(void)
{
    return atomic_load_explicit(&budget, memory_order_relaxed);
}

enum mem_pressure mem_pressure(void)
{
    int64_t limit = mem_budget();
    if (limit <= 0)
        return MEM_PLENTY;
    int64_t total = mem_total_bytes();
    if (total <= limit)
        return MEM_PLENTY;
    return total - limit > limit / 8 ? MEM_FAR_OVER : MEM_OVER;
}

const char *mem_subsystem_name(enum mem_subsystem subsystem)
{
    static const char *const names[MEM_SUBSYSTEM_COUNT] = {
        [MEM_BASE] = "base",       [MEM_TEXT] = "text",         [MEM_CONFIG] = "config",
        [MEM_MODEL] = "model",     [MEM_HEAD] = "head",         [MEM_HEAD_DATA] = "head_data",
        [MEM_SYMBOLS] = "symbols", [MEM_POSTINGS] = "postings", [MEM_WAL] = "wal",
        [MEM_BLOCK] = "block",     [MEM_SCRAPE] = "scrape",     [MEM_DISCOVERY] = "discovery",
        [MEM_QUERY] = "query",     [MEM_HTTP] = "http",         [MEM_EXPORTER] = "exporter",
        [MEM_TEST] = "test",
    };
    return names[subsystem];
}
