/* Pods: a target for each port of each container. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

static const json_t *find_status(const json_t *statuses, const json_t *container)
{
    struct str name = discovery_json_get_text(container, "name");
    for (size_t i = 0; i < json_array_size(statuses); i++) {
        const json_t *status = json_array_get(statuses, i);
        if (str_equal(discovery_json_get_text(status, "name"), name))
            return status;
    }
    return NULL;
}

static void read_containers(struct kubernetes_layout *layout, const json_t *containers,
                            const json_t *statuses, bool init, struct kubernetes_container *out)
{
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *json = json_array_get(containers, i);
        out[i].init = kubernetes__layout_int(layout, init) != 0;
        out[i].name = kubernetes__layout_get(layout, json, "name");
        out[i].image = kubernetes__layout_get(layout, json, "image");
        out[i].id = kubernetes__layout_get(layout, find_status(statuses, json), "containerID");
        kubernetes__ports_read(layout, json_object_get(json, "ports"), "containerPort", 0,
                               &out[i].ports, &out[i].port_count);
    }
}

static struct str read_ready(struct kubernetes_layout *layout, const json_t *status)
{
    const json_t *conditions = json_object_get(status, "conditions");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        if (str_equal(discovery_json_get_text(condition, "type"), STR("Ready")))
            return kubernetes__layout_get(layout, condition, "status");
    }
    return kubernetes__layout_copy(layout, STR("Unknown"));
}

void kubernetes__pod_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_pod *pod = object;
    const json_t *spec = json_object_get(json, "spec");
    const json_t *status = json_object_get(json, "status");
    pod->uid = kubernetes__layout_get(layout, json_object_get(json, "metadata"), "uid");
    pod->ip = kubernetes__layout_get(layout, status, "podIP");
    pod->host_ip = kubernetes__layout_get(layout, status, "hostIP");
    pod->phase = kubernetes__layout_get(layout, status, "phase");
    pod->node_name = kubernetes__layout_get(layout, spec, "nodeName");
    pod->ready = read_ready(layout, status);

    const json_t *containers = json_object_get(spec, "containers");
    const json_t *init_containers = json_object_get(spec, "initContainers");
    uint32_t count = kubernetes__layout_count(layout, containers);
    uint32_t init_count = kubernetes__layout_count(layout, init_containers);
    pod->container_count = count + init_count;
    pod->containers = LAYOUT_ARRAY(layout, struct kubernetes_container, count + init_count);
    read_containers(layout, containers, json_object_get(status, "containerStatuses"), false,
                    pod->containers);
    read_containers(layout, init_containers, json_object_get(status, "initContainerStatuses"), true,
                    pod->containers + count);
}

/* ---- labels ---- */

/* The owner of the pod's owner, when the latter is of `kind` and watched as `shelf`. */
static struct str owner_of_owner(const struct kubernetes_writer *writer,
                                 const struct kubernetes_pod *pod, struct str kind,
                                 enum kubernetes_kind shelf, struct str wanted)
{
    if (!str_equal(pod->object.controller_kind, kind))
        return STR("");
    const struct kubernetes_object *owner =
        kubernetes_cache_find(writer->cache, shelf, pod->object.space, pod->object.controller_name);
    if (owner == NULL || !str_equal(owner->controller_kind, wanted))
        return STR("");
    return owner->controller_name;
}

static void write_owners(struct kubernetes_writer *writer, const struct kubernetes_pod *pod)
{
    const struct kubernetes_attach *attach = writer->attach;
    if (attach->deployment)
        kubernetes__write(writer, "__meta_kubernetes_pod_deployment_name",
                          owner_of_owner(writer, pod, STR("ReplicaSet"), KUBERNETES_REPLICASET,
                                         STR("Deployment")));
    if (attach->job && str_equal(pod->object.controller_kind, STR("Job")))
        kubernetes__write(writer, "__meta_kubernetes_pod_job_name", pod->object.controller_name);
    if (attach->cronjob)
        kubernetes__write(writer, "__meta_kubernetes_pod_cronjob_name",
                          owner_of_owner(writer, pod, STR("Job"), KUBERNETES_JOB, STR("CronJob")));
}

