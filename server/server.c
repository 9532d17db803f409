#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "default_config.h"
#include "narthex/base/duration.h"
#include "narthex/base/fs.h"
#include "narthex/base/thread.h"
#include "narthex/config/config.h"
#include "narthex/exporters/host_exporter.h"
#include "narthex/http/http_server.h"
#include "narthex/query/engine.h"
#include "narthex/scraper/scrape_manager.h"
#include "narthex/tsdb/db.h"
#include "server_metrics.h"
#include "service_notify.h"

enum { KEPT_BYTES = 1024 * 1024 };

#define DEFAULT_RETENTION_MS (INT64_C(15) * 86400000)

struct server {
    struct db_replay replay; /* atomics */

    /* constant while running */
    const struct server_flags *flags;
    struct metrics *metrics;
    struct server_metrics own;
    struct http_services services;
    struct http_server *http;
    struct db *db;
    struct query_engine *engine;
    struct scrape_manager *scraper;
    struct host_exporter *host_exporter;
    struct notifications *notifications;
    int64_t started_ms;

    struct mutex reload_lock; /* one reload at a time */

    struct mutex lock;
    /* guarded by lock */
    struct config *config;
    bool reload_success;
    int64_t last_config_ms;

    /* auto-reload */
    struct thread watcher;
    struct mutex watch_lock;
    struct cond watch_wake;
    bool watch_stop; /* guarded by watch_lock */
};

static struct config *pin_config(struct server *server)
{
    mutex_lock(&server->lock);
    struct config *config = config_pin(server->config);
    mutex_unlock(&server->lock);
    return config;
}

/* ---- configuration ---- */

static err_t refuse_unsupported(struct server *server, const struct config *config,
                                struct strbuf *why)
{
    if (config->unsupported_count == 0)
        return OK;
    if (server->flags->skip_unsupported) {
        for (uint32_t i = 0; i < config->unsupported_count; i++)
            LOG_WARN("skipping a section that this version cannot run", "section",
                     config->unsupported[i].data);
        return OK;
    }
    strbuf_clear(why);
    strbuf_add_cstr(why, "this version cannot run: ");
    for (uint32_t i = 0; i < config->unsupported_count; i++)
        strbuf_printf(why, "%s%.*s", i == 0 ? "" : ", ", STR_ARG(config->unsupported[i]));
    strbuf_add_cstr(why, "; --config.skip-unsupported starts without them");
    return ERR_INVALID;
}

static bool uses_built_in(const struct server_flags *flags)
{
    return !flags->config_file_set && !fs_exists(flags->config_file);
}

static err_t load_config(struct server *server, struct config **config, struct strbuf *why)
{
    const struct server_flags *flags = server->flags;
    struct config_options options = {.prefer_protobuf =
                                         flags->created_timestamp_zero || flags->start_timestamps,
                                     .extra_scrape_metrics = flags->extra_scrape_metrics};
    struct strbuf inner = STRBUF_INIT;
    err_t err;
    if (uses_built_in(flags)) {
        struct strbuf yaml = STRBUF_INIT;
        default_config_print(flags->listen_addresses.items[0], !flags->no_host_metrics, &yaml);
        err = config_load_text(strbuf_str(&yaml), "(built in)", STR(""), &options, config, &inner);
        strbuf_deinit(&yaml);
    } else {
        err = config_load(flags->config_file, &options, config, &inner);
    }
    if (err == OK) {
        err = refuse_unsupported(server, *config, &inner);
        if (err != OK)
            config_unpin(*config);
    }
    if (err != OK) {
        err = err_fail(why, ERR_INVALID, "couldn't load configuration (--config.file=\"%s\"): %s",
                       flags->config_file, strbuf_cstr(&inner));
    }
    strbuf_deinit(&inner);
    return err;
}

