/* file_sd: target groups in JSON or YAML files. The directories are watched; every change in them
 * reads all files again, and so does the refresh interval. */
#include <glob.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "discovery_labels.h"
#include "narthex/base/clock.h"
#include "narthex/base/fs.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/scraper/discovery.h"

enum { FILE_BYTES_MAX = 64 << 20, GROUP_BYTES_MAX = 256 << 20 };

/* What a file said when it could be read last. */
struct known_file {
    struct str path; /* in the arena */
    struct arena arena;
    struct discovered_groups groups;
    bool present; /* found by this refresh */
    /* Held: after a reload the mechanism before may still be about to end. NULL: not counted. */
    struct metric *mtime;
};

/* NULL members: nothing is counted. */
struct file_metrics {
    struct metric *read_errors;
    struct metric *watcher_errors;
    struct metric_family *mtime;
    struct metric_distribution *scan_duration;
};

struct file_discovery {
    const struct file_discovery_config *config;
    struct file_metrics metrics;
    int inotify_fd; /* -1: not to be had; the interval remains */
    struct known_file *files;
    uint32_t file_count;
    uint32_t file_capacity;
};

static struct file_metrics file_metrics(struct metrics *r)
{
    static const char *const by_file[] = {"filename", NULL};
    static const double quantiles[] = {.5, .9, .99};
    if (r == NULL)
        return (struct file_metrics){0};
    return (struct file_metrics){
        .read_errors = metric_only(metrics_counter(r, "prometheus_sd_file_read_errors_total",
                                                   "Files that could not be read.", NULL)),
        .watcher_errors = metric_only(metrics_counter(r, "prometheus_sd_file_watcher_errors_total",
                                                      "Folders that could not be watched.", NULL)),
        .mtime = metrics_gauge(r, "prometheus_sd_file_mtime_seconds",
                               "When a file of targets was changed last, as of its last reading.",
                               by_file),
        .scan_duration = metric_distribution_only(
            metrics_summary(r, "prometheus_sd_file_scan_duration_seconds",
                            "Time reading all files of targets took.", NULL, quantiles, 3)),
    };
}

static void file_register_metrics(struct metrics *r)
{
    (void)file_metrics(r);
}

static void count(struct metric *metric)
{
    if (metric != NULL)
        metric_add(metric, 1);
}

static err_t file_create(const void *settings, const struct discovery_env *env, void **state,
                         struct strbuf *why)
{
    (void)why;
    struct file_discovery *file = MEM_NEW(MEM_DISCOVERY, struct file_discovery);
    file->config = settings;
    file->metrics = file_metrics(env->metrics);
    file->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (file->inotify_fd < 0)
        count(file->metrics.watcher_errors);
    *state = file;
    return OK;
}

static void forget(struct file_discovery *file, struct known_file *known)
{
    if (known->mtime != NULL)
        metric_drop(file->metrics.mtime, &known->path);
    arena_deinit(&known->arena);
}

static void file_destroy(void *state)
{
    struct file_discovery *file = state;
    for (uint32_t i = 0; i < file->file_count; i++)
        forget(file, &file->files[i]);
    mem_free(MEM_DISCOVERY, file->files);
    if (file->inotify_fd >= 0)
        close(file->inotify_fd);
    mem_free(MEM_DISCOVERY, file);
}

static struct known_file *find_file(struct file_discovery *file, struct str path)
{
    for (uint32_t i = 0; i < file->file_count; i++) {
        if (str_equal(file->files[i].path, path))
            return &file->files[i];
    }
    return NULL;
}

static bool is_json(struct str path)
{
    return path.size >= 5 && str_equal_nocase(str_from(path.data + path.size - 5, 5), STR(".json"));
}

static err_t parse_file(const char *path, struct known_file *made, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    err_t err = fs_read_file(path, FILE_BYTES_MAX, &text, why);
    if (err == OK) {
        struct label source = {STR("__meta_filepath"), made->path};
        err = is_json(made->path)
                  ? discovered_groups_read_json(&made->groups, strbuf_str(&text), &source, why)
                  : discovered_groups_read_yaml(&made->groups, strbuf_str(&text), &source, why);
    }
    strbuf_deinit(&text);
    return err;
}

static void note_mtime(const struct known_file *known, const char *path)
{
    struct stat status;
    if (known->mtime != NULL && stat(path, &status) == 0)
        metric_set(known->mtime, (double)status.st_mtim.tv_sec);
}

