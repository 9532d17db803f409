/* Readers and the memory they may hold.
 *
 * A reader takes the next epoch when it opens. What is unlinked is stamped with the epoch of that
 * moment, so exactly the readers with a stamp not above it may hold it: it is freed when all of
 * them are closed. Stamps are given when a commit is published, under the same lock readers open
 * with.
 */
#include "head_impl.h"

#include <string.h>

#include "narthex/base/vec.h"

void head__epochs_init(struct head_epochs *epochs)
{
    mutex_init(&epochs->lock);
}

void head__epochs_deinit(struct head_epochs *epochs)
{
    assert(epochs->readers == NULL);
    for (size_t i = 0; i < epochs->count; i++) {
        struct retired *item = &epochs->items[i];
        item->free_block(item->owner, item->block, item->size);
    }
    mem_free(MEM_HEAD, epochs->items);
    mutex_deinit(&epochs->lock);
    *epochs = (struct head_epochs){0};
}

void head__retire(struct head *head, void (*free_block)(void *, void *, size_t), void *owner,
                  void *block, size_t size)
{
    struct head_epochs *epochs = &head->epochs;
    if (head->exclusive) {
        free_block(owner, block, size);
        return;
    }
    VEC_PUSH(MEM_HEAD, epochs->items, epochs->count, epochs->capacity,
             (struct retired){free_block, owner, block, size, 0});
    epochs->fresh++;
}

void head__publish_locked(struct head *head, uint64_t sequence)
{
    struct head_epochs *epochs = &head->epochs;
    mutex_lock(&epochs->lock);
    assert(sequence >= epochs->published);
    epochs->published = sequence;
    epochs->late_published = head->late.number;
    /* Counted after the change and before what it unlinked is stamped: a reader with an older
     * number opened before, so it may hold all that it finds. */
    epochs->series_generation += head->series_changed;
    head->series_changed = false;
    for (size_t i = epochs->count - epochs->fresh; i < epochs->count; i++)
        epochs->items[i].epoch = epochs->epoch;
    mutex_unlock(&epochs->lock);
    epochs->fresh = 0;
}

void head_reader_open(struct head *head, struct head_reader *reader)
{
    struct head_epochs *epochs = &head->epochs;
    mutex_lock(&epochs->lock);
    *reader = (struct head_reader){
        .head = head,
        .sequence = epochs->published,
        .late_after = epochs->late_flushed,
        .late_to = epochs->late_published,
        .series_generation = epochs->series_generation,
        .epoch = ++epochs->epoch,
        /* Relaxed: the store is made under this lock, see head_finish_cut. */
        .min_valid_ms = atomic_load_explicit(&head->min_valid_ms, memory_order_relaxed),
        .next = epochs->readers,
    };
    if (epochs->readers != NULL)
        epochs->readers->previous = reader;
    epochs->readers = reader;
    mutex_unlock(&epochs->lock);
}

void head_reader_close(struct head_reader *reader)
{
    struct head_epochs *epochs = &reader->head->epochs;
    mutex_lock(&epochs->lock);
    if (reader->previous != NULL)
        reader->previous->next = reader->next;
    else
        epochs->readers = reader->next;
    if (reader->next != NULL)
        reader->next->previous = reader->previous;
    mutex_unlock(&epochs->lock);
}

/* Lowest epoch of an open reader; UINT64_MAX when there is none. */
static uint64_t lowest_epoch(struct head_epochs *epochs)
{
    uint64_t lowest = UINT64_MAX;
    mutex_lock(&epochs->lock);
    for (const struct head_reader *reader = epochs->readers; reader != NULL;
         reader = reader->next) {
        if (reader->epoch < lowest)
            lowest = reader->epoch;
    }
    mutex_unlock(&epochs->lock);
    return lowest;
}

bool head__readers_before(struct head *head, uint64_t epoch)
{
    return lowest_epoch(&head->epochs) <= epoch;
}

void head_reclaim(struct head *head)
{
    struct head_epochs *epochs = &head->epochs;
    mutex_lock(&head->write_lock);
    uint64_t lowest = lowest_epoch(epochs);
    size_t stamped = epochs->count - epochs->fresh;
    size_t count = 0;
    while (count < stamped && epochs->items[count].epoch < lowest)
        count++;
    struct retired *items = mem_alloc(MEM_HEAD, count * sizeof *items);
    if (count > 0) {
        memcpy(items, epochs->items, count * sizeof *items);
        memmove(epochs->items, epochs->items + count, (epochs->count - count) * sizeof *items);
        epochs->count -= count;
    }
    mutex_unlock(&head->write_lock);
    for (size_t i = 0; i < count; i++)
        items[i].free_block(items[i].owner, items[i].block, items[i].size);
    mem_free(MEM_HEAD, items);
}
