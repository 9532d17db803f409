/* tsdb-bench histograms: native histograms in their open and sealed forms, beside what chunks of
 * Prometheus need for the same samples.
 *
 * Sets: `latency` and `idle` have schema 3 and log-normal observations, 0.3 to 300 of them or 0.02
 * a scrape; `custom` has twelve custom bounds. One series after another is taken through 480 rows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"
#include "narthex/tsdb/open_histograms.h"
#include "prometheus_chunk.h"
#include "tsdb_bench.h"

enum {
    SERIES_DEFAULT = 200,
    SERIES_ROWS = 2 * COLUMN_ROWS_MAX,
    INDEX_MIN = -100,
    INDEX_COUNT = 200,
    BOUNDS = 12,
    SHORT_ROWS = 30, /* of an open window in a database */
};

static const double bounds[BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                      0.5,   1,    2.5,   5,    10,  INFINITY};

struct bench_set {
    const char *name;
    double rate_min, rate_max;
    bool custom;
};

static const struct bench_set sets[] = {
    {"latency", 0.3, 300, false},
    {"idle", 0.02, 0.02, false},
    {"custom", 0.3, 300, true},
};

struct bench_series {
    uint64_t random;
    double rate, mu, sigma, sum;
    uint64_t counts[INDEX_COUNT];
    uint64_t total;
};

/* What a set took, added up over its series. */
struct totals {
    uint64_t rows, buckets;
    uint64_t open, open_full, settled, short_columns, columns;
    uint64_t chunks;
    struct rounds append, encode, decode;
};

static double uniform(struct bench_series *series)
{
    series->random = series->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(series->random >> 11) + 0.5) * 0x1p-53;
}

static void observe(struct bench_series *series, bool custom)
{
    double normal = sqrt(-2 * log(uniform(series))) * cos(2 * M_PI * uniform(series));
    double value = exp(series->mu + series->sigma * normal);
    int index = (int)ceil(log2(value) * 8) - INDEX_MIN;
    if (custom)
        for (index = 0; index < BOUNDS - 1 && value > bounds[index]; index++)
            ;
    if (index < 0 || index >= INDEX_COUNT)
        return;
    series->counts[index]++;
    series->total++;
    series->sum += value;
}

/* The histogram as a client library would give it: gaps of two buckets are bridged. */
static struct histogram snapshot(const struct bench_series *series, bool custom,
                                 struct arena *arena)
{
    struct histogram_span *spans = ARENA_NEW_ARRAY(arena, struct histogram_span, INDEX_COUNT);
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, INDEX_COUNT);
    struct histogram_side side = {.spans = spans, .counts = counts};
    int32_t end = 0;
    for (int32_t i = 0; i < INDEX_COUNT; i++) {
        if (series->counts[i] == 0)
            continue;
        int32_t index = custom ? i : i + INDEX_MIN;
        if (side.span_count > 0 && index - end <= 2) {
            spans[side.span_count - 1].length += (uint32_t)(index - end) + 1;
            side.bucket_count += (uint32_t)(index - end);
        } else {
            spans[side.span_count++] = (struct histogram_span){index - end, 1};
        }
        counts[side.bucket_count++].i = series->counts[i];
        end = index + 1;
    }
    return (struct histogram){
        .schema = custom ? HISTOGRAM_SCHEMA_CUSTOM : 3,
        .zero_threshold = custom ? 0 : 0x1p-128,
        .count.i = series->total,
        .sum = series->sum,
        .positive = side,
        .custom_values = custom ? bounds : NULL,
        .custom_value_count = custom ? BOUNDS - 1 : 0,
    };
}

static void make_rows(const struct bench_set *set, uint64_t seed, struct arena *arena,
                      struct histogram *rows)
{
    struct bench_series series = {.random = seed * 977 + 1};
    series.rate = set->rate_min * pow(set->rate_max / set->rate_min, uniform(&series));
    series.mu = -7 * uniform(&series);
    series.sigma = 0.3 + 0.7 * uniform(&series);
    for (uint32_t row = 0; row < SERIES_ROWS; row++) {
        int count = (int)(series.rate * (0.5 + uniform(&series)) + uniform(&series));
        for (int i = 0; i < count; i++)
            observe(&series, set->custom);
        rows[row] = snapshot(&series, set->custom, arena);
    }
}

static void append_rows(struct open_histograms *slot, const struct histogram *rows, uint32_t count,
                        struct strbuf *bytes, uint64_t *size_sum)
{
    struct open_histograms_memory memory = {NULL, NULL};
    struct strbuf why = STRBUF_INIT;
    for (uint32_t row = 0; row < count; row++) {
        strbuf_clear(bytes);
        histogram_encode(bytes, &rows[row]);
        if (open_histograms_append(slot, row, strbuf_str(bytes), &memory, &why) != OK)
            abort();
        *size_sum += open_histograms_size(slot);
    }
    strbuf_deinit(&why);
}

