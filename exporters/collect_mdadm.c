/* mdadm: software RAID from /proc/mdstat.
 *
 *     md0 : active raid1 sdb1[1] sda1[0](F)
 *           1000 blocks [2/1] [U_]
 *           [==>....]  recovery = 12.6% (126/1000) finish=…        (or resync=DELAYED)
 */
#include "collection.h"

enum md_state {
    MD_ACTIVE,
    MD_CHECK,
    MD_INACTIVE,
    MD_RECOVERING,
    MD_RESYNC,
    MD_STATE_COUNT,
};

struct md_device {
    struct str name;
    enum md_state state;
    double wanted;
    double active;
    double failed;
    double spare;
    double blocks;
    double blocks_synced;
};

/* "md0 : active raid1 …"; false for other lines. */
static bool parse_head(struct str line, struct md_device *device)
{
    struct str field;
    if (line.size == 0 || line.data[0] == ' ' || !text_next_field(&line, &device->name) ||
        !text_next_field(&line, &field) || !str_equal(field, STR(":")) ||
        !text_next_field(&line, &field))
        return false;
    if (str_equal(field, STR("active")))
        device->state = MD_ACTIVE;
    else if (str_equal(field, STR("inactive")))
        device->state = MD_INACTIVE;
    else
        return false;
    while (text_next_field(&line, &field)) {
        /* Members have their number in brackets; the level and "(read-only)" have none. */
        if (str_find(field, '[', 0) == SIZE_MAX)
            continue;
        if (str_ends_with(field, STR("(F)")))
            device->failed++;
        else if (str_ends_with(field, STR("(S)")))
            device->spare++;
        else
            device->active++;
    }
    if (device->state == MD_INACTIVE)
        device->active = 0;
    device->wanted = device->active;
    return true;
}

/* "1000 blocks super 1.2 [2/1] [U_]" */
static void parse_blocks(struct str line, struct md_device *device)
{
    struct str field;
    if (!text_next_field(&line, &field) || !text_to_double(field, &device->blocks))
        return;
    device->blocks_synced = device->blocks;
    while (text_next_field(&line, &field)) {
        struct str wanted;
        double numbers[2];
        if (field.size < 5 || field.data[0] != '[' || field.data[field.size - 1] != ']')
            continue;
        field = str_from(field.data + 1, field.size - 2);
        if (!text_cut(&field, '/', &wanted) || !text_to_double(wanted, &numbers[0]) ||
            !text_to_double(field, &numbers[1]) || device->state == MD_INACTIVE)
            continue;
        device->wanted = numbers[0];
        device->active = numbers[1];
    }
}

static bool contains(struct str text, struct str word)
{
    for (size_t i = 0; i + word.size <= text.size; i++) {
        if (str_starts_with(str_from(text.data + i, text.size - i), word))
            return true;
    }
    return false;
}

/* A running or waiting recovery, resync, check or reshape. */
static void parse_progress(struct str line, struct md_device *device)
{
    if (contains(line, STR("recovery")) || contains(line, STR("reshape")))
        device->state = MD_RECOVERING;
    else if (contains(line, STR("resync")))
        device->state = MD_RESYNC;
    else if (contains(line, STR("check")))
        device->state = MD_CHECK;
    else
        return;
    if (contains(line, STR("DELAYED")) || contains(line, STR("PENDING"))) {
        device->blocks_synced = 0;
        return;
    }
    struct str rest;
    struct str done;
    if (text_cut(&line, '(', &rest) && text_cut(&line, '/', &done))
        text_to_double(done, &device->blocks_synced);
}

static void write_devices(struct collection *collection, const struct md_device *devices,
                          size_t count)
{
    static const struct str states[MD_STATE_COUNT] = {
        [MD_ACTIVE] = STR_INIT("active"),     [MD_CHECK] = STR_INIT("check"),
        [MD_INACTIVE] = STR_INIT("inactive"), [MD_RECOVERING] = STR_INIT("recovering"),
        [MD_RESYNC] = STR_INIT("resync"),
    };
    static const struct str disks[] = {STR_INIT("active"), STR_INIT("failed"), STR_INIT("spare")};
    const struct str names[] = {STR_INIT("device"), STR_INIT("state")};
    collection__family(collection, "node_md_disks", METRIC_GAUGE, "Disks of an array by state.");
    for (size_t i = 0; i < count; i++) {
        const double numbers[] = {devices[i].active, devices[i].failed, devices[i].spare};
        for (int at = 0; at < 3; at++) {
            const struct str values[] = {devices[i].name, disks[at]};
            metric_writer_sample(collection->writer, "", names, values, 2, numbers[at]);
        }
    }
    collection__family(collection, "node_md_state", METRIC_GAUGE,
                       "1 for the state an array is in.");
    for (size_t i = 0; i < count; i++) {
        for (int state = 0; state < MD_STATE_COUNT; state++) {
            const struct str values[] = {devices[i].name, states[state]};
            metric_writer_sample(collection->writer, "", names, values, 2,
                                 devices[i].state == (enum md_state)state);
        }
    }
    collection__family(collection, "node_md_disks_required", METRIC_GAUGE,
                       "Disks a complete array has.");
    for (size_t i = 0; i < count; i++)
        collection__value_of(collection, "device", devices[i].name, devices[i].wanted);
    collection__family(collection, "node_md_blocks", METRIC_GAUGE, "Blocks of an array.");
    for (size_t i = 0; i < count; i++)
        collection__value_of(collection, "device", devices[i].name, devices[i].blocks);
    collection__family(collection, "node_md_blocks_synced", METRIC_GAUGE,
                       "Blocks of an array that are in step.");
    for (size_t i = 0; i < count; i++)
        collection__value_of(collection, "device", devices[i].name, devices[i].blocks_synced);
}

err_t collect__mdadm(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "mdstat", &text));
    size_t line_count = 0;
    struct str rest = text;
    for (struct str line; text_next_line(&rest, &line);)
        line_count++;
    struct md_device *devices =
        ARENA_NEW_ARRAY(&collection->arena, struct md_device, line_count + 1);
    size_t count = 0;
    bool wants_blocks = false;
    for (struct str line; text_next_line(&text, &line);) {
        if (parse_head(line, &devices[count])) {
            count++;
            wants_blocks = true;
        } else if (line.size > 0 && line.data[0] != ' ') {
            devices[count] = (struct md_device){0};
        } else if (count > 0 && wants_blocks) {
            parse_blocks(line, &devices[count - 1]);
            wants_blocks = false;
        } else if (count > 0) {
            parse_progress(line, &devices[count - 1]);
        }
    }
    write_devices(collection, devices, count);
    return OK;
}
