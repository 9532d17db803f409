/* docker_sd: the running containers of a Docker Engine, a target for each TCP port and network. */
#include "discovery_docker.h"

#include <stdlib.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

#define PREFIX "__meta_docker_"

enum { SHARED_NETWORK_HOPS_MAX = 16 };

/* A container's place in one network. */
struct endpoint {
    struct str network_name;
    struct str network_id;
    struct str ip;
};

/* What containers that share this one's network need of it. */
struct container {
    struct str id;
    struct str network_mode;
    struct endpoint *endpoints; /* by name of the network */
    uint32_t endpoint_count;
};

struct reading {
    const struct docker_discovery_config *config;
    struct discovered_groups *groups;
    struct arena *arena; /* of the groups */
    struct docker_objects networks;
    struct container *containers;
    uint32_t container_count;
    uint32_t container_capacity;
    struct docker_objects by_id; /* its items stand at the same indices */
    struct discovery_targets targets;
    struct discovery_labels labels;
    struct strbuf address;
};

static int endpoint_compare(const void *a, const void *b)
{
    const struct endpoint *x = a;
    const struct endpoint *y = b;
    return str_compare(x->network_name, y->network_name);
}

static void read_endpoints(struct reading *reading, json_t *networks, struct container *container)
{
    size_t count = json_object_size(networks);
    const char *name;
    json_t *network;
    container->endpoints = ARENA_NEW_ARRAY(reading->arena, struct endpoint, count + 1);
    json_object_foreach(networks, name, network)
    {
        if (!json_is_object(network))
            continue;
        struct str ip = discovery_json_get_text(network, "IPAddress");
        if (ip.size == 0)
            ip = discovery_json_get_text(network, "GlobalIPv6Address");
        container->endpoints[container->endpoint_count++] = (struct endpoint){
            arena_str(reading->arena, str_from_cstr(name)),
            arena_str(reading->arena, discovery_json_get_text(network, "NetworkID")),
            arena_str(reading->arena, ip),
        };
    }
    qsort(container->endpoints, container->endpoint_count, sizeof *container->endpoints,
          endpoint_compare);
}

static void note_container(struct reading *reading, json_t *root)
{
    const json_t *host_config = json_object_get(root, "HostConfig");
    struct container container = {
        .id = arena_str(reading->arena, discovery_json_get_text(root, "Id")),
        .network_mode =
            arena_str(reading->arena, discovery_json_get_text(host_config, "NetworkMode")),
    };
    if (docker_objects_find(&reading->by_id, container.id) != NULL)
        return;
    read_endpoints(reading, json_object_get(json_object_get(root, "NetworkSettings"), "Networks"),
                   &container);
    docker_objects_add(&reading->by_id, (struct docker_object){.id = container.id});
    VEC_PUSH(MEM_DISCOVERY, reading->containers, reading->container_count,
             reading->container_capacity, container);
}

static const struct container *find_container(const struct reading *reading, struct str id)
{
    const struct docker_object *object = docker_objects_find(&reading->by_id, id);
    return object == NULL ? NULL : &reading->containers[object - reading->by_id.items];
}

/* The container whose networks `own` is in: itself, or the one that its mode names. */
static const struct container *network_owner(const struct reading *reading,
                                             const struct container *own)
{
    static const struct str prefix = STR_INIT("container:");
    for (int hop = 0; hop < SHARED_NETWORK_HOPS_MAX; hop++) {
        struct str mode = own->network_mode;
        if (own->endpoint_count > 0 || !str_starts_with(mode, prefix))
            return own;
        const struct container *next =
            find_container(reading, str_from(mode.data + prefix.size, mode.size - prefix.size));
        if (next == NULL)
            return own;
        own = next;
    }
    return own;
}

static struct labels container_labels(struct reading *reading, json_t *root,
                                      const struct container *own)
{
    struct arena *arena = reading->arena;
    struct discovery_labels *labels = &reading->labels;
    docker_labels_add(labels, arena, PREFIX, "container_id", own->id);
    docker_labels_add(labels, arena, PREFIX, "container_name",
                      discovery_json_text(json_array_get(json_object_get(root, "Names"), 0)));
    docker_labels_add(labels, arena, PREFIX, "container_network_mode", own->network_mode);
    docker_labels_add(labels, arena, PREFIX, "container_image",
                      discovery_json_get_text(root, "Image"));
    docker_labels_add(labels, arena, PREFIX, "container_image_id",
                      discovery_json_get_text(root, "ImageID"));
    docker_labels_add_map(labels, arena, PREFIX "container_label_",
                          json_object_get(root, "Labels"));
    struct labels result = discovery_labels_finish(labels, arena);
    discovery_labels_clear(labels);
    return result;
}

static void begin_target(struct reading *reading, struct labels common,
                         const struct endpoint *endpoint)
{
    struct discovery_labels *labels = &reading->labels;
    discovery_labels_add_all(labels, common);
    docker_objects_add_labels(&reading->networks, endpoint->network_id, labels);
    discovery_labels_add(labels, STR(PREFIX "network_ip"), endpoint->ip);
    strbuf_clear(&reading->address);
}

