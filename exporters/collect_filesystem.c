/* filesystem: the mount table of process 1, and statvfs of what is mounted. */
#include "collection.h"
#include "statvfs_worker.h"

struct mount {
    struct str device;
    struct str type;
    struct str point; /* label: below the exporter's rootfs, with the root cut off */
    struct str major;
    struct str minor;
    bool read_only;
};

struct mounts {
    struct mount *items;
    const char **paths;
    struct statvfs_result *results;
    size_t count;
};

static bool type_is_excluded(struct str type)
{
    static const struct str types[] = {
        STR_INIT("autofs"),    STR_INIT("binfmt_misc"), STR_INIT("bpf"),
        STR_INIT("cgroup"),    STR_INIT("cgroup2"),     STR_INIT("configfs"),
        STR_INIT("debugfs"),   STR_INIT("devpts"),      STR_INIT("devtmpfs"),
        STR_INIT("erofs"),     STR_INIT("fusectl"),     STR_INIT("hugetlbfs"),
        STR_INIT("iso9660"),   STR_INIT("mqueue"),      STR_INIT("nsfs"),
        STR_INIT("overlay"),   STR_INIT("proc"),        STR_INIT("procfs"),
        STR_INIT("pstore"),    STR_INIT("rpc_pipefs"),  STR_INIT("securityfs"),
        STR_INIT("selinuxfs"), STR_INIT("squashfs"),    STR_INIT("sysfs"),
        STR_INIT("tracefs"),
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_equal(type, types[i]))
            return true;
    }
    return false;
}

static bool is_at_or_below(struct str path, struct str folder)
{
    return str_starts_with(path, folder) &&
           (path.size == folder.size || path.data[folder.size] == '/');
}

static bool is_below(struct str path, struct str folder)
{
    return is_at_or_below(path, folder) && path.size > folder.size + 1;
}

static bool point_is_excluded(struct str point)
{
    return is_at_or_below(point, STR("/dev")) || is_at_or_below(point, STR("/proc")) ||
           is_at_or_below(point, STR("/sys")) || is_below(point, STR("/run/credentials")) ||
           is_below(point, STR("/var/lib/docker")) ||
           is_below(point, STR("/var/lib/containers/storage"));
}

/* The kernel writes blanks, tabs, LF and backslashes as three octal digits. */
static struct str decode_octal(struct arena *arena, struct str s)
{
    char *out = arena_alloc(arena, s.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < s.size; i++) {
        const char *at = s.data + i;
        if (s.size - i >= 4 && at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' &&
            at[2] <= '7' && at[3] >= '0' && at[3] <= '7') {
            out[size++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 3;
        } else {
            out[size++] = *at;
        }
    }
    out[size] = '\0';
    return str_from(out, size);
}

static bool options_have_ro(struct str options)
{
    for (struct str option; options.size > 0;) {
        if (!text_cut(&options, ',', &option)) {
            option = options;
            options = STR("");
        }
        if (str_equal(option, STR("ro")))
            return true;
    }
    return false;
}

/* "id parent maj:min root point options [tags…] - type source superoptions" */
static bool parse_mount(struct collection *collection, struct str line, struct mount *mount)
{
    struct str ignored;
    struct str device_number;
    struct str point;
    struct str options;
    struct str type;
    struct str source;
    struct str super_options = STR("");
    if (!text_next_field(&line, &ignored) || !text_next_field(&line, &ignored) ||
        !text_next_field(&line, &device_number) || !text_next_field(&line, &ignored) ||
        !text_next_field(&line, &point) || !text_next_field(&line, &options))
        return false;
    do {
        if (!text_next_field(&line, &ignored))
            return false;
    } while (!str_equal(ignored, STR("-")));
    if (!text_next_field(&line, &type) || !text_next_field(&line, &source))
        return false;
    text_next_field(&line, &super_options);
    if (!text_cut(&device_number, ':', &mount->major))
        return false;
    mount->minor = device_number;
    mount->type = type;
    mount->device = decode_octal(&collection->arena, source);
    mount->point = decode_octal(&collection->arena, point);
    mount->read_only = options_have_ro(options) || options_have_ro(super_options);
    return true;
}

/* The label: mount points outside the root are not of the host and are left out. */
static bool strip_root(const struct host_exporter *exporter, struct str *point)
{
    struct str root = str_from_cstr(exporter->rootfs);
    if (root.size == 0)
        return true;
    if (!is_at_or_below(*point, root))
        return false;
    *point = point->size == root.size ? STR("/")
                                      : str_from(point->data + root.size, point->size - root.size);
    return true;
}

static bool is_repeated(const struct mounts *mounts, const struct mount *mount)
{
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *other = &mounts->items[i];
        if (str_equal(other->point, mount->point) && str_equal(other->device, mount->device) &&
            str_equal(other->type, mount->type))
            return true;
    }
    return false;
}

