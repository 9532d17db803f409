/* block_corpus: size of blocks made of recorded scrapes, and the speed of reading them.
 *
 *     block_corpus FOLDER OUTPUT [ROW_STEP [GRID_MS [BLOCKS [nostats]]]]
 *
 * Writes BLOCKS blocks (default 1), each with its share of the rows, below the existing folder
 * OUTPUT, merges them into one, and prints bytes per sample by section of the first and of the
 * merged one. GRID_MS 0 keeps the jittered timestamps. Times are CPU time of the thread, the
 * median of RUNS runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block_corpus.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/block_merge.h"

enum { RUNS = 5, BLOCKS_MAX = 64, WINDOWS_MAX = 512 };

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void must(err_t err, const struct strbuf *why)
{
    if (err != OK) {
        fprintf(stderr, "block_corpus: %s\n", strbuf_cstr(why));
        exit(1);
    }
}

/* Rows [from, end) of a job as a group with windows of COLUMN_ROWS_MAX. */
static void add_group(struct block_writer *writer, const struct corpus_job *job, uint32_t number,
                      uint32_t from, uint32_t end, struct strbuf *why)
{
    struct block_window windows[WINDOWS_MAX];
    uint32_t count = 0;
    size_t stride = time_column_size_max(COLUMN_ROWS_MAX);
    uint8_t *bytes = mem_alloc(MEM_TEST, WINDOWS_MAX * stride);
    for (uint32_t row = from; row < end; row += COLUMN_ROWS_MAX) {
        uint32_t rows = end - row < COLUMN_ROWS_MAX ? end - row : COLUMN_ROWS_MAX;
        uint8_t *at = bytes + count * stride;
        windows[count++] =
            (struct block_window){at, time_column_seal(job->times_ms + row, rows, at), rows};
    }
    uint32_t group;
    must(block_writer_add_group(writer, number + 1, windows, count, &group, why), why);
    mem_free(MEM_TEST, bytes);
}

static void add_series(struct block_writer *writer, const struct corpus_series *series,
                       uint32_t from, uint32_t end, struct strbuf *why)
{
    uint8_t bytes[1 + COLUMN_ROWS_MAX * 8 + COLUMN_SLACK_BYTES + 64];
    uint32_t i = 0;
    while (i < series->count && series->rows[i] < from)
        i++;
    while (i < series->count && series->rows[i] < end) {
        uint64_t present[BLOCK_PRESENT_WORDS] = {0};
        uint32_t window = (series->rows[i] - from) / COLUMN_ROWS_MAX;
        uint32_t window_row = from + window * COLUMN_ROWS_MAX;
        uint32_t first = i;
        while (i < series->count && series->rows[i] < end &&
               series->rows[i] - window_row < COLUMN_ROWS_MAX) {
            uint32_t row = series->rows[i++] - window_row;
            present[row / 64] |= UINT64_C(1) << (row % 64);
        }
        struct column_stats stats;
        column_stats_compute(series->values + first, i - first, &stats);
        struct block_column column = {.group = series->job,
                                      .window = window,
                                      .present = present,
                                      .bytes = bytes,
                                      .stats = &stats};
        column.size = column_seal(series->values + first, i - first, NULL, bytes);
        must(block_writer_add_column(writer, &column, why), why);
    }
}

static void write_block(const struct corpus *corpus, struct block_writer_options *options,
                        uint32_t part, uint32_t parts, struct strbuf *why)
{
    struct block_writer *writer;
    struct block_symbols *symbols = block_symbols_create();
    must(block_writer_open(options, &writer, why), why);
    for (uint32_t i = 0; i < corpus->series_count; i++)
        block_symbols_add_labels(symbols, corpus->series[i].labels);
    must(block_symbols_write(symbols, writer, why), why);
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        uint32_t rows = corpus->jobs[i].row_count;
        add_group(writer, &corpus->jobs[i], i, rows * part / parts, rows * (part + 1) / parts, why);
    }
    for (uint32_t i = 0; i < corpus->series_count; i++) {
        const struct corpus_series *series = &corpus->series[i];
        struct block_label labels[BLOCK_LABELS_MAX];
        for (uint32_t k = 0; k < series->labels.count; k++) {
            labels[k].name = block_symbols_find(symbols, series->labels.items[k].name);
            labels[k].value = block_symbols_find(symbols, series->labels.items[k].value);
        }
        must(block_writer_begin_series(writer, labels, series->labels.count, why), why);
        uint32_t rows = corpus->jobs[series->job].row_count;
        add_series(writer, series, rows * part / parts, rows * (part + 1) / parts, why);
    }
    must(block_writer_finish(writer, why), why);
    block_symbols_destroy(symbols);
}

static struct block *open_block(const char *parent, const struct block_ulid *ulid,
                                struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT;
    struct block *block;
    strbuf_printf(&path, "%s/%s", parent, ulid->text);
    must(block_open(strbuf_cstr(&path), &block, why), why);
    strbuf_deinit(&path);
    return block;
}

