/* The requests of a Kubernetes mechanism: all lists and watches on one curl multi handle, driven by
 * the thread of the mechanism. */
#pragma once

#include "discovery_kubernetes_access.h"
#include "discovery_kubernetes_watch.h"
#include "discovery_mechanism.h"
#include "http_transfer.h"

struct kubernetes_request {
    struct http_transfer transfer;
    struct kubernetes_watch watch;
    struct strbuf url;
};

struct kubernetes_client {
    const struct kubernetes_access *access;
    struct metrics *metrics; /* NULL: count nothing */
    struct http_client *http;
    CURLM *multi;
    struct kubernetes_request **requests;
    uint32_t request_count;
    uint32_t request_capacity;
    uint64_t failures; /* lists and watches that failed so far */
};

void kubernetes_client_register_metrics(struct metrics *metrics);
/* The access outlives the client. */
err_t kubernetes_client_create(const struct kubernetes_access *access, struct metrics *metrics,
                               struct kubernetes_client *client, struct strbuf *why);
void kubernetes_client_deinit(struct kubernetes_client *client);
/* Adds a list and watch, owned by the client; the first request is due at once. */
struct kubernetes_watch *kubernetes_client_add(struct kubernetes_client *client,
                                               enum kubernetes_kind kind, struct str space,
                                               struct kubernetes_cache *cache, uint64_t seed);
/* Sends what is due, takes what came, and waits for more: until `until_ns` (monotonic) at most, or
 * until stop_fd (-1: none) becomes readable. Faults are logged, counted and tried again. */
void kubernetes_client_step(struct kubernetes_client *client, int stop_fd, int64_t until_ns);
/* Whether every list was completed once. */
bool kubernetes_client_is_synced(const struct kubernetes_client *client);
