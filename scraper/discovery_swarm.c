/* dockerswarm_sd: nodes, services or tasks of the swarm that a Docker Engine manages. */
#include "discovery_docker.h"

#include "narthex/base/mem.h"

#define PREFIX "__meta_dockerswarm_"

struct reading {
    const struct docker_discovery_config *config;
    struct arena *arena; /* of the groups */
    struct docker_objects networks;
    struct docker_objects services;
    struct docker_objects nodes;
    struct discovery_targets targets;
    struct discovery_labels labels;
    struct strbuf address;
};

static void add_text(struct reading *reading, const char *name, struct str value)
{
    docker_labels_add(&reading->labels, reading->arena, PREFIX, name, value);
}

static struct labels take_labels(struct reading *reading)
{
    struct labels result = discovery_labels_finish(&reading->labels, reading->arena);
    discovery_labels_clear(&reading->labels);
    return result;
}

/* Ends a target whose labels were added. */
static void add_target(struct reading *reading, struct str host, int64_t port)
{
    strbuf_clear(&reading->address);
    discovery_address_add(&reading->address, host, port);
    discovery_targets_add(&reading->targets, &reading->labels, strbuf_str(&reading->address),
                          reading->arena);
}

static err_t check_arena(const struct reading *reading, struct strbuf *why)
{
    if (arena_exhausted(reading->arena))
        return err_fail(why, ERR_LIMIT, "targets need more than %zu bytes",
                        reading->arena->budget_bytes);
    return OK;
}

static err_t read_each(struct reading *reading, struct str text,
                       err_t (*read)(struct reading *reading, json_t *root, struct strbuf *why),
                       struct strbuf *why)
{
    struct discovery_json_list list = {.text = text};
    json_t *root;
    for (;;) {
        TRY(discovery_json_next(&list, &root, why));
        if (root == NULL)
            return OK;
        err_t err = read(reading, root, why);
        json_decref(root);
        TRY(err);
        TRY(check_arena(reading, why));
    }
}

/* "10.0.1.3/24" without its mask. Networks of the host give no address at all. */
static err_t strip_mask(struct str text, struct str *ip, struct strbuf *why)
{
    size_t slash = str_find(text, '/', 0);
    if (text.size > 0 && (slash == SIZE_MAX || slash == 0))
        return err_fail(why, ERR_INVALID, "error while parsing address %.*s: invalid CIDR address",
                        text.size < 64 ? (int)text.size : 64, text.data);
    *ip = text.size == 0 ? text : str_from(text.data, slash);
    return OK;
}

/* ---- nodes ---- */

static void add_node_labels(struct reading *reading, json_t *root)
{
    const json_t *spec = json_object_get(root, "Spec");
    const json_t *description = json_object_get(root, "Description");
    const json_t *platform = json_object_get(description, "Platform");
    const json_t *status = json_object_get(root, "Status");
    add_text(reading, "node_id", discovery_json_get_text(root, "ID"));
    add_text(reading, "node_role", discovery_json_get_text(spec, "Role"));
    add_text(reading, "node_availability", discovery_json_get_text(spec, "Availability"));
    add_text(reading, "node_hostname", discovery_json_get_text(description, "Hostname"));
    add_text(reading, "node_platform_architecture",
             discovery_json_get_text(platform, "Architecture"));
    add_text(reading, "node_platform_os", discovery_json_get_text(platform, "OS"));
    add_text(reading, "node_status", discovery_json_get_text(status, "State"));
    add_text(reading, "node_address", discovery_json_get_text(status, "Addr"));
    docker_labels_add_map(&reading->labels, reading->arena, PREFIX "node_label_",
                          json_object_get(spec, "Labels"));
}

