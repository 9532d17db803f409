/* Merging blocks into one: for compaction, and to take deleted samples out of a block.
 *
 * Columns are copied as they are, with their groups. A series that has deleted samples, or whose
 * blocks overlap in time, is decoded, merged and written into a group of its own.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "db_maintain.h"
#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/vec.h"

struct source {
    struct db_block *db_block;
    const struct block *block;
    struct block_cursor *cursor;
    uint32_t *symbols; /* of the result, by symbol of this block */
    uint32_t *groups;  /* likewise */
    uint32_t series;   /* the next one */
    uint32_t series_count;
    /* labels of the next series as symbols of the result */
    struct block_label *labels;
    uint32_t label_count;
    uint32_t label_capacity;
};

/* A sample of a series that is written anew. */
struct loose_sample {
    int64_t t_ms;
    int64_t start_t_ms;
    double value;
    struct str histogram; /* encoded; in the arena; data NULL for floats */
    uint32_t rank;        /* higher wins */
    bool cut;
};

struct merge {
    struct db *db;
    struct source *sources; /* by time */
    size_t source_count;
    struct block_writer *writer;
    struct block_symbols *symbols;
    struct source **members; /* of the current series */
    size_t member_count;
    struct loose_sample *loose;
    size_t loose_count;
    size_t loose_capacity;
    struct arena arena; /* of the current series */
    struct strbuf bytes;
    uint8_t *sealed;
    uint8_t *starts;
};

/* ---- symbols and groups ---- */

static err_t add_symbols(struct merge *merge, struct strbuf *why)
{
    for (size_t i = 0; i < merge->source_count; i++) {
        const struct block *block = merge->sources[i].block;
        uint32_t count = block_meta(block)->counts.symbols;
        for (uint32_t symbol = 0; symbol < count; symbol++) {
            struct str text;
            TRY(block_symbol(block, symbol, &text, why));
            block_symbols_add(merge->symbols, text);
        }
    }
    TRY(block_symbols_write(merge->symbols, merge->writer, why));
    for (size_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        uint32_t count = block_meta(source->block)->counts.symbols;
        source->symbols = mem_alloc(MEM_BLOCK, (count + 1) * sizeof *source->symbols);
        for (uint32_t symbol = 0; symbol < count; symbol++) {
            struct str text;
            TRY(block_symbol(source->block, symbol, &text, why));
            source->symbols[symbol] = block_symbols_find(merge->symbols, text);
        }
    }
    return OK;
}

static err_t copy_group(struct merge *merge, struct source *source, uint32_t number,
                        struct strbuf *why)
{
    struct block_group group;
    TRY(block_group(source->block, number, &group, why));
    struct block_window *windows =
        MEM_NEW_ARRAY(MEM_BLOCK, struct block_window, group.window_count);
    err_t err = OK;
    for (uint32_t i = 0; i < group.window_count && err == OK; i++)
        err = block_group_window(source->block, number, i, &windows[i], why);
    if (err == OK)
        err = block_writer_add_group(merge->writer, group.key, windows, group.window_count,
                                     &source->groups[number], why);
    mem_free(MEM_BLOCK, windows);
    return err;
}

static err_t add_groups(struct merge *merge, struct strbuf *why)
{
    for (size_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        uint32_t count = block_meta(source->block)->counts.groups;
        source->groups = mem_alloc(MEM_BLOCK, (count + 1) * sizeof *source->groups);
        for (uint32_t number = 0; number < count; number++)
            TRY(copy_group(merge, source, number, why));
    }
    return OK;
}

/* ---- series in order ---- */

static err_t load_labels(struct source *source, struct strbuf *why)
{
    if (source->series == source->series_count)
        return OK;
    const struct block_label *labels;
    uint32_t count;
    TRY(block_cursor_label_symbols(source->cursor, source->series, &labels, &count, why));
    VEC_RESERVE(MEM_BLOCK, source->labels, source->label_capacity, count);
    for (uint32_t i = 0; i < count; i++)
        source->labels[i] =
            (struct block_label){source->symbols[labels[i].name], source->symbols[labels[i].value]};
    source->label_count = count;
    return OK;
}

/* As labels_compare: symbols are in the order of their texts. */
static int compare_labels(const struct source *a, const struct source *b)
{
    for (uint32_t i = 0; i < a->label_count && i < b->label_count; i++) {
        if (a->labels[i].name != b->labels[i].name)
            return a->labels[i].name < b->labels[i].name ? -1 : 1;
        if (a->labels[i].value != b->labels[i].value)
            return a->labels[i].value < b->labels[i].value ? -1 : 1;
    }
    return a->label_count < b->label_count ? -1 : a->label_count > b->label_count;
}

