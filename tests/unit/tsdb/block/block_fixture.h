/* A random block held plainly in memory, written through the writer and compared with the reader.
 * Everything follows from the seed. Included by the tests of this folder only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/model/histogram.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/tombstones.h"

enum { MODEL_WINDOWS_MAX = 12, MODEL_LABELS_MAX = 5 };

struct model_random {
    uint64_t state;
};

static inline uint64_t random_next(struct model_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t random_below(struct model_random *random, uint32_t limit)
{
    return (uint32_t)(random_next(random) % limit);
}

struct model_window {
    uint32_t row_count;
    int64_t times[COLUMN_ROWS_MAX];
};

struct model_group {
    uint64_t key;
    uint32_t window_count;
    struct model_window *windows;
};

/* One column with its samples. */
struct model_column {
    enum block_column_kind kind;
    bool cut;
    bool has_start_times;
    bool has_stats;
    uint32_t group;
    uint32_t window;
    uint32_t count;
    uint8_t rows[COLUMN_ROWS_MAX];
    double values[COLUMN_ROWS_MAX];
    int64_t start_times[COLUMN_ROWS_MAX];
    uint8_t *bytes; /* histogram: a byte `unit`, then so many bytes per sample */
    size_t size;
};

struct model_series {
    uint32_t label_count;
    char names[MODEL_LABELS_MAX][16];
    char values[MODEL_LABELS_MAX][24];
    struct model_column *columns;
    uint32_t column_count;
    uint32_t column_capacity;
};

struct model {
    struct model_random random;
    struct model_group *groups;
    uint32_t group_count;
    struct model_series *series;
    uint32_t series_count;
};

/* ---- making one ---- */

static inline void model_make_groups(struct model *model, int64_t start_ms)
{
    struct model_random *random = &model->random;
    model->groups = MEM_NEW_ARRAY(MEM_TEST, struct model_group, model->group_count);
    for (uint32_t g = 0; g < model->group_count; g++) {
        struct model_group *group = &model->groups[g];
        group->key = 1000 + g; /* the same in every model */
        group->window_count = 1 + random_below(random, MODEL_WINDOWS_MAX);
        group->windows = MEM_NEW_ARRAY(MEM_TEST, struct model_window, group->window_count);
        int64_t t = start_ms + random_below(random, 1000);
        for (uint32_t w = 0; w < group->window_count; w++) {
            struct model_window *window = &group->windows[w];
            window->row_count = random_below(random, 3) == 0 ? 1 + random_below(random, 239) : 240;
            bool jitter = random_below(random, 2) == 0;
            for (uint32_t row = 0; row < window->row_count; row++) {
                window->times[row] = t;
                t += 1000 + (jitter ? (int64_t)random_below(random, 20) : 0);
            }
        }
    }
}

static inline void model_fill_values(struct model_random *random, struct model_column *column)
{
    uint32_t shape = random_below(random, 6);
    double v = random_below(random, 1000);
    for (uint32_t i = 0; i < column->count; i++) {
        if (shape == 1)
            v += random_below(random, 100);
        else if (shape == 2)
            v += (random_below(random, 200) - 100.0) / 100;
        else if (shape == 3)
            v = double_from_bits(random_next(random));
        else if (shape == 4 && i + 1 == column->count)
            v = double_from_bits(STALE_NAN_BITS);
        column->values[i] = v;
    }
}

static inline void model_make_column(struct model *model, struct model_column *column, uint32_t g,
                                     uint32_t w, uint32_t row_from, uint32_t row_end)
{
    struct model_random *random = &model->random;
    *column = (struct model_column){.group = g, .window = w};
    uint32_t thinning = random_below(random, 3) == 0 ? 2 + random_below(random, 10) : 0;
    for (uint32_t row = row_from; row < row_end; row++) {
        if (thinning == 0 || random_below(random, thinning) != 0)
            column->rows[column->count++] = (uint8_t)row;
    }
    if (column->count == 0)
        column->rows[column->count++] = (uint8_t)row_from;
    column->cut = random_below(random, 8) == 0;
    column->has_stats = random_below(random, 8) != 0;
    column->has_start_times = random_below(random, 6) == 0;
    model_fill_values(random, column);
    for (uint32_t i = 0; i < column->count; i++)
        column->start_times[i] = (int64_t)random_below(random, 3) * 1000;
    if (random_below(random, 6) == 0) {
        column->kind = BLOCK_COLUMN_HISTOGRAM;
        column->has_stats = false;
        size_t unit = 1 + random_below(random, random_below(random, 20) == 0 ? 200 : 10);
        column->size = 1 + unit * column->count;
        column->bytes = mem_alloc(MEM_TEST, column->size);
        column->bytes[0] = (uint8_t)unit;
        for (size_t i = 1; i < column->size; i++)
            column->bytes[i] = (uint8_t)random_below(random, 7);
    }
}

