#include "discovery_kubernetes_watch.h"

#include <assert.h>
#include <curl/curl.h>
#include <string.h>

#include "discovery_json.h"
#include "narthex/base/log.h"

enum {
    DELAY_FIRST_MS = 800,
    DELAY_MAX_MS = 30000,
    RETRY_AFTER_MAX_S = 300,
    WATCH_MIN_S = 300, /* asked for; the server may end a watch earlier */
    WATCH_SPREAD_S = 300,
    WATCH_GRACE_S = 30, /* beyond that the server is taken for dead */
    SHORT_WATCH_MS = 1000,
    HEALTHY_WATCH_MS = 10000,
    HTTP_OK = 200,
    HTTP_GONE = 410,
    HTTP_TOO_MANY = 429,
    HTTP_UNAVAILABLE = 503,
};
static const int64_t ns_per_ms = 1000000;

static const struct {
    const char *role;
    const char *name; /* as objects call themselves */
    const char *path;
    const char *plural;
    bool namespaced;
} kinds[KUBERNETES_KINDS] = {
    [KUBERNETES_POD] = {"pod", "Pod", "/api/v1", "pods", true},
    [KUBERNETES_SERVICE] = {"service", "Service", "/api/v1", "services", true},
    [KUBERNETES_ENDPOINTS] = {"endpoints", "Endpoints", "/api/v1", "endpoints", true},
    [KUBERNETES_ENDPOINTSLICE] = {"endpointslice", "EndpointSlice", "/apis/discovery.k8s.io/v1",
                                  "endpointslices", true},
    [KUBERNETES_NODE] = {"node", "Node", "/api/v1", "nodes", false},
    [KUBERNETES_INGRESS] = {"ingress", "Ingress", "/apis/networking.k8s.io/v1", "ingresses", true},
    [KUBERNETES_NAMESPACE] = {"namespace", "Namespace", "/api/v1", "namespaces", false},
    [KUBERNETES_REPLICASET] = {"replicaset", "ReplicaSet", "/apis/apps/v1", "replicasets", true},
    [KUBERNETES_JOB] = {"job", "Job", "/apis/batch/v1", "jobs", true},
};

const char *kubernetes_kind_plural(enum kubernetes_kind kind)
{
    return kinds[kind].plural;
}

const char *kubernetes_kind_role(enum kubernetes_kind kind)
{
    return kinds[kind].role;
}

bool kubernetes_kind_is_namespaced(enum kubernetes_kind kind)
{
    return kinds[kind].namespaced;
}

static err_t take_value(void *context, struct str key, struct str value, struct strbuf *why);

void kubernetes_watch_init(struct kubernetes_watch *watch, enum kubernetes_kind kind,
                           uint32_t source, struct str space, struct kubernetes_cache *cache,
                           uint64_t seed)
{
    *watch = (struct kubernetes_watch){
        .kind = kind,
        .source = source,
        .space = kinds[kind].namespaced ? space : STR(""),
        .cache = cache,
        .list_timeout_ms = KUBERNETES_LIST_TIMEOUT_MS,
        .random = seed | 1,
    };
    json_stream_init(&watch->stream, JSON_STREAM_LIST, KUBERNETES_OBJECT_BYTES_MAX, take_value,
                     watch);
}

void kubernetes_watch_deinit(struct kubernetes_watch *watch)
{
    json_stream_deinit(&watch->stream);
    strbuf_deinit(&watch->resource_version);
    strbuf_deinit(&watch->continue_token);
    strbuf_deinit(&watch->why);
    strbuf_deinit(&watch->error_body);
}

static uint64_t next_random(struct kubernetes_watch *watch)
{
    watch->random ^= watch->random << 13;
    watch->random ^= watch->random >> 7;
    watch->random ^= watch->random << 17;
    return watch->random;
}

/* ---- requests ---- */

static void add_escaped(struct strbuf *url, struct str text)
{
    char *escaped = curl_easy_escape(NULL, text.data, (int)text.size);
    assert(escaped != NULL);
    strbuf_add_cstr(url, escaped);
    curl_free(escaped);
}

