/* server/flags.h: the command line, with Prometheus' flag names (spec http-api.md 3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/log.h"
#include "narthex/base/strbuf.h"
#include "narthex/http/http_server.h"
#include "narthex/query/promql.h"

enum { FLAG_LIST_MAX = 64 };

struct flag_list {
    const char *items[FLAG_LIST_MAX];
    size_t count;
};

struct server_flags {
    bool help;
    bool version;
    const char *config_file;
    bool config_file_set;
    bool auto_reload;
    int64_t auto_reload_interval_ms;
    bool skip_unsupported;
    struct flag_list listen_addresses;
    const char *external_url;
    const char *route_prefix;
    const char *cors_origin;
    int64_t notification_subscribers_max;
    int64_t search_max_limit;
    const char *web_config;
    int64_t read_timeout_ms;
    int64_t send_timeout_ms;
    int64_t max_connections;
    bool enable_lifecycle;
    bool enable_admin_api;
    const char *storage_path;
    int64_t retention_ms;
    bool retention_ms_set;
    int64_t retention_bytes;
    bool no_lockfile;
    int64_t block_range_ms;
    int64_t block_range_max_ms;
    bool wal_sync_each_commit;
    int64_t lookback_ms;
    int64_t query_timeout_ms;
    int64_t query_max_concurrency;
    int64_t query_max_samples;
    int64_t query_threads;
    int64_t query_memory_bytes;
    int64_t memory_budget_bytes;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ms;
    int64_t scrape_shards;
    bool no_host_metrics;
    const char *log_level_text;
    const char *log_format_text;
    enum log_level log_level;
    enum log_format log_format;
    struct flag_list features;
    struct flag_list idle_features; /* names among them that change nothing here */
    bool agent;
    struct flag_list agent_flags; /* names of flags that only agent mode has */

    /* From --enable-feature. */
    struct promql_features promql;
    bool exemplar_storage;
    bool search_api;
    bool extra_scrape_metrics;
    bool created_timestamp_zero;
    bool start_timestamps;
    bool start_synthesis;
    bool type_and_unit_labels;

    /* All flags with their effective values, sorted by name; for /api/v1/status/flags. */
    struct http_flag *values;
    size_t value_count;
    struct arena arena;
};

/* ERR_INVALID with kingpin's text (unknown long flag '--x', expected argument for flag '--x', …),
 * ERR_UNSUPPORTED with Prometheus' text for flags of agent mode.
 * Warnings about flags that change nothing are logged by server_flags_warn once logging is set. */
err_t server_flags_parse(struct server_flags *flags, int argc, char **argv, struct strbuf *why);
void server_flags_warn(const struct server_flags *flags);
void server_flags_deinit(struct server_flags *flags);
void server_flags_help(struct strbuf *out);
