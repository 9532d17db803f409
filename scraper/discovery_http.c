/* http_sd: target groups from a URL, as a JSON list. */
#include "discovery_mechanism.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/scraper/discovery.h"
#include "narthex/scraper/http_client.h"

enum { ANSWER_BYTES_MAX = 64 << 20 };

struct http_discovery {
    const struct http_discovery_config *config;
    const struct discovery_env *env;
    struct http_client *client;
};

static struct metric *failures_metric(struct metrics *r)
{
    return metric_only(metrics_counter(r, "prometheus_sd_http_failures_total",
                                       "Refreshes over HTTP that failed.", NULL));
}

static void http_register_metrics(struct metrics *r)
{
    (void)failures_metric(r);
}

static err_t http_create(const void *settings, const struct discovery_env *env, void **state,
                         struct strbuf *why)
{
    const struct http_discovery_config *config = settings;
    struct http_client *client;
    TRY(http_client_create(&config->http, &client, why));
    struct http_discovery *http = MEM_NEW(MEM_DISCOVERY, struct http_discovery);
    *http = (struct http_discovery){config, env, client};
    *state = http;
    return OK;
}

static void http_destroy(void *state)
{
    struct http_discovery *http = state;
    http_client_destroy(http->client);
    mem_free(MEM_DISCOVERY, http);
}

/* application/json, alone or with charset=utf-8 in any case, quoted or not. */
static bool is_json_type(struct str type)
{
    type = str_trim(type);
    size_t semicolon = str_find(type, ';', 0);
    struct str media = str_from(type.data, semicolon == SIZE_MAX ? type.size : semicolon);
    if (!str_equal_nocase(media, STR("application/json")))
        return false;
    if (semicolon == SIZE_MAX)
        return true;
    struct str rest = str_trim(str_from(type.data + semicolon + 1, type.size - semicolon - 1));
    return str_equal_nocase(rest, STR("charset=utf-8")) ||
           str_equal_nocase(rest, STR("charset=\"utf-8\""));
}

static err_t check_answer(const struct http_answer *answer, struct strbuf *why)
{
    if (answer->status != 200)
        return err_fail(why, ERR_IO, "server returned HTTP status %u %s", answer->status,
                        answer->reason);
    if (!is_json_type(str_from_cstr(answer->content_type)))
        return err_fail(why, ERR_INVALID, "unsupported content type \"%s\"", answer->content_type);
    return OK;
}

static err_t http_refresh(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct http_discovery *http = state;
    char seconds[NUMBER_TEXT_MAX];
    size_t size = number_format_plain((double)http->config->refresh_interval_ms / 1000, seconds);
    const struct name_value headers[] = {
        {STR("User-Agent"), STR("Prometheus/3.14.0")},
        {STR("Accept"), STR("application/json")},
        {STR("X-Prometheus-Refresh-Interval-Seconds"), str_from(seconds, size)},
    };
    struct http_request request = {
        .url = http->config->url,
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .timeout_ms = http->config->refresh_interval_ms,
        .cancel = http->env->cancel,
    };
    struct strbuf body = STRBUF_INIT;
    struct http_answer answer;
    struct label source = {STR("__meta_url"), http->config->url};
    err_t err = OK;
    TRY_OUT(http_client_fetch(http->client, &request, ANSWER_BYTES_MAX, &answer, &body, why));
    TRY_OUT(check_answer(&answer, why));
    TRY_OUT(discovered_groups_read_json(groups, strbuf_str(&body), &source, why));
out:
    if (err != OK && err != ERR_CANCELED && http->env->metrics != NULL)
        metric_add(failures_metric(http->env->metrics), 1);
    strbuf_deinit(&body);
    return err;
}

static int64_t http_interval_ms(const void *state)
{
    const struct http_discovery *http = state;
    return http->config->refresh_interval_ms;
}

const struct discovery_mechanism discovery_http = {
    .name = STR_INIT("http"),
    .register_metrics = http_register_metrics,
    .create = http_create,
    .destroy = http_destroy,
    .refresh = http_refresh,
    .interval_ms = http_interval_ms,
};
