/* narthexctl check … */
#include <stdio.h>

#include "ctl.h"
#include "narthex/config/config.h"
#include "narthex/config/web_tls.h"

static int check_one(const char *path)
{
    struct config_options options = {0};
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    printf("Checking %s\n", path);
    if (config_load(path, &options, &config, &why) != OK) {
        fprintf(stderr, "  FAILED: %s\n\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return CTL_FAILED;
    }
    printf(" SUCCESS: %s is valid prometheus config file syntax\n", path);
    for (uint32_t i = 0; i < config->unsupported_count; i++)
        printf("  not run by this version: %.*s\n", STR_ARG(config->unsupported[i]));
    printf("\n");
    config_unpin(config);
    return CTL_OK;
}

int ctl_check_config(const struct ctl_arguments *arguments)
{
    int status = CTL_OK;
    for (uint32_t i = 0; i < arguments->rest_count; i++) {
        if (check_one(arguments->rest[i]) != CTL_OK)
            status = CTL_FAILED;
    }
    return status;
}

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
    struct strbuf url = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    long status = 0;
    int result = CTL_FAILED;
    strbuf_add_cstr(&url, ctl_option(arguments, "url", "http://localhost:9090"));
    strbuf_add_cstr(&url, path);
    if (ctl_get(strbuf_cstr(&url), &status, &body, &why) != OK) {
        fprintf(stderr, "  FAILED: %s\n", strbuf_cstr(&why));
    } else if (status != 200) {
        fprintf(stderr, "  FAILED: check failed: URL=%s, status=%ld\n", strbuf_cstr(&url), status);
    } else {
        fprintf(stderr, "  SUCCESS: %s\n", strbuf_cstr(&body));
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
