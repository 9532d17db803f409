/* Endpoints: a target for each port of each address, and one for each other port of the pods
 * behind them. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

static void read_address(struct kubernetes_layout *layout, const json_t *json, bool ready,
                         struct kubernetes_endpoint_address *address)
{
    address->ready = kubernetes__layout_int(layout, ready) != 0;
    address->ip = kubernetes__layout_get(layout, json, "ip");
    address->hostname = kubernetes__layout_get(layout, json, "hostname");
    address->node_name = kubernetes__layout_get(layout, json, "nodeName");
    kubernetes__reference_read(layout, json_object_get(json, "targetRef"), &address->target);
}

static void read_subset(struct kubernetes_layout *layout, const json_t *json,
                        struct kubernetes_endpoint_subset *subset)
{
    const json_t *ready = json_object_get(json, "addresses");
    const json_t *waiting = json_object_get(json, "notReadyAddresses");
    uint32_t ready_count = kubernetes__layout_count(layout, ready);
    uint32_t waiting_count = kubernetes__layout_count(layout, waiting);
    subset->address_count = ready_count + waiting_count;
    subset->addresses =
        LAYOUT_ARRAY(layout, struct kubernetes_endpoint_address, ready_count + waiting_count);
    for (uint32_t i = 0; i < ready_count; i++)
        read_address(layout, json_array_get(ready, i), true, &subset->addresses[i]);
    for (uint32_t i = 0; i < waiting_count; i++)
        read_address(layout, json_array_get(waiting, i), false,
                     &subset->addresses[ready_count + i]);
    kubernetes__ports_read(layout, json_object_get(json, "ports"), "port", -1, &subset->ports,
                           &subset->port_count);
}

void kubernetes__endpoints_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_endpoints *endpoints = object;
    const json_t *subsets = json_object_get(json, "subsets");
    endpoints->subset_count = kubernetes__layout_count(layout, subsets);
    endpoints->subsets =
        LAYOUT_ARRAY(layout, struct kubernetes_endpoint_subset, endpoints->subset_count);
    for (uint32_t i = 0; i < endpoints->subset_count; i++)
        read_subset(layout, json_array_get(subsets, i), &endpoints->subsets[i]);
}

/* ---- labels ---- */

static void write_target(struct kubernetes_writer *writer,
                         const struct kubernetes_endpoint_address *address,
                         const struct kubernetes_port *port, struct kubernetes_seen *seen)
{
    int64_t number = port->number < 0 ? 0 : port->number;
    kubernetes__write_address(writer, address->ip, number);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_port_name", port->name);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_port_protocol", port->protocol);
    kubernetes__write_bool(writer, "__meta_kubernetes_endpoint_ready", address->ready);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_node_name", address->node_name);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_hostname", address->hostname);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_address_target_kind",
                      address->target.kind);
    kubernetes__write(writer, "__meta_kubernetes_endpoint_address_target_name",
                      address->target.name);
    bool by_target = address->node_name.size == 0 && str_equal(address->target.kind, STR("Node"));
    (void)kubernetes__write_node(writer, by_target ? address->target.name : address->node_name);
    const struct kubernetes_pod *pod = kubernetes__find_pod(writer, &address->target);
    if (pod != NULL) {
        kubernetes__write_pod(writer, pod);
        if (kubernetes__write_port_owner(writer, pod, number))
            kubernetes__write(writer, "__meta_kubernetes_pod_container_port_protocol",
                              port->protocol);
        kubernetes__seen_add(seen, pod, number);
    }
    kubernetes__end_target(writer);
}

static void write_subset(struct kubernetes_writer *writer,
                         const struct kubernetes_endpoint_subset *subset,
                         struct kubernetes_seen *seen)
{
    for (uint32_t p = 0; p < subset->port_count; p++) {
        for (uint32_t a = 0; a < subset->address_count; a++)
            write_target(writer, &subset->addresses[a], &subset->ports[p], seen);
    }
}

void kubernetes__write_endpoints_group(struct kubernetes_writer *writer,
                                       const struct kubernetes_object *object)
{
    const struct kubernetes_endpoints *endpoints = (const struct kubernetes_endpoints *)object;
    struct kubernetes_seen seen = {0};
    kubernetes__write_namespace(writer, object->space);
    const struct kubernetes_object *service =
        kubernetes_cache_find(writer->cache, KUBERNETES_SERVICE, object->space, object->name);
    if (service != NULL)
        kubernetes__write_service(writer, (const struct kubernetes_service *)service);
    kubernetes__write(writer, "__meta_kubernetes_endpoints_name", object->name);
    kubernetes__write_metadata(writer, "endpoints", object);
    kubernetes__end_group_labels(writer);
    for (uint32_t i = 0; i < endpoints->subset_count; i++)
        write_subset(writer, &endpoints->subsets[i], &seen);
    kubernetes__seen_finish(&seen, writer);
}
