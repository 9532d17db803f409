/* Services: a target for each port, at the service's name. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"
#include "narthex/base/strbuf.h"

/* What the balancer was given, else what was asked for. */
static void read_load_balancer(struct kubernetes_layout *layout, const json_t *spec,
                               const json_t *status, struct kubernetes_service *service)
{
    struct strbuf text = STRBUF_INIT;
    const json_t *ingress = json_object_get(json_object_get(status, "loadBalancer"), "ingress");
    for (size_t i = 0; i < json_array_size(ingress); i++) {
        struct str ip = discovery_json_get_text(json_array_get(ingress, i), "ip");
        if (ip.size > 0 && text.size > 0)
            strbuf_add_char(&text, ',');
        strbuf_add_str(&text, ip);
    }
    if (text.size == 0)
        strbuf_add_str(&text, discovery_json_get_text(spec, "loadBalancerIP"));
    service->load_balancer_ip = kubernetes__layout_copy(layout, strbuf_str(&text));
    strbuf_deinit(&text);
}

static void read_families(struct kubernetes_layout *layout, const json_t *spec,
                          struct kubernetes_service *service)
{
    struct str policy = discovery_json_get_text(spec, "ipFamilyPolicy");
    bool dual =
        str_equal(policy, STR("PreferDualStack")) || str_equal(policy, STR("RequireDualStack"));
    service->dual_stack = kubernetes__layout_int(layout, dual) != 0;
    service->ip_family =
        kubernetes__layout_text(layout, json_array_get(json_object_get(spec, "ipFamilies"), 0));
}

void kubernetes__service_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_service *service = object;
    const json_t *spec = json_object_get(json, "spec");
    service->type = kubernetes__layout_get(layout, spec, "type");
    service->cluster_ip = kubernetes__layout_get(layout, spec, "clusterIP");
    service->external_name = kubernetes__layout_get(layout, spec, "externalName");
    read_load_balancer(layout, spec, json_object_get(json, "status"), service);
    read_families(layout, spec, service);
    kubernetes__ports_read(layout, json_object_get(spec, "ports"), "port", 0, &service->ports,
                           &service->port_count);
}

void kubernetes__write_service(struct kubernetes_writer *writer,
                               const struct kubernetes_service *service)
{
    kubernetes__write(writer, "__meta_kubernetes_service_name", service->object.name);
    kubernetes__write_metadata(writer, "service", &service->object);
}

void kubernetes__write_service_group(struct kubernetes_writer *writer,
                                     const struct kubernetes_object *object)
{
    const struct kubernetes_service *service = (const struct kubernetes_service *)object;
    kubernetes__write_namespace(writer, object->space);
    kubernetes__write_service(writer, service);
    kubernetes__end_group_labels(writer);
    struct strbuf host = STRBUF_INIT;
    strbuf_printf(&host, "%.*s.%.*s.svc", STR_ARG(object->name), STR_ARG(object->space));
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct kubernetes_port *port = &service->ports[i];
        kubernetes__write_address(writer, strbuf_str(&host), port->number);
        kubernetes__write(writer, "__meta_kubernetes_service_port_name", port->name);
        kubernetes__write_int(writer, "__meta_kubernetes_service_port_number", port->number);
        kubernetes__write(writer, "__meta_kubernetes_service_port_protocol", port->protocol);
        kubernetes__write(writer, "__meta_kubernetes_service_type", service->type);
        if (str_equal(service->type, STR("ExternalName")))
            kubernetes__write(writer, "__meta_kubernetes_service_external_name",
                              service->external_name);
        else
            kubernetes__write(writer, "__meta_kubernetes_service_cluster_ip", service->cluster_ip);
        if (str_equal(service->type, STR("LoadBalancer")))
            kubernetes__write(writer, "__meta_kubernetes_service_loadbalancer_ip",
                              service->load_balancer_ip);
        kubernetes__end_target(writer);
    }
    strbuf_deinit(&host);
}
