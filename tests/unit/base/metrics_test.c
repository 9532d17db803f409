#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/base/metrics.h"
#include "narthex/base/strbuf.h"
#include "narthex/base/thread.h"

enum { THREADS = 4, ROUNDS = 20000 };

static const char *const one_label[] = {"l", NULL};

/* Walks a registry into "name suffix labels value;" text. */
static void note_family(void *context, struct str name, enum metric_type type, struct str help)
{
    strbuf_printf(context, "[%.*s %d %.*s]", STR_ARG(name), (int)type, STR_ARG(help));
}

static void note_sample(void *context, struct str name, const char *suffix, const struct str *names,
                        const struct str *values, size_t label_count, double value)
{
    strbuf_printf(context, " %.*s%s", STR_ARG(name), suffix);
    for (size_t i = 0; i < label_count; i++)
        strbuf_printf(context, ",%.*s=%.*s", STR_ARG(names[i]), STR_ARG(values[i]));
    strbuf_printf(context, ":%g", value);
}

static void expect_walk(struct metrics *metrics, const char *wanted)
{
    struct strbuf seen = STRBUF_INIT;
    const struct metrics_visitor visitor = {note_family, note_sample, &seen};
    metrics_visit(metrics, &visitor);
    assert_string_equal(strbuf_cstr(&seen), wanted);
    strbuf_deinit(&seen);
}

static void families_are_sorted_and_series_in_order_of_creation(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    struct metric_family *b = metrics_gauge(metrics, "b", "B", one_label);
    struct metric_family *a = metrics_counter(metrics, "a", "A", NULL);
    metric_set(metric_with(b, &STR("z")), 1);
    metric_set(metric_with(b, &STR("y")), 2);
    metric_add(metric_only(a), 1.5);
    metric_add(metric_only(a), 1);
    metrics_counter(metrics, "empty", "E", one_label);
    assert_ptr_equal(metrics_gauge(metrics, "b", "B", one_label), b);
    assert_ptr_equal(metric_with(b, &STR("z")), metric_with(b, &STR("z")));
    expect_walk(metrics, "[a 0 A] a:2.5[b 1 B] b,l=z:1 b,l=y:2");
    metrics_destroy(metrics);
}

static void removed_series_vanish_and_come_back_at_zero(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    struct metric_family *family = metrics_gauge(metrics, "g", "", one_label);
    char text[16];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        metric_set(metric_with(family, &(struct str){text, strlen(text)}), i);
    }
    for (int i = 0; i < 97; i++) {
        snprintf(text, sizeof text, "%d", i);
        metric_remove(family, &(struct str){text, strlen(text)});
    }
    metric_remove(family, &STR("never there"));
    assert_true(metric_value(metric_with(family, &STR("98"))) == 98);
    expect_walk(metrics, "[g 1 ] g,l=97:97 g,l=98:98 g,l=99:99");
    assert_true(metric_value(metric_with(family, &STR("5"))) == 0);
    expect_walk(metrics, "[g 1 ] g,l=97:97 g,l=98:98 g,l=99:99 g,l=5:0");
    metrics_destroy(metrics);
    assert_int_equal(mem_bytes(MEM_BASE), 0);
}

static void held_series_stay_until_the_last_drop(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    struct metric_family *family = metrics_gauge(metrics, "g", "", one_label);
    struct metric *before = metric_hold(family, &STR("a"));
    struct metric *after = metric_hold(family, &STR("a"));
    assert_ptr_equal(before, after);
    metric_set(after, 7);
    metric_drop(family, &STR("a"));
    expect_walk(metrics, "[g 1 ] g,l=a:7");
    metric_drop(family, &STR("a"));
    expect_walk(metrics, "");
    metrics_destroy(metrics);
    assert_int_equal(mem_bytes(MEM_BASE), 0);
}

