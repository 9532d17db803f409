/* What the system is: uname, os. */
#include <errno.h>
#include <sys/utsname.h>
#include <time.h>

#include "collection.h"

err_t collect__uname(struct collection *collection)
{
    struct utsname name;
    if (uname(&name) != 0)
        return err_fail_errno(&collection->why, errno, "uname");
    const struct str names[] = {STR_INIT("domainname"), STR_INIT("machine"), STR_INIT("nodename"),
                                STR_INIT("release"),    STR_INIT("sysname"), STR_INIT("version")};
    const struct str values[] = {str_from_cstr(name.domainname), str_from_cstr(name.machine),
                                 str_from_cstr(name.nodename),   str_from_cstr(name.release),
                                 str_from_cstr(name.sysname),    str_from_cstr(name.version)};
    collection__family(collection, "node_uname_info", METRIC_GAUGE,
                       "Names the kernel gives the system; always 1.");
    metric_writer_sample(collection->writer, "", names, values, 6, 1);
    return OK;
}

/* In the order of the labels; the last one is no label. */
enum os_key {
    OS_BUILD_ID,
    OS_ID,
    OS_ID_LIKE,
    OS_IMAGE_ID,
    OS_IMAGE_VERSION,
    OS_NAME,
    OS_PRETTY_NAME,
    OS_VARIANT,
    OS_VARIANT_ID,
    OS_VERSION,
    OS_VERSION_CODENAME,
    OS_VERSION_ID,
    OS_SUPPORT_END,
    OS_KEY_COUNT,
};

static const struct {
    struct str key;
    struct str label;
} os_keys[OS_KEY_COUNT] = {
    [OS_BUILD_ID] = {STR_INIT("BUILD_ID"), STR_INIT("build_id")},
    [OS_ID] = {STR_INIT("ID"), STR_INIT("id")},
    [OS_ID_LIKE] = {STR_INIT("ID_LIKE"), STR_INIT("id_like")},
    [OS_IMAGE_ID] = {STR_INIT("IMAGE_ID"), STR_INIT("image_id")},
    [OS_IMAGE_VERSION] = {STR_INIT("IMAGE_VERSION"), STR_INIT("image_version")},
    [OS_NAME] = {STR_INIT("NAME"), STR_INIT("name")},
    [OS_PRETTY_NAME] = {STR_INIT("PRETTY_NAME"), STR_INIT("pretty_name")},
    [OS_VARIANT] = {STR_INIT("VARIANT"), STR_INIT("variant")},
    [OS_VARIANT_ID] = {STR_INIT("VARIANT_ID"), STR_INIT("variant_id")},
    [OS_VERSION] = {STR_INIT("VERSION"), STR_INIT("version")},
    [OS_VERSION_CODENAME] = {STR_INIT("VERSION_CODENAME"), STR_INIT("version_codename")},
    [OS_VERSION_ID] = {STR_INIT("VERSION_ID"), STR_INIT("version_id")},
    [OS_SUPPORT_END] = {STR_INIT("SUPPORT_END"), STR_INIT("")},
};

/* A value of os-release: bare, or in shell quotes with backslash escapes. */
static struct str unquote(struct arena *arena, struct str s)
{
    s = str_trim(s);
    if (s.size < 2 || (s.data[0] != '"' && s.data[0] != '\'') || s.data[s.size - 1] != s.data[0])
        return s;
    bool escapes = s.data[0] == '"';
    char *out = arena_alloc(arena, s.size);
    size_t size = 0;
    for (size_t i = 1; i + 1 < s.size; i++) {
        if (escapes && s.data[i] == '\\' && i + 2 < s.size)
            i++;
        out[size++] = s.data[i];
    }
    return str_from(out, size);
}

/* "12.4.1" counts as 12.4. */
static bool leading_version(struct str version, double *value)
{
    size_t size = 0;
    bool dot = false;
    for (; size < version.size; size++) {
        char c = version.data[size];
        if (c == '.' && !dot && size > 0)
            dot = true;
        else if (c < '0' || c > '9')
            break;
    }
    return text_to_double(str_from(version.data, size), value);
}

/* "2026-06-10" as seconds since 1970. */
static bool parse_date(struct str date, double *seconds)
{
    struct str year;
    struct str month;
    int64_t parts[3];
    if (!text_cut(&date, '-', &year) || !text_cut(&date, '-', &month) ||
        !str_to_int64(year, &parts[0]) || !str_to_int64(month, &parts[1]) ||
        !str_to_int64(date, &parts[2]) || parts[0] < 1970 || parts[0] > 9999 || parts[1] < 1 ||
        parts[1] > 12 || parts[2] < 1 || parts[2] > 31)
        return false;
    struct tm day = {
        .tm_year = (int)parts[0] - 1900, .tm_mon = (int)parts[1] - 1, .tm_mday = (int)parts[2]};
    *seconds = (double)timegm(&day);
    return true;
}

static err_t read_release(struct collection *collection, struct str *text)
{
    const char *root = collection->exporter->rootfs;
    err_t err = collection__read(collection, text, "%s/etc/os-release", root);
    if (err == ERR_NOT_FOUND)
        err = collection__read(collection, text, "%s/usr/lib/os-release", root);
    return err;
}

err_t collect__os(struct collection *collection)
{
    struct str text;
    TRY(read_release(collection, &text));
    struct str names[OS_KEY_COUNT];
    struct str values[OS_KEY_COUNT];
    for (int i = 0; i < OS_KEY_COUNT; i++) {
        names[i] = os_keys[i].label;
        values[i] = STR("");
    }
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        if (!text_cut(&line, '=', &key))
            continue;
        for (int i = 0; i < OS_KEY_COUNT; i++) {
            if (str_equal(key, os_keys[i].key))
                values[i] = unquote(&collection->arena, line);
        }
    }
    collection__family(collection, "node_os_info", METRIC_GAUGE,
                       "What os-release says of the system; always 1.");
    metric_writer_sample(collection->writer, "", names, values, OS_SUPPORT_END, 1);

    double value;
    if (leading_version(values[OS_VERSION_ID], &value)) {
        const struct str version_names[] = {names[OS_ID], names[OS_ID_LIKE], names[OS_NAME]};
        const struct str version_values[] = {values[OS_ID], values[OS_ID_LIKE], values[OS_NAME]};
        collection__family(collection, "node_os_version", METRIC_GAUGE,
                           "Version of the system as major.minor.");
        metric_writer_sample(collection->writer, "", version_names, version_values, 3, value);
    }
    if (parse_date(values[OS_SUPPORT_END], &value))
        collection__single(collection, "node_os_support_end_timestamp_seconds", METRIC_GAUGE,
                           "End of support, in seconds since 1970.", value);
    return OK;
}
