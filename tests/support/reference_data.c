#include "reference_data.h"

#include "narthex/base/vec.h"

static bool series_has_labels(const void *owner, uint32_t item, const void *key)
{
    const struct reference_store *store = owner;
    return labels_equal(store->series[item]->labels, *(const struct labels *)key);
}

series_ref reference_store__series(struct reference_store *store, struct labels labels,
                                   bool *created)
{
    uint64_t hash = labels_hash(labels);
    uint32_t item = htable_find(&store->by_labels, hash, series_has_labels, store, &labels);
    *created = item == HTABLE_NONE;
    if (!*created)
        return (series_ref)item + 1;
    struct reference_series *series = ARENA_NEW(&store->arena, struct reference_series);
    series->labels = labels_copy(&store->arena, labels);
    VEC_PUSH(MEM_TEST, store->series, store->count, store->capacity, series);
    htable_insert(&store->by_labels, hash, (uint32_t)(store->count - 1));
    return store->count;
}

/* ---- counter runs ---- */

static double count_as_double(const struct histogram *h, union histogram_count count)
{
    return h->kind == HISTOGRAM_INTEGER ? (double)count.i : count.f;
}

/* Count of the bucket with this index; 0 if the layout does not have it. */
static double bucket_at(const struct histogram *h, const struct histogram_side *side,
                        int64_t wanted)
{
    int64_t index = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t j = 0; j < side->spans[i].length; j++, at++, index++) {
            if (index == wanted)
                return count_as_double(h, side->counts[at]);
        }
    }
    return 0;
}

static bool side_decreases(const struct histogram *before, const struct histogram_side *from,
                           const struct histogram *after, const struct histogram_side *to)
{
    int64_t index = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < from->span_count; i++) {
        index += from->spans[i].offset;
        for (uint32_t j = 0; j < from->spans[i].length; j++, at++, index++) {
            double old_count = count_as_double(before, from->counts[at]);
            if (bucket_at(after, to, index) < old_count)
                return true;
        }
    }
    return false;
}

static bool same_bounds(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema || a->custom_value_count != b->custom_value_count)
        return false;
    for (uint32_t i = 0; i < a->custom_value_count; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return a->zero_threshold == b->zero_threshold;
}

/* Whether `after` can follow `before` in one run of a counter. */
static bool continues_run(const struct histogram *before, const struct histogram *after)
{
    if (before->hint == HISTOGRAM_HINT_GAUGE || after->hint == HISTOGRAM_HINT_RESET)
        return false;
    if (histogram_is_stale(before) || histogram_is_stale(after))
        return histogram_is_stale(after);
    if (!same_bounds(before, after))
        return false;
    return count_as_double(after, after->count) >= count_as_double(before, before->count) &&
           count_as_double(after, after->zero_count) >=
               count_as_double(before, before->zero_count) &&
           !side_decreases(before, &before->positive, after, &after->positive) &&
           !side_decreases(before, &before->negative, after, &after->negative);
}

/* ---- samples ---- */

static struct histogram *stored_histogram(struct reference_store *store,
                                          const struct reference_sample *before,
                                          const struct histogram *histogram)
{
    struct histogram *copy = histogram_copy(&store->arena, histogram);
    if (histogram->hint == HISTOGRAM_HINT_GAUGE)
        return copy;
    bool follows =
        before != NULL && before->histogram != NULL && continues_run(before->histogram, histogram);
    copy->hint = follows ? HISTOGRAM_HINT_NOT_RESET : HISTOGRAM_HINT_UNKNOWN;
    return copy;
}

void reference_series__append(struct reference_store *store, struct reference_series *series,
                              struct reference_sample sample)
{
    const struct reference_sample *before =
        series->count == 0 ? NULL : &series->samples[series->count - 1];
    series->has_last = true;
    struct histogram stale = {.kind = HISTOGRAM_FLOAT, .sum = sample.value};
    series->original_last = sample;
    if (sample.histogram != NULL)
        series->original_last.histogram = histogram_copy(&store->arena, sample.histogram);
    /* The end of a series of histograms is itself a histogram. */
    if (sample.histogram == NULL && value_is_stale(sample.value) && before != NULL &&
        before->histogram != NULL) {
        stale.kind = before->histogram->kind;
        sample.histogram = &stale;
    }
    if (sample.histogram != NULL)
        sample.histogram = stored_histogram(store, before, sample.histogram);
    VEC_PUSH(MEM_TEST, series->samples, series->count, series->capacity, sample);
}

void reference_series__insert(struct reference_store *store, struct reference_series *series,
                              struct reference_sample sample)
{
    size_t at = series->count;
    while (at > 0 && series->samples[at - 1].t_ms > sample.t_ms)
        at--;
    for (size_t i = at; i > 0 && series->samples[i - 1].t_ms == sample.t_ms; i--) {
        if (series->samples[i - 1].deleted == 0)
            return;
    }
    if (sample.histogram != NULL)
        sample.histogram = stored_histogram(store, NULL, sample.histogram);
    sample.late = true;
    VEC_PUSH(MEM_TEST, series->samples, series->count, series->capacity, sample);
    for (size_t i = series->count - 1; i > at; i--)
        series->samples[i] = series->samples[i - 1];
    series->samples[at] = sample;
}

void reference_series__forget(struct reference_series *series, uint64_t transaction)
{
    size_t kept = 0;
    for (size_t i = 0; i < series->count; i++) {
        const struct reference_sample *sample = &series->samples[i];
        if (sample->committed != 0 || sample->transaction != transaction)
            series->samples[kept++] = *sample;
    }
    series->count = kept;
    while (kept > 0 && series->samples[kept - 1].late)
        kept--;
    series->has_last = kept > 0;
    if (kept > 0)
        series->original_last = series->samples[kept - 1];
    kept = 0;
    for (size_t i = 0; i < series->exemplar_count; i++) {
        const struct reference_exemplar *exemplar = &series->exemplars[i];
        if (exemplar->committed != 0 || exemplar->transaction != transaction)
            series->exemplars[kept++] = *exemplar;
    }
    series->exemplar_count = kept;
}
