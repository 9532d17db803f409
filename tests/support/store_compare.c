#include "store_compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

struct dumped_sample {
    int64_t t_ms;
    int64_t start_t_ms;
    double value;
    const struct histogram *histogram;
};

struct dump {
    const char *name;
    struct querier *querier;
    struct series_cursor *cursor;
    struct arena arena;
    struct series_list list;
    size_t next; /* series */
    struct dumped_sample *samples;
    size_t count;
    size_t capacity;
    size_t column_count; /* of all series so far */
    struct labels labels;
};

static void dump_open(struct dump *dump, const char *name, struct storage *storage,
                      struct selector selector, const struct select_hints *hints)
{
    struct strbuf why = STRBUF_INIT;
    *dump = (struct dump){.name = name};
    arena_init(&dump->arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(
        storage_querier_open(storage, hints->start_ms, hints->end_ms, &dump->querier, &why), OK);
    assert_int_equal(
        querier_select(dump->querier, selector, hints, &dump->arena, &dump->list, &why), OK);
    assert_int_equal(querier_cursor_open(dump->querier, hints, &dump->cursor, &why), OK);
    for (size_t i = 1; i < dump->list.count && !hints->folded; i++)
        assert_true(labels_compare(dump->list.items[i - 1].labels, dump->list.items[i].labels) < 0);
    strbuf_deinit(&why);
}

static void dump_close(struct dump *dump)
{
    series_cursor_close(dump->cursor);
    querier_close(dump->querier);
    mem_free(MEM_TEST, dump->samples);
    arena_deinit(&dump->arena);
}

static void take_column(struct dump *dump, const struct sample_column *column, int64_t min_t_ms,
                        int64_t max_t_ms)
{
    for (uint32_t i = 0; i < column->count; i++) {
        struct dumped_sample sample = {
            .t_ms = column->t_ms[i],
            .start_t_ms = column->start_t_ms == NULL ? 0 : column->start_t_ms[i],
        };
        if (column->step_ms != 0 && i > 0)
            assert_int_equal(column->t_ms[i] - column->t_ms[i - 1], column->step_ms);
        if (sample.t_ms < min_t_ms || sample.t_ms > max_t_ms)
            continue;
        if (column->kind == SAMPLES_FLOAT)
            sample.value = column->values[i];
        else
            sample.histogram = histogram_copy(&dump->arena, &column->histograms[i]);
        if (dump->count > 0 && dump->samples[dump->count - 1].t_ms >= sample.t_ms)
            fail_msg("%s: a sample at %lld after one at %lld (%u of %u)", dump->name,
                     (long long)sample.t_ms, (long long)dump->samples[dump->count - 1].t_ms, i,
                     column->count);
        VEC_PUSH(MEM_TEST, dump->samples, dump->count, dump->capacity, sample);
    }
}

static void same_bits(double a, double b)
{
    assert_true(double_bits(a) == double_bits(b));
}

/* What the statistics promise is what the samples say. */
static void check_stats(const struct sample_stats *stats, const struct sample_column *column)
{
    const double *values = column->values;
    double min = values[0], max = values[0], sum = 0;
    bool drops = false;
    assert_int_equal(column->kind, SAMPLES_FLOAT);
    for (uint32_t i = 0; i < column->count; i++) {
        assert_false(isnan(values[i]));
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        sum += values[i];
        drops |= i > 0 && values[i] < values[i - 1];
    }
    same_bits(stats->first, values[0]);
    same_bits(stats->last, values[column->count - 1]);
    assert_true(stats->min == min && stats->max == max); /* zeros of either sign */
    assert_int_equal(stats->drops, drops);
    if (stats->sum_exact)
        assert_true(stats->sum == sum);
}

/* The next series with samples in the range; false at the end. */
static bool dump_next(struct dump *dump, int64_t min_t_ms, int64_t max_t_ms)
{
    struct strbuf why = STRBUF_INIT;
    dump->count = 0;
    while (dump->count == 0 && dump->next < dump->list.count) {
        const struct series *series = &dump->list.items[dump->next++];
        dump->labels = series->labels;
        assert_int_equal(series_cursor_seek(dump->cursor, series, min_t_ms, max_t_ms, &why), OK);
        for (;;) {
            struct sample_column_info info;
            struct sample_column column;
            bool found;
            assert_int_equal(series_cursor_next(dump->cursor, &info, &found, &why), OK);
            if (!found)
                break;
            assert_int_equal(series_cursor_decode(dump->cursor, &column, &why), OK);
            dump->column_count++;
            assert_int_equal(info.kind, column.kind);
            assert_int_equal(info.count, column.count);
            assert_true(column.count > 0);
            assert_true(info.first_t_ms == column.t_ms[0]);
            assert_true(info.last_t_ms == column.t_ms[column.count - 1]);
            if (info.has_stats)
                check_stats(&info.stats, &column);
            take_column(dump, &column, min_t_ms, max_t_ms);
        }
    }
    strbuf_deinit(&why);
    return dump->count > 0;
}

/* "Not a reset" and "unknown" say the same to a reader that compares. */
static bool same_histogram(const struct histogram *a, const struct histogram *b)
{
    struct histogram x = *a, y = *b;
    if (x.hint == HISTOGRAM_HINT_NOT_RESET)
        x.hint = HISTOGRAM_HINT_UNKNOWN;
    if (y.hint == HISTOGRAM_HINT_NOT_RESET)
        y.hint = HISTOGRAM_HINT_UNKNOWN;
    return histogram_identical(&x, &y);
}

static bool is_end(const struct dumped_sample *sample)
{
    return sample->histogram == NULL ? value_is_stale(sample->value)
                                     : histogram_is_stale(sample->histogram);
}

static const char *series_text(const struct dump *dump)
{
    static char text[256];
    struct strbuf out = STRBUF_INIT;
    labels_print(dump->labels, &out);
    snprintf(text, sizeof text, "%s", strbuf_cstr(&out));
    strbuf_deinit(&out);
    return text;
}

static void compare_samples(const struct dump *a, const struct dump *b)
{
    assert_true(labels_equal(a->labels, b->labels));
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const struct dumped_sample *x = &a->samples[i], *y = &b->samples[i];
        if (x->t_ms != y->t_ms)
            fail_msg("%s of %s has a sample at %lld where %s has one at %lld", series_text(a),
                     a->name, (long long)x->t_ms, b->name, (long long)y->t_ms);
        assert_true(x->start_t_ms == y->start_t_ms);
        /* Whether an end is one of floats or of histograms makes no difference to readers. */
        if (is_end(x) && is_end(y))
            continue;
        if ((x->histogram == NULL) != (y->histogram == NULL))
            fail_msg("%s at %lld: a float and a histogram", series_text(a), (long long)x->t_ms);
        if (x->histogram == NULL && double_bits(x->value) != double_bits(y->value))
            fail_msg("%s at %lld: %s has %.17g, %s %.17g", series_text(a), (long long)x->t_ms,
                     a->name, x->value, b->name, y->value);
        if (x->histogram != NULL)
            assert_true(same_histogram(x->histogram, y->histogram));
    }
    assert_int_equal(a->count, b->count);
}

