/* Own metrics of scraping (spec http-api.md 6). With a NULL registry all calls do nothing.
 * Any thread. */
#pragma once

#include "narthex/base/metrics.h"

struct scrape_metrics {
    struct metrics *registry; /* NULL: nothing is counted */
    struct metric_family *interval_length;
    struct metric_family *interval_length_histogram;
    struct metric_distribution *delay;
    struct metric_family *reload_length;
    struct metric_family *sync_length;
    struct metric_family *sync_length_histogram;
    struct metric_family *sync_failed;
    struct metric_family *pool_sync;
    struct metric_family *pool_targets;
    struct metric_family *pool_target_limit;
    struct metric_family *metadata_entries;
    struct metric_family *metadata_bytes;
    struct metric_family *target_bytes;
    struct metric_family *cache_lines;
    struct metric_family *cache_bytes;
    struct metric *pools;
    struct metric *pools_failed;
    struct metric *pool_reloads;
    struct metric *pool_reloads_failed;
    struct metric *exceeded_target_limit;
    struct metric *exceeded_label_limits;
    struct metric *exceeded_sample_limit;
    struct metric *exceeded_body_size_limit;
    struct metric *exceeded_bucket_limit;
    struct metric *duplicates;
    struct metric *out_of_order;
    struct metric *out_of_bounds;
    struct metric *exemplars_out_of_order;
    struct metric *wall_clock_jumps;
};

void scrape_metrics_init(struct scrape_metrics *metrics, struct metrics *registry);
/* Counts on one of the plain counters above. */
void scrape_metrics_count(const struct scrape_metrics *metrics, struct metric *counter, double by);
/* Where a thread last observed; all zero at first. Finding these takes longer than observing. */
struct scrape_interval_place {
    int64_t interval_ms;
    struct metric_distribution *length;
    struct metric_distribution *length_histogram;
};
/* Distance of two scrapes of a target that is due every interval_ms. */
void scrape_metrics_interval(const struct scrape_metrics *metrics, int64_t interval_ms,
                             double seconds, struct scrape_interval_place *place);
/* A scrape begins, that much later than it was due. */
void scrape_metrics_delay(const struct scrape_metrics *metrics, double seconds);
/* A job whose targets are due every interval_ms took `seconds` to take on a new configuration. */
void scrape_metrics_reload(const struct scrape_metrics *metrics, int64_t interval_ms,
                           double seconds);
/* One sync of a job: how long, how many targets it has, how many were refused. */
void scrape_metrics_sync(const struct scrape_metrics *metrics, struct str job, double seconds,
                         uint64_t targets, uint64_t target_limit, uint64_t refused);
/* Memory of a job's targets: the targets themselves; lines in their caches and what those take. */
void scrape_metrics_memory(const struct scrape_metrics *metrics, struct str job,
                           uint64_t target_bytes, uint64_t cache_lines, uint64_t cache_bytes);
void scrape_metrics_metadata(const struct scrape_metrics *metrics, struct str job, uint64_t entries,
                             uint64_t bytes);
/* A job is gone. */
void scrape_metrics_forget(const struct scrape_metrics *metrics, struct str job);
