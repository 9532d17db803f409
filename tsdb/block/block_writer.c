/* Writes a block: docs/format/block.md. Memory is the tables (16 bytes a page, 24 a group, 1 a
 * window, 4 a symbol, the compressed postings); samples only pass through. */
#include <stdio.h>

#include "block_chunk.h"
#include "block_pages.h"
#include "block_postings.h"
#include "narthex/base/hash.h"
#include "narthex/tsdb/block.h"

struct block_writer {
    const struct fs *fs;
    struct block_meta meta;
    struct block_ulid *sources;
    char *parent;
    struct strbuf temporary_path;
    bool drop_stats;
    struct block__output output;
    struct block__pages pages;
    struct block__chunk chunk;
    struct block__postings postings;
    uint64_t sections[BLOCK__SECTION_COUNT][2];

    struct strbuf last_symbol;
    struct block__bytes symbol_offsets;
    struct block__bytes groups;          /* table entries */
    struct block__bytes group_first_row; /* u64 per group: its first byte in window_rows */
    struct block__bytes window_rows;     /* u8 per window: rows - 1 */
    struct block__bytes chunks;

    struct block_label labels[BLOCK_LABELS_MAX]; /* of the open series */
    uint32_t label_count;
    bool series_open;
    bool series_has_columns;
    uint64_t times_bytes;
    uint64_t label_bytes;
    uint64_t chunk_bytes;
};

static void writer_free(struct block_writer *writer)
{
    block__pages_deinit(&writer->pages);
    block__chunk_deinit(&writer->chunk);
    block__postings_deinit(&writer->postings);
    block__bytes_deinit(&writer->symbol_offsets);
    block__bytes_deinit(&writer->groups);
    block__bytes_deinit(&writer->group_first_row);
    block__bytes_deinit(&writer->window_rows);
    block__bytes_deinit(&writer->chunks);
    strbuf_deinit(&writer->temporary_path);
    strbuf_deinit(&writer->last_symbol);
    mem_free(MEM_BLOCK, writer->sources);
    mem_free(MEM_BLOCK, writer->parent);
    mem_free(MEM_BLOCK, writer);
}

static void writer_copy_meta(struct block_writer *writer, const struct block_meta *meta)
{
    writer->meta = *meta;
    writer->meta.counts = (struct block_counts){0};
    if (meta->source_count == 0)
        writer->meta.source_count = 1;
    writer->sources = MEM_NEW_ARRAY(MEM_BLOCK, struct block_ulid, writer->meta.source_count);
    memcpy(writer->sources, meta->source_count == 0 ? &meta->ulid : meta->sources,
           writer->meta.source_count * sizeof *writer->sources);
    writer->meta.sources = writer->sources;
}

/* Best effort: what stays is a *.tmp folder, which the database removes when it opens. */
static void writer_remove(const struct block_writer *writer, const char *path)
{
    struct strbuf ignored = STRBUF_INIT;
    if (fs_remove_tree(writer->fs, path, &ignored) != OK)
        strbuf_clear(&ignored);
    strbuf_deinit(&ignored);
}

static err_t writer_begin_file(struct block_writer *writer, struct strbuf *why)
{
    uint8_t header[BLOCK__HEADER_BYTES] = {0};
    memcpy(header, BLOCK__MAGIC_HEAD, 8);
    block__put32(header + 8, BLOCK__VERSION);
    block__put32(header + 12, BLOCK__PIECE_BYTES);
    TRY(block__output_add(&writer->output, header, sizeof header, why));
    writer->sections[BLOCK__SYMBOL_BYTES][0] = writer->output.position;
    return OK;
}

