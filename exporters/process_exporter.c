/* process_*: the exporter's own process, always from the real /proc. */
#include <sys/resource.h>
#include <unistd.h>

#include "narthex/base/fs.h"
#include "narthex/exporters/host_exporter.h"
#include "text_fields.h"

enum { PROC_FILE_BYTES_MAX = 1024 * 1024 };

/* Fields of /proc/self/stat, counted from 1 as in proc(5). */
enum {
    STAT_STATE = 3,
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_START_TIME = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_FIELDS = 25
};

static void write_single(struct metric_writer *writer, const char *name, enum metric_type type,
                         const char *help, double value)
{
    metric_writer_family(writer, str_from_cstr(name), type, str_from_cstr(help));
    metric_writer_value(writer, value);
}

static bool parse_stat(struct str text, double fields[STAT_FIELDS])
{
    /* The name in parentheses may hold blanks and parentheses. */
    size_t end = text.size;
    while (end > 0 && text.data[end - 1] != ')')
        end--;
    text = str_from(text.data + end, text.size - end);
    struct str field;
    for (int i = STAT_STATE; i < STAT_FIELDS; i++) {
        if (!text_next_field(&text, &field))
            return false;
        if (i > STAT_STATE && !text_to_double(field, &fields[i]))
            return false;
    }
    return true;
}

static bool boot_time(struct str text, double *seconds)
{
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        struct str field;
        if (text_next_field(&line, &key) && str_equal(key, STR("btime")) &&
            text_next_field(&line, &field))
            return text_to_double(field, seconds);
    }
    return false;
}

static void write_stat(struct metric_writer *writer, struct strbuf *text, struct strbuf *why)
{
    double fields[STAT_FIELDS];
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (fs_read_file("/proc/self/stat", PROC_FILE_BYTES_MAX, text, why) != OK ||
        !parse_stat(strbuf_str(text), fields))
        return;
    write_single(writer, "process_cpu_seconds_total", METRIC_COUNTER,
                 "CPU time of this process, user and system, in seconds.",
                 (fields[STAT_UTIME] + fields[STAT_STIME]) / ticks);
    write_single(writer, "process_resident_memory_bytes", METRIC_GAUGE,
                 "Memory this process has in RAM, in bytes.",
                 fields[STAT_RSS] * (double)sysconf(_SC_PAGESIZE));
    write_single(writer, "process_virtual_memory_bytes", METRIC_GAUGE,
                 "Address space of this process, in bytes.", fields[STAT_VSIZE]);
    strbuf_clear(text);
    double boot_seconds;
    if (fs_read_file("/proc/stat", PROC_FILE_BYTES_MAX, text, why) == OK &&
        boot_time(strbuf_str(text), &boot_seconds))
        write_single(writer, "process_start_time_seconds", METRIC_GAUGE,
                     "Start of this process, in seconds since 1970.",
                     boot_seconds + fields[STAT_START_TIME] / ticks);
}

static double limit_of(rlim_t limit)
{
    /* Unlimited shows as the largest number of its type, as client libraries have it. */
    return limit == RLIM_INFINITY ? 18446744073709551615.0 : (double)limit;
}

void process_exporter_collect(struct metric_writer *writer)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    write_stat(writer, &text, &why);

    struct fs_list list;
    if (fs_list_dir("/proc/self/fd", &list, &why) == OK) {
        /* Without the descriptor that listed them. */
        write_single(writer, "process_open_fds", METRIC_GAUGE,
                     "File descriptors this process has open.", (double)list.count - 1);
        fs_list_free(&list);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_single(writer, "process_max_fds", METRIC_GAUGE,
                     "File descriptors this process may have open.", limit_of(limit.rlim_cur));
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        write_single(writer, "process_virtual_memory_max_bytes", METRIC_GAUGE,
                     "Address space this process may take, in bytes.", limit_of(limit.rlim_cur));
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}
