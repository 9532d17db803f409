/* Merging: short sealed windows of a group become one of COLUMN_ROWS_MAX rows. Short ones are what
 * a start need not replay; long ones are small and quick to read. */
#include "head_impl.h"

#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"

/* A record's sizes are u32; windows with more than this stay as they are. */
enum { MERGED_BYTES_MAX = 1 << 30 };

/* ---- the samples of a slot in several windows ---- */

static void add_rows(uint64_t out[4], const uint64_t in[4], uint32_t shift)
{
    uint32_t words = shift / 64, bits = shift % 64;
    for (uint32_t i = 0; i + words < 4; i++) {
        out[i + words] |= in[i] << bits;
        if (bits != 0 && i + words + 1 < 4)
            out[i + words + 1] |= in[i] >> (64 - bits);
    }
}

/* Columns one after the other are a column. */
static bool add_histograms(struct seal_builder *builder, const struct slot_samples *part,
                           uint32_t shift)
{
    struct slot_samples *all = builder->samples;
    assert(part->sealed_histograms != NULL); /* only sealed windows are merged */
    if (part->sealed_histogram_count != part->histogram_count)
        return false;
    strbuf_add(&builder->histograms, part->sealed_histograms, part->sealed_histograms_size);
    all->histogram_count += part->histogram_count;
    add_rows(all->histogram_rows, part->histogram_rows, shift);
    return true;
}

static void take_histograms(struct seal_builder *builder)
{
    struct slot_samples *all = builder->samples;
    memset(strbuf_reserve(&builder->histograms, COLUMN_SLACK_BYTES), 0, COLUMN_SLACK_BYTES);
    all->sealed_histograms = (const uint8_t *)builder->histograms.data;
    all->sealed_histograms_size = builder->histograms.size;
    all->sealed_histogram_count = all->histogram_count;
}

/* All of the run's samples in builder->samples; false when a column is damaged. */
static bool combine(struct seal_builder *builder, uint32_t run_count, uint32_t slot)
{
    struct slot_samples *all = builder->samples, *part = builder->part;
    all->float_count = 0;
    all->start_count = 0;
    all->histogram_count = 0;
    all->open_histograms = NULL;
    memset(all->histogram_rows, 0, sizeof all->histogram_rows);
    memset(all->float_rows, 0, sizeof all->float_rows);
    memset(all->start_rows, 0, sizeof all->start_rows);
    strbuf_clear(&builder->histograms);
    struct strbuf why = STRBUF_INIT;
    uint32_t shift = 0;
    bool good = true;
    for (uint32_t i = 0; i < run_count && good; i++) {
        const struct head_window *window = builder->run[i];
        uint32_t rows = atomic_load_explicit(&window->row_count, memory_order_relaxed);
        head__slot_load(window, slot, rows, part);
        good = head__slot_decode_floats(part, &why) == OK && !part->starts_damaged;
        memcpy(all->values + all->float_count, part->values,
               part->float_count * sizeof *all->values);
        memcpy(all->starts + all->start_count, part->starts,
               part->start_count * sizeof *all->starts);
        all->float_count += part->float_count;
        all->start_count += part->start_count;
        add_rows(all->float_rows, part->float_rows, shift);
        add_rows(all->start_rows, part->start_rows, shift);
        if (part->histogram_count > 0)
            good = good && add_histograms(builder, part, shift);
        shift += rows;
    }
    take_histograms(builder);
    strbuf_deinit(&why);
    return good;
}

/* ---- the merged window ---- */

static struct head_window *window_of_run(const struct seal_builder *builder, uint32_t run_count,
                                         uint32_t row_count, bool final)
{
    const struct head_window *oldest = builder->run[0];
    struct head_window *window = MEM_NEW(MEM_HEAD, struct head_window);
    struct window_rows *rows = head__rows_create(row_count);
    uint32_t at = 0;
    for (uint32_t i = 0; i < run_count; i++) {
        const struct head_window *part = builder->run[i];
        const struct window_rows *from = atomic_load_explicit(&part->rows, memory_order_relaxed);
        uint32_t count = atomic_load_explicit(&part->row_count, memory_order_relaxed);
        memcpy(rows->t_ms + at, from->t_ms, count * sizeof *rows->t_ms);
        memcpy(rows->sequences + at, from->sequences, count * sizeof *rows->sequences);
        at += count;
    }
    window->group = oldest->group;
    window->number = oldest->number;
    window->first_sequence = oldest->first_sequence;
    window->last_sequence = builder->run[run_count - 1]->last_sequence;
    window->first_segment = oldest->first_segment;
    window->rows_max = (uint16_t)row_count;
    window->closed = true;
    window->merged = final;
    atomic_init(&window->rows, rows);
    atomic_init(&window->row_count, row_count);
    return window;
}

