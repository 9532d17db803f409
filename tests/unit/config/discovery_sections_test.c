/* What the loader says to discovery sections that cannot be right (spec discovery.md 2 to 5). */
#include "narthex/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/scraper/discovery.h"

struct wrong_section {
    const char *mechanism;
    const char *section;
    const char *error;
};

static const struct wrong_section wrong_sections[] = {
    {"static", "~", "empty or null section in static_configs"},
    {"static", "{targets: [a], labels: {'': v}}", "is not a valid label name"},
    {"static", "{targets: [a], label: {}}", "field label not found"},

    {"file_sd", "{}", "file service discovery config must contain at least one path name"},
    {"file_sd", "{files: [a.txt]}", "a.txt\" is not valid for file discovery"},
    {"file_sd", "{files: ['*/b.json']}", "*/b.json\" is not valid"},
    {"file_sd", "{files: [a.Json]}", "a.Json\" is not valid for file discovery"},

    {"http_sd", "{}", "URL is missing"},
    {"http_sd", "{url: 'ftp://h/'}", "URL scheme must be 'http' or 'https'"},
    {"http_sd", "{url: 'http:///x'}", "host is missing in URL"},

    {"dns_sd", "{}", "DNS-SD config must contain at least one SRV record name"},
    {"dns_sd", "{names: [n], type: TXT}", "invalid DNS-SD records type TXT"},
    {"dns_sd", "{names: [n], type: A}",
     "a port is required in DNS-SD configs for all record types except SRV"},
    {"dns_sd", "{names: [n], type: mx}",
     "a port is required in DNS-SD configs for all record types except SRV"},

    {"docker_sd", "{}", "host missing"},
    {"dockerswarm_sd", "{role: tasks}", "host missing"},
    {"docker_sd", "{host: 'tcp://h', filters: [{name: label}]}",
     "filter values cannot be empty for filter \"label\""},
    {"docker_sd", "{host: 'tcp://h', role: tasks}", "field role not found"},
    {"dockerswarm_sd", "{host: 'tcp://h', role: task}",
     "invalid role task, expected tasks, services, or nodes"},
    {"dockerswarm_sd", "{host: 'tcp://h'}", "role missing (one of: tasks, services, nodes)"},

    {"kubernetes_sd", "{}",
     "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"},
    {"kubernetes_sd", "{role: pods}", "unknown Kubernetes SD role \"pods\""},
    {"kubernetes_sd", "{role: pod, api_server: 'http://h', kubeconfig_file: f}",
     "cannot use 'kubeconfig_file' and 'api_server' simultaneously"},
    {"kubernetes_sd", "{role: pod, kubeconfig_file: f, basic_auth: {username: u}}",
     "cannot use a custom HTTP client configuration together with 'kubeconfig_file'"},
    {"kubernetes_sd", "{role: pod, basic_auth: {username: u}}",
     "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"},
    {"kubernetes_sd", "{role: pod, api_server: 'http://h', namespaces: {own_namespace: true}}",
     "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously"},
    {"kubernetes_sd", "{role: pod, kubeconfig_file: f, namespaces: {own_namespace: true}}",
     "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously"},
    {"kubernetes_sd", "{role: pod, selectors: [{role: service}]}",
     "pod role supports only pod, node selectors"},
    {"kubernetes_sd", "{role: service, selectors: [{role: pod}]}",
     "service role supports only service selectors"},
    {"kubernetes_sd", "{role: endpoints, selectors: [{role: node}]}",
     "endpoints role supports only pod, service, endpoints selectors"},
    {"kubernetes_sd", "{role: endpointslice, selectors: [{role: endpoints}]}",
     "endpointslice role supports only pod, service, endpointslice selectors"},
    {"kubernetes_sd", "{role: node, selectors: [{role: pod}]}",
     "node role supports only node selectors"},
    {"kubernetes_sd", "{role: ingress, selectors: [{role: service}]}",
     "ingress role supports only ingress selectors"},
    {"kubernetes_sd", "{role: pod, selectors: [{role: pod, label: 'a in b'}]}", "a in b"},
    {"kubernetes_sd", "{role: pod, attach_metadata: {daemonset: true}}",
     "field daemonset not found"},
    {"kubernetes_sd", "{role: pod, selectors: [{role: pod}, {role: pod}]}",
     "duplicated selector role: pod"},
    {"kubernetes_sd", "{role: pod, selectors: [{role: pod, field: 'a~b'}]}", "a~b"},

    {"consul_sd", "{server: ''}", "consul SD configuration requires a server address"},
    {"consul_sd", "{server: ' '}", "consul SD configuration requires a server address"},
    {"consul_sd", "{username: u, basic_auth: {username: u}}",
     "at most one of consul SD configuration username and password and basic auth can be "
     "configured"},
    {"consul_sd", "{token: t, oauth2: {client_id: i, token_url: 'http://h'}}",
     "at most one of consul SD token, authorization, or oauth2 can be configured"},
    {"consul_sd", "{token: t, authorization: {credentials: c}}",
     "at most one of consul SD token, authorization, or oauth2 can be configured"},
};

static void test_wrong_sections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_sections / sizeof wrong_sections[0]; i++) {
        const struct wrong_section *wrong = &wrong_sections[i];
        struct strbuf yaml = STRBUF_INIT;
        struct strbuf why = STRBUF_INIT;
        const struct config_options options = {0};
        struct config *config;
        strbuf_printf(&yaml, "scrape_configs:\n- job_name: j\n  %s_configs: [%s]\n",
                      wrong->mechanism, wrong->section);
        err_t err =
            config_load_text(strbuf_str(&yaml), "test.yml", STR("/conf"), &options, &config, &why);
        if (err == OK || strstr(strbuf_cstr(&why), wrong->error) == NULL)
            fail_msg("%s: %s: \"%s\"", wrong->mechanism, wrong->section,
                     err == OK ? "accepted" : strbuf_cstr(&why));
        strbuf_deinit(&why);
        strbuf_deinit(&yaml);
    }
}

