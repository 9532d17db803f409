/* "load_with_nhcb": classic histograms as native ones with custom buckets. */
#include "runner.h"

#include <math.h>
#include <stdlib.h>

#include "narthex/base/number.h"
#include "narthex/model/histogram_math.h"

struct classic_bucket {
    double bound;
    const struct series_line *line;
};

/* The series of one classic histogram. */
struct classic_histogram {
    struct labels labels; /* of the result: base name, no le */
    struct classic_bucket *buckets;
    size_t bucket_count;
    const struct series_line *count;
    const struct series_line *sum;
    size_t value_count;
};

struct classic_list {
    struct arena *arena;
    struct classic_histogram *items;
    size_t count;
    size_t line_count; /* bound of both array sizes */
};

static struct labels base_labels(struct arena *arena, struct labels labels, size_t suffix_size)
{
    struct label_builder builder = {0};
    label_builder_reset(&builder, labels);
    struct str name = labels_get(labels, LABEL_NAME);
    label_builder_set(&builder, LABEL_NAME, str_from(name.data, name.size - suffix_size));
    label_builder_remove(&builder, STR("le"));
    struct labels result = labels_copy(arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    return result;
}

static struct classic_histogram *find_histogram(struct classic_list *list, struct labels labels)
{
    for (size_t i = 0; i < list->count; i++) {
        if (labels_equal(list->items[i].labels, labels))
            return &list->items[i];
    }
    struct classic_histogram *histogram = &list->items[list->count++];
    *histogram = (struct classic_histogram){.labels = labels};
    histogram->buckets = ARENA_NEW_ARRAY(list->arena, struct classic_bucket, list->line_count);
    return histogram;
}

static void sort_line(struct classic_list *list, const struct series_line *line)
{
    struct str name = labels_get(line->labels, LABEL_NAME);
    struct classic_histogram *histogram;
    if (str_ends_with(name, STR("_bucket")) && labels_has(line->labels, STR("le"))) {
        double bound;
        bool range;
        if (!number_parse(labels_get(line->labels, STR("le")), &bound, &range) || isnan(bound))
            return;
        histogram = find_histogram(list, base_labels(list->arena, line->labels, 7));
        histogram->buckets[histogram->bucket_count++] = (struct classic_bucket){bound, line};
    } else if (str_ends_with(name, STR("_count"))) {
        histogram = find_histogram(list, base_labels(list->arena, line->labels, 6));
        histogram->count = line;
    } else if (str_ends_with(name, STR("_sum"))) {
        histogram = find_histogram(list, base_labels(list->arena, line->labels, 4));
        histogram->sum = line;
    } else {
        return;
    }
    if (histogram->value_count < line->values.count)
        histogram->value_count = line->values.count;
}

static int compare_bound(const void *a, const void *b)
{
    const struct classic_bucket *x = a;
    const struct classic_bucket *y = b;
    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static bool value_at(const struct series_line *line, size_t index, double *value)
{
    if (line == NULL || index >= line->values.count || line->values.items[index].kind != ITEM_FLOAT)
        return false;
    *value = line->values.items[index].value;
    return true;
}

/* Buckets present at one time, cumulative; the last one is +Inf. Of bounds written in several ways
 * (0.2, 2e-1) the first line counts. */
struct cumulative {
    double *bounds;
    double *counts;
    uint32_t count;
};

static struct cumulative gather(struct arena *arena, const struct classic_histogram *classic,
                                size_t index)
{
    struct cumulative c = {
        .bounds = ARENA_NEW_ARRAY(arena, double, classic->bucket_count + 1),
        .counts = ARENA_NEW_ARRAY(arena, double, classic->bucket_count + 1),
    };
    for (size_t i = 0; i < classic->bucket_count; i++) {
        double bound = classic->buckets[i].bound;
        bool repeated = c.count > 0 && c.bounds[c.count - 1] == bound;
        if (!repeated && value_at(classic->buckets[i].line, index, &c.counts[c.count]))
            c.bounds[c.count++] = bound;
    }
    return c;
}

static err_t convert(struct arena *arena, const struct classic_histogram *classic, size_t index,
                     const struct histogram **out, struct strbuf *why)
{
    struct cumulative c = gather(arena, classic, index);
    struct histogram *h = ARENA_NEW(arena, struct histogram);
    h->kind = HISTOGRAM_FLOAT;
    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    value_at(classic->sum, index, &h->sum);
    bool has_count = value_at(classic->count, index, &h->count.f);
    if (!has_count && c.count == 0) {
        *out = NULL;
        return OK;
    }
    if (!has_count)
        h->count.f = c.counts[c.count - 1];
    if (c.count == 0 || c.bounds[c.count - 1] != INFINITY) {
        c.bounds[c.count] = INFINITY;
        c.counts[c.count++] = h->count.f;
    }
    if (c.counts[c.count - 1] != h->count.f)
        return err_fail(why, ERR_INVALID, "count is not the +Inf bucket");
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, c.count);
    for (uint32_t i = 0; i < c.count; i++) {
        counts[i].f = c.counts[i] - (i == 0 ? 0 : c.counts[i - 1]);
        if (counts[i].f < 0)
            return err_fail(why, ERR_INVALID, "buckets are not cumulative");
    }
    struct histogram_span *span = ARENA_NEW(arena, struct histogram_span);
    span->length = c.count;
    h->positive = (struct histogram_side){
        .spans = span, .counts = counts, .span_count = 1, .bucket_count = c.count};
    h->custom_values = c.bounds;
    h->custom_value_count = c.count - 1;
    *out = histogram_compact(arena, h);
    return OK;
}

err_t load_add_nhcb(const struct load_command *load, struct arena *arena, struct series_lines *out,
                    struct strbuf *why)
{
    struct classic_list list = {
        .arena = arena,
        .items = ARENA_NEW_ARRAY(arena, struct classic_histogram, load->series.count),
        .line_count = load->series.count,
    };
    for (size_t i = 0; i < load->series.count; i++)
        sort_line(&list, &load->series.items[i]);
    out->items = ARENA_NEW_ARRAY(arena, struct series_line, list.count);
    out->count = 0;
    for (size_t i = 0; i < list.count; i++) {
        struct classic_histogram *classic = &list.items[i];
        if (classic->bucket_count == 0)
            continue;
        qsort(classic->buckets, classic->bucket_count, sizeof *classic->buckets, compare_bound);
        struct series_line line = {.labels = classic->labels};
        for (size_t j = 0; j < classic->value_count; j++) {
            const struct histogram *histogram = NULL;
            TRY(convert(arena, classic, j, &histogram, why));
            struct item item = {.kind = histogram == NULL ? ITEM_OMITTED : ITEM_HISTOGRAM,
                                .histogram = histogram};
            item_list_add(arena, &line.values, item);
        }
        out->items[out->count++] = line;
    }
    return OK;
}
