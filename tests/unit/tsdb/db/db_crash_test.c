/* Stops at every call to the file system: what was acknowledged and synced is there, nothing half.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fault_fs.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

enum { COMMITS = 12, SERIES = 3 };
static const int64_t STEP_MS = 10000;
static const int64_t RANGE_MS = 40000;
static const int64_t WINDOW_MS = 100000;

/* What a run promised. */
struct promises {
    bool tried[COMMITS + 1];
    bool synced[COMMITS + 1];
};

static struct db *open_db(const char *path, const struct fs *fs, enum db_sync sync)
{
    struct db_options options = {
        .path = path,
        .fs = fs,
        .sync = sync,
        .no_background = true,
        .block_range_ms = RANGE_MS,
        .out_of_order_window_ms = WINDOW_MS,
    };
    struct strbuf why = STRBUF_INIT;
    struct db *db = NULL;
    if (db_open(&options, &db, &why) != OK)
        db = NULL;
    strbuf_deinit(&why);
    return db;
}

/* Every commit has a late sample per series too, between two earlier ones. */
static int64_t late_t(int number)
{
    return number * STEP_MS - STEP_MS * 3 / 2;
}

static err_t commit(struct db *db, int number)
{
    struct strbuf why = STRBUF_INIT;
    struct appender *appender;
    assert_int_equal(storage_appender_open(db_storage(db), &appender, &why), OK);
    appender_begin(appender, storage_source_open(db_storage(db), 1), NULL);
    series_ref refs[SERIES];
    double values[SERIES];
    uint8_t outcomes[SERIES];
    for (int i = 0; i < SERIES; i++) {
        char text[16];
        snprintf(text, sizeof text, "s%d", i);
        struct label label = {STR("__name__"), str_from_cstr(text)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &why), OK);
        values[i] = number * 0.1;
    }
    const int64_t times[] = {number * STEP_MS, late_t(number)};
    for (int j = 0; j < 2; j++) {
        struct append_batch batch = {.count = SERIES,
                                     .refs = refs,
                                     .t_all_ms = times[j],
                                     .values = values,
                                     .outcomes = outcomes};
        assert_int_equal(appender_add(appender, &batch, &why), OK);
        for (int i = 0; i < SERIES; i++)
            assert_int_equal(outcomes[i], OK);
    }
    err_t err = appender_commit(appender, &why);
    appender_close(appender);
    strbuf_deinit(&why);
    return err;
}

/* Commits with maintenance in between, up to the first failure that is like the death of the
 * process; keeps book of what was promised. */
static void script(const char *path, const struct fs *fs, enum db_sync sync, bool go_on,
                   struct promises *promises)
{
    struct strbuf why = STRBUF_INIT;
    struct db *db = open_db(path, fs, sync);
    bool pending[COMMITS + 1] = {false};
    for (int i = 1; db != NULL && i <= COMMITS; i++) {
        promises->tried[i] = true;
        err_t err = commit(db, i);
        if (err == OK)
            pending[i] = true;
        else if (!go_on)
            break;
        if (err == OK && sync == DB_SYNC_EACH_COMMIT)
            promises->synced[i] = true;
        if (i % 3 == 0 && db_maintain(db, &why) == OK) {
            for (int j = 1; j <= i; j++)
                promises->synced[j] = promises->synced[j] || pending[j];
        }
    }
    if (db != NULL)
        db_close(db);
    strbuf_deinit(&why);
}

/* Counts the samples of each commit, two a series; a part of them fails the test. */
static void check(struct db *db, const struct promises *promises)
{
    int found[COMMITS + 1] = {0};
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    assert_int_equal(storage_querier_open(db_storage(db), INT64_MIN, INT64_MAX, &querier, &why),
                     OK);
    assert_int_equal(querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &why),
                     OK);
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
                bool late = column.t_ms[j] % STEP_MS != 0;
                int number = (int)((column.t_ms[j] + (late ? STEP_MS * 3 / 2 : 0)) / STEP_MS);
                assert_true(number >= 1 && number <= COMMITS);
                assert_true(column.values[j] == number * 0.1);
                found[number]++;
            }
        }
    }
    for (int i = 1; i <= COMMITS; i++) {
        if (found[i] != 0 && found[i] != 2 * SERIES)
            fail_msg("commit %d is there by halves: %d samples", i, found[i]);
        assert_true(found[i] == 0 || promises->tried[i]);
        if (promises->synced[i] && found[i] == 0)
            fail_msg("commit %d was synced and is gone", i);
    }
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    strbuf_deinit(&why);
}

/* One run with the fault at call `call`; false when the script makes fewer calls. */
static bool run(uint64_t call, enum fault fault, enum db_sync sync)
{
    char path[64];
    struct strbuf why = STRBUF_INIT;
    snprintf(path, sizeof path, "/tmp/narthex_db_crash.XXXXXX");
    assert_non_null(mkdtemp(path));
    struct fault_fs *faulty = fault_fs_create();
    fault_fs_arm(faulty, call, fault);
    struct promises promises = {0};
    bool dies = fault == FAULT_STOP || fault == FAULT_TORN;
    script(path, fault_fs_table(faulty), sync, !dies, &promises);
    bool reached = fault_fs_calls(faulty) > call;
    if (dies)
        fault_fs_lose_power(faulty, call);
    struct db *db = open_db(path, NULL, sync);
    if (db == NULL)
        fail_msg("does not open after fault %d at call %llu", fault, (unsigned long long)call);
    check(db, &promises);
    /* And it goes on working. */
    struct promises later = promises;
    later.tried[COMMITS] = true;
    if (commit(db, COMMITS) == OK)
        check(db, &later);
    db_close(db);
    fault_fs_destroy(faulty);
    assert_int_equal(fs_remove_tree(fs_system(), path, &why), OK);
    strbuf_deinit(&why);
    return reached;
}

static void run_all(enum fault fault, enum db_sync sync)
{
    uint64_t call = 0;
    while (run(call, fault, sync))
        call++;
    print_message("%llu calls\n", (unsigned long long)call);
    assert_true(call > COMMITS);
}

static void a_stop_at_any_call_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_STOP, DB_SYNC_EACH_SECOND);
    run_all(FAULT_STOP, DB_SYNC_EACH_COMMIT);
}

static void a_torn_write_at_any_call_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_TORN, DB_SYNC_EACH_SECOND);
}

static void a_full_disk_at_any_call_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_NO_SPACE, DB_SYNC_EACH_SECOND);
}

static void an_io_error_at_any_call_keeps_what_was_synced(void **state)
{
    (void)state;
    run_all(FAULT_IO, DB_SYNC_EACH_COMMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_at_any_call_keeps_what_was_synced),
        cmocka_unit_test(a_torn_write_at_any_call_keeps_what_was_synced),
        cmocka_unit_test(a_full_disk_at_any_call_keeps_what_was_synced),
        cmocka_unit_test(an_io_error_at_any_call_keeps_what_was_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