static err_t writer_create_file(struct block_writer *writer, struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", writer->parent, writer->meta.ulid.text);
    strbuf_printf(&writer->temporary_path, "%s.tmp", strbuf_cstr(&path));
    err_t err = OK;
    if (fs_exists(strbuf_cstr(&path))) {
        err = err_fail(why, ERR_EXISTS, "block %s exists", strbuf_cstr(&path));
        goto out;
    }
    TRY_OUT(writer->fs->mkdir(writer->fs->context, strbuf_cstr(&writer->temporary_path), why));
    strbuf_clear(&path);
    strbuf_printf(&path, "%s/" BLOCK__FILE_NAME, strbuf_cstr(&writer->temporary_path));
    err = block__output_open(&writer->output, writer->fs, strbuf_cstr(&path), why);
    if (err == OK)
        err = writer_begin_file(writer, why);
    if (err != OK) {
        block__output_abort(&writer->output);
        writer_remove(writer, strbuf_cstr(&writer->temporary_path));
    }
out:
    strbuf_deinit(&path);
    return err;
}
err_t block_writer_open(const struct block_writer_options *options, struct block_writer **result,
                        struct strbuf *why)
{
    assert(block_ulid_is_valid(str_from_cstr(options->meta.ulid.text)));
    assert(options->meta.source_count <= BLOCK_SOURCES_MAX);
    struct block_writer *writer = MEM_NEW(MEM_BLOCK, struct block_writer);
    writer->fs = options->fs;
    writer->drop_stats = options->drop_stats;
    writer->parent = mem_dup(MEM_BLOCK, options->parent, strlen(options->parent));
    writer_copy_meta(writer, &options->meta);
    block__pages_init(&writer->pages, options->compress_hard);
    block__chunk_init(&writer->chunk, !options->drop_stats);
    block__postings_init(&writer->postings);
    block__bytes_add_u32(&writer->symbol_offsets, 0);
    err_t err = writer_create_file(writer, why);
    if (err != OK)
        writer_free(writer);
    else
        *result = writer;
    return err;
}

err_t block_writer_add_symbol(struct block_writer *writer, struct str symbol, struct strbuf *why)
{
    struct block_counts *counts = &writer->meta.counts;
    assert(counts->groups == 0 && !writer->series_open);
    assert(counts->symbols == 0 || str_compare(strbuf_str(&writer->last_symbol), symbol) < 0);
    uint64_t end = writer->output.position - writer->sections[BLOCK__SYMBOL_BYTES][0] + symbol.size;
    if (end > UINT32_MAX || counts->symbols == UINT32_MAX - 1)
        return err_fail(why, ERR_LIMIT, "symbols of a block are larger than 4 GiB");
    strbuf_clear(&writer->last_symbol);
    strbuf_add_str(&writer->last_symbol, symbol);
    block__bytes_add_u32(&writer->symbol_offsets, (uint32_t)end);
    counts->symbols++;
    writer->sections[BLOCK__SYMBOL_BYTES][1] = end;
    return block__output_add(&writer->output, symbol.data, symbol.size, why);
}

static uint32_t writer_window_count(const struct block_writer *writer, uint32_t group)
{
    assert(group < writer->meta.counts.groups);
    return block__get32(writer->groups.items + (size_t)group * BLOCK__GROUP_ENTRY_BYTES + 16);
}

static uint32_t writer_window_rows(const struct block_writer *writer, uint32_t group,
                                   uint32_t window)
{
    assert(window < writer_window_count(writer, group));
    uint64_t first = block__get64(writer->group_first_row.items + (size_t)group * 8);
    return writer->window_rows.items[first + window] + 1u;
}

err_t block_writer_add_group(struct block_writer *writer, uint64_t key,
                             const struct block_window *windows, uint32_t window_count,
                             uint32_t *group, struct strbuf *why)
{
    assert(window_count > 0);
    if (writer->meta.counts.groups == UINT32_MAX - 1)
        return err_fail(why, ERR_LIMIT, "block has too many groups");
    uint64_t start = writer->output.position;
    block__bytes_add_u64(&writer->group_first_row, writer->window_rows.count);
    uint64_t offset = 0;
    int64_t last_ms = 0;
    for (uint32_t i = 0; i < window_count; i++) {
        const struct block_window *window = &windows[i];
        assert(window->row_count >= 1 && window->row_count <= COLUMN_ROWS_MAX);
        assert(window->times_size < 1 << 24);
        struct time_column_summary summary;
        if (time_column_peek(window->times, window->times_size, window->row_count, &summary) !=
                OK ||
            (i > 0 && summary.first_ms <= last_ms))
            return err_fail(why, ERR_INVALID, "windows of a group do not ascend");
        last_ms = summary.last_ms;
        if (offset > UINT32_MAX)
            return err_fail(why, ERR_LIMIT, "times of a group are larger than 4 GiB");
        uint8_t entry[BLOCK__WINDOW_ENTRY_BYTES];
        uint8_t *at = block__put64(entry, (uint64_t)summary.first_ms);
        at = block__put32(at, (uint32_t)offset);
        block__put32(at, (window->row_count - 1) | (uint32_t)window->times_size << 8);
        offset += window->times_size;
        block__bytes_add_u8(&writer->window_rows, (uint8_t)(window->row_count - 1));
        TRY(block__output_add(&writer->output, entry, sizeof entry, why));
    }
    for (uint32_t i = 0; i < window_count; i++)
        TRY(block__output_add(&writer->output, windows[i].times, windows[i].times_size, why));
    uint64_t size = writer->output.position - start;
    if (size > UINT32_MAX)
        return err_fail(why, ERR_LIMIT, "times of a group are larger than 4 GiB");
    writer->times_bytes += size;
    block__bytes_add_u64(&writer->groups, key);
    block__bytes_add_u64(&writer->groups, start);
    block__bytes_add_u32(&writer->groups, window_count);
    block__bytes_add_u32(&writer->groups, (uint32_t)size);
    *group = writer->meta.counts.groups++;
    return OK;
}

