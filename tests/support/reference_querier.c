/* Reading the reference store: every answer is a copy. */
#include <stdlib.h>

#include "narthex/base/vec.h"

#include "reference_data.h"

enum { COLUMN_COUNT_MAX = 100 }; /* short columns, so that readers meet many of them */

struct reference_querier {
    struct querier querier;
    struct reference_store *store;
    int64_t min_t_ms;
    int64_t max_t_ms;
    uint64_t commit; /* what it sees */
};

/* ---- series ---- */

static bool has_samples(const struct reference_querier *querier,
                        const struct reference_series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct reference_sample *sample = &series->samples[i];
        if (sample->t_ms >= querier->min_t_ms && sample->t_ms <= querier->max_t_ms &&
            reference_sample_visible(sample, querier->commit))
            return true;
    }
    return false;
}

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct series *)a)->labels, ((const struct series *)b)->labels);
}

/* Makes use of the hint as far as it goes, so that readers who give it wrongly are found out. */
static void fold(struct series_list *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        struct series other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct labels all = list->items[i].labels;
        list->items[i].labels = (struct labels){NULL, 0};
        for (uint32_t j = 0; j < all.count; j++) {
            if (str_equal(all.items[j].name, LABEL_NAME))
                list->items[i].labels = (struct labels){&all.items[j], 1};
        }
    }
}

static err_t query_select(struct querier *handle, struct selector selector,
                          const struct select_hints *hints, struct arena *arena,
                          struct series_list *list, struct strbuf *why)
{
    const struct reference_querier *querier = (struct reference_querier *)handle;
    struct reference_store *store = querier->store;
    mutex_lock(&store->mutex);
    list->count = 0;
    list->items = ARENA_NEW_ARRAY(arena, struct series, store->count + 1);
    for (size_t i = 0; i < store->count; i++) {
        const struct reference_series *series = store->series[i];
        if (!has_samples(querier, series) ||
            !matchers_match(selector.matchers, selector.count, series->labels))
            continue;
        list->items[list->count++] =
            (struct series){.labels = labels_copy(arena, series->labels), .position = i};
    }
    mutex_unlock(&store->mutex);
    qsort(list->items, list->count, sizeof *list->items, compare_series);
    if (hints != NULL && hints->series_max > 0 && list->count > hints->series_max)
        list->count = hints->series_max;
    if (hints != NULL && hints->folded)
        fold(list);
    if (arena_exhausted(arena))
        return err_fail(why, ERR_LIMIT, "query memory limit exceeded");
    return OK;
}

/* ---- cursors ---- */

struct reference_cursor {
    struct series_cursor cursor;
    const struct reference_querier *querier;
    bool keep_integers;
    bool newest_only;
    struct arena arena; /* converted histograms */
    struct reference_sample *samples;
    size_t count;
    size_t capacity;
    size_t from; /* of the current column */
    size_t to;
    int64_t *t_ms;
    int64_t *start_t_ms;
    double *values;
    struct histogram *histograms;
    size_t column_capacity;
};

static err_t cursor_seek(struct series_cursor *handle, const struct series *series,
                         int64_t min_t_ms, int64_t max_t_ms, struct strbuf *why)
{
    (void)why;
    struct reference_cursor *cursor = (struct reference_cursor *)handle;
    struct reference_store *store = cursor->querier->store;
    cursor->count = 0;
    cursor->from = 0;
    cursor->to = 0;
    mutex_lock(&store->mutex);
    const struct reference_series *source = store->series[series->position];
    for (size_t i = 0; i < source->count; i++) {
        const struct reference_sample *sample = &source->samples[i];
        if (sample->t_ms >= min_t_ms && sample->t_ms <= max_t_ms &&
            reference_sample_visible(sample, cursor->querier->commit))
            VEC_PUSH(MEM_TEST, cursor->samples, cursor->count, cursor->capacity, *sample);
    }
    mutex_unlock(&store->mutex);
    if (cursor->newest_only && cursor->count > 0 &&
        cursor->samples[cursor->count - 1].histogram == NULL)
        cursor->from = cursor->to = cursor->count - 1;
    return OK;
}

