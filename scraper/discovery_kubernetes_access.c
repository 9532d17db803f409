#include "discovery_kubernetes_access.h"

#include <string.h>

#include "narthex/base/fs.h"

enum { NAMESPACE_BYTES_MAX = 4096 };

static struct str without_slash(struct str url)
{
    while (url.size > 0 && url.data[url.size - 1] == '/')
        url.size--;
    return url;
}

/* The token and the certificate are read by the HTTP client, on every request: they rotate. */
static err_t open_in_cluster(struct kubernetes_access *access,
                             const struct kubernetes_pod_environment *environment,
                             bool own_namespace, struct strbuf *why)
{
    if (environment->host == NULL || environment->port == NULL || environment->host[0] == '\0' ||
        environment->port[0] == '\0')
        return err_fail(why, ERR_UNAVAILABLE,
                        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                        "KUBERNETES_SERVICE_PORT must be defined");
    struct arena *arena = &access->arena;
    bool is_ipv6 = strchr(environment->host, ':') != NULL;
    access->server = arena_printf(arena, is_ipv6 ? "https://[%s]:%s" : "https://%s:%s",
                                  environment->host, environment->port);
    access->http = (struct http_client_config){
        .has_authorization = true,
        .authorization_type = STR("Bearer"),
        .credentials.file = arena_printf(arena, "%s/token", environment->account_folder),
        .tls.ca_file = arena_printf(arena, "%s/ca.crt", environment->account_folder),
        .follow_redirects = true,
        .enable_http2 = true,
        .proxy.from_environment = true,
    };
    if (!fs_exists(access->http.credentials.file.data))
        return err_fail(why, ERR_NOT_FOUND, "open %s: no such file or directory",
                        access->http.credentials.file.data);
    if (!own_namespace)
        return OK;
    struct str path = arena_printf(arena, "%s/namespace", environment->account_folder);
    struct strbuf text = STRBUF_INIT;
    err_t err = fs_read_file(path.data, NAMESPACE_BYTES_MAX, &text, why);
    access->own_space = arena_str(arena, str_trim(strbuf_str(&text)));
    strbuf_deinit(&text);
    if (err == OK && access->own_space.size == 0)
        return err_fail(why, ERR_INVALID, "%s: the namespace is empty", path.data);
    return err;
}

err_t kubernetes_access_open(struct kubernetes_access *access,
                             const struct kubernetes_discovery_config *config,
                             const struct kubernetes_pod_environment *environment,
                             struct strbuf *why)
{
    *access = (struct kubernetes_access){0};
    arena_init(&access->arena, MEM_DISCOVERY, SIZE_MAX);
    if (config->kubeconfig_file.size > 0) {
        TRY(kubernetes__kubeconfig_read(access, config->kubeconfig_file, why));
    } else if (config->api_server.size > 0) {
        access->server = config->api_server;
        access->http = config->http;
    } else {
        TRY(open_in_cluster(access, environment, config->own_namespace, why));
    }
    access->server = without_slash(access->server);
    return OK;
}

static void add_space(struct str *spaces, uint32_t *count, struct str space)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (str_equal(spaces[i], space))
            return;
    }
    spaces[(*count)++] = space;
}

const struct str *kubernetes_access_spaces(struct kubernetes_access *access,
                                           const struct kubernetes_discovery_config *config,
                                           uint32_t *count)
{
    struct str *spaces =
        ARENA_NEW_ARRAY(&access->arena, struct str, (size_t)config->namespace_count + 1);
    *count = 0;
    for (uint32_t i = 0; i < config->namespace_count; i++)
        add_space(spaces, count, config->namespaces[i]);
    if (access->own_space.size > 0)
        add_space(spaces, count, access->own_space);
    return spaces;
}

void kubernetes_access_close(struct kubernetes_access *access)
{
    arena_deinit(&access->arena);
}
