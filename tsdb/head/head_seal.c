/* Sealing: the open columns of a closed window become one piece of memory.
 *
 * Entry of a slot (slots without samples have none):
 *     u8 parts | [floats: rows, uv size, column] | [starts: rows, uv size, column] | [histogram
 * log] rows: u8 first, u8 count - 1   or, with the part's gap bit, a bitmap of 30 bytes
 */
#include "head_impl.h"

#include <string.h>

enum sealed_part {
    PART_FLOATS = 1,
    PART_FLOAT_GAPS = 2,
    PART_STARTS = 4,
    PART_START_GAPS = 8,
    PART_HISTOGRAMS = 16,
};

enum { ROW_BITMAP_SIZE = COLUMN_ROWS_MAX / 8 };

static int first_row(const uint64_t rows[4])
{
    for (int i = 0; i < 4; i++) {
        if (rows[i] != 0)
            return 64 * i + __builtin_ctzll(rows[i]);
    }
    return -1;
}

static void set_range(uint64_t rows[4], uint32_t first, uint32_t count)
{
    memset(rows, 0, 4 * sizeof rows[0]);
    for (uint32_t i = first; i < first + count; i++)
        rows[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool has_gaps(const uint64_t rows[4], uint32_t count)
{
    uint64_t range[4];
    uint32_t first = (uint32_t)first_row(rows);
    if (first + count > COLUMN_ROWS_MAX)
        return true;
    set_range(range, first, count);
    return memcmp(range, rows, sizeof range) != 0;
}

static void put_column(struct strbuf *out, const double *values, uint32_t count,
                       const uint64_t rows[4], bool gaps, struct column_hint *hint)
{
    if (gaps) {
        for (uint32_t i = 0; i < ROW_BITMAP_SIZE; i++)
            coding_put_u8(out, (uint8_t)(rows[i / 8] >> (i % 8 * 8)));
    } else {
        coding_put_u8(out, (uint8_t)first_row(rows));
        coding_put_u8(out, (uint8_t)(count - 1));
    }
    uint8_t bytes[sizeof(double) * COLUMN_ROWS_MAX + 256];
    assert(column_size_max(count) <= sizeof bytes);
    size_t size = column_seal(values, count, hint, bytes);
    coding_put_uv(out, size);
    strbuf_add(out, bytes, size);
}

static void put_entry(struct strbuf *out, const struct slot_samples *samples,
                      struct column_hint *hint)
{
    if (samples->float_count == 0 && samples->histogram_size == 0)
        return;
    uint8_t parts = 0;
    bool float_gaps = false, start_gaps = false;
    if (samples->float_count > 0) {
        float_gaps = has_gaps(samples->float_rows, samples->float_count);
        parts |= float_gaps ? PART_FLOATS | PART_FLOAT_GAPS : PART_FLOATS;
    }
    if (samples->start_count > 0) {
        start_gaps = has_gaps(samples->start_rows, samples->start_count);
        parts |= start_gaps ? PART_STARTS | PART_START_GAPS : PART_STARTS;
    }
    if (samples->histogram_size > 0)
        parts |= PART_HISTOGRAMS;
    coding_put_u8(out, parts);
    if (samples->float_count > 0)
        put_column(out, samples->values, samples->float_count, samples->float_rows, float_gaps,
                   hint);
    if (samples->start_count > 0)
        put_column(out, samples->starts, samples->start_count, samples->start_rows, start_gaps,
                   NULL);
    if (samples->histogram_size > 0)
        strbuf_add(out, samples->histogram_bytes, samples->histogram_size);
}

static const uint8_t *get_column(struct byte_reader *in, bool gaps, uint64_t rows[4],
                                 uint32_t *count, size_t *size)
{
    if (gaps) {
        const uint8_t *bitmap = byte_reader_take(in, ROW_BITMAP_SIZE);
        assert(bitmap != NULL);
        memset(rows, 0, 4 * sizeof rows[0]);
        *count = 0;
        for (uint32_t i = 0; i < ROW_BITMAP_SIZE; i++)
            rows[i / 8] |= (uint64_t)bitmap[i] << (i % 8 * 8);
        for (uint32_t i = 0; i < 4; i++)
            *count += (uint32_t)__builtin_popcountll(rows[i]);
    } else {
        uint32_t first = byte_reader_u8(in);
        *count = byte_reader_u8(in) + 1u;
        set_range(rows, first, *count);
    }
    *size = (size_t)byte_reader_uv(in);
    const uint8_t *bytes = byte_reader_take(in, *size);
    assert(bytes != NULL);
    return bytes;
}

void head__sealed_entry(const struct sealed_window *sealed, uint32_t slot,
                        struct sealed_entry *entry)
{
    *entry = (struct sealed_entry){0};
    if (slot >= sealed->slot_count || sealed->offsets[slot] == sealed->offsets[slot + 1])
        return;
    struct byte_reader in = byte_reader_of(sealed->data + sealed->offsets[slot],
                                           sealed->offsets[slot + 1] - sealed->offsets[slot]);
    uint8_t parts = byte_reader_u8(&in);
    if ((parts & PART_FLOATS) != 0)
        entry->floats = get_column(&in, (parts & PART_FLOAT_GAPS) != 0, entry->float_rows,
                                   &entry->float_count, &entry->floats_size);
    if ((parts & PART_STARTS) != 0)
        entry->starts = get_column(&in, (parts & PART_START_GAPS) != 0, entry->start_rows,
                                   &entry->start_count, &entry->starts_size);
    if ((parts & PART_HISTOGRAMS) != 0) {
        entry->histograms = in.at;
        entry->histograms_size = byte_reader_left(&in);
    }
}

static uint32_t slots_of(const struct head_window *window)
{
    const struct slot_table *tables[] = {
        atomic_load_explicit(&window->slots, memory_order_acquire),
        atomic_load_explicit(&window->histograms, memory_order_acquire),
    };
    uint32_t pages = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (tables[i] != NULL && tables[i]->page_count > pages)
            pages = tables[i]->page_count;
    }
    return pages * SLOT_PAGE_SIZE;
}

static struct column_hint *hint_of(struct head_group *group, uint32_t slot)
{
    if (slot >= group->hint_count) {
        uint32_t count = slot + slot / 4 + 16;
        group->hints = mem_realloc(MEM_HEAD, group->hints, count * sizeof *group->hints);
        memset(group->hints + group->hint_count, 0,
               (count - group->hint_count) * sizeof *group->hints);
        group->hint_count = count;
    }
    return &group->hints[slot];
}

/* The window is closed: nobody writes to it. */
static struct sealed_window *seal_window(struct head_window *window, struct strbuf *out)
{
    uint32_t slot_count = slots_of(window);
    uint32_t row_count = atomic_load_explicit(&window->row_count, memory_order_acquire);
    struct sealed_window *sealed =
        mem_alloc(MEM_HEAD_DATA, sizeof *sealed + (slot_count + 1) * sizeof sealed->offsets[0]);
    struct slot_samples *samples = mem_alloc(MEM_HEAD, sizeof *samples);
    strbuf_clear(out);
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        assert(out->size <= UINT32_MAX);
        sealed->offsets[slot] = (uint32_t)out->size;
        head__slot_load(window, slot, row_count, samples);
        put_entry(out, samples, hint_of(window->group, slot));
    }
    mem_free(MEM_HEAD, samples);
    assert(out->size <= UINT32_MAX);
    sealed->offsets[slot_count] = (uint32_t)out->size;
    sealed->slot_count = slot_count;
    sealed->bytes = (uint32_t)out->size;
    sealed->data = mem_calloc(MEM_HEAD_DATA, 1, out->size + COLUMN_SLACK_BYTES);
    if (out->size > 0)
        memcpy(sealed->data, out->data, out->size);
    return sealed;
}

uint32_t head_seal(struct head *head, uint32_t windows_max)
{
    uint32_t sealed_count = 0;
    struct strbuf out = STRBUF_INIT;
    mutex_lock(&head->write_lock);
    while (head->closed_first != NULL && (windows_max == 0 || sealed_count < windows_max)) {
        struct head_window *window = head->closed_first;
        mutex_unlock(&head->write_lock);

        struct sealed_window *sealed = seal_window(window, &out);

        mutex_lock(&head->write_lock);
        head->closed_first = window->next_closed;
        if (head->closed_first == NULL)
            head->closed_last = NULL;
        window->next_closed = NULL;
        head->closed_count--;
        sealed_count++;
        atomic_store_explicit(&window->sealed, sealed, memory_order_release);
        head__window_retire_open_form(head, window);
        head__publish_locked(head, head->sequence);
    }
    uint32_t left = head->closed_count;
    mutex_unlock(&head->write_lock);
    strbuf_deinit(&out);
    return left;
}
