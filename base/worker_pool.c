/* A parallel loop lives on its caller's stack. It is in the pool's ring while it may have indices
 * left; a thread that works on it is counted in `helpers`, so the caller knows when to go. */
#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "narthex/base/mem.h"
#include "narthex/base/thread.h"

struct loop {
    /* constant */
    void (*task)(void *context, uint32_t index);
    void *context;
    uint32_t count;

    _Atomic uint64_t next; /* first index nobody took; 64 bits so that it cannot wrap */

    /* guarded by the pool's lock */
    struct loop *following; /* NULL when not in the ring */
    struct loop *previous;
    uint32_t helpers;
    struct cond idle; /* helpers became 0 */
};

struct worker_pool {
    uint32_t thread_count;
    struct thread *threads;

    struct mutex lock;
    /* guarded by lock */
    struct cond work;  /* a loop was added, or the pool ends */
    struct loop *ring; /* the loop that the next free thread helps */
    bool ending;
};

static void ring_add_locked(struct worker_pool *pool, struct loop *loop)
{
    if (pool->ring == NULL) {
        loop->following = loop->previous = loop;
        pool->ring = loop;
        return;
    }
    loop->following = pool->ring;
    loop->previous = pool->ring->previous;
    loop->previous->following = loop;
    loop->following->previous = loop;
}

static void ring_remove_locked(struct worker_pool *pool, struct loop *loop)
{
    if (loop->following == NULL)
        return;
    if (pool->ring == loop)
        pool->ring = loop->following == loop ? NULL : loop->following;
    loop->previous->following = loop->following;
    loop->following->previous = loop->previous;
    loop->following = loop->previous = NULL;
}

static void work_on(struct loop *loop)
{
    for (;;) {
        /* Relaxed: only the uniqueness of the index matters; results are published by the lock. */
        uint64_t index = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed);
        if (index >= loop->count)
            return;
        loop->task(loop->context, (uint32_t)index);
    }
}

static void worker_run(void *context)
{
    struct worker_pool *pool = context;
    mutex_lock(&pool->lock);
    while (!pool->ending) {
        struct loop *loop = pool->ring;
        if (loop == NULL) {
            cond_wait(&pool->work, &pool->lock);
            continue;
        }
        pool->ring = loop->following; /* the next free thread helps another caller */
        loop->helpers++;
        mutex_unlock(&pool->lock);
        work_on(loop);
        mutex_lock(&pool->lock);
        ring_remove_locked(pool, loop);
        if (--loop->helpers == 0)
            cond_signal(&loop->idle);
    }
    mutex_unlock(&pool->lock);
}

struct worker_pool *worker_pool_create(const char *name, uint32_t thread_count)
{
    struct worker_pool *pool = MEM_NEW(MEM_BASE, struct worker_pool);
    pool->thread_count = thread_count;
    pool->threads = MEM_NEW_ARRAY(MEM_BASE, struct thread, thread_count);
    mutex_init(&pool->lock);
    cond_init(&pool->work);
    for (uint32_t i = 0; i < thread_count; i++)
        thread_start(&pool->threads[i], name, worker_run, pool);
    return pool;
}

void worker_pool_destroy(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    mutex_lock(&pool->lock);
    assert(pool->ring == NULL);
    pool->ending = true;
    cond_broadcast(&pool->work);
    mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        thread_join(&pool->threads[i]);
    cond_deinit(&pool->work);
    mutex_deinit(&pool->lock);
    mem_free(MEM_BASE, pool->threads);
    mem_free(MEM_BASE, pool);
}

void worker_pool_run(struct worker_pool *pool, uint32_t count,
                     void (*task)(void *context, uint32_t index), void *context)
{
    if (pool == NULL || pool->thread_count == 0 || count <= 1) {
        for (uint32_t i = 0; i < count; i++)
            task(context, i);
        return;
    }
    struct loop loop = {.task = task, .context = context, .count = count};
    cond_init(&loop.idle);

    mutex_lock(&pool->lock);
    ring_add_locked(pool, &loop);
    cond_broadcast(&pool->work);
    mutex_unlock(&pool->lock);

    work_on(&loop);

    mutex_lock(&pool->lock);
    ring_remove_locked(pool, &loop);
    while (loop.helpers > 0)
        cond_wait(&loop.idle, &pool->lock);
    mutex_unlock(&pool->lock);
    cond_deinit(&loop.idle);
}
