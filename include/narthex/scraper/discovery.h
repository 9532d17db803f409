/* scraper/discovery.h: finding targets by something else than static_configs.
 *
 * The loader asks which mechanisms this build can run and fills the settings below
 * (spec discovery.md 2); strings are owned by the configuration's arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/scraper/http_config.h"

/* Whether <mechanism>_sd_configs ("file", "http", …) can be run. */
bool discovery_supported(struct str mechanism);

/* discovery_config.settings of "file". */
struct file_discovery_config {
    const struct str *files; /* absolute; one glob in the last path element allowed */
    uint32_t file_count;
    int64_t refresh_interval_ms; /* default 5 m */
};

/* discovery_config.settings of "http". */
struct http_discovery_config {
    struct str url;
    int64_t refresh_interval_ms; /* default 60 s; also the timeout of one request */
    struct http_client_config http;
};

/* discovery_config.settings of "dns". */
struct dns_discovery_config {
    const struct str *names;
    uint32_t name_count;
    struct str type; /* SRV, A, AAAA, MX or NS in any case */
    int64_t port;    /* of all but SRV */
    int64_t refresh_interval_ms;
};

/* One element of `filters`: what the Docker Engine should list. */
struct docker_filter {
    struct str name;
    const struct str *values;
    uint32_t value_count;
};

/* discovery_config.settings of "docker" and "dockerswarm". */
struct docker_discovery_config {
    struct str host; /* unix:///path, tcp://host:port, http(s)://host:port */
    struct str role; /* of dockerswarm: nodes, services, tasks */
    int64_t port;    /* of targets that name none */
    struct str host_networking_host;
    bool match_first_network;
    const struct docker_filter *filters;
    uint32_t filter_count;
    int64_t refresh_interval_ms; /* also the timeout of one request */
    struct http_client_config http;
};

/* discovery_config.settings of "consul"; username and password are in `http` already. */
struct consul_discovery_config {
    struct str server; /* host:port, http(s)://host:port or unix:///path */
    struct str scheme;
    struct str path_prefix;
    struct str token;
    struct str datacenter;
    struct str name_space;
    struct str partition;
    struct str tag_separator;
    const struct str *services; /* none: all */
    uint32_t service_count;
    const struct str *tags; /* a service needs all of them */
    uint32_t tag_count;
    const struct name_value *node_meta;
    uint32_t node_meta_count;
    struct str filter;
    struct str health_filter;
    bool allow_stale;
    int64_t refresh_interval_ms; /* least time between two queries of one kind */
    struct http_client_config http;
};

/* One element of `selectors`: which objects of a kind are asked for. */
struct kubernetes_selector {
    struct str role; /* the kind: "pod" */
    struct str label;
    struct str field;
};

/* discovery_config.settings of "kubernetes". Neither api_server nor kubeconfig_file: the service
 * account of the pod we run in. */
struct kubernetes_discovery_config {
    struct str role; /* node, pod, service, endpoints, endpointslice, ingress */
    struct str api_server;
    struct str kubeconfig_file;
    bool own_namespace;
    const struct str *namespaces; /* none: all */
    uint32_t namespace_count;
    const struct kubernetes_selector *selectors;
    uint32_t selector_count;
    bool attach_node, attach_namespace, attach_deployment, attach_job, attach_cronjob;
    struct http_client_config http; /* with api_server */
};