static bool encode_run(struct head *head, struct seal_builder *builder, uint32_t run_count,
                       const struct head_window *window)
{
    uint32_t slot_count = 0;
    bool good = true;
    for (uint32_t i = 0; i < run_count; i++)
        good &= head__sealed_is_good(
            atomic_load_explicit(&builder->run[i]->sealed, memory_order_relaxed));
    if (!good)
        return false;
    mutex_lock(&head->write_lock);
    for (uint32_t i = 0; i < run_count; i++) {
        const struct sealed_window *sealed =
            atomic_load_explicit(&builder->run[i]->sealed, memory_order_relaxed);
        if (sealed->slot_count > slot_count)
            slot_count = sealed->slot_count;
    }
    head__seal_copy_refs(builder, window->group, slot_count);
    mutex_unlock(&head->write_lock);
    VEC_RESERVE(MEM_HEAD, builder->offsets, builder->offset_capacity, slot_count + 1);
    strbuf_clear(&builder->entries);
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        builder->offsets[slot] = (uint32_t)builder->entries.size;
        if (!combine(builder, run_count, slot))
            return false;
        head__seal_put_entry(builder, builder->samples, NULL);
    }
    assert(builder->entries.size <= UINT32_MAX);
    builder->offsets[slot_count] = (uint32_t)builder->entries.size;
    strbuf_clear(&builder->records);
    head__seal_finish_record(builder, window, slot_count);
    return true;
}

/* A damaged window cannot become a part of a longer one: those of the run stay as they are, so that
 * what can be read of them still can, and newer ones are merged without them. */
static void leave_run(struct head *head, const struct seal_builder *builder, uint32_t run_count)
{
    LOG_ERROR("windows are not merged because of damage");
    mutex_lock(&head->write_lock);
    for (uint32_t i = 0; i < run_count; i++)
        builder->run[i]->merged = true;
    mutex_unlock(&head->write_lock);
}

/* Puts the window in the place of the run. Readers that are in the run go on through it. */
static void replace_run(struct head *head, struct seal_builder *builder, uint32_t run_count,
                        struct head_window *window)
{
    struct head_window *newest = builder->run[run_count - 1];
    mutex_lock(&head->write_lock);
    _Atomic(struct head_window *) *link = &window->group->newest;
    while (atomic_load_explicit(link, memory_order_relaxed) != newest)
        link = &atomic_load_explicit(link, memory_order_relaxed)->older;
    atomic_init(&window->older,
                atomic_load_explicit(&builder->run[0]->older, memory_order_relaxed));
    atomic_store_explicit(link, window, memory_order_release);
    for (uint32_t i = 0; i < run_count; i++) {
        const struct sealed_window *sealed =
            atomic_load_explicit(&builder->run[i]->sealed, memory_order_relaxed);
        if (sealed->file != NULL)
            sealed_file_forget(sealed->file);
        head__window_retire(head, builder->run[i]);
    }
    head__publish_locked(head, head->sequence);
    mutex_unlock(&head->write_lock);
}

static bool merge_run(struct head *head, struct seal_builder *builder, uint32_t run_count,
                      uint32_t row_count, bool final)
{
    struct head_window *window = window_of_run(builder, run_count, row_count, final);
    struct sealed_place place;
    struct strbuf why = STRBUF_INIT;
    bool written = false;
    if (!encode_run(head, builder, run_count, window))
        leave_run(head, builder, run_count);
    else if (sealed_store_write(head->sealed, final ? SEALED_MERGED : SEALED_SHORT,
                                builder->records.data, builder->records.size, &place, &why) != OK)
        LOG_ERROR("windows are not merged", "err", strbuf_cstr(&why));
    else
        written = true;
    strbuf_deinit(&why);
    strbuf_clear(&builder->records);
    if (!written) {
        head__window_free(window);
        return false;
    }
    atomic_init(&window->sealed, head__sealed_of_record(place.data, &place));
    replace_run(head, builder, run_count, window);
    return true;
}

