/* storage_bench: appending, memory, replay and reading of the database.
 *
 *     storage_bench [targets] [series per target] [rows] [folder]
 *
 * Values: 61 % constant, 30 % integer counters, 9 % gauges with two decimals, as in real scrapes.
 * Ten labels a series. Prints one figure a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

enum { LABELS = 10, STEP_MS = 15000 };

struct bench {
    uint32_t targets;
    uint32_t series;
    uint32_t rows;
    struct db *db;
    struct appender *appender;
    series_ref *refs;
    double *values;
    uint8_t *outcomes;
    uint64_t random;
};

/* Processor time of this thread, so that other jobs on the machine do not count. */
static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const struct strbuf *why)
{
    fprintf(stderr, "%s\n", strbuf_cstr(why));
    exit(1);
}

static uint32_t below(struct bench *bench, uint32_t limit)
{
    bench->random = bench->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(bench->random >> 33) % limit;
}

static void open_db(struct bench *bench, const char *path)
{
    struct strbuf why = STRBUF_INIT;
    struct db_options options = {.path = path, .no_background = true};
    if (db_open(&options, &bench->db, &why) != OK ||
        storage_appender_open(db_storage(bench->db), &bench->appender, &why) != OK)
        die(&why);
    strbuf_deinit(&why);
}

static void add_series(struct bench *bench, uint32_t target, uint32_t number)
{
    static const char *const names[LABELS - 3] = {"cluster", "code",      "env",   "handler",
                                                  "le",      "namespace", "region"};
    char text[LABELS][32];
    struct label labels[LABELS];
    struct strbuf why = STRBUF_INIT;
    snprintf(text[0], sizeof text[0], "metric_name_%u_total", number / 4);
    labels[0] = (struct label){STR("__name__"), str_from_cstr(text[0])};
    for (uint32_t i = 0; i < LABELS - 3; i++) {
        snprintf(text[i + 1], sizeof text[i + 1], "value_%u", i == 4 ? number % 4 : i);
        labels[i + 1] = (struct label){str_from_cstr(names[i]), str_from_cstr(text[i + 1])};
    }
    snprintf(text[8], sizeof text[8], "10.0.%u.%u:9100", target / 256, target % 256);
    labels[8] = (struct label){STR("target"), str_from_cstr(text[8])};
    labels[9] = (struct label){STR("team"), STR("platform")};
    bool created;
    if (appender_series(bench->appender, (struct labels){labels, LABELS},
                        &bench->refs[(size_t)target * bench->series + number], &created,
                        &why) != OK)
        die(&why);
}

static void next_values(struct bench *bench, uint32_t target)
{
    double *values = bench->values + (size_t)target * bench->series;
    for (uint32_t i = 0; i < bench->series; i++) {
        uint32_t kind = i % 100;
        if (kind >= 61 && kind < 91)
            values[i] += below(bench, 20);
        else if (kind >= 91)
            values[i] = (double)below(bench, 10000) / 100;
        else if (values[i] == 0)
            values[i] = i;
    }
}

static double append_row(struct bench *bench, uint32_t row)
{
    struct strbuf why = STRBUF_INIT;
    double seconds = 0;
    for (uint32_t target = 0; target < bench->targets; target++) {
        next_values(bench, target);
        size_t at = (size_t)target * bench->series;
        struct append_batch batch = {
            .count = bench->series,
            .refs = bench->refs + at,
            .t_all_ms = INT64_C(1700000000000) / 7200000 * 7200000 + (int64_t)row * STEP_MS,
            .values = bench->values + at,
            .outcomes = bench->outcomes,
        };
        source_ref source = storage_source_open(db_storage(bench->db), target + 1);
        double start = now_s();
        appender_begin(bench->appender, source, NULL);
        if (row == 0) {
            for (uint32_t i = 0; i < bench->series; i++)
                add_series(bench, target, i);
        }
        if (appender_add(bench->appender, &batch, &why) != OK ||
            appender_commit(bench->appender, &why) != OK)
            die(&why);
        seconds += now_s() - start;
    }
    return seconds;
}

static int64_t head_bytes(void)
{
    return mem_bytes(MEM_HEAD) + mem_bytes(MEM_HEAD_DATA) + mem_bytes(MEM_SYMBOLS) +
           mem_bytes(MEM_POSTINGS) + mem_bytes(MEM_WAL);
}

