/* What each discovery section demands of its values (spec discovery.md), with Prometheus' texts. */
#include "schema_discovery.h"
#include "schema_tables.h"

#include "narthex/base/str.h"

err_t check_discovery_filter(struct check_context *context, struct object *object)
{
    if (object_get(object, "values")->count == 0)
        return CHECK_FAIL(context, "filter values cannot be empty for filter \"%.*s\"",
                          STR_ARG(object_get(object, "name")->text));
    return OK;
}

static bool is_in(struct str text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (str_equal_cstr(text, *words))
            return true;
    }
    return false;
}

/* Fails with `message` when the key is empty. */
static err_t need(struct check_context *context, const struct object *object, const char *key,
                  const char *message)
{
    const struct value *value = object_get(object, key);
    if (value->text.size == 0 && value->count == 0)
        return CHECK_FAIL(context, "%s", message);
    return OK;
}

/* Scheme and host of a URL; both empty when it has none. */
static void split_url(struct str url, struct str *scheme, struct str *host)
{
    *scheme = STR("");
    *host = STR("");
    size_t colon = str_find(url, ':', 0);
    if (colon == SIZE_MAX || colon + 2 >= url.size || url.data[colon + 1] != '/' ||
        url.data[colon + 2] != '/')
        return;
    *scheme = str_from(url.data, colon);
    size_t start = colon + 3;
    size_t slash = str_find(url, '/', start);
    *host = str_from(url.data + start, (slash == SIZE_MAX ? url.size : slash) - start);
}

static bool url_is_http(struct str url)
{
    struct str scheme, host;
    split_url(url, &scheme, &host);
    return str_equal(scheme, STR("http")) || str_equal(scheme, STR("https"));
}

static bool url_has_host(struct str url)
{
    struct str scheme, host;
    split_url(url, &scheme, &host);
    return host.size > 0;
}

err_t check_aws(struct check_context *context, struct object *object)
{
    static const char *const roles[] = {"ec2", "lightsail",   "ecs", "msk",
                                        "rds", "elasticache", NULL};
    struct str role = object_get(object, "role")->text;
    if (!is_in(role, roles))
        return CHECK_FAIL(context, "unknown AWS SD role \"%.*s\"", STR_ARG(role));
    return check_http_client(context, object);
}

err_t check_ec2(struct check_context *context, struct object *object)
{
    return check_http_client(context, object);
}

err_t check_lightsail(struct check_context *context, struct object *object)
{
    return check_http_client(context, object);
}

err_t check_azure(struct check_context *context, struct object *object)
{
    static const char *const methods[] = {"OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity",
                                          NULL};
    struct str method = object_get(object, "authentication_method")->text;
    if (!is_in(method, methods))
        return CHECK_FAIL(context,
                          "unknown authentication_type \"%.*s\". Supported types are \"OAuth\", "
                          "\"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
                          STR_ARG(method));
    TRY(need(context, object, "subscription_id",
             "azure SD configuration requires a subscription_id"));
    if (str_equal(method, STR("OAuth"))) {
        TRY(need(context, object, "tenant_id", "azure SD configuration requires a tenant_id"));
        TRY(need(context, object, "client_id", "azure SD configuration requires a client_id"));
        TRY(need(context, object, "client_secret",
                 "azure SD configuration requires a client_secret"));
    }
    return check_http_client(context, object);
}

err_t check_consul(struct check_context *context, struct object *object)
{
    if (str_trim(object_get(object, "server")->text).size == 0)
        return CHECK_FAIL(context, "consul SD configuration requires a server address");
    bool user = object_has_text(object, "username") || object_has_text(object, "password");
    if (user && object_get(object, "basic_auth")->object != NULL)
        return CHECK_FAIL(context, "at most one of consul SD configuration username and password "
                                   "and basic auth can be configured");
    bool other = object_get(object, "authorization")->object != NULL ||
                 object_get(object, "oauth2")->object != NULL;
    if (object_has_text(object, "token") && other)
        return CHECK_FAIL(context,
                          "at most one of consul SD token, authorization, or oauth2 can be "
                          "configured");
    return check_http_client(context, object);
}

err_t check_dns(struct check_context *context, struct object *object)
{
    static const char *const kinds[] = {"SRV", "A", "AAAA", "MX", "NS"};
    struct str type = object_get(object, "type")->text;
    TRY(need(context, object, "names", "DNS-SD config must contain at least one SRV record name"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!str_equal_nocase(type, str_from_cstr(kinds[i])))
            continue;
        if (i > 0 && object_get(object, "port")->i == 0)
            return CHECK_FAIL(context, "a port is required in DNS-SD configs for all record types "
                                       "except SRV");
        return OK;
    }
    return CHECK_FAIL(context, "invalid DNS-SD records type %.*s", STR_ARG(type));
}

