/* The storage's own metrics, under Prometheus' names where it has them. */
#include "db_maintain.h"

/* Nothing there (INT64_MIN, INT64_MAX) is 0. */
static void set_time(struct metric *milliseconds, struct metric *seconds, int64_t t_ms)
{
    if (t_ms == INT64_MAX || t_ms == INT64_MIN)
        t_ms = 0;
    metric_set(milliseconds, (double)t_ms);
    metric_set(seconds, (double)t_ms / 1000);
}

static void collect(void *context)
{
    struct db *db = context;
    struct head_stats stats;
    head_stats(db->head, &stats);
    struct db_metrics *m = &db->metrics;
    metric_set(m->head_series, (double)stats.series_count);
    metric_set(m->head_series_created, (double)stats.series_created);
    metric_set(m->head_series_refused, (double)stats.series_refused);
    metric_set(m->head_series_removed, (double)stats.series_removed);
    metric_set(m->head_chunks, (double)stats.column_count);
    metric_set(m->head_samples[0], (double)(stats.sample_count - stats.histogram_sample_count));
    metric_set(m->head_samples[1], (double)stats.histogram_sample_count);
    metric_set(m->wal_writes_failed, (double)stats.wal_failure_count);
    for (int kind = 0; kind < 2; kind++) {
        metric_set(m->out_of_order[kind], (double)stats.out_of_order_count[kind]);
        metric_set(m->out_of_bounds[kind], (double)stats.out_of_bounds_count[kind]);
        metric_set(m->too_old[kind], (double)stats.too_old_count[kind]);
        metric_set(m->late_appended[kind], (double)stats.late_appended_count[kind]);
    }
    set_time(m->head_min_time, m->head_min_seconds, stats.min_t_ms);
    set_time(m->head_max_time, m->head_max_seconds, stats.max_t_ms);
    metric_set(m->wal_bytes, (double)wal_bytes(db->wal));
    metric_set(m->wal_segment, wal_current_segment(db->wal));
    struct db_view *view = db__view_get(db);
    uint64_t block_total = 0;
    int64_t lowest_t_ms = stats.min_t_ms;
    for (uint32_t i = 0; i < view->block_count; i++) {
        const struct block *block = view->blocks[i]->handle->block;
        block_total += block_bytes(block);
        if (block_meta(block)->min_t_ms < lowest_t_ms)
            lowest_t_ms = block_meta(block)->min_t_ms;
    }
    set_time(m->lowest_time, m->lowest_seconds, lowest_t_ms);
    metric_set(m->blocks_loaded, view->block_count);
    metric_set(m->block_bytes, (double)block_total);
    db__view_put(view);
    mutex_lock(&db->selections.lock);
    metric_set(m->selection_bytes, (double)db->selections.bytes);
    metric_set(m->selection_hits, (double)db->selections.hit_count);
    metric_set(m->selection_misses, (double)db->selections.miss_count);
    mutex_unlock(&db->selections.lock);
    mutex_lock(&db->settings_lock);
    metric_set(m->retention_bytes, (double)db->retention_bytes);
    metric_set(m->retention_seconds, (double)db->retention_ms / 1000);
    mutex_unlock(&db->settings_lock);
}

void db__note_compaction(struct db *db, err_t err, int64_t start_ns)
{
    struct db_metrics *m = &db->metrics;
    db__count(err == OK ? m->compactions : m->compactions_failed, 1);
    if (m->compaction_seconds != NULL && err == OK)
        metric_observe(m->compaction_seconds,
                       (double)(clock_monotonic_ns(clock_system()) - start_ns) / 1e9);
}

static void register_by_kind(struct db_metrics *m, struct metrics *metrics)
{
    static const char *const names[] = {"type", NULL};
    static const struct str kinds[] = {STR_INIT("float"), STR_INIT("histogram")};
    const struct {
        struct metric **metric;
        const char *name;
        const char *help;
    } wanted[] = {
        {m->head_samples, "prometheus_tsdb_head_samples_appended_total", "Samples appended."},
        {m->out_of_order, "prometheus_tsdb_out_of_order_samples_total",
         "Samples refused because they were older than the newest one of their series and there is "
         "no out-of-order window."},
        {m->out_of_bounds, "prometheus_tsdb_out_of_bound_samples_total",
         "Samples refused because they were older than what can be appended and there is no "
         "out-of-order window."},
        {m->too_old, "prometheus_tsdb_too_old_samples_total",
         "Samples refused because they were older than the out-of-order window."},
        {m->late_appended, "prometheus_tsdb_head_out_of_order_samples_appended_total",
         "Samples appended out of order."},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct metric_family *family =
            metrics_counter(metrics, wanted[i].name, wanted[i].help, names);
        for (int kind = 0; kind < 2; kind++)
            wanted[i].metric[kind] = metric_with(family, &kinds[kind]);
    }
}

static void register_selections(struct db_metrics *m, struct metrics *metrics)
{
    m->selection_bytes =
        metric_only(metrics_gauge(metrics, "narthex_tsdb_kept_selections_bytes",
                                  "Bytes of selections kept for equal selectors.", NULL));
    m->selection_hits =
        metric_only(metrics_counter(metrics, "narthex_tsdb_kept_selections_hits_total",
                                    "Selections of the head taken from an equal one.", NULL));
    m->selection_misses =
        metric_only(metrics_counter(metrics, "narthex_tsdb_kept_selections_misses_total",
                                    "Selections of the head that had to be made.", NULL));
}

