#include "block_fixture.h"

static void expect_intervals(const struct tombstones *tombstones, uint32_t series,
                             const struct tombstone_interval *wanted, uint32_t wanted_count)
{
    uint32_t count;
    const struct tombstone_interval *found = tombstones_get(tombstones, series, &count);
    assert_int_equal(count, wanted_count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(found[i].min_t_ms, wanted[i].min_t_ms);
        assert_int_equal(found[i].max_t_ms, wanted[i].max_t_ms);
    }
}

static void touching_intervals_are_joined(void **state)
{
    (void)state;
    struct tombstones *tombstones = tombstones_create();
    tombstones_add(tombstones, 7, 10, 20);
    tombstones_add(tombstones, 7, 40, 50);
    tombstones_add(tombstones, 3, INT64_MIN, INT64_MAX);
    tombstones_add(tombstones, 3, 5, 6);
    tombstones_add(tombstones, 7, 22, 38);
    const struct tombstone_interval apart[] = {{10, 20}, {22, 38}, {40, 50}};
    expect_intervals(tombstones, 7, apart, 3);
    tombstones_add(tombstones, 7, 21, 21);
    const struct tombstone_interval joined[] = {{10, 38}, {40, 50}};
    expect_intervals(tombstones, 7, joined, 2);
    tombstones_add(tombstones, 7, 0, 60);
    const struct tombstone_interval one[] = {{0, 60}};
    expect_intervals(tombstones, 7, one, 1);
    const struct tombstone_interval all[] = {{INT64_MIN, INT64_MAX}};
    expect_intervals(tombstones, 3, all, 1);
    expect_intervals(tombstones, 4, NULL, 0);
    assert_int_equal(tombstones_count(tombstones), 2);
    assert_int_equal(tombstones_series_count(tombstones), 2);
    tombstones_destroy(tombstones);
}

static void random_adds_agree_with_a_bitmap(void **state)
{
    struct fixture *fixture = *state;
    struct model_random random = {fixture->seed};
    struct tombstones *tombstones = tombstones_create();
    bool gone[5][200] = {{false}};
    for (int i = 0; i < 60; i++) {
        uint32_t series = random_below(&random, 5);
        uint32_t from = random_below(&random, 190);
        uint32_t until = from + random_below(&random, 10);
        tombstones_add(tombstones, series, from, until);
        memset(&gone[series][from], true, until - from + 1);
    }
    for (uint32_t series = 0; series < 5; series++) {
        uint32_t count;
        const struct tombstone_interval *items = tombstones_get(tombstones, series, &count);
        uint32_t at = 0;
        for (int64_t t = 0; t < 200; t++) {
            while (at < count && items[at].max_t_ms < t)
                at++;
            assert_int_equal(at < count && items[at].min_t_ms <= t, gone[series][t]);
        }
        for (uint32_t i = 1; i < count; i++)
            assert_true(items[i - 1].max_t_ms + 1 < items[i].min_t_ms);
    }
    tombstones_destroy(tombstones);
}

static void the_file_keeps_them(void **state)
{
    struct fixture *fixture = *state;
    struct tombstones *tombstones = tombstones_create();
    struct tombstones *loaded;
    assert_int_equal(tombstones_load(fixture->root, &loaded, &fixture->why), OK);
    assert_int_equal(tombstones_count(loaded), 0);
    tombstones_destroy(loaded);
    tombstones_add(tombstones, 1, -5, 5);
    tombstones_add(tombstones, 1, 100, INT64_MAX);
    tombstones_add(tombstones, 4000000000u, 0, 0);
    assert_int_equal(tombstones_store(tombstones, fs_system(), fixture->root, &fixture->why), OK);
    assert_int_equal(tombstones_load(fixture->root, &loaded, &fixture->why), OK);
    const struct tombstone_interval wanted[] = {{-5, 5}, {100, INT64_MAX}};
    expect_intervals(loaded, 1, wanted, 2);
    const struct tombstone_interval point[] = {{0, 0}};
    expect_intervals(loaded, 4000000000u, point, 1);
    struct tombstones *copy = tombstones_copy(loaded);
    expect_intervals(copy, 1, wanted, 2);
    tombstones_destroy(copy);
    tombstones_destroy(loaded);
    tombstones_destroy(tombstones);
    tombstones = tombstones_create();
    assert_int_equal(tombstones_store(tombstones, fs_system(), fixture->root, &fixture->why), OK);
    struct fs_list list;
    assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
    assert_int_equal(list.count, 0);
    fs_list_free(&list);
    tombstones_destroy(tombstones);
}

static void the_file_has_these_bytes(void **state)
{
    static const uint8_t golden[] = {
        'n', 'a', 'r', 't', 'h', 'e', 'x', 'T', 1, 0, 0, 0, 1, 0, 0, 0, /* head */
        2,   0,   0,   0,   1,   0,   0,   0,                           /* series 2, 1 interval */
        1,   0,   0,   0,   0,   0,   0,   0,                           /* from 1 */
        0,   1,   0,   0,   0,   0,   0,   0,                           /* to 256 */
    };
    struct fixture *fixture = *state;
    struct tombstones *tombstones = tombstones_create();
    tombstones_add(tombstones, 2, 1, 256);
    assert_int_equal(tombstones_store(tombstones, fs_system(), fixture->root, &fixture->why), OK);
    struct strbuf content = STRBUF_INIT;
    strbuf_printf(&fixture->path, "%s/tombstones", fixture->root);
    assert_int_equal(fs_read_file(strbuf_cstr(&fixture->path), 1000, &content, &fixture->why), OK);
    assert_int_equal(content.size, sizeof golden + 4);
    assert_memory_equal(content.data, golden, sizeof golden);
    strbuf_deinit(&content);
    tombstones_destroy(tombstones);
}

static void any_flip_or_cut_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct tombstones *tombstones = tombstones_create();
    tombstones_add(tombstones, 2, 1, 256);
    tombstones_add(tombstones, 2, 1000, 1256);
    assert_int_equal(tombstones_store(tombstones, fs_system(), fixture->root, &fixture->why), OK);
    tombstones_destroy(tombstones);
    struct strbuf content = STRBUF_INIT;
    strbuf_printf(&fixture->path, "%s/tombstones", fixture->root);
    const char *path = strbuf_cstr(&fixture->path);
    assert_int_equal(fs_read_file(path, 1000, &content, &fixture->why), OK);
    for (size_t at = 0; at < content.size * 2; at++) {
        size_t size = at < content.size ? content.size : at - content.size;
        if (at < content.size)
            content.data[at] ^= 16;
        assert_int_equal(fs_write_atomic(fs_system(), path, content.data, size, &fixture->why), OK);
        assert_int_equal(tombstones_load(fixture->root, &tombstones, &fixture->why), ERR_CORRUPT);
        if (at < content.size)
            content.data[at] ^= 16;
    }
    strbuf_deinit(&content);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(touching_intervals_are_joined), TEST(random_adds_agree_with_a_bitmap),
        TEST(the_file_keeps_them),           TEST(the_file_has_these_bytes),
        TEST(any_flip_or_cut_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
