/* Random histories against the reference store: commits in and out of order by several writers,
 * deletion, cuts, compaction, retention, reopening. NARTHEX_LONG=1 runs 10 million operations
 * (NARTHEX_MODEL_OPERATIONS: another number; NARTHEX_MODEL_SEED: another beginning); an operation
 * is a sample that is appended or another call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/db.h"
#include "reference_store.h"
#include "store_compare.h"

enum { SERIES_COUNT = 40, SOURCE_COUNT = 4, STEPS = 400, BATCH_MAX = 30 };
static const int64_t RANGE_MS = 100000;
static const int64_t WINDOWS_MS[] = {0, 30000, 150000, 600000};
static const uint64_t LONG_OPERATIONS = 10 * 1000 * 1000;

struct fixture {
    char path[64];
    struct db *db;
    struct storage *model;
    struct appender *appenders[2]; /* of the database and the model */
    uint64_t random;
    int64_t now_ms;
    int64_t window_ms;    /* out of order; 0: none */
    int64_t kept_from_ms; /* retention may have taken what is older */
    uint64_t operations;
    uint64_t late_count;
    struct arena arena;
    struct strbuf why;
};

static uint64_t next_random(struct fixture *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

static uint32_t below(struct fixture *f, uint32_t limit)
{
    return (uint32_t)(next_random(f) % limit);
}

static void open_db(struct fixture *f)
{
    struct db_options options = {
        .path = f->path,
        .no_background = true,
        .block_range_ms = RANGE_MS,
        .block_range_max_ms = 9 * RANGE_MS,
        .exemplars_max = 10,
        .out_of_order_window_ms = f->window_ms,
    };
    err_t err = db_open(&options, &f->db, &f->why);
    if (err != OK)
        fail_msg("%s", strbuf_cstr(&f->why));
    assert_int_equal(storage_appender_open(db_storage(f->db), &f->appenders[0], &f->why), OK);
}

static void reopen(struct fixture *f)
{
    appender_close(f->appenders[0]);
    db_close(f->db);
    open_db(f);
}

static struct labels make_labels(struct fixture *f, uint32_t number)
{
    struct label *items = ARENA_NEW_ARRAY(&f->arena, struct label, 4);
    items[0] = (struct label){STR("__name__"), arena_printf(&f->arena, "metric_%u", number % 5)};
    items[1] = (struct label){STR("instance"), arena_printf(&f->arena, "host%u", number / 5)};
    items[2] = (struct label){STR("job"), number % 2 == 0 ? STR("a") : STR("b")};
    uint32_t count = 3;
    if (number % 3 == 0)
        items[count++] = (struct label){STR("zone"), arena_printf(&f->arena, "z%u", number % 7)};
    return (struct labels){items, count};
}

static double make_value(struct fixture *f)
{
    switch (below(f, 8)) {
    case 0:
        return (double)below(f, 1000000) / 100;
    case 1:
        return double_from_bits(next_random(f));
    case 2:
        return double_from_bits(STALE_NAN_BITS);
    case 3:
        return -0.0;
    default:
        return (double)below(f, 50);
    }
}

static struct histogram *make_histogram(struct fixture *f)
{
    struct histogram *h = ARENA_NEW(&f->arena, struct histogram);
    struct histogram_span *span = ARENA_NEW(&f->arena, struct histogram_span);
    union histogram_count *counts = ARENA_NEW_ARRAY(&f->arena, union histogram_count, 3);
    h->kind = below(f, 2) == 0 ? HISTOGRAM_INTEGER : HISTOGRAM_FLOAT;
    *span = (struct histogram_span){(int32_t)below(f, 5), 3};
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t count = below(f, 100);
        sum += count;
        if (h->kind == HISTOGRAM_INTEGER)
            counts[i].i = count;
        else
            counts[i].f = (double)count;
    }
    if (h->kind == HISTOGRAM_INTEGER)
        h->count.i = sum;
    else
        h->count.f = (double)sum;
    h->schema = 3;
    h->zero_threshold = 0.001;
    h->sum = (double)sum * 1.5;
    h->hint = below(f, 4) == 0 ? HISTOGRAM_HINT_GAUGE : HISTOGRAM_HINT_UNKNOWN;
    h->positive = (struct histogram_side){span, counts, 1, 3};
    return h;
}

