/* Late samples of the head into blocks of their own, one per block range. Those overlap with blocks
 * of samples in order until the next merge. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "db_maintain.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"

/* Groups of the block being written: series with the same times share one. */
struct late_group {
    size_t times_at; /* in times[] */
    uint32_t count;
    uint32_t group; /* of the block */
};

/* Late samples of one block range. */
struct late_range {
    int64_t start_ms;
    int64_t min_t_ms, max_t_ms; /* of the samples */
};

struct late_flush {
    struct db *db;
    struct head_reader reader;
    struct id_view ordinals;    /* with late samples, by labels */
    struct head_late_list list; /* of one series */
    struct arena arena;         /* of one series */
    struct late_range *ranges;  /* those with samples */
    size_t range_count, range_capacity;
    /* the block being written */
    struct block_writer *writer;
    struct block_symbols *symbols;
    int64_t min_t_ms, max_t_ms; /* inclusive */
    struct htable groups_by_times;
    struct late_group *groups;
    uint32_t group_count, group_capacity;
    int64_t *times;
    size_t time_count, time_capacity;
    struct strbuf bytes;
    uint8_t *sealed;
    uint8_t *starts;
};

/* ---- ranges ---- */

static int by_start(const void *a, const void *b)
{
    const struct late_range *x = a, *y = b;
    return (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

static void widen(struct late_range *range, const struct late_range *other)
{
    if (other->min_t_ms < range->min_t_ms)
        range->min_t_ms = other->min_t_ms;
    if (other->max_t_ms > range->max_t_ms)
        range->max_t_ms = other->max_t_ms;
}

/* All ranges that hold late samples: sorted, each once. */
static void find_ranges(struct late_flush *flush)
{
    for (size_t i = 0; i < flush->ordinals.count; i++) {
        head_late_read(&flush->reader, flush->ordinals.items[i], INT64_MIN, INT64_MAX,
                       &flush->list);
        for (uint32_t j = 0; j < flush->list.count; j++) {
            int64_t t_ms = flush->list.items[j].t_ms;
            struct late_range range = {db__range_start(t_ms, flush->db->block_range_ms), t_ms,
                                       t_ms};
            struct late_range *last =
                flush->range_count > 0 ? &flush->ranges[flush->range_count - 1] : NULL;
            if (last != NULL && last->start_ms == range.start_ms)
                widen(last, &range);
            else
                VEC_PUSH(MEM_BLOCK, flush->ranges, flush->range_count, flush->range_capacity,
                         range);
        }
    }
    if (flush->range_count > 0)
        qsort(flush->ranges, flush->range_count, sizeof *flush->ranges, by_start);
    size_t kept = 0;
    for (size_t i = 0; i < flush->range_count; i++) {
        if (kept > 0 && flush->ranges[kept - 1].start_ms == flush->ranges[i].start_ms)
            widen(&flush->ranges[kept - 1], &flush->ranges[i]);
        else
            flush->ranges[kept++] = flush->ranges[i];
    }
    flush->range_count = kept;
}

/* ---- one block ---- */

static uint32_t read_series(struct late_flush *flush, uint32_t ordinal)
{
    head_late_read(&flush->reader, ordinal, flush->min_t_ms, flush->max_t_ms, &flush->list);
    return flush->list.count;
}

static err_t write_symbols(struct late_flush *flush, struct strbuf *why)
{
    for (size_t i = 0; i < flush->ordinals.count; i++) {
        uint32_t ordinal = flush->ordinals.items[i];
        if (read_series(flush, ordinal) > 0)
            block_symbols_add_labels(flush->symbols,
                                     head_reader_labels(&flush->reader, ordinal, &flush->arena));
        arena_deinit(&flush->arena);
    }
    return block_symbols_write(flush->symbols, flush->writer, why);
}

static bool group_has_times(const void *owner, uint32_t item, const void *key)
{
    const struct late_flush *flush = owner;
    const struct late_group *group = &flush->groups[item], *wanted = key;
    return group->count == wanted->count &&
           memcmp(flush->times + group->times_at, flush->times + wanted->times_at,
                  group->count * sizeof *flush->times) == 0;
}

static err_t write_group(struct late_flush *flush, struct late_group *group, uint64_t key,
                         struct strbuf *why)
{
    uint32_t window_count = (group->count + COLUMN_ROWS_MAX - 1) / COLUMN_ROWS_MAX;
    size_t size_max = time_column_size_max(COLUMN_ROWS_MAX);
    struct block_window *windows = MEM_NEW_ARRAY(MEM_BLOCK, struct block_window, window_count);
    uint8_t *bytes = mem_alloc(MEM_BLOCK, window_count * size_max);
    for (uint32_t i = 0; i < window_count; i++) {
        uint32_t rows = group->count - i * COLUMN_ROWS_MAX;
        if (rows > COLUMN_ROWS_MAX)
            rows = COLUMN_ROWS_MAX;
        windows[i].times = bytes + i * size_max;
        windows[i].row_count = rows;
        windows[i].times_size = time_column_seal(
            flush->times + group->times_at + i * COLUMN_ROWS_MAX, rows, bytes + i * size_max);
    }
    err_t err =
        block_writer_add_group(flush->writer, key, windows, window_count, &group->group, why);
    mem_free(MEM_BLOCK, bytes);
    mem_free(MEM_BLOCK, windows);
    return err;
}

/* The group with the times of the series at hand. */
static err_t find_group(struct late_flush *flush, uint32_t *number, struct strbuf *why)
{
    struct late_group group = {.times_at = flush->time_count, .count = flush->list.count};
    VEC_RESERVE(MEM_BLOCK, flush->times, flush->time_capacity, flush->time_count + group.count);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < group.count; i++) {
        flush->times[group.times_at + i] = flush->list.items[i].t_ms;
        hash = hash_mix(hash, (uint64_t)flush->list.items[i].t_ms);
    }
    uint32_t item = htable_find(&flush->groups_by_times, hash, group_has_times, flush, &group);
    if (item != HTABLE_NONE) {
        *number = flush->groups[item].group;
        return OK;
    }
    flush->time_count += group.count;
    TRY(write_group(flush, &group, hash, why));
    *number = group.group;
    VEC_PUSH(MEM_BLOCK, flush->groups, flush->group_count, flush->group_capacity, group);
    htable_insert(&flush->groups_by_times, hash, flush->group_count - 1);
    return OK;
}

/* A histogram column in flush->bytes. */
static err_t encode_histograms(struct late_flush *flush, const struct head_late_sample *items,
                               uint32_t count, struct strbuf *why)
{
    struct histogram histograms[COLUMN_ROWS_MAX];
    err_t err = OK;
    strbuf_clear(&flush->bytes);
    for (uint32_t i = 0; i < count && err == OK; i++)
        err = histogram_decode(items[i].histogram, &flush->arena, &histograms[i], why);
    if (err == OK)
        histogram_column_encode(&flush->bytes, histograms, count);
    arena_deinit(&flush->arena);
    return err;
}

/* Samples [from, to) of the list: of one kind and one window. */
static err_t write_column(struct late_flush *flush, uint32_t group, uint32_t from, uint32_t to,
                          struct strbuf *why)
{
    const struct head_late_sample *items = flush->list.items + from;
    uint32_t count = to - from;
    assert(count >= 1 && count <= COLUMN_ROWS_MAX);
    struct block_column out = {
        .group = group,
        .window = from / COLUMN_ROWS_MAX,
        .row0 = from % COLUMN_ROWS_MAX,
        .row_count = count,
        .cut = from % COLUMN_ROWS_MAX != 0,
    };
    double values[COLUMN_ROWS_MAX];
    int64_t starts[COLUMN_ROWS_MAX];
    struct column_stats stats;
    bool has_starts = false;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = items[i].value;
        starts[i] = items[i].start_t_ms;
        has_starts = has_starts || starts[i] != 0;
    }
    if (items[0].histogram.size > 0) {
        TRY(encode_histograms(flush, items, count, why));
        out.kind = BLOCK_COLUMN_HISTOGRAM;
        out.size = flush->bytes.size;
        out.bytes = (const uint8_t *)flush->bytes.data;
    } else {
        out.kind = BLOCK_COLUMN_FLOAT;
        out.bytes = flush->sealed;
        out.size = column_seal(values, count, NULL, flush->sealed);
        if (column_stats_compute(values, count, &stats))
            out.stats = &stats;
    }
    if (has_starts) {
        out.start_times = flush->starts;
        out.start_times_size = time_column_seal(starts, count, flush->starts);
    }
    return block_writer_add_column(flush->writer, &out, why);
}

