/* diskstats: /proc/diskstats and what udev knows of the disks. */
#include "collection.h"

enum { DISK_COLUMNS = 17, SECTOR_BYTES = 512 };

struct disk {
    struct str name;
    struct str major;
    struct str minor;
    double columns[DISK_COLUMNS];
    int column_count; /* 11, with discards 15, with flushes 17 */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits at the end off; false if there are none. */
static bool strip_digits(struct str *s)
{
    size_t before = s->size;
    while (s->size > 0 && is_digit(s->data[s->size - 1]))
        s->size--;
    return s->size < before;
}

/* RAM disks, loop devices, floppies, and partitions of hd, sd, vd, xvd and NVMe disks. */
static bool is_excluded(struct str name)
{
    if (!strip_digits(&name))
        return false;
    if (str_equal(name, STR("ram")) || str_equal(name, STR("loop")) || str_equal(name, STR("fd")))
        return true;
    if (str_starts_with(name, STR("nvme"))) {
        /* nvme0n1p1: digits, n, digits, p */
        if (name.size == 0 || name.data[name.size - 1] != 'p')
            return false;
        name.size--;
        if (!strip_digits(&name) || name.data[name.size - 1] != 'n')
            return false;
        name.size--;
        return strip_digits(&name) && str_equal(name, STR("nvme"));
    }
    if (str_starts_with(name, STR("x")))
        name = str_from(name.data + 1, name.size - 1);
    return name.size == 3 && name.data[1] == 'd' && name.data[2] >= 'a' && name.data[2] <= 'z' &&
           (name.data[0] == 'h' || name.data[0] == 's' || name.data[0] == 'v');
}

static bool parse_disk(struct str line, struct disk *disk)
{
    *disk = (struct disk){0};
    if (!text_next_field(&line, &disk->major) || !text_next_field(&line, &disk->minor) ||
        !text_next_field(&line, &disk->name) || is_excluded(disk->name))
        return false;
    struct str field;
    while (disk->column_count < DISK_COLUMNS && text_next_field(&line, &field)) {
        if (!text_to_double(field, &disk->columns[disk->column_count]))
            return false;
        disk->column_count++;
    }
    return disk->column_count >= 11;
}

static const struct column {
    const char *name;
    enum metric_type type;
    double factor;
    double divisor;
    const char *help;
} columns[DISK_COLUMNS] = {
    {"node_disk_reads_completed_total", METRIC_COUNTER, 1, 1, "Reads that completed."},
    {"node_disk_reads_merged_total", METRIC_COUNTER, 1, 1, "Reads merged with another one."},
    {"node_disk_read_bytes_total", METRIC_COUNTER, SECTOR_BYTES, 1, "Bytes read."},
    {"node_disk_read_time_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time that all reads took together, in seconds."},
    {"node_disk_writes_completed_total", METRIC_COUNTER, 1, 1, "Writes that completed."},
    {"node_disk_writes_merged_total", METRIC_COUNTER, 1, 1, "Writes merged with another one."},
    {"node_disk_written_bytes_total", METRIC_COUNTER, SECTOR_BYTES, 1, "Bytes written."},
    {"node_disk_write_time_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time that all writes took together, in seconds."},
    {"node_disk_io_now", METRIC_GAUGE, 1, 1, "Operations in progress."},
    {"node_disk_io_time_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time in which an operation was in progress, in seconds."},
    {"node_disk_io_time_weighted_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time of all operations, each counted for itself, in seconds."},
    {"node_disk_discards_completed_total", METRIC_COUNTER, 1, 1, "Discards that completed."},
    {"node_disk_discards_merged_total", METRIC_COUNTER, 1, 1, "Discards merged with another one."},
    {"node_disk_discarded_sectors_total", METRIC_COUNTER, 1, 1, "Sectors discarded."},
    {"node_disk_discard_time_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time that all discards took together, in seconds."},
    {"node_disk_flush_requests_total", METRIC_COUNTER, 1, 1, "Flush requests that completed."},
    {"node_disk_flush_requests_time_seconds_total", METRIC_COUNTER, 1, 1e3,
     "Time that all flush requests took together, in seconds."},
};

/* Properties udev keeps of a device; absent ones are empty. */
enum udev_property {
    UDEV_MODEL,
    UDEV_PATH,
    UDEV_REVISION,
    UDEV_SCSI_SERIAL,
    UDEV_SERIAL_SHORT,
    UDEV_WWN,
    UDEV_DM_NAME,
    UDEV_DM_UUID,
    UDEV_DM_VG_NAME,
    UDEV_DM_LV_NAME,
    UDEV_DM_LV_LAYER,
    UDEV_FS_TYPE,
    UDEV_FS_USAGE,
    UDEV_FS_UUID,
    UDEV_FS_VERSION,
    UDEV_PROPERTY_COUNT,
};

static const struct str udev_names[UDEV_PROPERTY_COUNT] = {
    [UDEV_MODEL] = STR_INIT("ID_MODEL"),
    [UDEV_PATH] = STR_INIT("ID_PATH"),
    [UDEV_REVISION] = STR_INIT("ID_REVISION"),
    [UDEV_SCSI_SERIAL] = STR_INIT("SCSI_IDENT_SERIAL"),
    [UDEV_SERIAL_SHORT] = STR_INIT("ID_SERIAL_SHORT"),
    [UDEV_WWN] = STR_INIT("ID_WWN"),
    [UDEV_DM_NAME] = STR_INIT("DM_NAME"),
    [UDEV_DM_UUID] = STR_INIT("DM_UUID"),
    [UDEV_DM_VG_NAME] = STR_INIT("DM_VG_NAME"),
    [UDEV_DM_LV_NAME] = STR_INIT("DM_LV_NAME"),
    [UDEV_DM_LV_LAYER] = STR_INIT("DM_LV_LAYER"),
    [UDEV_FS_TYPE] = STR_INIT("ID_FS_TYPE"),
    [UDEV_FS_USAGE] = STR_INIT("ID_FS_USAGE"),
    [UDEV_FS_UUID] = STR_INIT("ID_FS_UUID"),
    [UDEV_FS_VERSION] = STR_INIT("ID_FS_VERSION"),
};

static void read_udev(struct collection *collection, const struct disk *disk,
                      struct str properties[UDEV_PROPERTY_COUNT])
{
    for (int i = 0; i < UDEV_PROPERTY_COUNT; i++)
        properties[i] = STR("");
    struct str text;
    if (collection__read(collection, &text, "%s/b%.*s:%.*s", collection->exporter->udev_data,
                         STR_ARG(disk->major), STR_ARG(disk->minor)) != OK)
        return;
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        if (!str_starts_with(line, STR("E:")))
            continue;
        line = str_from(line.data + 2, line.size - 2);
        if (!text_cut(&line, '=', &key))
            continue;
        for (int i = 0; i < UDEV_PROPERTY_COUNT; i++) {
            if (str_equal(key, udev_names[i]))
                properties[i] = arena_str(&collection->arena, line);
        }
    }
}

