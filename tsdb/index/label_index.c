/* Writing side and tables of the label index. */
#include "label_index_impl.h"

#include <assert.h>
#include <string.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

static void free_memory(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_POSTINGS, block);
}

/* ---- append-only lists ---- */

static struct id_array *new_array(uint32_t capacity)
{
    struct id_array *array =
        mem_alloc(MEM_POSTINGS, sizeof *array + capacity * sizeof array->items[0]);
    atomic_init(&array->count, 0);
    array->capacity = capacity;
    return array;
}

/* `first_home` is the array that is part of a larger struct, or NULL. */
static void list_replace(struct label_index *index, struct id_list *list, struct id_array *array,
                         const void *first_home)
{
    struct id_array *old = atomic_load_explicit(&list->array, memory_order_relaxed);
    atomic_store_explicit(&list->array, array, memory_order_release);
    if (old != NULL && old != first_home)
        index->retirer.retire(index->retirer.context, free_memory, NULL, old, sizeof *old);
}

static void list_append(struct label_index *index, struct id_list *list, uint32_t id,
                        const void *first_home)
{
    struct id_array *array = atomic_load_explicit(&list->array, memory_order_relaxed);
    uint32_t count = array == NULL ? 0 : atomic_load_explicit(&array->count, memory_order_relaxed);
    if (array == NULL || count == array->capacity) {
        struct id_array *grown = new_array(count + count / 2 + 4);
        if (count > 0)
            memcpy(grown->items, array->items, count * sizeof id);
        atomic_store_explicit(&grown->count, count, memory_order_relaxed);
        list_replace(index, list, grown, first_home);
        array = grown;
    }
    /* In a replay commits may follow each other in another order than their series were made. */
    uint32_t at = count;
    if (index->exclusive) {
        for (; at > 0 && array->items[at - 1] > id; at--)
            array->items[at] = array->items[at - 1];
    }
    array->items[at] = id;
    atomic_store_explicit(&array->count, count + 1, memory_order_release);
}

/* ---- life ---- */

void label_index_set_exclusive(struct label_index *index, bool exclusive)
{
    index->exclusive = exclusive;
}

struct label_index *label_index_create(struct retirer retirer)
{
    struct label_index *index = MEM_NEW(MEM_POSTINGS, struct label_index);
    index->retirer = retirer;
    index->exclusive = true;
    mutex_init(&index->lock);
    htable_init(&index->pairs_by_text, MEM_POSTINGS);
    htable_init(&index->names_by_text, MEM_POSTINGS);
    return index;
}

static void free_pair_memory(struct label_pair *pair)
{
    void *array = atomic_load_explicit(&pair->series.array, memory_order_relaxed);
    if (array != (void *)pair->first_home)
        mem_free(MEM_POSTINGS, array);
    mem_free(MEM_SYMBOLS, (char *)pair->value);
}

void label_index_destroy(struct label_index *index)
{
    for (uint32_t i = 0; i < index->pair_count; i++) {
        struct label_pair *pair = label_index__pair(index, i);
        if (pair->value != NULL)
            free_pair_memory(pair);
    }
    for (uint32_t i = 0; i < PAIR_PAGES_MAX; i++) {
        struct label_pair *page = atomic_load_explicit(&index->pair_pages[i], memory_order_relaxed);
        if (page == NULL)
            break;
        mem_free(MEM_POSTINGS, page);
    }
    for (uint32_t i = 0; i < label_index_name_count(index); i++) {
        struct label_name *name = label_index__name(index, i);
        mem_free(MEM_POSTINGS, atomic_load_explicit(&name->pairs.array, memory_order_relaxed));
        mem_free(MEM_SYMBOLS, (char *)name->text.data);
    }
    for (uint32_t i = 0; i < NAME_PAGES_MAX; i++) {
        struct label_name *page = atomic_load_explicit(&index->name_pages[i], memory_order_relaxed);
        if (page == NULL)
            break;
        mem_free(MEM_POSTINGS, page);
    }
    mem_free(MEM_POSTINGS, atomic_load_explicit(&index->all.array, memory_order_relaxed));
    mem_free(MEM_POSTINGS, index->free_pairs.items);
    mem_free(MEM_POSTINGS, index->free_names.items);
    htable_deinit(&index->pairs_by_text);
    htable_deinit(&index->names_by_text);
    mutex_deinit(&index->lock);
    mem_free(MEM_POSTINGS, index);
}

