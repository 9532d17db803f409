#include <string.h>

#include "match.h"
#include "narthex/base/hash.h"

enum { MATCH_RECENT = 256 }; /* a power of two */

void match_table__init(struct match_table *table, struct eval *eval,
                       const struct vector_matching *matching, uint32_t steps)
{
    *table = (struct match_table){.eval = eval, .matching = matching, .steps = steps};
    table->arena = eval__arena(eval);
    table->recent = ARENA_NEW_ARRAY(table->arena, uint32_t, MATCH_RECENT);
    eval__table(eval, &table->index);
}

static bool is_listed(const struct vector_matching *matching, struct str name)
{
    for (uint32_t i = 0; i < matching->label_count; i++) {
        if (str_equal(matching->labels[i], name))
            return true;
    }
    return false;
}

static bool takes_part(const struct vector_matching *matching, struct str name)
{
    if (matching->on)
        return is_listed(matching, name);
    return !str_equal(name, LABEL_NAME) && !is_listed(matching, name);
}

/* A view of the table's scratch memory. */
static struct labels signature(struct match_table *table, struct labels labels)
{
    if (labels.count > table->scratch_capacity) {
        table->scratch_capacity = labels.count * 2;
        table->scratch =
            arena_alloc(table->arena, table->scratch_capacity * sizeof *table->scratch);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < labels.count; i++) {
        if (takes_part(table->matching, labels.items[i].name))
            table->scratch[count++] = labels.items[i];
    }
    return (struct labels){table->scratch, count};
}

static bool group_equal(const void *owner, uint32_t item, const void *key)
{
    const struct match_table *table = owner;
    return labels_equal(table->groups[item].signature, *(const struct labels *)key);
}

static struct match_group *add_group(struct match_table *table, struct labels labels, uint64_t hash)
{
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        struct match_group *groups = arena_alloc(table->arena, capacity * sizeof *groups);
        if (table->count > 0)
            memcpy(groups, table->groups, table->count * sizeof *groups);
        table->groups = groups;
        table->capacity = capacity;
    }
    struct match_group *group = &table->groups[table->count];
    *group = (struct match_group){.signature = labels_copy_shallow(table->arena, labels)};
    group->present = arena_calloc(table->arena, bits__words(table->steps), sizeof(uint64_t));
    group->first_row = group->last_row = UINT32_MAX;
    htable_insert(&table->index, hash, table->count++);
    return group;
}

/* Series of the head share the memory of equal texts, so most rows are known by addresses. */
static uint32_t *recent_place(struct match_table *table, struct labels key)
{
    uint64_t hash = key.count;
    for (uint32_t i = 0; i < key.count; i++)
        hash = hash_mix(hash, (uint64_t)(uintptr_t)key.items[i].value.data);
    return &table->recent[hash & (MATCH_RECENT - 1)];
}

static bool same_text(struct str a, struct str b)
{
    return a.data == b.data && a.size == b.size;
}

static bool same_texts(struct labels a, struct labels b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        if (!same_text(a.items[i].value, b.items[i].value) ||
            !same_text(a.items[i].name, b.items[i].name))
            return false;
    }
    return true;
}

struct match_group *match_table__find(struct match_table *table, struct labels labels, bool create)
{
    struct labels key = signature(table, labels);
    uint32_t *recent = recent_place(table, key);
    if (*recent != 0 && same_texts(key, table->groups[*recent - 1].signature))
        return &table->groups[*recent - 1];
    uint64_t hash = labels_hash(key);
    uint32_t at = htable_find(&table->index, hash, group_equal, table, &key);
    if (at == HTABLE_NONE && !create)
        return NULL;
    struct match_group *group =
        at == HTABLE_NONE ? add_group(table, key, hash) : &table->groups[at];
    *recent = (uint32_t)(group - table->groups) + 1;
    return group;
}
