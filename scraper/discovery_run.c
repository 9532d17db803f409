#include "discovery_run.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"

enum {
    DISCOVERY_GROUP_BYTES_MAX = 256 << 20, /* of one mechanism, like the next */
    TARGETS_MAX = 250000,
};
/* A burst of changes is read once, at its end; one that does not end, all the same. */
enum { SETTLE_MS = 50, SETTLE_MS_MAX = 1000, PAUSE_MS_MIN = 100 };
static const int64_t ns_per_ms = 1000000;

/* ---- metrics ---- */

static const char *const by_manager[] = {"name", NULL};
static const char *const by_config[] = {"name", "config", NULL};
static const char *const by_mechanism[] = {"mechanism", NULL};
static const char *const by_refresh[] = {"mechanism", "config", NULL};
static const struct str manager_name = STR_INIT("scrape");

void discovery_metrics_init(struct discovery_metrics *m, struct metrics *r)
{
    static const double quantiles[] = {.5, .9, .99};
    static const double bounds[] = {.01, .1, 1, 10};
    *m = (struct discovery_metrics){.registry = r};
    if (r == NULL)
        return;
    m->discovered_targets = metrics_gauge(r, "prometheus_sd_discovered_targets",
                                          "Targets found, before relabeling.", by_config);
    m->last_update = metrics_gauge(r, "prometheus_sd_last_update_timestamp_seconds",
                                   "When a mechanism gave its groups last.", by_config);
    m->refresh_failures = metrics_counter(r, "prometheus_sd_refresh_failures_total",
                                          "Refreshes that failed.", by_refresh);
    m->refresh_duration = metrics_summary(r, "prometheus_sd_refresh_duration_seconds",
                                          "Time a refresh took.", by_refresh, quantiles, 3);
    m->refresh_histogram = metrics_histogram(r, "prometheus_sd_refresh_duration_histogram_seconds",
                                             "Time a refresh took, of all jobs.", by_mechanism,
                                             bounds, sizeof bounds / sizeof *bounds);
    m->failed_configs =
        metric_with(metrics_gauge(r, "prometheus_sd_failed_configs",
                                  "Mechanisms that could not be started.", by_manager),
                    &manager_name);
    m->received_updates = metric_with(metrics_counter(r, "prometheus_sd_received_updates_total",
                                                      "Lists of groups received.", by_manager),
                                      &manager_name);
    m->updates = metric_with(
        metrics_counter(r, "prometheus_sd_updates_total", "Lists of groups handed on.", by_manager),
        &manager_name);
    (void)metric_with(metrics_counter(r, "prometheus_sd_updates_delayed_total",
                                      "Lists of groups that had to wait.", by_manager),
                      &manager_name);
    discovery_mechanisms_register(r);
}

void discovery_metrics_set_targets(const struct discovery_metrics *m, struct str job_name,
                                   uint64_t count)
{
    struct str labels[] = {manager_name, job_name};
    if (m->registry == NULL)
        return;
    metric_set(metric_with(m->discovered_targets, labels), (double)count);
}

void discovery_metrics_forget(const struct discovery_metrics *m, struct str job_name)
{
    struct str labels[] = {manager_name, job_name};
    if (m->registry == NULL)
        return;
    metric_remove(m->discovered_targets, labels);
    metric_remove(m->last_update, labels);
}

void discovery_metrics_set_failed(const struct discovery_metrics *m, uint32_t count)
{
    if (m->registry != NULL)
        metric_set(m->failed_configs, count);
}

void discovery_metrics_count_update(const struct discovery_metrics *m)
{
    if (m->registry == NULL)
        return;
    metric_add(m->received_updates, 1);
    metric_add(m->updates, 1);
}

void discovery_metrics_set_updated(const struct discovery_metrics *m, struct str job_name)
{
    struct str config[] = {manager_name, job_name};
    if (m->registry != NULL)
        metric_set(metric_with(m->last_update, config),
                   (double)clock_wall_ms(clock_system()) / 1000);
}

