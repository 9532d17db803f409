/* Orders that block writing needs: series by labels, windows by group. */
#include <stdlib.h>
#include <string.h>

#include "head_impl.h"
#include "narthex/base/vec.h"

/* Below this it is cheaper to compare labels than to rank all pairs first. */
enum { RANKED_SORT_MIN = 4096 };

struct sort_context {
    const struct head *head;
    const uint32_t *ranks; /* by pair; NULL: compare labels */
};

static int compare_pairs(const struct head *head, uint32_t a, uint32_t b)
{
    if (a == b)
        return 0;
    struct label x = label_index_label(head->index, a);
    struct label y = label_index_label(head->index, b);
    int order = str_compare(x.name, y.name);
    return order != 0 ? order : str_compare(x.value, y.value);
}

static int by_labels(const void *a, const void *b, void *context)
{
    const struct sort_context *sort = context;
    const struct head_series *x = head__series(sort->head, *(const uint32_t *)a);
    const struct head_series *y = head__series(sort->head, *(const uint32_t *)b);
    uint32_t count = x->label_count < y->label_count ? x->label_count : y->label_count;
    for (uint32_t i = 0; i < count; i++) {
        if (x->pairs[i] == y->pairs[i])
            continue;
        if (sort->ranks == NULL)
            return compare_pairs(sort->head, x->pairs[i], y->pairs[i]);
        return sort->ranks[x->pairs[i]] < sort->ranks[y->pairs[i]] ? -1 : 1;
    }
    return x->label_count < y->label_count ? -1 : x->label_count > y->label_count;
}

static int by_pair_text(const void *a, const void *b, void *context)
{
    return compare_pairs(context, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* Rank of every pair that the series use, by number of the pair; to be freed. */
static uint32_t *rank_pairs(struct head *head, const uint32_t *ordinals, size_t count)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        const struct head_series *series = head__series(head, ordinals[i]);
        for (uint32_t j = 0; j < series->label_count; j++)
            highest = series->pairs[j] > highest ? series->pairs[j] : highest;
    }
    uint32_t *ranks = mem_calloc(MEM_HEAD, (size_t)highest + 1, sizeof *ranks);
    uint32_t *pairs = NULL;
    uint32_t pair_count = 0, pair_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        const struct head_series *series = head__series(head, ordinals[i]);
        for (uint32_t j = 0; j < series->label_count; j++) {
            if (ranks[series->pairs[j]]++ == 0)
                VEC_PUSH(MEM_HEAD, pairs, pair_count, pair_capacity, series->pairs[j]);
        }
    }
    qsort_r(pairs, pair_count, sizeof *pairs, by_pair_text, head);
    for (uint32_t i = 0; i < pair_count; i++)
        ranks[pairs[i]] = i;
    mem_free(MEM_HEAD, pairs);
    return ranks;
}

void head_reader_sort(struct head_reader *reader, uint32_t *ordinals, size_t count)
{
    struct sort_context sort = {.head = reader->head};
    uint32_t *ranks = NULL;
    if (count >= RANKED_SORT_MIN)
        ranks = rank_pairs(reader->head, ordinals, count);
    sort.ranks = ranks;
    qsort_r(ordinals, count, sizeof *ordinals, by_labels, &sort);
    mem_free(MEM_HEAD, ranks);
}

/* ---- windows ---- */

struct window_list {
    struct head_window_info *items;
    size_t count;
    size_t capacity;
};

/* Adds the group's windows, newest first, and turns them round. */
static void add_group_windows(const struct head_reader *reader, const struct head_group *group,
                              int64_t min_t_ms, int64_t max_t_ms, struct window_list *list)
{
    size_t first = list->count;
    for (const struct head_window *window =
             atomic_load_explicit(&group->newest, memory_order_acquire);
         window != NULL; window = atomic_load_explicit(&window->older, memory_order_acquire)) {
        uint32_t rows = head__window_visible_rows(window, reader->sequence);
        if (rows == 0)
            continue;
        const int64_t *t_ms = atomic_load_explicit(&window->rows, memory_order_acquire)->t_ms;
        if (t_ms[rows - 1] < reader->min_valid_ms || t_ms[rows - 1] < min_t_ms)
            break;
        if (t_ms[0] > max_t_ms)
            continue;
        /* What of a damaged one can be read goes into the block all the same. */
        const struct sealed_window *sealed =
            atomic_load_explicit(&window->sealed, memory_order_acquire);
        if (sealed != NULL)
            (void)head__sealed_is_good(sealed);
        struct head_window_info info = {
            .key = hash_mix(group->key, group->lane),
            .group = group->id,
            .window = window->number,
            .row_count = rows,
            .t_ms = t_ms,
        };
        VEC_PUSH(MEM_HEAD, list->items, list->count, list->capacity, info);
    }
    for (size_t i = first, j = list->count; i + 1 < j; i++, j--) {
        struct head_window_info swapped = list->items[i];
        list->items[i] = list->items[j - 1];
        list->items[j - 1] = swapped;
    }
}

size_t head_reader_windows(struct head_reader *reader, int64_t min_t_ms, int64_t max_t_ms,
                           struct head_window_info **windows)
{
    struct head *head = reader->head;
    /* Groups are freed by the maintenance thread only, which is the caller. */
    mutex_lock(&head->write_lock);
    uint32_t group_count = head->group_count;
    struct head_group **groups = mem_alloc(MEM_HEAD, (group_count + 1) * sizeof *groups);
    if (group_count > 0)
        memcpy(groups, head->groups, group_count * sizeof *groups);
    mutex_unlock(&head->write_lock);
    struct window_list list = {0};
    for (uint32_t i = 0; i < group_count; i++) {
        if (groups[i] != NULL)
            add_group_windows(reader, groups[i], min_t_ms, max_t_ms, &list);
    }
    mem_free(MEM_HEAD, groups);
    *windows = list.items;
    return list.count;
}
