/* powersupplyclass, rapl, thermal_zone and cpufreq: power, heat and clock rates from sysfs. */
#include <assert.h>

#include "collection.h"

enum { SUPPLY_TEXTS_MAX = 16 };

static const struct {
    const char *attribute;
    const char *name;
    double divisor;
} supply_rows[] = {
    {"authentic", "authentic", 1},
    {"calibrate", "calibrate", 1},
    {"capacity", "capacity", 1},
    {"capacity_alert_max", "capacity_alert_max", 1},
    {"capacity_alert_min", "capacity_alert_min", 1},
    {"charge_control_limit", "charge_control_limit", 1},
    {"charge_control_limit_max", "charge_control_limit_max", 1},
    {"cycle_count", "cyclecount", 1},
    {"online", "online", 1},
    {"present", "present", 1},
    {"time_to_empty_avg", "time_to_empty_avg_seconds", 1},
    {"time_to_empty_now", "time_to_empty_seconds", 1},
    {"time_to_full_avg", "time_to_full_avg_seconds", 1},
    {"time_to_full_now", "time_to_full_seconds", 1},
    {"charge_now", "charge_ampere", 1e6},
    {"charge_empty", "charge_empty", 1e6},
    {"charge_empty_design", "charge_empty_design", 1e6},
    {"charge_full", "charge_full", 1e6},
    {"charge_full_design", "charge_full_design", 1e6},
    {"constant_charge_current", "constant_charge_current", 1e6},
    {"constant_charge_voltage", "constant_charge_voltage", 1e6},
    {"current_max", "current_max", 1e6},
    {"current_now", "current_ampere", 1e6},
    {"energy_empty", "energy_empty", 1e6},
    {"energy_empty_design", "energy_empty_design", 1e6},
    {"energy_full", "energy_full", 1e6},
    {"energy_full_design", "energy_full_design", 1e6},
    {"energy_now", "energy_watthour", 1e6},
    {"input_current_limit", "input_current_limit", 1e6},
    {"power_now", "power_watt", 1e6},
    {"voltage_max", "voltage_max", 1e6},
    {"voltage_max_design", "voltage_max_design", 1e6},
    {"voltage_min", "voltage_min", 1e6},
    {"voltage_min_design", "voltage_min_design", 1e6},
    {"voltage_now", "voltage_volt", 1e6},
    {"voltage_ocv", "voltage_ocv", 1e6},
    {"temp", "temp_celsius", 10},
    {"temp_ambient", "temp_ambient_celsius", 10},
    {"temp_max", "temp_max_celsius", 10},
    {"temp_min", "temp_min_celsius", 10},
};

/* Texts of a supply are labels if the driver has them; the supply's name stands among them. */
static void write_supply_info(struct collection *collection, const struct fs_list *supplies)
{
    static const char *const attributes[] = {
        "capacity_level", "charge_type",   "health", "manufacturer", "model_name", "",
        "scope",          "serial_number", "status", "technology",   "type",       "usb_type"};
    enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };
    static_assert((int)ATTRIBUTES <= (int)SUPPLY_TEXTS_MAX, "labels of a power supply");
    collection__family(collection, "node_power_supply_info", METRIC_GAUGE,
                       "Texts of a power supply; always 1.");
    for (size_t i = 0; i < supplies->count; i++) {
        struct str names[SUPPLY_TEXTS_MAX];
        struct str values[SUPPLY_TEXTS_MAX];
        size_t count = 0;
        for (size_t at = 0; at < ATTRIBUTES; at++) {
            struct str value;
            names[count] = str_from_cstr(attributes[at]);
            if (names[count].size == 0) {
                names[count] = STR("power_supply");
                values[count++] = str_from_cstr(supplies->names[i]);
            } else if (collection__attribute(collection, &value, "%s/class/power_supply/%s/%s",
                                             collection->exporter->sysfs, supplies->names[i],
                                             attributes[at]) &&
                       value.size > 0) {
                values[count++] = arena_str(&collection->arena, value);
            }
        }
        metric_writer_sample(collection->writer, "", names, values, count, 1);
    }
}

