/* netdev and netclass: counters of /proc/net/dev, properties of /sys/class/net. */
#include "collection.h"

enum { NETDEV_COLUMNS = 16, NETDEV_NOHANDLER = 16, NETDEV_VALUES = 17 };

struct interface {
    struct str name;
    double values[NETDEV_VALUES];
    bool has_nohandler;
};

static bool parse_interface(struct str line, struct interface *interface)
{
    struct str name;
    if (!text_cut(&line, ':', &name))
        return false;
    interface->name = str_trim(name);
    for (int i = 0; i < NETDEV_COLUMNS; i++) {
        struct str field;
        if (!text_next_field(&line, &field) || !text_to_double(field, &interface->values[i]))
            return false;
    }
    return true;
}

static const char *const netdev_names[NETDEV_VALUES] = {
    "receive_bytes",     "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",      "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes",    "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",     "transmit_colls",   "transmit_carrier",   "transmit_compressed",
    "receive_nohandler",
};

err_t collect__netdev(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "net/dev", &text));
    text = arena_str(&collection->arena, text);
    size_t line_count = 0;
    struct str rest = text;
    for (struct str line; text_next_line(&rest, &line);)
        line_count++;
    struct interface *interfaces =
        ARENA_NEW_ARRAY(&collection->arena, struct interface, line_count + 1);
    size_t count = 0;
    for (struct str line; text_next_line(&text, &line);) {
        if (parse_interface(line, &interfaces[count]))
            count++;
    }
    for (size_t i = 0; i < count; i++)
        interfaces[i].has_nohandler =
            collection__number(collection, &interfaces[i].values[NETDEV_NOHANDLER],
                               "%s/class/net/%.*s/statistics/rx_nohandler",
                               collection->exporter->sysfs, STR_ARG(interfaces[i].name));
    for (int column = 0; column < NETDEV_VALUES; column++) {
        strbuf_clear(&collection->name);
        strbuf_printf(&collection->name, "node_network_%s_total", netdev_names[column]);
        collection__family(collection, strbuf_cstr(&collection->name), METRIC_COUNTER,
                           "A counter of a network device.");
        for (size_t i = 0; i < count; i++) {
            if (column != NETDEV_NOHANDLER || interfaces[i].has_nohandler)
                collection__value_of(collection, "device", interfaces[i].name,
                                     interfaces[i].values[column]);
        }
    }
    return OK;
}

/* Only folders are devices: bonding adds a file to /sys/class/net. */
static bool is_device(struct collection *collection, const char *name)
{
    double index;
    return collection__number(collection, &index, "%s/class/net/%s/ifindex",
                              collection->exporter->sysfs, name);
}

static void write_numbers(struct collection *collection, const struct fs_list *devices)
{
    static const struct {
        const char *attribute;
        const char *name;
        enum metric_type type;
        double factor;
    } rows[] = {
        {"addr_assign_type", "node_network_address_assign_type", METRIC_GAUGE, 1},
        {"carrier", "node_network_carrier", METRIC_GAUGE, 1},
        {"carrier_changes", "node_network_carrier_changes_total", METRIC_COUNTER, 1},
        {"carrier_down_count", "node_network_carrier_down_changes_total", METRIC_COUNTER, 1},
        {"carrier_up_count", "node_network_carrier_up_changes_total", METRIC_COUNTER, 1},
        {"dev_id", "node_network_device_id", METRIC_GAUGE, 1},
        {"dormant", "node_network_dormant", METRIC_GAUGE, 1},
        {"flags", "node_network_flags", METRIC_GAUGE, 1},
        {"ifindex", "node_network_iface_id", METRIC_GAUGE, 1},
        {"iflink", "node_network_iface_link", METRIC_GAUGE, 1},
        {"link_mode", "node_network_iface_link_mode", METRIC_GAUGE, 1},
        {"mtu", "node_network_mtu_bytes", METRIC_GAUGE, 1},
        {"name_assign_type", "node_network_name_assign_type", METRIC_GAUGE, 1},
        {"netdev_group", "node_network_net_dev_group", METRIC_GAUGE, 1},
        {"type", "node_network_protocol_type", METRIC_GAUGE, 1},
        /* Mbit/s; the kernel says -1 for unknown, which is no speed. */
        {"speed", "node_network_speed_bytes", METRIC_GAUGE, 125000},
        {"tx_queue_len", "node_network_transmit_queue_length", METRIC_GAUGE, 1},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        collection__family(collection, rows[row].name, rows[row].type,
                           "A property of a network device, from /sys/class/net.");
        for (size_t i = 0; i < devices->count; i++) {
            double value;
            if (!collection__number(collection, &value, "%s/class/net/%s/%s",
                                    collection->exporter->sysfs, devices->names[i],
                                    rows[row].attribute))
                continue;
            if (rows[row].factor == 1 || value >= 0)
                collection__value_of(collection, "device", str_from_cstr(devices->names[i]),
                                     value * rows[row].factor);
        }
    }
}

enum { INFO_ADDRESS, INFO_BROADCAST, INFO_DEVICE, INFO_DUPLEX, INFO_IFALIAS, INFO_OPERSTATE };

static void write_info(struct collection *collection, const struct fs_list *devices)
{
    static const struct str names[] = {
        [INFO_ADDRESS] = STR_INIT("address"), [INFO_BROADCAST] = STR_INIT("broadcast"),
        [INFO_DEVICE] = STR_INIT("device"),   [INFO_DUPLEX] = STR_INIT("duplex"),
        [INFO_IFALIAS] = STR_INIT("ifalias"), [INFO_OPERSTATE] = STR_INIT("operstate"),
    };
    enum { INFO_COUNT = sizeof names / sizeof *names };
    bool *up = ARENA_NEW_ARRAY(&collection->arena, bool, devices->count);
    collection__family(collection, "node_network_info", METRIC_GAUGE,
                       "Texts of a network device; always 1.");
    for (size_t i = 0; i < devices->count; i++) {
        struct str values[INFO_COUNT];
        for (int label = 0; label < INFO_COUNT; label++) {
            struct str value = STR("");
            if (label == INFO_DEVICE)
                value = str_from_cstr(devices->names[i]);
            else if (!collection__attribute(collection, &value, "%s/class/net/%s/%s",
                                            collection->exporter->sysfs, devices->names[i],
                                            names[label].data))
                value = STR("");
            values[label] = arena_str(&collection->arena, value);
        }
        up[i] = str_equal(values[INFO_OPERSTATE], STR("up"));
        metric_writer_sample(collection->writer, "", names, values, INFO_COUNT, 1);
    }
    collection__family(collection, "node_network_up", METRIC_GAUGE,
                       "1 if the device's operstate is up, 0 if not.");
    for (size_t i = 0; i < devices->count; i++)
        collection__value_of(collection, "device", str_from_cstr(devices->names[i]), up[i]);
}

err_t collect__netclass(struct collection *collection)
{
    strbuf_clear(&collection->path);
    strbuf_printf(&collection->path, "%s/class/net", collection->exporter->sysfs);
    struct fs_list all;
    TRY(fs_list_dir(collection->path.data, &all, &collection->why));
    struct fs_list devices = {ARENA_NEW_ARRAY(&collection->arena, char *, all.count + 1), 0};
    for (size_t i = 0; i < all.count; i++) {
        if (is_device(collection, all.names[i]))
            devices.names[devices.count++] = all.names[i];
    }
    write_numbers(collection, &devices);
    write_info(collection, &devices);
    fs_list_free(&all);
    return OK;
}
