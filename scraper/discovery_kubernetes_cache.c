#include "discovery_kubernetes_cache.h"

#include <assert.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

struct object_key {
    struct str space;
    struct str name;
};

void kubernetes_cache_init(struct kubernetes_cache *cache, size_t bytes_max)
{
    *cache = (struct kubernetes_cache){.bytes_max = bytes_max};
    for (uint32_t i = 0; i < KUBERNETES_KINDS; i++)
        htable_init(&cache->shelves[i].table, MEM_DISCOVERY);
    arena_init(&cache->scratch, MEM_DISCOVERY, SIZE_MAX);
}

void kubernetes_cache_deinit(struct kubernetes_cache *cache)
{
    for (uint32_t i = 0; i < KUBERNETES_KINDS; i++) {
        struct kubernetes_shelf *shelf = &cache->shelves[i];
        for (uint32_t k = 0; k < shelf->count; k++) {
            kubernetes_object_free(shelf->entries[k].now);
            kubernetes_object_free(shelf->entries[k].staged);
        }
        mem_free(MEM_DISCOVERY, shelf->entries);
        htable_deinit(&shelf->table);
    }
    arena_deinit(&cache->scratch);
}

/* ---- finding ---- */

static const struct kubernetes_object *any_of(const struct kubernetes_entry *entry)
{
    return entry->now != NULL ? entry->now : entry->staged;
}

static uint64_t key_hash(struct str space, struct str name)
{
    return hash_mix(hash_str(space), hash_str(name));
}

static bool is_entry(const void *owner, uint32_t item, const void *key)
{
    const struct kubernetes_shelf *shelf = owner;
    const struct object_key *wanted = key;
    const struct kubernetes_object *object = any_of(&shelf->entries[item]);
    return str_equal(object->name, wanted->name) && str_equal(object->space, wanted->space);
}

static uint32_t find_index(const struct kubernetes_shelf *shelf, struct str space, struct str name)
{
    struct object_key key = {space, name};
    return htable_find(&shelf->table, key_hash(space, name), is_entry, shelf, &key);
}

const struct kubernetes_object *kubernetes_cache_find(const struct kubernetes_cache *cache,
                                                      enum kubernetes_kind kind, struct str space,
                                                      struct str name)
{
    const struct kubernetes_shelf *shelf = &cache->shelves[kind];
    uint32_t index = find_index(shelf, space, name);
    return index == HTABLE_NONE ? NULL : shelf->entries[index].now;
}

uint32_t kubernetes_cache_count(const struct kubernetes_cache *cache, enum kubernetes_kind kind)
{
    return cache->shelves[kind].count;
}

const struct kubernetes_object *kubernetes_cache_at(const struct kubernetes_cache *cache,
                                                    enum kubernetes_kind kind, uint32_t index)
{
    return cache->shelves[kind].entries[index].now;
}

/* ---- changing ---- */

static void drop_object(struct kubernetes_cache *cache, struct kubernetes_object *object)
{
    if (object == NULL)
        return;
    assert(cache->bytes >= object->bytes);
    cache->bytes -= object->bytes;
    kubernetes_object_free(object);
}

static uint64_t entry_hash(const struct kubernetes_entry *entry)
{
    const struct kubernetes_object *object = any_of(entry);
    return key_hash(object->space, object->name);
}

/* The last entry takes the place of the one that goes. */
static void remove_entry(struct kubernetes_cache *cache, struct kubernetes_shelf *shelf,
                         uint32_t index)
{
    struct kubernetes_entry *entry = &shelf->entries[index];
    uint32_t last = shelf->count - 1;
    htable_remove(&shelf->table, entry_hash(entry), index);
    drop_object(cache, entry->now);
    drop_object(cache, entry->staged);
    if (index != last) {
        uint64_t hash = entry_hash(&shelf->entries[last]);
        htable_remove(&shelf->table, hash, last);
        *entry = shelf->entries[last];
        htable_insert(&shelf->table, hash, index);
    }
    shelf->count = last;
}

/* The entry of the object named in `json`, made if need be, and in *made what is new about it: NULL
 * when it is as it was. A new entry has neither object until the caller gives it one. */