static err_t read_node_target(struct reading *reading, json_t *root, struct strbuf *why)
{
    (void)why;
    const json_t *engine = json_object_get(json_object_get(root, "Description"), "Engine");
    const json_t *manager = json_object_get(root, "ManagerStatus");
    add_node_labels(reading, root);
    add_text(reading, "node_engine_version", discovery_json_get_text(engine, "EngineVersion"));
    if (json_is_object(manager)) {
        add_text(reading, "node_manager_leader",
                 docker_bool_text(discovery_json_get_bool(manager, "Leader")));
        add_text(reading, "node_manager_reachability",
                 discovery_json_get_text(manager, "Reachability"));
        add_text(reading, "node_manager_address", discovery_json_get_text(manager, "Addr"));
    }
    add_target(reading, discovery_json_get_text(json_object_get(root, "Status"), "Addr"),
               reading->config->port);
    return OK;
}

/* For tasks. */
static err_t read_node_object(struct reading *reading, json_t *root, struct strbuf *why)
{
    (void)why;
    add_node_labels(reading, root);
    struct labels labels = take_labels(reading);
    docker_objects_add(&reading->nodes, (struct docker_object){
                                            .id = labels_get(labels, STR(PREFIX "node_id")),
                                            .labels = labels,
                                        });
    return OK;
}

/* ---- services ---- */

static struct str service_mode(const json_t *spec)
{
    const json_t *mode = json_object_get(spec, "Mode");
    if (json_is_object(json_object_get(mode, "Global")))
        return STR("global");
    return json_is_object(json_object_get(mode, "Replicated")) ? STR("replicated") : STR("");
}

static void add_service_labels(struct reading *reading, json_t *root)
{
    const json_t *spec = json_object_get(root, "Spec");
    add_text(reading, "service_id", discovery_json_get_text(root, "ID"));
    add_text(reading, "service_name", discovery_json_get_text(spec, "Name"));
    add_text(reading, "service_mode", service_mode(spec));
    docker_labels_add_map(&reading->labels, reading->arena, PREFIX "service_label_",
                          json_object_get(spec, "Labels"));
}

static bool is_tcp(const json_t *port)
{
    return str_equal(discovery_json_get_text(port, "Protocol"), STR("tcp"));
}

static err_t add_virtual_ip(struct reading *reading, struct labels common, const json_t *virtual_ip,
                            json_t *ports, struct strbuf *why)
{
    struct str network = discovery_json_get_text(virtual_ip, "NetworkID");
    struct str ip;
    bool any = false;
    TRY(strip_mask(discovery_json_get_text(virtual_ip, "Addr"), &ip, why));
    if (ip.size == 0)
        return OK;
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i);
        if (!is_tcp(port))
            continue;
        discovery_labels_add_all(&reading->labels, common);
        docker_objects_add_labels(&reading->networks, network, &reading->labels);
        add_text(reading, "service_endpoint_port_name", discovery_json_get_text(port, "Name"));
        add_text(reading, "service_endpoint_port_publish_mode",
                 discovery_json_get_text(port, "PublishMode"));
        add_target(reading, ip, discovery_json_get_int(port, "PublishedPort", 0));
        any = true;
        TRY(check_arena(reading, why));
    }
    if (any)
        return OK;
    discovery_labels_add_all(&reading->labels, common);
    docker_objects_add_labels(&reading->networks, network, &reading->labels);
    add_target(reading, ip, reading->config->port);
    return OK;
}

static err_t read_service_target(struct reading *reading, json_t *root, struct strbuf *why)
{
    const json_t *template = json_object_get(json_object_get(root, "Spec"), "TaskTemplate");
    const json_t *container = json_object_get(template, "ContainerSpec");
    const json_t *endpoint = json_object_get(root, "Endpoint");
    const json_t *virtual_ips = json_object_get(endpoint, "VirtualIPs");
    add_service_labels(reading, root);
    add_text(reading, "service_updating_status",
             discovery_json_get_text(json_object_get(root, "UpdateStatus"), "State"));
    add_text(reading, "service_task_container_hostname",
             discovery_json_get_text(container, "Hostname"));
    add_text(reading, "service_task_container_image", discovery_json_get_text(container, "Image"));
    struct labels common = take_labels(reading);
    for (size_t i = 0; i < json_array_size(virtual_ips); i++) {
        TRY(add_virtual_ip(reading, common, json_array_get(virtual_ips, i),
                           json_object_get(endpoint, "Ports"), why));
        TRY(check_arena(reading, why));
    }
    return OK;
}

