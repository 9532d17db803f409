#include "flags.h"

#include <stdlib.h>
#include <string.h>

#include "feature_names.h"
#include "narthex/base/duration.h"

enum flag_kind {
    FLAG_BOOL,
    FLAG_TEXT,
    FLAG_LIST,
    FLAG_DURATION,
    FLAG_SIZE,
    FLAG_INT,
    FLAG_NO_OP,
    FLAG_AGENT, /* of agent mode, which there is not */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* in struct server_flags; of the last two kinds unused */
    const char *fallback;
    const char *help; /* NULL: hidden, as in Prometheus */
};

#define AT(field) offsetof(struct server_flags, field)

static const struct flag table[] = {
    {"config.file", FLAG_TEXT, AT(config_file), "prometheus.yml",
     "Configuration file. Without the flag and without such a file a built-in one scrapes this "
     "server and this host."},
    {"config.auto-reload", FLAG_BOOL, AT(auto_reload), "false",
     "Reload when the configuration files change."},
    {"config.auto-reload-interval", FLAG_DURATION, AT(auto_reload_interval_ms), "30s",
     "How often to look for changes."},
    {"config.skip-unsupported", FLAG_BOOL, AT(skip_unsupported), "false",
     "Start even if the configuration holds sections that this version cannot run; they are "
     "logged and skipped."},
    {"web.listen-address", FLAG_LIST, AT(listen_addresses), "0.0.0.0:9090",
     "Address to serve on, host:port or unix:///path; may be repeated."},
    {"web.config.file", FLAG_TEXT, AT(web_config), "", "TLS, users, headers and rate limit."},
    {"web.read-timeout", FLAG_DURATION, AT(read_timeout_ms), "5m",
     "Longest time for reading a request, and for idle connections."},
    {"web.send-timeout", FLAG_DURATION, AT(send_timeout_ms), "2m",
     "Longest time that a client may take for an answer, once it is there."},
    {"web.max-connections", FLAG_INT, AT(max_connections), "512", "Connections at the same time."},
    {"web.external-url", FLAG_TEXT, AT(external_url), "", "URL under which clients reach us."},
    {"web.route-prefix", FLAG_TEXT, AT(route_prefix), "", "Prefix of all paths."},
    {"web.enable-lifecycle", FLAG_BOOL, AT(enable_lifecycle), "false",
     "Allow POST /-/reload and /-/quit."},
    {"web.enable-admin-api", FLAG_BOOL, AT(enable_admin_api), "false",
     "Allow deleting series and taking snapshots."},
    {"web.enable-remote-write-receiver", FLAG_NO_OP, 0, "false", NULL},
    {"web.enable-otlp-receiver", FLAG_NO_OP, 0, "false", NULL},
    {"web.remote-write-receiver.accepted-protobuf-messages", FLAG_NO_OP, 0,
     "prometheus.WriteRequest,io.prometheus.write.v2.Request", NULL},
    {"web.max-notifications-subscribers", FLAG_INT, AT(notification_subscribers_max), "16",
     "Clients of /api/v1/notifications/live at the same time."},
    {"web.search.max-limit", FLAG_INT, AT(search_max_limit), "10000",
     "Largest limit that the search endpoints take; 0 is no limit."},
    {"web.cors.origin", FLAG_TEXT, AT(cors_origin), ".*",
     "Anchored regular expression of allowed origins."},
    {"web.page-title", FLAG_NO_OP, 0, "Prometheus Time Series Collection and Processing Server",
     NULL},
    {"web.user-assets", FLAG_NO_OP, 0, "", NULL},
    {"web.console.templates", FLAG_NO_OP, 0, "consoles", NULL},
    {"web.console.libraries", FLAG_NO_OP, 0, "console_libraries", NULL},
    {"storage.tsdb.path", FLAG_TEXT, AT(storage_path), "data/", "Folder of the database."},
    {"storage.tsdb.retention.time", FLAG_DURATION, AT(retention_ms), "15d",
     "How long samples are kept; a retention block in the configuration goes before it."},
    {"storage.tsdb.retention.size", FLAG_SIZE, AT(retention_bytes), "0B",
     "Bytes that may lie under the data folder; 0 is no limit."},
    {"storage.tsdb.no-lockfile", FLAG_BOOL, AT(no_lockfile), "false",
     "Do not create a lock file in the data folder."},
    {"storage.tsdb.wal-sync-each-commit", FLAG_BOOL, AT(wal_sync_each_commit), "false",
     "fsync the log at every commit instead of every second."},
    {"storage.tsdb.min-block-duration", FLAG_DURATION, AT(block_range_ms), "2h", NULL},
    {"storage.tsdb.max-block-duration", FLAG_DURATION, AT(block_range_max_ms), "0s", NULL},
    {"storage.tsdb.head-chunks-write-queue-size", FLAG_NO_OP, 0, "0", NULL},
    {"storage.tsdb.delay-compact-file.path", FLAG_NO_OP, 0, "", NULL},
    {"storage.tsdb.max-block-chunk-segment-size", FLAG_NO_OP, 0, "0B", NULL},
    {"storage.tsdb.wal-segment-size", FLAG_NO_OP, 0, "0B", NULL},
    {"storage.tsdb.wal-compression", FLAG_NO_OP, 0, "true", NULL},
    {"storage.tsdb.wal-compression-type", FLAG_NO_OP, 0, "snappy", NULL},
    {"storage.tsdb.samples-per-chunk", FLAG_NO_OP, 0, "120", NULL},
    {"storage.tsdb.allow-overlapping-compaction", FLAG_NO_OP, 0, "true", NULL},
    {"storage.tsdb.block-reload-interval", FLAG_NO_OP, 0, "1m", NULL},
    {"storage.tsdb.delayed-compaction.max-percent", FLAG_NO_OP, 0, "10", NULL},
    {"agent", FLAG_BOOL, AT(agent), "false", NULL},
    {"storage.agent.path", FLAG_AGENT, 0, "data-agent/", NULL},
    {"storage.agent.wal-compression", FLAG_AGENT, 0, "true", NULL},
    {"storage.agent.retention.min-time", FLAG_AGENT, 0, "5m", NULL},
    {"storage.agent.retention.max-time", FLAG_AGENT, 0, "4h", NULL},
    {"storage.agent.no-lockfile", FLAG_AGENT, 0, "false", NULL},
    {"storage.agent.checkpoint-from-in-memory-series", FLAG_AGENT, 0, "false", NULL},
    {"storage.agent.checkpoint-batch-size", FLAG_AGENT, 0, "1000", NULL},
    {"storage.remote.flush-deadline", FLAG_NO_OP, 0, "1m", NULL},
    {"storage.remote.read-sample-limit", FLAG_NO_OP, 0, "50000000", NULL},
    {"storage.remote.read-concurrent-limit", FLAG_NO_OP, 0, "10", NULL},
    {"storage.remote.read-max-bytes-in-frame", FLAG_NO_OP, 0, "1048576", NULL},
    {"rules.alert.for-outage-tolerance", FLAG_NO_OP, 0, "1h", NULL},
    {"rules.alert.for-grace-period", FLAG_NO_OP, 0, "10m", NULL},
    {"rules.alert.resend-delay", FLAG_NO_OP, 0, "1m", NULL},
    {"rules.max-concurrent-evals", FLAG_NO_OP, 0, "4", NULL},
    {"alertmanager.notification-queue-capacity", FLAG_NO_OP, 0, "10000", NULL},
    {"alertmanager.notification-batch-size", FLAG_NO_OP, 0, "256", NULL},
    {"alertmanager.drain-notification-queue-on-shutdown", FLAG_NO_OP, 0, "true", NULL},
    {"query.lookback-delta", FLAG_DURATION, AT(lookback_ms), "5m",
     "How far back an instant selector looks for a sample."},
    {"query.timeout", FLAG_DURATION, AT(query_timeout_ms), "2m", "Longest run of a query."},
    {"query.max-concurrency", FLAG_INT, AT(query_max_concurrency), "20",
     "Queries that run at the same time."},
    {"query.max-samples", FLAG_INT, AT(query_max_samples), "50000000",
     "Samples that one query may hold in memory."},
    {"query.threads", FLAG_INT, AT(query_threads), "-1",
     "Threads that help running queries; -1 is one less than there are cores."},
    {"query.max-memory", FLAG_SIZE, AT(query_memory_bytes), "2GiB",
     "Memory that one query may take; 0 is no limit."},
    {"memory.budget", FLAG_SIZE, AT(memory_budget_bytes), "0B",
     "Memory that the whole process may take; 0 is no limit. Over it new queries are refused, and "
     "from an eighth more on new series."},
    {"scrape.adjust-timestamps", FLAG_BOOL, AT(scrape_adjust_timestamps), "true", NULL},
    {"scrape.timestamp-tolerance", FLAG_DURATION, AT(scrape_timestamp_tolerance_ms), "2ms", NULL},
    {"scrape.discovery-reload-interval", FLAG_NO_OP, 0, "5s", NULL},
    {"scrape.shards", FLAG_INT, AT(scrape_shards), "0",
     "Threads that scrape; 0 is one per core, at most eight."},
    {"host-metrics.disable", FLAG_BOOL, AT(no_host_metrics), "false",
     "Do not serve this host's metrics at /metrics/host."},
    {"auto-gomaxprocs", FLAG_NO_OP, 0, "true", NULL},
    {"auto-gomemlimit", FLAG_NO_OP, 0, "true", NULL},
    {"auto-gomemlimit.ratio", FLAG_NO_OP, 0, "0.9", NULL},
    {"auto-gomemlimit.refresh-interval", FLAG_NO_OP, 0, "0s", NULL},
    {"enable-feature", FLAG_LIST, AT(features), "",
     "Comma-separated feature names, as Prometheus has them; may be repeated."},
    {"log.level", FLAG_TEXT, AT(log_level_text), "info", "debug, info, warn or error."},
    {"log.format", FLAG_TEXT, AT(log_format_text), "logfmt", "logfmt or json."},
    {"help", FLAG_BOOL, AT(help), "false", "Show this text."},
    {"version", FLAG_BOOL, AT(version), "false", "Show the version."},
};
enum { FLAG_COUNT = sizeof table / sizeof *table };

