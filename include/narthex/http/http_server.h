/* http/http_server.h: the HTTP side of the server.
 *
 * libmicrohttpd's threads only parse and admit; requests that work (queries, admin calls) run on a
 * pool of workers behind a bounded queue, and a full queue answers 503. A client that hangs up
 * cancels its query.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/clock.h"
#include "narthex/base/err.h"
#include "narthex/base/metrics.h"
#include "narthex/base/strbuf.h"
#include "narthex/http/notifications.h"
#include "narthex/query/engine.h"
#include "narthex/scraper/scrape_manager.h"
#include "narthex/tsdb/db.h"

struct http_server;

enum server_state { SERVER_STARTING, SERVER_READY, SERVER_STOPPING };

struct http_flag {
    const char *name; /* without dashes */
    const char *value;
};

/* For /api/v1/status/runtimeinfo; texts go into the arena. */
struct runtime_info {
    int64_t start_time_ms;
    struct str working_folder;
    struct str host_name;
    bool reload_success;
    int64_t last_config_ms;
    struct str storage_retention;
    const struct str *skipped_sections; /* --config.skip-unsupported */
    size_t skipped_section_count;
};

/* What the routes show and do. Pointers stay valid until http_server_stop has returned; those that
 * are set later (while starting) are guarded by `state`: they are used only in SERVER_READY. */
struct http_services {
    _Atomic enum server_state state;
    const struct db_replay *replay; /* from the beginning */
    struct db *db;
    struct storage *storage;
    struct query_engine *engine;
    struct scrape_manager *scraper;
    struct metrics *metrics;
    struct notifications *notifications; /* from the beginning */
    const struct clock *clock;
    struct promql_features features;
    int64_t lookback_ms;
    bool search_api;          /* feature search-api */
    int64_t search_max_limit; /* --web.search.max-limit; 0: none */
    bool exemplar_storage;
    bool created_timestamp_zero;
    bool extra_scrape_metrics;
    bool type_and_unit_labels;

    /* Callbacks into the server; `owner` is handed back. */
    void *owner;
    /* Effective configuration as YAML; one job of it. */
    void (*config_yaml)(void *owner, struct strbuf *out);
    bool (*config_job_yaml)(void *owner, struct str job, struct strbuf *out);
    /* External labels of the configuration, copied into the arena (/federate). */
    struct labels (*external_labels)(void *owner, struct arena *arena);
    void (*runtime_info)(void *owner, struct arena *arena, struct runtime_info *info);
    /* Loads and applies the configuration file; `why` is Prometheus' "couldn't load …" text. */
    err_t (*reload)(void *owner, struct strbuf *why);
    void (*quit)(void *owner);
    /* The host exporter's page in text format 0.0.4, appended to `out`. */
    void (*host_metrics)(void *owner, struct strbuf *out);
    /* process_* of this process, appended to our own /metrics. */
    void (*process_metrics)(void *owner, struct strbuf *out);

    const struct http_flag *flags; /* sorted by name */
    size_t flag_count;
    const char *revision;
};

struct http_server_options {
    const char *const *listen_addresses; /* "host:port", ":port", "[v6]:port", "unix:///path" */
    size_t listen_address_count;
    const char *external_url; /* NULL: derived from host name and port */
    const char *route_prefix; /* NULL: path of the external URL */
    const char *cors_origin;  /* anchored regex; NULL: ".*" */
    const char *web_config;   /* file with TLS, users, headers, rate limit; NULL, "": none */
    uint32_t max_connections; /* 0: 512 */
    int64_t read_timeout_ms;  /* 0: five minutes */
    int64_t send_timeout_ms;  /* 0: two minutes */
    uint32_t threads;         /* of libmicrohttpd; 0: two */
    uint32_t workers;         /* running requests; 0: 20 and some for short calls */
    bool enable_lifecycle;
    bool enable_admin_api;
};

/* Path of an external URL ("https://host/p/", or a path alone) without slashes at its end, query
 * and fragment: "" or "/p". A view into `url`. */
struct str http_external_path(const char *url);

/* Binds and serves. ERR_INVALID for a bad address or web configuration, ERR_IO when it cannot be
 * bound. */
err_t http_server_start(const struct http_server_options *options, struct http_services *services,
                        struct http_server **server, struct strbuf *why);
/* Ends accepting, cancels running queries, waits for the workers. */
void http_server_stop(struct http_server *server);
/* The port bound for the first TCP address (tests listen on port 0). */
uint16_t http_server_port(const struct http_server *server);
