/* The statistics of a query as its clients and its log see them. */
#include "narthex/base/number.h"
#include "narthex/query/engine.h"

static void add_number(struct strbuf *out, double v)
{
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_json(v, text));
}

static void add_step_counts(struct strbuf *out, const char *key,
                            const struct query_step_count *counts, size_t count)
{
    if (counts == NULL)
        return;
    strbuf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        strbuf_add_cstr(out, i == 0 ? "[" : ",[");
        add_number(out, (double)counts[i].t_ms / 1000);
        strbuf_add_char(out, ',');
        strbuf_add_int(out, counts[i].count);
        strbuf_add_char(out, ']');
    }
    strbuf_add_cstr(out, "],");
}

void query_stats_add_json(struct strbuf *out, const struct query_stats *stats)
{
    const struct {
        const char *key;
        double seconds;
    } timings[] = {
        {"{\"timings\":{\"evalTotalTime\":", stats->eval_total_s},
        {",\"resultSortTime\":", stats->result_sort_s},
        {",\"queryPreparationTime\":", stats->preparation_s},
        {",\"innerEvalTime\":", stats->inner_eval_s},
        {",\"execQueueTime\":", stats->queue_s},
        {",\"execTotalTime\":", stats->exec_total_s},
    };
    for (size_t i = 0; i < sizeof timings / sizeof *timings; i++) {
        strbuf_add_cstr(out, timings[i].key);
        add_number(out, timings[i].seconds);
    }
    strbuf_add_cstr(out, "},\"samples\":{");
    add_step_counts(out, "totalQueryableSamplesPerStep", stats->queryable_per_step,
                    stats->step_count);
    strbuf_printf(out, "\"totalQueryableSamples\":%lld,",
                  (long long)stats->total_queryable_samples);
    add_step_counts(out, "samplesReadPerStep", stats->read_per_step, stats->step_count);
    strbuf_printf(out, "\"samplesRead\":%lld,\"peakSamples\":%lld}}",
                  (long long)stats->samples_read, (long long)stats->peak_samples);
}