/* For tasks: labels and TCP ports. */
static err_t read_service_object(struct reading *reading, json_t *root, struct strbuf *why)
{
    (void)why;
    const json_t *ports = json_object_get(json_object_get(root, "Endpoint"), "Ports");
    add_service_labels(reading, root);
    struct labels labels = take_labels(reading);
    struct docker_port *items =
        ARENA_NEW_ARRAY(reading->arena, struct docker_port, json_array_size(ports) + 1);
    uint32_t count = 0;
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i);
        if (is_tcp(port))
            items[count++] = (struct docker_port){
                arena_str(reading->arena, discovery_json_get_text(port, "PublishMode")),
                discovery_json_get_int(port, "PublishedPort", 0),
            };
    }
    docker_objects_add(&reading->services, (struct docker_object){
                                               .id = labels_get(labels, STR(PREFIX "service_id")),
                                               .labels = labels,
                                               .ports = items,
                                               .port_count = count,
                                           });
    return OK;
}

/* ---- tasks ---- */

static struct labels task_labels(struct reading *reading, json_t *root)
{
    const json_t *status = json_object_get(root, "Status");
    const json_t *container = json_object_get(json_object_get(root, "Spec"), "ContainerSpec");
    const json_t *running = json_object_get(status, "ContainerStatus");
    docker_objects_add_labels(&reading->services, discovery_json_get_text(root, "ServiceID"),
                              &reading->labels);
    docker_objects_add_labels(&reading->nodes, discovery_json_get_text(root, "NodeID"),
                              &reading->labels);
    add_text(reading, "task_id", discovery_json_get_text(root, "ID"));
    add_text(reading, "task_desired_state", discovery_json_get_text(root, "DesiredState"));
    add_text(reading, "task_state", discovery_json_get_text(status, "State"));
    add_text(
        reading, "task_slot",
        arena_printf(reading->arena, "%lld", (long long)discovery_json_get_int(root, "Slot", 0)));
    add_text(reading, "task_container_id", discovery_json_get_text(running, "ContainerID"));
    docker_labels_add_map(&reading->labels, reading->arena, PREFIX "container_label_",
                          json_object_get(container, "Labels"));
    return take_labels(reading);
}

/* Ports that the task itself publishes on its node. */
static err_t add_host_ports(struct reading *reading, struct labels common, const json_t *root,
                            struct strbuf *why)
{
    const json_t *status = json_object_get(json_object_get(root, "Status"), "PortStatus");
    const json_t *ports = json_object_get(status, "Ports");
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i);
        if (!is_tcp(port))
            continue;
        discovery_labels_add_all(&reading->labels, common);
        add_text(reading, "task_port_publish_mode", discovery_json_get_text(port, "PublishMode"));
        add_target(reading, labels_get(common, STR(PREFIX "node_address")),
                   discovery_json_get_int(port, "PublishedPort", 0));
        TRY(check_arena(reading, why));
    }
    return OK;
}

static err_t add_attached(struct reading *reading, struct labels common,
                          const struct docker_object *service, struct str network,
                          const json_t *address, struct strbuf *why)
{
    struct str ip;
    TRY(strip_mask(discovery_json_text(address), &ip, why));
    if (ip.size == 0)
        return OK;
    uint32_t port_count = service == NULL ? 0 : service->port_count;
    for (uint32_t i = 0; i < port_count; i++) {
        discovery_labels_add_all(&reading->labels, common);
        docker_objects_add_labels(&reading->networks, network, &reading->labels);
        add_text(reading, "task_port_publish_mode", service->ports[i].publish_mode);
        add_target(reading, ip, service->ports[i].published);
        TRY(check_arena(reading, why));
    }
    if (port_count > 0)
        return OK;
    discovery_labels_add_all(&reading->labels, common);
    docker_objects_add_labels(&reading->networks, network, &reading->labels);
    add_target(reading, ip, reading->config->port);
    return OK;
}

