/* One resource in one namespace (or all), listed page by page and then watched: which request comes
 * next and when, what an answer means, what a failure leads to. No network in here: the caller
 * performs the requests and hands over what came. One owner thread.
 *
 *     LIST ──page──> LIST ──last page──> WATCH ──end──> WATCH …
 *      ^                                   │
 *      └── 410, ERROR event, HTTP error ───┘       every failure waits longer than the one before
 */
#pragma once

#include "discovery_json_stream.h"
#include "discovery_kubernetes_cache.h"

enum {
    KUBERNETES_PAGE_OBJECTS = 500,
    KUBERNETES_OBJECT_BYTES_MAX = 4 << 20, /* of JSON; the API server takes at most 3 MiB */
    KUBERNETES_PAGES_MAX = 20000,
    KUBERNETES_LIST_TIMEOUT_MS = 60000,
    KUBERNETES_TEXT_BYTES_MAX = 16 << 10, /* of a version, a token, an error's body */
};

#define KUBERNETES_LIST_BYTES_MAX (UINT64_C(4) << 30) /* of all pages */

struct kubernetes_watch {
    /* constant */
    enum kubernetes_kind kind;
    uint32_t source;
    struct str space; /* empty: all */
    struct str label_selector;
    struct str field_selector;
    struct kubernetes_cache *cache;
    int64_t list_timeout_ms; /* of a page; tests shorten it */

    bool watching;                     /* the next or current request watches; else it lists */
    bool synced;                       /* a list was completed */
    bool busy;                         /* between begin and end */
    int64_t due_ns;                    /* when the next request may be sent */
    uint32_t failures;                 /* in a row */
    struct kubernetes_changes changes; /* the owner's to count and clear */
    struct strbuf resource_version;
    struct strbuf continue_token;
    uint64_t random;

    /* of the request under way */
    struct json_stream stream;
    int64_t started_ns;
    uint32_t watch_s;
    uint64_t bytes; /* of a list so far */
    uint32_t pages;
    uint32_t events;
    uint64_t left_out; /* objects that were too long, since the beginning */
    bool expired;      /* an ERROR event: what we know is too old */
    err_t error;
    struct strbuf why;
    struct strbuf error_body;
};

/* How a request went. */
struct kubernetes_answer {
    uint32_t status;       /* 0: none came */
    int64_t retry_after_s; /* -1: not said */
    const char *reason;    /* "Forbidden" */
    const char *transport; /* NULL: the answer came whole; else what happened to it */
    bool timed_out;        /* the transport gave up at the time that was asked for */
};

/* "pods"; what paths, logs and counters call a kind. */
const char *kubernetes_kind_plural(enum kubernetes_kind kind);
const char *kubernetes_kind_role(enum kubernetes_kind kind);
bool kubernetes_kind_is_namespaced(enum kubernetes_kind kind);

/* Strings are borrowed; `seed` is for the jitter. */
void kubernetes_watch_init(struct kubernetes_watch *watch, enum kubernetes_kind kind,
                           uint32_t source, struct str space, struct kubernetes_cache *cache,
                           uint64_t seed);
void kubernetes_watch_deinit(struct kubernetes_watch *watch);

/* Begins the next request and appends its path and query. */
void kubernetes_watch_begin(struct kubernetes_watch *watch, int64_t now_ns, struct strbuf *path);
/* How long the request may take. */
int64_t kubernetes_watch_timeout_ms(const struct kubernetes_watch *watch);
/* A piece of the body; false: end the request. */
bool kubernetes_watch_take(struct kubernetes_watch *watch, uint32_t status, const char *data,
                           size_t size);
/* The request is over: sets what comes next and when. An error is for the log and the counter; it
 * has been dealt with. */
err_t kubernetes_watch_end(struct kubernetes_watch *watch, const struct kubernetes_answer *answer,
                           int64_t now_ns, struct strbuf *why);
