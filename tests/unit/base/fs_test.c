#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"

struct fixture {
    char root[64];
    struct strbuf path;
    struct strbuf why;
};

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(fixture->root, sizeof fixture->root, "/tmp/narthex_fs_test.XXXXXX");
    *state = fixture;
    return mkdtemp(fixture->root) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int result = fs_remove_tree(fs_system(), fixture->root, &fixture->why) == OK ? 0 : -1;
    strbuf_deinit(&fixture->path);
    strbuf_deinit(&fixture->why);
    mem_free(MEM_TEST, fixture);
    return result;
}

static const char *below(struct fixture *fixture, const char *name)
{
    strbuf_clear(&fixture->path);
    strbuf_printf(&fixture->path, "%s/%s", fixture->root, name);
    return fixture->path.data;
}

static void expect_content(const char *path, const char *wanted)
{
    struct strbuf content = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(fs_read_file(path, 1000, &content, &why), OK);
    assert_string_equal(strbuf_cstr(&content), wanted);
    strbuf_deinit(&content);
    strbuf_deinit(&why);
}

static void atomic_write_replaces_the_whole_file(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    const char *path = below(fixture, "file");
    assert_int_equal(fs_write_atomic(fs, path, "long first", 10, &fixture->why), OK);
    expect_content(path, "long first");
    assert_int_equal(fs_write_atomic(fs, path, "second", 6, &fixture->why), OK);
    expect_content(path, "second");
    struct fs_list list;
    assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
    assert_int_equal(list.count, 1);
    fs_list_free(&list);
}

static void atomic_write_takes_over_a_file_left_by_a_crash(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    struct fs_file *file;
    assert_int_equal(
        fs->open(NULL, below(fixture, "file.tmp"), FS_OPEN_CREATE_NEW, &file, &fixture->why), OK);
    assert_int_equal(fs->write(file, "torn", 4, &fixture->why), OK);
    assert_int_equal(fs->close(file, &fixture->why), OK);
    assert_int_equal(fs_write_atomic(fs, below(fixture, "file"), "whole", 5, &fixture->why), OK);
    expect_content(below(fixture, "file"), "whole");
    assert_false(fs_exists(below(fixture, "file.tmp")));
}

static void append_goes_on_at_the_end_also_after_truncate(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    const char *path = below(fixture, "log");
    struct fs_file *file;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fs->open(NULL, path, FS_OPEN_APPEND, &file, &fixture->why), OK);
        assert_int_equal(fs->write(file, "abc", 3, &fixture->why), OK);
        assert_int_equal(fs->sync(file, &fixture->why), OK);
        assert_int_equal(fs->close(file, &fixture->why), OK);
    }
    expect_content(path, "abcabc");
    assert_int_equal(fs->open(NULL, path, FS_OPEN_APPEND, &file, &fixture->why), OK);
    assert_int_equal(fs->truncate(file, 2, &fixture->why), OK);
    assert_int_equal(fs->write(file, "x", 1, &fixture->why), OK);
    assert_int_equal(fs->close(file, &fixture->why), OK);
    expect_content(path, "abx");
    uint64_t size = 0;
    assert_int_equal(fs_file_size(path, &size, &fixture->why), OK);
    assert_int_equal(size, 3);
    assert_int_equal(fs_cut(fs, path, 1, &fixture->why), OK);
    expect_content(path, "a");
}

static void errors_name_the_path_and_the_kind(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    const char *path = below(fixture, "absent");
    struct fs_file *file;
    assert_int_equal(fs->open(NULL, path, FS_OPEN_READ, &file, &fixture->why), ERR_NOT_FOUND);
    assert_non_null(strstr(fixture->why.data, path));
    assert_int_equal(fs->mkdir(NULL, path, &fixture->why), OK);
    assert_int_equal(fs->mkdir(NULL, path, &fixture->why), ERR_EXISTS);
    assert_int_equal(fs->open(NULL, path, FS_OPEN_CREATE_NEW, &file, &fixture->why), ERR_EXISTS);
    struct fs_mapping mapping;
    assert_int_equal(fs_map(path, &mapping, &fixture->why), ERR_IO);
    assert_null(mapping.data);
}

