/* The positional cache against no cache: random bodies that change a little from scrape to scrape
 * give the same samples through a warm loop as through a fresh one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "scrape_shard.h"

enum { SERIES_MAX = 40, LINES_MAX = 60, SCRAPES = 400, ROUNDS = 20 };

/* A store that remembers one commit: value of each label set; markers apart. */
struct recorder {
    struct storage storage;
    struct appender appender;
    struct strbuf names[4096]; /* printed labels by ref */
    uint32_t name_count;
    bool present[4096]; /* in this commit, by ref */
    double values[4096];
    bool stale[4096];
};

static struct recorder *recorder_of(struct appender *appender)
{
    return (struct recorder *)(void *)((char *)appender - offsetof(struct recorder, appender));
}

static void record_begin(struct appender *appender, source_ref source,
                         const struct append_options *options)
{
    (void)source;
    (void)options;
    struct recorder *r = recorder_of(appender);
    memset(r->present, 0, sizeof r->present);
    memset(r->stale, 0, sizeof r->stale);
}

static err_t record_series(struct appender *appender, struct labels labels, series_ref *ref,
                           bool *created, struct strbuf *why)
{
    (void)why;
    struct recorder *r = recorder_of(appender);
    struct strbuf text = STRBUF_INIT;
    labels_print(labels, &text);
    uint32_t i = 1;
    while (i <= r->name_count && !str_equal(strbuf_str(&r->names[i]), strbuf_str(&text)))
        i++;
    *created = i > r->name_count;
    if (*created) {
        assert_true(i < 4096);
        r->names[i] = text;
        r->name_count = i;
    } else {
        strbuf_deinit(&text);
    }
    *ref = i;
    return OK;
}

static err_t record_add(struct appender *appender, const struct append_batch *batch,
                        struct strbuf *why)
{
    (void)why;
    struct recorder *r = recorder_of(appender);
    for (size_t i = 0; i < batch->count; i++) {
        series_ref ref = batch->refs[i];
        assert_true(ref >= 1 && ref <= r->name_count);
        batch->outcomes[i] = r->present[ref] ? ERR_DUPLICATE : OK;
        if (r->present[ref])
            continue;
        r->present[ref] = true;
        r->values[ref] = batch->values[i];
        r->stale[ref] = value_is_stale(batch->values[i]);
    }
    return OK;
}

static err_t record_commit(struct appender *appender, struct strbuf *why)
{
    (void)appender;
    (void)why;
    return OK;
}

static void record_rollback(struct appender *appender)
{
    (void)appender;
}

static source_ref record_source_open(struct storage *storage, uint64_t key)
{
    (void)storage;
    return key;
}

static const struct appender_ops record_ops = {
    .begin = record_begin,
    .series = record_series,
    .add = record_add,
    .commit = record_commit,
    .rollback = record_rollback,
};
static const struct storage_ops record_storage_ops = {.source_open = record_source_open};

/* One loop with a recorder of its own. */
struct side {
    struct recorder *recorder;
    struct scrape_shard shard;
    struct scrape_loop loop;
    struct scrape_manager_options options;
};

static struct scrape_metrics no_metrics;

static void side_begin(struct side *side, struct scrape_job *job)
{
    memset(side, 0, sizeof *side);
    side->recorder = MEM_NEW(MEM_TEST, struct recorder);
    side->recorder->appender.ops = &record_ops;
    side->recorder->storage.ops = &record_storage_ops;
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
    assert_int_equal(scrape_target_create(job, (struct labels){&address, 1}, (struct labels){0},
                                          &builder, &side->loop.target, &why),
                     TARGET_KEPT);
    label_builder_deinit(&builder);
    side->loop.shard = &side->shard;
    side->loop.scrape = 2;
    side->loop.t_ms = 1000;
}

static void side_end(struct side *side)
{
    scrape_cache_deinit(&side->loop.cache);
    scrape_target_unref(side->loop.target);
    scrape_ingest_deinit(side->shard.ingest);
    mem_free(MEM_SCRAPE, side->shard.ingest);
    for (uint32_t i = 1; i <= side->recorder->name_count; i++)
        strbuf_deinit(&side->recorder->names[i]);
    mem_free(MEM_TEST, side->recorder);
}

static void side_scrape(struct side *side, struct str body, struct scrape_outcome *outcome)
{
    struct strbuf why = STRBUF_INIT;
    *outcome = (struct scrape_outcome){0};
    side->loop.t_ms += 1000;
    scrape_commit(&side->loop, true, body, EXPOSITION_TEXT, outcome, &why);
    strbuf_deinit(&why);
}

/* Bodies: a list of lines, edited at random. */
struct body_model {
    uint64_t seed;
    int lines[LINES_MAX]; /* which of the possible lines */
    int count;
};

static uint64_t next_random(struct body_model *model)
{
    model->seed = model->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return model->seed >> 33;
}

static int below(struct body_model *model, int limit)
{
    return (int)(next_random(model) % (uint64_t)limit);
}

static void edit(struct body_model *model)
{
    for (int edits = below(model, 4); edits > 0; edits--) {
        int at = model->count == 0 ? 0 : below(model, model->count);
        switch (below(model, 3)) {
        case 0:
            if (model->count < LINES_MAX) {
                memmove(&model->lines[at + 1], &model->lines[at],
                        (size_t)(model->count - at) * sizeof model->lines[0]);
                model->lines[at] = below(model, SERIES_MAX);
                model->count++;
            }
            break;
        case 1:
            if (model->count > 0) {
                model->count--;
                memmove(&model->lines[at], &model->lines[at + 1],
                        (size_t)(model->count - at) * sizeof model->lines[0]);
            }
            break;
        default:
            if (model->count > 1) {
                int other = below(model, model->count);
                int line = model->lines[at];
                model->lines[at] = model->lines[other];
                model->lines[other] = line;
            }
        }
    }
}

