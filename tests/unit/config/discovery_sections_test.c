/* What the loader says to discovery sections that cannot be right (spec discovery.md 2 to 5). */
#include "narthex/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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
    {"kubernetes_sd", "{role: pod, selectors: [{role: pod}, {role: pod}]}",
     "duplicated selector role: pod"},
    {"kubernetes_sd", "{role: pod, selectors: [{role: pod, field: 'a~b'}]}", "a~b"},

    {"consul_sd", "{server: ''}", "consul SD configuration requires a server address"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
