/* Sealing: the open columns of a closed window become one record, in a file if there is a folder
 * for it. Layout: docs/format/sealed.md. */
#include "series_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/histogram_column.h"
#include "narthex/tsdb/time_column.h"

enum sealed_part {
    PART_FLOATS = 1,
    PART_FLOAT_GAPS = 2,
    PART_STARTS = 4,
    PART_START_GAPS = 8,
    PART_HISTOGRAMS = 16,
    PART_HISTOGRAM_GAPS = 32,
    PART_FLOAT_STATS = 64,
};

enum { ROW_BITMAP_SIZE = COLUMN_ROWS_MAX / 8, BATCH_BYTES = 1 << 20 };

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
    uint32_t end = first + count;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t from = first > 64 * i ? first - 64 * i : 0;
        uint32_t to = end > 64 * i ? end - 64 * i : 0;
        if (from >= 64 || to <= from) {
            rows[i] = 0;
            continue;
        }
        uint64_t below_end = to >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << to) - 1;
        rows[i] = below_end & ~UINT64_C(0) << from;
    }
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

static void put_rows(struct strbuf *out, uint32_t count, const uint64_t rows[4], bool gaps)
{
    if (gaps) {
        for (uint32_t i = 0; i < ROW_BITMAP_SIZE; i++)
            coding_put_u8(out, (uint8_t)(rows[i / 8] >> (i % 8 * 8)));
    } else {
        coding_put_u8(out, (uint8_t)first_row(rows));
        coding_put_u8(out, (uint8_t)(count - 1));
    }
}

/* Statistics of shorter columns cost more than decoding them. */
enum { STATS_ROWS_MIN = 60 };

/* Appends statistics of the column that ends `out` if readers could use them; false: none. */
static bool put_stats(struct strbuf *out, const double *values, uint32_t count)
{
    struct column_stats stats;
    if (count < STATS_ROWS_MIN || !column_stats_compute(values, count, &stats) ||
        stats.min == stats.max)
        return false;
    uint8_t *start = (uint8_t *)strbuf_reserve(out, COLUMN_STATS_SIZE_MAX);
    strbuf_commit(out, column_stats_encode(&stats, count, start));
    return true;
}

static void put_column(struct strbuf *out, const double *values, uint32_t count,
                       const uint64_t rows[4], bool gaps, struct column_hint *hint)
{
    put_rows(out, count, rows, gaps);
    uint8_t bytes[sizeof(double) * COLUMN_ROWS_MAX + 256];
    assert(column_size_max(count) <= sizeof bytes);
    size_t size = column_seal(values, count, hint, bytes);
    coding_put_uv(out, size);
    strbuf_add(out, bytes, size);
}

