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
} collectors[] = {
    {"arp", collect__arp},
    {"conntrack", collect__conntrack},
    {"cpu", collect__cpu},
    {"diskstats", collect__diskstats},
    {"entropy", collect__entropy},
    {"filefd", collect__filefd},
    {"filesystem", collect__filesystem},
    {"loadavg", collect__loadavg},
    {"meminfo", collect__meminfo},
    {"netclass", collect__netclass},
    {"netdev", collect__netdev},
    {"netstat", collect__netstat},
    {"os", collect__os},
    {"pressure", collect__pressure},
    {"schedstat", collect__schedstat},
    {"sockstat", collect__sockstat},
    {"softnet", collect__softnet},
    {"stat", collect__stat},
    {"time", collect__time},
    {"timex", collect__timex},
    {"udp_queues", collect__udp_queues},
    {"uname", collect__uname},
    {"vmstat", collect__vmstat},
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
    mem_free(MEM_EXPORTER, exporter->procfs);
    mem_free(MEM_EXPORTER, exporter->sysfs);
    mem_free(MEM_EXPORTER, exporter->rootfs);
    mem_free(MEM_EXPORTER, exporter->udev_data);
    mem_free(MEM_EXPORTER, exporter);
}

static err_t mark(struct outcome *outcomes, const struct str *names, size_t count, bool runs,
                  struct strbuf *why)
{
    for (size_t n = 0; n < count; n++) {
        size_t i = 0;
        while (i < COLLECTOR_COUNT && !str_equal_cstr(names[n], collectors[i].name))
            i++;
        if (i == COLLECTOR_COUNT)
            return err_fail(why, ERR_INVALID, "missing collector: %.*s", STR_ARG(names[n]));
        outcomes[i].ran = runs;
    }
    return OK;
}

static err_t choose(const struct host_exporter_filter *filter, struct outcome *outcomes,
                    struct strbuf *why)
{
    if (filter != NULL && filter->only_count > 0 && filter->except_count > 0)
        return err_fail(why, ERR_INVALID, "collect[] and exclude[] exclude each other");
    bool all = filter == NULL || filter->only_count == 0;
    for (size_t i = 0; i < COLLECTOR_COUNT; i++)
        outcomes[i] = (struct outcome){.ran = all};
    if (filter == NULL)
        return OK;
    TRY(mark(outcomes, filter->only, filter->only_count, true, why));
    return mark(outcomes, filter->except, filter->except_count, false, why);
}

static void run(const struct collector *collector, struct collection *collection,
                struct outcome *outcome)
{
    int64_t start_ns = clock_monotonic_ns(clock_system());
    strbuf_clear(&collection->why);
    err_t err = collector->collect(collection);
    struct arena_mark nothing = {NULL, NULL};
    arena_reset_to(&collection->arena, nothing);
    outcome->seconds = (double)(clock_monotonic_ns(clock_system()) - start_ns) / 1e9;
    outcome->success = err == OK;
    if (err == ERR_NOT_FOUND)
        LOG_DEBUG("collector found nothing", "collector", collector->name, "err",
                  strbuf_cstr(&collection->why));
    else if (err != OK)
        LOG_ERROR("collector failed", "collector", collector->name, "err",
                  strbuf_cstr(&collection->why));
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
    struct outcome outcomes[COLLECTOR_COUNT];
    TRY(choose(filter, outcomes, why));

    struct collection collection = {.exporter = exporter, .writer = writer};
    arena_init(&collection.arena, MEM_EXPORTER, COLLECT_ARENA_BYTES_MAX);
    mutex_lock(&exporter->lock);
    for (size_t i = 0; i < COLLECTOR_COUNT; i++) {
        if (outcomes[i].ran)
            run(&collectors[i], &collection, &outcomes[i]);
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
