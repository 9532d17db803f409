/* What a reader sees of the late samples of a series. */
#include "head_late.h"

#include "narthex/base/vec.h"

bool head_late_has(const struct head_reader *reader, uint32_t ordinal)
{
    return head__late_run(reader->head, ordinal) != NULL;
}

static bool is_visible(const struct head_reader *reader, const struct late_entry *entry,
                       int64_t min_t_ms, int64_t max_t_ms)
{
    return entry->t_ms >= min_t_ms && entry->t_ms <= max_t_ms &&
           entry->number > reader->late_after && entry->number <= reader->late_to;
}

/* Lists what is visible, newest commit first. */
static void collect(const struct head_reader *reader, const struct late_run *run, int64_t min_t_ms,
                    int64_t max_t_ms, struct head_late_list *list)
{
    for (; run != NULL; run = run->older) {
        for (uint32_t i = atomic_load_explicit(&run->count, memory_order_acquire); i-- > 0;) {
            struct late_entry entry = head__late_entry(run, i);
            if (!is_visible(reader, &entry, min_t_ms, max_t_ms))
                continue;
            struct head_late_sample sample = {
                .t_ms = entry.t_ms, .start_t_ms = entry.start_t_ms, .value = entry.value};
            if (entry.histogram != NULL)
                sample.histogram = str_from(entry.histogram->data, entry.histogram->size);
            VEC_PUSH(MEM_HEAD, list->items, list->count, list->capacity, sample);
        }
    }
}

/* Turns the list round; whether it is strictly ascending in time then. */
static bool reverse(struct head_late_list *list)
{
    bool ascending = true;
    for (uint32_t i = 0, j = list->count; i + 1 < j; i++, j--) {
        struct head_late_sample swapped = list->items[i];
        list->items[i] = list->items[j - 1];
        list->items[j - 1] = swapped;
    }
    for (uint32_t i = 1; i < list->count && ascending; i++)
        ascending = list->items[i].t_ms > list->items[i - 1].t_ms;
    return ascending;
}

/* Stable, so that the first of several samples at one time stays the first. */
static void merge_sort(struct head_late_sample *items, uint32_t count,
                       struct head_late_sample *scratch)
{
    if (count < 2)
        return;
    uint32_t half = count / 2;
    merge_sort(items, half, scratch);
    merge_sort(items + half, count - half, scratch);
    for (uint32_t i = 0; i < half; i++)
        scratch[i] = items[i];
    for (uint32_t i = 0, j = half, k = 0; i < half; k++) {
        bool take_left = j == count || scratch[i].t_ms <= items[j].t_ms;
        items[k] = take_left ? scratch[i++] : items[j++];
    }
}

void head_late_read(const struct head_reader *reader, uint32_t ordinal, int64_t min_t_ms,
                    int64_t max_t_ms, struct head_late_list *list)
{
    list->count = 0;
    const struct late_run *run = head__late_run(reader->head, ordinal);
    collect(reader, run, min_t_ms, max_t_ms, list);
    if (reverse(list))
        return;
    VEC_RESERVE(MEM_HEAD, list->items, list->capacity, list->count + list->count / 2);
    merge_sort(list->items, list->count, list->items + list->count);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < list->count; i++) {
        if (list->items[i].t_ms != list->items[kept - 1].t_ms)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}