/* Numbers that make sense; durations in milliseconds. */
static const struct {
    const char *name;
    int64_t min;
    int64_t max;
} ranges[] = {
    {"config.auto-reload-interval", 1000, INT64_MAX},
    {"web.read-timeout", 1, INT64_MAX / 1000000},
    {"web.send-timeout", 1, INT64_MAX / 1000000},
    {"web.max-connections", 1, 1000000},
    {"web.max-notifications-subscribers", 0, 1000000},
    {"web.search.max-limit", 0, INT64_MAX},
    {"storage.tsdb.min-block-duration", 1000, INT64_MAX},
    {"query.lookback-delta", 1, INT64_MAX},
    {"query.timeout", 1, INT64_MAX / 1000000},
    {"query.max-concurrency", 1, 10000},
    {"query.max-samples", 1, INT64_MAX},
    {"query.threads", -1, 1024},
    {"scrape.shards", 0, 1024},
};

static void *target_of(struct server_flags *flags, const struct flag *flag)
{
    return (char *)flags + flag->offset;
}

static err_t bad_value(const struct flag *flag, const char *value, const char *reason,
                       struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "invalid value \"%s\" for flag '--%s': %s", value, flag->name,
                    reason);
}

static err_t set_number(struct server_flags *flags, const struct flag *flag, const char *value,
                        struct strbuf *why)
{
    struct strbuf inner = STRBUF_INIT;
    struct str text = str_from_cstr(value);
    int64_t *target = target_of(flags, flag);
    err_t err = OK;
    if (flag->kind == FLAG_DURATION)
        err = duration_parse(text, target, &inner);
    else if (flag->kind == FLAG_SIZE)
        err = byte_size_parse(text, target, &inner);
    else if (!str_to_int64(text, target))
        err = err_fail(&inner, ERR_INVALID, "strconv.ParseInt: parsing \"%s\": invalid syntax",
                       value);
    for (size_t i = 0; err == OK && i < sizeof ranges / sizeof *ranges; i++) {
        if (strcmp(flag->name, ranges[i].name) != 0)
            continue;
        if (*target < ranges[i].min)
            err = err_fail(&inner, ERR_INVALID, "too small");
        else if (*target > ranges[i].max)
            err = err_fail(&inner, ERR_INVALID, "too large");
    }
    if (err != OK)
        err = bad_value(flag, value, strbuf_cstr(&inner), why);
    strbuf_deinit(&inner);
    return err;
}

