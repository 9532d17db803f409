#include "narthex/model/labels.h"

#include <assert.h>
#include <stdlib.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum { BINARY_SEARCH_FROM = 16 };

/* Index of the label, or labels.count. Sets are small, so a linear walk that stops early wins. */
static uint32_t find_label(struct labels labels, struct str name)
{
    uint32_t low = 0;
    uint32_t high = labels.count;
    while (high - low > BINARY_SEARCH_FROM) {
        uint32_t middle = low + (high - low) / 2;
        if (str_compare(labels.items[middle].name, name) <= 0)
            low = middle;
        else
            high = middle;
    }
    for (uint32_t i = low; i < high; i++) {
        if (str_equal(labels.items[i].name, name))
            return i;
    }
    return labels.count;
}

struct str labels_get(struct labels labels, struct str name)
{
    uint32_t at = find_label(labels, name);
    return at == labels.count ? (struct str){NULL, 0} : labels.items[at].value;
}

bool labels_has(struct labels labels, struct str name)
{
    return find_label(labels, name) != labels.count;
}

bool labels_equal(struct labels a, struct labels b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        if (!str_equal(a.items[i].name, b.items[i].name) ||
            !str_equal(a.items[i].value, b.items[i].value))
            return false;
    }
    return true;
}

int labels_compare(struct labels a, struct labels b)
{
    uint32_t shared = a.count < b.count ? a.count : b.count;
    for (uint32_t i = 0; i < shared; i++) {
        int order = str_compare(a.items[i].name, b.items[i].name);
        if (order == 0)
            order = str_compare(a.items[i].value, b.items[i].value);
        if (order != 0)
            return order;
    }
    return a.count < b.count ? -1 : a.count > b.count;
}

uint64_t labels_hash(struct labels labels)
{
    uint64_t hash = labels.count;
    for (uint32_t i = 0; i < labels.count; i++) {
        hash = hash_mix(hash, hash_str(labels.items[i].name));
        hash = hash_mix(hash, hash_str(labels.items[i].value));
    }
    return hash;
}

struct labels labels_copy_shallow(struct arena *arena, struct labels labels)
{
    if (labels.count == 0)
        return (struct labels){NULL, 0};
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, labels.count);
    memcpy(items, labels.items, labels.count * sizeof *items);
    return (struct labels){items, labels.count};
}

struct labels labels_copy(struct arena *arena, struct labels labels)
{
    if (labels.count == 0)
        return (struct labels){NULL, 0};
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        items[i].name = arena_str(arena, labels.items[i].name);
        items[i].value = arena_str(arena, labels.items[i].value);
    }
    return (struct labels){items, labels.count};
}

/* Writes name="value" pairs with ", " between; `skip` is left out (SIZE_MAX: nothing). */
static void print_pairs(struct labels labels, uint32_t skip, bool first, struct strbuf *out)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i == skip)
            continue;
        if (!first)
            strbuf_add_cstr(out, ", ");
        first = false;
        if (label_name_is_valid(labels.items[i].name, NAME_SCHEME_LEGACY))
            strbuf_add_str(out, labels.items[i].name);
        else
            strbuf_add_quoted(out, labels.items[i].name);
        strbuf_add_char(out, '=');
        strbuf_add_quoted(out, labels.items[i].value);
    }
}

void labels_print(struct labels labels, struct strbuf *out)
{
    strbuf_add_char(out, '{');
    print_pairs(labels, UINT32_MAX, true, out);
    strbuf_add_char(out, '}');
}

void labels_print_metric(struct labels labels, struct strbuf *out)
{
    uint32_t at = find_label(labels, LABEL_NAME);
    bool named = at != labels.count;
    bool plain = named && metric_name_is_valid(labels.items[at].value, NAME_SCHEME_LEGACY);
    if (plain)
        strbuf_add_str(out, labels.items[at].value);
    if (plain && labels.count == 1)
        return;
    strbuf_add_char(out, '{');
    if (named && !plain)
        strbuf_add_quoted(out, labels.items[at].value);
    print_pairs(labels, named ? at : UINT32_MAX, !named || plain, out);
    strbuf_add_char(out, '}');
}