/* ---- names and pairs ---- */

struct pair_key {
    uint32_t name;
    struct str value;
};

static uint64_t pair_hash(struct pair_key key)
{
    return hash_mix(hash_str(key.value), key.name);
}

static bool pair_equals(const void *owner, uint32_t item, const void *key)
{
    const struct label_pair *pair = label_index__pair(owner, item);
    const struct pair_key *wanted = key;
    return pair->name == wanted->name &&
           str_equal(str_from(pair->value, pair->value_size), wanted->value);
}

static bool name_equals(const void *owner, uint32_t item, const void *key)
{
    return str_equal(label_index_name(owner, item), *(const struct str *)key);
}

uint32_t label_index_find_name(struct label_index *index, struct str name)
{
    mutex_lock(&index->lock);
    uint32_t found = htable_find(&index->names_by_text, hash_str(name), name_equals, index, &name);
    mutex_unlock(&index->lock);
    return found;
}

uint32_t label_index__find_pair(struct label_index *index, uint32_t name, struct str value)
{
    struct pair_key key = {name, value};
    mutex_lock(&index->lock);
    uint32_t found = htable_find(&index->pairs_by_text, pair_hash(key), pair_equals, index, &key);
    mutex_unlock(&index->lock);
    return found;
}

/* The number of a name, its page made; LABEL_PAIR_NONE: there are too many. */
static uint32_t take_name_number(struct label_index *index)
{
    mutex_lock(&index->lock);
    uint32_t id = index->free_names.count > 0 ? index->free_names.items[--index->free_names.count]
                                              : LABEL_PAIR_NONE;
    mutex_unlock(&index->lock);
    if (id != LABEL_PAIR_NONE)
        return id;
    id = atomic_load_explicit(&index->name_count, memory_order_relaxed);
    if (id == NAME_PAGE_SIZE * NAME_PAGES_MAX)
        return LABEL_PAIR_NONE;
    if (id % NAME_PAGE_SIZE == 0)
        atomic_store_explicit(&index->name_pages[id / NAME_PAGE_SIZE],
                              MEM_NEW_ARRAY(MEM_POSTINGS, struct label_name, NAME_PAGE_SIZE),
                              memory_order_release);
    atomic_store_explicit(&index->name_count, id + 1, memory_order_release);
    return id;
}

static uint32_t add_name(struct label_index *index, struct str text)
{
    uint32_t id = take_name_number(index);
    if (id == LABEL_PAIR_NONE)
        return id;
    /* Nobody looks at it before it has pairs. */
    label_index__name(index, id)->text =
        str_from(mem_dup(MEM_SYMBOLS, text.data, text.size), text.size);
    mutex_lock(&index->lock);
    htable_insert(&index->names_by_text, hash_str(text), id);
    mutex_unlock(&index->lock);
    return id;
}

/* A number for a new pair, its page made; LABEL_PAIR_NONE: there are too many. */
static uint32_t take_pair_number(struct label_index *index)
{
    mutex_lock(&index->lock);
    uint32_t id = LABEL_PAIR_NONE;
    if (index->free_pairs.count > 0) {
        id = index->free_pairs.items[--index->free_pairs.count];
    } else if (index->pair_count < PAIR_PAGE_SIZE * PAIR_PAGES_MAX) {
        id = index->pair_count++;
        if (id % PAIR_PAGE_SIZE == 0) {
            struct label_pair *page =
                MEM_NEW_ARRAY(MEM_POSTINGS, struct label_pair, PAIR_PAGE_SIZE);
            atomic_store_explicit(&index->pair_pages[id / PAIR_PAGE_SIZE], page,
                                  memory_order_release);
        }
    }
    mutex_unlock(&index->lock);
    return id;
}

