/* /api/v1/status and friends. */
#include "request.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "narthex/base/thread.h"

enum { CARDINALITY_DEFAULT = 10, CARDINALITY_MAX = 10000 };

/* Clients decide by this version what the server can do (spec http-api.md 4). */
#define PROMETHEUS_VERSION "3.14.0"

void http__status_config(struct http_request *request)
{
    struct strbuf yaml = STRBUF_INIT;
    request->services->config_yaml(request->services->owner, &yaml);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"yaml\":");
    json_add_string(out, strbuf_str(&yaml), true);
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
    strbuf_deinit(&yaml);
}

void http__status_flags(struct http_request *request)
{
    struct strbuf *out = http__api_begin(request);
    strbuf_add_char(out, '{');
    bool first = true;
    for (size_t i = 0; i < request->services->flag_count; i++) {
        const struct http_flag *flag = &request->services->flags[i];
        /* They end the process; no server runs with them. */
        if (strcmp(flag->name, "help") == 0 || strcmp(flag->name, "version") == 0)
            continue;
        if (!first)
            strbuf_add_char(out, ',');
        first = false;
        json_add_string(out, str_from_cstr(flag->name), true);
        strbuf_add_char(out, ':');
        json_add_string(out, str_from_cstr(flag->value), true);
    }
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__status_runtimeinfo(struct http_request *request)
{
    struct runtime_info info = {0};
    request->services->runtime_info(request->services->owner, &request->arena, &info);
    uint64_t corruptions = db_corruptions(request->services->db);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"startTime\":");
    json_add_time(out, info.start_time_ms);
    strbuf_add_cstr(out, ",\"CWD\":");
    json_add_string(out, info.working_folder, true);
    strbuf_add_cstr(out, ",\"hostname\":");
    json_add_string(out, info.host_name, true);
    strbuf_add_cstr(out, ",\"serverTime\":");
    json_add_time(out, clock_wall_ms(request->services->clock));
    strbuf_printf(out, ",\"reloadConfigSuccess\":%s,\"lastConfigTime\":",
                  info.reload_success ? "true" : "false");
    json_add_time(out, info.last_config_ms);
    uint32_t cpus = thread_core_count();
    strbuf_printf(out,
                  ",\"corruptionCount\":%" PRIu64 ",\"goroutineCount\":%u,\"GOMAXPROCS\":%u,"
                  "\"GOMEMLIMIT\":9223372036854775807,\"GOGC\":\"\",\"GODEBUG\":\"\","
                  "\"storageRetention\":",
                  corruptions, cpus, cpus);
    json_add_string(out, info.storage_retention, true);
    if (info.skipped_section_count > 0) {
        strbuf_add_cstr(out, ",\"skippedSections\":[");
        for (size_t i = 0; i < info.skipped_section_count; i++) {
            if (i > 0)
                strbuf_add_char(out, ',');
            json_add_string(out, info.skipped_sections[i], true);
        }
        strbuf_add_char(out, ']');
    }
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
}

static void add_build_info(struct http_request *request, struct strbuf *out)
{
    strbuf_add_cstr(out, "{\"version\":\"" PROMETHEUS_VERSION "\",\"revision\":");
    json_add_string(out, str_from_cstr(request->services->revision), true);
    strbuf_add_cstr(out,
                    ",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\","
                    "\"narthexVersion\":\"" NARTHEX_VERSION "\"}");
}

