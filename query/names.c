/* Metric names: dropping them, at once or by a flag (spec promql.md 4.3). */
#include <string.h>

#include "eval.h"

static bool is_metadata(struct str name)
{
    return str_equal(name, STR("__name__")) || str_equal(name, STR("__type__")) ||
           str_equal(name, STR("__unit__"));
}

/* The labels that sort up to '_', among which all metadata is: few. */
static struct labels front(struct labels labels)
{
    uint32_t count = 0;
    while (count < labels.count && labels.items[count].name.size > 0 &&
           (unsigned char)labels.items[count].name.data[0] <= '_')
        count++;
    return (struct labels){labels.items, count};
}

static struct labels drop(struct arena *arena, struct labels labels, bool (*drops)(struct str))
{
    struct labels few = front(labels);
    uint32_t gone = 0;
    for (uint32_t i = 0; i < few.count; i++)
        gone += drops(few.items[i].name);
    if (gone == 0)
        return labels;
    /* Names sort before lower case, so the rest is usually a suffix: no copy. */
    uint32_t first = 0;
    while (first < few.count && drops(few.items[first].name))
        first++;
    if (first == gone)
        return (struct labels){labels.items + first, labels.count - first};
    struct label *items = arena_alloc(arena, (labels.count - gone) * sizeof *items + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < labels.count; i++) {
        if (!drops(labels.items[i].name))
            items[count++] = labels.items[i];
    }
    return (struct labels){items, count};
}

struct labels names__drop(struct arena *arena, struct labels labels)
{
    return drop(arena, labels, is_metadata);
}

static bool is_name(struct str name)
{
    return str_equal(name, STR("__name__"));
}

static struct labels drop_name_only(struct arena *arena, struct labels labels)
{
    return drop(arena, labels, is_name);
}

struct str names__metric(const struct row *row)
{
    return labels_get(front(row->labels), LABEL_NAME);
}

void name_check__init(struct name_check *check, struct eval *eval, uint32_t steps, bool any_step)
{
    *check = (struct name_check){.eval = eval, .steps = steps, .any_step = any_step};
    check->same_name = true;
    check->arena = eval__arena(eval);
    eval__table(eval, &check->index);
}

struct check_key {
    struct labels labels;
    const uint64_t *present;
};

static bool overlaps(const struct name_check *check, uint32_t item, const uint64_t *present)
{
    const uint64_t *other = check->present[item];
    if (check->any_step || other == NULL)
        return true;
    return bits__overlap(other, present, check->steps);
}

/* Equal labels at different steps are different items, so equality includes the steps. */
static bool clashes(const void *owner, uint32_t item, const void *key)
{
    const struct name_check *check = owner;
    const struct check_key *wanted = key;
    return labels_equal(check->labels[item], wanted->labels) &&
           overlaps(check, item, wanted->present);
}

static err_t index_up_to(struct name_check *check, uint32_t count, struct strbuf *why)
{
    for (; check->indexed < count; check->indexed++) {
        uint32_t item = check->indexed;
        uint64_t *present = check->present[item];
        if (present == NULL) {
            present = arena_alloc(check->arena, bits__words(check->steps) * sizeof *present);
            bits__fill(present, check->steps);
        }
        struct check_key key = {check->labels[item], present};
        uint64_t hash = labels_hash(key.labels);
        if (htable_find(&check->index, hash, clashes, check, &key) != HTABLE_NONE)
            return rows__same_labelset(why);
        htable_insert(&check->index, hash, item);
    }
    return OK;
}

/* While all rows have one name, dropping it cannot make two of them equal. */
static void note_name(struct name_check *check, struct labels labels)
{
    struct labels few = front(labels);
    struct str name = {NULL, 0};
    for (uint32_t i = 0; i < few.count; i++) {
        if (is_name(few.items[i].name))
            name = few.items[i].value;
        else if (is_metadata(few.items[i].name))
            check->same_name = false;
    }
    if (check->count == 0)
        check->name = name;
    if (!str_equal(name, check->name))
        check->same_name = false;
}

err_t name_check__drop(struct name_check *check, struct row *row, struct strbuf *why)
{
    if (check->eval->delayed_names) {
        row->drop_name = true;
        return OK;
    }
    uint32_t samples = bits__count(row->present, check->steps);
    note_name(check, row->labels);
    row->labels = check->name_only ? drop_name_only(check->arena, row->labels)
                                   : names__drop(check->arena, row->labels);
    if (samples == 0)
        return OK;
    if (check->count == check->capacity) {
        uint32_t capacity = check->capacity == 0 ? 64 : check->capacity * 2;
        struct labels *labels = arena_alloc(check->arena, capacity * sizeof *labels);
        uint64_t **present = arena_alloc(check->arena, capacity * sizeof *present);
        if (check->count > 0) {
            memcpy(labels, check->labels, check->count * sizeof *labels);
            memcpy(present, check->present, check->count * sizeof *present);
        }
        check->labels = labels;
        check->present = present;
        check->capacity = capacity;
    }
    uint64_t *present = NULL;
    if (samples < check->steps && !check->any_step) {
        size_t size = bits__words(check->steps) * sizeof *present;
        present = memcpy(arena_alloc(check->arena, size), row->present, size);
    }
    check->labels[check->count] = row->labels;
    check->present[check->count++] = present;
    return check->same_name ? OK : index_up_to(check, check->count, why);
}