/* Collects the sources whose next series is the smallest one; false at the end. */
static bool next_series(struct merge *merge)
{
    merge->member_count = 0;
    for (size_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        if (source->series == source->series_count)
            continue;
        int order = merge->member_count == 0 ? 0 : compare_labels(source, merge->members[0]);
        if (order > 0)
            continue;
        if (order < 0)
            merge->member_count = 0;
        merge->members[merge->member_count++] = source;
    }
    return merge->member_count > 0;
}

/* ---- columns as they are ---- */

static err_t copy_columns(struct merge *merge, struct source *source, struct strbuf *why)
{
    TRY(block_cursor_seek(source->cursor, source->series, INT64_MIN, INT64_MAX, why));
    for (;;) {
        struct block_column_info info;
        bool found;
        TRY(block_cursor_next(source->cursor, &info, &found, why));
        if (!found)
            return OK;
        struct block_column column;
        TRY(block_cursor_raw(source->cursor, &column, why));
        column.group = source->groups[column.group];
        struct column_stats stats;
        if (info.has_stats && !info.constant) {
            TRY(block_cursor_stats(source->cursor, &stats, why));
            column.stats = &stats;
        }
        TRY(block_writer_add_column(merge->writer, &column, why));
    }
}

/* ---- series written anew ---- */

static void add_loose(struct merge *merge, const struct block_column_info *info,
                      const struct block_column_data *data, uint32_t rank)
{
    struct byte_reader in = byte_reader_of(data->bytes, data->size);
    uint32_t encoded = 0;
    for (uint32_t i = 0; i < data->count; i++) {
        struct loose_sample sample = {
            .t_ms = data->t_ms[i],
            .start_t_ms = data->start_t_ms == NULL ? 0 : data->start_t_ms[i],
            .rank = rank,
            .cut = i == 0 && info->cut,
        };
        if (info->kind == BLOCK_COLUMN_FLOAT) {
            sample.value = data->values[i];
        } else {
            uint32_t wanted = data->encoded_index == NULL ? i : data->encoded_index[i];
            struct str bytes = byte_reader_str(&in);
            for (; encoded < wanted; encoded++)
                bytes = byte_reader_str(&in);
            encoded++;
            sample.histogram = arena_str(&merge->arena, bytes);
        }
        VEC_PUSH(MEM_BLOCK, merge->loose, merge->loose_count, merge->loose_capacity, sample);
    }
}

static err_t gather_loose(struct merge *merge, struct strbuf *why)
{
    merge->loose_count = 0;
    for (size_t i = 0; i < merge->member_count; i++) {
        struct source *source = merge->members[i];
        block_cursor_set_tombstones(source->cursor, source->db_block->tombstones);
        TRY(block_cursor_seek(source->cursor, source->series, INT64_MIN, INT64_MAX, why));
        for (;;) {
            struct block_column_info info;
            struct block_column_data data;
            bool found;
            TRY(block_cursor_next(source->cursor, &info, &found, why));
            if (!found)
                break;
            TRY(block_cursor_decode(source->cursor, &data, why));
            add_loose(merge, &info, &data, (uint32_t)i);
        }
        block_cursor_set_tombstones(source->cursor, NULL);
    }
    return OK;
}

static int by_time_and_rank(const void *a, const void *b)
{
    const struct loose_sample *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->rank > y->rank ? -1 : x->rank < y->rank;
}

static void sort_loose(struct merge *merge)
{
    if (merge->loose_count > 0)
        qsort(merge->loose, merge->loose_count, sizeof *merge->loose, by_time_and_rank);
    size_t kept = 0;
    for (size_t i = 0; i < merge->loose_count; i++) {
        if (kept == 0 || merge->loose[kept - 1].t_ms != merge->loose[i].t_ms)
            merge->loose[kept++] = merge->loose[i];
    }
    merge->loose_count = kept;
}

/* End of the run of one kind that begins at `from`, at most a column's rows. */
static size_t run_end(const struct merge *merge, size_t from)
{
    bool histogram = merge->loose[from].histogram.data != NULL;
    size_t end = from + 1;
    while (end < merge->loose_count && end - from < COLUMN_ROWS_MAX &&
           (merge->loose[end].histogram.data != NULL) == histogram && !merge->loose[end].cut)
        end++;
    return end;
}

