/* What Consul answers, read into target groups. */
#include "discovery_consul.h"

#include "narthex/base/mem.h"

#define PREFIX "__meta_consul_"

err_t consul_agent_read(struct str text, struct strbuf *datacenter, struct strbuf *why)
{
    json_t *root;
    TRY(discovery_json_read(text, &root, why));
    strbuf_add_str(datacenter,
                   discovery_json_get_text(json_object_get(root, "Config"), "Datacenter"));
    json_decref(root);
    if (datacenter->size == 0)
        return err_fail(why, ERR_INVALID,
                        "invalid value of the agent's Config.Datacenter: no text");
    return OK;
}

static bool has_tag(const json_t *tags, struct str wanted)
{
    for (size_t i = 0; i < json_array_size(tags); i++) {
        if (str_equal(discovery_json_text(json_array_get(tags, i)), wanted))
            return true;
    }
    return false;
}

bool consul_service_is_wanted(const struct consul_discovery_config *config, struct str name,
                              const json_t *tags)
{
    bool named = config->service_count == 0;
    for (uint32_t i = 0; i < config->service_count && !named; i++)
        named = str_equal(config->services[i], name);
    for (uint32_t i = 0; i < config->tag_count && named; i++)
        named = has_tag(tags, config->tags[i]);
    return named;
}

/* The worst of the checks; one with an unknown status makes the whole unknown. */
static struct str health_of(const json_t *checks)
{
    bool warning = false;
    bool critical = false;
    bool maintenance = false;
    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        struct str id = discovery_json_get_text(check, "CheckID");
        struct str status = discovery_json_get_text(check, "Status");
        if (str_equal(id, STR("_node_maintenance")) ||
            str_starts_with(id, STR("_service_maintenance:")))
            maintenance = true;
        else if (str_equal(status, STR("critical")))
            critical = true;
        else if (str_equal(status, STR("warning")))
            warning = true;
        else if (!str_equal(status, STR("passing")))
            return STR("");
    }
    return maintenance ? STR("maintenance")
           : critical  ? STR("critical")
           : warning   ? STR("warning")
                       : STR("passing");
}

struct reading {
    const struct consul_discovery_config *config;
    struct arena *arena;
    struct discovery_targets targets;
    struct discovery_labels labels;
    struct strbuf scratch;
};

static void add_text(struct reading *reading, struct str name, struct str value)
{
    discovery_labels_add(&reading->labels, name, arena_str(reading->arena, value));
}

static void add_map(struct reading *reading, const char *prefix, json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) discovery_labels_add_key(
        &reading->labels, reading->arena, prefix, str_from_cstr(key), discovery_json_text(value));
}

/* ",a,b,": separators at both ends, so that a relabeling rule can ask for ",a,". */
static void add_tags(struct reading *reading, const json_t *tags)
{
    strbuf_clear(&reading->scratch);
    strbuf_add_str(&reading->scratch, reading->config->tag_separator);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        if (i > 0)
            strbuf_add_str(&reading->scratch, reading->config->tag_separator);
        strbuf_add_str(&reading->scratch, discovery_json_text(json_array_get(tags, i)));
    }
    strbuf_add_str(&reading->scratch, reading->config->tag_separator);
    add_text(reading, STR(PREFIX "tags"), strbuf_str(&reading->scratch));
}

static void add_instance(struct reading *reading, const json_t *entry)
{
    const json_t *node = json_object_get(entry, "Node");
    const json_t *service = json_object_get(entry, "Service");
    struct str node_address = discovery_json_get_text(node, "Address");
    struct str service_address = discovery_json_get_text(service, "Address");
    int64_t port = discovery_json_get_int(service, "Port", 0);
    add_text(reading, STR(PREFIX "address"), node_address);
    add_text(reading, STR(PREFIX "node"), discovery_json_get_text(node, "Node"));
    add_text(reading, STR(PREFIX "service_id"), discovery_json_get_text(service, "ID"));
    add_text(reading, STR(PREFIX "service_address"), service_address);
    discovery_labels_add(&reading->labels, STR(PREFIX "service_port"),
                         arena_printf(reading->arena, "%lld", (long long)port));
    add_tags(reading, json_object_get(service, "Tags"));
    discovery_labels_add(&reading->labels, STR(PREFIX "health"),
                         health_of(json_object_get(entry, "Checks")));
    add_text(reading, STR(PREFIX "namespace"), discovery_json_get_text(service, "Namespace"));
    add_text(reading, STR(PREFIX "partition"), discovery_json_get_text(service, "Partition"));
    add_map(reading, PREFIX "metadata_", json_object_get(node, "Meta"));
    add_map(reading, PREFIX "service_metadata_", json_object_get(service, "Meta"));
    add_map(reading, PREFIX "tagged_address_", json_object_get(node, "TaggedAddresses"));
    strbuf_clear(&reading->scratch);
    discovery_address_add(&reading->scratch,
                          service_address.size > 0 ? service_address : node_address, port);
    discovery_targets_add(&reading->targets, &reading->labels, strbuf_str(&reading->scratch),
                          reading->arena);
}

static err_t read_instances(struct reading *reading, struct str text, struct strbuf *why)
{
    struct discovery_json_list list = {.text = text};
    json_t *entry;
    for (;;) {
        TRY(discovery_json_next(&list, &entry, why));
        if (entry == NULL)
            return OK;
        add_instance(reading, entry);
        json_decref(entry);
        if (arena_exhausted(reading->arena))
            return err_fail(why, ERR_LIMIT, "the service's targets need more than %zu bytes",
                            reading->arena->budget_bytes);
    }
}

err_t consul_service_read(const struct consul_discovery_config *config, struct str name,
                          struct str datacenter, struct str text, struct discovered_groups *groups,
                          struct strbuf *why)
{
    struct reading reading = {.config = config, .arena = groups->arena};
    err_t err = read_instances(&reading, text, why);
    if (err == OK) {
        discovery_labels_clear(&reading.labels);
        add_text(&reading, STR(PREFIX "service"), name);
        add_text(&reading, STR(PREFIX "dc"), datacenter);
        discovery_targets_finish(&reading.targets,
                                 discovery_labels_finish(&reading.labels, reading.arena), groups);
    }
    strbuf_deinit(&reading.scratch);
    discovery_labels_deinit(&reading.labels);
    discovery_targets_deinit(&reading.targets);
    return err;
}