err_t check_docker(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "host", "host missing"));
    return check_http_client(context, object);
}

err_t check_dockerswarm(struct check_context *context, struct object *object)
{
    static const char *const roles[] = {"services", "nodes", "tasks", NULL};
    TRY(need(context, object, "host", "host missing"));
    TRY(need(context, object, "role", "role missing (one of: tasks, services, nodes)"));
    struct str role = object_get(object, "role")->text;
    if (!is_in(role, roles))
        return CHECK_FAIL(context, "invalid role %.*s, expected tasks, services, or nodes",
                          STR_ARG(role));
    return check_http_client(context, object);
}

err_t check_eureka(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "server", "eureka_sd: empty or null eureka server"));
    struct str server = object_get(object, "server")->text;
    if (!url_has_host(server))
        return CHECK_FAIL(context, "invalid eureka server URL");
    return check_http_client(context, object);
}

/* ^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$ */
static bool file_pattern_is_valid(struct str path)
{
    static const char *const endings[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    bool ending = false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        ending = ending || str_ends_with(path, str_from_cstr(endings[i]));
    size_t star = str_find(path, '*', 0);
    return ending && (star == SIZE_MAX || str_find(path, '/', star) == SIZE_MAX);
}

err_t check_file(struct check_context *context, struct object *object)
{
    const struct value *files = object_get(object, "files");
    TRY(need(context, object, "files",
             "file service discovery config must contain at least one path name"));
    for (uint32_t i = 0; i < files->count; i++) {
        if (!file_pattern_is_valid(files->strings[i]))
            return CHECK_FAIL(context, "path name \"%.*s\" is not valid for file discovery",
                              STR_ARG(files->strings[i]));
    }
    return OK;
}

err_t check_gce(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "project", "GCE SD configuration requires a project"));
    return need(context, object, "zone", "GCE SD configuration requires a zone");
}

err_t check_hetzner(struct check_context *context, struct object *object)
{
    static const char *const roles[] = {"hcloud", "robot", NULL};
    TRY(need(context, object, "role", "role missing (one of: robot, hcloud)"));
    if (!is_in(object_get(object, "role")->text, roles))
        return CHECK_FAIL(context, "unknown role");
    return check_http_client(context, object);
}

static err_t need_http_url(struct check_context *context, struct object *object)
{
    struct str url = object_get(object, "url")->text;
    TRY(need(context, object, "url", "URL is missing"));
    if (!url_is_http(url))
        return CHECK_FAIL(context, "URL scheme must be 'http' or 'https'");
    if (!url_has_host(url))
        return CHECK_FAIL(context, "host is missing in URL");
    return OK;
}

err_t check_http(struct check_context *context, struct object *object)
{
    TRY(need_http_url(context, object));
    return check_http_client(context, object);
}

err_t check_ionos(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "datacenter_id", "datacenter id can't be empty"));
    return check_http_client(context, object);
}

/* "a=b", "a!=b", "a==b", comma separated. */
static bool field_selector_is_valid(struct str text)
{
    size_t start = 0;
    while (start < text.size) {
        size_t comma = str_find(text, ',', start);
        size_t end = comma == SIZE_MAX ? text.size : comma;
        size_t equal = str_find(str_from(text.data, end), '=', start);
        if (equal == SIZE_MAX || equal == start)
            return false;
        start = end + 1;
    }
    return true;
}

err_t check_kubernetes_selector(struct check_context *context, struct object *object)
{
    struct str field = object_get(object, "field")->text;
    if (!field_selector_is_valid(field))
        return CHECK_FAIL(context, "invalid selector: '%.*s'; can't understand '%.*s'",
                          STR_ARG(field), STR_ARG(field));
    struct str label = object_get(object, "label")->text;
    if (!kubernetes_label_selector_is_valid(label))
        return CHECK_FAIL(context, "unable to parse requirement: '%.*s' is not a label selector",
                          STR_ARG(label));
    return OK;
}

struct kubernetes_role {
    const char *name;
    const char *allowed[4]; /* roles of its selectors */
    const char *listed;
};

static const struct kubernetes_role kubernetes_roles[] = {
    {"pod", {"pod", "node", NULL}, "pod, node"},
    {"service", {"service", NULL}, "service"},
    {"endpoints", {"pod", "service", "endpoints", NULL}, "pod, service, endpoints"},
    {"endpointslice", {"pod", "service", "endpointslice", NULL}, "pod, service, endpointslice"},
    {"node", {"node", NULL}, "node"},
    {"ingress", {"ingress", NULL}, "ingress"},
};