static inline void model_add_column(struct model *model, struct model_series *series, uint32_t g,
                                    uint32_t w, uint32_t row_from, uint32_t row_end)
{
    VEC_RESERVE(MEM_TEST, series->columns, series->column_capacity, series->column_count + 1);
    model_make_column(model, &series->columns[series->column_count++], g, w, row_from, row_end);
}

/* Columns in the windows [from, end) of a group; constants over several windows are common. */
static inline void model_make_run(struct model *model, struct model_series *series, uint32_t g,
                                  uint32_t from, uint32_t end)
{
    struct model_random *random = &model->random;
    uint32_t style = random_below(random, 3);
    double constant = random_below(random, 3);
    for (uint32_t w = from; w < end; w++) {
        uint32_t rows = model->groups[g].windows[w].row_count;
        if (style == 2 && random_below(random, 3) == 0)
            continue;
        if (style == 1) {
            uint32_t shown = random_below(random, 5) == 0 ? 1 + random_below(random, rows) : rows;
            model_add_column(model, series, g, w, 0, shown);
            struct model_column *column = &series->columns[series->column_count - 1];
            if (column->kind == BLOCK_COLUMN_FLOAT) {
                for (uint32_t i = 0; i < column->count; i++)
                    column->values[i] = constant;
                column->cut = column->has_start_times = false;
            }
            continue;
        }
        uint32_t middle =
            rows > 2 && random_below(random, 4) == 0 ? 1 + random_below(random, rows - 1) : rows;
        model_add_column(model, series, g, w, 0, middle);
        if (middle < rows && random_below(random, 2) == 0)
            model_add_column(model, series, g, w, middle, rows);
    }
}

static inline int model_compare_series(const void *left, const void *right)
{
    const struct model_series *a = left;
    const struct model_series *b = right;
    for (uint32_t i = 0; i < a->label_count && i < b->label_count; i++) {
        int order = strcmp(a->names[i], b->names[i]);
        if (order == 0)
            order = strcmp(a->values[i], b->values[i]);
        if (order != 0)
            return order;
    }
    return a->label_count < b->label_count ? -1 : a->label_count > b->label_count;
}

/* Series `number` has the same labels in every model. */
static inline void model_make_labels(struct model_series *series, uint32_t number)
{
    static const char *const names[] = {"__name__", "code", "instance", "path", "unique"};
    struct model_random own = {number};
    for (uint32_t i = 0; i < 4; i++) {
        if (i > 0 && random_below(&own, 3) == 0)
            continue;
        uint32_t at = series->label_count++;
        snprintf(series->names[at], sizeof series->names[at], "%s", names[i]);
        snprintf(series->values[at], sizeof series->values[at], "%c%u", 'a' + (int)i,
                 random_below(&own, 1 + 4 * i));
    }
    uint32_t at = series->label_count++;
    snprintf(series->names[at], sizeof series->names[at], "%s", names[4]);
    snprintf(series->values[at], sizeof series->values[at], "%u", number / 3 * 7);
    if (number % 3 > 0)
        snprintf(series->names[at], sizeof series->names[at], "v%u", number % 3);
}

static inline struct model *model_create(uint64_t seed, uint32_t group_count, uint32_t series_count,
                                         int64_t start_ms)
{
    struct model *model = MEM_NEW(MEM_TEST, struct model);
    model->random.state = seed;
    model->group_count = group_count;
    model->series_count = series_count;
    model_make_groups(model, start_ms);
    model->series = MEM_NEW_ARRAY(MEM_TEST, struct model_series, series_count);
    for (uint32_t s = 0; s < series_count; s++) {
        struct model_series *series = &model->series[s];
        model_make_labels(series, s);
        while (series->column_count == 0) {
            uint32_t g = random_below(&model->random, group_count);
            uint32_t windows = model->groups[g].window_count;
            uint32_t from =
                random_below(&model->random, 3) == 0 ? random_below(&model->random, windows) : 0;
            model_make_run(model, series, g, from, windows);
        }
    }
    qsort(model->series, series_count, sizeof *model->series, model_compare_series);
    return model;
}

