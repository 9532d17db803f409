/* One query of Consul: its URL, its transfer, the answer's body. */
#include <string.h>

#include "discovery_consul.h"
#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum {
    ANSWER_BYTES_MAX = 16 << 20,
    ANSWERS_BYTES_MAX = 64 << 20, /* of all that are being received */
    FAULT_BYTES_MAX = 256,
    BLOCK_MS = 120000,        /* how long Consul may hold a query without news */
    TIMEOUT_EXTRA_MS = 15000, /* beyond that */
};
static const int64_t group_bytes_max = 128 << 20;

void consul_address_parse(const struct consul_discovery_config *config, struct strbuf *base_url,
                          struct str *unix_socket)
{
    static const struct str unix_scheme = STR_INIT("unix://");
    struct str server = config->server;
    struct str prefix = config->path_prefix;
    *unix_socket = STR("");
    if (str_starts_with(server, unix_scheme)) {
        *unix_socket = str_from(server.data + unix_scheme.size, server.size - unix_scheme.size);
        strbuf_add_cstr(base_url, "http://consul");
    } else if (str_starts_with(server, STR("http://")) ||
               str_starts_with(server, STR("https://"))) {
        while (server.data[server.size - 1] == '/')
            server.size--;
        strbuf_add_str(base_url, server);
    } else {
        strbuf_add_str(base_url, config->scheme);
        strbuf_add_cstr(base_url, "://");
        strbuf_add_str(base_url, server);
    }
    while (prefix.size > 0 && prefix.data[prefix.size - 1] == '/')
        prefix.size--;
    if (prefix.size > 0 && prefix.data[0] != '/')
        strbuf_add_char(base_url, '/');
    strbuf_add_str(base_url, prefix);
}

static void add_param(struct strbuf *url, const char *name, struct str value)
{
    if (value.size == 0)
        return;
    strbuf_printf(url, "%c%s=", strchr(strbuf_cstr(url), '?') == NULL ? '?' : '&', name);
    discovery_query_add(url, value);
}

static void add_flag(struct strbuf *url, const char *name)
{
    strbuf_printf(url, "%c%s=", strchr(strbuf_cstr(url), '?') == NULL ? '?' : '&', name);
}

static void add_blocking(const struct consul_query *query, struct strbuf *url)
{
    char number[24];
    const struct consul_discovery_config *config = query->consul->config;
    add_param(url, "dc", strbuf_str(&query->consul->datacenter));
    add_param(url, "ns", config->name_space);
    add_param(url, "partition", config->partition);
    if (config->allow_stale)
        add_flag(url, "stale");
    if (query->index > 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)query->index);
        add_param(url, "index", str_from_cstr(number));
        snprintf(number, sizeof number, "%dms", BLOCK_MS);
        add_param(url, "wait", str_from_cstr(number));
    }
    for (uint32_t i = 0; i < config->node_meta_count; i++) {
        struct strbuf pair = STRBUF_INIT;
        strbuf_add_str(&pair, config->node_meta[i].name);
        strbuf_add_char(&pair, ':');
        strbuf_add_str(&pair, config->node_meta[i].value);
        add_param(url, "node-meta", strbuf_str(&pair));
        strbuf_deinit(&pair);
    }
}

void consul_query_url(const struct consul_query *query, struct strbuf *url)
{
    const struct consul_discovery_config *config = query->consul->config;
    strbuf_clear(url);
    strbuf_add_str(url, strbuf_str(&query->consul->base_url));
    switch (query->kind) {
    case CONSUL_AGENT:
        strbuf_add_cstr(url, "/v1/agent/self");
        return;
    case CONSUL_CATALOG:
        strbuf_add_cstr(url, "/v1/catalog/services");
        add_blocking(query, url);
        add_param(url, "filter", config->filter);
        return;
    case CONSUL_SERVICE:
        strbuf_add_cstr(url, "/v1/health/service/");
        discovery_query_add(url, query->name);
        add_blocking(query, url);
        for (uint32_t i = 0; i < config->tag_count; i++)
            add_param(url, "tag", config->tags[i]);
        add_param(url, "filter", config->health_filter);
        return;
    }
}

/* ---- life ---- */

struct consul_query *consul_query_add(struct consul_discovery *consul, enum consul_query_kind kind,
                                      struct str name)
{
    struct consul_query *query = MEM_NEW(MEM_DISCOVERY, struct consul_query);
    query->consul = consul;
    query->kind = kind;
    query->name = str_from(mem_dup(MEM_DISCOVERY, name.data, name.size), name.size);
    http_transfer_init(&query->transfer);
    arena_init(&query->arena, MEM_DISCOVERY, (size_t)group_bytes_max);
    VEC_PUSH(MEM_DISCOVERY, consul->queries, consul->query_count, consul->query_capacity, query);
    return query;
}

