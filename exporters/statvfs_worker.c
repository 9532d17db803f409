#include "statvfs_worker.h"

#include <errno.h>
#include <string.h>

#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/base/vec.h"

/* The list one thread works through. Shared by the thread and the worker; the last one frees it. */
struct batch {
    /* constant */
    statvfs_fn call;
    char **paths;
    size_t count;

    struct mutex lock;
    /* guarded by lock */
    struct cond moved; /* done or ended changed */
    struct statvfs_result *results;
    size_t done; /* the thread is at this index */
    bool left_behind;
    bool ended;
    uint32_t holders;
};

struct statvfs_worker {
    statvfs_fn call;
    int64_t timeout_ns;
    struct batch **stuck; /* left behind, each hanging at its `done` path */
    size_t stuck_count;
    size_t stuck_capacity;
};

static int call_statvfs(const char *path, struct statvfs *values)
{
    return statvfs(path, values);
}

struct statvfs_worker *statvfs_worker__create(statvfs_fn call, int64_t timeout_ns)
{
    struct statvfs_worker *worker = MEM_NEW(MEM_EXPORTER, struct statvfs_worker);
    worker->call = call == NULL ? call_statvfs : call;
    worker->timeout_ns = timeout_ns;
    return worker;
}

static void batch_release(struct batch *batch)
{
    mutex_lock(&batch->lock);
    bool last = --batch->holders == 0;
    mutex_unlock(&batch->lock);
    if (!last)
        return;
    for (size_t i = 0; i < batch->count; i++)
        mem_free(MEM_EXPORTER, batch->paths[i]);
    mem_free(MEM_EXPORTER, batch->paths);
    mem_free(MEM_EXPORTER, batch->results);
    cond_deinit(&batch->moved);
    mutex_deinit(&batch->lock);
    mem_free(MEM_EXPORTER, batch);
}

void statvfs_worker__destroy(struct statvfs_worker *worker)
{
    for (size_t i = 0; i < worker->stuck_count; i++)
        batch_release(worker->stuck[i]);
    mem_free(MEM_EXPORTER, worker->stuck);
    mem_free(MEM_EXPORTER, worker);
}

static void run_batch(void *context)
{
    struct batch *batch = context;
    mutex_lock(&batch->lock);
    while (batch->done < batch->count && !batch->left_behind) {
        const char *path = batch->paths[batch->done];
        mutex_unlock(&batch->lock);
        struct statvfs_result result = {0};
        if (batch->call(path, &result.values) != 0)
            result.failure = errno;
        mutex_lock(&batch->lock);
        if (batch->left_behind)
            break;
        batch->results[batch->done++] = result;
    }
    batch->ended = true;
    cond_signal(&batch->moved);
    mutex_unlock(&batch->lock);
    batch_release(batch);
}

static void forget_those_that_came_back(struct statvfs_worker *worker)
{
    size_t kept = 0;
    for (size_t i = 0; i < worker->stuck_count; i++) {
        struct batch *batch = worker->stuck[i];
        mutex_lock(&batch->lock);
        bool ended = batch->ended;
        mutex_unlock(&batch->lock);
        if (ended)
            batch_release(batch);
        else
            worker->stuck[kept++] = batch;
    }
    worker->stuck_count = kept;
}

static bool hangs(const struct statvfs_worker *worker, const char *path)
{
    for (size_t i = 0; i < worker->stuck_count; i++) {
        /* A batch that was left behind keeps its `done`. */
        if (strcmp(worker->stuck[i]->paths[worker->stuck[i]->done], path) == 0)
            return true;
    }
    return false;
}

static struct batch *batch_create(struct statvfs_worker *worker, const char *const *paths,
                                  size_t count)
{
    struct batch *batch = MEM_NEW(MEM_EXPORTER, struct batch);
    batch->call = worker->call;
    batch->paths = MEM_NEW_ARRAY(MEM_EXPORTER, char *, count);
    batch->results = MEM_NEW_ARRAY(MEM_EXPORTER, struct statvfs_result, count);
    batch->holders = 2;
    mutex_init(&batch->lock);
    cond_init(&batch->moved);
    for (size_t i = 0; i < count; i++) {
        if (!hangs(worker, paths[i]))
            batch->paths[batch->count++] = mem_dup(MEM_EXPORTER, paths[i], strlen(paths[i]));
    }
    return batch;
}

/* Waits for the end or the deadline; false if the thread is left behind. */
static bool wait_for(struct batch *batch, int64_t deadline_ns)
{
    mutex_lock(&batch->lock);
    while (!batch->ended && cond_wait_until(&batch->moved, &batch->lock, deadline_ns))
        ;
    batch->left_behind = !batch->ended;
    bool ended = batch->ended;
    mutex_unlock(&batch->lock);
    return ended;
}

/* False if its thread is left behind. Without paths there is no thread: one that hangs at no path
 * could not be told from others. */
static bool work_through(struct batch *batch, int64_t timeout_ns)
{
    if (batch->count == 0) {
        batch->holders = 1;
        return true;
    }
    int64_t deadline_ns = clock_monotonic_ns(clock_system()) + timeout_ns;
    struct thread thread;
    thread_start(&thread, "statvfs", run_batch, batch);
    bool ended = wait_for(batch, deadline_ns);
    if (ended)
        thread_join(&thread);
    else
        pthread_detach(thread.handle);
    return ended;
}

void statvfs_worker__run(struct statvfs_worker *worker, const char *const *paths, size_t count,
                         struct statvfs_result *results)
{
    forget_those_that_came_back(worker);
    struct batch *batch = batch_create(worker, paths, count);
    bool ended = work_through(batch, worker->timeout_ns);

    /* The batch holds the paths in order, without those that hang already. */
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct statvfs_result){.failure = ETIMEDOUT};
        if (at == batch->count || strcmp(paths[i], batch->paths[at]) != 0)
            continue;
        if (at < batch->done)
            results[i] = batch->results[at];
        at++;
    }
    if (ended)
        batch_release(batch);
    else
        VEC_PUSH(MEM_EXPORTER, worker->stuck, worker->stuck_count, worker->stuck_capacity, batch);
}