static err_t set(struct server_flags *flags, const struct flag *flag, const char *value,
                 struct strbuf *why)
{
    switch (flag->kind) {
    case FLAG_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return bad_value(flag, value, "neither true nor false", why);
        *(bool *)target_of(flags, flag) = strcmp(value, "true") == 0;
        return OK;
    case FLAG_TEXT:
        *(const char **)target_of(flags, flag) = value;
        return OK;
    case FLAG_LIST: {
        struct flag_list *list = target_of(flags, flag);
        if (list->count == FLAG_LIST_MAX)
            return bad_value(flag, value, "repeated too often", why);
        list->items[list->count++] = value;
        return OK;
    }
    case FLAG_NO_OP:
    case FLAG_AGENT:
        return OK;
    default:
        return set_number(flags, flag, value, why);
    }
}

static const struct flag *find(struct str name)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (str_equal_cstr(name, table[i].name))
            return &table[i];
    }
    return NULL;
}

static bool takes_no_value(const struct flag *flag)
{
    if (flag->kind == FLAG_NO_OP || flag->kind == FLAG_AGENT)
        return strcmp(flag->fallback, "true") == 0 || strcmp(flag->fallback, "false") == 0;
    return flag->kind == FLAG_BOOL;
}

static void remember(struct server_flags *flags, const struct flag *flag, const char *value)
{
    struct http_flag *shown = &flags->values[flag - table];
    bool repeated =
        flag->kind == FLAG_LIST && ((struct flag_list *)target_of(flags, flag))->count > 1;
    shown->value =
        repeated ? arena_printf(&flags->arena, "%s,%s", shown->value, value).data : value;
}

