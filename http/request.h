/* http/request.h: one request and its answer, as the routes see them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/http/http_server.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_OPTIONS, HTTP_OTHER };

enum { HTTP_RESPONSE_HEADERS_MAX = 16, HTTP_PARAMS_MAX = 10000 };

/* One name=value of the URL or a form body, decoded. */
struct http_param {
    struct str name;
    struct str value;
    bool from_body;
};

struct http_header {
    const char *name; /* static */
    struct str value; /* in the request's arena or static */
};

enum { HTTP_STREAM_END = -1, HTTP_STREAM_BROKEN = -2 };

/* A body that comes bit by bit. All but hang_up are called by libmicrohttpd's threads, one at a
 * time. */
struct http_stream {
    /* Copies up to `size` bytes and returns how many, HTTP_STREAM_END, or HTTP_STREAM_BROKEN, which
     * ends the connection so that the client sees that something is missing. With nothing to give
     * it calls http__stream_suspend and returns 0. */
    ptrdiff_t (*read)(void *context, char *to, size_t size);
    /* The client has left: the stream resumes if it is suspended, and ends. Any thread. */
    void (*hang_up)(void *context);
    void (*close)(void *context); /* once, at the end */
    void *context;
    uint64_t size; /* of all it gives; 0: not known */
};

enum {
    HTTP_PIECE_BYTES = 256 * 1024,
    HTTP_WHOLE_BYTES_MAX = 512 * 1024,          /* longer bodies are not held whole */
    HTTP_HELD_BYTES_MAX = 8 * 1024 * 1024,      /* but those whose parts are made at once */
    HTTP_HELD_ALL_BYTES_MAX = 64 * 1024 * 1024, /* of them together */
};

/* A body that may be long, made piece by piece while it is sent, so that a slow client holds what
 * it is made of and one piece, for the send timeout at most. */
struct http_pieces {
    /* Appends about HTTP_PIECE_BYTES to `out`; false when nothing is left. On workers, one at a
     * time. */
    bool (*next)(void *context, struct strbuf *out);
    /* Instead of `next`: appends part `index` of part_count, a piece or less. Any threads, several
     * at once. */
    void (*make)(void *context, size_t index, struct strbuf *out);
    /* The bytes that it appends. Any threads. */
    size_t (*measure)(void *context, size_t index);
    /* Once, after the last piece or when the client is gone. Any thread. */
    void (*close)(void *context);
    void *context;
    size_t part_count;
    size_t bytes_about; /* of all parts together, roughly */
};

struct answer_blocks;

struct http_response {
    unsigned status;
    const char *content_type; /* static; NULL: none */
    struct strbuf body;
    struct http_stream stream;    /* instead of the body when it can be read */
    struct http_pieces pieces;    /* what follows the body; NULL functions: nothing */
    struct answer_blocks *blocks; /* instead of the body; NULL: none */
    struct http_header headers[HTTP_RESPONSE_HEADERS_MAX];
    uint32_t header_count;
};

struct answer_blocks;
struct quick_queries;

struct http_request {
    enum http_method method;
    struct str raw_path; /* without query, still percent-encoded, route prefix removed */
    struct str raw_query;
    struct str path_param;     /* decoded <name> of /label/<name>/values */
    struct http_param *params; /* body first, then URL */
    uint32_t param_count;
    bool has_bad_escape; /* some pair had a broken escape */
    struct str bad_escape;
    struct str body;
    const char *upload_path; /* file with the body instead; NULL: none */
    uint64_t upload_bytes;
    struct str accept_encoding;
    struct str if_none_match;
    struct str accept;
    struct str origin;
    struct str host;
    struct str content_type;
    struct str authorization;
    struct str client; /* address:port */
    atomic_bool cancel;
    bool may_defer; /* in libmicrohttpd's thread: ROUTE_QUICK */
    bool deferred;  /* set instead of answering: the handler is to be called again, on a worker */
    struct quick_queries *quick;
    struct arena arena;
    struct http_services *services;
    const struct http_server_options *options;
    struct http_response response;
};

