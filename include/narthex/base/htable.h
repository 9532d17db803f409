/* base/htable.h: the one hash table: 64-bit hash -> 32-bit item number.
 *
 * Open addressing, linear probing, at most 3/4 full. The table knows no keys: the owner keeps items
 * in an array of its own and says through `equal` whether item number `item` is the key looked for.
 * One owner thread, or a lock of the owner's. About 12 bytes a slot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/mem.h"

enum { HTABLE_NONE = UINT32_MAX };

typedef bool (*htable_equal_fn)(const void *owner, uint32_t item, const void *key);

struct htable {
    uint64_t *hashes; /* 0 free, 1 deleted; real hashes are moved above 1 */
    uint32_t *items;
    uint32_t capacity; /* 0 or a power of two */
    uint32_t count;    /* live items */
    uint32_t used;     /* live and deleted */
    enum mem_subsystem subsystem;
};

void htable_init(struct htable *table, enum mem_subsystem subsystem);
void htable_deinit(struct htable *table);
/* Item number for the key, or HTABLE_NONE. */
uint32_t htable_find(const struct htable *table, uint64_t hash, htable_equal_fn equal,
                     const void *owner, const void *key);
/* Adds an item that is not in the table. */
void htable_insert(struct htable *table, uint64_t hash, uint32_t item);
/* Removes the entry with this hash and item number; false if there is none. */
bool htable_remove(struct htable *table, uint64_t hash, uint32_t item);
void htable_clear(struct htable *table);
/* Makes room for so many items. */
void htable_reserve(struct htable *table, uint32_t count);
/* Brings the place of a hash into the cache, for a find or insert that comes soon. */
static inline void htable_prefetch(const struct htable *table, uint64_t hash)
{
    if (table->capacity > 0) {
        __builtin_prefetch(&table->hashes[(uint32_t)hash & (table->capacity - 1)], 1);
        __builtin_prefetch(&table->items[(uint32_t)hash & (table->capacity - 1)], 1);
    }
}
/* Bytes held. */
size_t htable_bytes(const struct htable *table);