static err_t write_loose_group(struct merge *merge, uint32_t *group, struct strbuf *why)
{
    struct block_window *windows = NULL;
    uint32_t window_count = 0, window_capacity = 0;
    size_t size_max = time_column_size_max(COLUMN_ROWS_MAX);
    for (size_t from = 0; from < merge->loose_count;) {
        size_t end = run_end(merge, from);
        int64_t t_ms[COLUMN_ROWS_MAX];
        for (size_t i = from; i < end; i++)
            t_ms[i - from] = merge->loose[i].t_ms;
        uint8_t *bytes = arena_alloc(&merge->arena, size_max);
        size_t size = time_column_seal(t_ms, (uint32_t)(end - from), bytes);
        VEC_PUSH(MEM_BLOCK, windows, window_count, window_capacity,
                 (struct block_window){bytes, size, (uint32_t)(end - from)});
        from = end;
    }
    const struct source *first = merge->members[0];
    uint64_t key = hash_xxh64(first->labels, first->label_count * sizeof first->labels[0]);
    err_t err = block_writer_add_group(merge->writer, key, windows, window_count, group, why);
    mem_free(MEM_BLOCK, windows);
    return err;
}

static err_t write_loose_column(struct merge *merge, uint32_t group, uint32_t window, size_t from,
                                size_t end, struct strbuf *why)
{
    uint32_t count = (uint32_t)(end - from);
    struct block_column column = {
        .group = group, .window = window, .row_count = count, .cut = merge->loose[from].cut};
    double values[COLUMN_ROWS_MAX];
    int64_t starts[COLUMN_ROWS_MAX];
    bool has_starts = false;
    strbuf_clear(&merge->bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct loose_sample *sample = &merge->loose[from + i];
        values[i] = sample->value;
        starts[i] = sample->start_t_ms;
        has_starts = has_starts || starts[i] != 0;
        if (sample->histogram.data != NULL)
            coding_put_str(&merge->bytes, sample->histogram);
    }
    struct column_stats stats;
    if (merge->loose[from].histogram.data != NULL) {
        memset(strbuf_reserve(&merge->bytes, COLUMN_SLACK_BYTES), 0, COLUMN_SLACK_BYTES);
        column.kind = BLOCK_COLUMN_HISTOGRAM;
        column.bytes = (const uint8_t *)merge->bytes.data;
        column.size = merge->bytes.size;
    } else {
        column.kind = BLOCK_COLUMN_FLOAT;
        column.size = column_seal_small(values, count, merge->sealed);
        column.bytes = merge->sealed;
        column_stats_compute(values, count, &stats);
        column.stats = &stats;
    }
    if (has_starts) {
        column.start_times_size = time_column_seal(starts, count, merge->starts);
        column.start_times = merge->starts;
    }
    return block_writer_add_column(merge->writer, &column, why);
}

static err_t write_loose(struct merge *merge, struct strbuf *why)
{
    TRY(gather_loose(merge, why));
    sort_loose(merge);
    if (merge->loose_count == 0)
        return OK;
    uint32_t group;
    TRY(write_loose_group(merge, &group, why));
    const struct source *first = merge->members[0];
    TRY(block_writer_begin_series(merge->writer, first->labels, first->label_count, why));
    uint32_t window = 0;
    for (size_t from = 0; from < merge->loose_count; window++) {
        size_t end = run_end(merge, from);
        TRY(write_loose_column(merge, group, window, from, end, why));
        from = end;
    }
    return OK;
}

/* ---- one series ---- */

/* Whether the members' columns can be copied one member after the other. */
static err_t can_copy(struct merge *merge, bool *can, struct strbuf *why)
{
    int64_t end_t_ms = INT64_MIN;
    *can = false;
    for (size_t i = 0; i < merge->member_count; i++) {
        struct source *source = merge->members[i];
        uint32_t deleted;
        tombstones_get(source->db_block->tombstones, source->series, &deleted);
        if (deleted > 0)
            return OK;
        const struct block_meta *meta = block_meta(source->block);
        if (i > 0 && meta->min_t_ms <= end_t_ms)
            return OK;
        if (meta->max_t_ms - 1 > end_t_ms)
            end_t_ms = meta->max_t_ms - 1;
    }
    (void)why;
    *can = true;
    return OK;
}

static err_t write_series(struct merge *merge, struct strbuf *why)
{
    bool copy;
    TRY(can_copy(merge, &copy, why));
    if (!copy) {
        TRY(write_loose(merge, why));
    } else {
        const struct source *first = merge->members[0];
        TRY(block_writer_begin_series(merge->writer, first->labels, first->label_count, why));
        for (size_t i = 0; i < merge->member_count; i++)
            TRY(copy_columns(merge, merge->members[i], why));
    }
    arena_deinit(&merge->arena);
    for (size_t i = 0; i < merge->member_count; i++) {
        merge->members[i]->series++;
        TRY(load_labels(merge->members[i], why));
    }
    return OK;
}

