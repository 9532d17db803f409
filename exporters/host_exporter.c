#include "narthex/exporters/host_exporter.h"

#include <string.h>
#include <unistd.h>

#include "collection.h"
#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "statvfs_worker.h"

static const struct collector {
    const char *name;
    err_t (*collect)(struct collection *collection);
    bool off; /* until switched on */
} collectors[] = {
    {"arp", collect__arp, false},
    {"bonding", collect__bonding, false},
    {"conntrack", collect__conntrack, false},
    {"cpu", collect__cpu, false},
    {"cpufreq", collect__cpufreq, false},
    {"diskstats", collect__diskstats, false},
    {"dmi", collect__dmi, false},
    {"edac", collect__edac, false},
    {"entropy", collect__entropy, false},
    {"filefd", collect__filefd, false},
    {"filesystem", collect__filesystem, false},
    {"hwmon", collect__hwmon, false},
    {"interrupts", collect__interrupts, true},
    {"loadavg", collect__loadavg, false},
    {"mdadm", collect__mdadm, false},
    {"meminfo", collect__meminfo, false},
    {"netclass", collect__netclass, false},
    {"netdev", collect__netdev, false},
    {"netstat", collect__netstat, false},
    {"nvme", collect__nvme, false},
    {"os", collect__os, false},
    {"powersupplyclass", collect__powersupplyclass, false},
    {"pressure", collect__pressure, false},
    {"processes", collect__processes, true},
    {"rapl", collect__rapl, false},
    {"schedstat", collect__schedstat, false},
    {"selinux", collect__selinux, false},
    {"sockstat", collect__sockstat, false},
    {"softnet", collect__softnet, false},
    {"stat", collect__stat, false},
    {"textfile", collect__textfile, false},
    {"thermal_zone", collect__thermal_zone, false},
    {"time", collect__time, false},
    {"timex", collect__timex, false},
    {"udp_queues", collect__udp_queues, false},
    {"uname", collect__uname, false},
    {"vmstat", collect__vmstat, false},
};
enum { COLLECTOR_COUNT = sizeof collectors / sizeof *collectors };

struct outcome {
    bool ran;
    bool success;
    double seconds;
};

/* Without a slash at the end, so that paths can be appended; the root itself is "". */
static char *copy_root(const char *path, const char *otherwise)
{
    struct str root = str_from_cstr(path == NULL ? otherwise : path);
    while (root.size > 0 && root.data[root.size - 1] == '/')
        root.size--;
    return mem_dup(MEM_EXPORTER, root.data, root.size);
}

struct host_exporter *host_exporter_create(const struct host_exporter_options *options)
{
    static const struct host_exporter_options none;
    if (options == NULL)
        options = &none;
    struct host_exporter *exporter = MEM_NEW(MEM_EXPORTER, struct host_exporter);
    exporter->procfs = copy_root(options->procfs, "/proc");
    exporter->sysfs = copy_root(options->sysfs, "/sys");
    exporter->rootfs = copy_root(options->rootfs, "/");
    exporter->udev_data = copy_root(options->udev_data, "/run/udev/data");
    exporter->textfiles = copy_root(options->textfiles, "");
    exporter->enabled = MEM_NEW_ARRAY(MEM_EXPORTER, bool, COLLECTOR_COUNT);
    for (size_t i = 0; i < COLLECTOR_COUNT; i++)
        exporter->enabled[i] = !collectors[i].off;
    mutex_init(&exporter->lock);
    exporter->statvfs = statvfs_worker__create(NULL, STATVFS_TIMEOUT_NS);
    return exporter;
}

void host_exporter_destroy(struct host_exporter *exporter)
{
    if (exporter == NULL)
        return;
    for (uint32_t i = 0; i < exporter->kept_count; i++)
        close(exporter->kept[i].fd);
    statvfs_worker__destroy(exporter->statvfs);
    cpu_history__destroy(exporter->cpus);
    mutex_deinit(&exporter->lock);
    mem_free(MEM_EXPORTER, exporter->enabled);
    mem_free(MEM_EXPORTER, exporter->procfs);
    mem_free(MEM_EXPORTER, exporter->sysfs);
    mem_free(MEM_EXPORTER, exporter->rootfs);
    mem_free(MEM_EXPORTER, exporter->udev_data);
    mem_free(MEM_EXPORTER, exporter->textfiles);
    mem_free(MEM_EXPORTER, exporter);
}

/* COLLECTOR_COUNT if there is none of this name. */
static size_t find_collector(struct str name)
{
    size_t i = 0;
    while (i < COLLECTOR_COUNT && !str_equal_cstr(name, collectors[i].name))
        i++;
    return i;
}

