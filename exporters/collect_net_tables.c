/* Tables below /proc/net: arp, softnet, conntrack, udp_queues. */
#include "collection.h"

enum { SOFTNET_COLUMNS_MAX = 15, CONNTRACK_COLUMNS_MAX = 32 };

err_t collect__arp(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "net/arp", &text));
    struct {
        struct str device;
        double entries;
    } * devices;
    size_t line_count = 0;
    struct str rest = text;
    for (struct str line; text_next_line(&rest, &line);)
        line_count++;
    devices = arena_calloc(&collection->arena, line_count + 1, sizeof *devices);
    size_t count = 0;
    struct str header = STR("");
    text_next_line(&text, &header);
    for (struct str line; text_next_line(&text, &line);) {
        struct str device = STR("");
        struct str field;
        for (int i = 0; i < 6 && text_next_field(&line, &field); i++)
            device = i == 5 ? field : STR("");
        if (device.size == 0)
            continue;
        size_t i = 0;
        while (i < count && !str_equal(devices[i].device, device))
            i++;
        count += i == count;
        devices[i].device = device;
        devices[i].entries++;
    }
    collection__family(collection, "node_arp_entries", METRIC_GAUGE,
                       "Entries of the ARP table by device.");
    for (size_t i = 0; i < count; i++)
        collection__value_of(collection, "device", devices[i].device, devices[i].entries);
    return OK;
}

/* Hexadecimal columns of one line; returns how many. */
static int parse_hex_columns(struct str line, uint64_t *columns, int max)
{
    int count = 0;
    struct str field;
    while (count < max && text_next_field(&line, &field) && text_to_hex(field, &columns[count]))
        count++;
    return count;
}

err_t collect__softnet(struct collection *collection)
{
    static const struct {
        int column;
        const char *name;
        enum metric_type type;
        const char *help;
    } rows[] = {
        {0, "node_softnet_processed_total", METRIC_COUNTER, "Packets a CPU processed."},
        {1, "node_softnet_dropped_total", METRIC_COUNTER,
         "Packets a CPU dropped since its queue was full."},
        {2, "node_softnet_times_squeezed_total", METRIC_COUNTER,
         "How often a CPU ran out of its budget with packets left."},
        {8, "node_softnet_cpu_collision_total", METRIC_COUNTER,
         "Collisions on a device's lock when sending."},
        {9, "node_softnet_received_rps_total", METRIC_COUNTER,
         "How often another CPU woke this one for packets."},
        {10, "node_softnet_flow_limit_count_total", METRIC_COUNTER,
         "How often the flow limit was reached."},
        {11, "node_softnet_backlog_len", METRIC_GAUGE, "Length of a CPU's queue, in packets."},
    };
    enum { COLUMN_CPU = 12 };
    struct str text;
    TRY(collection__read_proc(collection, "net/softnet_stat", &text));
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        collection__family(collection, rows[row].name, rows[row].type, rows[row].help);
        struct str rest = text;
        uint64_t number = 0;
        for (struct str line; text_next_line(&rest, &line); number++) {
            uint64_t columns[SOFTNET_COLUMNS_MAX];
            int count = parse_hex_columns(line, columns, SOFTNET_COLUMNS_MAX);
            if (rows[row].column >= count)
                continue;
            char cpu[20];
            /* Offline CPUs have no line; older kernels do not say whose line it is. */
            uint64_t shown = count > COLUMN_CPU ? columns[COLUMN_CPU] : number;
            collection__value_of(collection, "cpu", str_from(cpu, number_format_uint(shown, cpu)),
                                 (double)columns[rows[row].column]);
        }
    }
    return OK;
}

/* Sums a column over the CPUs' lines; false if the header has no such column. */
static bool conntrack_sum(struct str text, struct str column, double *sum)
{
    struct str header = STR("");
    struct str field;
    int index = 0;
    text_next_line(&text, &header);
    while (text_next_field(&header, &field) && !str_equal(field, column))
        index++;
    if (!str_equal(field, column) || index >= CONNTRACK_COLUMNS_MAX)
        return false;
    *sum = 0;
    for (struct str line; text_next_line(&text, &line);) {
        uint64_t columns[CONNTRACK_COLUMNS_MAX];
        if (parse_hex_columns(line, columns, CONNTRACK_COLUMNS_MAX) > index)
            *sum += (double)columns[index];
    }
    return true;
}