/* One argument; *used becomes 2 when it took the next one as its value. */
static err_t parse_one(struct server_flags *flags, char **argv, int left, int *used,
                       struct strbuf *why)
{
    struct str argument = str_from_cstr(argv[0]);
    *used = 1;
    if (str_equal(argument, STR("-h")))
        argument = STR("--help");
    if (!str_starts_with(argument, STR("--")))
        return err_fail(why, ERR_INVALID, "unexpected %s", argv[0]);
    size_t equal = str_find(argument, '=', 0);
    struct str name = str_from(argument.data + 2, (equal == SIZE_MAX ? argument.size : equal) - 2);
    const struct flag *flag = find(name);
    bool negated = false;
    if (flag == NULL && str_starts_with(name, STR("no-"))) {
        flag = find(str_from(name.data + 3, name.size - 3));
        negated = flag != NULL && takes_no_value(flag);
    }
    if (flag == NULL || (str_starts_with(name, STR("no-")) && !negated && find(name) == NULL))
        return err_fail(why, ERR_INVALID, "unknown long flag '--%.*s'", STR_ARG(name));
    const char *value = equal == SIZE_MAX ? NULL : argument.data + equal + 1;
    if (takes_no_value(flag)) {
        if (value == NULL)
            value = negated ? "false" : "true";
    } else if (value == NULL) {
        if (left < 2)
            return err_fail(why, ERR_INVALID, "expected argument for flag '--%s'", flag->name);
        value = argv[1];
        *used = 2;
    }
    TRY(set(flags, flag, value, why));
    remember(flags, flag, value);
    if (strcmp(flag->name, "config.file") == 0)
        flags->config_file_set = true;
    if (strcmp(flag->name, "storage.tsdb.retention.time") == 0)
        flags->retention_ms_set = true;
    if (flag->kind == FLAG_AGENT && flags->agent_flags.count < FLAG_LIST_MAX)
        flags->agent_flags.items[flags->agent_flags.count++] = flag->name;
    return OK;
}

