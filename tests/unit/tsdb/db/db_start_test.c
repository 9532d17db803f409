/* What a start finds in sealed windows, series files and the log, also when some of it is damaged
 * or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_fs.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

enum { SOURCES = 3, SERIES = 4, ROWS = 100 };
static const int64_t STEP_MS = 15000;
static const int64_t RANGE_MS = INT64_C(1000) * 15000;

struct fixture {
    char path[64];
    char copy[80];
    struct db *db;
    struct strbuf why;
};

static struct db *open_with(struct fixture *f, const char *path, const struct fs *fs)
{
    struct db_options options = {.path = path,
                                 .fs = fs,
                                 .no_background = true,
                                 .block_range_ms = RANGE_MS,
                                 .exemplars_max = 10};
    struct db *db;
    if (db_open(&options, &db, &f->why) != OK)
        fail_msg("%s", strbuf_cstr(&f->why));
    return db;
}

static struct db *open_at(struct fixture *f, const char *path)
{
    return open_with(f, path, NULL);
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_db_start.XXXXXX");
    *state = f;
    if (mkdtemp(f->path) == NULL)
        return -1;
    snprintf(f->copy, sizeof f->copy, "%s.copy", f->path);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db != NULL)
        db_close(f->db);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    if (fs_remove_tree(fs_system(), f->copy, &f->why) != OK)
        result = -1;
    strbuf_deinit(&f->why);
    mem_free(MEM_TEST, f);
    return result;
}

/* Distinct for every sample, and none is a decimal of few digits. */
static double value_of(int source, int series, int row)
{
    return (double)row + (double)(source * SERIES + series) / 7;
}

static void commit(struct fixture *f, int source, int row)
{
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    series_ref refs[SERIES];
    double values[SERIES];
    uint8_t outcomes[SERIES];
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, (uint64_t)source + 1), NULL);
    for (int i = 0; i < SERIES; i++) {
        char name[16], job[16];
        snprintf(name, sizeof name, "m%d", i);
        snprintf(job, sizeof job, "j%d", source);
        struct label labels[] = {{STR("__name__"), str_from_cstr(name)},
                                 {STR("job"), str_from_cstr(job)}};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){labels, 2}, &refs[i], &created, &f->why), OK);
        values[i] = value_of(source, i, row);
    }
    struct append_batch batch = {.count = SERIES,
                                 .refs = refs,
                                 .t_all_ms = row * STEP_MS,
                                 .values = values,
                                 .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    for (int i = 0; i < SERIES; i++)
        assert_int_equal(outcomes[i], OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
}

static void append_rows(struct fixture *f, int from, int to)
{
    for (int row = from; row < to; row++) {
        for (int source = 0; source < SOURCES; source++)
            commit(f, source, row);
        assert_int_equal(db_maintain(f->db, &f->why), OK);
    }
}

/* Samples of a source; each must have its value. */
static int count_samples(struct fixture *f, struct db *db, int source)
{
    int count = 0;
    char job[16];
    struct arena arena;
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    struct matcher matcher;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    snprintf(job, sizeof job, "j%d", source);
    assert_int_equal(matcher_init(&matcher, MATCH_EQUAL, STR("job"), str_from_cstr(job), &f->why),
                     OK);
    assert_int_equal(storage_querier_open(db_storage(db), INT64_MIN, INT64_MAX, &querier, &f->why),
                     OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, NULL, &arena, &list, &f->why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool more;
        int series = labels_get(list.items[i].labels, STR("__name__")).data[1] - '0';
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &f->why),
                         OK);
        while (series_cursor_next(cursor, &info, &more, &f->why) == OK && more) {
            assert_int_equal(series_cursor_decode(cursor, &column, &f->why), OK);
            for (uint32_t j = 0; j < column.count; j++)
                assert_true(column.values[j] ==
                            value_of(source, series, (int)(column.t_ms[j] / STEP_MS)));
            count += (int)column.count;
        }
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return count;
}

static void expect_all(struct fixture *f, struct db *db, int rows)
{
    for (int source = 0; source < SOURCES; source++)
        assert_int_equal(count_samples(f, db, source), SERIES * rows);
}

