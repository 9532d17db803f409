#include "server_metrics.h"

#include <stddef.h>

#include "narthex/base/mem.h"

static void collect_memory(void *context)
{
    struct server_metrics *own = context;
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++) {
        enum mem_subsystem subsystem = (enum mem_subsystem)i;
        struct str name = str_from_cstr(mem_subsystem_name(subsystem));
        if (subsystem != MEM_TEST)
            metric_set(metric_with(own->memory, &name), (double)mem_bytes(subsystem));
    }
    metric_set(own->memory_budget, (double)mem_budget());
}

void server_metrics_init(struct server_metrics *own, struct metrics *metrics)
{
    static const char *const build_labels[] = {
        "version", "narthex_version", "revision", "branch", "goarch",
        "goos",    "goversion",       "tags",     NULL};
#if defined(__x86_64__)
    struct str machine = STR("amd64");
#elif defined(__aarch64__)
    struct str machine = STR("arm64");
#else
    struct str machine = STR("");
#endif
    static const char *const memory_labels[] = {"subsystem", NULL};
    struct str build[] = {STR("3.14.0"), STR(NARTHEX_VERSION), STR(""), STR(""),
                          machine,       STR("linux"),         STR(""), STR("")};
    metric_set(metric_with(metrics_gauge(metrics, "prometheus_build_info",
                                         "The Prometheus version whose behaviour this server has, "
                                         "and its own.",
                                         build_labels),
                           build),
               1);
    own->reload_successful =
        metric_only(metrics_gauge(metrics, "prometheus_config_last_reload_successful",
                                  "Whether the configuration was loaded at the last try.", NULL));
    own->reload_success_seconds = metric_only(
        metrics_gauge(metrics, "prometheus_config_last_reload_success_timestamp_seconds",
                      "When the configuration was last loaded.", NULL));
    own->ready = metric_only(
        metrics_gauge(metrics, "prometheus_ready", "Whether queries are answered (1).", NULL));
    own->memory = metrics_gauge(metrics, "narthex_memory_bytes",
                                "Memory allocated, by the part that holds it.", memory_labels);
    own->memory_budget = metric_only(
        metrics_gauge(metrics, "narthex_memory_budget_bytes",
                      "What the parts together may take (--memory.budget); 0 is no limit.", NULL));
    metrics_on_collect(metrics, collect_memory, own);
}

void server_metrics_reload(struct server_metrics *own, bool success, int64_t now_ms)
{
    metric_set(own->reload_successful, success ? 1 : 0);
    if (success)
        metric_set(own->reload_success_seconds, (double)now_ms / 1000);
}

void server_metrics_ready(struct server_metrics *own, bool ready)
{
    metric_set(own->ready, ready ? 1 : 0);
}
