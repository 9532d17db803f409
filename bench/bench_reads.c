/* tsdb-bench select, query: finding series, and PromQL over a block of node-like hosts. */
#include <stdio.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/query/engine.h"
#include "tsdb_bench.h"

enum { SELECT_SERIES = 100000, SELECT_ROWS = 120, QUERY_SERIES = 10000, QUERY_ROWS = 1440 };

/* ---- select ---- */

struct matcher_text {
    enum matcher_kind kind;
    const char *name;
    const char *value;
};

static const struct {
    const char *title;
    struct matcher_text matchers[2];
    uint32_t count;
} selections[] = {
    {"one name, one instance",
     {{MATCH_EQUAL, "__name__", "node_load1"}, {MATCH_EQUAL, "instance", "host-1:9100"}},
     2},
    {"all of an instance", {{MATCH_EQUAL, "instance", "host-7:9100"}}, 1},
    {"all of a job", {{MATCH_EQUAL, "job", "node"}}, 1},
    {"name by prefix", {{MATCH_REGEX, "__name__", "node_(cpu|disk|network).*_total"}}, 1},
    {"instance by pattern", {{MATCH_REGEX, "instance", "host-[0-9]*7:9100"}}, 1},
    {"not equal", {{MATCH_EQUAL, "job", "node"}, {MATCH_NOT_EQUAL, "mode", "idle"}}, 2},
    {"every series", {{MATCH_NOT_EQUAL, "__name__", ""}}, 1},
};

static size_t select_once(struct bench *bench, struct storage *storage,
                          const struct matcher *matchers, size_t count, int64_t end_ms)
{
    struct querier *querier;
    struct series_list list;
    struct arena arena;
    const struct select_hints hints = {.start_ms = end_ms - 300000, .end_ms = end_ms};
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    bench_check(bench,
                storage_querier_open(storage, hints.start_ms, end_ms, &querier, &bench->why));
    bench_check(bench, querier_select(querier, (struct selector){matchers, count}, &hints, &arena,
                                      &list, &bench->why));
    size_t found = list.count;
    querier_close(querier);
    arena_deinit(&arena);
    return found;
}

static void time_selection(struct bench *bench, struct storage *storage, size_t index,
                           int64_t end_ms)
{
    struct matcher matchers[2];
    struct rounds rounds = {0};
    char name[64];
    size_t found = 0;
    for (uint32_t i = 0; i < selections[index].count; i++) {
        const struct matcher_text *text = &selections[index].matchers[i];
        bench_check(bench, matcher_init(&matchers[i], text->kind, str_from_cstr(text->name),
                                        str_from_cstr(text->value), &bench->why));
    }
    for (uint32_t round = 0; round <= bench->options.rounds; round++) {
        struct rounds warm_up = {0};
        struct rounds *into = round == 0 ? &warm_up : &rounds;
        rounds_start(into);
        found = select_once(bench, storage, matchers, selections[index].count, end_ms);
        rounds_stop(into, 1);
    }
    snprintf(name, sizeof name, "select/%s (%zu)", selections[index].title, found);
    report_add(bench->report, name, "us", &rounds, 1e3);
    for (uint32_t i = 0; i < selections[index].count; i++)
        matcher_deinit(&matchers[i]);
}

/* Decodes the columns of all series. */
static uint64_t read_all(struct bench *bench, struct storage *storage)
{
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    struct arena arena;
    uint64_t samples = 0;
    const struct select_hints hints = {.start_ms = INT64_MIN, .end_ms = INT64_MAX};
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    bench_check(bench, storage_querier_open(storage, INT64_MIN, INT64_MAX, &querier, &bench->why));
    bench_check(bench,
                querier_select(querier, (struct selector){0}, &hints, &arena, &list, &bench->why));
    bench_check(bench, querier_cursor_open(querier, &hints, &cursor, &bench->why));
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        bench_check(bench,
                    series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &bench->why));
        bench_check(bench, series_cursor_next(cursor, &info, &found, &bench->why));
        while (found) {
            bench_check(bench, series_cursor_decode(cursor, &column, &bench->why));
            samples += column.count;
            bench_check(bench, series_cursor_next(cursor, &info, &found, &bench->why));
        }
    }
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    return samples;
}

static void time_reading_all(struct bench *bench, struct storage *storage, const char *name)
{
    struct rounds rounds = {0};
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        rounds_start(&rounds);
        rounds_stop(&rounds, (double)read_all(bench, storage));
    }
    report_add(bench->report, name, "ns/sample", &rounds, 1);
}

/* Selections and reading everything from the head, then reading it from the block it becomes. */
void bench_select(struct bench *bench)
{
    uint32_t wanted = bench->options.series > 0 ? bench->options.series : SELECT_SERIES;
    struct fleet *fleet = fleet_create(bench_corpus(bench), wanted, bench->options.seed);
    struct db *db = bench_db_open(bench, "select");
    bench_check(bench, fleet_attach(fleet, db_storage(db), &bench->why));
    uint64_t samples = bench_fill(bench, db, fleet, SELECT_ROWS);
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++)
        time_selection(bench, db_storage(db), i, fleet_newest_ms(fleet));
    time_reading_all(bench, db_storage(db), "select/read all from the head");
    struct rounds flush = {0};
    rounds_start(&flush);
    bench_check(bench, db_flush_head(db, &bench->why));
    rounds_stop(&flush, (double)samples);
    report_add(bench->report, "select/flush the head to a block", "ns/sample", &flush, 1);
    time_reading_all(bench, db_storage(db), "select/read all from the block");
    fleet_detach(fleet);
    db_close(db);
    fleet_destroy(fleet);
}

