/* scrape_side.h: one scrape loop without network and threads, over a recorder of its own. For
 * targets that see scraper/'s private headers. */
#pragma once

#include <assert.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "recording_store.h"
#include "scrape_shard.h"

struct side {
    struct recorder *recorder;
    struct scrape_shard shard;
    struct scrape_loop loop;
    struct scrape_manager_options options;
};

static inline void side_begin(struct side *side, struct scrape_job *job)
{
    static const struct scrape_metrics no_metrics;
    memset(side, 0, sizeof *side);
    side->recorder = recorder_create();
    side->options = (struct scrape_manager_options){.storage = &side->recorder->storage,
                                                    .clock = clock_system()};
    side->shard.options =
        (struct scrape_shard_options){.manager = &side->options, .metrics = &no_metrics};
    side->shard.appender = &side->recorder->appender;
    side->shard.ingest = MEM_NEW(MEM_SCRAPE, struct scrape_ingest);
    scrape_ingest_init(side->shard.ingest);
    struct label_builder builder = {0};
    struct strbuf why = STRBUF_INIT;
    const struct label address = {STR("__address__"), STR("h:1")};
    enum target_outcome outcome = scrape_target_create(
        job, (struct labels){&address, 1}, (struct labels){0}, &builder, &side->loop.target, &why);
    assert(outcome == TARGET_KEPT);
    (void)outcome;
    label_builder_deinit(&builder);
    side->loop.shard = &side->shard;
    side->loop.scrape = 2;
    side->loop.t_ms = 1000;
}

static inline void side_end(struct side *side)
{
    scrape_cache_deinit(&side->loop.cache);
    scrape_target_unref(side->loop.target);
    scrape_ingest_deinit(side->shard.ingest);
    mem_free(MEM_SCRAPE, side->shard.ingest);
    recorder_destroy(side->recorder);
}

static inline void side_scrape(struct side *side, struct str body, struct scrape_outcome *outcome)
{
    struct strbuf why = STRBUF_INIT;
    *outcome = (struct scrape_outcome){0};
    side->loop.t_ms += 1000;
    scrape_commit(&side->loop, true, body, EXPOSITION_TEXT, outcome, &why);
    strbuf_deinit(&why);
}