void kubernetes__write_pod(struct kubernetes_writer *writer, const struct kubernetes_pod *pod)
{
    kubernetes__write(writer, "__meta_kubernetes_pod_name", pod->object.name);
    kubernetes__write(writer, "__meta_kubernetes_pod_ip", pod->ip);
    kubernetes__write_lower(writer, "__meta_kubernetes_pod_ready", pod->ready);
    kubernetes__write(writer, "__meta_kubernetes_pod_phase", pod->phase);
    kubernetes__write(writer, "__meta_kubernetes_pod_node_name", pod->node_name);
    kubernetes__write(writer, "__meta_kubernetes_pod_host_ip", pod->host_ip);
    kubernetes__write(writer, "__meta_kubernetes_pod_uid", pod->uid);
    kubernetes__write(writer, "__meta_kubernetes_pod_controller_kind", pod->object.controller_kind);
    kubernetes__write(writer, "__meta_kubernetes_pod_controller_name", pod->object.controller_name);
    kubernetes__write_metadata(writer, "pod", &pod->object);
    write_owners(writer, pod);
}

static void write_container(struct kubernetes_writer *writer,
                            const struct kubernetes_container *container)
{
    kubernetes__write(writer, "__meta_kubernetes_pod_container_name", container->name);
    kubernetes__write(writer, "__meta_kubernetes_pod_container_image", container->image);
    kubernetes__write_bool(writer, "__meta_kubernetes_pod_container_init", container->init);
}

void kubernetes__write_port(struct kubernetes_writer *writer,
                            const struct kubernetes_container *container,
                            const struct kubernetes_port *port)
{
    write_container(writer, container);
    kubernetes__write(writer, "__meta_kubernetes_pod_container_port_name", port->name);
    kubernetes__write_int(writer, "__meta_kubernetes_pod_container_port_number", port->number);
    kubernetes__write(writer, "__meta_kubernetes_pod_container_port_protocol", port->protocol);
}

/* Should several containers declare the port, the last one is named, as in Prometheus. */
bool kubernetes__write_port_owner(struct kubernetes_writer *writer,
                                  const struct kubernetes_pod *pod, int64_t port)
{
    for (uint32_t c = pod->container_count; c-- > 0;) {
        const struct kubernetes_container *container = &pod->containers[c];
        for (uint32_t p = 0; p < container->port_count; p++) {
            if (container->ports[p].number != port)
                continue;
            kubernetes__write_port(writer, container, &container->ports[p]);
            return true;
        }
    }
    return false;
}

static void write_container_targets(struct kubernetes_writer *writer,
                                    const struct kubernetes_pod *pod,
                                    const struct kubernetes_container *container)
{
    if (container->port_count == 0) {
        kubernetes__write_address(writer, pod->ip, -1);
        write_container(writer, container);
        kubernetes__write(writer, "__meta_kubernetes_pod_container_id", container->id);
        kubernetes__end_target(writer);
    }
    for (uint32_t i = 0; i < container->port_count; i++) {
        kubernetes__write_address(writer, pod->ip, container->ports[i].number);
        kubernetes__write_port(writer, container, &container->ports[i]);
        kubernetes__write(writer, "__meta_kubernetes_pod_container_id", container->id);
        kubernetes__end_target(writer);
    }
}

void kubernetes__write_pod_group(struct kubernetes_writer *writer,
                                 const struct kubernetes_object *object)
{
    const struct kubernetes_pod *pod = (const struct kubernetes_pod *)object;
    if (pod->ip.size == 0)
        return;
    bool node_known = kubernetes__write_node(writer, pod->node_name);
    kubernetes__write_namespace(writer, object->space);
    kubernetes__write_pod(writer, pod);
    kubernetes__end_group_labels(writer);
    if (writer->attach->node && !node_known)
        return;
    for (uint32_t i = 0; i < pod->container_count; i++)
        write_container_targets(writer, pod, &pod->containers[i]);
}
