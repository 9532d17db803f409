/* Series that come and go: what the head, its index and its files hold after many cuts is what they
 * held after a few. Shapes of /bench's D2 (targets get another label) and D4 (pods are replaced),
 * cut down; NARTHEX_LONG=1 runs them whole. Time is that of the samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"

enum { CUTS = 20, CUTS_BEFORE = 3 };

struct shape {
    const char *name;
    uint32_t targets;
    uint32_t series;       /* of each */
    uint32_t rows_per_cut; /* of a block's range */
    uint32_t step_ms;
    uint32_t replaced_per_cut; /* targets */
    bool new_source;           /* a replaced one is another target, else it is relabelled */
};

/* Bytes of one measurement. */
struct figures {
    int64_t symbols, postings, head, data, wal_memory;
    uint64_t wal, sealed, series;
};

struct target {
    source_ref source;
    uint32_t generation;
    series_ref *refs; /* a scraper keeps them too, until labels change */
    bool has_refs;
};

struct run {
    const struct shape *shape;
    char path[64];
    struct db *db;
    struct target *targets;
    struct appender *appender;
    double *values;
    uint8_t *outcomes;
    uint32_t sources_made;
    uint32_t next_replaced;
    int64_t t_ms;
    uint32_t row;
    struct strbuf why;
};

static void open_source(struct run *run, struct target *target)
{
    target->source = storage_source_open(db_storage(run->db), ++run->sources_made);
}

static void replace_one(struct run *run)
{
    struct target *target = &run->targets[run->next_replaced++ % run->shape->targets];
    target->generation++;
    target->has_refs = false;
    if (run->shape->new_source) {
        storage_source_close(db_storage(run->db), target->source);
        open_source(run, target);
    }
}

static void find_series(struct run *run, uint32_t index)
{
    struct target *target = &run->targets[index];
    for (uint32_t i = 0; i < run->shape->series; i++) {
        char name[32], instance[32], pod[48];
        snprintf(name, sizeof name, "metric_%u", i);
        snprintf(instance, sizeof instance, "host-%u:9100", index);
        snprintf(pod, sizeof pod, "pod-%u-%x", index, target->generation * 2654435761u);
        struct label labels[] = {{STR("__name__"), str_from_cstr(name)},
                                 {STR("instance"), str_from_cstr(instance)},
                                 {STR("pod"), str_from_cstr(pod)}};
        bool created;
        assert_int_equal(appender_series(run->appender, (struct labels){labels, 3},
                                         &target->refs[i], &created, &run->why),
                         OK);
    }
    target->has_refs = true;
}

static void commit(struct run *run, uint32_t index)
{
    const struct shape *shape = run->shape;
    struct target *target = &run->targets[index];
    appender_begin(run->appender, target->source, NULL);
    if (!target->has_refs)
        find_series(run, index);
    for (uint32_t i = 0; i < shape->series; i++)
        run->values[i] =
            (double)(run->row * (i % 7)) + (i % 3 == 0 ? (double)(run->row % 5) / 8 : 0);
    struct append_batch batch = {.count = shape->series,
                                 .refs = target->refs,
                                 .t_all_ms = run->t_ms,
                                 .values = run->values,
                                 .outcomes = run->outcomes};
    assert_int_equal(appender_add(run->appender, &batch, &run->why), OK);
    for (uint32_t i = 0; i < shape->series; i++)
        assert_int_equal(run->outcomes[i], OK);
    assert_int_equal(appender_commit(run->appender, &run->why), OK);
}

static uint64_t folder_bytes(const struct run *run, const char *folder)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", run->path, folder);
    return fs_tree_bytes(path, NULL);
}

static struct figures measure(const struct run *run)
{
    return (struct figures){
        .symbols = mem_bytes(MEM_SYMBOLS),
        .postings = mem_bytes(MEM_POSTINGS),
        .head = mem_bytes(MEM_HEAD),
        .data = mem_bytes(MEM_HEAD_DATA),
        .wal_memory = mem_bytes(MEM_WAL),
        .wal = folder_bytes(run, "wal"),
        .sealed = folder_bytes(run, "sealed"),
        .series = folder_bytes(run, "series"),
    };
}

/* The largest of what is measured over the rows of one range. */
static void raise(struct figures *peak, const struct figures *now)
{
    peak->symbols = now->symbols > peak->symbols ? now->symbols : peak->symbols;
    peak->postings = now->postings > peak->postings ? now->postings : peak->postings;
    peak->head = now->head > peak->head ? now->head : peak->head;
    peak->data = now->data > peak->data ? now->data : peak->data;
    peak->wal_memory = now->wal_memory > peak->wal_memory ? now->wal_memory : peak->wal_memory;
    peak->wal = now->wal > peak->wal ? now->wal : peak->wal;
    peak->sealed = now->sealed > peak->sealed ? now->sealed : peak->sealed;
    peak->series = now->series > peak->series ? now->series : peak->series;
}