static void print_memory(const struct bench *bench, const char *when)
{
    double count = (double)bench->targets * bench->series;
    printf("%s: head %.0f bytes/series (records and slots %.0f, samples %.0f, strings %.0f, "
           "postings %.0f, log %.0f)\n",
           when, (double)head_bytes() / count, (double)mem_bytes(MEM_HEAD) / count,
           (double)mem_bytes(MEM_HEAD_DATA) / count, (double)mem_bytes(MEM_SYMBOLS) / count,
           (double)mem_bytes(MEM_POSTINGS) / count, (double)mem_bytes(MEM_WAL) / count);
}

static void read_all(struct bench *bench)
{
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    double start = now_s();
    if (storage_querier_open(db_storage(bench->db), INT64_MIN, INT64_MAX, &querier, &why) != OK ||
        querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &why) != OK ||
        querier_cursor_open(querier, NULL, &cursor, &why) != OK)
        die(&why);
    double selected = now_s();
    uint64_t samples = 0;
    double sum = 0;
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool found = true;
        if (series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &why) != OK)
            die(&why);
        while (series_cursor_next(cursor, &info, &found, &why) == OK && found) {
            if (series_cursor_decode(cursor, &column, &why) != OK)
                die(&why);
            samples += column.count;
            sum += column.values[0];
        }
    }
    double end = now_s();
    printf("select all: %zu series in %.3f s; read: %.2f ns/sample (%llu samples, %g)\n",
           list.count, selected - start, (end - selected) * 1e9 / (double)samples,
           (unsigned long long)samples, sum);
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .targets = argc > 1 ? (uint32_t)atoi(argv[1]) : 100,
        .series = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000,
        .rows = argc > 3 ? (uint32_t)atoi(argv[3]) : 240,
        .random = 1,
    };
    char path[256] = "/tmp/narthex_storage_bench.XXXXXX";
    if (argc > 4)
        snprintf(path, sizeof path, "%s", argv[4]);
    else if (mkdtemp(path) == NULL)
        return 1;
    size_t count = (size_t)bench.targets * bench.series;
    bench.refs = MEM_NEW_ARRAY(MEM_TEST, series_ref, count);
    bench.values = MEM_NEW_ARRAY(MEM_TEST, double, count);
    bench.outcomes = MEM_NEW_ARRAY(MEM_TEST, uint8_t, bench.series);
    struct strbuf why = STRBUF_INIT;
    open_db(&bench, path);

    printf("create: %.0f ns/series\n", append_row(&bench, 0) * 1e9 / (double)count);
    double seconds = 0, sealing = 0;
    for (uint32_t row = 1; row < bench.rows; row++) {
        seconds += append_row(&bench, row);
        if (row == 239)
            print_memory(&bench, "at row 240");
        double start = now_s();
        if (row % 20 == 0 && db_maintain(bench.db, &why) != OK)
            die(&why);
        sealing += now_s() - start;
    }
    double samples = (double)count * (bench.rows - 1);
    printf("append: %.1f ns/sample, maintenance %.1f ns/sample\n", seconds * 1e9 / samples,
           sealing * 1e9 / samples);
    print_memory(&bench, "at the end");
    printf("log: %.3f bytes/sample\n", (double)fs_tree_bytes(path) / samples);
    read_all(&bench);

    appender_close(bench.appender);
    db_close(bench.db);
    double start = now_s();
    open_db(&bench, path);
    seconds = now_s() - start;
    printf("replay: %.3f s, %.1f ns/sample\n", seconds, seconds * 1e9 / samples);
    print_memory(&bench, "after the replay");
    start = now_s();
    if (db_flush_head(bench.db, &why) != OK)
        die(&why);
    printf("flush to blocks: %.3f s, %.1f ns/sample\n", now_s() - start,
           (now_s() - start) * 1e9 / samples);
    struct db_block_info *infos;
    size_t block_count = db_blocks(bench.db, &infos);
    uint64_t bytes = 0;
    for (size_t i = 0; i < block_count; i++)
        bytes += infos[i].bytes;
    mem_free(MEM_BLOCK, infos);
    printf("blocks: %.3f bytes/sample\n", (double)bytes / samples);
    read_all(&bench);
    appender_close(bench.appender);
    db_close(bench.db);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("peak memory %ld MiB\n", usage.ru_maxrss / 1024);
    if (argc <= 4 && fs_remove_tree(fs_system(), path, &why) != OK)
        die(&why);
    return 0;
}
