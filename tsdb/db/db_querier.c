/* Queriers: series of the head and the blocks as one list. */
#include "db_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/vec.h"

static struct db_querier *self_of(struct querier *querier)
{
    return (struct db_querier *)querier;
}

static bool block_is_in_range(const struct db_querier *self, uint32_t number)
{
    const struct block_meta *meta = block_meta(self->view->blocks[number]->handle->block);
    return meta->min_t_ms <= self->max_t_ms && meta->max_t_ms > self->min_t_ms;
}

/* ---- members ---- */

static struct db_member *member_at(const struct db_querier *self, uint32_t index)
{
    return &self->member_pages[index / MEMBER_PAGE_SIZE][index % MEMBER_PAGE_SIZE];
}

static void add_member_locked(struct db_querier *self, struct db_member member)
{
    if (self->member_count % MEMBER_PAGE_SIZE == 0)
        VEC_PUSH(MEM_QUERY, self->member_pages, self->page_count, self->page_capacity,
                 mem_alloc(MEM_QUERY, MEMBER_PAGE_SIZE * sizeof(struct db_member)));
    *member_at(self, self->member_count++) = member;
}

uint32_t db__querier_members(struct db_querier *self, uint64_t position, struct db_member *members)
{
    uint32_t count = 0;
    if ((position & POSITION_HEAD) != 0) {
        members[0] = (struct db_member){DB_SOURCE_HEAD, (uint32_t)position};
        return 1;
    }
    mutex_lock(&self->lock);
    assert(position < self->member_count);
    for (uint32_t i = (uint32_t)position;; i++) {
        struct db_member member = *member_at(self, i);
        bool last = (member.ordinal & MEMBER_LAST) != 0;
        member.ordinal &= ~MEMBER_LAST;
        members[count++] = member;
        if (last)
            break;
    }
    mutex_unlock(&self->lock);
    return count;
}

/* ---- select ---- */

struct candidates {
    struct db_found_series *items;
    size_t count;
};

static int by_labels(const void *a, const void *b)
{
    const struct db_found_series *x = a, *y = b;
    return labels_compare(x->labels, y->labels);
}

static err_t fail_too_large(size_t count, struct strbuf *why)
{
    return err_fail(why, ERR_LIMIT, "selection of %zu series needs too much memory", count);
}

static struct db_found_series *new_candidates(struct arena *arena, size_t count, struct strbuf *why)
{
    struct db_found_series *items = arena_try_alloc(arena, (count + 1) * sizeof *items);
    if (items == NULL)
        (void)!fail_too_large(count, why);
    return items;
}

static err_t find_in_head(struct db_querier *self, struct selector selector, struct arena *arena,
                          struct candidates *result, struct strbuf *why)
{
    struct id_view ordinals;
    TRY(head_reader_select(&self->head, selector, arena, &ordinals, why));
    result->items = new_candidates(arena, ordinals.count, why);
    if (result->items == NULL)
        return ERR_LIMIT;
    result->count = 0;
    for (size_t i = 0; i < ordinals.count; i++) {
        if (arena_exhausted(arena))
            return fail_too_large(ordinals.count, why);
        struct labels labels = head_reader_labels(&self->head, ordinals.items[i], arena);
        if (labels.items != NULL)
            result->items[result->count++] =
                (struct db_found_series){labels, {DB_SOURCE_HEAD, ordinals.items[i]}};
    }
    qsort(result->items, result->count, sizeof *result->items, by_labels);
    return OK;
}

/* Dashboards and rules ask for the same series again and again, while series rarely change. */
static err_t select_head(struct db_querier *self, struct selector selector, struct arena *arena,
                         struct candidates *result, struct strbuf *why)
{
    struct db_selections *selections = &self->db->selections;
    uint64_t generation = self->head.series_generation;
    struct strbuf key = STRBUF_INIT;
    db__selection_key(selector, &key);
    err_t err = OK;
    struct db_selection *kept = db__selection_get(selections, strbuf_str(&key), generation);
    if (kept != NULL) {
        *result = (struct candidates){kept->items, kept->count};
        mutex_lock(&self->lock);
        VEC_PUSH(MEM_QUERY, self->held, self->held_count, self->held_capacity, kept);
        mutex_unlock(&self->lock);
    } else {
        err = find_in_head(self, selector, arena, result, why);
        if (err == OK)
            db__selection_keep(selections, strbuf_str(&key), generation, result->items,
                               result->count);
    }
    strbuf_deinit(&key);
    return err;
}