static void apply_retention(struct server *server, const struct config *config)
{
    const struct server_flags *flags = server->flags;
    int64_t ms = flags->retention_ms;
    uint64_t bytes = (uint64_t)flags->retention_bytes;
    /* With a size limit only, there is no limit by time. */
    if (!flags->retention_ms_set && bytes > 0)
        ms = 0;
    if (config->has_retention)
        db_set_retention(server->db, config->retention_ms, (uint64_t)config->retention_bytes,
                         config->retention_percent);
    else
        db_set_retention(server->db, ms, bytes, 0);
}

static void release_config(void *context)
{
    config_unpin(context);
}

/* Hands a loaded configuration to all parts; a part that fails does not stop the others. */
static err_t apply_config(struct server *server, struct config *config, struct strbuf *why)
{
    struct strbuf part = STRBUF_INIT;
    err_t failed = OK;
    apply_retention(server, config);
    db_set_out_of_order_window(server->db, config->out_of_order_window_ms);
    db_set_exemplars_max(server->db, server->flags->exemplar_storage ? config->exemplars_max : 0);
    query_engine_set_subquery_step(server->engine, config->evaluation_interval_ms);
    struct strbuf log_file = STRBUF_INIT;
    strbuf_add_str(&log_file, config->query_log_file);
    err_t err = query_engine_set_log_file(server->engine, strbuf_cstr(&log_file), &part);
    strbuf_deinit(&log_file);
    if (err != OK) {
        LOG_ERROR("Failed to apply configuration", "part", "query engine", "err",
                  strbuf_cstr(&part));
        failed = err;
    }
    err = scrape_manager_apply(server->scraper, config->scrape_configs, config->scrape_config_count,
                               release_config, config_pin(config), &part);
    if (err != OK) {
        LOG_ERROR("Failed to apply configuration", "part", "scrape", "err", strbuf_cstr(&part));
        failed = err;
    }
    strbuf_deinit(&part);
    if (failed != OK)
        return err_fail(why, failed,
                        "one or more errors occurred while applying the new configuration "
                        "(--config.file=\"%s\")",
                        server->flags->config_file);
    return OK;
}

static void note_reload(struct server *server, bool success)
{
    int64_t now_ms = clock_wall_ms(clock_system());
    mutex_lock(&server->lock);
    server->reload_success = success;
    if (success)
        server->last_config_ms = now_ms;
    mutex_unlock(&server->lock);
    server_metrics_reload(&server->own, success, now_ms);
    notifications_set(server->notifications, NOTIFICATION_RELOAD_FAILED, !success);
}

err_t server_reload(struct server *server, struct strbuf *why)
{
    struct config *config;
    mutex_lock(&server->reload_lock);
    service_notify_reloading();
    err_t err = load_config(server, &config, why);
    if (err == OK) {
        err = apply_config(server, config, why);
        mutex_lock(&server->lock);
        struct config *old = server->config;
        server->config = config;
        mutex_unlock(&server->lock);
        config_unpin(old);
    }
    note_reload(server, err == OK);
    if (err == OK)
        LOG_INFO("Completed loading of configuration file", "filename", server->flags->config_file);
    else
        LOG_ERROR("Error reloading config", "err", strbuf_cstr(why));
    service_notify_ready();
    mutex_unlock(&server->reload_lock);
    return err;
}

static void watch_config(void *context)
{
    struct server *server = context;
    const struct server_flags *flags = server->flags;
    uint64_t sum = config_files_checksum(flags->config_file);
    mutex_lock(&server->watch_lock);
    for (;;) {
        int64_t deadline_ns =
            clock_monotonic_ns(clock_system()) + flags->auto_reload_interval_ms * INT64_C(1000000);
        while (!server->watch_stop &&
               cond_wait_until(&server->watch_wake, &server->watch_lock, deadline_ns))
            ;
        if (server->watch_stop)
            break;
        mutex_unlock(&server->watch_lock);
        uint64_t now = config_files_checksum(flags->config_file);
        struct strbuf why = STRBUF_INIT;
        /* After a failed reload the old sum stays, so that it is tried again. */
        if (now != sum && server_reload(server, &why) == OK)
            sum = now;
        strbuf_deinit(&why);
        mutex_lock(&server->watch_lock);
    }
    mutex_unlock(&server->watch_lock);
}

