/* Sealed windows whose file changes under a live database: an error where the damage is, everything
 * else stays readable, nothing aborts, and the head goes on being written, merged and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/coding.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

enum { SOURCES = 2, SERIES = 4, ROWS = 64, RANGE_ROWS = 200, RECORDS_AT = 16 };
static const int64_t STEP_MS = 1000;

struct fixture {
    char path[64];
    char file[96]; /* of sealed windows */
    struct strbuf bytes;
    struct db *db;
    struct strbuf why;
};

static void open_it(struct fixture *f)
{
    struct db_options options = {
        .path = f->path, .no_background = true, .block_range_ms = RANGE_ROWS * STEP_MS};
    assert_int_equal(db_open(&options, &f->db, &f->why), OK);
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_db_damage.XXXXXX");
    *state = f;
    return mkdtemp(f->path) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db != NULL)
        db_close(f->db);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    strbuf_deinit(&f->bytes);
    strbuf_deinit(&f->why);
    mem_free(MEM_TEST, f);
    return result;
}

/* ---- writing ---- */

static double value_of(int source, int series, int row)
{
    return series == 1 ? source : (double)row * 0.7 + (double)(source * SERIES + series) / 7;
}

/* Series 0 has start times, series 1 is constant, series 3 has histograms. */
static void commit(struct fixture *f, int source, int row)
{
    static const union histogram_count counts[] = {{.f = 1}, {.f = 2}};
    static const struct histogram_span spans[] = {{0, 2}};
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    series_ref refs[SERIES];
    double values[SERIES];
    int64_t starts[SERIES] = {row / 10 * STEP_MS + 1};
    struct histogram histogram = {
        .kind = HISTOGRAM_FLOAT,
        .count = {.f = 3},
        .sum = row,
        .positive = {.spans = spans, .span_count = 1, .counts = counts, .bucket_count = 2}};
    const struct histogram *histograms[SERIES] = {[3] = &histogram};
    uint8_t outcomes[SERIES];
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, (uint64_t)source + 1), NULL);
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d_%d", source, i);
        struct label label = {STR("__name__"), str_from_cstr(name)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
        values[i] = value_of(source, i, row);
    }
    struct append_batch batch = {.count = SERIES,
                                 .refs = refs,
                                 .t_all_ms = row * STEP_MS,
                                 .values = values,
                                 .histograms = histograms,
                                 .start_t_ms = starts,
                                 .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
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

/* ---- reading ---- */

struct seen {
    int samples[SOURCES]; /* that are right */
    int errors[SOURCES];
};

static bool is_right(const struct sample_column *column, uint32_t i, int source, int series)
{
    int row = (int)(column->t_ms[i] / STEP_MS);
    if (column->kind == SAMPLES_HISTOGRAM)
        return series == 3 && column->histograms[i].sum == row;
    return column->values[i] == value_of(source, series, row);
}

static void read_series(struct fixture *f, struct series_cursor *cursor,
                        const struct series *series, struct seen *seen)
{
    struct str name = labels_get(series->labels, STR("__name__"));
    int source = name.data[1] - '0', number = name.data[3] - '0';
    struct sample_column_info info;
    struct sample_column column;
    bool more;
    assert_int_equal(series_cursor_seek(cursor, series, INT64_MIN, INT64_MAX, &f->why), OK);
    while (series_cursor_next(cursor, &info, &more, &f->why) == OK && more) {
        err_t err = series_cursor_decode(cursor, &column, &f->why);
        if (err != OK) {
            assert_int_equal(err, ERR_CORRUPT);
            assert_non_null(strstr(strbuf_cstr(&f->why), f->file));
            assert_non_null(strstr(strbuf_cstr(&f->why), "offset"));
            seen->errors[source]++;
            continue;
        }
        for (uint32_t i = 0; i < column.count; i++)
            seen->samples[source] += is_right(&column, i, source, number);
    }
}

static struct seen read_all(struct fixture *f)
{
    struct seen seen = {{0}, {0}};
    struct arena arena;
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &f->why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    for (size_t i = 0; i < list.count; i++)
        read_series(f, cursor, &list.items[i], &seen);
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    return seen;
}

/* ---- damage ---- */

static void find_file(struct fixture *f)
{
    struct fs_list list;
    char folder[80];
    snprintf(folder, sizeof folder, "%s/sealed", f->path);
    assert_int_equal(fs_list_dir(folder, &list, &f->why), OK);
    assert_true(list.count > 0);
    snprintf(f->file, sizeof f->file, "%s/%s", folder, list.names[0]);
    fs_list_free(&list);
    strbuf_clear(&f->bytes);
    assert_int_equal(fs_read_file(f->file, SIZE_MAX, &f->bytes, &f->why), OK);
    assert_true(f->bytes.size > RECORDS_AT);
}

/* In place: the database has the file mapped. */
static void write_byte(struct fixture *f, size_t at, char byte)
{
    FILE *file = fopen(f->file, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), (unsigned char)byte);
    assert_int_equal(fclose(file), 0);
}

