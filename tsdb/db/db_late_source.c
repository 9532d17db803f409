/* Late samples of a series in the head, as columns. */
#include "db_impl.h"

#include "narthex/tsdb/histogram_codec.h"

struct db_late_source {
    struct head_late_list list;
    uint32_t from, to; /* the current column: list.items[from .. to) */
    int64_t t_ms[COLUMN_ROWS_MAX];
    int64_t starts[COLUMN_ROWS_MAX];
    double values[COLUMN_ROWS_MAX];
    struct histogram histograms[COLUMN_ROWS_MAX];
    struct arena arena; /* of the decoded histograms */
};

struct db_late_source *db__late_source_create(void)
{
    struct db_late_source *source = mem_alloc(MEM_QUERY, sizeof *source);
    source->list = (struct head_late_list){0};
    arena_init(&source->arena, MEM_QUERY, SIZE_MAX);
    return source;
}

void db__late_source_destroy(struct db_late_source *source)
{
    arena_deinit(&source->arena);
    mem_free(MEM_HEAD, source->list.items);
    mem_free(MEM_QUERY, source);
}

void db__late_source_seek(struct db_late_source *source, const struct head_reader *reader,
                          uint32_t ordinal, int64_t min_t_ms, int64_t max_t_ms)
{
    head_late_read(reader, ordinal, min_t_ms, max_t_ms, &source->list);
    source->from = 0;
    source->to = 0;
}

bool db__late_source_next(struct db_late_source *source, struct sample_column_info *info)
{
    const struct head_late_sample *items = source->list.items;
    uint32_t from = source->to, to = from;
    if (from == source->list.count)
        return false;
    bool histograms = items[from].histogram.size > 0;
    while (to < source->list.count && to - from < COLUMN_ROWS_MAX &&
           (items[to].histogram.size > 0) == histograms)
        to++;
    source->from = from;
    source->to = to;
    *info = (struct sample_column_info){
        .kind = histograms ? SAMPLES_HISTOGRAM : SAMPLES_FLOAT,
        .count = to - from,
        .first_t_ms = items[from].t_ms,
        .last_t_ms = items[to - 1].t_ms,
    };
    return true;
}

err_t db__late_source_decode(struct db_late_source *source, struct sample_column *column,
                             struct strbuf *why)
{
    const struct head_late_sample *items = source->list.items + source->from;
    uint32_t count = source->to - source->from;
    bool starts = false, histograms = items[0].histogram.size > 0;
    arena_deinit(&source->arena);
    for (uint32_t i = 0; i < count; i++) {
        source->t_ms[i] = items[i].t_ms;
        source->starts[i] = items[i].start_t_ms;
        source->values[i] = items[i].value;
        starts = starts || items[i].start_t_ms != 0;
        if (histograms)
            TRY(histogram_decode(items[i].histogram, &source->arena, &source->histograms[i], why));
    }
    *column = (struct sample_column){
        .kind = histograms ? SAMPLES_HISTOGRAM : SAMPLES_FLOAT,
        .count = count,
        .t_ms = source->t_ms,
        .values = histograms ? NULL : source->values,
        .histograms = histograms ? source->histograms : NULL,
        .start_t_ms = starts ? source->starts : NULL,
    };
    return OK;
}