uint32_t label_index_pair(struct label_index *index, struct str name_text, struct str value)
{
    uint32_t name = label_index_find_name(index, name_text);
    if (name == HTABLE_NONE)
        name = add_name(index, name_text);
    if (name == LABEL_PAIR_NONE)
        return LABEL_PAIR_NONE;
    uint32_t id = label_index__find_pair(index, name, value);
    if (id != HTABLE_NONE)
        return id;
    id = take_pair_number(index);
    if (id == LABEL_PAIR_NONE)
        return LABEL_PAIR_NONE;
    struct label_pair *pair = label_index__pair(index, id);
    *pair = (struct label_pair){.value = mem_dup(MEM_SYMBOLS, value.data, value.size),
                                .value_size = (uint32_t)value.size,
                                .name = name,
                                .id = id};
    struct id_array *home = (struct id_array *)pair->first_home;
    home->capacity = PAIR_INLINE;
    atomic_store_explicit(&pair->series.array, home, memory_order_relaxed);
    struct pair_key key = {name, value};
    mutex_lock(&index->lock);
    htable_insert(&index->pairs_by_text, pair_hash(key), id);
    mutex_unlock(&index->lock);
    list_append(index, &label_index__name(index, name)->pairs, id, NULL);
    return id;
}

/* ---- series ---- */

