/* Import of an OpenMetrics text.
 *
 * The text may hold its samples in any order. It is walked once per slice: the earliest samples not
 * yet taken, as many as may be in memory (when there are more, the later half is given up again).
 * A slice is sorted by block range, source and time and goes through the head of a scratch database
 * below the target folder; at the end of a range the scratch block is copied to the target. Its
 * flag says that it does not come from the target's head, whose log must not be cut by it.
 */
#include "narthex/tsdb/db_import.h"

#include <stdlib.h>
#include <string.h>

#include "db_maintain.h"
#include "import_series.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/block_merge.h"

static const int64_t RANGE_MS = INT64_C(2) * 60 * 60 * 1000;
static const char SCRATCH_FOLDER[] = "import.tmp";
/* 24 bytes each. */
enum { SLICE_SAMPLES_DEFAULT = 8 << 20, COMMIT_SAMPLES = 1 << 14 };

struct import_sample {
    int64_t t_ms;
    double value;
    uint32_t source;
    uint32_t series;
};

struct import {
    struct db *target;
    const struct db_import_options *options;
    struct db_import_result *result;
    struct import_series series;
    char *scratch_path;
    size_t slice_samples_max;
    struct import_sample *samples;
    size_t sample_count;
    size_t sample_capacity;
    /* the range that is being written */
    struct db *scratch; /* NULL: none */
    int64_t range_ms;   /* its start */
};

static int64_t range_of(int64_t t_ms)
{
    int64_t start = t_ms / RANGE_MS * RANGE_MS;
    return start > t_ms ? start - RANGE_MS : start;
}

/* ---- slices ---- */

static int by_time(const void *a, const void *b)
{
    const struct import_sample *x = a, *y = b;
    return (x->t_ms > y->t_ms) - (x->t_ms < y->t_ms);
}

