/* column_corpus: size and speed of the column codec on recorded scrapes and synthetic sets.
 *
 *     column_corpus FOLDER [ROW_STEP]      recorded scrapes, every ROW_STEP-th row (5 s corpus: 3
 *                                          gives 15 s)
 *     column_corpus --synthetic
 *     column_corpus --open FOLDER SLOTS    appends into that many slots at once
 *
 * A first argument --scalar turns the vector kernels off.
 * Times are CPU time of the thread, the median of RUNS runs. Every decoded column is compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "column_corpus.h"
#include "column_synthetic.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/open_column.h"
#include "narthex/tsdb/time_column.h"

enum { RUNS = 5, ENCODED_MAX = 1 + COLUMN_ROWS_MAX * 8 + COLUMN_SLACK_BYTES };

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

static double median(double *runs)
{
    qsort(runs, RUNS, sizeof *runs, compare_doubles);
    return runs[RUNS / 2];
}

enum seal_mode { SEAL_SEARCH, SEAL_HINTED, SEAL_SMALL, SEAL_MODES };

static const char *const mode_names[SEAL_MODES] = {"search", "hinted", "small"};

/* All columns, encoded one after another. */
struct sealed {
    uint8_t *bytes;
    uint32_t *sizes;
    uint64_t total;
};

static void seal_all(const struct corpus_columns *columns, enum seal_mode mode,
                     struct column_hint *hints, struct sealed *sealed)
{
    sealed->total = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct corpus_column *column = &columns->items[i];
        const double *values = columns->values + column->offset;
        uint8_t *out = sealed->bytes + sealed->total;
        size_t size = mode == SEAL_SMALL
                          ? column_seal_small(values, column->row_count, out)
                          : column_seal(values, column->row_count,
                                        mode == SEAL_HINTED ? &hints[column->slot] : NULL, out);
        sealed->sizes[i] = (uint32_t)size;
        sealed->total += size;
    }
}

static double time_seal(const struct corpus_columns *columns, enum seal_mode mode,
                        struct sealed *sealed)
{
    double runs[RUNS];
    size_t hints_size = columns->slot_count * sizeof(struct column_hint);
    struct column_hint *hints = mem_calloc(MEM_TEST, 1, hints_size);
    for (uint32_t run = 0; run < RUNS; run++) {
        memset(hints, 0, hints_size);
        double start = cpu_ns();
        seal_all(columns, mode, hints, sealed);
        runs[run] = (cpu_ns() - start) / (double)columns->value_count;
    }
    mem_free(MEM_TEST, hints);
    return median(runs);
}

static void check_decode(const struct corpus_columns *columns, const struct sealed *sealed)
{
    double values[COLUMN_ROWS_MAX];
    uint64_t at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct corpus_column *column = &columns->items[i];
        err_t err = column_decode(sealed->bytes + at, sealed->sizes[i], column->row_count, values);
        if (err != OK || memcmp(values, columns->values + column->offset,
                                column->row_count * sizeof *values) != 0) {
            fprintf(stderr, "column %u does not come back: %s\n", i, err_name(err));
            exit(1);
        }
        at += sealed->sizes[i];
    }
}

static double time_decode(const struct corpus_columns *columns, const struct sealed *sealed)
{
    double values[COLUMN_ROWS_MAX];
    double runs[RUNS];
    uint32_t failures = 0;
    for (uint32_t run = 0; run < RUNS; run++) {
        double start = cpu_ns();
        uint64_t at = 0;
        for (uint32_t i = 0; i < columns->count; i++) {
            failures += column_decode(sealed->bytes + at, sealed->sizes[i],
                                      columns->items[i].row_count, values) != OK;
            at += sealed->sizes[i];
        }
        runs[run] = (cpu_ns() - start) / (double)columns->value_count;
    }
    return failures == 0 ? median(runs) : -1;
}

