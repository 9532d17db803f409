#include "scrape_metrics.h"

#include "narthex/base/duration.h"
#include "narthex/base/strbuf.h"

static const char *const by_job[] = {"scrape_job", NULL};
static const char *const by_interval[] = {"interval", NULL};
static const double quantiles[] = {.01, .05, .5, .9, .99};
static const double bounds[] = {.01, .1, 1, 10};
static const double delay_bounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, 1, 10};
enum {
    QUANTILE_COUNT = sizeof quantiles / sizeof quantiles[0],
    BOUND_COUNT = sizeof bounds / sizeof bounds[0],
    DELAY_BOUND_COUNT = sizeof delay_bounds / sizeof delay_bounds[0],
};

static struct metric *plain(struct metrics *registry, const char *name, const char *help)
{
    return metric_only(metrics_counter(registry, name, help, NULL));
}

static void init_distributions(struct scrape_metrics *m, struct metrics *r)
{
    m->interval_length = metrics_summary(r, "prometheus_target_interval_length_seconds",
                                         "Time between two scrapes of a target.", by_interval,
                                         quantiles, QUANTILE_COUNT);
    m->interval_length_histogram = metrics_histogram(
        r, "prometheus_target_interval_length_histogram_seconds",
        "Time between two scrapes of a target.", by_interval, bounds, BOUND_COUNT);
    m->delay = metric_distribution_only(metrics_histogram(r, "narthex_scrape_delay_seconds",
                                                          "How much later than due scrapes began.",
                                                          NULL, delay_bounds, DELAY_BOUND_COUNT));
    m->reload_length = metrics_summary(r, "prometheus_target_reload_length_seconds",
                                       "Time it took to apply a new configuration to a job.",
                                       by_interval, quantiles, QUANTILE_COUNT);
    m->sync_length = metrics_summary(r, "prometheus_target_sync_length_seconds",
                                     "Time it took to turn a job's groups into targets.", by_job,
                                     quantiles, QUANTILE_COUNT);
    m->sync_length_histogram = metrics_histogram(
        r, "prometheus_target_sync_length_histogram_seconds",
        "Time it took to turn a job's groups into targets.", by_job, bounds, BOUND_COUNT);
}

static void init_by_job(struct scrape_metrics *m, struct metrics *r)
{
    m->sync_failed = metrics_counter(r, "prometheus_target_sync_failed_total",
                                     "Targets refused for their labels.", by_job);
    m->pool_sync = metrics_counter(r, "prometheus_target_scrape_pool_sync_total",
                                   "Times a job's targets were computed.", by_job);
    m->pool_targets = metrics_gauge(r, "prometheus_target_scrape_pool_targets",
                                    "Targets the job scrapes now.", by_job);
    m->pool_target_limit = metrics_gauge(r, "prometheus_target_scrape_pool_target_limit",
                                         "Most targets the job may have; 0 is no limit.", by_job);
    m->metadata_entries = metrics_gauge(r, "prometheus_target_metadata_cache_entries",
                                        "Metric families whose metadata is kept.", by_job);
    m->metadata_bytes = metrics_gauge(r, "prometheus_target_metadata_cache_bytes",
                                      "Size of the texts of kept metadata.", by_job);
    m->target_bytes =
        metrics_gauge(r, "narthex_scrape_target_bytes",
                      "Memory of a job's targets without texts of metadata and caches.", by_job);
    m->cache_lines = metrics_gauge(r, "narthex_scrape_cache_lines",
                                   "Series and comments in the caches of a job's targets.", by_job);
    m->cache_bytes = metrics_gauge(r, "narthex_scrape_cache_bytes",
                                   "Memory of the caches of a job's targets.", by_job);
}

static void init_counters(struct scrape_metrics *m, struct metrics *r)
{
    m->pools = plain(r, "prometheus_target_scrape_pools_total", "Jobs that were set up.");
    m->pools_failed =
        plain(r, "prometheus_target_scrape_pools_failed_total", "Jobs that could not be set up.");
    m->pool_reloads =
        plain(r, "prometheus_target_scrape_pool_reloads_total", "Jobs changed by a reload.");
    m->pool_reloads_failed = plain(r, "prometheus_target_scrape_pool_reloads_failed_total",
                                   "Jobs that a reload could not change.");
    m->exceeded_target_limit = plain(r, "prometheus_target_scrape_pool_exceeded_target_limit_total",
                                     "Syncs that gave a job more targets than its limit.");
    m->exceeded_label_limits = plain(r, "prometheus_target_scrape_pool_exceeded_label_limits_total",
                                     "Scrapes refused for the number or length of labels.");
    m->exceeded_sample_limit = plain(r, "prometheus_target_scrapes_exceeded_sample_limit_total",
                                     "Scrapes refused for their number of samples.");
    m->exceeded_body_size_limit =
        plain(r, "prometheus_target_scrapes_exceeded_body_size_limit_total",
              "Scrapes refused for the size of their body.");
    m->exceeded_bucket_limit =
        plain(r, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
              "Scrapes refused for the buckets of a native histogram.");
    m->duplicates = plain(r, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                          "Samples left out: another value with the same timestamp was there.");
    m->out_of_order = plain(r, "prometheus_target_scrapes_sample_out_of_order_total",
                            "Samples left out: older than what was stored.");
    m->out_of_bounds = plain(r, "prometheus_target_scrapes_sample_out_of_bounds_total",
                             "Samples left out: outside the time range that can be appended.");
    m->exemplars_out_of_order = plain(r, "prometheus_target_scrapes_exemplar_out_of_order_total",
                                      "Exemplars left out: older than what was stored.");
    m->wall_clock_jumps = plain(
        r, "narthex_wall_clock_jumps_total",
        "Times that the wall clock moved against the monotonic one by a second or more: it was "
        "set, or the machine slept.");
    (void)plain(r, "prometheus_target_scrapes_cache_flush_forced_total",
                "Series caches emptied because they grew too large while scrapes failed.");
}