/* ---- parameters (spec http-api.md 1.2) ---- */

/* Splits `query` into the request's parameters. */
void http__params_parse(struct http_request *request, struct str query, bool from_body);
/* Adds one parameter; the views must live as long as the request. */
void http__param_add(struct http_request *request, struct str name, struct str value,
                     bool from_body);
/* Adds the fields of a multipart/form-data body; none when it is malformed. */
void http__multipart_parse(struct http_request *request, struct str content_type, struct str body);
/* First value, the body's before the URL's; empty when absent. */
struct str http__param(const struct http_request *request, const char *name);
bool http__has_param(const struct http_request *request, const char *name);
/* All values in order: body, then URL. Returns how many; `values` is in the arena. */
size_t http__params_all(struct http_request *request, const char *name, struct str **values);
/* Percent-decodes; plus means blank in queries. False on a broken escape. */
bool http__unescape(struct arena *arena, struct str text, bool plus_is_blank, struct str *out);

/* The text of a failure is that of the specification, without "invalid parameter". */
err_t http__parse_limit(struct str text, size_t *limit, struct strbuf *why);
/* strconv.Atoi with its error text. */
bool http__parse_int(struct str text, int64_t *value, struct strbuf *why);
/* A time parameter that may be absent: then *t_ms is left as it is. False: the request has failed.
 */
bool http__optional_time(struct http_request *request, const char *name, int64_t *t_ms);
/* Whether a broken escape in the parameters has failed the request; only some endpoints look. */
bool http__bad_escape(struct http_request *request);
/* strconv.ParseBool */
bool http__parse_bool(struct str text, bool *value);

/* ---- answers ---- */

enum api_error {
    API_BAD_DATA,
    API_EXECUTION,
    API_CANCELED,
    API_TIMEOUT,
    API_INTERNAL,
    API_UNAVAILABLE,
    API_NOT_FOUND,
};

/* {"status":"error",…} with the kind's status code. */
void http__api_error(struct http_request *request, enum api_error kind, const char *text);
/* As above with `invalid parameter "name": ` in front. */
void http__api_invalid_parameter(struct http_request *request, const char *name, const char *text);
/* The kind for an error code of the engine or the storage. */
enum api_error http__api_error_of(err_t err);
/* Starts {"status":"success","data": …; the caller appends the data to the returned buffer and ends
 * with http__api_end. */
struct strbuf *http__api_begin(struct http_request *request);
/* Appends warnings and infos (may be 0) and the closing brace. */
void http__api_end(struct http_request *request, const struct str *warnings, size_t warning_count,
                   const struct str *infos, size_t info_count);
/* The same for a body that is made in pieces. */
void http__api_end_in(struct strbuf *out, const struct str *warnings, size_t warning_count,
                      const struct str *infos, size_t info_count);
/* Plain text. */
void http__plain(struct http_request *request, unsigned status, const char *text);
/* Plain text with nosniff, as errors outside the API have it. */
void http__text(struct http_request *request, unsigned status, const char *text);
void http__header(struct http_request *request, const char *name, struct str value);
/* Takes `pieces` over: makes the body of them, whole if it is short, else its beginning. */
void http__answer_pieces(struct http_request *request, struct http_pieces pieces);

/* Until http__stream_resume its `read` is not called; resuming is for any thread. */
void http__stream_suspend(struct http_request *request);
void http__stream_resume(struct http_request *request);

/* ---- JSON (http/json_out.c) ---- */

/* A quoted string; html escapes < > & too, as Go does outside label objects. */
void json_add_string(struct strbuf *out, struct str s, bool html);
/* {"a":"b"} */
void json_add_labels(struct strbuf *out, struct labels labels);
/* 1700000000 or 1700000000.120 */
void json_add_timestamp(struct strbuf *out, int64_t t_ms);
/* "0.5" with quotes */
void json_add_value(struct strbuf *out, double v);
/* A number, shortest. */
void json_add_number(struct strbuf *out, double v);
/* RFC 3339 with trailing zeros cut; 0 is 0001-01-01T00:00:00Z. Quoted. */
void json_add_time(struct strbuf *out, int64_t t_ms);
void json_add_histogram(struct strbuf *out, const struct histogram *h);