static err_t cursor_next(struct series_cursor *handle, struct sample_column_info *info, bool *found,
                         struct strbuf *why)
{
    (void)why;
    struct reference_cursor *cursor = (struct reference_cursor *)handle;
    cursor->from = cursor->to;
    *found = cursor->from < cursor->count;
    if (!*found)
        return OK;
    bool histogram = cursor->samples[cursor->from].histogram != NULL;
    size_t to = cursor->from;
    while (to < cursor->count && to - cursor->from < COLUMN_COUNT_MAX &&
           (cursor->samples[to].histogram != NULL) == histogram)
        to++;
    cursor->to = to;
    *info = (struct sample_column_info){
        .kind = histogram ? SAMPLES_HISTOGRAM : SAMPLES_FLOAT,
        .count = (uint32_t)(to - cursor->from),
        .first_t_ms = cursor->samples[cursor->from].t_ms,
        .last_t_ms = cursor->samples[to - 1].t_ms,
    };
    return OK;
}

static void reserve_column(struct reference_cursor *cursor)
{
    if (cursor->column_capacity > 0)
        return;
    cursor->column_capacity = COLUMN_COUNT_MAX;
    cursor->t_ms = MEM_NEW_ARRAY(MEM_TEST, int64_t, COLUMN_COUNT_MAX);
    cursor->start_t_ms = MEM_NEW_ARRAY(MEM_TEST, int64_t, COLUMN_COUNT_MAX);
    cursor->values = MEM_NEW_ARRAY(MEM_TEST, double, COLUMN_COUNT_MAX);
    cursor->histograms = MEM_NEW_ARRAY(MEM_TEST, struct histogram, COLUMN_COUNT_MAX);
}

static struct histogram as_read(struct reference_cursor *cursor, const struct histogram *stored)
{
    if (stored->kind == HISTOGRAM_FLOAT || cursor->keep_integers)
        return *stored;
    return *histogram_to_float(&cursor->arena, stored);
}

static err_t cursor_decode(struct series_cursor *handle, struct sample_column *column,
                           struct strbuf *why)
{
    (void)why;
    struct reference_cursor *cursor = (struct reference_cursor *)handle;
    reserve_column(cursor);
    arena_deinit(&cursor->arena);
    arena_init(&cursor->arena, MEM_TEST, SIZE_MAX);
    bool starts = false;
    size_t count = cursor->to - cursor->from;
    bool histogram = cursor->samples[cursor->from].histogram != NULL;
    for (size_t i = 0; i < count; i++) {
        const struct reference_sample *sample = &cursor->samples[cursor->from + i];
        cursor->t_ms[i] = sample->t_ms;
        cursor->start_t_ms[i] = sample->start_t_ms;
        starts = starts || sample->start_t_ms != 0;
        if (histogram)
            cursor->histograms[i] = as_read(cursor, sample->histogram);
        else
            cursor->values[i] = sample->value;
    }
    *column = (struct sample_column){
        .kind = histogram ? SAMPLES_HISTOGRAM : SAMPLES_FLOAT,
        .count = (uint32_t)count,
        .t_ms = cursor->t_ms,
        .values = histogram ? NULL : cursor->values,
        .histograms = histogram ? cursor->histograms : NULL,
        .start_t_ms = starts ? cursor->start_t_ms : NULL,
    };
    return OK;
}

static void cursor_close(struct series_cursor *handle)
{
    struct reference_cursor *cursor = (struct reference_cursor *)handle;
    mem_free(MEM_TEST, cursor->samples);
    mem_free(MEM_TEST, cursor->t_ms);
    mem_free(MEM_TEST, cursor->start_t_ms);
    mem_free(MEM_TEST, cursor->values);
    mem_free(MEM_TEST, cursor->histograms);
    arena_deinit(&cursor->arena);
    mem_free(MEM_TEST, cursor);
}

static const struct series_cursor_ops cursor_ops = {
    .seek = cursor_seek,
    .next = cursor_next,
    .decode = cursor_decode,
    .close = cursor_close,
};

static err_t query_cursor_open(struct querier *handle, const struct select_hints *hints,
                               struct series_cursor **out, struct strbuf *why)
{
    (void)why;
    struct reference_cursor *cursor = MEM_NEW(MEM_TEST, struct reference_cursor);
    cursor->cursor.ops = &cursor_ops;
    cursor->querier = (struct reference_querier *)handle;
    cursor->keep_integers = hints != NULL && hints->keep_integers;
    cursor->newest_only = hints != NULL && hints->newest_only;
    arena_init(&cursor->arena, MEM_TEST, SIZE_MAX);
    *out = &cursor->cursor;
    return OK;
}