void scrape_metrics_init(struct scrape_metrics *metrics, struct metrics *registry)
{
    *metrics = (struct scrape_metrics){.registry = registry};
    if (registry == NULL)
        return;
    init_distributions(metrics, registry);
    init_by_job(metrics, registry);
    init_counters(metrics, registry);
}

void scrape_metrics_count(const struct scrape_metrics *metrics, struct metric *counter, double by)
{
    if (metrics->registry != NULL && by > 0)
        metric_add(counter, by);
}

static struct metric_distribution *of_interval(struct metric_family *family, int64_t interval_ms)
{
    struct strbuf text = STRBUF_INIT;
    duration_print(interval_ms, &text);
    struct str value = strbuf_str(&text);
    struct metric_distribution *distribution = metric_distribution_with(family, &value);
    strbuf_deinit(&text);
    return distribution;
}

void scrape_metrics_interval(const struct scrape_metrics *metrics, int64_t interval_ms,
                             double seconds, struct scrape_interval_place *place)
{
    if (metrics->registry == NULL)
        return;
    if (place->interval_ms != interval_ms) /* these series are never removed */
        *place = (struct scrape_interval_place){
            .interval_ms = interval_ms,
            .length = of_interval(metrics->interval_length, interval_ms),
            .length_histogram = of_interval(metrics->interval_length_histogram, interval_ms),
        };
    metric_observe(place->length, seconds);
    metric_observe(place->length_histogram, seconds);
}

void scrape_metrics_delay(const struct scrape_metrics *metrics, double seconds)
{
    if (metrics->registry != NULL)
        metric_observe(metrics->delay, seconds < 0 ? 0 : seconds);
}

void scrape_metrics_reload(const struct scrape_metrics *metrics, int64_t interval_ms,
                           double seconds)
{
    if (metrics->registry != NULL)
        metric_observe(of_interval(metrics->reload_length, interval_ms), seconds);
}

void scrape_metrics_sync(const struct scrape_metrics *metrics, struct str job, double seconds,
                         uint64_t targets, uint64_t target_limit, uint64_t refused)
{
    if (metrics->registry == NULL)
        return;
    metric_observe(metric_distribution_with(metrics->sync_length, &job), seconds);
    metric_observe(metric_distribution_with(metrics->sync_length_histogram, &job), seconds);
    metric_add(metric_with(metrics->pool_sync, &job), 1);
    metric_add(metric_with(metrics->sync_failed, &job), (double)refused);
    metric_set(metric_with(metrics->pool_targets, &job), (double)targets);
    metric_set(metric_with(metrics->pool_target_limit, &job), (double)target_limit);
}

void scrape_metrics_memory(const struct scrape_metrics *metrics, struct str job,
                           uint64_t target_bytes, uint64_t cache_lines, uint64_t cache_bytes)
{
    if (metrics->registry == NULL)
        return;
    metric_set(metric_with(metrics->target_bytes, &job), (double)target_bytes);
    metric_set(metric_with(metrics->cache_lines, &job), (double)cache_lines);
    metric_set(metric_with(metrics->cache_bytes, &job), (double)cache_bytes);
}

void scrape_metrics_metadata(const struct scrape_metrics *metrics, struct str job, uint64_t entries,
                             uint64_t bytes)
{
    if (metrics->registry == NULL)
        return;
    metric_set(metric_with(metrics->metadata_entries, &job), (double)entries);
    metric_set(metric_with(metrics->metadata_bytes, &job), (double)bytes);
}

void scrape_metrics_forget(const struct scrape_metrics *metrics, struct str job)
{
    if (metrics->registry == NULL)
        return;
    struct metric_family *const gauges[] = {
        metrics->pool_targets,   metrics->pool_target_limit, metrics->metadata_entries,
        metrics->metadata_bytes, metrics->pool_sync,         metrics->sync_failed,
        metrics->target_bytes,   metrics->cache_lines,       metrics->cache_bytes};
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        metric_remove(gauges[i], &job);
}