static void parse_mounts(struct collection *collection, struct str text, struct mounts *mounts)
{
    size_t line_count = 0;
    struct str rest = text;
    for (struct str line; text_next_line(&rest, &line);)
        line_count++;
    struct arena *arena = &collection->arena;
    mounts->items = ARENA_NEW_ARRAY(arena, struct mount, line_count + 1);
    mounts->paths = ARENA_NEW_ARRAY(arena, const char *, line_count + 1);
    mounts->results = ARENA_NEW_ARRAY(arena, struct statvfs_result, line_count + 1);
    for (struct str line; text_next_line(&text, &line);) {
        struct mount *mount = &mounts->items[mounts->count];
        if (!parse_mount(collection, line, mount))
            continue;
        const char *path = mount->point.data; /* with the root: what the kernel calls it */
        if (!strip_root(collection->exporter, &mount->point) || type_is_excluded(mount->type) ||
            point_is_excluded(mount->point) || is_repeated(mounts, mount))
            continue;
        mounts->paths[mounts->count++] = path;
    }
}

static void write_of_mount(struct collection *collection, const struct mount *mount, double value)
{
    const struct str names[] = {STR_INIT("device"), STR_INIT("fstype"), STR_INIT("mountpoint")};
    const struct str values[] = {mount->device, mount->type, mount->point};
    metric_writer_sample(collection->writer, "", names, values, 3, value);
}

static double size_of(const struct statvfs *values)
{
    return (double)values->f_blocks * (double)values->f_frsize;
}

static double free_of(const struct statvfs *values)
{
    return (double)values->f_bfree * (double)values->f_frsize;
}

static double available_of(const struct statvfs *values)
{
    return (double)values->f_bavail * (double)values->f_frsize;
}

static double files_of(const struct statvfs *values)
{
    return (double)values->f_files;
}

static double files_free_of(const struct statvfs *values)
{
    return (double)values->f_ffree;
}

static void write_usage(struct collection *collection, const struct mounts *mounts)
{
    static const struct {
        const char *name;
        double (*value)(const struct statvfs *values);
        const char *help;
    } rows[] = {
        {"node_filesystem_size_bytes", size_of, "Size of a file system, in bytes."},
        {"node_filesystem_free_bytes", free_of, "Free space, in bytes."},
        {"node_filesystem_avail_bytes", available_of,
         "Free space for users without privileges, in bytes."},
        {"node_filesystem_files", files_of, "File nodes there are."},
        {"node_filesystem_files_free", files_free_of, "File nodes that are free."},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        collection__family(collection, rows[row].name, METRIC_GAUGE, rows[row].help);
        for (size_t i = 0; i < mounts->count; i++) {
            if (mounts->results[i].failure == 0)
                write_of_mount(collection, &mounts->items[i],
                               rows[row].value(&mounts->results[i].values));
        }
    }
}

err_t collect__filesystem(struct collection *collection)
{
    struct host_exporter *exporter = collection->exporter;
    struct str text;
    /* Process 1 sees the host's mounts; its table may be closed to us. */
    if (collection__read(collection, &text, "%s/1/mountinfo", exporter->procfs) != OK)
        TRY(collection__read(collection, &text, "%s/self/mountinfo", exporter->procfs));
    struct mounts mounts = {0};
    parse_mounts(collection, text, &mounts);
    statvfs_worker__run(exporter->statvfs, mounts.paths, mounts.count, mounts.results);

    collection__family(collection, "node_filesystem_device_error", METRIC_GAUGE,
                       "1 if the file system did not answer in time or with an error.");
    for (size_t i = 0; i < mounts.count; i++)
        write_of_mount(collection, &mounts.items[i], mounts.results[i].failure != 0);
    collection__family(collection, "node_filesystem_readonly", METRIC_GAUGE,
                       "1 if the file system is mounted read-only.");
    for (size_t i = 0; i < mounts.count; i++)
        write_of_mount(collection, &mounts.items[i], mounts.items[i].read_only);
    write_usage(collection, &mounts);

    collection__family(collection, "node_filesystem_mount_info", METRIC_GAUGE,
                       "The device numbers of a mount; always 1.");
    for (size_t i = 0; i < mounts.count; i++) {
        const struct mount *mount = &mounts.items[i];
        const struct str names[] = {STR_INIT("device"), STR_INIT("major"), STR_INIT("minor"),
                                    STR_INIT("mountpoint")};
        const struct str values[] = {mount->device, mount->major, mount->minor, mount->point};
        metric_writer_sample(collection->writer, "", names, values, 4, 1);
    }
    return OK;
}
