/* tsdb-bench compact: blocks made of the corpus, merged into one, and what their parts weigh. */
#include <stdio.h>
#include <stdlib.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/block_merge.h"
#include "tsdb_bench.h"

enum { PARTS = 4, WINDOWS_MAX = 512 };

/* A series of the corpus with the labels it is stored under. */
struct block_series {
    struct labels labels;
    uint32_t job;
    uint32_t slot;
};

struct block_input {
    const struct corpus *corpus;
    struct arena arena;
    struct block_series *series; /* sorted by labels */
    uint32_t count;
};

static int compare_series(const void *left, const void *right)
{
    return labels_compare(((const struct block_series *)left)->labels,
                          ((const struct block_series *)right)->labels);
}

static void input_init(struct block_input *input, const struct corpus *corpus)
{
    struct label_builder builder = {0};
    *input = (struct block_input){.corpus = corpus};
    arena_init(&input->arena, MEM_TEST, SIZE_MAX);
    input->series = MEM_NEW_ARRAY(MEM_TEST, struct block_series, corpus->series_count + 1);
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        const struct corpus_job *job = &corpus->jobs[i];
        for (uint32_t slot = 0; slot < job->series_count; slot++) {
            label_builder_reset(&builder, job->series[slot].labels);
            label_builder_set(&builder, STR("job"), str_from_cstr(job->name));
            label_builder_set(&builder, STR("instance"), STR("host-0:9100"));
            input->series[input->count++] = (struct block_series){
                labels_copy(&input->arena, label_builder_labels(&builder)), i, slot};
        }
    }
    label_builder_deinit(&builder);
    qsort(input->series, input->count, sizeof *input->series, compare_series);
}

/* Rows [from, end) of a job as a group with windows of COLUMN_ROWS_MAX. */
static err_t add_group(struct block_writer *writer, const struct corpus_job *job, uint32_t number,
                       uint32_t from, uint32_t end, struct strbuf *why)
{
    struct block_window windows[WINDOWS_MAX];
    uint32_t count = 0, group;
    size_t stride = time_column_size_max(COLUMN_ROWS_MAX);
    uint8_t *bytes = mem_alloc(MEM_TEST, WINDOWS_MAX * stride);
    for (uint32_t row = from; row < end && count < WINDOWS_MAX; row += COLUMN_ROWS_MAX) {
        uint32_t rows = end - row < COLUMN_ROWS_MAX ? end - row : COLUMN_ROWS_MAX;
        uint8_t *at = bytes + count * stride;
        windows[count++] =
            (struct block_window){at, time_column_seal(job->times_ms + row, rows, at), rows};
    }
    err_t err = block_writer_add_group(writer, number + 1, windows, count, &group, why);
    mem_free(MEM_TEST, bytes);
    return err;
}

static err_t add_columns(struct block_writer *writer, const struct corpus_job *job,
                         const struct block_series *series, uint32_t from, uint32_t end,
                         struct strbuf *why)
{
    uint8_t bytes[1 + COLUMN_ROWS_MAX * 8 + COLUMN_SLACK_BYTES + 64];
    double values[COLUMN_ROWS_MAX];
    for (uint32_t window = 0; from + window * COLUMN_ROWS_MAX < end; window++) {
        uint32_t first = from + window * COLUMN_ROWS_MAX;
        uint64_t present[BLOCK_PRESENT_WORDS] = {0};
        uint32_t count = 0;
        for (uint32_t row = 0; row < COLUMN_ROWS_MAX && first + row < end; row++) {
            double v = job->values[(size_t)(first + row) * job->series_count + series->slot];
            if (corpus_is_absent(v))
                continue;
            present[row / 64] |= UINT64_C(1) << (row % 64);
            values[count++] = v;
        }
        if (count == 0)
            continue;
        struct column_stats stats;
        struct block_column column = {
            .group = series->job, .window = window, .present = present, .bytes = bytes};
        if (column_stats_compute(values, count, &stats))
            column.stats = &stats;
        column.size = column_seal(values, count, NULL, bytes);
        TRY(block_writer_add_column(writer, &column, why));
    }
    return OK;
}

static err_t write_series(const struct block_input *input, struct block_writer *writer,
                          const struct block_symbols *symbols, uint32_t part, struct strbuf *why)
{
    for (uint32_t i = 0; i < input->count; i++) {
        const struct block_series *series = &input->series[i];
        const struct corpus_job *job = &input->corpus->jobs[series->job];
        struct block_label labels[BLOCK_LABELS_MAX];
        for (uint32_t k = 0; k < series->labels.count; k++) {
            labels[k].name = block_symbols_find(symbols, series->labels.items[k].name);
            labels[k].value = block_symbols_find(symbols, series->labels.items[k].value);
        }
        TRY(block_writer_begin_series(writer, labels, series->labels.count, why));
        TRY(add_columns(writer, job, series, job->row_count * part / PARTS,
                        job->row_count * (part + 1) / PARTS, why));
    }
    return OK;
}

