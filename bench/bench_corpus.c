#include "bench_corpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/fs.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "narthex/model/exposition.h"
#include "narthex/model/histogram.h"

enum { BODY_BYTES_MAX = 64 << 20 };

struct loaded_sample {
    uint32_t slot;
    double value;
};

/* The job being loaded. */
struct loading {
    struct corpus *corpus;
    struct exposition *exposition;
    struct htable by_key;
    uint64_t *hashes; /* per slot */
    uint32_t hash_count;
    uint32_t hash_capacity;
    struct corpus_series *series; /* per slot */
    uint32_t series_count;
    uint32_t series_capacity;
    const char *text_start;        /* end of the sample before, in the body */
    struct loaded_sample *samples; /* row after row */
    uint64_t sample_count;
    uint64_t sample_capacity;
    uint64_t *row_starts;
    uint32_t row_count;
    uint32_t row_capacity;
};

void corpus_init(struct corpus *corpus, const char *title)
{
    *corpus = (struct corpus){0};
    arena_init(&corpus->arena, MEM_TEST, SIZE_MAX);
    snprintf(corpus->title, sizeof corpus->title, "%s", title);
}

static void free_job(struct corpus_job *job)
{
    for (uint32_t k = 0; k < job->body_count; k++)
        strbuf_deinit(&job->bodies[k]);
    mem_free(MEM_TEST, job->bodies);
    mem_free(MEM_TEST, job->series);
    mem_free(MEM_TEST, job->times_ms);
    mem_free(MEM_TEST, job->values);
}

void corpus_deinit(struct corpus *corpus)
{
    for (uint32_t i = 0; i < corpus->job_count; i++)
        free_job(&corpus->jobs[i]);
    mem_free(MEM_TEST, corpus->jobs);
    arena_deinit(&corpus->arena);
}

struct corpus_job *corpus_job_add(struct corpus *corpus, const char *name, uint32_t series_count,
                                  uint32_t row_count)
{
    struct corpus_job job = {
        .name = arena_str(&corpus->arena, str_from_cstr(name)).data,
        .series_count = series_count,
        .row_count = row_count,
        .series = MEM_NEW_ARRAY(MEM_TEST, struct corpus_series, series_count + 1),
        .times_ms = MEM_NEW_ARRAY(MEM_TEST, int64_t, row_count + 1),
        .values = mem_alloc(MEM_TEST, ((size_t)series_count * row_count + 1) * sizeof(double)),
    };
    for (size_t i = 0; i < (size_t)series_count * row_count; i++)
        job.values[i] = double_from_bits(CORPUS_ABSENT_BITS);
    VEC_PUSH(MEM_TEST, corpus->jobs, corpus->job_count, corpus->job_capacity, job);
    return &corpus->jobs[corpus->job_count - 1];
}

static bool is_multiple(double v, double scale)
{
    double scaled = v * scale;
    return fabs(scaled) < 0x1p50 && rint(scaled) / scale == v;
}

static void classify_series(struct corpus_job *job, uint32_t slot)
{
    struct corpus_series *series = &job->series[slot];
    bool falls = false, hundredths = true, whole = true, seen = false;
    double first = 0, last = 0;
    for (uint32_t row = 0; row < job->row_count; row++) {
        double v = job->values[(size_t)row * job->series_count + slot];
        if (isnan(v))
            continue;
        falls |= seen && v < last;
        whole &= is_multiple(v, 1);
        hundredths &= is_multiple(v, 100);
        first = seen ? first : v;
        last = v;
        seen = true;
    }
    series->counter = !falls && last > first;
    series->growth = series->counter ? last - first : 0;
    series->scale = whole ? 1 : hundredths ? 100 : 0;
}

void corpus_job_finish(struct corpus *corpus, struct corpus_job *job)
{
    for (uint32_t slot = 0; slot < job->series_count; slot++)
        classify_series(job, slot);
    for (size_t i = 0; i < (size_t)job->series_count * job->row_count; i++)
        corpus->sample_count += !corpus_is_absent(job->values[i]);
    corpus->series_count += job->series_count;
}