/* The source whose window is there: groups are numbered in the order of the first commits. */
static int source_at(const struct fixture *f, size_t at)
{
    const uint8_t *data = (const uint8_t *)f->bytes.data;
    size_t record = RECORDS_AT;
    while (record + coding_load_u32(data + record + 4) <= at)
        record += coding_load_u32(data + record + 4);
    return (int)coding_load_u32(data + record + 16) - 1;
}

static void any_byte_may_change_and_only_its_window_suffers(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    append_rows(f, 1, ROWS + 1);
    find_file(f);
    int errors = 0;
    for (size_t at = 0; at < f->bytes.size; at++) {
        int bit = (int)(at % 8);
        write_byte(f, at, (char)(f->bytes.data[at] ^ (1 << bit)));
        struct seen seen = read_all(f);
        for (int source = 0; source < SOURCES; source++) {
            if (at >= RECORDS_AT && source == source_at(f, at))
                continue;
            assert_int_equal(seen.samples[source], SERIES * ROWS);
            assert_int_equal(seen.errors[source], 0);
        }
        errors += seen.errors[0] + seen.errors[1];
        /* A sample is judged by the newest one of its series, wherever that is. */
        commit(f, 0, ROWS);
        write_byte(f, at, f->bytes.data[at]);
    }
    assert_true(errors > 0);
    struct seen seen = read_all(f);
    assert_int_equal(seen.samples[0] + seen.samples[1], SOURCES * SERIES * ROWS);
    assert_int_equal(seen.errors[0] + seen.errors[1], 0);
}

/* The whole record of one window is overwritten while the database goes on. */
static void the_head_goes_on_with_a_damaged_window(void **state)
{
    enum { END = 3 * RANGE_ROWS };
    struct fixture *f = *state;
    open_it(f);
    append_rows(f, 1, ROWS + 1);
    find_file(f);
    size_t size = coding_load_u32((const uint8_t *)f->bytes.data + RECORDS_AT + 4);
    int damaged = source_at(f, RECORDS_AT), other = 1 - damaged;
    for (size_t at = RECORDS_AT; at < RECORDS_AT + size; at++)
        write_byte(f, at, (char)~f->bytes.data[at]);
    struct seen seen = read_all(f);
    assert_int_equal(seen.samples[other], SERIES * ROWS);
    assert_int_equal(seen.errors[damaged], SERIES);
    int readable = seen.samples[damaged];
    assert_true(readable > 0);
    append_rows(f, ROWS + 1, END + 1);
    struct db_block_info *infos;
    assert_true(db_blocks(f->db, &infos) > 0);
    mem_free(MEM_BLOCK, infos);
    seen = read_all(f);
    assert_int_equal(seen.samples[other], SERIES * END);
    assert_int_equal(seen.samples[damaged], readable + SERIES * (END - ROWS));
    assert_int_equal(seen.errors[0] + seen.errors[1], 0);
    /* Nor does the next start stumble. */
    db_close(f->db);
    open_it(f);
    seen = read_all(f);
    assert_int_equal(seen.samples[other], SERIES * END);
    assert_int_equal(seen.samples[damaged], readable + SERIES * (END - ROWS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_byte_may_change_and_only_its_window_suffers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_head_goes_on_with_a_damaged_window, set_up, tear_down),
    };
    log_configure(LOG_LEVEL_ERROR + 1, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