static err_t write_block(const struct block_input *input, const char *parent,
                         const struct block_ulid *ulid, uint32_t part, struct strbuf *why)
{
    const struct block_writer_options options = {
        .fs = fs_system(), .parent = parent, .meta = {.max_t_ms = 1, .ulid = *ulid}};
    struct block_writer *writer;
    err_t err;
    TRY(block_writer_open(&options, &writer, why));
    struct block_symbols *symbols = block_symbols_create();
    for (uint32_t i = 0; i < input->count; i++)
        block_symbols_add_labels(symbols, input->series[i].labels);
    TRY_OUT(block_symbols_write(symbols, writer, why));
    for (uint32_t i = 0; i < input->corpus->job_count; i++) {
        const struct corpus_job *job = &input->corpus->jobs[i];
        TRY_OUT(add_group(writer, job, i, job->row_count * part / PARTS,
                          job->row_count * (part + 1) / PARTS, why));
    }
    TRY_OUT(write_series(input, writer, symbols, part, why));
    err = block_writer_finish(writer, why);
    writer = NULL;
out:
    if (writer != NULL)
        block_writer_abort(writer);
    block_symbols_destroy(symbols);
    return err;
}

static struct block *open_block(struct bench *bench, const char *parent,
                                const struct block_ulid *ulid)
{
    struct strbuf path = STRBUF_INIT;
    struct block *block;
    strbuf_printf(&path, "%s/%s", parent, ulid->text);
    bench_check(bench, block_open(strbuf_cstr(&path), &block, &bench->why));
    strbuf_deinit(&path);
    return block;
}

static void time_reading(struct bench *bench, const struct block *block, struct rounds *rounds)
{
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        struct block_cursor *cursor = block_cursor_create(block);
        rounds_start(rounds);
        for (uint32_t s = 0; s < block_meta(block)->counts.series; s++) {
            struct block_column_info info;
            struct block_column_data data;
            bool found;
            bench_check(bench, block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, &bench->why));
            bench_check(bench, block_cursor_next(cursor, &info, &found, &bench->why));
            while (found) {
                bench_check(bench, block_cursor_decode(cursor, &data, &bench->why));
                bench_check(bench, block_cursor_next(cursor, &info, &found, &bench->why));
            }
        }
        rounds_stop(rounds, (double)block_meta(block)->counts.samples);
        block_cursor_destroy(cursor);
    }
}

static void report_block(struct bench *bench, const struct block *block)
{
    const struct block_counts *counts = &block_meta(block)->counts;
    struct block_section_bytes bytes;
    struct rounds reading = {0};
    double samples = (double)counts->samples;
    struct report *report = bench->report;
    bench_check(bench, block_verify(block, &bench->why));
    block_section_bytes(block, &bytes);
    uint64_t data = bytes.times + bytes.directory + bytes.pages + bytes.overhead;
    report_add_value(report, "compact/samples", "B/sample", (double)data / samples);
    report_add_value(report, "compact/  of it pages", "B/sample", (double)bytes.pages / samples);
    report_add_value(report, "compact/  of it directory", "B/sample",
                     (double)bytes.directory / samples);
    report_add_value(report, "compact/  of it times", "B/sample", (double)bytes.times / samples);
    report_add_value(report, "compact/statistics", "B/sample", (double)bytes.statistics / samples);
    report_add_value(report, "compact/labels", "B/series",
                     (double)(bytes.symbols + bytes.series + bytes.postings) / counts->series);
    time_reading(bench, block, &reading);
    report_add(report, "compact/read back", "ns/sample", &reading, 1);
}

static void make_ulid(uint8_t number, struct block_ulid *ulid)
{
    const uint8_t random[10] = {number};
    block_ulid_make(0, random, ulid);
}

void bench_compact(struct bench *bench)
{
    struct block_input input;
    struct block *blocks[PARTS];
    struct block_merge_input merge[PARTS];
    struct rounds writing = {0}, merging = {0};
    char parent[320];
    input_init(&input, bench_corpus(bench));
    double samples = (double)input.corpus->sample_count;
    snprintf(parent, sizeof parent, "%s/compact", bench->folder);
    bench_check(bench, fs_make_dirs(fs_system(), parent, &bench->why));
    for (uint32_t part = 0; part < PARTS; part++) {
        struct block_ulid ulid;
        make_ulid((uint8_t)part, &ulid);
        rounds_start(&writing);
        bench_check(bench, write_block(&input, parent, &ulid, part, &bench->why));
        rounds_stop(&writing, samples / PARTS);
        blocks[part] = open_block(bench, parent, &ulid);
        merge[part] = (struct block_merge_input){blocks[part], NULL};
    }
    report_add(bench->report, "compact/seal and write", "ns/sample", &writing, 1);
    struct block_merge_options options = {.fs = fs_system(), .parent = parent};
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        struct block_merge_result result;
        make_ulid((uint8_t)(255 - round), &options.meta.ulid);
        rounds_start(&merging);
        bench_check(bench, block_merge(merge, PARTS, &options, &result, &bench->why));
        rounds_stop(&merging, samples);
    }
    report_add(bench->report, "compact/merge of 4", "ns/sample", &merging, 1);
    struct block *merged = open_block(bench, parent, &options.meta.ulid);
    report_block(bench, merged);
    block_close(merged);
    for (uint32_t part = 0; part < PARTS; part++)
        block_close(blocks[part]);
    mem_free(MEM_TEST, input.series);
    arena_deinit(&input.arena);
}
