/* What a slot of a window holds, whether the window is open or sealed. Readers' side. */
#include "head_impl.h"

#include <string.h>

#include "narthex/tsdb/histogram_column.h"

uint32_t head__window_visible_rows(const struct head_window *window, uint64_t sequence)
{
    uint32_t count = atomic_load_explicit(&window->row_count, memory_order_acquire);
    const struct window_rows *rows = atomic_load_explicit(&window->rows, memory_order_acquire);
    while (count > 0 && rows->sequences[count - 1] > sequence)
        count--;
    return count;
}

static uint32_t count_rows(const uint64_t rows[4])
{
    uint32_t count = 0;
    for (int i = 0; i < 4; i++)
        count += (uint32_t)__builtin_popcountll(rows[i]);
    return count;
}

/* Clears the bits of rows at or above the limit. */
static void limit_rows(uint64_t rows[4], uint32_t row_limit)
{
    for (uint32_t i = 0; i < 4; i++) {
        if (row_limit <= 64 * i)
            rows[i] = 0;
        else if (row_limit < 64 * (i + 1))
            rows[i] &= (UINT64_C(1) << (row_limit % 64)) - 1;
    }
}

static void *table_element(const struct slot_table *table, uint32_t slot, size_t element_size)
{
    uint32_t page_number = slot / SLOT_PAGE_SIZE;
    if (table == NULL || page_number >= table->page_count)
        return NULL;
    char *page = atomic_load_explicit(&table->pages[page_number], memory_order_acquire);
    return page == NULL ? NULL : page + (slot % SLOT_PAGE_SIZE) * element_size;
}

static uint32_t decode_open(const struct slot_table *table, uint32_t slot, uint32_t row_limit,
                            double *values, uint64_t rows[4])
{
    memset(rows, 0, 4 * sizeof rows[0]);
    const struct open_column *column = table_element(table, slot, sizeof *column);
    if (column == NULL)
        return 0;
    struct open_column_view view = open_column_view(column);
    return open_column_decode(&view, row_limit, values, rows);
}

static void load_open_histograms(const struct slot_table *table, uint32_t slot, uint32_t row_limit,
                                 struct slot_samples *samples)
{
    samples->sealed_histograms = NULL;
    samples->row_limit = row_limit;
    samples->open_histograms = table_element(table, slot, sizeof *samples->open_histograms);
    samples->histogram_view = (struct open_histograms_view){NULL, 0};
    if (samples->open_histograms != NULL)
        samples->histogram_view = open_histograms_view(samples->open_histograms);
    samples->histogram_count =
        open_histograms_rows(&samples->histogram_view, row_limit, samples->histogram_rows);
}

static bool are_times(const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!(values[i] >= -0x1p63 && values[i] < 0x1p63))
            return false;
    }
    return true;
}

static void load_sealed_starts(const struct sealed_entry *entry, uint32_t row_limit,
                               struct slot_samples *samples)
{
    samples->start_count = 0;
    samples->starts_damaged = false;
    memset(samples->start_rows, 0, sizeof samples->start_rows);
    if (entry->start_count == 0)
        return;
    if (column_decode(entry->starts, entry->starts_size, entry->start_count, samples->starts) !=
            OK ||
        !are_times(samples->starts, entry->start_count)) {
        samples->starts_damaged = true;
        return;
    }
    memcpy(samples->start_rows, entry->start_rows, sizeof entry->start_rows);
    limit_rows(samples->start_rows, row_limit);
    samples->start_count = count_rows(samples->start_rows);
}

static void load_sealed(const struct sealed_window *sealed, uint32_t slot, uint32_t row_limit,
                        struct slot_samples *samples)
{
    struct sealed_entry entry;
    head__sealed_entry(sealed, slot, &entry);
    samples->sealed_floats = entry.floats;
    samples->sealed_floats_size = entry.floats_size;
    samples->sealed_float_count = entry.float_count;
    samples->floats_decoded = false;
    samples->has_stats = entry.has_stats;
    if (entry.has_stats)
        samples->stats = entry.stats;
    memcpy(samples->float_rows, entry.float_rows, sizeof entry.float_rows);
    limit_rows(samples->float_rows, row_limit);
    samples->float_count = count_rows(samples->float_rows);
    load_sealed_starts(&entry, row_limit, samples);
    samples->open_histograms = NULL;
    samples->sealed_histograms = entry.histograms;
    samples->sealed_histograms_size = entry.histograms_size;
    samples->sealed_histogram_count = entry.histogram_count;
    memcpy(samples->histogram_rows, entry.histogram_rows, sizeof entry.histogram_rows);
    limit_rows(samples->histogram_rows, row_limit);
    samples->histogram_count = count_rows(samples->histogram_rows);
}

void head__slot_load(const struct head_window *window, uint32_t slot, uint32_t row_limit,
                     struct slot_samples *samples)
{
    /* The sealer stores `sealed` before it clears the tables: tables loaded first and `sealed`
     * still NULL afterwards means that the tables are all there. */
    const struct slot_table *slots = atomic_load_explicit(&window->slots, memory_order_acquire);
    const struct slot_table *starts = atomic_load_explicit(&window->starts, memory_order_acquire);
    const struct slot_table *histograms =
        atomic_load_explicit(&window->histograms, memory_order_acquire);
    const struct sealed_window *sealed =
        atomic_load_explicit(&window->sealed, memory_order_acquire);
    if (sealed != NULL) {
        load_sealed(sealed, slot, row_limit, samples);
        return;
    }
    samples->float_count =
        decode_open(slots, slot, row_limit, samples->values, samples->float_rows);
    samples->floats_decoded = true;
    samples->has_stats = false;
    samples->sealed_floats = NULL;
    samples->start_count =
        decode_open(starts, slot, row_limit, samples->starts, samples->start_rows);
    samples->starts_damaged = false;
    load_open_histograms(histograms, slot, row_limit, samples);
}

err_t head__slot_decode_floats(struct slot_samples *samples, struct strbuf *why)
{
    if (samples->floats_decoded || samples->float_count == 0)
        return OK;
    samples->floats_decoded = true;
    err_t err = column_decode(samples->sealed_floats, samples->sealed_floats_size,
                              samples->sealed_float_count, samples->values);
    return err == OK ? OK : err_fail(why, err, "a sealed column in memory is damaged");
}

err_t head__slot_decode_histograms(const struct slot_samples *samples, bool to_float,
                                   struct arena *arena, struct histogram *histograms,
                                   struct strbuf *why)
{
    if (samples->sealed_histograms == NULL) {
        open_histograms_decode(&samples->histogram_view, samples->row_limit, arena, histograms);
        return OK;
    }
    err_t err =
        histogram_column_decode(samples->sealed_histograms, samples->sealed_histograms_size,
                                samples->sealed_histogram_count, to_float, arena, histograms, why);
    return err == OK ? OK : err_fail(why, err, "a sealed column in memory is damaged");
}
