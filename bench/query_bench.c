/* query_bench FOLDER [SERIES] [SAMPLES] [THREADS] [ONLY]: times PromQL queries over a fresh
 * database.
 *
 * Fills FOLDER (which must not exist) with SERIES counters at 15 s, flushes them to a block and
 * runs each query three times; prints the best time and the samples looked at per second. One JSON
 * line a query.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/clock.h"
#include "narthex/query/engine.h"
#include "narthex/tsdb/db.h"

enum { INTERVAL_MS = 15000, SERIES_PER_SOURCE = 1000, RUNS = 3 };

struct options {
    const char *path;
    uint32_t series;
    uint32_t samples;
    uint32_t threads;
};

static void check(err_t err, struct strbuf *why)
{
    if (err == OK)
        return;
    fprintf(stderr, "query_bench: %s: %s\n", err_name(err), strbuf_cstr(why));
    exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void make_series(struct appender *appender, uint32_t first, uint32_t count, series_ref *refs,
                        struct strbuf *why)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = first + i;
        char instance[24];
        char cpu[24];
        static const char *const modes[] = {"idle", "iowait", "system", "user"};
        snprintf(instance, sizeof instance, "host-%u:9100", id / 100);
        snprintf(cpu, sizeof cpu, "%u", id / 4 % 25);
        struct label labels[] = {
            {STR("__name__"), STR("node_cpu_seconds_total")}, {STR("cpu"), str_from_cstr(cpu)},
            {STR("instance"), str_from_cstr(instance)},       {STR("job"), STR("node")},
            {STR("mode"), str_from_cstr(modes[id % 4])},
        };
        bool created;
        check(appender_series(appender, (struct labels){labels, 5}, &refs[i], &created, why), why);
    }
}

struct source {
    struct appender *appender;
    source_ref ref;
    uint32_t count;
    series_ref refs[SERIES_PER_SOURCE];
    double values[SERIES_PER_SOURCE];
};

static void commit_row(struct source *source, int64_t t_ms, uint64_t *random, struct strbuf *why)
{
    uint8_t outcomes[SERIES_PER_SOURCE];
    for (uint32_t s = 0; s < source->count; s++)
        source->values[s] += (double)(next_random(random) % 1500) / 100;
    struct append_batch batch = {.count = source->count,
                                 .refs = source->refs,
                                 .t_all_ms = t_ms,
                                 .values = source->values,
                                 .outcomes = outcomes};
    check(appender_add(source->appender, &batch, why), why);
    for (uint32_t s = 0; s < source->count; s++)
        check((err_t)outcomes[s], why);
    check(appender_commit(source->appender, why), why);
}

/* Sources take turns: a database refuses what is much older than its newest sample. */
static void fill(struct storage *storage, const struct options *options, struct strbuf *why)
{
    uint32_t count = (options->series + SERIES_PER_SOURCE - 1) / SERIES_PER_SOURCE;
    struct source *sources = MEM_NEW_ARRAY(MEM_TEST, struct source, count);
    uint64_t random = 88172645463325252u;
    struct append_options append = {.t_max_ms = 0};
    for (uint32_t i = 0; i < options->samples; i++) {
        for (uint32_t k = 0; k < count; k++) {
            struct source *source = &sources[k];
            uint32_t first = k * SERIES_PER_SOURCE;
            if (i == 0) {
                check(storage_appender_open(storage, &source->appender, why), why);
                source->ref = storage_source_open(storage, k + 1);
                source->count = options->series - first < SERIES_PER_SOURCE
                                    ? options->series - first
                                    : SERIES_PER_SOURCE;
            }
            appender_begin(source->appender, source->ref, &append);
            if (i == 0)
                make_series(source->appender, first, source->count, source->refs, why);
            commit_row(source, (int64_t)i * INTERVAL_MS, &random, why);
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        appender_close(sources[k].appender);
        storage_source_close(storage, sources[k].ref);
    }
    mem_free(MEM_TEST, sources);
}

static void run_query(struct query_engine *engine, const struct options *options, const char *text,
                      int64_t step_ms)
{
    const struct clock *clock = clock_system();
    int64_t end_ms = (int64_t)options->samples * INTERVAL_MS;
    struct query_request request = {
        .text = str_from_cstr(text),
        .range = step_ms > 0,
        .start_ms = step_ms > 0 ? 300000 : end_ms - 5000,
        .end_ms = end_ms - 5000,
        .step_ms = step_ms,
    };
    double best_s = INFINITY;
    struct query_stats stats = {0};
    size_t series = 0;
    struct strbuf why = STRBUF_INIT;
    for (int i = 0; i < RUNS; i++) {
        struct query_result *result;
        int64_t from_ns = clock_monotonic_ns(clock);
        check(query_run(engine, &request, &result, &why), &why);
        double seconds = (double)(clock_monotonic_ns(clock) - from_ns) / 1e9;
        best_s = fmin(best_s, seconds);
        stats = result->stats;
        series = result->series_count;
        query_result_destroy(result);
    }
    printf("{\"query\": \"%s\", \"step_ms\": %lld, \"best_ms\": %.3f, \"series\": %zu, "
           "\"samples_read\": %lld, \"msamples_per_s\": %.1f}\n",
           text, (long long)step_ms, best_s * 1e3, series, (long long)stats.samples_read,
           (double)stats.samples_read / best_s / 1e6);
    fflush(stdout);
    strbuf_deinit(&why);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "use: query_bench FOLDER [SERIES] [SAMPLES] [THREADS] [ONLY]\n");
        return 2;
    }
    struct options options = {
        .path = argv[1],
        .series = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000,
        .samples = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1440,
        .threads = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0,
    };
    struct strbuf why = STRBUF_INIT;
    struct db_options db_options = {.path = options.path, .no_background = true};
    struct db *db;
    check(db_open(&db_options, &db, &why), &why);
    fill(db_storage(db), &options, &why);
    if (db_flush_head(db, &why) != OK)
        fprintf(stderr, "query_bench: reading from the head: %s\n", strbuf_cstr(&why));
    struct query_engine_options engine_options = {
        .storage = db_storage(db), .threads = options.threads, .max_samples = 500000000};
    struct query_engine *engine = query_engine_create(&engine_options);
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
        {"rate(node_cpu_seconds_total[5m]) / on (instance, cpu, mode) node_cpu_seconds_total",
         60000},
        {"max_over_time(sum(rate(node_cpu_seconds_total[1m]))[30m:1m])", 300000},
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        if (argc > 5 && strstr(queries[i].text, argv[5]) == NULL)
            continue;
        run_query(engine, &options, queries[i].text, queries[i].step_ms);
    }
    query_engine_destroy(engine);
    db_close(db);
    strbuf_deinit(&why);
    return 0;
}
