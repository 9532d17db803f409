/* The out-of-order window: outcomes, what readers see, restarts, blocks, figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/base/metrics.h"
#include "narthex/tsdb/db.h"

static const int64_t RANGE_MS = 100000;
static const int64_t WINDOW_MS = 60000;

struct fixture {
    char path[64];
    struct metrics *metrics;
    struct db *db;
    struct strbuf why;
    struct strbuf dump;
    struct arena arena;
    bool discard;
};

static void open_db(struct fixture *f)
{
    struct db_options options = {.path = f->path,
                                 .metrics = f->metrics,
                                 .no_background = true,
                                 .block_range_ms = RANGE_MS,
                                 .out_of_order_window_ms = WINDOW_MS};
    assert_int_equal(db_open(&options, &f->db, &f->why), OK);
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_db_late.XXXXXX");
    *state = f;
    if (mkdtemp(f->path) == NULL)
        return -1;
    arena_init(&f->arena, MEM_TEST, SIZE_MAX);
    open_db(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    if (f->metrics != NULL)
        metrics_destroy(f->metrics);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    strbuf_deinit(&f->why);
    strbuf_deinit(&f->dump);
    arena_deinit(&f->arena);
    mem_free(MEM_TEST, f);
    return result;
}

static void reopen(struct fixture *f)
{
    db_close(f->db);
    open_db(f);
}

static struct histogram make_histogram(struct fixture *f, uint64_t count)
{
    struct histogram_span *span = ARENA_NEW(&f->arena, struct histogram_span);
    union histogram_count *counts = ARENA_NEW(&f->arena, union histogram_count);
    *span = (struct histogram_span){0, 1};
    counts->i = count;
    return (struct histogram){.kind = HISTOGRAM_INTEGER,
                              .schema = 1,
                              .count.i = count,
                              .sum = (double)count,
                              .positive = {span, counts, 1, 1}};
}

/* One commit of one sample; its outcome. */
static err_t append(struct fixture *f, const char *name, int64_t t_ms, double value,
                    const struct histogram *histogram)
{
    struct storage *storage = db_storage(f->db);
    struct append_options options = {.discard_out_of_order = f->discard};
    struct appender *appender;
    struct label label = {STR("__name__"), str_from_cstr(name)};
    series_ref ref;
    uint8_t outcome;
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), &options);
    assert_int_equal(appender_series(appender, (struct labels){&label, 1}, &ref, NULL, &f->why),
                     OK);
    struct append_batch batch = {.count = 1,
                                 .refs = &ref,
                                 .t_all_ms = t_ms,
                                 .values = &value,
                                 .histograms = &histogram,
                                 .outcomes = &outcome};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
    return outcome;
}

static void put(struct fixture *f, const char *name, int64_t t_ms, double value,
                const struct histogram *histogram)
{
    assert_int_equal(append(f, name, t_ms, value, histogram), OK);
}

static void dump_column(struct fixture *f, const struct sample_column *column)
{
    for (uint32_t i = 0; i < column->count; i++) {
        if (column->kind == SAMPLES_FLOAT)
            strbuf_printf(&f->dump, " %lld=%g", (long long)column->t_ms[i], column->values[i]);
        else
            strbuf_printf(&f->dump, " %lld:%g", (long long)column->t_ms[i],
                          column->histograms[i].count.f);
    }
}

static const char *dump_from(struct fixture *f, struct querier *querier)
{
    struct series_list list;
    struct series_cursor *cursor;
    strbuf_clear(&f->dump);
    assert_int_equal(
        querier_select(querier, (struct selector){NULL, 0}, NULL, &f->arena, &list, &f->why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    for (size_t i = 0; i < list.count; i++) {
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        strbuf_printf(&f->dump, "%s%.*s", i == 0 ? "" : " ",
                      STR_ARG(labels_get(list.items[i].labels, LABEL_NAME)));
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], INT64_MIN, INT64_MAX, &f->why),
                         OK);
        while (series_cursor_next(cursor, &info, &found, &f->why) == OK && found) {
            assert_int_equal(series_cursor_decode(cursor, &column, &f->why), OK);
            dump_column(f, &column);
        }
    }
    series_cursor_close(cursor);
    return strbuf_cstr(&f->dump);
}

