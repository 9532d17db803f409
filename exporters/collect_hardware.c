/* bonding, dmi, edac, nvme and selinux: small things that sysfs tells. */
#include "collection.h"

enum { DMI_LABELS_MAX = 20 };

static double count_active(struct collection *collection, struct str master, struct str slaves,
                           double *all)
{
    double active = 0;
    *all = 0;
    for (struct str slave; text_next_field(&slaves, &slave);) {
        const char *sysfs = collection->exporter->sysfs;
        struct str status;
        ++*all;
        if ((collection__attribute(collection, &status,
                                   "%s/class/net/%.*s/lower_%.*s/bonding_slave/mii_status", sysfs,
                                   STR_ARG(master), STR_ARG(slave)) ||
             collection__attribute(collection, &status,
                                   "%s/class/net/%.*s/slave_%.*s/bonding_slave/mii_status", sysfs,
                                   STR_ARG(master), STR_ARG(slave))) &&
            str_equal(status, STR("up")))
            active++;
    }
    return active;
}

err_t collect__bonding(struct collection *collection)
{
    static const struct {
        const char *name;
        const char *help;
    } rows[] = {
        {"node_bonding_slaves", "Devices a bonding interface consists of."},
        {"node_bonding_active", "Devices of a bonding interface whose link is up."},
    };
    const char *sysfs = collection->exporter->sysfs;
    struct str masters;
    TRY(collection__read(collection, &masters, "%s/class/net/bonding_masters", sysfs));
    masters = arena_str(&collection->arena, str_trim(masters));
    for (int row = 0; row < 2; row++) {
        collection__family(collection, rows[row].name, METRIC_GAUGE, rows[row].help);
        struct str rest = masters;
        for (struct str master; text_next_field(&rest, &master);) {
            struct str slaves;
            if (!collection__attribute(collection, &slaves, "%s/class/net/%.*s/bonding/slaves",
                                       sysfs, STR_ARG(master)))
                continue;
            double all;
            slaves = arena_str(&collection->arena, slaves);
            double active = count_active(collection, master, slaves, &all);
            collection__value_of(collection, "master", master, row == 0 ? all : active);
        }
    }
    return OK;
}

err_t collect__dmi(struct collection *collection)
{
    static const struct {
        const char *file;
        struct str label;
    } rows[DMI_LABELS_MAX] = {
        {"bios_date", STR_INIT("bios_date")},
        {"bios_release", STR_INIT("bios_release")},
        {"bios_vendor", STR_INIT("bios_vendor")},
        {"bios_version", STR_INIT("bios_version")},
        {"board_asset_tag", STR_INIT("board_asset_tag")},
        {"board_name", STR_INIT("board_name")},
        {"board_serial", STR_INIT("board_serial")},
        {"board_vendor", STR_INIT("board_vendor")},
        {"board_version", STR_INIT("board_version")},
        {"chassis_asset_tag", STR_INIT("chassis_asset_tag")},
        {"chassis_serial", STR_INIT("chassis_serial")},
        {"chassis_vendor", STR_INIT("chassis_vendor")},
        {"chassis_version", STR_INIT("chassis_version")},
        {"product_family", STR_INIT("product_family")},
        {"product_name", STR_INIT("product_name")},
        {"product_serial", STR_INIT("product_serial")},
        {"product_sku", STR_INIT("product_sku")},
        {"product_uuid", STR_INIT("product_uuid")},
        {"product_version", STR_INIT("product_version")},
        {"sys_vendor", STR_INIT("system_vendor")},
    };
    struct str names[DMI_LABELS_MAX];
    struct str values[DMI_LABELS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < DMI_LABELS_MAX; i++) {
        struct str value;
        if (!collection__attribute(collection, &value, "%s/class/dmi/id/%s",
                                   collection->exporter->sysfs, rows[i].file))
            continue;
        names[count] = rows[i].label;
        values[count++] = arena_str(&collection->arena, value);
    }
    if (count == 0)
        return ERR_NOT_FOUND;
    collection__family(collection, "node_dmi_info", METRIC_GAUGE,
                       "What the firmware says of the machine; always 1.");
    metric_writer_sample(collection->writer, "", names, values, count, 1);
    return OK;
}

static void write_csrow(struct collection *collection, struct str controller, struct str csrow,
                        double value)
{
    const struct str names[] = {STR_INIT("controller"), STR_INIT("csrow")};
    const struct str values[] = {controller, csrow};
    metric_writer_sample(collection->writer, "", names, values, 2, value);
}

/* Errors of each row of memory ("csrow0") and those of no known row. */
static void write_csrows(struct collection *collection, const char *folder, const char *kind)
{
    struct str prefix = STR("csrow");
    struct str controller = str_from_cstr(folder + 2);
    const char *path = arena_printf(&collection->arena, "%s/devices/system/edac/mc/%s",
                                    collection->exporter->sysfs, folder)
                           .data;
    struct fs_list rows;
    double value;
    if (collection__number(collection, &value, "%s/%s_noinfo_count", path, kind))
        write_csrow(collection, controller, STR("unknown"), value);
    if (fs_list_dir(path, &rows, &collection->why) != OK)
        return;
    for (size_t i = 0; i < rows.count; i++) {
        struct str row = str_from_cstr(rows.names[i]);
        if (str_starts_with(row, prefix) &&
            collection__number(collection, &value, "%s/%s/%s_count", path, rows.names[i], kind))
            write_csrow(collection, controller,
                        str_from(row.data + prefix.size, row.size - prefix.size), value);
    }
    fs_list_free(&rows);
}

