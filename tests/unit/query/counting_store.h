/* counting_store.h: passes reads through to another store and counts them. */
#pragma once

#include <stdatomic.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/storage.h"

struct counting_store {
    struct storage storage;
    struct storage *inner;
    bool hide_stats; /* columns say that they have none */
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
};

static inline err_t counting_seek(struct series_cursor *cursor, const struct series *series,
                                  int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    return series_cursor_seek(((struct counting_cursor *)cursor)->inner, series, min_t_ms, max_t_ms,
                              why);
}

static inline err_t counting_next(struct series_cursor *cursor, struct sample_column_info *info,
                                  bool *found, struct strbuf *why)
{
    struct counting_cursor *counting = (struct counting_cursor *)cursor;
    err_t err = series_cursor_next(counting->inner, info, found, why);
    if (err == OK && *found && counting->store->hide_stats)
        info->has_stats = false;
    return err;
}

static inline err_t counting_decode(struct series_cursor *cursor, struct sample_column *column,
                                    struct strbuf *why)
{
    struct counting_cursor *counting = (struct counting_cursor *)cursor;
    atomic_fetch_add(&counting->store->decodes, 1);
    return series_cursor_decode(counting->inner, column, why);
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

/* For queries only. */
static inline void counting_store_init(struct counting_store *store, struct storage *inner)
{
    static const struct storage_ops ops = {.querier_open = counting_querier_open};
    *store = (struct counting_store){.storage = {&ops}, .inner = inner};
}