static void put_histograms(struct strbuf *out, const struct slot_samples *samples, bool gaps)
{
    struct histogram histograms[COLUMN_ROWS_MAX];
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    put_rows(out, samples->histogram_count, samples->histogram_rows, gaps);
    if (head__slot_decode_histograms(samples, false, &arena, histograms, &why) == OK)
        histogram_column_encode(out, histograms, samples->histogram_count);
    else /* damaged in its file since it was sealed: readers will say so */
        strbuf_add(out, samples->sealed_histograms, samples->sealed_histograms_size);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

void head__seal_put_entry(struct seal_builder *builder, const struct slot_samples *samples,
                          struct column_hint *hint)
{
    struct strbuf *out = &builder->entries;
    if (samples->float_count == 0 && samples->histogram_count == 0)
        return;
    uint8_t parts = 0;
    bool float_gaps = false, start_gaps = false, histogram_gaps = false;
    if (samples->float_count > 0) {
        float_gaps = has_gaps(samples->float_rows, samples->float_count);
        parts |= float_gaps ? PART_FLOATS | PART_FLOAT_GAPS : PART_FLOATS;
    }
    if (samples->start_count > 0) {
        start_gaps = has_gaps(samples->start_rows, samples->start_count);
        parts |= start_gaps ? PART_STARTS | PART_START_GAPS : PART_STARTS;
    }
    if (samples->histogram_count > 0) {
        histogram_gaps = has_gaps(samples->histogram_rows, samples->histogram_count);
        parts |= histogram_gaps ? PART_HISTOGRAMS | PART_HISTOGRAM_GAPS : PART_HISTOGRAMS;
    }
    size_t parts_at = out->size;
    coding_put_u8(out, parts);
    if (samples->float_count > 0) {
        put_column(out, samples->values, samples->float_count, samples->float_rows, float_gaps,
                   hint);
        if (put_stats(out, samples->values, samples->float_count))
            out->data[parts_at] = (char)(parts | PART_FLOAT_STATS);
    }
    if (samples->start_count > 0)
        put_column(out, samples->starts, samples->start_count, samples->start_rows, start_gaps,
                   NULL);
    if (samples->histogram_count > 0)
        put_histograms(out, samples, histogram_gaps);
}

static void get_rows(struct byte_reader *in, bool gaps, uint64_t rows[4], uint32_t *count)
{
    memset(rows, 0, 4 * sizeof rows[0]);
    *count = 0;
    if (gaps) {
        const uint8_t *bitmap = byte_reader_take(in, ROW_BITMAP_SIZE);
        for (uint32_t i = 0; bitmap != NULL && i < ROW_BITMAP_SIZE; i++)
            rows[i / 8] |= (uint64_t)bitmap[i] << (i % 8 * 8);
        for (uint32_t i = 0; i < 4; i++)
            *count += (uint32_t)__builtin_popcountll(rows[i]);
    } else {
        uint32_t first = byte_reader_u8(in);
        *count = byte_reader_u8(in) + 1u;
        if (first + *count > COLUMN_ROWS_MAX)
            in->failed = true;
        else
            set_range(rows, first, *count);
    }
}

static const uint8_t *get_column(struct byte_reader *in, bool gaps, uint64_t rows[4],
                                 uint32_t *count, size_t *size)
{
    get_rows(in, gaps, rows, count);
    *size = (size_t)byte_reader_uv(in);
    if (*count == 0)
        in->failed = true;
    return byte_reader_take(in, *size);
}

static bool get_stats(struct byte_reader *in, uint32_t count, struct column_stats *stats)
{
    size_t size = 0;
    if (in->failed || column_stats_decode(in->at, byte_reader_left(in), count, stats, &size) != OK)
        in->failed = true;
    else
        in->at += size;
    return !in->failed;
}

void head__sealed_entry(const struct sealed_window *sealed, uint32_t slot,
                        struct sealed_entry *entry)
{
    *entry = (struct sealed_entry){0};
    if (slot >= sealed->slot_count)
        return;
    uint32_t from = sealed->offsets[slot], to = sealed->offsets[slot + 1];
    if (from == to)
        return;
    bool inside = from < to && to <= sealed->bytes;
    struct byte_reader in =
        byte_reader_of(sealed->data + (inside ? from : 0), inside ? to - from : 0);
    uint8_t parts = byte_reader_u8(&in);
    if ((parts & PART_FLOATS) != 0)
        entry->floats = get_column(&in, (parts & PART_FLOAT_GAPS) != 0, entry->float_rows,
                                   &entry->float_count, &entry->floats_size);
    if ((parts & PART_FLOAT_STATS) != 0)
        entry->has_stats = get_stats(&in, entry->float_count, &entry->stats);
    if ((parts & PART_STARTS) != 0)
        entry->starts = get_column(&in, (parts & PART_START_GAPS) != 0, entry->start_rows,
                                   &entry->start_count, &entry->starts_size);
    if ((parts & PART_HISTOGRAMS) != 0) {
        get_rows(&in, (parts & PART_HISTOGRAM_GAPS) != 0, entry->histogram_rows,
                 &entry->histogram_count);
        entry->histograms = in.at;
        entry->histograms_size = byte_reader_left(&in);
    }
    /* A sample is of one kind. */
    for (uint32_t i = 0; i < 4; i++)
        in.failed |= (entry->float_rows[i] & entry->histogram_rows[i]) != 0;
    /* The record's checksum was right: the file has changed since. */
    if (in.failed) {
        *entry = (struct sealed_entry){.floats = sealed->data, .float_count = COLUMN_ROWS_MAX};
        set_range(entry->float_rows, 0, COLUMN_ROWS_MAX);
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

/* ---- records ---- */

static void seal_builder_init(struct seal_builder *builder)
{
    *builder = (struct seal_builder){.samples = mem_alloc(MEM_HEAD, sizeof *builder->samples),
                                     .part = mem_alloc(MEM_HEAD, sizeof *builder->part)};
}

static void seal_builder_deinit(struct seal_builder *builder)
{
    strbuf_deinit(&builder->entries);
    strbuf_deinit(&builder->ref_bytes);
    strbuf_deinit(&builder->records);
    strbuf_deinit(&builder->histograms);
    mem_free(MEM_HEAD, builder->run);
    mem_free(MEM_HEAD, builder->part);
    mem_free(MEM_HEAD, builder->offsets);
    mem_free(MEM_HEAD, builder->refs);
    mem_free(MEM_HEAD, builder->samples);
}

void head__seal_copy_refs(struct seal_builder *builder, const struct head_group *group,
                          uint32_t slot_count)
{
    VEC_RESERVE(MEM_HEAD, builder->refs, builder->ref_capacity, slot_count);
    uint32_t known = slot_count < group->slot_count ? slot_count : group->slot_count;
    memset(builder->refs, 0, slot_count * sizeof *builder->refs);
    if (known > 0)
        memcpy(builder->refs, group->slot_refs, known * sizeof *builder->refs);
    for (uint32_t i = 0; i < group->dead_slot_count; i++) {
        if (group->dead_slots[i].slot < slot_count)
            builder->refs[group->dead_slots[i].slot] = group->dead_slots[i].ref;
    }
}

static void put_refs(struct seal_builder *builder, uint32_t slot_count)
{
    int64_t previous = 0;
    strbuf_clear(&builder->ref_bytes);
    for (uint32_t i = 0; i < slot_count; i++) {
        coding_put_zv(&builder->ref_bytes, (int64_t)builder->refs[i] - previous);
        previous = builder->refs[i];
    }
}

void head__seal_finish_record(struct seal_builder *builder, const struct head_window *window,
                              uint32_t slot_count)
{
    uint32_t row_count = atomic_load_explicit(&window->row_count, memory_order_relaxed);
    const struct window_rows *rows = atomic_load_explicit(&window->rows, memory_order_relaxed);
    uint8_t times[sizeof(int64_t) * COLUMN_ROWS_MAX + 256];
    assert(time_column_size_max(row_count) <= sizeof times);
    put_refs(builder, slot_count);
    const struct head_group *group = window->group;
    struct sealed_record record = {
        .kind = window->merged ? SEALED_MERGED : SEALED_SHORT,
        .row_count = row_count,
        .group = group->id,
        .lane = group->source == SOURCE_NONE ? UINT32_MAX : group->lane,
        .source_key = group->key,
        .first_sequence = window->first_sequence,
        .last_sequence = window->last_sequence,
        .slot_count = slot_count,
        .offsets = builder->offsets,
        .times = times,
        .times_size = time_column_seal(rows->t_ms, row_count, times),
        .refs = (const uint8_t *)builder->ref_bytes.data,
        .refs_size = builder->ref_bytes.size,
        .entries = (const uint8_t *)builder->entries.data,
        .entries_size = builder->entries.size,
    };
    sealed_put_record(&builder->records, &record);
}

struct sealed_window *head__sealed_of_record(const uint8_t *data, const struct sealed_place *place)
{
    struct sealed_window *sealed = MEM_NEW(MEM_HEAD_DATA, struct sealed_window);
    uint32_t size = coding_load_u32(data + 4);
    if (place != NULL) {
        sealed->file = place->file;
        sealed->file_end = place->end;
        sealed_file_pin(place->file);
        sealed_file_needed(place->file);
    } else {
        sealed->memory = mem_alloc(MEM_HEAD_DATA, size);
        memcpy(sealed->memory, data, size);
        data = sealed->memory;
    }
    struct sealed_record record;
    sealed_view_record(data, &record);
    sealed->slot_count = record.slot_count;
    sealed->size = size;
    sealed->bytes = (uint32_t)record.entries_size;
    sealed->data = record.entries;
    sealed->offsets = record.offsets;
    return sealed;
}

void head__sealed_free(struct sealed_window *sealed)
{
    if (sealed == NULL)
        return;
    if (sealed->file != NULL)
        sealed_file_unpin(sealed->file);
    mem_free(MEM_HEAD_DATA, sealed->memory);
    mem_free(MEM_HEAD_DATA, sealed);
}

bool head__sealed_is_good(const struct sealed_window *sealed)
{
    if (sealed->file == NULL)
        return true;
    struct sealed_record record;
    struct strbuf why = STRBUF_INIT;
    const uint8_t *data = (const uint8_t *)sealed->offsets - SEALED_RECORD_HEADER_SIZE;
    bool good = sealed_get_record(data, sealed->size, &record, &why) == OK;
    if (!good) {
        char offset[24];
        snprintf(offset, sizeof offset, "%" PRIu64, sealed->file_end - sealed->size);
        LOG_ERROR("a sealed window was damaged since it was written", "path",
                  sealed_file_path(sealed->file), "offset", offset, "err", strbuf_cstr(&why));
    }
    strbuf_deinit(&why);
    return good;
}

/* ---- sealing ---- */

/* Windows whose records go to the file together. */
struct seal_batch {
    struct head *head;
    struct seal_builder builder;
    struct sealing {
        struct head_window *window;
        struct head_group *group;
        size_t record_end; /* in builder.records */
    } * items;
    uint32_t count;
    uint32_t capacity;
};

/* The window is closed: nobody writes to it. */
static void seal_window(struct seal_batch *batch, struct head_window *window)
{
    struct seal_builder *builder = &batch->builder;
    uint32_t slot_count = slots_of(window);
    mutex_lock(&batch->head->write_lock);
    if (slot_count > window->group->slot_count)
        slot_count = window->group->slot_count;
    head__seal_copy_refs(builder, window->group, slot_count);
    mutex_unlock(&batch->head->write_lock);
    uint32_t row_count = atomic_load_explicit(&window->row_count, memory_order_acquire);
    VEC_RESERVE(MEM_HEAD, builder->offsets, builder->offset_capacity, slot_count + 1);
    strbuf_clear(&builder->entries);
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        assert(builder->entries.size <= UINT32_MAX);
        builder->offsets[slot] = (uint32_t)builder->entries.size;
        head__slot_load(window, slot, row_count, builder->samples);
        head__seal_put_entry(builder, builder->samples, hint_of(window->group, slot));
    }
    assert(builder->entries.size <= UINT32_MAX);
    builder->offsets[slot_count] = (uint32_t)builder->entries.size;
    /* Slots of rows behind this window. */
    while (slot_count > 0 && builder->offsets[slot_count - 1] == builder->offsets[slot_count])
        slot_count--;
    head__seal_finish_record(builder, window, slot_count);
    VEC_PUSH(MEM_HEAD, batch->items, batch->count, batch->capacity,
             (struct sealing){window, window->group, builder->records.size});
}

/* Writes the batch and puts the sealed forms in place. */
static void finish_batch(struct seal_batch *batch)
{
    struct head *head = batch->head;
    const uint8_t *data = (const uint8_t *)batch->builder.records.data;
    struct sealed_place first = {0};
    bool in_file = false;
    if (head->sealed != NULL && batch->count > 0) {
        struct strbuf why = STRBUF_INIT;
        in_file = sealed_store_write(head->sealed, SEALED_SHORT, data, batch->builder.records.size,
                                     &first, &why) == OK;
        if (!in_file)
            LOG_ERROR("sealed windows stay in memory", "err", strbuf_cstr(&why));
        strbuf_deinit(&why);
    }
    if (in_file)
        data = first.data;
    size_t begin = 0;
    mutex_lock(&head->write_lock);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct head_window *window = batch->items[i].window;
        size_t end = batch->items[i].record_end;
        struct sealed_place place = {first.file, data + begin,
                                     first.end - batch->builder.records.size + end};
        struct sealed_window *sealed =
            head__sealed_of_record(data + begin, in_file ? &place : NULL);
        assert(head->closed_first == window);
        head->closed_first = window->next_closed;
        if (head->closed_first == NULL)
            head->closed_last = NULL;
        window->next_closed = NULL;
        head->closed_count--;
        atomic_store_explicit(&window->sealed, sealed, memory_order_release);
        head__window_retire_open_form(head, window);
        begin = end;
    }
    head__publish_locked(head, head->sequence);
    mutex_unlock(&head->write_lock);
    strbuf_clear(&batch->builder.records);
    for (uint32_t i = 0; i < batch->count && head->sealed != NULL; i++)
        head__merge_if_due(head, batch->items[i].group, &batch->builder);
    batch->count = 0;
}

/* What is sealed must be in the synced log, and its series in their files: see
 * docs/format/sealed.md. */
static bool sync_before(struct head *head)
{
    mutex_lock(&head->write_lock);
    struct wal *wal = head->wal;
    mutex_unlock(&head->write_lock);
    if (head->sealed == NULL)
        return true;
    struct strbuf why = STRBUF_INIT;
    bool synced = wal == NULL || wal_sync(wal, &why) == OK;
    synced = synced && series_log_update(head->series_log, head, &why) == OK;
    if (!synced)
        LOG_ERROR("windows are not sealed while the log and series cannot be synced", "err",
                  strbuf_cstr(&why));
    strbuf_deinit(&why);
    return synced;
}

/* Frees what the files replaced, as far as they are safe. */
static void sync_files(struct head *head)
{
    if (head->sealed == NULL)
        return;
    struct strbuf why = STRBUF_INIT;
    if (sealed_store_sync(head->sealed, &why) == OK)
        sealed_store_trim(head->sealed);
    else
        LOG_ERROR("syncing sealed windows failed", "err", strbuf_cstr(&why));
    strbuf_clear(&why);
    if (head__trim_log(head, &why) != OK)
        LOG_ERROR("shortening the log failed", "err", strbuf_cstr(&why));
    strbuf_deinit(&why);
}

static void seal_up_to(struct seal_batch *batch, const struct head_window *last,
                       uint32_t windows_max)
{
    struct head *head = batch->head;
    mutex_lock(&head->write_lock);
    struct head_window *window = head->closed_first;
    mutex_unlock(&head->write_lock);
    for (uint32_t i = 0; window != NULL && (windows_max == 0 || i < windows_max); i++) {
        seal_window(batch, window);
        mutex_lock(&head->write_lock);
        struct head_window *next = window == last ? NULL : window->next_closed;
        mutex_unlock(&head->write_lock);
        if (next == NULL || batch->builder.records.size >= BATCH_BYTES)
            finish_batch(batch);
        window = next;
    }
    if (batch->count > 0)
        finish_batch(batch);
}

/* One window of so many groups is a batch. Those that wait for it hold that share more memory, and
 * a batch costs the syncing of three files, however small it is. */
enum { BATCH_GROUPS = 64 };

bool head_seal_is_due(struct head *head)
{
    mutex_lock(&head->write_lock);
    bool due = head->merge_all || head->closed_count > head->stats.group_count / BATCH_GROUPS;
    mutex_unlock(&head->write_lock);
    return due;
}

uint32_t head_seal(struct head *head, uint32_t windows_max)
{
    struct seal_batch batch = {.head = head};
    mutex_lock(&head->write_lock);
    const struct head_window *last = head->closed_last;
    bool merge_all = head->merge_all && head->sealed != NULL;
    head->merge_all = false;
    uint32_t left = head->closed_count;
    mutex_unlock(&head->write_lock);
    if ((last == NULL && !merge_all) || !sync_before(head))
        return left;
    seal_builder_init(&batch.builder);
    seal_up_to(&batch, last, windows_max);
    if (merge_all)
        head__merge_all(head, &batch.builder);
    seal_builder_deinit(&batch.builder);
    mem_free(MEM_HEAD, batch.items);
    sync_files(head);
    mutex_lock(&head->write_lock);
    left = head->closed_count;
    mutex_unlock(&head->write_lock);
    return left;
}
