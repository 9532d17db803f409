#include "feature_names.h"

#include <stddef.h>

#define AT(field) offsetof(struct server_flags, field)

static const struct {
    const char *name;
    size_t offset;
} effective[] = {
    {"auto-reload-config", AT(auto_reload)},
    {"promql-experimental-functions", AT(promql.experimental_functions)},
    {"promql-extended-range-selectors", AT(promql.extended_range_selectors)},
    {"promql-binop-fill-modifiers", AT(promql.binop_fill_modifiers)},
    {"promql-delayed-name-removal", AT(promql.delayed_name_removal)},
    {"promql-per-step-stats", AT(promql.per_step_stats)},
    {"use-start-timestamps", AT(promql.start_timestamps)},
    {"exemplar-storage", AT(exemplar_storage)},
    {"search-api", AT(search_api)},
    {"extra-scrape-metrics", AT(extra_scrape_metrics)},
    {"created-timestamp-zero-ingestion", AT(created_timestamp_zero)},
    {"st-storage", AT(start_timestamps)},
    {"st-synthesis", AT(start_synthesis)},
    {"type-and-unit-labels", AT(type_and_unit_labels)},
};

/* Prometheus knows them too, but they change nothing here. */
static const struct {
    const char *name;
    const char *why;
} idle[] = {
    {"native-histograms", "always on"},
    {"ooo-native-histograms", "always on"},
    {"promql-duration-expr", "always on"},
    {"concurrent-rule-eval", "rules are not built"},
    {"delayed-compaction", "of Prometheus' storage"},
    {"fast-startup", "of Prometheus' storage"},
    {"histograms-st-encoding", "of Prometheus' storage"},
    {"memory-snapshot-on-shutdown", "of Prometheus' storage"},
    {"use-uncached-io", "of Prometheus' storage"},
    {"xor2-encoding", "of Prometheus' storage"},
    {"metadata-wal-records", "remote write is not built"},
    {"old-ui", "there are no pages"},
    {"otlp-deltatocumulative", "the OTLP receiver is not built"},
    {"otlp-native-delta-ingestion", "the OTLP receiver is not built"},
};

/* False for a name without effect. */
static bool switch_on(struct server_flags *flags, struct str name)
{
    for (size_t i = 0; i < sizeof effective / sizeof *effective; i++) {
        if (str_equal_cstr(name, effective[i].name)) {
            *(bool *)((char *)flags + effective[i].offset) = true;
            return true;
        }
    }
    return false;
}

static bool is_named(const struct flag_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], name) == 0)
            return true;
    }
    return false;
}

err_t server_features_set(struct server_flags *flags, struct strbuf *why)
{
    for (size_t f = 0; f < flags->features.count; f++) {
        struct str list = str_from_cstr(flags->features.items[f]);
        for (size_t at = 0; at < list.size;) {
            size_t comma = str_find(list, ',', at);
            size_t end = comma == SIZE_MAX ? list.size : comma;
            struct str name = str_from(list.data + at, end - at);
            if (!switch_on(flags, name) && flags->idle_features.count < FLAG_LIST_MAX)
                flags->idle_features.items[flags->idle_features.count++] =
                    arena_str(&flags->arena, name).data;
            at = end + 1;
        }
    }
    flags->promql.type_and_unit_labels = flags->type_and_unit_labels;
    if (is_named(&flags->idle_features, "otlp-deltatocumulative") &&
        is_named(&flags->idle_features, "otlp-native-delta-ingestion"))
        return err_fail(why, ERR_INVALID,
                        "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion "
                        "features at the same time");
    return OK;
}

static const char *reason_of(const char *name)
{
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        if (strcmp(name, idle[i].name) == 0)
            return idle[i].why;
    }
    return NULL;
}

void server_features_warn(const struct server_flags *flags)
{
    /* One line each: the log lets few lines of a place pass at once. */
    struct strbuf known = STRBUF_INIT, unknown = STRBUF_INIT;
    for (size_t i = 0; i < flags->idle_features.count; i++) {
        const char *name = flags->idle_features.items[i];
        const char *reason = reason_of(name);
        if (reason != NULL)
            strbuf_printf(&known, "%s%s (%s)", known.size == 0 ? "" : ", ", name, reason);
        else
            strbuf_printf(&unknown, "%s%s", unknown.size == 0 ? "" : ",", name);
    }
    if (unknown.size > 0)
        LOG_WARN("Unknown option for --enable-feature", "option", strbuf_cstr(&unknown));
    if (known.size > 0)
        LOG_WARN("features that are accepted and change nothing", "features", strbuf_cstr(&known));
    strbuf_deinit(&unknown);
    strbuf_deinit(&known);
}
