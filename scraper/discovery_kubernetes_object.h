/* Kubernetes objects as discovery keeps them: only what can become a label, or leads to another
 * object whose fields can. An object is one block of memory, strings included. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/labels.h"

enum kubernetes_kind {
    KUBERNETES_POD,
    KUBERNETES_SERVICE,
    KUBERNETES_ENDPOINTS,
    KUBERNETES_ENDPOINTSLICE,
    KUBERNETES_NODE,
    KUBERNETES_INGRESS,
    KUBERNETES_NAMESPACE,
    KUBERNETES_REPLICASET,
    KUBERNETES_JOB,
};
enum { KUBERNETES_KINDS = KUBERNETES_JOB + 1 };

/* The first member of what each kind keeps. */
struct kubernetes_object {
    uint64_t hash; /* of all that is kept: equal objects give equal labels */
    uint32_t bytes;
    enum kubernetes_kind kind;
    struct str space; /* the namespace, empty for nodes and namespaces */
    struct str name;
    struct label *labels;
    uint32_t label_count;
    struct label *annotations;
    uint32_t annotation_count;
    struct str controller_kind; /* of pods, replica sets and jobs */
    struct str controller_name;
};

/* Where a block is being laid out. It is done twice: into an arena to learn size and hash, and into
 * a block of exactly that size if the object is new. */
struct kubernetes_layout {
    struct arena *arena; /* NULL: `at` is used */
    char *at;
    size_t bytes;
    uint64_t hash;
};

/* Zeroed memory for the block. */
void *kubernetes__layout_alloc(struct kubernetes_layout *layout, size_t count, size_t size);
#define LAYOUT_ARRAY(layout, type, count)                                                          \
    ((type *)kubernetes__layout_alloc((layout), (count), sizeof(type)))
/* Copies of values, part of the hash; what is absent or of another kind is empty, 0 or false. */
struct str kubernetes__layout_copy(struct kubernetes_layout *layout, struct str text);
struct str kubernetes__layout_text(struct kubernetes_layout *layout, const json_t *value);
struct str kubernetes__layout_get(struct kubernetes_layout *layout, const json_t *object,
                                  const char *key);
int64_t kubernetes__layout_int(struct kubernetes_layout *layout, int64_t value);
/* The object's size as an array; anything else is 0. */
uint32_t kubernetes__layout_count(struct kubernetes_layout *layout, const json_t *array);
/* The members `type` and `key` of the objects of a list as pairs. */
void kubernetes__layout_typed(struct kubernetes_layout *layout, const json_t *list, const char *key,
                              struct label **pairs, uint32_t *count);
/* The string members of a JSON object as pairs. */
void kubernetes__layout_pairs(struct kubernetes_layout *layout, json_t *object,
                              struct label **pairs, uint32_t *count);

/* Reads the object: *made is NULL when `known` (may be NULL) already says the same. The caller owns
 * the result. ERR_INVALID when it has no name. `scratch` is emptied. */
err_t kubernetes_object_read(enum kubernetes_kind kind, json_t *object,
                             const struct kubernetes_object *known, struct arena *scratch,
                             struct kubernetes_object **made, struct strbuf *why);
void kubernetes_object_free(struct kubernetes_object *object);
/* Namespace and name alone; views into the JSON value. */
err_t kubernetes_object_identify(const json_t *object, struct str *space, struct str *name,
                                 struct strbuf *why);

/* ---- what the kinds keep ---- */

struct kubernetes_reference {
    struct str kind;
    struct str space;
    struct str name;
};

/* Of a container, a service or endpoints. */
struct kubernetes_port {
    struct str name, protocol;
    struct str app_protocol; /* of endpoints */
    int64_t number;          /* -1: none, of endpoints */
};

struct kubernetes_container {
    struct str name;
    struct str image;
    struct str id;
    bool init;
    struct kubernetes_port *ports;
    uint32_t port_count;
};

struct kubernetes_pod {
    struct kubernetes_object object;
    struct str ip, host_ip, node_name, phase, uid;
    struct str ready;                        /* "True", "False", "Unknown" */
    struct kubernetes_container *containers; /* those of the start-up phase last */
    uint32_t container_count;
};

struct kubernetes_service {
    struct kubernetes_object object;
    struct str type, cluster_ip, external_name, load_balancer_ip;
    struct str ip_family; /* the first one: "IPv4" */
    bool dual_stack;      /* it asks for addresses of both families */
    struct kubernetes_port *ports;
    uint32_t port_count;
};

/* One address of an endpoints object. */
struct kubernetes_endpoint_address {
    struct str ip, hostname, node_name;
    struct kubernetes_reference target;
    bool ready;
};

struct kubernetes_endpoint_subset {
    struct kubernetes_endpoint_address *addresses; /* those that are ready first */
    uint32_t address_count;
    struct kubernetes_port *ports;
    uint32_t port_count;
};

struct kubernetes_endpoints {
    struct kubernetes_object object;
    struct kubernetes_endpoint_subset *subsets;
    uint32_t subset_count;
};

/* A condition that may be absent. */
enum kubernetes_tristate { TRISTATE_ABSENT, TRISTATE_FALSE, TRISTATE_TRUE };

struct kubernetes_slice_endpoint {
    struct str *addresses;
    uint32_t address_count;
    struct str hostname, node_name, zone;
    enum kubernetes_tristate ready, serving, terminating;
    struct kubernetes_reference target;
    struct label *topology;
    uint32_t topology_count;
};

struct kubernetes_endpointslice {
    struct kubernetes_object object;
    struct str address_type;
    struct kubernetes_slice_endpoint *endpoints;
    uint32_t endpoint_count;
    struct kubernetes_port *ports;
    uint32_t port_count;
};

struct kubernetes_node {
    struct kubernetes_object object;
    struct str provider_id;
    int64_t kubelet_port;
    struct label *addresses; /* by type, as conditions */
    uint32_t address_count;
    struct label *conditions;
    uint32_t condition_count;
};

struct kubernetes_ingress_rule {
    struct str host;
    struct str *paths;
    uint32_t path_count;
};

struct kubernetes_ingress {
    struct kubernetes_object object;
    struct str class_name;
    struct kubernetes_ingress_rule *rules;
    uint32_t rule_count;
    struct str *tls_hosts;
    uint32_t tls_host_count;
};

/* Whether it has an address of a kind that targets can have. */
bool kubernetes_node_has_address(const struct kubernetes_node *node);

/* Each fills what its kind keeps besides the common part; sizes of the structs by kind. */
void kubernetes__pod_read(struct kubernetes_layout *layout, json_t *json, void *object);
void kubernetes__service_read(struct kubernetes_layout *layout, json_t *json, void *object);
void kubernetes__endpoints_read(struct kubernetes_layout *layout, json_t *json, void *object);
void kubernetes__endpointslice_read(struct kubernetes_layout *layout, json_t *json, void *object);
void kubernetes__node_read(struct kubernetes_layout *layout, json_t *json, void *object);
void kubernetes__ingress_read(struct kubernetes_layout *layout, json_t *json, void *object);
/* A list of ports, whose numbers are members `key`; `missing` stands for one without. */
void kubernetes__ports_read(struct kubernetes_layout *layout, const json_t *list, const char *key,
                            int64_t missing, struct kubernetes_port **ports, uint32_t *count);
void kubernetes__reference_read(struct kubernetes_layout *layout, const json_t *json,
                                struct kubernetes_reference *reference);