/* ---- callbacks of the HTTP side ---- */

static void on_config_yaml(void *owner, struct strbuf *out)
{
    struct config *config = pin_config(owner);
    config_print(config, out);
    config_unpin(config);
}

static bool on_config_job_yaml(void *owner, struct str job, struct strbuf *out)
{
    struct config *config = pin_config(owner);
    bool found = config_print_job(config, job, out);
    config_unpin(config);
    return found;
}

static struct labels on_external_labels(void *owner, struct arena *arena)
{
    struct config *config = pin_config(owner);
    struct labels labels = labels_copy(arena, config->external_labels);
    config_unpin(config);
    return labels;
}

static struct str retention_text(struct server *server, const struct config *config,
                                 struct arena *arena)
{
    int64_t ms = config->has_retention ? config->retention_ms : server->flags->retention_ms;
    int64_t bytes =
        config->has_retention ? config->retention_bytes : server->flags->retention_bytes;
    if (!config->has_retention && !server->flags->retention_ms_set && bytes > 0)
        ms = 0;
    struct strbuf text = STRBUF_INIT;
    if (ms > 0)
        duration_print(ms, &text);
    if (bytes > 0) {
        strbuf_add_cstr(&text, text.size == 0 ? "" : " or ");
        byte_size_print(bytes, &text);
    }
    if (config->has_retention && config->retention_percent > 0)
        strbuf_printf(&text, "%s%g%%", text.size == 0 ? "" : " or ", config->retention_percent);
    struct str copy = arena_str(arena, strbuf_str(&text));
    strbuf_deinit(&text);
    return copy;
}

static void on_runtime_info(void *owner, struct arena *arena, struct runtime_info *info)
{
    struct server *server = owner;
    struct config *config = pin_config(server);
    char buffer[4096];
    info->start_time_ms = server->started_ms;
    info->working_folder =
        arena_str(arena, str_from_cstr(getcwd(buffer, sizeof buffer) == NULL ? "" : buffer));
    info->host_name =
        arena_str(arena, str_from_cstr(gethostname(buffer, sizeof buffer) != 0 ? "" : buffer));
    mutex_lock(&server->lock);
    info->reload_success = server->reload_success;
    info->last_config_ms = server->last_config_ms;
    mutex_unlock(&server->lock);
    info->storage_retention = retention_text(server, config, arena);
    struct str *skipped = ARENA_NEW_ARRAY(arena, struct str, config->unsupported_count);
    for (uint32_t i = 0; i < config->unsupported_count; i++)
        skipped[i] = arena_str(arena, config->unsupported[i]);
    info->skipped_sections = skipped;
    info->skipped_section_count = config->unsupported_count;
    config_unpin(config);
}

static err_t on_reload(void *owner, struct strbuf *why)
{
    return server_reload(owner, why);
}

static void on_quit(void *owner)
{
    (void)owner;
    kill(getpid(), SIGTERM);
}

static void on_host_metrics(void *owner, struct strbuf *out)
{
    struct server *server = owner;
    struct strbuf why = STRBUF_INIT;
    struct metric_writer writer;
    if (server->host_exporter == NULL)
        return;
    metric_writer_init(&writer, out);
    if (host_exporter_collect(server->host_exporter, &writer, NULL, &why) != OK)
        LOG_WARN("host metrics", "err", strbuf_cstr(&why));
    metric_writer_deinit(&writer);
    strbuf_deinit(&why);
}

static void on_process_metrics(void *owner, struct strbuf *out)
{
    (void)owner;
    struct metric_writer writer;
    metric_writer_init(&writer, out);
    process_exporter_collect(&writer);
    metric_writer_deinit(&writer);
}

