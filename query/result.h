/* query/result.h: from operators to a detached result (private to query/). */
#pragma once

#include "eval.h"

/* Runs the operator of the root to its end and copies everything into result->arena. */
err_t result__collect(struct eval *eval, struct op *root, const struct expr *expr,
                      struct query_result *result, struct strbuf *why);
/* A range vector as the answer of an instant query. */
err_t result__matrix(struct eval *eval, const struct expr *expr, struct query_result *result,
                     struct strbuf *why);
/* By labels, as matrices are shown. */
void result__sort(struct query_result *result);