/* ns per sample of decoding every column. */
static double time_decode(const struct block *block, struct strbuf *why)
{
    double runs[RUNS];
    for (int run = 0; run < RUNS; run++) {
        struct block_cursor *cursor = block_cursor_create(block);
        double start = cpu_ns();
        for (uint32_t s = 0; s < block_meta(block)->counts.series; s++) {
            struct block_column_info info;
            struct block_column_data data;
            bool found = true;
            must(block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, why), why);
            for (;;) {
                must(block_cursor_next(cursor, &info, &found, why), why);
                if (!found)
                    break;
                must(block_cursor_decode(cursor, &data, why), why);
            }
        }
        runs[run] = (cpu_ns() - start) / (double)block_meta(block)->counts.samples;
        block_cursor_destroy(cursor);
    }
    qsort(runs, RUNS, sizeof *runs, compare_doubles);
    return runs[RUNS / 2];
}

static void print_block(const char *title, const struct block *block, struct strbuf *why)
{
    const struct block_counts *counts = &block_meta(block)->counts;
    struct block_section_bytes bytes;
    double samples = (double)counts->samples;
    must(block_verify(block, why), why);
    block_section_bytes(block, &bytes);
    uint64_t data = bytes.times + bytes.directory + bytes.pages + bytes.overhead;
    printf("%s: %u series, %llu columns, %llu samples, %llu bytes\n", title, counts->series,
           (unsigned long long)counts->columns, (unsigned long long)counts->samples,
           (unsigned long long)block_bytes(block));
    printf("  B/sample: pages %.4f (raw %.4f), directory %.4f, times %.4f, overhead %.4f\n",
           (double)bytes.pages / samples, (double)bytes.page_raw / samples,
           (double)bytes.directory / samples, (double)bytes.times / samples,
           (double)bytes.overhead / samples);
    printf("  samples without statistics %.4f, statistics %.4f, sum %.4f B/sample\n",
           (double)data / samples, (double)bytes.statistics / samples,
           (double)(data + bytes.statistics) / samples);
    printf("  labels: symbols %.4f, series %.4f, postings %.4f B/sample; %.1f B/series\n",
           (double)bytes.symbols / samples, (double)bytes.series / samples,
           (double)bytes.postings / samples,
           (double)(bytes.symbols + bytes.series + bytes.postings) / counts->series);
    printf("  read back %.3f ns/sample\n", time_decode(block, why));
}

static void make_ulid(uint8_t number, struct block_ulid *ulid)
{
    const uint8_t random[10] = {number};
    block_ulid_make(0, random, ulid);
}

static void measure(const struct corpus *corpus, const char *output, uint32_t parts,
                    bool drop_stats, struct strbuf *why)
{
    struct block *blocks[BLOCKS_MAX];
    struct block_merge_input inputs[BLOCKS_MAX];
    double start = cpu_ns();
    for (uint32_t part = 0; part < parts; part++) {
        struct block_writer_options options = {
            .fs = fs_system(), .parent = output, .meta = {.max_t_ms = 1}, .drop_stats = drop_stats};
        make_ulid((uint8_t)part, &options.meta.ulid);
        write_block(corpus, &options, part, parts, why);
        blocks[part] = open_block(output, &options.meta.ulid, why);
        inputs[part] = (struct block_merge_input){blocks[part], NULL};
    }
    double samples = (double)corpus->sample_count;
    printf("seal and write: %.1f ns/sample\n", (cpu_ns() - start) / samples);
    print_block("first block", blocks[0], why);
    struct block_merge_options options = {
        .fs = fs_system(), .parent = output, .drop_stats = drop_stats};
    struct block_merge_result result;
    make_ulid(255, &options.meta.ulid);
    start = cpu_ns();
    must(block_merge(inputs, parts, &options, &result, why), why);
    printf("merge of %u: %.1f ns/sample, %llu columns copied, %llu encoded\n", parts,
           (cpu_ns() - start) / samples, (unsigned long long)result.columns_copied,
           (unsigned long long)result.columns_encoded);
    struct block *merged = open_block(output, &options.meta.ulid, why);
    print_block("merged", merged, why);
    block_close(merged);
    for (uint32_t part = 0; part < parts; part++)
        block_close(blocks[part]);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 7) {
        fprintf(stderr, "usage: block_corpus FOLDER OUTPUT [ROW_STEP [GRID_MS [BLOCKS "
                        "[nostats]]]]\n");
        return 2;
    }
    uint32_t row_step = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1;
    int64_t grid_ms = argc > 4 ? strtoll(argv[4], NULL, 10) : 0;
    uint32_t parts = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 1;
    struct corpus corpus = {0};
    struct strbuf why = STRBUF_INIT;
    if (row_step == 0 || parts == 0 || parts > BLOCKS_MAX) {
        fprintf(stderr, "block_corpus: ROW_STEP and BLOCKS (at most %d) are positive\n",
                BLOCKS_MAX);
        return 2;
    }
    must(corpus_load(&corpus, argv[1], row_step, grid_ms, &why), &why);
    measure(&corpus, argv[2], parts, argc > 6 && strcmp(argv[6], "nostats") == 0, &why);
    corpus_deinit(&corpus);
    strbuf_deinit(&why);
    return 0;
}
