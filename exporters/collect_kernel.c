/* Collectors of one small file each: loadavg, filefd, entropy, pressure, schedstat. */
#include "collection.h"

err_t collect__loadavg(struct collection *collection)
{
    static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
    static const char *const helps[] = {"Load average of 1 minute.", "Load average of 5 minutes.",
                                        "Load average of 15 minutes."};
    struct str text;
    TRY(collection__read_proc(collection, "loadavg", &text));
    for (int i = 0; i < 3; i++) {
        struct str field;
        double value;
        if (!text_next_field(&text, &field) || !text_to_double(field, &value))
            return err_fail(&collection->why, ERR_CORRUPT, "loadavg has no three numbers");
        collection__single(collection, names[i], METRIC_GAUGE, helps[i], value);
    }
    return OK;
}

err_t collect__filefd(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "sys/fs/file-nr", &text));
    struct str line = str_trim(text);
    struct str fields[3];
    double values[3];
    for (int i = 0; i < 3; i++) {
        if (!text_next_field(&line, &fields[i]) || !text_to_double(fields[i], &values[i]))
            return err_fail(&collection->why, ERR_CORRUPT, "file-nr has no three numbers");
    }
    collection__single(collection, "node_filefd_allocated", METRIC_GAUGE,
                       "File descriptors in use.", values[0]);
    collection__single(collection, "node_filefd_maximum", METRIC_GAUGE,
                       "File descriptors the kernel allows.", values[2]);
    return OK;
}

err_t collect__entropy(struct collection *collection)
{
    const char *procfs = collection->exporter->procfs;
    double available;
    double size;
    if (!collection__number(collection, &available, "%s/sys/kernel/random/entropy_avail", procfs) ||
        !collection__number(collection, &size, "%s/sys/kernel/random/poolsize", procfs))
        return ERR_NOT_FOUND;
    collection__single(collection, "node_entropy_available_bits", METRIC_GAUGE,
                       "Entropy available to the random generator, in bits.", available);
    collection__single(collection, "node_entropy_pool_size_bits", METRIC_GAUGE,
                       "Size of the entropy pool, in bits.", size);
    return OK;
}

/* The total (microseconds) of the line that begins with `kind`. */
static bool pressure_total(struct str text, struct str kind, double *seconds)
{
    for (struct str line; text_next_line(&text, &line);) {
        struct str field;
        if (!text_next_field(&line, &field) || !str_equal(field, kind))
            continue;
        while (text_next_field(&line, &field)) {
            struct str key;
            if (text_cut(&field, '=', &key) && str_equal(key, STR("total")) &&
                text_to_double(field, seconds)) {
                *seconds /= 1e6;
                return true;
            }
        }
    }
    return false;
}

err_t collect__pressure(struct collection *collection)
{
    static const struct {
        const char *file;
        struct str kind;
        const char *name;
        const char *help;
    } rows[] = {
        {"pressure/cpu", STR_INIT("some"), "node_pressure_cpu_waiting_seconds_total",
         "Time in which a process waited for a CPU, in seconds."},
        {"pressure/io", STR_INIT("some"), "node_pressure_io_waiting_seconds_total",
         "Time in which a process waited for input or output, in seconds."},
        {"pressure/io", STR_INIT("full"), "node_pressure_io_stalled_seconds_total",
         "Time in which every process waited for input or output, in seconds."},
        {"pressure/memory", STR_INIT("some"), "node_pressure_memory_waiting_seconds_total",
         "Time in which a process waited for memory, in seconds."},
        {"pressure/memory", STR_INIT("full"), "node_pressure_memory_stalled_seconds_total",
         "Time in which every process waited for memory, in seconds."},
        {"pressure/irq", STR_INIT("full"), "node_pressure_irq_stalled_seconds_total",
         "Time in which every process waited for interrupts, in seconds."},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str text;
        double seconds;
        if (collection__read_proc(collection, rows[i].file, &text) != OK ||
            !pressure_total(text, rows[i].kind, &seconds))
            continue;
        collection__single(collection, rows[i].name, METRIC_COUNTER, rows[i].help, seconds);
        any = true;
    }
    return any ? OK : ERR_NOT_FOUND;
}

struct schedule {
    struct str cpu;
    double values[3]; /* running and waiting (nanoseconds), timeslices */
};

/* cpuN and nine numbers, the last three of which count. */
static bool parse_schedule(struct str line, struct schedule *schedule)
{
    struct str field;
    if (!text_next_field(&line, &field) || !str_starts_with(field, STR("cpu")))
        return false;
    schedule->cpu = str_from(field.data + 3, field.size - 3);
    for (int i = 0; i < 9; i++) {
        double value;
        if (!text_next_field(&line, &field) || !text_to_double(field, &value))
            return false;
        if (i >= 6)
            schedule->values[i - 6] = value;
    }
    return true;
}

err_t collect__schedstat(struct collection *collection)
{
    static const struct {
        const char *name;
        double divisor;
        const char *help;
    } rows[] = {
        {"node_schedstat_running_seconds_total", 1e9,
         "Time in which a CPU ran processes, in seconds."},
        {"node_schedstat_waiting_seconds_total", 1e9,
         "Time that processes waited for this CPU, in seconds."},
        {"node_schedstat_timeslices_total", 1, "Timeslices a CPU gave."},
    };
    struct str text;
    TRY(collection__read_proc(collection, "schedstat", &text));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        collection__family(collection, rows[i].name, METRIC_COUNTER, rows[i].help);
        struct str rest = text;
        for (struct str line; text_next_line(&rest, &line);) {
            struct schedule schedule;
            if (parse_schedule(line, &schedule))
                collection__value_of(collection, "cpu", schedule.cpu,
                                     schedule.values[i] / rows[i].divisor);
        }
    }
    return OK;
}
