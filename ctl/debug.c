/* narthexctl debug …: what a server says of itself, in one archive to be handed on. */
#include <stdio.h>

#include "client.h"
#include "tar.h"

enum { PAGE_TIMEOUT_MS = 60000 };

static const char archive_name[] = "debug.tar.gz";

/* A page and the file that it becomes. */
struct page {
    const char *path;
    const char *file;
};

static const struct page metrics_pages[] = {{"/metrics", "metrics.txt"}, {NULL, NULL}};
static const struct page all_pages[] = {
    {"/metrics", "metrics.txt"},
    {"/api/v1/status/buildinfo", "buildinfo.json"},
    {"/api/v1/status/runtimeinfo", "runtimeinfo.json"},
    {"/api/v1/status/flags", "flags.json"},
    {"/api/v1/status/config", "config.json"},
    {"/api/v1/features", "features.json"},
    {"/api/v1/status/walreplay", "walreplay.json"},
    {"/api/v1/status/tsdb", "tsdb.json"},
    {"/api/v1/status/tsdb/blocks", "blocks.json"},
    {"/api/v1/status/active_queries", "active_queries.json"},
    {"/api/v1/status/self_metrics", "self_metrics.json"},
    {"/api/v1/notifications", "notifications.json"},
    {"/api/v1/scrape_pools", "scrape_pools.json"},
    {"/api/v1/targets", "targets.json"},
    {NULL, NULL},
};

static err_t collect(struct ctl_client *client, const char *server, const struct page *page,
                     struct strbuf *tar, struct strbuf *why)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct strbuf cause = STRBUF_INIT;
    uint32_t status = 0;
    ctl_url_add(&url, server, page->path);
    printf("collecting: %s\n", strbuf_cstr(&url));
    fflush(stdout);
    err_t err =
        ctl_client_fetch(client, strbuf_cstr(&url), NULL, PAGE_TIMEOUT_MS, &status, &body, &cause);
    if (err != OK)
        err = err_fail(why, err, "error executing HTTP request: %s", strbuf_cstr(&cause));
    else if (status != 200)
        err = err_fail(why, ERR_IO, "error executing HTTP request: %s: status %u",
                       strbuf_cstr(&url), status);
    else
        ctl_tar_add(tar, page->file, strbuf_str(&body));
    strbuf_deinit(&cause);
    strbuf_deinit(&body);
    strbuf_deinit(&url);
    return err;
}

/* A server that is not well may still show some of the pages: those are written. */
static int collect_pages(struct ctl_client *client, const char *server, const struct page *pages)
{
    struct strbuf tar = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    int status = CTL_OK;
    for (; pages->path != NULL; pages++) {
        if (collect(client, server, pages, &tar, &why) == OK)
            continue;
        fprintf(stderr, "error completing debug command: %s\n", strbuf_cstr(&why));
        status = CTL_FAILED;
        if (tar.size == 0)
            break; /* not even the first */
    }
    if (tar.size > 0) {
        if (ctl_tar_write(&tar, archive_name, &why) == OK) {
            printf("Compiling debug information complete, all files written in \"%s\".\n",
                   archive_name);
        } else {
            fprintf(stderr, "error completing debug command: %s\n", strbuf_cstr(&why));
            status = CTL_FAILED;
        }
    }
    strbuf_deinit(&why);
    strbuf_deinit(&tar);
    return status;
}

static int debug(const struct ctl_arguments *arguments, const struct page *pages)
{
    struct ctl_client *client;
    struct strbuf why = STRBUF_INIT;
    int status = ctl_client_open(arguments, &client, &why) == OK ? CTL_OK : ctl_fail(&why);
    if (status == CTL_OK) {
        status = collect_pages(client, arguments->rest[0], pages);
        ctl_client_close(client);
    }
    strbuf_deinit(&why);
    return status;
}

int ctl_debug_all(const struct ctl_arguments *arguments)
{
    return debug(arguments, all_pages);
}

int ctl_debug_metrics(const struct ctl_arguments *arguments)
{
    return debug(arguments, metrics_pages);
}

int ctl_debug_pprof(const struct ctl_arguments *arguments)
{
    (void)arguments;
    fprintf(stderr, "narthexctl: error: the server has no pprof profiles: it is no Go program; "
                    "\"debug all\" collects what there is, \"perf record -p PID\" makes a profile "
                    "of it\n");
    return CTL_FAILED;
}