void http__status_buildinfo(struct http_request *request)
{
    add_build_info(request, http__api_begin(request));
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__version(struct http_request *request)
{
    /* Prometheus does not declare it as JSON here. */
    http__plain(request, 200, "");
    add_build_info(request, &request->response.body);
    strbuf_add_char(&request->response.body, '\n');
}

static void add_counts(struct strbuf *out, const char *key, const struct name_count_list *list)
{
    strbuf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < list->count; i++) {
        strbuf_add_cstr(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_add_string(out, list->items[i].name, true);
        strbuf_add_cstr(out, ",\"value\":");
        strbuf_add_uint(out, list->items[i].value);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ']');
}

void http__status_tsdb(struct http_request *request)
{
    struct str text = http__param(request, "limit");
    int64_t limit = CARDINALITY_DEFAULT;
    if (text.size > 0 && (!str_to_int64(text, &limit) || limit < 1)) {
        http__api_error(request, API_BAD_DATA, "limit must be a positive number");
        return;
    }
    if (limit > CARDINALITY_MAX) {
        http__api_error(request, API_BAD_DATA, "limit must not exceed 10000");
        return;
    }
    struct cardinality stats = {0};
    struct strbuf why = STRBUF_INIT;
    if (storage_cardinality(request->services->storage, (size_t)limit, &request->arena, &stats,
                            &why) != OK) {
        http__api_error(request, API_INTERNAL, strbuf_cstr(&why));
    } else {
        struct strbuf *out = http__api_begin(request);
        strbuf_printf(out, "{\"headStats\":{\"numSeries\":%llu,\"numLabelPairs\":%llu,",
                      (unsigned long long)stats.series_count,
                      (unsigned long long)stats.label_pair_count);
        strbuf_printf(out, "\"chunkCount\":%llu,\"minTime\":%lld,\"maxTime\":%lld}",
                      (unsigned long long)stats.column_count, (long long)stats.min_t_ms,
                      (long long)stats.max_t_ms);
        add_counts(out, "seriesCountByMetricName", &stats.series_by_metric);
        add_counts(out, "labelValueCountByLabelName", &stats.values_by_label);
        add_counts(out, "memoryInBytesByLabelName", &stats.bytes_by_label);
        add_counts(out, "seriesCountByLabelValuePair", &stats.series_by_pair);
        strbuf_add_char(out, '}');
        http__api_end(request, NULL, 0, NULL, 0);
    }
    strbuf_deinit(&why);
}

void http__status_walreplay(struct http_request *request)
{
    const struct db_replay *replay = request->services->replay;
    struct strbuf *out = http__api_begin(request);
    /* relaxed: see db_replay */
    strbuf_printf(out, "{\"min\":%u,\"max\":%u,\"current\":%u}",
                  atomic_load_explicit(&replay->first_segment, memory_order_relaxed),
                  atomic_load_explicit(&replay->last_segment, memory_order_relaxed),
                  atomic_load_explicit(&replay->segment, memory_order_relaxed));
    http__api_end(request, NULL, 0, NULL, 0);
}

/* Members that are zero are left out. */
static void add_count(struct strbuf *out, const char *key, uint64_t count)
{
    if (count > 0)
        strbuf_printf(out, "%s\"%s\":%llu", out->data[out->size - 1] == '{' ? "" : ",", key,
                      (unsigned long long)count);
}

static void add_block(struct strbuf *out, const struct db_block_info *info)
{
    strbuf_printf(out, "{\"ulid\":\"%s\",\"minTime\":%lld,\"maxTime\":%lld,\"stats\":{", info->ulid,
                  (long long)info->min_t_ms, (long long)info->max_t_ms);
    add_count(out, "numSamples", info->sample_count);
    add_count(out, "numFloatSamples", info->float_sample_count);
    add_count(out, "numHistogramSamples", info->sample_count - info->float_sample_count);
    add_count(out, "numSeries", info->series_count);
    add_count(out, "numChunks", info->column_count);
    strbuf_printf(out, "},\"compaction\":{\"level\":%u", info->level);
    for (uint32_t i = 0; i < info->source_count; i++)
        strbuf_printf(out, "%s\"%s\"", i == 0 ? ",\"sources\":[" : ",", info->sources[i]);
    strbuf_add_cstr(out, info->source_count > 0 ? "]},\"version\":1}" : "},\"version\":1}");
}

void http__status_blocks(struct http_request *request)
{
    struct db_block_info *infos;
    size_t count = db_blocks(request->services->db, &infos);
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"blocks\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_block(out, &infos[i]);
    }
    strbuf_add_cstr(out, "]}");
    http__api_end(request, NULL, 0, NULL, 0);
    mem_free(MEM_BLOCK, infos);
}
