/* What is written is read back: labels, label index, columns, ranges. */
#include "block_fixture.h"

static struct block *write_and_open(struct fixture *fixture, const struct model *model,
                                    const struct block_writer_options *options)
{
    struct block *block = NULL;
    assert_int_equal(model_write(model, options, &fixture->why), OK);
    err_t err = block_open(fixture_block_path(fixture, options), &block, &fixture->why);
    assert_string_equal(err == OK ? "" : strbuf_cstr(&fixture->why), "");
    return block;
}

static void expect_series(const struct model *model, const struct model_series *series,
                          struct block_cursor *cursor, int64_t min_t_ms, int64_t max_t_ms,
                          struct strbuf *why)
{
    struct block_column_info info;
    struct block_column_data data;
    bool found;
    for (uint32_t c = 0; c < series->column_count; c++) {
        const struct model_column *wanted = &series->columns[c];
        if (model_column_time(model, wanted, wanted->count - 1) < min_t_ms ||
            model_column_time(model, wanted, 0) > max_t_ms)
            continue;
        err_t err = block_cursor_next(cursor, &info, &found, why);
        assert_string_equal(err == OK ? "" : strbuf_cstr(why), "");
        assert_true(found);
        err = block_cursor_decode(cursor, &data, why);
        assert_string_equal(err == OK ? "" : strbuf_cstr(why), "");
        expect_same_column(model, wanted, &info, &data);
        struct column_stats stats;
        struct column_stats naive;
        memset(&stats, 0, sizeof stats);
        memset(&naive, 0, sizeof naive);
        assert_int_equal(info.has_stats,
                         wanted->kind == BLOCK_COLUMN_FLOAT &&
                             (info.constant || wanted->has_stats) &&
                             column_stats_compute(wanted->values, wanted->count, &naive));
        if (info.has_stats) {
            assert_int_equal(block_cursor_stats(cursor, &stats, why), OK);
            assert_memory_equal(&stats, &naive, sizeof naive);
        }
    }
    assert_int_equal(block_cursor_next(cursor, &info, &found, why), OK);
    assert_false(found);
}

static void all_columns_come_back(void **state)
{
    struct fixture *fixture = *state;
    for (uint8_t round = 0; round < 6; round++) {
        struct model *model =
            model_create(fixture->seed + round, 1 + round * 3, 20 + round * 90u, 1000000);
        struct block_writer_options options = fixture_options(fixture, round);
        options.compress_hard = round % 2 == 1;
        struct block *block = write_and_open(fixture, model, &options);
        err_t err = block_verify(block, &fixture->why);
        assert_string_equal(err == OK ? "" : strbuf_cstr(&fixture->why), "");
        struct block_cursor *cursor = block_cursor_create(block);
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        assert_int_equal(block_meta(block)->counts.series, model->series_count);
        for (uint32_t s = 0; s < model->series_count; s++) {
            struct labels labels;
            assert_int_equal(block_cursor_labels(cursor, s, &arena, &labels, &fixture->why), OK);
            expect_same_labels(&model->series[s], labels);
            assert_int_equal(block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, &fixture->why), OK);
            expect_series(model, &model->series[s], cursor, INT64_MIN, INT64_MAX, &fixture->why);
        }
        arena_deinit(&arena);
        block_cursor_destroy(cursor);
        block_close(block);
        model_destroy(model);
    }
}

static void any_order_and_any_range_work(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 5, 300, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block = write_and_open(fixture, model, &options);
    struct block_cursor *cursor = block_cursor_create(block);
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct model_random random = {fixture->seed};
    for (int i = 0; i < 3000; i++) {
        uint32_t s = random_below(&random, model->series_count);
        int64_t min_t_ms = 900000 + random_below(&random, 3000000);
        int64_t max_t_ms = min_t_ms + random_below(&random, 900000);
        assert_int_equal(block_cursor_seek(cursor, s, min_t_ms, max_t_ms, &fixture->why), OK);
        if (i % 7 != 0)
            expect_series(model, &model->series[s], cursor, min_t_ms, max_t_ms, &fixture->why);
        if (i % 5 == 0) {
            struct labels labels;
            s = random_below(&random, model->series_count);
            assert_int_equal(block_cursor_labels(cursor, s, &arena, &labels, &fixture->why), OK);
            expect_same_labels(&model->series[s], labels);
        }
    }
    arena_deinit(&arena);
    block_cursor_destroy(cursor);
    block_close(block);
    model_destroy(model);
}

