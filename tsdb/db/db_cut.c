/* Cutting a range of the head into a block. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "db_maintain.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/histogram_column.h"

/* Where a window of the head is in the block. */
struct placed_window {
    uint32_t head_group;
    uint64_t number;
    uint32_t group; /* of the block */
    uint32_t window;
    uint32_t row_count;
    /* Row of the block by row of the head; NULL when they are the same. A group of the head may
     * have two rows of one time (two commits), a block may not. */
    uint8_t *row_map;
};

struct cut {
    struct db *db;
    struct head_reader reader;
    struct block_writer *writer;
    struct block_symbols *symbols;
    int64_t min_t_ms;
    int64_t last_t_ms;  /* inclusive */
    uint32_t *ordinals; /* by labels */
    size_t ordinal_count;
    struct placed_window *windows; /* by head group and number */
    size_t window_count;
    struct head_cursor *cursor;
    struct arena arena; /* of one series */
    struct strbuf bytes;
    uint8_t *sealed;
    uint8_t *starts;
};

/* ---- symbols and groups ---- */

static err_t write_symbols(struct cut *cut, struct strbuf *why)
{
    for (size_t i = 0; i < cut->ordinal_count; i++) {
        block_symbols_add_labels(cut->symbols,
                                 head_reader_labels(&cut->reader, cut->ordinals[i], &cut->arena));
        arena_deinit(&cut->arena);
    }
    return block_symbols_write(cut->symbols, cut->writer, why);
}

/* The window's times without repeats; fills the row map if there are any. */
static uint32_t distinct_times(const struct head_window_info *info, int64_t *t_ms,
                               struct placed_window *placed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < info->row_count; i++) {
        bool repeated = count > 0 && t_ms[count - 1] == info->t_ms[i];
        if (repeated && placed->row_map == NULL) {
            placed->row_map = mem_alloc(MEM_BLOCK, COLUMN_ROWS_MAX);
            for (uint32_t j = 0; j < i; j++)
                placed->row_map[j] = (uint8_t)j;
        }
        if (!repeated)
            t_ms[count++] = info->t_ms[i];
        if (placed->row_map != NULL)
            placed->row_map[i] = (uint8_t)(count - 1);
    }
    return count;
}

/* Writes the windows of one group: infos[0 .. count). */
static err_t write_group(struct cut *cut, const struct head_window_info *infos, size_t count,
                         struct placed_window *placed, struct strbuf *why)
{
    struct block_window *windows = MEM_NEW_ARRAY(MEM_BLOCK, struct block_window, count);
    size_t size_max = time_column_size_max(COLUMN_ROWS_MAX);
    uint8_t *bytes = mem_alloc(MEM_BLOCK, count * size_max);
    for (size_t i = 0; i < count; i++) {
        int64_t t_ms[COLUMN_ROWS_MAX];
        placed[i] = (struct placed_window){
            .head_group = infos[i].group, .number = infos[i].window, .window = (uint32_t)i};
        placed[i].row_count = distinct_times(&infos[i], t_ms, &placed[i]);
        windows[i].times = bytes + i * size_max;
        windows[i].row_count = placed[i].row_count;
        windows[i].times_size = time_column_seal(t_ms, placed[i].row_count, bytes + i * size_max);
    }
    uint32_t group;
    err_t err =
        block_writer_add_group(cut->writer, infos[0].key, windows, (uint32_t)count, &group, why);
    for (size_t i = 0; i < count && err == OK; i++)
        placed[i].group = group;
    mem_free(MEM_BLOCK, windows);
    mem_free(MEM_BLOCK, bytes);
    return err;
}

static bool is_same_time(const struct head_window_info *a, const struct head_window_info *b)
{
    return a->t_ms[a->row_count - 1] == b->t_ms[0];
}

/* A block's windows of a group are apart in time. Two of the head may touch: the rows of one time
 * on both sides of a full window. The later ones then form a group of their own. */
static err_t write_groups(struct cut *cut, struct strbuf *why)
{
    struct head_window_info *infos;
    size_t count = head_reader_windows(&cut->reader, cut->min_t_ms, cut->last_t_ms, &infos);
    cut->windows = MEM_NEW_ARRAY(MEM_BLOCK, struct placed_window, count);
    cut->window_count = count;
    err_t err = OK;
    for (size_t i = 0; i < count && err == OK;) {
        size_t end = i + 1;
        while (end < count && infos[end].group == infos[i].group &&
               !is_same_time(&infos[end - 1], &infos[end]))
            end++;
        err = write_group(cut, infos + i, end - i, cut->windows + i, why);
        i = end;
    }
    mem_free(MEM_HEAD, infos);
    return err;
}