/* ---- query ---- */

static const struct {
    const char *text;
    int64_t step_ms;
} queries[] = {
    {"node_cpu_seconds_total{instance='host-1:9100'}", 0},
    {"sum(rate(node_cpu_seconds_total[5m]))", 0},
    {"sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))", 60000},
    {"sum(rate(node_cpu_seconds_total[5m]))", 15000},
    {"avg without (cpu) (rate(node_cpu_seconds_total{mode='idle'}[5m]))", 30000},
    {"rate(node_cpu_seconds_total{instance='host-1:9100'}[1m])", 15000},
    {"max(max_over_time(node_cpu_seconds_total[1h]))", 60000},
    {"avg_over_time(node_cpu_seconds_total[1h])", 3600000},
    {"topk(5, rate(node_cpu_seconds_total[5m]))", 60000},
    {"count by (mode) (node_cpu_seconds_total)", 60000},
    {"quantile(0.95, node_cpu_seconds_total)", 60000},
    {"rate(node_cpu_seconds_total[5m]) / on (instance, cpu, mode) node_cpu_seconds_total", 60000},
    {"max_over_time(sum(rate(node_cpu_seconds_total[1m]))[30m:1m])", 300000},
    {"predict_linear(node_filesystem_avail_bytes[1h], 86400) < 0", 60000},
    {"count by (__name__) ({__name__!=''})", 0},
    {"sum({__name__=~'node_(cpu|disk|network).*_total'})", 60000},
    {"quantile_over_time(0.95, node_cpu_seconds_total[1h])", 60000},
    {"changes(node_cpu_seconds_total[1h]) + resets(node_cpu_seconds_total[1h])", 60000},
};

static void time_query(struct bench *bench, struct query_engine *engine, size_t index,
                       int64_t start_ms, int64_t end_ms)
{
    int64_t step_ms = queries[index].step_ms;
    const struct query_request request = {.text = str_from_cstr(queries[index].text),
                                          .range = step_ms > 0,
                                          .start_ms = step_ms > 0 ? start_ms : end_ms,
                                          .end_ms = end_ms,
                                          .step_ms = step_ms};
    struct rounds rounds = {.wall = true};
    struct rounds cpu = {.wall = false};
    int64_t samples = 0;
    char name[64];
    for (uint32_t round = 0; round <= bench->options.rounds; round++) {
        struct rounds warm_up = {.wall = true};
        struct rounds *into = round == 0 ? &warm_up : &rounds;
        struct query_result *result;
        rounds_start(&cpu);
        rounds_start(into);
        bench_check(bench, query_run(engine, &request, &result, &bench->why));
        rounds_stop(into, 1);
        if (round > 0)
            rounds_stop(&cpu, 1);
        samples = result->stats.samples_read;
        query_result_destroy(result);
    }
    snprintf(name, sizeof name, "query/%zu %.30s %llds", index + 1, queries[index].text,
             (long long)(step_ms / 1000));
    report_add(bench->report, name, "ms (wall)", &rounds, 1e6);
    snprintf(name, sizeof name, "query/%zu of all threads", index + 1);
    report_add(bench->report, name, "ms (CPU)", &cpu, 1e6);
    snprintf(name, sizeof name, "query/%zu samples read", index + 1);
    report_add_value(bench->report, name, "M/s",
                     (double)samples / (rounds_median(&rounds) / 1e9) / 1e6);
}

void bench_query(struct bench *bench)
{
    uint32_t wanted = bench->options.series > 0 ? bench->options.series : QUERY_SERIES;
    uint32_t rows = bench->options.samples > 0 ? bench->options.samples : QUERY_ROWS;
    struct corpus corpus;
    bench_check(bench,
                corpus_make_shape(&corpus, "node", 1000, rows, bench->options.seed, &bench->why));
    struct fleet *fleet = fleet_create(&corpus, wanted, bench->options.seed);
    struct db *db = bench_db_open(bench, "query");
    bench_check(bench, fleet_attach(fleet, db_storage(db), &bench->why));
    bench_fill(bench, db, fleet, rows);
    bench_check(bench, db_flush_head(db, &bench->why));
    const struct query_engine_options options = {
        .storage = db_storage(db), .threads = bench->options.threads, .max_samples = 500000000};
    struct query_engine *engine = query_engine_create(&options);
    int64_t end_ms = fleet_newest_ms(fleet);
    int64_t start_ms = end_ms - (int64_t)(rows - 20) * FLEET_INTERVAL_MS;
    const char *only = bench->options.only != NULL ? bench->options.only : "";
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (strstr(queries[i].text, only) != NULL)
            time_query(bench, engine, i, start_ms, end_ms);
    query_engine_destroy(engine);
    fleet_detach(fleet);
    db_close(db);
    fleet_destroy(fleet);
    corpus_deinit(&corpus);
}