/* ---- names and values ---- */

static int compare_str(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

struct str_set {
    struct str *items; /* unsorted, with duplicates, until finished */
    size_t count;
    size_t capacity;
};

/* Sorted, distinct, at most `limit` (0: all), in the arena; frees the set. */
static void str_set_finish(struct str_set *set, size_t limit, struct arena *arena,
                           struct str_list *list)
{
    if (set->count > 0)
        qsort(set->items, set->count, sizeof *set->items, compare_str);
    list->items = ARENA_NEW_ARRAY(arena, struct str, set->count + 1);
    list->count = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (i > 0 && str_equal(set->items[i], set->items[i - 1]))
            continue;
        if (limit > 0 && list->count == limit)
            break;
        list->items[list->count++] = arena_str(arena, set->items[i]);
    }
    mem_free(MEM_TEST, set->items);
}

static bool selected(const struct reference_querier *querier, const struct reference_series *series,
                     struct selector selector)
{
    return has_samples(querier, series) &&
           matchers_match(selector.matchers, selector.count, series->labels);
}

static err_t query_label_names(struct querier *handle, struct selector selector, size_t limit,
                               struct arena *arena, struct str_list *list, struct strbuf *why)
{
    (void)why;
    const struct reference_querier *querier = (struct reference_querier *)handle;
    struct reference_store *store = querier->store;
    struct str_set set = {NULL, 0, 0};
    mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count; i++) {
        const struct reference_series *series = store->series[i];
        if (!selected(querier, series, selector))
            continue;
        for (uint32_t j = 0; j < series->labels.count; j++)
            VEC_PUSH(MEM_TEST, set.items, set.count, set.capacity, series->labels.items[j].name);
    }
    str_set_finish(&set, limit, arena, list);
    mutex_unlock(&store->mutex);
    return OK;
}

static err_t query_label_values(struct querier *handle, struct str name, struct selector selector,
                                size_t limit, struct arena *arena, struct str_list *list,
                                struct strbuf *why)
{
    (void)why;
    const struct reference_querier *querier = (struct reference_querier *)handle;
    struct reference_store *store = querier->store;
    struct str_set set = {NULL, 0, 0};
    mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count; i++) {
        const struct reference_series *series = store->series[i];
        struct str value = labels_get(series->labels, name);
        if (value.size > 0 && selected(querier, series, selector))
            VEC_PUSH(MEM_TEST, set.items, set.count, set.capacity, value);
    }
    str_set_finish(&set, limit, arena, list);
    mutex_unlock(&store->mutex);
    return OK;
}

/* ---- exemplars ---- */

static int compare_exemplar_series(const void *a, const void *b)
{
    return labels_compare(((const struct exemplar_series *)a)->labels,
                          ((const struct exemplar_series *)b)->labels);
}

static bool any_matches(const struct selector *selectors, size_t count, struct labels labels)
{
    for (size_t i = 0; i < count; i++) {
        if (matchers_match(selectors[i].matchers, selectors[i].count, labels))
            return true;
    }
    return false;
}

static void add_exemplars(const struct reference_querier *querier,
                          const struct reference_series *series, struct arena *arena,
                          struct exemplar_list *list)
{
    struct exemplar_series out = {.labels = labels_copy(arena, series->labels)};
    out.items = ARENA_NEW_ARRAY(arena, struct exemplar, series->exemplar_count);
    for (size_t i = 0; i < series->exemplar_count; i++) {
        const struct reference_exemplar *source = &series->exemplars[i];
        const struct exemplar *exemplar = &source->exemplar;
        if (source->committed == 0 || source->committed > querier->commit ||
            exemplar->t_ms < querier->min_t_ms || exemplar->t_ms > querier->max_t_ms)
            continue;
        out.items[out.count] = *exemplar;
        out.items[out.count++].labels = labels_copy(arena, exemplar->labels);
    }
    if (out.count > 0)
        list->items[list->count++] = out;
}