static const struct placed_window *find_window(const struct cut *cut, uint32_t group,
                                               uint64_t number)
{
    size_t low = 0, high = cut->window_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct placed_window *window = &cut->windows[middle];
        if (window->head_group < group || (window->head_group == group && window->number < number))
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < cut->window_count);
    assert(cut->windows[low].head_group == group && cut->windows[low].number == number);
    return &cut->windows[low];
}

/* ---- columns ---- */

static void map_rows(const struct placed_window *window, const uint64_t in[4], uint64_t out[4])
{
    if (window->row_map == NULL) {
        memcpy(out, in, 4 * sizeof out[0]);
        return;
    }
    memset(out, 0, 4 * sizeof out[0]);
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++) {
        if ((in[row / 64] >> (row % 64) & 1) == 0)
            continue;
        uint32_t mapped = window->row_map[row];
        out[mapped / 64] |= UINT64_C(1) << (mapped % 64);
    }
}

static err_t write_column(struct cut *cut, const struct sample_column *column, struct strbuf *why)
{
    struct head_raw_column raw;
    head_cursor_raw(cut->cursor, &raw);
    const struct placed_window *window = find_window(cut, raw.group, raw.window);
    uint64_t present[4];
    map_rows(window, raw.present, present);
    struct block_column out = {
        .group = window->group,
        .window = window->window,
        .present = present,
        .row_count = column->count,
        .cut = raw.cut,
    };
    struct column_stats stats;
    if (column->kind == SAMPLES_FLOAT) {
        out.kind = BLOCK_COLUMN_FLOAT;
        out.bytes = raw.bytes;
        out.size = raw.size;
        if (raw.bytes == NULL) {
            out.bytes = cut->sealed;
            out.size = column_seal(column->values, column->count, NULL, cut->sealed);
        }
        if (column_stats_compute(column->values, column->count, &stats))
            out.stats = &stats;
    } else {
        out.kind = BLOCK_COLUMN_HISTOGRAM;
        out.bytes = raw.bytes;
        out.size = raw.size;
        if (raw.bytes == NULL) {
            strbuf_clear(&cut->bytes);
            histogram_column_encode(&cut->bytes, column->histograms, column->count);
            out.bytes = (const uint8_t *)cut->bytes.data;
            out.size = cut->bytes.size;
        }
    }
    if (column->start_t_ms != NULL) {
        out.start_times = cut->starts;
        out.start_times_size = time_column_seal(column->start_t_ms, column->count, cut->starts);
    }
    return block_writer_add_column(cut->writer, &out, why);
}

err_t db__begin_series(struct head_reader *reader, uint32_t ordinal, struct block_writer *writer,
                       struct block_symbols *symbols, struct arena *arena, struct strbuf *why)
{
    struct labels labels = head_reader_labels(reader, ordinal, arena);
    struct block_label *numbers = ARENA_NEW_ARRAY(arena, struct block_label, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        numbers[i].name = block_symbols_find(symbols, labels.items[i].name);
        numbers[i].value = block_symbols_find(symbols, labels.items[i].value);
    }
    err_t err = block_writer_begin_series(writer, numbers, labels.count, why);
    arena_deinit(arena);
    return err;
}

static err_t write_series(struct cut *cut, uint32_t ordinal, struct strbuf *why)
{
    bool begun = false;
    head_cursor_seek(cut->cursor, ordinal, cut->min_t_ms, cut->last_t_ms);
    for (;;) {
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        TRY(head_cursor_next(cut->cursor, &info, &found, why));
        if (!found)
            return OK;
        err_t err = head_cursor_decode(cut->cursor, &column, why);
        if (err == ERR_CORRUPT) {
            /* The head cannot keep what it has for the sake of one column. */
            LOG_ERROR("damaged samples are left out of a block", "err", strbuf_cstr(why));
            strbuf_clear(why);
            continue;
        }
        TRY(err);
        if (!begun)
            TRY(db__begin_series(&cut->reader, ordinal, cut->writer, cut->symbols, &cut->arena,
                                 why));
        begun = true;
        TRY(write_column(cut, &column, why));
    }
}

/* ---- the block ---- */

static err_t write_all(struct cut *cut, struct strbuf *why)
{
    TRY(write_symbols(cut, why));
    TRY(write_groups(cut, why));
    for (size_t i = 0; i < cut->ordinal_count; i++)
        TRY(write_series(cut, cut->ordinals[i], why));
    return OK;
}