static struct figures run_range(struct run *run)
{
    const struct shape *shape = run->shape;
    struct figures peak = {0};
    for (uint32_t i = 0; i < shape->rows_per_cut; i++) {
        uint32_t replaced = shape->replaced_per_cut * (i + 1) / shape->rows_per_cut -
                            shape->replaced_per_cut * i / shape->rows_per_cut;
        while (replaced-- > 0)
            replace_one(run);
        run->t_ms += shape->step_ms;
        run->row++;
        for (uint32_t target = 0; target < shape->targets; target++)
            commit(run, target);
        if (i % 4 == 0)
            assert_int_equal(db_maintain(run->db, &run->why), OK);
        struct figures now = measure(run);
        raise(&peak, &now);
    }
    return peak;
}

static bool is_near(const char *what, double before, double after)
{
    /* A few kilobytes are pages and steps of growth. */
    bool near = after <= before * 1.1 + 32 * 1024;
    print_message("%s%s: %.0f after %d cuts, %.0f after %d (%.3f)\n", near ? "" : "GROWN ", what,
                  before, CUTS_BEFORE, after, CUTS, after / before);
    return near;
}

static void run_shape(const struct shape *shape)
{
    struct run run = {.shape = shape, .t_ms = INT64_C(1) << 40};
    snprintf(run.path, sizeof run.path, "/tmp/narthex_db_churn.XXXXXX");
    assert_non_null(mkdtemp(run.path));
    struct db_options options = {
        .path = run.path,
        .no_background = true,
        .block_range_ms = (int64_t)shape->rows_per_cut * shape->step_ms,
    };
    run.t_ms -= run.t_ms % options.block_range_ms;
    assert_int_equal(db_open(&options, &run.db, &run.why), OK);
    run.targets = MEM_NEW_ARRAY(MEM_TEST, struct target, shape->targets);
    run.values = MEM_NEW_ARRAY(MEM_TEST, double, shape->series);
    run.outcomes = MEM_NEW_ARRAY(MEM_TEST, uint8_t, shape->series);
    assert_int_equal(storage_appender_open(db_storage(run.db), &run.appender, &run.why), OK);
    for (uint32_t i = 0; i < shape->targets; i++) {
        open_source(&run, &run.targets[i]);
        run.targets[i].refs = MEM_NEW_ARRAY(MEM_TEST, series_ref, shape->series);
    }
    /* The head spans one and a half ranges before the first cut. */
    struct figures before = {0}, after = {0};
    for (int range = 0; range < CUTS + 2; range++) {
        struct figures peak = run_range(&run);
        if (range == CUTS_BEFORE + 1)
            before = peak;
        after = peak;
    }
    struct db_block_info *blocks;
    assert_true(db_blocks(run.db, &blocks) > 0);
    mem_free(MEM_BLOCK, blocks);
    print_message("%s\n", shape->name);
    bool near = is_near("symbols", (double)before.symbols, (double)after.symbols);
    near &= is_near("postings", (double)before.postings, (double)after.postings);
    near &= is_near("series, slots", (double)before.head, (double)after.head);
    near &= is_near("open windows", (double)before.data, (double)after.data);
    near &= is_near("log in memory", (double)before.wal_memory, (double)after.wal_memory);
    near &= is_near("log on disk", (double)before.wal, (double)after.wal);
    near &= is_near("sealed windows on disk", (double)before.sealed, (double)after.sealed);
    near &= is_near("series on disk", (double)before.series, (double)after.series);
    assert_true(near);
    appender_close(run.appender);
    db_close(run.db);
    for (uint32_t i = 0; i < shape->targets; i++)
        mem_free(MEM_TEST, run.targets[i].refs);
    mem_free(MEM_TEST, run.targets);
    mem_free(MEM_TEST, run.values);
    mem_free(MEM_TEST, run.outcomes);
    assert_int_equal(fs_remove_tree(fs_system(), run.path, &run.why), OK);
    strbuf_deinit(&run.why);
}

static bool is_long(void)
{
    return getenv("NARTHEX_LONG") != NULL;
}

/* 200 targets of 1,000 series, 1 % of them relabelled every ten minutes. */
static void relabelled_targets_leave_nothing_behind(void **state)
{
    static const struct shape small = {"D2, a slice", 20, 40, 48, 15000, 4, false};
    static const struct shape whole = {"D2", 200, 1000, 480, 15000, 24, false};
    (void)state;
    run_shape(is_long() ? &whole : &small);
}

/* 300 pods of 800 series, a fifth of them replaced every hour. */
static void replaced_pods_leave_nothing_behind(void **state)
{
    static const struct shape small = {"D4, a slice", 30, 24, 40, 30000, 12, true};
    static const struct shape whole = {"D4", 300, 800, 240, 30000, 120, true};
    (void)state;
    run_shape(is_long() ? &whole : &small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relabelled_targets_leave_nothing_behind),
        cmocka_unit_test(replaced_pods_leave_nothing_behind),
    };
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
