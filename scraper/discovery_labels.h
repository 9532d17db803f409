/* Labels of a discovered target in the making. Registries let anybody attach thousands of labels,
 * so adding one takes constant time; finishing sorts them. */
#pragma once

#include "discovery_mechanism.h"

/* All zero is empty. Strings are borrowed until discovery_labels_finish. */
struct discovery_labels {
    struct label *items;
    uint32_t count;
    uint32_t capacity;
};
void discovery_labels_deinit(struct discovery_labels *labels);
void discovery_labels_clear(struct discovery_labels *labels);
void discovery_labels_add(struct discovery_labels *labels, struct str name, struct str value);
void discovery_labels_add_all(struct discovery_labels *labels, struct labels more);
/* Adds prefix + the key with each character outside [a-zA-Z0-9_] replaced; name and value are
 * copied into the arena. */
void discovery_labels_add_key(struct discovery_labels *labels, struct arena *arena,
                              const char *prefix, struct str key, struct str value);
/* Sorted copy of the list in the arena, the strings shared: of labels with one name the last one
 * counts, and an empty one is none. */
struct labels discovery_labels_finish(struct discovery_labels *labels, struct arena *arena);

/* Adds a group whose targets have labels of their own. Everything is in groups->arena already. */
void discovered_groups_add_labeled(struct discovered_groups *groups, const struct labels *targets,
                                   uint32_t target_count, struct labels labels);
/* Adds a deep copy of a group. */
void discovered_groups_add_copy(struct discovered_groups *groups,
                                const struct target_group_config *group);

/* Targets of one group in the making; all zero is empty. */
struct discovery_targets {
    struct labels *items;
    uint32_t count;
    uint32_t capacity;
};
/* Adds a target with the labels gathered so far, which are then forgotten, and its address. */
void discovery_targets_add(struct discovery_targets *targets, struct discovery_labels *labels,
                           struct str address, struct arena *arena);
/* Adds the group and forgets its targets. */
void discovery_targets_finish(struct discovery_targets *targets, struct labels shared,
                              struct discovered_groups *groups);
void discovery_targets_deinit(struct discovery_targets *targets);
