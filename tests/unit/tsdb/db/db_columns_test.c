/* Columns of every kind through their life: open, sealed short, merged, in a block, in a compacted
 * block, after a restart. The plain reference store says what they must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"
#include "reference_store.h"
#include "store_compare.h"

enum { SERIES = 6, ROWS = 2000, STEP_MS = 1000, BUCKETS = 12 };

static const int64_t RANGE_MS = 400000;
static const char *const names[SERIES] = {"constant", "counter",   "gauge",
                                          "mixed",    "histogram", "started"};

struct fixture {
    char path[64];
    struct db *db;
    struct storage *model;
    struct strbuf why;
    uint64_t random;
    uint64_t counter;
    uint64_t counts[BUCKETS];
    size_t left_out; /* columns that do not hold the newest sample */
};

static uint32_t below(struct fixture *f, uint32_t bound)
{
    f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(f->random >> 33) % bound;
}

static void open_db(struct fixture *f)
{
    struct db_options options = {.path = f->path,
                                 .no_background = true,
                                 .block_range_ms = RANGE_MS,
                                 .block_range_max_ms = RANGE_MS * 3};
    assert_int_equal(db_open(&options, &f->db, &f->why), OK);
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_columns_test.XXXXXX");
    *state = f;
    if (mkdtemp(f->path) == NULL)
        return -1;
    f->model = reference_store_create();
    f->random = 7;
    open_db(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    reference_store_destroy(f->model);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    strbuf_deinit(&f->why);
    mem_free(MEM_TEST, f);
    return result;
}

/* A histogram of some of the buckets; its layout grows and shrinks now and then. */
static struct histogram make_histogram(struct fixture *f, uint32_t row,
                                       union histogram_count counts[BUCKETS],
                                       struct histogram_span *span)
{
    uint32_t first = row / 300 % 3, count = 4 + row / 170 % (BUCKETS - 6);
    struct histogram h = {.schema = row < 1500 ? 3 : 2,
                          .zero_threshold = 0x1p-128,
                          .sum = row * 1.5,
                          .positive = {span, counts, 1, count}};
    if (row % 700 == 699)
        memset(f->counts, 0, sizeof f->counts); /* a reset */
    *span = (struct histogram_span){(int32_t)first, count};
    for (uint32_t i = 0; i < count; i++) {
        f->counts[first + i] += below(f, 4) * below(f, 3);
        counts[i].i = f->counts[first + i];
        h.count.i += counts[i].i;
    }
    return h;
}

static void append_to(struct fixture *f, struct storage *storage, int64_t t_ms,
                      const double values[SERIES], const struct histogram *const *histograms,
                      const int64_t *starts)
{
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    series_ref refs[SERIES];
    uint8_t outcomes[SERIES];
    for (uint32_t i = 0; i < SERIES; i++) {
        struct label label = {STR("__name__"), str_from_cstr(names[i])};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
    }
    struct append_batch batch = {.count = SERIES,
                                 .refs = refs,
                                 .t_all_ms = t_ms,
                                 .values = values,
                                 .histograms = histograms,
                                 .start_t_ms = starts,
                                 .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    for (uint32_t i = 0; i < SERIES; i++)
        assert_int_equal(outcomes[i], OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
}

static void append_row(struct fixture *f, uint32_t row)
{
    union histogram_count counts[BUCKETS];
    struct histogram_span span;
    struct histogram histogram = make_histogram(f, row, counts, &span);
    if (row % 400 == 250)
        histogram =
            (struct histogram){.kind = HISTOGRAM_FLOAT, .sum = double_from_bits(STALE_NAN_BITS)};
    f->counter = row % 600 == 599 ? 0 : f->counter + below(f, 100);
    double values[SERIES] = {7, (double)f->counter, below(f, 1000) / 100.0, row, 0, row / 2};
    const struct histogram *histograms[SERIES] = {NULL};
    int64_t starts[SERIES] = {0};
    histograms[4] = &histogram;
    if (row % 100 > 60)
        histograms[3] = &histogram;
    starts[4] = 1 + row / 700;
    if (row % 7 != 0)
        starts[5] = 1 + row / 120;
    int64_t t_ms = (int64_t)row * STEP_MS;
    append_to(f, db_storage(f->db), t_ms, values, histograms, starts);
    append_to(f, f->model, t_ms, values, histograms, starts);
}

static void compare(struct fixture *f, uint32_t row)
{
    struct selector all = {NULL, 0};
    int64_t t_ms = (int64_t)row * STEP_MS;
    store_compare(db_storage(f->db), f->model, INT64_MIN, INT64_MAX, all);
    store_compare_floats(db_storage(f->db), f->model, INT64_MIN, INT64_MAX, all);
    store_compare(db_storage(f->db), f->model, t_ms - 123 * STEP_MS, t_ms - 45 * STEP_MS, all);
    for (int64_t to = t_ms - 80 * STEP_MS; to <= t_ms; to += STEP_MS)
        f->left_out +=
            store_compare_newest(db_storage(f->db), f->model, to - 123 * STEP_MS, to, all);
}

/* Columns of the counter that come with statistics though no block holds them. */
static uint32_t count_statistics(struct fixture *f)
{
    struct matcher matcher;
    struct arena arena;
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    uint32_t count = 0;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(matcher_init(&matcher, MATCH_EQUAL, STR("__name__"), STR("counter"), &f->why),
                     OK);
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, NULL, &arena, &list, &f->why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    assert_int_equal(list.count, 1);
    struct sample_column_info info;
    bool found;
    assert_int_equal(series_cursor_seek(cursor, &list.items[0], INT64_MIN, INT64_MAX, &f->why), OK);
    while (series_cursor_next(cursor, &info, &found, &f->why) == OK && found)
        count += info.has_stats;
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return count;
}

static void columns_live_and_hold(void **state)
{
    struct fixture *f = *state;
    bool statistics_in_head = false;
    for (uint32_t row = 0; row < ROWS; row++) {
        append_row(f, row);
        if (row % 50 == 49) {
            compare(f, row);
            assert_int_equal(db_maintain(f->db, &f->why), OK);
            compare(f, row);
        }
        if (row == 320) {
            struct db_block_info *infos;
            assert_int_equal(db_blocks(f->db, &infos), 0);
            mem_free(MEM_BLOCK, infos);
            statistics_in_head = count_statistics(f) > 0;
        }
        if (row % 730 == 729) {
            db_close(f->db);
            open_db(f);
            compare(f, row);
        }
    }
    assert_true(statistics_in_head);
    struct db_block_info *infos;
    size_t count = db_blocks(f->db, &infos);
    uint32_t level_max = 0;
    for (size_t i = 0; i < count; i++)
        level_max = infos[i].level > level_max ? infos[i].level : level_max;
    mem_free(MEM_BLOCK, infos);
    assert_true(level_max > 1); /* some were merged */
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    compare(f, ROWS);
    assert_true(f->left_out > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns_live_and_hold, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
