/* Deleted ranges of series: an immutable list that is replaced when something is deleted. */
#include "head_late.h"

#include <stdlib.h>
#include <string.h>

#include "narthex/base/vec.h"

static void free_list(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_HEAD, block);
}

static struct head_deletions *new_list(uint32_t capacity)
{
    struct head_deletions *list =
        mem_alloc(MEM_HEAD, sizeof *list + capacity * sizeof list->items[0]);
    list->count = 0;
    return list;
}

static void replace(struct head *head, struct head_deletions *list)
{
    struct head_deletions *old = atomic_load_explicit(&head->deletions, memory_order_relaxed);
    atomic_store_explicit(&head->deletions, list, memory_order_release);
    if (old != NULL)
        head__retire(head, free_list, NULL, old, 0);
}

const struct head_deletion *head__deletions_of(const struct head *head, uint32_t ordinal,
                                               uint32_t *count)
{
    const struct head_deletions *list =
        atomic_load_explicit(&head->deletions, memory_order_acquire);
    *count = 0;
    if (list == NULL)
        return NULL;
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->items[middle].ordinal < ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + *count < list->count && list->items[low + *count].ordinal == ordinal)
        (*count)++;
    return *count == 0 ? NULL : &list->items[low];
}

/* Adds many at once: `added` is by ordinal. */
static void merge_in(struct head *head, const struct head_deletion *added, uint32_t added_count)
{
    const struct head_deletions *old = atomic_load_explicit(&head->deletions, memory_order_relaxed);
    uint32_t old_count = old == NULL ? 0 : old->count;
    struct head_deletions *list = new_list(old_count + added_count);
    uint32_t i = 0, j = 0;
    while (i < old_count || j < added_count) {
        bool take_old =
            j == added_count || (i < old_count && old->items[i].ordinal <= added[j].ordinal);
        list->items[list->count++] = take_old ? old->items[i++] : added[j++];
    }
    replace(head, list);
}

static int by_ordinal(const void *a, const void *b)
{
    const struct head_deletion *x = a, *y = b;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

void head__deletions_add_locked(struct head *head, struct head_deletion *added, uint32_t count)
{
    if (count == 0)
        return;
    qsort(added, count, sizeof *added, by_ordinal);
    merge_in(head, added, count);
}

void head__deletions_trim_locked(struct head *head, int64_t t_ms)
{
    const struct head_deletions *old = atomic_load_explicit(&head->deletions, memory_order_relaxed);
    if (old == NULL)
        return;
    struct head_deletions *list = new_list(old->count);
    for (uint32_t i = 0; i < old->count; i++) {
        if (old->items[i].max_t_ms >= t_ms && head__series(head, old->items[i].ordinal) != NULL)
            list->items[list->count++] = old->items[i];
    }
    replace(head, list);
}

err_t head_delete(struct head *head, const uint32_t *ordinals, size_t count, int64_t min_t_ms,
                  int64_t max_t_ms, struct strbuf *why)
{
    struct head_deletion *added = mem_alloc(MEM_HEAD, (count + 1) * sizeof *added);
    uint32_t added_count = 0;
    int64_t newest_t_ms = INT64_MIN;
    err_t err = OK;
    mutex_lock(&head->write_lock);
    strbuf_clear(&head->body);
    for (size_t i = 0; i < count && min_t_ms <= max_t_ms; i++) {
        int64_t last_t_ms;
        double value;
        struct str histogram;
        int64_t late_t_ms;
        const struct head_series *series = head__series(head, ordinals[i]);
        if (series == NULL)
            continue;
        /* What comes later than the newest sample must not be hidden. */
        if (!head__series_last_locked(head, series, &last_t_ms, &value, &histogram))
            last_t_ms = INT64_MIN;
        if (head__late_newest(head, ordinals[i], min_t_ms, max_t_ms, &late_t_ms) &&
            late_t_ms > last_t_ms)
            last_t_ms = late_t_ms;
        struct head_deletion deletion = {ordinals[i], min_t_ms,
                                         max_t_ms < last_t_ms ? max_t_ms : last_t_ms};
        if (deletion.min_t_ms > deletion.max_t_ms)
            continue;
        added[added_count++] = deletion;
        newest_t_ms = deletion.max_t_ms > newest_t_ms ? deletion.max_t_ms : newest_t_ms;
        wal_encode_deletion(&head->body, head__ref(head, ordinals[i]), deletion.min_t_ms,
                            deletion.max_t_ms);
    }
    if (added_count > 0 && head->wal != NULL) {
        uint32_t segment;
        err = wal_begin(head->wal, &segment, why);
        if (err == OK)
            err = wal_append(head->wal, &head->body, newest_t_ms, why);
    }
    if (added_count > 0 && err == OK) {
        merge_in(head, added, added_count);
        for (uint32_t i = 0; i < added_count; i++)
            head__late_delete(head, added[i].ordinal, added[i].min_t_ms, added[i].max_t_ms);
        head__publish_locked(head, head->sequence);
    }
    mutex_unlock(&head->write_lock);
    mem_free(MEM_HEAD, added);
    return err;
}
