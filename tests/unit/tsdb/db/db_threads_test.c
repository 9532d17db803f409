/* threads: several writers, readers and the maintenance at once. Each commit writes x = y = n to
 * series of different groups, and a late sample to both, and a histogram with n in its first
 * bucket; every reader must see them equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/db.h"

enum { WRITERS = 3, READERS = 2, COMMITS = 1500, READS = 150 };

struct shared {
    struct db *db;
    _Atomic uint32_t writers_left;
    _Atomic uint32_t faults;
    _Atomic int64_t
        now_ms; /* one clock for all, so that nobody falls behind what can be appended */
};

struct worker {
    struct shared *shared;
    uint32_t number;
    struct thread thread;
};

static series_ref add_series(struct appender *appender, uint32_t writer, const char *name)
{
    struct strbuf why = STRBUF_INIT;
    char text[16];
    snprintf(text, sizeof text, "w%u", writer);
    struct label labels[2] = {{STR("__name__"), str_from_cstr(name)},
                              {STR("writer"), str_from_cstr(text)}};
    series_ref ref = 0;
    bool created;
    if (appender_series(appender, (struct labels){labels, 2}, &ref, &created, &why) != OK)
        ref = 0;
    strbuf_deinit(&why);
    return ref;
}

enum { BUCKETS = 6 };

/* Its layout grows with n. */
static struct histogram make_histogram(int n, struct histogram_span *span,
                                       union histogram_count counts[BUCKETS])
{
    *span = (struct histogram_span){-2, 3 + (uint32_t)n * (BUCKETS - 3) / COMMITS};
    struct histogram h = {.schema = 1,
                          .zero_threshold = 0.5,
                          .sum = n * 0.25,
                          .positive = {span, counts, 1, span->length}};
    for (uint32_t i = 0; i < span->length; i++) {
        counts[i].i = (uint64_t)n * (i + 1);
        h.count.i += counts[i].i;
    }
    return h;
}

static void writer_run(void *context)
{
    struct worker *worker = context;
    struct storage *storage = db_storage(worker->shared->db);
    struct strbuf why = STRBUF_INIT;
    struct appender *appender;
    if (storage_appender_open(storage, &appender, &why) != OK)
        abort();
    source_ref source = storage_source_open(storage, worker->number + 1);
    for (int n = 1; n <= COMMITS; n++) {
        appender_begin(appender, source, NULL);
        series_ref refs[4] = {
            add_series(appender, worker->number, "x"), add_series(appender, worker->number, "y"),
            /* written by all: it moves from group to group */
            add_series(appender, 99, "shared"), add_series(appender, worker->number, "h")};
        struct histogram_span span;
        union histogram_count counts[BUCKETS];
        struct histogram histogram = make_histogram(n, &span, counts);
        const struct histogram *histograms[4] = {NULL, NULL, NULL, &histogram};
        int64_t now_ms = atomic_fetch_add(&worker->shared->now_ms, 1000);
        /* Different times make different groups. */
        int64_t t_ms[4] = {now_ms, now_ms + 1, now_ms, now_ms};
        double values[4] = {n, n, 7, 0};
        uint8_t outcomes[4];
        struct append_batch batch = {.count = 4,
                                     .refs = refs,
                                     .t_ms = t_ms,
                                     .values = values,
                                     .histograms = histograms,
                                     .outcomes = outcomes};
        bool good = appender_add(appender, &batch, &why) == OK;
        good = good && outcomes[0] == OK && outcomes[1] == OK && outcomes[3] == OK;
        batch.count = 2;
        batch.histograms = NULL;
        batch.t_ms = NULL;
        batch.t_all_ms = now_ms - 500;
        good = good && appender_add(appender, &batch, &why) == OK && outcomes[0] == OK &&
               outcomes[1] == OK;
        if (appender_commit(appender, &why) != OK || !good)
            atomic_fetch_add(&worker->shared->faults, 1);
    }
    appender_close(appender);
    strbuf_deinit(&why);
    atomic_fetch_sub(&worker->shared->writers_left, 1);
}

/* The first bucket, or -1 when the counts do not add up. */
static double first_count(const struct histogram *histogram)
{
    double sum = 0;
    for (uint32_t i = 0; i < histogram->positive.bucket_count; i++)
        sum += histogram->positive.counts[i].f;
    return sum == histogram->count.f ? histogram->positive.counts[0].f : -1;
}

