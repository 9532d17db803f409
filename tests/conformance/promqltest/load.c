/* "load": series lines into the store. */
#include "runner.h"

#include <stdlib.h>

#include "narthex/base/vec.h"

struct sample_rows {
    series_ref *refs;
    int64_t *t_ms;
    double *values;
    const struct histogram **histograms;
    int64_t *start_t_ms;
    uint8_t *outcomes;
    size_t count;
};

static bool line_is_replaced(const struct series_lines *lines, size_t index)
{
    for (size_t i = index + 1; i < lines->count; i++) {
        if (labels_equal(lines->items[i].labels, lines->items[index].labels))
            return true;
    }
    return false;
}

static void add_rows(struct sample_rows *rows, const struct series_line *line, series_ref ref,
                     int64_t step_ms)
{
    for (size_t i = 0; i < line->values.count; i++) {
        const struct item *item = &line->values.items[i];
        if (item->kind == ITEM_OMITTED)
            continue;
        size_t row = rows->count++;
        rows->refs[row] = ref;
        rows->t_ms[row] = (int64_t)i * step_ms;
        rows->values[row] = item->value;
        rows->histograms[row] = item->kind == ITEM_HISTOGRAM ? item->histogram : NULL;
        const struct item *offset = line->start_offsets == NULL ? NULL : &line->start_offsets[i];
        bool has_start = offset != NULL && offset->kind == ITEM_FLOAT;
        rows->start_t_ms[row] = has_start ? rows->t_ms[row] + (int64_t)offset->value : 0;
    }
}

static err_t append_lines(struct appender *appender, const struct series_lines *lines,
                          int64_t step_ms, struct arena *arena, struct strbuf *why)
{
    size_t total = 0;
    for (size_t i = 0; i < lines->count; i++)
        total += lines->items[i].values.count;
    struct sample_rows rows = {
        .refs = ARENA_NEW_ARRAY(arena, series_ref, total),
        .t_ms = ARENA_NEW_ARRAY(arena, int64_t, total),
        .values = ARENA_NEW_ARRAY(arena, double, total),
        .histograms = ARENA_NEW_ARRAY(arena, const struct histogram *, total),
        .start_t_ms = ARENA_NEW_ARRAY(arena, int64_t, total),
        .outcomes = ARENA_NEW_ARRAY(arena, uint8_t, total),
    };
    for (size_t i = 0; i < lines->count; i++) {
        const struct series_line *line = &lines->items[i];
        if (line_is_replaced(lines, i))
            continue;
        series_ref ref;
        bool created;
        TRY(appender_series(appender, line->labels, &ref, &created, why));
        add_rows(&rows, line, ref, step_ms);
    }
    struct append_batch batch = {
        .count = rows.count,
        .refs = rows.refs,
        .t_ms = rows.t_ms,
        .values = rows.values,
        .histograms = rows.histograms,
        .start_t_ms = rows.start_t_ms,
        .outcomes = rows.outcomes,
    };
    TRY(appender_add(appender, &batch, why));
    for (size_t i = 0; i < rows.count; i++) {
        if (rows.outcomes[i] != OK)
            return err_fail(why, (err_t)rows.outcomes[i], "sample at %lld ms: %s",
                            (long long)rows.t_ms[i], err_name((err_t)rows.outcomes[i]));
    }
    return OK;
}

err_t load_run(const struct load_command *load, struct storage *storage, struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct appender *appender = NULL;
    err_t err;
    source_ref source = storage_source_open(storage, 1);
    TRY_OUT(storage_appender_open(storage, &appender, why));
    appender_begin(appender, source, NULL);
    TRY_OUT(append_lines(appender, &load->series, load->step_ms, &arena, why));
    if (load->with_nhcb) {
        struct series_lines histograms = {NULL, 0, 0};
        TRY_OUT(load_add_nhcb(load, &arena, &histograms, why));
        TRY_OUT(append_lines(appender, &histograms, load->step_ms, &arena, why));
    }
    err = appender_commit(appender, why);
out:
    if (appender != NULL) {
        if (err != OK)
            appender_rollback(appender);
        appender_close(appender);
    }
    storage_source_close(storage, source);
    arena_deinit(&arena);
    return err;
}
