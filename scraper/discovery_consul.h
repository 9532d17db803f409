/* Inside of consul_sd: one query is one repeated request to Consul's HTTP API. */
#pragma once

#include "discovery_json.h"
#include "discovery_labels.h"
#include "http_transfer.h"
#include "narthex/scraper/discovery.h"

enum consul_query_kind {
    CONSUL_AGENT,   /* which datacenter it is; once */
    CONSUL_CATALOG, /* the names and tags of all services */
    CONSUL_SERVICE, /* the instances of one */
};

struct consul_discovery;

/* Queries block at the server until something changed (index), and are asked again then. */
struct consul_query {
    struct consul_discovery *consul;
    enum consul_query_kind kind;
    struct str name;   /* of the service; owned */
    uint64_t index;    /* of the last answer; 0: none */
    int64_t due_ns;    /* when to ask next */
    int64_t asked_ns;  /* when it was asked last */
    bool busy;         /* the transfer runs */
    bool over;         /* the answer was too long */
    struct strbuf url; /* of the running transfer */
    struct http_transfer transfer;
    struct strbuf body;
    /* What it found last, for CONSUL_SERVICE. */
    struct arena arena;
    struct discovered_groups groups;
};

struct consul_metrics {
    struct metric *failures; /* NULL: nothing is counted */
    struct metric_distribution *catalog_duration;
    struct metric_distribution *service_duration;
};

struct consul_discovery {
    const struct consul_discovery_config *config;
    const struct discovery_env *env;
    struct consul_metrics metrics;
    struct http_client *client;
    CURLM *multi;
    struct strbuf base_url; /* with the path prefix, without a slash at its end */
    struct str unix_socket;
    struct strbuf datacenter; /* known once set */
    struct consul_query **queries;
    uint32_t query_count;
    uint32_t query_capacity;
    uint32_t busy_count;
    uint32_t next_start; /* where to go on looking for queries that are due */
    size_t body_bytes;   /* of all answers that are being received */
    int64_t changed_ns;  /* since when there is something to publish; 0: there is not */
};

/* Base URL and socket of the configured server. */
void consul_address_parse(const struct consul_discovery_config *config, struct strbuf *base_url,
                          struct str *unix_socket);
/* The URL of a query's next request. */
void consul_query_url(const struct consul_query *query, struct strbuf *url);

struct consul_query *consul_query_add(struct consul_discovery *consul, enum consul_query_kind kind,
                                      struct str name);
/* Ends a query and forgets what it found; the last one of the list takes its place. */
void consul_query_remove(struct consul_discovery *consul, uint32_t position);
/* Starts the request, or the one for a token that it needs first. */
err_t consul_query_start(struct consul_query *query, struct strbuf *why);
/* After curl ended the transfer: OK with *complete when the answer is there to be read, OK without
 * when another transfer was started. */
err_t consul_query_end(struct consul_query *query, CURLcode code, bool *complete,
                       struct strbuf *why);

/* Reads the datacenter's name out of /v1/agent/self. */
err_t consul_agent_read(struct str text, struct strbuf *datacenter, struct strbuf *why);
/* Whether a service of this name with this list of tags is configured. */
bool consul_service_is_wanted(const struct consul_discovery_config *config, struct str name,
                              const json_t *tags);
/* Reads /v1/health/service/NAME of a datacenter into one group. */
err_t consul_service_read(const struct consul_discovery_config *config, struct str name,
                          struct str datacenter, struct str text, struct discovered_groups *groups,
                          struct strbuf *why);
