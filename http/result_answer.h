/* http/result_answer.h: a query's result as the answer to /api/v1/query and query_range. */
#pragma once

#include "narthex/query/engine.h"
#include "request.h"

/* Takes `result` over. At most `limit` series; 0: all. */
void result__answer(struct http_request *request, struct query_result *result, size_t limit);
