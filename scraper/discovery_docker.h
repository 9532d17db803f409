/* What docker_sd and dockerswarm_sd share: asking the Docker Engine, and its networks. */
#pragma once

#include "discovery_json.h"
#include "discovery_labels.h"
#include "narthex/base/htable.h"
#include "narthex/scraper/discovery.h"
#include "narthex/scraper/http_client.h"

/* A Docker Engine to be asked. One owner thread. */
struct docker_api {
    const struct docker_discovery_config *config;
    const struct discovery_env *env;
    struct http_client *client;
    struct http_client_config plain; /* of hosts that the HTTP block does not apply to */
    struct strbuf base_url;          /* without a slash at its end */
    struct str unix_socket;          /* or empty */
    char version[16];                /* "/v1.41", or "" for the Engine's own */
};
/* create and destroy of the mechanisms that ask one; `settings` is a struct
 * docker_discovery_config, which is borrowed. */
err_t docker_api_create(const void *settings, const struct discovery_env *env, void **state,
                        struct strbuf *why);
void docker_api_destroy(void *state);
/* Agrees with the Engine on a version of its API: before the first request of a refresh. */
err_t docker_api_negotiate(struct docker_api *api, struct strbuf *why);
/* GET of a list below the versioned path ("/networks"); `filtered` sends the configured filters.
 * The body is appended to `body`; `what` names the list in errors. */
err_t docker_api_list(struct docker_api *api, const char *path, bool filtered, const char *what,
                      struct strbuf *body, struct strbuf *why);
/* "http://127.0.0.1:2375" and the like taken apart; ERR_INVALID for what no host can be. */
err_t docker_host_parse(struct str host, struct strbuf *base_url, struct str *unix_socket,
                        bool *takes_http_block, struct strbuf *why);

/* Label sets by the identifier of a network, service or node. All zero but the arena is empty. */
struct docker_object {
    struct str id;
    struct labels labels;
    const struct docker_port *ports; /* of services */
    uint32_t port_count;
};
struct docker_port {
    struct str publish_mode;
    int64_t published;
};
struct docker_objects {
    struct docker_object *items;
    uint32_t count;
    uint32_t capacity;
    struct htable by_id;
};
void docker_objects_init(struct docker_objects *objects);
void docker_objects_deinit(struct docker_objects *objects);
void docker_objects_add(struct docker_objects *objects, struct docker_object object);
/* NULL when it is not there. */
const struct docker_object *docker_objects_find(const struct docker_objects *objects,
                                                struct str id);
/* Adds the labels of the object with this id, if there is one. */
void docker_objects_add_labels(const struct docker_objects *objects, struct str id,
                               struct discovery_labels *labels);

/* Reads /networks: labels with the names <prefix>network_…, all in the arena. */
err_t docker_networks_read(struct docker_objects *networks, struct str text, const char *prefix,
                           struct arena *arena, struct strbuf *why);
/* Adds <prefix><key> for each member of a JSON object of texts. */
void docker_labels_add_map(struct discovery_labels *labels, struct arena *arena, const char *prefix,
                           json_t *map);
/* Adds a label named <prefix><name> with a copy of the text. */
void docker_labels_add(struct discovery_labels *labels, struct arena *arena, const char *prefix,
                       const char *name, struct str value);
struct str docker_bool_text(bool value);

/* A whole refresh after the fetching, without the network: for tests of the readers.
 * `containers` and `networks` are the bodies of the Engine's lists. */
err_t docker_containers_read(const struct docker_discovery_config *config, struct str containers,
                             struct str networks, struct discovered_groups *groups,
                             struct strbuf *why);
struct swarm_lists {
    struct str nodes;
    struct str services;
    struct str tasks;
    struct str networks;
};
err_t swarm_lists_read(const struct docker_discovery_config *config,
                       const struct swarm_lists *lists, struct discovered_groups *groups,
                       struct strbuf *why);
