#include "reference_store.h"

#include <assert.h>
#include <stdlib.h>

#include "narthex/base/thread.h"
#include "narthex/base/vec.h"

#include "reference_data.h"

enum { EXEMPLAR_LABEL_BYTES_MAX = 128 };

/* ---- sources and the store ---- */

static source_ref store_source_open(struct storage *storage, uint64_t key)
{
    (void)storage;
    return key == 0 ? 1 : key;
}

static void store_source_close(struct storage *storage, source_ref source)
{
    (void)storage;
    (void)source;
}

static err_t store_delete(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                          struct selector selector, struct strbuf *why)
{
    (void)why;
    struct reference_store *store = (struct reference_store *)storage;
    mutex_lock(&store->mutex);
    uint64_t now = ++store->commit_last;
    for (size_t i = 0; i < store->count; i++) {
        struct reference_series *series = store->series[i];
        if (!matchers_match(selector.matchers, selector.count, series->labels))
            continue;
        for (size_t j = 0; j < series->count; j++) {
            struct reference_sample *sample = &series->samples[j];
            bool visible = sample->committed != 0 && sample->deleted == 0;
            if (visible && sample->t_ms >= min_t_ms && sample->t_ms <= max_t_ms)
                sample->deleted = now;
        }
    }
    mutex_unlock(&store->mutex);
    return OK;
}

static bool store_time_range(struct storage *storage, int64_t *min_t_ms, int64_t *max_t_ms)
{
    struct reference_store *store = (struct reference_store *)storage;
    bool found = false;
    *min_t_ms = INT64_MAX;
    *max_t_ms = INT64_MIN;
    mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count; i++) {
        const struct reference_series *series = store->series[i];
        for (size_t j = 0; j < series->count; j++) {
            const struct reference_sample *sample = &series->samples[j];
            if (!reference_sample_visible(sample, store->commit_last))
                continue;
            found = true;
            if (sample->t_ms < *min_t_ms)
                *min_t_ms = sample->t_ms;
            if (sample->t_ms > *max_t_ms)
                *max_t_ms = sample->t_ms;
        }
    }
    mutex_unlock(&store->mutex);
    return found;
}

/* ---- appending ---- */

struct reference_appender {
    struct appender appender;
    struct reference_store *store;
    struct append_options options;
    uint64_t transaction;
    struct reference_series **touched;
    size_t touched_count;
    size_t touched_capacity;
};

static void touch(struct reference_appender *appender, struct reference_series *series)
{
    if (appender->touched_count > 0 && appender->touched[appender->touched_count - 1] == series)
        return;
    VEC_PUSH(MEM_TEST, appender->touched, appender->touched_count, appender->touched_capacity,
             series);
}

static void append_begin(struct appender *handle, source_ref source,
                         const struct append_options *options)
{
    (void)source;
    struct reference_appender *appender = (struct reference_appender *)handle;
    appender->options = options == NULL ? (struct append_options){.t_max_ms = 0} : *options;
    appender->touched_count = 0;
    mutex_lock(&appender->store->mutex);
    appender->transaction = ++appender->store->transaction_last;
    mutex_unlock(&appender->store->mutex);
}

static err_t append_series(struct appender *handle, struct labels labels, series_ref *ref,
                           bool *created, struct strbuf *why)
{
    (void)why;
    struct reference_store *store = ((struct reference_appender *)handle)->store;
    mutex_lock(&store->mutex);
    *ref = reference_store__series(store, labels, created);
    mutex_unlock(&store->mutex);
    return OK;
}

static struct reference_series *series_of(struct reference_store *store, series_ref ref)
{
    return ref >= 1 && ref <= store->count ? store->series[ref - 1] : NULL;
}

static struct reference_sample batch_sample(const struct append_batch *batch, size_t index)
{
    struct reference_sample sample = {
        .t_ms = batch->t_ms == NULL ? batch->t_all_ms : batch->t_ms[index],
        .start_t_ms = batch->start_t_ms == NULL ? 0 : batch->start_t_ms[index],
    };
    if (batch->histograms != NULL && batch->histograms[index] != NULL)
        sample.histogram = batch->histograms[index];
    else
        sample.value = batch->values[index];
    return sample;
}

static bool same_sample(const struct reference_sample *a, const struct reference_sample *b)
{
    if ((a->histogram == NULL) != (b->histogram == NULL))
        return false;
    if (a->histogram != NULL)
        return histogram_identical(a->histogram, b->histogram);
    return double_bits(a->value) == double_bits(b->value);
}

enum verdict { LEAVE_OUT, ADD_IN_ORDER, ADD_LATE };

/* A sample that cannot go behind the newest one of its series. */
static err_t judge_late(const struct reference_store *store, int64_t t_ms, bool silent,
                        err_t refusal, enum verdict *verdict)
{
    if (store->out_of_order_window_ms > 0) {
        int64_t newest_ms =
            store->floor_ms > store->newest_ms ? store->floor_ms - 1 : store->newest_ms;
        bool too_old = newest_ms != INT64_MIN && t_ms < newest_ms - store->out_of_order_window_ms;
        refusal = too_old ? ERR_TOO_OLD : OK;
    }
    if (refusal == OK && !silent)
        *verdict = ADD_LATE;
    return silent ? OK : refusal;
}

