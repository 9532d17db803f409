/* A database in a folder of its own under /tmp, for tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

struct db_rig {
    char path[64];
    struct db_options options; /* set before db_rig_open; the path is filled in */
    struct db *db;
    struct strbuf why;
};

static inline void db_rig_open(struct db_rig *rig)
{
    rig->options.path = rig->path;
    rig->options.no_background = true;
    if (db_open(&rig->options, &rig->db, &rig->why) != OK)
        fail_msg("%s", strbuf_cstr(&rig->why));
}

static inline int db_rig_set_up(void **state)
{
    struct db_rig *rig = MEM_NEW(MEM_TEST, struct db_rig);
    snprintf(rig->path, sizeof rig->path, "/tmp/narthex_db.XXXXXX");
    *state = rig;
    return mkdtemp(rig->path) == NULL ? -1 : 0;
}

static inline int db_rig_tear_down(void **state)
{
    struct db_rig *rig = *state;
    if (rig->db != NULL)
        db_close(rig->db);
    int result = fs_remove_tree(fs_system(), rig->path, &rig->why) == OK ? 0 : -1;
    strbuf_deinit(&rig->why);
    mem_free(MEM_TEST, rig);
    return result;
}

static inline void db_rig_reopen(struct db_rig *rig)
{
    db_close(rig->db);
    rig->db = NULL;
    db_rig_open(rig);
}

/* One commit of one sample of source 1: its outcome, or why there is no such series. A histogram
 * (NULL: none) takes the place of the value. */
static inline err_t db_rig_append(struct db_rig *rig, struct labels labels, int64_t t_ms,
                                  double value, const struct histogram *histogram)
{
    struct storage *storage = db_storage(rig->db);
    struct appender *appender;
    series_ref ref;
    uint8_t outcome = OK;
    assert_int_equal(storage_appender_open(storage, &appender, &rig->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    err_t err = appender_series(appender, labels, &ref, NULL, &rig->why);
    if (err == OK) {
        struct append_batch batch = {.count = 1,
                                     .refs = &ref,
                                     .t_all_ms = t_ms,
                                     .values = &value,
                                     .histograms = &histogram,
                                     .outcomes = &outcome};
        assert_int_equal(appender_add(appender, &batch, &rig->why), OK);
        err = (err_t)outcome;
    }
    assert_int_equal(appender_commit(appender, &rig->why), OK);
    appender_close(appender);
    return err;
}

/* The same for a float of a series with nothing but a name. */
static inline err_t db_rig_append_float(struct db_rig *rig, const char *name, int64_t t_ms,
                                        double value)
{
    struct label label = {STR("__name__"), str_from_cstr(name)};
    return db_rig_append(rig, (struct labels){&label, 1}, t_ms, value, NULL);
}

/* Samples of all series, decoded. */
static inline uint64_t db_rig_count_samples(struct db *db)
{
    struct querier *querier;
    struct series_cursor *cursor;
    struct series_list list;
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    uint64_t count = 0;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(storage_querier_open(db_storage(db), INT64_MIN, INT64_MAX, &querier, &why),
                     OK);
    assert_int_equal(querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &why),
                     OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &why), OK);
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &why),
                         OK);
        while (series_cursor_next(cursor, &info, &found, &why) == OK && found) {
            assert_int_equal(series_cursor_decode(cursor, &column, &why), OK);
            count += column.count;
        }
    }
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    strbuf_deinit(&why);
    return count;
}

static inline size_t db_rig_count_blocks(struct db *db)
{
    struct db_block_info *infos;
    size_t count = db_blocks(db, &infos);
    mem_free(MEM_BLOCK, infos);
    return count;
}
