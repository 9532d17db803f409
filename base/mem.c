#include "narthex/base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
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

void *mem_alloc(enum mem_subsystem subsystem, size_t size)
{
    void *pointer = checked(subsystem, malloc(size == 0 ? 1 : size), size);
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
    int64_t before = pointer == NULL ? 0 : (int64_t)malloc_usable_size(pointer);
    pointer = checked(subsystem, realloc(pointer, size == 0 ? 1 : size), size);
    count(subsystem, (int64_t)malloc_usable_size(pointer) - before);
    return pointer;
}

void mem_free(enum mem_subsystem subsystem, void *pointer)
{
    if (pointer == NULL)
        return;
    count(subsystem, -(int64_t)malloc_usable_size(pointer));
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
    malloc_trim(0);
}

int64_t mem_bytes(enum mem_subsystem subsystem)
{
    return atomic_load_explicit(&counted[subsystem].bytes, memory_order_relaxed);
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