/* name t=value … of all series; histograms as t:count. */
static const char *dump(struct fixture *f)
{
    struct querier *querier;
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    const char *text = dump_from(f, querier);
    querier_close(querier);
    return text;
}

static size_t count_blocks(struct fixture *f)
{
    struct db_block_info *infos;
    size_t count = db_blocks(f->db, &infos);
    mem_free(MEM_BLOCK, infos);
    return count;
}

static void late_samples_are_visible_in_order(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(append(f, "a", 500000, 1, NULL), OK);
    assert_int_equal(append(f, "a", 510000, 2, NULL), OK);
    assert_int_equal(append(f, "a", 505000, 3, NULL), OK);
    assert_int_equal(append(f, "a", 495000, 4, NULL), OK);
    assert_int_equal(append(f, "a", 450000, 5, NULL), OK); /* the window's end */
    assert_int_equal(append(f, "a", 449999, 6, NULL), ERR_TOO_OLD);
    assert_int_equal(append(f, "b", 460000, 7, NULL), OK); /* a new one, in order */
    assert_int_equal(append(f, "c", 459999, 8, NULL), OK); /* new, but too old to be in order */
    const char *wanted = "a 450000=5 495000=4 500000=1 505000=3 510000=2 b 460000=7 c 459999=8";
    assert_string_equal(dump(f), wanted);
    reopen(f);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(append(f, "a", 449999, 6, NULL), ERR_TOO_OLD);
}

static void the_first_sample_of_a_time_stays(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 500000, 1, NULL);
    put(f, "a", 510000, 2, NULL);
    assert_int_equal(append(f, "a", 510000, 3, NULL), ERR_DUPLICATE);
    assert_int_equal(append(f, "a", 510000, 2, NULL), OK);
    assert_int_equal(append(f, "a", 505000, 3, NULL), OK);
    assert_int_equal(append(f, "a", 505000, 4, NULL), OK);
    assert_int_equal(append(f, "a", 500000, 5, NULL), OK);
    const char *wanted = "a 500000=1 505000=3 510000=2";
    assert_string_equal(dump(f), wanted);
    /* Neither a block of late samples nor what comes behind it changes that. */
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(append(f, "a", 505000, 6, NULL), OK);
    assert_int_equal(append(f, "a", 510000, 7, NULL), OK);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_int_equal(count_blocks(f), 1);
    assert_string_equal(dump(f), wanted);
    reopen(f);
    assert_string_equal(dump(f), wanted);
}

static void markers_and_what_is_wanted_in_order_are_discarded(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 500000, 1, NULL);
    assert_int_equal(append(f, "a", 490000, double_from_bits(STALE_NAN_BITS), NULL), OK);
    struct histogram stale = {.kind = HISTOGRAM_FLOAT, .sum = double_from_bits(STALE_NAN_BITS)};
    assert_int_equal(append(f, "a", 491000, 0, &stale), OK);
    f->discard = true;
    assert_int_equal(append(f, "a", 492000, 2, NULL), OK);
    assert_string_equal(dump(f), "a 500000=1");
}

static void histograms_come_late_too(void **state)
{
    struct fixture *f = *state;
    struct histogram ten = make_histogram(f, 10), twenty = make_histogram(f, 20);
    put(f, "a", 500000, 0, &ten);
    put(f, "a", 510000, 0, &twenty);
    struct histogram fifteen = make_histogram(f, 15);
    assert_int_equal(append(f, "a", 505000, 0, &fifteen), OK);
    assert_int_equal(append(f, "a", 502000, 3, NULL), OK);
    const char *wanted = "a 500000:10 502000=3 505000:15 510000:20";
    assert_string_equal(dump(f), wanted);
    reopen(f);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    assert_string_equal(dump(f), wanted);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_string_equal(dump(f), wanted);
}

