/* tsdb-bench seal, decode: the column codec and open columns on the corpus and on synthetic sets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/open_column.h"
#include "tsdb_bench.h"

enum { OPEN_SLOTS = 500000, ENCODED_MAX = 1 + COLUMN_ROWS_MAX * 8 + COLUMN_SLACK_BYTES };

struct bench_column {
    uint32_t slot; /* number of the series, over all jobs */
    uint32_t count;
    uint64_t offset; /* of its values */
};

/* The corpus cut into windows. */
struct bench_columns {
    double *values;
    uint64_t value_count;
    struct bench_column *items; /* window after window, in order of slots */
    uint32_t count;
    uint32_t capacity;
    uint32_t slot_count;
    uint8_t *sealed; /* one after another */
    uint32_t *sizes;
    uint64_t sealed_bytes;
};

static void cut_window(struct bench_columns *columns, const struct corpus_job *job, uint32_t from)
{
    uint32_t end =
        from + COLUMN_ROWS_MAX < job->row_count ? from + COLUMN_ROWS_MAX : job->row_count;
    for (uint32_t slot = 0; slot < job->series_count; slot++) {
        struct bench_column column = {columns->slot_count + slot, 0, columns->value_count};
        for (uint32_t row = from; row < end; row++) {
            double v = job->values[(size_t)row * job->series_count + slot];
            if (!corpus_is_absent(v))
                columns->values[column.offset + column.count++] = v;
        }
        columns->value_count += column.count;
        if (column.count > 0)
            VEC_PUSH(MEM_TEST, columns->items, columns->count, columns->capacity, column);
    }
}

static void columns_init(struct bench_columns *columns, const struct corpus *corpus)
{
    *columns = (struct bench_columns){0};
    columns->values = mem_alloc(MEM_TEST, (corpus->sample_count + 1) * sizeof(double));
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        const struct corpus_job *job = &corpus->jobs[i];
        for (uint32_t from = 0; from < job->row_count; from += COLUMN_ROWS_MAX)
            cut_window(columns, job, from);
        columns->slot_count += job->series_count;
    }
    columns->sealed =
        mem_alloc(MEM_TEST, columns->value_count * 8 + (size_t)columns->count * 2 + ENCODED_MAX);
    columns->sizes = MEM_NEW_ARRAY(MEM_TEST, uint32_t, columns->count + 1);
}

static void columns_deinit(struct bench_columns *columns)
{
    mem_free(MEM_TEST, columns->values);
    mem_free(MEM_TEST, columns->items);
    mem_free(MEM_TEST, columns->sealed);
    mem_free(MEM_TEST, columns->sizes);
}

enum seal_mode { SEAL_SEARCH, SEAL_HINTED, SEAL_SMALL, SEAL_MODES };

static const char *const mode_names[SEAL_MODES] = {"search", "hinted", "small"};

static void seal_all(struct bench_columns *columns, enum seal_mode mode, struct column_hint *hints)
{
    columns->sealed_bytes = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct bench_column *column = &columns->items[i];
        const double *values = columns->values + column->offset;
        uint8_t *out = columns->sealed + columns->sealed_bytes;
        size_t size = mode == SEAL_SMALL
                          ? column_seal_small(values, column->count, out)
                          : column_seal(values, column->count,
                                        mode == SEAL_HINTED ? &hints[column->slot] : NULL, out);
        columns->sizes[i] = (uint32_t)size;
        columns->sealed_bytes += size;
    }
}

static void time_seal(struct bench *bench, struct bench_columns *columns, enum seal_mode mode,
                      struct rounds *rounds)
{
    size_t hints_size = (columns->slot_count + 1) * sizeof(struct column_hint);
    struct column_hint *hints = mem_alloc(MEM_TEST, hints_size);
    for (uint32_t round = 0; round <= bench->options.rounds; round++) {
        struct rounds warm_up = {0};
        struct rounds *into = round == 0 ? &warm_up : rounds;
        memset(hints, 0, hints_size);
        rounds_start(into);
        seal_all(columns, mode, hints);
        rounds_stop(into, (double)columns->value_count);
    }
    mem_free(MEM_TEST, hints);
}

/* Decodes everything; with `check` every column is compared. */
static void decode_all(const struct bench_columns *columns, bool check)
{
    double values[COLUMN_ROWS_MAX];
    uint64_t at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct bench_column *column = &columns->items[i];
        err_t err = column_decode(columns->sealed + at, columns->sizes[i], column->count, values);
        if (err != OK || (check && memcmp(values, columns->values + column->offset,
                                          column->count * sizeof *values) != 0)) {
            fprintf(stderr, "tsdb-bench: column %u does not come back: %s\n", i, err_name(err));
            exit(1);
        }
        at += columns->sizes[i];
    }
}

static void report_named(struct bench *bench, const char *part, const char *set, const char *what,
                         const char *unit, const struct rounds *rounds, double value)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s%s%s", part, set, set[0] == 0 ? "" : " ", what);
    if (rounds != NULL)
        report_add(bench->report, name, unit, rounds, 1);
    else
        report_add_value(bench->report, name, unit, value);
}