static inline void model_destroy(struct model *model)
{
    for (uint32_t g = 0; g < model->group_count; g++)
        mem_free(MEM_TEST, model->groups[g].windows);
    for (uint32_t s = 0; s < model->series_count; s++) {
        for (uint32_t c = 0; c < model->series[s].column_count; c++)
            mem_free(MEM_TEST, model->series[s].columns[c].bytes);
        mem_free(MEM_TEST, model->series[s].columns);
    }
    mem_free(MEM_TEST, model->groups);
    mem_free(MEM_TEST, model->series);
    mem_free(MEM_TEST, model);
}

static inline int64_t model_column_time(const struct model *model,
                                        const struct model_column *column, uint32_t sample)
{
    return model->groups[column->group].windows[column->window].times[column->rows[sample]];
}

/* ---- writing it ---- */

static inline void model_write_groups(const struct model *model, struct block_writer *writer,
                                      struct strbuf *why)
{
    for (uint32_t g = 0; g < model->group_count; g++) {
        const struct model_group *group = &model->groups[g];
        struct block_window windows[MODEL_WINDOWS_MAX];
        uint8_t *bytes = mem_alloc(MEM_TEST, MODEL_WINDOWS_MAX * time_column_size_max(240));
        uint8_t *at = bytes;
        for (uint32_t w = 0; w < group->window_count; w++) {
            const struct model_window *window = &group->windows[w];
            size_t size = time_column_seal(window->times, window->row_count, at);
            windows[w] = (struct block_window){at, size, window->row_count};
            at += time_column_size_max(240);
        }
        uint32_t ordinal;
        assert_int_equal(
            block_writer_add_group(writer, group->key, windows, group->window_count, &ordinal, why),
            OK);
        assert_int_equal(ordinal, g);
        mem_free(MEM_TEST, bytes);
    }
}

static inline err_t model_write_column(const struct model_column *from, struct block_writer *writer,
                                       bool as_rows, struct strbuf *why)
{
    uint8_t *bytes = mem_alloc(MEM_TEST, column_size_max(COLUMN_ROWS_MAX));
    uint8_t *starts = mem_alloc(MEM_TEST, time_column_size_max(COLUMN_ROWS_MAX));
    uint64_t present[BLOCK_PRESENT_WORDS] = {0};
    struct column_stats stats;
    struct block_column column = {
        .kind = from->kind, .group = from->group, .window = from->window, .cut = from->cut};
    for (uint32_t i = 0; i < from->count; i++)
        present[from->rows[i] / 64] |= UINT64_C(1) << (from->rows[i] % 64);
    column.present = present;
    if (as_rows && from->rows[from->count - 1] - from->rows[0] + 1u == from->count) {
        column.present = NULL;
        column.row0 = from->rows[0];
        column.row_count = from->count;
    }
    if (from->kind == BLOCK_COLUMN_HISTOGRAM) {
        column.bytes = from->bytes;
        column.size = from->size;
    } else {
        column.bytes = bytes;
        column.size = column_seal(from->values, from->count, NULL, bytes);
    }
    if (from->has_start_times) {
        column.start_times = starts;
        column.start_times_size = time_column_seal(from->start_times, from->count, starts);
    }
    if (from->has_stats && column_stats_compute(from->values, from->count, &stats))
        column.stats = &stats;
    err_t err = block_writer_add_column(writer, &column, why);
    mem_free(MEM_TEST, bytes);
    mem_free(MEM_TEST, starts);
    return err;
}

