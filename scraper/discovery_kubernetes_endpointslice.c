/* Endpoint slices: as endpoints, with conditions, zones and a port that may be absent. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

static enum kubernetes_tristate read_condition(struct kubernetes_layout *layout,
                                               const json_t *conditions, const char *key)
{
    const json_t *value = json_object_get(conditions, key);
    enum kubernetes_tristate state = !json_is_boolean(value) ? TRISTATE_ABSENT
                                     : json_is_true(value)   ? TRISTATE_TRUE
                                                             : TRISTATE_FALSE;
    return (enum kubernetes_tristate)kubernetes__layout_int(layout, state);
}

static void read_endpoint(struct kubernetes_layout *layout, const json_t *json,
                          struct kubernetes_slice_endpoint *endpoint)
{
    const json_t *addresses = json_object_get(json, "addresses");
    const json_t *conditions = json_object_get(json, "conditions");
    endpoint->address_count = kubernetes__layout_count(layout, addresses);
    endpoint->addresses = LAYOUT_ARRAY(layout, struct str, endpoint->address_count);
    for (uint32_t i = 0; i < endpoint->address_count; i++)
        endpoint->addresses[i] = kubernetes__layout_text(layout, json_array_get(addresses, i));
    endpoint->hostname = kubernetes__layout_get(layout, json, "hostname");
    endpoint->node_name = kubernetes__layout_get(layout, json, "nodeName");
    endpoint->zone = kubernetes__layout_get(layout, json, "zone");
    endpoint->ready = read_condition(layout, conditions, "ready");
    endpoint->serving = read_condition(layout, conditions, "serving");
    endpoint->terminating = read_condition(layout, conditions, "terminating");
    kubernetes__reference_read(layout, json_object_get(json, "targetRef"), &endpoint->target);
    kubernetes__layout_pairs(layout, json_object_get(json, "deprecatedTopology"),
                             &endpoint->topology, &endpoint->topology_count);
}

void kubernetes__endpointslice_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_endpointslice *slice = object;
    const json_t *endpoints = json_object_get(json, "endpoints");
    slice->address_type = kubernetes__layout_get(layout, json, "addressType");
    slice->endpoint_count = kubernetes__layout_count(layout, endpoints);
    slice->endpoints =
        LAYOUT_ARRAY(layout, struct kubernetes_slice_endpoint, slice->endpoint_count);
    for (uint32_t i = 0; i < slice->endpoint_count; i++)
        read_endpoint(layout, json_array_get(endpoints, i), &slice->endpoints[i]);
    kubernetes__ports_read(layout, json_object_get(json, "ports"), "port", -1, &slice->ports,
                           &slice->port_count);
}

/* ---- labels ---- */

static void write_condition(struct kubernetes_writer *writer, const char *name,
                            enum kubernetes_tristate state)
{
    if (state != TRISTATE_ABSENT)
        kubernetes__write_bool(writer, name, state == TRISTATE_TRUE);
}

static void write_endpoint(struct kubernetes_writer *writer,
                           const struct kubernetes_slice_endpoint *endpoint)
{
    write_condition(writer, "__meta_kubernetes_endpointslice_endpoint_conditions_ready",
                    endpoint->ready);
    write_condition(writer, "__meta_kubernetes_endpointslice_endpoint_conditions_serving",
                    endpoint->serving);
    write_condition(writer, "__meta_kubernetes_endpointslice_endpoint_conditions_terminating",
                    endpoint->terminating);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_endpoint_hostname",
                      endpoint->hostname);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_endpoint_node_name",
                      endpoint->node_name);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_endpoint_zone", endpoint->zone);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_address_target_kind",
                      endpoint->target.kind);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_address_target_name",
                      endpoint->target.name);
    for (uint32_t i = 0; i < endpoint->topology_count; i++) {
        const struct label *pair = &endpoint->topology[i];
        kubernetes__write_key(writer, "__meta_kubernetes_endpointslice_endpoint_topology_",
                              pair->name, pair->value);
        kubernetes__write_key(writer, "__meta_kubernetes_endpointslice_endpoint_topology_present_",
                              pair->name, STR("true"));
    }
    bool is_node = str_equal(endpoint->target.kind, STR("Node"));
    (void)kubernetes__write_node(writer, is_node ? endpoint->target.name : endpoint->node_name);
}

static void write_target(struct kubernetes_writer *writer, struct str address,
                         const struct kubernetes_slice_endpoint *endpoint,
                         const struct kubernetes_port *port, struct kubernetes_seen *seen)
{
    kubernetes__write_address(writer, address, port->number);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_port_name", port->name);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_port_protocol", port->protocol);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_port_app_protocol",
                      port->app_protocol);
    if (port->number >= 0)
        kubernetes__write_int(writer, "__meta_kubernetes_endpointslice_port", port->number);
    write_endpoint(writer, endpoint);
    const struct kubernetes_pod *pod = kubernetes__find_pod(writer, &endpoint->target);
    if (pod != NULL) {
        kubernetes__write_pod(writer, pod);
        if (port->number >= 0)
            (void)kubernetes__write_port_owner(writer, pod, port->number);
        kubernetes__seen_add(seen, pod, port->number);
    }
    kubernetes__end_target(writer);
}

static const struct kubernetes_service *find_service(const struct kubernetes_writer *writer,
                                                     const struct kubernetes_object *slice)
{
    for (uint32_t i = 0; i < slice->label_count; i++) {
        if (str_equal(slice->labels[i].name, STR("kubernetes.io/service-name")))
            return (const struct kubernetes_service *)kubernetes_cache_find(
                writer->cache, KUBERNETES_SERVICE, slice->space, slice->labels[i].value);
    }
    return NULL;
}

/* A service of both families has a slice for each: that of the second would repeat its targets. */
static bool is_second_family(const struct kubernetes_endpointslice *slice,
                             const struct kubernetes_service *service)
{
    return service != NULL && service->dual_stack && service->ip_family.size > 0 &&
           !str_equal(service->ip_family, slice->address_type);
}

void kubernetes__write_endpointslice_group(struct kubernetes_writer *writer,
                                           const struct kubernetes_object *object)
{
    const struct kubernetes_endpointslice *slice = (const struct kubernetes_endpointslice *)object;
    const struct kubernetes_service *service = find_service(writer, object);
    if (is_second_family(slice, service))
        return;
    struct kubernetes_seen seen = {0};
    kubernetes__write_namespace(writer, object->space);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_address_type", slice->address_type);
    kubernetes__write(writer, "__meta_kubernetes_endpointslice_name", object->name);
    kubernetes__write_metadata(writer, "endpointslice", object);
    if (service != NULL)
        kubernetes__write_service(writer, service);
    kubernetes__end_group_labels(writer);
    for (uint32_t e = 0; e < slice->endpoint_count; e++) {
        const struct kubernetes_slice_endpoint *endpoint = &slice->endpoints[e];
        for (uint32_t p = 0; p < slice->port_count; p++) {
            for (uint32_t a = 0; a < endpoint->address_count; a++)
                write_target(writer, endpoint->addresses[a], endpoint, &slice->ports[p], &seen);
        }
    }
    kubernetes__seen_finish(&seen, writer);
}
