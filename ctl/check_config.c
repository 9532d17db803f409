/* narthexctl check config: the file as the server reads it, and the files that it names. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"
#include "narthex/base/duration.h"
#include "narthex/config/config.h"
#include "narthex/scraper/discovery.h"
#include "narthex/scraper/discovery_probe.h"

/* What --lint asks for. */
struct lint {
    bool intervals;
    bool fatal;
    int64_t lookback_ms;
};

static err_t check_exists(struct str path, const char *format, struct strbuf *why)
{
    struct stat status;
    char name[4096];
    snprintf(name, sizeof name, "%.*s", STR_ARG(path));
    if (path.size == 0 || stat(name, &status) == 0)
        return OK;
    const char *cause = errno == ENOENT ? "no such file or directory" : strerror(errno);
    strbuf_clear(why);
    strbuf_printf(why, "error checking %s file \"%s\": stat %s: %s", format, name, name, cause);
    return ERR_NOT_FOUND;
}

static err_t check_client_files(const struct http_client_config *http, struct strbuf *why)
{
    TRY(check_exists(http->credentials.file, "authorization credentials or bearer token", why));
    TRY(check_exists(http->tls.cert_file, "client cert", why));
    return check_exists(http->tls.key.file, "client key", why);
}

static int match(struct str pattern, glob_t *found)
{
    char text[4096];
    snprintf(text, sizeof text, "%.*s", STR_ARG(pattern));
    return glob(text, 0, NULL, found);
}

static err_t check_target_files(const struct scrape_config *job,
                                const struct file_discovery_config *files, struct strbuf *why)
{
    struct strbuf cause = STRBUF_INIT;
    err_t err = OK;
    for (uint32_t i = 0; i < files->file_count && err == OK; i++) {
        glob_t found;
        if (match(files->files[i], &found) != 0) {
            printf("  WARNING: file \"%.*s\" for file_sd in scrape job \"%.*s\" does not exist\n",
                   STR_ARG(files->files[i]), STR_ARG(job->job_name));
            continue;
        }
        for (size_t f = 0; f < found.gl_pathc && err == OK; f++) {
            err = discovery_probe_file(found.gl_pathv[f], &cause);
            if (err != OK)
                err = err_fail(why, err, "checking SD file \"%s\": %s", found.gl_pathv[f],
                               strbuf_cstr(&cause));
        }
        globfree(&found);
    }
    strbuf_deinit(&cause);
    return err;
}

/* Static targets that relabeling makes none of are left out by the server, as promtool refuses. */
static err_t check_static_targets(const struct scrape_config *job, struct strbuf *why)
{
    struct scrape_config only_static = *job;
    struct discovery_probe probe;
    struct arena arena;
    only_static.discovery_count = 0;
    arena_init(&arena, MEM_DISCOVERY, SIZE_MAX);
    err_t err = OK;
    /* What keeps the job's client from being made is judged with its files. */
    if (discovery_probe_job(&only_static, 0, &arena, &probe, why) == OK) {
        for (size_t i = 0; i < probe.count && err == OK; i++) {
            if (probe.items[i].error.size > 0)
                err = err_fail(why, ERR_INVALID, "a static target of job \"%.*s\": %.*s",
                               STR_ARG(job->job_name), STR_ARG(probe.items[i].error));
        }
    }
    arena_deinit(&arena);
    return err;
}

static err_t check_job(const struct scrape_config *job, struct strbuf *why)
{
    TRY(check_client_files(&job->http, why));
    TRY(check_static_targets(job, why));
    for (uint32_t i = 0; i < job->discovery_count; i++) {
        const struct discovery_config *discovery = &job->discovery[i];
        if (str_equal(discovery->mechanism, STR("file"))) {
            TRY(check_target_files(job, discovery->settings, why));
        } else if (str_equal(discovery->mechanism, STR("kubernetes"))) {
            const struct kubernetes_discovery_config *kubernetes = discovery->settings;
            TRY(check_client_files(&kubernetes->http, why));
        }
    }
    return OK;
}

/* Warns of files without which the server starts and then fails where they are needed. */
static void warn_of_file(void *context, const char *key, struct str path)
{
    static const char *const judged_elsewhere[] = {"rule_files", "scrape_config_files",
                                                   "credentials_file", "bearer_token_file",
                                                   "cert_file", "key_file", "files",
                                                   /* these are written */
                                                   "query_log_file", "scrape_failure_log_file"};
    struct strbuf why = STRBUF_INIT;
    (void)context;
    for (size_t i = 0; i < sizeof judged_elsewhere / sizeof *judged_elsewhere; i++) {
        if (strcmp(key, judged_elsewhere[i]) == 0)
            return;
    }
    if (check_exists(path, "", &why) != OK)
        printf("  WARNING: %s \"%.*s\" does not exist\n", key, STR_ARG(path));
    strbuf_deinit(&why);
}