/* Agent mode scrapes and sends on; without remote write there is nowhere to send to. */
static err_t refuse_agent(const struct server_flags *flags, struct strbuf *why)
{
    if (flags->agent)
        return err_fail(why, ERR_UNSUPPORTED,
                        "--agent: agent mode needs remote write, which this version does not have");
    if (flags->agent_flags.count == 0)
        return OK;
    strbuf_add_cstr(why, "The following flag(s) can only be used in agent mode: [");
    for (size_t i = 0; i < flags->agent_flags.count; i++)
        strbuf_printf(why, "%s\"--%s\"", i == 0 ? "" : " ", flags->agent_flags.items[i]);
    strbuf_add_char(why, ']');
    return ERR_UNSUPPORTED;
}

static err_t parse_log(struct server_flags *flags, struct strbuf *why)
{
    static const char *const levels[] = {[LOG_LEVEL_DEBUG] = "debug",
                                         [LOG_LEVEL_INFO] = "info",
                                         [LOG_LEVEL_WARN] = "warn",
                                         [LOG_LEVEL_ERROR] = "error"};
    bool found = false;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(flags->log_level_text, levels[i]) == 0) {
            flags->log_level = (enum log_level)i;
            found = true;
        }
    }
    if (!found)
        return err_fail(why, ERR_INVALID, "unrecognized log level %s", flags->log_level_text);
    if (strcmp(flags->log_format_text, "json") == 0)
        flags->log_format = LOG_FORMAT_JSON;
    else if (strcmp(flags->log_format_text, "logfmt") == 0)
        flags->log_format = LOG_FORMAT_LOGFMT;
    else
        return err_fail(why, ERR_INVALID, "unrecognized log format %s", flags->log_format_text);
    return OK;
}

static void show(struct server_flags *flags, const char *name, const char *value)
{
    flags->values[find(str_from_cstr(name)) - table].value = value;
}

/* Defaults that follow from other flags, as /api/v1/status/flags shows them. */
static void set_derived(struct server_flags *flags)
{
    enum { BLOCK_RANGES_IN_RETENTION = 10 };
    const int64_t month_ms = INT64_C(31) * 24 * 3600 * 1000;
    if (flags->block_range_max_ms == 0) {
        bool by_size_only = !flags->retention_ms_set && flags->retention_bytes > 0;
        int64_t share_ms = flags->retention_ms / BLOCK_RANGES_IN_RETENTION;
        flags->block_range_max_ms =
            by_size_only || share_ms == 0 || share_ms > month_ms ? month_ms : share_ms;
        struct strbuf text = STRBUF_INIT;
        duration_print(flags->block_range_max_ms, &text);
        show(flags, "storage.tsdb.max-block-duration",
             arena_str(&flags->arena, strbuf_str(&text)).data);
        strbuf_deinit(&text);
    }
    if (flags->route_prefix[0] == '\0') {
        struct str path = http_external_path(flags->external_url);
        show(flags, "web.route-prefix", path.size == 0 ? "/" : arena_str(&flags->arena, path).data);
    }
}

