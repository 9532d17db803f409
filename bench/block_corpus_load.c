#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_corpus.h"
#include "narthex/base/fs.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/vec.h"
#include "narthex/model/histogram.h"

enum { BODY_BYTES_MAX = 64 << 20 };

/* The job being loaded. */
struct loading {
    struct corpus *corpus;
    const char *job_name;
    uint32_t job;
    struct htable by_key;
    uint64_t *hashes; /* per series of the job */
    uint32_t hash_count;
    uint32_t hash_capacity;
    uint32_t series_base;
};

static bool key_equal(const void *owner, uint32_t item, const void *key)
{
    const struct loading *loading = owner;
    return loading->hashes[item] == *(const uint64_t *)key;
}

static void set_label(struct label_builder *builder, struct arena *arena, struct str name,
                      struct str value)
{
    label_builder_set(builder, arena_str(arena, name), arena_str(arena, value));
}

/* name{a="b",c="d"} */
static struct labels parse_labels(struct loading *loading, struct str key)
{
    struct arena *arena = &loading->corpus->arena;
    struct label_builder builder = {0};
    size_t at = str_find(key, '{', 0);
    size_t name_size = at == SIZE_MAX ? key.size : at;
    set_label(&builder, arena, LABEL_NAME, str_from(key.data, name_size));
    while (at != SIZE_MAX && at + 1 < key.size && key.data[at] != '}') {
        size_t name_start = at + 1;
        size_t equals = str_find(key, '=', name_start);
        if (equals == SIZE_MAX)
            break;
        size_t end = equals + 2;
        while (end < key.size && key.data[end] != '"')
            end += key.data[end] == '\\' ? 2 : 1;
        set_label(&builder, arena, str_from(key.data + name_start, equals - name_start),
                  str_from(key.data + equals + 2, end - equals - 2));
        at = end + 1;
        if (at < key.size && key.data[at] == '}')
            break;
    }
    struct str job = str_from_cstr(loading->job_name);
    set_label(&builder, arena, STR("job"), job);
    set_label(&builder, arena, STR("instance"), arena_printf(arena, "%s:9100", job.data));
    struct labels labels = labels_copy_shallow(arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    return labels;
}

static struct corpus_series *find_series(struct loading *loading, struct str key)
{
    struct corpus *corpus = loading->corpus;
    uint64_t hash = hash_str(key);
    uint32_t item = htable_find(&loading->by_key, hash, key_equal, loading, &hash);
    if (item != HTABLE_NONE)
        return &corpus->series[loading->series_base + item];
    htable_insert(&loading->by_key, hash, loading->hash_count);
    VEC_PUSH(MEM_TEST, loading->hashes, loading->hash_count, loading->hash_capacity, hash);
    struct corpus_series series = {.labels = parse_labels(loading, key), .job = loading->job};
    VEC_PUSH(MEM_TEST, corpus->series, corpus->series_count, corpus->series_capacity, series);
    return &corpus->series[corpus->series_count - 1];
}

static void add_sample(struct corpus *corpus, struct corpus_series *series, uint32_t row, double v)
{
    VEC_RESERVE(MEM_TEST, series->rows, series->row_capacity, series->count + 1);
    VEC_RESERVE(MEM_TEST, series->values, series->value_capacity, series->count + 1);
    series->rows[series->count] = row;
    series->values[series->count++] = v;
    corpus->sample_count++;
}

static void add_body(struct loading *loading, struct str body, uint32_t row)
{
    struct corpus *corpus = loading->corpus;
    for (size_t at = 0; at < body.size;) {
        size_t end = str_find(body, '\n', at);
        if (end == SIZE_MAX)
            end = body.size;
        const char *line = body.data + at;
        const char *space = memrchr(line, ' ', end - at);
        if (end > at && *line != '#' && space != NULL) {
            struct corpus_series *series =
                find_series(loading, str_from(line, (size_t)(space - line)));
            add_sample(corpus, series, row, strtod(space + 1, NULL));
        }
        at = end + 1;
    }
    for (uint32_t i = loading->series_base; i < corpus->series_count; i++) {
        struct corpus_series *series = &corpus->series[i];
        if (series->rows[series->count - 1] + 1 == row &&
            !value_is_stale(series->values[series->count - 1]))
            add_sample(corpus, series, row, double_from_bits(STALE_NAN_BITS));
    }
}

static int64_t to_grid(int64_t t_ms, int64_t grid_ms)
{
    return grid_ms == 0 ? t_ms : (t_ms + grid_ms / 2) / grid_ms * grid_ms;
}

static err_t load_job(struct loading *loading, const char *folder, uint32_t row_step,
                      int64_t grid_ms, struct strbuf *why)
{
    struct corpus_job *job = &loading->corpus->jobs[loading->job];
    struct fs_list names;
    struct strbuf body = STRBUF_INIT;
    struct strbuf path = STRBUF_INIT;
    TRY(fs_list_dir(folder, &names, why));
    err_t err = OK;
    for (size_t i = 0; i < names.count; i += row_step) {
        int64_t t_ms = to_grid(strtoll(names.names[i], NULL, 10), grid_ms);
        if (job->row_count > 0 && t_ms <= job->times_ms[job->row_count - 1])
            continue; /* two scrapes on one grid point */
        strbuf_clear(&path);
        strbuf_clear(&body);
        strbuf_printf(&path, "%s/%s", folder, names.names[i]);
        TRY_OUT(fs_read_file(strbuf_cstr(&path), BODY_BYTES_MAX, &body, why));
        add_body(loading, strbuf_str(&body), job->row_count);
        VEC_PUSH(MEM_TEST, job->times_ms, job->row_count, job->row_capacity, t_ms);
    }
out:
    strbuf_deinit(&body);
    strbuf_deinit(&path);
    fs_list_free(&names);
    return err;
}

static int compare_series(const void *left, const void *right)
{
    return labels_compare(((const struct corpus_series *)left)->labels,
                          ((const struct corpus_series *)right)->labels);
}

err_t corpus_load(struct corpus *corpus, const char *folder, uint32_t row_step, int64_t grid_ms,
                  struct strbuf *why)
{
    struct fs_list names;
    struct strbuf path = STRBUF_INIT;
    arena_init(&corpus->arena, MEM_TEST, SIZE_MAX);
    TRY(fs_list_dir(folder, &names, why));
    corpus->jobs = MEM_NEW_ARRAY(MEM_TEST, struct corpus_job, names.count);
    corpus->job_count = (uint32_t)names.count;
    err_t err = OK;
    for (uint32_t i = 0; i < names.count && err == OK; i++) {
        struct loading loading = {.corpus = corpus,
                                  .job_name = names.names[i],
                                  .job = i,
                                  .series_base = corpus->series_count};
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", folder, names.names[i]);
        htable_init(&loading.by_key, MEM_TEST);
        err = load_job(&loading, strbuf_cstr(&path), row_step, grid_ms, why);
        htable_deinit(&loading.by_key);
        mem_free(MEM_TEST, loading.hashes);
    }
    strbuf_deinit(&path);
    fs_list_free(&names);
    if (corpus->series_count > 0)
        qsort(corpus->series, corpus->series_count, sizeof *corpus->series, compare_series);
    return err;
}

void corpus_deinit(struct corpus *corpus)
{
    for (uint32_t i = 0; i < corpus->series_count; i++) {
        mem_free(MEM_TEST, corpus->series[i].rows);
        mem_free(MEM_TEST, corpus->series[i].values);
    }
    for (uint32_t i = 0; i < corpus->job_count; i++)
        mem_free(MEM_TEST, corpus->jobs[i].times_ms);
    mem_free(MEM_TEST, corpus->series);
    mem_free(MEM_TEST, corpus->jobs);
    arena_deinit(&corpus->arena);
}