static inline err_t model_write(const struct model *model,
                                const struct block_writer_options *options, struct strbuf *why)
{
    struct block_writer *writer;
    TRY(block_writer_open(options, &writer, why));
    struct block_symbols *symbols = block_symbols_create();
    for (uint32_t s = 0; s < model->series_count; s++) {
        for (uint32_t i = 0; i < model->series[s].label_count; i++) {
            block_symbols_add(symbols, str_from_cstr(model->series[s].names[i]));
            block_symbols_add(symbols, str_from_cstr(model->series[s].values[i]));
        }
    }
    err_t err;
    TRY_OUT(block_symbols_write(symbols, writer, why));
    model_write_groups(model, writer, why);
    for (uint32_t s = 0; s < model->series_count; s++) {
        const struct model_series *series = &model->series[s];
        struct block_label labels[MODEL_LABELS_MAX];
        for (uint32_t i = 0; i < series->label_count; i++) {
            labels[i].name = block_symbols_find(symbols, str_from_cstr(series->names[i]));
            labels[i].value = block_symbols_find(symbols, str_from_cstr(series->values[i]));
        }
        TRY_OUT(block_writer_begin_series(writer, labels, series->label_count, why));
        for (uint32_t c = 0; c < series->column_count; c++)
            TRY_OUT(model_write_column(&series->columns[c], writer, c % 2 == 0, why));
    }
out:
    block_symbols_destroy(symbols);
    if (err != OK) {
        block_writer_abort(writer);
        return err;
    }
    return block_writer_finish(writer, why);
}

/* ---- comparing ---- */

static inline void expect_same_column(const struct model *model, const struct model_column *wanted,
                                      const struct block_column_info *info,
                                      const struct block_column_data *data)
{
    assert_int_equal(info->kind, wanted->kind);
    assert_int_equal(info->cut, wanted->cut);
    assert_int_equal(info->group, wanted->group);
    assert_int_equal(info->window, wanted->window);
    assert_int_equal(info->count, wanted->count);
    assert_int_equal(info->has_start_times, wanted->has_start_times);
    assert_int_equal(info->first_t_ms, model_column_time(model, wanted, 0));
    assert_int_equal(info->last_t_ms, model_column_time(model, wanted, wanted->count - 1));
    assert_int_equal(data->count, wanted->count);
    for (uint32_t i = 0; i < wanted->count; i++) {
        assert_int_equal(data->t_ms[i], model_column_time(model, wanted, i));
        if (data->step_ms != 0 && i > 0)
            assert_int_equal(data->t_ms[i] - data->t_ms[i - 1], data->step_ms);
    }
    if (wanted->kind == BLOCK_COLUMN_HISTOGRAM) {
        assert_int_equal(data->size, wanted->size);
        assert_memory_equal(data->bytes, wanted->bytes, wanted->size);
    } else {
        assert_memory_equal(data->values, wanted->values, wanted->count * sizeof(double));
    }
    if (wanted->has_start_times)
        assert_memory_equal(data->start_t_ms, wanted->start_times, wanted->count * sizeof(int64_t));
    else
        assert_null(data->start_t_ms);
}

static inline void expect_same_labels(const struct model_series *wanted, struct labels labels)
{
    assert_int_equal(labels.count, wanted->label_count);
    for (uint32_t i = 0; i < labels.count; i++) {
        assert_true(str_equal_cstr(labels.items[i].name, wanted->names[i]));
        assert_true(str_equal_cstr(labels.items[i].value, wanted->values[i]));
    }
}

/* ---- a temporary folder ---- */

struct fixture {
    char root[64];
    struct strbuf why;
    struct strbuf path;
    uint64_t seed;
};

static inline int fixture_set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(fixture->root, sizeof fixture->root, "/tmp/narthex_block_test.XXXXXX");
    const char *seed = getenv("NARTHEX_SEED");
    fixture->seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)fixture->seed);
    *state = fixture;
    return mkdtemp(fixture->root) == NULL ? -1 : 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    int result = fs_remove_tree(fs_system(), fixture->root, &fixture->why) == OK ? 0 : -1;
    strbuf_deinit(&fixture->why);
    strbuf_deinit(&fixture->path);
    mem_free(MEM_TEST, fixture);
    return result;
}

static inline struct block_writer_options fixture_options(const struct fixture *fixture,
                                                          uint8_t number)
{
    struct block_writer_options options = {
        .fs = fs_system(),
        .parent = fixture->root,
        .meta = {.min_t_ms = 0, .max_t_ms = 7200000, .level = 1},
    };
    const uint8_t random[10] = {number};
    block_ulid_make(1700000000000, random, &options.meta.ulid);
    return options;
}

static inline const char *fixture_block_path(struct fixture *fixture,
                                             const struct block_writer_options *options)
{
    strbuf_clear(&fixture->path);
    strbuf_printf(&fixture->path, "%s/%s", fixture->root, options->meta.ulid.text);
    return strbuf_cstr(&fixture->path);
}
