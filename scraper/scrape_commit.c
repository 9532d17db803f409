/* One scrape into the storage: samples, stale markers and report series in one commit. */
#include <string.h>

#include "narthex/base/log.h"
#include "scrape_shard.h"

enum { FUTURE_MS_MAX = 10 * 60 * 1000 }; /* samples later than this are out of bounds */

/* The order of the commit; the last three only with extra_scrape_metrics. */
static const struct str report_names[SCRAPE_REPORT_SERIES] = {
    STR_INIT("up"),
    STR_INIT("scrape_duration_seconds"),
    STR_INIT("scrape_samples_scraped"),
    STR_INIT("scrape_samples_post_metric_relabeling"),
    STR_INIT("scrape_series_added"),
    STR_INIT("scrape_timeout_seconds"),
    STR_INIT("scrape_sample_limit"),
    STR_INIT("scrape_body_size_bytes"),
};
enum { REPORT_BASE_SERIES = 5 };

static uint32_t report_count(const struct scrape_loop *loop)
{
    return loop->target->job->config->extra_scrape_metrics ? SCRAPE_REPORT_SERIES
                                                           : REPORT_BASE_SERIES;
}

static void begin(struct scrape_loop *loop)
{
    struct append_options options = {
        .t_max_ms = clock_wall_ms(loop->shard->options.manager->clock) + FUTURE_MS_MAX,
    };
    appender_begin(loop->shard->appender, loop->source, &options);
}

/* Series of the report that the storage does not know (any more). */
static err_t resolve_report(struct scrape_loop *loop, struct strbuf *why)
{
    struct label_builder *builder = &loop->shard->ingest->builder;
    for (uint32_t i = 0; i < report_count(loop); i++) {
        if (loop->report_refs[i] != 0)
            continue;
        label_builder_reset(builder, loop->target->labels);
        label_builder_set(builder, LABEL_NAME, report_names[i]);
        bool created;
        err_t err = appender_series(loop->shard->appender, label_builder_labels(builder),
                                    &loop->report_refs[i], &created, why);
        /* No memory for it: the other series are there all the same. */
        if (err != OK && err != ERR_NO_SPACE)
            return err;
    }
    return OK;
}

static err_t add_report_once(struct scrape_loop *loop, const double *values, int64_t t_ms,
                             bool *stale_refs, struct strbuf *why)
{
    TRY(resolve_report(loop, why));
    uint8_t outcomes[SCRAPE_REPORT_SERIES] = {0};
    series_ref refs[SCRAPE_REPORT_SERIES];
    double known[SCRAPE_REPORT_SERIES];
    uint32_t numbers[SCRAPE_REPORT_SERIES];
    struct append_batch rows = {
        .refs = refs,
        .t_all_ms = t_ms,
        .values = known,
        .outcomes = outcomes,
    };
    for (uint32_t i = 0; i < report_count(loop); i++) {
        if (loop->report_refs[i] == 0)
            continue;
        refs[rows.count] = loop->report_refs[i];
        known[rows.count] = values[i];
        numbers[rows.count++] = i;
    }
    *stale_refs = false;
    if (rows.count == 0)
        return OK;
    TRY(appender_add(loop->shard->appender, &rows, why));
    for (uint32_t i = 0; i < rows.count; i++) {
        if (outcomes[i] == ERR_STALE_REF) {
            loop->report_refs[numbers[i]] = 0;
            *stale_refs = true;
        }
    }
    return OK;
}

static err_t add_report(struct scrape_loop *loop, const double *values, int64_t t_ms,
                        struct strbuf *why)
{
    bool stale_refs;
    TRY(add_report_once(loop, values, t_ms, &stale_refs, why));
    if (stale_refs)
        TRY(add_report_once(loop, values, t_ms, &stale_refs, why));
    return OK;
}