static err_t write_all(struct merge *merge, struct strbuf *why)
{
    TRY(add_symbols(merge, why));
    TRY(add_groups(merge, why));
    for (size_t i = 0; i < merge->source_count; i++)
        TRY(load_labels(&merge->sources[i], why));
    while (next_series(merge))
        TRY(write_series(merge, why));
    return OK;
}

/* ---- the whole ---- */

static int compare_ulids(const void *a, const void *b)
{
    return strcmp(((const struct block_ulid *)a)->text, ((const struct block_ulid *)b)->text);
}

/* What the merged block is; its sources are to be freed. */
static struct block_meta merged_meta(struct db *db, struct db_block *const *blocks, size_t count)
{
    struct block_meta meta = {.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN, .flags = 0};
    struct block_ulid *sources = NULL;
    uint32_t source_count = 0, capacity = 0;
    for (size_t i = 0; i < count; i++) {
        const struct block_meta *one = block_meta(blocks[i]->handle->block);
        meta.min_t_ms = one->min_t_ms < meta.min_t_ms ? one->min_t_ms : meta.min_t_ms;
        meta.max_t_ms = one->max_t_ms > meta.max_t_ms ? one->max_t_ms : meta.max_t_ms;
        meta.level = one->level > meta.level ? one->level : meta.level;
        for (uint32_t j = 0; j < one->source_count; j++)
            VEC_PUSH(MEM_BLOCK, sources, source_count, capacity, one->sources[j]);
    }
    meta.level++;
    qsort(sources, source_count, sizeof *sources, compare_ulids);
    for (uint32_t i = 0; i < source_count; i++) {
        if (meta.source_count == 0 ||
            compare_ulids(&sources[meta.source_count - 1], &sources[i]) != 0)
            sources[meta.source_count++] = sources[i];
    }
    if (meta.source_count > BLOCK_SOURCES_MAX)
        meta.source_count = BLOCK_SOURCES_MAX;
    meta.sources = sources;
    db__ulid_make(db, &meta.ulid);
    return meta;
}

static void merge_init(struct merge *merge, struct db *db, struct db_block *const *blocks,
                       size_t count)
{
    *merge = (struct merge){.db = db, .source_count = count};
    merge->sources = MEM_NEW_ARRAY(MEM_BLOCK, struct source, count);
    merge->members = MEM_NEW_ARRAY(MEM_BLOCK, struct source *, count);
    for (size_t i = 0; i < count; i++) {
        struct source *source = &merge->sources[i];
        source->db_block = blocks[i];
        source->block = blocks[i]->handle->block;
        source->cursor = block_cursor_create(source->block);
        source->series_count = block_meta(source->block)->counts.series;
    }
    merge->symbols = block_symbols_create();
    merge->sealed = mem_alloc(MEM_BLOCK, column_size_max(COLUMN_ROWS_MAX));
    merge->starts = mem_alloc(MEM_BLOCK, time_column_size_max(COLUMN_ROWS_MAX));
    arena_init(&merge->arena, MEM_BLOCK, SIZE_MAX);
}

static void merge_deinit(struct merge *merge)
{
    for (size_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        block_cursor_destroy(source->cursor);
        mem_free(MEM_BLOCK, source->symbols);
        mem_free(MEM_BLOCK, source->groups);
        mem_free(MEM_BLOCK, source->labels);
    }
    mem_free(MEM_BLOCK, merge->sources);
    mem_free(MEM_BLOCK, merge->members);
    mem_free(MEM_BLOCK, merge->loose);
    mem_free(MEM_BLOCK, merge->sealed);
    mem_free(MEM_BLOCK, merge->starts);
    strbuf_deinit(&merge->bytes);
    block_symbols_destroy(merge->symbols);
    arena_deinit(&merge->arena);
}

err_t db__merge_blocks(struct db *db, struct db_block *const *blocks, size_t count,
                       struct block_ulid *ulid, bool *written, struct strbuf *why)
{
    struct block_meta meta = merged_meta(db, blocks, count);
    struct block_writer_options options = {
        .fs = db->fs, .parent = db->path, .meta = meta, .compress_hard = true};
    struct merge merge;
    *ulid = meta.ulid;
    *written = false;
    merge_init(&merge, db, blocks, count);
    err_t err = block_writer_open(&options, &merge.writer, why);
    if (err == OK) {
        err = write_all(&merge, why);
        struct block_counts counts;
        block_writer_counts(merge.writer, &counts);
        if (err == OK && counts.series > 0) {
            err = block_writer_finish(merge.writer, why);
            *written = err == OK;
        } else {
            block_writer_abort(merge.writer);
        }
    }
    merge_deinit(&merge);
    mem_free(MEM_BLOCK, (void *)meta.sources);
    return err;
}
