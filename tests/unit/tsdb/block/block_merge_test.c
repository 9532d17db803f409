/* Merging against a naive model: every series as a plain list of samples. */
#include "block_fixture.h"
#include "narthex/tsdb/block_merge.h"

/* One sample, whatever its kind. */
struct truth_sample {
    int64_t t_ms;
    int64_t start_t_ms;
    double value;
    enum block_column_kind kind;
    uint8_t histogram[201]; /* unit, bytes */
};

struct truth_series {
    const struct model_series *labels;
    struct truth_sample *items;
    uint32_t count;
    uint32_t capacity;
};

struct truth {
    struct truth_series *items; /* sorted */
    uint32_t count;
    uint32_t capacity;
};

static struct truth_series *truth_find(struct truth *truth, const struct model_series *labels)
{
    for (uint32_t i = 0; i < truth->count; i++) {
        if (model_compare_series(truth->items[i].labels, labels) == 0)
            return &truth->items[i];
    }
    VEC_PUSH(MEM_TEST, truth->items, truth->count, truth->capacity,
             (struct truth_series){.labels = labels});
    return &truth->items[truth->count - 1];
}

static void make_sample(const struct model *model, const struct model_column *column, uint32_t i,
                        struct truth_sample *sample)
{
    memset(sample, 0, sizeof *sample);
    sample->t_ms = model_column_time(model, column, i);
    sample->kind = column->kind;
    sample->start_t_ms = column->has_start_times ? column->start_times[i] : 0;
    if (column->kind == BLOCK_COLUMN_FLOAT) {
        sample->value = column->values[i];
        return;
    }
    size_t unit = column->bytes[0];
    sample->histogram[0] = (uint8_t)unit;
    memcpy(sample->histogram + 1, column->bytes + 1 + i * unit, unit);
}

static int compare_samples(const void *left, const void *right)
{
    const struct truth_sample *a = left;
    const struct truth_sample *b = right;
    return a->t_ms < b->t_ms ? -1 : a->t_ms > b->t_ms;
}

static bool is_deleted(const struct tombstones *tombstones, uint32_t series, int64_t t_ms)
{
    uint32_t count = 0;
    const struct tombstone_interval *items =
        tombstones == NULL ? NULL : tombstones_get(tombstones, series, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (t_ms >= items[i].min_t_ms && t_ms <= items[i].max_t_ms)
            return true;
    }
    return false;
}

/* Adds a model's samples; they replace those at the same time. */
static void truth_add(struct truth *truth, const struct model *model,
                      const struct tombstones *tombstones)
{
    for (uint32_t s = 0; s < model->series_count; s++) {
        const struct model_series *series = &model->series[s];
        struct truth_series *into = truth_find(truth, series);
        uint32_t before = into->count;
        for (uint32_t c = 0; c < series->column_count; c++) {
            for (uint32_t i = 0; i < series->columns[c].count; i++) {
                struct truth_sample sample;
                make_sample(model, &series->columns[c], i, &sample);
                if (is_deleted(tombstones, s, sample.t_ms))
                    continue;
                struct truth_sample *same = before == 0 ? NULL
                                                        : bsearch(&sample, into->items, before,
                                                                  sizeof sample, compare_samples);
                if (same != NULL)
                    *same = sample;
                else
                    VEC_PUSH(MEM_TEST, into->items, into->count, into->capacity, sample);
            }
        }
        if (into->count > 0)
            qsort(into->items, into->count, sizeof *into->items, compare_samples);
    }
}

static int compare_truth(const void *left, const void *right)
{
    return model_compare_series(((const struct truth_series *)left)->labels,
                                ((const struct truth_series *)right)->labels);
}

/* Sorts and drops series without samples. */
static void truth_finish(struct truth *truth)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < truth->count; i++) {
        if (truth->items[i].count > 0)
            truth->items[kept++] = truth->items[i];
    }
    truth->count = kept;
    qsort(truth->items, kept, sizeof *truth->items, compare_truth);
}

static void truth_deinit(struct truth *truth)
{
    for (uint32_t i = 0; i < truth->count; i++)
        mem_free(MEM_TEST, truth->items[i].items);
    mem_free(MEM_TEST, truth->items);
}

static err_t select_units(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                          const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                          struct strbuf *why)
{
    (void)context;
    size_t unit = bytes[0];
    if (size != 1 + unit * count)
        return err_fail(why, ERR_CORRUPT, "histograms have the wrong size");
    strbuf_add(out, bytes, 1);
    for (uint32_t i = 0; i < kept_count; i++)
        strbuf_add(out, bytes + 1 + index[i] * unit, unit);
    return OK;
}

static const struct block_histogram_codec codec = {.select = select_units};

