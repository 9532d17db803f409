/* hwmon: temperatures, fans, voltages and the like from /sys/class/hwmon.
 *
 * A chip is a folder; its files are named <type><number>_<property> ("temp1_max"). The families'
 * names come from type and property, so samples are gathered first and then grouped by family.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "collection.h"
#include "narthex/base/vec.h"

struct hwmon_sample {
    struct str family;
    struct str chip;
    struct str sensor;
    struct str text; /* chip_name or label; else empty */
    double value;
    uint32_t position; /* keeps the order within a family */
    enum metric_type type;
};

struct hwmon {
    struct collection *collection;
    struct hwmon_sample *samples;
    uint32_t count;
    uint32_t capacity;
};

/* What a property of a type is called, and what its number is divided by. */
struct hwmon_rule {
    const char *type;
    const char *property; /* "" for none, "*" for every other one */
    const char *format;   /* of the family; %s takes the property */
    double divisor;
};

/* The first rule that fits counts. */
static const struct hwmon_rule rules[] = {
    {"beep_enable", "", "beep_enabled", 1},
    {"update_interval", "", "update_interval_seconds", 1e3},
    {"cpu", "vid", "cpu_vid_volts", 1e3},
    {"intrusion", "alarm", "intrusion_alarm", 1},
    {"intrusion", "beep", "intrusion_beep_enabled", 1},
    {"fan", "alarm", "fan_alarm", 1},
    {"fan", "beep", "fan_beep_enabled", 1},
    {"fan", "input", "fan_rpm", 1},
    {"fan", "min", "fan_min_rpm", 1},
    {"fan", "max", "fan_max_rpm", 1},
    {"fan", "target", "fan_target_rpm", 1},
    {"fan", "*", "fan_%s", 1},
    {"in", "alarm", "in_alarm", 1},
    {"in", "beep", "in_beep_enabled", 1},
    {"in", "input", "in_volts", 1e3},
    {"in", "*", "in_%s_volts", 1e3},
    {"temp", "alarm", "temp_alarm", 1},
    {"temp", "beep", "temp_beep_enabled", 1},
    {"temp", "type", "temp_type", 1},
    {"temp", "input", "temp_celsius", 1e3},
    {"temp", "*", "temp_%s_celsius", 1e3},
    {"curr", "alarm", "curr_alarm", 1},
    {"curr", "beep", "curr_beep_enabled", 1},
    {"curr", "input", "curr_amps", 1e3},
    {"curr", "*", "curr_%s_amps", 1e3},
    {"power", "alarm", "power_alarm", 1},
    {"power", "beep", "power_beep_enabled", 1},
    {"power", "average_interval", "power_average_interval_seconds", 1e3},
    {"power", "average_interval_max", "power_average_interval_max_seconds", 1e3},
    {"power", "average_interval_min", "power_average_interval_min_seconds", 1e3},
    {"power", "input", "power_watt", 1e6},
    {"power", "*", "power_%s_watt", 1e6},
    {"energy", "input", "energy_joule_total", 1e6},
    {"humidity", "input", "humidity", 1e6},
    {"pwm", "", "pwm", 1},
    {"pwm", "*", "pwm_%s", 1},
};

static const struct hwmon_rule *find_rule(struct str type, struct str property)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        bool any = strcmp(rules[i].property, "*") == 0 && property.size > 0;
        if (str_equal_cstr(type, rules[i].type) &&
            (any || str_equal_cstr(property, rules[i].property)))
            return &rules[i];
    }
    return NULL;
}

/* "temp1_max" is temp, 1, max; "beep_enable" has neither number nor property. */
static void split_name(struct str name, struct str *type, struct str *number, struct str *property)
{
    size_t at = 0;
    while (at < name.size && !(name.data[at] >= '0' && name.data[at] <= '9'))
        at++;
    *type = str_from(name.data, at);
    size_t begin = at;
    while (at < name.size && name.data[at] >= '0' && name.data[at] <= '9')
        at++;
    *number = str_from(name.data + begin, at - begin);
    *property = STR("");
    if (at < name.size && name.data[at] == '_')
        *property = str_from(name.data + at + 1, name.size - at - 1);
}

