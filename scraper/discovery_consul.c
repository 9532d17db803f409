/* consul_sd: services of a Consul catalog and their instances.
 *
 * One thread runs all queries over one curl multi handle. Each blocks at the server until its part
 * of the catalog changed; one that fails is asked again later, and what it found before stays. */
#include "discovery_consul.h"

#include <stdatomic.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"

enum {
    QUERIES_BUSY_MAX = 1000, /* connections at once */
    SERVICES_MAX = 20000,
    SETTLE_MS = 200, /* from the first change to a publication */
    POLL_MS_MAX = 1000,
    RETRY_MS = 15000,
    PAUSE_MS_MIN = 100,
};
static const int64_t ns_per_ms = 1000000;

static int64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static struct consul_metrics consul_metrics(struct metrics *r)
{
    static const char *const labels[] = {"endpoint", "call", NULL};
    static const struct str catalog[] = {STR_INIT("catalog"), STR_INIT("services")};
    static const struct str service[] = {STR_INIT("catalog"), STR_INIT("service")};
    static const double quantiles[] = {.5, .9, .99};
    if (r == NULL)
        return (struct consul_metrics){0};
    struct metric_family *duration =
        metrics_summary(r, "prometheus_sd_consul_rpc_duration_seconds",
                        "Time a query of Consul took, waiting for news included.", labels,
                        quantiles, sizeof quantiles / sizeof quantiles[0]);
    return (struct consul_metrics){
        metric_only(metrics_counter(r, "prometheus_sd_consul_rpc_failures_total",
                                    "Queries of Consul that failed.", NULL)),
        metric_distribution_with(duration, catalog),
        metric_distribution_with(duration, service),
    };
}

static void consul_register_metrics(struct metrics *r)
{
    (void)consul_metrics(r);
}

/* Named services without further conditions need no catalog. */
static bool needs_catalog(const struct consul_discovery_config *config)
{
    return config->service_count == 0 || config->tag_count > 0 || config->filter.size > 0;
}

static void add_first_queries(struct consul_discovery *consul)
{
    const struct consul_discovery_config *config = consul->config;
    if (needs_catalog(config)) {
        (void)consul_query_add(consul, CONSUL_CATALOG, STR(""));
        return;
    }
    for (uint32_t i = 0; i < config->service_count; i++)
        (void)consul_query_add(consul, CONSUL_SERVICE, config->services[i]);
}

static err_t consul_create(const void *settings, const struct discovery_env *env, void **state,
                           struct strbuf *why)
{
    const struct consul_discovery_config *config = settings;
    struct http_client *client;
    TRY(http_client_create(&config->http, &client, why));
    struct consul_discovery *consul = MEM_NEW(MEM_DISCOVERY, struct consul_discovery);
    consul->config = config;
    consul->env = env;
    consul->metrics = consul_metrics(env->metrics);
    consul->client = client;
    consul->multi = curl_multi_init();
    consul_address_parse(config, &consul->base_url, &consul->unix_socket);
    if (config->datacenter.size == 0) {
        (void)consul_query_add(consul, CONSUL_AGENT, STR(""));
    } else {
        strbuf_add_str(&consul->datacenter, config->datacenter);
        add_first_queries(consul);
    }
    *state = consul;
    return OK;
}

static void consul_destroy(void *state)
{
    struct consul_discovery *consul = state;
    while (consul->query_count > 0)
        consul_query_remove(consul, consul->query_count - 1);
    mem_free(MEM_DISCOVERY, consul->queries);
    curl_multi_cleanup(consul->multi);
    http_client_destroy(consul->client);
    strbuf_deinit(&consul->base_url);
    strbuf_deinit(&consul->datacenter);
    mem_free(MEM_DISCOVERY, consul);
}

/* ---- answers ---- */

static void note_change(struct consul_discovery *consul)
{
    if (consul->changed_ns == 0)
        consul->changed_ns = now_ns();
}

/* Services that are there no more go; what is left in `services` then is new. */
static void forget_services(struct consul_discovery *consul, json_t *services)
{
    for (uint32_t i = consul->query_count; i-- > 0;) {
        struct consul_query *query = consul->queries[i];
        if (query->kind != CONSUL_SERVICE)
            continue;
        const json_t *tags = json_object_getn(services, query->name.data, query->name.size);
        if (tags != NULL && consul_service_is_wanted(consul->config, query->name, tags))
            (void)json_object_deln(services, query->name.data, query->name.size);
        else
            consul_query_remove(consul, i);
    }
}