static bool series_has(const struct model_series *series, struct str name, struct str value)
{
    for (uint32_t i = 0; i < series->label_count; i++) {
        if (str_equal_cstr(name, series->names[i]) && str_equal_cstr(value, series->values[i]))
            return true;
    }
    return false;
}

static uint64_t expect_pairs_of_name(const struct model *model, const struct block *block,
                                     const struct block_name *name, struct strbuf *why)
{
    uint32_t *ordinals = MEM_NEW_ARRAY(MEM_TEST, uint32_t, model->series_count);
    struct str before = {NULL, 0};
    uint64_t total = 0;
    for (uint32_t p = name->first_pair; p < name->first_pair + name->pair_count; p++) {
        struct block_pair pair;
        uint32_t found;
        assert_int_equal(block_pair(block, p, &pair, why), OK);
        assert_true(p == name->first_pair || str_compare(before, pair.value) < 0);
        before = pair.value;
        assert_int_equal(block_find_pair(block, name, pair.value, &found, why), OK);
        assert_int_equal(found, p);
        assert_int_equal(block_postings(block, p, ordinals, why), OK);
        uint32_t at = 0;
        for (uint32_t s = 0; s < model->series_count; s++) {
            if (series_has(&model->series[s], name->name, pair.value))
                assert_int_equal(ordinals[at++], s);
        }
        assert_int_equal(at, pair.series_count);
        total += at;
    }
    mem_free(MEM_TEST, ordinals);
    return total;
}

static void label_index_lists_all_pairs(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 3, 500, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block = write_and_open(fixture, model, &options);
    uint64_t wanted = 0;
    uint64_t total = 0;
    for (uint32_t s = 0; s < model->series_count; s++)
        wanted += model->series[s].label_count;
    for (uint32_t i = 0; i < block_name_count(block); i++) {
        struct block_name name;
        struct block_name same;
        bool found;
        assert_int_equal(block_name(block, i, &name, &fixture->why), OK);
        assert_int_equal(block_find_name(block, name.name, &same, &found, &fixture->why), OK);
        assert_true(found);
        assert_int_equal(same.first_pair, name.first_pair);
        total += expect_pairs_of_name(model, block, &name, &fixture->why);
    }
    assert_int_equal(total, wanted);
    struct block_name name;
    bool found;
    uint32_t number;
    assert_int_equal(block_find_name(block, STR("nosuch"), &name, &found, &fixture->why), OK);
    assert_false(found);
    assert_int_equal(block_find_name(block, STR("__name__"), &name, &found, &fixture->why), OK);
    assert_true(found);
    assert_int_equal(block_find_pair(block, &name, STR("nosuch"), &number, &fixture->why), OK);
    assert_int_equal(number, BLOCK_NONE);
    block_close(block);
    model_destroy(model);
}

static void deleted_samples_are_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 3, 60, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block = write_and_open(fixture, model, &options);
    struct tombstones *tombstones = tombstones_create();
    struct model_random random = {fixture->seed};
    for (int i = 0; i < 100; i++) {
        int64_t from = 1000000 + random_below(&random, 2000000);
        tombstones_add(tombstones, random_below(&random, 40), from,
                       from + random_below(&random, 400000));
    }
    struct block_cursor *cursor = block_cursor_create(block);
    block_cursor_set_tombstones(cursor, tombstones);
    for (uint32_t s = 0; s < model->series_count; s++) {
        const struct model_series *series = &model->series[s];
        struct block_column_info info;
        struct block_column_data data;
        uint32_t interval_count;
        const struct tombstone_interval *intervals = tombstones_get(tombstones, s, &interval_count);
        uint32_t at = UINT32_MAX;
        bool found = true;
        assert_int_equal(block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, &fixture->why), OK);
        for (uint32_t c = 0; c < series->column_count; c++) {
            const struct model_column *column = &series->columns[c];
            at = UINT32_MAX;
            for (uint32_t i = 0; i < column->count; i++) {
                int64_t t = model_column_time(model, column, i);
                bool gone = false;
                for (uint32_t k = 0; k < interval_count; k++)
                    gone |= t >= intervals[k].min_t_ms && t <= intervals[k].max_t_ms;
                if (gone)
                    continue;
                if (at == UINT32_MAX) {
                    assert_int_equal(block_cursor_next(cursor, &info, &found, &fixture->why), OK);
                    assert_true(found);
                    assert_int_equal(block_cursor_decode(cursor, &data, &fixture->why), OK);
                    assert_int_equal(info.first_t_ms, t);
                    at = 0;
                }
                assert_true(at < data.count);
                assert_int_equal(data.t_ms[at], t);
                if (info.kind == BLOCK_COLUMN_FLOAT)
                    assert_memory_equal(&data.values[at], &column->values[i], sizeof(double));
                else
                    assert_int_equal(data.encoded_index == NULL ? at : data.encoded_index[at], i);
                if (data.start_t_ms != NULL)
                    assert_int_equal(data.start_t_ms[at], column->start_times[i]);
                at++;
            }
            if (at != UINT32_MAX)
                assert_int_equal(at, info.count);
        }
        assert_int_equal(block_cursor_next(cursor, &info, &found, &fixture->why), OK);
        assert_false(found);
    }
    block_cursor_destroy(cursor);
    tombstones_destroy(tombstones);
    block_close(block);
    model_destroy(model);
}

