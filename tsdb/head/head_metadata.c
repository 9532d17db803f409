/* Metadata by series: type, help and unit. Many series share the same three, so those are kept
 * once. */
#include "head_impl.h"

#include "narthex/base/vec.h"

struct metadata_entry {
    struct metadata metadata; /* strings owned */
};

struct metadata_of_series {
    series_ref ref;
    uint32_t entry;
};

struct head_metadata_store {
    struct htable by_text;
    struct metadata_entry *entries;
    uint32_t entry_count;
    uint32_t entry_capacity;
    struct htable by_ref;
    struct metadata_of_series *series;
    uint32_t series_count;
    uint32_t series_capacity;
};

struct head_metadata_store *head__metadata_create(void)
{
    struct head_metadata_store *store = MEM_NEW(MEM_HEAD, struct head_metadata_store);
    htable_init(&store->by_text, MEM_HEAD);
    htable_init(&store->by_ref, MEM_HEAD);
    return store;
}

void head__metadata_destroy(struct head_metadata_store *store)
{
    for (uint32_t i = 0; i < store->entry_count; i++) {
        mem_free(MEM_HEAD, (char *)store->entries[i].metadata.help.data);
        mem_free(MEM_HEAD, (char *)store->entries[i].metadata.unit.data);
    }
    htable_deinit(&store->by_text);
    htable_deinit(&store->by_ref);
    mem_free(MEM_HEAD, store->entries);
    mem_free(MEM_HEAD, store->series);
    mem_free(MEM_HEAD, store);
}

static bool metadata_equal(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && str_equal(a->help, b->help) && str_equal(a->unit, b->unit);
}

static bool entry_equals(const void *owner, uint32_t item, const void *key)
{
    const struct head_metadata_store *store = owner;
    return metadata_equal(&store->entries[item].metadata, key);
}

static bool series_equals(const void *owner, uint32_t item, const void *key)
{
    const struct head_metadata_store *store = owner;
    return store->series[item].ref == *(const series_ref *)key;
}

static uint32_t entry_of(struct head_metadata_store *store, const struct metadata *metadata)
{
    uint64_t hash = hash_mix(hash_str(metadata->help), hash_str(metadata->unit) + metadata->type);
    uint32_t entry = htable_find(&store->by_text, hash, entry_equals, store, metadata);
    if (entry != HTABLE_NONE)
        return entry;
    struct metadata copy = {
        .type = metadata->type,
        .help = {mem_dup(MEM_HEAD, metadata->help.data, metadata->help.size), metadata->help.size},
        .unit = {mem_dup(MEM_HEAD, metadata->unit.data, metadata->unit.size), metadata->unit.size},
    };
    VEC_PUSH(MEM_HEAD, store->entries, store->entry_count, store->entry_capacity,
             (struct metadata_entry){copy});
    htable_insert(&store->by_text, hash, store->entry_count - 1);
    return store->entry_count - 1;
}

static uint32_t find_series(const struct head_metadata_store *store, series_ref ref)
{
    return htable_find(&store->by_ref, hash_mix(0, ref), series_equals, store, &ref);
}

bool head__metadata_is(const struct head_metadata_store *store, series_ref ref,
                       const struct metadata *metadata)
{
    uint32_t item = find_series(store, ref);
    return item != HTABLE_NONE &&
           metadata_equal(&store->entries[store->series[item].entry].metadata, metadata);
}

bool head__metadata_set(struct head_metadata_store *store, series_ref ref,
                        const struct metadata *metadata)
{
    if (head__metadata_is(store, ref, metadata))
        return false;
    uint32_t entry = entry_of(store, metadata);
    uint32_t item = find_series(store, ref);
    if (item != HTABLE_NONE) {
        store->series[item].entry = entry;
        return true;
    }
    VEC_PUSH(MEM_HEAD, store->series, store->series_count, store->series_capacity,
             (struct metadata_of_series){ref, entry});
    htable_insert(&store->by_ref, hash_mix(0, ref), store->series_count - 1);
    return true;
}

bool head__metadata_is_empty(const struct head_metadata_store *store)
{
    return store->by_ref.count == 0;
}

void head__metadata_remove(struct head_metadata_store *store, series_ref ref)
{
    uint32_t item = find_series(store, ref);
    if (item == HTABLE_NONE)
        return;
    htable_remove(&store->by_ref, hash_mix(0, ref), item);
    uint32_t last = --store->series_count;
    if (item == last)
        return;
    series_ref moved = store->series[last].ref;
    htable_remove(&store->by_ref, hash_mix(0, moved), last);
    store->series[item] = store->series[last];
    htable_insert(&store->by_ref, hash_mix(0, moved), item);
}

void head__metadata_encode(const struct head_metadata_store *store, series_ref ref,
                           struct strbuf *body)
{
    uint32_t item = find_series(store, ref);
    if (item == HTABLE_NONE)
        return;
    const struct metadata *metadata = &store->entries[store->series[item].entry].metadata;
    wal_encode_metadata(body, ref, (uint8_t)metadata->type, metadata->help, metadata->unit);
}

bool head__metadata_get(const struct head_metadata_store *store, series_ref ref,
                        struct arena *arena, struct metadata *metadata)
{
    uint32_t item = find_series(store, ref);
    if (item == HTABLE_NONE)
        return false;
    const struct metadata *stored = &store->entries[store->series[item].entry].metadata;
    *metadata = (struct metadata){stored->type, arena_str(arena, stored->help),
                                  arena_str(arena, stored->unit)};
    return true;
}