/* A reader from before a flush must not lose what went to a block. */
static void readers_keep_what_is_flushed_under_them(void **state)
{
    struct fixture *f = *state;
    struct querier *querier;
    put(f, "a", 500000, 1, NULL);
    put(f, "a", 490000, 2, NULL);
    put(f, "late", 440001, 4, NULL);
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    put(f, "a", 480000, 3, NULL);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_string_equal(dump_from(f, querier), "a 490000=2 500000=1 late 440001=4");
    querier_close(querier);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_string_equal(dump(f), "a 480000=3 490000=2 500000=1 late 440001=4");
    reopen(f);
    assert_string_equal(dump(f), "a 480000=3 490000=2 500000=1 late 440001=4");
}

static void deletion_takes_late_samples_and_leaves_later_ones(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 500000, 1, NULL);
    put(f, "a", 490000, 2, NULL);
    put(f, "late", 449999, 3, NULL);
    assert_int_equal(storage_delete_samples(db_storage(f->db), 440000, 495000,
                                            (struct selector){NULL, 0}, &f->why),
                     OK);
    put(f, "a", 490000, 4, NULL);
    const char *wanted = "a 490000=4 500000=1";
    const char *text = dump(f);
    assert_memory_equal(text, wanted, strlen(wanted));
    assert_null(strstr(text, "=3"));
    reopen(f);
    text = dump(f);
    assert_memory_equal(text, wanted, strlen(wanted));
    assert_null(strstr(text, "=3"));
}

/* The segments with late samples go, a checkpoint stands for what is in no block yet. */
static void checkpoints_hold_late_samples(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        put(f, "a", 500000 + i * 10000, i, NULL);
        if (i > 0)
            put(f, "a", 495000 + i * 10000, i + 0.5, NULL);
        if (i % 4 == 0)
            assert_int_equal(db_maintain(f->db, &f->why), OK);
        if (i % 10 == 9)
            reopen(f);
    }
    struct strbuf wanted = STRBUF_INIT;
    strbuf_add_cstr(&wanted, "a");
    for (int i = 0; i < 40; i++) {
        if (i > 0)
            strbuf_printf(&wanted, " %d=%g", 495000 + i * 10000, i + 0.5);
        strbuf_printf(&wanted, " %d=%d", 500000 + i * 10000, i);
    }
    assert_true(count_blocks(f) > 0);
    assert_string_equal(dump(f), strbuf_cstr(&wanted));
    reopen(f);
    assert_string_equal(dump(f), strbuf_cstr(&wanted));
    strbuf_deinit(&wanted);
}

static void snapshots_hold_late_samples(void **state)
{
    struct fixture *f = *state;
    struct strbuf name = STRBUF_INIT;
    put(f, "a", 500000, 1, NULL);
    put(f, "a", 490000, 2, NULL);
    assert_int_equal(db_snapshot(f->db, false, &name, &f->why), OK);
    char path[256];
    snprintf(path, sizeof path, "%s/snapshots/%s", f->path, strbuf_cstr(&name));
    struct db_options options = {.path = path, .no_background = true, .block_range_ms = RANGE_MS};
    struct db *live = f->db;
    assert_int_equal(db_open(&options, &f->db, &f->why), OK);
    assert_string_equal(dump(f), "a 490000=2 500000=1");
    db_close(f->db);
    f->db = live;
    strbuf_deinit(&name);
}

