#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "narthex/base/hash.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/url.h"
#include "scrape_shard.h"

static const int64_t ns_per_ms = 1000000;

static int64_t monotonic_ns(const struct scrape_loop *loop)
{
    return clock_monotonic_ns(loop->shard->options.manager->clock);
}

static int64_t wall_ms(const struct scrape_loop *loop)
{
    return clock_wall_ms(loop->shard->options.manager->clock);
}

/* ---- failures are said once a scrape, and written to the job's own log ---- */

static void write_failure(const struct scrape_loop *loop, const struct strbuf *why)
{
    int fd = atomic_load_explicit(&loop->target->job->failure_log_fd, memory_order_relaxed);
    if (fd < 0)
        return;
    struct strbuf line = STRBUF_INIT;
    struct timespec now;
    struct tm utc;
    char time_text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &utc);
    strbuf_printf(&line, "{\"time\":\"%s.%03ldZ\",\"level\":\"ERROR\",\"msg\":", time_text,
                  now.tv_nsec / 1000000);
    strbuf_add_quoted(&line, strbuf_str(why));
    strbuf_add_cstr(&line, ",\"job_name\":");
    strbuf_add_quoted(&line, loop->target->job->config->job_name);
    strbuf_add_cstr(&line, ",\"target\":");
    url_add_quoted(&line, loop->target->url);
    strbuf_add_cstr(&line, "}\n");
    if (write(fd, line.data, line.size) < 0)
        LOG_WARN("scrape failure log cannot be written", "err", "write failed");
    strbuf_deinit(&line);
}

static void report_failure(const struct scrape_loop *loop, const struct strbuf *why)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf pool = STRBUF_INIT;
    url_add_masked(&url, loop->target->url, "***");
    strbuf_add_str(&pool, loop->target->job->config->job_name);
    LOG_DEBUG("Scrape failed", "scrape_pool", strbuf_cstr(&pool), "target", strbuf_cstr(&url),
              "err", strbuf_cstr(why));
    strbuf_deinit(&pool);
    strbuf_deinit(&url);
    write_failure(loop, why);
}

static void publish_status(struct scrape_loop *loop, const struct scrape_outcome *outcome,
                           const struct strbuf *why)
{
    struct scrape_target *target = loop->target;
    double duration_s = (double)(monotonic_ns(loop) - loop->started_ns) / 1e9;
    mutex_lock(&target->lock);
    target->health = outcome->failed ? TARGET_DOWN : TARGET_UP;
    target->last_scrape_ms = loop->t_ms;
    target->last_scrape_duration_s = duration_s;
    strbuf_clear(&target->last_error);
    if (outcome->failed)
        strbuf_add_str(&target->last_error, strbuf_str(why));
    const struct ingest_result *result = &outcome->result;
    target->samples_scraped = result->scraped;
    target->samples_kept = result->kept;
    target->cache_lines = loop->cache.count;
    target->failed_by_limit = outcome->limit_hit;
    target->failed_line = result->failed_line;
    strbuf_clear(&target->failed_text);
    if (result->failed_line > 0)
        strbuf_add_str(&target->failed_text, strbuf_str(&loop->shard->ingest->failed_text));
    if (!outcome->failed && scrape_metadata_has_expired(&target->metadata, loop->scrape))
        scrape_metadata_expire(&target->metadata, loop->scrape);
    mutex_unlock(&target->lock);
}

static void count_outcome(struct scrape_loop *loop, const struct scrape_outcome *outcome)
{
    const struct scrape_metrics *m = loop->shard->options.metrics;
    const struct ingest_result *r = &outcome->result;
    scrape_metrics_count(m, m->exceeded_body_size_limit, outcome->body_over_limit);
    scrape_metrics_count(m, m->exceeded_sample_limit, r->sample_limit_hit);
    scrape_metrics_count(m, m->exceeded_label_limits, r->label_limit_hit);
    scrape_metrics_count(m, m->exceeded_bucket_limit, r->bucket_limit_hit);
    scrape_metrics_count(m, m->duplicates, (double)r->duplicates);
    scrape_metrics_count(m, m->out_of_order, (double)r->out_of_order);
    scrape_metrics_count(m, m->out_of_bounds, (double)r->out_of_bounds);
    scrape_metrics_count(m, m->exemplars_out_of_order, (double)r->exemplars_out_of_order);
}