static uint32_t count_wanted(const struct consul_discovery *consul, json_t *services)
{
    uint32_t count = 0;
    const char *name;
    json_t *tags;
    json_object_foreach(services, name, tags) count +=
        consul_service_is_wanted(consul->config, str_from_cstr(name), tags);
    return count;
}

static err_t take_catalog(struct consul_discovery *consul, struct str text, struct strbuf *why)
{
    json_t *services;
    TRY(discovery_json_read(text, &services, why));
    err_t err = OK;
    uint32_t wanted = count_wanted(consul, services);
    if (!json_is_object(services)) {
        err = err_fail(why, ERR_INVALID, "the catalog is not an object");
    } else if (wanted > SERVICES_MAX) {
        err = err_fail(why, ERR_LIMIT, "the catalog has %u services, at most %d can be watched",
                       wanted, SERVICES_MAX);
    } else {
        const char *name;
        json_t *tags;
        forget_services(consul, services);
        json_object_foreach(services, name, tags)
        {
            if (consul_service_is_wanted(consul->config, str_from_cstr(name), tags))
                (void)consul_query_add(consul, CONSUL_SERVICE, str_from_cstr(name));
        }
        note_change(consul);
    }
    json_decref(services);
    return err;
}

static err_t take_service(struct consul_query *query, struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_DISCOVERY, query->arena.budget_bytes);
    struct discovered_groups groups = {.arena = &arena};
    err_t err = consul_service_read(query->consul->config, query->name,
                                    strbuf_str(&query->consul->datacenter),
                                    strbuf_str(&query->body), &groups, why);
    if (err != OK) {
        arena_deinit(&arena);
        return err;
    }
    arena_deinit(&query->arena);
    query->arena = arena;
    query->groups = groups;
    note_change(query->consul);
    return OK;
}

/* Takes what a query answered. *gone: the query is to be removed. */
static err_t take_answer(struct consul_query *query, bool *gone, struct strbuf *why)
{
    struct consul_discovery *consul = query->consul;
    uint64_t index = 0;
    if (query->kind == CONSUL_AGENT) {
        TRY(consul_agent_read(strbuf_str(&query->body), &consul->datacenter, why));
        add_first_queries(consul);
        *gone = true;
        return OK;
    }
    if (!str_to_uint64(str_from_cstr(query->transfer.answer.wanted_header), &index))
        index = 0;
    if (index != 0 && index == query->index)
        return OK; /* it waited, and nothing happened */
    if (query->kind == CONSUL_CATALOG)
        TRY(take_catalog(consul, strbuf_str(&query->body), why));
    else
        TRY(take_service(query, why));
    query->index = index;
    return OK;
}

/* ---- the schedule ---- */

static void schedule(struct consul_query *query, bool failed)
{
    int64_t pause_ms = query->consul->config->refresh_interval_ms;
    int64_t now = now_ns();
    if (pause_ms < PAUSE_MS_MIN)
        pause_ms = PAUSE_MS_MIN;
    query->due_ns = query->asked_ns + pause_ms * ns_per_ms;
    if (failed && query->due_ns < now + RETRY_MS * ns_per_ms)
        query->due_ns = now + RETRY_MS * ns_per_ms;
}

static void report_failure(struct consul_query *query, const struct strbuf *why)
{
    static const char *const messages[] = {"Error retrieving datacenter name",
                                           "Error refreshing service list",
                                           "Error refreshing service"};
    struct strbuf name = STRBUF_INIT;
    strbuf_add_str(&name, query->name);
    LOG_ERROR(messages[query->kind], "discovery", "consul", "service", strbuf_cstr(&name), "err",
              strbuf_cstr(why));
    strbuf_deinit(&name);
    if (query->consul->metrics.failures != NULL)
        metric_add(query->consul->metrics.failures, 1);
}

