/* tsdb-bench ingest: rows of many targets through the appender of a whole database. */
#include "tsdb_bench.h"

enum { SERIES_DEFAULT = 100000, WARM_UP_ROWS = 20, ROWS_PER_ROUND = 10 };

void bench_ingest(struct bench *bench)
{
    uint32_t wanted = bench->options.series > 0 ? bench->options.series : SERIES_DEFAULT;
    struct fleet *fleet = fleet_create(bench_corpus(bench), wanted, bench->options.seed);
    struct db *db = bench_db_open(bench, "ingest");
    struct rounds create = {0}, commit = {0}, maintain = {0};
    bench_check(bench, fleet_attach(fleet, db_storage(db), &bench->why));

    uint64_t samples = fleet_render(fleet);
    rounds_start(&create);
    bench_check(bench, fleet_commit(fleet, &bench->why));
    rounds_stop(&create, (double)samples);
    bench_fill(bench, db, fleet, WARM_UP_ROWS);
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        struct rounds rows = {0};
        samples = 0;
        double ns = 0;
        for (uint32_t i = 0; i < ROWS_PER_ROUND; i++) {
            uint64_t count = fleet_render(fleet);
            rounds_start(&rows);
            bench_check(bench, fleet_commit(fleet, &bench->why));
            rounds_stop(&rows, (double)count);
            ns += rows.ns[i] * (double)count;
            samples += count;
        }
        commit.ns[commit.count++] = ns / (double)samples;
        commit.cycles += rows.cycles;
        commit.instructions += rows.instructions;
        commit.units += rows.units;
        rounds_start(&maintain);
        bench_check(bench, db_maintain(db, &bench->why));
        rounds_stop(&maintain, (double)samples);
    }
    report_add_value(bench->report, "ingest/series", "series", fleet_series_count(fleet));
    report_add(bench->report, "ingest/create", "ns/series", &create, 1);
    report_add(bench->report, "ingest/append+commit", "ns/sample", &commit, 1);
    report_add(bench->report, "ingest/sync+seal", "ns/sample", &maintain, 1);
    fleet_detach(fleet);
    db_close(db);
    fleet_destroy(fleet);
}