static void check_column(const struct strbuf *column, const struct histogram *rows,
                         struct rounds *decode)
{
    struct histogram back[COLUMN_ROWS_MAX];
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    rounds_start(decode);
    err_t err = histogram_column_decode((const uint8_t *)column->data, column->size,
                                        COLUMN_ROWS_MAX, false, &arena, back, &why);
    rounds_stop(decode, COLUMN_ROWS_MAX);
    for (uint32_t i = 0; i < COLUMN_ROWS_MAX; i++) {
        if (err != OK || !histogram_identical(&rows[i], &back[i])) {
            fprintf(stderr, "tsdb-bench: histogram %u does not come back\n", i);
            exit(1);
        }
    }
    arena_deinit(&arena);
    strbuf_deinit(&why);
}

/* Keeps the first rounds: the later ones are of other series. */
static void keep_room(struct rounds *rounds)
{
    if (rounds->count == ROUNDS_MAX)
        rounds->count--;
}

static void measure_window(const struct histogram *rows, struct totals *totals)
{
    struct strbuf bytes = STRBUF_INIT, column = STRBUF_INIT;
    struct open_histograms slot = {.last = NULL}, long_slot = {.last = NULL};
    uint64_t unused = 0;
    keep_room(&totals->append);
    rounds_start(&totals->append);
    append_rows(&slot, rows, SHORT_ROWS, &bytes, &totals->open);
    rounds_stop(&totals->append, SHORT_ROWS);
    totals->open_full += open_histograms_size(&slot);
    append_rows(&long_slot, rows, COLUMN_ROWS_MAX, &bytes, &unused);
    totals->settled += open_histograms_size(&long_slot);
    for (uint32_t from = 0; from < COLUMN_ROWS_MAX; from += SHORT_ROWS)
        histogram_column_encode(&column, rows + from, SHORT_ROWS);
    totals->short_columns += column.size;
    strbuf_clear(&column);
    keep_room(&totals->encode);
    rounds_start(&totals->encode);
    histogram_column_encode(&column, rows, COLUMN_ROWS_MAX);
    rounds_stop(&totals->encode, COLUMN_ROWS_MAX);
    totals->columns += column.size;
    keep_room(&totals->decode);
    check_column(&column, rows, &totals->decode);
    totals->rows += COLUMN_ROWS_MAX;
    for (uint32_t i = 0; i < COLUMN_ROWS_MAX; i++)
        totals->buckets += rows[i].positive.bucket_count;
    open_histograms_free(&slot);
    open_histograms_free(&long_slot);
    strbuf_deinit(&bytes);
    strbuf_deinit(&column);
}

static void add_value(struct bench *bench, const char *set, const char *what, const char *unit,
                      double value)
{
    char name[64];
    snprintf(name, sizeof name, "histograms/%s %s", set, what);
    report_add_value(bench->report, name, unit, value);
}

static void add_rounds(struct bench *bench, const char *set, const char *what,
                       const struct rounds *rounds)
{
    char name[64];
    snprintf(name, sizeof name, "histograms/%s %s", set, what);
    report_add(bench->report, name, "ns/sample", rounds, 1);
}

static void measure_set(struct bench *bench, const struct bench_set *set)
{
    struct totals *totals = MEM_NEW(MEM_TEST, struct totals);
    struct histogram *rows = MEM_NEW_ARRAY(MEM_TEST, struct histogram, SERIES_ROWS);
    uint32_t series_count =
        bench->options.series > 0 ? bench->options.series : (uint32_t)SERIES_DEFAULT;
    for (uint32_t series = 0; series < series_count; series++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        make_rows(set, bench->options.seed + series, &arena, rows);
        for (uint32_t from = 0; from < SERIES_ROWS; from += COLUMN_ROWS_MAX)
            measure_window(rows + from, totals);
        totals->chunks += prometheus_chunk_bytes(rows, SERIES_ROWS);
        arena_deinit(&arena);
    }
    double count = (double)totals->rows, windows = count / COLUMN_ROWS_MAX;
    add_value(bench, set->name, "buckets", "a sample", (double)totals->buckets / count);
    add_value(bench, set->name, "open, fullest row", "B/series",
              (double)totals->open_full / windows);
    add_value(bench, set->name, "open, mean row", "B/series",
              (double)totals->open / windows / SHORT_ROWS);
    add_value(bench, set->name, "open, 240 rows", "B/series", (double)totals->settled / windows);
    add_value(bench, set->name, "sealed, 30 rows", "B/sample",
              (double)totals->short_columns / count);
    add_value(bench, set->name, "sealed, 240 rows", "B/sample", (double)totals->columns / count);
    add_value(bench, set->name, "Prometheus chunks", "B/sample", (double)totals->chunks / count);
    add_rounds(bench, set->name, "append", &totals->append);
    add_rounds(bench, set->name, "seal", &totals->encode);
    add_rounds(bench, set->name, "decode", &totals->decode);
    mem_free(MEM_TEST, rows);
    mem_free(MEM_TEST, totals);
}

void bench_histograms(struct bench *bench)
{
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        measure_set(bench, &sets[i]);
}
