/* The storage's own metrics, under Prometheus' names where it has them. */
#include "db_maintain.h"

static void collect(void *context)
{
    struct db *db = context;
    struct head_stats stats;
    head_stats(db->head, &stats);
    struct db_metrics *m = &db->metrics;
    metric_set(m->head_series, (double)stats.series_count);
    metric_set(m->head_series_created, (double)stats.series_created);
    metric_set(m->head_series_removed, (double)stats.series_removed);
    metric_set(m->head_chunks, (double)stats.column_count);
    metric_set(m->head_samples, (double)stats.sample_count);
    metric_set(m->head_out_of_order, (double)stats.out_of_order_count);
    metric_set(m->head_min_time, stats.min_t_ms == INT64_MAX ? 0 : (double)stats.min_t_ms);
    metric_set(m->head_max_time, stats.max_t_ms == INT64_MIN ? 0 : (double)stats.max_t_ms);
    metric_set(m->wal_bytes, (double)wal_bytes(db->wal));
    metric_set(m->wal_segment, wal_current_segment(db->wal));
    struct db_view *view = db__view_get(db);
    uint64_t block_total = 0;
    for (uint32_t i = 0; i < view->block_count; i++)
        block_total += block_bytes(view->blocks[i]->handle->block);
    metric_set(m->blocks_loaded, view->block_count);
    metric_set(m->block_bytes, (double)block_total);
    db__view_put(view);
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
        {&m->head_series_removed, true, "prometheus_tsdb_head_series_removed_total",
         "Series removed from the head."},
        {&m->head_chunks, false, "prometheus_tsdb_head_chunks", "Columns in the head."},
        {&m->head_samples, true, "prometheus_tsdb_head_samples_appended_total",
         "Samples appended."},
        {&m->head_out_of_order, true, "prometheus_tsdb_out_of_order_samples_total",
         "Samples refused because of their time."},
        {&m->head_min_time, false, "prometheus_tsdb_head_min_time",
         "Oldest sample of the head, in milliseconds."},
        {&m->head_max_time, false, "prometheus_tsdb_head_max_time",
         "Newest sample of the head, in milliseconds."},
        {&m->wal_bytes, false, "prometheus_tsdb_wal_storage_size_bytes",
         "Bytes of the write-ahead log."},
        {&m->wal_segment, false, "prometheus_tsdb_wal_segment_current",
         "Number of the segment being written."},
        {&m->blocks_loaded, false, "prometheus_tsdb_blocks_loaded", "Blocks open."},
        {&m->block_bytes, false, "prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks."},
        {&m->compactions, true, "prometheus_tsdb_compactions_total", "Blocks written."},
        {&m->compactions_failed, true, "prometheus_tsdb_compactions_failed_total",
         "Blocks that could not be written."},
        {&m->retention_deletions, true, "prometheus_tsdb_time_retentions_total",
         "Blocks removed because of their age or size."},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct metric_family *family =
            wanted[i].counter ? metrics_counter(metrics, wanted[i].name, wanted[i].help, NULL)
                              : metrics_gauge(metrics, wanted[i].name, wanted[i].help, NULL);
        *wanted[i].metric = metric_only(family);
    }
    metrics_on_collect(metrics, collect, db);
}