void label_index_add_series(struct label_index *index, const uint32_t *pairs, uint32_t count,
                            uint32_t ordinal)
{
    for (uint32_t i = 0; i < count; i++) {
        struct label_pair *pair = label_index__pair(index, pairs[i]);
        list_append(index, &pair->series, ordinal, pair->first_home);
        /* One writer: no need for a locked instruction. */
        atomic_store_explicit(&pair->live,
                              atomic_load_explicit(&pair->live, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
    list_append(index, &index->all, ordinal, NULL);
}

void label_index_drop_series(struct label_index *index, const uint32_t *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct label_pair *pair = label_index__pair(index, pairs[i]);
        atomic_store_explicit(&pair->live,
                              atomic_load_explicit(&pair->live, memory_order_relaxed) - 1,
                              memory_order_relaxed);
    }
}

/* Replaces the list by what is left of it without `dead`. */
static void list_shrink(struct label_index *index, struct id_list *list, struct id_view dead,
                        const void *first_home)
{
    struct id_view old = id_list__view(list);
    struct id_array *array = new_array((uint32_t)old.count + 4);
    size_t count = id_set_subtract(old, dead, array->items);
    if (count == old.count) {
        mem_free(MEM_POSTINGS, array);
        return;
    }
    atomic_store_explicit(&array->count, (uint32_t)count, memory_order_relaxed);
    list_replace(index, list, array, first_home);
}

static void give_number_back(struct label_index *index, struct free_ids *ids, uint32_t id)
{
    mutex_lock(&index->lock);
    VEC_PUSH(MEM_POSTINGS, ids->items, ids->count, ids->capacity, id);
    mutex_unlock(&index->lock);
}

static void free_pair(void *owner, void *block, size_t size)
{
    struct label_index *index = owner;
    struct label_pair *pair = block;
    (void)size;
    free_pair_memory(pair);
    pair->value = NULL;
    give_number_back(index, &index->free_pairs, pair->id);
}

static void unlink_pair(struct label_index *index, struct label_pair *pair)
{
    struct pair_key key = {pair->name, str_from(pair->value, pair->value_size)};
    mutex_lock(&index->lock);
    htable_remove(&index->pairs_by_text, pair_hash(key), pair->id);
    mutex_unlock(&index->lock);
    index->retirer.retire(index->retirer.context, free_pair, index, pair, sizeof *pair);
}

/* `id` of the name in place of a size. */
static void free_name(void *owner, void *block, size_t id)
{
    struct label_index *index = owner;
    struct label_name *name = block;
    mem_free(MEM_SYMBOLS, (char *)name->text.data);
    name->text = (struct str){NULL, 0};
    give_number_back(index, &index->free_names, (uint32_t)id);
}

static void unlink_name(struct label_index *index, uint32_t id)
{
    struct label_name *name = label_index__name(index, id);
    mutex_lock(&index->lock);
    htable_remove(&index->names_by_text, hash_str(name->text), id);
    mutex_unlock(&index->lock);
    index->retirer.retire(index->retirer.context, free_name, index, name, id);
}

static void sweep_name(struct label_index *index, uint32_t id, struct id_view dead)
{
    struct label_name *name = label_index__name(index, id);
    struct id_view pairs = id_list__view(&name->pairs);
    if (pairs.count == 0)
        return;
    struct id_array *kept = new_array((uint32_t)pairs.count + 4);
    uint32_t kept_count = 0;
    for (size_t i = 0; i < pairs.count; i++) {
        struct label_pair *pair = label_index__pair(index, pairs.items[i]);
        if (atomic_load_explicit(&pair->live, memory_order_relaxed) == 0)
            continue;
        list_shrink(index, &pair->series, dead, pair->first_home);
        kept->items[kept_count++] = pair->id;
    }
    if (kept_count == pairs.count) {
        mem_free(MEM_POSTINGS, kept);
        return;
    }
    /* Retired memory is stamped when the commit or sweep ends, after the shorter list below is in
     * place: no later reader can find these pairs. */
    for (size_t i = 0; i < pairs.count; i++) {
        struct label_pair *pair = label_index__pair(index, pairs.items[i]);
        if (atomic_load_explicit(&pair->live, memory_order_relaxed) == 0)
            unlink_pair(index, pair);
    }
    if (kept_count > 0) {
        atomic_store_explicit(&kept->count, kept_count, memory_order_relaxed);
        list_replace(index, &name->pairs, kept, NULL);
    } else {
        mem_free(MEM_POSTINGS, kept);
        list_replace(index, &name->pairs, NULL, NULL);
        unlink_name(index, id);
    }
}

void label_index_sweep(struct label_index *index, struct id_view dead)
{
    if (dead.count == 0)
        return;
    list_shrink(index, &index->all, dead, NULL);
    for (uint32_t i = 0; i < label_index_name_count(index); i++)
        sweep_name(index, i, dead);
}

/* ---- reading ---- */

struct label label_index_label(const struct label_index *index, uint32_t id)
{
    const struct label_pair *pair = label_index__pair(index, id);
    return (struct label){label_index_name(index, pair->name),
                          str_from(pair->value, pair->value_size)};
}

uint32_t label_index_pair_name(const struct label_index *index, uint32_t pair)
{
    return label_index__pair(index, pair)->name;
}

uint32_t label_index_name_count(const struct label_index *index)
{
    return atomic_load_explicit(&index->name_count, memory_order_acquire);
}

struct str label_index_name(const struct label_index *index, uint32_t name)
{
    return label_index__name(index, name)->text;
}

struct id_view label_index_name_pairs(const struct label_index *index, uint32_t name)
{
    return id_list__view(&label_index__name(index, name)->pairs);
}

uint32_t label_index_pair_series(const struct label_index *index, uint32_t pair)
{
    return atomic_load_explicit(&label_index__pair(index, pair)->live, memory_order_relaxed);
}

uint64_t label_index_pair_count(const struct label_index *index)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < label_index_name_count(index); i++) {
        struct id_view pairs = label_index_name_pairs(index, i);
        for (size_t j = 0; j < pairs.count; j++)
            count += label_index_pair_series(index, pairs.items[j]) > 0;
    }
    return count;
}
