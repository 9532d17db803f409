/* tsdb-bench parse: recorded bodies through the parser alone, and through parser, positional cache
 * and batches of the scraper into a store that only counts: a scrape without network and storage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/model/exposition.h"
#include "scrape_shard.h"
#include "tsdb_bench.h"

/* ---- a store that only counts ---- */

struct null_store {
    struct storage storage;
    struct appender appender;
    series_ref last_ref;
    uint64_t samples;
};

static struct null_store null_store;

static void null_begin(struct appender *appender, source_ref source,
                       const struct append_options *options)
{
    (void)appender;
    (void)source;
    (void)options;
}

static err_t null_series(struct appender *appender, struct labels labels, series_ref *ref,
                         bool *created, struct strbuf *why)
{
    (void)appender;
    (void)labels;
    (void)why;
    *ref = ++null_store.last_ref;
    *created = true;
    return OK;
}

static err_t null_add(struct appender *appender, const struct append_batch *batch,
                      struct strbuf *why)
{
    (void)appender;
    (void)why;
    memset(batch->outcomes, OK, batch->count);
    null_store.samples += batch->count;
    return OK;
}

static err_t null_commit(struct appender *appender, struct strbuf *why)
{
    (void)appender;
    (void)why;
    return OK;
}

static void null_rollback(struct appender *appender)
{
    (void)appender;
}

static source_ref null_source_open(struct storage *storage, uint64_t key)
{
    (void)storage;
    return key;
}

static const struct appender_ops null_appender_ops = {
    .begin = null_begin,
    .series = null_series,
    .add = null_add,
    .commit = null_commit,
    .rollback = null_rollback,
};
static const struct storage_ops null_storage_ops = {.source_open = null_source_open};

/* ---- measuring ---- */

/* The first scrapes of every job. */
struct bodies {
    struct strbuf *items;
    uint32_t count;
    double bytes;
};

/* A corpus without recorded text is rendered. */
static void bodies_init(struct bodies *bodies, const struct corpus_job *job)
{
    enum { RENDERED = 60 };
    bodies->count = job->body_count > 0         ? job->body_count
                    : job->row_count < RENDERED ? job->row_count
                                                : RENDERED;
    bodies->items = MEM_NEW_ARRAY(MEM_TEST, struct strbuf, bodies->count + 1);
    bodies->bytes = 0;
    for (uint32_t i = 0; i < bodies->count; i++) {
        if (job->body_count > 0)
            strbuf_add_str(&bodies->items[i], strbuf_str(&job->bodies[i]));
        else
            corpus_job_render(job, job->values + (size_t)i * job->series_count, 0,
                              &bodies->items[i]);
        bodies->bytes += (double)bodies->items[i].size;
    }
}

static void bodies_deinit(struct bodies *bodies)
{
    for (uint32_t i = 0; i < bodies->count; i++)
        strbuf_deinit(&bodies->items[i]);
    mem_free(MEM_TEST, bodies->items);
}

static uint64_t parse_body(struct bench *bench, struct exposition *exposition, struct str body)
{
    const struct exposition_options options = {0};
    struct exposition_entry entry;
    uint64_t samples = 0;
    exposition_start(exposition, EXPOSITION_TEXT, &options, body);
    do {
        bench_check(bench, exposition_next(exposition, &entry, &bench->why));
        samples += entry.kind == EXPOSITION_SAMPLE;
    } while (entry.kind != EXPOSITION_END);
    return samples;
}

static void time_parse(struct bench *bench, const char *job, const struct bodies *bodies)
{
    struct exposition *exposition = exposition_create();
    struct rounds rounds = {0};
    char name[64];
    for (uint32_t round = 0; round < bench->options.rounds; round++) {
        uint64_t samples = 0;
        rounds_start(&rounds);
        for (uint32_t i = 0; i < bodies->count; i++)
            samples += parse_body(bench, exposition, strbuf_str(&bodies->items[i]));
        rounds_stop(&rounds, (double)samples);
    }
    exposition_destroy(exposition);
    snprintf(name, sizeof name, "parse/%s, parser alone", job);
    report_add(bench->report, name, "ns/sample", &rounds, 1);
}

static void loop_init(struct bench *bench, struct scrape_loop *loop, struct scrape_shard *shard,
                      struct scrape_job *job)
{
    struct label_builder builder = {0};
    const struct label address = {STR("__address__"), STR("localhost:9100")};
    if (scrape_target_create(job, (struct labels){&address, 1}, (struct labels){0}, &builder,
                             &loop->target, &bench->why) != TARGET_KEPT)
        abort();
    label_builder_deinit(&builder);
    loop->shard = shard;
    loop->scrape = 2;
}

static void time_loop(struct bench *bench, struct scrape_loop *loop, const char *job,
                      const struct bodies *bodies)
{
    struct rounds rounds = {0};
    char name[64];
    for (uint32_t round = 0; round <= bench->options.rounds; round++) {
        struct rounds warm_up = {0};
        struct rounds *into = round == 0 ? &warm_up : &rounds;
        uint64_t samples = 0;
        rounds_start(into);
        for (uint32_t i = 0; i < bodies->count; i++) {
            struct scrape_outcome outcome = {0};
            loop->t_ms += 15000;
            scrape_commit(loop, true, strbuf_str(&bodies->items[i]), EXPOSITION_TEXT, &outcome,
                          &loop->shard->why);
            if (outcome.failed)
                bench_check(bench, err_fail(&bench->why, ERR_INVALID, "scrape %u of %s: %s", i, job,
                                            strbuf_cstr(&loop->shard->why)));
            samples += outcome.result.scraped;
        }
        rounds_stop(into, (double)samples);
    }
    snprintf(name, sizeof name, "parse/%s, whole scrape", job);
    report_add(bench->report, name, "ns/sample", &rounds, 1);
}

/* The loop and all it refers to live until the program ends, as a server's do. */
static void time_scrape(struct bench *bench, const char *job_name, const struct bodies *bodies)
{
    const struct scrape_config config = {.job_name = STR("bench"),
                                         .interval_ms = 15000,
                                         .timeout_ms = 10000,
                                         .metrics_path = STR("/metrics"),
                                         .scheme = STR("http"),
                                         .honor_timestamps = true,
                                         .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                                         .protocol_count = 1};
    static struct scrape_metrics metrics;
    static struct scrape_ingest ingest;
    static bool ready;
    const struct scrape_manager_options options = {.storage = &null_store.storage,
                                                   .clock = clock_system()};
    struct scrape_shard *shard = MEM_NEW(MEM_TEST, struct scrape_shard);
    struct scrape_loop *loop = MEM_NEW(MEM_TEST, struct scrape_loop);
    struct scrape_job *job;
    null_store.storage.ops = &null_storage_ops;
    null_store.appender.ops = &null_appender_ops;
    if (!ready)
        scrape_ingest_init(&ingest);
    ready = true;
    bench_check(bench,
                scrape_job_create(scrape_job_set_create(NULL, NULL), &config, &job, &bench->why));
    shard->options = (struct scrape_shard_options){.manager = &options, .metrics = &metrics};
    shard->appender = &null_store.appender;
    shard->ingest = &ingest;
    loop_init(bench, loop, shard, job);
    time_loop(bench, loop, job_name, bodies);
}

void bench_parse(struct bench *bench)
{
    const struct corpus *corpus = bench_corpus(bench);
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        struct bodies bodies;
        bodies_init(&bodies, &corpus->jobs[i]);
        time_parse(bench, corpus->jobs[i].name, &bodies);
        time_scrape(bench, corpus->jobs[i].name, &bodies);
        bodies_deinit(&bodies);
    }
}
