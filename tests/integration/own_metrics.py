#!/usr/bin/env python3
"""The server's own metrics have Prometheus' names, types and labels, so that its mixin's alerts and
dashboards work; what a start found (a process that did not end well, a damaged log) is shown.

usage: own_metrics.py NARTHEX WORK_FOLDER
"""
import glob
import os
import re
import sys

import harness

CONFIG = """
global: {scrape_interval: 200ms}
scrape_configs:
- job_name: self
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""

# Types by name, with the labels that the series must have.
WANTED = {
    "counter": """
        process_cpu_seconds_total prometheus_http_requests_total{handler,code}
        promhttp_metric_handler_requests_total{code}
        net_conntrack_listener_conn_accepted_total{listener_name}
        net_conntrack_listener_conn_closed_total{listener_name}
        prometheus_engine_query_samples_total prometheus_engine_query_samples_read_total
        prometheus_engine_query_log_failures_total
        prometheus_target_sync_failed_total{scrape_job}
        prometheus_target_scrape_pool_sync_total{scrape_job}
        prometheus_target_scrape_pools_total prometheus_target_scrape_pools_failed_total
        prometheus_target_scrape_pool_reloads_total
        prometheus_target_scrape_pool_reloads_failed_total
        prometheus_target_scrape_pool_exceeded_target_limit_total
        prometheus_target_scrape_pool_exceeded_label_limits_total
        prometheus_target_scrapes_exceeded_sample_limit_total
        prometheus_target_scrapes_exceeded_body_size_limit_total
        prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total
        prometheus_target_scrapes_cache_flush_forced_total narthex_wall_clock_jumps_total
        prometheus_target_scrapes_sample_duplicate_timestamp_total
        prometheus_target_scrapes_sample_out_of_order_total
        prometheus_target_scrapes_sample_out_of_bounds_total
        prometheus_target_scrapes_exemplar_out_of_order_total
        prometheus_sd_received_updates_total{name} prometheus_sd_updates_total{name}
        prometheus_sd_updates_delayed_total{name} prometheus_sd_kubernetes_failures_total
        prometheus_tsdb_head_samples_appended_total{type}
        prometheus_tsdb_head_series_created_total prometheus_tsdb_head_series_removed_total
        prometheus_tsdb_out_of_order_samples_total{type}
        prometheus_tsdb_out_of_bound_samples_total{type}
        prometheus_tsdb_too_old_samples_total{type}
        prometheus_tsdb_head_out_of_order_samples_appended_total{type}
        prometheus_tsdb_compactions_total prometheus_tsdb_compactions_failed_total
        prometheus_tsdb_reloads_total prometheus_tsdb_reloads_failures_total
        prometheus_tsdb_time_retentions_total prometheus_tsdb_size_retentions_total
        prometheus_tsdb_wal_corruptions_total prometheus_tsdb_wal_writes_failed_total""",
    "gauge": """
        prometheus_build_info{version,revision,goos,goarch,branch,goversion,tags}
        process_start_time_seconds process_resident_memory_bytes process_virtual_memory_bytes
        process_virtual_memory_max_bytes process_open_fds process_max_fds
        prometheus_config_last_reload_successful
        prometheus_config_last_reload_success_timestamp_seconds prometheus_ready
        prometheus_engine_queries prometheus_engine_queries_concurrent_max
        prometheus_engine_query_log_enabled prometheus_target_scrape_pool_targets{scrape_job}
        prometheus_target_scrape_pool_target_limit{scrape_job}
        prometheus_target_metadata_cache_entries{scrape_job}
        prometheus_target_metadata_cache_bytes{scrape_job}
        prometheus_sd_discovered_targets{name,config} prometheus_sd_failed_configs{name}
        prometheus_tsdb_head_series prometheus_tsdb_head_chunks prometheus_tsdb_head_min_time
        prometheus_tsdb_head_max_time prometheus_tsdb_head_min_time_seconds
        prometheus_tsdb_head_max_time_seconds prometheus_tsdb_lowest_timestamp
        prometheus_tsdb_lowest_timestamp_seconds prometheus_tsdb_retention_limit_bytes
        prometheus_tsdb_retention_limit_seconds prometheus_tsdb_data_replay_duration_seconds
        prometheus_tsdb_clean_start prometheus_tsdb_blocks_loaded
        prometheus_tsdb_storage_blocks_bytes prometheus_tsdb_wal_segment_current
        prometheus_tsdb_wal_storage_size_bytes""",
    "summary": """
        prometheus_engine_query_duration_seconds{slice} prometheus_target_interval_length_seconds
        prometheus_target_sync_length_seconds{scrape_job}
        prometheus_tsdb_wal_fsync_duration_seconds""",
    "histogram": """
        prometheus_http_request_duration_seconds{handler}
        prometheus_http_response_size_bytes{handler}
        prometheus_engine_query_duration_histogram_seconds{slice}
        prometheus_target_interval_length_histogram_seconds narthex_scrape_delay_seconds
        prometheus_target_sync_length_histogram_seconds{scrape_job}
        prometheus_tsdb_compaction_duration_seconds prometheus_tsdb_tombstone_cleanup_seconds""",
}

# What panels of public dashboards ask: each has an answer here.
PANELS = """
    count by (job, instance, version) (prometheus_build_info{job=~".+"})
    max by (job, instance) (time() - process_start_time_seconds)
    sum(rate(prometheus_target_sync_length_seconds_sum[5m])) by (scrape_job) * 1e3
    sum by (job) (prometheus_sd_discovered_targets)
    rate(prometheus_target_interval_length_seconds_sum[5m]) / rate(prometheus_target_interval_length_seconds_count[5m])
    prometheus_target_interval_length_seconds{quantile="0.99"}
    sum by (job) (rate(prometheus_target_scrapes_exceeded_body_size_limit_total[1m]))
    sum by (job) (rate(prometheus_target_scrapes_exceeded_sample_limit_total[1m]))
    sum by (job) (rate(prometheus_target_scrapes_sample_duplicate_timestamp_total[1m]))
    sum by (job) (rate(prometheus_target_scrapes_sample_out_of_bounds_total[1m]))
    sum by (job) (rate(prometheus_target_scrapes_sample_out_of_order_total[1m]))
    sum without (type) (rate(prometheus_tsdb_head_samples_appended_total[5m]))
    prometheus_tsdb_head_series
    prometheus_tsdb_head_chunks
    rate(prometheus_engine_query_duration_seconds_count{slice="inner_eval"}[5m])
    max by (slice) (prometheus_engine_query_duration_seconds{quantile="0.9"})
    prometheus_engine_queries
    sum(rate(prometheus_http_requests_total[1m])) by (handler, code)
    histogram_quantile(0.9, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[5m])))
    prometheus_tsdb_wal_fsync_duration_seconds
    rate(prometheus_tsdb_compactions_total[5m])
    prometheus_tsdb_blocks_loaded
    prometheus_tsdb_storage_blocks_bytes
    prometheus_config_last_reload_success_timestamp_seconds
    rate(process_cpu_seconds_total[1m])
    process_resident_memory_bytes
    process_open_fds / process_max_fds""".split("\n    ")[1:]
# Conditions of the mixin's alerts: what they look at is there, and none fires on a sound server.
# Those on rules, Alertmanagers and remote write have nothing to look at.
ALERTS = """
    max_over_time(prometheus_config_last_reload_successful[5m]) == 0
    increase(prometheus_tsdb_reloads_failures_total[3h]) > 0
    increase(prometheus_tsdb_compactions_failed_total[3h]) > 0
    sum without (type) (rate(prometheus_tsdb_head_samples_appended_total[5m])) <= 0
    rate(prometheus_target_scrapes_sample_duplicate_timestamp_total[5m]) > 0
    rate(prometheus_target_scrapes_sample_out_of_order_total[5m]) > 0
    increase(prometheus_target_scrape_pool_exceeded_target_limit_total[5m]) > 0
    increase(prometheus_target_scrape_pool_exceeded_label_limits_total[5m]) > 0
    increase(prometheus_target_scrapes_exceeded_body_size_limit_total[5m]) > 0
    increase(prometheus_target_scrapes_exceeded_sample_limit_total[5m]) > 0
    increase(prometheus_target_sync_failed_total[30m]) > 0
    increase(prometheus_sd_kubernetes_failures_total[5m]) > 0
    avg_over_time(prometheus_engine_queries[5m]) / max_over_time(prometheus_engine_queries_concurrent_max[5m]) > 0.8
    """.rstrip().split("\n    ")[1:]


def metrics(server):
    return harness.http_get(server.url + "/metrics")[2].decode()


def value(server, series):
    for line in metrics(server).splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {series} on /metrics")


def check_names(server):
    text = metrics(server)
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
    wrong = []
    for kind, names in WANTED.items():
        for entry in names.split():
            name, _, labels = entry.rstrip("}").partition("{")
            if types.get(name) != kind or name not in helped:
                wrong.append(f"{name} is {types.get(name)}, not a {kind}, or has no HELP")
                continue
            lines = re.findall(rf"^{name}(?:_count)?(?:\{{(.*)\}})? \S+$", text, re.M)
            missing = [label for label in labels.split(",") if label
                       and not any(re.search(rf'(^|,){label}="', line) for line in lines)]
            if not lines or missing:
                wrong.append(f"{name} has no series, or none with {missing}")
    assert not wrong, "\n".join(wrong)


def check_mixin(server):
    def answers(query):
        return server.data("query", query=query)["result"]

    for query in PANELS:
        harness.wait_until(lambda q=query: answers(q), f"an answer to {query}", 30)
    for alert in ALERTS:
        condition = re.match(r"(.*) (?:==|<=|>) [\d.]+$", alert)[1]
        harness.wait_until(lambda c=condition: answers(c), f"an answer to {condition}", 30)
        assert answers(alert) == [], alert
    # Nothing is pretended: what is not built has no metrics.
    absent = re.findall(r"^# TYPE (prometheus_(?:rule|notifications|remote)_\S+)", metrics(server), re.M)
    assert not absent, absent


def appended(server):
    return value(server, 'prometheus_tsdb_head_samples_appended_total{type="float"}')


def damage_log(folder):
    """Breaks a record in the middle of the log's largest segment."""
    segments = glob.glob(os.path.join(folder, "narthex-data", "wal", "0*"))
    path = max(segments, key=os.path.getsize)
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(bytes(64))


def run(program, work, port, check):
    server = harness.start_narthex(program, work, CONFIG % port, port=port)
    try:
        server.wait_ready()
        check(server)
        harness.wait_until(lambda: appended(server) > 3000, "some samples")
    except BaseException:
        server.kill()
        raise
    return server


def clean_is(server, clean):
    assert value(server, "prometheus_tsdb_clean_start") == clean


def started(clean, corruptions):
    def check(server):
        clean_is(server, clean)
        found = value(server, "prometheus_tsdb_wal_corruptions_total")
        assert (found > 0) == corruptions, found
        assert server.data("status/runtimeinfo")["corruptionCount"] == found
    return check


def main():
    program, folder = sys.argv[1:3]
    port = harness.free_port()
    with harness.WorkFolder(folder) as work:
        server = run(program, work, port, started(clean=1, corruptions=False))
        try:
            check_names(server)
            check_mixin(server)
        finally:
            server.kill()
        damage_log(work)
        run(program, work, port, started(clean=0, corruptions=True)).stop()
        run(program, work, port, lambda s: clean_is(s, 1)).stop()
    print("own metrics: names, types, labels, panels, alerts, clean start, corruptions")


main()
