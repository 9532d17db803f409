#include "narthex/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "narthex/base/mem.h"

enum { THREAD_NAME_BYTES = 16 };

static void must(int result)
{
    assert(result == 0);
}

uint32_t thread_core_count(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (uint32_t)CPU_COUNT(&cores) : 1;
}

void mutex_init(struct mutex *mutex)
{
    must(pthread_mutex_init(&mutex->handle, NULL));
}

void mutex_deinit(struct mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->handle));
}

void mutex_lock(struct mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->handle));
}

bool mutex_try_lock(struct mutex *mutex)
{
    int result = pthread_mutex_trylock(&mutex->handle);
    assert(result == 0 || result == EBUSY);
    return result == 0;
}

void mutex_unlock(struct mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->handle));
}

void cond_init(struct cond *cond)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->handle, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void cond_deinit(struct cond *cond)
{
    must(pthread_cond_destroy(&cond->handle));
}

void cond_wait(struct cond *cond, struct mutex *mutex)
{
    must(pthread_cond_wait(&cond->handle, &mutex->handle));
}

bool cond_wait_until(struct cond *cond, struct mutex *mutex, int64_t deadline_ns)
{
    if (deadline_ns < 0)
        deadline_ns = 0;
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    int result = pthread_cond_timedwait(&cond->handle, &mutex->handle, &until);
    assert(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void cond_signal(struct cond *cond)
{
    must(pthread_cond_signal(&cond->handle));
}

void cond_broadcast(struct cond *cond)
{
    must(pthread_cond_broadcast(&cond->handle));
}

struct start {
    void (*run)(void *context);
    void *context;
    char name[THREAD_NAME_BYTES];
};

static void *run_thread(void *argument)
{
    struct start start = *(struct start *)argument;
    mem_free(MEM_BASE, argument);
    pthread_setname_np(pthread_self(), start.name);
    start.run(start.context);
    return NULL;
}

void thread_start(struct thread *thread, const char *name, void (*run)(void *context),
                  void *context)
{
    struct start *start = MEM_NEW(MEM_BASE, struct start);
    start->run = run;
    start->context = context;
    snprintf(start->name, sizeof start->name, "%s", name);

    /* Signals belong to the main thread: the new one inherits a full mask. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before));
    must(pthread_create(&thread->handle, NULL, run_thread, start));
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    thread->running = true;
}

void thread_join(struct thread *thread)
{
    if (!thread->running)
        return;
    must(pthread_join(thread->handle, NULL));
    thread->running = false;
}
