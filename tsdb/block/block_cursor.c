/* Walks the columns of series: range, tombstones, decoding. */
#include "block_cursor.h"

#include <lz4.h>
#include <math.h>

#include "block_directory.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/tombstones.h"

enum {
    CURSOR_TIMES_KEPT = 64,  /* decoded windows: series of one metric visit the same in turn */
    CURSOR_TIMES_SPREAD = 7, /* windows of neighbouring groups fall into different slots */
    FILL_STEP = 8,           /* values written at once; divides COLUMN_ROWS_MAX */
};
static_assert(COLUMN_ROWS_MAX % FILL_STEP == 0, "fills may write up to the end of the array");

/* Timestamps of all rows of one window. */
struct cursor_times {
    bool filled;
    uint32_t group;
    uint32_t window;
    int64_t items[COLUMN_ROWS_MAX];
};

struct block_cursor {
    const struct block *block;
    const struct tombstones *tombstones;
    struct block__label_walk labels;
    struct block__directory_walk directory;

    /* Set by seek. */
    int64_t min_t_ms;
    int64_t max_t_ms;
    bool done;
    int64_t previous_last_ms; /* of the column before, INT64_MIN at first */
    const struct tombstone_interval *intervals;
    uint32_t interval_count;

    /* The group of the walk's run, and its windows that touch the range: [first, end). */
    uint32_t place_group;
    struct block__group_place place;
    uint32_t first_window;
    uint32_t end_window;

    /* The column next stopped at. */
    bool has_column;
    struct block__record record;
    uint32_t next_window;
    uint32_t windows_left; /* of the record, from next_window on */
    uint32_t window;
    struct block_window window_times;
    struct time_column_summary summary;
    uint32_t encoded_count; /* samples as stored */
    uint32_t count;         /* without deleted ones */
    bool all_rows;
    bool filtered;
    uint8_t rows[COLUMN_ROWS_MAX]; /* row of each stored sample unless all_rows */
    uint8_t kept[COLUMN_ROWS_MAX]; /* stored samples that are left, if filtered */
    uint64_t present[BLOCK_PRESENT_WORDS];
    double constant;

    const int64_t *times; /* of the window's rows, NULL before cursor_load_times */
    struct cursor_times *times_kept[CURSOR_TIMES_KEPT]; /* NULL: not used yet */

    /* What decode hands out. */
    int64_t out_times[COLUMN_ROWS_MAX];
    int64_t out_starts[COLUMN_ROWS_MAX];
    double values[COLUMN_ROWS_MAX];

    /* One page, unpacked. */
    uint32_t page;
    uint32_t page_size;
    const uint8_t *page_bytes; /* the mapping or page_buffer */
    uint8_t *page_buffer;
    size_t page_capacity;
};

struct block_cursor *block_cursor_create(const struct block *block)
{
    struct block_cursor *cursor = MEM_NEW(MEM_BLOCK, struct block_cursor);
    cursor->block = block;
    cursor->done = true;
    cursor->labels.chunk.index = BLOCK_NONE;
    cursor->directory.chunk.index = BLOCK_NONE;
    cursor->page = BLOCK_NONE;
    return cursor;
}

void block_cursor_destroy(struct block_cursor *cursor)
{
    if (cursor == NULL)
        return;
    mem_free(MEM_BLOCK, cursor->page_buffer);
    for (uint32_t i = 0; i < CURSOR_TIMES_KEPT; i++)
        mem_free(MEM_BLOCK, cursor->times_kept[i]);
    mem_free(MEM_BLOCK, cursor);
}

void block_cursor_set_tombstones(struct block_cursor *cursor, const struct tombstones *tombstones)
{
    cursor->tombstones = tombstones;
}

/* ---- labels ---- */

err_t block_cursor_label_symbols(struct block_cursor *cursor, uint32_t series,
                                 const struct block_label **labels, uint32_t *label_count,
                                 struct strbuf *why)
{
    TRY(block__label_walk_to(cursor->block, &cursor->labels, series, why));
    *labels = cursor->labels.labels;
    *label_count = cursor->labels.count;
    return OK;
}

err_t block_cursor_labels(struct block_cursor *cursor, uint32_t series, struct arena *arena,
                          struct labels *labels, struct strbuf *why)
{
    const struct block_label *symbols;
    uint32_t count;
    TRY(block_cursor_label_symbols(cursor, series, &symbols, &count, why));
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, count);
    for (uint32_t i = 0; i < count; i++) {
        TRY(block_symbol(cursor->block, symbols[i].name, &items[i].name, why));
        TRY(block_symbol(cursor->block, symbols[i].value, &items[i].value, why));
    }
    *labels = (struct labels){items, count};
    return OK;
}