/* OK with LEAVE_OUT means that the sample is left out without a word. */
static err_t judge(const struct reference_appender *appender, const struct reference_series *series,
                   const struct reference_sample *sample, bool in_order_only, enum verdict *verdict)
{
    const struct reference_store *store = appender->store;
    *verdict = LEAVE_OUT;
    if (appender->options.t_max_ms != 0 && sample->t_ms > appender->options.t_max_ms)
        return ERR_OUT_OF_BOUNDS;
    struct strbuf why = STRBUF_INIT;
    bool valid = sample->histogram == NULL || histogram_is_stale(sample->histogram) ||
                 histogram_validate(sample->histogram, &why) == OK;
    strbuf_deinit(&why);
    if (!valid)
        return ERR_INVALID;
    bool stale = sample->histogram == NULL ? value_is_stale(sample->value)
                                           : histogram_is_stale(sample->histogram);
    bool silent = appender->options.discard_out_of_order || stale || in_order_only;
    int64_t min_t_ms = store->floor_ms;
    if (store->window_range_ms != 0 && store->newest_ms != INT64_MIN &&
        store->newest_ms - store->window_range_ms / 2 > min_t_ms)
        min_t_ms = store->newest_ms - store->window_range_ms / 2;
    if (sample->t_ms < min_t_ms)
        return judge_late(store, sample->t_ms, silent, ERR_OUT_OF_BOUNDS, verdict);
    const struct reference_sample *last = &series->original_last;
    if (!series->has_last || sample->t_ms > last->t_ms) {
        *verdict = ADD_IN_ORDER;
        return OK;
    }
    if (sample->t_ms < last->t_ms)
        return judge_late(store, sample->t_ms, silent, ERR_OUT_OF_ORDER, verdict);
    return silent || same_sample(sample, last) ? OK : ERR_DUPLICATE;
}

static err_t append_add(struct appender *handle, const struct append_batch *batch,
                        struct strbuf *why)
{
    (void)why;
    struct reference_appender *appender = (struct reference_appender *)handle;
    struct reference_store *store = appender->store;
    mutex_lock(&store->mutex);
    for (size_t i = 0; i < batch->count; i++) {
        struct reference_series *series = series_of(store, batch->refs[i]);
        if (series == NULL) {
            batch->outcomes[i] = (uint8_t)ERR_STALE_REF;
            continue;
        }
        struct reference_sample sample = batch_sample(batch, i);
        enum verdict verdict;
        batch->outcomes[i] =
            (uint8_t)judge(appender, series, &sample,
                           batch->in_order_only != NULL && batch->in_order_only[i], &verdict);
        if (verdict == LEAVE_OUT)
            continue;
        sample.transaction = appender->transaction;
        if (verdict == ADD_LATE)
            reference_series__insert(store, series, sample);
        else
            reference_series__append(store, series, sample);
        touch(appender, series);
    }
    mutex_unlock(&store->mutex);
    return OK;
}

static err_t append_exemplar(struct appender *handle, series_ref ref,
                             const struct exemplar *exemplar, struct strbuf *why)
{
    struct reference_appender *appender = (struct reference_appender *)handle;
    struct reference_store *store = appender->store;
    size_t bytes = 0;
    for (uint32_t i = 0; i < exemplar->labels.count; i++)
        bytes += exemplar->labels.items[i].name.size + exemplar->labels.items[i].value.size;
    if (bytes > EXEMPLAR_LABEL_BYTES_MAX)
        return err_fail(why, ERR_INVALID, "exemplar labels are longer than %d bytes",
                        EXEMPLAR_LABEL_BYTES_MAX);
    mutex_lock(&store->mutex);
    struct reference_series *series = series_of(store, ref);
    err_t err = series == NULL ? ERR_STALE_REF : OK;
    if (err == OK && series->exemplar_count > 0) {
        const struct exemplar *last = &series->exemplars[series->exemplar_count - 1].exemplar;
        if (exemplar->t_ms < last->t_ms)
            err = ERR_OUT_OF_ORDER;
        else if (exemplar->t_ms == last->t_ms && exemplar->value == last->value &&
                 labels_equal(exemplar->labels, last->labels))
            err = ERR_DUPLICATE;
    }
    if (err == OK) {
        struct reference_exemplar copy = {.exemplar = *exemplar,
                                          .transaction = appender->transaction};
        copy.exemplar.labels = labels_copy(&store->arena, exemplar->labels);
        VEC_PUSH(MEM_TEST, series->exemplars, series->exemplar_count, series->exemplar_capacity,
                 copy);
        touch(appender, series);
    }
    mutex_unlock(&store->mutex);
    return err == OK ? OK : err_fail(why, err, "exemplar: %s", err_name(err));
}