static void print_kinds(const struct corpus_columns *columns, const struct sealed *sealed)
{
    static const char *const names[8] = {"const", "int", "bits",      "deculp",
                                         "raw",   "ref", "histogram", "-"};
    uint64_t counts[8] = {0};
    uint64_t bytes[8] = {0};
    uint64_t at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        uint32_t kind = sealed->bytes[at] & 7;
        counts[kind]++;
        bytes[kind] += sealed->sizes[i];
        at += sealed->sizes[i];
    }
    for (uint32_t kind = 0; kind < 8; kind++)
        if (counts[kind] > 0)
            printf("  %s %.1f %% of columns, %.1f %% of bytes;", names[kind],
                   100.0 * (double)counts[kind] / columns->count,
                   100.0 * (double)bytes[kind] / (double)sealed->total);
    printf("\n");
}

static uint64_t stats_size(const struct corpus_columns *columns, const struct sealed *sealed)
{
    uint64_t total = 0;
    uint64_t at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct corpus_column *column = &columns->items[i];
        struct column_stats stats;
        uint8_t out[COLUMN_STATS_SIZE_MAX];
        double constant;
        if (!column_peek_constant(sealed->bytes + at, sealed->sizes[i], &constant)) {
            column_stats_compute(columns->values + column->offset, column->row_count, &stats);
            total += column_stats_encode(&stats, column->row_count, out);
        }
        at += sealed->sizes[i];
    }
    return total;
}

static double time_stats(const struct corpus_columns *columns)
{
    double runs[RUNS];
    struct column_stats stats;
    for (uint32_t run = 0; run < RUNS; run++) {
        double start = cpu_ns();
        for (uint32_t i = 0; i < columns->count; i++)
            column_stats_compute(columns->values + columns->items[i].offset,
                                 columns->items[i].row_count, &stats);
        runs[run] = (cpu_ns() - start) / (double)columns->value_count;
    }
    return median(runs);
}

static uint64_t times_size(const struct corpus_columns *columns)
{
    uint64_t total = 0;
    const int64_t *at = columns->times_ms;
    for (uint32_t i = 0; i < columns->window_count; i++) {
        uint8_t out[ENCODED_MAX + 64];
        total += time_column_seal(at, columns->window_rows[i], out);
        at += columns->window_rows[i];
    }
    return total;
}

static void measure(const char *name, const struct corpus_columns *columns)
{
    struct sealed sealed = {
        .bytes = mem_alloc(MEM_TEST,
                           columns->value_count * 8 + (size_t)columns->count * 2 + ENCODED_MAX),
        .sizes = mem_alloc(MEM_TEST, columns->count * sizeof(uint32_t)),
    };
    double samples = (double)columns->value_count;
    printf("%s: %u columns, %llu samples, %s\n", name, columns->count,
           (unsigned long long)columns->value_count, column_kernels_name());
    for (enum seal_mode mode = 0; mode < SEAL_MODES; mode++) {
        double seal_ns = time_seal(columns, mode, &sealed);
        check_decode(columns, &sealed);
        double decode_ns = time_decode(columns, &sealed);
        printf("  %-7s %.4f B/sample  seal %.2f ns  decode %.3f ns\n", mode_names[mode],
               (double)sealed.total / samples, seal_ns, decode_ns);
        if (mode == SEAL_SEARCH) {
            print_kinds(columns, &sealed);
            printf("  statistics %.4f B/sample, %.2f ns; times %.4f B/sample\n",
                   (double)stats_size(columns, &sealed) / samples, time_stats(columns),
                   (double)times_size(columns) / samples);
        }
    }
    mem_free(MEM_TEST, sealed.bytes);
    mem_free(MEM_TEST, sealed.sizes);
}

/* The full columns of the set as a matrix [row][column]; returns the number of columns. */
static uint32_t transpose(const struct corpus_columns *columns, double **matrix)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < columns->count; i++)
        width += columns->items[i].row_count == COLUMN_ROWS_MAX;
    *matrix = mem_alloc(MEM_TEST, (size_t)width * COLUMN_ROWS_MAX * sizeof(double));
    uint32_t at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->items[i].row_count != COLUMN_ROWS_MAX)
            continue;
        for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
            (*matrix)[(size_t)row * width + at] = columns->values[columns->items[i].offset + row];
        at++;
    }
    return width;
}

