/* write_history: rows of many distinct targets as one text, for importing the same past into
 * several systems.
 *
 *     write_history SOURCE SERIES TOTAL_ROWS FIRST_ROW ROWS STEP_MS START_MS s|ms
 *
 * SOURCE is a folder of recorded jobs or shape:NAME (bench_shapes.c, TOTAL_ROWS rows of it). Row r
 * of every target is at START_MS + r * STEP_MS, so that evaluation times between the rows see the
 * same samples everywhere. With s the text is OpenMetrics (seconds, # EOF), with ms it is the
 * Prometheus text format. Prints to standard output; "TARGETS SERIES SAMPLES" goes to standard
 * error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/model/exposition_writer.h"
#include "narthex/model/histogram.h"

enum { SEED = 1, WRITE_BYTES = 1 << 20 };

struct history {
    struct corpus corpus;
    struct fleet *fleet;
    struct arena arena;
    struct str **keys; /* per target and slot: name{labels} */
    bool seconds;
    uint64_t samples;
};

static err_t load(struct history *history, const char *source, uint32_t total_rows, uint32_t series,
                  struct strbuf *why)
{
    static const char shape[] = "shape:";
    if (strncmp(source, shape, sizeof shape - 1) == 0)
        return corpus_make_shape(&history->corpus, source + sizeof shape - 1, series, total_rows,
                                 SEED, why);
    return corpus_load(&history->corpus, source, 1, total_rows, 0, why);
}

static void make_keys(struct history *history)
{
    uint32_t count = fleet_target_count(history->fleet);
    struct label_builder builder = {0};
    struct strbuf text = STRBUF_INIT;
    history->keys = MEM_NEW_ARRAY(MEM_TEST, struct str *, count);
    for (uint32_t i = 0; i < count; i++) {
        char instance[32];
        const struct corpus_job *job = fleet_target_job(history->fleet, i);
        snprintf(instance, sizeof instance, "host-%u:9100", i);
        history->keys[i] = MEM_NEW_ARRAY(MEM_TEST, struct str, job->series_count);
        for (uint32_t slot = 0; slot < job->series_count; slot++) {
            label_builder_reset(&builder, job->series[slot].labels);
            label_builder_set(&builder, STR("job"), str_from_cstr(job->name));
            label_builder_set(&builder, STR("instance"), str_from_cstr(instance));
            strbuf_clear(&text);
            struct labels labels = label_builder_labels(&builder);
            exposition_add_key(&text, labels_get(labels, LABEL_NAME), labels);
            history->keys[i][slot] = arena_str(&history->arena, strbuf_str(&text));
        }
    }
    strbuf_deinit(&text);
    label_builder_deinit(&builder);
}

static void flush(struct strbuf *out, size_t least)
{
    if (out->size < least)
        return;
    if (fwrite(out->data, 1, out->size, stdout) != out->size) {
        perror("write_history");
        exit(1);
    }
    strbuf_clear(out);
}

static void write_row(struct history *history, uint32_t row, int64_t t_ms, double *values,
                      struct strbuf *out)
{
    char time[32];
    if (history->seconds)
        snprintf(time, sizeof time, " %lld.%03d\n", (long long)(t_ms / 1000), (int)(t_ms % 1000));
    else
        snprintf(time, sizeof time, " %lld\n", (long long)t_ms);
    for (uint32_t i = 0; i < fleet_target_count(history->fleet); i++) {
        const struct corpus_job *job;
        fleet_target_row(history->fleet, i, row, &job, values);
        for (uint32_t slot = 0; slot < job->series_count; slot++) {
            if (corpus_is_absent(values[slot]) || value_is_stale(values[slot]))
                continue;
            strbuf_add_str(out, history->keys[i][slot]);
            strbuf_add_char(out, ' ');
            size_t size =
                number_format_general(values[slot], 21, strbuf_reserve(out, NUMBER_TEXT_MAX));
            strbuf_commit(out, size);
            strbuf_add_cstr(out, time);
            history->samples++;
        }
        flush(out, WRITE_BYTES);
    }
}

static uint32_t widest_job(const struct corpus *corpus)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        if (corpus->jobs[i].series_count > most)
            most = corpus->jobs[i].series_count;
    }
    return most;
}

int main(int argc, char **argv)
{
    struct history history = {0};
    struct strbuf why = STRBUF_INIT;
    struct strbuf out = STRBUF_INIT;
    if (argc != 9) {
        fprintf(stderr, "usage: write_history SOURCE SERIES TOTAL_ROWS FIRST_ROW ROWS STEP_MS "
                        "START_MS s|ms\n");
        return 2;
    }
    uint32_t series = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t first = (uint32_t)strtoul(argv[4], NULL, 10);
    uint32_t rows = (uint32_t)strtoul(argv[5], NULL, 10);
    int64_t step_ms = strtoll(argv[6], NULL, 10);
    int64_t start_ms = strtoll(argv[7], NULL, 10);
    history.seconds = strcmp(argv[8], "s") == 0;
    if (load(&history, argv[1], (uint32_t)strtoul(argv[3], NULL, 10), series, &why) != OK) {
        fprintf(stderr, "write_history: %s\n", strbuf_cstr(&why));
        return 1;
    }
    arena_init(&history.arena, MEM_TEST, SIZE_MAX);
    history.fleet = fleet_create(&history.corpus, series, SEED);
    make_keys(&history);
    double *values = MEM_NEW_ARRAY(MEM_TEST, double, widest_job(&history.corpus) + 1);
    for (uint32_t row = first; row < first + rows; row++)
        write_row(&history, row, start_ms + (int64_t)row * step_ms, values, &out);
    if (history.seconds)
        strbuf_add_cstr(&out, "# EOF\n");
    flush(&out, 1);
    if (fflush(stdout) != 0) {
        perror("write_history");
        return 1;
    }
    fprintf(stderr, "%u %u %llu\n", fleet_target_count(history.fleet),
            fleet_series_count(history.fleet), (unsigned long long)history.samples);
    return 0;
}
