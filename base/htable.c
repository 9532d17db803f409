#include "narthex/base/htable.h"

#include <assert.h>

enum { HTABLE_FIRST_CAPACITY = 16, HTABLE_FREE = 0, HTABLE_DELETED = 1 };

/* 0 and 1 are markers, so real hashes are moved above them. */
static uint64_t stored_hash(uint64_t hash)
{
    return hash <= HTABLE_DELETED ? hash + 2 : hash;
}

void htable_init(struct htable *table, enum mem_subsystem subsystem)
{
    *table = (struct htable){.subsystem = subsystem};
}

void htable_deinit(struct htable *table)
{
    mem_free(table->subsystem, table->hashes);
    mem_free(table->subsystem, table->items);
    htable_init(table, table->subsystem);
}

void htable_clear(struct htable *table)
{
    for (uint32_t i = 0; i < table->capacity; i++)
        table->hashes[i] = HTABLE_FREE;
    table->count = 0;
    table->used = 0;
}

uint32_t htable_find(const struct htable *table, uint64_t hash, htable_equal_fn equal,
                     const void *owner, const void *key)
{
    if (table->count == 0)
        return HTABLE_NONE;
    hash = stored_hash(hash);
    uint32_t mask = table->capacity - 1;
    for (uint32_t at = (uint32_t)hash & mask; table->hashes[at] != HTABLE_FREE;
         at = (at + 1) & mask) {
        if (table->hashes[at] == hash && equal(owner, table->items[at], key))
            return table->items[at];
    }
    return HTABLE_NONE;
}

static void place(struct htable *table, uint64_t hash, uint32_t item)
{
    uint32_t mask = table->capacity - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (table->hashes[at] > HTABLE_DELETED)
        at = (at + 1) & mask;
    if (table->hashes[at] == HTABLE_FREE)
        table->used++;
    table->hashes[at] = hash;
    table->items[at] = item;
    table->count++;
}

static void resize(struct htable *table, uint32_t capacity)
{
    struct htable old = *table;
    table->hashes = mem_calloc(table->subsystem, capacity, sizeof *table->hashes);
    table->items = mem_calloc(table->subsystem, capacity, sizeof *table->items);
    table->capacity = capacity;
    table->count = 0;
    table->used = 0;
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.hashes[i] > HTABLE_DELETED)
            place(table, old.hashes[i], old.items[i]);
    }
    mem_free(old.subsystem, old.hashes);
    mem_free(old.subsystem, old.items);
}

void htable_insert(struct htable *table, uint64_t hash, uint32_t item)
{
    assert(item != HTABLE_NONE);
    if (((uint64_t)table->used + 1) * 4 > (uint64_t)table->capacity * 3) {
        uint32_t capacity = table->capacity == 0 ? HTABLE_FIRST_CAPACITY : table->capacity;
        /* Many deleted entries: rebuilding at the same size is enough. */
        if (((uint64_t)table->count + 1) * 2 > capacity)
            capacity *= 2;
        assert(capacity != 0);
        resize(table, capacity);
    }
    place(table, stored_hash(hash), item);
}

void htable_reserve(struct htable *table, uint32_t count)
{
    uint64_t capacity = table->capacity == 0 ? HTABLE_FIRST_CAPACITY : table->capacity;
    while (((uint64_t)count + table->used + 1) * 4 > capacity * 3)
        capacity *= 2;
    assert(capacity <= UINT32_MAX);
    if (capacity > table->capacity)
        resize(table, (uint32_t)capacity);
}

bool htable_remove(struct htable *table, uint64_t hash, uint32_t item)
{
    if (table->count == 0)
        return false;
    hash = stored_hash(hash);
    uint32_t mask = table->capacity - 1;
    for (uint32_t at = (uint32_t)hash & mask; table->hashes[at] != HTABLE_FREE;
         at = (at + 1) & mask) {
        if (table->hashes[at] == hash && table->items[at] == item) {
            table->hashes[at] = HTABLE_DELETED;
            table->count--;
            return true;
        }
    }
    return false;
}

size_t htable_bytes(const struct htable *table)
{
    return (size_t)table->capacity * (sizeof *table->hashes + sizeof *table->items);
}