static err_t read_object(struct kubernetes_cache *cache, enum kubernetes_kind kind, json_t *json,
                         bool staging, uint32_t *index, struct kubernetes_object **made,
                         struct strbuf *why)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    struct str space, name;
    *made = NULL;
    TRY(kubernetes_object_identify(json, &space, &name, why));
    *index = find_index(shelf, space, name);
    const struct kubernetes_object *known = NULL;
    if (*index != HTABLE_NONE) {
        const struct kubernetes_entry *entry = &shelf->entries[*index];
        known = staging && entry->staged != NULL ? entry->staged : entry->now;
    }
    TRY(kubernetes_object_read(kind, json, known, &cache->scratch, made, why));
    if (*made == NULL)
        return OK;
    if (known != NULL && kind == KUBERNETES_NODE && cache->nodes_need_address &&
        !kubernetes_node_has_address((struct kubernetes_node *)*made)) {
        kubernetes_object_free(*made);
        *made = NULL;
        return OK;
    }
    if (cache->bytes + (*made)->bytes > cache->bytes_max) {
        kubernetes_object_free(*made);
        *made = NULL;
        return err_fail(why, ERR_LIMIT, "objects take more than %zu bytes", cache->bytes_max);
    }
    cache->bytes += (*made)->bytes;
    return OK;
}

static void insert_entry(struct kubernetes_shelf *shelf, struct kubernetes_entry entry)
{
    VEC_PUSH(MEM_DISCOVERY, shelf->entries, shelf->count, shelf->capacity, entry);
    htable_insert(&shelf->table, entry_hash(&entry), shelf->count - 1);
}

err_t kubernetes_cache_stage(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                             uint32_t source, json_t *object, struct strbuf *why)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    uint32_t index;
    struct kubernetes_object *made;
    TRY(read_object(cache, kind, object, true, &index, &made, why));
    if (index == HTABLE_NONE) {
        insert_entry(shelf, (struct kubernetes_entry){NULL, made, source, true});
        return OK;
    }
    struct kubernetes_entry *entry = &shelf->entries[index];
    entry->source = source;
    entry->listed = true;
    if (made == NULL)
        return OK;
    struct kubernetes_object *before = entry->staged;
    entry->staged = made;
    drop_object(cache, before);
    return OK;
}

void kubernetes_cache_finish_list(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                                  uint32_t source, struct kubernetes_changes *changes)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    for (uint32_t i = shelf->count; i-- > 0;) {
        struct kubernetes_entry *entry = &shelf->entries[i];
        if (entry->source != source)
            continue;
        if (!entry->listed) {
            changes->deleted++;
            cache->version++;
            remove_entry(cache, shelf, i);
            continue;
        }
        entry->listed = false;
        if (entry->staged == NULL)
            continue;
        if (entry->now == NULL)
            changes->added++;
        else
            changes->updated++;
        cache->version++;
        drop_object(cache, entry->now);
        entry->now = entry->staged;
        entry->staged = NULL;
    }
}

void kubernetes_cache_abandon_list(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                                   uint32_t source)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    for (uint32_t i = shelf->count; i-- > 0;) {
        struct kubernetes_entry *entry = &shelf->entries[i];
        if (entry->source != source || !entry->listed)
            continue;
        entry->listed = false;
        if (entry->now == NULL) {
            remove_entry(cache, shelf, i);
        } else {
            drop_object(cache, entry->staged);
            entry->staged = NULL;
        }
    }
}

err_t kubernetes_cache_put(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                           uint32_t source, json_t *object, struct kubernetes_changes *changes,
                           struct strbuf *why)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    uint32_t index;
    struct kubernetes_object *made;
    TRY(read_object(cache, kind, object, false, &index, &made, why));
    if (index == HTABLE_NONE) {
        insert_entry(shelf, (struct kubernetes_entry){made, NULL, source, false});
        changes->added++;
        cache->version++;
        return OK;
    }
    changes->updated++;
    if (made == NULL)
        return OK;
    struct kubernetes_entry *entry = &shelf->entries[index];
    struct kubernetes_object *before = entry->now;
    entry->now = made;
    entry->source = source;
    drop_object(cache, before);
    cache->version++;
    return OK;
}

err_t kubernetes_cache_remove(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                              const json_t *object, struct kubernetes_changes *changes,
                              struct strbuf *why)
{
    struct kubernetes_shelf *shelf = &cache->shelves[kind];
    struct str space, name;
    TRY(kubernetes_object_identify(object, &space, &name, why));
    uint32_t index = find_index(shelf, space, name);
    if (index == HTABLE_NONE)
        return OK;
    remove_entry(cache, shelf, index);
    changes->deleted++;
    cache->version++;
    return OK;
}
