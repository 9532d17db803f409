/* A shard: one thread that scrapes its share of the targets, with its own connections, timers,
 * caches and appender. The manager hands it targets through an inbox; nothing else is shared but
 * the targets' status. */
#pragma once

#include <curl/curl.h>

#include "http_transfer.h"
#include "http_wire_pool.h"
#include "http_wire_reader.h"
#include "http_wire_request.h"
#include "narthex/base/number.h"
#include "narthex/base/thread.h"
#include "scrape_body.h"
#include "scrape_ingest.h"
#include "scrape_metrics.h"
#include "scrape_schedule.h"
#include "scrape_timers.h"

enum {
    SCRAPE_REPORT_SERIES = 8,
    SCRAPE_SPARE_REQUESTS = 16, /* idle ones kept, with their buffers */
    SCRAPE_RECEIVE_BYTES = 64 << 10,
};

struct scrape_shard;

enum inbox_kind {
    INBOX_ADD,
    INBOX_REMOVE,  /* with stale markers, after a while */
    INBOX_REPLACE, /* target continues `old` */
};

struct inbox_item {
    struct inbox_item *next;
    enum inbox_kind kind;
    struct scrape_target *target; /* each holds a reference */
    struct scrape_target *old;
    bool keep_cache; /* the series of the old loop's lines stay what they are */
};

struct scrape_shard_options {
    const struct scrape_manager_options *manager; /* with all defaults filled in */
    const struct scrape_metrics *metrics;
    struct wall_watch *wall_watch; /* the manager's */
    uint64_t seed;                 /* spreads the phases; the same for all shards of a server */
    uint64_t cache_seed;           /* random: no target can make its lines collide in the cache */
    uint32_t index;
};

struct scrape_shard *scrape_shard_start(const struct scrape_shard_options *options,
                                        struct appender *appender);
/* Ends the thread without writing markers; targets it still has are let go. */
void scrape_shard_stop(struct scrape_shard *shard);
/* Takes the item (allocated by mem_alloc under MEM_SCRAPE). Any thread. */
void scrape_shard_post(struct scrape_shard *shard, struct inbox_item *item);

/* ---- inside ---- */

/* How the request under way is made. */
enum fetch_phase {
    FETCH_CURL,    /* curl does all of it */
    FETCH_TOKEN,   /* curl asks for the OAuth2 token first */
    FETCH_CONNECT, /* curl connects, the rest is ours */
    FETCH_WIRE,    /* request and answer go over a connection of the pool */
    FETCH_STALE,   /* the kept connection was closed before it answered: once more on a new one */
    FETCH_ODD,     /* the answer is not one that http_wire_reader reads: curl asks again */
};

/* One exchange and the body it brings; reused. */
struct scrape_request {
    enum fetch_phase phase;
    struct http_transfer transfer;
    struct http_wire *wire; /* FETCH_WIRE */
    struct http_wire_reader reader;
    bool in_multi; /* the easy handle is with curl */
    struct scrape_body body;
    struct scrape_loop *loop;
    struct scrape_request *next_spare;
    size_t limit_bytes;
    size_t discarded_bytes; /* of the body of an error answer */
    bool over_limit;
    bool over_budget;
};

enum loop_state {
    LOOP_WAITING, /* for the next tick */
    LOOP_FETCHING,
    LOOP_ENDING, /* removed: until the stale markers are written */
};

/* The scraping of one target. */
struct scrape_loop {
    struct scrape_timer timer; /* the next tick */
    struct scrape_shard *shard;
    struct scrape_target *target; /* holds a reference */
    struct scrape_loop *next, *previous;
    enum loop_state state;
    struct scrape_schedule schedule;
    struct scrape_cache cache;
    source_ref source;
    series_ref report_refs[SCRAPE_REPORT_SERIES];
    struct http_endpoint *endpoint;                /* NULL: every scrape goes through curl */
    struct http_wire_url wire_url;                 /* views of the target's URL */
    struct scrape_loop *wire_next, *wire_previous; /* those in FETCH_WIRE */
    uint32_t curl_scrapes;                         /* so many more go through curl */
    struct scrape_request *request;                /* while fetching */
    uint32_t scrape;                               /* number of the next scrape */
    bool refresh; /* the series of its lines must be asked for again */
    size_t body_bytes_last;
    int64_t t_ms;
    int64_t started_ns;
    int64_t started_last_ns; /* 0: never */
    int64_t marker_ms;       /* LOOP_ENDING */
};