err_t collect__conntrack(struct collection *collection)
{
    static const struct {
        struct str column;
        const char *name;
        const char *help;
    } rows[] = {
        {STR_INIT("found"), "node_nf_conntrack_stat_found", "Searches that found their entry."},
        {STR_INIT("invalid"), "node_nf_conntrack_stat_invalid", "Packets that cannot be tracked."},
        {STR_INIT("ignore"), "node_nf_conntrack_stat_ignore",
         "Packets that belonged to an entry already."},
        {STR_INIT("insert"), "node_nf_conntrack_stat_insert", "Entries put into the table."},
        {STR_INIT("insert_failed"), "node_nf_conntrack_stat_insert_failed",
         "Entries that could not be put into the table."},
        {STR_INIT("drop"), "node_nf_conntrack_stat_drop",
         "Packets dropped because tracking failed."},
        {STR_INIT("early_drop"), "node_nf_conntrack_stat_early_drop",
         "Entries dropped to make room in a full table."},
        {STR_INIT("search_restart"), "node_nf_conntrack_stat_search_restart",
         "Searches begun anew because the table was resized."},
    };
    const char *procfs = collection->exporter->procfs;
    double entries;
    double limit;
    if (!collection__number(collection, &entries, "%s/sys/net/netfilter/nf_conntrack_count",
                            procfs) ||
        !collection__number(collection, &limit, "%s/sys/net/netfilter/nf_conntrack_max", procfs))
        return ERR_NOT_FOUND;
    collection__single(collection, "node_nf_conntrack_entries", METRIC_GAUGE,
                       "Connections tracked now.", entries);
    collection__single(collection, "node_nf_conntrack_entries_limit", METRIC_GAUGE,
                       "Connections that can be tracked.", limit);
    struct str text;
    if (collection__read(collection, &text, "%s/net/stat/nf_conntrack", procfs) != OK)
        return OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double sum;
        if (conntrack_sum(text, rows[i].column, &sum))
            collection__single(collection, rows[i].name, METRIC_GAUGE, rows[i].help, sum);
    }
    return OK;
}

struct queues {
    double tx_bytes;
    double rx_bytes;
};

/* The fifth field of each socket's line is "tx:rx" in hexadecimal. */
static struct queues sum_queues(struct str text)
{
    struct queues sum = {0, 0};
    struct str header = STR("");
    text_next_line(&text, &header);
    for (struct str line; text_next_line(&text, &line);) {
        struct str field = STR("");
        struct str tx;
        uint64_t tx_bytes;
        uint64_t rx_bytes;
        for (int i = 0; i < 5; i++)
            text_next_field(&line, &field);
        if (!text_cut(&field, ':', &tx) || !text_to_hex(tx, &tx_bytes) ||
            !text_to_hex(field, &rx_bytes))
            continue;
        sum.tx_bytes += (double)tx_bytes;
        sum.rx_bytes += (double)rx_bytes;
    }
    return sum;
}

static void write_queue(struct collection *collection, struct str ip, struct str queue,
                        double bytes)
{
    const struct str names[] = {STR_INIT("ip"), STR_INIT("queue")};
    const struct str values[] = {ip, queue};
    metric_writer_sample(collection->writer, "", names, values, 2, bytes);
}

err_t collect__udp_queues(struct collection *collection)
{
    static const struct {
        const char *file;
        struct str ip;
    } rows[] = {{"net/udp", STR_INIT("v4")}, {"net/udp6", STR_INIT("v6")}};
    bool any = false;
    collection__family(collection, "node_udp_queues", METRIC_GAUGE,
                       "Bytes waiting in the queues of UDP sockets.");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str text;
        err_t err = collection__read_proc(collection, rows[i].file, &text);
        if (err == ERR_NOT_FOUND)
            continue;
        TRY(err);
        struct queues queues = sum_queues(text);
        write_queue(collection, rows[i].ip, STR("tx"), queues.tx_bytes);
        write_queue(collection, rows[i].ip, STR("rx"), queues.rx_bytes);
        any = true;
    }
    return any ? OK : ERR_NOT_FOUND;
}