err_t collect__powersupplyclass(struct collection *collection)
{
    const char *sysfs = collection->exporter->sysfs;
    struct fs_list supplies;
    TRY(fs_list_dir(arena_printf(&collection->arena, "%s/class/power_supply", sysfs).data,
                    &supplies, &collection->why));
    for (size_t row = 0; row < sizeof supply_rows / sizeof *supply_rows; row++) {
        strbuf_clear(&collection->name);
        strbuf_printf(&collection->name, "node_power_supply_%s", supply_rows[row].name);
        collection__family(collection, strbuf_cstr(&collection->name), METRIC_GAUGE,
                           "A value of a power supply, from /sys/class/power_supply.");
        for (size_t i = 0; i < supplies.count; i++) {
            double value;
            if (collection__number(collection, &value, "%s/class/power_supply/%s/%s", sysfs,
                                   supplies.names[i], supply_rows[row].attribute))
                collection__value_of(collection, "power_supply", str_from_cstr(supplies.names[i]),
                                     value / supply_rows[row].divisor);
        }
    }
    write_supply_info(collection, &supplies);
    fs_list_free(&supplies);
    return OK;
}

struct rapl_zone {
    struct str name; /* "package", "core", … */
    struct str path;
    uint64_t index;
    double joules;
};

/* "package-1" is number 1; names without a number are counted. */
static void name_zone(struct rapl_zone *zones, size_t count, struct str name)
{
    struct rapl_zone *zone = &zones[count];
    struct str base = name;
    size_t dash = name.size;
    while (dash > 0 && name.data[dash - 1] != '-')
        dash--;
    zone->index = 0;
    zone->name = name;
    if (dash > 1 && str_to_uint64(str_from(name.data + dash, name.size - dash), &zone->index)) {
        base.size = dash - 1;
        zone->name = base;
        return;
    }
    for (size_t i = 0; i < count; i++)
        zone->index += str_equal(zones[i].name, name);
}

static bool read_zone(struct collection *collection, const char *folder, struct rapl_zone *zones,
                      size_t count)
{
    struct str text;
    const char *sysfs = collection->exporter->sysfs;
    if (!collection__attribute(collection, &text, "%s/class/powercap/%s/name", sysfs, folder))
        return false;
    name_zone(zones, count, arena_str(&collection->arena, text));
    /* Readable by root only on most systems. */
    if (!collection__number(collection, &zones[count].joules, "%s/class/powercap/%s/energy_uj",
                            sysfs, folder))
        return false;
    zones[count].joules /= 1e6;
    zones[count].path = arena_printf(&collection->arena, "%s/class/powercap/%s", sysfs, folder);
    return true;
}

static void write_zones(struct collection *collection, const struct rapl_zone *zones, size_t count)
{
    const struct str names[] = {STR_INIT("index"), STR_INIT("path")};
    for (size_t i = 0; i < count; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first &= !str_equal(zones[i].name, zones[j].name);
        if (!is_first)
            continue;
        strbuf_clear(&collection->name);
        strbuf_printf(&collection->name, "node_rapl_%.*s_joules_total", STR_ARG(zones[i].name));
        collection__make_legal(&collection->name);
        collection__family(collection, strbuf_cstr(&collection->name), METRIC_COUNTER,
                           "Energy a power domain of the processor used, in joules.");
        for (size_t j = i; j < count; j++) {
            char index[20];
            const struct str values[] = {{index, number_format_uint(zones[j].index, index)},
                                         zones[j].path};
            if (str_equal(zones[i].name, zones[j].name))
                metric_writer_sample(collection->writer, "", names, values, 2, zones[j].joules);
        }
    }
}

err_t collect__rapl(struct collection *collection)
{
    struct fs_list folders;
    TRY(fs_list_dir(
        arena_printf(&collection->arena, "%s/class/powercap", collection->exporter->sysfs).data,
        &folders, &collection->why));
    struct rapl_zone *zones =
        ARENA_NEW_ARRAY(&collection->arena, struct rapl_zone, folders.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < folders.count; i++) {
        struct str folder = str_from_cstr(folders.names[i]);
        /* Zones only, not the control type "intel-rapl" itself. */
        if (str_starts_with(folder, STR("intel-rapl:")))
            count += read_zone(collection, folders.names[i], zones, count);
    }
    fs_list_free(&folders);
    write_zones(collection, zones, count);
    return count > 0 ? OK : ERR_NOT_FOUND;
}

