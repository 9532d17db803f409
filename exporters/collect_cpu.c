/* cpu: time per CPU and mode from /proc/stat, throttling from sysfs. */
#include <unistd.h>

#include "collection.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum { CPU_MODES = 8, CPU_GUEST_MODES = 2, CPU_FIELDS = CPU_MODES + CPU_GUEST_MODES };

/* A CPU that went away and came back starts with less idle time; smaller steps back are rounding
 * in the kernel. */
static const double idle_reset_seconds = 3;

static const struct str modes[CPU_MODES] = {
    STR_INIT("user"),   STR_INIT("nice"), STR_INIT("system"),  STR_INIT("idle"),
    STR_INIT("iowait"), STR_INIT("irq"),  STR_INIT("softirq"), STR_INIT("steal"),
};
enum { MODE_IDLE = 3 };

struct cpu_times {
    uint32_t number;
    bool present; /* in the running collection */
    double seconds[CPU_FIELDS];
};

/* What was reported last, so that counters do not step back. */
struct cpu_history {
    struct cpu_times *cpus;
    uint32_t count;
    uint32_t capacity;
};

void cpu_history__destroy(struct cpu_history *history)
{
    if (history == NULL)
        return;
    mem_free(MEM_EXPORTER, history->cpus);
    mem_free(MEM_EXPORTER, history);
}

static struct cpu_times *find_cpu(struct cpu_history *history, uint32_t number)
{
    for (uint32_t i = 0; i < history->count; i++) {
        if (history->cpus[i].number == number)
            return &history->cpus[i];
    }
    VEC_PUSH(MEM_EXPORTER, history->cpus, history->count, history->capacity,
             (struct cpu_times){.number = number});
    return &history->cpus[history->count - 1];
}

static void update(struct cpu_times *cpu, const double *seconds)
{
    bool came_back = seconds[MODE_IDLE] < cpu->seconds[MODE_IDLE] - idle_reset_seconds;
    for (int i = 0; i < CPU_FIELDS; i++) {
        if (came_back || seconds[i] > cpu->seconds[i])
            cpu->seconds[i] = seconds[i];
    }
    cpu->present = true;
}

static void parse(struct cpu_history *history, struct str text)
{
    double ticks_per_second = (double)sysconf(_SC_CLK_TCK);
    for (uint32_t i = 0; i < history->count; i++)
        history->cpus[i].present = false;
    for (struct str line; text_next_line(&text, &line);) {
        struct str name;
        uint64_t number;
        if (!text_next_field(&line, &name) || !str_starts_with(name, STR("cpu")) ||
            !str_to_uint64(str_from(name.data + 3, name.size - 3), &number))
            continue;
        double seconds[CPU_FIELDS] = {0};
        struct str field;
        for (int i = 0; i < CPU_FIELDS && text_next_field(&line, &field); i++) {
            if (text_to_double(field, &seconds[i]))
                seconds[i] /= ticks_per_second;
        }
        update(find_cpu(history, (uint32_t)number), seconds);
    }
}

static void write_mode(struct collection *collection, const struct cpu_times *cpu, struct str mode,
                       double seconds)
{
    char text[20];
    const struct str names[] = {STR_INIT("cpu"), STR_INIT("mode")};
    const struct str values[] = {{text, number_format_uint(cpu->number, text)}, mode};
    metric_writer_sample(collection->writer, "", names, values, 2, seconds);
}

static void write_times(struct collection *collection, const struct cpu_history *history)
{
    collection__family(collection, "node_cpu_seconds_total", METRIC_COUNTER,
                       "Time a CPU spent in each mode, in seconds.");
    for (uint32_t i = 0; i < history->count; i++) {
        const struct cpu_times *cpu = &history->cpus[i];
        for (int mode = 0; mode < CPU_MODES && cpu->present; mode++)
            write_mode(collection, cpu, modes[mode], cpu->seconds[mode]);
    }
    collection__family(collection, "node_cpu_guest_seconds_total", METRIC_COUNTER,
                       "Time a CPU spent running guests, in seconds; user and nice contain it.");
    for (uint32_t i = 0; i < history->count; i++) {
        const struct cpu_times *cpu = &history->cpus[i];
        for (int mode = 0; mode < CPU_GUEST_MODES && cpu->present; mode++)
            write_mode(collection, cpu, modes[mode], cpu->seconds[CPU_MODES + mode]);
    }
}

/* A core's or package's counter is seen from each of its CPUs: reported once. */
struct throttle {
    double core; /* -1 for a package's counter */
    double package;
    double count;
};

struct throttles {
    struct throttle *items; /* in the collection's arena */
    uint32_t count;
};

static void add_throttle(struct throttles *throttles, double core, double package, double count)
{
    for (uint32_t i = 0; i < throttles->count; i++) {
        if (throttles->items[i].core == core && throttles->items[i].package == package)
            return;
    }
    throttles->items[throttles->count++] = (struct throttle){core, package, count};
}

static void write_throttles(struct collection *collection, const struct throttles *throttles,
                            bool of_packages)
{
    for (uint32_t i = 0; i < throttles->count; i++) {
        const struct throttle *throttle = &throttles->items[i];
        char core[20];
        char package[20];
        const struct str names[] = {STR_INIT("core"), STR_INIT("package")};
        struct str values[] = {{core, 0}, {package, 0}};
        if ((throttle->core < 0) != of_packages)
            continue;
        values[0].size = of_packages ? 0 : number_format_int((int64_t)throttle->core, core);
        values[1].size = number_format_int((int64_t)throttle->package, package);
        metric_writer_sample(collection->writer, "", names + of_packages, values + of_packages,
                             of_packages ? 1 : 2, throttle->count);
    }
}

static void collect_throttles(struct collection *collection, const struct cpu_history *history)
{
    const char *sysfs = collection->exporter->sysfs;
    struct throttles throttles = {
        ARENA_NEW_ARRAY(&collection->arena, struct throttle, (size_t)history->count * 2 + 1), 0};
    for (uint32_t i = 0; i < history->count; i++) {
        uint32_t number = history->cpus[i].number;
        double package;
        double core;
        double count;
        if (!history->cpus[i].present ||
            !collection__number(collection, &package,
                                "%s/devices/system/cpu/cpu%u/topology/physical_package_id", sysfs,
                                number) ||
            !collection__number(collection, &core, "%s/devices/system/cpu/cpu%u/topology/core_id",
                                sysfs, number))
            continue;
        const char *folder = "devices/system/cpu";
        if (collection__number(collection, &count,
                               "%s/%s/cpu%u/thermal_throttle/core_throttle_count", sysfs, folder,
                               number))
            add_throttle(&throttles, core, package, count);
        if (collection__number(collection, &count,
                               "%s/%s/cpu%u/thermal_throttle/package_throttle_count", sysfs, folder,
                               number))
            add_throttle(&throttles, -1, package, count);
    }
    collection__family(collection, "node_cpu_core_throttles_total", METRIC_COUNTER,
                       "How often a core was throttled for its heat.");
    write_throttles(collection, &throttles, false);
    collection__family(collection, "node_cpu_package_throttles_total", METRIC_COUNTER,
                       "How often a package was throttled for its heat.");
    write_throttles(collection, &throttles, true);
}

err_t collect__cpu(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "stat", &text));
    if (collection->exporter->cpus == NULL)
        collection->exporter->cpus = MEM_NEW(MEM_EXPORTER, struct cpu_history);
    struct cpu_history *history = collection->exporter->cpus;
    parse(history, text);
    write_times(collection, history);
    collect_throttles(collection, history);
    return OK;
}
