#include "block_chunk.h"

void block__chunk_init(struct block__chunk *chunk, bool simple_has_stats)
{
    memset(chunk, 0, sizeof *chunk);
    chunk->simple_has_stats = simple_has_stats;
}

void block__chunk_deinit(struct block__chunk *chunk)
{
    block__bytes_deinit(&chunk->labels);
    block__bytes_deinit(&chunk->directory);
    block__bytes_deinit(&chunk->records);
}

void block__chunk_begin(struct block__chunk *chunk, uint32_t first_series, uint32_t page,
                        uint32_t page_offset)
{
    chunk->labels.count = 0;
    chunk->directory.count = 0;
    chunk->series_count = 0;
    chunk->previous_count = 0;
    chunk->previous_group = 0;
    chunk->first_series = first_series;
    chunk->page = page;
    chunk->page_offset = page_offset;
}

/* ---- records ---- */

static void flush_repeats(struct block__chunk *chunk)
{
    if (chunk->repeat_count == 1) {
        block__bytes_add_uv(&chunk->records, BLOCK__CODE_REPEAT);
    } else if (chunk->repeat_count > 1) {
        block__bytes_add_uv(&chunk->records, BLOCK__CODE_REPEAT_RUN);
        block__bytes_add_uv(&chunk->records, chunk->repeat_count - 2);
    }
    chunk->repeat_count = 0;
}

static bool is_last_constant(const struct block__chunk *chunk,
                             const struct block__pending_record *record)
{
    return record->constant_size == chunk->last_constant_size &&
           memcmp(record->constant, chunk->last_constant, record->constant_size) == 0;
}

static void set_last_constant(struct block__chunk *chunk,
                              const struct block__pending_record *record)
{
    chunk->last_constant_size = record->constant_size;
    memcpy(chunk->last_constant, record->constant, record->constant_size);
}

static void add_stats(struct block__chunk *chunk, const struct block__pending_record *record)
{
    block__bytes_add_u8(&chunk->records, record->stats_size);
    block__bytes_add(&chunk->records, record->stats, record->stats_size);
    chunk->stats_bytes += 1u + record->stats_size;
}

static void add_constant(struct block__chunk *chunk, const struct block__pending_record *record)
{
    if (is_last_constant(chunk, record)) {
        chunk->repeat_count++;
        return;
    }
    flush_repeats(chunk);
    block__bytes_add_uv(&chunk->records, BLOCK__CODE_CONSTANT + record->constant_size);
    block__bytes_add(&chunk->records, record->constant, record->constant_size);
    set_last_constant(chunk, record);
}

static void add_general(struct block__chunk *chunk, const struct block__pending_record *record,
                        bool shared)
{
    struct block__bytes *out = &chunk->records;
    flush_repeats(chunk);
    block__bytes_add_uv(out, BLOCK__CODE_GENERAL);
    block__bytes_add_u8(out, (uint8_t)(record->flags | (shared ? BLOCK__SHARED : 0)));
    if ((record->flags & BLOCK__ROWS_MASK) == BLOCK__ROWS_RANGE) {
        block__bytes_add_u8(out, record->row0);
        block__bytes_add_u8(out, (uint8_t)(record->row_count - 1));
    } else if ((record->flags & BLOCK__ROWS_MASK) == BLOCK__ROWS_BITMAP) {
        block__bytes_add_u8(out, record->bitmap_size);
        block__bytes_add(out, record->bitmap, record->bitmap_size);
    }
    if ((record->flags & BLOCK__CONSTANT) == 0) {
        block__bytes_add_uv(out, record->size);
    } else if (is_last_constant(chunk, record)) {
        block__bytes_add_u8(out, 0);
    } else {
        block__bytes_add_u8(out, record->constant_size);
        block__bytes_add(out, record->constant, record->constant_size);
        set_last_constant(chunk, record);
    }
    if (record->flags & BLOCK__START_TIMES)
        block__bytes_add_uv(out, record->start_times_size);
    if (record->flags & BLOCK__STATS)
        add_stats(chunk, record);
}

static void flush_pending(struct block__chunk *chunk, bool shared)
{
    struct block__pending_record *record = &chunk->pending;
    if (!record->used)
        return;
    record->used = false;
    int simple_column = chunk->simple_has_stats ? BLOCK__STATS : 0;
    if (!shared && record->flags == BLOCK__CONSTANT) {
        add_constant(chunk, record);
    } else if (!shared && record->flags == simple_column) {
        flush_repeats(chunk);
        block__bytes_add_uv(&chunk->records, (uint64_t)BLOCK__CODE_COLUMN + record->size);
        if (chunk->simple_has_stats)
            add_stats(chunk, record);
    } else {
        add_general(chunk, record, shared);
    }
    if (!shared)
        chunk->run_next_window = record->window + 1;
}

