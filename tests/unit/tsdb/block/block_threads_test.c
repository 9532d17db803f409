/* Threads that read one block at the same time see the same data; run under tsan too. */
#include "block_fixture.h"
#include "narthex/base/thread.h"

enum { THREADS = 4 };

struct reader {
    const struct block *block;
    struct thread thread;
    uint64_t sum; /* of the bits of all samples */
    bool failed;
};

static void read_all(void *context)
{
    struct reader *reader = context;
    struct strbuf why = STRBUF_INIT;
    struct block_cursor *cursor = block_cursor_create(reader->block);
    for (uint32_t s = 0; s < block_meta(reader->block)->counts.series && !reader->failed; s++) {
        struct block_column_info info;
        struct block_column_data data;
        bool found = true;
        reader->failed = block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, &why) != OK;
        while (!reader->failed && found) {
            if (block_cursor_next(cursor, &info, &found, &why) != OK ||
                (found && block_cursor_decode(cursor, &data, &why) != OK)) {
                reader->failed = true;
                break;
            }
            for (uint32_t i = 0; found && i < data.count; i++)
                reader->sum += (uint64_t)data.t_ms[i] * (s + 1);
            for (uint32_t i = 0; found && data.values != NULL && i < data.count; i++)
                reader->sum += double_bits(data.values[i]) * (s + 3);
        }
    }
    block_cursor_destroy(cursor);
    strbuf_deinit(&why);
}

static void threads_share_a_block(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = model_create(fixture->seed, 4, 300, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    struct block *block;
    struct reader readers[THREADS] = {0};
    assert_int_equal(model_write(model, &options, &fixture->why), OK);
    assert_int_equal(block_open(fixture_block_path(fixture, &options), &block, &fixture->why), OK);
    for (int i = 0; i < THREADS; i++) {
        readers[i].block = block;
        thread_start(&readers[i].thread, "reader", read_all, &readers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        thread_join(&readers[i].thread);
    for (int i = 0; i < THREADS; i++) {
        assert_false(readers[i].failed);
        assert_true(readers[i].sum == readers[0].sum);
    }
    block_close(block);
    model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_share_a_block, fixture_set_up, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