/* One batch to both; outcomes must agree. */
static void add_batch(struct fixture *f, bool explicit_times)
{
    uint32_t count = 1 + below(f, BATCH_MAX);
    series_ref refs[2][BATCH_MAX];
    int64_t t_ms[BATCH_MAX], starts[BATCH_MAX];
    double values[BATCH_MAX];
    const struct histogram *histograms[BATCH_MAX];
    uint8_t outcomes[2][BATCH_MAX];
    bool with_histograms = below(f, 3) == 0;
    bool with_starts = below(f, 3) == 0;
    for (uint32_t i = 0; i < count; i++) {
        struct labels labels = make_labels(f, below(f, SERIES_COUNT));
        bool created;
        for (int j = 0; j < 2; j++)
            assert_int_equal(
                appender_series(f->appenders[j], labels, &refs[j][i], &created, &f->why), OK);
        f->operations++;
        t_ms[i] = f->now_ms + (int64_t)below(f, 40) - 20;
        if (f->window_ms > 0 && below(f, 3) == 0)
            t_ms[i] = f->now_ms - (int64_t)below(f, (uint32_t)(f->window_ms + f->window_ms / 8));
        else if (below(f, 30) == 0)
            t_ms[i] = f->now_ms - (int64_t)below(f, 2 * (uint32_t)RANGE_MS);
        f->late_count += t_ms[i] < f->now_ms - 20;
        values[i] = make_value(f);
        starts[i] = below(f, 2) == 0 ? 0 : f->now_ms - 1000;
        histograms[i] = with_histograms && below(f, 2) == 0 ? make_histogram(f) : NULL;
    }
    for (int j = 0; j < 2; j++) {
        struct append_batch batch = {
            .count = count,
            .refs = refs[j],
            .t_ms = explicit_times ? t_ms : NULL,
            .t_all_ms = f->now_ms,
            .values = values,
            .histograms = with_histograms ? histograms : NULL,
            .start_t_ms = with_starts ? starts : NULL,
            .outcomes = outcomes[j],
        };
        assert_int_equal(appender_add(f->appenders[j], &batch, &f->why), OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (outcomes[0][i] != outcomes[1][i])
            fail_msg("sample %u: %s, expected %s", i, err_name((err_t)outcomes[0][i]),
                     err_name((err_t)outcomes[1][i]));
    }
}

static void commit_step(struct fixture *f)
{
    uint32_t source = below(f, SOURCE_COUNT);
    struct append_options options = {.discard_out_of_order = below(f, 10) == 0};
    source_ref source_a = storage_source_open(db_storage(f->db), source + 1);
    source_ref source_b = storage_source_open(f->model, source + 1);
    appender_begin(f->appenders[0], source_a, &options);
    appender_begin(f->appenders[1], source_b, &options);
    uint32_t batches = 1 + below(f, 2);
    for (uint32_t i = 0; i < batches; i++)
        add_batch(f, below(f, 3) == 0);
    if (below(f, 10) == 0) {
        appender_rollback(f->appenders[0]);
        appender_rollback(f->appenders[1]);
    } else {
        assert_int_equal(appender_commit(f->appenders[0], &f->why), OK);
        assert_int_equal(appender_commit(f->appenders[1], &f->why), OK);
    }
    if (below(f, 3) != 0)
        f->now_ms += 1 + below(f, 3000);
}

/* Up to two matchers; free with free_selector. */
static struct selector make_selector(struct fixture *f, struct matcher matchers[2])
{
    struct selector selector = {matchers, 0};
    static const struct {
        enum matcher_kind kind;
        const char *name, *value;
    } choices[] = {
        {MATCH_EQUAL, "__name__", "metric_1"},   {MATCH_NOT_EQUAL, "job", "a"},
        {MATCH_REGEX, "instance", "host[1-3]"},  {MATCH_REGEX, "zone", "z.*"},
        {MATCH_NOT_REGEX, "zone", "z[0-3]|"},    {MATCH_EQUAL, "zone", ""},
        {MATCH_NOT_EQUAL, "zone", ""},           {MATCH_REGEX, "instance", "host1.*|host2"},
        {MATCH_NOT_REGEX, "instance", "host.*"}, {MATCH_REGEX, "nothing", "|x"},
    };
    uint32_t wanted = below(f, 3);
    for (; selector.count < wanted; selector.count++) {
        uint32_t choice = below(f, sizeof choices / sizeof choices[0]);
        assert_int_equal(matcher_init(&matchers[selector.count], choices[choice].kind,
                                      str_from_cstr(choices[choice].name),
                                      str_from_cstr(choices[choice].value), &f->why),
                         OK);
    }
    return selector;
}

static void free_selector(struct selector selector)
{
    for (size_t i = 0; i < selector.count; i++)
        matcher_deinit((struct matcher *)&selector.matchers[i]);
}

static void delete_some(struct fixture *f)
{
    struct matcher matchers[2];
    struct selector selector = make_selector(f, matchers);
    int64_t from = f->now_ms - (int64_t)below(f, 300000);
    int64_t to = from + (int64_t)below(f, 50000);
    if (to > f->now_ms)
        to = f->now_ms;
    assert_int_equal(storage_delete_samples(db_storage(f->db), from, to, selector, &f->why), OK);
    assert_int_equal(storage_delete_samples(f->model, from, to, selector, &f->why), OK);
    free_selector(selector);
    f->now_ms += 100; /* samples of deleted times would be new in one and old in the other */
}

static void compare(struct fixture *f)
{
    int64_t from = f->now_ms - (int64_t)below(f, 300000);
    if (from < f->kept_from_ms)
        from = f->kept_from_ms;
    struct matcher matchers[2];
    struct selector selector = make_selector(f, matchers);
    store_compare(db_storage(f->db), f->model, from, f->now_ms, selector);
    store_compare(db_storage(f->db), f->model, f->kept_from_ms, INT64_MAX, selector);
    int64_t to = f->now_ms - (int64_t)below(f, 60000);
    store_compare_newest(db_storage(f->db), f->model, from < to ? from : to, to, selector);
    free_selector(selector);
}

static void maintain(struct fixture *f)
{
    if (db_maintain(f->db, &f->why) != OK)
        fail_msg("%s", strbuf_cstr(&f->why));
}

static void flush(struct fixture *f)
{
    if (db_flush_head(f->db, &f->why) != OK)
        fail_msg("%s", strbuf_cstr(&f->why));
    reference_store_flush(f->model);
}

static void change_window(struct fixture *f)
{
    f->window_ms = WINDOWS_MS[below(f, sizeof WINDOWS_MS / sizeof WINDOWS_MS[0])];
    db_set_out_of_order_window(f->db, f->window_ms);
    reference_store_set_window(f->model, f->window_ms, RANGE_MS);
}

/* Blocks that end before the newest one by more than this go. */
static void retain(struct fixture *f)
{
    int64_t retention_ms = 200000 + (int64_t)below(f, 400000);
    db_set_retention(f->db, retention_ms, 0, 0);
    maintain(f);
    db_set_retention(f->db, 0, 0, 0);
    /* The newest sample is at most 20 ms after now. */
    if (f->now_ms + 20 - retention_ms > f->kept_from_ms)
        f->kept_from_ms = f->now_ms + 20 - retention_ms;
}

static void step(struct fixture *f)
{
    f->operations++;
    switch (below(f, 32)) {
    case 0:
        reopen(f);
        break;
    case 1:
        maintain(f);
        break;
    case 2:
        compare(f);
        break;
    case 3:
        flush(f);
        break;
    case 4:
        delete_some(f);
        break;
    case 5:
        if (below(f, 4) == 0)
            assert_int_equal(db_clean_tombstones(f->db, &f->why), OK);
        break;
    case 6:
        if (below(f, 4) == 0)
            change_window(f);
        break;
    case 7:
        if (below(f, 8) == 0)
            retain(f);
        break;
    default:
        commit_step(f);
    }
}

/* Returns the number of operations; adds the number of samples given late. */
static uint64_t run(uint64_t seed, uint64_t *late_count)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    f->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    f->now_ms = 1000000;
    snprintf(f->path, sizeof f->path, "/tmp/narthex_db_model.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    arena_init(&f->arena, MEM_TEST, SIZE_MAX);
    f->kept_from_ms = INT64_MIN;
    f->window_ms = WINDOWS_MS[seed % (sizeof WINDOWS_MS / sizeof WINDOWS_MS[0])];
    f->model = reference_store_create();
    reference_store_set_window(f->model, f->window_ms, RANGE_MS);
    assert_int_equal(storage_appender_open(f->model, &f->appenders[1], &f->why), OK);
    open_db(f);
    for (int i = 0; i < STEPS; i++) {
        step(f);
        arena_deinit(&f->arena);
    }
    compare(f);
    appender_close(f->appenders[0]);
    appender_close(f->appenders[1]);
    db_close(f->db);
    reference_store_destroy(f->model);
    assert_int_equal(fs_remove_tree(fs_system(), f->path, &f->why), OK);
    strbuf_deinit(&f->why);
    uint64_t operations = f->operations;
    *late_count += f->late_count;
    mem_free(MEM_TEST, f);
    return operations;
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static void random_histories_read_as_in_the_model(void **state)
{
    (void)state;
    const char *text = getenv("NARTHEX_LONG");
    bool whole = text != NULL && strcmp(text, "1") == 0;
    uint64_t wanted = number_from("NARTHEX_MODEL_OPERATIONS", whole ? LONG_OPERATIONS : 0);
    uint64_t first = number_from("NARTHEX_MODEL_SEED", 1);
    uint64_t operations = 0, late_count = 0, seed = first;
    if (whole)
        log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    for (; seed < first + 8 || operations < wanted; seed++) {
        if (!whole || seed % 100 == 0)
            print_message("seed %llu, %llu operations before it\n", (unsigned long long)seed,
                          (unsigned long long)operations);
        operations += run(seed, &late_count);
    }
    print_message("seeds %llu to %llu: %llu operations, %llu samples given late, no difference\n",
                  (unsigned long long)first, (unsigned long long)seed - 1,
                  (unsigned long long)operations, (unsigned long long)late_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_read_as_in_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