/* ---- runs and series ---- */

static void close_run(struct block__chunk *chunk, uint32_t group_windows, bool more)
{
    flush_pending(chunk, false);
    flush_repeats(chunk);
    bool partial = chunk->run_first_window != 0 || chunk->run_next_window != group_windows;
    int64_t difference = (int64_t)chunk->run_group - (int64_t)chunk->previous_group;
    uint64_t head = block__zigzag(difference) << BLOCK__RUN_SHIFT |
                    (partial ? BLOCK__RUN_PARTIAL : 0) | (more ? BLOCK__RUN_MORE : 0);
    block__bytes_add_uv(&chunk->directory, head);
    if (partial) {
        block__bytes_add_uv(&chunk->directory, chunk->run_first_window);
        block__bytes_add_uv(&chunk->directory, chunk->run_next_window - chunk->run_first_window);
    }
    block__bytes_add(&chunk->directory, chunk->records.items, chunk->records.count);
    chunk->records.count = 0;
    chunk->previous_group = chunk->run_group;
    chunk->run_open = false;
}

static void open_run(struct block__chunk *chunk, uint32_t group, uint32_t window)
{
    chunk->run_open = true;
    chunk->run_group = group;
    chunk->run_first_window = window;
    chunk->run_next_window = window;
}

void block__chunk_add(struct block__chunk *chunk, uint32_t group,
                      const struct block__pending_record *record, uint32_t run_group_windows)
{
    if (chunk->run_open && (chunk->run_group != group || record->window < chunk->pending.window))
        close_run(chunk, run_group_windows, true);
    if (!chunk->run_open) {
        open_run(chunk, group, record->window);
    } else {
        flush_pending(chunk, chunk->pending.window == record->window);
        uint32_t absent = record->window - chunk->run_next_window;
        if (absent > 0) {
            flush_repeats(chunk);
            block__bytes_add_uv(&chunk->records, BLOCK__CODE_ABSENT);
            block__bytes_add_uv(&chunk->records, absent - 1);
            chunk->run_next_window = record->window;
        }
    }
    chunk->pending = *record;
    chunk->pending.used = true;
}

static void add_labels(struct block__chunk *chunk, const struct block_label *labels,
                       uint32_t label_count)
{
    uint8_t same[(BLOCK_LABELS_MAX + 7) / 8] = {0};
    for (uint32_t i = 0; i < label_count && i < chunk->previous_count; i++) {
        if (labels[i].name == chunk->previous[i].name &&
            labels[i].value == chunk->previous[i].value)
            same[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    block__bytes_add_uv(&chunk->labels, label_count);
    block__bytes_add(&chunk->labels, same, (label_count + 7) / 8);
    for (uint32_t i = 0; i < label_count; i++) {
        if (same[i / 8] >> (i % 8) & 1)
            continue;
        struct block_label base = {0, 0};
        if (i < chunk->previous_count)
            base = chunk->previous[i];
        block__bytes_add_uv(&chunk->labels,
                            block__zigzag((int64_t)labels[i].name - (int64_t)base.name));
        block__bytes_add_uv(&chunk->labels,
                            block__zigzag((int64_t)labels[i].value - (int64_t)base.value));
    }
    memcpy(chunk->previous, labels, label_count * sizeof *labels);
    chunk->previous_count = label_count;
}

void block__chunk_end_series(struct block__chunk *chunk, const struct block_label *labels,
                             uint32_t label_count, uint32_t run_group_windows)
{
    assert(chunk->run_open);
    close_run(chunk, run_group_windows, false);
    add_labels(chunk, labels, label_count);
    chunk->last_constant_size = 0;
    chunk->series_count++;
}

bool block__chunk_is_full(const struct block__chunk *chunk)
{
    return chunk->series_count == BLOCK__CHUNK_SERIES_TARGET ||
           chunk->labels.count + chunk->directory.count >= BLOCK__CHUNK_TARGET_BYTES;
}

err_t block__chunk_write(const struct block__chunk *chunk, struct block__output *output,
                         uint64_t *label_bytes, struct strbuf *why)
{
    assert(chunk->series_count > 0);
    uint8_t head[1 + 3 * BLOCK__UV_BYTES_MAX];
    head[0] = (uint8_t)(chunk->series_count - 1);
    uint8_t *end = block__put_uv(head + 1, chunk->page);
    end = block__put_uv(end, chunk->page_offset);
    end = block__put_uv(end, chunk->labels.count);
    *label_bytes += chunk->labels.count;
    TRY(block__output_add(output, head, (size_t)(end - head), why));
    TRY(block__output_add(output, chunk->labels.items, chunk->labels.count, why));
    return block__output_add(output, chunk->directory.items, chunk->directory.count, why);
}