static void add_port_target(struct reading *reading, struct labels common,
                            const struct endpoint *endpoint, const json_t *port)
{
    int64_t private_port = discovery_json_get_int(port, "PrivatePort", 0);
    int64_t public_port = discovery_json_get_int(port, "PublicPort", 0);
    begin_target(reading, common, endpoint);
    discovery_labels_add(&reading->labels, STR(PREFIX "port_private"),
                         arena_printf(reading->arena, "%lld", (long long)private_port));
    if (public_port > 0) {
        discovery_labels_add(&reading->labels, STR(PREFIX "port_public"),
                             arena_printf(reading->arena, "%lld", (long long)public_port));
        docker_labels_add(&reading->labels, reading->arena, PREFIX, "port_public_ip",
                          discovery_json_get_text(port, "IP"));
    }
    discovery_address_add(&reading->address, endpoint->ip, private_port);
    discovery_targets_add(&reading->targets, &reading->labels, strbuf_str(&reading->address),
                          reading->arena);
}

static void add_portless_target(struct reading *reading, struct labels common,
                                const struct endpoint *endpoint, bool is_host)
{
    begin_target(reading, common, endpoint);
    if (is_host)
        strbuf_add_str(&reading->address, reading->config->host_networking_host);
    else
        discovery_address_add(&reading->address, endpoint->ip, reading->config->port);
    discovery_targets_add(&reading->targets, &reading->labels, strbuf_str(&reading->address),
                          reading->arena);
}

static bool is_exhausted(const struct reading *reading, err_t *err, struct strbuf *why)
{
    if (!arena_exhausted(reading->arena))
        return false;
    *err =
        err_fail(why, ERR_LIMIT, "targets need more than %zu bytes", reading->arena->budget_bytes);
    return true;
}

static err_t add_container(struct reading *reading, json_t *root, struct strbuf *why)
{
    const struct container *own = find_container(reading, discovery_json_get_text(root, "Id"));
    json_t *ports = json_object_get(root, "Ports");
    if (own == NULL || json_array_size(json_object_get(root, "Names")) == 0)
        return OK;
    const struct container *owner = network_owner(reading, own);
    struct labels common = container_labels(reading, root, own);
    uint32_t count = owner->endpoint_count;
    err_t err = OK;
    if (reading->config->match_first_network && count > 1)
        count = 1;
    for (uint32_t i = 0; i < count; i++) {
        bool any = false;
        for (size_t k = 0; k < json_array_size(ports) && !is_exhausted(reading, &err, why); k++) {
            const json_t *port = json_array_get(ports, k);
            if (!str_equal(discovery_json_get_text(port, "Type"), STR("tcp")))
                continue;
            add_port_target(reading, common, &owner->endpoints[i], port);
            any = true;
        }
        if (is_exhausted(reading, &err, why))
            return err;
        if (!any)
            add_portless_target(reading, common, &owner->endpoints[i],
                                str_equal(own->network_mode, STR("host")));
    }
    return err;
}

static err_t for_each_container(struct reading *reading, struct str text, bool noting,
                                struct strbuf *why)
{
    struct discovery_json_list list = {.text = text};
    json_t *root;
    for (;;) {
        TRY(discovery_json_next(&list, &root, why));
        if (root == NULL)
            return OK;
        err_t err = OK;
        if (noting)
            note_container(reading, root);
        else
            err = add_container(reading, root, why);
        json_decref(root);
        TRY(err);
        if (is_exhausted(reading, &err, why))
            return err;
    }
}

err_t docker_containers_read(const struct docker_discovery_config *config, struct str containers,
                             struct str networks, struct discovered_groups *groups,
                             struct strbuf *why)
{
    struct reading reading = {.config = config, .groups = groups, .arena = groups->arena};
    docker_objects_init(&reading.networks);
    docker_objects_init(&reading.by_id);
    err_t err = OK;
    TRY_OUT(docker_networks_read(&reading.networks, networks, PREFIX, reading.arena, why));
    TRY_OUT(for_each_container(&reading, containers, true, why));
    TRY_OUT(for_each_container(&reading, containers, false, why));
    discovery_targets_finish(&reading.targets, (struct labels){0}, groups);
out:
    strbuf_deinit(&reading.address);
    discovery_labels_deinit(&reading.labels);
    discovery_targets_deinit(&reading.targets);
    docker_objects_deinit(&reading.by_id);
    docker_objects_deinit(&reading.networks);
    mem_free(MEM_DISCOVERY, reading.containers);
    return err;
}

static err_t docker_refresh(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct docker_api *api = state;
    struct strbuf containers = STRBUF_INIT;
    struct strbuf networks = STRBUF_INIT;
    err_t err = OK;
    TRY_OUT(docker_api_negotiate(api, why));
    TRY_OUT(docker_api_list(api, "/containers/json", true, "containers", &containers, why));
    TRY_OUT(docker_api_list(api, "/networks", false, "networks", &networks, why));
    TRY_OUT(docker_containers_read(api->config, strbuf_str(&containers), strbuf_str(&networks),
                                   groups, why));
out:
    strbuf_deinit(&networks);
    strbuf_deinit(&containers);
    return err;
}

static int64_t docker_interval_ms(const void *state)
{
    const struct docker_api *api = state;
    return api->config->refresh_interval_ms;
}

const struct discovery_mechanism discovery_docker = {
    .name = STR_INIT("docker"),
    .create = docker_api_create,
    .destroy = docker_api_destroy,
    .refresh = docker_refresh,
    .interval_ms = docker_interval_ms,
};