static void warn_left_out(const struct scrape_loop *loop, const struct ingest_result *result)
{
    if (result->duplicates + result->out_of_order + result->out_of_bounds +
            result->series_refused ==
        0)
        return;
    struct strbuf url = STRBUF_INIT;
    struct strbuf counts = STRBUF_INIT;
    strbuf_add_str(&url, loop->target->url);
    strbuf_printf(&counts, "duplicate %llu, out of order %llu, out of bounds %llu, no memory %llu",
                  (unsigned long long)result->duplicates, (unsigned long long)result->out_of_order,
                  (unsigned long long)result->out_of_bounds,
                  (unsigned long long)result->series_refused);
    LOG_WARN("Samples of a scrape were left out", "target", strbuf_cstr(&url), "num_dropped",
             strbuf_cstr(&counts));
    strbuf_deinit(&counts);
    strbuf_deinit(&url);
}

/* ---- one scrape ---- */

static void wait_for_tick(struct scrape_loop *loop)
{
    loop->state = LOOP_WAITING;
    scrape_timers_set(&loop->shard->timers, &loop->timer, loop->schedule.due_ns);
}

/* Everything after the transfer: parse, store, publish, next tick. */
static void finish_scrape(struct scrape_loop *loop, err_t err, struct str body,
                          enum exposition_format format, struct strbuf *why)
{
    struct scrape_outcome outcome = {
        .failed = err != OK,
        .body_over_limit = err == ERR_LIMIT && loop->request != NULL && !loop->request->over_budget,
        .limit_hit = err == ERR_LIMIT,
        .body_bytes = err == OK ? body.size : 0,
    };
    scrape_commit(loop, err == OK, body, format, &outcome, why);
    scrape_fetch_release(loop);
    scrape_body_clear(&loop->shard->unpacked);
    if (outcome.failed)
        report_failure(loop, why);
    publish_status(loop, &outcome, why);
    count_outcome(loop, &outcome);
    warn_left_out(loop, &outcome.result);
    wait_for_tick(loop);
}

void scrape_loop_fetched(struct scrape_loop *loop, CURLcode code)
{
    assert(loop->state == LOOP_FETCHING);
    struct strbuf *why = &loop->shard->why;
    strbuf_clear(why);
    bool again;
    struct str body = STR("");
    enum exposition_format format = EXPOSITION_TEXT;
    err_t err = scrape_fetch_continue(loop, code, &again, why);
    if (err == OK && again)
        return;
    if (err == OK)
        err = scrape_fetch_result(loop, code, &body, &format, why);
    finish_scrape(loop, err, body, format, why);
}

static err_t check_target_limit(const struct scrape_loop *loop, struct strbuf *why)
{
    const struct scrape_job *job = loop->target->job;
    uint64_t count = atomic_load_explicit(&job->target_count, memory_order_relaxed);
    uint64_t limit = job->config->target_limit;
    if (limit == 0 || count <= limit)
        return OK;
    return err_fail(why, ERR_UNAVAILABLE,
                    "target_limit exceeded (number of targets: %llu, limit: %llu)",
                    (unsigned long long)count, (unsigned long long)limit);
}

/* Samples of before a jump forward keep their times, so after one back new ones come too early for
 * the storage, as in Prometheus. */
static void watch_wall_clock(const struct scrape_loop *loop, int64_t now_ms, int64_t now_ns)
{
    const struct scrape_metrics *metrics = loop->shard->options.metrics;
    int64_t jump_ms = wall_watch_jump(loop->shard->options.wall_watch, now_ms, now_ns);
    if (jump_ms == 0)
        return;
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%.3f", (double)jump_ms / 1000);
    scrape_metrics_count(metrics, metrics->wall_clock_jumps, 1);
    if (jump_ms > 0)
        LOG_WARN("The wall clock jumped ahead, or the machine slept: samples have a gap", "seconds",
                 seconds);
    else
        LOG_WARN("The wall clock jumped back: until it has caught up, samples older than those "
                 "stored are refused, or go into the out-of-order window",
                 "seconds", seconds);
}

static void start_scrape(struct scrape_loop *loop)
{
    const struct scrape_manager_options *options = loop->shard->options.manager;
    int64_t now_ns = monotonic_ns(loop);
    int64_t now_ms = wall_ms(loop);
    watch_wall_clock(loop, now_ms, now_ns);
    loop->t_ms = scrape_schedule_stamp(&loop->schedule, now_ms, now_ns,
                                       options->timestamp_tolerance_ms, options->adjust_timestamps);
    scrape_metrics_delay(loop->shard->options.metrics,
                         (double)(now_ns - loop->schedule.due_ns) / 1e9);
    scrape_schedule_advance(&loop->schedule, now_ns);
    loop->started_ns = now_ns;
    if (loop->started_last_ns != 0)
        scrape_metrics_interval(loop->shard->options.metrics, loop->target->interval_ms,
                                (double)(now_ns - loop->started_last_ns) / 1e9,
                                &loop->shard->interval_place);
    loop->started_last_ns = now_ns;

    struct strbuf *why = &loop->shard->why;
    strbuf_clear(why);
    err_t err = check_target_limit(loop, why);
    if (err == OK)
        err = scrape_fetch_start(loop, why);
    if (err == OK)
        loop->state = LOOP_FETCHING;
    else
        finish_scrape(loop, err, STR(""), EXPOSITION_TEXT, why);
}

