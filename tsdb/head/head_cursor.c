/* Reading the columns of a series: its places oldest first, their windows oldest first, and within
 * a window runs of one kind of sample. */
#include "head_impl.h"

#include <inttypes.h>
#include <string.h>

#include "narthex/base/vec.h"
#include "narthex/tsdb/histogram_codec.h"

/* A slot of a window with rows that the reader may see. */
struct visible_slot {
    const struct head_window *window;
    uint32_t slot;
    uint32_t row_limit;
};

struct head_cursor {
    struct head_reader *reader;
    uint32_t ordinal;
    int64_t min_t_ms;
    int64_t max_t_ms;
    struct visible_slot *slots; /* newest first */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t slots_left; /* the current one is slots[slots_left] */
    const struct head_deletion *deletions;
    uint32_t deletion_count;
    bool to_float;
    bool newest_only;

    /* the current slot */
    struct slot_samples samples;
    const int64_t *row_times;
    uint64_t visible_floats[4]; /* not deleted */
    uint64_t visible_histograms[4];
    uint32_t next_row;
    bool slot_loaded;
    bool slot_begun; /* a column of it was given already */

    /* the current column: rows [from_row, next_row) of one kind */
    enum sample_kind kind;
    uint32_t from_row;
    uint32_t count;
    bool cut;

    int64_t t_ms[COLUMN_ROWS_MAX];
    double values[COLUMN_ROWS_MAX];
    int64_t starts[COLUMN_ROWS_MAX];
    struct histogram histograms[COLUMN_ROWS_MAX];
    struct arena arena; /* of the histograms of the current column */
};

struct head_cursor *head_cursor_create(struct head_reader *reader)
{
    struct head_cursor *cursor = mem_alloc(MEM_QUERY, sizeof *cursor);
    cursor->reader = reader;
    cursor->slots = NULL;
    cursor->slot_count = 0;
    cursor->slot_capacity = 0;
    cursor->slots_left = 0;
    cursor->slot_loaded = false;
    cursor->to_float = false;
    cursor->newest_only = false;
    arena_init(&cursor->arena, MEM_QUERY, SIZE_MAX);
    return cursor;
}

void head_cursor_prefer_floats(struct head_cursor *cursor)
{
    cursor->to_float = true;
}

void head_cursor_newest_only(struct head_cursor *cursor)
{
    cursor->newest_only = true;
}

void head_cursor_destroy(struct head_cursor *cursor)
{
    arena_deinit(&cursor->arena);
    mem_free(MEM_QUERY, cursor->slots);
    mem_free(MEM_QUERY, cursor);
}

/* False when this window and all older ones end before the range. */
static bool add_window(struct head_cursor *cursor, const struct head_window *window, uint32_t slot)
{
    uint32_t rows = head__window_visible_rows(window, cursor->reader->sequence);
    if (rows == 0)
        return true;
    const int64_t *times = atomic_load_explicit(&window->rows, memory_order_acquire)->t_ms;
    if (times[0] > cursor->max_t_ms)
        return true;
    if (times[rows - 1] < cursor->min_t_ms || times[rows - 1] < cursor->reader->min_valid_ms)
        return false;
    VEC_PUSH(MEM_QUERY, cursor->slots, cursor->slot_count, cursor->slot_capacity,
             (struct visible_slot){window, slot, rows});
    return true;
}

static bool row_is_set(const uint64_t rows[4], uint32_t row)
{
    return (rows[row / 64] >> (row % 64) & 1) != 0;
}

static void hide_deleted(struct head_cursor *cursor)
{
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++) {
        if (!row_is_set(cursor->samples.float_rows, row) &&
            !row_is_set(cursor->samples.histogram_rows, row))
            continue;
        int64_t t_ms = cursor->row_times[row];
        for (uint32_t i = 0; i < cursor->deletion_count; i++) {
            if (t_ms < cursor->deletions[i].min_t_ms || t_ms > cursor->deletions[i].max_t_ms)
                continue;
            cursor->visible_floats[row / 64] &= ~(UINT64_C(1) << (row % 64));
            cursor->visible_histograms[row / 64] &= ~(UINT64_C(1) << (row % 64));
        }
    }
}