static void expect_column(const struct truth_series *wanted, uint32_t *at,
                          const struct block_column_info *info,
                          const struct block_column_data *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        assert_true(*at < wanted->count);
        const struct truth_sample *sample = &wanted->items[(*at)++];
        assert_int_equal(data->t_ms[i], sample->t_ms);
        assert_int_equal(info->kind, sample->kind);
        assert_int_equal(data->start_t_ms == NULL ? 0 : data->start_t_ms[i], sample->start_t_ms);
        if (info->kind == BLOCK_COLUMN_FLOAT) {
            assert_memory_equal(&data->values[i], &sample->value, sizeof(double));
        } else {
            size_t unit = data->bytes[0];
            assert_int_equal(data->size, 1 + unit * data->count);
            assert_int_equal(unit, sample->histogram[0]);
            assert_memory_equal(data->bytes + 1 + i * unit, sample->histogram + 1, unit);
        }
    }
}

static void expect_block(const char *path, const struct truth *truth, struct strbuf *why)
{
    struct block *block = NULL;
    err_t err = block_open(path, &block, why);
    assert_string_equal(err == OK ? "" : strbuf_cstr(why), "");
    err = block_verify(block, why);
    assert_string_equal(err == OK ? "" : strbuf_cstr(why), "");
    assert_int_equal(block_meta(block)->counts.series, truth->count);
    struct block_cursor *cursor = block_cursor_create(block);
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    for (uint32_t s = 0; s < truth->count; s++) {
        struct labels labels;
        uint32_t at = 0;
        assert_int_equal(block_cursor_labels(cursor, s, &arena, &labels, why), OK);
        expect_same_labels(truth->items[s].labels, labels);
        assert_int_equal(block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, why), OK);
        for (;;) {
            struct block_column_info info;
            struct block_column_data data;
            bool found;
            err = block_cursor_next(cursor, &info, &found, why);
            assert_string_equal(err == OK ? "" : strbuf_cstr(why), "");
            if (!found)
                break;
            assert_int_equal(block_cursor_decode(cursor, &data, why), OK);
            expect_column(&truth->items[s], &at, &info, &data);
        }
        assert_int_equal(at, truth->items[s].count);
    }
    arena_deinit(&arena);
    block_cursor_destroy(cursor);
    block_close(block);
}

enum { INPUTS_MAX = 4 };

struct merge_case {
    uint32_t input_count;
    int64_t starts_ms[INPUTS_MAX];
    bool with_tombstones;
};

static void run_case(struct fixture *fixture, const struct merge_case *wanted, uint64_t seed,
                     struct block_merge_result *result)
{
    struct model *models[INPUTS_MAX];
    struct block *blocks[INPUTS_MAX];
    struct tombstones *tombstones[INPUTS_MAX] = {NULL};
    struct block_merge_input inputs[INPUTS_MAX];
    struct truth truth = {0};
    struct model_random random = {seed};
    for (uint32_t i = 0; i < wanted->input_count; i++) {
        models[i] = model_create(seed + i, 1 + i % 3, 30 + 17 * i, wanted->starts_ms[i]);
        struct block_writer_options options = fixture_options(fixture, (uint8_t)(i + 1));
        assert_int_equal(model_write(models[i], &options, &fixture->why), OK);
        assert_int_equal(
            block_open(fixture_block_path(fixture, &options), &blocks[i], &fixture->why), OK);
        if (wanted->with_tombstones) {
            tombstones[i] = tombstones_create();
            for (int k = 0; k < 40; k++) {
                int64_t from = wanted->starts_ms[i] + random_below(&random, 2000000);
                tombstones_add(tombstones[i], random_below(&random, 30), from,
                               from + random_below(&random, 400000));
            }
            tombstones_add(tombstones[i], 3, INT64_MIN, INT64_MAX);
        }
        truth_add(&truth, models[i], tombstones[i]);
        inputs[i] = (struct block_merge_input){blocks[i], tombstones[i]};
    }
    truth_finish(&truth);
    struct block_writer_options output = fixture_options(fixture, 200);
    struct block_merge_options options = {
        .fs = fs_system(),
        .parent = fixture->root,
        .meta = {.ulid = output.meta.ulid},
        .histograms = &codec,
    };
    err_t err = block_merge(inputs, wanted->input_count, &options, result, &fixture->why);
    assert_string_equal(err == OK ? "" : strbuf_cstr(&fixture->why), "");
    assert_true(result->written);
    expect_block(fixture_block_path(fixture, &output), &truth, &fixture->why);
    truth_deinit(&truth);
    for (uint32_t i = 0; i < wanted->input_count; i++) {
        tombstones_destroy(tombstones[i]);
        block_close(blocks[i]);
        model_destroy(models[i]);
    }
}

