#include "discovery_kubernetes_client.h"

#include <assert.h>

#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum {
    CONNECT_TIMEOUT_MS = 30000,
    KEEPALIVE_S = 30, /* a peer that vanished is noticed within a few of these */
    WAIT_MAX_MS = 60000,
};
static const int64_t ns_per_ms = 1000000;

/* ---- metrics ---- */

static const char *const by_event[] = {"role", "event", NULL};
static const char *const by_status[] = {"status_code", NULL};
static const char *const by_endpoint[] = {"endpoint", NULL};

static struct metric_family *events_family(struct metrics *r)
{
    return metrics_counter(r, "prometheus_sd_kubernetes_events_total",
                           "Changes of Kubernetes objects.", by_event);
}

static struct metric *failures_metric(struct metrics *r)
{
    return metric_only(metrics_counter(r, "prometheus_sd_kubernetes_failures_total",
                                       "Lists and watches that failed.", NULL));
}

static struct metric_family *requests_family(struct metrics *r)
{
    return metrics_counter(r, "prometheus_sd_kubernetes_http_request_total",
                           "Requests to the Kubernetes API by status.", by_status);
}

static struct metric_family *durations_family(struct metrics *r)
{
    return metrics_summary(r, "prometheus_sd_kubernetes_http_request_duration_seconds",
                           "Time that lists took, a page at a time.", by_endpoint, NULL, 0);
}

void kubernetes_client_register_metrics(struct metrics *metrics)
{
    static const enum kubernetes_kind roles[] = {KUBERNETES_POD,       KUBERNETES_SERVICE,
                                                 KUBERNETES_ENDPOINTS, KUBERNETES_ENDPOINTSLICE,
                                                 KUBERNETES_NODE,      KUBERNETES_INGRESS};
    static const char *const events[] = {"add", "update", "delete"};
    (void)failures_metric(metrics);
    (void)requests_family(metrics);
    (void)durations_family(metrics);
    struct metric_family *family = events_family(metrics);
    for (size_t r = 0; r < sizeof roles / sizeof *roles; r++) {
        for (size_t e = 0; e < sizeof events / sizeof *events; e++) {
            struct str labels[] = {str_from_cstr(kubernetes_kind_role(roles[r])),
                                   str_from_cstr(events[e])};
            (void)metric_with(family, labels);
        }
    }
}

static void count_event(struct metrics *r, enum kubernetes_kind kind, struct str event,
                        uint64_t count)
{
    struct str labels[] = {str_from_cstr(kubernetes_kind_role(kind)), event};
    if (count > 0)
        metric_add(metric_with(events_family(r), labels), (double)count);
}

/* Events are counted as they come: a watch may last minutes. */
static void count_changes(struct kubernetes_client *client, struct kubernetes_watch *watch)
{
    struct kubernetes_changes changes = watch->changes;
    watch->changes = (struct kubernetes_changes){0};
    if (client->metrics == NULL)
        return;
    count_event(client->metrics, watch->kind, STR("add"), changes.added);
    count_event(client->metrics, watch->kind, STR("update"), changes.updated);
    count_event(client->metrics, watch->kind, STR("delete"), changes.deleted);
}

static void count_request(struct kubernetes_client *client,
                          const struct kubernetes_request *request, uint32_t status, int64_t now_ns)
{
    if (client->metrics == NULL)
        return;
    struct strbuf text = STRBUF_INIT;
    if (status == 0)
        strbuf_add_cstr(&text, "<error>");
    else
        strbuf_add_uint(&text, status);
    struct str label = strbuf_str(&text);
    metric_add(metric_with(requests_family(client->metrics), &label), 1);
    strbuf_deinit(&text);
    if (request->watch.watching)
        return;
    struct str path = strbuf_str(&request->url);
    path = str_from(path.data + client->access->server.size,
                    str_find(path, '?', 0) - client->access->server.size);
    metric_observe(metric_distribution_with(durations_family(client->metrics), &path),
                   (double)(now_ns - request->watch.started_ns) / 1e9);
}

/* ---- life ---- */

err_t kubernetes_client_create(const struct kubernetes_access *access, struct metrics *metrics,
                               struct kubernetes_client *client, struct strbuf *why)
{
    *client = (struct kubernetes_client){.access = access, .metrics = metrics};
    TRY(http_client_create(&access->http, &client->http, why));
    client->multi = curl_multi_init();
    assert(client->multi != NULL);
    return OK;
}