err_t collect__edac(struct collection *collection)
{
    static const struct {
        const char *kind;
        const char *name;
        const char *csrow_name;
        const char *help;
    } rows[] = {
        {"ce", "node_edac_correctable_errors_total", "node_edac_csrow_correctable_errors_total",
         "Memory errors that were corrected."},
        {"ue", "node_edac_uncorrectable_errors_total", "node_edac_csrow_uncorrectable_errors_total",
         "Memory errors that could not be corrected."},
    };
    const char *sysfs = collection->exporter->sysfs;
    struct fs_list folders;
    TRY(fs_list_dir(arena_printf(&collection->arena, "%s/devices/system/edac/mc", sysfs).data,
                    &folders, &collection->why));
    for (int row = 0; row < 2; row++) {
        collection__family(collection, rows[row].name, METRIC_COUNTER, rows[row].help);
        for (size_t i = 0; i < folders.count; i++) {
            struct str folder = str_from_cstr(folders.names[i]);
            double value;
            if (str_starts_with(folder, STR("mc")) &&
                collection__number(collection, &value, "%s/devices/system/edac/mc/%s/%s_count",
                                   sysfs, folders.names[i], rows[row].kind))
                collection__value_of(collection, "controller",
                                     str_from(folder.data + 2, folder.size - 2), value);
        }
        collection__family(collection, rows[row].csrow_name, METRIC_COUNTER, rows[row].help);
        for (size_t i = 0; i < folders.count; i++) {
            if (str_starts_with(str_from_cstr(folders.names[i]), STR("mc")))
                write_csrows(collection, folders.names[i], rows[row].kind);
        }
    }
    fs_list_free(&folders);
    return OK;
}

err_t collect__nvme(struct collection *collection)
{
    static const char *const attributes[] = {NULL, "firmware_rev", "model", "serial", "state"};
    static const struct str names[] = {STR_INIT("device"), STR_INIT("firmware_revision"),
                                       STR_INIT("model"), STR_INIT("serial"), STR_INIT("state")};
    const char *sysfs = collection->exporter->sysfs;
    struct fs_list devices;
    TRY(fs_list_dir(arena_printf(&collection->arena, "%s/class/nvme", sysfs).data, &devices,
                    &collection->why));
    collection__family(collection, "node_nvme_info", METRIC_GAUGE,
                       "Texts of an NVMe controller; always 1.");
    for (size_t i = 0; i < devices.count; i++) {
        struct str values[5] = {str_from_cstr(devices.names[i])};
        for (int at = 1; at < 5; at++) {
            struct str value;
            if (!collection__attribute(collection, &value, "%s/class/nvme/%s/%s", sysfs,
                                       devices.names[i], attributes[at]))
                value = STR("");
            values[at] = arena_str(&collection->arena, value);
        }
        metric_writer_sample(collection->writer, "", names, values, 5, 1);
    }
    fs_list_free(&devices);
    return OK;
}

/* The mode that /etc/selinux/config asks for: 1 enforcing, 0 permissive, -1 disabled. */
static bool selinux_config_mode(struct collection *collection, double *mode)
{
    static const struct {
        struct str word;
        double mode;
    } modes[] = {
        {STR_INIT("enforcing"), 1}, {STR_INIT("permissive"), 0}, {STR_INIT("disabled"), -1}};
    struct str text;
    if (collection__read(collection, &text, "%s/etc/selinux/config",
                         collection->exporter->rootfs) != OK)
        return false;
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        if (!text_cut(&line, '=', &key) || !str_equal(str_trim(key), STR("SELINUX")))
            continue;
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
            if (str_equal_nocase(str_trim(line), modes[i].word)) {
                *mode = modes[i].mode;
                return true;
            }
        }
    }
    return false;
}

err_t collect__selinux(struct collection *collection)
{
    double mode;
    bool enabled =
        collection__number(collection, &mode, "%s/fs/selinux/enforce", collection->exporter->sysfs);
    collection__single(collection, "node_selinux_enabled", METRIC_GAUGE,
                       "1 if SELinux is switched on, 0 if not.", enabled);
    if (!enabled)
        return OK;
    collection__single(collection, "node_selinux_current_mode", METRIC_GAUGE,
                       "1 if SELinux enforces its rules now, 0 if it only reports.", mode);
    if (selinux_config_mode(collection, &mode))
        collection__single(collection, "node_selinux_config_mode", METRIC_GAUGE,
                           "The configured mode: 1 enforcing, 0 permissive, -1 disabled.", mode);
    return OK;
}