/* ---- what is to be merged ---- */

/* Short windows of the group that are sealed, oldest first in builder->run; *newer is the window
 * after them, NULL: none. */
static uint32_t find_short(struct seal_builder *builder, const struct head_group *group,
                           const struct head_window **newer)
{
    uint32_t count = 0;
    *newer = NULL;
    for (struct head_window *window = atomic_load_explicit(&group->newest, memory_order_relaxed);
         window != NULL && !window->merged;
         window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
        if (atomic_load_explicit(&window->sealed, memory_order_relaxed) == NULL)
            *newer = window;
        else
            VEC_PUSH(MEM_HEAD, builder->run, count, builder->run_capacity, window);
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        struct head_window *swapped = builder->run[i];
        builder->run[i] = builder->run[count - 1 - i];
        builder->run[count - 1 - i] = swapped;
    }
    return count;
}

static int64_t range_of_window(const struct head *head, const struct head_window *window)
{
    return head__range_of(head, atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[0]);
}

/* Rows that a merged window may have. The first one of a group is a part of a whole one, so that
 * those of many groups are not merged together. */
static uint32_t rows_wanted(const struct head_window *oldest)
{
    const struct head_group *group = oldest->group;
    uint64_t parts = COLUMN_ROWS_MAX / SHORT_ROWS;
    if (oldest->number > 1)
        return COLUMN_ROWS_MAX;
    return COLUMN_ROWS_MAX -
           SHORT_ROWS * (uint32_t)(hash_mix(group->key, group->lane) / SHORT_ROWS % parts);
}

/* How many windows from the oldest on to merge now, 0: none. *final: nothing will be added. */
static uint32_t choose_run(const struct head *head, const struct seal_builder *builder,
                           uint32_t short_count, const struct head_window *newer,
                           uint32_t *row_count, bool *final)
{
    *row_count = 0;
    *final = false;
    if (short_count == 0)
        return 0;
    int64_t range = range_of_window(head, builder->run[0]);
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (; count < short_count; count++) {
        const struct head_window *window = builder->run[count];
        uint32_t rows = atomic_load_explicit(&window->row_count, memory_order_relaxed);
        bytes += atomic_load_explicit(&window->sealed, memory_order_relaxed)->size;
        if (range_of_window(head, window) != range || *row_count + rows > COLUMN_ROWS_MAX ||
            (count > 0 && bytes > MERGED_BYTES_MAX))
            break;
        *row_count += rows;
    }
    *final = count < short_count || *row_count + SHORT_ROWS > rows_wanted(builder->run[0]) ||
             (newer != NULL && range_of_window(head, newer) != range) ||
             (range + 1) * head->window_range_ms <= head->append_floor_ms;
    return *final || count >= SHORT_WINDOWS_MAX ? count : 0;
}

void head__merge_if_due(struct head *head, struct head_group *group, struct seal_builder *builder)
{
    for (;;) {
        const struct head_window *newer;
        uint32_t row_count;
        bool final;
        mutex_lock(&head->write_lock);
        uint32_t short_count = find_short(builder, group, &newer);
        uint32_t count = choose_run(head, builder, short_count, newer, &row_count, &final);
        /* A single one is as long as it gets. */
        if (count == 1)
            builder->run[0]->merged = true;
        mutex_unlock(&head->write_lock);
        if (count == 0 || (count > 1 && !merge_run(head, builder, count, row_count, final)))
            return;
    }
}

void head__merge_all(struct head *head, struct seal_builder *builder)
{
    mutex_lock(&head->write_lock);
    uint32_t group_count = head->group_count;
    mutex_unlock(&head->write_lock);
    for (uint32_t i = 0; i < group_count; i++) {
        mutex_lock(&head->write_lock);
        struct head_group *group = head->groups[i];
        mutex_unlock(&head->write_lock);
        /* Groups are freed by this thread only. */
        if (group != NULL)
            head__merge_if_due(head, group, builder);
    }
}
