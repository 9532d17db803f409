#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/thread.h"

enum { TASKS = 1000, CALLERS = 4, ROUNDS = 50 };

struct tally {
    _Atomic uint32_t calls[TASKS];
};

static void count_call(void *context, uint32_t index)
{
    struct tally *tally = context;
    atomic_fetch_add(&tally->calls[index], 1);
}

static void expect_each_called(const struct tally *tally, uint32_t count, uint32_t times)
{
    for (uint32_t i = 0; i < TASKS; i++)
        assert_int_equal(tally->calls[i], i < count ? times : 0);
}

static void every_index_runs_once(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create("test", 3);
    const uint32_t counts[] = {0, 1, 2, 3, 7, TASKS};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct tally tally = {0};
        worker_pool_run(pool, counts[i], count_call, &tally);
        expect_each_called(&tally, counts[i], 1);
    }
    worker_pool_destroy(pool);
}

static void without_a_pool_the_caller_does_it(void **state)
{
    (void)state;
    struct tally tally = {0};
    worker_pool_run(NULL, TASKS, count_call, &tally);
    expect_each_called(&tally, TASKS, 1);
}

/* Every task waits until another one runs too: ends only if two run at the same time. */
static void meet(void *context, uint32_t index)
{
    (void)index;
    _Atomic uint32_t *arrived = context;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 2)
        ;
}

static void tasks_run_at_the_same_time(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create("test", 1);
    _Atomic uint32_t arrived = 0;
    worker_pool_run(pool, 2, meet, &arrived);
    assert_int_equal(arrived, 2);
    worker_pool_destroy(pool);
}

struct caller {
    struct thread thread;
    struct worker_pool *pool;
    struct tally tally;
};

static void call_often(void *context)
{
    struct caller *caller = context;
    for (int i = 0; i < ROUNDS; i++)
        worker_pool_run(caller->pool, TASKS, count_call, &caller->tally);
}

static void several_callers_share_the_pool(void **state)
{
    (void)state;
    struct worker_pool *pool = worker_pool_create("test", 2);
    struct caller *callers = MEM_NEW_ARRAY(MEM_TEST, struct caller, CALLERS);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].pool = pool;
        thread_start(&callers[i].thread, "caller", call_often, &callers[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        thread_join(&callers[i].thread);
        expect_each_called(&callers[i].tally, TASKS, ROUNDS);
    }
    mem_free(MEM_TEST, callers);
    worker_pool_destroy(pool);
}

struct nest {
    struct worker_pool *pool;
    struct tally tally;
};

static void run_inner(void *context, uint32_t index)
{
    (void)index;
    struct nest *nest = context;
    worker_pool_run(nest->pool, 10, count_call, &nest->tally);
}

static void a_task_may_run_a_loop_of_its_own(void **state)
{
    (void)state;
    struct nest nest = {.pool = worker_pool_create("test", 2)};
    worker_pool_run(nest.pool, 20, run_inner, &nest);
    expect_each_called(&nest.tally, 10, 20);
    worker_pool_destroy(nest.pool);
}

static void timed_wait_ends_at_the_deadline(void **state)
{
    (void)state;
    struct mutex mutex;
    struct cond cond;
    mutex_init(&mutex);
    cond_init(&cond);
    mutex_lock(&mutex);
    int64_t deadline_ns = clock_monotonic_ns(clock_system()) + 2000000;
    while (cond_wait_until(&cond, &mutex, deadline_ns))
        ;
    assert_true(clock_monotonic_ns(clock_system()) >= deadline_ns);
    assert_false(cond_wait_until(&cond, &mutex, -1));
    mutex_unlock(&mutex);
    assert_true(mutex_try_lock(&mutex));
    mutex_unlock(&mutex);
    cond_deinit(&cond);
    mutex_deinit(&mutex);
}

struct seen {
    sigset_t blocked;
    char name[16];
};

static void look_at_itself(void *context)
{
    struct seen *seen = context;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
}

static void threads_have_a_name_and_no_signals(void **state)
{
    (void)state;
    struct seen seen;
    struct thread thread;
    thread_start(&thread, "a name that is longer than fifteen", look_at_itself, &seen);
    thread_join(&thread);
    assert_false(thread.running);
    assert_string_equal(seen.name, "a name that is ");
    assert_true(sigismember(&seen.blocked, SIGTERM));
    assert_true(sigismember(&seen.blocked, SIGHUP));
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    assert_false(sigismember(&own, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_runs_once),
        cmocka_unit_test(without_a_pool_the_caller_does_it),
        cmocka_unit_test(tasks_run_at_the_same_time),
        cmocka_unit_test(several_callers_share_the_pool),
        cmocka_unit_test(a_task_may_run_a_loop_of_its_own),
        cmocka_unit_test(timed_wait_ends_at_the_deadline),
        cmocka_unit_test(threads_have_a_name_and_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
