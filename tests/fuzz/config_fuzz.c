/* Any configuration file, and any web configuration, loads or is refused with a text. Inputs are
 * taken as they are, and as choices from lists of lines, which reach far behind the YAML parser. */
#include <assert.h>
#include <stdint.h>

#include "narthex/base/log.h"
#include "narthex/config/config.h"
#include "narthex/config/web_config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    return 0;
}

static const char *const lines[] = {
    "global:",
    "scrape_configs:",
    "- job_name: a",
    "  static_configs:",
    "  - targets: ['x:1', y]",
    "    labels: {a: b, __c: d}",
    "  relabel_configs:",
    "  - source_labels: [a, b]",
    "    regex: '(.*)-x'",
    "    target_label: ${1}",
    "    action: hashmod",
    "    modulus: 7",
    "  scrape_interval: 10s",
    "  scrape_timeout: 1m",
    "  basic_auth: {username: u, password: p}",
    "  tls_config: {ca_file: x, min_version: TLS13}",
    "  dns_sd_configs: [{names: [a], type: SRV}]",
    "  kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}}]",
    "  docker_sd_configs: [{host: 'unix:///x'}]",
    "  sample_limit: -1",
    "  body_size_limit: 1MB",
    "storage: {tsdb: {out_of_order_time_window: 5m}}",
    "remote_write: [{url: 'http://x', queue_config: {}}]",
    "rule_files: [a, '*/b']",
    "x: &a [1, 2]",
    "y: *a",
    "z: {<<: *a}",
    "tls_server_config:",
    "  cert: x",
    "  key: |",
    "    y",
    "  client_auth_type: RequireAnyClientCert",
    "  cipher_suites: [TLS_AES_128_GCM_SHA256]",
    "http_server_config: {headers: {X-Frame-Options: deny}, http2: no}",
    "basic_auth_users: {a: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}",
    "rate_limit: {interval: 1.5h10ms, burst: 3}",
};
enum { LINE_COUNT = sizeof lines / sizeof *lines };

static void load(struct str text)
{
    struct strbuf why = STRBUF_INIT;
    struct config_options options = {0};
    struct config *config;
    struct web_config *web;
    if (config_load_text(text, "fuzz.yml", STR("/nonexistent"), &options, &config, &why) == OK)
        config_unpin(config);
    else
        assert(why.size > 0);
    strbuf_clear(&why);
    if (web_config_load_text(text, STR("/nonexistent"), &web, &why) == OK)
        web_config_free(web);
    else
        assert(why.size > 0);
    strbuf_deinit(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf text = STRBUF_INIT;
    load(str_from((const char *)data, size));
    for (size_t i = 0; i < size && i < 40; i++) {
        strbuf_add_cstr(&text, lines[data[i] % LINE_COUNT]);
        strbuf_add_char(&text, '\n');
    }
    load(strbuf_str(&text));
    strbuf_deinit(&text);
    return 0;
}
