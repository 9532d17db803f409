/* Nodes, a target each at its kubelet; and what nodes and namespaces add to other targets. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

/* The first of these that a node has is its target's address. */
static const char *const address_types[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                            "ExternalDNS", "LegacyHostIP", "Hostname"};

void kubernetes__node_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_node *node = object;
    const json_t *status = json_object_get(json, "status");
    const json_t *endpoints = json_object_get(status, "daemonEndpoints");
    node->provider_id = kubernetes__layout_get(layout, json_object_get(json, "spec"), "providerID");
    node->kubelet_port = kubernetes__layout_int(
        layout, discovery_json_get_int(json_object_get(endpoints, "kubeletEndpoint"), "Port", 0));
    kubernetes__layout_typed(layout, json_object_get(status, "addresses"), "address",
                             &node->addresses, &node->address_count);
    kubernetes__layout_typed(layout, json_object_get(status, "conditions"), "status",
                             &node->conditions, &node->condition_count);
}

static struct str first_address(const struct kubernetes_node *node, struct str type)
{
    for (uint32_t i = 0; i < node->address_count; i++) {
        if (str_equal(node->addresses[i].name, type))
            return node->addresses[i].value;
    }
    return STR("");
}

static struct str target_address(const struct kubernetes_node *node)
{
    for (size_t i = 0; i < sizeof address_types / sizeof *address_types; i++) {
        struct str address = first_address(node, str_from_cstr(address_types[i]));
        if (address.size > 0)
            return address;
    }
    return STR("");
}

bool kubernetes_node_has_address(const struct kubernetes_node *node)
{
    return target_address(node).size > 0;
}

static void write_metadata(struct kubernetes_writer *writer, const struct kubernetes_object *node)
{
    kubernetes__write(writer, "__meta_kubernetes_node_name", node->name);
    kubernetes__write_metadata(writer, "node", node);
}

static void write_conditions(struct kubernetes_writer *writer, const struct kubernetes_node *node)
{
    for (uint32_t i = 0; i < node->condition_count; i++) {
        const struct label *condition = &node->conditions[i];
        struct strbuf lower = STRBUF_INIT;
        strbuf_add_cstr(&lower, "__meta_kubernetes_node_condition_");
        size_t prefix = lower.size;
        discovery_label_name_add(&lower, condition->name);
        for (size_t k = prefix; k < lower.size; k++) {
            if (lower.data[k] >= 'A' && lower.data[k] <= 'Z')
                lower.data[k] = (char)(lower.data[k] - 'A' + 'a');
        }
        kubernetes__write_lower(writer, strbuf_cstr(&lower), condition->value);
        strbuf_deinit(&lower);
    }
}

void kubernetes__write_node_group(struct kubernetes_writer *writer,
                                  const struct kubernetes_object *object)
{
    const struct kubernetes_node *node = (const struct kubernetes_node *)object;
    struct str address = target_address(node);
    if (address.size == 0)
        return;
    write_metadata(writer, object);
    kubernetes__write(writer, "__meta_kubernetes_node_provider_id", node->provider_id);
    write_conditions(writer, node);
    kubernetes__end_group_labels(writer);
    kubernetes__write_address(writer, address, node->kubelet_port);
    kubernetes__write(writer, "instance", object->name);
    /* Backwards: the first address of a type is the one that stays. */
    for (uint32_t i = node->address_count; i-- > 0;)
        kubernetes__write_key(writer, "__meta_kubernetes_node_address_", node->addresses[i].name,
                              node->addresses[i].value);
    kubernetes__end_target(writer);
}

/* ---- attached to others ---- */

bool kubernetes__write_node(struct kubernetes_writer *writer, struct str node_name)
{
    if (!writer->attach->node)
        return false;
    const struct kubernetes_object *node =
        kubernetes_cache_find(writer->cache, KUBERNETES_NODE, STR(""), node_name);
    if (node == NULL)
        return false;
    write_metadata(writer, node);
    return true;
}

void kubernetes__write_namespace(struct kubernetes_writer *writer, struct str space)
{
    kubernetes__write(writer, "__meta_kubernetes_namespace", space);
    if (!writer->attach->namespace)
        return;
    const struct kubernetes_object *known =
        kubernetes_cache_find(writer->cache, KUBERNETES_NAMESPACE, STR(""), space);
    if (known != NULL)
        kubernetes__write_metadata(writer, "namespace", known);
}