static err_t writer_close_chunk(struct block_writer *writer, struct strbuf *why)
{
    struct block__chunk *chunk = &writer->chunk;
    if (chunk->series_count > 0) {
        uint64_t start = writer->output.position;
        TRY(block__chunk_write(chunk, &writer->output, &writer->label_bytes, why));
        uint64_t size = writer->output.position - start;
        if (size > UINT32_MAX)
            return err_fail(why, ERR_LIMIT, "directory of a series is larger than 4 GiB");
        writer->chunk_bytes += size;
        block__bytes_add_u64(&writer->chunks, start);
        block__bytes_add_u32(&writer->chunks, (uint32_t)size);
        block__bytes_add_u32(&writer->chunks, chunk->first_series);
    }
    block__chunk_begin(chunk, writer->meta.counts.series, block__pages_next(&writer->pages),
                       (uint32_t)writer->pages.open.count);
    return OK;
}

static err_t writer_end_series(struct block_writer *writer, struct strbuf *why)
{
    if (!writer->series_open)
        return OK;
    writer->series_open = false;
    if (!writer->series_has_columns)
        return OK;
    block__chunk_end_series(&writer->chunk, writer->labels, writer->label_count,
                            writer_window_count(writer, writer->chunk.run_group));
    block__postings_add(&writer->postings, writer->meta.counts.series, writer->labels,
                        writer->label_count);
    writer->meta.counts.series++;
    return block__chunk_is_full(&writer->chunk) ? writer_close_chunk(writer, why) : OK;
}

/* Broken order here would make lookups in the block wrong for ever, so it is always checked. */
static void assert_labels_ascend(const struct block_writer *writer,
                                 const struct block_label *labels, uint32_t label_count)
{
    const struct block__chunk *chunk = &writer->chunk;
    for (uint32_t i = 0; i < label_count; i++) {
        assert(labels[i].name < writer->meta.counts.symbols);
        assert(labels[i].value < writer->meta.counts.symbols);
        assert(i == 0 || labels[i - 1].name < labels[i].name);
    }
    if (chunk->series_count == 0)
        return;
    uint32_t i = 0;
    while (i < label_count && i < chunk->previous_count &&
           labels[i].name == chunk->previous[i].name && labels[i].value == chunk->previous[i].value)
        i++;
    assert(i < label_count);
    if (i < chunk->previous_count) {
        struct block_label before = chunk->previous[i];
        assert(labels[i].name > before.name ||
               (labels[i].name == before.name && labels[i].value > before.value));
    }
}

err_t block_writer_begin_series(struct block_writer *writer, const struct block_label *labels,
                                uint32_t label_count, struct strbuf *why)
{
    TRY(writer_end_series(writer, why));
    if (label_count > BLOCK_LABELS_MAX)
        return err_fail(why, ERR_LIMIT, "series has more than %d labels", BLOCK_LABELS_MAX);
    if (writer->meta.counts.series == UINT32_MAX - 1)
        return err_fail(why, ERR_LIMIT, "block has too many series");
    assert_labels_ascend(writer, labels, label_count);
    memcpy(writer->labels, labels, label_count * sizeof *labels);
    writer->label_count = label_count;
    writer->series_open = true;
    writer->series_has_columns = false;
    return OK;
}