static void blocks_one_after_the_other_are_copied(void **state)
{
    struct fixture *fixture = *state;
    struct block_merge_result result;
    /* A model spans less than 12 windows of 240 rows of 1020 ms: 3 000 000 ms. How many columns are
     * short enough to be joined hangs on the seed. */
    run_case(fixture, &(struct merge_case){3, {1000000, 5000000, 9000000}, false}, 1, &result);
    print_message("%llu columns copied, %llu encoded\n", (unsigned long long)result.columns_copied,
                  (unsigned long long)result.columns_encoded);
    assert_true(result.columns_encoded * 5 < result.columns_copied);
}

static void overlapping_blocks_are_merged_by_sample(void **state)
{
    struct fixture *fixture = *state;
    struct block_merge_result result;
    for (uint64_t round = 0; round < 4; round++) {
        struct fixture own = {.seed = fixture->seed + round};
        snprintf(own.root, sizeof own.root, "%.40s/%c", fixture->root, (char)('a' + round));
        assert_int_equal(fs_system()->mkdir(NULL, own.root, &own.why), OK);
        run_case(&own, &(struct merge_case){4, {1000000, 1000000, 2000000, 1500000}, false},
                 own.seed, &result);
        strbuf_deinit(&own.why);
        strbuf_deinit(&own.path);
    }
    assert_true(result.columns_encoded > 0);
}

static void deleted_samples_do_not_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct block_merge_result result;
    run_case(fixture, &(struct merge_case){3, {1000000, 5000000, 6000000}, true}, fixture->seed,
             &result);
}

static void one_block_is_rewritten_without_what_was_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct block_merge_result result;
    run_case(fixture, &(struct merge_case){1, {1000000}, true}, fixture->seed, &result);
}

static void nothing_left_writes_no_block(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 1, 5, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block;
    assert_int_equal(model_write(model, &options, &fixture->why), OK);
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, &fixture->why), OK);
    struct tombstones *tombstones = tombstones_create();
    for (uint32_t s = 0; s < 5; s++)
        tombstones_add(tombstones, s, INT64_MIN, INT64_MAX);
    struct block_merge_input input = {block, tombstones};
    struct block_writer_options output = fixture_options(fixture, 2);
    struct block_merge_options merge_options = {
        .fs = fs_system(), .parent = fixture->root, .meta = {.ulid = output.meta.ulid}};
    struct block_merge_result result;
    assert_int_equal(block_merge(&input, 1, &merge_options, &result, &fixture->why), OK);
    assert_false(result.written);
    assert_false(fs_exists(fixture_block_path(fixture, &output)));
    struct fs_list list;
    assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
    assert_int_equal(list.count, 1);
    fs_list_free(&list);
    tombstones_destroy(tombstones);
    block_close(block);
    model_destroy(model);
}

static void meta_of_a_merge_covers_its_inputs(void **state)
{
    struct fixture *fixture = *state;
    struct block *blocks[2];
    struct block_merge_input inputs[2];
    struct model *model = model_create(fixture->seed, 1, 5, 1000000);
    for (uint8_t i = 0; i < 2; i++) {
        struct block_writer_options options = fixture_options(fixture, i + 1);
        options.meta.min_t_ms = i * 7200000;
        options.meta.max_t_ms = (i + 1) * 7200000;
        options.meta.level = 1u + i;
        options.meta.flags = i == 0 ? BLOCK_FLAG_OUT_OF_ORDER : 0;
        assert_int_equal(model_write(model, &options, &fixture->why), OK);
        assert_int_equal(
            block_open(fixture_block_path(fixture, &options), &blocks[i], &fixture->why), OK);
        inputs[i] = (struct block_merge_input){blocks[i], NULL};
    }
    struct block_writer_options output = fixture_options(fixture, 9);
    struct block_merge_options options = {.fs = fs_system(),
                                          .parent = fixture->root,
                                          .meta = {.ulid = output.meta.ulid},
                                          .histograms = &codec};
    struct block_merge_result result;
    assert_int_equal(block_merge(inputs, 2, &options, &result, &fixture->why), OK);
    struct block *merged;
    assert_int_equal(block_open(fixture_block_path(fixture, &output), &merged, &fixture->why), OK);
    const struct block_meta *meta = block_meta(merged);
    assert_int_equal(meta->level, 3);
    assert_int_equal(meta->flags, BLOCK_FLAG_OUT_OF_ORDER);
    assert_int_equal(meta->min_t_ms, 0);
    assert_int_equal(meta->max_t_ms, 14400000);
    assert_int_equal(meta->source_count, 2);
    assert_string_equal(meta->sources[0].text, block_meta(blocks[0])->ulid.text);
    assert_int_equal(meta->counts.samples, result.counts.samples);
    assert_int_equal(meta->counts.samples, block_meta(blocks[0])->counts.samples);
    block_close(merged);
    block_close(blocks[0]);
    block_close(blocks[1]);
    model_destroy(model);
}

