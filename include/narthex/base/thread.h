/* base/thread.h: threads, locks and a worker pool. Failures of the pthread calls are broken
 * invariants and abort. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mutex {
    pthread_mutex_t handle;
};
struct cond {
    pthread_cond_t handle; /* waits on CLOCK_MONOTONIC */
};
struct thread {
    pthread_t handle;
    bool running;
};

void mutex_init(struct mutex *mutex);
void mutex_deinit(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

void cond_init(struct cond *cond);
void cond_deinit(struct cond *cond);
void cond_wait(struct cond *cond, struct mutex *mutex);
/* False when `deadline_ns` (monotonic) passed first. */
bool cond_wait_until(struct cond *cond, struct mutex *mutex, int64_t deadline_ns);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

/* `name` (at most 15 bytes) is shown by ps and gdb; all signals are blocked in the new thread. */
void thread_start(struct thread *thread, const char *name, void (*run)(void *context),
                  void *context);
void thread_join(struct thread *thread);

/* Cores that this process may run on (its affinity), at least 1. */
uint32_t thread_core_count(void);

/* A fixed set of threads that run one parallel loop at a time for each caller. */
struct worker_pool;
struct worker_pool *worker_pool_create(const char *name, uint32_t thread_count);
/* Ends the threads; no loop may be running. */
void worker_pool_destroy(struct worker_pool *pool);
/* Calls task(context, index) for every index in [0, count), spread over the pool and the calling
 * thread; returns when all are done. Loops of several callers run at the same time, sharing the
 * threads. pool may be NULL: then the caller does all of it. */
void worker_pool_run(struct worker_pool *pool, uint32_t count,
                     void (*task)(void *context, uint32_t index), void *context);