static void fill_services(struct server *server)
{
    struct http_services *services = &server->services;
    atomic_init(&services->state, SERVER_STARTING);
    services->metrics = server->metrics;
    services->clock = clock_system();
    services->features = server->flags->promql;
    services->lookback_ms = server->flags->lookback_ms;
    services->replay = &server->replay;
    services->notifications = server->notifications;
    services->search_api = server->flags->search_api;
    services->search_max_limit = server->flags->search_max_limit;
    services->exemplar_storage = server->flags->exemplar_storage;
    services->created_timestamp_zero = server->flags->created_timestamp_zero;
    services->extra_scrape_metrics = server->flags->extra_scrape_metrics;
    services->type_and_unit_labels = server->flags->type_and_unit_labels;
    services->owner = server;
    services->config_yaml = on_config_yaml;
    services->config_job_yaml = on_config_job_yaml;
    services->external_labels = on_external_labels;
    services->runtime_info = on_runtime_info;
    services->reload = on_reload;
    services->quit = on_quit;
    services->host_metrics = on_host_metrics;
    services->process_metrics = on_process_metrics;
    services->flags = server->flags->values;
    services->flag_count = server->flags->value_count;
    services->revision = "";
}

/* ---- starting and stopping ---- */

static err_t start_http(struct server *server, struct strbuf *why)
{
    const struct server_flags *flags = server->flags;
    struct http_server_options options = {
        .listen_addresses = flags->listen_addresses.items,
        .listen_address_count = flags->listen_addresses.count,
        .external_url = flags->external_url[0] == '\0' ? NULL : flags->external_url,
        .route_prefix = flags->route_prefix[0] == '\0' ? NULL : flags->route_prefix,
        .cors_origin = flags->cors_origin,
        .web_config = flags->web_config,
        .max_connections = (uint32_t)flags->max_connections,
        .read_timeout_ms = flags->read_timeout_ms,
        .send_timeout_ms = flags->send_timeout_ms,
        .workers = (uint32_t)flags->query_max_concurrency + 8,
        .enable_lifecycle = flags->enable_lifecycle,
        .enable_admin_api = flags->enable_admin_api,
    };
    return http_server_start(&options, &server->services, &server->http, why);
}

static err_t open_db(struct server *server, struct strbuf *why)
{
    const struct server_flags *flags = server->flags;
    struct db_options options = {
        .path = flags->storage_path,
        .metrics = server->metrics,
        .sync = flags->wal_sync_each_commit ? DB_SYNC_EACH_COMMIT : DB_SYNC_EACH_SECOND,
        .no_lockfile = flags->no_lockfile,
        .block_range_ms = flags->block_range_ms,
        .block_range_max_ms = flags->block_range_max_ms,
        .retention_ms = DEFAULT_RETENTION_MS,
        .exemplars_max = flags->exemplar_storage ? server->config->exemplars_max : 0,
        .out_of_order_window_ms = server->config->out_of_order_window_ms,
        .replay = &server->replay,
    };
    return db_open(&options, &server->db, why);
}

static uint32_t helper_threads(const struct server_flags *flags)
{
    if (flags->query_threads >= 0)
        return (uint32_t)flags->query_threads;
    return thread_core_count() - 1;
}

static void create_engine(struct server *server)
{
    const struct server_flags *flags = server->flags;
    struct query_engine_options options = {
        .storage = db_storage(server->db),
        .metrics = server->metrics,
        .max_concurrency = (uint32_t)flags->query_max_concurrency,
        .max_samples = (uint64_t)flags->query_max_samples,
        .timeout_ms = flags->query_timeout_ms,
        .lookback_ms = flags->lookback_ms,
        .subquery_step_ms = server->config->evaluation_interval_ms,
        .memory_bytes_max = (uint64_t)flags->query_memory_bytes,
        .threads = helper_threads(flags),
        .features = flags->promql,
    };
    server->engine = query_engine_create(&options);
}