static void drop_body(struct consul_query *query)
{
    query->consul->body_bytes -= query->body.size;
    strbuf_deinit(&query->body);
}

static void end_transfer(struct consul_query *query)
{
    curl_multi_remove_handle(query->consul->multi, query->transfer.easy);
    query->busy = false;
    query->consul->busy_count--;
}

void consul_query_remove(struct consul_discovery *consul, uint32_t position)
{
    struct consul_query *query = consul->queries[position];
    if (query->busy)
        end_transfer(query);
    drop_body(query);
    http_transfer_deinit(&query->transfer);
    arena_deinit(&query->arena);
    strbuf_deinit(&query->url);
    mem_free(MEM_DISCOVERY, (char *)(uintptr_t)query->name.data);
    mem_free(MEM_DISCOVERY, query);
    consul->queries[position] = consul->queries[--consul->query_count];
}

/* ---- a transfer ---- */

static bool take_body(void *context, const char *data, size_t size)
{
    struct consul_query *query = context;
    struct consul_discovery *consul = query->consul;
    if (query->body.size + size > ANSWER_BYTES_MAX ||
        consul->body_bytes + size > ANSWERS_BYTES_MAX) {
        query->over = true;
        return false;
    }
    strbuf_add(&query->body, data, size);
    consul->body_bytes += size;
    return true;
}

static void run_transfer(struct consul_query *query)
{
    query->busy = true;
    query->consul->busy_count++;
    curl_multi_add_handle(query->consul->multi, query->transfer.easy);
}

static int64_t left_ms(const struct consul_query *query)
{
    int64_t spent_ms = (clock_monotonic_ns(clock_system()) - query->asked_ns) / 1000000;
    int64_t left = BLOCK_MS + TIMEOUT_EXTRA_MS - spent_ms;
    return left < 1 ? 1 : left;
}

/* The request, the one for a token that it needs first, or (`follow`) the next hop of a redirect.
 */
static err_t prepare(struct consul_query *query, bool follow, struct strbuf *why)
{
    const struct consul_discovery *consul = query->consul;
    const struct name_value headers[] = {
        {STR("User-Agent"), STR("Prometheus/3.14.0")},
        {STR("X-Consul-Token"), consul->config->token},
    };
    struct http_request request = {
        .url = strbuf_str(&query->url),
        .unix_socket = consul->unix_socket,
        .headers = headers,
        .header_count = consul->config->token.size > 0 ? 2 : 1,
        .wanted_header = STR("X-Consul-Index"),
        .timeout_ms = left_ms(query),
    };
    if (follow)
        TRY(http_transfer_follow(&query->transfer, consul->client, &request, why));
    else if (http_client_needs_token(consul->client))
        return http_transfer_prepare_token(&query->transfer, consul->client, &request, why);
    else
        TRY(http_transfer_prepare(&query->transfer, consul->client, &request, take_body, query,
                                  why));
    curl_easy_setopt(query->transfer.easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    return OK;
}

err_t consul_query_start(struct consul_query *query, struct strbuf *why)
{
    consul_query_url(query, &query->url);
    query->asked_ns = clock_monotonic_ns(clock_system());
    query->over = false;
    drop_body(query);
    TRY(prepare(query, false, why));
    run_transfer(query);
    return OK;
}

static err_t check_answer(const struct consul_query *query, struct strbuf *why)
{
    const struct http_answer *answer = &query->transfer.answer;
    struct str body = str_trim(strbuf_str(&query->body));
    if (answer->status == 200)
        return OK;
    return err_fail(why, ERR_IO, "Unexpected response code: %u (%.*s)", answer->status,
                    (int)(body.size < FAULT_BYTES_MAX ? body.size : FAULT_BYTES_MAX), body.data);
}

err_t consul_query_end(struct consul_query *query, CURLcode code, bool *complete,
                       struct strbuf *why)
{
    *complete = false;
    end_transfer(query);
    if (query->over)
        return err_fail(why, ERR_LIMIT, "answer larger than %d bytes", ANSWER_BYTES_MAX);
    bool redirected = (code == CURLE_OK || code == CURLE_WRITE_ERROR) &&
                      http_transfer_is_redirect(&query->transfer);
    if (code != CURLE_OK && !redirected) {
        http_transfer_failure(&query->transfer, code, why);
        return ERR_IO;
    }
    if (redirected || query->transfer.for_token) {
        if (!redirected)
            TRY(http_client_take_token(query->consul->client, &query->transfer, why));
        TRY(prepare(query, redirected, why));
        run_transfer(query);
        return OK;
    }
    TRY(check_answer(query, why));
    *complete = true;
    return OK;
}
