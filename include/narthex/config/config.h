/* config/config.h: the configuration file, loaded, checked and with all defaults filled in.
 *
 * The whole 3.14 schema is read strictly (spec config-and-scrape.md, section 1). A struct config is
 * immutable and reference-counted: the scraper keeps the one it works from. What this build cannot
 * run yet is listed in `unsupported`; the server decides whether to stop or to skip it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"
#include "narthex/scraper/scrape_config.h"

struct config_options {
    bool agent; /* --agent: refuses alerting, rule_files, remote_read */
    /* Features that put PrometheusProto first in the default scrape_protocols. */
    bool prefer_protobuf;
    /* Default of extra_scrape_metrics (feature extra-scrape-metrics). */
    bool extra_scrape_metrics;
};

struct config {
    /* global */
    int64_t scrape_interval_ms;
    int64_t evaluation_interval_ms;
    int64_t rule_query_offset_ms;
    struct labels external_labels;
    struct str query_log_file;

    /* storage */
    int64_t out_of_order_window_ms;
    bool has_retention; /* a present block replaces the retention flags */
    int64_t retention_ms;
    int64_t retention_bytes;
    double retention_percent;
    int64_t exemplars_max;

    const struct scrape_config *scrape_configs; /* those of scrape_config_files come last */
    uint32_t scrape_config_count;

    const struct str *rule_files; /* patterns */
    uint32_t rule_file_count;

    /* Sections that are configured and not built yet: "rule_files",
     * "ec2_sd_configs (job \"x\")", … */
    const struct str *unsupported;
    uint32_t unsupported_count;
};

/* Loads a file. Errors: "parsing YAML file PATH: …" with the line; ERR_NOT_FOUND and ERR_IO
 * "open PATH: …". On OK the caller owns one reference. */
err_t config_load(const char *path, const struct config_options *options, struct config **config,
                  struct strbuf *why);
/* The same from memory; relative paths are joined with `folder`, `name` stands for the path. */
err_t config_load_text(struct str text, const char *name, struct str folder,
                       const struct config_options *options, struct config **config,
                       struct strbuf *why);
struct config *config_pin(struct config *config);
void config_unpin(struct config *config);

/* The effective configuration as YAML, secrets as <secret> (/api/v1/status/config). */
void config_print(const struct config *config, struct strbuf *out);
/* One job of any source; false if there is none of that name. */
bool config_print_job(const struct config *config, struct str job_name, struct strbuf *out);

/* Calls `visit` for each file that some key names, patterns as they are written: with the key
 * ("ca_file") and the path, which lives as long as the configuration. */
void config_visit_files(const struct config *config,
                        void (*visit)(void *context, const char *key, struct str path),
                        void *context);

/* XXH64 over the main file and all files that its globs match, as --config.auto-reload watches
 * them; unreadable files count as absent. */
uint64_t config_files_checksum(const char *path);