static void add_parameter(struct strbuf *url, const char *name, struct str value)
{
    if (value.size == 0)
        return;
    strbuf_printf(url, "&%s=", name);
    add_escaped(url, value);
}

static void add_path(const struct kubernetes_watch *watch, struct strbuf *url)
{
    strbuf_add_cstr(url, kinds[watch->kind].path);
    if (watch->space.size > 0) {
        strbuf_add_cstr(url, "/namespaces/");
        add_escaped(url, watch->space);
    }
    strbuf_printf(url, "/%s?", kinds[watch->kind].plural);
}

void kubernetes_watch_begin(struct kubernetes_watch *watch, int64_t now_ns, struct strbuf *path)
{
    assert(!watch->busy);
    watch->busy = true;
    watch->started_ns = now_ns;
    watch->events = 0;
    watch->expired = false;
    watch->error = OK;
    strbuf_clear(&watch->why);
    strbuf_clear(&watch->error_body);
    json_stream_reset(&watch->stream, watch->watching ? JSON_STREAM_VALUES : JSON_STREAM_LIST);
    add_path(watch, path);
    if (watch->watching) {
        watch->watch_s = WATCH_MIN_S + (uint32_t)(next_random(watch) % WATCH_SPREAD_S);
        strbuf_printf(path, "watch=true&allowWatchBookmarks=true&timeoutSeconds=%u",
                      watch->watch_s);
        add_parameter(path, "resourceVersion", strbuf_str(&watch->resource_version));
    } else {
        bool first = watch->continue_token.size == 0;
        watch->bytes = first ? 0 : watch->bytes;
        watch->pages = first ? 1 : watch->pages + 1;
        strbuf_printf(path, "limit=%d", (int)KUBERNETES_PAGE_OBJECTS);
        add_parameter(path, "continue", strbuf_str(&watch->continue_token));
        strbuf_clear(&watch->continue_token);
        strbuf_clear(&watch->resource_version);
    }
    add_parameter(path, "labelSelector", watch->label_selector);
    add_parameter(path, "fieldSelector", watch->field_selector);
}

int64_t kubernetes_watch_timeout_ms(const struct kubernetes_watch *watch)
{
    return watch->watching ? (int64_t)(watch->watch_s + WATCH_GRACE_S) * 1000
                           : watch->list_timeout_ms;
}

/* ---- answers ---- */

static err_t keep_text(struct strbuf *kept, const json_t *metadata, const char *key,
                       struct strbuf *why)
{
    struct str text = discovery_json_get_text(metadata, key);
    if (text.size == 0)
        return OK;
    if (text.size > KUBERNETES_TEXT_BYTES_MAX)
        return err_fail(why, ERR_LIMIT, "metadata.%s of %zu bytes", key, text.size);
    strbuf_clear(kept);
    strbuf_add_str(kept, text);
    return OK;
}

static err_t take_list_part(struct kubernetes_watch *watch, struct str key, json_t *value,
                            struct strbuf *why)
{
    if (str_equal(key, STR("items"))) {
        if (json_is_null(value))
            return OK; /* an empty list */
        return kubernetes_cache_stage(watch->cache, watch->kind, watch->source, value, why);
    }
    if (!str_equal(key, STR("metadata")))
        return OK;
    TRY(keep_text(&watch->resource_version, value, "resourceVersion", why));
    return keep_text(&watch->continue_token, value, "continue", why);
}

/* An ERROR event: its object says why; usually that the version is too old to go on from. */
static err_t take_error(struct kubernetes_watch *watch, const json_t *status, struct strbuf *why)
{
    struct str message = discovery_json_get_text(status, "message");
    int64_t code = discovery_json_get_int(status, "code", 0);
    watch->expired = true;
    return err_fail(why, code == HTTP_GONE ? ERR_NOT_FOUND : ERR_IO,
                    "the server ended the watch: %.*s (%lld)", STR_ARG(message), (long long)code);
}