/* ---- what holds when nothing is written ---- */

static struct config *load(const char *sections)
{
    struct strbuf yaml = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    const struct config_options options = {0};
    struct config *config;
    strbuf_printf(&yaml, "scrape_configs:\n- job_name: j\n%s", sections);
    if (config_load_text(strbuf_str(&yaml), "test.yml", STR("/conf"), &options, &config, &why) !=
        OK)
        fail_msg("%s", strbuf_cstr(&why));
    strbuf_deinit(&why);
    strbuf_deinit(&yaml);
    return config;
}

static void assert_text(struct str text, const char *expected)
{
    if (!str_equal_cstr(text, expected))
        fail_msg("\"%.*s\", not \"%s\"", STR_ARG(text), expected);
}

static void assert_default_client(const struct http_client_config *http)
{
    assert_true(http->follow_redirects && http->enable_http2);
    assert_false(http->has_basic_auth || http->has_authorization);
    assert_null(http->oauth2);
    assert_int_equal(http->header_count, 0);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = load("  file_sd_configs: [{files: [a.yml]}]\n"
                                 "  http_sd_configs: [{url: 'http://h/'}]\n"
                                 "  dns_sd_configs: [{names: [n]}]\n"
                                 "  docker_sd_configs: [{host: 'tcp://h:1'}]\n"
                                 "  dockerswarm_sd_configs: [{host: 'tcp://h:1', role: nodes}]\n");
    const struct discovery_config *found = config->scrape_configs[0].discovery;
    for (uint32_t i = 0; i < config->scrape_configs[0].discovery_count; i++) {
        struct str name = found[i].mechanism;
        if (str_equal(name, STR("file"))) {
            const struct file_discovery_config *file = found[i].settings;
            assert_text(file->files[0], "/conf/a.yml");
            assert_int_equal(file->refresh_interval_ms, 300000);
        } else if (str_equal(name, STR("http"))) {
            const struct http_discovery_config *http = found[i].settings;
            assert_int_equal(http->refresh_interval_ms, 60000);
            assert_default_client(&http->http);
        } else if (str_equal(name, STR("dns"))) {
            const struct dns_discovery_config *dns = found[i].settings;
            assert_text(dns->type, "SRV");
            assert_int_equal(dns->refresh_interval_ms, 30000);
        } else {
            const struct docker_discovery_config *docker = found[i].settings;
            assert_int_equal(docker->port, 80);
            assert_int_equal(docker->refresh_interval_ms, 60000);
            assert_int_equal(docker->filter_count, 0);
            assert_default_client(&docker->http);
            if (str_equal(name, STR("docker"))) {
                assert_true(docker->match_first_network);
                assert_text(docker->host_networking_host, "localhost");
            }
        }
    }
    assert_int_equal(config->scrape_configs[0].discovery_count, 5);
    config_unpin(config);
}

static void test_defaults_of_consul(void **state)
{
    (void)state;
    struct config *config = load("  consul_sd_configs: [{}]\n");
    const struct consul_discovery_config *consul = config->scrape_configs[0].discovery[0].settings;
    assert_text(consul->server, "localhost:8500");
    assert_text(consul->scheme, "http");
    assert_text(consul->tag_separator, ",");
    assert_true(consul->allow_stale);
    assert_int_equal(consul->refresh_interval_ms, 30000);
    assert_int_equal(consul->service_count + consul->tag_count + consul->node_meta_count, 0);
    assert_int_equal(consul->path_prefix.size + consul->token.size + consul->datacenter.size, 0);
    assert_int_equal(consul->name_space.size + consul->partition.size, 0);
    assert_int_equal(consul->filter.size + consul->health_filter.size, 0);
    assert_default_client(&consul->http);
    config_unpin(config);
}

static void test_kubernetes(void **state)
{
    (void)state;
    struct config *config =
        load("  kubernetes_sd_configs:\n  - {role: pod}\n"
             "  - {role: pod, kubeconfig_file: k, namespaces: {names: [a, b]},"
             " selectors: [{role: node, label: 'l=1', field: 'f=2'}],"
             " attach_metadata: {node: true, namespace: true, deployment: true, job: true,"
             " cronjob: true}}\n");
    const struct kubernetes_discovery_config *k = config->scrape_configs[0].discovery[0].settings;
    assert_int_equal(k->api_server.size + k->kubeconfig_file.size, 0);
    assert_int_equal(k->namespace_count + k->selector_count, 0);
    assert_false(k->own_namespace || k->attach_node || k->attach_namespace ||
                 k->attach_deployment || k->attach_job || k->attach_cronjob);
    k = config->scrape_configs[0].discovery[1].settings;
    assert_text(k->kubeconfig_file, "/conf/k");
    assert_int_equal(k->namespace_count, 2);
    assert_text(k->namespaces[1], "b");
    assert_text(k->selectors[0].role, "node");
    assert_text(k->selectors[0].label, "l=1");
    assert_text(k->selectors[0].field, "f=2");
    assert_true(k->attach_node && k->attach_namespace && k->attach_deployment && k->attach_job &&
                k->attach_cronjob);
    config_unpin(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_sections),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_of_consul),
        cmocka_unit_test(test_kubernetes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
