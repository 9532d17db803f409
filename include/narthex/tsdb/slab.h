/* tsdb/slab.h: memory for very many small blocks of few sizes (open buffers).
 *
 * A pool cuts 64 KiB slabs into blocks of one size class each: multiples of 16 up to 256 bytes,
 * then coarser up to SLAB_SIZE_MAX. A block has no header: who frees it says its size again. Freed
 * blocks are reused by their class, and a slab without blocks by any class; memory goes back to the
 * system when the pool is destroyed.
 * All functions except create/destroy may be called from any thread; each class has its own lock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "narthex/base/mem.h"

enum { SLAB_SIZE_MAX = 4096 };

struct slab_pool;

/* `subsystem` pays for the slabs. */
struct slab_pool *slab_pool_create(enum mem_subsystem subsystem);
/* All blocks become invalid. NULL is ignored. */
void slab_pool_destroy(struct slab_pool *pool);

/* A 16-byte aligned uninitialised block of at least `size` bytes, 1 <= size <= SLAB_SIZE_MAX. */
void *slab_alloc(struct slab_pool *pool, size_t size);
/* Gives back a block; `size` is what it was asked for. */
void slab_free(struct slab_pool *pool, void *block, size_t size);
/* Bytes the class of `size` really hands out. */
size_t slab_usable_size(size_t size);
/* Bytes in blocks now handed out. */
int64_t slab_used_bytes(const struct slab_pool *pool);