static err_t check_kind(const struct kubernetes_watch *watch, const json_t *object,
                        struct strbuf *why)
{
    struct str kind = discovery_json_get_text(object, "kind");
    if (kind.size == 0 || str_equal_cstr(kind, kinds[watch->kind].name))
        return OK;
    return err_fail(why, ERR_INVALID, "expected a %s, got a %.*s", kinds[watch->kind].name,
                    STR_ARG(kind));
}

static err_t take_event(struct kubernetes_watch *watch, json_t *event, struct strbuf *why)
{
    struct str type = discovery_json_get_text(event, "type");
    json_t *object = json_object_get(event, "object");
    if (str_equal(type, STR("ERROR")))
        return take_error(watch, object, why);
    TRY(check_kind(watch, object, why));
    if (str_equal(type, STR("DELETED")))
        TRY(kubernetes_cache_remove(watch->cache, watch->kind, object, &watch->changes, why));
    else if (str_equal(type, STR("ADDED")) || str_equal(type, STR("MODIFIED")))
        TRY(kubernetes_cache_put(watch->cache, watch->kind, watch->source, object, &watch->changes,
                                 why));
    else if (!str_equal(type, STR("BOOKMARK")))
        return err_fail(why, ERR_INVALID, "unknown kind of event \"%.*s\"", STR_ARG(type));
    watch->events++;
    return keep_text(&watch->resource_version, json_object_get(object, "metadata"),
                     "resourceVersion", why);
}

/* One object that is too long must not hide all others. What was known of it stays only if no list
 * is read: whose it is has not been read. */
static err_t leave_out(struct kubernetes_watch *watch)
{
    watch->left_out++;
    LOG_ERROR("Object left out", "discovery", "kubernetes", "resource", kinds[watch->kind].plural,
              "err", "it is longer than 4 MiB");
    static_assert(KUBERNETES_OBJECT_BYTES_MAX == 4 << 20, "the text above says so");
    return OK;
}

static err_t take_value(void *context, struct str key, struct str text, struct strbuf *why)
{
    struct kubernetes_watch *watch = context;
    bool of_interest =
        watch->watching || str_equal(key, STR("items")) || str_equal(key, STR("metadata"));
    if (!of_interest)
        return OK;
    if (text.size == 0 && (watch->watching || str_equal(key, STR("items"))))
        return leave_out(watch);
    json_error_t error;
    json_t *value = json_loadb(text.data, text.size, JSON_DECODE_ANY, &error);
    if (value == NULL)
        return err_fail(why, ERR_INVALID, "json: %s", error.text);
    err_t err =
        watch->watching ? take_event(watch, value, why) : take_list_part(watch, key, value, why);
    json_decref(value);
    return err;
}

bool kubernetes_watch_take(struct kubernetes_watch *watch, uint32_t status, const char *data,
                           size_t size)
{
    if (status != HTTP_OK) {
        if (watch->error_body.size + size > KUBERNETES_TEXT_BYTES_MAX)
            return false;
        strbuf_add(&watch->error_body, data, size);
        return true;
    }
    watch->bytes += size;
    if (!watch->watching && watch->bytes > KUBERNETES_LIST_BYTES_MAX)
        watch->error = err_fail(&watch->why, ERR_LIMIT, "a list of more than %llu bytes",
                                (unsigned long long)KUBERNETES_LIST_BYTES_MAX);
    if (watch->error == OK)
        watch->error = json_stream_feed(&watch->stream, data, size, &watch->why);
    return watch->error == OK;
}

/* ---- what comes next ---- */

static int64_t delay_ns(struct kubernetes_watch *watch, const struct kubernetes_answer *answer)
{
    int64_t delay_ms = DELAY_FIRST_MS;
    for (uint32_t i = 1; i < watch->failures && delay_ms < DELAY_MAX_MS; i++)
        delay_ms *= 2;
    delay_ms = delay_ms > DELAY_MAX_MS ? DELAY_MAX_MS : delay_ms;
    delay_ms += (int64_t)(next_random(watch) % (uint64_t)delay_ms);
    int64_t asked_s = answer->retry_after_s;
    asked_s = asked_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : asked_s;
    return (asked_s * 1000 > delay_ms ? asked_s * 1000 : delay_ms) * ns_per_ms;
}