static err_t select_all(struct cut *cut, struct arena *arena, struct strbuf *why)
{
    struct id_view ordinals;
    TRY(head_reader_select(&cut->reader, (struct selector){NULL, 0}, arena, &ordinals, why));
    cut->ordinals = (uint32_t *)ordinals.items;
    cut->ordinal_count = ordinals.count;
    head_reader_sort(&cut->reader, cut->ordinals, cut->ordinal_count);
    return OK;
}

static void cut_init(struct cut *cut, struct db *db, int64_t min_t_ms, int64_t end_t_ms)
{
    *cut = (struct cut){.db = db, .min_t_ms = min_t_ms, .last_t_ms = end_t_ms - 1};
    head_reader_open(db->head, &cut->reader);
    arena_init(&cut->arena, MEM_BLOCK, SIZE_MAX);
    cut->symbols = block_symbols_create();
    cut->cursor = head_cursor_create(&cut->reader);
    cut->sealed = mem_alloc(MEM_BLOCK, column_size_max(COLUMN_ROWS_MAX));
    cut->starts = mem_alloc(MEM_BLOCK, time_column_size_max(COLUMN_ROWS_MAX));
}

static void cut_deinit(struct cut *cut)
{
    for (size_t i = 0; i < cut->window_count; i++)
        mem_free(MEM_BLOCK, cut->windows[i].row_map);
    mem_free(MEM_BLOCK, cut->windows);
    mem_free(MEM_BLOCK, cut->sealed);
    mem_free(MEM_BLOCK, cut->starts);
    strbuf_deinit(&cut->bytes);
    head_cursor_destroy(cut->cursor);
    block_symbols_destroy(cut->symbols);
    arena_deinit(&cut->arena);
    head_reader_close(&cut->reader);
}

err_t db__write_head_block(struct db *db, const char *parent, int64_t min_t_ms, int64_t end_t_ms,
                           struct block_ulid *ulid, bool *written, struct strbuf *why)
{
    struct cut cut;
    struct arena arena;
    *written = false;
    cut_init(&cut, db, min_t_ms, end_t_ms);
    arena_init(&arena, MEM_BLOCK, SIZE_MAX);
    struct block_writer_options options = {
        .fs = db->fs,
        .parent = parent,
        .meta = {.min_t_ms = min_t_ms, .max_t_ms = end_t_ms, .level = 1},
    };
    db__ulid_make(db, ulid);
    options.meta.ulid = *ulid;
    err_t err = select_all(&cut, &arena, why);
    if (err == OK)
        err = block_writer_open(&options, &cut.writer, why);
    if (err == OK) {
        err = write_all(&cut, why);
        struct block_counts counts;
        block_writer_counts(cut.writer, &counts);
        if (err == OK && counts.series > 0) {
            err = block_writer_finish(cut.writer, why);
            *written = err == OK;
        } else {
            block_writer_abort(cut.writer);
        }
    }
    cut_deinit(&cut);
    arena_deinit(&arena);
    return err;
}

int64_t db__range_start(int64_t t_ms, int64_t range_ms)
{
    int64_t start = t_ms / range_ms * range_ms;
    return start > t_ms ? start - range_ms : start;
}

err_t db__adopt_block(struct db *db, const char *ulid, struct strbuf *why)
{
    struct db_block *block;
    char *path = db__join(db->path, ulid);
    err_t err = db__block_open(db, path, &block, why);
    mem_free(MEM_BLOCK, path);
    if (err == OK)
        db__view_add(db, block);
    return err;
}

/* Moves [.., end) of the head into one block per range. */
err_t db__cut_head(struct db *db, int64_t end_t_ms, struct strbuf *why)
{
    head_begin_cut(db->head, end_t_ms);
    head_seal(db->head, 0);
    for (;;) {
        int64_t min_t_ms = head_oldest_sample(db->head);
        if (min_t_ms >= end_t_ms)
            break;
        int64_t from_t_ms = db__range_start(min_t_ms, db->block_range_ms);
        int64_t to_t_ms = from_t_ms + db->block_range_ms;
        if (to_t_ms > end_t_ms)
            to_t_ms = end_t_ms;
        struct block_ulid ulid;
        bool written;
        TRY(db__write_head_block(db, db->path, min_t_ms, to_t_ms, &ulid, &written, why));
        if (written) {
            TRY(db__adopt_block(db, ulid.text, why));
            LOG_INFO("cut a block from the head", "ulid", ulid.text);
        }
        head_finish_cut(db->head, to_t_ms);
    }
    head_drop_cut(db->head);
    TRY(db__flush_late(db, why));
    return head_checkpoint(db->head, why);
}
