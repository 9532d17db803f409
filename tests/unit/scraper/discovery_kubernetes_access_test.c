#include "discovery_kubernetes_access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/fs.h"

static char folder[64];

static struct str write_file(const char *name, const char *text)
{
    static char path[256];
    struct strbuf why = STRBUF_INIT;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (fs_write_atomic(fs_system(), path, text, strlen(text), &why) != OK)
        fail_msg("%s", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return str_from_cstr(path);
}

static void assert_str(struct str found, const char *expected)
{
    if (!str_equal_cstr(found, expected))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(found), expected);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kubernetes-access-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    struct strbuf why = STRBUF_INIT;
    err_t err = fs_remove_tree(fs_system(), folder, &why);
    strbuf_deinit(&why);
    return err != OK;
}

static void assert_fails(const struct kubernetes_discovery_config *config,
                         const struct kubernetes_pod_environment *environment, err_t expected,
                         const char *text)
{
    struct kubernetes_access access;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(kubernetes_access_open(&access, config, environment, &why), expected);
    if (strstr(strbuf_cstr(&why), text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, strbuf_cstr(&why));
    kubernetes_access_close(&access);
    strbuf_deinit(&why);
}

static void assert_spaces(struct kubernetes_access *access, const struct str *names,
                          uint32_t name_count, const char *expected)
{
    const struct kubernetes_discovery_config config = {.namespaces = names,
                                                       .namespace_count = name_count};
    uint32_t count;
    const struct str *spaces = kubernetes_access_spaces(access, &config, &count);
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++)
        strbuf_printf(&text, "%.*s ", STR_ARG(spaces[i]));
    assert_string_equal(strbuf_cstr(&text), expected);
    strbuf_deinit(&text);
}