static int by_row(const void *a, const void *b)
{
    const struct import_sample *x = a, *y = b;
    int64_t x_range = range_of(x->t_ms), y_range = range_of(y->t_ms);
    if (x_range != y_range)
        return x_range < y_range ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

/* Gives up the later half; samples of one time stay together. Returns where the slice ends now. */
static int64_t shrink_slice(struct import *import)
{
    struct import_sample *samples = import->samples;
    size_t count = import->sample_count;
    qsort(samples, count, sizeof *samples, by_time);
    size_t kept = count / 2;
    while (kept > 0 && samples[kept - 1].t_ms == samples[kept].t_ms)
        kept--;
    if (kept == 0) {
        while (kept < count && samples[kept].t_ms == samples[0].t_ms)
            kept++;
    }
    if (kept == count)
        return INT64_MAX; /* all of one time: they have to fit */
    import->sample_count = kept;
    return samples[kept].t_ms;
}

/* Collects the slice that begins at from_ms; *end_ms is where it ends, INT64_MAX if that is the end
 * of the file's samples. */
static err_t collect_slice(struct import *import, int64_t from_ms, int64_t *end_ms,
                           struct strbuf *why)
{
    struct import_series *series = &import->series;
    size_t limit = import->slice_samples_max;
    *end_ms = INT64_MAX;
    import->sample_count = 0;
    import_series_rewind(series);
    for (;;) {
        struct import_entry entry;
        TRY(import_series_next(series, &entry, why));
        if (entry.ended)
            return OK;
        if (entry.t_ms < from_ms || entry.t_ms >= *end_ms)
            continue;
        if (import->sample_count >= limit) {
            int64_t new_end_ms = shrink_slice(import);
            if (new_end_ms == INT64_MAX)
                limit *= 2;
            else
                *end_ms = new_end_ms;
            if (entry.t_ms >= *end_ms)
                continue;
        }
        VEC_PUSH(MEM_BLOCK, import->samples, import->sample_count, import->sample_capacity,
                 (struct import_sample){entry.t_ms, entry.value, entry.source, entry.series});
    }
}

/* ---- ranges ---- */

static err_t begin_range(struct import *import, int64_t range_ms, struct strbuf *why)
{
    TRY(fs_remove_tree(import->target->fs, import->scratch_path, why));
    /* The head takes samples up to half a range late: with twice the range, a source may follow
     * another one from the start. */
    struct db_options options = {
        .path = import->scratch_path,
        .fs = import->target->fs,
        .no_background = true,
        .no_lockfile = true,
        .block_range_ms = 2 * RANGE_MS,
    };
    struct db *scratch;
    TRY(db_open(&options, &scratch, why));
    import->scratch = scratch;
    import->range_ms = range_ms;
    import_series_forget_refs(&import->series);
    return OK;
}

/* Copies a scratch block into the target under a name of its own. */
static err_t copy_block(struct import *import, const char *scratch_ulid, struct strbuf *why)
{
    struct db *target = import->target;
    char *path = db__join(import->scratch_path, scratch_ulid);
    struct block *block;
    err_t err = block_open(path, &block, why);
    mem_free(MEM_BLOCK, path);
    if (err != OK)
        return err;
    struct block_ulid ulid;
    struct block_merge_input input = {.block = block};
    struct block_merge_options options = {.fs = target->fs, .parent = target->path};
    struct block_merge_result result;
    options.meta.level = 1;
    options.meta.flags = BLOCK_FLAG_OUT_OF_ORDER;
    mutex_lock(&target->maintain_lock);
    db__ulid_make(target, &ulid);
    options.meta.ulid = ulid;
    options.meta.sources = &ulid;
    options.meta.source_count = 1;
    err = block_merge(&input, 1, &options, &result, why);
    if (err == OK)
        err = db__adopt_block(target, ulid.text, why);
    mutex_unlock(&target->maintain_lock);
    block_close(block);
    if (err == OK && import->options->block_made != NULL) {
        path = db__join(target->path, ulid.text);
        import->options->block_made(import->options->context, path);
        mem_free(MEM_BLOCK, path);
    }
    import->result->block_count += err == OK;
    return err;
}

/* Makes the scratch database's blocks and copies them to the target. */
static err_t end_range(struct import *import, struct strbuf *why)
{
    if (import->scratch == NULL)
        return OK;
    struct db_block_info *blocks = NULL;
    size_t block_count = 0;
    err_t err = db_flush_head(import->scratch, why);
    if (err == OK)
        block_count = db_blocks(import->scratch, &blocks);
    db_close(import->scratch);
    import->scratch = NULL;
    for (size_t i = 0; i < block_count && err == OK; i++)
        err = copy_block(import, blocks[i].ulid, why);
    mem_free(MEM_BLOCK, blocks);
    return err;
}

/* ---- commits ---- */

struct commit {
    series_ref refs[COMMIT_SAMPLES];
    int64_t t_ms[COMMIT_SAMPLES];
    double values[COMMIT_SAMPLES];
    uint8_t outcomes[COMMIT_SAMPLES];
};

static err_t fail_sample(struct import *import, const struct import_sample *sample, err_t outcome,
                         struct strbuf *why)
{
    const char *fault = outcome == ERR_DUPLICATE ? "two values at" : err_name(outcome);
    return err_fail(why, outcome, "%s: series %.*s: %s %lld", import->series.file_name,
                    STR_ARG(import_series_key(&import->series, sample->series)), fault,
                    (long long)sample->t_ms);
}

static err_t add_samples(struct import *import, struct appender *appender, struct commit *commit,
                         const struct import_sample *samples, size_t count, struct strbuf *why)
{
    for (size_t i = 0; i < count; i++) {
        TRY(import_series_ref(&import->series, samples[i].series, appender, &commit->refs[i], why));
        commit->t_ms[i] = samples[i].t_ms;
        commit->values[i] = samples[i].value;
    }
    struct append_batch batch = {.count = count,
                                 .refs = commit->refs,
                                 .t_ms = commit->t_ms,
                                 .values = commit->values,
                                 .outcomes = commit->outcomes};
    TRY(appender_add(appender, &batch, why));
    for (size_t i = 0; i < count; i++) {
        if (commit->outcomes[i] != OK)
            return fail_sample(import, &samples[i], commit->outcomes[i], why);
    }
    return OK;
}

/* Samples of one source and one range. */
static err_t commit_samples(struct import *import, struct commit *commit,
                            const struct import_sample *samples, size_t count, struct strbuf *why)
{
    struct storage *storage = db_storage(import->scratch);
    struct appender *appender;
    source_ref source =
        storage_source_open(storage, import_series_source(&import->series, samples[0].source));
    TRY(storage_appender_open(storage, &appender, why));
    appender_begin(appender, source, NULL);
    err_t err = OK;
    for (size_t i = 0; i < count && err == OK; i += COMMIT_SAMPLES) {
        size_t chunk = count - i < COMMIT_SAMPLES ? count - i : COMMIT_SAMPLES;
        err = add_samples(import, appender, commit, samples + i, chunk, why);
    }
    if (err == OK)
        err = appender_commit(appender, why);
    else
        appender_rollback(appender);
    appender_close(appender);
    return err;
}

/* Where the commit that begins at `first` ends: a source's samples of one time stay together. */
static size_t commit_end(const struct import *import, size_t first)
{
    const struct import_sample *samples = import->samples;
    size_t i = first + 1;
    for (; i < import->sample_count; i++) {
        if (samples[i].source != samples[first].source ||
            range_of(samples[i].t_ms) != range_of(samples[first].t_ms))
            break;
        if (i - first >= COMMIT_SAMPLES && samples[i].t_ms != samples[i - 1].t_ms)
            break;
    }
    return i;
}

static err_t write_slice(struct import *import, struct commit *commit, struct strbuf *why)
{
    qsort(import->samples, import->sample_count, sizeof *import->samples, by_row);
    for (size_t i = 0; i < import->sample_count;) {
        if (import->options->is_canceled != NULL &&
            import->options->is_canceled(import->options->context))
            return err_fail(why, ERR_CANCELED, "the import was canceled");
        int64_t range_ms = range_of(import->samples[i].t_ms);
        if (import->scratch != NULL && range_ms != import->range_ms)
            TRY(end_range(import, why));
        if (import->scratch == NULL)
            TRY(begin_range(import, range_ms, why));
        size_t end = commit_end(import, i);
        TRY(commit_samples(import, commit, import->samples + i, end - i, why));
        i = end;
        if (import->options->progress != NULL)
            import->options->progress(import->options->context, import->result->sample_count + i);
    }
    return OK;
}

/* ---- the whole ---- */

static void count_samples(struct import *import)
{
    struct db_import_result *result = import->result;
    result->sample_count += import->sample_count;
    for (size_t i = 0; i < import->sample_count; i++) {
        if (import->samples[i].t_ms < result->min_t_ms)
            result->min_t_ms = import->samples[i].t_ms;
        if (import->samples[i].t_ms > result->max_t_ms)
            result->max_t_ms = import->samples[i].t_ms;
    }
}

static err_t write_all(struct import *import, struct strbuf *why)
{
    struct commit *commit = MEM_NEW(MEM_BLOCK, struct commit);
    int64_t from_ms = INT64_MIN;
    err_t err = OK;
    while (err == OK) {
        int64_t end_ms;
        err = collect_slice(import, from_ms, &end_ms, why);
        if (err == OK)
            err = write_slice(import, commit, why);
        if (err == OK)
            count_samples(import);
        if (end_ms == INT64_MAX)
            break;
        from_ms = end_ms;
    }
    if (err == OK)
        err = end_range(import, why);
    if (import->scratch != NULL)
        db_close(import->scratch);
    mem_free(MEM_BLOCK, commit);
    return err;
}

static err_t import_file(struct import *import, struct strbuf *why)
{
    const struct db_import_options *options = import->options;
    TRY(import_series_open(&import->series, options->file,
                           options->name == NULL ? options->file : options->name, why));
    import->scratch_path = db__join(import->target->path, SCRATCH_FOLDER);
    err_t err = write_all(import, why);
    struct strbuf second = STRBUF_INIT;
    if (fs_remove_tree(import->target->fs, import->scratch_path, &second) != OK)
        LOG_WARN("cannot remove what an import left", "err", strbuf_cstr(&second));
    strbuf_deinit(&second);
    mem_free(MEM_BLOCK, import->scratch_path);
    import_series_close(&import->series);
    mem_free(MEM_BLOCK, import->samples);
    return err;
}

err_t db_import_openmetrics(struct db *db, const struct db_import_options *options,
                            struct db_import_result *result, struct strbuf *why)
{
    *result = (struct db_import_result){.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    if (atomic_exchange_explicit(&db->importing, true, memory_order_acquire))
        return err_fail(why, ERR_UNAVAILABLE, "another import is running");
    struct import import = {
        .target = db,
        .options = options,
        .result = result,
        .slice_samples_max =
            options->samples_in_memory == 0 ? SLICE_SAMPLES_DEFAULT : options->samples_in_memory,
    };
    err_t err = import_file(&import, why);
    atomic_store_explicit(&db->importing, false, memory_order_release);
    return err;
}