/* Rows of the column as the record holds them; returns the number of samples. */
static uint32_t record_rows(const struct block_column *column, uint32_t window_rows,
                            struct block__pending_record *record)
{
    uint32_t first = column->row0;
    uint32_t count = column->row_count;
    uint32_t end = first + count;
    if (column->present != NULL) {
        count = 0;
        for (uint32_t i = 0; i < BLOCK_PRESENT_WORDS; i++)
            count += (uint32_t)__builtin_popcountll(column->present[i]);
        for (first = 0; first < 256 && !(column->present[first / 64] >> (first % 64) & 1);)
            first++;
        for (end = 256; end > first && !(column->present[(end - 1) / 64] >> ((end - 1) % 64) & 1);)
            end--;
    }
    assert(count >= 1 && end <= window_rows);
    record->row0 = (uint8_t)first;
    record->row_count = (uint8_t)count;
    if (count == window_rows)
        return count;
    if (end - first == count) {
        record->flags |= BLOCK__ROWS_RANGE;
        return count;
    }
    assert(column->present != NULL);
    record->flags |= BLOCK__ROWS_BITMAP;
    record->bitmap_size = (uint8_t)((end + 7) / 8);
    memcpy(record->bitmap, column->present, record->bitmap_size);
    return count;
}

static void make_record(const struct block_writer *writer, const struct block_column *column,
                        struct block__pending_record *record)
{
    *record = (struct block__pending_record){.window = column->window};
    uint32_t window_rows = writer_window_rows(writer, column->group, column->window);
    uint32_t count = record_rows(column, window_rows, record);
    record->size = (uint32_t)column->size;
    if (column->cut)
        record->flags |= BLOCK__CUT;
    if (column->start_times != NULL) {
        record->flags |= BLOCK__START_TIMES;
        record->start_times_size = (uint32_t)column->start_times_size;
    }
    if (column->kind == BLOCK_COLUMN_HISTOGRAM) {
        record->flags |= BLOCK__HISTOGRAM;
        return;
    }
    double constant;
    if (column->size <= BLOCK__CONSTANT_BYTES_MAX &&
        column_peek_constant(column->bytes, column->size, &constant)) {
        record->flags |= BLOCK__CONSTANT;
        record->size = 0;
        record->constant_size = (uint8_t)column->size;
        memcpy(record->constant, column->bytes, column->size);
    } else if (column->stats != NULL && !writer->drop_stats) {
        record->flags |= BLOCK__STATS;
        record->stats_size = (uint8_t)column_stats_encode(column->stats, count, record->stats);
    }
}

err_t block_writer_add_column(struct block_writer *writer, const struct block_column *column,
                              struct strbuf *why)
{
    assert(writer->series_open);
    assert(column->size >= 1);
    if (column->size > BLOCK_COLUMN_BYTES_MAX ||
        column->start_times_size > BLOCK_COLUMN_BYTES_MAX - column->size)
        return err_fail(why, ERR_LIMIT, "column is larger than %d bytes", BLOCK_COLUMN_BYTES_MAX);
    struct block__pending_record record;
    make_record(writer, column, &record);
    struct block__chunk *chunk = &writer->chunk;
    uint32_t run_windows = chunk->run_open ? writer_window_count(writer, chunk->run_group) : 0;
    block__chunk_add(chunk, column->group, &record, run_windows);
    writer->series_has_columns = true;
    struct block_counts *counts = &writer->meta.counts;
    counts->columns++;
    counts->samples += record.row_count;
    if (column->kind == BLOCK_COLUMN_FLOAT)
        counts->float_samples += record.row_count;
    size_t start_times_size = column->start_times == NULL ? 0 : column->start_times_size;
    if (record.size + start_times_size == 0)
        return OK;
    return block__pages_add(&writer->pages, &writer->output, column->bytes, record.size,
                            column->start_times, start_times_size, why);
}

void block_writer_counts(const struct block_writer *writer, struct block_counts *counts)
{
    *counts = writer->meta.counts;
    counts->series += writer->series_open && writer->series_has_columns;
    counts->pages = block__pages_next(&writer->pages) + (writer->pages.open.count > 0);
}

/* ---- the end of the file ---- */

static err_t write_section(struct block_writer *writer, enum block__section section,
                           const struct block__bytes *bytes, struct strbuf *why)
{
    TRY(block__output_align(&writer->output, why));
    writer->sections[section][0] = writer->output.position;
    writer->sections[section][1] = bytes->count;
    return block__output_add(&writer->output, bytes->items, bytes->count, why);
}