static err_t select_block(struct db_querier *self, uint32_t number, struct selector selector,
                          struct arena *arena, struct candidates *result, struct strbuf *why)
{
    const struct block *block = self->view->blocks[number]->handle->block;
    struct id_view ordinals;
    TRY(db__block_select(block, selector, arena, &ordinals, why));
    result->items = new_candidates(arena, ordinals.count, why);
    if (result->items == NULL)
        return ERR_LIMIT;
    result->count = ordinals.count;
    struct block_cursor *cursor = block_cursor_create(block);
    err_t err = OK;
    for (size_t i = 0; i < ordinals.count && err == OK; i++) {
        result->items[i].member = (struct db_member){number, ordinals.items[i]};
        err = block_cursor_labels(cursor, ordinals.items[i], arena, &result->items[i].labels, why);
        if (err == OK && arena_exhausted(arena))
            err = fail_too_large(ordinals.count, why);
    }
    block_cursor_destroy(cursor);
    return err;
}

/* Merges sorted lists; equal labels stay side by side, `a` first. */
static struct candidates merge(struct candidates a, struct candidates b, struct arena *arena)
{
    if (a.count == 0 || b.count == 0)
        return a.count == 0 ? b : a;
    struct candidates merged = {arena_alloc(arena, (a.count + b.count) * sizeof *a.items), 0};
    size_t i = 0, j = 0;
    while (i < a.count || j < b.count) {
        bool take_a = j == b.count ||
                      (i < a.count && labels_compare(a.items[i].labels, b.items[j].labels) <= 0);
        merged.items[merged.count++] = take_a ? a.items[i++] : b.items[j++];
    }
    return merged;
}

/* One series per label set, its members noted; `distinct`: no two have equal labels. */
static void make_series(struct db_querier *self, struct candidates all, bool distinct,
                        uint32_t series_max, struct arena *arena, struct series_list *list)
{
    list->items = arena_alloc(arena, (all.count + 1) * sizeof *list->items);
    list->count = 0;
    mutex_lock(&self->lock);
    for (size_t i = 0; i < all.count;) {
        if (series_max != 0 && list->count == series_max)
            break;
        struct series *series = &list->items[list->count++];
        *series = (struct series){all.items[i].labels, self->member_count};
        size_t end = i + 1;
        while (!distinct && end < all.count &&
               labels_equal(all.items[i].labels, all.items[end].labels))
            end++;
        if (end == i + 1 && all.items[i].member.source == DB_SOURCE_HEAD)
            series->position = POSITION_HEAD | all.items[i++].member.ordinal;
        for (; i < end; i++) {
            struct db_member member = all.items[i].member;
            assert(member.ordinal < MEMBER_LAST);
            if (i + 1 == end)
                member.ordinal |= MEMBER_LAST;
            add_member_locked(self, member);
        }
    }
    mutex_unlock(&self->lock);
}

static bool needs_head_only(const struct db_querier *self)
{
    for (uint32_t i = 0; i < self->view->block_count; i++) {
        if (block_is_in_range(self, i))
            return false;
    }
    return true;
}

/* Series of the head in the order of their creation, with the metric's name as their only label. */
static err_t select_folded(struct db_querier *self, struct selector selector, struct arena *arena,
                           struct series_list *list, struct strbuf *why)
{
    struct id_view ordinals;
    TRY(head_reader_select(&self->head, selector, arena, &ordinals, why));
    list->items = arena_try_alloc(arena, (ordinals.count + 1) * sizeof *list->items);
    if (list->items != NULL)
        head_reader_metric_names(&self->head, ordinals, arena, list->items);
    if (list->items == NULL || arena_exhausted(arena))
        return fail_too_large(ordinals.count, why);
    for (size_t i = 0; i < ordinals.count; i++)
        list->items[i].position = POSITION_HEAD | ordinals.items[i];
    list->count = ordinals.count;
    return OK;
}