static void load_slot(struct head_cursor *cursor, const struct visible_slot *slot)
{
    head__slot_load(slot->window, slot->slot, slot->row_limit, &cursor->samples);
    cursor->row_times = atomic_load_explicit(&slot->window->rows, memory_order_acquire)->t_ms;
    memcpy(cursor->visible_floats, cursor->samples.float_rows, sizeof cursor->visible_floats);
    memcpy(cursor->visible_histograms, cursor->samples.histogram_rows,
           sizeof cursor->visible_histograms);
    if (cursor->deletion_count > 0)
        hide_deleted(cursor);
    cursor->next_row = 0;
    cursor->slot_loaded = true;
    cursor->slot_begun = false;
}

/* Lowest set row at or above `from`; COLUMN_ROWS_MAX: none. */
static uint32_t next_set_row(const uint64_t rows[4], uint32_t from)
{
    if (from >= COLUMN_ROWS_MAX)
        return COLUMN_ROWS_MAX;
    uint64_t word = rows[from / 64] >> (from % 64) << (from % 64);
    for (uint32_t i = from / 64;;) {
        if (word != 0)
            return 64 * i + (uint32_t)__builtin_ctzll(word);
        if (++i == 4)
            return COLUMN_ROWS_MAX;
        word = rows[i];
    }
}

/* Loads the newest slot; when its floats go back to the end of the range, what is older is left
 * out. A histogram's hint depends on the one before it. */
static void leave_out_older(struct head_cursor *cursor)
{
    load_slot(cursor, &cursor->slots[0]);
    uint32_t row = next_set_row(cursor->visible_floats, 0);
    bool enough = row != COLUMN_ROWS_MAX && cursor->samples.histogram_count == 0 &&
                  cursor->row_times[row] <= cursor->max_t_ms;
    cursor->slots_left = enough ? 0 : cursor->slot_count;
    cursor->slot_loaded = enough;
}

void head_cursor_seek(struct head_cursor *cursor, uint32_t ordinal, int64_t min_t_ms,
                      int64_t max_t_ms)
{
    struct head *head = cursor->reader->head;
    cursor->ordinal = ordinal;
    cursor->min_t_ms = min_t_ms;
    cursor->max_t_ms = max_t_ms;
    cursor->slot_count = 0;
    cursor->slot_loaded = false;
    cursor->deletions = head__deletions_of(head, ordinal, &cursor->deletion_count);
    const struct head_series *series = head__series(head, ordinal);
    const struct head_place *place =
        series == NULL ? NULL : atomic_load_explicit(&series->newest, memory_order_acquire);
    for (; place != NULL; place = atomic_load_explicit(&place->older, memory_order_acquire)) {
        const struct head_window *window =
            atomic_load_explicit(&place->group->newest, memory_order_acquire);
        while (window != NULL && add_window(cursor, window, place->slot))
            window = atomic_load_explicit(&window->older, memory_order_acquire);
    }
    cursor->slots_left = cursor->slot_count;
    if (cursor->newest_only && cursor->slot_count > 1 && cursor->deletion_count == 0)
        leave_out_older(cursor);
}

/* Bits of rows [from, to) of the four words. */
static void rows_of_range(const uint64_t rows[4], uint32_t from, uint32_t to, uint64_t out[4])
{
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t base = 64 * i;
        uint64_t mask = ~UINT64_C(0);
        if (to <= base || from >= base + 64)
            mask = 0;
        else if (to < base + 64)
            mask = (UINT64_C(1) << (to - base)) - 1;
        if (from > base && from < base + 64)
            mask &= ~UINT64_C(0) << (from - base);
        out[i] = rows[i] & mask;
    }
}

static uint32_t rows_between(const uint64_t rows[4], uint32_t from, uint32_t to)
{
    uint64_t part[4];
    uint32_t count = 0;
    rows_of_range(rows, from, to, part);
    for (uint32_t i = 0; i < 4; i++)
        count += (uint32_t)__builtin_popcountll(part[i]);
    return count;
}

/* Last set row below `to`, which is above some set row. */
static uint32_t last_set_row(const uint64_t rows[4], uint32_t to)
{
    uint64_t part[4];
    rows_of_range(rows, 0, to, part);
    uint32_t i = 3;
    while (part[i] == 0)
        i--;
    return 64 * i + 63 - (uint32_t)__builtin_clzll(part[i]);
}