struct scrape_shard {
    struct scrape_shard_options options;
    struct thread thread;
    int epoll_fd;
    int wake_fd; /* eventfd: inbox or stop */
    CURLM *multi;
    uint32_t transfer_count; /* easy handles in it */
    struct scrape_timers timers;
    struct scrape_timer curl_timer;
    struct scrape_timer reap_timer; /* of idle connections */
    /* Loops in FETCH_WIRE, and one timer for all their timeouts, at or before the earliest: nearly
     * every answer comes in time, and a timer each would be set for nothing. */
    struct scrape_loop *wire_first;
    struct scrape_timer wire_timer;
    struct http_wire_pool wires;
    struct strbuf wire_text; /* the request being sent */
    char *received;          /* SCRAPE_RECEIVE_BYTES */
    struct scrape_loop *loops;
    uint32_t loop_count;
    uint32_t ending_count; /* loops in LOOP_ENDING */
    struct appender *appender;
    struct scrape_ingest *ingest;
    struct scrape_body unpacked;
    struct libdeflate_decompressor *decompressor;
    struct scrape_request *spare;
    uint32_t spare_count;
    size_t body_bytes; /* held by all requests in flight */
    struct strbuf why;
    struct scrape_interval_place interval_place;

    struct mutex lock;
    /* guarded by lock */
    struct inbox_item *inbox_first;
    struct inbox_item *inbox_last;
    bool stopping;
};

/* scrape_loop.c */
struct scrape_loop *scrape_loop_create(struct scrape_shard *shard, struct scrape_target *target);
/* Without any marker. */
void scrape_loop_destroy(struct scrape_loop *loop);
/* Goes on with another target object of the same labels. */
void scrape_loop_continue(struct scrape_loop *loop, struct scrape_target *target, bool keep_cache);
/* Stops scraping; destroys itself once the markers are written. */
void scrape_loop_end(struct scrape_loop *loop);
/* The loop's exchange ended, or this part of it. */
void scrape_loop_fetched(struct scrape_loop *loop, CURLcode code);

/* scrape_fetch.c: starts the request of a loop; on an error the scrape has failed. */
err_t scrape_fetch_start(struct scrape_loop *loop, struct strbuf *why);
/* After a part of the exchange: whether another one is under way. */
err_t scrape_fetch_continue(struct scrape_loop *loop, CURLcode code, bool *again,
                            struct strbuf *why);
/* The body as text and its format, or why there is none. */
err_t scrape_fetch_result(struct scrape_loop *loop, CURLcode code, struct str *body,
                          enum exposition_format *format, struct strbuf *why);
/* Gives the request back; an exchange still running is cut off. */
void scrape_fetch_release(struct scrape_loop *loop);
/* Ends a spare request. */
void scrape_fetch_free(struct scrape_request *request);

/* For scrape_wire.c: what the loop asks its target for, as headers; `seconds` holds the text of
 * one.
 */
enum { SCRAPE_HEADERS = 4 };
void scrape_fetch_headers(const struct scrape_loop *loop, char seconds[NUMBER_TEXT_MAX],
                          struct name_value headers[SCRAPE_HEADERS]);
/* Milliseconds left of the target's timeout, at least 1. */
int64_t scrape_fetch_left_ms(const struct scrape_loop *loop);
/* Hands the request's easy handle to curl, and takes it back. */
err_t scrape_fetch_enter_multi(struct scrape_loop *loop, struct strbuf *why);
void scrape_fetch_leave_multi(struct scrape_loop *loop);
/* curl's or ours: takes a piece of the body of the loop's request. */
bool scrape_fetch_take_body(void *context, const char *data, size_t size);

/* scrape_wire.c: scrapes of plain HTTP targets without curl, but for opening the connection. */
/* When the loop gets or changes its target; and before it lets go of it. */
void scrape_wire_attach(struct scrape_loop *loop);
void scrape_wire_detach(struct scrape_loop *loop);
/* Whether the loop's next request goes this way; counts down the scrapes that do not. */
bool scrape_wire_fits(struct scrape_loop *loop);
/* Sends the request over a kept connection, or begins to open one. */
err_t scrape_wire_start(struct scrape_loop *loop, struct strbuf *why);
/* Opens a connection (FETCH_CONNECT). */
err_t scrape_wire_connect(struct scrape_loop *loop, struct strbuf *why);
/* curl has connected: sends the request; false when that did not work out, and curl shall try. */
bool scrape_wire_connected(struct scrape_loop *loop);
/* Something is to be read on a connection of the pool. */
void scrape_wire_ready(struct scrape_shard *shard, struct http_wire *wire);
/* The loop is no longer in FETCH_WIRE. */
void scrape_wire_forget(struct scrape_loop *loop);
/* Ends what has run into its timeout: wire_timer's function. */
void scrape_wire_expire(struct scrape_timer *timer, void *context);

/* scrape_commit.c: one scrape into the storage. */
struct scrape_outcome {
    struct ingest_result result;
    bool failed; /* `why` says how */
    bool body_over_limit;
    bool limit_hit; /* a limit of the job was the reason */
    size_t body_bytes;
};
void scrape_commit(struct scrape_loop *loop, bool has_body, struct str body,
                   enum exposition_format format, struct scrape_outcome *outcome,
                   struct strbuf *why);
/* Stale markers for everything the loop still shows, at loop->marker_ms. */
void scrape_commit_end(struct scrape_loop *loop);