/* ---- copies that may be damaged ---- */

static void copy_folder(struct fixture *f, const char *folder)
{
    struct strbuf from = STRBUF_INIT, to = STRBUF_INIT, bytes = STRBUF_INIT;
    struct fs_list list;
    strbuf_printf(&from, "%s/%s", f->path, folder);
    assert_int_equal(fs_list_dir(strbuf_cstr(&from), &list, &f->why), OK);
    strbuf_printf(&to, "%s/%s", f->copy, folder);
    assert_int_equal(fs_make_dirs(fs_system(), strbuf_cstr(&to), &f->why), OK);
    for (size_t i = 0; i < list.count; i++) {
        strbuf_clear(&from);
        strbuf_clear(&to);
        strbuf_clear(&bytes);
        strbuf_printf(&from, "%s/%s/%s", f->path, folder, list.names[i]);
        strbuf_printf(&to, "%s/%s/%s", f->copy, folder, list.names[i]);
        assert_int_equal(fs_read_file(strbuf_cstr(&from), SIZE_MAX, &bytes, &f->why), OK);
        assert_int_equal(
            fs_write_atomic(fs_system(), strbuf_cstr(&to), bytes.data, bytes.size, &f->why), OK);
    }
    fs_list_free(&list);
    strbuf_deinit(&from);
    strbuf_deinit(&to);
    strbuf_deinit(&bytes);
}

static void copy_database(struct fixture *f)
{
    assert_int_equal(fs_remove_tree(fs_system(), f->copy, &f->why), OK);
    copy_folder(f, "wal");
    copy_folder(f, "sealed");
    copy_folder(f, "series");
}

/* Flips one bit of the n-th file of a folder, or cuts the file there; false: it has no such byte.
 */
static bool damage(struct fixture *f, const char *folder, size_t file, size_t at, bool cut)
{
    struct strbuf path = STRBUF_INIT, bytes = STRBUF_INIT;
    struct fs_list list;
    strbuf_printf(&path, "%s/%s", f->copy, folder);
    assert_int_equal(fs_list_dir(strbuf_cstr(&path), &list, &f->why), OK);
    bool done = false;
    if (file < list.count) {
        strbuf_printf(&path, "/%s", list.names[file]);
        assert_int_equal(fs_read_file(strbuf_cstr(&path), SIZE_MAX, &bytes, &f->why), OK);
        done = at < bytes.size;
        if (done && !cut)
            bytes.data[at] = (char)(bytes.data[at] ^ (1 << (at % 8)));
        if (done)
            assert_int_equal(fs_write_atomic(fs_system(), strbuf_cstr(&path), bytes.data,
                                             cut ? at : bytes.size, &f->why),
                             OK);
    }
    fs_list_free(&list);
    strbuf_deinit(&path);
    strbuf_deinit(&bytes);
    return done;
}

/* ---- tests ---- */

static void everything_is_there_after_a_start(void **state)
{
    struct fixture *f = *state;
    f->db = open_at(f, f->path);
    append_rows(f, 1, ROWS + 1);
    expect_all(f, f->db, ROWS);
    db_close(f->db);
    f->db = open_at(f, f->path);
    expect_all(f, f->db, ROWS);
    append_rows(f, ROWS + 1, 2 * ROWS + 1);
    expect_all(f, f->db, 2 * ROWS);
    db_close(f->db);
    f->db = open_at(f, f->path);
    expect_all(f, f->db, 2 * ROWS);
}

/* The log still has all rows: nothing may be missing, whatever byte is wrong. */
static void damaged_files_are_made_up_for_by_the_log(void **state)
{
    struct fixture *f = *state;
    static const char *const folders[] = {"sealed", "series"};
    f->db = open_at(f, f->path);
    append_rows(f, 1, ROWS + 1);
    db_close(f->db);
    f->db = NULL;
    int damaged = 0;
    for (size_t folder = 0; folder < sizeof folders / sizeof *folders; folder++) {
        for (size_t file = 0; file < 2; file++) {
            for (size_t at = 3; at < 20000; at += 31 + at / 16) {
                copy_database(f);
                if (!damage(f, folders[folder], file, at, at % 2 == 0))
                    break;
                struct db *db = open_at(f, f->copy);
                expect_all(f, db, ROWS);
                db_close(db);
                db = open_at(f, f->copy); /* and what was put in order stays so */
                expect_all(f, db, ROWS);
                db_close(db);
                damaged++;
            }
        }
    }
    assert_true(damaged > 20);
}

