/* The query log: one JSON object a line, as Prometheus' logger writes them. */
#include "engine_state.h"
#include "narthex/base/log.h"

err_t query_engine_set_log_file(struct query_engine *engine, const char *path, struct strbuf *why)
{
    struct fs_file *file = NULL;
    if (path != NULL && path[0] != '\0')
        TRY(fs_system()->open(fs_system()->context, path, FS_OPEN_APPEND, &file, why));
    mutex_lock(&engine->log_lock);
    struct fs_file *old = engine->log_file;
    engine->log_file = file;
    atomic_store_explicit(&engine->log_on, file != NULL, memory_order_relaxed);
    mutex_unlock(&engine->log_lock);
    if (engine->metrics.on)
        metric_set(engine->metrics.log_enabled, file != NULL);
    return old == NULL ? OK : fs_system()->close(old, why);
}

static void add_json(struct strbuf *out, struct str text)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            strbuf_printf(out, "\\%c", c);
        else if (c == '\n')
            strbuf_add_cstr(out, "\\n");
        else if (c < 0x20)
            strbuf_printf(out, "\\u%04x", c);
        else
            strbuf_add_char(out, (char)c);
    }
    strbuf_add_char(out, '"');
}

/* 2026-01-02T03:04:05.678Z */
static void add_time(struct strbuf *out, int64_t t_ms)
{
    time_t seconds = (time_t)(t_ms / 1000 - (t_ms % 1000 < 0));
    struct tm tm;
    char text[40];
    gmtime_r(&seconds, &tm);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    strbuf_printf(out, "\"%.*s.%03dZ\"", (int)size, text, (int)(t_ms - (int64_t)seconds * 1000));
}

void engine__log_query(struct query_engine *engine, const struct query_request *request,
                       const struct query_stats *stats, err_t err, struct str error_text)
{
    if (!atomic_load_explicit(&engine->log_on, memory_order_relaxed))
        return;
    struct strbuf line = STRBUF_INIT;
    strbuf_add_cstr(&line, "{\"time\":");
    add_time(&line, clock_wall_ms(engine->options.clock));
    strbuf_add_cstr(&line, ",\"level\":\"INFO\",\"msg\":\"promql query logged\",\"params\":{"
                           "\"query\":");
    add_json(&line, request->text);
    strbuf_add_cstr(&line, ",\"start\":");
    add_time(&line, request->start_ms);
    strbuf_add_cstr(&line, ",\"end\":");
    add_time(&line, request->range ? request->end_ms : request->start_ms);
    strbuf_printf(&line, ",\"step\":%lld}",
                  request->range ? (long long)(request->step_ms / 1000) : 0);
    if (err != OK) {
        strbuf_add_cstr(&line, ",\"error\":");
        add_json(&line, error_text);
    }
    strbuf_add_cstr(&line, ",\"stats\":");
    struct query_stats totals = *stats;
    totals.queryable_per_step = totals.read_per_step = NULL;
    query_stats_add_json(&line, &totals);
    strbuf_add_cstr(&line, "}\n");
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&engine->log_lock);
    err_t failed = engine->log_file == NULL
                       ? OK
                       : fs_system()->write(engine->log_file, line.data, line.size, &why);
    mutex_unlock(&engine->log_lock);
    if (failed != OK) {
        LOG_ERROR("cannot write the query log", "err", strbuf_cstr(&why));
        if (engine->metrics.on)
            metric_add(engine->metrics.log_failures, 1);
    }
    strbuf_deinit(&why);
    strbuf_deinit(&line);
}