static void seal_corpus(struct bench *bench, const struct corpus *corpus, const char *set)
{
    struct bench_columns columns;
    struct rounds stats = {0};
    columns_init(&columns, corpus);
    for (enum seal_mode mode = 0; mode < SEAL_MODES; mode++) {
        struct rounds rounds = {0};
        time_seal(bench, &columns, mode, &rounds);
        decode_all(&columns, true);
        report_named(bench, "seal", set, mode_names[mode], "ns/sample", &rounds, 0);
        report_named(bench, "seal size", set, mode_names[mode], "B/sample", NULL,
                     (double)columns.sealed_bytes / (double)columns.value_count);
    }
    for (uint32_t round = 0; round < bench->options.rounds && set[0] == 0; round++) {
        struct column_stats result;
        rounds_start(&stats);
        for (uint32_t i = 0; i < columns.count; i++)
            column_stats_compute(columns.values + columns.items[i].offset, columns.items[i].count,
                                 &result);
        rounds_stop(&stats, (double)columns.value_count);
    }
    if (stats.count > 0)
        report_add(bench->report, "seal/statistics", "ns/sample", &stats, 1);
    columns_deinit(&columns);
}

/* A corpus with one job of another. */
static struct corpus one_job(const struct corpus *corpus, uint32_t index)
{
    struct corpus single = {.jobs = &corpus->jobs[index], .job_count = 1};
    single.series_count = corpus->jobs[index].series_count;
    single.sample_count = (uint64_t)single.series_count * corpus->jobs[index].row_count;
    return single;
}

static void for_each_set(struct bench *bench,
                         void (*run)(struct bench *, const struct corpus *, const char *))
{
    struct corpus sets;
    run(bench, bench_corpus(bench), "");
    bench_check(bench, corpus_make_shape(&sets, "sets", 0, 4 * COLUMN_ROWS_MAX, bench->options.seed,
                                         &bench->why));
    for (uint32_t i = 0; i < sets.job_count; i++) {
        struct corpus set = one_job(&sets, i);
        run(bench, &set, sets.jobs[i].name);
    }
    corpus_deinit(&sets);
}

/* Values of all slots in one row, so that appending reads memory forward. */
static void append_row(struct open_column *slots, const struct bench_columns *columns,
                       const uint32_t *full, uint32_t full_count, uint32_t row,
                       struct open_column_memory *memory)
{
    enum { SLOTS_AHEAD = 16, BUFFERS_AHEAD = 8 };
    for (uint32_t i = 0, k = 0; i < OPEN_SLOTS; i++) {
        if (i + SLOTS_AHEAD < OPEN_SLOTS) {
            open_column_prefetch(&slots[i + SLOTS_AHEAD]);
            open_column_prefetch_buffer(&slots[i + BUFFERS_AHEAD]);
        }
        open_column_append(&slots[i], row, columns->values[columns->items[full[k]].offset + row],
                           memory);
        k = k + 1 == full_count ? 0 : k + 1;
    }
}

static void bench_open_columns(struct bench *bench, const struct bench_columns *columns)
{
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    struct open_column_memory memory = {.pool = pool};
    struct open_column *slots = MEM_NEW_ARRAY(MEM_TEST, struct open_column, OPEN_SLOTS);
    uint32_t *full = MEM_NEW_ARRAY(MEM_TEST, uint32_t, columns->count + 1);
    uint32_t full_count = 0;
    struct rounds append = {0}, decode = {0};
    for (uint32_t i = 0; i < columns->count; i++)
        if (columns->items[i].count == COLUMN_ROWS_MAX)
            full[full_count++] = i;
    for (uint32_t row = 0, next = 0; row < COLUMN_ROWS_MAX && full_count > 0; row = next) {
        next = row + 30 < COLUMN_ROWS_MAX ? row + 30 : COLUMN_ROWS_MAX;
        rounds_start(&append);
        for (uint32_t i = row; i < next; i++)
            append_row(slots, columns, full, full_count, i, &memory);
        rounds_stop(&append, (double)OPEN_SLOTS * (next - row));
    }
    rounds_start(&decode);
    uint64_t decoded = 0;
    for (uint32_t i = 0; i < OPEN_SLOTS; i++) {
        double values[COLUMN_ROWS_MAX];
        uint64_t present[4];
        struct open_column_view view = open_column_view(&slots[i]);
        decoded += open_column_decode(&view, COLUMN_ROWS_MAX, values, present);
    }
    rounds_stop(&decode, (double)decoded);
    if (full_count > 0) {
        report_add(bench->report, "seal/open append, 500k slots", "ns/sample", &append, 1);
        report_add(bench->report, "seal/open decode, 500k slots", "ns/sample", &decode, 1);
        report_add_value(bench->report, "seal size/open buffers", "B/sample",
                         (double)slab_used_bytes(pool) / ((double)OPEN_SLOTS * COLUMN_ROWS_MAX));
    }
    mem_free(MEM_TEST, full);
    mem_free(MEM_TEST, slots);
    slab_pool_destroy(pool);
}

void bench_seal(struct bench *bench)
{
    struct bench_columns columns;
    for_each_set(bench, seal_corpus);
    columns_init(&columns, bench_corpus(bench));
    bench_open_columns(bench, &columns);
    columns_deinit(&columns);
}

static void decode_corpus(struct bench *bench, const struct corpus *corpus, const char *set)
{
    struct bench_columns columns;
    struct rounds rounds = {0};
    columns_init(&columns, corpus);
    seal_all(&columns, SEAL_SEARCH, NULL);
    decode_all(&columns, true);
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        rounds_start(&rounds);
        decode_all(&columns, false);
        rounds_stop(&rounds, (double)columns.value_count);
    }
    report_named(bench, "decode", set, column_kernels_name(), "ns/sample", &rounds, 0);
    columns_deinit(&columns);
}

void bench_decode(struct bench *bench)
{
    for_each_set(bench, decode_corpus);
}
