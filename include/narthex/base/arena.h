/* base/arena.h: memory that dies together.
 *
 * An arena hands out memory from growing chunks and frees all of it at once; one owner thread at a
 * time. It has a byte budget. Small requests always succeed, even slightly past the budget, so that
 * code building trees and labels needs no error branch; the owner checks arena_exhausted() at its
 * loop heads and gives up. Large, data-sized requests use arena_try_alloc, which refuses.
 * Under AddressSanitizer unused space is poisoned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/mem.h"
#include "narthex/base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *cursor;
    char *limit;
    size_t allocated_bytes; /* sum of chunk sizes */
    size_t budget_bytes;    /* SIZE_MAX: no limit */
    enum mem_subsystem subsystem;
};

/* A point to go back to with arena_reset_to. */
struct arena_mark {
    struct arena_chunk *chunk;
    char *cursor;
};

void arena_init(struct arena *arena, enum mem_subsystem subsystem, size_t budget_bytes);
/* Frees everything; the arena may be used again. */
void arena_deinit(struct arena *arena);
/* 16-byte aligned, uninitialised; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* As arena_alloc, but NULL when the arena would grow past its budget. */
void *arena_try_alloc(struct arena *arena, size_t size);
/* Whether more than the budget has been handed out. */
static inline bool arena_exhausted(const struct arena *arena)
{
    return arena->allocated_bytes > arena->budget_bytes;
}
struct arena_mark arena_mark(const struct arena *arena);
/* Frees everything allocated after the mark was taken. */
void arena_reset_to(struct arena *arena, struct arena_mark mark);

/* Copy with a NUL after it; the view excludes the NUL. */
struct str arena_str(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(arena, type) ((type *)arena_calloc((arena), 1, sizeof(type)))
#define ARENA_NEW_ARRAY(arena, type, count) ((type *)arena_calloc((arena), (count), sizeof(type)))
