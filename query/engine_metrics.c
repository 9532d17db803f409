#include "engine_state.h"

void engine__metrics_init(struct engine_metrics *metrics,
                          const struct query_engine_options *options)
{
    *metrics = (struct engine_metrics){.on = options->metrics != NULL};
    if (!metrics->on)
        return;
    struct metrics *registry = options->metrics;
    metrics->queries = metric_only(
        metrics_gauge(registry, "prometheus_engine_queries", "Queries that run now.", NULL));
    metric_set(metric_only(metrics_gauge(registry, "prometheus_engine_queries_concurrent_max",
                                         "Queries that may run at the same time.", NULL)),
               options->max_concurrency);
    metrics->log_enabled = metric_only(metrics_gauge(
        registry, "prometheus_engine_query_log_enabled", "1 while queries are logged.", NULL));
    metrics->log_failures =
        metric_only(metrics_counter(registry, "prometheus_engine_query_log_failures_total",
                                    "Queries that could not be logged.", NULL));
    metrics->samples =
        metric_only(metrics_counter(registry, "prometheus_engine_query_samples_total",
                                    "Samples that queries looked at, every window anew.", NULL));
    metrics->samples_read =
        metric_only(metrics_counter(registry, "prometheus_engine_query_samples_read_total",
                                    "Samples that queries read, each once.", NULL));
    static const char *const label[] = {"slice", NULL};
    static const double quantiles[] = {.5, .9, .99};
    static const double bounds[] = {.01, .1, 1, 10};
    struct metric_family *summary =
        metrics_summary(registry, "prometheus_engine_query_duration_seconds",
                        "Time that parts of queries take.", label, quantiles, 3);
    struct metric_family *histogram =
        metrics_histogram(registry, "prometheus_engine_query_duration_histogram_seconds",
                          "Time that parts of queries take.", label, bounds, 4);
    static const struct str slices[SLICE_COUNT] = {
        [SLICE_INNER_EVAL] = STR_INIT("inner_eval"),
        [SLICE_PREPARE_TIME] = STR_INIT("prepare_time"),
        [SLICE_QUEUE_TIME] = STR_INIT("queue_time"),
        [SLICE_RESULT_SORT] = STR_INIT("result_sort"),
    };
    for (int i = 0; i < SLICE_COUNT; i++) {
        metrics->summaries[i] = metric_distribution_with(summary, &slices[i]);
        metrics->histograms[i] = metric_distribution_with(histogram, &slices[i]);
    }
}

void engine__metrics_query(struct engine_metrics *metrics, const struct query_stats *stats)
{
    if (!metrics->on)
        return;
    const double seconds[SLICE_COUNT] = {
        [SLICE_INNER_EVAL] = stats->inner_eval_s,
        [SLICE_PREPARE_TIME] = stats->preparation_s,
        [SLICE_QUEUE_TIME] = stats->queue_s,
        [SLICE_RESULT_SORT] = stats->result_sort_s,
    };
    for (int i = 0; i < SLICE_COUNT; i++) {
        metric_observe(metrics->summaries[i], seconds[i]);
        metric_observe(metrics->histograms[i], seconds[i]);
    }
    metric_add(metrics->samples, (double)stats->total_queryable_samples);
    metric_add(metrics->samples_read, (double)stats->samples_read);
}