/* ---- windows and rows ---- */

/* Number of windows that begin at or before t_ms. */
static uint32_t windows_until(const struct block__group_place *place, int64_t t_ms)
{
    uint32_t low = 0;
    uint32_t high = place->window_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (block__window_first_ms(place, middle) <= t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static err_t cursor_load_group(struct block_cursor *cursor, struct strbuf *why)
{
    if (cursor->place_group == cursor->directory.run_group)
        return OK;
    cursor->place_group = BLOCK_NONE;
    TRY(block__group_place(cursor->block, cursor->directory.run_group, &cursor->place, why));
    uint32_t until_min = windows_until(&cursor->place, cursor->min_t_ms);
    cursor->first_window = until_min == 0 ? 0 : until_min - 1;
    cursor->end_window = windows_until(&cursor->place, cursor->max_t_ms);
    cursor->place_group = cursor->directory.run_group;
    return OK;
}

static err_t cursor_corrupt_times(const struct block_cursor *cursor, struct strbuf *why)
{
    return block__corrupt(cursor->block, cursor->place.offset, "time column is malformed", why);
}

static err_t cursor_load_window(struct block_cursor *cursor, struct strbuf *why)
{
    struct block_window *window = &cursor->window_times;
    TRY(block__window(cursor->block, &cursor->place, cursor->window, window, why));
    struct time_column_summary *summary = &cursor->summary;
    cursor->times = NULL;
    if (time_column_peek(window->times, window->times_size, window->row_count, summary) != OK ||
        summary->first_ms > summary->last_ms || summary->step_ms < 0)
        return cursor_corrupt_times(cursor, why);
    return OK;
}

static void fill_values(double *values, uint32_t count, double v)
{
    for (uint32_t i = 0; i < count; i += FILL_STEP) {
        for (uint32_t k = 0; k < FILL_STEP; k++)
            values[i + k] = v;
    }
}

static void fill_times(int64_t *times, uint32_t count, int64_t first_ms, int64_t step_ms)
{
    /* Unsigned: what is written past `count` may overflow. */
    uint64_t t_ms = (uint64_t)first_ms;
    uint64_t step = (uint64_t)step_ms;
    for (uint32_t i = 0; i < count; i += FILL_STEP, t_ms += FILL_STEP * step) {
        for (uint32_t k = 0; k < FILL_STEP; k++)
            times[i + k] = (int64_t)(t_ms + k * step);
    }
}

static err_t decode_window_times(const struct block_cursor *cursor, int64_t *times,
                                 struct strbuf *why)
{
    const struct block_window *window = &cursor->window_times;
    const struct time_column_summary *summary = &cursor->summary;
    if (summary->step_ms > 0 || window->row_count == 1) {
        fill_times(times, window->row_count, summary->first_ms, summary->step_ms);
        return OK;
    }
    if (time_column_decode(window->times, window->times_size, window->row_count, times) != OK)
        return cursor_corrupt_times(cursor, why);
    bool ascending = true;
    for (uint32_t i = 1; i < window->row_count; i++)
        ascending &= times[i - 1] < times[i];
    return ascending ? OK : cursor_corrupt_times(cursor, why);
}

/* Points cursor->times to the timestamps of all rows of the window. */
static err_t cursor_load_times(struct block_cursor *cursor, struct strbuf *why)
{
    if (cursor->times != NULL)
        return OK;
    uint32_t hash = cursor->place_group * CURSOR_TIMES_SPREAD + cursor->window;
    struct cursor_times **kept = &cursor->times_kept[hash % CURSOR_TIMES_KEPT];
    if (*kept == NULL) {
        *kept = mem_alloc(MEM_BLOCK, sizeof **kept);
        (*kept)->filled = false;
    }
    struct cursor_times *slot = *kept;
    if (!slot->filled || slot->group != cursor->place_group || slot->window != cursor->window) {
        slot->filled = false;
        TRY(decode_window_times(cursor, slot->items, why));
        slot->filled = true;
        slot->group = cursor->place_group;
        slot->window = cursor->window;
    }
    cursor->times = slot->items;
    return OK;
}

/* Row of the stored sample `index`. */
static uint32_t cursor_row(const struct block_cursor *cursor, uint32_t index)
{
    return cursor->all_rows ? index : cursor->rows[index];
}

static err_t cursor_row_time(struct block_cursor *cursor, uint32_t row, int64_t *t_ms,
                             struct strbuf *why)
{
    const struct time_column_summary *summary = &cursor->summary;
    if (row == 0) {
        *t_ms = summary->first_ms;
    } else if (row + 1 == cursor->window_times.row_count) {
        *t_ms = summary->last_ms;
    } else if (summary->step_ms != 0) {
        *t_ms = (int64_t)((uint64_t)summary->first_ms + row * (uint64_t)summary->step_ms);
    } else {
        TRY(cursor_load_times(cursor, why));
        *t_ms = cursor->times[row];
    }
    return OK;
}

/* Finds the rows of the record's samples; false if they do not fit the window. */
static bool cursor_load_rows(struct block_cursor *cursor)
{
    const struct block__record *record = &cursor->record;
    uint32_t rows = cursor->window_times.row_count;
    uint32_t count = 0;
    cursor->all_rows = false;
    switch (record->flags & BLOCK__ROWS_MASK) {
    case BLOCK__ROWS_RANGE:
        for (uint32_t i = 0; i < record->row_count; i++)
            cursor->rows[count++] = (uint8_t)(record->row0 + i);
        break;
    case BLOCK__ROWS_BITMAP:
        for (uint32_t i = 0; i < record->bitmap_size * 8u; i++) {
            if (record->bitmap[i / 8] >> (i % 8) & 1)
                cursor->rows[count++] = (uint8_t)i;
        }
        break;
    default:
        cursor->all_rows = true;
        count = rows;
        break;
    }
    cursor->encoded_count = count;
    cursor->count = count;
    cursor->filtered = false;
    return count >= 1 && cursor_row(cursor, count - 1) < rows;
}

/* ---- tombstones ---- */

/* Leaves out deleted samples; cursor->count may become 0. */
static err_t cursor_apply_tombstones(struct block_cursor *cursor, int64_t first_ms, int64_t last_ms,
                                     struct strbuf *why)
{
    uint32_t i = 0;
    while (i < cursor->interval_count && cursor->intervals[i].max_t_ms < first_ms)
        i++;
    if (i == cursor->interval_count || cursor->intervals[i].min_t_ms > last_ms)
        return OK;
    cursor->filtered = true;
    cursor->count = 0;
    if (cursor->intervals[i].min_t_ms <= first_ms && cursor->intervals[i].max_t_ms >= last_ms)
        return OK;
    TRY(cursor_load_times(cursor, why));
    for (uint32_t sample = 0; sample < cursor->encoded_count; sample++) {
        int64_t t_ms = cursor->times[cursor_row(cursor, sample)];
        while (i < cursor->interval_count && cursor->intervals[i].max_t_ms < t_ms)
            i++;
        if (i == cursor->interval_count || cursor->intervals[i].min_t_ms > t_ms)
            cursor->kept[cursor->count++] = (uint8_t)sample;
    }
    return OK;
}

/* ---- seeking and stepping ---- */

err_t block_cursor_seek(struct block_cursor *cursor, uint32_t series, int64_t min_t_ms,
                        int64_t max_t_ms, struct strbuf *why)
{
    cursor->done = true;
    cursor->has_column = false;
    TRY(block__directory_walk_to(cursor->block, &cursor->directory, series, why));
    cursor->min_t_ms = min_t_ms;
    cursor->max_t_ms = max_t_ms;
    cursor->previous_last_ms = INT64_MIN;
    cursor->windows_left = 0;
    cursor->place_group = BLOCK_NONE;
    cursor->interval_count = 0;
    if (cursor->tombstones != NULL)
        cursor->intervals = tombstones_get(cursor->tombstones, series, &cursor->interval_count);
    cursor->done = false;
    return OK;
}

/* Goes to the next window that the range touches; *found false at the series' end. */
static err_t cursor_step(struct block_cursor *cursor, bool *found, struct strbuf *why)
{
    struct block__directory_walk *walk = &cursor->directory;
    for (;;) {
        if (cursor->windows_left == 0) {
            TRY(block__directory_walk_next(cursor->block, walk, &cursor->record, found, why));
            if (!*found)
                return OK;
            TRY(cursor_load_group(cursor, why));
            cursor->next_window = cursor->record.window;
            cursor->windows_left = cursor->record.window_count;
            if (cursor->windows_left > cursor->place.window_count ||
                cursor->next_window > cursor->place.window_count - cursor->windows_left)
                return block__corrupt(cursor->block, cursor->place.offset,
                                      "series has more windows than its group", why);
        }
        if (cursor->next_window < cursor->first_window) {
            uint32_t skip = cursor->first_window - cursor->next_window;
            if (skip > cursor->windows_left)
                skip = cursor->windows_left;
            cursor->next_window += skip;
            cursor->windows_left -= skip;
            continue;
        }
        if (cursor->next_window < cursor->end_window) {
            *found = true;
            cursor->window = cursor->next_window++;
            cursor->windows_left--;
            return OK;
        }
        cursor->windows_left = 0;
        /* Nothing of interest can follow in this run; the rest is passed over when another series
         * of the chunk is wanted. */
        if (!walk->run_more) {
            *found = false;
            return OK;
        }
    }
}

static void cursor_fill_info(const struct block_cursor *cursor, int64_t first_ms, int64_t last_ms,
                             struct block_column_info *info)
{
    const struct block__record *record = &cursor->record;
    bool constant = (record->flags & BLOCK__CONSTANT) != 0;
    *info = (struct block_column_info){
        .kind = record->flags & BLOCK__HISTOGRAM ? BLOCK_COLUMN_HISTOGRAM : BLOCK_COLUMN_FLOAT,
        .cut = (record->flags & BLOCK__CUT) != 0,
        .constant = constant,
        .has_start_times = record->start_times_size > 0,
        .has_stats = constant ? !isnan(cursor->constant)
                              : !cursor->filtered && (record->flags & BLOCK__STATS) != 0,
        .group = cursor->place_group,
        .window = cursor->window,
        .count = cursor->count,
        .first_t_ms = first_ms,
        .last_t_ms = last_ms,
        .constant_value = constant ? cursor->constant : 0,
    };
}

/* Looks at the column of the current window; *wanted false if nothing of it is in the range. */
static err_t cursor_look(struct block_cursor *cursor, struct block_column_info *info, bool *wanted,
                         struct strbuf *why)
{
    int64_t first_ms;
    int64_t last_ms;
    *wanted = false;
    TRY(cursor_load_window(cursor, why));
    if (!cursor_load_rows(cursor))
        return block__corrupt(cursor->block, cursor->place.offset,
                              "rows of a column are beyond its window", why);
    TRY(cursor_row_time(cursor, cursor_row(cursor, 0), &first_ms, why));
    TRY(cursor_row_time(cursor, cursor_row(cursor, cursor->encoded_count - 1), &last_ms, why));
    if (first_ms <= cursor->previous_last_ms && cursor->previous_last_ms != INT64_MIN)
        return block__corrupt(cursor->block, cursor->place.offset,
                              "columns of a series overlap in time", why);
    cursor->previous_last_ms = last_ms;
    if (last_ms < cursor->min_t_ms || first_ms > cursor->max_t_ms)
        return OK;
    TRY(cursor_apply_tombstones(cursor, first_ms, last_ms, why));
    if (cursor->count == 0)
        return OK;
    if (cursor->filtered) {
        first_ms = cursor->times[cursor_row(cursor, cursor->kept[0])];
        last_ms = cursor->times[cursor_row(cursor, cursor->kept[cursor->count - 1])];
        if (last_ms < cursor->min_t_ms || first_ms > cursor->max_t_ms)
            return OK;
    }
    const struct block__record *record = &cursor->record;
    if ((record->flags & BLOCK__CONSTANT) &&
        !column_peek_constant(record->constant, record->constant_size, &cursor->constant))
        return block__corrupt(cursor->block,
                              (uint64_t)(record->constant - cursor->block->mapping.data),
                              "constant of a column is malformed", why);
    cursor_fill_info(cursor, first_ms, last_ms, info);
    *wanted = true;
    return OK;
}

err_t block_cursor_next(struct block_cursor *cursor, struct block_column_info *info, bool *found,
                        struct strbuf *why)
{
    cursor->has_column = false;
    *found = false;
    err_t err = OK;
    while (!cursor->done) {
        bool more;
        TRY_OUT(cursor_step(cursor, &more, why));
        if (!more) {
            cursor->done = true;
            break;
        }
        TRY_OUT(cursor_look(cursor, info, found, why));
        if (*found) {
            cursor->has_column = true;
            break;
        }
    }
out:
    if (err != OK) {
        /* The walk may have stopped inside a record: start the chunk afresh at the next seek. */
        cursor->done = true;
        cursor->directory.chunk.index = BLOCK_NONE;
        *found = false;
    }
    return err;
}

/* ---- column bytes ---- */

static err_t cursor_unpack_page(struct block_cursor *cursor, const struct block__page_place *place,
                                const uint8_t *stored, struct strbuf *why)
{
    /* LZ4 cannot grow bytes more than 255 times: refuse before allocating. */
    if (place->raw_size / 255 > place->stored_size)
        return block__corrupt(cursor->block, place->offset, "page has an impossible size", why);
    VEC_RESERVE(MEM_BLOCK, cursor->page_buffer, cursor->page_capacity,
                place->raw_size + COLUMN_SLACK_BYTES);
    int size = LZ4_decompress_safe((const char *)stored, (char *)cursor->page_buffer,
                                   (int)place->stored_size, (int)place->raw_size);
    if (size < 0 || (uint32_t)size != place->raw_size)
        return block__corrupt(cursor->block, place->offset, "page does not decompress", why);
    memset(cursor->page_buffer + size, 0, COLUMN_SLACK_BYTES);
    cursor->page_bytes = cursor->page_buffer;
    return OK;
}

static err_t cursor_load_page(struct block_cursor *cursor, struct strbuf *why)
{
    const struct block__record *record = &cursor->record;
    if (cursor->page != record->page) {
        struct block__page_place place;
        const uint8_t *stored;
        cursor->page = BLOCK_NONE;
        TRY(block__page_place(cursor->block, record->page, &place, why));
        TRY(block__view(cursor->block, place.offset, place.stored_size, &stored, why));
        if (place.stored_size == place.raw_size)
            cursor->page_bytes = stored;
        else
            TRY(cursor_unpack_page(cursor, &place, stored, why));
        cursor->page_size = place.raw_size;
        cursor->page = record->page;
    }
    assert((uint64_t)record->page_offset + record->size + record->start_times_size <=
           cursor->page_size);
    return OK;
}

static err_t cursor_corrupt_column(const struct block_cursor *cursor, struct strbuf *why)
{
    struct block__page_place place;
    TRY(block__page_place(cursor->block, cursor->record.page, &place, why));
    return block__corrupt(cursor->block, place.offset, "column in this page is malformed", why);
}

/* ---- decoding ---- */

static err_t decode_times(struct block_cursor *cursor, struct block_column_data *data,
                          struct strbuf *why)
{
    TRY(cursor_load_times(cursor, why));
    if (cursor->all_rows && !cursor->filtered) {
        data->t_ms = cursor->times;
        data->step_ms = cursor->summary.step_ms;
        return OK;
    }
    for (uint32_t i = 0; i < cursor->count; i++) {
        uint32_t sample = cursor->filtered ? cursor->kept[i] : i;
        cursor->out_times[i] = cursor->times[cursor_row(cursor, sample)];
    }
    data->t_ms = cursor->out_times;
    bool range =
        !cursor->filtered && (cursor->record.flags & BLOCK__ROWS_MASK) == BLOCK__ROWS_RANGE;
    data->step_ms = range ? cursor->summary.step_ms : 0;
    return OK;
}

static err_t decode_values(struct block_cursor *cursor, struct block_column_data *data,
                           struct strbuf *why)
{
    const struct block__record *record = &cursor->record;
    data->values = cursor->values;
    if (record->flags & BLOCK__CONSTANT) {
        fill_values(cursor->values, cursor->count, cursor->constant);
        return OK;
    }
    const uint8_t *bytes = cursor->page_bytes + record->page_offset;
    if (column_decode(bytes, record->size, cursor->encoded_count, cursor->values) != OK)
        return cursor_corrupt_column(cursor, why);
    if (cursor->filtered) {
        for (uint32_t i = 0; i < cursor->count; i++)
            cursor->values[i] = cursor->values[cursor->kept[i]];
    }
    return OK;
}

static err_t decode_start_times(struct block_cursor *cursor, struct block_column_data *data,
                                struct strbuf *why)
{
    const struct block__record *record = &cursor->record;
    if (record->start_times_size == 0)
        return OK;
    const uint8_t *bytes = cursor->page_bytes + record->page_offset + record->size;
    if (time_column_decode(bytes, record->start_times_size, cursor->encoded_count,
                           cursor->out_starts) != OK)
        return cursor_corrupt_column(cursor, why);
    if (cursor->filtered) {
        for (uint32_t i = 0; i < cursor->count; i++)
            cursor->out_starts[i] = cursor->out_starts[cursor->kept[i]];
    }
    data->start_t_ms = cursor->out_starts;
    return OK;
}

err_t block_cursor_decode(struct block_cursor *cursor, struct block_column_data *data,
                          struct strbuf *why)
{
    assert(cursor->has_column);
    const struct block__record *record = &cursor->record;
    *data = (struct block_column_data){.count = cursor->count};
    TRY(decode_times(cursor, data, why));
    if (record->size + record->start_times_size > 0)
        TRY(cursor_load_page(cursor, why));
    if (record->flags & BLOCK__HISTOGRAM) {
        data->bytes = cursor->page_bytes + record->page_offset;
        data->size = record->size;
        data->encoded_count = cursor->encoded_count;
        data->encoded_index = cursor->filtered ? cursor->kept : NULL;
    } else {
        TRY(decode_values(cursor, data, why));
    }
    return decode_start_times(cursor, data, why);
}

err_t block_cursor_stats(struct block_cursor *cursor, struct column_stats *stats,
                         struct strbuf *why)
{
    assert(cursor->has_column);
    const struct block__record *record = &cursor->record;
    if (record->flags & BLOCK__CONSTANT) {
        column_stats_of_constant(cursor->constant, cursor->count, stats);
        return OK;
    }
    assert((record->flags & BLOCK__STATS) && !cursor->filtered);
    size_t consumed;
    if (column_stats_decode(record->stats, record->stats_size, cursor->encoded_count, stats,
                            &consumed) != OK ||
        consumed != record->stats_size)
        return block__corrupt(cursor->block,
                              (uint64_t)(record->stats - cursor->block->mapping.data),
                              "statistics of a column are malformed", why);
    return OK;
}

/* Sets the bits of `count` rows from `first` on. */
static void set_rows(uint64_t present[BLOCK_PRESENT_WORDS], uint32_t first, uint32_t count)
{
    uint32_t end = first + count;
    for (uint32_t word = first / 64; word * 64 < end; word++) {
        uint64_t bits = UINT64_MAX;
        if (word == first / 64)
            bits &= UINT64_MAX << (first % 64);
        if (end - word * 64 < 64)
            bits &= ~(UINT64_MAX << (end % 64));
        present[word] |= bits;
    }
}

static void cursor_present(const struct block_cursor *cursor, bool kept_only,
                           uint64_t present[BLOCK_PRESENT_WORDS])
{
    const struct block__record *record = &cursor->record;
    memset(present, 0, BLOCK_PRESENT_WORDS * sizeof *present);
    if (kept_only && cursor->filtered) {
        for (uint32_t i = 0; i < cursor->count; i++)
            set_rows(present, cursor_row(cursor, cursor->kept[i]), 1);
    } else if (cursor->all_rows) {
        set_rows(present, 0, cursor->encoded_count);
    } else if ((record->flags & BLOCK__ROWS_MASK) == BLOCK__ROWS_RANGE) {
        set_rows(present, record->row0, record->row_count);
    } else {
        memcpy(present, record->bitmap, record->bitmap_size);
    }
}

bool block__cursor_is_filtered(const struct block_cursor *cursor)
{
    return cursor->filtered;
}

void block__cursor_present(const struct block_cursor *cursor, uint64_t present[BLOCK_PRESENT_WORDS])
{
    assert(cursor->has_column);
    cursor_present(cursor, true, present);
}

err_t block_cursor_raw(struct block_cursor *cursor, struct block_column *column, struct strbuf *why)
{
    assert(cursor->has_column);
    const struct block__record *record = &cursor->record;
    if (record->size + record->start_times_size > 0)
        TRY(cursor_load_page(cursor, why));
    cursor_present(cursor, false, cursor->present);
    *column = (struct block_column){
        .kind = record->flags & BLOCK__HISTOGRAM ? BLOCK_COLUMN_HISTOGRAM : BLOCK_COLUMN_FLOAT,
        .group = cursor->place_group,
        .window = cursor->window,
        .present = cursor->present,
        .row_count = cursor->encoded_count,
        .cut = (record->flags & BLOCK__CUT) != 0,
    };
    if (record->flags & BLOCK__CONSTANT) {
        column->bytes = record->constant;
        column->size = record->constant_size;
    } else {
        column->bytes = cursor->page_bytes + record->page_offset;
        column->size = record->size;
    }
    if (record->start_times_size > 0) {
        column->start_times = cursor->page_bytes + record->page_offset + record->size;
        column->start_times_size = record->start_times_size;
    }
    return OK;
}