void label_builder_deinit(struct label_builder *builder)
{
    mem_free(MEM_MODEL, builder->items);
    *builder = (struct label_builder){NULL, 0, 0};
}

void label_builder_clear(struct label_builder *builder)
{
    builder->count = 0;
}

void label_builder_reset(struct label_builder *builder, struct labels base)
{
    VEC_RESERVE(MEM_MODEL, builder->items, builder->capacity, base.count);
    if (base.count > 0)
        memmove(builder->items, base.items, base.count * sizeof *base.items);
    builder->count = base.count;
}

static uint32_t builder_find(const struct label_builder *builder, struct str name)
{
    for (uint32_t i = 0; i < builder->count; i++) {
        if (str_equal(builder->items[i].name, name))
            return i;
    }
    return builder->count;
}

void label_builder_set(struct label_builder *builder, struct str name, struct str value)
{
    uint32_t at = builder_find(builder, name);
    if (value.size == 0) {
        label_builder_remove(builder, name);
    } else if (at < builder->count) {
        builder->items[at].value = value;
    } else {
        struct label added = {name, value};
        VEC_PUSH(MEM_MODEL, builder->items, builder->count, builder->capacity, added);
    }
}

void label_builder_remove(struct label_builder *builder, struct str name)
{
    uint32_t at = builder_find(builder, name);
    if (at == builder->count)
        return;
    builder->count--;
    memmove(builder->items + at, builder->items + at + 1,
            (builder->count - at) * sizeof *builder->items);
}

struct str label_builder_get(const struct label_builder *builder, struct str name)
{
    uint32_t at = builder_find(builder, name);
    return at == builder->count ? (struct str){NULL, 0} : builder->items[at].value;
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Those of one name in the order they stand in. */
static int compare_places(const void *a, const void *b)
{
    const struct label *x = *(const struct label *const *)a, *y = *(const struct label *const *)b;
    int order = str_compare(x->name, y->name);
    return order != 0 ? order : (x > y) - (x < y);
}

void label_builder_assign(struct label_builder *builder, const struct label *items, uint32_t count)
{
    enum { ONE_BY_ONE_MAX = 64 };
    builder->count = 0;
    if (count <= ONE_BY_ONE_MAX) {
        for (uint32_t i = 0; i < count; i++)
            label_builder_set(builder, items[i].name, items[i].value);
        return;
    }
    const struct label **sorted = mem_alloc(MEM_MODEL, count * sizeof(const struct label *));
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &items[i];
    qsort(sorted, count, sizeof(const struct label *), compare_places);
    VEC_RESERVE(MEM_MODEL, builder->items, builder->capacity, count);
    for (uint32_t i = 0; i < count; i++) {
        bool last = i + 1 == count || !str_equal(sorted[i]->name, sorted[i + 1]->name);
        if (last && sorted[i]->value.size > 0)
            builder->items[builder->count++] = *sorted[i];
    }
    mem_free(MEM_MODEL, (void *)sorted);
}

struct labels label_builder_labels(struct label_builder *builder)
{
    /* Insertion sort: exposition and stored sets come almost sorted; qsort guards large sets. */
    enum { INSERTION_MAX = 32 };
    struct label *items = builder->items;
    if (builder->count > INSERTION_MAX) {
        qsort(items, builder->count, sizeof *items, compare_names);
    } else {
        for (uint32_t i = 1; i < builder->count; i++) {
            struct label moved = items[i];
            uint32_t at = i;
            for (; at > 0 && str_compare(items[at - 1].name, moved.name) > 0; at--)
                items[at] = items[at - 1];
            items[at] = moved;
        }
    }
    return (struct labels){items, builder->count};
}