void kubernetes_client_deinit(struct kubernetes_client *client)
{
    for (uint32_t i = 0; i < client->request_count; i++) {
        struct kubernetes_request *request = client->requests[i];
        curl_multi_remove_handle(client->multi, request->transfer.easy);
        http_transfer_deinit(&request->transfer);
        kubernetes_watch_deinit(&request->watch);
        strbuf_deinit(&request->url);
        mem_free(MEM_DISCOVERY, request);
    }
    mem_free(MEM_DISCOVERY, client->requests);
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi);
    http_client_destroy(client->http);
}

struct kubernetes_watch *kubernetes_client_add(struct kubernetes_client *client,
                                               enum kubernetes_kind kind, struct str space,
                                               struct kubernetes_cache *cache, uint64_t seed)
{
    struct kubernetes_request *request = MEM_NEW(MEM_DISCOVERY, struct kubernetes_request);
    http_transfer_init(&request->transfer);
    kubernetes_watch_init(&request->watch, kind, client->request_count, space, cache, seed);
    VEC_PUSH(MEM_DISCOVERY, client->requests, client->request_count, client->request_capacity,
             request);
    return &request->watch;
}

bool kubernetes_client_is_synced(const struct kubernetes_client *client)
{
    for (uint32_t i = 0; i < client->request_count; i++) {
        if (!client->requests[i]->watch.synced)
            return false;
    }
    return true;
}

/* ---- one request ---- */

static bool on_body(void *context, const char *data, size_t size)
{
    struct kubernetes_request *request = context;
    return kubernetes_watch_take(&request->watch, request->transfer.answer.status, data, size);
}

static int64_t left_ms(const struct kubernetes_request *request)
{
    int64_t spent_ns = clock_monotonic_ns(clock_system()) - request->watch.started_ns;
    int64_t left = kubernetes_watch_timeout_ms(&request->watch) - spent_ns / ns_per_ms;
    return left < 1 ? 1 : left;
}

/* The request, the one for a token that it needs first, or (`follow`) the next hop of a redirect.
 */