static void observe(const struct consul_query *query)
{
    const struct consul_metrics *m = &query->consul->metrics;
    double seconds = (double)(now_ns() - query->asked_ns) / 1e9;
    if (m->failures == NULL || query->kind == CONSUL_AGENT)
        return;
    metric_observe(query->kind == CONSUL_CATALOG ? m->catalog_duration : m->service_duration,
                   seconds);
}

static uint32_t position_of(const struct consul_discovery *consul, const struct consul_query *query)
{
    uint32_t i = 0;
    while (consul->queries[i] != query)
        i++;
    return i;
}

static void finish(struct consul_discovery *consul, struct consul_query *query, CURLcode code)
{
    struct strbuf why = STRBUF_INIT;
    bool complete;
    bool gone = false;
    err_t err = consul_query_end(query, code, &complete, &why);
    if (err == OK && complete) {
        observe(query);
        err = take_answer(query, &gone, &why);
    }
    if (err != OK)
        report_failure(query, &why);
    if (gone) {
        consul_query_remove(consul, position_of(consul, query));
    } else if (err != OK || complete) {
        consul->body_bytes -= query->body.size;
        strbuf_deinit(&query->body);
        schedule(query, err != OK);
    }
    strbuf_deinit(&why);
}

/* Starts what is due, going round the list so that nobody waits for ever; returns when to look
 * again. */
static int64_t start_due(struct consul_discovery *consul)
{
    int64_t now = now_ns();
    int64_t next = now + POLL_MS_MAX * ns_per_ms;
    for (uint32_t i = 0; i < consul->query_count; i++) {
        if (consul->busy_count >= QUERIES_BUSY_MAX)
            break;
        consul->next_start = (consul->next_start + 1) % consul->query_count;
        struct consul_query *query = consul->queries[consul->next_start];
        if (query->busy)
            continue;
        if (query->due_ns > now) {
            next = query->due_ns < next ? query->due_ns : next;
            continue;
        }
        struct strbuf why = STRBUF_INIT;
        if (consul_query_start(query, &why) != OK) {
            report_failure(query, &why);
            schedule(query, true);
        }
        strbuf_deinit(&why);
    }
    return next;
}

static void poll_once(struct consul_discovery *consul, int64_t until_ns)
{
    struct curl_waitfd stop = {.fd = consul->env->stop_fd, .events = CURL_WAIT_POLLIN};
    int64_t left_ms = (until_ns - now_ns()) / ns_per_ms + 1;
    int timeout_ms = left_ms < 0 ? 0 : left_ms > POLL_MS_MAX ? POLL_MS_MAX : (int)left_ms;
    int running;
    curl_multi_poll(consul->multi, &stop, consul->env->stop_fd >= 0 ? 1 : 0, timeout_ms, NULL);
    curl_multi_perform(consul->multi, &running);
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(consul->multi, &left)) != NULL) {
        struct http_transfer *transfer;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        size_t offset = offsetof(struct consul_query, transfer);
        finish(consul, (struct consul_query *)(void *)((char *)transfer - offset),
               message->data.result);
    }
}

static void add_all_groups(const struct consul_discovery *consul, struct discovered_groups *groups)
{
    for (uint32_t i = 0; i < consul->query_count && !arena_exhausted(groups->arena); i++) {
        const struct discovered_groups *found = &consul->queries[i]->groups;
        for (uint32_t k = 0; k < found->count; k++)
            discovered_groups_add_copy(groups, &found->items[k]);
    }
}

static err_t consul_watch(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct consul_discovery *consul = state;
    for (;;) {
        if (consul->env->cancel != NULL &&
            atomic_load_explicit(consul->env->cancel, memory_order_relaxed))
            return err_fail(why, ERR_CANCELED, "context canceled");
        int64_t until_ns = start_due(consul);
        int64_t publish_ns = consul->changed_ns + SETTLE_MS * ns_per_ms;
        if (consul->changed_ns != 0 && publish_ns <= now_ns())
            break;
        if (consul->changed_ns != 0 && publish_ns < until_ns)
            until_ns = publish_ns;
        poll_once(consul, until_ns);
    }
    consul->changed_ns = 0;
    add_all_groups(consul, groups);
    return OK;
}

const struct discovery_mechanism discovery_consul = {
    .name = STR_INIT("consul"),
    .register_metrics = consul_register_metrics,
    .create = consul_create,
    .destroy = consul_destroy,
    .watch = consul_watch,
};
