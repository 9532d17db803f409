/* A configured job as the running parts hold it: the configuration, its compiled HTTP client and
 * request headers. Reference counted; immutable except for what is marked. Any thread. */
#pragma once

#include <stdatomic.h>

#include "narthex/base/err.h"
#include "narthex/base/metrics.h"
#include "narthex/scraper/http_client.h"
#include "narthex/scraper/scrape_config.h"

/* One scrape_manager_apply: the configuration lives until the last job made from it is gone. */
struct scrape_job_set {
    _Atomic uint32_t references;
    void (*release)(void *context);
    void *context;
};

struct scrape_job {
    _Atomic uint32_t references;
    struct scrape_job_set *set;
    const struct scrape_config *config; /* owned by the set */
    struct http_client *client;
    struct str accept; /* value of the Accept header; owned */
    /* Unique active targets, for target_limit. Written by the manager, relaxed: a scrape may see
     * the count of the sync before. */
    _Atomic uint64_t target_count;
    _Atomic int failure_log_fd; /* -1: none; relaxed: written by the manager */
};

struct scrape_job_set *scrape_job_set_create(void (*release)(void *context), void *context);
void scrape_job_set_unref(struct scrape_job_set *set);

/* Takes a reference to the set. Fails when the HTTP client cannot be made. */
err_t scrape_job_create(struct scrape_job_set *set, const struct scrape_config *config,
                        struct scrape_job **job, struct strbuf *why);
/* Opens the scrape failure log anew, as after its file was moved away. */
void scrape_job_reopen_log(struct scrape_job *job);
struct scrape_job *scrape_job_ref(struct scrape_job *job);
void scrape_job_unref(struct scrape_job *job);
