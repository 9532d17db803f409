#include "scrape_cache.h"

#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum { TABLE_KEPT_PER_LINE = 16, TABLE_KEPT_MIN = 1024, NEAR_LINES = 16 };

void scrape_cache_deinit(struct scrape_cache *cache)
{
    mem_free(MEM_SCRAPE, cache->lines);
    synthetic_starts_destroy(cache->starts);
    cache->lines = NULL;
    cache->starts = NULL;
    cache->count = 0;
}

void scrape_rewrite_init(struct scrape_rewrite *rewrite)
{
    *rewrite = (struct scrape_rewrite){0};
    htable_init(&rewrite->table, MEM_SCRAPE);
}

void scrape_rewrite_deinit(struct scrape_rewrite *rewrite)
{
    mem_free(MEM_SCRAPE, rewrite->lines);
    mem_free(MEM_SCRAPE, rewrite->own);
    htable_deinit(&rewrite->table);
}

/* Clearing costs as much as the table is large: one that a huge target left behind is replaced. */
static void empty_table(struct htable *table, uint32_t lines)
{
    if (table->capacity > TABLE_KEPT_MIN && table->capacity / TABLE_KEPT_PER_LINE > lines) {
        htable_deinit(table);
        htable_init(table, MEM_SCRAPE);
    } else {
        htable_clear(table);
    }
}