static err_t write_series(struct late_flush *flush, uint32_t ordinal, struct strbuf *why)
{
    uint32_t count = read_series(flush, ordinal);
    if (count == 0)
        return OK;
    uint32_t group;
    TRY(find_group(flush, &group, why));
    err_t err = db__begin_series(&flush->reader, ordinal, flush->writer, flush->symbols,
                                 &flush->arena, why);
    const struct head_late_sample *items = flush->list.items;
    for (uint32_t from = 0; from < count && err == OK;) {
        uint32_t to = from + 1;
        while (to < count && to % COLUMN_ROWS_MAX != 0 &&
               (items[to].histogram.size > 0) == (items[from].histogram.size > 0))
            to++;
        err = write_column(flush, group, from, to, why);
        from = to;
    }
    return err;
}

static err_t write_block(struct late_flush *flush, const char *parent, struct block_ulid *ulid,
                         struct strbuf *why)
{
    struct block_writer_options options = {
        .fs = flush->db->fs,
        .parent = parent,
        .meta = {.min_t_ms = flush->min_t_ms,
                 .max_t_ms = flush->max_t_ms + 1,
                 .level = 1,
                 .flags = BLOCK_FLAG_OUT_OF_ORDER},
    };
    db__ulid_make(flush->db, ulid);
    options.meta.ulid = *ulid;
    TRY(block_writer_open(&options, &flush->writer, why));
    flush->symbols = block_symbols_create();
    htable_clear(&flush->groups_by_times);
    flush->group_count = 0;
    flush->time_count = 0;
    err_t err = write_symbols(flush, why);
    for (size_t i = 0; i < flush->ordinals.count && err == OK; i++)
        err = write_series(flush, flush->ordinals.items[i], why);
    block_symbols_destroy(flush->symbols);
    if (err == OK)
        return block_writer_finish(flush->writer, why);
    block_writer_abort(flush->writer);
    return err;
}