static err_t read_task_target(struct reading *reading, json_t *root, struct strbuf *why)
{
    const struct docker_object *service =
        docker_objects_find(&reading->services, discovery_json_get_text(root, "ServiceID"));
    const json_t *attachments = json_object_get(root, "NetworksAttachments");
    struct labels common = task_labels(reading, root);
    TRY(add_host_ports(reading, common, root, why));
    for (size_t i = 0; i < json_array_size(attachments); i++) {
        const json_t *attachment = json_array_get(attachments, i);
        const json_t *addresses = json_object_get(attachment, "Addresses");
        struct str network = discovery_json_get_text(json_object_get(attachment, "Network"), "ID");
        for (size_t k = 0; k < json_array_size(addresses); k++)
            TRY(add_attached(reading, common, service, network, json_array_get(addresses, k), why));
    }
    return OK;
}

/* ---- a refresh ---- */

static bool has_role(const struct docker_discovery_config *config, const char *role)
{
    return str_equal_cstr(config->role, role);
}

static err_t read_lists(struct reading *reading, const struct swarm_lists *lists,
                        struct strbuf *why)
{
    const struct docker_discovery_config *config = reading->config;
    if (has_role(config, "nodes"))
        return read_each(reading, lists->nodes, read_node_target, why);
    TRY(docker_networks_read(&reading->networks, lists->networks, PREFIX, reading->arena, why));
    if (has_role(config, "services"))
        return read_each(reading, lists->services, read_service_target, why);
    TRY(read_each(reading, lists->services, read_service_object, why));
    TRY(read_each(reading, lists->nodes, read_node_object, why));
    return read_each(reading, lists->tasks, read_task_target, why);
}

err_t swarm_lists_read(const struct docker_discovery_config *config,
                       const struct swarm_lists *lists, struct discovered_groups *groups,
                       struct strbuf *why)
{
    struct reading reading = {.config = config, .arena = groups->arena};
    docker_objects_init(&reading.networks);
    docker_objects_init(&reading.services);
    docker_objects_init(&reading.nodes);
    err_t err = read_lists(&reading, lists, why);
    if (err == OK)
        discovery_targets_finish(&reading.targets, (struct labels){0}, groups);
    strbuf_deinit(&reading.address);
    discovery_labels_deinit(&reading.labels);
    discovery_targets_deinit(&reading.targets);
    docker_objects_deinit(&reading.nodes);
    docker_objects_deinit(&reading.services);
    docker_objects_deinit(&reading.networks);
    return err;
}

/* The configured filters are for the list that the targets come from. */
static err_t swarm_refresh(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct docker_api *api = state;
    bool nodes = has_role(api->config, "nodes");
    bool services = has_role(api->config, "services");
    struct strbuf node_list = STRBUF_INIT;
    struct strbuf service_list = STRBUF_INIT;
    struct strbuf task_list = STRBUF_INIT;
    struct strbuf network_list = STRBUF_INIT;
    err_t err = OK;
    TRY_OUT(docker_api_negotiate(api, why));
    if (!nodes && !services)
        TRY_OUT(docker_api_list(api, "/tasks", true, "swarm tasks", &task_list, why));
    if (!nodes)
        TRY_OUT(docker_api_list(api, "/services", services, "swarm services", &service_list, why));
    if (!services)
        TRY_OUT(docker_api_list(api, "/nodes", nodes, "swarm nodes", &node_list, why));
    if (!nodes)
        TRY_OUT(docker_api_list(api, "/networks", false, "swarm networks", &network_list, why));
    struct swarm_lists lists = {strbuf_str(&node_list), strbuf_str(&service_list),
                                strbuf_str(&task_list), strbuf_str(&network_list)};
    TRY_OUT(swarm_lists_read(api->config, &lists, groups, why));
out:
    strbuf_deinit(&network_list);
    strbuf_deinit(&task_list);
    strbuf_deinit(&service_list);
    strbuf_deinit(&node_list);
    return err;
}

static int64_t swarm_interval_ms(const void *state)
{
    const struct docker_api *api = state;
    return api->config->refresh_interval_ms;
}

const struct discovery_mechanism discovery_dockerswarm = {
    .name = STR_INIT("dockerswarm"),
    .create = docker_api_create,
    .destroy = docker_api_destroy,
    .refresh = swarm_refresh,
    .interval_ms = swarm_interval_ms,
};