err_t host_exporter_switch(struct host_exporter *exporter, struct str collector, bool on,
                           struct strbuf *why)
{
    size_t i = find_collector(collector);
    if (i == COLLECTOR_COUNT)
        return err_fail(why, ERR_INVALID, "missing collector: %.*s", STR_ARG(collector));
    exporter->enabled[i] = on;
    return OK;
}

static err_t mark(const struct host_exporter *exporter, struct outcome *outcomes,
                  const struct str *names, size_t count, bool runs, struct strbuf *why)
{
    for (size_t n = 0; n < count; n++) {
        size_t i = find_collector(names[n]);
        if (i == COLLECTOR_COUNT)
            return err_fail(why, ERR_INVALID, "missing collector: %.*s", STR_ARG(names[n]));
        if (!exporter->enabled[i])
            return err_fail(why, ERR_INVALID, "disabled collector: %.*s", STR_ARG(names[n]));
        outcomes[i].ran = runs;
    }
    return OK;
}

static err_t choose(const struct host_exporter *exporter, const struct host_exporter_filter *filter,
                    struct outcome *outcomes, struct strbuf *why)
{
    if (filter != NULL && filter->only_count > 0 && filter->except_count > 0)
        return err_fail(why, ERR_INVALID, "collect[] and exclude[] exclude each other");
    bool all = filter == NULL || filter->only_count == 0;
    for (size_t i = 0; i < COLLECTOR_COUNT; i++)
        outcomes[i] = (struct outcome){.ran = all && exporter->enabled[i]};
    if (filter == NULL)
        return OK;
    TRY(mark(exporter, outcomes, filter->only, filter->only_count, true, why));
    return mark(exporter, outcomes, filter->except, filter->except_count, false, why);
}

static void log_failure(size_t index, err_t err, const char *why)
{
    /* A site for each collector: a loud one does not cut the others' lines. */
    static struct log_site sites[COLLECTOR_COUNT];
    bool is_absence = err == ERR_NOT_FOUND;
    enum log_level level = is_absence ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;
    if (log_enabled(level))
        log_write(&sites[index], level, is_absence ? "collector found nothing" : "collector failed",
                  "collector", collectors[index].name, "err", why, (const char *)NULL);
}

static void run(size_t index, struct collection *collection, struct outcome *outcome)
{
    int64_t start_ns = clock_monotonic_ns(clock_system());
    strbuf_clear(&collection->why);
    err_t err = collectors[index].collect(collection);
    struct arena_mark nothing = {NULL, NULL};
    arena_reset_to(&collection->arena, nothing);
    outcome->seconds = (double)(clock_monotonic_ns(clock_system()) - start_ns) / 1e9;
    outcome->success = err == OK;
    if (err != OK)
        log_failure(index, err, strbuf_cstr(&collection->why));
}

static void write_outcomes(struct collection *collection, const struct outcome *outcomes)
{
    collection__family(collection, "node_scrape_collector_duration_seconds", METRIC_GAUGE,
                       "Time that a collector took for this answer.");
    for (size_t i = 0; i < COLLECTOR_COUNT; i++) {
        if (outcomes[i].ran)
            collection__value_of(collection, "collector", str_from_cstr(collectors[i].name),
                                 outcomes[i].seconds);
    }
    collection__family(collection, "node_scrape_collector_success", METRIC_GAUGE,
                       "1 if the collector found its data, 0 if not.");
    for (size_t i = 0; i < COLLECTOR_COUNT; i++) {
        if (outcomes[i].ran)
            collection__value_of(collection, "collector", str_from_cstr(collectors[i].name),
                                 outcomes[i].success);
    }
}

err_t host_exporter_collect(struct host_exporter *exporter, struct metric_writer *writer,
                            const struct host_exporter_filter *filter, struct strbuf *why)
{
    struct outcome outcomes[COLLECTOR_COUNT] = {0};
    TRY(choose(exporter, filter, outcomes, why));

    struct collection collection = {.exporter = exporter, .writer = writer};
    arena_init(&collection.arena, MEM_EXPORTER, COLLECT_ARENA_BYTES_MAX);
    mutex_lock(&exporter->lock);
    for (size_t i = 0; i < COLLECTOR_COUNT; i++) {
        if (outcomes[i].ran)
            run(i, &collection, &outcomes[i]);
    }
    mutex_unlock(&exporter->lock);
    write_outcomes(&collection, outcomes);

    arena_deinit(&collection.arena);
    strbuf_deinit(&collection.text);
    strbuf_deinit(&collection.path);
    strbuf_deinit(&collection.name);
    strbuf_deinit(&collection.why);
    return OK;
}