static void compare_dumps(struct storage *a, struct storage *b, int64_t min_t_ms, int64_t max_t_ms,
                          struct selector selector, bool keep_integers)
{
    struct dump x, y;
    struct select_hints hints = {
        .start_ms = min_t_ms, .end_ms = max_t_ms, .keep_integers = keep_integers};
    dump_open(&x, "first", a, selector, &hints);
    dump_open(&y, "second", b, selector, &hints);
    for (;;) {
        bool more_x = dump_next(&x, min_t_ms, max_t_ms);
        bool more_y = dump_next(&y, min_t_ms, max_t_ms);
        assert_int_equal(more_x, more_y);
        if (!more_x)
            break;
        compare_samples(&x, &y);
    }
    dump_close(&x);
    dump_close(&y);
}

void store_compare(struct storage *a, struct storage *b, int64_t min_t_ms, int64_t max_t_ms,
                   struct selector selector)
{
    compare_dumps(a, b, min_t_ms, max_t_ms, selector, true);
}

void store_compare_floats(struct storage *a, struct storage *b, int64_t min_t_ms, int64_t max_t_ms,
                          struct selector selector)
{
    compare_dumps(a, b, min_t_ms, max_t_ms, selector, false);
}

/* ---- the newest sample of each series ---- */

/* The same whatever the order of series: counts and a sum of hashes by metric name, time and bits.
 */
struct newest_digest {
    size_t series_count;
    size_t column_count;
    uint64_t hash;
};

static uint64_t hash_newest(const struct labels labels, const struct dumped_sample *sample)
{
    struct str name = labels_get(labels, LABEL_NAME);
    uint64_t bits = sample->histogram == NULL ? double_bits(sample->value)
                                              : double_bits(sample->histogram->sum);
    if (is_end(sample))
        bits = STALE_NAN_BITS;
    return hash_mix(hash_mix(hash_xxh64(name.data, name.size), (uint64_t)sample->t_ms), bits);
}

static struct newest_digest digest_newest(struct storage *storage, int64_t min_t_ms,
                                          int64_t max_t_ms, struct selector selector, bool hinted)
{
    struct dump dump;
    struct newest_digest digest = {0};
    struct select_hints hints = {
        .start_ms = min_t_ms, .end_ms = max_t_ms, .folded = hinted, .newest_only = hinted};
    dump_open(&dump, "newest", storage, selector, &hints);
    while (dump_next(&dump, min_t_ms, max_t_ms)) {
        digest.series_count++;
        digest.hash += hash_newest(dump.labels, &dump.samples[dump.count - 1]);
    }
    digest.column_count = dump.column_count;
    dump_close(&dump);
    return digest;
}

size_t store_compare_newest(struct storage *a, struct storage *b, int64_t min_t_ms,
                            int64_t max_t_ms, struct selector selector)
{
    struct newest_digest all = digest_newest(a, min_t_ms, max_t_ms, selector, false);
    struct newest_digest hinted = digest_newest(a, min_t_ms, max_t_ms, selector, true);
    struct newest_digest wanted = digest_newest(b, min_t_ms, max_t_ms, selector, false);
    assert_int_equal(hinted.series_count, wanted.series_count);
    assert_true(hinted.hash == wanted.hash);
    assert_true(hinted.column_count <= all.column_count);
    return all.column_count - hinted.column_count;
}

static void compare_lists(const struct str_list *a, const struct str_list *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_true(str_equal(a->items[i], b->items[i]));
}

void store_compare_labels(struct storage *a, struct storage *b, struct str name,
                          struct selector selector)
{
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct storage *stores[2] = {a, b};
    struct str_list names[2], values[2];
    struct querier *queriers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(storage_querier_open(stores[i], INT64_MIN, INT64_MAX, &queriers[i], &why),
                         OK);
        assert_int_equal(querier_label_names(queriers[i], selector, 0, &arena, &names[i], &why),
                         OK);
        assert_int_equal(
            querier_label_values(queriers[i], name, selector, 0, &arena, &values[i], &why), OK);
    }
    compare_lists(&names[0], &names[1]);
    compare_lists(&values[0], &values[1]);
    for (int i = 0; i < 2; i++)
        querier_close(queriers[i]);
    arena_deinit(&arena);
    strbuf_deinit(&why);
}
