/* http/quick_queries.h: which queries are so short that handing them to a worker would take longer
 * than they do (private to http/). Any thread. */
#pragma once

#include "narthex/query/engine.h"

enum { QUICK_QUERIES_MAX = 1024 };

/* By text, length and step: times move on from one refresh of a page to the next. All zero at
 * first. Queries with equal hashes share a place; a wrong guess costs time only. */
struct quick_queries {
    /* 44 bits of the hash, 20 of microseconds: what it took of late */
    _Atomic uint64_t places[QUICK_QUERIES_MAX];
};

/* Limits to the work of a query in a thread of libmicrohttpd, which serves other connections. */
struct query_trial quick_queries__trial(void);
/* Whether such a query has been short of late; an unknown one has not. */
bool quick_queries__has(const struct quick_queries *queries, const struct query_request *request);
/* Notes what it took; `result` is NULL when it was given up. */
void quick_queries__note(struct quick_queries *queries, const struct query_request *request,
                         const struct query_result *result);
