#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/model/exposition_writer.h"

static void families_write_header_once_and_only_with_samples(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct metric_writer writer;
    metric_writer_init(&writer, &out);
    metric_writer_family(&writer, STR("nothing"), METRIC_GAUGE, STR("Never seen."));
    metric_writer_family(&writer, STR("a_total"), METRIC_COUNTER,
                         STR("Back\\slash\nand \"line\"."));
    const struct str names[] = {STR("x"), STR("y")};
    const struct str values[] = {STR("1"), STR("")};
    metric_writer_sample(&writer, "", names, values, 2, 3);
    metric_writer_sample(&writer, "", names, values, 1, 1234567.5);
    metric_writer_family(&writer, STR("b"), METRIC_UNTYPED, STR(""));
    metric_writer_value(&writer, NAN);
    assert_string_equal(out.data, "# HELP a_total Back\\\\slash\\nand \"line\".\n"
                                  "# TYPE a_total counter\n"
                                  "a_total{x=\"1\",y=\"\"} 3\n"
                                  "a_total{x=\"1\"} 1.2345675e+06\n"
                                  "# TYPE b untyped\n"
                                  "b NaN\n");
    metric_writer_deinit(&writer);
    strbuf_deinit(&out);
}

static void label_values_are_escaped_and_made_utf8(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct metric_writer writer;
    metric_writer_init(&writer, &out);
    metric_writer_family(&writer, STR("m"), METRIC_GAUGE, STR(""));
    const struct str name = STR("l");
    const struct str value = STR("\"q\"\\\n\xc3\xa9\xff\xfe-\xff\xe2\x82");
    metric_writer_sample(&writer, "_x", &name, &value, 1, -INFINITY);
    assert_string_equal(out.data,
                        "# TYPE m gauge\n"
                        "m_x{l=\"\\\"q\\\"\\\\\\n\xc3\xa9\xef\xbf\xbd-\xef\xbf\xbd\"} -Inf\n");
    metric_writer_deinit(&writer);
    strbuf_deinit(&out);
}

static void a_registry_is_written_whole(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_create();
    static const char *const labels[] = {"job", NULL};
    const double bounds[] = {0.1, 5};
    const double quantiles[] = {0.5};
    struct metric_family *histogram =
        metrics_histogram(metrics, "h_seconds", "H.", labels, bounds, 2);
    struct metric_distribution *series = metric_distribution_with(histogram, &STR("j\"1"));
    metric_observe(series, 0.1);
    metric_observe(series, 2);
    metric_observe(series, 100);
    metric_distribution_only(metrics_summary(metrics, "s", "S.", NULL, quantiles, 1));
    metric_add(metric_only(metrics_counter(metrics, "c_total", "C.", NULL)), 2e6);
    metrics_gauge(metrics, "unused", "U.", labels);

    struct strbuf out = STRBUF_INIT;
    exposition_write_metrics(&out, metrics);
    assert_string_equal(out.data, "# HELP c_total C.\n"
                                  "# TYPE c_total counter\n"
                                  "c_total 2e+06\n"
                                  "# HELP h_seconds H.\n"
                                  "# TYPE h_seconds histogram\n"
                                  "h_seconds_bucket{job=\"j\\\"1\",le=\"0.1\"} 1\n"
                                  "h_seconds_bucket{job=\"j\\\"1\",le=\"5\"} 2\n"
                                  "h_seconds_bucket{job=\"j\\\"1\",le=\"+Inf\"} 3\n"
                                  "h_seconds_sum{job=\"j\\\"1\"} 102.1\n"
                                  "h_seconds_count{job=\"j\\\"1\"} 3\n"
                                  "# HELP s S.\n"
                                  "# TYPE s summary\n"
                                  "s{quantile=\"0.5\"} NaN\n"
                                  "s_sum 0\n"
                                  "s_count 0\n");
    strbuf_deinit(&out);
    metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_write_header_once_and_only_with_samples),
        cmocka_unit_test(label_values_are_escaped_and_made_utf8),
        cmocka_unit_test(a_registry_is_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