static void cut_job(struct corpus_job *job, uint32_t series_count)
{
    for (uint32_t row = 1; row < job->row_count; row++)
        memmove(job->values + (size_t)row * series_count,
                job->values + (size_t)row * job->series_count, series_count * sizeof(double));
    job->series_count = series_count;
}

void corpus_cut(struct corpus *corpus, uint32_t series_count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < corpus->job_count; i++) {
        struct corpus_job *job = &corpus->jobs[i];
        if (job->series_count < series_count) {
            free_job(job);
            continue;
        }
        cut_job(job, series_count);
        corpus->jobs[kept++] = *job;
    }
    corpus->job_count = kept;
    corpus->series_count = (uint64_t)kept * series_count;
}

uint32_t corpus_job_render(const struct corpus_job *job, const double *values, int64_t t_ms,
                           struct strbuf *body)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < job->series_count; slot++) {
        double v = values[slot];
        if (corpus_is_absent(v) || value_is_stale(v))
            continue;
        if (job->series[slot].text.size > 0)
            strbuf_add_str(body, job->series[slot].text);
        else
            labels_print_metric(job->series[slot].labels, body);
        strbuf_add_char(body, ' ');
        size_t size = number_format_general(v, 21, strbuf_reserve(body, NUMBER_TEXT_MAX));
        strbuf_commit(body, size);
        if (t_ms != 0)
            strbuf_printf(body, " %lld", (long long)t_ms);
        strbuf_add_char(body, '\n');
        count++;
    }
    return count;
}

static bool key_equal(const void *owner, uint32_t item, const void *key)
{
    const struct loading *loading = owner;
    return loading->hashes[item] == *(const uint64_t *)key;
}

