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
    for (int kind = 0; kind < 2; kind++) {
        metric_set(m->out_of_order[kind], (double)stats.out_of_order_count[kind]);
        metric_set(m->out_of_bounds[kind], (double)stats.out_of_bounds_count[kind]);
        metric_set(m->too_old[kind], (double)stats.too_old_count[kind]);
        metric_set(m->late_appended[kind], (double)stats.late_appended_count[kind]);
    }
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

static void register_by_kind(struct db_metrics *m, struct metrics *metrics)
{
    static const char *const names[] = {"type", NULL};
    static const struct str kinds[] = {STR_INIT("float"), STR_INIT("histogram")};
    const struct {
        struct metric **metric;
        const char *name;
        const char *help;
    } wanted[] = {
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
    register_by_kind(m, metrics);
    metrics_on_collect(metrics, collect, db);
}