static void add_sample(struct hwmon *hwmon, struct hwmon_sample sample)
{
    struct arena *arena = &hwmon->collection->arena;
    if (hwmon->count == hwmon->capacity) {
        uint32_t capacity = hwmon->capacity == 0 ? 64 : hwmon->capacity * 2;
        struct hwmon_sample *grown = ARENA_NEW_ARRAY(arena, struct hwmon_sample, capacity);
        if (hwmon->count > 0)
            memcpy(grown, hwmon->samples, hwmon->count * sizeof *grown);
        hwmon->samples = grown;
        hwmon->capacity = capacity;
    }
    sample.position = hwmon->count;
    hwmon->samples[hwmon->count++] = sample;
}

static void read_sensor(struct hwmon *hwmon, const char *folder, struct str name, struct str chip)
{
    struct collection *collection = hwmon->collection;
    struct arena *arena = &collection->arena;
    struct str type;
    struct str number;
    struct str property;
    split_name(name, &type, &number, &property);
    struct hwmon_sample sample = {.chip = chip, .type = METRIC_GAUGE};
    bool is_label = str_equal(property, STR("label"));
    const struct hwmon_rule *rule = find_rule(type, property);
    struct str text;
    if ((rule == NULL && !is_label) ||
        !collection__attribute(collection, &text, "%s/%.*s", folder, STR_ARG(name)))
        return;
    sample.sensor = arena_printf(arena, "%.*s%.*s", STR_ARG(type),
                                 STR_ARG(number.size > 0 ? number : STR("0")));
    if (is_label) {
        sample.family = STR("node_hwmon_sensor_label");
        sample.text = arena_str(arena, text);
        sample.value = 1;
        if (find_rule(type, STR("input")) != NULL && text.size > 0)
            add_sample(hwmon, sample);
        return;
    }
    if (!text_to_double(text, &sample.value))
        return;
    sample.value /= rule->divisor;
    struct strbuf *family = &collection->name;
    strbuf_clear(family);
    strbuf_add_cstr(family, "node_hwmon_");
    const char *place = strstr(rule->format, "%s");
    if (place == NULL) {
        strbuf_add_cstr(family, rule->format);
    } else {
        strbuf_add(family, rule->format, (size_t)(place - rule->format));
        strbuf_add_str(family, property);
        strbuf_add_cstr(family, place + 2);
    }
    collection__make_legal(family);
    sample.family = arena_str(arena, strbuf_str(family));
    if (str_ends_with(sample.family, STR("_total")))
        sample.type = METRIC_COUNTER;
    add_sample(hwmon, sample);
}

/* Lower case; what is neither letter, digit, colon nor underscore becomes one. */
static struct str clean_name(struct arena *arena, struct str s)
{
    s = arena_str(arena, str_trim(s));
    char *text = (char *)(uintptr_t)s.data;
    for (size_t i = 0; i < s.size; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] + ('a' - 'A'));
        else if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9') &&
                 text[i] != ':')
            text[i] = '_';
    }
    while (s.size > 0 && s.data[0] == '_')
        s = str_from(s.data + 1, s.size - 1);
    while (s.size > 0 && s.data[s.size - 1] == '_')
        s.size--;
    return s;
}

static struct str last_part(struct str path)
{
    for (size_t i = path.size; i > 0; i--) {
        if (path.data[i - 1] == '/')
            return str_from(path.data + i, path.size - i);
    }
    return path;
}

/* Names that stay the same over reboots come first: the device the chip sits on ("platform_
 * coretemp_0"), then the chip's own name, then the folder's. */