static err_t check_kubernetes_selectors(struct check_context *context, const struct object *object,
                                        const struct kubernetes_role *role)
{
    const struct value *selectors = object_get(object, "selectors");
    for (uint32_t i = 0; i < selectors->count; i++) {
        struct str selector_role = object_get(selectors->objects[i], "role")->text;
        for (uint32_t j = 0; j < i; j++) {
            if (str_equal(object_get(selectors->objects[j], "role")->text, selector_role))
                return CHECK_FAIL(context, "duplicated selector role: %.*s",
                                  STR_ARG(selector_role));
        }
        if (!is_in(selector_role, role->allowed))
            return CHECK_FAIL(context, "%s role supports only %s selectors", role->name,
                              role->listed);
    }
    return OK;
}

static err_t check_kubernetes_access(struct check_context *context, const struct object *object)
{
    bool api_server = object_has_text(object, "api_server");
    bool kubeconfig = object_has_text(object, "kubeconfig_file");
    bool custom = http_client_is_custom(object);
    const struct object *namespaces = object_get(object, "namespaces")->object;
    bool own = namespaces != NULL && object_get(namespaces, "own_namespace")->b;
    if (kubeconfig && custom)
        return CHECK_FAIL(context, "cannot use a custom HTTP client configuration together with "
                                   "'kubeconfig_file'");
    if (kubeconfig && api_server)
        return CHECK_FAIL(context, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (!api_server && custom)
        return CHECK_FAIL(context, "to use custom HTTP client configuration please provide the "
                                   "'api_server' URL explicitly");
    if (api_server && own)
        return CHECK_FAIL(context, "cannot use 'api_server' and 'namespaces.own_namespace' "
                                   "simultaneously");
    if (kubeconfig && own)
        return CHECK_FAIL(context, "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' "
                                   "simultaneously");
    return OK;
}

err_t check_kubernetes(struct check_context *context, struct object *object)
{
    struct str role = object_get(object, "role")->text;
    TRY(need(context, object, "role",
             "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"));
    const struct kubernetes_role *known = NULL;
    for (size_t i = 0; i < sizeof kubernetes_roles / sizeof *kubernetes_roles; i++) {
        if (str_equal_cstr(role, kubernetes_roles[i].name))
            known = &kubernetes_roles[i];
    }
    if (known == NULL)
        return CHECK_FAIL(context, "unknown Kubernetes SD role \"%.*s\"", STR_ARG(role));
    TRY(check_kubernetes_access(context, object));
    TRY(check_kubernetes_selectors(context, object, known));
    return check_http_client(context, object);
}

err_t check_kuma(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "server", "kuma SD server must not be empty"));
    if (!url_has_host(object_get(object, "server")->text))
        return CHECK_FAIL(context, "kuma SD server must not be empty and have a scheme");
    return check_http_client(context, object);
}

err_t check_marathon(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "servers", "marathon_sd: must contain at least one Marathon server"));
    bool token = object_has_text(object, "auth_token");
    bool token_file = object_has_text(object, "auth_token_file");
    bool bearer =
        object_has_text(object, "bearer_token") || object_has_text(object, "bearer_token_file");
    if (token && token_file)
        return CHECK_FAIL(context, "marathon_sd: at most one of auth_token & auth_token_file must "
                                   "be configured");
    if ((token || token_file) && bearer)
        return CHECK_FAIL(context, "marathon_sd: at most one of bearer_token, bearer_token_file, "
                                   "auth_token & auth_token_file must be configured");
    if ((token || token_file) && object_get(object, "basic_auth")->object != NULL)
        return CHECK_FAIL(context, "marathon_sd: at most one of basic_auth, auth_token & "
                                   "auth_token_file must be configured");
    return check_http_client(context, object);
}

static err_t check_zookeeper(struct check_context *context, struct object *object, const char *name)
{
    const struct value *paths = object_get(object, "paths");
    if (object_get(object, "servers")->count == 0)
        return CHECK_FAIL(context, "%s SD config must contain at least one Zookeeper server", name);
    if (paths->count == 0)
        return CHECK_FAIL(context, "%s SD config must contain at least one path", name);
    for (uint32_t i = 0; i < paths->count; i++) {
        if (!str_starts_with(paths->strings[i], STR("/")))
            return CHECK_FAIL(context, "%s SD config paths must begin with '/': %.*s", name,
                              STR_ARG(paths->strings[i]));
    }
    return OK;
}

err_t check_nerve(struct check_context *context, struct object *object)
{
    return check_zookeeper(context, object, "nerve");
}

err_t check_serverset(struct check_context *context, struct object *object)
{
    return check_zookeeper(context, object, "serverset");
}

err_t check_nomad(struct check_context *context, struct object *object)
{
    if (str_trim(object_get(object, "server")->text).size == 0)
        return CHECK_FAIL(context, "nomad SD configuration requires a server address");
    return check_http_client(context, object);
}

