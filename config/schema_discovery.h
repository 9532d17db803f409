/* config/schema_discovery.h: checks of the discovery sections (check_discovery.c), named by the
 * tables in schema_discovery.c. */
#pragma once

#include "schema.h"

err_t check_discovery_filter(struct check_context *context, struct object *object);
err_t check_kubernetes_selector(struct check_context *context, struct object *object);
err_t check_aws(struct check_context *context, struct object *object);
err_t check_azure(struct check_context *context, struct object *object);
err_t check_consul(struct check_context *context, struct object *object);
err_t check_dns(struct check_context *context, struct object *object);
err_t check_docker(struct check_context *context, struct object *object);
err_t check_dockerswarm(struct check_context *context, struct object *object);
err_t check_ec2(struct check_context *context, struct object *object);
err_t check_eureka(struct check_context *context, struct object *object);
err_t check_file(struct check_context *context, struct object *object);
err_t check_gce(struct check_context *context, struct object *object);
err_t check_hetzner(struct check_context *context, struct object *object);
err_t check_http(struct check_context *context, struct object *object);
err_t check_ionos(struct check_context *context, struct object *object);
err_t check_kubernetes(struct check_context *context, struct object *object);
err_t check_kuma(struct check_context *context, struct object *object);
err_t check_lightsail(struct check_context *context, struct object *object);
err_t check_marathon(struct check_context *context, struct object *object);
err_t check_nerve(struct check_context *context, struct object *object);
err_t check_nomad(struct check_context *context, struct object *object);
err_t check_oci(struct check_context *context, struct object *object);
err_t check_openstack(struct check_context *context, struct object *object);
err_t check_outscale(struct check_context *context, struct object *object);
err_t check_ovhcloud(struct check_context *context, struct object *object);
err_t check_puppetdb(struct check_context *context, struct object *object);
err_t check_scaleway(struct check_context *context, struct object *object);
err_t check_serverset(struct check_context *context, struct object *object);
err_t check_stackit(struct check_context *context, struct object *object);
err_t check_triton(struct check_context *context, struct object *object);
err_t check_uyuni(struct check_context *context, struct object *object);

/* Whether Kubernetes' API would read the text as a label selector; empty: all objects. */
bool kubernetes_label_selector_is_valid(struct str text);
