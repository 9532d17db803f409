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
#include "scrape_side.h"

enum { SERIES_MAX = 40, LINES_MAX = 60, SCRAPES = 400, ROUNDS = 20 };

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
        uint32_t k = recorder_find_same(b, a, i);
        bool in_cold = k != 0 && recorder_has(b, k);
        bool in_warm = recorder_has(a, i);
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
        if (recorder_has_marker(r, i) != (alive[i] && !recorder_has(r, i)))
            fail_msg("seed %llu scrape %d: marker of %s", (unsigned long long)seed, scrape,
                     strbuf_cstr(&r->names[i]));
    }
}

static void run_round(struct scrape_job *job, uint64_t seed)
{
    struct body_model model = {.seed = seed};
    struct side *warm = MEM_NEW(MEM_TEST, struct side);
    struct side *cold = MEM_NEW(MEM_TEST, struct side);
    static bool alive[RECORDED_SERIES_MAX];
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
            alive[i] = recorder_has(warm->recorder, i);
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
