#include "narthex/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(pointer, size) ASAN_POISON_MEMORY_REGION((pointer), (size))
#define UNPOISON(pointer, size) ASAN_UNPOISON_MEMORY_REGION((pointer), (size))
enum { ARENA_RED_ZONE_BYTES = 16 };
#else
#define POISON(pointer, size) ((void)(pointer), (void)(size))
#define UNPOISON(pointer, size) ((void)(pointer), (void)(size))
enum { ARENA_RED_ZONE_BYTES = 0 };
#endif

enum {
    ARENA_ALIGN = 16,
    ARENA_CHUNK_FIRST_BYTES = 8 * 1024,
    ARENA_CHUNK_BYTES_MAX = 1024 * 1024,
};

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of data */
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *arena, enum mem_subsystem subsystem, size_t budget_bytes)
{
    *arena = (struct arena){.subsystem = subsystem, .budget_bytes = budget_bytes};
}

static void free_newest(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    arena->chunks = chunk->older;
    arena->allocated_bytes -= chunk->size;
    UNPOISON(chunk->data, chunk->size);
    mem_free(arena->subsystem, chunk);
}

void arena_deinit(struct arena *arena)
{
    while (arena->chunks != NULL)
        free_newest(arena);
    arena->cursor = NULL;
    arena->limit = NULL;
}

/* Chunks double with the arena, so that a large query makes few of them. */
static size_t chunk_size(const struct arena *arena, size_t size)
{
    size_t wanted = arena->allocated_bytes;
    if (wanted < ARENA_CHUNK_FIRST_BYTES)
        wanted = ARENA_CHUNK_FIRST_BYTES;
    if (wanted > ARENA_CHUNK_BYTES_MAX)
        wanted = ARENA_CHUNK_BYTES_MAX;
    return size > wanted ? size : wanted;
}

static void add_chunk(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = mem_alloc(arena->subsystem, sizeof *chunk + size);
    chunk->older = arena->chunks;
    chunk->size = size;
    arena->chunks = chunk;
    arena->allocated_bytes += size;
    arena->cursor = chunk->data;
    arena->limit = chunk->data + size;
    POISON(chunk->data, size);
}

static size_t rounded(size_t size)
{
    size_t padded = size + ARENA_RED_ZONE_BYTES + (size == 0);
    assert(padded >= size);
    return (padded + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static void *carve(struct arena *arena, size_t size, size_t room)
{
    char *result = arena->cursor;
    arena->cursor += room;
    UNPOISON(result, size);
    return result;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t room = rounded(size);
    if ((size_t)(arena->limit - arena->cursor) < room)
        add_chunk(arena, chunk_size(arena, room));
    return carve(arena, size, room);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    assert(size == 0 || count <= SIZE_MAX / size);
    void *result = arena_alloc(arena, count * size);
    return memset(result, 0, count * size);
}

void *arena_try_alloc(struct arena *arena, size_t size)
{
    size_t room = rounded(size);
    if ((size_t)(arena->limit - arena->cursor) < room) {
        size_t wanted = chunk_size(arena, room);
        if (wanted > arena->budget_bytes || arena->allocated_bytes > arena->budget_bytes - wanted)
            return NULL;
        add_chunk(arena, wanted);
    }
    return carve(arena, size, room);
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->chunks, arena->cursor};
}

void arena_reset_to(struct arena *arena, struct arena_mark mark)
{
    while (arena->chunks != mark.chunk)
        free_newest(arena);
    arena->cursor = mark.cursor;
    arena->limit = mark.chunk == NULL ? NULL : mark.chunk->data + mark.chunk->size;
    if (mark.chunk != NULL)
        POISON(arena->cursor, (size_t)(arena->limit - arena->cursor));
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy = arena_alloc(arena, s.size + 1);
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return str_from(copy, s.size);
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return str_from(text, (size_t)size);
}
