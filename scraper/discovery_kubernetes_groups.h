/* Target groups from Kubernetes objects: joins over the cache, labels as the specification names
 * them (spec discovery.md 4). */
#pragma once

#include "discovery_kubernetes_cache.h"
#include "discovery_mechanism.h"
#include "narthex/base/htable.h"

/* What attach_metadata asks for. */
struct kubernetes_attach {
    bool node;
    bool namespace;
    bool deployment;
    bool job;
    bool cronjob;
};

/* Adds a group for each object of the kind that has targets. */
void kubernetes_groups_build(const struct kubernetes_cache *cache, enum kubernetes_kind role,
                             const struct kubernetes_attach *attach,
                             struct discovered_groups *groups);

/* ---- for the files of the kinds ---- */

/* Groups in the making. Label names and values are kept once for all groups: most of them come
 * back with every object. */
struct kubernetes_writer {
    const struct kubernetes_cache *cache;
    const struct kubernetes_attach *attach;
    struct discovered_groups *groups;
    struct htable table; /* of texts */
    struct str *texts;
    uint32_t text_count;
    uint32_t text_capacity;
    struct label *pending; /* of the target, or of the group when no target was begun */
    uint32_t pending_count;
    uint32_t pending_capacity;
    struct labels group_labels;
    struct labels *targets;
    uint32_t target_count;
    uint32_t target_capacity;
    struct strbuf scratch;
};

/* A label of what is being written; the last one of a name counts, an empty value is none. */
void kubernetes__write(struct kubernetes_writer *writer, const char *name, struct str value);
void kubernetes__write_lower(struct kubernetes_writer *writer, const char *name, struct str value);
void kubernetes__write_int(struct kubernetes_writer *writer, const char *name, int64_t value);
void kubernetes__write_bool(struct kubernetes_writer *writer, const char *name, bool value);
/* The name is `prefix` and the key made fit for a label name. */
void kubernetes__write_key(struct kubernetes_writer *writer, const char *prefix, struct str key,
                           struct str value);
/* host:port, or the bare host for a negative port. */
void kubernetes__write_address(struct kubernetes_writer *writer, struct str host, int64_t port);
/* Labels and annotations of an object; `what` is its part of the names: "pod". */
void kubernetes__write_metadata(struct kubernetes_writer *writer, const char *what,
                                const struct kubernetes_object *object);
/* What comes before the targets: the labels they share. */
void kubernetes__end_group_labels(struct kubernetes_writer *writer);
void kubernetes__end_target(struct kubernetes_writer *writer);

/* Labels of the node, if attach_metadata asks for them; false when there is no such node. */
bool kubernetes__write_node(struct kubernetes_writer *writer, struct str node_name);
/* The namespace's name, and its labels if attach_metadata asks for them. */
void kubernetes__write_namespace(struct kubernetes_writer *writer, struct str space);
/* All that a pod says, without its containers. */
void kubernetes__write_pod(struct kubernetes_writer *writer, const struct kubernetes_pod *pod);
/* A container and one of its ports. */
void kubernetes__write_port(struct kubernetes_writer *writer,
                            const struct kubernetes_container *container,
                            const struct kubernetes_port *port);
/* The container whose port this is; false if the pod declares none. */
bool kubernetes__write_port_owner(struct kubernetes_writer *writer,
                                  const struct kubernetes_pod *pod, int64_t port);
void kubernetes__write_service(struct kubernetes_writer *writer,
                               const struct kubernetes_service *service);

/* Pods that endpoints of a group refer to, with the ports that became targets already: the other
 * ports of their containers become targets too. */
struct kubernetes_seen_port {
    const struct kubernetes_pod *pod;
    int64_t port;
};
struct kubernetes_seen {
    struct kubernetes_seen_port *items;
    uint32_t count;
    uint32_t capacity;
};
/* The pod that a reference means, or NULL. */
const struct kubernetes_pod *kubernetes__find_pod(const struct kubernetes_writer *writer,
                                                  const struct kubernetes_reference *reference);
void kubernetes__seen_add(struct kubernetes_seen *seen, const struct kubernetes_pod *pod,
                          int64_t port);
/* Writes the targets of the ports left; empties the list. */
void kubernetes__seen_finish(struct kubernetes_seen *seen, struct kubernetes_writer *writer);

void kubernetes__write_pod_group(struct kubernetes_writer *writer,
                                 const struct kubernetes_object *object);
void kubernetes__write_service_group(struct kubernetes_writer *writer,
                                     const struct kubernetes_object *object);
void kubernetes__write_endpoints_group(struct kubernetes_writer *writer,
                                       const struct kubernetes_object *object);
void kubernetes__write_endpointslice_group(struct kubernetes_writer *writer,
                                           const struct kubernetes_object *object);
void kubernetes__write_node_group(struct kubernetes_writer *writer,
                                  const struct kubernetes_object *object);
void kubernetes__write_ingress_group(struct kubernetes_writer *writer,
                                     const struct kubernetes_object *object);