static void write_line(struct body_model *model, int line, struct strbuf *body)
{
    static const char *const values[] = {
        "1", "2.5", "-3", "1e9", "12345678901234567890", "0.1000000000000000055", "+Inf", "1"};
    switch (line % 8) {
    case 0:
        strbuf_printf(body, "# TYPE m%d %s\n", line / 8,
                      below(model, 9) == 0 ? "gauge" : "summary");
        return;
    case 1:
        strbuf_printf(body, "# HELP m%d Text %d.\n", line / 8, below(model, 9) == 0);
        return;
    case 2:
        strbuf_printf(body, "m%d{quantile=\"1\"} ", line / 8);
        break;
    case 3:
        strbuf_printf(body, "m%d ", line / 8);
        break;
    case 4:
        strbuf_printf(body, "m%d{a=\"x\\\\y\", b=\"%d\"}", line / 8, line);
        break;
    case 5:
        strbuf_printf(body, "m%d{b=\"%d\",a=\"x\\\\y\"} ", line / 8, line - 1);
        break;
    default:
        strbuf_printf(body, "m%d{long_label_name=\"value number %d\"} ", line / 8, line);
    }
    strbuf_add_cstr(body, values[below(model, 8)]);
    strbuf_add_cstr(body, "\n");
}

static void assert_same(const struct side *warm, const struct side *cold, uint64_t seed, int scrape)
{
    const struct recorder *a = warm->recorder;
    const struct recorder *b = cold->recorder;
    for (uint32_t i = 1; i <= a->name_count; i++) {
        uint32_t k = 1;
        while (k <= b->name_count && !str_equal(strbuf_str(&a->names[i]), strbuf_str(&b->names[k])))
            k++;
        bool in_cold = k <= b->name_count && b->present[k] && !b->stale[k];
        bool in_warm = a->present[i] && !a->stale[i];
        if (strstr(strbuf_cstr(&a->names[i]), "scrape_") != NULL)
            continue;
        if (in_cold != in_warm || (in_warm && a->values[i] != b->values[k]))
            fail_msg("seed %llu scrape %d: %s differs", (unsigned long long)seed, scrape,
                     strbuf_cstr(&a->names[i]));
    }
}

/* What was there and is not any more has a marker, nothing else has. */
static void assert_markers(const struct side *warm, const bool *alive, uint64_t seed, int scrape)
{
    const struct recorder *r = warm->recorder;
    for (uint32_t i = 1; i <= r->name_count; i++) {
        bool now = r->present[i] && !r->stale[i];
        bool marked = r->present[i] && r->stale[i];
        if (marked != (alive[i] && !now))
            fail_msg("seed %llu scrape %d: marker of %s", (unsigned long long)seed, scrape,
                     strbuf_cstr(&r->names[i]));
    }
}

static void run_round(struct scrape_job *job, uint64_t seed)
{
    struct body_model model = {.seed = seed};
    struct side *warm = MEM_NEW(MEM_TEST, struct side);
    struct side *cold = MEM_NEW(MEM_TEST, struct side);
    static bool alive[4096];
    memset(alive, 0, sizeof alive);
    side_begin(warm, job);
    for (int scrape = 0; scrape < SCRAPES; scrape++) {
        struct strbuf body = STRBUF_INIT;
        edit(&model);
        for (int i = 0; i < model.count; i++)
            write_line(&model, model.lines[i], &body);
        warm->loop.refresh = below(&model, 20) == 0;
        struct scrape_outcome warm_outcome;
        struct scrape_outcome cold_outcome;
        side_scrape(warm, strbuf_str(&body), &warm_outcome);
        side_begin(cold, job);
        side_scrape(cold, strbuf_str(&body), &cold_outcome);
        assert_false(warm_outcome.failed);
        assert_int_equal(warm_outcome.result.scraped, cold_outcome.result.scraped);
        assert_int_equal(warm_outcome.result.duplicates, cold_outcome.result.duplicates);
        assert_same(warm, cold, seed, scrape);
        assert_markers(warm, alive, seed, scrape);
        for (uint32_t i = 1; i <= warm->recorder->name_count; i++)
            alive[i] = warm->recorder->present[i] && !warm->recorder->stale[i];
        side_end(cold);
        strbuf_deinit(&body);
    }
    side_end(warm);
    mem_free(MEM_TEST, warm);
    mem_free(MEM_TEST, cold);
}

static void test_cache_changes_nothing(void **state)
{
    (void)state;
    const char *given = getenv("NARTHEX_SEED");
    uint64_t seed = given == NULL ? 1 : strtoull(given, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct scrape_config config = {.job_name = STR("j"),
                                         .interval_ms = 15000,
                                         .timeout_ms = 10000,
                                         .metrics_path = STR("/metrics"),
                                         .scheme = STR("http"),
                                         .honor_timestamps = true,
                                         .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                                         .protocol_count = 1};
    struct scrape_job *job;
    struct strbuf why = STRBUF_INIT;
    struct scrape_job_set *set = scrape_job_set_create(NULL, NULL);
    assert_int_equal(scrape_job_create(set, &config, &job, &why), OK);
    for (uint64_t round = 0; round < ROUNDS; round++)
        run_round(job, hash_mix(seed, round));
    scrape_job_unref(job);
    scrape_job_set_unref(set);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