/* One series {a="a"} with 30 rows from start_ms on, values counting from start_ms / 1000. */
static struct block *write_short_block(struct fixture *fixture, uint8_t number, int64_t start_ms)
{
    struct block_writer_options options = fixture_options(fixture, number);
    struct block_writer *writer;
    struct block *block;
    struct strbuf *why = &fixture->why;
    int64_t times[30];
    double values[30];
    uint8_t times_bytes[512];
    uint8_t bytes[512];
    uint32_t group;
    for (int i = 0; i < 30; i++) {
        times[i] = start_ms + i * 1000;
        values[i] = (double)times[i] / 1000;
    }
    assert_int_equal(block_writer_open(&options, &writer, why), OK);
    assert_int_equal(block_writer_add_symbol(writer, STR("a"), why), OK);
    struct block_window window = {times_bytes, time_column_seal(times, 30, times_bytes), 30};
    assert_int_equal(block_writer_add_group(writer, 5, &window, 1, &group, why), OK);
    assert_int_equal(block_writer_begin_series(writer, &(struct block_label){0, 0}, 1, why), OK);
    struct block_column column = {.row_count = 30, .bytes = bytes};
    column.size = column_seal(values, 30, NULL, bytes);
    assert_int_equal(block_writer_add_column(writer, &column, why), OK);
    assert_int_equal(block_writer_finish(writer, why), OK);
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, why), OK);
    return block;
}

static void short_windows_of_a_source_become_one(void **state)
{
    struct fixture *fixture = *state;
    struct block *blocks[3];
    struct block_merge_input inputs[3] = {{NULL, NULL}};
    for (uint8_t i = 0; i < 3; i++) {
        blocks[i] = write_short_block(fixture, i + 1, 1000000 + i * 30000);
        inputs[i].block = blocks[i];
    }
    struct block_writer_options output = fixture_options(fixture, 9);
    struct block_merge_options options = {
        .fs = fs_system(), .parent = fixture->root, .meta = {.ulid = output.meta.ulid}};
    struct block_merge_result result;
    assert_int_equal(block_merge(inputs, 3, &options, &result, &fixture->why), OK);
    assert_int_equal(result.counts.groups, 1);
    assert_int_equal(result.counts.columns, 1);
    assert_int_equal(result.columns_encoded, 1);
    assert_int_equal(result.columns_copied, 0);
    struct block *merged;
    assert_int_equal(block_open(fixture_block_path(fixture, &output), &merged, &fixture->why), OK);
    struct block_cursor *cursor = block_cursor_create(merged);
    struct block_column_info info;
    struct block_column_data data;
    bool found;
    assert_int_equal(block_cursor_seek(cursor, 0, INT64_MIN, INT64_MAX, &fixture->why), OK);
    assert_int_equal(block_cursor_next(cursor, &info, &found, &fixture->why), OK);
    assert_true(found && info.has_stats);
    assert_int_equal(block_cursor_decode(cursor, &data, &fixture->why), OK);
    assert_int_equal(data.count, 90);
    assert_int_equal(data.step_ms, 1000);
    for (uint32_t i = 0; i < 90; i++) {
        assert_int_equal(data.t_ms[i], 1000000 + i * 1000);
        assert_true(data.values[i] == 1000.0 + i);
    }
    block_cursor_destroy(cursor);
    block_close(merged);
    for (int i = 0; i < 3; i++)
        block_close(blocks[i]);
}

static bool yes(void *context)
{
    (void)context;
    return true;
}

static void a_merge_can_be_canceled(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 1, 5, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block;
    assert_int_equal(model_write(model, &options, &fixture->why), OK);
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, &fixture->why), OK);
    struct block_merge_input input = {block, NULL};
    struct block_writer_options output = fixture_options(fixture, 2);
    struct block_merge_options merge_options = {.fs = fs_system(),
                                                .parent = fixture->root,
                                                .meta = {.ulid = output.meta.ulid},
                                                .is_canceled = yes};
    struct block_merge_result result;
    assert_int_equal(block_merge(&input, 1, &merge_options, &result, &fixture->why), ERR_CANCELED);
    assert_false(fs_exists(fixture_block_path(fixture, &output)));
    block_close(block);
    model_destroy(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_one_after_the_other_are_copied),
        TEST(overlapping_blocks_are_merged_by_sample),
        TEST(deleted_samples_do_not_come_back),
        TEST(one_block_is_rewritten_without_what_was_deleted),
        TEST(nothing_left_writes_no_block),
        TEST(meta_of_a_merge_covers_its_inputs),
        TEST(short_windows_of_a_source_become_one),
        TEST(a_merge_can_be_canceled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