static err_t query_exemplars(struct querier *handle, const struct selector *selectors,
                             size_t selector_count, struct arena *arena, struct exemplar_list *list,
                             struct strbuf *why)
{
    (void)why;
    const struct reference_querier *querier = (struct reference_querier *)handle;
    struct reference_store *store = querier->store;
    mutex_lock(&store->mutex);
    list->count = 0;
    list->items = ARENA_NEW_ARRAY(arena, struct exemplar_series, store->count + 1);
    for (size_t i = 0; i < store->count; i++) {
        const struct reference_series *series = store->series[i];
        if (series->exemplar_count > 0 && any_matches(selectors, selector_count, series->labels))
            add_exemplars(querier, series, arena, list);
    }
    mutex_unlock(&store->mutex);
    qsort(list->items, list->count, sizeof *list->items, compare_exemplar_series);
    return OK;
}

/* ---- the querier ---- */

static void query_close(struct querier *querier)
{
    mem_free(MEM_TEST, querier);
}

static const struct querier_ops querier_ops = {
    .select = query_select,
    .cursor_open = query_cursor_open,
    .label_names = query_label_names,
    .label_values = query_label_values,
    .exemplars = query_exemplars,
    .close = query_close,
};

err_t reference_store__querier_open(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                                    struct querier **out, struct strbuf *why)
{
    (void)why;
    struct reference_store *store = (struct reference_store *)storage;
    struct reference_querier *querier = MEM_NEW(MEM_TEST, struct reference_querier);
    querier->querier.ops = &querier_ops;
    querier->store = store;
    querier->min_t_ms = min_t_ms;
    querier->max_t_ms = max_t_ms;
    mutex_lock(&store->mutex);
    querier->commit = store->commit_last;
    mutex_unlock(&store->mutex);
    *out = &querier->querier;
    return OK;
}

/* ---- cardinality ---- */

static void count_name(struct name_count_list *list, struct str name, uint64_t weight)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i].name, name)) {
            list->items[i].value += weight;
            return;
        }
    }
    list->items[list->count++] = (struct name_count){.name = name, .value = weight};
}

static int compare_count(const void *a, const void *b)
{
    const struct name_count *x = a;
    const struct name_count *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return str_compare(x->name, y->name);
}

static void finish_counts(struct name_count_list *list, size_t limit)
{
    qsort(list->items, list->count, sizeof *list->items, compare_count);
    if (list->count > limit)
        list->count = limit;
}

err_t reference_store__cardinality(struct storage *storage, size_t limit, struct arena *arena,
                                   struct cardinality *result, struct strbuf *why)
{
    (void)why;
    struct reference_store *store = (struct reference_store *)storage;
    *result = (struct cardinality){0};
    storage_time_range(storage, &result->min_t_ms, &result->max_t_ms);
    mutex_lock(&store->mutex);
    size_t labels = 1;
    for (size_t i = 0; i < store->count; i++)
        labels += store->series[i]->labels.count;
    result->series_count = store->count;
    struct name_count_list *lists[] = {&result->series_by_metric, &result->values_by_label,
                                       &result->bytes_by_label, &result->series_by_pair};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        lists[i]->items = ARENA_NEW_ARRAY(arena, struct name_count, labels);
    for (size_t i = 0; i < store->count; i++) {
        struct labels set = store->series[i]->labels;
        result->column_count += store->series[i]->count > 0 ? 1 : 0;
        for (uint32_t j = 0; j < set.count; j++) {
            const struct label *label = &set.items[j];
            struct str name = arena_str(arena, label->name);
            struct str pair =
                arena_printf(arena, "%.*s=%.*s", STR_ARG(label->name), STR_ARG(label->value));
            size_t pairs = result->series_by_pair.count;
            count_name(&result->series_by_pair, pair, 1);
            if (result->series_by_pair.count > pairs) {
                count_name(&result->values_by_label, name, 1);
                count_name(&result->bytes_by_label, name, label->value.size);
            }
            if (str_equal(label->name, LABEL_NAME))
                count_name(&result->series_by_metric, arena_str(arena, label->value), 1);
        }
    }
    result->label_pair_count = result->series_by_pair.count;
    mutex_unlock(&store->mutex);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        finish_counts(lists[i], limit);
    return OK;
}
