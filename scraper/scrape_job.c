#include "scrape_job.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/model/exposition.h"

struct scrape_job_set *scrape_job_set_create(void (*release)(void *context), void *context)
{
    struct scrape_job_set *set = MEM_NEW(MEM_SCRAPE, struct scrape_job_set);
    atomic_init(&set->references, 1);
    set->release = release;
    set->context = context;
    return set;
}

/* Release on the way down and acquire at zero, so that the last owner sees all writes of the
 * others. */
static bool unref(_Atomic uint32_t *references)
{
    uint32_t before = atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

void scrape_job_set_unref(struct scrape_job_set *set)
{
    if (!unref(&set->references))
        return;
    if (set->release != NULL)
        set->release(set->context);
    mem_free(MEM_SCRAPE, set);
}

/* The two enums are one list; the model's header cannot see ours. */
static_assert((int)SCRAPE_PROTOCOL_PROTO == (int)EXPOSITION_PROTOCOL_PROTO, "same order");
static_assert((int)SCRAPE_PROTOCOL_TEXT_1_0_0 == (int)EXPOSITION_PROTOCOL_TEXT_1_0_0, "same order");

static void write_accept(const struct scrape_config *config, struct strbuf *out)
{
    enum exposition_protocol protocols[SCRAPE_PROTOCOL_COUNT_MAX];
    for (uint32_t i = 0; i < config->protocol_count; i++)
        protocols[i] = (enum exposition_protocol)config->protocols[i];
    exposition_accept_header(protocols, config->protocol_count, config->name_escaping, out);
}

/* A log that cannot be opened is reported and left out: scraping matters more. */
static int open_failure_log(struct str path)
{
    if (path.size == 0)
        return -1;
    struct strbuf name = STRBUF_INIT;
    strbuf_add_str(&name, path);
    int fd = open(strbuf_cstr(&name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        struct strbuf why = STRBUF_INIT;
        (void)err_fail_errno(&why, errno, "open %s", strbuf_cstr(&name));
        LOG_ERROR("Unable to create scrape failure logger", "err", strbuf_cstr(&why));
        strbuf_deinit(&why);
    }
    strbuf_deinit(&name);
    return fd;
}

err_t scrape_job_create(struct scrape_job_set *set, const struct scrape_config *config,
                        struct scrape_job **job, struct strbuf *why)
{
    struct http_client *client;
    TRY(http_client_create(&config->http, &client, why));
    struct scrape_job *j = MEM_NEW(MEM_SCRAPE, struct scrape_job);
    atomic_init(&j->references, 1);
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    j->set = set;
    j->config = config;
    j->client = client;
    atomic_init(&j->failure_log_fd, open_failure_log(config->scrape_failure_log_file));
    struct strbuf accept = STRBUF_INIT;
    write_accept(config, &accept);
    j->accept = str_from(mem_dup(MEM_SCRAPE, accept.data, accept.size), accept.size);
    strbuf_deinit(&accept);
    *job = j;
    return OK;
}

/* Shards may be writing: their descriptor keeps its number and gets another file. */
void scrape_job_reopen_log(struct scrape_job *job)
{
    int old = atomic_load_explicit(&job->failure_log_fd, memory_order_relaxed);
    int fd = open_failure_log(job->config->scrape_failure_log_file);
    if (fd < 0)
        return;
    if (old < 0) {
        atomic_store_explicit(&job->failure_log_fd, fd, memory_order_relaxed);
        return;
    }
    if (dup3(fd, old, O_CLOEXEC) < 0)
        LOG_ERROR("Unable to reopen the scrape failure log", "err", strerror(errno));
    close(fd);
}

struct scrape_job *scrape_job_ref(struct scrape_job *job)
{
    atomic_fetch_add_explicit(&job->references, 1, memory_order_relaxed);
    return job;
}

void scrape_job_unref(struct scrape_job *job)
{
    if (!unref(&job->references))
        return;
    http_client_destroy(job->client);
    int fd = atomic_load_explicit(&job->failure_log_fd, memory_order_relaxed);
    if (fd >= 0)
        close(fd);
    mem_free(MEM_SCRAPE, (char *)(uintptr_t)job->accept.data);
    scrape_job_set_unref(job->set);
    mem_free(MEM_SCRAPE, job);
}