/* ---- routes ---- */

typedef void (*http_handler)(struct http_request *request);

enum { /* flags of a route */
       ROUTE_GET = 1,
       ROUTE_POST = 2,
       ROUTE_PUT = 4,
       ROUTE_HEAD = 8,
       ROUTE_API = 16,     /* CORS, compression, envelope */
       ROUTE_GATED = 32,   /* 503 until ready */
       ROUTE_WORKER = 64,  /* runs on a worker, not in libmicrohttpd's thread */
       ROUTE_ZIP = 128,    /* may be compressed */
       ROUTE_ETAG = 256,   /* seldom changes: has an ETag */
       ROUTE_DATA = 512,   /* reads stored data: refused when memory is short */
       ROUTE_QUICK = 1024, /* with ROUTE_WORKER: called first where the request was read */
};

struct http_route {
    const char *path; /* "/api/v1/label/:name/values": one :param at most */
    unsigned flags;
    http_handler handle;
};

/* The table of all routes (http/routes.c). */
extern const struct http_route http_routes[];
extern const size_t http_route_count;
/* Route for a path, NULL if none; fills request->path_param. */
const struct http_route *http__route_find(struct http_request *request);

/* The path of a route that differs from `path` in case only; parameters are kept as they are. The
 * API's prefix has to be right. False if there is none. */
bool http__route_similar(struct str path, struct arena *arena, struct str *similar);

void http__root(struct http_request *request);
void http__graph(struct http_request *request);
void http__query(struct http_request *request);
void http__query_range(struct http_request *request);
void http__query_exemplars(struct http_request *request);
void http__format_query(struct http_request *request);
void http__parse_query(struct http_request *request);
void http__series(struct http_request *request);
void http__labels(struct http_request *request);
void http__label_values(struct http_request *request);
void http__targets(struct http_request *request);
void http__scrape_pools(struct http_request *request);
void http__scrape_pool_config(struct http_request *request);
void http__targets_metadata(struct http_request *request);
void http__relabel_steps(struct http_request *request);
void http__why(struct http_request *request);
void http__metadata(struct http_request *request);
void http__rules(struct http_request *request);
void http__alerts(struct http_request *request);
void http__alertmanagers(struct http_request *request);
void http__status_config(struct http_request *request);
void http__status_flags(struct http_request *request);
void http__status_runtimeinfo(struct http_request *request);
void http__status_buildinfo(struct http_request *request);
void http__status_walreplay(struct http_request *request);
void http__status_tsdb(struct http_request *request);
void http__status_blocks(struct http_request *request);
void http__features(struct http_request *request);
void http__notifications(struct http_request *request);
void http__notifications_live(struct http_request *request);
void http__openapi_json(struct http_request *request);
void http__openapi_yaml(struct http_request *request);
void http__self_metrics(struct http_request *request);
void http__search_metric_names(struct http_request *request);
void http__search_label_names(struct http_request *request);
void http__search_label_values(struct http_request *request);
void http__delete_series(struct http_request *request);
void http__clean_tombstones(struct http_request *request);
void http__snapshot(struct http_request *request);
void http__import(struct http_request *request);
/* Whether --web.enable-admin-api is set; answers the request if not. */
bool http__admin_is_on(struct http_request *request);
void http__active_queries(struct http_request *request);
void http__kill_query(struct http_request *request);
void http__healthy(struct http_request *request);
void http__ready(struct http_request *request);
void http__reload(struct http_request *request);
void http__quit(struct http_request *request);
void http__metrics(struct http_request *request);
void http__host_metrics(struct http_request *request);
void http__version(struct http_request *request);
void http__start_page(struct http_request *request);
void http__federate(struct http_request *request);
