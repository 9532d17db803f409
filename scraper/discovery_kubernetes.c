/* kubernetes_sd: the objects of a role and those they are joined with are listed and watched;
 * target groups are computed from all of them whenever one has changed. */
#include <stdlib.h>
#include <sys/random.h>

#include "discovery_kubernetes_client.h"
#include "discovery_kubernetes_groups.h"
#include "discovery_mechanism.h"
#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum {
    KUBERNETES_CACHE_BYTES_MAX = 512 << 20,
    SETTLE_MS = 100, /* changes come in bursts */
    /* Between two lists of groups: so long that making and taking them costs a twentieth of a core
     * at most, within these bounds. Prometheus takes one in 5 s. */
    PUBLISH_SHARE = 20,
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 5000,
};
static const int64_t ns_per_ms = 1000000;

struct kubernetes_discovery {
    const struct kubernetes_discovery_config *config;
    const struct discovery_env *env;
    struct kubernetes_access access;
    struct kubernetes_client client;
    struct kubernetes_cache cache;
    enum kubernetes_kind role;
    struct kubernetes_attach attach;
    bool gave_none; /* an empty list, since the first request failed */
    bool published;
    uint64_t published_version; /* of the cache */
    int64_t published_ns;       /* when the last list was begun; then, when it had been taken */
    int64_t pause_ns;           /* until the next one; -1: the last one is with whoever takes it */
    int64_t changed_ns;         /* when a later version was seen first; 0: none was */
    double counted_bytes;       /* as the metric has it */
};

/* ---- metrics ---- */

static struct metric *bytes_metric(struct metrics *r)
{
    return metric_only(metrics_gauge(r, "narthex_sd_kubernetes_object_bytes",
                                     "Memory of Kubernetes objects, reduced to what labels need.",
                                     NULL));
}

static void register_metrics(struct metrics *r)
{
    kubernetes_client_register_metrics(r);
    (void)bytes_metric(r);
}

/* The gauge is shared by all mechanisms: each adds what changed. */
static void count_bytes(struct kubernetes_discovery *k, double bytes)
{
    if (k->env->metrics != NULL)
        metric_add(bytes_metric(k->env->metrics), bytes - k->counted_bytes);
    k->counted_bytes = bytes;
}

/* ---- what is watched ---- */

static err_t find_role(struct str name, enum kubernetes_kind *role, struct strbuf *why)
{
    static const enum kubernetes_kind roles[] = {KUBERNETES_POD,       KUBERNETES_SERVICE,
                                                 KUBERNETES_ENDPOINTS, KUBERNETES_ENDPOINTSLICE,
                                                 KUBERNETES_NODE,      KUBERNETES_INGRESS};
    size_t i = 0;
    for (; i < sizeof roles / sizeof *roles; i++) {
        if (str_equal_cstr(name, kubernetes_kind_role(roles[i])))
            break;
    }
    if (i == sizeof roles / sizeof *roles)
        return err_fail(why, ERR_INVALID, "unknown Kubernetes SD role \"%.*s\"", STR_ARG(name));
    *role = roles[i];
    return OK;
}

static bool has_pods(enum kubernetes_kind role)
{
    return role == KUBERNETES_POD || role == KUBERNETES_ENDPOINTS ||
           role == KUBERNETES_ENDPOINTSLICE;
}

/* What of attach_metadata the role knows. */
static struct kubernetes_attach attach_of(const struct kubernetes_discovery_config *config,
                                          enum kubernetes_kind role)
{
    bool pods = has_pods(role);
    return (struct kubernetes_attach){
        .node = pods && config->attach_node,
        .namespace = role != KUBERNETES_NODE && config->attach_namespace,
        .deployment = pods && config->attach_deployment,
        .job = pods && config->attach_job,
        .cronjob = pods && config->attach_cronjob,
    };
}

static bool is_needed(const struct kubernetes_discovery *k, enum kubernetes_kind kind)
{
    bool endpoints = k->role == KUBERNETES_ENDPOINTS || k->role == KUBERNETES_ENDPOINTSLICE;
    switch (kind) {
    case KUBERNETES_POD:
    case KUBERNETES_SERVICE:
        return kind == k->role || endpoints;
    case KUBERNETES_NODE:
        return kind == k->role || k->attach.node;
    case KUBERNETES_NAMESPACE:
        return k->attach.namespace;
    case KUBERNETES_REPLICASET:
        return k->attach.deployment;
    case KUBERNETES_JOB:
        return k->attach.cronjob;
    default:
        return kind == k->role;
    }
}

static void add_watch(struct kubernetes_discovery *k, enum kubernetes_kind kind, struct str space)
{
    uint64_t seed = 0;
    (void)!getrandom(&seed, sizeof seed, 0); /* without, the jitter is the same each time */
    struct kubernetes_watch *watch =
        kubernetes_client_add(&k->client, kind, space, &k->cache, seed);
    for (uint32_t i = 0; i < k->config->selector_count; i++) {
        const struct kubernetes_selector *selector = &k->config->selectors[i];
        if (!str_equal_cstr(selector->role, kubernetes_kind_role(kind)))
            continue;
        watch->label_selector = selector->label;
        watch->field_selector = selector->field;
    }
}