struct disks {
    struct disk *items;
    struct str (*udev)[UDEV_PROPERTY_COUNT];
    size_t count;
};

static void write_info(struct collection *collection, const struct disks *disks)
{
    static const struct str names[] = {
        STR_INIT("device"), STR_INIT("major"),    STR_INIT("minor"),  STR_INIT("model"),
        STR_INIT("path"),   STR_INIT("revision"), STR_INIT("serial"), STR_INIT("wwn"),
    };
    collection__family(collection, "node_disk_info", METRIC_GAUGE,
                       "What is known of a disk; always 1.");
    for (size_t i = 0; i < disks->count; i++) {
        const struct disk *disk = &disks->items[i];
        const struct str *udev = disks->udev[i];
        bool has_scsi_serial = udev[UDEV_SCSI_SERIAL].size > 0;
        const struct str values[] = {
            disk->name,
            disk->major,
            disk->minor,
            udev[UDEV_MODEL],
            udev[UDEV_PATH],
            udev[UDEV_REVISION],
            udev[has_scsi_serial ? UDEV_SCSI_SERIAL : UDEV_SERIAL_SHORT],
            udev[UDEV_WWN],
        };
        metric_writer_sample(collection->writer, "", names, values, 8, 1);
    }
}

static void write_mapper_and_filesystem(struct collection *collection, const struct disks *disks)
{
    static const struct str mapper_names[] = {STR_INIT("device"),  STR_INIT("lv_layer"),
                                              STR_INIT("lv_name"), STR_INIT("name"),
                                              STR_INIT("uuid"),    STR_INIT("vg_name")};
    collection__family(collection, "node_disk_device_mapper_info", METRIC_GAUGE,
                       "Names of a device mapper's device; always 1.");
    for (size_t i = 0; i < disks->count; i++) {
        const struct str *udev = disks->udev[i];
        const struct str values[] = {disks->items[i].name,  udev[UDEV_DM_LV_LAYER],
                                     udev[UDEV_DM_LV_NAME], udev[UDEV_DM_NAME],
                                     udev[UDEV_DM_UUID],    udev[UDEV_DM_VG_NAME]};
        if (udev[UDEV_DM_NAME].size > 0)
            metric_writer_sample(collection->writer, "", mapper_names, values, 6, 1);
    }
    static const struct str filesystem_names[] = {STR_INIT("device"), STR_INIT("type"),
                                                  STR_INIT("usage"), STR_INIT("uuid"),
                                                  STR_INIT("version")};
    collection__family(collection, "node_disk_filesystem_info", METRIC_GAUGE,
                       "The file system on a disk; always 1.");
    for (size_t i = 0; i < disks->count; i++) {
        const struct str *udev = disks->udev[i];
        const struct str values[] = {disks->items[i].name, udev[UDEV_FS_TYPE], udev[UDEV_FS_USAGE],
                                     udev[UDEV_FS_UUID], udev[UDEV_FS_VERSION]};
        if (udev[UDEV_FS_TYPE].size > 0)
            metric_writer_sample(collection->writer, "", filesystem_names, values, 5, 1);
    }
}

err_t collect__diskstats(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "diskstats", &text));
    /* udev's files are read into the same buffer. */
    text = arena_str(&collection->arena, text);
    struct disks disks = {0};
    size_t line_count = 0;
    struct str rest = text;
    for (struct str line; text_next_line(&rest, &line);)
        line_count++;
    disks.items = ARENA_NEW_ARRAY(&collection->arena, struct disk, line_count + 1);
    for (struct str line; text_next_line(&text, &line);) {
        if (parse_disk(line, &disks.items[disks.count]))
            disks.count++;
    }
    disks.udev = arena_calloc(&collection->arena, disks.count + 1, sizeof *disks.udev);
    for (size_t i = 0; i < disks.count; i++)
        read_udev(collection, &disks.items[i], disks.udev[i]);

    write_info(collection, &disks);
    for (int column = 0; column < DISK_COLUMNS; column++) {
        collection__family(collection, columns[column].name, columns[column].type,
                           columns[column].help);
        for (size_t i = 0; i < disks.count; i++) {
            const struct disk *disk = &disks.items[i];
            if (column < disk->column_count)
                collection__value_of(collection, "device", disk->name,
                                     disk->columns[column] * columns[column].factor /
                                         columns[column].divisor);
        }
    }
    write_mapper_and_filesystem(collection, &disks);
    return OK;
}
