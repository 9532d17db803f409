/* counting_store.h: passes reads through to another store and counts them. It hands out the floats
 * in pieces of a few samples, with the statistics that a column of these may have. */
#pragma once

#include <math.h>
#include <stdatomic.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/storage.h"

struct counting_store {
    struct storage storage;
    struct storage *inner;
    uint32_t piece_rows; /* 0: columns as they are, without statistics */
    bool hide_stats;
    atomic_int selects;
    atomic_int decodes;
};

struct counting_querier {
    struct querier querier;
    struct querier *inner;
    struct counting_store *store;
};

struct counting_cursor {
    struct series_cursor cursor;
    struct series_cursor *inner;
    struct counting_store *store;
    struct sample_column column;
    uint32_t from; /* the piece */
    uint32_t to;
};

static inline err_t counting_seek(struct series_cursor *cursor, const struct series *series,
                                  int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    struct counting_cursor *counting = (struct counting_cursor *)cursor;
    counting->column.count = counting->to = 0;
    return series_cursor_seek(counting->inner, series, min_t_ms, max_t_ms, why);
}

static inline bool counting_is_exact(double v)
{
    return v == trunc(v) && fabs(v) < 0x1p45 && !(v == 0 && signbit(v));
}

/* What a store would know of values[0..count), by the words of storage.h. */
static inline void counting_stats(const double *values, uint32_t count,
                                  struct sample_column_info *info)
{
    struct sample_stats *stats = &info->stats;
    *stats = (struct sample_stats){.first = values[0],
                                   .last = values[count - 1],
                                   .min = values[0],
                                   .max = values[0],
                                   .sum_exact = true};
    info->has_stats = true;
    for (uint32_t i = 0; i < count; i++) {
        double v = values[i];
        info->has_stats = info->has_stats && !isnan(v);
        stats->min = v < stats->min ? v : stats->min;
        stats->max = v > stats->max ? v : stats->max;
        stats->sum_exact = stats->sum_exact && counting_is_exact(v);
        stats->sum += v;
        stats->drops = stats->drops || (i > 0 && v < values[i - 1]);
    }
}

static inline err_t counting_next(struct series_cursor *cursor, struct sample_column_info *info,
                                  bool *found, struct strbuf *why)
{
    struct counting_cursor *counting = (struct counting_cursor *)cursor;
    struct sample_column *column = &counting->column;
    uint32_t rows = counting->store->piece_rows;
    if (counting->to == column->count) {
        err_t err = series_cursor_next(counting->inner, info, found, why);
        if (err != OK || !*found || rows == 0)
            return err;
        err = series_cursor_decode(counting->inner, column, why);
        if (err != OK)
            return err;
        counting->to = 0;
    }
    counting->from = counting->to;
    counting->to = column->count - counting->from < rows ? column->count : counting->from + rows;
    *found = true;
    *info = (struct sample_column_info){
        .kind = column->kind,
        .count = counting->to - counting->from,
        .first_t_ms = column->t_ms[counting->from],
        .last_t_ms = column->t_ms[counting->to - 1],
    };
    if (column->kind == SAMPLES_FLOAT && !counting->store->hide_stats)
        counting_stats(column->values + counting->from, info->count, info);
    return OK;
}

static inline err_t counting_decode(struct series_cursor *cursor, struct sample_column *column,
                                    struct strbuf *why)
{
    struct counting_cursor *counting = (struct counting_cursor *)cursor;
    atomic_fetch_add(&counting->store->decodes, 1);
    if (counting->store->piece_rows == 0)
        return series_cursor_decode(counting->inner, column, why);
    *column = counting->column;
    column->count = counting->to - counting->from;
    column->t_ms += counting->from;
    if (column->kind == SAMPLES_FLOAT)
        column->values += counting->from;
    else
        column->histograms += counting->from;
    if (column->start_t_ms != NULL)
        column->start_t_ms += counting->from;
    return OK;
}

static inline void counting_cursor_close(struct series_cursor *cursor)
{
    series_cursor_close(((struct counting_cursor *)cursor)->inner);
    mem_free(MEM_TEST, cursor);
}

static inline err_t counting_cursor_open(struct querier *querier, const struct select_hints *hints,
                                         struct series_cursor **cursor, struct strbuf *why)
{
    static const struct series_cursor_ops ops = {counting_seek, counting_next, counting_decode,
                                                 counting_cursor_close};
    struct counting_querier *counting = (struct counting_querier *)querier;
    struct counting_cursor *made = MEM_NEW(MEM_TEST, struct counting_cursor);
    *made = (struct counting_cursor){.cursor = {&ops}, .store = counting->store};
    *cursor = &made->cursor;
    return querier_cursor_open(counting->inner, hints, &made->inner, why);
}

static inline err_t counting_select(struct querier *querier, struct selector selector,
                                    const struct select_hints *hints, struct arena *arena,
                                    struct series_list *list, struct strbuf *why)
{
    struct counting_querier *counting = (struct counting_querier *)querier;
    atomic_fetch_add(&counting->store->selects, 1);
    return querier_select(counting->inner, selector, hints, arena, list, why);
}

static inline void counting_querier_close(struct querier *querier)
{
    querier_close(((struct counting_querier *)querier)->inner);
    mem_free(MEM_TEST, querier);
}

static inline err_t counting_querier_open(struct storage *storage, int64_t min_t_ms,
                                          int64_t max_t_ms, struct querier **querier,
                                          struct strbuf *why)
{
    static const struct querier_ops ops = {
        .select = counting_select,
        .cursor_open = counting_cursor_open,
        .close = counting_querier_close,
    };
    struct counting_store *store = (struct counting_store *)storage;
    struct counting_querier *made = MEM_NEW(MEM_TEST, struct counting_querier);
    *made = (struct counting_querier){.querier = {&ops}, .store = store};
    *querier = &made->querier;
    return storage_querier_open(store->inner, min_t_ms, max_t_ms, &made->inner, why);
}

/* For queries only. The members piece_rows and hide_stats may be set between queries. */
static inline void counting_store_init(struct counting_store *store, struct storage *inner)
{
    static const struct storage_ops ops = {.querier_open = counting_querier_open};
    *store = (struct counting_store){.storage = {&ops}, .inner = inner};
}
