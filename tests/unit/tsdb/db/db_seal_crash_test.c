/* Stops at every call to the file system in a life with sealing, merging and a shortened log, with
 * a second start in it: what was synced is there afterwards, and no half of a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fault_fs.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

/* Windows are merged when they have more than 210 of 240 rows. */
enum { ROWS = 270, RESTART_ROW = 140, MAINTAIN_ROWS = 9, SOURCES = 2 };
static const int64_t STEP_MS = 1000;

struct promises {
    bool tried[ROWS + 1];
    bool synced[ROWS + 1];
};

static struct db *open_db(const char *path, const struct fs *fs)
{
    struct db_options options = {.path = path, .fs = fs, .no_background = true};
    struct strbuf why = STRBUF_INIT;
    struct db *db = NULL;
    if (db_open(&options, &db, &why) != OK)
        db = NULL;
    strbuf_deinit(&why);
    return db;
}

/* One commit of a source: two series with the row's number. */
static err_t commit(struct db *db, int source, int row)
{
    struct strbuf why = STRBUF_INIT;
    struct appender *appender;
    assert_int_equal(storage_appender_open(db_storage(db), &appender, &why), OK);
    appender_begin(appender, storage_source_open(db_storage(db), (uint64_t)source + 1), NULL);
    series_ref refs[2];
    double values[2];
    uint8_t outcomes[2];
    for (int i = 0; i < 2; i++) {
        char text[16];
        snprintf(text, sizeof text, "s%d_%d", source, i);
        struct label label = {STR("__name__"), str_from_cstr(text)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &why), OK);
        values[i] = row * 0.7;
    }
    struct append_batch batch = {.count = 2,
                                 .refs = refs,
                                 .t_all_ms = row * STEP_MS,
                                 .values = values,
                                 .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &why), OK);
    err_t err = appender_commit(appender, &why);
    appender_close(appender);
    strbuf_deinit(&why);
    return err;
}

/* Up to the first failure when `dies`, else to the end. */
static void live(const char *path, const struct fs *fs, bool dies, struct promises *promises)
{
    struct strbuf why = STRBUF_INIT;
    bool pending[ROWS + 1] = {false};
    struct db *db = open_db(path, fs);
    for (int row = 1; db != NULL && row <= ROWS; row++) {
        if (row == RESTART_ROW) {
            db_close(db);
            db = open_db(path, fs);
            if (db == NULL)
                break;
        }
        promises->tried[row] = true;
        pending[row] = true;
        for (int source = 0; source < SOURCES; source++)
            pending[row] = commit(db, source, row) == OK && pending[row];
        if (!pending[row] && dies)
            break;
        if (row % MAINTAIN_ROWS == 0 && db_maintain(db, &why) == OK && db_sync(db, &why) == OK) {
            for (int i = 1; i <= row; i++)
                promises->synced[i] = promises->synced[i] || pending[i];
        }
    }
    if (db != NULL)
        db_close(db);
    strbuf_deinit(&why);
}

static void check_source(struct db *db, int source, const struct promises *promises)
{
    int found[ROWS + 1] = {0};
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    struct matcher matcher;
    char pattern[16];
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    snprintf(pattern, sizeof pattern, "s%d_.", source);
    assert_int_equal(
        matcher_init(&matcher, MATCH_REGEX, STR("__name__"), str_from_cstr(pattern), &why), OK);
    assert_int_equal(storage_querier_open(db_storage(db), INT64_MIN, INT64_MAX, &querier, &why),
                     OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, NULL, &arena, &list, &why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &why), OK);
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool more;
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &why),
                         OK);
        while (series_cursor_next(cursor, &info, &more, &why) == OK && more) {
            assert_int_equal(series_cursor_decode(cursor, &column, &why), OK);
            for (uint32_t j = 0; j < column.count; j++) {
                int row = (int)(column.t_ms[j] / STEP_MS);
                assert_true(row >= 1 && row <= ROWS && column.values[j] == row * 0.7);
                found[row]++;
            }
        }
    }
    for (int row = 1; row <= ROWS; row++) {
        if (found[row] != 0 && found[row] != 2)
            fail_msg("row %d of source %d is there by halves", row, source);
        assert_true(found[row] == 0 || promises->tried[row]);
        if (promises->synced[row] && found[row] == 0)
            fail_msg("row %d of source %d was synced and is gone", row, source);
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    strbuf_deinit(&why);
}

/* One life with the fault at a call; false when it makes fewer calls. */
static bool run(uint64_t call, enum fault fault)
{
    char path[64];
    struct strbuf why = STRBUF_INIT;
    snprintf(path, sizeof path, "/tmp/narthex_db_seal_crash.XXXXXX");
    assert_non_null(mkdtemp(path));
    struct fault_fs *faulty = fault_fs_create();
    struct promises promises = {0};
    bool dies = fault == FAULT_STOP || fault == FAULT_TORN;
    fault_fs_arm(faulty, call, fault);
    live(path, fault_fs_table(faulty), dies, &promises);
    bool reached = fault_fs_calls(faulty) > call;
    if (dies)
        fault_fs_lose_power(faulty, call);
    /* Through the table that syncs nothing: the second start is quick. */
    fault_fs_destroy(faulty);
    faulty = fault_fs_create();
    struct db *db = open_db(path, fault_fs_table(faulty));
    if (db == NULL)
        fail_msg("does not open after fault %d at call %llu", fault, (unsigned long long)call);
    for (int source = 0; source < SOURCES; source++)
        check_source(db, source, &promises);
    db_close(db);
    fault_fs_destroy(faulty);
    assert_int_equal(fs_remove_tree(fs_system(), path, &why), OK);
    strbuf_deinit(&why);
    return reached;
}

/* Every call with NARTHEX_LONG=1, else a part of them. */
static void run_all(enum fault fault)
{
    bool is_long = getenv("NARTHEX_LONG") != NULL;
    uint64_t call = 0, runs = 0;
    for (; run(call, fault); runs++)
        call += is_long ? 1 : 1 + call * 7 % 13;
    print_message("%llu runs of about %llu calls\n", (unsigned long long)runs,
                  (unsigned long long)call);
    assert_true(call > 2 * ROWS);
}

static void a_stop_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_STOP);
}

static void a_torn_write_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_TORN);
}

static void an_error_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_IO);
}

static void a_full_disk_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_keeps_what_was_synced),
        cmocka_unit_test(a_torn_write_keeps_what_was_synced),
        cmocka_unit_test(an_error_keeps_what_was_synced),
        cmocka_unit_test(a_full_disk_keeps_what_was_synced),
    };
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
