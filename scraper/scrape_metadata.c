#include "scrape_metadata.h"

#include <assert.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"

static struct str own(struct scrape_metadata *metadata, struct str s)
{
    metadata->bytes += s.size;
    if (s.size == 0) /* most units: not worth a block */
        return STR("");
    return str_from(mem_dup(MEM_SCRAPE, s.data, s.size), s.size);
}

static void disown(struct scrape_metadata *metadata, struct str s)
{
    metadata->bytes -= s.size;
    if (s.size > 0)
        mem_free(MEM_SCRAPE, (char *)(uintptr_t)s.data);
}

static void family_deinit(struct scrape_metadata *metadata, struct metadata_family *family)
{
    disown(metadata, family->name);
    disown(metadata, family->help);
    disown(metadata, family->unit);
}

size_t scrape_metadata_table_bytes(const struct scrape_metadata *metadata)
{
    return metadata->capacity * (sizeof *metadata->items + sizeof *metadata->seen) +
           (metadata->has_index ? htable_bytes(&metadata->index) : 0);
}

void scrape_metadata_deinit(struct scrape_metadata *metadata)
{
    for (uint32_t i = 0; i < metadata->count; i++)
        family_deinit(metadata, &metadata->items[i]);
    mem_free(MEM_SCRAPE, metadata->items);
    mem_free(MEM_SCRAPE, metadata->seen);
    if (metadata->has_index)
        htable_deinit(&metadata->index);
    *metadata = (struct scrape_metadata){0};
}

static bool name_equal(const void *owner, uint32_t item, const void *key)
{
    const struct scrape_metadata *metadata = owner;
    return str_equal(metadata->items[item].name, *(const struct str *)key);
}

uint32_t scrape_metadata_find(const struct scrape_metadata *metadata, struct str name)
{
    if (!metadata->has_index)
        return HTABLE_NONE;
    return htable_find(&metadata->index, hash_str(name), name_equal, metadata, &name);
}

/* Numbers of the others must not change: cache lines hold them. */
static uint32_t free_item(struct scrape_metadata *metadata)
{
    if (metadata->free_count == 0)
        return HTABLE_NONE;
    uint32_t item = 0;
    while (metadata->items[item].name.size > 0)
        item++;
    metadata->free_count--;
    return item;
}

/* By less than doubling: there are as many of these as targets, and they hardly ever grow. */
static void make_room(struct scrape_metadata *metadata)
{
    if (metadata->count <= metadata->capacity)
        return;
    metadata->capacity += metadata->capacity / 4 + 4;
    metadata->items =
        mem_realloc(MEM_SCRAPE, metadata->items, metadata->capacity * sizeof *metadata->items);
    metadata->seen =
        mem_realloc(MEM_SCRAPE, metadata->seen, metadata->capacity * sizeof *metadata->seen);
}

uint32_t scrape_metadata_add(struct scrape_metadata *metadata, struct str name)
{
    uint32_t found = scrape_metadata_find(metadata, name);
    if (found != HTABLE_NONE)
        return found;
    if (!metadata->has_index) {
        htable_init(&metadata->index, MEM_SCRAPE);
        metadata->has_index = true;
    }
    struct metadata_family family = {.name = own(metadata, name), .type = METADATA_UNKNOWN};
    uint32_t item = free_item(metadata);
    if (item == HTABLE_NONE) {
        item = metadata->count++;
        make_room(metadata);
        metadata->items[item] = family;
    } else {
        metadata->items[item] = family;
    }
    metadata->seen[item] = 0;
    htable_insert(&metadata->index, hash_str(name), item);
    return item;
}

static void set_text(struct scrape_metadata *metadata, struct str *text, struct str value)
{
    if (str_equal(*text, value))
        return;
    disown(metadata, *text);
    *text = own(metadata, value);
}

void scrape_metadata_set_help(struct scrape_metadata *metadata, uint32_t item, struct str help)
{
    set_text(metadata, &metadata->items[item].help, help);
}

void scrape_metadata_set_unit(struct scrape_metadata *metadata, uint32_t item, struct str unit)
{
    set_text(metadata, &metadata->items[item].unit, unit);
}

void scrape_metadata_expire(struct scrape_metadata *metadata, uint32_t scrape)
{
    for (uint32_t i = 0; i < metadata->count; i++) {
        struct metadata_family *family = &metadata->items[i];
        if (family->name.size == 0 || scrape - metadata->seen[i] <= METADATA_SCRAPES_KEPT)
            continue;
        htable_remove(&metadata->index, hash_str(family->name), i);
        family_deinit(metadata, family);
        *family = (struct metadata_family){0};
        metadata->free_count++;
    }
}

bool scrape_metadata_has_expired(const struct scrape_metadata *metadata, uint32_t scrape)
{
    for (uint32_t i = 0; i < metadata->count; i++) {
        if (scrape - metadata->seen[i] > METADATA_SCRAPES_KEPT && metadata->items[i].name.size > 0)
            return true;
    }
    return false;
}
