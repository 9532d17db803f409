#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column_corpus.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/column.h"

/* One series of the job being loaded. */
struct loading_series {
    uint64_t key_hash;
    uint32_t last_row; /* last row with a sample or a stale marker, over the whole job */
    bool present;      /* in last_row, and not as a stale marker */
    uint32_t count;    /* values of this window */
    double values[COLUMN_ROWS_MAX];
};

struct loading {
    struct corpus_columns *columns;
    struct htable by_key;
    struct loading_series *series;
    uint32_t series_count;
    uint32_t series_capacity;
    uint32_t slot_base;
};

void corpus_columns_add(struct corpus_columns *columns, uint32_t slot, const double *values,
                        uint32_t row_count)
{
    VEC_RESERVE(MEM_TEST, columns->values, columns->value_capacity,
                columns->value_count + row_count);
    memcpy(columns->values + columns->value_count, values, row_count * sizeof *values);
    VEC_PUSH(MEM_TEST, columns->items, columns->count, columns->capacity,
             (struct corpus_column){slot, row_count, columns->value_count});
    columns->value_count += row_count;
}

static bool key_equal(const void *owner, uint32_t item, const void *key)
{
    const struct loading *loading = owner;
    return loading->series[item].key_hash == *(const uint64_t *)key;
}

static struct loading_series *find_series(struct loading *loading, const char *key, size_t size)
{
    uint64_t hash = hash_bytes(key, size);
    uint32_t item = htable_find(&loading->by_key, hash, key_equal, loading, &hash);
    if (item != HTABLE_NONE)
        return &loading->series[item];
    htable_insert(&loading->by_key, hash, loading->series_count);
    VEC_RESERVE(MEM_TEST, loading->series, loading->series_capacity, loading->series_count + 1);
    struct loading_series *series = &loading->series[loading->series_count++];
    series->key_hash = hash;
    series->last_row = 0;
    series->present = false;
    series->count = 0;
    return series;
}

static void add_line(struct loading *loading, const char *line, const char *end, uint32_t row)
{
    const char *space = memrchr(line, ' ', (size_t)(end - line));
    if (line == end || *line == '#' || space == NULL)
        return;
    struct loading_series *series = find_series(loading, line, (size_t)(space - line));
    series->values[series->count++] = strtod(space + 1, NULL);
    series->last_row = row;
    series->present = true;
}

static double stale_marker(void)
{
    uint64_t bits = 0x7ff0000000000002;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void mark_missing(struct loading *loading, uint32_t row)
{
    for (uint32_t i = 0; i < loading->series_count; i++) {
        struct loading_series *series = &loading->series[i];
        if (!series->present || series->last_row == row)
            continue;
        series->values[series->count++] = stale_marker();
        series->present = false;
    }
}

static void end_window(struct loading *loading, uint32_t row_count)
{
    struct corpus_columns *columns = loading->columns;
    VEC_PUSH(MEM_TEST, columns->window_rows, columns->window_count, columns->window_capacity,
             row_count);
    for (uint32_t i = 0; i < loading->series_count; i++) {
        struct loading_series *series = &loading->series[i];
        if (series->count > 0)
            corpus_columns_add(columns, loading->slot_base + i, series->values, series->count);
        series->count = 0;
    }
}

static err_t read_body(const char *path, struct strbuf *body, struct strbuf *why)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return err_fail_errno(why, errno, "%s", path);
    char chunk[65536];
    size_t size;
    strbuf_clear(body);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        strbuf_add(body, chunk, size);
    fclose(file);
    return OK;
}

static int is_text(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

static int is_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type == DT_DIR;
}

static void free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static void add_body(struct loading *loading, const struct strbuf *body, uint32_t row)
{
    const char *at = body->data;
    const char *end = body->data + body->size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        add_line(loading, at, line_end, row);
        at = line_end + 1;
    }
    mark_missing(loading, row);
}

static err_t load_job(struct loading *loading, const char *folder, uint32_t row_step,
                      uint32_t window_rows, struct strbuf *why)
{
    struct dirent **names;
    int name_count = scandir(folder, &names, is_text, alphasort);
    if (name_count < 0)
        return err_fail_errno(why, errno, "%s", folder);
    struct corpus_columns *columns = loading->columns;
    struct strbuf body = {0};
    struct strbuf path = {0};
    err_t err = OK;
    uint32_t row = 0;
    for (int i = 0; i < name_count; i += (int)row_step) {
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", folder, names[i]->d_name);
        TRY_OUT(read_body(strbuf_cstr(&path), &body, why));
        VEC_PUSH(MEM_TEST, columns->times_ms, columns->time_count, columns->time_capacity,
                 strtoll(names[i]->d_name, NULL, 10));
        add_body(loading, &body, ++row);
        if (row % window_rows == 0)
            end_window(loading, window_rows);
    }
    if (row % window_rows != 0)
        end_window(loading, row % window_rows);
out:
    strbuf_deinit(&body);
    strbuf_deinit(&path);
    free_names(names, name_count);
    return err;
}

err_t corpus_columns_load(struct corpus_columns *columns, const char *folder, uint32_t row_step,
                          uint32_t window_rows, struct strbuf *why)
{
    struct dirent **names;
    int name_count = scandir(folder, &names, is_folder, alphasort);
    if (name_count < 0)
        return err_fail_errno(why, errno, "%s", folder);
    struct strbuf path = {0};
    err_t err = OK;
    for (int i = 0; i < name_count && err == OK; i++) {
        struct loading loading = {.columns = columns, .slot_base = columns->slot_count};
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/%s", folder, names[i]->d_name);
        htable_init(&loading.by_key, MEM_TEST);
        err = load_job(&loading, strbuf_cstr(&path), row_step, window_rows, why);
        columns->slot_count += loading.series_count;
        htable_deinit(&loading.by_key);
        mem_free(MEM_TEST, loading.series);
    }
    strbuf_deinit(&path);
    free_names(names, name_count);
    return err;
}

void corpus_columns_deinit(struct corpus_columns *columns)
{
    mem_free(MEM_TEST, columns->values);
    mem_free(MEM_TEST, columns->items);
    mem_free(MEM_TEST, columns->times_ms);
    mem_free(MEM_TEST, columns->window_rows);
    *columns = (struct corpus_columns){0};
}
