/* processes and interrupts: what is too much to read unasked; off by default. */
#include "collection.h"

enum { STATES_MAX = 26, STAT_NUM_THREADS = 20 };

/* How many are in each state, by its capital letter. */
struct states {
    double counts[STATES_MAX];
};

/* State and number of threads of a /proc/…/stat; fields are counted from 1 as in proc(5). */
static bool parse_stat(struct str text, char *state, double *threads)
{
    /* The name in parentheses may hold blanks and parentheses. */
    size_t end = text.size;
    while (end > 0 && text.data[end - 1] != ')')
        end--;
    text = str_from(text.data + end, text.size - end);
    struct str field;
    if (!text_next_field(&text, &field))
        return false;
    *state = field.data[0];
    for (int i = 4; i <= STAT_NUM_THREADS; i++) {
        if (!text_next_field(&text, &field))
            return false;
    }
    return text_to_double(field, threads);
}

static void count_state(struct states *states, char state)
{
    /* Small letters (the dead 'x') count with the large ones. */
    char upper = (char)(state & ~0x20);
    if (upper >= 'A' && upper <= 'Z')
        states->counts[upper - 'A']++;
}

static void write_states(struct collection *collection, const char *label,
                         const struct states *states)
{
    for (int i = 0; i < STATES_MAX; i++) {
        char letter = (char)('A' + i);
        if (states->counts[i] > 0)
            collection__value_of(collection, label, str_from(&letter, 1), states->counts[i]);
    }
}

static bool is_number(const char *name)
{
    uint64_t number;
    return str_to_uint64(str_from_cstr(name), &number);
}

static void count_threads(struct collection *collection, const char *pid, struct states *states)
{
    const char *procfs = collection->exporter->procfs;
    struct fs_list tasks;
    strbuf_clear(&collection->path);
    strbuf_printf(&collection->path, "%s/%s/task", procfs, pid);
    if (fs_list_dir(collection->path.data, &tasks, &collection->why) != OK)
        return;
    for (size_t i = 0; i < tasks.count; i++) {
        struct str text;
        char state;
        double ignored;
        if (is_number(tasks.names[i]) &&
            collection__read(collection, &text, "%s/%s/task/%s/stat", procfs, pid,
                             tasks.names[i]) == OK &&
            parse_stat(text, &state, &ignored))
            count_state(states, state);
    }
    fs_list_free(&tasks);
}

err_t collect__processes(struct collection *collection)
{
    const char *procfs = collection->exporter->procfs;
    struct fs_list entries;
    TRY(fs_list_dir(procfs[0] == '\0' ? "/" : procfs, &entries, &collection->why));
    struct states processes = {0};
    struct states threads = {0};
    double process_count = 0;
    double thread_count = 0;
    for (size_t i = 0; i < entries.count; i++) {
        struct str text;
        char state;
        double own_threads;
        /* Processes end while we look: those are not there any more. */
        if (!is_number(entries.names[i]) ||
            collection__read(collection, &text, "%s/%s/stat", procfs, entries.names[i]) != OK ||
            !parse_stat(text, &state, &own_threads))
            continue;
        process_count++;
        thread_count += own_threads;
        count_state(&processes, state);
        count_threads(collection, entries.names[i], &threads);
    }
    fs_list_free(&entries);
    collection__single(collection, "node_processes_pids", METRIC_GAUGE, "Processes there are.",
                       process_count);
    collection__single(collection, "node_processes_threads", METRIC_GAUGE, "Threads there are.",
                       thread_count);
    collection__family(collection, "node_processes_state", METRIC_GAUGE, "Processes by state.");
    write_states(collection, "state", &processes);
    collection__family(collection, "node_processes_threads_state", METRIC_GAUGE,
                       "Threads by state.");
    write_states(collection, "thread_state", &threads);
    double limit;
    if (collection__number(collection, &limit, "%s/sys/kernel/pid_max", procfs))
        collection__single(collection, "node_processes_max_processes", METRIC_GAUGE,
                           "Processes there may be.", limit);
    if (collection__number(collection, &limit, "%s/sys/kernel/threads-max", procfs))
        collection__single(collection, "node_processes_max_threads", METRIC_GAUGE,
                           "Threads there may be.", limit);
    return OK;
}

/* The header's "CPU0 CPU2": their numbers in the collection's arena. */
static size_t parse_cpus(struct collection *collection, struct str header, struct str **cpus)
{
    size_t count = 0;
    *cpus = ARENA_NEW_ARRAY(&collection->arena, struct str, header.size / 4 + 1);
    for (struct str field; text_next_field(&header, &field);) {
        if (str_starts_with(field, STR("CPU")))
            (*cpus)[count++] = str_from(field.data + 3, field.size - 3);
    }
    return count;
}

err_t collect__interrupts(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "interrupts", &text));
    struct str header = STR("");
    text_next_line(&text, &header);
    struct str *cpus;
    size_t cpu_count = parse_cpus(collection, header, &cpus);
    double *counts = ARENA_NEW_ARRAY(&collection->arena, double, cpu_count + 1);
    const struct str names[] = {STR_INIT("cpu"), STR_INIT("devices"), STR_INIT("info"),
                                STR_INIT("type")};
    collection__family(collection, "node_interrupts_total", METRIC_COUNTER,
                       "Interrupts by CPU and cause.");
    for (struct str line; text_next_line(&text, &line);) {
        struct str type;
        struct str field;
        size_t count = 0;
        if (!text_cut(&line, ':', &type))
            continue;
        type = str_trim(type);
        while (count < cpu_count && text_next_field(&line, &field) &&
               text_to_double(field, &counts[count]))
            count++;
        if (count < cpu_count)
            continue; /* one number for all CPUs */
        struct str info = str_trim(line);
        struct str devices = STR("");
        uint64_t number;
        if (str_to_uint64(type, &number)) {
            /* Numbered: the controller, then the pin and the devices, with single blanks. */
            struct str rest = info;
            info = STR("");
            text_next_field(&rest, &info);
            strbuf_clear(&collection->name);
            while (text_next_field(&rest, &field)) {
                if (collection->name.size > 0)
                    strbuf_add_char(&collection->name, ' ');
                strbuf_add_str(&collection->name, field);
            }
            devices = strbuf_str(&collection->name);
        }
        for (size_t i = 0; i < cpu_count; i++) {
            const struct str values[] = {cpus[i], devices, info, type};
            metric_writer_sample(collection->writer, "", names, values, 4, counts[i]);
        }
    }
    return OK;
}