static void set_known(struct scrape_rewrite *rewrite, uint64_t key_hash)
{
    uint64_t bit = key_hash % CACHE_KNOWN_BITS;
    rewrite->known[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static bool may_be_known(const struct scrape_rewrite *rewrite, uint64_t key_hash)
{
    uint64_t bit = key_hash % CACHE_KNOWN_BITS;
    return (rewrite->known[bit / 64] >> (bit % 64) & 1) != 0;
}

void scrape_rewrite_begin(struct scrape_rewrite *rewrite, struct scrape_cache *cache,
                          uint32_t matched)
{
    assert(!rewrite->active);
    assert(matched <= cache->count);
    rewrite->active = true;
    VEC_RESERVE(MEM_SCRAPE, rewrite->lines, rewrite->capacity, cache->count + 1);
    if (matched > 0)
        memcpy(rewrite->lines, cache->lines, matched * sizeof *cache->lines);
    rewrite->count = matched;
    rewrite->has_table = false;
    rewrite->own_count = 0;
    memset(rewrite->known, 0, sizeof rewrite->known);
    for (uint32_t i = 0; i < cache->count; i++) {
        struct cache_line *line = &cache->lines[i];
        line->flags &= (uint8_t)~CACHE_LINE_TAKEN;
        if (i < matched)
            line->flags |= CACHE_LINE_TAKEN;
        if ((line->flags & CACHE_LINE_DUPLICATE) == 0)
            set_known(rewrite, line->key_hash);
    }
}

struct lookup {
    const struct scrape_rewrite *rewrite;
    const struct scrape_cache *cache;
    uint64_t key_hash;
    uint32_t key_size;
};

static struct cache_line *line_at(const struct lookup *lookup, uint32_t item)
{
    uint32_t old = lookup->cache->count;
    return item < old ? &lookup->cache->lines[item] : &lookup->rewrite->lines[item - old];
}

static bool same_key(const void *owner, uint32_t item, const void *key)
{
    (void)key;
    const struct lookup *lookup = owner;
    const struct cache_line *line = line_at(lookup, item);
    return line->key_hash == lookup->key_hash && line->key_size == lookup->key_size;
}

static void make_table(struct scrape_rewrite *rewrite, const struct scrape_cache *cache)
{
    if (rewrite->has_table)
        return;
    rewrite->has_table = true;
    empty_table(&rewrite->table, cache->count);
    for (uint32_t i = 0; i < cache->count; i++) {
        if ((cache->lines[i].flags & CACHE_LINE_DUPLICATE) == 0)
            htable_insert(&rewrite->table, cache->lines[i].key_hash, i);
    }
    for (uint32_t i = 0; i < rewrite->own_count; i++) {
        uint32_t at = rewrite->own[i];
        htable_insert(&rewrite->table, rewrite->lines[at].key_hash, cache->count + at);
    }
}

/* What the table would give for an old line that is not far behind: there is no other with its key
 * unless it is a duplicate. */
static struct cache_line *find_near(struct scrape_cache *cache, uint32_t near, uint64_t key_hash,
                                    uint32_t key_size)
{
    uint32_t end = cache->count < NEAR_LINES || near > cache->count - NEAR_LINES
                       ? cache->count
                       : near + NEAR_LINES;
    for (uint32_t i = near; i < end; i++) {
        struct cache_line *line = &cache->lines[i];
        if (line->key_hash == key_hash && line->key_size == key_size &&
            (line->flags & (CACHE_LINE_TAKEN | CACHE_LINE_DUPLICATE)) == 0)
            return line;
    }
    return NULL;
}

struct cache_line *scrape_rewrite_find(struct scrape_rewrite *rewrite, struct scrape_cache *cache,
                                       uint32_t near, uint64_t key_hash, uint32_t key_size,
                                       bool *is_new)
{
    assert(rewrite->active);
    *is_new = false;
    if (!may_be_known(rewrite, key_hash))
        return NULL;
    struct cache_line *line = find_near(cache, near, key_hash, key_size);
    if (line != NULL)
        return line;
    make_table(rewrite, cache);
    struct lookup lookup = {rewrite, cache, key_hash, key_size};
    uint32_t item = htable_find(&rewrite->table, key_hash, same_key, &lookup, NULL);
    if (item == HTABLE_NONE)
        return NULL;
    *is_new = item >= cache->count;
    return line_at(&lookup, item);
}

struct cache_line *scrape_rewrite_push(struct scrape_rewrite *rewrite,
                                       const struct scrape_cache *cache,
                                       const struct cache_line *line, bool own_key)
{
    assert(rewrite->active);
    struct cache_line copy = *line;
    copy.flags &= (uint8_t)~CACHE_LINE_TAKEN;
    VEC_PUSH(MEM_SCRAPE, rewrite->lines, rewrite->count, rewrite->capacity, copy);
    if (own_key) {
        set_known(rewrite, copy.key_hash);
        if (rewrite->has_table)
            htable_insert(&rewrite->table, copy.key_hash, cache->count + rewrite->count - 1);
        else
            VEC_PUSH(MEM_SCRAPE, rewrite->own, rewrite->own_count, rewrite->own_capacity,
                     rewrite->count - 1);
    }
    return &rewrite->lines[rewrite->count - 1];
}

void scrape_rewrite_end(struct scrape_rewrite *rewrite, struct scrape_cache *cache, bool keep_lost)
{
    assert(rewrite->active);
    rewrite->active = false;
    for (uint32_t i = 0; keep_lost && i < cache->count; i++) {
        if ((cache->lines[i].flags & CACHE_LINE_TAKEN) == 0)
            VEC_PUSH(MEM_SCRAPE, rewrite->lines, rewrite->count, rewrite->capacity,
                     cache->lines[i]);
    }
    if (rewrite->count != cache->count)
        cache->lines =
            mem_realloc(MEM_SCRAPE, cache->lines, rewrite->count * sizeof *cache->lines + 1);
    if (rewrite->count > 0)
        memcpy(cache->lines, rewrite->lines, rewrite->count * sizeof *cache->lines);
    cache->count = rewrite->count;
    if (rewrite->capacity > 65536 && rewrite->capacity / TABLE_KEPT_PER_LINE > rewrite->count) {
        mem_free(MEM_SCRAPE, rewrite->lines);
        rewrite->lines = NULL;
        rewrite->capacity = 0;
    }
}