static err_t querier_op_select(struct querier *querier, struct selector selector,
                               const struct select_hints *hints, struct arena *arena,
                               struct series_list *list, struct strbuf *why)
{
    struct db_querier *self = self_of(querier);
    struct candidates all = {NULL, 0};
    if (hints != NULL && hints->folded && needs_head_only(self))
        return select_folded(self, selector, arena, list, why);
    bool distinct = true;
    for (uint32_t i = 0; i < self->view->block_count; i++) {
        struct candidates of_block;
        if (!block_is_in_range(self, i))
            continue;
        TRY(select_block(self, i, selector, arena, &of_block, why));
        distinct = distinct && (all.count == 0 || of_block.count == 0);
        all = merge(all, of_block, arena);
    }
    struct candidates of_head;
    TRY(select_head(self, selector, arena, &of_head, why));
    distinct = distinct && (all.count == 0 || of_head.count == 0);
    all = merge(all, of_head, arena);
    make_series(self, all, distinct, hints == NULL ? 0 : hints->series_max, arena, list);
    if (arena_exhausted(arena))
        return fail_too_large(all.count, why);
    return OK;
}

/* ---- label names and values ---- */

/* Distinct strings. */
struct text_set {
    struct htable table;
    struct str *items;
    uint32_t count;
    uint32_t capacity;
};

static bool text_equals(const void *owner, uint32_t item, const void *key)
{
    const struct text_set *set = owner;
    return str_equal(set->items[item], *(const struct str *)key);
}

static void text_add(void *context, struct str text)
{
    struct text_set *set = context;
    uint64_t hash = hash_str(text);
    if (htable_find(&set->table, hash, text_equals, set, &text) != HTABLE_NONE)
        return;
    VEC_PUSH(MEM_QUERY, set->items, set->count, set->capacity, text);
    htable_insert(&set->table, hash, set->count - 1);
}