/* A family with the labels `number_label` (what follows the folder's prefix) and type. */
static void write_thermal(struct collection *collection, const struct fs_list *folders,
                          struct str prefix, struct str number_label, const char *attribute,
                          double divisor)
{
    for (size_t i = 0; i < folders->count; i++) {
        struct str folder = str_from_cstr(folders->names[i]);
        struct str type;
        double value;
        if (!str_starts_with(folder, prefix) ||
            !collection__number(collection, &value, "%s/class/thermal/%s/%s",
                                collection->exporter->sysfs, folders->names[i], attribute) ||
            !collection__attribute(collection, &type, "%s/class/thermal/%s/type",
                                   collection->exporter->sysfs, folders->names[i]))
            continue;
        struct str number = str_from(folder.data + prefix.size, folder.size - prefix.size);
        /* Labels stand in their order, whichever the other one is. */
        bool type_first = str_compare(STR("type"), number_label) < 0;
        const struct str names[] = {type_first ? STR("type") : number_label,
                                    type_first ? number_label : STR("type")};
        const struct str values[] = {type_first ? type : number, type_first ? number : type};
        metric_writer_sample(collection->writer, "", names, values, 2, value / divisor);
    }
}

err_t collect__thermal_zone(struct collection *collection)
{
    struct fs_list folders;
    TRY(fs_list_dir(
        arena_printf(&collection->arena, "%s/class/thermal", collection->exporter->sysfs).data,
        &folders, &collection->why));
    collection__family(collection, "node_thermal_zone_temp", METRIC_GAUGE,
                       "Temperature of a thermal zone, in degrees Celsius.");
    write_thermal(collection, &folders, STR("thermal_zone"), STR("zone"), "temp", 1e3);
    collection__family(collection, "node_cooling_device_cur_state", METRIC_GAUGE,
                       "How strongly a cooling device works now.");
    write_thermal(collection, &folders, STR("cooling_device"), STR("name"), "cur_state", 1);
    collection__family(collection, "node_cooling_device_max_state", METRIC_GAUGE,
                       "How strongly a cooling device can work.");
    write_thermal(collection, &folders, STR("cooling_device"), STR("name"), "max_state", 1);
    fs_list_free(&folders);
    return OK;
}

err_t collect__cpufreq(struct collection *collection)
{
    static const struct {
        const char *attribute;
        const char *name;
        const char *help;
    } rows[] = {
        {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Clock rate of a CPU, in hertz."},
        {"cpuinfo_max_freq", "node_cpu_frequency_max_hertz",
         "Greatest clock rate of a CPU, in hertz."},
        {"cpuinfo_min_freq", "node_cpu_frequency_min_hertz",
         "Least clock rate of a CPU, in hertz."},
        {"scaling_cur_freq", "node_cpu_scaling_frequency_hertz",
         "Clock rate the governor chose for a CPU, in hertz."},
        {"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz",
         "Greatest clock rate the governor may choose, in hertz."},
        {"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz",
         "Least clock rate the governor may choose, in hertz."},
    };
    struct fs_list folders;
    TRY(fs_list_dir(
        arena_printf(&collection->arena, "%s/devices/system/cpu", collection->exporter->sysfs).data,
        &folders, &collection->why));
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        collection__family(collection, rows[row].name, METRIC_GAUGE, rows[row].help);
        for (size_t i = 0; i < folders.count; i++) {
            struct str folder = str_from_cstr(folders.names[i]);
            uint64_t number;
            double kilohertz;
            if (!str_starts_with(folder, STR("cpu")) ||
                !str_to_uint64(str_from(folder.data + 3, folder.size - 3), &number) ||
                !collection__number(collection, &kilohertz, "%s/devices/system/cpu/%s/cpufreq/%s",
                                    collection->exporter->sysfs, folders.names[i],
                                    rows[row].attribute))
                continue;
            collection__value_of(collection, "cpu", str_from(folder.data + 3, folder.size - 3),
                                 kilohertz * 1000);
        }
    }
    fs_list_free(&folders);
    return OK;
}