static void fill_report(const struct scrape_loop *loop, const struct scrape_outcome *outcome,
                        double values[SCRAPE_REPORT_SERIES])
{
    const struct scrape_shard *shard = loop->shard;
    int64_t now_ns = clock_monotonic_ns(shard->options.manager->clock);
    double body_bytes = outcome->body_over_limit ? -1 : (double)outcome->body_bytes;
    const double all[SCRAPE_REPORT_SERIES] = {
        outcome->failed ? 0 : 1,
        (double)(now_ns - loop->started_ns) / 1e9,
        (double)outcome->result.scraped,
        (double)outcome->result.kept,
        (double)outcome->result.series_added,
        (double)loop->target->timeout_ms / 1000,
        (double)loop->target->job->config->sample_limit,
        body_bytes,
    };
    memcpy(values, all, sizeof all);
}

/* Samples of the body; on an error nothing of them is in the appender. */
static err_t add_body(struct scrape_loop *loop, struct ingest_task *task,
                      struct ingest_result *result, struct strbuf *why)
{
    struct scrape_shard *shard = loop->shard;
    err_t err = scrape_ingest_body(shard->ingest, task, result, why);
    if (err == OK && result->stale_refs) {
        scrape_ingest_abandon(shard->ingest, task);
        appender_rollback(shard->appender);
        begin(loop);
        task->refresh = true;
        err = scrape_ingest_body(shard->ingest, task, result, why);
    }
    if (err == OK) {
        loop->refresh = result->lost_lines;
        return OK;
    }
    appender_rollback(shard->appender);
    begin(loop);
    return err;
}

static void log_commit_failure(const struct scrape_loop *loop, const struct strbuf *cause)
{
    struct strbuf url = STRBUF_INIT;
    strbuf_add_str(&url, loop->target->url);
    LOG_ERROR("Scrape commit failed", "target", strbuf_cstr(&url), "err", strbuf_cstr(cause));
    strbuf_deinit(&url);
}

void scrape_commit(struct scrape_loop *loop, bool has_body, struct str body,
                   enum exposition_format format, struct scrape_outcome *outcome,
                   struct strbuf *why)
{
    struct scrape_shard *shard = loop->shard;
    struct ingest_task task = {
        .options = shard->options.manager,
        .target = loop->target,
        .cache = &loop->cache,
        .appender = shard->appender,
        .format = format,
        .body = body,
        .t_ms = loop->t_ms,
        .scrape = loop->scrape,
        .scrape_prev = loop->scrape - 1,
        .refresh = loop->refresh,
    };
    begin(loop);
    bool ingested = has_body && add_body(loop, &task, &outcome->result, why) == OK;
    if (!ingested)
        outcome->failed = true;
    const struct ingest_result *result = &outcome->result;
    outcome->limit_hit |=
        result->sample_limit_hit || result->label_limit_hit || result->bucket_limit_hit;

    struct strbuf cause = STRBUF_INIT;
    err_t err = scrape_ingest_stale(shard->ingest, &task, !ingested, &cause);
    double values[SCRAPE_REPORT_SERIES];
    fill_report(loop, outcome, values);
    if (err == OK)
        err = add_report(loop, values, loop->t_ms, &cause);
    if (err == OK)
        err = appender_commit(shard->appender, &cause);
    else
        appender_rollback(shard->appender);
    if (err != OK)
        log_commit_failure(loop, &cause);
    strbuf_deinit(&cause);
    loop->scrape++;
}

void scrape_commit_end(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    struct ingest_task task = {
        .options = shard->options.manager,
        .target = loop->target,
        .cache = &loop->cache,
        .appender = shard->appender,
        .t_ms = loop->marker_ms,
        .scrape = loop->scrape,
        .scrape_prev = loop->scrape - 1,
    };
    struct strbuf cause = STRBUF_INIT;
    double values[SCRAPE_REPORT_SERIES];
    for (uint32_t i = 0; i < SCRAPE_REPORT_SERIES; i++)
        values[i] = double_from_bits(STALE_NAN_BITS);
    begin(loop);
    err_t err = scrape_ingest_stale(shard->ingest, &task, true, &cause);
    if (err == OK)
        err = add_report(loop, values, loop->marker_ms, &cause);
    if (err == OK)
        err = appender_commit(shard->appender, &cause);
    else
        appender_rollback(shard->appender);
    if (err != OK)
        log_commit_failure(loop, &cause);
    strbuf_deinit(&cause);
}