static void the_window_can_be_changed(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 500000, 1, NULL);
    put(f, "a", 480000, 2, NULL);
    db_set_out_of_order_window(f->db, 0);
    assert_int_equal(append(f, "a", 490000, 3, NULL), ERR_OUT_OF_ORDER);
    assert_int_equal(append(f, "a", 449999, 4, NULL), ERR_OUT_OF_BOUNDS);
    db_set_out_of_order_window(f->db, 15000);
    assert_int_equal(append(f, "a", 490000, 5, NULL), OK);
    assert_int_equal(append(f, "a", 484999, 6, NULL), ERR_TOO_OLD);
    assert_string_equal(dump(f), "a 480000=2 490000=5 500000=1");
}

struct wanted_metric {
    const char *name;
    const char *type;
    double value;
    bool found;
};

static void check_family(void *context, struct str name, enum metric_type type, struct str help)
{
    (void)context;
    (void)name;
    (void)type;
    (void)help;
}

static void check_sample(void *context, struct str name, const char *suffix,
                         const struct str *names, const struct str *values, size_t label_count,
                         double value)
{
    struct wanted_metric *wanted = context;
    (void)suffix;
    (void)names;
    for (; wanted->name != NULL; wanted++) {
        if (!str_equal_cstr(name, wanted->name) || label_count != 1 ||
            !str_equal_cstr(values[0], wanted->type))
            continue;
        assert_true(value == wanted->value);
        wanted->found = true;
    }
}

static void refusals_are_counted_by_reason(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    f->metrics = metrics_create();
    open_db(f);
    struct histogram one = make_histogram(f, 1);
    put(f, "a", 500000, 1, NULL);
    put(f, "h", 500000, 0, &one);
    put(f, "a", 490000, 2, NULL);
    put(f, "a", 490001, 2, NULL);
    put(f, "h", 490000, 0, &one);
    assert_int_equal(append(f, "a", 400000, 2, NULL), ERR_TOO_OLD);
    /* Not counted: a duplicate, a marker. */
    assert_int_equal(append(f, "a", 500000, 2, NULL), ERR_DUPLICATE);
    put(f, "a", 480000, double_from_bits(STALE_NAN_BITS), NULL);
    db_set_out_of_order_window(f->db, 0);
    assert_int_equal(append(f, "a", 490002, 2, NULL), ERR_OUT_OF_ORDER);
    assert_int_equal(append(f, "h", 490002, 0, &one), ERR_OUT_OF_ORDER);
    assert_int_equal(append(f, "h", 490003, 0, &one), ERR_OUT_OF_ORDER);
    assert_int_equal(append(f, "a", 400000, 2, NULL), ERR_OUT_OF_BOUNDS);
    struct wanted_metric wanted[] = {
        {"prometheus_tsdb_out_of_order_samples_total", "float", 1, false},
        {"prometheus_tsdb_out_of_order_samples_total", "histogram", 2, false},
        {"prometheus_tsdb_out_of_bound_samples_total", "float", 1, false},
        {"prometheus_tsdb_too_old_samples_total", "float", 1, false},
        {"prometheus_tsdb_too_old_samples_total", "histogram", 0, false},
        {"prometheus_tsdb_head_out_of_order_samples_appended_total", "float", 2, false},
        {"prometheus_tsdb_head_out_of_order_samples_appended_total", "histogram", 1, false},
        {NULL, NULL, 0, false},
    };
    metrics_visit(f->metrics, &(struct metrics_visitor){check_family, check_sample, wanted});
    for (size_t i = 0; wanted[i].name != NULL; i++)
        assert_true(wanted[i].found);
}

#define LATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATE_TEST(late_samples_are_visible_in_order),
        LATE_TEST(the_first_sample_of_a_time_stays),
        LATE_TEST(markers_and_what_is_wanted_in_order_are_discarded),
        LATE_TEST(histograms_come_late_too),
        LATE_TEST(readers_keep_what_is_flushed_under_them),
        LATE_TEST(deletion_takes_late_samples_and_leaves_later_ones),
        LATE_TEST(checkpoints_hold_late_samples),
        LATE_TEST(snapshots_hold_late_samples),
        LATE_TEST(the_window_can_be_changed),
        LATE_TEST(refusals_are_counted_by_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