static err_t write_meta(struct block_writer *writer, struct strbuf *why)
{
    const struct block_meta *meta = &writer->meta;
    struct block__bytes out = {0};
    block__bytes_add(&out, meta->ulid.text, BLOCK_ULID_SIZE);
    block__bytes_add_u64(&out, (uint64_t)meta->min_t_ms);
    block__bytes_add_u64(&out, (uint64_t)meta->max_t_ms);
    block__bytes_add_u32(&out, meta->level);
    block__bytes_add_u32(&out, meta->flags);
    block__bytes_add_u8(&out, !writer->drop_stats);
    block__bytes_add_u64(&out, meta->counts.samples);
    block__bytes_add_u64(&out, meta->counts.float_samples);
    block__bytes_add_u64(&out, meta->counts.columns);
    block__bytes_add_u32(&out, meta->counts.series);
    block__bytes_add_u64(&out, writer->times_bytes);
    block__bytes_add_u64(&out, writer->label_bytes);
    block__bytes_add_u64(&out,
                         writer->chunk_bytes - writer->label_bytes - writer->chunk.stats_bytes);
    block__bytes_add_u64(&out, writer->chunk.stats_bytes);
    block__bytes_add_u64(&out, writer->pages.raw_bytes);
    block__bytes_add_u32(&out, meta->source_count);
    assert(out.count == BLOCK__META_FIXED_BYTES);
    for (uint32_t i = 0; i < meta->source_count; i++)
        block__bytes_add(&out, writer->sources[i].text, BLOCK_ULID_SIZE);
    err_t err = write_section(writer, BLOCK__META, &out, why);
    block__bytes_deinit(&out);
    return err;
}

static err_t write_footer(struct block_writer *writer, struct strbuf *why)
{
    uint8_t footer[BLOCK__FOOTER_BYTES] = {0};
    uint64_t checksums_offset;
    uint32_t checksums_crc;
    TRY(block__output_add_checksums(&writer->output, &checksums_offset, &checksums_crc, why));
    for (int i = 0; i < BLOCK__SECTION_COUNT; i++) {
        block__put64(footer + 16 * i, writer->sections[i][0]);
        block__put64(footer + 16 * i + 8, writer->sections[i][1]);
    }
    block__put64(footer + BLOCK__FOOT_CHECKSUMS_OFFSET, checksums_offset);
    block__put32(footer + BLOCK__FOOT_CHECKSUMS_CRC, checksums_crc);
    block__put32(footer + BLOCK__FOOT_VERSION, BLOCK__VERSION);
    block__put32(footer + BLOCK__FOOT_CRC, hash_crc32c(0, footer, BLOCK__FOOT_CRC));
    memcpy(footer + BLOCK__FOOT_MAGIC, BLOCK__MAGIC_FOOT, 8);
    return block__output_add(&writer->output, footer, sizeof footer, why);
}

static err_t writer_complete_file(struct block_writer *writer, struct strbuf *why)
{
    TRY(writer_end_series(writer, why));
    TRY(block__pages_close(&writer->pages, &writer->output, why));
    TRY(writer_close_chunk(writer, why));
    TRY(write_section(writer, BLOCK__SYMBOL_OFFSETS, &writer->symbol_offsets, why));
    TRY(write_section(writer, BLOCK__GROUPS, &writer->groups, why));
    TRY(write_section(writer, BLOCK__PAGES, &writer->pages.entries, why));
    TRY(write_section(writer, BLOCK__CHUNKS, &writer->chunks, why));
    TRY(block__output_align(&writer->output, why));
    TRY(block__postings_write(&writer->postings, &writer->output, writer->sections, why));
    TRY(write_meta(writer, why));
    TRY(write_footer(writer, why));
    return block__output_finish(&writer->output, why);
}

err_t block_writer_finish(struct block_writer *writer, struct strbuf *why)
{
    const struct fs *fs = writer->fs;
    struct strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", writer->parent, writer->meta.ulid.text);
    const char *temporary = strbuf_cstr(&writer->temporary_path);
    bool renamed = false;
    err_t err;
    TRY_OUT(writer_complete_file(writer, why));
    TRY_OUT(fs->sync_dir(fs->context, temporary, why));
    TRY_OUT(fs->rename(fs->context, temporary, strbuf_cstr(&path), why));
    renamed = true;
    TRY_OUT(fs->sync_dir(fs->context, writer->parent, why));
out:
    if (err != OK && renamed)
        writer_remove(writer, strbuf_cstr(&path));
    strbuf_deinit(&path);
    if (err != OK)
        block_writer_abort(writer);
    else
        writer_free(writer);
    return err;
}

void block_writer_abort(struct block_writer *writer)
{
    block__output_abort(&writer->output);
    writer_remove(writer, strbuf_cstr(&writer->temporary_path));
    writer_free(writer);
}