static void add_watches(struct kubernetes_discovery *k, enum kubernetes_kind kind)
{
    uint32_t count;
    const struct str *spaces = kubernetes_access_spaces(&k->access, k->config, &count);
    if (count == 0 || !kubernetes_kind_is_namespaced(kind)) {
        add_watch(k, kind, STR(""));
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        add_watch(k, kind, spaces[i]);
}

/* ---- life ---- */

static void kubernetes_destroy(void *state)
{
    struct kubernetes_discovery *k = state;
    kubernetes_client_deinit(&k->client);
    kubernetes_cache_deinit(&k->cache);
    kubernetes_access_close(&k->access);
    count_bytes(k, 0);
    mem_free(MEM_DISCOVERY, k);
}

static err_t kubernetes_create(const void *settings, const struct discovery_env *env, void **state,
                               struct strbuf *why)
{
    const struct kubernetes_discovery_config *config = settings;
    const struct kubernetes_pod_environment environment = {
        .host = getenv("KUBERNETES_SERVICE_HOST"),
        .port = getenv("KUBERNETES_SERVICE_PORT"),
        .account_folder = "/var/run/secrets/kubernetes.io/serviceaccount",
    };
    struct kubernetes_discovery *k = MEM_NEW(MEM_DISCOVERY, struct kubernetes_discovery);
    k->config = config;
    k->env = env;
    kubernetes_cache_init(&k->cache, KUBERNETES_CACHE_BYTES_MAX);
    err_t err = find_role(config->role, &k->role, why);
    if (err == OK)
        err = kubernetes_access_open(&k->access, config, &environment, why);
    if (err == OK)
        err = kubernetes_client_create(&k->access, env->metrics, &k->client, why);
    if (err != OK) {
        kubernetes_destroy(k);
        return err;
    }
    k->attach = attach_of(config, k->role);
    k->cache.nodes_need_address = k->role == KUBERNETES_NODE;
    for (uint32_t i = 0; i < KUBERNETES_KINDS; i++) {
        if (is_needed(k, (enum kubernetes_kind)i))
            add_watches(k, (enum kubernetes_kind)i);
    }
    *state = k;
    return OK;
}

/* ---- publishing ---- */

/* When to give the groups as they are now; INT64_MAX: there is no need to. */
static int64_t publish_due_ns(struct kubernetes_discovery *k, int64_t now_ns)
{
    if (!kubernetes_client_is_synced(&k->client))
        return INT64_MAX;
    if (k->published && k->cache.version == k->published_version)
        return INT64_MAX;
    if (!k->published)
        return now_ns;
    if (k->changed_ns == 0)
        k->changed_ns = now_ns;
    int64_t settled_ns = k->changed_ns + SETTLE_MS * ns_per_ms;
    int64_t allowed_ns = k->published_ns + k->pause_ns;
    return settled_ns > allowed_ns ? settled_ns : allowed_ns;
}

static void publish(struct kubernetes_discovery *k, struct discovered_groups *groups)
{
    k->published_ns = clock_monotonic_ns(clock_system());
    k->pause_ns = -1;
    kubernetes_groups_build(&k->cache, k->role, &k->attach, groups);
    k->published = true;
    k->published_version = k->cache.version;
    k->changed_ns = 0;
}

/* We are called again: the last list has been taken. */
static void choose_pause(struct kubernetes_discovery *k)
{
    if (k->pause_ns >= 0)
        return;
    int64_t now_ns = clock_monotonic_ns(clock_system());
    int64_t pause_ms = (now_ns - k->published_ns) * PUBLISH_SHARE / ns_per_ms;
    pause_ms = pause_ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause_ms;
    pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
    k->pause_ns = pause_ms * ns_per_ms;
    k->published_ns = now_ns;
}

static err_t kubernetes_watch(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct kubernetes_discovery *k = state;
    choose_pause(k);
    while (!atomic_load_explicit(k->env->cancel, memory_order_relaxed)) {
        int64_t due_ns = publish_due_ns(k, clock_monotonic_ns(clock_system()));
        if (due_ns <= clock_monotonic_ns(clock_system())) {
            publish(k, groups);
            return OK;
        }
        kubernetes_client_step(&k->client, k->env->stop_fd, due_ns);
        count_bytes(k, (double)k->cache.bytes);
        if (k->client.failures > 0 && !k->gave_none && !k->published) {
            /* What another configuration found is not ours: there are no targets yet. */
            k->gave_none = true;
            return OK;
        }
    }
    return err_fail(why, ERR_CANCELED, "context canceled");
}

const struct discovery_mechanism discovery_kubernetes = {
    .name = STR_INIT("kubernetes"),
    .register_metrics = register_metrics,
    .create = kubernetes_create,
    .destroy = kubernetes_destroy,
    .watch = kubernetes_watch,
};