static void append_row(struct open_column *slots, uint32_t slot_count, const double *row_values,
                       uint32_t width, uint32_t row, struct open_column_memory *memory)
{
    enum { SLOTS_AHEAD = 16, BUFFERS_AHEAD = 8 };
    uint32_t column = 0;
    for (uint32_t i = 0; i < slot_count; i++) {
        if (i + SLOTS_AHEAD < slot_count) {
            open_column_prefetch(&slots[i + SLOTS_AHEAD]);
            open_column_prefetch_buffer(&slots[i + BUFFERS_AHEAD]);
        }
        open_column_append(&slots[i], row, row_values[column], memory);
        column = column + 1 == width ? 0 : column + 1;
    }
}

static void measure_open(const struct corpus_columns *columns, uint32_t slot_count)
{
    double *matrix;
    uint32_t width = transpose(columns, &matrix);
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    struct open_column_memory memory = {.pool = pool};
    struct open_column *slots = MEM_NEW_ARRAY(MEM_TEST, struct open_column, slot_count);
    double samples = (double)slot_count * COLUMN_ROWS_MAX;

    double start = cpu_ns();
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
        append_row(slots, slot_count, matrix + (size_t)row * width, width, row, &memory);
    double append_ns = (cpu_ns() - start) / samples;
    double buffer_bytes = (double)slab_used_bytes(pool) / samples;

    double values[COLUMN_ROWS_MAX];
    uint64_t present[4];
    uint64_t decoded = 0;
    start = cpu_ns();
    for (uint32_t i = 0; i < slot_count; i++) {
        struct open_column_view view = open_column_view(&slots[i]);
        decoded += open_column_decode(&view, COLUMN_ROWS_MAX, values, present);
    }
    double decode_ns = (cpu_ns() - start) / (double)decoded;
    printf("open: %u slots of %u different columns\n  append %.2f ns, buffers %.3f B/sample + %zu "
           "B/slot, decode %.3f ns/sample\n",
           slot_count, width, append_ns, buffer_bytes, sizeof *slots, decode_ns);
    mem_free(MEM_TEST, slots);
    slab_pool_destroy(pool);
    mem_free(MEM_TEST, matrix);
}

static int run_recorded(const char *folder, uint32_t row_step, uint32_t open_slots)
{
    struct corpus_columns columns = {0};
    struct strbuf why = {0};
    int status = 0;
    if (corpus_columns_load(&columns, folder, row_step, COLUMN_ROWS_MAX, &why) != OK ||
        columns.count == 0) {
        fprintf(stderr, "%s: %s\n", folder, why.size > 0 ? strbuf_cstr(&why) : "no scrapes");
        status = 1;
    } else if (open_slots > 0) {
        measure_open(&columns, open_slots);
    } else {
        measure(folder, &columns);
    }
    strbuf_deinit(&why);
    corpus_columns_deinit(&columns);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--scalar") == 0) {
        column_kernels_use_scalar();
        argc--;
        argv++;
    }
    if (argc == 2 && strcmp(argv[1], "--synthetic") == 0) {
        for (uint32_t i = 0; column_synthetic_name(i) != NULL; i++) {
            struct corpus_columns columns = {0};
            column_synthetic_fill(&columns, i);
            measure(column_synthetic_name(i), &columns);
            corpus_columns_deinit(&columns);
        }
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "--open") == 0)
        return run_recorded(argv[2], 1, (uint32_t)strtoul(argv[3], NULL, 10));
    if (argc == 2 || argc == 3)
        return run_recorded(argv[1], argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1, 0);
    fprintf(
        stderr,
        "usage: column_corpus [--scalar] FOLDER [ROW_STEP] | --synthetic | --open FOLDER SLOTS\n");
    return 2;
}