static struct str chip_name(struct collection *collection, const char *folder, struct str own_name)
{
    struct arena *arena = &collection->arena;
    char real[PATH_MAX];
    strbuf_clear(&collection->path);
    strbuf_printf(&collection->path, "%s/device", folder);
    if (realpath(collection->path.data, real) != NULL) {
        struct str device = last_part(str_from_cstr(real));
        struct str rest = str_from(real, (size_t)(device.data - real) - (device.data > real));
        struct str parent = last_part(rest);
        struct str name =
            clean_name(arena, arena_printf(arena, "%.*s_%.*s", STR_ARG(parent), STR_ARG(device)));
        if (name.size > 0)
            return name;
    }
    struct str name = clean_name(arena, own_name);
    return name.size > 0 ? name : clean_name(arena, last_part(str_from_cstr(folder)));
}

static void read_folder(struct hwmon *hwmon, const char *folder, struct str chip)
{
    struct fs_list files;
    if (fs_list_dir(folder, &files, &hwmon->collection->why) != OK)
        return;
    for (size_t i = 0; i < files.count; i++)
        read_sensor(hwmon, folder, str_from_cstr(files.names[i]), chip);
    fs_list_free(&files);
}

static void read_chip(struct hwmon *hwmon, const char *folder)
{
    struct collection *collection = hwmon->collection;
    struct arena *arena = &collection->arena;
    struct str own_name = STR("");
    if (collection__attribute(collection, &own_name, "%s/name", folder) ||
        collection__attribute(collection, &own_name, "%s/device/name", folder))
        own_name = arena_str(arena, own_name);
    else
        own_name = STR("");
    struct str chip = chip_name(collection, folder, own_name);
    if (own_name.size > 0) {
        struct hwmon_sample sample = {.family = STR("node_hwmon_chip_names"),
                                      .chip = chip,
                                      .text = clean_name(arena, own_name),
                                      .value = 1,
                                      .type = METRIC_GAUGE};
        add_sample(hwmon, sample);
    }
    /* Old drivers put their files with the device. */
    uint32_t before = hwmon->count;
    read_folder(hwmon, folder, chip);
    if (hwmon->count == before)
        read_folder(hwmon, arena_printf(arena, "%s/device", folder).data, chip);
}

static int compare_samples(const void *a, const void *b)
{
    const struct hwmon_sample *x = a;
    const struct hwmon_sample *y = b;
    int order = str_compare(x->family, y->family);
    return order != 0 ? order : x->position < y->position ? -1 : x->position > y->position;
}

static void write_samples(struct hwmon *hwmon)
{
    struct collection *collection = hwmon->collection;
    if (hwmon->count > 0)
        qsort(hwmon->samples, hwmon->count, sizeof *hwmon->samples, compare_samples);
    for (uint32_t i = 0; i < hwmon->count; i++) {
        const struct hwmon_sample *sample = &hwmon->samples[i];
        if (i == 0 || !str_equal(sample->family, hwmon->samples[i - 1].family))
            metric_writer_family(collection->writer, sample->family, sample->type,
                                 STR("A value of a hardware monitor, from /sys/class/hwmon."));
        struct str names[3] = {STR("chip"), STR("sensor"), STR("")};
        struct str values[3] = {sample->chip, sample->sensor, sample->text};
        size_t count = 2;
        if (sample->sensor.size == 0) {
            names[1] = STR("chip_name");
            values[1] = sample->text;
        } else if (sample->text.size > 0) {
            names[1] = STR("label");
            values[1] = sample->text;
            names[2] = STR("sensor");
            values[2] = sample->sensor;
            count = 3;
        }
        metric_writer_sample(collection->writer, "", names, values, count, sample->value);
    }
}

err_t collect__hwmon(struct collection *collection)
{
    struct strbuf *path = &collection->path;
    strbuf_clear(path);
    strbuf_printf(path, "%s/class/hwmon", collection->exporter->sysfs);
    struct fs_list chips;
    TRY(fs_list_dir(path->data, &chips, &collection->why));
    struct hwmon hwmon = {.collection = collection};
    for (size_t i = 0; i < chips.count; i++)
        read_chip(&hwmon, arena_printf(&collection->arena, "%s/class/hwmon/%s",
                                       collection->exporter->sysfs, chips.names[i])
                              .data);
    write_samples(&hwmon);
    fs_list_free(&chips);
    return OK;
}