err_t check_oci(struct check_context *context, struct object *object)
{
    if (object_has_text(object, "key") && object_has_text(object, "key_file"))
        return CHECK_FAIL(context, "at most one of key & key_file must be configured");
    return check_http_client(context, object);
}

err_t check_openstack(struct check_context *context, struct object *object)
{
    static const char *const availabilities[] = {"public", "internal", "admin", NULL};
    static const char *const roles[] = {"hypervisor", "instance", "loadbalancer", NULL};
    struct str role = object_get(object, "role")->text;
    struct str availability = object_get(object, "availability")->text;
    if (!is_in(availability, availabilities))
        return CHECK_FAIL(context,
                          "unknown availability %.*s, must be one of admin, internal or "
                          "public",
                          STR_ARG(availability));
    TRY(need(context, object, "role", "role missing (one of: instance, hypervisor, loadbalancer)"));
    if (!is_in(role, roles))
        return CHECK_FAIL(context, "unknown OpenStack SD role \"%.*s\"", STR_ARG(role));
    return need(context, object, "region", "openstack SD configuration requires a region");
}

err_t check_outscale(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "region", "outscale SD configuration requires a region"));
    TRY(need(context, object, "access_key", "outscale SD configuration requires an access_key"));
    bool key = object_has_text(object, "secret_key");
    bool file = object_has_text(object, "secret_key_file");
    if (!key && !file)
        return CHECK_FAIL(context, "one of secret_key & secret_key_file must be configured");
    if (key && file)
        return CHECK_FAIL(context,
                          "at most one of secret_key & secret_key_file must be configured");
    return check_http_client(context, object);
}

err_t check_ovhcloud(struct check_context *context, struct object *object)
{
    static const char *const services[] = {"vps", "dedicated_server", NULL};
    struct str service = object_get(object, "service")->text;
    TRY(need(context, object, "endpoint", "endpoint can not be empty"));
    TRY(need(context, object, "application_key", "application key can not be empty"));
    TRY(need(context, object, "application_secret", "application secret can not be empty"));
    TRY(need(context, object, "consumer_key", "consumer key can not be empty"));
    if (!is_in(service, services))
        return CHECK_FAIL(context, "unknown service: %.*s", STR_ARG(service));
    return OK;
}

err_t check_puppetdb(struct check_context *context, struct object *object)
{
    TRY(need_http_url(context, object));
    TRY(need(context, object, "query", "query missing"));
    return check_http_client(context, object);
}

err_t check_scaleway(struct check_context *context, struct object *object)
{
    static const char *const roles[] = {"instance", "baremetal", NULL};
    struct str role = object_get(object, "role")->text;
    if (!is_in(role, roles))
        return CHECK_FAIL(context, "unknown role \"%.*s\"", STR_ARG(role));
    TRY(need(context, object, "project_id", "project_id is mandatory"));
    bool key = object_has_text(object, "secret_key");
    bool file = object_has_text(object, "secret_key_file");
    if (!key && !file)
        return CHECK_FAIL(context, "one of secret_key & secret_key_file must be configured");
    if (key && file)
        return CHECK_FAIL(context,
                          "at most one of secret_key & secret_key_file must be configured");
    TRY(need(context, object, "access_key", "access_key is mandatory"));
    return check_http_client(context, object);
}

err_t check_stackit(struct check_context *context, struct object *object)
{
    struct str endpoint = object_get(object, "endpoint")->text;
    if (endpoint.size > 0 && !url_is_http(endpoint))
        return CHECK_FAIL(context, "invalid endpoint: parse \"%.*s\": missing protocol scheme",
                          STR_ARG(endpoint));
    if (endpoint.size == 0)
        TRY(need(context, object, "region", "stackit_sd: region must not be empty"));
    return check_http_client(context, object);
}

err_t check_triton(struct check_context *context, struct object *object)
{
    static const char *const roles[] = {"container", "cn", NULL};
    if (!is_in(object_get(object, "role")->text, roles))
        return CHECK_FAIL(context,
                          "triton SD configuration requires role to be 'container' or 'cn'");
    TRY(need(context, object, "account", "triton SD configuration requires an account"));
    TRY(need(context, object, "dns_suffix", "triton SD configuration requires a dns_suffix"));
    TRY(need(context, object, "endpoint", "triton SD configuration requires an endpoint"));
    if (object_get(object, "refresh_interval")->i <= 0)
        return CHECK_FAIL(context, "triton SD configuration requires RefreshInterval to be a "
                                   "positive integer");
    return OK;
}

err_t check_uyuni(struct check_context *context, struct object *object)
{
    TRY(need(context, object, "server", "Uyuni SD configuration requires server host"));
    TRY(need(context, object, "username", "Uyuni SD configuration requires a username"));
    TRY(need(context, object, "password", "Uyuni SD configuration requires a password"));
    return check_http_client(context, object);
}
