/* stat: counters of /proc/stat that are not per CPU. */
#include "collection.h"

err_t collect__stat(struct collection *collection)
{
    static const struct {
        struct str key;
        const char *name;
        enum metric_type type;
        const char *help;
    } rows[] = {
        {STR_INIT("intr"), "node_intr_total", METRIC_COUNTER, "Interrupts serviced since boot."},
        {STR_INIT("ctxt"), "node_context_switches_total", METRIC_COUNTER,
         "Context switches since boot."},
        {STR_INIT("processes"), "node_forks_total", METRIC_COUNTER, "Forks since boot."},
        {STR_INIT("btime"), "node_boot_time_seconds", METRIC_GAUGE,
         "Time of boot, in seconds since 1970."},
        {STR_INIT("procs_running"), "node_procs_running", METRIC_GAUGE,
         "Processes that run or are ready to."},
        {STR_INIT("procs_blocked"), "node_procs_blocked", METRIC_GAUGE,
         "Processes that wait for input or output."},
    };
    struct str text;
    TRY(collection__read_proc(collection, "stat", &text));
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        struct str field;
        double value;
        if (!text_next_field(&line, &key) || !text_next_field(&line, &field) ||
            !text_to_double(field, &value))
            continue;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            if (str_equal(key, rows[i].key))
                collection__single(collection, rows[i].name, rows[i].type, rows[i].help, value);
        }
    }
    return OK;
}