/* Finds the next run of the loaded slot; false at its end. */
static bool next_run(struct head_cursor *cursor, struct sample_column_info *info)
{
    uint32_t float_row = next_set_row(cursor->visible_floats, cursor->next_row);
    uint32_t histogram_row = next_set_row(cursor->visible_histograms, cursor->next_row);
    if (float_row == COLUMN_ROWS_MAX && histogram_row == COLUMN_ROWS_MAX)
        return false;
    bool floats = float_row < histogram_row;
    const uint64_t *rows = floats ? cursor->visible_floats : cursor->visible_histograms;
    cursor->kind = floats ? SAMPLES_FLOAT : SAMPLES_HISTOGRAM;
    cursor->from_row = floats ? float_row : histogram_row;
    cursor->next_row = floats ? histogram_row : float_row;
    /* Most slots are one run of floats. */
    bool is_whole = floats && !cursor->slot_begun && histogram_row == COLUMN_ROWS_MAX &&
                    cursor->deletion_count == 0;
    cursor->count = is_whole ? cursor->samples.float_count
                             : rows_between(rows, cursor->from_row, cursor->next_row);
    cursor->cut = cursor->slot_begun;
    cursor->slot_begun = true;
    *info = (struct sample_column_info){
        .kind = cursor->kind,
        .count = cursor->count,
        .first_t_ms = cursor->row_times[cursor->from_row],
        .last_t_ms = cursor->row_times[last_set_row(rows, cursor->next_row)],
    };
    return true;
}

err_t head_cursor_next(struct head_cursor *cursor, struct sample_column_info *info, bool *found,
                       struct strbuf *why)
{
    (void)why;
    for (;;) {
        if (!cursor->slot_loaded) {
            if (cursor->slots_left == 0) {
                *found = false;
                return OK;
            }
            load_slot(cursor, &cursor->slots[--cursor->slots_left]);
        }
        while (next_run(cursor, info)) {
            if (info->last_t_ms < cursor->min_t_ms || info->first_t_ms > cursor->max_t_ms)
                continue;
            *found = true;
            return OK;
        }
        cursor->slot_loaded = false;
    }
}

bool head_cursor_stats(const struct head_cursor *cursor, struct column_stats *stats)
{
    const struct slot_samples *samples = &cursor->samples;
    double constant;
    if (cursor->kind != SAMPLES_FLOAT || samples->sealed_floats == NULL ||
        samples->sealed_float_count != cursor->count)
        return false;
    if (samples->has_stats) {
        *stats = samples->stats;
        return true;
    }
    return column_peek_constant(samples->sealed_floats, samples->sealed_floats_size, &constant) &&
           column_stats_of_constant(constant, cursor->count, stats);
}

static void decode_starts(struct head_cursor *cursor, const uint64_t *rows,
                          struct sample_column *column)
{
    if (cursor->samples.start_count == 0)
        return;
    uint32_t rank = rows_between(cursor->samples.start_rows, 0, cursor->from_row);
    uint32_t n = 0;
    bool any = false;
    for (uint32_t row = cursor->from_row; row < cursor->next_row; row++) {
        bool has = row_is_set(cursor->samples.start_rows, row);
        if (row_is_set(rows, row)) {
            cursor->starts[n++] = has ? (int64_t)cursor->samples.starts[rank] : 0;
            any = any || has;
        }
        rank += has;
    }
    if (any)
        column->start_t_ms = cursor->starts;
}

static err_t decode_floats(struct head_cursor *cursor, struct sample_column *column,
                           struct strbuf *why)
{
    TRY(head__slot_decode_floats(&cursor->samples, why));
    if (cursor->count == cursor->samples.float_count &&
        last_set_row(cursor->visible_floats, cursor->next_row) + 1 - cursor->from_row ==
            cursor->count) {
        /* All floats of the slot, none deleted, no row left out: nothing need be copied. */
        column->values = cursor->samples.values;
        column->t_ms = cursor->row_times + cursor->from_row;
        return OK;
    }
    column->values = cursor->values;
    uint32_t rank = rows_between(cursor->samples.float_rows, 0, cursor->from_row);
    uint32_t n = 0;
    for (uint32_t row = next_set_row(cursor->samples.float_rows, cursor->from_row);
         row < cursor->next_row; row = next_set_row(cursor->samples.float_rows, row + 1), rank++) {
        if (!row_is_set(cursor->visible_floats, row))
            continue;
        cursor->t_ms[n] = cursor->row_times[row];
        cursor->values[n++] = cursor->samples.values[rank];
    }
    assert(n == cursor->count);
    return OK;
}