static void mapping_shows_the_bytes(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    struct fs_mapping mapping;
    assert_int_equal(fs_write_atomic(fs, below(fixture, "empty"), "", 0, &fixture->why), OK);
    assert_int_equal(fs_map(below(fixture, "empty"), &mapping, &fixture->why), OK);
    assert_int_equal(mapping.size, 0);
    fs_unmap(&mapping);
    assert_int_equal(fs_write_atomic(fs, below(fixture, "full"), "bytes", 5, &fixture->why), OK);
    assert_int_equal(fs_map(below(fixture, "full"), &mapping, &fixture->why), OK);
    assert_int_equal(mapping.size, 5);
    assert_memory_equal(mapping.data, "bytes", 5);
    fs_unmap(&mapping);
}

static void read_refuses_more_than_the_limit_and_keeps_the_buffer(void **state)
{
    struct fixture *fixture = *state;
    const char *path = below(fixture, "file");
    assert_int_equal(fs_write_atomic(fs_system(), path, "12345", 5, &fixture->why), OK);
    struct strbuf out = STRBUF_INIT;
    strbuf_add_cstr(&out, "old");
    assert_int_equal(fs_read_file(path, 4, &out, &fixture->why), ERR_LIMIT);
    assert_string_equal(out.data, "old");
    assert_int_equal(fs_read_file(path, 5, &out, &fixture->why), OK);
    assert_string_equal(out.data, "old12345");
    strbuf_deinit(&out);
}

static void list_is_sorted(void **state)
{
    struct fixture *fixture = *state;
    const char *const names[] = {"c", "a", "b10", "b1"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            fs_write_atomic(fs_system(), below(fixture, names[i]), "", 0, &fixture->why), OK);
    struct fs_list list;
    assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.names[0], "a");
    assert_string_equal(list.names[1], "b1");
    assert_string_equal(list.names[2], "b10");
    assert_string_equal(list.names[3], "c");
    fs_list_free(&list);
}

static void trees_are_made_measured_and_removed(void **state)
{
    struct fixture *fixture = *state;
    const struct fs *fs = fs_system();
    assert_int_equal(fs_make_dirs(fs, below(fixture, "a/b/c"), &fixture->why), OK);
    assert_int_equal(fs_make_dirs(fs, below(fixture, "a/b/c/"), &fixture->why), OK);
    assert_int_equal(fs_write_atomic(fs, below(fixture, "a/b/c/f"), "123", 3, &fixture->why), OK);
    assert_int_equal(fs_write_atomic(fs, below(fixture, "a/g"), "12", 2, &fixture->why), OK);
    assert_int_equal(symlink("/", below(fixture, "a/link")), 0);
    assert_int_equal(fs_tree_bytes(fixture->root, NULL), 5);
    char other_name[96];
    snprintf(other_name, sizeof other_name, "%s/a/b/same_as_g", fixture->root);
    assert_int_equal(link(below(fixture, "a/g"), other_name), 0);
    uint64_t alone_bytes;
    assert_int_equal(fs_tree_bytes(fixture->root, &alone_bytes), 5);
    assert_int_equal(alone_bytes, 3);
    assert_int_equal(fs_tree_bytes(below(fixture, "a/b"), &alone_bytes), 5);
    assert_int_equal(alone_bytes, 3);
    assert_int_equal(fs_make_dirs(fs, below(fixture, "a/g"), &fixture->why), ERR_EXISTS);
    assert_int_equal(fs_remove_tree(fs, below(fixture, "a"), &fixture->why), OK);
    assert_false(fs_exists(below(fixture, "a")));
    assert_int_equal(fs_remove_tree(fs, below(fixture, "a"), &fixture->why), OK);
    assert_int_equal(fs_tree_bytes(below(fixture, "a"), NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(atomic_write_replaces_the_whole_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(atomic_write_takes_over_a_file_left_by_a_crash, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(append_goes_on_at_the_end_also_after_truncate, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(errors_name_the_path_and_the_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mapping_shows_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_refuses_more_than_the_limit_and_keeps_the_buffer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_is_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trees_are_made_measured_and_removed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
