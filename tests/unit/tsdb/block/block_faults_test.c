/* The writer over a disk that fails: at every call in turn, an error comes back and no block is
 * left that could be taken for a whole one. */
#include "block_fixture.h"

struct faulty {
    struct fs fs;
    uint32_t calls;
    uint32_t fail_at; /* number of the call that fails; later ones work again */
};

static struct faulty *faulty_disk; /* file calls carry no context */

static err_t step(struct strbuf *why)
{
    if (faulty_disk->calls++ == faulty_disk->fail_at)
        return err_fail(why, ERR_NO_SPACE, "injected");
    return OK;
}

static err_t faulty_open(void *context, const char *path, enum fs_open_mode mode,
                         struct fs_file **file, struct strbuf *why)
{
    TRY(step(why));
    return fs_system()->open(context, path, mode, file, why);
}

static err_t faulty_write(struct fs_file *file, const void *data, size_t size, struct strbuf *why)
{
    err_t err = step(why);
    if (err != OK)
        TRY(fs_system()->write(file, data, size / 2, why));
    return err == OK ? fs_system()->write(file, data, size, why) : err;
}

static err_t faulty_sync(struct fs_file *file, struct strbuf *why)
{
    TRY(step(why));
    return fs_system()->sync(file, why);
}

static err_t faulty_close(struct fs_file *file, struct strbuf *why)
{
    TRY(fs_system()->close(file, why));
    return step(why);
}

static err_t faulty_rename(void *context, const char *from, const char *to, struct strbuf *why)
{
    TRY(step(why));
    return fs_system()->rename(context, from, to, why);
}

static err_t faulty_mkdir(void *context, const char *path, struct strbuf *why)
{
    TRY(step(why));
    return fs_system()->mkdir(context, path, why);
}

static err_t faulty_sync_dir(void *context, const char *path, struct strbuf *why)
{
    TRY(step(why));
    return fs_system()->sync_dir(context, path, why);
}

static void a_failing_disk_leaves_no_block(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 2, 60, 1000000);
    struct faulty faulty = {.fs = *fs_system()};
    faulty.fs.open = faulty_open;
    faulty.fs.write = faulty_write;
    faulty.fs.sync = faulty_sync;
    faulty.fs.close = faulty_close;
    faulty.fs.rename = faulty_rename;
    faulty.fs.mkdir = faulty_mkdir;
    faulty.fs.sync_dir = faulty_sync_dir;
    faulty_disk = &faulty;
    struct block_writer_options options = fixture_options(fixture, 1);
    options.fs = &faulty.fs;
    uint32_t failures = 0;
    for (;; failures++) {
        faulty.calls = 0;
        faulty.fail_at = failures;
        err_t err = model_write(model, &options, &fixture->why);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_NO_SPACE);
        assert_string_equal(strbuf_cstr(&fixture->why), "injected");
        struct fs_list list;
        assert_int_equal(fs_list_dir(fixture->root, &list, &fixture->why), OK);
        assert_int_equal(list.count, 0);
        fs_list_free(&list);
    }
    /* mkdir, open, writes, sync, close, sync of the folder, rename, sync of the parent */
    assert_true(failures >= 8);
    struct block *block;
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, &fixture->why), OK);
    assert_int_equal(block_verify(block, &fixture->why), OK);
    block_close(block);
    model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failing_disk_leaves_no_block, fixture_set_up,
                                        fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