static err_t append_metadata(struct appender *handle, series_ref ref,
                             const struct metadata *metadata, struct strbuf *why)
{
    struct reference_store *store = ((struct reference_appender *)handle)->store;
    mutex_lock(&store->mutex);
    struct reference_series *series = series_of(store, ref);
    if (series != NULL) {
        series->metadata = *metadata;
        series->metadata.help = arena_str(&store->arena, metadata->help);
        series->metadata.unit = arena_str(&store->arena, metadata->unit);
    }
    mutex_unlock(&store->mutex);
    return series != NULL ? OK : err_fail(why, ERR_STALE_REF, "no such series");
}

static err_t append_commit(struct appender *handle, struct strbuf *why)
{
    (void)why;
    struct reference_appender *appender = (struct reference_appender *)handle;
    struct reference_store *store = appender->store;
    mutex_lock(&store->mutex);
    uint64_t now = ++store->commit_last;
    for (size_t i = 0; i < appender->touched_count; i++) {
        struct reference_series *series = appender->touched[i];
        for (size_t j = 0; j < series->count; j++) {
            struct reference_sample *sample = &series->samples[j];
            if (sample->committed == 0 && sample->transaction == appender->transaction)
                sample->committed = now;
            if (sample->committed == now && !sample->late && sample->t_ms > store->newest_ms)
                store->newest_ms = sample->t_ms;
        }
        for (size_t j = 0; j < series->exemplar_count; j++) {
            struct reference_exemplar *exemplar = &series->exemplars[j];
            if (exemplar->committed == 0 && exemplar->transaction == appender->transaction)
                exemplar->committed = now;
        }
    }
    appender->touched_count = 0;
    mutex_unlock(&store->mutex);
    return OK;
}

static void append_rollback(struct appender *handle)
{
    struct reference_appender *appender = (struct reference_appender *)handle;
    mutex_lock(&appender->store->mutex);
    for (size_t i = 0; i < appender->touched_count; i++)
        reference_series__forget(appender->touched[i], appender->transaction);
    appender->touched_count = 0;
    mutex_unlock(&appender->store->mutex);
}

static void append_close(struct appender *handle)
{
    struct reference_appender *appender = (struct reference_appender *)handle;
    mem_free(MEM_TEST, appender->touched);
    mem_free(MEM_TEST, appender);
}

static const struct appender_ops appender_ops = {
    .begin = append_begin,
    .series = append_series,
    .add = append_add,
    .add_exemplar = append_exemplar,
    .set_metadata = append_metadata,
    .commit = append_commit,
    .rollback = append_rollback,
    .close = append_close,
};

static err_t store_appender_open(struct storage *storage, struct appender **out, struct strbuf *why)
{
    (void)why;
    struct reference_appender *appender = MEM_NEW(MEM_TEST, struct reference_appender);
    appender->appender.ops = &appender_ops;
    appender->store = (struct reference_store *)storage;
    *out = &appender->appender;
    return OK;
}

static const struct storage_ops storage_ops = {
    .source_open = store_source_open,
    .source_close = store_source_close,
    .appender_open = store_appender_open,
    .querier_open = reference_store__querier_open,
    .delete_samples = store_delete,
    .cardinality = reference_store__cardinality,
    .time_range = store_time_range,
};

struct storage *reference_store_create(void)
{
    struct reference_store *store = MEM_NEW(MEM_TEST, struct reference_store);
    store->storage.ops = &storage_ops;
    store->floor_ms = INT64_MIN;
    store->newest_ms = INT64_MIN;
    mutex_init(&store->mutex);
    arena_init(&store->arena, MEM_TEST, SIZE_MAX);
    htable_init(&store->by_labels, MEM_TEST);
    return &store->storage;
}

void reference_store_set_window(struct storage *storage, int64_t out_of_order_window_ms,
                                int64_t window_range_ms)
{
    struct reference_store *store = (struct reference_store *)storage;
    mutex_lock(&store->mutex);
    store->out_of_order_window_ms = out_of_order_window_ms;
    store->window_range_ms = window_range_ms;
    mutex_unlock(&store->mutex);
}

void reference_store_flush(struct storage *storage)
{
    struct reference_store *store = (struct reference_store *)storage;
    mutex_lock(&store->mutex);
    if (store->newest_ms != INT64_MIN)
        store->floor_ms = store->newest_ms + 1;
    mutex_unlock(&store->mutex);
}

void reference_store_destroy(struct storage *storage)
{
    struct reference_store *store = (struct reference_store *)storage;
    for (size_t i = 0; i < store->count; i++) {
        mem_free(MEM_TEST, store->series[i]->samples);
        mem_free(MEM_TEST, store->series[i]->exemplars);
    }
    mem_free(MEM_TEST, store->series);
    htable_deinit(&store->by_labels);
    arena_deinit(&store->arena);
    mutex_deinit(&store->mutex);
    mem_free(MEM_TEST, store);
}
