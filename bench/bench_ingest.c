/* tsdb-bench ingest: rows of many targets through the appender of a whole database, and of a head
 * without a log. */
#include <stdio.h>

#include "narthex/tsdb/head.h"
#include "tsdb_bench.h"

enum { SERIES_DEFAULT = 100000, WARM_UP_ROWS = 20, ROWS_PER_ROUND = 10 };

/* What takes the rows. */
struct store {
    const char *name;
    struct storage *storage;
    err_t (*maintain)(void *owner, struct strbuf *why); /* syncs, seals, merges */
    void *owner;
};

/* ---- a head alone ---- */

struct head_store {
    struct storage storage; /* first */
    struct head *head;
};

static source_ref head_op_source_open(struct storage *storage, uint64_t key)
{
    return head_source_open(((struct head_store *)storage)->head, key);
}

static void head_op_source_close(struct storage *storage, source_ref source)
{
    head_source_close(((struct head_store *)storage)->head, source);
}

static err_t head_op_appender_open(struct storage *storage, struct appender **appender,
                                   struct strbuf *why)
{
    return head_appender_open(((struct head_store *)storage)->head, appender, why);
}

static const struct storage_ops head_ops = {
    .source_open = head_op_source_open,
    .source_close = head_op_source_close,
    .appender_open = head_op_appender_open,
};

static err_t head_maintain(void *owner, struct strbuf *why)
{
    struct head_store *store = owner;
    (void)why;
    head_seal(store->head, 0);
    head_reclaim(store->head);
    return OK;
}

/* ---- measuring ---- */

static err_t database_maintain(void *owner, struct strbuf *why)
{
    return db_maintain(owner, why);
}

static void append_rows(struct bench *bench, struct fleet *fleet, struct rounds *commit,
                        uint64_t *samples)
{
    struct rounds rows = {0};
    double ns = 0;
    *samples = 0;
    for (uint32_t i = 0; i < ROWS_PER_ROUND; i++) {
        uint64_t count = fleet_render(fleet);
        rounds_start(&rows);
        bench_check(bench, fleet_commit(fleet, &bench->why));
        rounds_stop(&rows, (double)count);
        ns += rows.ns[i] * (double)count;
        *samples += count;
    }
    commit->ns[commit->count++] = ns / (double)*samples;
    commit->cycles += rows.cycles;
    commit->instructions += rows.instructions;
    commit->units += rows.units;
}

static void add(struct bench *bench, const struct store *store, const char *what, const char *unit,
                const struct rounds *rounds)
{
    char name[64];
    snprintf(name, sizeof name, "ingest/%s%s", store->name, what);
    report_add(bench->report, name, unit, rounds, 1);
}

static double mean(const struct rounds *rounds)
{
    double sum = 0;
    for (uint32_t i = 0; i < rounds->count; i++)
        sum += rounds->ns[i];
    return rounds->count == 0 ? 0 : sum / rounds->count;
}

static void measure(struct bench *bench, struct fleet *fleet, const struct store *store)
{
    struct rounds create = {0}, commit = {0}, maintain = {0};
    bench_check(bench, fleet_attach(fleet, store->storage, &bench->why));
    uint64_t samples = fleet_render(fleet);
    rounds_start(&create);
    bench_check(bench, fleet_commit(fleet, &bench->why));
    rounds_stop(&create, (double)samples);
    for (uint32_t row = 0; row < WARM_UP_ROWS; row++) {
        fleet_render(fleet);
        bench_check(bench, fleet_commit(fleet, &bench->why));
    }
    bench_check(bench, store->maintain(store->owner, &bench->why));
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        append_rows(bench, fleet, &commit, &samples);
        rounds_start(&maintain);
        bench_check(bench, store->maintain(store->owner, &bench->why));
        rounds_stop(&maintain, (double)samples);
    }
    add(bench, store, "create", "ns/series", &create);
    add(bench, store, "append+commit", "ns/sample", &commit);
    add(bench, store, "sync+seal", "ns/sample", &maintain);
    /* Windows may all end in one round: only the mean tells what sealing costs a sample. */
    char name[64];
    snprintf(name, sizeof name, "ingest/%sboth, mean", store->name);
    report_add_value(bench->report, name, "ns/sample", mean(&commit) + mean(&maintain));
    fleet_detach(fleet);
}

void bench_ingest(struct bench *bench)
{
    uint32_t wanted = bench->options.series > 0 ? bench->options.series : SERIES_DEFAULT;
    struct fleet *fleet = fleet_create(bench_corpus(bench), wanted, bench->options.seed);
    struct db *db = bench_db_open(bench, "ingest");
    report_add_value(bench->report, "ingest/series", "series", fleet_series_count(fleet));
    struct store whole = {"", db_storage(db), database_maintain, db};
    measure(bench, fleet, &whole);
    db_close(db);
    fleet_destroy(fleet);

    fleet = fleet_create(bench_corpus(bench), wanted, bench->options.seed);
    struct head_options options = {0};
    struct head_store alone = {{&head_ops}, head_create(&options)};
    struct store head = {"head without a log, ", &alone.storage, head_maintain, &alone};
    measure(bench, fleet, &head);
    head_destroy(alone.head);
    fleet_destroy(fleet);
}