static err_t prepare(struct kubernetes_client *client, struct kubernetes_request *request,
                     bool follow, struct strbuf *why)
{
    const struct name_value headers[] = {
        {STR("User-Agent"), STR("Prometheus/3.14.0")},
        {STR("Accept"), STR("application/json")},
    };
    struct http_request wanted = {
        .url = strbuf_str(&request->url),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .timeout_ms = left_ms(request),
        .wanted_header = STR("Retry-After"),
    };
    struct http_transfer *transfer = &request->transfer;
    if (follow) {
        TRY(http_transfer_follow(transfer, client->http, &wanted, why));
    } else if (http_client_needs_token(client->http)) {
        wanted.timeout_ms = CONNECT_TIMEOUT_MS;
        TRY(http_transfer_prepare_token(transfer, client->http, &wanted, why));
    } else {
        TRY(http_transfer_prepare(transfer, client->http, &wanted, on_body, request, why));
    }
    if (!transfer->for_token)
        curl_easy_setopt(transfer->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(transfer->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(transfer->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    CURLMcode code = curl_multi_add_handle(client->multi, transfer->easy);
    return code == CURLM_OK ? OK : err_fail(why, ERR_IO, "%s", curl_multi_strerror(code));
}

static void log_failure(const struct kubernetes_watch *watch, bool watching, const char *why)
{
    struct strbuf space = STRBUF_INIT;
    strbuf_add_str(&space, watch->space);
    LOG_ERROR(watching ? "Failed to watch" : "Failed to list", "discovery", "kubernetes",
              "resource", kubernetes_kind_plural(watch->kind), "namespace", strbuf_cstr(&space),
              "err", why);
    strbuf_deinit(&space);
}

static void end(struct kubernetes_client *client, struct kubernetes_request *request,
                const struct kubernetes_answer *answer, int64_t now_ns)
{
    struct strbuf why = STRBUF_INIT;
    bool watching = request->watch.watching;
    count_request(client, request, answer->status, now_ns);
    err_t err = kubernetes_watch_end(&request->watch, answer, now_ns, &why);
    count_changes(client, &request->watch);
    if (err != OK) {
        log_failure(&request->watch, watching, strbuf_cstr(&why));
        client->failures++;
        if (client->metrics != NULL)
            metric_add(failures_metric(client->metrics), 1);
    }
    strbuf_deinit(&why);
}

static void end_unsent(struct kubernetes_client *client, struct kubernetes_request *request,
                       const struct strbuf *why, int64_t now_ns)
{
    struct kubernetes_answer answer = {.retry_after_s = -1, .transport = strbuf_cstr(why)};
    end(client, request, &answer, now_ns);
}

static void send_due(struct kubernetes_client *client, int64_t now_ns)
{
    for (uint32_t i = 0; i < client->request_count; i++) {
        struct kubernetes_request *request = client->requests[i];
        if (request->watch.busy || request->watch.due_ns > now_ns)
            continue;
        struct strbuf why = STRBUF_INIT;
        strbuf_clear(&request->url);
        strbuf_add_str(&request->url, client->access->server);
        kubernetes_watch_begin(&request->watch, now_ns, &request->url);
        if (prepare(client, request, false, &why) != OK)
            end_unsent(client, request, &why, now_ns);
        strbuf_deinit(&why);
    }
}

/* ---- answers ---- */

static int64_t retry_after_s(const struct http_answer *answer)
{
    int64_t seconds;
    bool said = str_to_int64(str_from_cstr(answer->wanted_header), &seconds) && seconds >= 0;
    return said ? seconds : -1;
}

/* What ended was a redirect, or brought the token: the request itself can be sent. */
static void go_on(struct kubernetes_client *client, struct kubernetes_request *request,
                  bool redirected, CURLcode code, int64_t now_ns)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = OK;
    if (redirected || code == CURLE_OK) {
        if (!redirected)
            TRY_OUT(http_client_take_token(client->http, &request->transfer, &why));
        TRY_OUT(prepare(client, request, redirected, &why));
    } else {
        http_transfer_failure(&request->transfer, code, &why);
        err = ERR_IO;
    }
out:
    if (err != OK)
        end_unsent(client, request, &why, now_ns);
    strbuf_deinit(&why);
}

static void take_answer(struct kubernetes_client *client, struct kubernetes_request *request,
                        CURLcode code, int64_t now_ns)
{
    struct http_transfer *transfer = &request->transfer;
    curl_multi_remove_handle(client->multi, transfer->easy);
    bool redirected =
        (code == CURLE_OK || code == CURLE_WRITE_ERROR) && http_transfer_is_redirect(transfer);
    if (redirected || transfer->for_token) {
        go_on(client, request, redirected, code, now_ns);
        return;
    }
    struct strbuf why = STRBUF_INIT;
    struct kubernetes_answer answer = {
        .status = transfer->answered ? transfer->answer.status : 0,
        .retry_after_s = retry_after_s(&transfer->answer),
        .reason = transfer->answer.reason,
        .timed_out = code == CURLE_OPERATION_TIMEDOUT && transfer->answer.status == 200,
    };
    if (code != CURLE_OK) {
        http_transfer_failure(transfer, code, &why);
        answer.transport = strbuf_cstr(&why);
    }
    end(client, request, &answer, now_ns);
    strbuf_deinit(&why);
}

static void take_finished(struct kubernetes_client *client, int64_t now_ns)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct kubernetes_request *request = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        take_answer(client, request, code, now_ns);
    }
}

static int64_t next_due_ns(const struct kubernetes_client *client, int64_t until_ns)
{
    for (uint32_t i = 0; i < client->request_count; i++) {
        const struct kubernetes_watch *watch = &client->requests[i]->watch;
        if (!watch->busy && watch->due_ns < until_ns)
            until_ns = watch->due_ns;
    }
    return until_ns;
}

void kubernetes_client_step(struct kubernetes_client *client, int stop_fd, int64_t until_ns)
{
    int running;
    send_due(client, clock_monotonic_ns(clock_system()));
    curl_multi_perform(client->multi, &running);
    int64_t now_ns = clock_monotonic_ns(clock_system());
    take_finished(client, now_ns);
    for (uint32_t i = 0; i < client->request_count; i++)
        count_changes(client, &client->requests[i]->watch);
    int64_t wait_ms = (next_due_ns(client, until_ns) - now_ns) / ns_per_ms;
    if (wait_ms <= 0)
        return;
    struct curl_waitfd stop = {.fd = stop_fd, .events = CURL_WAIT_POLLIN};
    (void)curl_multi_poll(client->multi, &stop, stop_fd < 0 ? 0 : 1,
                          (int)(wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : wait_ms) + 1, NULL);
}
