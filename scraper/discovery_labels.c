#include "discovery_labels.h"

#include <stdlib.h>

#include "discovery_json.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

void discovery_labels_deinit(struct discovery_labels *labels)
{
    mem_free(MEM_DISCOVERY, labels->items);
    *labels = (struct discovery_labels){0};
}

void discovery_labels_clear(struct discovery_labels *labels)
{
    labels->count = 0;
}

void discovery_labels_add(struct discovery_labels *labels, struct str name, struct str value)
{
    VEC_PUSH(MEM_DISCOVERY, labels->items, labels->count, labels->capacity,
             (struct label){name, value});
}

void discovery_labels_add_all(struct discovery_labels *labels, struct labels more)
{
    for (uint32_t i = 0; i < more.count; i++)
        discovery_labels_add(labels, more.items[i].name, more.items[i].value);
}

void discovery_labels_add_key(struct discovery_labels *labels, struct arena *arena,
                              const char *prefix, struct str key, struct str value)
{
    struct strbuf name = STRBUF_INIT;
    strbuf_add_cstr(&name, prefix);
    discovery_label_name_add(&name, key);
    discovery_labels_add(labels, arena_str(arena, strbuf_str(&name)), arena_str(arena, value));
    strbuf_deinit(&name);
}

/* Equal names keep their order: a stable sort by merging would need memory, positions need none. */
static int by_name_then_position(const void *a, const void *b)
{
    const struct label *const *x = a;
    const struct label *const *y = b;
    int order = str_compare((*x)->name, (*y)->name);
    return order != 0 ? order : *x < *y ? -1 : *x > *y;
}

struct labels discovery_labels_finish(struct discovery_labels *labels, struct arena *arena)
{
    if (labels->count == 0)
        return (struct labels){0};
    const struct label **sorted = MEM_NEW_ARRAY(MEM_DISCOVERY, const struct label *, labels->count);
    for (uint32_t i = 0; i < labels->count; i++)
        sorted[i] = &labels->items[i];
    qsort(sorted, labels->count, sizeof *sorted, by_name_then_position);
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, labels->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < labels->count; i++) {
        bool last = i + 1 == labels->count || !str_equal(sorted[i]->name, sorted[i + 1]->name);
        if (last && sorted[i]->value.size > 0)
            items[count++] = *sorted[i];
    }
    mem_free(MEM_DISCOVERY, sorted);
    return (struct labels){items, count};
}

static struct target_group_config *add_group(struct discovered_groups *groups)
{
    if (groups->count == groups->capacity) {
        uint32_t capacity = groups->capacity == 0 ? 16 : groups->capacity * 2;
        struct target_group_config *items =
            ARENA_NEW_ARRAY(groups->arena, struct target_group_config, capacity);
        for (uint32_t i = 0; i < groups->count; i++)
            items[i] = groups->items[i];
        groups->items = items;
        groups->capacity = capacity;
    }
    return &groups->items[groups->count++];
}

void discovered_groups_add_labeled(struct discovered_groups *groups, const struct labels *targets,
                                   uint32_t target_count, struct labels labels)
{
    struct labels *copies = ARENA_NEW_ARRAY(groups->arena, struct labels, target_count + 1);
    for (uint32_t i = 0; i < target_count; i++)
        copies[i] = targets[i];
    *add_group(groups) = (struct target_group_config){copies, target_count, labels};
}

void discovered_groups_add_copy(struct discovered_groups *groups,
                                const struct target_group_config *group)
{
    struct labels *copies = ARENA_NEW_ARRAY(groups->arena, struct labels, group->target_count + 1);
    for (uint32_t i = 0; i < group->target_count; i++)
        copies[i] = labels_copy(groups->arena, group->targets[i]);
    *add_group(groups) = (struct target_group_config){copies, group->target_count,
                                                      labels_copy(groups->arena, group->labels)};
}

void discovery_targets_add(struct discovery_targets *targets, struct discovery_labels *labels,
                           struct str address, struct arena *arena)
{
    discovery_labels_add(labels, STR("__address__"), arena_str(arena, address));
    VEC_PUSH(MEM_DISCOVERY, targets->items, targets->count, targets->capacity,
             discovery_labels_finish(labels, arena));
    discovery_labels_clear(labels);
}

void discovery_targets_finish(struct discovery_targets *targets, struct labels shared,
                              struct discovered_groups *groups)
{
    discovered_groups_add_labeled(groups, targets->items, targets->count, shared);
    targets->count = 0;
}

void discovery_targets_deinit(struct discovery_targets *targets)
{
    mem_free(MEM_DISCOVERY, targets->items);
    *targets = (struct discovery_targets){0};
}