static void register_durations(struct db_metrics *m, struct metrics *metrics)
{
    static const double quantiles[] = {.5, .9, .99};
    static const double seconds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
    static const double tombstone_seconds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    m->fsync_seconds = metric_distribution_only(
        metrics_summary(metrics, "prometheus_tsdb_wal_fsync_duration_seconds",
                        "How long fsync of the write-ahead log took.", NULL, quantiles,
                        sizeof quantiles / sizeof quantiles[0]));
    m->compaction_seconds = metric_distribution_only(
        metrics_histogram(metrics, "prometheus_tsdb_compaction_duration_seconds",
                          "How long it took to write a block out of others or of the head.", NULL,
                          seconds, sizeof seconds / sizeof seconds[0]));
    m->tombstone_seconds = metric_distribution_only(metrics_histogram(
        metrics, "prometheus_tsdb_tombstone_cleanup_seconds",
        "How long it took to rewrite blocks without deleted samples.", NULL, tombstone_seconds,
        sizeof tombstone_seconds / sizeof tombstone_seconds[0]));
}

void db__metrics_register(struct db *db, struct metrics *metrics)
{
    struct db_metrics *m = &db->metrics;
    const struct {
        struct metric **metric;
        bool counter;
        const char *name;
        const char *help;
    } wanted[] = {
        {&m->head_series, false, "prometheus_tsdb_head_series", "Series in the head."},
        {&m->head_series_created, true, "prometheus_tsdb_head_series_created_total",
         "Series made in the head."},
        {&m->head_series_refused, true, "narthex_memory_refused_series_total",
         "Times that a new series was refused because the memory budget was used up."},
        {&m->head_series_removed, true, "prometheus_tsdb_head_series_removed_total",
         "Series removed from the head."},
        {&m->head_chunks, false, "prometheus_tsdb_head_chunks", "Columns in the head."},
        {&m->head_min_time, false, "prometheus_tsdb_head_min_time",
         "Oldest sample of the head, in milliseconds."},
        {&m->head_max_time, false, "prometheus_tsdb_head_max_time",
         "Newest sample of the head, in milliseconds."},
        {&m->head_min_seconds, false, "prometheus_tsdb_head_min_time_seconds",
         "Oldest sample of the head, in seconds."},
        {&m->head_max_seconds, false, "prometheus_tsdb_head_max_time_seconds",
         "Newest sample of the head, in seconds."},
        {&m->lowest_time, false, "prometheus_tsdb_lowest_timestamp",
         "Oldest time of head and blocks, in milliseconds."},
        {&m->lowest_seconds, false, "prometheus_tsdb_lowest_timestamp_seconds",
         "Oldest time of head and blocks, in seconds."},
        {&m->retention_bytes, false, "prometheus_tsdb_retention_limit_bytes",
         "Bytes that may lie under the data folder; 0 is no limit."},
        {&m->retention_seconds, false, "prometheus_tsdb_retention_limit_seconds",
         "How long samples are kept; 0 is no limit."},
        {&m->replay_seconds, false, "prometheus_tsdb_data_replay_duration_seconds",
         "How long reading the log took at the start."},
        {&m->clean_start, false, "prometheus_tsdb_clean_start",
         "-1: no lock file is used; 0: the process before did not close the database; 1: it did, "
         "or there was none."},
        {&m->wal_corruptions, true, "prometheus_tsdb_wal_corruptions_total",
         "Places of the write-ahead log found damaged at the start."},
        {&m->wal_writes_failed, true, "prometheus_tsdb_wal_writes_failed_total",
         "Commits that could not be written to the write-ahead log."},
        {&m->reloads, true, "prometheus_tsdb_reloads_total", "Times that blocks were opened."},
        {&m->reloads_failed, true, "prometheus_tsdb_reloads_failures_total",
         "Times that a block could not be opened."},
        {&m->wal_bytes, false, "prometheus_tsdb_wal_storage_size_bytes",
         "Bytes of the write-ahead log."},
        {&m->wal_segment, false, "prometheus_tsdb_wal_segment_current",
         "Number of the segment being written."},
        {&m->blocks_loaded, false, "prometheus_tsdb_blocks_loaded", "Blocks open."},
        {&m->block_bytes, false, "prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks."},
        {&m->compactions, true, "prometheus_tsdb_compactions_total", "Blocks written."},
        {&m->compactions_failed, true, "prometheus_tsdb_compactions_failed_total",
         "Blocks that could not be written."},
        {&m->time_retentions, true, "prometheus_tsdb_time_retentions_total",
         "Blocks removed because of their age."},
        {&m->size_retentions, true, "prometheus_tsdb_size_retentions_total",
         "Blocks removed because of the bytes of all."},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct metric_family *family =
            wanted[i].counter ? metrics_counter(metrics, wanted[i].name, wanted[i].help, NULL)
                              : metrics_gauge(metrics, wanted[i].name, wanted[i].help, NULL);
        *wanted[i].metric = metric_only(family);
    }
    register_by_kind(m, metrics);
    register_selections(m, metrics);
    register_durations(m, metrics);
}

void db__metrics_start(struct db *db, struct metrics *metrics)
{
    metrics_on_collect(metrics, collect, db);
}