/* Several runs may have these labels, at once or one after the other in a reload. */
static void hold_metrics(struct discovery_run *run)
{
    const struct discovery_metrics *m = run->owner.metrics;
    if (m->registry == NULL || run->mechanism->refresh == NULL)
        return;
    struct str labels[] = {run->mechanism->name, run->job->config->job_name};
    run->counts = (struct refresh_metrics){
        metric_hold(m->refresh_failures, labels),
        metric_distribution_hold(m->refresh_duration, labels),
        metric_distribution_with(m->refresh_histogram, labels),
    };
}

static void drop_metrics(struct discovery_run *run)
{
    if (run->counts.failures == NULL)
        return;
    struct str labels[] = {run->mechanism->name, run->job->config->job_name};
    metric_drop(run->owner.metrics->refresh_failures, labels);
    metric_drop(run->owner.metrics->refresh_duration, labels);
}

static void count_refresh(const struct discovery_run *run, err_t result, double seconds)
{
    if (run->counts.failures == NULL)
        return;
    metric_add(run->counts.failures, result != OK);
    metric_observe(run->counts.duration, seconds);
    metric_observe(run->counts.duration_histogram, seconds);
}

/* ---- the thread ---- */

static void log_failure(const struct discovery_run *run, const char *message,
                        const struct strbuf *why)
{
    struct strbuf job = STRBUF_INIT;
    struct strbuf name = STRBUF_INIT;
    strbuf_add_str(&job, run->job->config->job_name);
    strbuf_add_str(&name, run->mechanism->name);
    LOG_ERROR(message, "discovery", strbuf_cstr(&name), "config", strbuf_cstr(&job), "err",
              strbuf_cstr(why));
    strbuf_deinit(&name);
    strbuf_deinit(&job);
}

static bool is_stopping(const struct discovery_run *run)
{
    return atomic_load_explicit(&run->stopping, memory_order_relaxed);
}

/* Hands groups over, or forgets them. */
static void settle(struct discovery_run *run, err_t result, struct discovered_groups *groups,
                   struct arena *arena)
{
    if (result == OK)
        run->owner.publish(run->owner.context, run, groups, arena);
    else
        arena_deinit(arena);
}

/* Fails when a server made a mechanism find more than memory, or relabeling's time, is meant for.
 */
static err_t check_size(err_t result, const struct discovered_groups *groups, struct strbuf *why)
{
    if (result != OK)
        return result;
    if (arena_exhausted(groups->arena))
        return err_fail(why, ERR_LIMIT, "target groups need more than %zu bytes",
                        groups->arena->budget_bytes);
    uint64_t count = 0;
    for (uint32_t g = 0; g < groups->count; g++) {
        const struct target_group_config *group = &groups->items[g];
        count += group->target_count;
        if (count > TARGETS_MAX)
            return err_fail(why, ERR_LIMIT, "more than %d targets", TARGETS_MAX);
        for (uint32_t t = 0; t < group->target_count; t++) {
            if (group->targets[t].count + group->labels.count > DISCOVERY_TARGET_LABELS_MAX)
                return err_fail(why, ERR_LIMIT, "a target has more than %d labels",
                                DISCOVERY_TARGET_LABELS_MAX);
        }
    }
    return OK;
}

/* A first refresh that fails gives an empty list: what another configuration found is not ours. */
static void refresh(struct discovery_run *run, bool first)
{
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    arena_init(&arena, MEM_DISCOVERY, DISCOVERY_GROUP_BYTES_MAX);
    struct discovered_groups groups = {.arena = &arena};
    int64_t started_ns = clock_monotonic_ns(clock_system());
    err_t err = run->mechanism->refresh(run->state, &groups, &why);
    err = check_size(err, &groups, &why);
    if (err != ERR_CANCELED)
        count_refresh(run, err, (double)(clock_monotonic_ns(clock_system()) - started_ns) / 1e9);
    if (err != OK && !is_stopping(run))
        log_failure(run, "Unable to refresh target groups", &why);
    if (err != OK && first)
        run->owner.publish(run->owner.context, run, NULL, NULL);
    settle(run, err, &groups, &arena);
    strbuf_deinit(&why);
}

