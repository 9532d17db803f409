#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "statvfs_worker.h"

/* A mount that hangs until the gate opens. */
static struct {
    struct mutex lock;
    struct cond opened;
    bool open;
    int hang_calls;
    int hangs_over;
} gate;

static int fake_statvfs(const char *path, struct statvfs *values)
{
    if (strcmp(path, "/error") == 0) {
        errno = EACCES;
        return -1;
    }
    if (strcmp(path, "/hang") == 0) {
        mutex_lock(&gate.lock);
        gate.hang_calls++;
        while (!gate.open)
            cond_wait(&gate.opened, &gate.lock);
        gate.hangs_over++;
        cond_broadcast(&gate.opened);
        mutex_unlock(&gate.lock);
    }
    values->f_blocks = strlen(path);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(&gate, 0, sizeof gate);
    mutex_init(&gate.lock);
    cond_init(&gate.opened);
    return 0;
}

static void open_gate(void)
{
    mutex_lock(&gate.lock);
    gate.open = true;
    cond_broadcast(&gate.opened);
    while (gate.hangs_over < gate.hang_calls)
        cond_wait(&gate.opened, &gate.lock);
    mutex_unlock(&gate.lock);
}

static int hang_calls(void)
{
    mutex_lock(&gate.lock);
    int calls = gate.hang_calls;
    mutex_unlock(&gate.lock);
    return calls;
}

/* The threads left behind free what they held when they come back, and use the gate no more. */
static void wait_for_threads(void)
{
    while (mem_bytes(MEM_EXPORTER) != 0)
        sched_yield();
}

static void results_come_in_order(void **state)
{
    (void)state;
    struct statvfs_worker *worker = statvfs_worker__create(fake_statvfs, STATVFS_TIMEOUT_NS);
    const char *const paths[] = {"/a", "/error", "/long"};
    struct statvfs_result results[3];
    statvfs_worker__run(worker, paths, 3, results);
    assert_int_equal(results[0].failure, 0);
    assert_int_equal(results[0].values.f_blocks, 2);
    assert_int_equal(results[1].failure, EACCES);
    assert_int_equal(results[2].values.f_blocks, 5);
    statvfs_worker__run(worker, paths, 0, results);
    statvfs_worker__destroy(worker);
    assert_int_equal(mem_bytes(MEM_EXPORTER), 0);
}

static void a_hanging_mount_is_left_behind_and_taken_back(void **state)
{
    (void)state;
    const int64_t short_ns = 20000000;
    struct statvfs_worker *worker = statvfs_worker__create(fake_statvfs, short_ns);
    const char *const paths[] = {"/a", "/hang", "/b"};
    struct statvfs_result results[3];
    /* On a busy machine the time may end before the thread begins. */
    do
        statvfs_worker__run(worker, paths, 3, results);
    while (hang_calls() == 0);
    assert_int_equal(results[1].failure, ETIMEDOUT);

    /* Not tried again: the others are answered. */
    do
        statvfs_worker__run(worker, paths, 3, results);
    while (results[0].failure == ETIMEDOUT || results[2].failure == ETIMEDOUT);
    assert_int_equal(results[0].failure, 0);
    assert_int_equal(results[1].failure, ETIMEDOUT);
    assert_int_equal(results[2].failure, 0);
    assert_int_equal(hang_calls(), 1);

    open_gate();
    /* The thread that came back may need a moment to say so. */
    do
        statvfs_worker__run(worker, paths, 3, results);
    while (results[1].failure == ETIMEDOUT);
    assert_int_equal(results[1].failure, 0);
    assert_int_equal(results[1].values.f_blocks, 5);
    statvfs_worker__destroy(worker);
    wait_for_threads();
}

static void the_worker_may_end_while_a_thread_hangs(void **state)
{
    (void)state;
    struct statvfs_worker *worker = statvfs_worker__create(fake_statvfs, 1000000);
    const char *const paths[] = {"/hang"};
    struct statvfs_result result;
    do
        statvfs_worker__run(worker, paths, 1, &result);
    while (hang_calls() == 0);
    assert_int_equal(result.failure, ETIMEDOUT);
    /* Nothing is left to look at, and no thread is needed for that. */
    statvfs_worker__run(worker, paths, 1, &result);
    assert_int_equal(result.failure, ETIMEDOUT);
    assert_int_equal(hang_calls(), 1);
    statvfs_worker__destroy(worker);
    open_gate();
    wait_for_threads();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(results_come_in_order, set_up),
        cmocka_unit_test_setup(a_hanging_mount_is_left_behind_and_taken_back, set_up),
        cmocka_unit_test_setup(the_worker_may_end_while_a_thread_hangs, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