/* A URL with scheme and host, or a path alone. */
static err_t check_external_url(const char *url, struct strbuf *why)
{
    size_t size = strlen(url);
    if (size == 0)
        return OK;
    const char *fault = NULL;
    if (strchr("\"'", url[0]) != NULL || strchr("\"'", url[size - 1]) != NULL)
        fault = "URL must not begin or end with quotes";
    else if (url[strcspn(url, " \t\r\n\"<>\\^`{|}")] != '\0')
        fault = "invalid character";
    else if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0 && url[0] != '/')
        fault = "neither http:// nor https:// nor a path";
    else if (url[0] != '/' && strcspn(strstr(url, "://") + 3, "/?#") == 0)
        fault = "no host";
    if (fault == NULL)
        return OK;
    return err_fail(why, ERR_INVALID, "parse external URL \"%s\": %s", url, fault);
}

static int compare_values(const void *a, const void *b)
{
    return strcmp(((const struct http_flag *)a)->name, ((const struct http_flag *)b)->name);
}

err_t server_flags_parse(struct server_flags *flags, int argc, char **argv, struct strbuf *why)
{
    *flags = (struct server_flags){0};
    arena_init(&flags->arena, MEM_CONFIG, SIZE_MAX);
    flags->values = ARENA_NEW_ARRAY(&flags->arena, struct http_flag, FLAG_COUNT);
    flags->value_count = FLAG_COUNT;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        flags->values[i] = (struct http_flag){table[i].name, table[i].fallback};
        if (table[i].kind != FLAG_LIST)
            TRY(set(flags, &table[i], table[i].fallback, why));
    }
    int used;
    for (int i = 1; i < argc; i += used)
        TRY(parse_one(flags, argv + i, argc - i, &used, why));
    if (!flags->help && !flags->version)
        TRY(refuse_agent(flags, why));
    if (flags->listen_addresses.count == 0)
        flags->listen_addresses.items[flags->listen_addresses.count++] = "0.0.0.0:9090";
    TRY(check_external_url(flags->external_url, why));
    set_derived(flags);
    qsort(flags->values, flags->value_count, sizeof *flags->values, compare_values);
    TRY(server_features_set(flags, why));
    return parse_log(flags, why);
}

void server_flags_warn(const struct server_flags *flags)
{
    struct strbuf idle = STRBUF_INIT;
    server_features_warn(flags);
    for (size_t i = 0; i < flags->value_count; i++) {
        const struct flag *flag = find(str_from_cstr(flags->values[i].name));
        if (flag->kind == FLAG_NO_OP && strcmp(flags->values[i].value, flag->fallback) != 0)
            strbuf_printf(&idle, "%s--%s=%s", idle.size == 0 ? "" : " ", flag->name,
                          flags->values[i].value);
    }
    if (idle.size > 0)
        LOG_WARN("flags that are accepted and change nothing", "flags", strbuf_cstr(&idle));
    strbuf_deinit(&idle);
}

void server_flags_deinit(struct server_flags *flags)
{
    arena_deinit(&flags->arena);
}

void server_flags_help(struct strbuf *out)
{
    strbuf_add_cstr(out, "usage: narthex [<flags>]\n\nMetrics collector, time-series database and "
                         "PromQL engine.\n\nFlags:\n");
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct flag *flag = &table[i];
        if (flag->help == NULL)
            continue;
        if (takes_no_value(flag))
            strbuf_printf(out, "  --[no-]%s\n", flag->name);
        else
            strbuf_printf(out, "  --%s=%s\n", flag->name,
                          flag->fallback[0] == '\0' ? "VALUE" : flag->fallback);
        strbuf_printf(out, "        %s\n", flag->help);
    }
}
