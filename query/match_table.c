#include <string.h>

#include "match.h"

void match_table__init(struct match_table *table, struct eval *eval,
                       const struct vector_matching *matching, uint32_t steps)
{
    *table = (struct match_table){.eval = eval, .matching = matching, .steps = steps};
    table->arena = eval__arena(eval);
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

struct match_group *match_table__find(struct match_table *table, struct labels labels, bool create)
{
    struct labels key = signature(table, labels);
    uint64_t hash = labels_hash(key);
    uint32_t at = htable_find(&table->index, hash, group_equal, table, &key);
    if (at != HTABLE_NONE)
        return &table->groups[at];
    return create ? add_group(table, key, hash) : NULL;
}