static struct labels copy_labels(struct loading *loading, const struct exposition_entry *entry)
{
    struct arena *arena = &loading->corpus->arena;
    struct label_builder builder = {0};
    struct label *items;
    uint32_t count;
    exposition_key_labels(EXPOSITION_TEXT, entry->key, entry->type, arena, &items, &count);
    for (uint32_t i = 0; i < count; i++)
        label_builder_set(&builder, items[i].name, items[i].value);
    struct labels labels = labels_copy(arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    return labels;
}

/* Slot of the entry's series; lines mostly follow each other as in the scrape before. */
static uint32_t find_slot(struct loading *loading, const struct exposition_entry *entry,
                          uint32_t guess)
{
    uint64_t hash = hash_str(entry->key);
    if (guess < loading->hash_count && loading->hashes[guess] == hash)
        return guess;
    uint32_t slot = htable_find(&loading->by_key, hash, key_equal, loading, &hash);
    if (slot != HTABLE_NONE)
        return slot;
    htable_insert(&loading->by_key, hash, loading->hash_count);
    VEC_PUSH(MEM_TEST, loading->hashes, loading->hash_count, loading->hash_capacity, hash);
    struct str text = {loading->text_start,
                       (size_t)(entry->key.data + entry->key.size - loading->text_start)};
    struct corpus_series series = {.labels = copy_labels(loading, entry),
                                   .text = arena_str(&loading->corpus->arena, text)};
    VEC_PUSH(MEM_TEST, loading->series, loading->series_count, loading->series_capacity, series);
    return loading->hash_count - 1;
}

static err_t add_body(struct loading *loading, struct str body, struct strbuf *why)
{
    const struct exposition_options options = {0};
    struct exposition_entry entry;
    uint32_t slot = UINT32_MAX;
    loading->text_start = body.data;
    VEC_PUSH(MEM_TEST, loading->row_starts, loading->row_count, loading->row_capacity,
             loading->sample_count);
    exposition_start(loading->exposition, EXPOSITION_TEXT, &options, body);
    for (;;) {
        TRY(exposition_next(loading->exposition, &entry, why));
        if (entry.kind == EXPOSITION_END)
            return OK;
        if (entry.kind != EXPOSITION_SAMPLE)
            continue;
        slot = find_slot(loading, &entry, slot + 1);
        const char *value_end = entry.value_text.data + entry.value_text.size;
        const char *line_end = memchr(value_end, '\n', (size_t)(body.data + body.size - value_end));
        loading->text_start = line_end == NULL ? body.data + body.size : line_end + 1;
        struct loaded_sample sample = {slot, entry.value};
        VEC_PUSH(MEM_TEST, loading->samples, loading->sample_count, loading->sample_capacity,
                 sample);
    }
}

static void fill_matrix(const struct loading *loading, struct corpus_job *job)
{
    size_t width = job->series_count;
    for (uint32_t row = 0; row < job->row_count; row++) {
        uint64_t end =
            row + 1 < loading->row_count ? loading->row_starts[row + 1] : loading->sample_count;
        for (uint64_t i = loading->row_starts[row]; i < end; i++)
            job->values[row * width + loading->samples[i].slot] = loading->samples[i].value;
        for (size_t slot = 0; row > 0 && slot < width; slot++) {
            double before = job->values[(row - 1) * width + slot];
            if (corpus_is_absent(job->values[row * width + slot]) && !corpus_is_absent(before) &&
                !value_is_stale(before))
                job->values[row * width + slot] = double_from_bits(STALE_NAN_BITS);
        }
    }
    for (uint32_t slot = 0; slot < job->series_count; slot++)
        job->series[slot] = loading->series[slot];
}

/* What of a job is read. */
struct load_limits {
    uint32_t row_step;
    uint32_t rows_max;
    uint32_t bodies_max;
};

static err_t load_job(struct loading *loading, const char *folder, const char *name,
                      const struct load_limits *limits, struct strbuf *why)
{
    struct fs_list files;
    struct strbuf path = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    err_t err = OK;
    TRY(fs_list_dir(folder, &files, why));
    struct strbuf *bodies = MEM_NEW_ARRAY(MEM_TEST, struct strbuf, limits->bodies_max + 1);
    int64_t *times_ms = MEM_NEW_ARRAY(MEM_TEST, int64_t, files.count + 1);
    uint32_t rows = 0;
    for (size_t i = 0; i < files.count && rows < limits->rows_max; i += limits->row_step) {
        struct strbuf *into = rows < limits->bodies_max ? &bodies[rows] : &body;
        strbuf_clear(into);
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", folder, files.names[i]);
        TRY_OUT(fs_read_file(strbuf_cstr(&path), BODY_BYTES_MAX, into, why));
        times_ms[rows++] = strtoll(files.names[i], NULL, 10);
        TRY_OUT(add_body(loading, strbuf_str(into), why));
    }
    struct corpus_job *job = corpus_job_add(loading->corpus, name, loading->hash_count, rows);
    memcpy(job->times_ms, times_ms, rows * sizeof *times_ms);
    fill_matrix(loading, job);
    corpus_job_finish(loading->corpus, job);
    job->bodies = bodies;
    job->body_count = rows < limits->bodies_max ? rows : limits->bodies_max;
    bodies = NULL;
out:
    mem_free(MEM_TEST, bodies);
    mem_free(MEM_TEST, times_ms);
    strbuf_deinit(&path);
    strbuf_deinit(&body);
    fs_list_free(&files);
    return err;
}

err_t corpus_load(struct corpus *corpus, const char *folder, uint32_t row_step, uint32_t rows_max,
                  uint32_t bodies_max, struct strbuf *why)
{
    const struct load_limits limits = {row_step, rows_max, bodies_max};
    struct fs_list names;
    struct strbuf path = STRBUF_INIT;
    corpus_init(corpus, "recorded scrapes");
    TRY(fs_list_dir(folder, &names, why));
    struct exposition *exposition = exposition_create();
    err_t err = OK;
    for (size_t i = 0; i < names.count && err == OK; i++) {
        struct loading loading = {.corpus = corpus, .exposition = exposition};
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", folder, names.names[i]);
        htable_init(&loading.by_key, MEM_TEST);
        err = load_job(&loading, strbuf_cstr(&path), names.names[i], &limits, why);
        htable_deinit(&loading.by_key);
        mem_free(MEM_TEST, loading.hashes);
        mem_free(MEM_TEST, loading.series);
        mem_free(MEM_TEST, loading.samples);
        mem_free(MEM_TEST, loading.row_starts);
    }
    exposition_destroy(exposition);
    strbuf_deinit(&path);
    fs_list_free(&names);
    if (err == OK && corpus->sample_count == 0)
        return err_fail(why, ERR_NOT_FOUND, "%s holds no scrapes", folder);
    return err;
}