/* Without a star a pattern must be there. */
static err_t find_rule_files(const struct config *config, glob_t *found, struct strbuf *why)
{
    *found = (glob_t){0};
    for (uint32_t i = 0; i < config->rule_file_count; i++) {
        struct str pattern = config->rule_files[i];
        char text[4096];
        snprintf(text, sizeof text, "%.*s", STR_ARG(pattern));
        size_t before = found->gl_pathc;
        glob(text, i == 0 ? 0 : GLOB_APPEND, NULL, found);
        if (found->gl_pathc == before && str_find(pattern, '*', 0) == SIZE_MAX)
            return err_fail(why, ERR_NOT_FOUND, "\"%s\" does not point to an existing file", text);
    }
    return OK;
}

static err_t check_files(const struct config *config, glob_t *rule_files, struct strbuf *why)
{
    TRY(find_rule_files(config, rule_files, why));
    for (uint32_t i = 0; i < config->scrape_config_count; i++)
        TRY(check_job(&config->scrape_configs[i], why));
    config_visit_files(config, warn_of_file, NULL);
    return OK;
}

/* Jobs whose samples are stale before the next scrape; how many. */
static int lint_intervals(const struct config *config, const struct lint *lint)
{
    int count = 0;
    for (uint32_t i = 0; i < config->scrape_config_count && lint->intervals; i++) {
        const struct scrape_config *job = &config->scrape_configs[i];
        struct strbuf interval = STRBUF_INIT;
        struct strbuf lookback = STRBUF_INIT;
        if (job->interval_ms >= lint->lookback_ms) {
            duration_print(job->interval_ms, &interval);
            duration_print(lint->lookback_ms, &lookback);
            fprintf(stderr,
                    "%s  lint error: the scrape interval %s of job \"%.*s\" is not below the "
                    "lookback delta %s\n",
                    count == 0 ? "  FAILED:\n" : "", strbuf_cstr(&interval), STR_ARG(job->job_name),
                    strbuf_cstr(&lookback));
            count++;
        }
        strbuf_deinit(&lookback);
        strbuf_deinit(&interval);
    }
    return count;
}

static void print_success(const char *path, const struct config *config, const glob_t *rule_files)
{
    if (rule_files->gl_pathc > 0)
        printf("  SUCCESS: %zu rule files found\n", rule_files->gl_pathc);
    printf(" SUCCESS: %s is valid prometheus config file syntax\n", path);
    for (uint32_t i = 0; i < config->unsupported_count; i++)
        printf("  not run by this version: %.*s\n", STR_ARG(config->unsupported[i]));
    printf("\n");
    for (size_t i = 0; i < rule_files->gl_pathc; i++)
        printf("Checking %s\n  not checked: rules are not built yet\n\n", rule_files->gl_pathv[i]);
}

static int check_one(const char *path, const struct ctl_arguments *arguments,
                     const struct lint *lint)
{
    struct config_options options = {.agent = ctl_switch(arguments, "agent")};
    struct config *config = NULL;
    struct strbuf why = STRBUF_INIT;
    glob_t rule_files = {0};
    int status = CTL_OK;
    printf("Checking %s\n", path);
    err_t err = config_load(path, &options, &config, &why);
    if (err == OK && !ctl_switch(arguments, "syntax-only"))
        err = check_files(config, &rule_files, &why);
    if (err != OK) {
        fflush(stdout);
        fprintf(stderr, "  FAILED: %s\n", strbuf_cstr(&why));
        printf("\n");
        status = CTL_FAILED;
    } else {
        print_success(path, config, &rule_files);
        fflush(stdout);
        if (lint_intervals(config, lint) > 0 && lint->fatal)
            status = CTL_LINT;
    }
    fflush(stdout);
    globfree(&rule_files);
    config_unpin(config);
    strbuf_deinit(&why);
    return status;
}

/* The names that --lint lists; all of promtool's are known, whether they apply here or not. */
static void read_lint(const struct ctl_arguments *arguments, struct lint *lint)
{
    static const char *const known[] = {"all", "duplicate-rules", "none",
                                        "too-long-scrape-interval", NULL};
    const char *at = ctl_option(arguments, "lint", "duplicate-rules");
    *lint = (struct lint){.fatal = ctl_switch(arguments, "lint-fatal"),
                          .lookback_ms = ctl_option_ms(arguments, "query.lookback-delta", "5m")};
    while (*at != '\0') {
        struct str name = str_from(at, strcspn(at, ","));
        size_t i = 0;
        while (known[i] != NULL && !str_equal_cstr(name, known[i]))
            i++;
        if (known[i] == NULL)
            printf("WARNING: unknown lint option %.*s\n", STR_ARG(name));
        lint->intervals |= i == 0 || i == 3;
        at += name.size + (at[name.size] == ',');
    }
}

int ctl_check_config(const struct ctl_arguments *arguments)
{
    struct lint lint;
    int worst = CTL_OK;
    read_lint(arguments, &lint);
    for (uint32_t i = 0; i < arguments->rest_count; i++) {
        int status = check_one(arguments->rest[i], arguments, &lint);
        if (status == CTL_FAILED || worst == CTL_OK)
            worst = status;
    }
    return worst;
}