static void on_timer(struct scrape_timer *timer, void *context)
{
    (void)context;
    struct scrape_loop *loop =
        (struct scrape_loop *)(void *)((char *)timer - offsetof(struct scrape_loop, timer));
    if (loop->state == LOOP_ENDING) {
        scrape_commit_end(loop);
        scrape_loop_destroy(loop);
    } else {
        start_scrape(loop);
    }
}

/* ---- life of a loop ---- */

static void start_schedule(struct scrape_loop *loop)
{
    int64_t interval_ms = loop->target->interval_ms;
    uint64_t spread =
        scrape_schedule_gather(interval_ms, loop->target->identity ^ loop->shard->options.seed);
    scrape_schedule_start(&loop->schedule, interval_ms, spread, wall_ms(loop), monotonic_ns(loop));
    wait_for_tick(loop);
}

struct scrape_loop *scrape_loop_create(struct scrape_shard *shard, struct scrape_target *target)
{
    struct scrape_loop *loop = MEM_NEW(MEM_SCRAPE, struct scrape_loop);
    loop->shard = shard;
    loop->target = scrape_target_ref(target);
    target->loop = loop;
    loop->timer.fire = on_timer;
    loop->scrape = 2; /* lines never seen have 0, so nothing is alive before the first scrape */
    loop->cache.seed = hash_mix(shard->options.cache_seed, target->identity);
    loop->source = storage_source_open(shard->options.manager->storage, target->sameness);
    loop->next = shard->loops;
    if (loop->next != NULL)
        loop->next->previous = loop;
    shard->loops = loop;
    shard->loop_count++;
    scrape_wire_attach(loop);
    start_schedule(loop);
    return loop;
}

void scrape_loop_destroy(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    scrape_timers_remove(&shard->timers, &loop->timer);
    scrape_fetch_release(loop);
    scrape_wire_detach(loop);
    storage_source_close(shard->options.manager->storage, loop->source);
    if (loop->previous != NULL)
        loop->previous->next = loop->next;
    else
        shard->loops = loop->next;
    if (loop->next != NULL)
        loop->next->previous = loop->previous;
    shard->loop_count--;
    shard->ending_count -= loop->state == LOOP_ENDING;
    scrape_cache_deinit(&loop->cache);
    loop->target->loop = NULL;
    scrape_target_unref(loop->target);
    mem_free(MEM_SCRAPE, loop);
}

/* Comment lines name items of the old target's metadata: the new target starts without. */
static void forget_comments(struct scrape_loop *loop)
{
    for (uint32_t i = 0; i < loop->cache.count; i++) {
        struct cache_line *line = &loop->cache.lines[i];
        if (line->kind == CACHE_LINE_COMMENT)
            line->key_hash = ~line->key_hash;
    }
}

void scrape_loop_continue(struct scrape_loop *loop, struct scrape_target *target, bool keep_cache)
{
    assert(loop->target->sameness == target->sameness);
    scrape_fetch_release(loop);
    struct http_endpoint *before = loop->endpoint;
    loop->target->loop = NULL;
    scrape_target_unref(loop->target);
    loop->target = scrape_target_ref(target);
    target->loop = loop;
    scrape_wire_attach(loop); /* before the old one is let go, which keeps its connections */
    if (before != NULL)
        http_wire_pool_release(&loop->shard->wires, before);
    forget_comments(loop);
    loop->shard->ending_count -= loop->state == LOOP_ENDING;
    loop->refresh |= !keep_cache;
    start_schedule(loop);
}

/* Prometheus waits for the next tick (the markers' time), one more, and a tenth of the interval: a
 * target that comes back meanwhile has newer samples, and the markers are refused. */
void scrape_loop_end(struct scrape_loop *loop)
{
    scrape_fetch_release(loop);
    if (loop->scrape == 2) {
        scrape_loop_destroy(loop);
        return;
    }
    int64_t interval_ns = loop->schedule.interval_ms * ns_per_ms;
    int64_t wait_ns = loop->schedule.due_ns - monotonic_ns(loop);
    loop->shard->ending_count += loop->state != LOOP_ENDING;
    loop->state = LOOP_ENDING;
    loop->marker_ms = wall_ms(loop) + wait_ns / ns_per_ms;
    scrape_timers_set(&loop->shard->timers, &loop->timer,
                      loop->schedule.due_ns + interval_ns + interval_ns / 10);
}
