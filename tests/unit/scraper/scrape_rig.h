/* scrape_rig.h: one scrape loop over the reference store, driven by a manual clock; bodies in,
 * samples out. For the tests of this folder. */
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "reference_store.h"
#include "scrape_shard.h"

enum { T0 = 1000000, STEP = 15000 };

struct rig {
    struct scrape_config config;
    struct scrape_job_set *set;
    struct scrape_job *job;
    struct storage *store;
    struct manual_clock clock;
    struct scrape_manager_options options;
    struct scrape_metrics metrics;
    struct scrape_shard shard;
    struct scrape_loop loop;
    struct scrape_outcome outcome;
    struct strbuf why;
    struct strbuf seen; /* what a query gave */
    enum exposition_format format;
    struct labels group; /* further labels of the target */
};

static inline void begin(struct rig *r)
{
    memset(r, 0, sizeof *r);
    r->config = (struct scrape_config){
        .job_name = STR("j"),
        .interval_ms = STEP,
        .timeout_ms = 10000,
        .metrics_path = STR("/metrics"),
        .scheme = STR("http"),
        .honor_timestamps = true,
        .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
        .protocol_count = 1,
    };
    r->format = EXPOSITION_TEXT;
    manual_clock_init(&r->clock, T0);
    r->store = reference_store_create();
    r->options = (struct scrape_manager_options){.storage = r->store, .clock = &r->clock.clock};
    r->shard.options =
        (struct scrape_shard_options){.manager = &r->options, .metrics = &r->metrics};
    r->shard.ingest = MEM_NEW(MEM_SCRAPE, struct scrape_ingest);
    scrape_ingest_init(r->shard.ingest);
    assert_int_equal(storage_appender_open(r->store, &r->shard.appender, &r->why), OK);
}

static inline void start(struct rig *r)
{
    struct label_builder builder = {0};
    const struct label address = {STR("__address__"), STR("h:1")};
    r->set = scrape_job_set_create(NULL, NULL);
    assert_int_equal(scrape_job_create(r->set, &r->config, &r->job, &r->why), OK);
    assert_int_equal(scrape_target_create(r->job, (struct labels){&address, 1}, r->group, &builder,
                                          &r->loop.target, &r->why),
                     TARGET_KEPT);
    label_builder_deinit(&builder);
    r->loop.shard = &r->shard;
    r->loop.scrape = 2;
    r->loop.source = storage_source_open(r->store, r->loop.target->sameness);
}

static inline void end(struct rig *r)
{
    scrape_cache_deinit(&r->loop.cache);
    scrape_target_unref(r->loop.target);
    scrape_job_unref(r->job);
    scrape_job_set_unref(r->set);
    scrape_ingest_deinit(r->shard.ingest);
    mem_free(MEM_SCRAPE, r->shard.ingest);
    appender_close(r->shard.appender);
    reference_store_destroy(r->store);
    strbuf_deinit(&r->why);
    strbuf_deinit(&r->seen);
}

/* The n-th scrape, at T0 + n * STEP; NULL: the fetch failed. */
static inline void scrape_bytes(struct rig *r, int n, const char *body, size_t size)
{
    r->loop.t_ms = T0 + (int64_t)n * STEP;
    manual_clock_set(&r->clock, r->loop.t_ms);
    r->loop.started_ns = clock_monotonic_ns(&r->clock.clock);
    r->outcome = (struct scrape_outcome){.failed = body == NULL};
    strbuf_clear(&r->why);
    /* A copy of its exact size: reading beyond it is found by the sanitizers. */
    char *copy = mem_dup(MEM_TEST, body == NULL ? "" : body, size);
    scrape_commit(&r->loop, body != NULL, str_from(copy, size), r->format, &r->outcome, &r->why);
    mem_free(MEM_TEST, copy);
}

static inline void scrape(struct rig *r, int n, const char *body)
{
    scrape_bytes(r, n, body, body == NULL ? 0 : strlen(body));
}

static inline void add_histograms(struct rig *r, const struct sample_column *column)
{
    for (uint32_t i = 0; i < column->count; i++) {
        const struct histogram *h = &column->histograms[i];
        if (r->seen.size > 0)
            strbuf_add_char(&r->seen, ' ');
        if (histogram_is_stale(h))
            strbuf_add_cstr(&r->seen, "stale");
        else
            strbuf_printf(&r->seen, "{count %g sum %g", h->count.f, h->sum);
        for (uint32_t k = 0; k < h->positive.bucket_count && !histogram_is_stale(h); k++) {
            double bound = k < h->custom_value_count ? h->custom_values[k] : INFINITY;
            strbuf_printf(&r->seen, " %g:%g", bound, h->positive.counts[k].f);
        }
        strbuf_printf(&r->seen, "%s@%lld", histogram_is_stale(h) ? "" : "}",
                      (long long)((column->t_ms[i] - T0) / STEP));
    }
}