static void meta_and_sections_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 2, 50, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block_ulid sources[2] = {options.meta.ulid, options.meta.ulid};
    sources[1].text[25] = 'Z';
    options.meta.sources = sources;
    options.meta.source_count = 2;
    options.meta.level = 3;
    options.meta.flags = BLOCK_FLAG_OUT_OF_ORDER;
    struct block *block = write_and_open(fixture, model, &options);
    const struct block_meta *meta = block_meta(block);
    assert_string_equal(meta->ulid.text, options.meta.ulid.text);
    assert_int_equal(meta->level, 3);
    assert_int_equal(meta->flags, BLOCK_FLAG_OUT_OF_ORDER);
    assert_int_equal(meta->min_t_ms, 0);
    assert_int_equal(meta->max_t_ms, 7200000);
    assert_int_equal(meta->source_count, 2);
    assert_string_equal(meta->sources[1].text, sources[1].text);
    struct block_section_bytes bytes;
    block_section_bytes(block, &bytes);
    assert_int_equal(bytes.symbols + bytes.series + bytes.postings + bytes.times + bytes.directory +
                         bytes.statistics + bytes.pages + bytes.overhead,
                     block_bytes(block));
    assert_true(bytes.overhead < block_bytes(block) / 50 + 1000);
    block_close(block);
    model_destroy(model);
}

static void an_empty_block_is_legal(void **state)
{
    struct fixture *fixture = *state;
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block_writer *writer;
    assert_int_equal(block_writer_open(&options, &writer, &fixture->why), OK);
    struct block_label labels[1];
    assert_int_equal(block_writer_begin_series(writer, labels, 0, &fixture->why), OK);
    assert_int_equal(block_writer_finish(writer, &fixture->why), OK);
    struct block *block;
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, &fixture->why), OK);
    assert_int_equal(block_meta(block)->counts.series, 0);
    assert_int_equal(block_verify(block, &fixture->why), OK);
    block_close(block);
    assert_int_equal(block_writer_open(&options, &writer, &fixture->why), ERR_EXISTS);
}

static void an_aborted_block_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block_writer *writer;
    assert_int_equal(block_writer_open(&options, &writer, &fixture->why), OK);
    assert_int_equal(block_writer_add_symbol(writer, STR("a"), &fixture->why), OK);
    block_writer_abort(writer);
    struct fs_list list;
    assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
    assert_int_equal(list.count, 0);
    fs_list_free(&list);
}

static void ulids_sort_by_time(void **state)
{
    (void)state;
    const uint8_t high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t low[10] = {0};
    struct block_ulid a;
    struct block_ulid b;
    block_ulid_make(1469918176385, high, &a);
    block_ulid_make(1469918176386, low, &b);
    assert_string_equal(a.text, "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
    assert_string_equal(b.text, "01ARYZ6S420000000000000000");
    assert_true(block_ulid_is_valid(str_from_cstr(a.text)));
    assert_false(block_ulid_is_valid(STR("01ARYZ6S41ZZZZZZZZZZZZZZZ")));
    assert_false(block_ulid_is_valid(STR("81ARYZ6S41ZZZZZZZZZZZZZZZZ")));
    assert_false(block_ulid_is_valid(STR("01ARYZ6S41ZZZZZZZZZZZZZZZU")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_columns_come_back),           TEST(any_order_and_any_range_work),
        TEST(label_index_lists_all_pairs),     TEST(deleted_samples_are_passed_over),
        TEST(meta_and_sections_are_kept),      TEST(an_empty_block_is_legal),
        TEST(an_aborted_block_leaves_nothing), TEST(ulids_sort_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