/* Kubernetes explains its refusals in a Status object. */
static err_t explain_status(const struct kubernetes_watch *watch,
                            const struct kubernetes_answer *answer, struct strbuf *why)
{
    json_t *status = json_loadb(watch->error_body.data, watch->error_body.size, 0, NULL);
    struct str message = discovery_json_get_text(status, "message");
    err_t err = err_fail(why, answer->status == HTTP_GONE ? ERR_NOT_FOUND : ERR_IO,
                         "server returned HTTP status %u %s%s%.*s", answer->status, answer->reason,
                         message.size > 0 ? ": " : "", STR_ARG(message));
    json_decref(status);
    return err;
}

static err_t judge(struct kubernetes_watch *watch, const struct kubernetes_answer *answer,
                   struct strbuf *why)
{
    if (watch->error != OK)
        return err_fail(why, watch->error, "%s", strbuf_cstr(&watch->why));
    if (answer->status != 0 && answer->status != HTTP_OK)
        return explain_status(watch, answer, why);
    if (answer->transport != NULL && !(watch->watching && answer->timed_out))
        return err_fail(why, ERR_IO, "%s", answer->transport);
    if (answer->transport == NULL)
        TRY(json_stream_finish(&watch->stream, why));
    if (!watch->watching && watch->pages >= KUBERNETES_PAGES_MAX)
        return err_fail(why, ERR_LIMIT, "a list of more than %d pages", (int)KUBERNETES_PAGES_MAX);
    if (!watch->watching && watch->resource_version.size == 0)
        return err_fail(why, ERR_INVALID, "the list has no metadata.resourceVersion");
    return OK;
}

static void fail(struct kubernetes_watch *watch, const struct kubernetes_answer *answer,
                 int64_t now_ns)
{
    bool refused = answer->status != 0 && answer->status != HTTP_OK &&
                   answer->status != HTTP_TOO_MANY && answer->status != HTTP_UNAVAILABLE;
    bool relist = watch->watching && (watch->expired || refused);
    if (watch->watching && now_ns - watch->started_ns >= HEALTHY_WATCH_MS * ns_per_ms)
        watch->failures = 0;
    bool first = watch->failures++ == 0;
    watch->due_ns = now_ns + delay_ns(watch, answer);
    if (!watch->watching) {
        kubernetes_cache_abandon_list(watch->cache, watch->kind, watch->source);
        strbuf_clear(&watch->continue_token);
        strbuf_clear(&watch->resource_version);
    } else if (relist) {
        /* To have missed too much is no fault of the server's: asked again at once, the first time.
         */
        watch->watching = false;
        if (first && answer->retry_after_s < 0)
            watch->due_ns = now_ns;
    }
}

static void go_on(struct kubernetes_watch *watch, const struct kubernetes_answer *answer,
                  int64_t now_ns)
{
    watch->due_ns = now_ns;
    if (!watch->watching) {
        if (watch->continue_token.size > 0)
            return;
        kubernetes_cache_finish_list(watch->cache, watch->kind, watch->source, &watch->changes);
        watch->synced = true;
        watch->watching = true;
        return;
    }
    bool brief = now_ns - watch->started_ns < SHORT_WATCH_MS * ns_per_ms;
    /* A server that ends every watch at once is not asked without pause. */
    watch->failures = brief && watch->events == 0 ? watch->failures + 1 : 0;
    if (brief)
        watch->due_ns = now_ns + delay_ns(watch, answer);
}

err_t kubernetes_watch_end(struct kubernetes_watch *watch, const struct kubernetes_answer *answer,
                           int64_t now_ns, struct strbuf *why)
{
    assert(watch->busy);
    watch->busy = false;
    err_t err = judge(watch, answer, why);
    if (err == OK)
        go_on(watch, answer, now_ns);
    else
        fail(watch, answer, now_ns);
    return err;
}
