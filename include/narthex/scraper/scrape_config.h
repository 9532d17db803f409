/* scraper/scrape_config.h: one scrape job as configured (spec config-and-scrape.md 1.2, 1.3), with
 * all global values already filled in. Immutable after loading; owned by the configuration. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/model/labels.h"
#include "narthex/model/relabel.h"
#include "narthex/scraper/http_config.h"

enum scrape_protocol {
    SCRAPE_PROTOCOL_NONE, /* no fallback */
    SCRAPE_PROTOCOL_PROTO,
    SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,
    SCRAPE_PROTOCOL_OPENMETRICS_1_0_0,
    SCRAPE_PROTOCOL_TEXT_0_0_4,
    SCRAPE_PROTOCOL_TEXT_1_0_0,
};
enum { SCRAPE_PROTOCOL_COUNT_MAX = 5 };

/* Targets that share labels, from static_configs or discovery. */
struct target_group_config {
    const struct labels *targets; /* each has at least __address__ */
    uint32_t target_count;
    struct labels labels;
};

struct query_param {
    struct str name;
    const struct str *values;
    uint32_t value_count;
};

/* One <mechanism>_sd_configs element. */
struct discovery_config {
    struct str mechanism; /* "file", "dns", "docker", "ec2", … */
    bool supported;       /* this build can run it */
    const void *settings; /* the mechanism's own struct; NULL when not supported */
    uint64_t fingerprint; /* XXH64 of the section: a reload keeps what did not change running */
};

struct scrape_config {
    struct str job_name;
    int64_t interval_ms;
    int64_t timeout_ms;
    enum scrape_protocol protocols[SCRAPE_PROTOCOL_COUNT_MAX];
    uint32_t protocol_count;
    enum scrape_protocol fallback_protocol;
    struct str metrics_path;
    struct str scheme;
    const struct query_param *params;
    uint32_t param_count;
    bool honor_labels;
    bool honor_timestamps;
    bool track_timestamps_staleness;
    bool enable_compression;
    bool scrape_native_histograms;
    bool convert_classic_histograms;
    bool always_scrape_classic_histograms;
    bool extra_scrape_metrics;
    uint64_t body_size_limit; /* bytes; this and the others: 0 is no limit */
    uint64_t sample_limit;
    uint64_t target_limit;
    uint64_t label_limit;
    uint64_t label_name_length_limit;
    uint64_t label_value_length_limit;
    uint64_t keep_dropped_targets;
    int64_t native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;
    struct str scrape_failure_log_file;
    enum name_scheme name_scheme;
    enum name_escaping name_escaping;
    struct http_client_config http;
    const struct relabel_rule *relabel_rules;
    uint32_t relabel_rule_count;
    const struct relabel_rule *metric_relabel_rules;
    uint32_t metric_relabel_rule_count;
    const struct target_group_config *static_groups;
    uint32_t static_group_count;
    const struct discovery_config *discovery;
    uint32_t discovery_count;
    /* XXH64 of the job, whole and secrets included, and as printed by the configuration without
     * what a running scrape loop can take over (interval, timeout, sample limit, HTTP client):
     * reload compares them. */
    uint64_t fingerprint;
    uint64_t cache_fingerprint;
};