/* A broken file keeps what it said before. */
static void read_file(struct file_discovery *file, const char *path)
{
    struct known_file made = {.present = true};
    struct strbuf why = STRBUF_INIT;
    arena_init(&made.arena, MEM_DISCOVERY, GROUP_BYTES_MAX);
    made.path = arena_str(&made.arena, str_from_cstr(path));
    made.groups.arena = &made.arena;
    struct known_file *known = find_file(file, made.path);
    if (parse_file(path, &made, &why) != OK) {
        LOG_ERROR("Error reading file", "discovery", "file", "path", path, "err",
                  strbuf_cstr(&why));
        count(file->metrics.read_errors);
        if (known != NULL)
            known->present = true;
        arena_deinit(&made.arena);
    } else if (known != NULL) {
        made.mtime = known->mtime;
        arena_deinit(&known->arena);
        *known = made;
        note_mtime(known, path);
    } else {
        if (file->metrics.mtime != NULL)
            made.mtime = metric_hold(file->metrics.mtime, &made.path);
        note_mtime(&made, path);
        VEC_PUSH(MEM_DISCOVERY, file->files, file->file_count, file->file_capacity, made);
    }
    strbuf_deinit(&why);
}

static void watch_directory(const struct file_discovery *file, const char *pattern)
{
    struct strbuf path = STRBUF_INIT;
    const char *slash = strrchr(pattern, '/');
    if (slash == NULL)
        strbuf_add_char(&path, '.');
    else
        strbuf_add(&path, pattern, slash == pattern ? 1 : (size_t)(slash - pattern));
    /* A directory that is not there yet is tried again at every refresh. */
    (void)inotify_add_watch(file->inotify_fd, strbuf_cstr(&path),
                            IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVE |
                                IN_DELETE_SELF | IN_MOVE_SELF);
    strbuf_deinit(&path);
}

static void read_pattern(struct file_discovery *file, const char *pattern)
{
    if (file->inotify_fd >= 0)
        watch_directory(file, pattern);
    glob_t found;
    if (glob(pattern, GLOB_NOSORT | GLOB_PERIOD, NULL, &found) != 0)
        return; /* nothing there is fine */
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_file(file, found.gl_pathv[i]);
    globfree(&found);
}

static void forget_absent(struct file_discovery *file)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < file->file_count; i++) {
        if (file->files[i].present)
            file->files[kept++] = file->files[i];
        else
            forget(file, &file->files[i]);
    }
    file->file_count = kept;
}

static err_t file_refresh(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    (void)why;
    struct file_discovery *file = state;
    int64_t started_ns = clock_monotonic_ns(clock_system());
    for (uint32_t i = 0; i < file->file_count; i++)
        file->files[i].present = false;
    for (uint32_t i = 0; i < file->config->file_count; i++) {
        struct strbuf pattern = STRBUF_INIT;
        strbuf_add_str(&pattern, file->config->files[i]);
        read_pattern(file, strbuf_cstr(&pattern));
        strbuf_deinit(&pattern);
    }
    forget_absent(file);
    for (uint32_t i = 0; i < file->file_count; i++) {
        const struct discovered_groups *known = &file->files[i].groups;
        for (uint32_t k = 0; k < known->count; k++)
            discovered_groups_add_copy(groups, &known->items[k]);
    }
    if (file->metrics.scan_duration != NULL)
        metric_observe(file->metrics.scan_duration,
                       (double)(clock_monotonic_ns(clock_system()) - started_ns) / 1e9);
    return OK;
}

static int64_t file_interval_ms(const void *state)
{
    const struct file_discovery *file = state;
    return file->config->refresh_interval_ms;
}

static int file_wake_fd(const void *state)
{
    const struct file_discovery *file = state;
    return file->inotify_fd;
}

static bool file_woken(void *state)
{
    struct file_discovery *file = state;
    char events[4096];
    bool any = false;
    while (read(file->inotify_fd, events, sizeof events) > 0)
        any = true;
    return any;
}

const struct discovery_mechanism discovery_file = {
    .name = STR_INIT("file"),
    .register_metrics = file_register_metrics,
    .create = file_create,
    .destroy = file_destroy,
    .refresh = file_refresh,
    .interval_ms = file_interval_ms,
    .wake_fd = file_wake_fd,
    .woken = file_woken,
};