static err_t create_scraper(struct server *server, struct strbuf *why)
{
    const struct server_flags *flags = server->flags;
    struct strbuf external = STRBUF_INIT;
    labels_print(server->config->external_labels, &external);
    struct scrape_manager_options options = {
        .storage = db_storage(server->db),
        .metrics = server->metrics,
        .shards = (uint32_t)flags->scrape_shards,
        .timestamp_tolerance_ms = flags->scrape_timestamp_tolerance_ms,
        .adjust_timestamps = flags->scrape_adjust_timestamps,
        .exemplar_storage = flags->exemplar_storage,
        .created_timestamp_zero = flags->created_timestamp_zero,
        .start_timestamps = flags->start_timestamps,
        .start_synthesis = flags->start_synthesis,
        .type_and_unit_labels = flags->type_and_unit_labels,
        .external_labels_text = strbuf_str(&external),
    };
    err_t err = scrape_manager_create(&options, &server->scraper, why);
    strbuf_deinit(&external);
    return err;
}

static void set_ready(struct server *server)
{
    server->services.db = server->db;
    server->services.storage = db_storage(server->db);
    server->services.engine = server->engine;
    server->services.scraper = server->scraper;
    /* release: pairs with the acquire load of the request path */
    atomic_store_explicit(&server->services.state, SERVER_READY, memory_order_release);
    server_metrics_ready(&server->own, true);
    notifications_set(server->notifications, NOTIFICATION_STARTING, false);
}

static err_t start_parts(struct server *server, struct strbuf *why)
{
    TRY(load_config(server, &server->config, why));
    if (!server->flags->no_host_metrics)
        server->host_exporter = host_exporter_create(NULL);
    notifications_set(server->notifications, NOTIFICATION_STARTING, true);
    TRY(start_http(server, why));
    TRY(open_db(server, why));
    create_engine(server);
    TRY(create_scraper(server, why));
    set_ready(server);
    err_t err = apply_config(server, server->config, why);
    note_reload(server, err == OK);
    TRY(err);
    if (server->flags->auto_reload && !uses_built_in(server->flags))
        thread_start(&server->watcher, "config-watch", watch_config, server);
    return OK;
}

err_t server_start(const struct server_flags *flags, struct server **out, struct strbuf *why)
{
    struct server *server = MEM_NEW(MEM_BASE, struct server);
    server->flags = flags;
    server->started_ms = clock_wall_ms(clock_system());
    server->metrics = metrics_create();
    server->notifications =
        notifications_create(clock_system(), (uint32_t)flags->notification_subscribers_max);
    mutex_init(&server->reload_lock);
    mutex_init(&server->lock);
    mutex_init(&server->watch_lock);
    cond_init(&server->watch_wake);
    mem_set_budget(flags->memory_budget_bytes);
    mem_keep_freed(KEPT_BYTES);
    server_metrics_init(&server->own, server->metrics);
    fill_services(server);
    err_t err = start_parts(server, why);
    if (err != OK) {
        server_stop(server);
        return err;
    }
    *out = server;
    return OK;
}

void server_check(struct server *server)
{
    int64_t min_t_ms, max_t_ms;
    storage_time_range(db_storage(server->db), &min_t_ms, &max_t_ms);
}

static void stop_watcher(struct server *server)
{
    if (!server->watcher.running)
        return;
    mutex_lock(&server->watch_lock);
    server->watch_stop = true;
    cond_signal(&server->watch_wake);
    mutex_unlock(&server->watch_lock);
    thread_join(&server->watcher);
}

void server_stop(struct server *server)
{
    atomic_store_explicit(&server->services.state, SERVER_STOPPING, memory_order_release);
    server_metrics_ready(&server->own, false);
    notifications_set(server->notifications, NOTIFICATION_STOPPING, true);
    stop_watcher(server);
    if (server->scraper != NULL)
        scrape_manager_destroy(server->scraper);
    if (server->http != NULL)
        http_server_stop(server->http);
    if (server->engine != NULL)
        query_engine_destroy(server->engine);
    if (server->db != NULL)
        db_close(server->db);
    if (server->host_exporter != NULL)
        host_exporter_destroy(server->host_exporter);
    config_unpin(server->config);
    metrics_destroy(server->metrics);
    notifications_destroy(server->notifications);
    cond_deinit(&server->watch_wake);
    mutex_deinit(&server->watch_lock);
    mutex_deinit(&server->lock);
    mutex_deinit(&server->reload_lock);
    mem_free(MEM_BASE, server);
}