static void missing_folders_are_made_up_for_by_the_log(void **state)
{
    struct fixture *f = *state;
    static const char *const folders[] = {"sealed", "series"};
    f->db = open_at(f, f->path);
    append_rows(f, 1, ROWS + 1);
    db_close(f->db);
    f->db = NULL;
    for (int mask = 1; mask < 4; mask++) {
        copy_database(f);
        for (int i = 0; i < 2; i++) {
            struct strbuf path = STRBUF_INIT;
            strbuf_printf(&path, "%s/%s", f->copy, folders[i]);
            if ((mask >> i & 1) != 0)
                assert_int_equal(fs_remove_tree(fs_system(), strbuf_cstr(&path), &f->why), OK);
            strbuf_deinit(&path);
        }
        struct db *db = open_at(f, f->copy);
        expect_all(f, db, ROWS);
        db_close(db);
    }
}

/* A start begins a new segment; the old one goes when all its rows are in sealed windows. What is
 * damaged then is lost, but no more than that. */
static void the_log_is_shortened_and_damage_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    char first[96];
    snprintf(first, sizeof first, "%s/wal/00000001", f->path);
    f->db = open_at(f, f->path);
    append_rows(f, 1, ROWS + 1);
    assert_true(fs_exists(first));
    db_close(f->db);
    f->db = open_at(f, f->path);
    append_rows(f, ROWS + 1, 2 * ROWS + 1);
    assert_false(fs_exists(first));
    db_close(f->db);
    f->db = open_at(f, f->path);
    expect_all(f, f->db, 2 * ROWS);
    db_close(f->db);
    f->db = NULL;
    int lost_any = 0;
    for (size_t at = 40; at < 4000; at += 501) {
        copy_database(f);
        if (!damage(f, "sealed", 0, at, false))
            break;
        struct db *db = open_at(f, f->copy);
        int whole = 0;
        for (int source = 0; source < SOURCES; source++) {
            int count = count_samples(f, db, source);
            assert_true(count <= SERIES * 2 * ROWS);
            whole += count == SERIES * 2 * ROWS;
        }
        assert_true(whole >= SOURCES - 1);
        lost_any += whole < SOURCES;
        db_close(db);
    }
    assert_true(lost_any > 0);
}

/* Windows from the log between sealed ones, and a disk that fails at one moment of a cut. */
static void a_cut_waits_for_what_could_not_be_sealed(void **state)
{
    enum { CALLS = 30 };
    struct fixture *f = *state;
    f->db = open_at(f, f->path);
    append_rows(f, 1, ROWS + 1);
    db_close(f->db);
    f->db = NULL;
    for (uint64_t call = 0; call < CALLS; call++) {
        copy_database(f);
        assert_true(damage(f, "sealed", 0, 100, false));
        struct fault_fs *faulty = fault_fs_create();
        struct db *db = open_with(f, f->copy, fault_fs_table(faulty));
        fault_fs_arm(faulty, fault_fs_calls(faulty) + call, FAULT_IO);
        (void)db_flush_head(db, &f->why);
        fault_fs_arm(faulty, 0, FAULT_NONE);
        expect_all(f, db, ROWS);
        assert_int_equal(db_flush_head(db, &f->why), OK);
        expect_all(f, db, ROWS);
        db_close(db);
        fault_fs_destroy(faulty);
        db = open_at(f, f->copy);
        expect_all(f, db, ROWS);
        db_close(db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_is_there_after_a_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_files_are_made_up_for_by_the_log, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(missing_folders_are_made_up_for_by_the_log, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_log_is_shortened_and_damage_stays_where_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cut_waits_for_what_could_not_be_sealed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
