/* Discovery sections in their typed form (include/narthex/scraper/discovery.h). */
#include "config_impl.h"

#include "narthex/scraper/discovery.h"

static const void *build_file(struct config_impl *config, const struct object *object)
{
    struct file_discovery_config *file = ARENA_NEW(&config->arena, struct file_discovery_config);
    file->files = object_get(object, "files")->strings;
    file->file_count = object_get(object, "files")->count;
    file->refresh_interval_ms = object_get(object, "refresh_interval")->i;
    return file;
}

static const void *build_http(struct config_impl *config, const struct object *object)
{
    struct http_discovery_config *http = ARENA_NEW(&config->arena, struct http_discovery_config);
    http->url = object_get(object, "url")->text;
    http->refresh_interval_ms = object_get(object, "refresh_interval")->i;
    config__build_http_client(config, object, &http->http);
    return http;
}

static const void *build_dns(struct config_impl *config, const struct object *object)
{
    struct dns_discovery_config *dns = ARENA_NEW(&config->arena, struct dns_discovery_config);
    dns->names = object_get(object, "names")->strings;
    dns->name_count = object_get(object, "names")->count;
    dns->type = object_get(object, "type")->text;
    dns->port = object_get(object, "port")->i;
    dns->refresh_interval_ms = object_get(object, "refresh_interval")->i;
    return dns;
}

static struct docker_discovery_config *build_docker_common(struct config_impl *config,
                                                           const struct object *object)
{
    struct docker_discovery_config *docker =
        ARENA_NEW(&config->arena, struct docker_discovery_config);
    const struct value *filters = object_get(object, "filters");
    struct docker_filter *items =
        ARENA_NEW_ARRAY(&config->arena, struct docker_filter, filters->count);
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct value *values = object_get(filters->objects[i], "values");
        items[i] = (struct docker_filter){object_get(filters->objects[i], "name")->text,
                                          values->strings, values->count};
    }
    docker->host = object_get(object, "host")->text;
    docker->port = object_get(object, "port")->i;
    docker->filters = items;
    docker->filter_count = filters->count;
    docker->refresh_interval_ms = object_get(object, "refresh_interval")->i;
    config__build_http_client(config, object, &docker->http);
    return docker;
}

static const void *build_docker(struct config_impl *config, const struct object *object)
{
    struct docker_discovery_config *docker = build_docker_common(config, object);
    docker->host_networking_host = object_get(object, "host_networking_host")->text;
    docker->match_first_network = object_get(object, "match_first_network")->b;
    return docker;
}

static const void *build_dockerswarm(struct config_impl *config, const struct object *object)
{
    struct docker_discovery_config *docker = build_docker_common(config, object);
    docker->role = object_get(object, "role")->text;
    return docker;
}

static const void *build_consul(struct config_impl *config, const struct object *object)
{
    struct consul_discovery_config *consul =
        ARENA_NEW(&config->arena, struct consul_discovery_config);
    const struct value *node_meta = object_get(object, "node_meta");
    *consul = (struct consul_discovery_config){
        .server = str_trim(object_get(object, "server")->text),
        .scheme = object_get(object, "scheme")->text,
        .path_prefix = object_get(object, "path_prefix")->text,
        .token = object_get(object, "token")->text,
        .datacenter = object_get(object, "datacenter")->text,
        .name_space = object_get(object, "namespace")->text,
        .partition = object_get(object, "partition")->text,
        .tag_separator = object_get(object, "tag_separator")->text,
        .services = object_get(object, "services")->strings,
        .service_count = object_get(object, "services")->count,
        .tags = object_get(object, "tags")->strings,
        .tag_count = object_get(object, "tags")->count,
        .node_meta = config__build_name_values(config, node_meta),
        .node_meta_count = node_meta->count,
        .filter = object_get(object, "filter")->text,
        .health_filter = object_get(object, "health_filter")->text,
        .allow_stale = object_get(object, "allow_stale")->b,
        .refresh_interval_ms = object_get(object, "refresh_interval")->i,
    };
    config__build_http_client(config, object, &consul->http);
    if (object_has_text(object, "username") || object_has_text(object, "password")) {
        consul->http.has_basic_auth = true;
        consul->http.username = object_get(object, "username")->text;
        consul->http.password.value = object_get(object, "password")->text;
    }
    return consul;
}

static const void *build_kubernetes(struct config_impl *config, const struct object *object)
{
    struct kubernetes_discovery_config *kubernetes =
        ARENA_NEW(&config->arena, struct kubernetes_discovery_config);
    const struct value *selectors = object_get(object, "selectors");
    struct kubernetes_selector *items =
        ARENA_NEW_ARRAY(&config->arena, struct kubernetes_selector, selectors->count);
    for (uint32_t i = 0; i < selectors->count; i++) {
        const struct object *selector = selectors->objects[i];
        items[i] = (struct kubernetes_selector){object_get(selector, "role")->text,
                                                object_get(selector, "label")->text,
                                                object_get(selector, "field")->text};
    }
    kubernetes->role = object_get(object, "role")->text;
    kubernetes->api_server = object_get(object, "api_server")->text;
    kubernetes->kubeconfig_file = object_get(object, "kubeconfig_file")->text;
    kubernetes->selectors = items;
    kubernetes->selector_count = selectors->count;
    const struct object *namespaces = object_get(object, "namespaces")->object;
    if (namespaces != NULL) {
        kubernetes->own_namespace = object_get(namespaces, "own_namespace")->b;
        kubernetes->namespaces = object_get(namespaces, "names")->strings;
        kubernetes->namespace_count = object_get(namespaces, "names")->count;
    }
    const struct object *attach = object_get(object, "attach_metadata")->object;
    if (attach != NULL) {
        kubernetes->attach_node = object_get(attach, "node")->b;
        kubernetes->attach_namespace = object_get(attach, "namespace")->b;
        kubernetes->attach_deployment = object_get(attach, "deployment")->b;
        kubernetes->attach_job = object_get(attach, "job")->b;
        kubernetes->attach_cronjob = object_get(attach, "cronjob")->b;
    }
    config__build_http_client(config, object, &kubernetes->http);
    return kubernetes;
}

const void *config__build_discovery_settings(struct config_impl *config, struct str mechanism,
                                             const struct object *object)
{
    static const struct {
        struct str mechanism;
        const void *(*build)(struct config_impl *config, const struct object *object);
    } builders[] = {
        {STR_INIT("consul"), build_consul},
        {STR_INIT("dns"), build_dns},
        {STR_INIT("docker"), build_docker},
        {STR_INIT("dockerswarm"), build_dockerswarm},
        {STR_INIT("file"), build_file},
        {STR_INIT("http"), build_http},
        {STR_INIT("kubernetes"), build_kubernetes},
    };
    for (size_t i = 0; i < sizeof builders / sizeof builders[0]; i++) {
        if (str_equal(builders[i].mechanism, mechanism))
            return builders[i].build(config, object);
    }
    return NULL;
}