static int wait_ms(int64_t due_ns)
{
    int64_t left_ms = (due_ns - clock_monotonic_ns(clock_system())) / ns_per_ms + 1;
    return left_ms < 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Returns when it is time to refresh, or false to stop. */
static bool wait_for_change(struct discovery_run *run, int64_t due_ns)
{
    const struct discovery_mechanism *mechanism = run->mechanism;
    int64_t latest_ns = due_ns;
    struct pollfd fds[2] = {{.fd = run->stop_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (mechanism->wake_fd != NULL)
        fds[1].fd = mechanism->wake_fd(run->state);
    while (!is_stopping(run)) {
        int ready = poll(fds, 2, wait_ms(due_ns));
        if (ready == 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
        if (fds[1].revents != 0 && mechanism->woken(run->state)) {
            int64_t now_ns = clock_monotonic_ns(clock_system());
            if (now_ns + SETTLE_MS_MAX * ns_per_ms < latest_ns)
                latest_ns = now_ns + SETTLE_MS_MAX * ns_per_ms;
            due_ns = now_ns + SETTLE_MS * ns_per_ms;
            due_ns = due_ns < latest_ns ? due_ns : latest_ns;
        }
    }
    return false;
}

int64_t discovery_pause_ms(int64_t interval_ms)
{
    return interval_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : interval_ms;
}

static void run_refresh(struct discovery_run *run)
{
    bool first = true;
    int64_t due_ns;
    do {
        refresh(run, first);
        first = false;
        int64_t pause_ms = discovery_pause_ms(run->mechanism->interval_ms(run->state));
        due_ns = clock_monotonic_ns(clock_system()) + pause_ms * ns_per_ms;
    } while (wait_for_change(run, due_ns));
}

static void run_watch(struct discovery_run *run)
{
    err_t err = OK;
    while (!is_stopping(run) && (err == OK || err == ERR_LIMIT)) {
        struct arena arena;
        struct strbuf why = STRBUF_INIT;
        arena_init(&arena, MEM_DISCOVERY, DISCOVERY_GROUP_BYTES_MAX);
        struct discovered_groups groups = {.arena = &arena};
        err = run->mechanism->watch(run->state, &groups, &why);
        err = check_size(err, &groups, &why);
        if (err != OK && !is_stopping(run))
            log_failure(run, "Unable to watch targets", &why);
        settle(run, err, &groups, &arena);
        strbuf_deinit(&why);
    }
}

static void run_mechanism(void *context)
{
    struct discovery_run *run = context;
    if (run->mechanism->refresh != NULL)
        run_refresh(run);
    else
        run_watch(run);
}

struct discovery_run *discovery_run_start(struct scrape_job *job,
                                          const struct discovery_config *config,
                                          const struct discovery_owner *owner)
{
    const struct discovery_mechanism *mechanism = discovery_mechanism_find(config->mechanism);
    struct discovery_run *run = MEM_NEW(MEM_DISCOVERY, struct discovery_run);
    run->mechanism = mechanism;
    run->owner = *owner;
    run->job = job;
    run->fingerprint = config->fingerprint;
    run->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run->env = (struct discovery_env){&run->stopping, run->stop_fd, owner->metrics->registry};
    struct strbuf why = STRBUF_INIT;
    err_t err = mechanism == NULL || config->settings == NULL
                    ? err_fail(&why, ERR_UNSUPPORTED, "%.*s_sd_configs is not supported",
                               STR_ARG(config->mechanism))
                    : mechanism->create(config->settings, &run->env, &run->state, &why);
    if (err != OK) {
        LOG_ERROR("Cannot create service discovery", "err", strbuf_cstr(&why));
        close(run->stop_fd);
        mem_free(MEM_DISCOVERY, run);
        strbuf_deinit(&why);
        return NULL;
    }
    strbuf_deinit(&why);
    scrape_job_ref(job);
    hold_metrics(run);
    thread_start(&run->thread, "discovery", run_mechanism, run);
    return run;
}

void discovery_runs_stop(struct discovery_run *runs)
{
    for (struct discovery_run *run = runs; run != NULL; run = run->next) {
        atomic_store_explicit(&run->stopping, true, memory_order_relaxed);
        eventfd_write(run->stop_fd, 1);
    }
    while (runs != NULL) {
        struct discovery_run *run = runs;
        runs = run->next;
        thread_join(&run->thread);
        close(run->stop_fd);
        run->mechanism->destroy(run->state);
        drop_metrics(run);
        scrape_job_unref(run->job);
        mem_free(MEM_DISCOVERY, run);
    }
}
