#include "scrape_fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "narthex/base/mem.h"
#include "scrape_shard.h"

static const int64_t FIRST_MS = INT64_C(1767225600000);

struct scrape_fleet {
    const struct fleet *fleet;
    struct scrape_manager_options options;
    struct scrape_metrics metrics;
    struct scrape_ingest ingest;
    struct scrape_shard *shard;
    struct scrape_loop *loops; /* by target */
    double *values;
    struct strbuf body;
    uint32_t row;
};

static void loop_init(struct scrape_fleet *scraped, struct scrape_job *job, uint32_t index,
                      struct strbuf *why)
{
    struct scrape_loop *loop = &scraped->loops[index];
    struct label_builder builder = {0};
    char address[32], rack[16], zone[16];
    snprintf(address, sizeof address, "host-%u:9100", index);
    snprintf(rack, sizeof rack, "r%u", index / 40);
    snprintf(zone, sizeof zone, "eu-west-%u", index % 3);
    /* What discovery adds in a cluster. */
    const struct label labels[1 + SCRAPE_FLEET_LABELS] = {
        {STR("__address__"), str_from_cstr(address)},
        {STR("cluster"), STR("production-eu")},
        {STR("rack"), str_from_cstr(rack)},
        {STR("region"), STR("eu-west")},
        {STR("team"), STR("platform")},
        {STR("zone"), str_from_cstr(zone)}};
    const struct labels all = {labels, sizeof labels / sizeof *labels};
    if (scrape_target_create(job, all, (struct labels){0}, &builder, &loop->target, why) !=
        TARGET_KEPT)
        abort();
    label_builder_deinit(&builder);
    loop->shard = scraped->shard;
    loop->scrape = 2;
    loop->source = storage_source_open(scraped->options.storage, loop->target->sameness);
}

/* A job refers to its configuration. */
static const struct scrape_config config = {.job_name = {"bench", 5},
                                            .interval_ms = FLEET_INTERVAL_MS,
                                            .timeout_ms = 10000,
                                            .metrics_path = {"/metrics", 8},
                                            .scheme = {"http", 4},
                                            .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                                            .protocol_count = 1};

err_t scrape_fleet_create(const struct fleet *fleet, struct storage *storage,
                          struct scrape_fleet **result, struct strbuf *why)
{
    struct scrape_job *job;
    struct scrape_fleet *scraped = MEM_NEW(MEM_TEST, struct scrape_fleet);
    scraped->fleet = fleet;
    scraped->options = (struct scrape_manager_options){.storage = storage, .clock = clock_system()};
    scraped->shard = MEM_NEW(MEM_SCRAPE, struct scrape_shard);
    scraped->loops = MEM_NEW_ARRAY(MEM_SCRAPE, struct scrape_loop, fleet_target_count(fleet));
    scraped->values = MEM_NEW_ARRAY(MEM_TEST, double, fleet_series_count(fleet));
    scrape_ingest_init(&scraped->ingest);
    scraped->shard->options =
        (struct scrape_shard_options){.manager = &scraped->options, .metrics = &scraped->metrics};
    scraped->shard->ingest = &scraped->ingest;
    TRY(storage_appender_open(storage, &scraped->shard->appender, why));
    TRY(scrape_job_create(scrape_job_set_create(NULL, NULL), &config, &job, why));
    for (uint32_t i = 0; i < fleet_target_count(fleet); i++)
        loop_init(scraped, job, i, why);
    *result = scraped;
    return OK;
}

err_t scrape_fleet_row(struct scrape_fleet *scraped, uint64_t *samples, struct strbuf *why)
{
    *samples = 0;
    for (uint32_t i = 0; i < fleet_target_count(scraped->fleet); i++) {
        const struct corpus_job *job;
        struct scrape_loop *loop = &scraped->loops[i];
        struct scrape_outcome outcome = {0};
        fleet_target_row(scraped->fleet, i, scraped->row, &job, scraped->values);
        strbuf_clear(&scraped->body);
        corpus_job_render(job, scraped->values, 0, &scraped->body);
        loop->t_ms = FIRST_MS + (int64_t)scraped->row * FLEET_INTERVAL_MS + i % FLEET_INTERVAL_MS;
        scrape_commit(loop, true, strbuf_str(&scraped->body), EXPOSITION_TEXT, &outcome, why);
        if (outcome.failed)
            return err_fail(why, ERR_INVALID, "scrape %u of target %u failed", scraped->row, i);
        *samples += outcome.result.scraped;
    }
    scraped->row++;
    return OK;
}