static void test_in_cluster(void **state)
{
    (void)state;
    struct kubernetes_discovery_config config = {.own_namespace = true};
    struct kubernetes_pod_environment environment = {NULL, NULL, folder};
    assert_fails(&config, &environment, ERR_UNAVAILABLE,
                 "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
    environment.host = "fd00::1";
    environment.port = "6443";
    assert_fails(&config, &environment, ERR_NOT_FOUND, "/token: no such file");
    (void)write_file("token", "secret\n");
    assert_fails(&config, &environment, ERR_NOT_FOUND, "namespace");
    (void)write_file("namespace", "monitoring\n");

    struct kubernetes_access access;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(kubernetes_access_open(&access, &config, &environment, &why), OK);
    assert_str(access.server, "https://[fd00::1]:6443");
    assert_str(access.own_space, "monitoring");
    assert_true(access.http.has_authorization);
    assert_true(str_ends_with(access.http.credentials.file, STR("/token")));
    assert_true(str_ends_with(access.http.tls.ca_file, STR("/ca.crt")));
    assert_spaces(&access, NULL, 0, "monitoring ");
    static const struct str names[] = {STR_INIT("b"), STR_INIT("monitoring"), STR_INIT("b"),
                                       STR_INIT("a")};
    assert_spaces(&access, names, 4, "b monitoring a ");
    assert_spaces(&access, names, 1, "b monitoring ");
    kubernetes_access_close(&access);
    strbuf_deinit(&why);
}

static void test_api_server(void **state)
{
    (void)state;
    struct kubernetes_discovery_config config = {.api_server = STR("http://api/prefix//"),
                                                 .http.username = STR("u")};
    struct kubernetes_access access;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(kubernetes_access_open(&access, &config, NULL, &why), OK);
    assert_str(access.server, "http://api/prefix");
    assert_str(access.http.username, "u");
    assert_spaces(&access, NULL, 0, "");
    kubernetes_access_close(&access);
    strbuf_deinit(&why);
}

#define CLUSTERS                                                                                   \
    "current-context: b\n"                                                                         \
    "contexts:\n"                                                                                  \
    "- {name: a, context: {cluster: none, user: none}}\n"                                          \
    "- {name: b, context: {cluster: c, user: u, namespace: n}}\n"                                  \
    "clusters:\n"                                                                                  \
    "- {name: x, cluster: {server: 'http://wrong'}}\n"                                             \
    "- name: c\n"                                                                                  \
    "  cluster: {server: 'https://k:6443/', certificate-authority-data: UEVN, "                    \
    "tls-server-name: kubernetes, proxy-url: 'http://proxy:1'}\n"

static void test_kubeconfig(void **state)
{
    (void)state;
    struct kubernetes_discovery_config config = {
        .kubeconfig_file = write_file("config", CLUSTERS "users:\n"
                                                         "- name: u\n"
                                                         "  user:\n"
                                                         "    client-certificate: pki/me.crt\n"
                                                         "    client-key-data: S0VZ\n"
                                                         "    token: t\n")};
    struct kubernetes_access access;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(kubernetes_access_open(&access, &config, NULL, &why), OK);
    assert_str(access.server, "https://k:6443");
    assert_str(access.http.tls.ca, "PEM");
    assert_str(access.http.tls.server_name, "kubernetes");
    assert_str(access.http.tls.key.value, "KEY");
    assert_true(str_starts_with(access.http.tls.cert_file, str_from_cstr(folder)));
    assert_true(str_ends_with(access.http.tls.cert_file, STR("/pki/me.crt")));
    assert_str(access.http.credentials.value, "t");
    assert_str(access.http.proxy.url, "http://proxy:1");
    kubernetes_access_close(&access);

    config.kubeconfig_file =
        write_file("config", CLUSTERS "users: [{name: u, user: {username: me, password: p}}]\n");
    assert_int_equal(kubernetes_access_open(&access, &config, NULL, &why), OK);
    assert_true(access.http.has_basic_auth && !access.http.has_authorization);
    assert_str(access.http.username, "me");
    assert_str(access.http.password.value, "p");
    kubernetes_access_close(&access);

    config.kubeconfig_file =
        write_file("config", CLUSTERS "users: [{name: u, user: {token: t, tokenFile: tok}}]\n");
    assert_int_equal(kubernetes_access_open(&access, &config, NULL, &why), OK);
    assert_true(str_ends_with(access.http.credentials.file, STR("/tok")));
    assert_int_equal(access.http.credentials.value.size, 0);
    kubernetes_access_close(&access);
    strbuf_deinit(&why);
}

static void test_bad_kubeconfigs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t err;
        const char *why;
    } cases[] = {
        {"", ERR_INVALID, "no current-context"},
        {"a: [", ERR_INVALID, "yaml: line"},
        {"current-context: q\n", ERR_INVALID, "context \"q\" does not exist"},
        {"current-context: q\ncontexts: [{name: q, context: {cluster: c}}]\n", ERR_INVALID,
         "cluster \"c\" does not exist"},
        {"current-context: q\ncontexts: [{name: q, context: {cluster: c}}]\n"
         "clusters: [{name: c, cluster: {}}]\n",
         ERR_INVALID, "no server"},
        {"current-context: q\ncontexts: [{name: q, context: {cluster: c}}]\n"
         "clusters: [{name: c, cluster: {server: 'h', certificate-authority-data: '!'}}]\n",
         ERR_INVALID, "certificate-authority-data is not base64"},
        {CLUSTERS, ERR_INVALID, "user \"u\" does not exist"},
        {CLUSTERS "users: [{name: u, user: {exec: {command: aws}}}]\n", ERR_UNSUPPORTED,
         "\"exec\" are not supported"},
        {CLUSTERS "users: [{name: u, user: {token: t, username: u}}]\n", ERR_INVALID,
         "both a token and a password"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kubernetes_discovery_config config = {.kubeconfig_file =
                                                         write_file("config", cases[i].text)};
        assert_fails(&config, NULL, cases[i].err, cases[i].why);
    }
    struct kubernetes_discovery_config config = {.kubeconfig_file = STR("/nowhere/config")};
    assert_fails(&config, NULL, ERR_NOT_FOUND, "kubeconfig /nowhere/config");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_cluster),
        cmocka_unit_test(test_api_server),
        cmocka_unit_test(test_kubeconfig),
        cmocka_unit_test(test_bad_kubeconfigs),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