/* Last value and number of samples of every series, in the order of the list. */
static bool read_series(struct series_cursor *cursor, const struct series *series, double *last,
                        uint64_t *count)
{
    struct strbuf why = STRBUF_INIT;
    struct sample_column_info info;
    struct sample_column column;
    bool more = false;
    int64_t last_t_ms = INT64_MIN;
    *last = 0;
    *count = 0;
    bool good = series_cursor_seek(cursor, series, INT64_MIN, INT64_MAX, &why) == OK;
    while (good && series_cursor_next(cursor, &info, &more, &why) == OK && more) {
        good = series_cursor_decode(cursor, &column, &why) == OK;
        for (uint32_t i = 0; good && i < column.count; i++) {
            good = column.t_ms[i] > last_t_ms;
            last_t_ms = column.t_ms[i];
        }
        for (uint32_t i = 0; good && column.kind == SAMPLES_HISTOGRAM && i < column.count; i++)
            good = first_count(&column.histograms[i]) == (double)(*count + i + 1);
        *last = column.kind == SAMPLES_FLOAT ? column.values[column.count - 1]
                                             : first_count(&column.histograms[column.count - 1]);
        *count += column.count;
    }
    strbuf_deinit(&why);
    return good;
}

static bool read_once(struct shared *shared)
{
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct querier *querier;
    struct series_cursor *cursor;
    struct series_list list;
    bool good =
        storage_querier_open(db_storage(shared->db), INT64_MIN, INT64_MAX, &querier, &why) == OK;
    good = good &&
           querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &why) == OK;
    good = good && querier_cursor_open(querier, NULL, &cursor, &why) == OK;
    double x[WRITERS] = {0}, y[WRITERS] = {0}, h[WRITERS] = {0};
    uint64_t x_count[WRITERS] = {0}, y_count[WRITERS] = {0};
    for (size_t i = 0; good && i < list.count; i++) {
        struct str name = labels_get(list.items[i].labels, LABEL_NAME);
        struct str writer = labels_get(list.items[i].labels, STR("writer"));
        double last;
        uint64_t count;
        good = read_series(cursor, &list.items[i], &last, &count);
        if (!good)
            print_error("reading series %zu failed\n", i);
        int number = writer.data[1] - '0';
        if (str_equal_cstr(name, "x")) {
            x[number] = last;
            x_count[number] = count;
        } else if (str_equal_cstr(name, "y")) {
            y[number] = last;
            y_count[number] = count;
        } else if (str_equal_cstr(name, "h")) {
            h[number] = last;
        }
    }
    for (int i = 0; i < WRITERS; i++)
        if (x[i] != y[i] || x[i] != h[i] || x_count[i] != y_count[i] ||
            x_count[i] != 2 * (uint64_t)x[i]) {
            good = false;
            print_error("writer %d: x %g of %llu, y %g of %llu, h %g\n", i, x[i],
                        (unsigned long long)x_count[i], y[i], (unsigned long long)y_count[i], h[i]);
        }
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    strbuf_deinit(&why);
    return good;
}

static void reader_run(void *context)
{
    struct worker *worker = context;
    struct shared *shared = worker->shared;
    for (int i = 0; i < READS || atomic_load(&shared->writers_left) > 0; i++) {
        if (!read_once(shared))
            atomic_fetch_add(&shared->faults, 1);
    }
}

static void readers_see_whole_commits(void **state)
{
    (void)state;
    char path[64];
    struct strbuf why = STRBUF_INIT;
    snprintf(path, sizeof path, "/tmp/narthex_db_threads.XXXXXX");
    assert_non_null(mkdtemp(path));
    struct shared shared = {.writers_left = WRITERS, .now_ms = 1000};
    /* Windows of 100 s and commits 1 s apart: much sealing and cutting. */
    struct db_options options = {.path = path,
                                 .no_background = true,
                                 .block_range_ms = 1000000,
                                 .out_of_order_window_ms = 1000000000};
    assert_int_equal(db_open(&options, &shared.db, &why), OK);
    struct worker workers[WRITERS + READERS];
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (struct worker){.shared = &shared, .number = i};
        thread_start(&workers[i].thread, "worker", i < WRITERS ? writer_run : reader_run,
                     &workers[i]);
    }
    while (atomic_load(&shared.writers_left) > 0)
        assert_int_equal(db_maintain(shared.db, &why), OK);
    for (uint32_t i = 0; i < WRITERS + READERS; i++)
        thread_join(&workers[i].thread);
    assert_int_equal(atomic_load(&shared.faults), 0);
    assert_true(read_once(&shared));
    db_close(shared.db);
    assert_int_equal(fs_remove_tree(fs_system(), path, &why), OK);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
