/* The parts of a label index, shared by its two files. */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/htable.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/label_index.h"

enum {
    PAIR_PAGE_SIZE = 1024,
    PAIR_PAGES_MAX = 1 << 16, /* 64 M pairs */
    PAIR_INLINE = 2,
    NAME_PAGE_SIZE = 256,
    NAME_PAGES_MAX = 1 << 14, /* 4 M names */
};

/* An append-only array that is read without a lock: count is stored (release) after the element;
 * a full array is replaced by a copy. */
struct id_array {
    _Atomic uint32_t count;
    uint32_t capacity;
    uint32_t items[];
};

struct id_list {
    _Atomic(struct id_array *) array; /* NULL: empty */
};

struct label_pair {
    const char *value;
    uint32_t value_size;
    uint32_t name;
    struct id_list series;
    uint32_t first_home[2 + PAIR_INLINE]; /* an id_array; most pairs never need a larger one */
    _Atomic uint32_t live;                /* series that carry it now; relaxed */
    uint32_t id;
};
static_assert(sizeof(struct label_pair) == 48, "the head's memory budget counts on it");

/* A name without pairs is going or gone: only who finds pairs may look at its text. */
struct label_name {
    struct str text; /* data NULL: the number is free */
    struct id_list pairs;
};

/* Numbers of things that have gone, to be given again. */
struct free_ids {
    uint32_t *items;
    uint32_t count;
    uint32_t capacity;
};

struct label_index {
    struct retirer retirer;
    _Atomic(struct label_pair *) pair_pages[PAIR_PAGES_MAX];
    _Atomic(struct label_name *) name_pages[NAME_PAGES_MAX];
    _Atomic uint32_t name_count;
    struct id_list all;

    bool exclusive; /* no readers yet: lists may be changed in place */

    struct mutex lock;
    /* guarded by lock */
    struct htable pairs_by_text;
    struct htable names_by_text;
    uint32_t pair_count; /* numbers handed out */
    struct free_ids free_pairs;
    struct free_ids free_names;
};

static inline struct label_name *label_index__name(const struct label_index *index, uint32_t name)
{
    struct label_name *page =
        atomic_load_explicit(&index->name_pages[name / NAME_PAGE_SIZE], memory_order_acquire);
    return &page[name % NAME_PAGE_SIZE];
}

static inline struct label_pair *label_index__pair(const struct label_index *index, uint32_t pair)
{
    struct label_pair *page =
        atomic_load_explicit(&index->pair_pages[pair / PAIR_PAGE_SIZE], memory_order_acquire);
    return &page[pair % PAIR_PAGE_SIZE];
}

static inline struct id_view id_list__view(const struct id_list *list)
{
    const struct id_array *array = atomic_load_explicit(&list->array, memory_order_acquire);
    if (array == NULL)
        return (struct id_view){NULL, 0};
    return (struct id_view){array->items,
                            atomic_load_explicit(&array->count, memory_order_acquire)};
}

/* The pair's number or LABEL_PAIR_NONE. */
uint32_t label_index__find_pair(struct label_index *index, uint32_t name, struct str value);
