/* CPU time of a scrape without network and storage: recorded bodies through the parser, the
 * positional cache and the batches, into a store that only counts.
 *
 *     scrape_corpus FOLDER [PASSES]
 *
 * FOLDER holds the bodies of one target, one file a scrape, in the order of their names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "scrape_shard.h"

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

/* ---- bodies ---- */

struct bodies {
    struct strbuf *items;
    size_t count;
};

static int load(const char *folder, struct bodies *bodies)
{
    struct strbuf why = STRBUF_INIT;
    struct fs_list list;
    if (fs_list_dir(folder, &list, &why) != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
        return 1;
    }
    bodies->items = MEM_NEW_ARRAY(MEM_TEST, struct strbuf, list.count + 1);
    for (size_t i = 0; i < list.count; i++) {
        struct strbuf path = STRBUF_INIT;
        strbuf_printf(&path, "%s/%s", folder, list.names[i]);
        if (fs_read_file(strbuf_cstr(&path), 1 << 28, &bodies->items[bodies->count], &why) == OK)
            bodies->count++;
        strbuf_deinit(&path);
    }
    fs_list_free(&list);
    strbuf_deinit(&why);
    return 0;
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start_loop(struct scrape_loop *loop, struct scrape_shard *shard, struct scrape_job *job)
{
    struct label_builder builder = {0};
    struct strbuf why = STRBUF_INIT;
    const struct label address = {STR("__address__"), STR("localhost:9100")};
    if (scrape_target_create(job, (struct labels){&address, 1}, (struct labels){0}, &builder,
                             &loop->target, &why) != TARGET_KEPT)
        abort();
    label_builder_deinit(&builder);
    loop->shard = shard;
    loop->scrape = 2;
}

static void run(struct scrape_loop *loop, const struct bodies *bodies, int pass)
{
    uint64_t samples = 0;
    uint64_t bytes = 0;
    uint64_t added = 0;
    double started = cpu_s();
    for (size_t i = 0; i < bodies->count; i++) {
        struct scrape_outcome outcome = {0};
        loop->t_ms += 15000;
        scrape_commit(loop, true, strbuf_str(&bodies->items[i]), EXPOSITION_TEXT, &outcome,
                      &loop->shard->why);
        if (outcome.failed)
            printf("scrape %zu failed: %s\n", i, strbuf_cstr(&loop->shard->why));
        samples += outcome.result.scraped;
        added += outcome.result.series_added;
        bytes += bodies->items[i].size;
    }
    double seconds = cpu_s() - started;
    printf("pass %d: %zu scrapes, %.1f samples each, %llu series added, %.1f ns a sample, "
           "%.2f GB/s, cache %.1f bytes a sample\n",
           pass, bodies->count, (double)samples / (double)bodies->count, (unsigned long long)added,
           seconds * 1e9 / (double)samples, (double)bytes / seconds / 1e9,
           (double)loop->cache.count * sizeof *loop->cache.lines * (double)bodies->count /
               (double)samples);
}

int main(int argc, char **argv)
{
    struct bodies bodies = {0};
    if (argc < 2 || load(argv[1], &bodies) != 0 || bodies.count == 0) {
        fprintf(stderr, "usage: scrape_corpus FOLDER [PASSES]\n");
        return 2;
    }
    const struct scrape_config config = {.job_name = STR("node"),
                                         .interval_ms = 15000,
                                         .timeout_ms = 10000,
                                         .metrics_path = STR("/metrics"),
                                         .scheme = STR("http"),
                                         .honor_timestamps = true,
                                         .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                                         .protocol_count = 1};
    null_store.storage.ops = &null_storage_ops;
    null_store.appender.ops = &null_appender_ops;
    struct scrape_manager_options options = {.storage = &null_store.storage,
                                             .clock = clock_system()};
    static struct scrape_metrics metrics;
    static struct scrape_shard shard;
    static struct scrape_loop loop;
    static struct scrape_ingest ingest;
    struct scrape_job *job;
    struct scrape_job_set *set = scrape_job_set_create(NULL, NULL);
    if (scrape_job_create(set, &config, &job, &shard.why) != OK)
        return 1;
    shard.options = (struct scrape_shard_options){.manager = &options, .metrics = &metrics};
    shard.appender = &null_store.appender;
    shard.ingest = &ingest;
    scrape_ingest_init(&ingest);
    start_loop(&loop, &shard, job);
    int passes = argc > 2 ? atoi(argv[2]) : 5;
    for (int pass = 1; pass <= passes; pass++)
        run(&loop, &bodies, pass);
    return 0;
}