static void histograms_count_up_to_the_bound(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    const double bounds[] = {1, 2};
    struct metric_distribution *d =
        metric_distribution_only(metrics_histogram(metrics, "h", "", NULL, bounds, 2));
    const double values[] = {0.5, 1, 1.5, 2, 7, -1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metric_observe(d, values[i]);
    expect_walk(metrics, "[h 3 ] h_bucket,le=1:3 h_bucket,le=2:5 h_bucket,le=+Inf:6 "
                         "h_sum:11 h_count:6");
    metrics_destroy(metrics);
}

static void summaries_forget_after_ten_minutes(void **state)
{
    (void)state;
    struct manual_clock clock;
    manual_clock_init(&clock, 1000000);
    struct metrics *metrics = metrics_create_with_clock(&clock.clock);
    const double quantiles[] = {0.5, 0.9, 1};
    struct metric_distribution *d =
        metric_distribution_only(metrics_summary(metrics, "s", "", NULL, quantiles, 3));
    expect_walk(metrics, "[s 2 ] s,quantile=0.5:nan s,quantile=0.9:nan s,quantile=1:nan "
                         "s_sum:0 s_count:0");
    for (int i = 100; i >= 1; i--)
        metric_observe(d, i);
    expect_walk(metrics, "[s 2 ] s,quantile=0.5:50 s,quantile=0.9:90 s,quantile=1:100 "
                         "s_sum:5050 s_count:100");
    manual_clock_set(&clock, 1000000 + 7 * 60 * 1000);
    metric_observe(d, 1000);
    expect_walk(metrics, "[s 2 ] s,quantile=0.5:51 s,quantile=0.9:91 s,quantile=1:1000 "
                         "s_sum:6050 s_count:101");
    manual_clock_set(&clock, 1000000 + 11 * 60 * 1000);
    expect_walk(metrics, "[s 2 ] s,quantile=0.5:1000 s,quantile=0.9:1000 s,quantile=1:1000 "
                         "s_sum:6050 s_count:101");
    manual_clock_set(&clock, 1000000 + 60 * 60 * 1000);
    expect_walk(metrics, "[s 2 ] s,quantile=0.5:nan s,quantile=0.9:nan s,quantile=1:nan "
                         "s_sum:6050 s_count:101");
    metrics_destroy(metrics);
}

static void keep_quantiles(void *context, struct str name, const char *suffix,
                           const struct str *names, const struct str *values, size_t label_count,
                           double value)
{
    (void)name;
    (void)names;
    (void)values;
    double **next = context;
    if (label_count == 1 && suffix[0] == '\0')
        *(*next)++ = value;
}

static void skip_family(void *context, struct str name, enum metric_type type, struct str help)
{
    (void)context;
    (void)name;
    (void)type;
    (void)help;
}

static void summaries_sample_many_observations_evenly(void **state)
{
    (void)state;
    struct manual_clock clock;
    manual_clock_init(&clock, 1000000);
    struct metrics *metrics = metrics_create_with_clock(&clock.clock);
    const double quantiles[] = {0.1, 0.5, 0.9};
    struct metric_distribution *d =
        metric_distribution_only(metrics_summary(metrics, "s", "", NULL, quantiles, 3));
    for (int i = 0; i < 100000; i++)
        metric_observe(d, i);
    double results[3];
    double *next = results;
    const struct metrics_visitor visitor = {skip_family, keep_quantiles, &next};
    metrics_visit(metrics, &visitor);
    /* 256 of 100,000: three standard deviations of a rank are at most 10 %; the draw is fixed. */
    for (int i = 0; i < 3; i++)
        assert_true(fabs(results[i] / 100000 - quantiles[i]) < 0.1);
    metrics_destroy(metrics);
}

struct shared {
    struct metric *counter;
    struct metric_distribution *histogram;
    struct metric_distribution *summary;
    struct metric_family *churned;
};

static void update_often(void *context)
{
    struct shared *shared = context;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(shared->counter, 1);
        metric_observe(shared->histogram, i % 3);
        metric_observe(shared->summary, 1);
        if (i % 100 == 0)
            metric_with(shared->churned, &STR("same"));
    }
}

static void updates_of_several_threads_are_all_counted(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    const double limits[] = {0.5};
    struct shared shared = {
        .counter = metric_only(metrics_counter(metrics, "c", "", NULL)),
        .histogram = metric_distribution_only(metrics_histogram(metrics, "h", "", NULL, limits, 1)),
        .summary = metric_distribution_only(metrics_summary(metrics, "s", "", NULL, limits, 1)),
        .churned = metrics_gauge(metrics, "x", "", one_label),
    };
    struct thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "update", update_often, &shared);
    struct strbuf ignored = STRBUF_INIT;
    const struct metrics_visitor visitor = {note_family, note_sample, &ignored};
    metrics_visit(metrics, &visitor);
    strbuf_deinit(&ignored);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    expect_walk(metrics, "[c 0 ] c:80000[h 3 ] h_bucket,le=0.5:26668 h_bucket,le=+Inf:80000 "
                         "h_sum:79996 h_count:80000[s 2 ] s,quantile=0.5:1 s_sum:80000 "
                         "s_count:80000[x 1 ] x,l=same:0");
    metrics_destroy(metrics);
}

static void raise_gauge(void *context)
{
    struct metric_family *family = context;
    metric_add(metric_with(family, &STR("made late")), 1);
}

static void collectors_run_before_each_walk(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    struct metric_family *family = metrics_gauge(metrics, "g", "", one_label);
    metrics_on_collect(metrics, raise_gauge, family);
    expect_walk(metrics, "[g 1 ] g,l=made late:1");
    expect_walk(metrics, "[g 1 ] g,l=made late:2");
    metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_sorted_and_series_in_order_of_creation),
        cmocka_unit_test(removed_series_vanish_and_come_back_at_zero),
        cmocka_unit_test(held_series_stay_until_the_last_drop),
        cmocka_unit_test(histograms_count_up_to_the_bound),
        cmocka_unit_test(summaries_forget_after_ten_minutes),
        cmocka_unit_test(summaries_sample_many_observations_evenly),
        cmocka_unit_test(updates_of_several_threads_are_all_counted),
        cmocka_unit_test(collectors_run_before_each_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
