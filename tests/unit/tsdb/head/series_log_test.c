/* Files of series: golden bytes, round trip, truncation, flipped bits, writing anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_fs.h"
#include "narthex/base/mem.h"
#include "series_log.h"

struct fixture {
    char path[64];
    struct head *head;
    struct strbuf why;
};

static struct head *open_head(struct fixture *f)
{
    struct head_options options = {0};
    struct head *head = head_create(&options);
    assert_int_equal(head_open_files(head, fs_system(), f->path, &f->why), OK);
    return head;
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_series_log.XXXXXX");
    *state = f;
    if (mkdtemp(f->path) == NULL)
        return -1;
    f->head = open_head(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->head != NULL)
        head_destroy(f->head);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    strbuf_deinit(&f->why);
    mem_free(MEM_TEST, f);
    return result;
}

static void add_series(struct head *head, const char *a, const char *b)
{
    struct label items[] = {{STR("a"), str_from_cstr(a)}, {STR("b"), str_from_cstr(b)}};
    struct labels labels = {items, 2};
    struct strbuf why = STRBUF_INIT;
    struct head_series *series;
    mutex_lock(&head->write_lock);
    assert_int_equal(head__series_create_locked(head, labels, labels_hash(labels),
                                                HEAD_ORDINALS_MAX, &series, &why),
                     OK);
    mutex_unlock(&head->write_lock);
    strbuf_deinit(&why);
}

static bool has_series(struct head *head, const char *a, const char *b)
{
    struct label items[] = {{STR("a"), str_from_cstr(a)}, {STR("b"), str_from_cstr(b)}};
    struct labels labels = {items, 2};
    return head__series_find_locked(head, labels, labels_hash(labels)) != NULL;
}

static void read_log(struct fixture *f, uint32_t number, struct strbuf *bytes)
{
    char path[96];
    snprintf(path, sizeof path, "%s/series/%08u", f->path, number);
    strbuf_clear(bytes);
    assert_int_equal(fs_read_file(path, SIZE_MAX, bytes, &f->why), OK);
}

static void write_log(struct fixture *f, uint32_t number, const void *data, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "%s/series/%08u", f->path, number);
    assert_int_equal(fs_write_atomic(fs_system(), path, data, size, &f->why), OK);
}

static struct head *load(struct fixture *f)
{
    struct head *head = open_head(f);
    assert_int_equal(series_log_load(head->series_log, head, NULL, &f->why), OK);
    return head;
}

static void the_bytes_are_those_of_the_page(void **state)
{
    static const uint8_t golden[] = {'N', 'X', 'S', 'R', 2, 0, 0, 0, 1, 0, 0, 0,
                                     8,   0,   0,   0,   2, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t behind_hash[] = {1, 0, 0,   0, 2,   0, 0, 0,   0, 0,   0, 0, 1, 0, 0, 0,
                                          0, 1, 'a', 1, 'x', 1, 1, 'b', 1, 'y', 0, 0, 0, 0, 0, 0};
    struct fixture *f = *state;
    struct strbuf bytes = STRBUF_INIT;
    add_series(f->head, "x", "y");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    read_log(f, 1, &bytes);
    assert_memory_equal(bytes.data, "NXSER\1\0\0\1\0\0\0", 12);
    assert_int_equal(bytes.size, 16 + 8 + sizeof golden + 8 + sizeof behind_hash);
    assert_memory_equal(bytes.data + 24, golden, 12);
    assert_int_equal(bytes.data[24 + 12], 10); /* bytes of the pairs */
    assert_memory_equal(bytes.data + 24 + sizeof golden + 8, behind_hash, sizeof behind_hash);
    strbuf_deinit(&bytes);
}

static void series_come_back(void **state)
{
    struct fixture *f = *state;
    add_series(f->head, "1", "one");
    add_series(f->head, "2", "one");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    add_series(f->head, "3", "other");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    head_destroy(f->head);
    f->head = load(f);
    assert_int_equal(f->head->stats.series_count, 3);
    assert_true(has_series(f->head, "1", "one"));
    assert_true(has_series(f->head, "2", "one"));
    assert_true(has_series(f->head, "3", "other"));
    assert_false(has_series(f->head, "3", "one"));
    /* Further ones go to a file of their own, and written anew all are in one. */
    add_series(f->head, "4", "other");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    series_log_invalidate(f->head->series_log);
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    head_destroy(f->head);
    struct fs_list list;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/series", f->path);
    assert_int_equal(fs_list_dir(folder, &list, &f->why), OK);
    assert_int_equal(list.count, 1);
    fs_list_free(&list);
    f->head = load(f);
    assert_int_equal(f->head->stats.series_count, 4);
    assert_true(has_series(f->head, "4", "other"));
}

static void large_records_leave_no_memory(void **state)
{
    struct fixture *f = *state;
    static char value[4096];
    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < 500; i++) {
        snprintf(value, 8, "%06d", i);
        value[6] = 'v';
        add_series(f->head, value, "y");
    }
    int64_t before = mem_bytes(MEM_TEXT);
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    assert_true(mem_bytes(MEM_TEXT) - before < 256 << 10);
}

static void damage_loses_series_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct strbuf bytes = STRBUF_INIT;
    add_series(f->head, "1", "one");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    add_series(f->head, "2", "one");
    assert_int_equal(series_log_update(f->head->series_log, f->head, &f->why), OK);
    head_destroy(f->head);
    f->head = NULL;
    read_log(f, 1, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        write_log(f, 1, bytes.data, size);
        struct head *head = load(f);
        assert_true(head->stats.series_count < 2);
        assert_false(has_series(head, "2", "one"));
        head_destroy(head);
    }
    for (size_t bit = 0; bit < bytes.size * 8; bit += 3) {
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
        write_log(f, 1, bytes.data, bytes.size);
        struct head *head = load(f);
        assert_true(head->stats.series_count < 2 || bit / 8 == 6 || bit / 8 == 7);
        head_destroy(head);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
    }
    strbuf_deinit(&bytes);
}

/* Whichever call to the file system fails: the next try gets through. */
static void a_failed_write_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    head_destroy(f->head);
    f->head = NULL;
    bool reached = true;
    for (uint64_t call = 0; reached; call++) {
        struct fault_fs *faulty = fault_fs_create();
        struct head_options options = {0};
        struct head *head = head_create(&options);
        assert_int_equal(head_open_files(head, fault_fs_table(faulty), f->path, &f->why), OK);
        for (int anew = 0; anew <= 1; anew++) {
            add_series(head, anew == 0 ? "1" : "2", "one");
            if (anew == 1)
                series_log_invalidate(head->series_log);
            fault_fs_arm(faulty, fault_fs_calls(faulty) + call, FAULT_NO_SPACE);
            reached = series_log_update(head->series_log, head, &f->why) != OK;
            fault_fs_arm(faulty, 0, FAULT_NONE);
            assert_int_equal(series_log_update(head->series_log, head, &f->why), OK);
        }
        head_destroy(head);
        fault_fs_destroy(faulty);
        head = load(f);
        assert_int_equal(head->stats.series_count, 2);
        head_destroy(head);
        char folder[96];
        snprintf(folder, sizeof folder, "%s/series", f->path);
        assert_int_equal(fs_remove_tree(fs_system(), folder, &f->why), OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_bytes_are_those_of_the_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(series_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_records_leave_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_loses_series_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_is_made_up_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