static inline void add_column(struct rig *r, const struct sample_column *column)
{
    if (column->kind == SAMPLES_HISTOGRAM) {
        add_histograms(r, column);
        return;
    }
    for (uint32_t i = 0; i < column->count; i++) {
        if (r->seen.size > 0)
            strbuf_add_char(&r->seen, ' ');
        if (value_is_stale(column->values[i]))
            strbuf_add_cstr(&r->seen, "stale");
        else
            strbuf_printf(&r->seen, "%g", column->values[i]);
        strbuf_printf(&r->seen, "@%lld", (long long)((column->t_ms[i] - T0) / STEP));
    }
}

/* All samples of the series that match, "value@scrape" each. */
static inline const char *samples(struct rig *r, const char *name, const char *label,
                                  const char *value)
{
    struct matcher matchers[2];
    struct querier *querier;
    struct series_cursor *cursor;
    struct select_hints hints = {.start_ms = 0, .end_ms = INT64_MAX};
    struct series_list list;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    strbuf_clear(&r->seen);
    assert_int_equal(
        matcher_init(&matchers[0], MATCH_EQUAL, LABEL_NAME, str_from_cstr(name), &r->why), OK);
    assert_int_equal(matcher_init(&matchers[1], MATCH_EQUAL, str_from_cstr(label),
                                  str_from_cstr(value), &r->why),
                     OK);
    assert_int_equal(storage_querier_open(r->store, 0, INT64_MAX, &querier, &r->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){matchers, 2}, &hints, &arena, &list, &r->why),
        OK);
    assert_int_equal(querier_cursor_open(querier, &hints, &cursor, &r->why), OK);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], 0, INT64_MAX, &r->why), OK);
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        while (series_cursor_next(cursor, &info, &found, &r->why) == OK && found) {
            assert_int_equal(series_cursor_decode(cursor, &column, &r->why), OK);
            add_column(r, &column);
        }
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matchers[0]);
    matcher_deinit(&matchers[1]);
    arena_deinit(&arena);
    return strbuf_cstr(&r->seen);
}

static inline const char *plain(struct rig *r, const char *name)
{
    return samples(r, name, "instance", "h:1");
}

/* The start timestamp of the number-th sample of a series; 0: none, -1: no such sample. */
static inline int64_t start_of(struct rig *r, const char *name, size_t number)
{
    struct matcher matcher;
    struct querier *querier;
    struct series_cursor *cursor;
    struct select_hints hints = {.start_ms = 0, .end_ms = INT64_MAX};
    struct series_list list;
    struct arena arena;
    struct sample_column_info info;
    struct sample_column column;
    bool found;
    int64_t start_ms = -1;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(matcher_init(&matcher, MATCH_EQUAL, LABEL_NAME, str_from_cstr(name), &r->why),
                     OK);
    assert_int_equal(storage_querier_open(r->store, 0, INT64_MAX, &querier, &r->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, &hints, &arena, &list, &r->why),
        OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(querier_cursor_open(querier, &hints, &cursor, &r->why), OK);
    assert_int_equal(series_cursor_seek(cursor, &list.items[0], 0, INT64_MAX, &r->why), OK);
    while (series_cursor_next(cursor, &info, &found, &r->why) == OK && found) {
        assert_int_equal(series_cursor_decode(cursor, &column, &r->why), OK);
        if (number < column.count)
            start_ms = column.start_t_ms == NULL ? 0 : column.start_t_ms[number];
        number -= column.count;
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return start_ms;
}

static inline void limit_fails(void (*set)(struct scrape_config *), const char *body,
                               const char *text)
{
    struct rig r;
    begin(&r);
    set(&r.config);
    start(&r);
    scrape(&r, 0, body);
    assert_true(r.outcome.failed);
    assert_string_equal(strbuf_cstr(&r.why), text);
    assert_string_equal(plain(&r, "a"), "");
    assert_string_equal(plain(&r, "up"), "0@0");
    end(&r);
}