/* ---- all of them ---- */

/* Series with late samples, by labels, in the arena. */
static err_t select_late(struct late_flush *flush, struct arena *arena, struct strbuf *why)
{
    TRY(head_reader_select(&flush->reader, (struct selector){NULL, 0}, arena, &flush->ordinals,
                           why));
    uint32_t *ids = (uint32_t *)flush->ordinals.items;
    size_t count = 0;
    for (size_t i = 0; i < flush->ordinals.count; i++) {
        if (head_late_has(&flush->reader, ids[i]))
            ids[count++] = ids[i];
    }
    flush->ordinals.count = count;
    head_reader_sort(&flush->reader, ids, count);
    return OK;
}

static err_t write_ranges(struct late_flush *flush, const char *parent, bool add,
                          struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_BLOCK, SIZE_MAX);
    err_t err = select_late(flush, &arena, why);
    if (err == OK)
        find_ranges(flush);
    for (size_t i = 0; i < flush->range_count && err == OK; i++) {
        struct block_ulid ulid;
        flush->min_t_ms = flush->ranges[i].min_t_ms;
        flush->max_t_ms = flush->ranges[i].max_t_ms;
        err = write_block(flush, parent, &ulid, why);
        if (err == OK && add)
            err = db__adopt_block(flush->db, ulid.text, why);
        if (err == OK)
            LOG_INFO("wrote a block of late samples", "ulid", ulid.text);
    }
    arena_deinit(&arena);
    return err;
}

static void flush_init(struct late_flush *flush, struct db *db)
{
    *flush = (struct late_flush){.db = db};
    head_reader_open(db->head, &flush->reader);
    arena_init(&flush->arena, MEM_BLOCK, SIZE_MAX);
    htable_init(&flush->groups_by_times, MEM_BLOCK);
    flush->sealed = mem_alloc(MEM_BLOCK, column_size_max(COLUMN_ROWS_MAX));
    flush->starts = mem_alloc(MEM_BLOCK, time_column_size_max(COLUMN_ROWS_MAX));
}

static void flush_deinit(struct late_flush *flush)
{
    mem_free(MEM_BLOCK, flush->sealed);
    mem_free(MEM_BLOCK, flush->starts);
    mem_free(MEM_BLOCK, flush->groups);
    mem_free(MEM_BLOCK, flush->times);
    mem_free(MEM_BLOCK, flush->ranges);
    mem_free(MEM_HEAD, flush->list.items);
    strbuf_deinit(&flush->bytes);
    htable_deinit(&flush->groups_by_times);
    arena_deinit(&flush->arena);
    head_reader_close(&flush->reader);
}

static bool has_late(struct db *db)
{
    struct head_extent extent;
    head_extent(db->head, &extent);
    return extent.late_count > 0;
}

err_t db__write_late_blocks(struct db *db, const char *parent, struct strbuf *why)
{
    if (!has_late(db))
        return OK;
    struct late_flush flush;
    flush_init(&flush, db);
    err_t err = write_ranges(&flush, parent, false, why);
    flush_deinit(&flush);
    return err;
}

err_t db__flush_late(struct db *db, struct strbuf *why)
{
    if (!has_late(db))
        return OK;
    struct late_flush flush;
    flush_init(&flush, db);
    uint64_t late_to = flush.reader.late_to;
    bool any = late_to > flush.reader.late_after;
    err_t err = any ? write_ranges(&flush, db->path, true, why) : OK;
    flush_deinit(&flush);
    if (err == OK && any)
        err = head_late_finish_flush(db->head, late_to, why);
    head_late_drop(db->head);
    return err;
}
