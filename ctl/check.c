/* narthexctl check web-config, healthy and ready. */
#include <stdio.h>

#include "client.h"
#include "narthex/config/web_tls.h"

enum { CHECK_TIMEOUT_MS = 10000 };

/* The file and the certificates that it names, as the server reads them. */
static err_t check_web_file(const char *path, struct strbuf *why)
{
    struct web_config *config;
    struct web_tls *tls = NULL;
    TRY(web_config_load(path, &config, why));
    err_t err = config->tls.enabled ? web_tls_create(&config->tls, &tls, why) : OK;
    web_tls_destroy(tls);
    web_config_free(config);
    return err;
}

int ctl_check_web_config(const struct ctl_arguments *arguments)
{
    int status = CTL_OK;
    for (uint32_t i = 0; i < arguments->rest_count; i++) {
        struct strbuf why = STRBUF_INIT;
        if (check_web_file(arguments->rest[i], &why) == OK) {
            fprintf(stderr, "%s SUCCESS\n", arguments->rest[i]);
        } else {
            fprintf(stderr, "%s FAILED: %s\n", arguments->rest[i], strbuf_cstr(&why));
            status = CTL_FAILED;
        }
        strbuf_deinit(&why);
    }
    return status;
}

static int check_page(const struct ctl_arguments *arguments, const char *path)
{
    struct ctl_client *client;
    struct strbuf url = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    uint32_t status = 0;
    int result = CTL_FAILED;
    ctl_url_add(&url, ctl_option(arguments, "url", "http://localhost:9090"), path);
    err_t err = ctl_client_open(arguments, &client, &why);
    if (err == OK) {
        err = ctl_client_fetch(client, strbuf_cstr(&url), NULL, CHECK_TIMEOUT_MS, &status, &body,
                               &why);
        ctl_client_close(client);
    }
    if (err != OK) {
        fprintf(stderr, "  FAILED: %s\n", strbuf_cstr(&why));
    } else if (status != 200) {
        fprintf(stderr, "  FAILED: check failed: URL=%s, status=%u\n", strbuf_cstr(&url), status);
    } else {
        fprintf(stderr, "  SUCCESS:  %s\n", strbuf_cstr(&body));
        result = CTL_OK;
    }
    strbuf_deinit(&why);
    strbuf_deinit(&body);
    strbuf_deinit(&url);
    return result;
}

int ctl_check_healthy(const struct ctl_arguments *arguments)
{
    return check_page(arguments, "/-/healthy");
}

int ctl_check_ready(const struct ctl_arguments *arguments)
{
    return check_page(arguments, "/-/ready");
}

/* ---- what is not built ---- */

int ctl_no_rules(const struct ctl_arguments *arguments)
{
    (void)arguments;
    fprintf(stderr, "narthexctl: error: recording and alerting rules are not built yet; nothing "
                    "was checked or run\n");
    return CTL_FAILED;
}

int ctl_no_remote_write(const struct ctl_arguments *arguments)
{
    (void)arguments;
    fprintf(stderr, "narthexctl: error: remote write is not built yet; nothing was pushed\n");
    return CTL_FAILED;
}

int ctl_no_write_bench(const struct ctl_arguments *arguments)
{
    (void)arguments;
    fprintf(stderr, "narthexctl: error: the storage is measured by the program tsdb-bench\n");
    return CTL_FAILED;
}