static int compare_text(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts the set into the arena and frees it. */
static err_t text_set_finish(struct text_set *set, size_t limit, struct arena *arena,
                             struct str_list *list, struct strbuf *why)
{
    if (set->count > 0)
        qsort(set->items, set->count, sizeof *set->items, compare_text);
    list->count = limit != 0 && limit < set->count ? limit : set->count;
    list->items = ARENA_NEW_ARRAY(arena, struct str, list->count);
    for (size_t i = 0; i < list->count && !arena_exhausted(arena); i++)
        list->items[i] = arena_str(arena, set->items[i]);
    mem_free(MEM_QUERY, set->items);
    htable_deinit(&set->table);
    return arena_exhausted(arena) ? err_fail(why, ERR_LIMIT, "too many labels for this query") : OK;
}

/* Labels of the selected series of a block: all names, or the values of one. */
static err_t block_texts_selected(const struct block *block, const struct str *name,
                                  struct selector selector, struct text_set *set,
                                  struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct id_view ordinals;
    err_t err = db__block_select(block, selector, &arena, &ordinals, why);
    struct block_cursor *cursor = err == OK ? block_cursor_create(block) : NULL;
    for (size_t i = 0; err == OK && i < ordinals.count; i++) {
        struct arena_mark mark = arena_mark(&arena);
        struct labels labels;
        err = block_cursor_labels(cursor, ordinals.items[i], &arena, &labels, why);
        for (uint32_t j = 0; err == OK && j < labels.count; j++) {
            if (name == NULL)
                text_add(set, labels.items[j].name);
            else if (str_equal(*name, labels.items[j].name))
                text_add(set, labels.items[j].value);
        }
        arena_reset_to(&arena, mark);
    }
    if (cursor != NULL)
        block_cursor_destroy(cursor);
    arena_deinit(&arena);
    return err;
}

static err_t block_names(const struct block *block, struct text_set *set, struct strbuf *why)
{
    for (uint32_t i = 0; i < block_name_count(block); i++) {
        struct block_name name;
        TRY(block_name(block, i, &name, why));
        text_add(set, name.name);
    }
    return OK;
}

static err_t block_values(const struct block *block, struct str text, struct text_set *set,
                          struct strbuf *why)
{
    struct block_name name;
    bool found;
    TRY(block_find_name(block, text, &name, &found, why));
    for (uint32_t i = 0; found && i < name.pair_count; i++) {
        struct block_pair pair;
        TRY(block_pair(block, name.first_pair + i, &pair, why));
        text_add(set, pair.value);
    }
    return OK;
}

/* Names when `name` is NULL, else its values. */
static err_t collect_texts(struct db_querier *self, const struct str *name,
                           struct selector selector, struct text_set *set, struct strbuf *why)
{
    for (uint32_t i = 0; i < self->view->block_count; i++) {
        const struct block *block = self->view->blocks[i]->handle->block;
        if (!block_is_in_range(self, i))
            continue;
        if (selector.count > 0)
            TRY(block_texts_selected(block, name, selector, set, why));
        else if (name == NULL)
            TRY(block_names(block, set, why));
        else
            TRY(block_values(block, *name, set, why));
    }
    return name == NULL ? head_reader_names(&self->head, selector, text_add, set, why)
                        : head_reader_values(&self->head, *name, selector, text_add, set, why);
}

static err_t texts(struct db_querier *self, const struct str *name, struct selector selector,
                   size_t limit, struct arena *arena, struct str_list *list, struct strbuf *why)
{
    struct text_set set = {0};
    htable_init(&set.table, MEM_QUERY);
    err_t err = collect_texts(self, name, selector, &set, why);
    err_t finish_err = text_set_finish(&set, limit, arena, list, why);
    return err != OK ? err : finish_err;
}

static err_t querier_op_label_names(struct querier *querier, struct selector selector, size_t limit,
                                    struct arena *arena, struct str_list *list, struct strbuf *why)
{
    return texts(self_of(querier), NULL, selector, limit, arena, list, why);
}

static err_t querier_op_label_values(struct querier *querier, struct str name,
                                     struct selector selector, size_t limit, struct arena *arena,
                                     struct str_list *list, struct strbuf *why)
{
    return texts(self_of(querier), &name, selector, limit, arena, list, why);
}

static err_t querier_op_exemplars(struct querier *querier, const struct selector *selectors,
                                  size_t selector_count, struct arena *arena,
                                  struct exemplar_list *list, struct strbuf *why)
{
    struct db_querier *self = self_of(querier);
    return head_reader_exemplars(&self->head, self->min_t_ms, self->max_t_ms, selectors,
                                 selector_count, arena, list, why);
}

static void querier_op_close(struct querier *querier)
{
    struct db_querier *self = self_of(querier);
    for (uint32_t i = 0; i < self->held_count; i++)
        db__selection_put(&self->db->selections, self->held[i]);
    mem_free(MEM_QUERY, self->held);
    head_reader_close(&self->head);
    db__view_put(self->view);
    for (uint32_t i = 0; i < self->page_count; i++)
        mem_free(MEM_QUERY, self->member_pages[i]);
    mem_free(MEM_QUERY, self->member_pages);
    mutex_deinit(&self->lock);
    mem_free(MEM_QUERY, self);
}

static const struct querier_ops db_querier_ops = {
    .select = querier_op_select,
    .cursor_open = db__cursor_open,
    .label_names = querier_op_label_names,
    .label_values = querier_op_label_values,
    .exemplars = querier_op_exemplars,
    .close = querier_op_close,
};

err_t db__querier_open(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                       struct querier **querier, struct strbuf *why)
{
    (void)why;
    struct db *db = db__of(storage);
    struct db_querier *self = MEM_NEW(MEM_QUERY, struct db_querier);
    self->base.ops = &db_querier_ops;
    self->db = db;
    self->min_t_ms = min_t_ms;
    self->max_t_ms = max_t_ms;
    mutex_init(&self->lock);
    /* The head first: what it has given to a block by then is in a later view. */
    head_reader_open(db->head, &self->head);
    self->view = db__view_get(db);
    *querier = &self->base;
    return OK;
}