static err_t decode_histograms(struct head_cursor *cursor, struct sample_column *column,
                               struct strbuf *why)
{
    arena_deinit(&cursor->arena);
    struct histogram *histograms = cursor->histograms;
    TRY(head__slot_decode_histograms(&cursor->samples, cursor->to_float, &cursor->arena, histograms,
                                     why));
    uint32_t rank = rows_between(cursor->samples.histogram_rows, 0, cursor->from_row);
    uint32_t n = 0;
    for (uint32_t row = next_set_row(cursor->samples.histogram_rows, cursor->from_row);
         row < cursor->next_row;
         row = next_set_row(cursor->samples.histogram_rows, row + 1), rank++) {
        if (!row_is_set(cursor->visible_histograms, row))
            continue;
        cursor->t_ms[n] = cursor->row_times[row];
        histograms[n++] = histograms[rank]; /* n <= rank */
    }
    assert(n == cursor->count);
    column->histograms = histograms;
    return OK;
}

static int64_t constant_step(const int64_t *t_ms, uint32_t count)
{
    if (count < 2)
        return 0;
    int64_t step = t_ms[1] - t_ms[0];
    for (uint32_t i = 2; i < count; i++) {
        if (t_ms[i] - t_ms[i - 1] != step)
            return 0;
    }
    return step;
}

/* Says which window it is: its file was damaged since it was sealed. */
static err_t fail_damaged(const struct head_cursor *cursor, struct strbuf *why)
{
    const struct sealed_window *sealed = atomic_load_explicit(
        &cursor->slots[cursor->slots_left].window->sealed, memory_order_acquire);
    if (sealed == NULL || sealed->file == NULL)
        return err_fail(why, ERR_CORRUPT, "samples in memory are damaged");
    return err_fail(why, ERR_CORRUPT, "%s: the sealed window at offset %" PRIu64 " is damaged",
                    sealed_file_path(sealed->file), sealed->file_end - sealed->size);
}

err_t head_cursor_decode(struct head_cursor *cursor, struct sample_column *column,
                         struct strbuf *why)
{
    bool floats = cursor->kind == SAMPLES_FLOAT;
    *column =
        (struct sample_column){.kind = cursor->kind, .count = cursor->count, .t_ms = cursor->t_ms};
    err_t err =
        floats ? decode_floats(cursor, column, why) : decode_histograms(cursor, column, why);
    if (err == ERR_CORRUPT || cursor->samples.starts_damaged)
        return fail_damaged(cursor, why);
    TRY(err);
    decode_starts(cursor, floats ? cursor->visible_floats : cursor->visible_histograms, column);
    column->step_ms = constant_step(column->t_ms, cursor->count);
    return OK;
}

/* ---- for blocks ---- */

void head_cursor_raw(const struct head_cursor *cursor, struct head_raw_column *raw)
{
    const struct visible_slot *slot = &cursor->slots[cursor->slots_left];
    const uint64_t *rows =
        cursor->kind == SAMPLES_FLOAT ? cursor->visible_floats : cursor->visible_histograms;
    *raw = (struct head_raw_column){
        .group = slot->window->group->id,
        .window = slot->window->number,
        .cut = cursor->cut,
    };
    rows_of_range(rows, cursor->from_row, cursor->next_row, raw->present);
    if (cursor->kind == SAMPLES_FLOAT && cursor->samples.sealed_floats != NULL &&
        cursor->samples.sealed_float_count == cursor->count) {
        raw->bytes = cursor->samples.sealed_floats;
        raw->size = cursor->samples.sealed_floats_size;
    }
    if (cursor->kind == SAMPLES_HISTOGRAM && cursor->samples.sealed_histograms != NULL &&
        cursor->samples.sealed_histogram_count == cursor->count) {
        raw->bytes = cursor->samples.sealed_histograms;
        raw->size = cursor->samples.sealed_histograms_size;
    }
}
